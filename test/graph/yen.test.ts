/** The k shortest loopless paths, held against all of them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { GraphBuilder, kShortestPaths, pathsByWeight } from '../../src/graph/index.js';
import { anyWeights, build, everyPath, flaw, graphs, near, sum, topology, wholeWeights } from './support.js';

describe('the k shortest loopless paths', () => {
  it('of the known instance are 5, 7, 8', () => {
    // the example of Wikipedia's article on Yen's algorithm: C D E F G H
    const builder = new GraphBuilder(6);
    for (const [from, to, weight] of [
      [0, 1, 3],
      [0, 2, 2],
      [1, 3, 4],
      [2, 1, 1],
      [2, 3, 2],
      [2, 4, 3],
      [3, 4, 2],
      [3, 5, 1],
      [4, 5, 2],
    ] as const)
      builder.addOneWay(from, to, weight);
    const paths = kShortestPaths(builder.build(), 0, 5, 3);
    expect(paths.map((path) => path.weight)).toEqual([5, 7, 8]);
    expect(paths.slice(0, 2).map((path) => path.nodes)).toEqual([
      [0, 2, 3, 5],
      [0, 2, 4, 5],
    ]);
  });

  it('are all paths there are, once each, the lightest first', () => {
    fc.assert(
      fc.property(
        graphs(wholeWeights, { most: 6, edges: 11 }),
        fc.integer({ min: 1, max: 60 }),
        (spec, count) => {
          const graph = build(spec);
          const paths = kShortestPaths(graph, 0, 1, count);
          const all = everyPath(graph, 0, 1);
          const weights = all.map((arcs) => sum(graph.weights, arcs)).sort((a, b) => a - b);
          expect(paths.map((path) => path.weight)).toEqual(weights.slice(0, count));
          expect(paths.map((path) => flaw(graph, path, 0, 1)).join('')).toBe('');
          expect(new Set(paths.map((path) => path.arcs.join())).size).toBe(paths.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('come in order within rounding, whatever the weights, and only over what a filter lets through', () => {
    fc.assert(
      fc.property(graphs(anyWeights, { most: 6, edges: 11 }), fc.nat(), (spec, which) => {
        const graph = build(spec);
        const banned = spec.edges.length === 0 ? -1 : which % spec.edges.length;
        const usable = (arc: number): boolean => graph.edge[arc] !== banned;
        const paths = [...pathsByWeight(graph, 0, 1, { usable })];
        const all = everyPath(graph, 0, 1).filter((arcs) => arcs.every(usable));
        const weights = all.map((arcs) => sum(graph.weights, arcs)).sort((a, b) => a - b);
        expect(paths).toHaveLength(weights.length);
        for (const [i, path] of paths.entries()) expect(near(path.weight, weights[i]!)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('on GÉANT come in order, loopless and different', () => {
    const { graph } = topology('topozoo-Geant2012');
    const paths = kShortestPaths(graph, 0, 20, 200);
    expect(paths).toHaveLength(200);
    expect(paths.map((path) => flaw(graph, path, 0, 20)).join('')).toBe('');
    expect(new Set(paths.map((path) => path.arcs.join())).size).toBe(200);
    const weights = paths.map((path) => path.weight);
    expect(weights).toEqual(weights.toSorted((a, b) => a - b));
  });

  it('of a node to itself are the empty one; of none wanted, none', () => {
    const { graph } = topology('topozoo-Abilene');
    expect(kShortestPaths(graph, 3, 3, 5)).toEqual([{ nodes: [3], arcs: [], edges: [], weight: 0 }]);
    expect(kShortestPaths(graph, 3, 4, 0)).toEqual([]);
  });
});
