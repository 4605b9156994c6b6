/*
 * Streams that are wrong as streams: out of order, cut off, too long, too many, never ended; bytes that are no messages.
 * Nothing changes for anybody else, and the agent goes on answering meanwhile.
 */
import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { ApiError, Status } from '../../src/api/errors.js';
import { type ApplyRequestDraft } from '../../src/api/node.js';
import { agentsOf } from '../../src/world/agents.js';
import { EVE, GAMES, Hostile, type Picture, refusal, request, type Resource } from './tenant.js';

const { FAILED_PRECONDITION, INVALID_ARGUMENT, RESOURCE_EXHAUSTED } = Status;

let hostile: Hostile;
let before: Picture;
let agent: number;

beforeAll(async () => {
  hostile = new Hostile();
  before = await hostile.picture();
  agent = agentsOf(hostile.world.name, 'P')[0]?.pid ?? 0;
}, 120_000);
afterEach(async () => {
  expect(await hostile.picture()).toEqual(before);
});
afterAll(() => {
  expect(hostile.reaches('iptv')).toBe(true);
  expect(hostile.reaches('games')).toBe(true);
  expect(agentsOf(hostile.world.name, 'P')[0]?.pid, 'the same agent').toBe(agent);
  hostile.close();
}, 60_000);

const VIF = `${GAMES}/vifs/to-M`;
const good: Resource = { address: { vif: VIF, prefix: '10.66.0.1/24' } };
const begin = request({ begin: { owner: EVE, epoch: 1_000_000 } });
const some = request({ resources: { resources: [good] } });
const commit = (resourceCount: number): Uint8Array => request({ commit: { resourceCount } });

describe('the order of a stream', () => {
  test.each<[string, string, string, Uint8Array[]]>([
    ['nothing', 'STREAM_TRUNCATED', 'commit', []],
    ['no begin', 'STREAM_ORDER', 'begin', [some, commit(1)]],
    ['only a commit', 'STREAM_ORDER', 'begin', [commit(0)]],
    ['two begins', 'STREAM_ORDER', 'begin', [begin, begin, commit(0)]],
    [
      'a second begin of another owner',
      'STREAM_ORDER',
      'begin',
      [begin, some, request({ begin: { owner: 'iptv', epoch: 9 } }), commit(1)],
    ],
    ['no commit', 'STREAM_TRUNCATED', 'commit', [begin, some]],
    ['two commits', 'STREAM_ORDER', 'commit', [begin, some, commit(1), commit(1)]],
    ['resources after the commit', 'STREAM_ORDER', 'commit', [begin, some, commit(1), some]],
    ['one too few', 'STREAM_TRUNCATED', 'commit.resource_count', [begin, commit(1)]],
    ['one too many', 'STREAM_TRUNCATED', 'commit.resource_count', [begin, some, commit(0)]],
    [
      'four thousand million',
      'STREAM_TRUNCATED',
      'commit.resource_count',
      [begin, some, commit(2 ** 32 - 1)],
    ],
    ['an empty message', 'STREAM_ORDER', 'message', [begin, Buffer.alloc(0), commit(0)]],
    [
      'a message of a later version',
      'STREAM_ORDER',
      'message',
      [begin, Buffer.of(0xba, 0x06, 0x00), commit(0)],
    ],
    ['no owner', 'OWNER_NAME', 'begin.owner', [request({ begin: { epoch: 9 } }), commit(0)]],
    [
      'an owner that is none',
      'OWNER_NAME',
      'begin.owner',
      [request({ begin: { owner: '../iptv', epoch: 9 } }), commit(0)],
    ],
    [
      'an owner of two megabytes',
      'OWNER_NAME',
      'begin.owner',
      [request({ begin: { owner: 'e'.repeat(2_000_000), epoch: 9 } })],
    ],
  ])('%s', async (_, reason, field, messages) => {
    expect(refusal(await hostile.call('Apply', ...messages))).toEqual({
      status: INVALID_ARGUMENT,
      reason,
      field,
    });
  });

  test('an epoch that goes backwards', async () => {
    const { owners } = await hostile.client.getMachine({});
    for (const { owner, epoch } of owners) {
      expect(refusal(await hostile.apply(owner, [], { epoch: Number(epoch) - 1 }))).toEqual({
        status: FAILED_PRECONDITION,
        reason: 'EPOCH_STALE',
        field: 'begin.epoch',
      });
    }
    expect(owners).toHaveLength(4);
  });

  test('bytes that are no messages', async () => {
    const malformed = { status: INVALID_ARGUMENT, reason: 'MESSAGE_MALFORMED' };
    const nest = (depth: number): Buffer => {
      let bytes: Buffer = Buffer.alloc(0);
      for (let i = 0; i < depth; i++) bytes = Buffer.concat([Buffer.of(0x0a), varint(bytes.length), bytes]);
      return bytes;
    };
    const wrong = [
      Buffer.of(0xff),
      Buffer.of(0x0a, 0x7f),
      Buffer.alloc(1000, 0xfb),
      Buffer.of(0x0a, 0x02, 0x0a, 0x09),
      nest(5000),
    ];
    for (const bytes of wrong) {
      expect(refusal(await hostile.call('Apply', begin, bytes, commit(0)))).toEqual(malformed);
    }
    expect(refusal(await hostile.call('Apply', begin, Buffer.alloc(5 * 1024 * 1024)))).toEqual({
      status: RESOURCE_EXHAUSTED,
      reason: 'RESOURCE_EXHAUSTED',
    });
  });

  test('noise on the socket', async () => {
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    for (let i = 0; i < 20; i++) {
      const noise = randomFillSync(Buffer.alloc(1 + i * 997));
      await new Promise<void>((done) => {
        const socket = connect(hostile.socket);
        socket.on('error', () => undefined);
        socket.on('close', () => done());
        socket.resume();
        socket.end(i % 2 === 0 ? noise : Buffer.concat([preface, noise]));
        socket.setTimeout(200, () => socket.destroy());
      });
    }
  });
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return Buffer.of(...bytes, value);
}

/** Nobody waits longer for an answer, on a machine that is busy with other things too; milliseconds. */
const LONGEST = 10_000;

/** The longest that the agent keeps somebody else waiting, milliseconds, while the work is going on. */
async function delayDuring<T>(work: Promise<T>): Promise<{ answer: T; longest: number }> {
  let ended = false;
  const end = (): void => void (ended = true);
  work.then(end, end);
  let longest = 0;
  while (!ended) {
    const begin = performance.now();
    await hostile.client.listTunnels({});
    longest = Math.max(longest, performance.now() - begin);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { answer: await work, longest };
}

describe('by the hundred thousand', () => {
  const many = (make: (i: number) => Resource): Resource[] =>
    Array.from({ length: 100_000 }, (_, i) => make(i));
  const host = (i: number): string => `11.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
  /** As far from each other as can be: each needs the most of the table. */
  const far = (i: number): string => {
    const mixed = Math.imul(i + 1, 0x9e3779b1) >>> 0;
    return `2001:${(mixed >>> 16).toString(16)}:${(mixed & 0xffff).toString(16)}:1:1:1:${i.toString(16).slice(-4)}:1`;
  };
  const nextHops = [{ vif: VIF, gateway: '10.255.0.3' }];

  test.each<[string, string, string, (i: number) => Resource]>([
    ['nodes', 'TABLE_FULL', 'nodes', (i) => ({ virtualNode: { name: `vns/e/nodes/n${i}`, tenant: EVE } })],
    [
      'tunnels',
      'TABLE_FULL',
      'tunnels',
      (i) => ({ tunnel: { name: `tunnels/e${i}`, localAddress: '10.9.9.1', remoteAddress: host(i) } }),
    ],
    [
      'labels',
      'TABLE_FULL',
      'paths',
      (i) => ({ label: { vif: VIF, label: 16 + i, swap: { vif: VIF, label: 16 + i } } }),
    ],
    [
      'addresses',
      'ADDRESS_COUNT',
      'resources[1024].address',
      (i) => ({ address: { vif: VIF, prefix: `${host(i + 1)}/8` } }),
    ],
    [
      'routes far from each other',
      'TABLE_FULL',
      'chunks',
      (i) => ({
        route: {
          node: GAMES,
          destination: `${far(i)}/128`,
          nextHops: [{ vif: VIF, gateway: 'fd00:0:0:ffff::3' }],
        },
      }),
    ],
  ])('%s', async (_, reason, field, make) => {
    const { answer, longest } = await delayDuring(hostile.apply(EVE, many(make)));
    expect(refusal(answer)).toEqual({ status: RESOURCE_EXHAUSTED, reason, field });
    expect(longest).toBeLessThan(LONGEST);
  });

  test('the same one', async () => {
    const answer = await hostile.apply(
      EVE,
      many(() => good),
    );
    expect(answer).toMatchObject({ reason: 'DUPLICATE', field: 'resources[1].address' });
  });

  test('what fits is checked without keeping anybody waiting', async () => {
    const routes = many((i) => ({ route: { node: GAMES, destination: `${host(i)}/32`, nextHops } }));
    const { answer, longest } = await delayDuring(hostile.apply(EVE, routes, { validateOnly: true }));
    expect(answer).toMatchObject({ created: 100_000 });
    expect(longest).toBeLessThan(LONGEST);
  });

  test('streams that are never ended', async () => {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const routes = many((i) => ({ route: { node: GAMES, destination: `${host(i)}/32`, nextHops } })).slice(
      0,
      5000,
    );
    async function* stall(epoch: number): AsyncGenerator<ApplyRequestDraft> {
      yield { begin: { owner: EVE, epoch } };
      yield { resources: { resources: routes } } as unknown as ApplyRequestDraft;
      await ended;
      throw new Error('gone');
    }
    const stalled = Array.from({ length: 20 }, (_, i) =>
      hostile.client.apply(stall(2_000_000 + i)).catch(String),
    );
    const { answer, longest } = await delayDuring(hostile.apply('mallory', []));
    expect(answer).toMatchObject({ created: 0 });
    expect(longest).toBeLessThan(LONGEST);
    end();
    for (const answer of await Promise.all(stalled)) expect(answer).toBe('Error: gone');
  });

  test('owners', async () => {
    const present = (await hostile.client.getMachine({})).owners.length;
    const requests = Array.from({ length: 1000 - present }, (_, i) => hostile.apply(`mallory-${i}`, []));
    for (const answer of await Promise.all(requests)) expect(answer).not.toBeInstanceOf(ApiError);
    expect(refusal(await hostile.apply('one-more', []))).toEqual({
      status: RESOURCE_EXHAUSTED,
      reason: 'TABLE_FULL',
      field: 'owners',
    });
    expect(await hostile.apply('mallory-0', [])).not.toBeInstanceOf(ApiError);
  });

  test('bounded memory', () => {
    const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${agent}/status`, 'utf8'))?.[1]);
    expect(rss / 1024).toBeLessThan(1500);
  });
});
