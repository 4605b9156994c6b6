/** What a stream's arrivals say: losses, doubles, order, delays, and the same by stretches of time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { csvOf, textOf } from '../../src/cli/stream.js';
import { type Arrival, reportOf, seriesOf, type Stream } from '../../src/world/arrivals.js';
import { distribution } from '../../src/world/distribution.js';

const MS = 1e6;
const INTERVAL_US = 2000;

/** Each came `delay` milliseconds after it was due. */
const arrivalsOf = (numbers: readonly number[], delay = 3): Arrival[] =>
  numbers.map((number) => {
    const sent = number * INTERVAL_US * 1000;
    return { number, sent, received: sent + delay * MS };
  });

const streamOf = (sent: number, numbers: readonly number[]): Stream => ({
  sent,
  intervalUs: INTERVAL_US,
  begin: 0,
  arrivals: arrivalsOf(numbers),
});

const upTo = (count: number): number[] => Array.from({ length: count }, (_, number) => number);
const without = (count: number, ...missing: readonly number[]): number[] =>
  upTo(count).filter((number) => !missing.includes(number));

describe('the report', () => {
  it('of what came whole', () => {
    expect(reportOf(streamOf(10, upTo(10)))).toEqual({
      sent: 10,
      received: 10,
      lost: 0,
      doubled: 0,
      reordered: 0,
      delayMs: { min: 3, median: 3, p95: 3, max: 3 },
      longestGapMs: 0,
      losses: [],
    });
  });

  it('of nothing that was sent', () => {
    const report = reportOf(streamOf(0, []));
    expect(report).toMatchObject({ sent: 0, received: 0, lost: 0, longestGapMs: 0, losses: [] });
    expect(report.delayMs).toBeUndefined();
  });

  it('of what was lost, every one', () => {
    const report = reportOf(streamOf(5, []));
    expect(report).toMatchObject({ received: 0, lost: 5, longestGapMs: 12 });
    expect(report.losses).toEqual([{ number: 0, length: 5, atMs: 0, gapMs: 12 }]);
    expect(report.delayMs).toBeUndefined();
  });

  it('of one that is missing: a viewer misses from the one before to the one after', () => {
    expect(reportOf(streamOf(10, without(10, 4))).losses).toEqual([
      { number: 4, length: 1, atMs: 8, gapMs: 4 },
    ]);
  });

  it('tells runs apart, at the beginning and at the end too', () => {
    const report = reportOf(streamOf(10, without(10, 0, 1, 4, 6, 7, 8, 9)));
    expect(report.losses.map(({ number, length }) => [number, length])).toEqual([
      [0, 2],
      [4, 1],
      [6, 4],
    ]);
    expect(report).toMatchObject({ received: 3, lost: 7, longestGapMs: 10 });
  });

  it('what comes twice is received once, whenever its second comes', () => {
    expect(reportOf(streamOf(4, [0, 0, 1, 2, 3, 1, 1]))).toMatchObject({
      received: 4,
      lost: 0,
      doubled: 3,
      reordered: 0,
    });
  });

  it('out of order is what has a smaller number than one before it (RFC 4737)', () => {
    expect(reportOf(streamOf(6, [0, 3, 1, 2, 5, 4]))).toMatchObject({
      received: 6,
      doubled: 0,
      reordered: 3,
    });
    expect(reportOf(streamOf(3, [2, 1, 0]))).toMatchObject({ received: 3, reordered: 2 });
  });

  it('a number that was never sent is no arrival', () => {
    expect(reportOf(streamOf(3, [0, 7, 1, 3, 2]))).toMatchObject({
      received: 3,
      lost: 0,
      doubled: 0,
      reordered: 0,
    });
  });

  it('nor is its delay one, nor that of what comes again', () => {
    const stream = streamOf(2, [0, 1]);
    const stray: Arrival = { number: 2, sent: 0, received: 900 * MS };
    const again: Arrival = { number: 0, sent: 0, received: 700 * MS };
    const arrivals = [...stream.arrivals, stray, again];
    expect(reportOf({ ...stream, arrivals }).delayMs?.max).toBe(3);
    expect(seriesOf({ ...stream, arrivals }, 100)[0]?.delayMs?.max).toBe(3);
  });

  it('numbers beyond 2^16 and 2^20 do not meet smaller ones', () => {
    const count = 1_100_000;
    const arrivals = upTo(count).flatMap((number) =>
      number === 65_536 || number === 1_048_576 ? [] : [{ number, sent: 0, received: 0 }],
    );
    const report = reportOf({ sent: count, intervalUs: 10, begin: 0, arrivals });
    expect(report).toMatchObject({ lost: 2, doubled: 0, reordered: 0 });
    expect(report.losses.map(({ number }) => number)).toEqual([65_536, 1_048_576]);
  });
});

describe('a distribution', () => {
  it('of nothing is none', () => {
    expect(distribution([])).toBeUndefined();
  });

  it('of one, and of a hundred in any order', () => {
    expect(distribution([7])).toEqual({ min: 7, median: 7, p95: 7, max: 7 });
    const hundred = upTo(100).map((i) => (i * 37) % 100);
    // the fiftieth and the ninety-fifth of them
    expect(distribution(hundred)).toEqual({ min: 0, median: 49, p95: 94, max: 99 });
  });

  it('sorts by value, not as text, and keeps negative ones', () => {
    expect(distribution([10, 9, -1])).toEqual({ min: -1, median: 9, p95: 10, max: 10 });
  });

  it('is in order and of its values', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const before = [...values];
        const { min, median, p95, max } = distribution(values) ?? { min: 1, median: 0, p95: 0, max: 0 };
        expect([min, median, p95, max].toSorted((a, b) => a - b)).toEqual([min, median, p95, max]);
        for (const value of [min, median, p95, max]) expect(values).toContain(value);
        expect([min, max]).toEqual([Math.min(...values), Math.max(...values)]);
        expect(values).toEqual(before);
      }),
    );
  });
});

/** Whatever may come of a stream: lost, doubled, shuffled, strays. */
const anyStream = fc
  .record({
    sent: fc.nat(300),
    intervalUs: fc.constantFrom(10, 333, 1000, 2000, 70_000, 10_000_000),
    numbers: fc.array(fc.nat(320), { maxLength: 600 }),
    delays: fc.array(fc.nat(1_000_000_000), { minLength: 1, maxLength: 20 }),
  })
  .map(({ sent, intervalUs, numbers, delays }): Stream => {
    const arrivals = numbers.map((number, i) => {
      const from = number * intervalUs * 1000;
      return { number, sent: from, received: from + (delays[i % delays.length] ?? 0) };
    });
    return { sent, intervalUs, begin: 0, arrivals };
  });

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

describe('the series', () => {
  it('is of whole stretches, the last one of what is left', () => {
    // 0, 2 … 48 ms
    const series = seriesOf(streamOf(25, without(25, 3, 12)), 20);
    expect(series.map(({ atMs, sent, received, lost }) => [atMs, sent, received, lost])).toEqual([
      [0, 10, 9, 1],
      [20, 10, 9, 1],
      [40, 5, 5, 0],
    ]);
  });

  it('has stretches in which nothing was due', () => {
    const series = seriesOf({ ...streamOf(2, []), intervalUs: 1_000_000 }, 400);
    expect(series.map(({ sent }) => sent)).toEqual([1, 0, 1, 0, 0]);
  });

  it('of nothing is empty', () => {
    expect(seriesOf(streamOf(0, []), 100)).toEqual([]);
  });

  it('has no delay where nothing came', () => {
    expect(seriesOf(streamOf(10, []), 10).map(({ delayMs }) => delayMs)).toEqual([undefined, undefined]);
  });

  it('sums up to the report', () => {
    fc.assert(
      fc.property(anyStream, fc.constantFrom(1, 7, 100, 5000), (stream, binMs) => {
        fc.pre((stream.sent * stream.intervalUs) / 1000 / binMs <= 2_000);
        const series = seriesOf(stream, binMs);
        const report = reportOf(stream);
        expect(sum(series.map(({ sent }) => sent))).toBe(report.sent);
        expect(sum(series.map(({ received }) => received))).toBe(report.received);
        expect(sum(series.map(({ lost }) => lost))).toBe(report.lost);
        expect(sum(report.losses.map(({ length }) => length))).toBe(report.lost);
        for (const { sent, received, lost, delayMs } of series) {
          expect(received + lost).toBe(sent);
          expect(delayMs === undefined).toBe(received === 0);
        }
      }),
    );
  });

  it('each arrival is received, doubled, or never sent', () => {
    fc.assert(
      fc.property(anyStream, (stream) => {
        const { received, doubled, reordered } = reportOf(stream);
        const strays = stream.arrivals.filter(({ number }) => number >= stream.sent).length;
        expect(received + doubled + strays).toBe(stream.arrivals.length);
        expect(reordered).toBeLessThanOrEqual(Math.max(0, received - 1));
      }),
    );
  });

  it('no two loss periods touch, and all lie within what was sent', () => {
    fc.assert(
      fc.property(anyStream, (stream) => {
        let free = 0;
        for (const { number, length, gapMs } of reportOf(stream).losses) {
          expect(number).toBeGreaterThanOrEqual(free);
          expect(length).toBeGreaterThan(0);
          expect(gapMs).toBeCloseTo(((length + 1) * stream.intervalUs) / 1000);
          free = number + length + 1;
        }
        expect(free).toBeLessThanOrEqual(stream.sent + 1);
      }),
    );
  });
});

describe('as it is printed', () => {
  const lineOf = (line: string): number[] =>
    line.split(',').map((word) => (word === '' ? NaN : Number(word)));

  it('CSV has the series, a line each, of as many columns as its head', () => {
    const series = seriesOf(streamOf(120, without(120, ...upTo(50))), 100);
    const [head = '', ...lines] = csvOf(series).split('\n');
    expect(head.split(',')).toHaveLength(8);
    expect(lines.map(lineOf)).toEqual([
      [0, 50, 0, 50, NaN, NaN, NaN, NaN],
      [0.1, 50, 50, 0, 3, 3, 3, 3],
      [0.2, 20, 20, 0, 3, 3, 3, 3],
    ]);
  });

  it('text tells the first twenty loss periods, and how many more', () => {
    const odd = upTo(60).filter((number) => number % 2 === 1);
    const lines = textOf(streamOf(60, odd)).split('\n');
    expect(lines[0]).toBe(
      '60 sent, one every 2.00 ms; 30 received, 30 lost (50.000 %), 0 doubled, 0 out of order',
    );
    expect(lines).toContain('longest gap: 4.00 ms; 30 loss periods:');
    expect(lines.filter((line) => line.startsWith('  at '))).toHaveLength(20);
    expect(lines.at(-1)).toBe('  and 10 more');
  });

  it('text of nothing has no numbers that are none', () => {
    expect(textOf(streamOf(0, []))).not.toMatch(/NaN|undefined/);
    expect(textOf(streamOf(3, []))).not.toMatch(/NaN|undefined/);
  });
});
