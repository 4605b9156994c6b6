/* Histories over a real store: what is written, what is left after a kill, what is told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type Reading } from '../../src/history/path.js';
import { Recorder } from '../../src/history/recorder.js';
import { DAY, HOUR, MINUTE } from '../../src/history/slot.js';
import { type Change, LIMITS, listAll } from '../../src/store/index.js';
import { SqliteStore } from '../../src/store/sqlite.js';
import { leased, reading, T } from './support.js';

let folder = '';
let store: SqliteStore;
let now = T;
let commits: (readonly Change[])[] = [];
let recorder: Recorder;
const LINK = leased('links/l');

async function open(): Promise<void> {
  store = await SqliteStore.open({ path: join(folder, 'state.db'), owner: 'test/history' });
  recorder = await Recorder.open({
    store,
    now: () => now,
    write: async (changes) => {
      commits.push(changes);
      await store.commit({ changes });
    },
    judge: (_, { what }) => ({
      cause: `${what} of the test`,
      fault: { layer: 'infrastructure', provider: 'one', lease: 'l', resources: [] },
    }),
  });
  recorder.watch([LINK]);
}

/** As kill -9: nothing more is written. */
async function killed(): Promise<void> {
  await store.close();
  await open();
}

/** Both ends say the same, at this time after T. */
function both(at: number, more: Partial<Reading> = {}): void {
  now = T + at;
  for (const end of LINK.needs.flat()) recorder.observe(end, reading(at, more), () => []);
  recorder.settle();
}

const report = (from: number, length = MINUTE) =>
  recorder.report(LINK.name, { from: T + from, to: now, length });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cabernet-history-'));
  [now, commits] = [T, []];
  await open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

describe('what is told', () => {
  test('up, down and up again, by the minute; and the violation with its times', async () => {
    both(0);
    both(60_000);
    both(120_000, { failures: 1, failed: 80_000, since: 100_000 });
    const told = await report(0);
    expect(told).toMatchObject({
      from: T,
      to: T + 120_000,
      whole: { up: 100_000, down: 20_000 },
      violations: [{ what: 'availability', start: T + 80_000, end: T + 100_000, lasted: 20_000, times: 1 }],
    });
    expect(told?.slots.map(({ start, slot }) => [start - T, slot.up, slot.down])).toEqual([
      [0, 60_000, 0],
      [60_000, 40_000, 20_000],
    ]);
    expect(told?.violations[0]).toMatchObject({ promised: 999_000, fault: { provider: 'one', lease: 'l' } });
  });

  test('one end is enough to be down, and both are needed to be known', async () => {
    const [a = '', b = ''] = LINK.needs.flat();
    both(0);
    now = T + 10_000;
    recorder.observe(a, reading(10_000, { failures: 1, failed: 4000, isUp: false, since: 4150 }), () => []);
    recorder.settle();
    expect((await report(0))?.whole).toMatchObject({ up: 0, down: 0 });
    recorder.observe(b, reading(10_000), () => []);
    recorder.settle();
    expect((await report(0))?.whole).toMatchObject({ up: 4000, down: 6000 });
    expect(recorder.violationsOf(LINK.name)).toMatchObject([{ start: T + 4000 }]);
  });

  test('of several ways one is enough', async () => {
    const link = leased('links/p', { needs: [['x', 'y']], a: ['x', 'y'], b: [] });
    recorder.watch([link]);
    const dead = { failures: 1, failed: 3000, isUp: false, since: 3100 };
    for (const [at, x, y] of [
      [0, {}, {}],
      [10_000, dead, {}],
      [20_000, dead, { failures: 1, failed: 15_000, since: 18_000 }],
    ] as const) {
      now = T + at;
      recorder.observe('x', reading(at, x), () => []);
      recorder.observe('y', reading(at, y), () => []);
      recorder.settle();
    }
    expect(await recorder.report(link.name, { from: T, to: now, length: MINUTE })).toMatchObject({
      whole: { up: 17_000, down: 3000 },
      violations: [{ start: T + 15_000, end: T + 18_000 }],
    });
  });

  test('what stands on other leases is as they are', async () => {
    const above = leased('vn/links/above', { needs: [['links/l']], a: [], b: [] });
    recorder.watch([LINK, above]);
    both(0);
    both(1000);
    both(11_000, { failures: 1, failed: 5000, since: 7000 });
    expect(
      (await recorder.report(above.name, { from: T, to: now, length: MINUTE }))?.violations,
    ).toMatchObject([{ start: T + 5000, end: T + 7000 }]);
  });

  test('loss, delay and variation, for as long as they are broken', () => {
    both(0);
    for (const [at, measured] of [
      [10_000, 500],
      [20_000, 900],
      [30_000, undefined],
    ] as const) {
      now = T + at;
      for (const end of LINK.needs.flat())
        recorder.observe(end, reading(at), () =>
          measured === undefined ? [] : [{ what: 'loss' as const, measured }],
        );
      recorder.settle();
    }
    expect(recorder.violationsOf(LINK.name)).toMatchObject([
      { what: 'loss', start: T, end: T + 20_000, lasted: 20_000, promised: 100, measured: 900 },
    ]);
  });

  test('packets and delays are of the direction that they were measured in', async () => {
    const [a = '', b = ''] = LINK.needs.flat();
    const direction = (packets: number, lost: number) => ({ packets, lost });
    const measured = (received: [number, number], sent: [number, number], delays: number[]) => ({
      ...{ received: direction(...received), sent: direction(...sent), delays },
      ...{ isDegraded: false, degradedSince: 0 },
    });
    for (const [at, atA, atB] of [
      [0, measured([0, 0], [0, 0], []), measured([0, 0], [0, 0], [])],
      [10_000, measured([100, 1], [0, 0], [0, 0, 4]), measured([200, 6], [0, 0], [0, 0, 0, 1])],
    ] as const) {
      now = T + at;
      recorder.observe(a, reading(at, { measured: atA }), () => []);
      recorder.observe(b, reading(at, { measured: atB }), () => []);
      recorder.settle();
    }
    expect((await report(0))?.whole).toMatchObject({
      aToB: { packets: 200, lost: 6 },
      bToA: { packets: 100, lost: 1 },
      delays: { 2: 4, 3: 1 },
    });
  });

  test('what was only just made and never was up is no violation; what stays so is', () => {
    const fresh = { isUp: false, since: -1000 };
    both(0, fresh);
    both(10_000, { ...fresh, isUp: true, since: 5000 });
    both(20_000, { since: 5000 });
    expect(recorder.violationsOf(LINK.name)).toEqual([]);
    const dead = leased('links/dead');
    recorder.watch([LINK, dead]);
    for (const at of [100_000, 110_000]) {
      now = T + at;
      for (const end of dead.needs.flat())
        recorder.observe(end, reading(at, { isUp: false, since: 30_000 }), () => []);
      recorder.settle();
    }
    expect(recorder.violationsOf(dead.name)).toMatchObject([{ what: 'availability', start: T + 100_000 }]);
  });

  test('a machine says nothing for long: that is not known, and no violation', async () => {
    both(0);
    both(10_000);
    now = T + 120_000;
    recorder.settle();
    both(130_000);
    const told = await report(0);
    // half a minute before the next word it is given up
    expect(told?.whole).toMatchObject({ up: 50_000, down: 0 });
    expect(told?.violations).toEqual([]);
  });

  test('a lease that is not in force any more: what it broke ends, and nothing is counted', async () => {
    both(0);
    both(10_000, { failures: 1, failed: 5000, isUp: false, since: 5100 });
    recorder.watch([]);
    both(60_000, { failures: 1, failed: 5000, isUp: false, since: 5100 });
    expect(recorder.violationsOf(LINK.name)).toMatchObject([{ start: T + 5000, end: T + 10_000 }]);
    expect((await report(0))?.whole).toMatchObject({ up: 5000, down: 5000 });
  });
});

describe('what is kept', () => {
  test('killed: what was written is there, the rest is unknown, and no gap is up', async () => {
    both(0);
    both(60_000, { failures: 1, failed: 20_000, since: 25_000 });
    await recorder.flush();
    both(90_000, { failures: 1, failed: 20_000, since: 25_000 });
    await killed();
    both(150_000, { failures: 1, failed: 20_000, since: 25_000 });
    both(160_000, { failures: 1, failed: 20_000, since: 25_000 });
    const told = await report(0);
    expect(told?.whole).toMatchObject({ up: 55_000 + 10_000, down: 5000 });
    expect(told?.violations).toMatchObject([{ start: T + 20_000, end: T + 25_000 }]);
  });

  test('killed while a violation goes on: it goes on, and ends', async () => {
    const down = { failures: 1, failed: 20_000, isUp: false, since: 20_100 };
    both(0);
    both(30_000, down);
    await recorder.flush();
    await killed();
    both(60_000, down);
    both(70_000, down);
    both(80_000, { ...down, isUp: true, since: 75_000 });
    expect(recorder.violationsOf(LINK.name)).toMatchObject([
      { start: T + 20_000, end: T + 75_000, lasted: 10_000 + 15_000, times: 1 },
    ]);
  });

  test('killed at any hour: hours and days come to what their minutes did', async () => {
    let [at, down] = [0, 0];
    both(0);
    for (let minute = 1; minute <= 60 * 30; minute++) {
      at = minute * MINUTE;
      // a second of each hour's first minute
      const failures = Math.ceil(minute / 60);
      const failed = (failures - 1) * HOUR + 10_000;
      both(at, { failures, failed, since: failed + 1000 });
      if (minute % 60 === 1) down += 1000;
      if (minute % 7 === 0) await recorder.flush();
      if (minute % 440 === 0) {
        await recorder.flush();
        await killed();
        both(at + 1, { failures, failed, since: failed + 1000 });
      }
    }
    const lost = 4; // milliseconds, between a kill and the first word after it
    for (const length of [HOUR, DAY]) {
      const told = await report(0, length);
      expect(told?.whole.down, `by ${length}`).toBe(down);
      expect(told?.whole.up, `by ${length}`).toBe(at - down - lost);
    }
    // minutes of more than a day ago are gone
    expect((await report(0, MINUTE))?.whole.up).toBeLessThan(26 * HOUR);
    const keys = (await listAll(store, 'history/')).map(({ key }) => key.split('|')[1]);
    expect(keys.filter((level) => level === 'm').length).toBeLessThanOrEqual(27);
    expect(keys.filter((level) => level === 'd').length).toBe(1);
  }, 60_000);

  test('however varied delays are, an entry is far from as large as the store takes', async () => {
    const delays = Array.from({ length: 120 }, (_, bucket) => 1e9 + bucket);
    const measured = (factor: number) => ({
      ...{
        received: { packets: 0, lost: 0 },
        sent: { packets: 0, lost: 0 },
        isDegraded: false,
        degradedSince: 0,
      },
      delays: delays.map((count) => count * factor),
    });
    for (let day = 0; day < 70; day++) {
      now = T + day * DAY;
      recorder.settle();
      both(day * DAY, { measured: measured((2 * day) ** 2) });
      both(day * DAY + MINUTE, { measured: measured((2 * day + 1) ** 2) });
      await recorder.flush();
    }
    const sizes = (await listAll(store, 'history/')).map(({ value }) => value.length);
    expect(Math.max(...sizes)).toBeGreaterThan(100_000);
    expect(Math.max(...sizes)).toBeLessThan(LIMITS.value / 2);
  }, 60_000);

  test('the same hour is closed once more after a kill in between: nothing counts twice', async () => {
    both(0);
    both(HOUR - 1000);
    await recorder.flush();
    both(HOUR + MINUTE);
    await recorder.flush();
    const before = await report(0, DAY);
    await killed();
    both(HOUR + 2 * MINUTE);
    await recorder.flush();
    await killed();
    expect((await report(0, DAY))?.whole).toEqual(before?.whole);
  });

  test('a lease of which nothing is new is not written', async () => {
    both(0);
    both(60_000);
    await recorder.flush();
    const written = commits.length;
    await recorder.flush();
    expect(commits.length).toBe(written);
    // a minute of a link that only is up: one entry
    both(120_000);
    await recorder.flush();
    expect(commits.slice(written).flat().length).toBe(1);
  });

  test('a store that refuses loses nothing', async () => {
    both(0);
    both(60_000);
    const { commit } = store;
    store.commit = () => Promise.reject(new Error('full'));
    await expect(recorder.flush()).rejects.toThrow('full');
    store.commit = commit;
    await recorder.flush();
    await killed();
    expect((await report(0))?.whole.up).toBe(60_000);
  });

  test('what is forgotten leaves nothing', async () => {
    both(0);
    both(60_000);
    await recorder.flush();
    await recorder.forget([LINK.name]);
    expect(await listAll(store, 'history/')).toEqual([]);
    expect(await report(0)).toBeUndefined();
  });

  test('after a year days are gone, and what is in the store does not grow', async () => {
    for (let day = 0; day < 400; day++) {
      // nothing was heard since the day before
      now = T + day * DAY;
      recorder.settle();
      both(day * DAY);
      both(day * DAY + MINUTE);
      await recorder.flush();
    }
    now = T + 400 * DAY;
    recorder.settle();
    await recorder.flush();
    const told = await recorder.report(LINK.name, { from: now - 366 * DAY, to: now, length: DAY });
    expect(told?.slots.length).toBeGreaterThanOrEqual(365);
    expect(told?.slots.length).toBeLessThanOrEqual(367);
    const levels = (await listAll(store, 'history/')).map(({ key }) => key.split('|')[1]);
    const days = levels.filter((level) => level === 'd').length;
    expect(days).toBeGreaterThanOrEqual(6);
    expect(days).toBeLessThanOrEqual(8);
    expect(levels.filter((level) => level === 'h').length).toBeLessThanOrEqual(34);
    expect(levels.filter((level) => level === 'm').length).toBeLessThanOrEqual(27);
  }, 60_000);
});
