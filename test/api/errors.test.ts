import { afterEach, describe, expect, test } from 'vitest';

import { ApiError, failedPrecondition, invalidArgument, Status } from '../../src/api/errors.js';
import { type Handlers } from '../../src/api/server.js';
import { type Bench, failure, type Service, startBench } from './support.js';

let bench: Bench | undefined;

async function start(
  own: Partial<Handlers<Service>>,
  translate?: (thrown: unknown) => ApiError | undefined,
): Promise<Bench> {
  bench = await startBench(own, translate);
  return bench;
}

afterEach(async () => {
  await bench?.close();
  bench = undefined;
});

describe('errors', () => {
  test('cross with every part', async () => {
    const { client, lines } = await start({
      listVifs: () => {
        throw new ApiError(Status.PERMISSION_DENIED, {
          reason: 'NOT_TENANT',
          field: 'node',
          message: 'vns/a/nodes/P is leased to “conn”; ask 😀.',
        });
      },
    });
    const error = await failure(client.listVifs({}, { requestId: 'req-1' }));
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      status: Status.PERMISSION_DENIED,
      reason: 'NOT_TENANT',
      operation: 'ListVifs',
      field: 'node',
      message: 'vns/a/nodes/P is leased to “conn”; ask 😀.',
    });
    expect(lines.filter((line) => line.includes(' warn api refused'))).toHaveLength(1);
    expect(lines.join('\n')).toContain('request=req-1');
    expect(lines.join('\n')).toContain('reason=NOT_TENANT');
  });

  test('an exception crosses as INTERNAL, without its text or stack', async () => {
    const { client, lines } = await start({
      listVifs: () => {
        throw new Error('secret of tenant b in /root/key');
      },
    });
    const error = (await failure(client.listVifs({}))) as ApiError;
    expect(error).toMatchObject({ status: Status.INTERNAL, reason: 'INTERNAL', operation: 'ListVifs' });
    expect(JSON.stringify([error.message, String(error.cause)])).not.toMatch(/secret|calls\.test/);
    const [request] = /request \S+(?=\.)/.exec(error.message) ?? [];
    const line = lines.find((line) => line.includes(' error api failed'));
    expect(line).toContain('secret of tenant b');
    expect(line).toContain(request?.replace('request ', 'request='));
  });

  test('things thrown that are no Error', async () => {
    const { client } = await start({
      listVifs: () => {
        // oxlint-disable-next-line typescript/only-throw-error
        throw null;
      },
      listRoutes: async () => {
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors
        await Promise.reject('text');
        return {};
      },
    });
    expect(await failure(client.listVifs({}))).toMatchObject({ status: Status.INTERNAL });
    expect(await failure(client.listRoutes({}))).toMatchObject({ status: Status.INTERNAL });
  });

  test('errors of the domain are translated', async () => {
    class Refusal extends Error {}
    const { client } = await start(
      {
        listVifs: () => {
          throw new Refusal('no room');
        },
      },
      (thrown) =>
        thrown instanceof Refusal
          ? failedPrecondition({ reason: 'NO_ROOM', message: thrown.message })
          : undefined,
    );
    expect(await failure(client.listVifs({}))).toMatchObject({
      reason: 'NO_ROOM',
      operation: 'ListVifs',
      message: 'no room',
    });
  });

  test('a translation that fails is a fault like another', async () => {
    const { client } = await start(
      {
        listVifs: () => {
          throw new Error('first');
        },
      },
      () => {
        throw new Error('second');
      },
    );
    expect(await failure(client.listVifs({}))).toMatchObject({ status: Status.INTERNAL, reason: 'INTERNAL' });
  });

  test('an answer that cannot be sent is a fault of the server', async () => {
    const { client, lines } = await start({
      getMachine: () => ({ interfaces: [{ index: -1 }] }),
      listVifs: () => ({ vifs: undefined, nextPageToken: '\ud800' }),
    });
    expect(await failure(client.getMachine({}))).toMatchObject({ status: Status.INTERNAL });
    expect(await failure(client.listVifs({}))).toMatchObject({ status: Status.INTERNAL });
    expect(lines.join('\n')).toContain('interfaces[0].index');
  });

  test('a message of any length and content arrives, cut if need be', async () => {
    let message = '';
    const { client } = await start({
      listVifs: () => {
        throw invalidArgument({ reason: 'bad reason!', field: 'f'.repeat(10_000), message });
      },
    });
    for (const text of [
      'x'.repeat(1_000_000),
      '\ud800 half',
      'a\0b\r\nc: d',
      '%41%zz',
      '😀'.repeat(2000),
      'ü€'.repeat(3000),
      '',
    ]) {
      message = text;
      const error = (await failure(client.listVifs({}))) as ApiError;
      expect(error).toMatchObject({ status: Status.INVALID_ARGUMENT, reason: 'INVALID_ARGUMENT' });
      expect(error.message.length).toBeLessThanOrEqual(1500);
      expect(error.field?.length).toBeLessThanOrEqual(250);
    }
  });

  test('a wrong request is refused before it is sent, with its field', async () => {
    const { client } = await start({});
    expect(await failure(client.listVifs({ pageSize: 2 ** 32 }))).toMatchObject({
      status: Status.INVALID_ARGUMENT,
      reason: 'MESSAGE_INVALID',
      field: 'pageSize',
      operation: 'ListVifs',
    });
    const both = { tunnel: 't', vif: 'v' } as never;
    expect(await failure(client.apply([{ resources: { resources: [{ label: both }] } }]))).toMatchObject({
      field: 'resources.resources[0].label.tunnel',
    });
  });

  test('too big a message is refused on the side that makes it', async () => {
    const { client } = await start({ getMachine: () => ({ name: 'x'.repeat(4_200_000) }) });
    expect(await failure(client.listVifs({ node: 'x'.repeat(4_200_000) }))).toMatchObject({
      status: Status.RESOURCE_EXHAUSTED,
      reason: 'MESSAGE_TOO_LARGE',
    });
    expect(await failure(client.getMachine({}))).toMatchObject({
      status: Status.RESOURCE_EXHAUSTED,
      reason: 'MESSAGE_TOO_LARGE',
    });
  });

  test('nobody there', async () => {
    const { client, server } = await start({});
    await server.stop();
    expect(await failure(client.getMachine({}))).toMatchObject({
      status: Status.UNAVAILABLE,
      reason: 'UNREACHABLE',
    });
    expect(await failure(client.ready(30))).toMatchObject({
      status: Status.UNAVAILABLE,
      reason: 'UNREACHABLE',
    });
  });
});

describe('request ids and the log', () => {
  test('the caller’s id is used if it is one', async () => {
    const ids: string[] = [];
    const { client } = await start({
      listVifs: (_, call) => {
        ids.push(call.requestId);
        return {};
      },
    });
    await client.listVifs({}, { requestId: 'abc-1' });
    await client.listVifs({}, { requestId: 'a b=c' });
    await client.listVifs({});
    expect(ids[0]).toBe('abc-1');
    expect(ids[1]).toMatch(/^[0-9a-f-]{36}$/);
    expect(ids[2]).toMatch(/^[0-9a-f-]{36}$/);
  });
});
