/** Shortest ways by hop count, held against a search that tries every way. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Graph } from '../../src/world/graph.js';

function graphOf(nodes: readonly string[], edges: readonly (readonly [string, string])[]): Graph<number> {
  const graph = new Graph<number>();
  for (const node of nodes) graph.addNode(node);
  for (const [i, [a, b]] of edges.entries()) graph.addEdge(a, b, i);
  return graph;
}

describe('ways', () => {
  const square = graphOf(
    ['P', 'Q', 'M', 'A', 'alone'],
    [
      ['P', 'Q'],
      ['P', 'A'],
      ['Q', 'M'],
      ['A', 'M'],
    ],
  );

  it('keep all equal first hops, in the order of the edges', () => {
    expect(square.firstHops('P', 'M').map((arc) => arc.to)).toEqual(['Q', 'A']);
    expect(square.firstHops('M', 'P').map((arc) => arc.to)).toEqual(['Q', 'A']);
    expect(square.firstHops('P', 'P')).toEqual([]);
  });

  it('follow the first of them', () => {
    expect(square.way('P', 'M')?.map((arc) => `${arc.from}${arc.to}`)).toEqual(['PQ', 'QM']);
    expect(square.way('P', 'P')).toEqual([]);
    expect(square.way('P', 'alone')).toBeUndefined();
  });

  it('know every edge that a flow might take', () => {
    expect([...square.edgesBetween('P', 'M')].sort()).toEqual([0, 1, 2, 3]);
    expect([...square.edgesBetween('P', 'Q')]).toEqual([0]);
    expect(square.edgesBetween('P', 'alone').size).toBe(0);
  });

  it('are as long as the shortest of all ways', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const end = fc.constantFrom(...names);
    fc.assert(
      fc.property(fc.array(fc.tuple(end, end), { maxLength: 10 }), end, end, (pairs, from, to) => {
        const edges = pairs.filter(([a, b]) => a !== b);
        const graph = graphOf(names, edges);
        const search = (at: string, seen: readonly string[]): number =>
          at === to
            ? 0
            : Math.min(
                Infinity,
                ...edges
                  .flatMap(([a, b]) => (a === at ? [b] : b === at ? [a] : []))
                  .filter((next) => !seen.includes(next))
                  .map((next) => 1 + search(next, [...seen, next])),
              );
        const shortest = search(from, [from]);
        expect(graph.distancesTo(to).get(from) ?? Infinity).toBe(shortest);
        expect(graph.way(from, to)?.length ?? Infinity).toBe(shortest);
      }),
    );
  });
});
