import fc from 'fast-check';
import { expect, test } from 'vitest';
import { spread, WAYS } from '../../src/node/ways.js';

const weights = fc.array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 12 });

test('every slot is filled, every one of the first eight ways has one, heavier ways have no fewer', () => {
  fc.assert(
    fc.property(weights, (list) => {
      const ways = list.map((weight, to) => ({ to, weight }));
      const slots = spread(ways);
      expect(slots).toHaveLength(WAYS);
      const kept = ways.slice(0, WAYS);
      const count = (to: number): number => slots.filter((slot) => slot === to).length;
      for (const way of kept) expect(count(way.to)).toBeGreaterThanOrEqual(1);
      for (const a of kept) {
        for (const b of kept)
          if (a.weight > b.weight) expect(count(a.to)).toBeGreaterThanOrEqual(count(b.to));
      }
    }),
  );
});

test('shares follow the weights', () => {
  const shares = (...list: number[]): number[] => {
    const slots = spread(list.map((weight, to) => ({ to, weight })));
    return list.map((_, to) => slots.filter((slot) => slot === to).length);
  };
  expect(shares(1)).toEqual([8]);
  expect(shares(1, 1)).toEqual([4, 4]);
  expect(shares(3, 1)).toEqual([6, 2]);
  expect(shares(255, 1)).toEqual([7, 1]);
  expect(spread([])).toEqual([]);
});
