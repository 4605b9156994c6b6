/** The heaps, held against a sorted list. */
import fc from 'fast-check';
import { expect, it } from 'vitest';

import { IndexedHeap } from '../../src/graph/heap.js';
import { PriorityQueue } from '../../src/graph/queue.js';

const ITEMS = 30;

it('an indexed heap gives the least item, through changes of keys and removals', () => {
  const item = fc.integer({ min: 0, max: ITEMS - 1 });
  const key = fc.integer({ min: 0, max: 20 });
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.constant('put' as const), item, key, key) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('pop' as const)) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('remove' as const), item) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const [primary, secondary] = [new Float64Array(ITEMS), new Int32Array(ITEMS)];
      const heap = new IndexedHeap(primary, secondary);
      const held = new Set<number>();
      const least = (): number | undefined =>
        [...held].sort((a, b) => primary[a]! - primary[b]! || secondary[a]! - secondary[b]! || a - b)[0];
      for (const [what, ...rest] of steps) {
        const [item, first, second] = rest as number[];
        if (what === 'put') {
          primary[item!] = first!;
          secondary[item!] = second!;
          heap.put(item!);
          held.add(item!);
        } else if (what === 'remove') {
          heap.remove(item!);
          held.delete(item!);
        } else if (held.size > 0) {
          const expected = least()!;
          expect(heap.pop()).toBe(expected);
          held.delete(expected);
        }
        expect(heap.size).toBe(held.size);
      }
      for (let item = 0; item < ITEMS; item++) expect(heap.has(item)).toBe(held.has(item));
      while (held.size > 0) {
        const expected = least()!;
        expect(heap.top).toBe(expected);
        expect(heap.pop()).toBe(expected);
        held.delete(expected);
      }
    }),
    { numRuns: 300 },
  );
});

it('a queue gives what was put in, the least first', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 }), { nil: 'pop' as const })), (steps) => {
      const queue = new PriorityQueue<number>((a, b) => a - b);
      const held: number[] = [];
      for (const step of [...steps, ...steps.map(() => 'pop' as const)]) {
        if (step === 'pop') {
          held.sort((a, b) => a - b);
          expect(queue.pop()).toBe(held.shift());
        } else {
          queue.push(step);
          held.push(step);
        }
        expect(queue.size).toBe(held.length);
      }
    }),
  );
});
