// What packets say: RFC 5880 §4.1, §6.5, §6.8.1 and §6.8.3.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BfdState, Limit } from '../../gen/layout.js';
import { type Packet } from './capture.js';
import { PATIENCE, Stand } from './stand.js';

const { BFD_ADMIN_DOWN, BFD_DOWN, BFD_INIT, BFD_UP } = BfdState;

let stand: Stand;
beforeEach(async () => {
  stand = await Stand.start();
});
afterEach(() => stand.stop());

test('a packet, byte by byte', async () => {
  stand.hear(3, { discriminator: 0x01020304, minTx: 50_000, minRx: 50_000, multiplier: 3 });
  stand.make(3, 50, { discriminator: 0xa1b2c3d4, minRx: 60_000, multiplier: 5 }, BFD_UP);
  stand.end(4);
  stand.sender();
  const { frame } = await stand.packet('any', 0, () => true);
  expect(frame.length).toBe(52);
  expect(frame.subarray(0, 6).toString('hex')).toBe('020000000000');
  expect(frame.subarray(12, 16).toString('hex')).toBe('88b50000');
  // for the data plane, in the machine's own order of bytes
  expect(frame.readUInt32LE(16)).toBe(3);
  expect(frame.readUInt32LE(20)).toBe(0xa1b2c3d4);
  expect(frame.subarray(24).toString('hex')).toBe(
    // channel 7; version 1, no diagnostic; Up and P, as it can't know what was told; multiplier, length
    '10000007' + '20e00518' + 'a1b2c3d4' + '01020304' + '0000c350' + '0000ea60' + '00000000',
  );
});

test('state and diagnostic are those of the data plane', async () => {
  stand.makeUp(1, 20);
  stand.end(2);
  stand.sender();
  await stand.some(1, 1, 0);
  for (const [state, diagnostic] of [
    [BFD_DOWN, 1],
    [BFD_INIT, 1],
    [BFD_UP, 0],
    [BFD_DOWN, 3],
  ] as const) {
    const from = stand.packets.length;
    stand.move(1, state, diagnostic);
    await stand.packet('as it is', from, (p) => p.state === state && p.diagnostic === diagnostic);
  }
  // by the agent's wish as soon as the data plane has it, whatever the word's diagnostic
  stand.session(1).set({ flags: Limit.LIMIT_SESSION_ADMIN_DOWN });
  const from = stand.packets.length;
  stand.move(1, BFD_ADMIN_DOWN);
  await stand.packet('AdminDown', from, (p) => p.state === BFD_ADMIN_DOWN && p.diagnostic === 7);
});

test("the peer's discriminator: once it was heard, and for as long as it is", async () => {
  stand.make(1, 20, {}, BFD_DOWN);
  stand.end(2);
  stand.sender();
  const [nobody] = await stand.some(1, 1, 0);
  expect(nobody?.yours).toBe(0);
  let from = stand.packets.length;
  stand.hear(1, { discriminator: 77, minTx: 1_000_000, minRx: 10_000, multiplier: 100 });
  await stand.packet('to 77', from, (packet) => packet.yours === 77);
  // it begins anew
  from = stand.packets.length;
  stand.hear(1, { discriminator: 78 });
  await stand.packet('to 78', from, (packet) => packet.yours === 78);
  from = stand.packets.length;
  stand.move(1, BFD_UP);
  // silent for its detection time, and yet up, until the sweep says otherwise
  stand.heard(1).set({ minTx: 1, multiplier: 1 });
  expect((await stand.some(1, 20, from)).slice(2).every((packet) => packet.yours === 78)).toBe(true);
  from = stand.packets.length;
  stand.move(1, BFD_DOWN, 1);
  const down = await stand.packet('Down', from, (packet) => packet.state === BFD_DOWN);
  expect(down.yours).toBe(0);
});

describe('Poll Sequence', () => {
  const polls = async (from: number): Promise<Packet & { index: number }> =>
    stand.packet('P', from, (packet) => packet.poll);
  /** Answers until it asks no more; from which packet on. */
  const answered = async (id = 1): Promise<number> => {
    await polls(stand.packets.length);
    stand.hear(id, { finals: stand.heard(id).get('finals') + 1 });
    return (await stand.packet('no P', stand.packets.length, (packet) => !packet.poll)).index;
  };

  beforeEach(async () => {
    stand.makeUp(1, 20);
    stand.end(2);
    stand.sender();
    await answered();
  });

  test('it asks until it is answered, and never at once with F', async () => {
    stand.session(1).set({ minTx: 30_000 });
    const first = await polls(stand.packets.length);
    stand.hear(1, { polls: stand.heard(1).get('polls') + 1 });
    const later = await stand.some(1, 12, first.index);
    expect(later.filter((packet) => packet.poll).length).toBe(11);
    expect(later.filter((packet) => packet.final).length).toBe(1);
    expect(later.some((packet) => packet.poll && packet.final)).toBe(false);
    const from = await answered();
    expect((await stand.some(1, 10, from)).some((packet) => packet.poll)).toBe(false);
  });

  test('a longer interval is said at once, and used when the peer knows', async () => {
    stand.session(1).set({ minTx: 200_000 });
    const first = await polls(stand.packets.length);
    expect(first.minTx).toBe(200_000);
    expect(stand.sent(1).get('interval')).toBe(20_000);
    await stand.some(1, 5, first.index);
    expect(stand.sent(1).get('interval')).toBe(20_000);
    await answered();
    await stand.until('in use', () => stand.sent(1).get('interval') === 200_000);
  });

  test('a shorter one is used at once', async () => {
    stand.session(1).set({ minTx: 5_000 });
    stand.hear(1, { minRx: 5_000 });
    expect((await polls(stand.packets.length)).minTx).toBe(5_000);
    expect(stand.sent(1).get('interval')).toBe(5_000);
  });

  test('a shorter min_rx is in force for the sweep when the peer knows, a longer one at once', async () => {
    stand.session(1).set({ minRx: 10_000 });
    const first = await polls(stand.packets.length);
    expect(first.minRx).toBe(10_000);
    await stand.some(1, 5, first.index);
    expect(stand.sent(1).get('minRx')).toBe(20_000);
    await answered();
    await stand.until('in force', () => stand.sent(1).get('minRx') === 10_000);
    stand.session(1).set({ minRx: 90_000 });
    expect((await polls(stand.packets.length)).minRx).toBe(90_000);
    expect(stand.sent(1).get('minRx')).toBe(90_000);
  });

  test('what changes while it asks is asked afterwards', async () => {
    stand.session(1).set({ minTx: 30_000 });
    expect((await polls(stand.packets.length)).minTx).toBe(30_000);
    stand.session(1).set({ minTx: 40_000, minRx: 15_000 });
    const from = stand.packets.length;
    expect((await stand.some(1, 5, from)).every((packet) => packet.minTx === 30_000)).toBe(true);
    stand.hear(1, { finals: stand.heard(1).get('finals') + 1 });
    const second = await stand.packet('the next', from, (packet) => packet.poll && packet.minTx === 40_000);
    expect(second.minRx).toBe(15_000);
    expect(stand.sent(1).get('interval')).toBe(30_000);
    await answered();
    await stand.until('in use', () => stand.sent(1).get('interval') === 40_000);
  });

  test('down, nothing of that holds back; up again it asks', async () => {
    stand.session(1).set({ minTx: 200_000, minRx: 10_000 });
    await polls(stand.packets.length);
    let from = stand.packets.length;
    stand.move(1, BFD_DOWN, 1);
    await stand.packet('Down', from, (packet) => packet.state === BFD_DOWN);
    expect(stand.sent(1).get('interval')).toBe(1_000_000);
    expect(stand.sent(1).get('minRx')).toBe(10_000);
    from = stand.packets.length;
    stand.hear(1, {});
    stand.move(1, BFD_UP);
    const up = await stand.packet('Up', from, (packet) => packet.state === BFD_UP);
    expect(up).toMatchObject({ poll: true, minTx: 200_000, minRx: 10_000 });
  });
});

describe('answers', () => {
  test('each P is answered with F, beside the periodic packets', async () => {
    stand.makeUp(1, 200);
    stand.end(2);
    stand.sender();
    await stand.some(1, 1, 0);
    for (let polls = 1; polls <= 20; polls++) {
      const from = stand.packets.length;
      stand.hear(1, { polls });
      const final = await stand.packet('F', from, (packet) => packet.final);
      expect(final).toMatchObject({ poll: false, state: BFD_UP, yours: 2001 });
    }
    expect(stand.packets.filter((packet) => packet.final).length).toBe(20);
    const periodic = stand.packets.filter((packet) => !packet.final).map(({ at }) => at);
    for (const [i, at] of periodic.slice(1).entries())
      expect(at - (periodic[i] ?? 0n)).toBeGreaterThanOrEqual(150_000_000n);
  });

  test('also down', async () => {
    stand.make(1, 20, {}, BFD_DOWN);
    stand.end(2);
    stand.sender();
    await stand.some(1, 1, 0);
    const from = stand.packets.length;
    stand.hear(1, { discriminator: 9, minTx: 1_000_000, minRx: 1_000_000, multiplier: 3, polls: 1 });
    expect(await stand.packet('F', from, (packet) => packet.final)).toMatchObject({
      state: BFD_DOWN,
      yours: 9,
    });
  });

  test('a flood of P is answered once a millisecond', async () => {
    // fast enough that the maps are looked at each millisecond
    stand.makeUp(1, 4);
    stand.end(2);
    stand.sender();
    await stand.some(1, 1, 0);
    // the memory is the sender's too: what it has sent rises while this goes on
    const enough = stand.sent(1).get64('packets') + 400n;
    const patience = Date.now() + PATIENCE;
    for (let polls = 1; stand.sent(1).get64('packets') < enough && Date.now() < patience; polls++)
      stand.hear(1, { polls });
    await stand.caughtUp(1);
    const finals = stand.packets.filter((packet) => packet.final).map(({ at }) => at);
    expect(finals.length).toBeGreaterThan(50);
    for (const [i, at] of finals.slice(1).entries())
      expect(at - (finals[i] ?? 0n)).toBeGreaterThanOrEqual(1_000_000n);
  });
});
