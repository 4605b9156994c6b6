/* Pure: stretches of time, paths between two readings, sums of slots, percentiles, violations. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { decode, encode, type Slots } from '../../src/history/chunk.js';
import {
  bucketEnd,
  bucketStart,
  type Histogram,
  percentile,
  since as sinceThen,
} from '../../src/history/histogram.js';
import { PathHistory, type Reading } from '../../src/history/path.js';
import { MINUTE, NOTHING, plus, type Slot, total } from '../../src/history/slot.js';
import { best, type Condition, slice, type Span, worst } from '../../src/history/spans.js';
import { begin, end, goOn, MOST_VIOLATIONS, trim, type Violation } from '../../src/history/violations.js';
import { reading, T } from './support.js';

const CONDITIONS: readonly Condition[] = ['up', 'degraded', 'unknown', 'down'];
const condition = fc.constantFrom(...CONDITIONS);
/** Of the time 0 to 100, whole. */
const spans = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 30 }), condition), { maxLength: 8 })
  .map((parts): Span[] => {
    let at = 0;
    const made = parts.map(([length, is]): Span => ({ from: at, to: (at += length), is }));
    return slice(made, 0, 100);
  });
const at = (list: readonly Span[], time: number): Condition | undefined =>
  list.find(({ from, to }) => from <= time && time < to)?.is;

describe('stretches of time', () => {
  test('of several parts the worst, and the best, at every moment', () => {
    fc.assert(
      fc.property(fc.array(spans, { minLength: 1, maxLength: 4 }), (parts) => {
        const [bad, good] = [worst(parts), best(parts)];
        for (let time = 0; time < 100; time++) {
          const ranks = parts.map((part) => CONDITIONS.indexOf(at(part, time) ?? 'unknown'));
          expect(at(bad, time)).toBe(CONDITIONS[Math.max(...ranks)]);
          expect(at(good, time)).toBe(CONDITIONS[Math.min(...ranks)]);
        }
      }),
    );
  });

  test('what nobody has seen is unknown', () => {
    expect(slice([{ from: 10, to: 20, is: 'up' }], 0, 30)).toEqual([
      { from: 0, to: 10, is: 'unknown' },
      { from: 10, to: 20, is: 'up' },
      { from: 20, to: 30, is: 'unknown' },
    ]);
  });
});

/** After these readings, from the first to the last: `up 0-8000`, in milliseconds after T. */
function seen(...readings: readonly Reading[]): string[] {
  const path = new PathHistory();
  for (const one of readings) path.observe(one);
  const [first, last] = [readings[0]?.at ?? T, readings.at(-1)?.at ?? T];
  return path.timeline.slice(first, last).map(({ from, to, is }) => `${is} ${from - T}-${to - T}`);
}

describe('a path between two readings', () => {
  test('a failure that is over: down from the last sign of life until it was up', () => {
    expect(seen(reading(0), reading(10_000, { failures: 1, failed: 3000, since: 7000 }))).toEqual([
      'up 0-3000',
      'down 3000-7000',
      'up 7000-10000',
    ]);
  });

  test('a failure that goes on, and ends', () => {
    const failing = { failures: 1, failed: 3000, isUp: false, since: 3150 };
    const over = reading(30_000, { ...failing, isUp: true, since: 25_000 });
    expect(seen(reading(0), reading(10_000, failing), reading(20_000, failing), over)).toEqual([
      'up 0-3000',
      'down 3000-25000',
      'up 25000-30000',
    ]);
  });

  test('of several failures only the last is told: before it nothing is known', () => {
    expect(seen(reading(0), reading(10_000, { failures: 3, failed: 8000, since: 9000 }))).toEqual([
      'unknown 0-8000',
      'down 8000-9000',
      'up 9000-10000',
    ]);
  });

  test('another session: up as far as that one says, before it nothing is known', () => {
    expect(seen(reading(0), reading(10_000, { session: 8, since: 6000 }))).toEqual([
      'unknown 0-6000',
      'up 6000-10000',
    ]);
  });

  test('the machine has booted: its clock is earlier than it was', () => {
    expect(seen(reading(0), reading(10_000, { clock: 5, since: 9000 }))).toEqual([
      'unknown 0-9000',
      'up 9000-10000',
    ]);
  });

  test('our clock was set on by an hour: only what really passed is up', () => {
    expect(seen(reading(0), reading(3_610_000, { clock: 1e9 + 10_000 }))).toEqual([
      'unknown 0-3600000',
      'up 3600000-3610000',
    ]);
  });

  test('our clock was set back: what is known stays, and nothing counts twice', () => {
    const path = new PathHistory();
    for (const one of [reading(0), reading(10_000), reading(5000), reading(12_000)]) path.observe(one);
    expect(path.timeline.slice(T, T + 12_000)).toEqual([{ from: T, to: T + 12_000, is: 'up' }]);
  });

  test('nobody answers for a while: that is not known, also when all is well afterwards', () => {
    const path = new PathHistory();
    path.observe(reading(0));
    path.observe(reading(10_000));
    path.silence(T + 40_000);
    path.observe(reading(50_000));
    expect(path.timeline.slice(T, T + 50_000)).toEqual([
      { from: T, to: T + 10_000, is: 'up' },
      { from: T + 10_000, to: T + 40_000, is: 'unknown' },
      { from: T + 40_000, to: T + 50_000, is: 'up' },
    ]);
  });

  test('degraded from when that changed', () => {
    const measured = {
      ...{ received: { packets: 0, lost: 0 }, sent: { packets: 0, lost: 0 }, delays: [] },
      degradedSince: T + 4000,
    };
    const before = reading(0, { measured: { ...measured, isDegraded: false } });
    expect(seen(before, reading(10_000, { measured: { ...measured, isDegraded: true } }))).toEqual([
      'up 0-4000',
      'degraded 4000-10000',
    ]);
  });

  test('totals: what came since, also where they have begun anew', () => {
    const counts = (packets: number, lost: number, delays: readonly number[]) => ({
      ...{ received: { packets, lost }, sent: { packets: 0, lost: 0 }, delays },
      ...{ isDegraded: false, degradedSince: 0 },
    });
    const path = new PathHistory();
    path.observe(reading(0, { measured: counts(1000, 10, [5, 0]) }));
    path.observe(reading(1, { measured: counts(1500, 20, [7, 1]) }));
    expect(path.take()).toMatchObject({ received: { packets: 500, lost: 10 }, delays: { 0: 2, 1: 1 } });
    path.observe(reading(2, { measured: counts(30, 1, [1, 0]) }));
    expect(path.take()).toMatchObject({ received: { packets: 30, lost: 1 }, delays: { 0: 1 } });
    expect(path.take()).toMatchObject({ received: { packets: 0, lost: 0 }, delays: {} });
  });

  test('what a session counted before it is not counted as its own by another', () => {
    const measured = {
      ...{ received: { packets: 900, lost: 9 }, sent: { packets: 0, lost: 0 }, delays: [4] },
      ...{ isDegraded: false, degradedSince: 0 },
    };
    const path = new PathHistory();
    path.observe(reading(0, { measured }));
    path.observe(reading(10_000, { session: 8, since: 9000, measured }));
    expect(path.take().received).toEqual({ packets: 0, lost: 0 });
  });
});

const numbers = fc.nat({ max: 1e9 });
const slot: fc.Arbitrary<Slot> = fc.record({
  up: numbers,
  degraded: numbers,
  down: numbers,
  aToB: fc.record({ packets: numbers, lost: numbers }),
  bToA: fc.record({ packets: numbers, lost: numbers }),
  delays: fc.dictionary(
    fc.nat({ max: 100 }).map(String),
    fc.integer({ min: 1, max: 1e6 }),
  ) as fc.Arbitrary<Histogram>,
});

describe('slots', () => {
  test('a year of minutes, by hours and by days, comes to the same', () => {
    const minutes = Array.from({ length: 366 * 24 * 60 }, (_, i): Slot => {
      const down = i % 97 === 0 ? 250 : 0;
      return plus(NOTHING, { up: MINUTE - down, down, aToB: { packets: 10, lost: i % 3 === 0 ? 1 : 0 } });
    });
    const grouped = (slots: readonly Slot[], by: number): Slot[] =>
      Array.from({ length: slots.length / by }, (_, i) => total(slots.slice(by * i, by * (i + 1))));
    const days = grouped(grouped(minutes, 60), 24);
    expect(days.length).toBe(366);
    expect(total(days)).toEqual(total(minutes));
    expect(total(days).down).toBe(250 * Math.ceil((366 * 1440) / 97));
  });

  test('written down and read again they are the same; those that repeat take the room of one', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 60 }), slot), { maxLength: 20 }), (entries) => {
        const slots: Slots = new Map(entries.map(([minute, one]) => [T + minute * MINUTE, one]));
        const again = decode(encode(slots, MINUTE), MINUTE);
        expect([...again]).toEqual([...slots].toSorted(([a], [b]) => a - b));
      }),
    );
    const quiet = new Map(Array.from({ length: 60 }, (_, i) => [T + i * MINUTE, { ...NOTHING, up: MINUTE }]));
    expect(encode(quiet, MINUTE).length).toBeLessThan(60);
  });
});

describe('delays', () => {
  test('buckets meet, and none is wider than a quarter of where it begins', () => {
    for (let bucket = 0; bucket < 100; bucket++) {
      expect(bucketEnd(bucket)).toBe(bucketStart(bucket + 1));
      expect(bucketEnd(bucket)).toBeLessThanOrEqual(1.25 * bucketStart(bucket));
    }
    expect([0, 1, 4, 8].map(bucketStart)).toEqual([4, 5, 8, 16]);
  });

  test('a percentile is never below the true one, and at most a quarter above it', () => {
    const bucketOf = (us: number): number => {
      let bucket = 0;
      while (bucketEnd(bucket) <= us) bucket++;
      return bucket;
    };
    const delays = fc.array(fc.integer({ min: 4, max: 5_000_000 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(delays, fc.constantFrom(0.5, 0.95, 0.99, 1), (list, share) => {
        const histogram: Record<number, number> = {};
        for (const us of list) histogram[bucketOf(us)] = (histogram[bucketOf(us)] ?? 0) + 1;
        const exact = list.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(share * list.length)) - 1] ?? 0;
        const told = percentile(histogram, share);
        expect(told).toBeGreaterThan(exact);
        expect(told).toBeLessThanOrEqual(1.25 * exact);
      }),
    );
    expect(percentile({}, 0.5)).toBe(0);
  });

  test('counts that go back have begun anew', () => {
    expect(sinceThen([5, 5], [6, 5])).toEqual({ 0: 1 });
    expect(sinceThen([5, 5], [2, 6])).toEqual({ 0: 2, 1: 6 });
  });
});

describe('violations', () => {
  const what = 'availability' as const;
  const started = (start: number) => ({ what, start, promised: 0 });

  test('begin, go on, end; what begins again within a minute is the same one', () => {
    let list: readonly Violation[] = [];
    list = begin(list, started(1000));
    list = goOn(list, what, { lasted: 500 });
    list = end(list, what, 1500);
    list = begin(list, started(40_000));
    list = goOn(list, what, { lasted: 100 });
    list = end(list, what, 40_100);
    expect(list).toMatchObject([{ start: 1000, end: 40_100, lasted: 600, times: 2 }]);
    list = begin(list, started(200_000));
    expect(list).toHaveLength(2);
    // one of each kind at a time
    expect(begin(list, started(200_500))).toBe(list);
  });

  test('no more than so many, and none of more than a year ago', () => {
    let list: readonly Violation[] = [];
    for (let i = 0; i < MOST_VIOLATIONS + 50; i++)
      list = end(begin(list, started(i * 100_000)), what, i * 100_000 + 1);
    expect(list).toHaveLength(MOST_VIOLATIONS);
    expect(list[0]?.start).toBe(50 * 100_000);
    const year = 366 * 86_400_000;
    expect(trim(list, year + 100 * 100_000 + 1).at(0)?.start).toBe(101 * 100_000);
    const open = begin([], started(0));
    expect(trim(open, 2 * year)).toBe(open);
  });
});
