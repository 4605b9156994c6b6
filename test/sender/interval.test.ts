// When packets are sent: RFC 5880 §6.8.2, §6.8.3 and §6.8.7. Never how long something took: only what may not be shorter,
// and counts beside each other.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BfdState, Limit } from '../../gen/layout.js';
import { gaps } from './capture.js';
import { Stand } from './stand.js';

const { BFD_ADMIN_DOWN, BFD_DOWN, BFD_INIT, BFD_UP } = BfdState;

let stand: Stand;
beforeEach(async () => {
  stand = await Stand.start();
});
afterEach(() => stand.stop());

/** None of `silent`, in all that came while `of` sent `count`. */
async function none(silent: number, of: number, count = 50): Promise<void> {
  await stand.caughtUp(of);
  const from = stand.packets.length;
  await stand.some(of, count, from);
  expect(stand.packets.slice(from).filter(({ id }) => id === silent)).toEqual([]);
}

describe('a session that is up', () => {
  test.each([2, 10, 30])('at %d ms: never earlier than three quarters of it, and jittered', async (ms) => {
    stand.makeUp(1, ms);
    stand.end(2);
    stand.sender();
    await stand.some(1, 2, 0);
    const between = [];
    // without jitter there would be none so short; on a busy machine there are few
    for (let jittered = 0; jittered < 20; jittered = between.filter((gap) => gap < 0.9).length) {
      between.push(...gaps(await stand.some(1, 50), ms));
      expect(Math.min(...between)).toBeGreaterThanOrEqual(0.75);
    }
    expect(new Set(between.map((gap) => gap.toFixed(3))).size).toBeGreaterThan(5);
  });

  test('with a multiplier of 1: a tenth earlier at least', async () => {
    stand.makeUp(1, 40, { multiplier: 1 });
    stand.end(2);
    stand.sender();
    await stand.some(1, 2, 0);
    let early = 0;
    // jittered by up to a quarter only six of ten would be; on a busy machine some are late whatever the sender does
    for (let round = 0; round < 5 && early <= 80; round++) {
      const between = gaps(await stand.some(1, 100), 40);
      expect(Math.min(...between)).toBeGreaterThanOrEqual(0.75);
      early = between.filter((gap) => gap < 0.92).length;
    }
    expect(early).toBeGreaterThan(80);
  });

  test('keeps to the slower of what it wants and what the peer wants', async () => {
    stand.makeUp(1, 10);
    stand.makeUp(2, 10);
    stand.hear(2, { minRx: 40_000 });
    stand.makeUp(3, 40);
    stand.hear(3, { minRx: 10_000 });
    stand.end(4);
    stand.sender();
    await stand.some(1, 1, 0);
    const from = stand.packets.length;
    const fast = await stand.some(1, 240, from);
    for (const id of [2, 3]) {
      const slow = stand.packets.slice(from).filter((packet) => packet.id === id);
      expect(Math.min(...gaps(slow, 40))).toBeGreaterThanOrEqual(0.75);
      expect(fast.length / slow.length).toBeGreaterThan(3);
      expect(fast.length / slow.length).toBeLessThan(5.3);
    }
    // and follows at once when the peer wants another
    stand.hear(2, { minRx: 10_000 });
    await stand.some(2, 20);
    const again = await stand.some(2, 100);
    expect(gaps(again, 40).filter((gap) => gap < 0.75).length).toBeGreaterThan(50);
  });

  test('sends nothing to a peer that wants nothing', async () => {
    stand.makeUp(1, 10);
    stand.makeUp(2, 10);
    stand.end(3);
    stand.sender();
    await stand.some(1, 3, 0);
    stand.hear(1, { minRx: 0 });
    await stand.until('silent', () => stand.sent(1).get('interval') === 0);
    await none(1, 2);
    // but an answer, and what state it is in
    let from = stand.packets.length;
    stand.hear(1, { polls: 1 });
    await stand.packet('F', from, (packet) => packet.id === 1 && packet.final);
    from = stand.packets.length;
    stand.move(1, BFD_DOWN, 3);
    await stand.packet('Down', from, (packet) => packet.id === 1 && packet.state === BFD_DOWN);
    stand.move(1, BFD_UP);
    await stand.some(1, 1);
    stand.hear(1, { minRx: 10_000 });
    await stand.some(1, 10);
  });

  test('goes on while others come and go', async () => {
    for (let id = 0; id < 200; id++) stand.makeUp(id, 20);
    stand.end(200);
    stand.sender();
    await stand.until('all have begun', () => new Set(stand.packets.map(({ id }) => id)).size === 200);
    for (let id = 1; id < 200; id += 2) stand.session(id).set({ discriminator: 0 });
    await stand.until('they have ended', () => {
      for (let id = 1; id < 200; id += 2) if (stand.sent(id).get64('packets') !== 0n) return false;
      return true;
    });
    await stand.caughtUp(0);
    const from = stand.packets.length;
    await stand.some(0, 50, from);
    const since = stand.packets.slice(from);
    expect(since.filter(({ id }) => id % 2 === 1)).toEqual([]);
    for (let id = 0; id < 200; id += 2) {
      const own = since.filter((packet) => packet.id === id);
      expect(own.length).toBeGreaterThan(30);
      expect(Math.min(...gaps(own, 20))).toBeGreaterThanOrEqual(0.75);
    }
  });
});

describe('a session that is not up', () => {
  test.each([
    ['Down', BFD_DOWN, {}],
    ['Init', BFD_INIT, {}],
    ['AdminDown', BFD_ADMIN_DOWN, { flags: Limit.LIMIT_SESSION_ADMIN_DOWN }],
  ] as const)('%s: at most one packet a second, and says so', async (_, state, flags) => {
    stand.hear(1, { discriminator: 7, minTx: 10_000, minRx: 10_000, multiplier: 255 });
    stand.make(1, 10, flags, state);
    stand.makeUp(2, 100);
    stand.end(3);
    stand.sender();
    const slow = await stand.some(1, 4, 0);
    expect(Math.min(...gaps(slow, 1000))).toBeGreaterThanOrEqual(0.75);
    expect(slow.map(({ minTx }) => minTx)).toEqual([1_000_000, 1_000_000, 1_000_000, 1_000_000]);
    expect(slow.every((packet) => packet.state === state)).toBe(true);
    // but it does send: three intervals of a second are about thirty of 100 ms
    expect(stand.packets.filter(({ id }) => id === 2).length).toBeLessThan(80);
  });

  test('speaks at once when its state changes, and fast when it is up', async () => {
    stand.make(1, 10, {}, BFD_DOWN);
    stand.makeUp(2, 20);
    stand.end(3);
    stand.sender();
    await stand.some(1, 1, 0);
    stand.hear(1, { discriminator: 7, minTx: 10_000, minRx: 10_000, multiplier: 3 });
    const begin = stand.packets.length;
    for (const state of [BFD_INIT, BFD_UP]) {
      const from = stand.packets.length;
      stand.move(1, state);
      const [first] = await stand.some(1, 1, from);
      expect(first?.state).toBe(state);
    }
    // all of that long before the slow interval was over
    expect(stand.packets.slice(begin).filter(({ id }) => id === 2).length).toBeLessThan(30);
    await stand.some(1, 60);
    const from = stand.packets.length;
    stand.move(1, BFD_DOWN, 1);
    const down = await stand.packet('Down', from, (packet) => packet.state === BFD_DOWN);
    expect(down).toMatchObject({ diagnostic: 1, minTx: 1_000_000 });
    const next = await stand.some(1, 2, down.index);
    expect(Math.min(...gaps(next, 1000))).toBeGreaterThanOrEqual(0.75);
  });

  test('says nothing before the sweep has begun with it', async () => {
    stand.make(1, 10);
    stand.makeUp(2, 10);
    stand.end(3);
    stand.sender();
    await stand.some(2, 1, 0);
    await none(1, 2, 100);
    const from = stand.packets.length;
    stand.move(1, BFD_DOWN);
    expect((await stand.some(1, 1, from))[0]).toMatchObject({ state: BFD_DOWN, diagnostic: 0 });
    // disabled, and enabled again
    stand.session(1).set({ flags: Limit.LIMIT_SESSION_ADMIN_DOWN });
    stand.move(1, BFD_ADMIN_DOWN, 7);
    await stand.packet('AdminDown', from, (packet) => packet.id === 1 && packet.state === BFD_ADMIN_DOWN);
    stand.session(1).set({ flags: 0 });
    await stand.until('silent', () => stand.sent(1).get('interval') === 0);
    await none(1, 2, 150);
  });

  test('has forgotten a peer that wanted nothing once it has been silent', async () => {
    stand.hear(1, { discriminator: 7, minTx: 1000, minRx: 0, multiplier: 3 });
    stand.make(1, 100, {}, BFD_DOWN);
    stand.end(2);
    stand.sender();
    const [first, second] = await stand.some(1, 2, 0);
    // the first says what state it is in; the second needs no peer
    expect(second).toMatchObject({ state: BFD_DOWN, yours: 0 });
    expect(first).toMatchObject({ state: BFD_DOWN });
  });
});
