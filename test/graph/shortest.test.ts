/** Shortest paths, trees, next hops and their updates, held against every path there is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  DynamicTree,
  type Graph,
  GraphBuilder,
  nextHops,
  shortestPath,
  type ShortestPathTree,
  shortestPathTree,
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

/** Cormen, Leiserson, Rivest, Stein, Introduction to Algorithms, Figure 24.6: s t x y z. */
function clrs(): Graph {
  const builder = new GraphBuilder(5);
  for (const [from, to, weight] of [
    [0, 1, 10],
    [0, 3, 5],
    [1, 2, 1],
    [1, 3, 2],
    [2, 4, 4],
    [3, 1, 3],
    [3, 2, 9],
    [3, 4, 2],
    [4, 0, 7],
    [4, 2, 6],
  ] as const)
    builder.addOneWay(from, to, weight);
  return builder.build();
}

describe('a tree', () => {
  it('of the textbook has the textbook distances', () => {
    const tree = shortestPathTree(clrs(), 0);
    expect([...tree.distance]).toEqual([0, 8, 9, 5, 7]);
    expect(tree.path(2)?.nodes).toEqual([0, 3, 1, 2]);
    expect(shortestPath(clrs(), 0, 2)).toEqual(tree.path(2));
  });

  it('has the least weight of all paths, and the fewest hops among those', () => {
    fc.assert(
      fc.property(graphs(anyWeights), fc.boolean(), (spec, outward) => {
        const graph = build(spec);
        const tree = shortestPathTree(graph, 0, { direction: outward ? 'from' : 'to' });
        for (let node = 0; node < graph.nodeCount; node++) {
          const [source, target] = outward ? [0, node] : [node, 0];
          const all = everyPath(graph, source, target).map((arcs) => ({
            weight: sum(graph.weights, outward ? arcs : arcs.toReversed()),
            hops: arcs.length,
          }));
          const least = Math.min(Infinity, ...all.map((one) => one.weight));
          expect(tree.distance[node]).toBe(least);
          const path = tree.path(node);
          expect(path === undefined).toBe(least === Infinity);
          if (!path) continue;
          expect(flaw(graph, path, source, target)).toBe('');
          expect(path.arcs).toHaveLength(tree.hops[node]!);
          expect(path.weight).toBe(sum(graph.weights, path.arcs));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('breaks ties by hops and then by the lowest arc, whatever is of weight 0', () => {
    fc.assert(
      fc.property(graphs(wholeWeights), (spec) => {
        const graph = build(spec);
        const tree = shortestPathTree(graph, 0);
        for (let node = 1; node < graph.nodeCount; node++) {
          const all = everyPath(graph, 0, node);
          const lightest = all.filter((arcs) => sum(graph.weights, arcs) === tree.distance[node]);
          if (lightest.length === 0) continue;
          const hops = Math.min(...lightest.map((arcs) => arcs.length));
          expect(tree.hops[node]).toBe(hops);
          const last = lightest.filter((arcs) => arcs.length === hops).map((arcs) => arcs.at(-1)!);
          expect(tree.parent[node]).toBe(Math.min(...last));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('leaves out what a filter refuses, and takes other weights', () => {
    fc.assert(
      fc.property(graphs(anyWeights), fc.infiniteStream(fc.boolean()), (spec, coins) => {
        const graph = build(spec);
        const banned = Array.from(graph.edge.keys(), () => coins.next().value as boolean);
        const weights = graph.weights.map((weight, arc) => (banned[arc] ? Infinity : weight));
        const filtered = shortestPathTree(graph, 0, { usable: (arc) => !banned[arc] });
        const other = shortestPathTree(graph, 0, { weights });
        expect(filtered.distance).toEqual(other.distance);
        expect(filtered.parent).toEqual(other.parent);
      }),
    );
  });

  it('has the known ways of Abilene', () => {
    const { graph, names } = topology('topozoo-Abilene');
    const at = (name: string): number => names.indexOf(name);
    const path = shortestPath(graph, at('Seattle'), at('New York'));
    expect(path?.nodes.map((node) => names[node])).toEqual([
      'Seattle',
      'Denver',
      'Kansas City',
      'Indianapolis',
      'Chicago',
      'New York',
    ]);
  });
});

describe('next hops', () => {
  it('begin exactly the lightest paths', () => {
    fc.assert(
      fc.property(graphs(fc.integer({ min: 1, max: 3 })), (spec) => {
        const graph = build(spec);
        const tree = shortestPathTree(graph, 0, { direction: 'to' });
        for (let node = 1; node < graph.nodeCount; node++) {
          const all = everyPath(graph, node, 0);
          const lightest = all.filter((arcs) => sum(graph.weights, arcs) === tree.distance[node]);
          const first = new Set(lightest.map((arcs) => arcs[0]!));
          expect(nextHops(tree, node)).toEqual([...first].sort((a, b) => a - b));
        }
        expect(nextHops(tree, 0)).toEqual([]);
      }),
    );
  });

  it('never lead in a circle: with zero weights, fractions and a tolerance', () => {
    fc.assert(
      fc.property(graphs(anyWeights), fc.constantFrom(0, 0.01, 0.5, 10), (spec, tolerance) => {
        const graph = build(spec);
        const tree = shortestPathTree(graph, 0, { direction: 'to' });
        const done = new Set([0]);
        const walk = (node: number, above: ReadonlySet<number>): void => {
          expect(above.has(node)).toBe(false);
          if (done.has(node)) return;
          const hops = nextHops(tree, node, { tolerance });
          expect(hops.length > 0).toBe(tree.distance[node] !== Infinity);
          expect(hops).toContain(tree.distance[node] === Infinity ? hops[0] : tree.parent[node]);
          for (const arc of hops) walk(graph.head[arc]!, new Set([...above, node]));
          done.add(node);
        };
        for (let node = 0; node < graph.nodeCount; node++) {
          if (tree.distance[node] !== Infinity) walk(node, new Set());
        }
      }),
    );
  });

  it('take fractions for equal within a tolerance', () => {
    const builder = new GraphBuilder(4);
    builder.addOneWay(0, 1, 0.1);
    builder.addOneWay(1, 2, 0.2);
    builder.addOneWay(0, 3, 0.3);
    builder.addOneWay(3, 2, 0);
    const tree = shortestPathTree(builder.build(), 2, { direction: 'to' });
    expect(nextHops(tree, 0)).toHaveLength(1);
    expect(nextHops(tree, 0, { tolerance: 1e-9 })).toHaveLength(2);
    expect(nextHops(tree, 0, { tolerance: 1e-9, usable: (arc) => arc !== 0 })).toEqual([1]);
  });
});

function expectSame(tree: ShortestPathTree, other: ShortestPathTree): void {
  expect(tree.distance).toEqual(other.distance);
  expect(tree.hops).toEqual(other.hops);
  expect(tree.parent).toEqual(other.parent);
}

describe('a tree that follows changes', () => {
  it('is the tree computed anew, to the last bit, and names what changed', () => {
    const change = fc.tuple(fc.nat(), anyWeights);
    const rounds = fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 12 });
    fc.assert(
      fc.property(
        graphs(anyWeights, { most: 9, edges: 24 }),
        rounds,
        fc.boolean(),
        (spec, rounds, outward) => {
          const graph = build(spec);
          if (graph.arcCount === 0) return;
          const direction = outward ? 'from' : 'to';
          const dynamic = new DynamicTree(graph, 0, direction);
          let before = shortestPathTree(graph, 0, { direction });
          for (const changes of rounds) {
            const arcs = changes.map(([which]) => which % graph.arcCount);
            for (const [i, arc] of arcs.entries()) graph.setWeight(arc, changes[i]![1]);
            const { changed, touched } = dynamic.update(arcs);
            const anew = shortestPathTree(graph, 0, { direction });
            expectSame(dynamic.tree, anew);
            const differs = (node: number): boolean =>
              before.distance[node] !== anew.distance[node] ||
              before.hops[node] !== anew.hops[node] ||
              before.parent[node] !== anew.parent[node];
            expect(changed).toEqual([...anew.distance.keys()].filter(differs));
            expect(touched).toBeGreaterThanOrEqual(changed.length);
            before = anew;
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it('follows failures and repairs of a big grid, at the cost of what changes', () => {
    const graph = grid(60, 60);
    const dynamic = new DynamicTree(graph, 0);
    const next = sequence(7);
    let most = 0;
    for (let round = 0; round < 60; round++) {
      const edge = next(graph.edgeCount);
      const weight = graph.weights[graph.arcsOf(edge)[0]!]!;
      for (const now of [Infinity, weight]) {
        graph.setEdgeWeight(edge, now);
        const { changed, touched } = dynamic.update(graph.arcsOf(edge));
        // a changed node has at most 4 neighbours; the two heads are looked at in any case
        expect(touched).toBeLessThanOrEqual(2 + 5 * changed.length);
        most = Math.max(most, touched);
        expectSame(dynamic.tree, shortestPathTree(graph, 0));
      }
    }
    // some of the edges are in the tree
    expect(most).toBeGreaterThan(4);
  });

  it('touches two nodes when a far edge changes that no shortest path uses', () => {
    const graph = grid(100, 100);
    const dynamic = new DynamicTree(graph, 0);
    const unused = [...graph.edge.keys()].find(
      (arc) =>
        dynamic.tree.parent[graph.head[arc]!] !== arc &&
        dynamic.tree.parent[graph.tail[arc]!] !== graph.reverse[arc] &&
        graph.tail[arc]! > 5000,
    )!;
    const arcs = graph.arcsOf(graph.edge[unused]!);
    for (const arc of arcs) graph.setWeight(arc, Infinity);
    expect(dynamic.update(arcs)).toEqual({ changed: [], touched: 2 });
  });

  it('loses a part that is cut off and takes it back', () => {
    const graph = grid(1, 30);
    const dynamic = new DynamicTree(graph, 0);
    graph.setEdgeWeight(9, Infinity);
    expect(dynamic.update(graph.arcsOf(9)).changed).toHaveLength(20);
    expect(dynamic.path(29)).toBeUndefined();
    graph.setEdgeWeight(9, 1);
    expect(dynamic.update(graph.arcsOf(9)).changed).toHaveLength(20);
    expect(near(dynamic.path(29)!.weight, shortestPath(graph, 0, 29)!.weight)).toBe(true);
  });
});
