/** Random multigraphs, real topologies, and answers by trying everything. */
import fc from 'fast-check';
import { readFileSync } from 'node:fs';

import { type Graph, GraphBuilder, type Path } from '../../src/graph/index.js';

export interface EdgeSpec {
  readonly a: number;
  readonly b: number;
  readonly weight: number;
  /** Absent for a one-way edge. */
  readonly back?: number;
}

export interface GraphSpec {
  readonly nodes: number;
  readonly edges: readonly EdgeSpec[];
}

export function build(spec: GraphSpec): Graph {
  const builder = new GraphBuilder(spec.nodes);
  for (const { a, b, weight, back } of spec.edges) {
    if (back === undefined) builder.addOneWay(a, b, weight);
    else builder.addEdge(a, b, weight, back);
  }
  return builder.build();
}

/** Small whole weights make ties; fractions make rounding. */
export const wholeWeights = fc.integer({ min: 0, max: 5 });
export const anyWeights = fc.oneof(
  wholeWeights,
  fc.constantFrom(0.1, 0.2, 0.3, 1e-17, 1e17, Infinity),
  fc.double({ min: 0, max: 10, noNaN: true }),
);

export function graphs(
  weight: fc.Arbitrary<number>,
  { most = 7, edges = 14 }: { readonly most?: number; readonly edges?: number } = {},
): fc.Arbitrary<GraphSpec> {
  return fc.integer({ min: 2, max: most }).chain((nodes) => {
    const node = fc.integer({ min: 0, max: nodes - 1 });
    const edge = fc
      .tuple(node, node, weight, fc.option(weight, { nil: undefined, freq: 3 }), fc.boolean())
      .map(([a, b, weight, back, same]): EdgeSpec => {
        if (back === undefined) return { a, b, weight };
        return { a, b, weight, back: same ? weight : back };
      });
    return fc.record({
      nodes: fc.constant(nodes),
      edges: fc.array(edge, { maxLength: edges, size: 'max' }),
    });
  });
}

/** Every loopless path from source to target, as arcs. */
export function everyPath(graph: Graph, source: number, target: number): number[][] {
  const found: number[][] = [];
  const walk = (at: number, seen: ReadonlySet<number>, arcs: readonly number[]): void => {
    if (at === target) {
      found.push([...arcs]);
      return;
    }
    for (let arc = 0; arc < graph.arcCount; arc++) {
      const head = graph.head[arc]!;
      if (graph.tail[arc] !== at || seen.has(head) || graph.weights[arc] === Infinity) continue;
      walk(head, new Set([...seen, head]), [...arcs, arc]);
    }
  };
  walk(source, new Set([source]), []);
  return found;
}

export function sum(values: ArrayLike<number>, arcs: readonly number[]): number {
  return arcs.reduce((total, arc) => total + values[arc]!, 0);
}

/** What is wrong with a path, as one line; empty for a loopless path between the two whose parts agree. */
export function flaw(graph: Graph, path: Path, source: number, target: number): string {
  const { nodes, arcs, edges } = path;
  if (nodes[0] !== source || nodes.at(-1) !== target) return 'other ends';
  if (nodes.length !== arcs.length + 1 || edges.length !== arcs.length) return 'lengths differ';
  if (new Set(nodes).size !== nodes.length) return 'a node twice';
  for (const [i, arc] of arcs.entries()) {
    if (graph.tail[arc] !== nodes[i] || graph.head[arc] !== nodes[i + 1]) return `arc ${arc} is elsewhere`;
    if (graph.edge[arc] !== edges[i]) return `arc ${arc} has another edge`;
  }
  return '';
}

/** Close enough for sums of the same numbers in different orders. */
export function near(a: number, b: number): boolean {
  return a === b || Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}

interface TopologyFile {
  readonly nodes: readonly { readonly id: string | number; readonly name: string | null }[];
  readonly links: readonly {
    readonly a: string | number;
    readonly b: string | number;
    readonly km: number;
  }[];
}

export interface Topology {
  readonly names: readonly string[];
  readonly graph: Graph;
  /** By edge, km. */
  readonly lengths: readonly number[];
}

/** A file of test/graph/data, weighted by length in km. */
export function topology(name: string): Topology {
  const text = readFileSync(new URL(`data/${name}.json`, import.meta.url), 'utf8');
  const { nodes, links } = JSON.parse(text) as TopologyFile;
  const index = new Map(nodes.map(({ id }, i) => [String(id), i]));
  const builder = new GraphBuilder(nodes.length);
  for (const { a, b, km } of links) builder.addEdge(index.get(String(a))!, index.get(String(b))!, km);
  return {
    names: nodes.map((node) => node.name ?? String(node.id)),
    graph: builder.build(),
    lengths: links.map((link) => link.km),
  };
}

/** An undirected grid of rows × columns; weights by a fixed pseudo-random sequence, 1 … 100. */
export function grid(rows: number, columns: number, seed = 1): Graph {
  const next = sequence(seed);
  const builder = new GraphBuilder(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const node = row * columns + column;
      if (column + 1 < columns) builder.addEdge(node, node + 1, 1 + next(100));
      if (row + 1 < rows) builder.addEdge(node, node + columns, 1 + next(100));
    }
  }
  return builder.build();
}

/** Numbers 0 … below-1, always the same ones (mulberry32). */
export function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return Math.floor((((word ^ (word >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
