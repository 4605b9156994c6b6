/** The compressed form, its identities, and what it refuses. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { GraphBuilder, GraphError, kShortestPaths, nextHops, shortestPath } from '../../src/graph/index.js';
import { DynamicTree, shortestPathTree } from '../../src/graph/index.js';
import { anyWeights, build, graphs } from './support.js';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof GraphError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

describe('a graph', () => {
  it('has exactly the arcs of its edges, sorted by tail, and both adjacencies list each once', () => {
    fc.assert(
      fc.property(graphs(anyWeights), (spec) => {
        const graph = build(spec);
        expect(graph.edgeCount).toBe(spec.edges.length);
        for (const [edge, { a, b, weight, back }] of spec.edges.entries()) {
          const [arc, reverse] = graph.arcsOf(edge);
          expect([graph.tail[arc!], graph.head[arc!], graph.weights[arc!], graph.edge[arc!]]).toEqual([
            a,
            b,
            weight,
            edge,
          ]);
          expect(graph.reverse[arc!]).toBe(reverse ?? -1);
          if (reverse === undefined) expect(back).toBeUndefined();
          else {
            const found = [graph.tail[reverse], graph.head[reverse], graph.weights[reverse]];
            expect(found).toEqual([b, a, back]);
            expect([graph.edge[reverse], graph.reverse[reverse]]).toEqual([edge, arc]);
          }
        }
        expect([...graph.tail]).toEqual([...graph.tail].sort((a, b) => a - b));
        for (const [adjacency, own] of [
          [graph.out, graph.tail],
          [graph.in, graph.head],
        ] as const) {
          expect([...adjacency.arcs].sort((a, b) => a - b)).toEqual([...graph.tail.keys()]);
          for (let node = 0; node < graph.nodeCount; node++) {
            const arcs = [...adjacency.arcs.slice(adjacency.first[node], adjacency.first[node + 1])];
            expect(arcs.every((arc) => own[arc] === node)).toBe(true);
            expect(arcs).toEqual(arcs.toSorted((a, b) => a - b));
          }
        }
      }),
    );
  });

  it('keeps parallel edges, self-loops and one-way links apart', () => {
    const builder = new GraphBuilder(2);
    expect([
      builder.addEdge(0, 1, 3),
      builder.addEdge(0, 1, 2),
      builder.addOneWay(1, 1),
      builder.addOneWay(1, 0, 1),
    ]).toEqual([0, 1, 2, 3]);
    const graph = builder.build();
    expect(graph.arcCount).toBe(6);
    expect(shortestPath(graph, 0, 1)?.edges).toEqual([1]);
    expect(shortestPath(graph, 1, 0)?.edges).toEqual([3]);
    expect(graph.arcsOf(2)).toHaveLength(1);
  });

  it('loses and regains an arc by its weight alone', () => {
    const builder = new GraphBuilder(2);
    const edge = builder.addEdge(0, 1, 4);
    const graph = builder.build();
    const [there, back] = graph.arcsOf(edge);
    graph.setWeight(there!, Infinity);
    expect(shortestPath(graph, 0, 1)).toBeUndefined();
    expect(shortestPath(graph, 1, 0)?.weight).toBe(4);
    graph.setEdgeWeight(edge, 7);
    expect([graph.weights[there!], graph.weights[back!]]).toEqual([7, 7]);
  });

  it('spreads values of edges over arcs', () => {
    const builder = new GraphBuilder(3);
    builder.addEdge(2, 0);
    builder.addOneWay(0, 1);
    const graph = builder.build();
    const values = graph.perArc([5, 6]);
    expect(graph.arcsOf(0).map((arc) => values[arc])).toEqual([5, 5]);
    expect(graph.arcsOf(1).map((arc) => values[arc])).toEqual([6]);
  });

  it('may be empty, or have nodes only', () => {
    expect(new GraphBuilder(0).build().arcCount).toBe(0);
    const graph = new GraphBuilder(2).build();
    expect(shortestPath(graph, 0, 0)).toEqual({ nodes: [0], arcs: [], edges: [], weight: 0 });
    expect(shortestPath(graph, 0, 1)).toBeUndefined();
  });
});

describe('what is refused', () => {
  it.each([-1, 0.5, NaN, Infinity, 2 ** 40])('%d nodes', (count) => {
    expect(codeOf(() => new GraphBuilder(count))).toBe('COUNT');
  });

  it.each([-1, 2, 0.5, NaN, Infinity, -0.5])('node %d', (node) => {
    const builder = new GraphBuilder(2);
    expect(codeOf(() => builder.addEdge(0, node))).toBe('NODE');
    expect(codeOf(() => builder.addOneWay(node, 0))).toBe('NODE');
    const graph = builder.build();
    expect(graph.edgeCount).toBe(0);
    expect(codeOf(() => shortestPath(graph, node, 0))).toBe('NODE');
    expect(codeOf(() => shortestPath(graph, 0, node))).toBe('NODE');
    expect(codeOf(() => shortestPathTree(graph, node))).toBe('NODE');
    expect(codeOf(() => shortestPathTree(graph, 0).path(node))).toBe('NODE');
    expect(codeOf(() => new DynamicTree(graph, node))).toBe('NODE');
    expect(codeOf(() => kShortestPaths(graph, node, 0, 1))).toBe('NODE');
    expect(codeOf(() => kShortestPaths(graph, 0, node, 1))).toBe('NODE');
    expect(codeOf(() => nextHops(shortestPathTree(graph, 0, { direction: 'to' }), node))).toBe('NODE');
  });

  it.each([-1, NaN, -Infinity])('weight %d', (weight) => {
    const builder = new GraphBuilder(2);
    expect(codeOf(() => builder.addEdge(0, 1, weight))).toBe('WEIGHT');
    expect(codeOf(() => builder.addEdge(0, 1, 1, weight))).toBe('WEIGHT');
    expect(codeOf(() => builder.addOneWay(0, 1, weight))).toBe('WEIGHT');
    builder.addEdge(0, 1);
    const graph = builder.build();
    expect(codeOf(() => graph.setWeight(0, weight))).toBe('WEIGHT');
    expect(codeOf(() => graph.setEdgeWeight(0, weight))).toBe('WEIGHT');
    expect(codeOf(() => graph.perArc([weight]))).toBe('WEIGHT');
    expect([...graph.weights]).toEqual([1, 1]);
    expect(
      codeOf(() => nextHops(shortestPathTree(graph, 0, { direction: 'to' }), 1, { tolerance: weight })),
    ).toBe('WEIGHT');
  });

  it('arcs and edges that are not there, lists of another length, counts of paths', () => {
    const builder = new GraphBuilder(2);
    builder.addEdge(0, 1);
    const graph = builder.build();
    for (const arc of [-1, 2, 0.5, NaN]) {
      expect(codeOf(() => graph.setWeight(arc, 1))).toBe('ARC');
      expect(codeOf(() => new DynamicTree(graph, 0).update([arc]))).toBe('ARC');
    }
    for (const edge of [-1, 1, 0.5, NaN]) expect(codeOf(() => graph.arcsOf(edge))).toBe('EDGE');
    expect(codeOf(() => graph.perArc([1, 2]))).toBe('LENGTH');
    for (const count of [-1, 0.5, NaN, Infinity])
      expect(codeOf(() => kShortestPaths(graph, 0, 1, count))).toBe('COUNT');
    expect(codeOf(() => nextHops(shortestPathTree(graph, 0), 1))).toBe('DIRECTION');
  });
});
