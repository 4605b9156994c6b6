/** Labels, stages and contents by themselves. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Contents } from '../../src/connectivity/program/contents.js';
import { type LabelledHop, type Way } from '../../src/connectivity/program/hops.js';
import { type Carried } from '../../src/connectivity/program/items.js';
import { LabelSpace } from '../../src/connectivity/program/labels.js';
import { NOTHING, nextSteps, towards } from '../../src/connectivity/program/stages.js';
import { samePath } from '../../src/connectivity/program/ways.js';
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

/** Ends, and one or two ways between them: an end of both moves, or none. */
const wishLists = fc
  .tuple(
    fc.constantFrom('a', 'a', 'a', 'x'),
    fc.uniqueArray(fc.subarray(['p', 'q', 'r']), {
      minLength: 1,
      maxLength: 2,
      selector: (list) => list.join(),
    }),
    fc.constantFrom('z', 'z', 'z', 'y'),
  )
  .map(([from, betweens, to]) => betweens.map((between) => [from, ...between, to]));

const MACHINES = ['a', 'x', 'p', 'q', 'r', 'y', 'z'];

describe('stages', () => {
  test('however wishes and acknowledgements come: no label is sent that is not understood, and all comes to rest', () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(wishLists), { minLength: 1, maxLength: 6 }),
        fc.array(fc.constantFrom(...MACHINES, 'wish', 'restart'), { maxLength: 60 }),
        (wishes, events) => {
          let n = 0;
          let wanted: readonly Way[] = [];
          let carried: Carried = NOTHING;
          const machines = new Map<string, Carried>();
          let told = new Set<string>();
          const ahead = (): void => {
            const step = nextSteps(carried).find(({ nodes }) => [...nodes].every((node) => told.has(node)));
            if (!step) return;
            // what is sent over goes on being sent over, or is replaced: never is there nothing
            if (carried.active.length > 0) expect(step.after.active.length).toBeGreaterThan(0);
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
          /** As the programmer does: what is there already is taken. */
          const wayOf = (nodes: readonly string[]): Way => {
            const { path } = way(nodes, 0);
            const [from, to] = [nodes[0], nodes.at(-1)];
            const known = [...carried.next, ...carried.active].find(
              (one) => samePath(one, path) && one.there[0]?.from === from && one.there.at(-1)?.to === to,
            );
            return known ?? way(nodes, ++n);
          };
          for (const event of events) {
            if (event === 'wish' && wishes.length > 0) {
              wanted = (wishes.shift() ?? []).map(wayOf);
              carried = towards(carried, wanted);
              told = new Set();
              ahead();
            } else if (event === 'restart') {
              carried = JSON.parse(JSON.stringify(carried)) as Carried;
              told = new Set();
            } else if (event !== 'wish') acknowledge(event);
          }
          for (let i = 0; i < 30 && nextSteps(carried).length > 0; i++)
            for (const node of MACHINES) acknowledge(node);
          expect(carried).toEqual({ active: wanted, next: [], old: [] });
        },
      ),
      {
        numRuns: 2000,
        examples: [
          // gone and wished again at once: the far end still has the earlier vif
          [
            [[['a', 'z']], null, [['a', 'z']]],
            ['wish', 'z', 'wish', 'wish', 'a'],
          ],
          [
            [[['a', 'p', 'z']], null, [['a', 'z']]],
            ['wish', 'p', 'z', 'wish', 'wish', 'a'],
          ],
          // … an end moved away and back
          [
            [[['a', 'z']], [['a', 'y']], [['a', 'z']]],
            ['wish', 'a', 'z', 'wish', 'wish', 'a'],
          ],
        ],
      },
    );
  });

  const [A, B, C] = [way(['a', 'z'], 1), way(['a', 'p', 'z'], 2), way(['a', 'q', 'z'], 3)];

  test('path and backup change places at once, with the labels that they have', () => {
    const now: Carried = { active: [A, B], next: [], old: [] };
    expect(towards(now, [B, A])).toEqual({ active: [B, A], next: [], old: [] });
    expect(nextSteps(towards(now, [B, A]))).toEqual([]);
  });

  test('a new backup takes the place of the lost path when its nodes know it, which until then stays behind the other', () => {
    const now = towards({ active: [A, B], next: [], old: [] }, [B, C]);
    expect(now).toEqual({ active: [B, A], next: [B, C], old: [] });
    const [made, ...others] = nextSteps(now);
    expect(others).toEqual([]);
    expect(made).toEqual({
      nodes: new Set(['a', 'q', 'z']),
      after: { active: [B, C], next: [], old: [A] },
      leaving: [],
    });
  });

  test('a way that is held up holds up no other', () => {
    const now = towards({ active: [A], next: [], old: [] }, [C, B]);
    const second = nextSteps(now).find(({ nodes }) => nodes.has('p'));
    expect(second?.after).toEqual({ active: [A, B], next: [C, B], old: [] });
    const first = nextSteps(now).find(({ nodes }) => nodes.has('q'));
    expect(first?.after).toEqual({ active: [C, A], next: [C, B], old: [] });
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
