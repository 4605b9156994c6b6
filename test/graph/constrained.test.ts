/** Paths within bounds, and what is said where there is none, held against every path there is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  type ConstrainedOptions,
  constrainedPath,
  type Constraint,
  type Graph,
  GraphBuilder,
  type GraphError,
  larac,
  type Limit,
  type Path,
  shortestPath,
  widestPath,
} from '../../src/graph/index.js';
import {
  build,
  everyPath,
  flaw,
  graphs,
  grid,
  near,
  sequence,
  sum,
  topology,
  wholeWeights,
} from './support.js';

/** Figure 16.1 of Ahuja, Magnanti and Orlin, Network Flows, 1993: arcs with cost and time. */
function textbook(bound: number): { graph: Graph; time: Constraint } {
  const arcs = [
    [1, 2, 1, 10],
    [1, 3, 10, 3],
    [2, 4, 1, 1],
    [2, 5, 2, 3],
    [3, 2, 1, 2],
    [3, 4, 5, 7],
    [3, 5, 12, 3],
    [4, 5, 10, 1],
    [4, 6, 1, 7],
    [5, 6, 2, 2],
  ] as const;
  const builder = new GraphBuilder(6);
  for (const [tail, head, cost] of arcs) builder.addOneWay(tail - 1, head - 1, cost);
  const graph = builder.build();
  const values = graph.perArc(arcs.map(([, , , time]) => time));
  return { graph, time: { name: 'time', values, bound } };
}

/** A graph with a few constraints and bandwidths, all by edge. */
function requests(bounds: number): fc.Arbitrary<{ graph: Graph; options: ConstrainedOptions }> {
  return graphs(wholeWeights, { most: 6, edges: 12 }).chain((spec) => {
    const graph = build(spec);
    const values = fc
      .array(fc.integer({ min: 0, max: 5 }), { minLength: spec.edges.length, maxLength: spec.edges.length })
      .map((list) => graph.perArc(list));
    const constraint = fc.record({ values, bound: fc.integer({ min: 0, max: 9 }) });
    return fc
      .record({
        constraints: fc.array(constraint, { minLength: bounds, maxLength: bounds }),
        bandwidth: fc.option(fc.record({ capacity: values, demand: fc.integer({ min: 0, max: 4 }) })),
      })
      .map(({ constraints, bandwidth }) => ({
        graph,
        options: {
          constraints: constraints.map((one, i) => ({ name: `metric ${i}`, ...one })),
          ...(bandwidth && { bandwidth }),
        },
      }));
  });
}

function widthOf(arcs: readonly number[], capacity: Float64Array): number {
  return Math.min(Infinity, ...arcs.map((arc) => capacity[arc]!));
}

/** The arcs of every path that keeps all bounds but the named one. */
function fitting(graph: Graph, { constraints, bandwidth }: ConstrainedOptions, but?: string): number[][] {
  return everyPath(graph, 0, 1).filter((arcs) => {
    const wide = but === 'bandwidth' || !bandwidth || widthOf(arcs, bandwidth.capacity) >= bandwidth.demand;
    return wide && constraints.every(({ name, values, bound }) => name === but || sum(values, arcs) <= bound);
  });
}

describe('the cheapest path within bounds', () => {
  it('of the textbook costs 13 in time 13 where 14 are allowed', () => {
    const { graph, time } = textbook(14);
    expect(shortestPath(graph, 0, 5)?.weight).toBe(3);
    const answer = constrainedPath(graph, 0, 5, { constraints: [time] });
    expect(answer).toMatchObject({
      kind: 'optimal',
      path: { weight: 13, nodes: [0, 2, 1, 3, 5] },
      sums: [13],
    });
    const none = constrainedPath(graph, 0, 5, { constraints: [{ ...time, bound: 7 }] });
    expect(none).toMatchObject({
      kind: 'infeasible',
      limits: [{ name: 'time', wanted: 7, alone: 8, failsAlone: true, withOthers: 8, exact: true }],
    });
  });

  it.each([0, 1, 2, 3])('with %d constraints is the best of all paths, or says what would fit', (bounds) => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(requests(bounds), ({ graph, options }) => {
        const answer = constrainedPath(graph, 0, 1, options);
        kinds.add(answer.kind);
        const costs = fitting(graph, options).map((arcs) => sum(graph.weights, arcs));
        if (answer.kind === 'optimal') {
          const { path, sums } = answer;
          expect(flaw(graph, path, 0, 1)).toBe('');
          expect(path.weight).toBe(sum(graph.weights, path.arcs));
          expect(path.weight).toBe(Math.min(...costs));
          expect(sums).toEqual(options.constraints.map(({ values }) => sum(values, path.arcs)));
          expect(fitting(graph, options)).toContainEqual([...path.arcs]);
          return;
        }
        expect(costs).toEqual([]);
        const all = everyPath(graph, 0, 1);
        expect(answer.kind).toBe(all.length === 0 ? 'unreachable' : 'infeasible');
        if (answer.kind === 'infeasible') expectLimits(graph, options, answer.limits, all);
      }),
      { numRuns: 300 },
    );
    expect(kinds).toContain('optimal');
    expect(kinds).toContain('infeasible');
    expect(kinds).toContain('unreachable');
  });

  it.each([2, 3])('with %d bounds that some path just meets, for any work', (bounds) => {
    const seen = new Set<string>();
    const amount = fc.integer({ min: 0, max: 9 });
    const work = fc.constantFrom(1, 2, 4, 8, 16, 1000);
    fc.assert(
      fc.property(
        graphs(amount, { most: 7, edges: 16 }),
        fc.array(fc.array(amount, { minLength: 16, maxLength: 16 }), {
          minLength: bounds,
          maxLength: bounds,
        }),
        fc.nat(),
        work,
        (spec, lists, which, work) => {
          const graph = build(spec);
          const all = everyPath(graph, 0, 1);
          if (all.length === 0) return;
          const some = all[which % all.length]!;
          const constraints = lists.map((list, i) => {
            const values = graph.perArc(list.slice(0, graph.edgeCount));
            return { name: `metric ${i}`, values, bound: sum(values, some) };
          });
          const least = Math.min(...fitting(graph, { constraints }).map((arcs) => sum(graph.weights, arcs)));
          const answer = constrainedPath(graph, 0, 1, { constraints, work });
          seen.add(answer.kind);
          if (answer.kind === 'unknown') expect(answer.lowerBound).toBeLessThanOrEqual(least);
          else if (answer.kind === 'feasible') {
            expect(answer.lowerBound).toBeLessThanOrEqual(least);
            expect(fitting(graph, { constraints })).toContainEqual([...answer.path.arcs]);
          } else expect(answer).toMatchObject({ kind: 'optimal', path: { weight: least } });
          if (work === 1000) expect(answer.kind).toBe('optimal');
        },
      ),
      { numRuns: 1000, seed: bounds },
    );
    expect([...seen].sort()).toEqual(['feasible', 'optimal', 'unknown']);
  });

  function expectLimits(
    graph: Graph,
    options: ConstrainedOptions,
    limits: readonly Limit[],
    all: readonly (readonly number[])[],
  ): void {
    const { constraints, bandwidth } = options;
    expect(limits.map((limit) => limit.name)).toEqual([
      ...constraints.map((one) => one.name),
      ...(bandwidth ? ['bandwidth'] : []),
    ]);
    for (const limit of limits) {
      const values = constraints.find((one) => one.name === limit.name)?.values;
      const valueOf = (arcs: readonly number[]): number =>
        values ? sum(values, arcs) : widthOf(arcs, bandwidth!.capacity);
      const best = (paths: readonly (readonly number[])[]): number =>
        values ? Math.min(...paths.map(valueOf)) : Math.max(...paths.map(valueOf));
      expect(limit.alone).toBe(best(all));
      expect(limit.failsAlone).toBe(values ? limit.alone > limit.wanted : limit.alone < limit.wanted);
      expect(limit.exact).toBe(true);
      const others = fitting(graph, options, limit.name);
      expect(limit.withOthers).toBe(others.length === 0 ? undefined : best(others));
      if (limit.withOthers === undefined) continue;
      expect(flaw(graph, limit.path!, 0, 1)).toBe('');
      expect(others).toContainEqual([...limit.path!.arcs]);
      expect(valueOf(limit.path!.arcs)).toBe(limit.withOthers);
      expect(limit.path!.weight).toBe(sum(graph.weights, limit.path!.arcs));
    }
  }

  it('says so where the work does not suffice, and is never wrong about it', () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(requests(2), fc.integer({ min: 0, max: 3 }), ({ graph, options }, work) => {
        const answer = constrainedPath(graph, 0, 1, { ...options, work });
        kinds.add(answer.kind);
        const costs = fitting(graph, options).map((arcs) => sum(graph.weights, arcs));
        const least = Math.min(Infinity, ...costs);
        if (answer.kind === 'optimal') expect(answer.path.weight).toBe(least);
        if (answer.kind === 'infeasible' || answer.kind === 'unreachable') expect(least).toBe(Infinity);
        if (answer.kind === 'unknown' || answer.kind === 'feasible')
          expect(answer.lowerBound).toBeLessThanOrEqual(least + 1e-9);
        if (answer.kind === 'feasible') {
          expect(answer.path.weight).toBeGreaterThanOrEqual(least);
          expect(fitting(graph, options)).toContainEqual([...answer.path.arcs]);
        }
      }),
      { numRuns: 1500, seed: 11 },
    );
    expect([...kinds].sort()).toEqual(['feasible', 'infeasible', 'optimal', 'unknown', 'unreachable']);
  });

  it('meets a bound that only rounding exceeds', () => {
    const builder = new GraphBuilder(3);
    builder.addEdge(0, 2);
    builder.addEdge(2, 1);
    const graph = builder.build();
    const loss = { name: 'delay', values: graph.perArc([0.1, 0.2]), bound: 0.3 };
    expect(0.1 + 0.2).toBeGreaterThan(0.3);
    expect(constrainedPath(graph, 0, 1, { constraints: [loss] }).kind).toBe('optimal');
    expect(constrainedPath(graph, 0, 1, { constraints: [{ ...loss, bound: 0.3 - 1e-9 }] }).kind).toBe(
      'infeasible',
    );
  });

  it('takes availability as a sum of logarithms', () => {
    const builder = new GraphBuilder(4);
    for (const [a, b, price] of [
      [0, 2, 1],
      [2, 1, 1],
      [0, 3, 3],
      [3, 1, 3],
    ] as const)
      builder.addEdge(a, b, price);
    const graph = builder.build();
    const values = graph.perArc([0.999, 0.99, 0.9999, 0.9999].map((availability) => -Math.log(availability)));
    const within = (availability: number): ReturnType<typeof constrainedPath> =>
      constrainedPath(graph, 0, 1, {
        constraints: [{ name: 'availability', values, bound: -Math.log(availability) }],
      });
    expect(within(0.98)).toMatchObject({ kind: 'optimal', path: { weight: 2 } });
    expect(within(0.995)).toMatchObject({ kind: 'optimal', path: { weight: 6 } });
    const answer = within(0.99999);
    expect(answer.kind).toBe('infeasible');
    if (answer.kind === 'infeasible') expect(Math.exp(-answer.limits[0]!.alone)).toBeCloseTo(0.9999 ** 2, 12);
  });

  it('settles a 50-node network with three random metrics within the work allowed', () => {
    const { graph } = topology('gabriel-50-0');
    const next = sequence(23);
    const metric = (): Float64Array =>
      graph.perArc(Array.from({ length: graph.edgeCount }, () => 1 + next(1000)));
    const constraints = ['delay', 'loss', 'risk'].map((name) => {
      const values = metric();
      return { name, values, bound: Infinity };
    });
    let tight = 0;
    for (let target = 1; target < graph.nodeCount; target++) {
      const bounded = constraints.map((one) => ({
        ...one,
        bound: 1.6 * shortestPath(graph, 0, target, { weights: one.values })!.weight,
      }));
      const answer = constrainedPath(graph, 0, target, { constraints: bounded });
      expect(['optimal', 'infeasible']).toContain(answer.kind);
      if (answer.kind === 'infeasible') {
        for (const limit of answer.limits) {
          expect(limit.failsAlone).toBe(false);
          if (limit.withOthers !== undefined) expect(limit.withOthers).toBeGreaterThan(limit.wanted);
        }
      }
      const free = shortestPath(graph, 0, target)!;
      if (answer.kind !== 'optimal' || answer.path.weight > free.weight) tight++;
    }
    expect(tight).toBeGreaterThan(5);
  });
});

describe('LARAC', () => {
  it('has the Lagrangian bound of the textbook: 7', () => {
    const { graph, time } = textbook(14);
    const answer = larac(graph, 0, 5, time);
    expect(answer.kind).toBe('feasible');
    if (answer.kind !== 'feasible') return;
    expect(answer.lowerBound).toBeCloseTo(7, 9);
    expect(answer.sum).toBeLessThanOrEqual(14);
    expect(answer.path.weight).toBeGreaterThanOrEqual(13);
  });

  it('keeps the bound, and the cheapest path between its bound and its answer', () => {
    let gap = 0;
    fc.assert(
      fc.property(requests(1), ({ graph, options }) => {
        const constraint = options.constraints[0]!;
        const answer = larac(graph, 0, 1, constraint);
        const paths = fitting(graph, { constraints: [constraint] });
        if (answer.kind === 'infeasible') {
          expect(paths).toEqual([]);
          expect(answer.least).toBe(
            Math.min(Infinity, ...everyPath(graph, 0, 1).map((arcs) => sum(constraint.values, arcs))),
          );
          return;
        }
        const least = Math.min(...paths.map((arcs) => sum(graph.weights, arcs)));
        expect(flaw(graph, answer.path, 0, 1)).toBe('');
        expect(paths).toContainEqual([...answer.path.arcs]);
        expect(answer.sum).toBe(sum(constraint.values, answer.path.arcs));
        expect(answer.path.weight).toBeGreaterThanOrEqual(least);
        expect(answer.lowerBound).toBeLessThanOrEqual(least + 1e-9);
        if (answer.lowerBound < least - 1e-9) gap++;
      }),
      { numRuns: 800, seed: 3 },
    );
    expect(gap).toBeGreaterThan(0);
  });
});

describe('the widest path', () => {
  it('is the widest of all, and the lightest of those', () => {
    fc.assert(
      fc.property(requests(0), ({ graph, options }) => {
        const capacity =
          options.bandwidth?.capacity ?? graph.perArc(new Float64Array(graph.edgeCount).fill(2));
        const all = everyPath(graph, 0, 1);
        const found = widestPath(graph, 0, 1, capacity);
        if (all.length === 0) {
          expect(found).toBeUndefined();
          return;
        }
        const width = Math.max(...all.map((arcs) => widthOf(arcs, capacity)));
        const lightest = all.filter((arcs) => widthOf(arcs, capacity) === width);
        expect(found?.width).toBe(width);
        expect(found?.path.weight).toBe(Math.min(...lightest.map((arcs) => sum(graph.weights, arcs))));
        expect(lightest).toContainEqual([...found!.path.arcs]);
      }),
      { numRuns: 300 },
    );
  });

  it('of a node to itself is as wide as can be', () => {
    const graph = grid(2, 2);
    expect(widestPath(graph, 1, 1, graph.weights)).toEqual({
      width: Infinity,
      path: { nodes: [1], arcs: [], edges: [], weight: 0 },
    });
  });
});

describe('bandwidth and delay on GÉANT', () => {
  it('what would fit does fit, and nothing better does', () => {
    const { graph, lengths } = topology('topozoo-Geant2012');
    const delay = graph.perArc(lengths.map((km) => km / 200));
    const next = sequence(9);
    const capacity = graph.perArc(lengths.map(() => 10 * (1 + next(10))));
    const ask = (target: number, bound: number, demand: number): ReturnType<typeof constrainedPath> =>
      constrainedPath(graph, 0, target, {
        constraints: [{ name: 'delay', values: delay, bound }],
        bandwidth: { capacity, demand },
      });
    let asked = 0;
    for (let target = 1; target < graph.nodeCount; target++) {
      const bound = 1.2 * shortestPath(graph, 0, target, { weights: delay })!.weight;
      const answer = ask(target, bound, 60);
      if (answer.kind !== 'infeasible') continue;
      asked++;
      const [slower, narrower] = answer.limits as [Limit, Limit];
      if (slower.withOthers !== undefined) {
        expect(ask(target, slower.withOthers, 60).kind).toBe('optimal');
        expect(ask(target, slower.withOthers * (1 - 1e-6), 60).kind).toBe('infeasible');
      }
      expect(ask(target, bound, narrower.withOthers!).kind).toBe('optimal');
      expect(ask(target, bound, narrower.withOthers! + 0.1).kind).toBe('infeasible');
    }
    expect(asked).toBeGreaterThan(5);
  });
});

describe('what is refused', () => {
  const graph = grid(2, 2);
  const delay = { name: 'delay', values: graph.weights.slice(), bound: 1000 };
  it.each([
    ['NODE', 4, {}],
    ['BOUND', 3, { constraints: [{ ...delay, bound: -1 }] }],
    ['BOUND', 3, { constraints: [{ ...delay, bound: NaN }] }],
    ['BOUND', 3, { constraints: [delay, delay] }],
    ['BOUND', 3, { constraints: [{ ...delay, name: 'bandwidth' }] }],
    ['BOUND', 3, { bandwidth: { capacity: graph.weights, demand: NaN } }],
    ['LENGTH', 3, { constraints: [{ ...delay, values: new Float64Array(3) }] }],
    ['LENGTH', 3, { bandwidth: { capacity: new Float64Array(9), demand: 1 } }],
    ['WEIGHT', 3, { constraints: [{ ...delay, values: graph.weights.map(() => NaN) }] }],
    ['WEIGHT', 3, { constraints: [{ ...delay, values: graph.weights.map(() => -1) }] }],
    ['WEIGHT', 3, { weights: graph.weights.map(() => -1) }],
    ['WEIGHT', 3, { weights: new Float64Array(1) }],
    ['COUNT', 3, { work: -1 }],
  ] as const)('%s: to %d, %j', (code, target, options) => {
    expect(() => constrainedPath(graph, 0, target, { constraints: [delay], ...options })).toThrow(
      expect.objectContaining({ name: 'GraphError', code }) as GraphError,
    );
  });

  it('weights below zero by every search, before it goes round in them', () => {
    const weights = graph.weights.map(() => -1);
    const refusal = expect.objectContaining({ name: 'GraphError', code: 'WEIGHT' }) as GraphError;
    expect(() => shortestPath(graph, 0, 3, { weights })).toThrow(refusal);
    expect(() => larac(graph, 0, 3, delay, { weights })).toThrow(refusal);
    const path: Path = shortestPath(graph, 0, 3)!;
    expect(near(path.weight, sum(graph.weights, path.arcs))).toBe(true);
  });
});
