import { expect, test } from 'vitest';
import { distribution, lossOf } from '../../bench/distribution.js';
import { downsIn } from '../../bench/frr-log.js';
import { row, spreadRow } from '../../bench/report.js';

test('a distribution is of figures that were measured, in whatever order', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(distribution(values)).toEqual({ count: 100, min: 1, median: 50, p95: 95, max: 100 });
  expect(distribution([3, 1, 2])).toEqual({ count: 3, min: 1, median: 2, p95: 3, max: 3 });
  expect(distribution([-1])).toEqual({ count: 1, min: -1, median: -1, p95: -1, max: -1 });
});

test('of nothing there is none', () => {
  expect(() => distribution([])).toThrow('nothing was measured');
});

test('what is missing of a stream, what came twice, and the longest gap', () => {
  const copies = [1, 0, 0, 3, 0, 1, 1, 0, 0, 0, 2, 1];
  const seen = (number: number): number => copies[number] ?? 0;
  expect(lossOf(12, seen)).toEqual({ lost: 6, doubled: 3, longest: 3 });
  // what comes after the last one sent does not count, a gap at the end does
  expect(lossOf(10, seen)).toEqual({ lost: 6, doubled: 2, longest: 3 });
  expect(lossOf(0, seen)).toEqual({ lost: 0, doubled: 0, longest: 0 });
});

test('a row with its spread has the median as its value, and the ratio by that', () => {
  const fields = { bench: 'b', case: 'c', unit: 'ms', peer: 'other', peerValue: 30 };
  expect(spreadRow(fields, [9, 10.006, 12])).toEqual({
    ...fields,
    value: 10,
    ratio: 3,
    spread: { count: 3, min: 9, median: 10, p95: 12, max: 12 },
  });
  expect(row({ ...fields, unit: 'packets', value: 60 }).ratio).toBe(0.5);
});

test('the moments at which FRR says that a session is down', () => {
  const log = [
    '2026/11/30 18:10:01.000000 BFD: [SEY1D-NT8EQ] state-change: [mhop:no peer:192.0.2.1] init -> up',
    '2026/11/30 18:10:02.000123 BFD: [SEY1D-NT8EQ] state-change: [mhop:no peer:192.0.2.1] up -> down reason:control-expired',
    'state-change: up -> down, of which nobody knows when',
    '2026/11/30 18:10:03.5',
  ].join('\n');
  const at = BigInt(new Date(2026, 10, 30, 18, 10, 2).getTime()) * 1_000_000n + 123_000n;
  expect(downsIn(log)).toEqual([at]);
});
