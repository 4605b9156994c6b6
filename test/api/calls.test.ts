import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { connect } from '../../src/api/client.js';
import { type ApiError, failedPrecondition, invalidArgument, Status } from '../../src/api/errors.js';
import { type ApplyRequestDraft, NodeService, v1 } from '../../src/api/node.js';
import { type Call, type Handlers } from '../../src/api/server.js';
import { type Bench, failure, gate, type Service, startBench, temporaryFolder } from './support.js';

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

const NS = 2n ** 64n - 1n;

describe('unary', () => {
  test('carries a message there and back, 64-bit numbers whole', async () => {
    const { client } = await start({
      getMachine: () => ({
        name: 'P',
        agentStartTimeNs: NS,
        tables: [{ table: 'routes', used: 0n, capacity: 2n ** 53n + 1n, bytes: 5 }],
      }),
    });
    const machine = await client.getMachine({});
    expect(machine.agentStartTimeNs).toBe(NS);
    expect(machine.tables).toEqual([{ table: 'routes', used: 0n, capacity: 2n ** 53n + 1n, bytes: 5n }]);
    expect(machine.interfaces).toEqual([]);
    expect(machine.kernel).toBe('');
  });

  test('requests arrive complete, with defaults', async () => {
    const seen: unknown[] = [];
    const { client } = await start({
      listVifs: (request) => {
        seen.push(request);
        return {};
      },
    });
    expect(await client.listVifs({ node: 'vns/a/nodes/P' })).toEqual({ vifs: [], nextPageToken: '' });
    expect(seen).toEqual([{ pageSize: 0, pageToken: '', node: 'vns/a/nodes/P' }]);
  });

  test('many at once each get their own answer', async () => {
    const { client } = await start({ listVifs: async (request) => ({ nextPageToken: request.node }) });
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, i) => client.listVifs({ node: `n${i}` })),
    );
    expect(answers.map((answer) => answer.nextPageToken)).toEqual(
      Array.from({ length: 300 }, (_, i) => `n${i}`),
    );
  });

  test('a deadline ends it on both sides', async () => {
    const ended = gate<Call>();
    const { client } = await start({
      diagnose: async (_, call) => {
        await new Promise((done) => call.signal.addEventListener('abort', done));
        ended.open(call);
        return {};
      },
    });
    const error = await failure(client.diagnose({}, { deadlineMs: 50 }));
    expect(error).toMatchObject({
      name: 'ApiError',
      status: Status.DEADLINE_EXCEEDED,
      reason: 'DEADLINE_EXCEEDED',
      operation: 'Diagnose',
    });
    const call = await ended.promise;
    // the caller's clock began before ours: that it has given up may be here before our deadline
    const { status } = call.signal.reason as ApiError;
    expect([Status.DEADLINE_EXCEEDED, Status.CANCELLED]).toContain(status);
    expect(call.deadline).toBeInstanceOf(Date);
  });

  test('a cancelled call ends on both sides', async () => {
    const begun = gate();
    const ended = gate<unknown>();
    const { client } = await start({
      diagnose: async (_, call) => {
        begun.open();
        await new Promise((done) => call.signal.addEventListener('abort', done));
        ended.open(call.signal.reason);
        return {};
      },
    });
    const abort = new AbortController();
    const failed = failure(client.diagnose({}, { signal: abort.signal }));
    await begun.promise;
    abort.abort();
    expect(await failed).toMatchObject({
      status: Status.CANCELLED,
      reason: 'CANCELLED',
      operation: 'Diagnose',
    });
    expect(await ended.promise).toMatchObject({ status: Status.CANCELLED });
  });

  test('a signal already aborted lets nothing begin', async () => {
    const { client } = await start({ diagnose: () => ({}) });
    expect(await failure(client.diagnose({}, { signal: AbortSignal.abort() }))).toMatchObject({
      status: Status.CANCELLED,
    });
  });
});

describe('stream of requests', () => {
  const count = async (
    requests: AsyncIterable<{ message?: string | undefined }>,
  ): Promise<{ epoch: number; created: number }> => {
    let created = 0;
    for await (const request of requests) if (request.message === 'resources') created++;
    return { epoch: 7, created };
  };

  test('arrives in order and whole, under back-pressure', async () => {
    const order: bigint[] = [];
    const { client } = await start({
      apply: async (requests) => {
        for await (const request of requests) {
          if (request.message === 'begin') order.push(request.begin.epoch);
          await new Promise((done) => setImmediate(done));
        }
        return { created: order.length };
      },
    });
    let inFlight = 0;
    async function* requests(): AsyncGenerator<ApplyRequestDraft> {
      for (let i = 0; i < 200; i++) {
        inFlight = i;
        yield { begin: { owner: 'x'.repeat(60_000), epoch: i } };
      }
    }
    const answer = client.apply(requests());
    await new Promise((done) => setTimeout(done, 5));
    expect(inFlight).toBeLessThan(199); // 12 MB do not leave at once
    expect((await answer).created).toBe(200);
    expect(order).toEqual(Array.from({ length: 200 }, (_, i) => BigInt(i)));
  });

  test('may be an array', async () => {
    const { client } = await start({ apply: count });
    const batch = { resources: { resources: [] } };
    expect(
      await client.apply([{ begin: { owner: 'one', epoch: 1n } }, batch, batch, { commit: {} }]),
    ).toMatchObject({
      epoch: 7n,
      created: 2,
    });
  });

  test('an early error ends the sending', async () => {
    const { client } = await start({
      apply: async (requests) => {
        for await (const _ of requests)
          throw failedPrecondition({ reason: 'EPOCH_STALE', message: 'Too old.', field: 'begin.epoch' });
        return {};
      },
    });
    const returned = gate();
    async function* endless(): AsyncGenerator<ApplyRequestDraft> {
      try {
        for (;;) {
          yield { resources: { resources: [{ address: { vif: 'v', prefix: 'x'.repeat(1000) } }] } };
        }
      } finally {
        returned.open();
      }
    }
    expect(await failure(client.apply(endless()))).toMatchObject({
      status: Status.FAILED_PRECONDITION,
      reason: 'EPOCH_STALE',
      operation: 'Apply',
      field: 'begin.epoch',
    });
    await returned.promise;
  });

  test('an early answer is an answer', async () => {
    const { client } = await start({ apply: () => ({ epoch: 3n }) });
    async function* waits(): AsyncGenerator<ApplyRequestDraft> {
      yield { begin: {} };
      await new Promise(() => undefined);
    }
    expect((await client.apply(waits())).epoch).toBe(3n);
  });

  test('a source that fails cancels the call, and its error is the one told', async () => {
    const begun = gate();
    const ended = gate<unknown>();
    const { client } = await start({
      apply: async (requests, call) => {
        call.signal.addEventListener('abort', () => ended.open(call.signal.reason));
        begun.open();
        return count(requests).then(async (answer) => {
          await ended.promise;
          return answer;
        });
      },
    });
    async function* broken(): AsyncGenerator<ApplyRequestDraft> {
      yield { begin: {} };
      await begun.promise;
      throw new Error('the file ended');
    }
    expect(await failure(client.apply(broken()))).toMatchObject({ message: 'the file ended' });
    expect(await ended.promise).toMatchObject({ status: Status.CANCELLED });
  });

  test('a cancelled one may look ended at first, and then its signal is aborted', async () => {
    const ended = gate<unknown>();
    const begun = gate();
    const { client } = await start({
      apply: async (requests, call) => {
        call.signal.addEventListener('abort', () => ended.open(call.signal.reason));
        for await (const _ of requests) begun.open();
        await ended.promise;
        return {};
      },
    });
    const abort = new AbortController();
    async function* requests(): AsyncGenerator<ApplyRequestDraft> {
      yield { begin: {} };
      await new Promise(() => undefined);
    }
    const failed = failure(client.apply(requests(), { signal: abort.signal }));
    await begun.promise;
    abort.abort();
    expect(await failed).toMatchObject({ status: Status.CANCELLED });
    expect(await ended.promise).toMatchObject({ status: Status.CANCELLED });
  });

  test('a connection that breaks does not look ended', async () => {
    const ended = gate<unknown>();
    const begun = gate();
    await start({
      apply: async (requests) => {
        try {
          for await (const _ of requests) begun.open();
          ended.open('ended');
        } catch (error) {
          ended.open(error);
        }
        return {};
      },
    });
    const session = connectHttp2('http://localhost', {
      createConnection: () => connectSocket(bench!.socketPath),
    });
    session.on('error', () => undefined);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/cabernet.node.v1.NodeService/Apply',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    stream.write(Buffer.of(0, 0, 0, 0, 0));
    await begun.promise;
    session.destroy();
    expect(await ended.promise).toMatchObject({ status: Status.CANCELLED });
  });
});

describe('stream of answers', () => {
  test('arrives in order and ends', async () => {
    const { client } = await start({
      watch: async function* (request) {
        expect(request.includeCurrent).toBe(true);
        for (let i = 0; i < 1000; i++)
          yield { name: `${i}`, timeNs: BigInt(i), type: v1.EventType.EVENT_TYPE_CHANGED };
      },
    });
    const names: string[] = [];
    for await (const event of client.watch({ includeCurrent: true })) names.push(event.name);
    expect(names).toEqual(Array.from({ length: 1000 }, (_, i) => `${i}`));
  });

  test('an error after some answers comes after them', async () => {
    const { client } = await start({
      watch: async function* () {
        yield { name: 'a' };
        yield { name: 'b' };
        throw invalidArgument({ reason: 'ODD', message: 'No more.' });
      },
    });
    const names: string[] = [];
    const work = async (): Promise<void> => {
      for await (const event of client.watch({})) names.push(event.name);
    };
    expect(await failure(work())).toMatchObject({ reason: 'ODD', operation: 'Watch' });
    expect(names).toEqual(['a', 'b']);
  });

  test('leaving the loop ends the handler, also one that waits', async () => {
    const ended = gate<unknown>();
    const { client } = await start({
      watch: async function* (_, call) {
        try {
          yield { name: 'first' };
          await new Promise((_, reject) =>
            call.signal.addEventListener('abort', () => reject(call.signal.reason as Error)),
          );
        } finally {
          ended.open(call.signal.reason);
        }
      },
    });
    for await (const event of client.watch({})) {
      expect(event.name).toBe('first');
      break;
    }
    expect(await ended.promise).toMatchObject({ status: Status.CANCELLED });
  });

  test('a signal ends it', async () => {
    const { client } = await start({
      watch: async function* (_, call) {
        for (let i = 0; !call.signal.aborted; i++) {
          yield { name: `${i}` };
          await new Promise((done) => setImmediate(done));
        }
      },
    });
    const abort = new AbortController();
    const work = async (): Promise<void> => {
      for await (const event of client.watch({}, { signal: abort.signal }))
        if (event.name === '10') abort.abort();
    };
    expect(await failure(work())).toMatchObject({ status: Status.CANCELLED, operation: 'Watch' });
  });

  test('a slow reader holds the writer back', async () => {
    let sent = 0;
    const { client } = await start({
      capture: async function* () {
        for (; sent < 400; sent++) yield { packets: [{ frame: new Uint8Array(100_000) }] };
      },
    });
    let received = 0;
    for await (const { packets } of client.capture({ node: 'vns/a/nodes/P' })) {
      expect(packets[0]?.frame.length).toBe(100_000);
      if (++received === 1) await new Promise((done) => setTimeout(done, 100));
      // The windows of HTTP/2 and the queues of both ends hold some; the 40 MB not.
      if (received === 1) expect(sent).toBeLessThan(250);
    }
    expect(received).toBe(400);
  });

  test('a deadline ends it', async () => {
    const { client } = await start({
      watch: async function* (_, call) {
        await new Promise((done) => call.signal.addEventListener('abort', done));
        yield {};
      },
    });
    expect(await failure(client.watch({}, { deadlineMs: 40 }))).toMatchObject({
      status: Status.DEADLINE_EXCEEDED,
    });
  });
});

describe('closing the client', () => {
  const closed = { status: Status.CANCELLED, reason: 'CLIENT_CLOSED' };
  const aborted = (signal: AbortSignal): Promise<void> =>
    new Promise((done) => {
      if (signal.aborted) done();
      else signal.addEventListener('abort', () => done(), { once: true });
    });

  /** One of each kind, that would never end by itself. */
  const calls: Readonly<
    Record<string, (client: Bench['client']) => Promise<unknown> | AsyncIterable<unknown>>
  > = {
    diagnose: (client) => client.diagnose({}),
    watch: (client) => client.watch({}),
    apply: (client) =>
      client.apply(
        (async function* (): AsyncGenerator<ApplyRequestDraft> {
          yield { begin: { owner: 'one', epoch: 1n } };
          await new Promise(() => undefined);
        })(),
      ),
  };

  test.each(Object.entries(calls))('ends %s on both sides, and there are no others', async (_, ask) => {
    const begun = gate<Call>();
    const hang = async (call: Call): Promise<object> => {
      begun.open(call);
      await aborted(call.signal);
      return {};
    };
    const { client } = await start({
      diagnose: (__, call) => hang(call),
      watch: async function* (__, call) {
        yield { name: 'first' };
        await hang(call);
      },
      apply: (__, call) => hang(call),
    });
    const failed = failure(ask(client));
    const { signal } = await begun.promise;
    client.close();
    expect(await failed).toMatchObject(closed);
    await aborted(signal);
    expect(await failure(ask(client))).toMatchObject(closed);
  });

  test.each(Object.entries(calls))('ends %s that has reached nobody', async (_, ask) => {
    const folder = temporaryFolder();
    const client = connect(NodeService, { socketPath: join(folder.path, 'none.sock') });
    const failed = failure(ask(client));
    client.close();
    expect(await failed).toMatchObject(closed);
    folder.remove();
  });
});

describe('stopping', () => {
  test('lets calls finish, ends streams with a reason, refuses new ones', async () => {
    const finish = gate();
    const begun = gate();
    const { client, server } = await start({
      apply: async () => {
        begun.open();
        await finish.promise;
        return { epoch: 9n };
      },
      watch: async function* (_, call) {
        yield { name: 'first' };
        await new Promise((done) => call.signal.addEventListener('abort', done));
      },
    });
    const applied = client.apply([]);
    await begun.promise;
    const watched = gate();
    const names: string[] = [];
    const watching = failure(
      (async () => {
        for await (const event of client.watch({})) {
          names.push(event.name);
          watched.open();
        }
      })(),
    );
    await watched.promise;
    const stopped = server.stop();
    expect(await watching).toMatchObject({
      status: Status.UNAVAILABLE,
      reason: 'SHUTTING_DOWN',
      operation: 'Watch',
    });
    expect(await failure(client.getMachine({}))).toMatchObject({ status: Status.UNAVAILABLE });
    finish.open();
    expect((await applied).epoch).toBe(9n);
    await stopped;
    await server.stop(); // a second time
  });

  test('a handler that never ends is left after the grace', async () => {
    const begun = gate();
    const { client, server } = await start({
      diagnose: async () => {
        begun.open();
        return new Promise<never>(() => undefined);
      },
    });
    const failed = failure(client.diagnose({}));
    await begun.promise;
    await server.stop(20);
    expect([Status.UNAVAILABLE, Status.CANCELLED]).toContain(((await failed) as ApiError).status);
  });
});
