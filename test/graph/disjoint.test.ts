/** Disjoint and maximally disjoint paths, held against all pairs and triples of paths. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  type DisjointPaths,
  disjointPaths,
  type Graph,
  GraphBuilder,
  type GraphError,
  kShortestPaths,
  type Path,
  pathBeside,
  type Penalties,
  type RiskGroups,
  sharedBy,
} from '../../src/graph/index.js';
import {
  anyWeights,
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

/** What a choice of paths costs, counted independently of src/graph. */
function costOf(
  graph: Graph,
  paths: readonly (readonly number[])[],
  penalties: Penalties,
  risks: RiskGroups,
): [penalty: number, weight: number] {
  const used = paths.flatMap((arcs) => [
    ...new Set([
      ...arcs.map((arc) => `edge ${graph.edge[arc]}`),
      ...arcs.slice(0, -1).map((arc) => `node ${graph.head[arc]}`),
      ...arcs.flatMap((arc) => (risks[graph.edge[arc]!] ?? []).map((group) => `group ${group}`)),
    ]),
  ]);
  let penalty = 0;
  for (const kind of ['edge', 'node', 'group'] as const) {
    const own = used.filter((name) => name.startsWith(kind));
    penalty += penalties[kind] * (own.length - new Set(own).size);
  }
  return [penalty, paths.reduce((total, arcs) => total + sum(graph.weights, arcs), 0)];
}

/** The least cost of any `count` paths, by trying all. */
function leastCost(
  graph: Graph,
  count: number,
  penalties: Penalties,
  risks: RiskGroups,
): [penalty: number, weight: number] | undefined {
  const all = everyPath(graph, 0, 1);
  let best: [number, number] | undefined;
  const choose = (from: number, chosen: readonly (readonly number[])[]): void => {
    if (chosen.length === count) {
      const cost = costOf(graph, chosen, penalties, risks);
      if (!best || cost[0] < best[0] || (cost[0] === best[0] && cost[1] < best[1])) best = cost;
      return;
    }
    for (let i = from; i < all.length; i++) choose(i, [...chosen, all[i]!]);
  };
  choose(0, []);
  return best;
}

/** What a path costs beside others: for each thing used by them, once. */
function costBeside(
  graph: Graph,
  others: readonly Path[],
  arcs: readonly number[],
  penalties: Penalties,
  risks: RiskGroups,
): [penalty: number, weight: number] {
  const edges = arcs.map((arc) => graph.edge[arc]!);
  const groupsOf = (own: readonly number[]): number[] => own.flatMap((edge) => risks[edge] ?? []);
  const both = (mine: readonly number[], theirs: readonly number[]): number =>
    [...new Set(mine)].filter((one) => theirs.includes(one)).length;
  const nodes = arcs.slice(0, -1).map((arc) => graph.head[arc]!);
  const theirEdges = others.flatMap((path) => path.edges);
  const theirNodes = others.flatMap((path) => path.nodes.slice(1, -1));
  const penalty =
    penalties.edge * both(edges, theirEdges) +
    penalties.node * both(nodes, theirNodes) +
    penalties.group * both(groupsOf(edges), groupsOf(theirEdges));
  return [penalty, sum(graph.weights, arcs)];
}

function expectSound(
  graph: Graph,
  found: DisjointPaths,
  penalties: Penalties,
  risks: RiskGroups,
  [source, target]: readonly [number, number] = [0, 1],
): void {
  expect(found.paths.map((path) => flaw(graph, path, source, target)).join('')).toBe('');
  const [penalty, weight] = costOf(
    graph,
    found.paths.map((path) => path.arcs),
    penalties,
    risks,
  );
  expect(found.penalty).toBe(penalty);
  expect(near(found.weight, weight)).toBe(true);
  const twice = (own: readonly number[]): number[] =>
    [...new Set(own.filter((one, i) => own.indexOf(one) !== i))].sort((a, b) => a - b);
  expect(found.shared).toEqual({
    edges: twice(found.paths.flatMap((path) => path.edges)),
    nodes: twice(found.paths.flatMap((path) => path.nodes.slice(1, -1))),
    groups: twice(
      found.paths.flatMap((path) => [...new Set(path.edges.flatMap((edge) => risks[edge] ?? []))]),
    ),
  });
  const weights = found.paths.map((path) => path.weight);
  expect(weights).toEqual(weights.toSorted((a, b) => a - b));
}

const EDGE = { edge: 1, node: 0, group: 1 };
const NODE = { edge: 1, node: 1, group: 1 };

describe('disjoint paths', () => {
  it('leave the shortest path where it is a trap', () => {
    // the shortest path 0-2-3-1 (3) leaves no second one; the pair 0-2-1, 0-3-1 weighs 10
    const builder = new GraphBuilder(4);
    for (const [a, b, weight] of [
      [0, 2, 1],
      [2, 3, 1],
      [3, 1, 1],
      [0, 3, 4],
      [2, 1, 4],
    ] as const)
      builder.addEdge(a, b, weight);
    const graph = builder.build();
    expect(kShortestPaths(graph, 0, 1, 1)[0]?.weight).toBe(3);
    for (const disjoint of ['edge', 'node'] as const) {
      const found = disjointPaths(graph, 0, 1, { disjoint });
      expect(found?.paths.map((path) => path.nodes)).toEqual([
        [0, 2, 1],
        [0, 3, 1],
      ]);
      expect([found?.weight, found?.penalty, found?.exact]).toEqual([10, 0, true]);
    }
  });

  it.each([
    ['edge', EDGE],
    ['node', NODE],
  ] as const)('two: %s-disjoint as far as that goes, then the lightest', (disjoint, penalties) => {
    fc.assert(
      fc.property(graphs(wholeWeights, { most: 6, edges: 11 }), (spec) => {
        const graph = build(spec);
        const found = disjointPaths(graph, 0, 1, { disjoint });
        const best = leastCost(graph, 2, penalties, []);
        expect(found && [found.penalty, found.weight]).toEqual(best);
        if (!found) return;
        expect(found.exact).toBe(true);
        expectSound(graph, found, penalties, []);
      }),
      { numRuns: 400 },
    );
  });

  it('of weight 0 in circles, over parallel edges', () => {
    fc.assert(
      fc.property(graphs(fc.constantFrom(0, 0, 1), { most: 5, edges: 12 }), (spec) => {
        const graph = build(spec);
        const found = disjointPaths(graph, 0, 1);
        expect(found && [found.penalty, found.weight]).toEqual(leastCost(graph, 2, EDGE, []));
        if (found) expectSound(graph, found, EDGE, []);
      }),
      { numRuns: 500 },
    );
  });

  it('change places where they meet in both directions, over an edge of weight 0 or two', () => {
    const links = [
      [0, 2, 1],
      [3, 1, 1],
      [0, 3, 5],
      [2, 1, 5],
    ] as const;
    const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 });
    fc.assert(
      fc.property(order, fc.boolean(), (order, oneWay) => {
        const builder = new GraphBuilder(4);
        for (const which of order) {
          const link = links[which];
          if (link) builder.addEdge(link[0], link[1], link[2]);
          else if (oneWay) builder.addOneWay(which - 2, 7 - which, 0);
          else if (which === 4) builder.addEdge(2, 3, 0);
        }
        const graph = builder.build();
        const found = disjointPaths(graph, 0, 1)!;
        expect([found.weight, found.penalty]).toEqual([12, 0]);
        expect(found.paths.map((path) => flaw(graph, path, 0, 1)).join('')).toBe('');
        if (!oneWay) expect(found.paths.map((path) => path.nodes.length)).toEqual([3, 3]);
      }),
      { numRuns: 400 },
    );
  });

  it('three, with any penalties and any weights', () => {
    const penalty = fc.integer({ min: 0, max: 3 });
    fc.assert(
      fc.property(graphs(anyWeights, { most: 5, edges: 8 }), penalty, penalty, (spec, edge, node) => {
        const graph = build(spec);
        const penalties = { edge, node, group: 0 };
        const found = disjointPaths(graph, 0, 1, { count: 3, penalties });
        const best = leastCost(graph, 3, penalties, []);
        expect(found?.penalty).toBe(best?.[0]);
        if (!found || !best) return;
        expect(near(found.weight, best[1])).toBe(true);
        expectSound(graph, found, penalties, []);
      }),
      { numRuns: 200 },
    );
  });

  it('on real topologies share nothing exactly where nothing cuts the two apart', () => {
    for (const name of ['topozoo-Abilene', 'topozoo-Geant2012', 'topozoo-Internode', 'gabriel-50-0']) {
      const { graph } = topology(name);
      for (let target = 1; target < graph.nodeCount; target++) {
        const found = disjointPaths(graph, 0, target)!;
        expectSound(graph, found, EDGE, [], [0, target]);
        // what both use is what no path avoids (Menger), edge by edge
        for (const edge of new Set(found.paths.flatMap((path) => path.edges))) {
          const usable = (arc: number): boolean => graph.edge[arc] !== edge;
          const cut = kShortestPaths(graph, 0, target, 1, { usable }).length === 0;
          expect(found.shared.edges.includes(edge)).toBe(cut);
        }
      }
    }
  });

  it('keep to a filter and to other weights', () => {
    const graph = grid(3, 3);
    const weights = graph.weights.map(() => 1);
    const found = disjointPaths(graph, 0, 8, { weights, usable: (arc) => graph.edge[arc] !== 0 })!;
    expect(found.paths.flatMap((path) => path.edges)).not.toContain(0);
    expect([found.weight, found.shared.edges]).toEqual([8, [1]]);
  });
});

describe('paths with shared-risk groups', () => {
  const risksOf = (edges: number): fc.Arbitrary<number[][]> =>
    fc.array(fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }), { maxLength: edges });

  it('two: proven on small graphs, and then the best of all pairs', () => {
    const price = fc.integer({ min: 0, max: 3 });
    const prices = fc.record({ edge: price, node: price, group: price });
    fc.assert(
      fc.property(
        graphs(wholeWeights, { most: 6, edges: 11 }),
        risksOf(11),
        prices,
        (spec, lists, penalties) => {
          const graph = build(spec);
          const risks = lists.slice(0, graph.edgeCount);
          const found = disjointPaths(graph, 0, 1, { risks, penalties });
          const best = leastCost(graph, 2, penalties, risks);
          expect(found && [found.penalty, found.weight]).toEqual(best);
          if (!found) return;
          expect(found.exact).toBe(true);
          expectSound(graph, found, penalties, risks);
        },
      ),
      { numRuns: 600 },
    );
  });

  it('two, where all edges are in one group besides others: the best of all pairs', () => {
    fc.assert(
      fc.property(
        graphs(fc.integer({ min: 1, max: 30 }), { most: 7, edges: 14 }),
        risksOf(14),
        (spec, lists) => {
          const graph = build(spec);
          const risks = spec.edges.map((_, edge) => [9, ...(lists[edge] ?? [])]);
          const penalties = { edge: 0, node: 0, group: 1 };
          const found = disjointPaths(graph, 0, 1, { risks, penalties });
          expect(found && [found.penalty, found.weight]).toEqual(leastCost(graph, 2, penalties, risks));
          if (found) expect(found.exact).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('two: what is proven with little work is so with much', () => {
    const graph = grid(5, 5);
    const next = sequence(17);
    let [both, not] = [0, 0];
    for (let round = 0; round < 20; round++) {
      const risks = Array.from({ length: graph.edgeCount }, () => [99, next(20), next(20)]);
      const much = disjointPaths(graph, 0, 24, { risks, work: 400 })!;
      for (const work of [1, 4, 8, 16, 32]) {
        const little = disjointPaths(graph, 0, 24, { risks, work })!;
        expectSound(graph, little, EDGE, risks, [0, 24]);
        if (!little.exact) not++;
        else {
          both++;
          expect([little.penalty, little.weight]).toEqual([much.penalty, much.weight]);
        }
      }
    }
    expect(not).toBeGreaterThan(0);
    expect(both).toBeGreaterThan(0);
  });

  it('one beside others: the best of all paths', () => {
    const price = fc.integer({ min: 0, max: 3 });
    const prices = fc.record({ edge: price, node: price, group: price });
    const few = fc.integer({ min: 1, max: 2 });
    let shares = 0;
    fc.assert(
      fc.property(
        graphs(wholeWeights, { most: 6, edges: 13 }),
        risksOf(13),
        prices,
        few,
        fc.nat(),
        (spec, lists, penalties, count, which) => {
          const graph = build(spec);
          const risks = lists.slice(0, graph.edgeCount);
          const paths = kShortestPaths(graph, 0, 1, 100);
          if (paths.length === 0) return;
          const others = Array.from({ length: count }, (_, i) => paths[(which + i) % paths.length]!);
          const found = pathBeside(graph, others, { risks, penalties });
          const costs = everyPath(graph, 0, 1).map((arcs) =>
            costBeside(graph, others, arcs, penalties, risks),
          );
          costs.sort(([a, x], [b, y]) => a - b || x - y);
          if (found === 'unknown' || found === undefined) throw new Error('a path is there');
          expect([found.penalty, found.path.weight]).toEqual(costs[0]);
          expect(flaw(graph, found.path, 0, 1)).toBe('');
          if (found.penalty > 0 && found.shared.groups.length > 0) shares++;
        },
      ),
      { numRuns: 1500 },
    );
    expect(shares).toBeGreaterThan(0);
  });

  it('one beside others: unknown where the work does not suffice', () => {
    const graph = grid(4, 4);
    const others = kShortestPaths(graph, 0, 15, 1);
    const risks = Array.from({ length: graph.edgeCount }, (_, edge) => [edge % 3]);
    expect(pathBeside(graph, others, { risks, work: 3 })).toBe('unknown');
    expect(pathBeside(graph, others, { risks })).toMatchObject({
      path: { weight: expect.any(Number) as number },
    });
    expect(pathBeside(graph, others, { usable: () => false })).toBeUndefined();
  });

  it('two, with little work: sound, and right wherever they say so', () => {
    let [proven, other] = [0, 0];
    fc.assert(
      fc.property(graphs(wholeWeights, { most: 6, edges: 11 }), risksOf(11), (spec, lists) => {
        const graph = build(spec);
        const risks = lists.slice(0, graph.edgeCount);
        const found = disjointPaths(graph, 0, 1, { risks, work: 2, disjoint: 'node' });
        if (!found) return;
        expectSound(graph, found, NODE, risks);
        const best = leastCost(graph, 2, NODE, risks)!;
        if (found.exact) {
          proven++;
          expect([found.penalty, found.weight]).toEqual(best);
        } else {
          other++;
          expect(found.penalty).toBeGreaterThanOrEqual(best[0]);
        }
      }),
      { numRuns: 600, seed: 5 },
    );
    expect(proven).toBeGreaterThan(0);
    expect(other).toBeGreaterThan(0);
  });

  it('two, with next to no work for the second paths: nothing is called proven that is not', () => {
    let proven = 0;
    fc.assert(
      fc.property(graphs(wholeWeights, { most: 7, edges: 12 }), risksOf(12), (spec, lists) => {
        const graph = build(spec);
        const risks = lists.slice(0, graph.edgeCount);
        const penalties = { edge: 1, node: 0, group: 3 };
        const found = disjointPaths(graph, 0, 1, { risks, penalties, work: 0 });
        if (!found) return;
        expectSound(graph, found, penalties, risks);
        if (!found.exact) return;
        proven++;
        expect([found.penalty, found.weight]).toEqual(leastCost(graph, 2, penalties, risks));
      }),
      { numRuns: 1000 },
    );
    expect(proven).toBeGreaterThan(0);
  });

  it('three: no worse than without regard to the groups, never better than the best', () => {
    fc.assert(
      fc.property(graphs(wholeWeights, { most: 5, edges: 8 }), risksOf(8), (spec, lists) => {
        const graph = build(spec);
        const risks = lists.slice(0, graph.edgeCount);
        const found = disjointPaths(graph, 0, 1, { risks, count: 3 });
        if (!found) return;
        expectSound(graph, found, EDGE, risks);
        const [penalty, weight] = leastCost(graph, 3, EDGE, risks)!;
        const regardless = disjointPaths(graph, 0, 1, { count: 3 })!;
        const arcs = regardless.paths.map((path) => path.arcs);
        expect(found.penalty).toBeGreaterThanOrEqual(penalty);
        expect(found.penalty).toBeLessThanOrEqual(costOf(graph, arcs, EDGE, risks)[0]);
        if (found.exact) expect([found.penalty, found.weight]).toEqual([penalty, weight]);
      }),
      { numRuns: 200 },
    );
  });

  it('take the way around a duct that both short ways lie in', () => {
    // 0-2-1 and 0-3-1 leave 0 through one duct; 0-4-1 is longer and apart
    const builder = new GraphBuilder(5);
    for (const [a, b, weight] of [
      [0, 2, 1],
      [2, 1, 1],
      [0, 3, 1],
      [3, 1, 1],
      [0, 4, 5],
      [4, 1, 5],
    ] as const)
      builder.addEdge(a, b, weight);
    const graph = builder.build();
    const risks = [[7], [], [7], [], [], []];
    expect(sharedBy(disjointPaths(graph, 0, 1)!.paths, risks).groups).toEqual([7]);
    const found = disjointPaths(graph, 0, 1, { risks })!;
    expect([found.weight, found.penalty, found.exact]).toEqual([12, 0, true]);
    graph.setEdgeWeight(4, Infinity);
    const worse = disjointPaths(graph, 0, 1, { risks })!;
    expect([worse.weight, worse.penalty, worse.exact]).toEqual([4, 1, true]);
    expect(worse.shared).toEqual({ edges: [], nodes: [], groups: [7] });
  });

  it('on GÉANT with ducts: sound, and rarely more than what nothing avoids', () => {
    const { graph } = topology('topozoo-Geant2012');
    const next = sequence(3);
    const risks = Array.from({ length: graph.edgeCount }, () => [next(30), 30 + next(30)]);
    let proven = 0;
    for (let target = 1; target < graph.nodeCount; target++) {
      const found = disjointPaths(graph, 0, target, { risks, disjoint: 'node', work: 60 })!;
      expectSound(graph, found, NODE, risks, [0, target]);
      const regardless = disjointPaths(graph, 0, target, { disjoint: 'node' })!;
      const arcs = regardless.paths.map((path) => path.arcs);
      expect(found.penalty).toBeLessThanOrEqual(costOf(graph, arcs, NODE, risks)[0]);
      if (found.exact) proven++;
    }
    expect(proven).toBeGreaterThan(graph.nodeCount / 3);
  });
});

describe('what is refused', () => {
  const graph = grid(2, 2);
  it.each([
    ['NODE', 0, 0, {}],
    ['NODE', 0, 4, {}],
    ['NODE', -1, 0, {}],
    ['COUNT', 0, 1, { count: 0 }],
    ['COUNT', 0, 1, { count: 1.5 }],
    ['COUNT', 0, 1, { work: NaN }],
    ['COUNT', 0, 1, { penalties: { edge: -1 } }],
    ['COUNT', 0, 1, { penalties: { group: 0.5 } }],
    ['GROUP', 0, 1, { risks: [[-1]] }],
    ['GROUP', 0, 1, { risks: [[0, NaN]] }],
    ['LENGTH', 0, 1, { risks: [[], [], [], [], []] }],
  ] as const)('%s: %d → %d, %j', (code, source, target, options) => {
    expect(() => disjointPaths(graph, source, target, options)).toThrow(
      expect.objectContaining({ name: 'GraphError', code }) as GraphError,
    );
  });

  it('paths to be protected that do not join the same two nodes', () => {
    const [path] = kShortestPaths(graph, 0, 1, 1);
    const refusal = expect.objectContaining({ name: 'GraphError', code: 'NODE' }) as GraphError;
    for (const others of [[], [path!, kShortestPaths(graph, 0, 2, 1)[0]!], kShortestPaths(graph, 1, 1, 1)])
      expect(() => pathBeside(graph, others)).toThrow(refusal);
  });

  it('nothing where there is merely no path', () => {
    expect(disjointPaths(new GraphBuilder(2).build(), 0, 1)).toBeUndefined();
  });
});
