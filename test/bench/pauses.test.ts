/* What native-tools/pauses says, and whether a moment falls into it. */
import { expect, test } from 'vitest';
import { meets, parsePauses } from '../../bench/pauses.js';

test('lines become pauses; anything else is an error', () => {
  expect(parsePauses('0 1000 3000\n1 500 900\n')).toEqual([
    { from: 1000, to: 3000 },
    { from: 500, to: 900 },
  ]);
  expect(parsePauses('')).toEqual([]);
  for (const text of ['0 1000', 'x', '0 2 1', '0 a b'])
    expect(() => parsePauses(text)).toThrow('not a pause');
});

test('a stretch of time meets a pause that it touches', () => {
  const pauses = [{ from: 100, to: 200 }];
  const seen = (
    [
      [0, 99],
      [0, 100],
      [120, 130],
      [200, 300],
      [201, 300],
    ] as const
  ).map(([from, to]) => meets(pauses, from, to));
  expect(seen).toEqual([false, true, true, true, false]);
});
