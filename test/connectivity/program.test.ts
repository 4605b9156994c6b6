/** Labels, stages and contents by themselves. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Contents } from '../../src/connectivity/program/contents.js';
import { type LabelledHop, type Way } from '../../src/connectivity/program/hops.js';
import { type Carried } from '../../src/connectivity/program/items.js';
import { LabelSpace } from '../../src/connectivity/program/labels.js';
import { NOTHING, nextStep, towards } from '../../src/connectivity/program/stages.js';
import { inForceOf } from './walk.js';

describe('labels', () => {
  test('are of the vif where they arrive, and never given while they are taken', () => {
    const numbers = [16, 16, 17, 16, 17, 18];
    const labels = new LabelSpace(() => numbers.shift() ?? 19);
    expect(labels.free('x', new Set())).toBe(16);
    labels.take('x', 16);
    expect(labels.free('x', new Set())).toBe(17);
    expect(labels.free('y', new Set([17]))).toBe(16);
    labels.take('x', 17);
    expect(labels.free('x', new Set())).toBe(18);
    labels.release('x', 16);
    expect(labels.has('x', 16)).toBe(false);
    expect(labels.has('x', 17)).toBe(true);
  });

  test('are between 16 and 1048575, and run out with a sentence', () => {
    const labels = new LabelSpace();
    for (let i = 0; i < 2000; i++) {
      const label = labels.free('x', new Set());
      expect(label).toBeGreaterThanOrEqual(16);
      expect(label).toBeLessThanOrEqual(1_048_575);
      labels.take('x', label);
    }
    const full = new LabelSpace(() => 16);
    full.take('x', 16);
    expect(() => full.free('x', new Set())).toThrow('x has no labels left.');
  });
});

/** Along nodes; `n` makes its labels its own. */
function way(nodes: readonly string[], n: number): Way {
  const hops = (list: readonly string[]): LabelledHop[] =>
    list.slice(1).map((to, i) => ({
      from: list[i] ?? '',
      out: `${list[i]}>${to}`,
      to,
      into: `${to}<${list[i]}`,
      label: 16 + n,
    }));
  return {
    path: nodes.slice(1).map((node, i) => `${nodes[i]}-${node}`),
    there: hops(nodes),
    back: hops(nodes.toReversed()),
    room: 1496,
  };
}

const nodeLists = fc
  .tuple(
    fc.constantFrom('a', 'a', 'a', 'x'),
    fc.subarray(['p', 'q', 'r']),
    fc.constantFrom('z', 'z', 'z', 'y'),
  )
  .map(([from, between, to]) => [from, ...between, to]);

describe('stages', () => {
  test('however wishes and acknowledgements come: no label is sent that is not understood, and all comes to rest', () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(nodeLists), { minLength: 1, maxLength: 6 }),
        fc.array(fc.constantFrom('a', 'x', 'p', 'q', 'r', 'y', 'z', 'wish'), { maxLength: 60 }),
        (wishes, events) => {
          const list = wishes.map((nodes, n) => (nodes ? way(nodes, n) : undefined));
          let wanted: Way | undefined;
          let carried: Carried = NOTHING;
          const machines = new Map<string, Carried>();
          let told = new Set<string>();
          const ahead = (): void => {
            const step = nextStep(carried);
            if (!step || ![...step.nodes].every((node) => told.has(node))) return;
            carried = step.after;
            told = new Set();
            ahead();
          };
          const acknowledge = (node: string): void => {
            machines.set(node, carried);
            told.add(node);
            // whatever is sent now, somebody understands
            expect(inForceOf(machines)).toEqual([]);
            ahead();
          };
          for (const event of events) {
            if (event === 'wish' && list.length > 0) {
              wanted = list.shift();
              carried = towards(carried, wanted);
              told = new Set();
              ahead();
            } else if (event !== 'wish') acknowledge(event);
          }
          for (let i = 0; i < 20 && nextStep(carried); i++)
            for (const node of ['a', 'x', 'p', 'q', 'r', 'y', 'z']) acknowledge(node);
          expect(carried).toEqual(wanted ? { active: wanted, old: [] } : { old: [] });
        },
      ),
      {
        numRuns: 2000,
        examples: [
          // gone and wished again at once: the far end still has the earlier vif
          [
            [['a', 'z'], null, ['a', 'z']],
            ['wish', 'z', 'wish', 'wish', 'a'],
          ],
          [
            [['a', 'p', 'z'], null, ['a', 'z']],
            ['wish', 'p', 'z', 'wish', 'wish', 'a'],
          ],
          // … an end moved away and back
          [
            [
              ['a', 'z'],
              ['a', 'y'],
              ['a', 'z'],
            ],
            ['wish', 'a', 'z', 'wish', 'wish', 'a'],
          ],
        ],
      },
    );
  });
});

describe('contents', () => {
  const vif = (name: string) => ({ vif: { name } });

  test('only nodes whose contents differ are named', () => {
    const contents = new Contents();
    expect(
      contents.set(
        'n',
        new Map([
          ['p', [vif('1')]],
          ['q', [vif('2')]],
        ]),
      ),
    ).toEqual(['p', 'q']);
    expect(contents.set('m', new Map([['p', [vif('3')]]]))).toEqual(['p']);
    expect(
      contents.set(
        'n',
        new Map([
          ['p', [vif('1')]],
          ['q', [vif('4')]],
        ]),
      ),
    ).toEqual(['q']);
    expect(contents.set('n', new Map([['q', [vif('4')]]]))).toEqual(['p']);
    expect(contents.of('p')).toEqual([vif('3')]);
    expect(contents.set('n', new Map())).toEqual(['q']);
    expect(contents.of('q')).toEqual([]);
  });
});
