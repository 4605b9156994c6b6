// When a path's measurement is due: the sender says so to the data plane, which writes all of it (bpf/measure.h).
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BfdState, ChannelFrame, Limit, MeasureMessage } from '../../gen/layout.js';
import { channelOf, gaps, type Packet } from './capture.js';
import { Stand } from './stand.js';

const { BFD_DOWN, BFD_UP } = BfdState;

let stand: Stand;
beforeEach(async () => {
  stand = await Stand.start();
});
afterEach(() => stand.stop());

async function measurements(id: number, count: number): Promise<Packet[]> {
  const from = stand.measurements.length;
  const found = (): Packet[] => stand.measurements.slice(from).filter((packet) => packet.id === id);
  await stand.until(`${count} measurements of session ${id}`, () => found().length >= count);
  return found().slice(0, count);
}

test('in a channel of its own, of the session’s discriminator, with room for the message and nothing in it', async () => {
  stand.makeUp(1, 50, { measureInterval: 20_000 });
  stand.end(2);
  stand.sender();
  for (const packet of await measurements(1, 3)) {
    expect(packet).toMatchObject({ id: 1, discriminator: 1001 });
    expect(channelOf(packet)).toBe(Limit.LIMIT_CHANNEL_MEASURE);
    expect(packet.frame.length).toBe(ChannelFrame.size + 4 + MeasureMessage.size);
  }
});

test('as often as asked for, jittered; BFD goes on as it did', async () => {
  stand.makeUp(1, 10, { measureInterval: 40_000 });
  stand.end(2);
  stand.sender();
  const from = stand.packets.length;
  const between = gaps(await measurements(1, 60), 40);
  expect(Math.min(...between)).toBeGreaterThanOrEqual(0.75);
  expect(new Set(between.map((gap) => gap.toFixed(3))).size).toBeGreaterThan(5);
  const packets = stand.packets.slice(from);
  expect(packets.length / 60).toBeGreaterThan(3);
  expect(packets.length / 60).toBeLessThan(5.3);
  expect(Math.min(...gaps(packets, 10))).toBeGreaterThanOrEqual(0.75);
});

test('never more often than a path can be asked for it, whatever the map says', async () => {
  stand.makeUp(1, 50, { measureInterval: 1 });
  stand.end(2);
  stand.sender();
  expect(Math.min(...gaps(await measurements(1, 50), 10))).toBeGreaterThanOrEqual(0.75);
});

test('only of what is up and measured, from the moment it is', async () => {
  stand.makeUp(1, 10, { measureInterval: 10_000 });
  stand.makeUp(2, 10);
  stand.makeUp(3, 10, { measureInterval: 10_000 });
  stand.move(3, BFD_DOWN);
  stand.end(4);
  stand.sender();
  await measurements(1, 30);
  expect(new Set(stand.measurements.map(({ id }) => id))).toEqual(new Set([1]));
  stand.move(3, BFD_UP);
  await measurements(3, 3);
  stand.session(2).set({ measureInterval: 10_000 });
  await measurements(2, 3);
  stand.session(1).set({ measureInterval: 0 });
  // what it had looked at before may still come
  await stand.caughtUp(2);
  await measurements(2, 5);
  const from = stand.measurements.length;
  await measurements(2, 20);
  expect(stand.measurements.slice(from).filter(({ id }) => id === 1)).toEqual([]);
});

test('of a hundred sessions, in batches', async () => {
  for (let id = 1; id <= 100; id++) stand.makeUp(id, 100, { measureInterval: 100_000 });
  stand.end(101);
  stand.sender();
  await stand.until('two of each', () => {
    const counts = new Map<number, number>();
    for (const { id } of stand.measurements) counts.set(id, (counts.get(id) ?? 0) + 1);
    return counts.size === 100 && [...counts.values()].every((count) => count >= 2);
  });
});
