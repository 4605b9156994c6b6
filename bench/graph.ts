/*
 * Paths, beside graphology's Dijkstra on the same graph in the same run: all-pairs routes of the European backbone from
 * scratch and after a failure, a disjoint pair for every pair of Geant2012, and trees of 10 000 nodes.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { MultiUndirectedGraph } from 'graphology';

import {
  disjointPaths,
  DynamicTree,
  type Graph,
  GraphBuilder,
  shortestPathTree,
} from '../src/graph/index.js';
import { median, round, row, type Row } from './report.js';

// its types name no entry for ES modules
const { dijkstra } = createRequire(import.meta.url)('graphology-shortest-path') as {
  readonly dijkstra: {
    singleSource(graph: MultiUndirectedGraph, source: string, weight: string): Record<string, string[]>;
  };
};

interface Network {
  readonly nodes: number;
  readonly edges: readonly (readonly [a: number, b: number, weight: number])[];
}

interface TopologyFile {
  readonly nodes: readonly { readonly id: string | number }[];
  readonly links: readonly {
    readonly a: string | number;
    readonly b: string | number;
    readonly km: number;
  }[];
}

const rounds = 5;

/** Weights are delays in µs: km / 200 ms. */
function read(name: string): Network {
  const url = new URL(`../../test/graph/data/${name}.json`, import.meta.url);
  const { nodes, links } = JSON.parse(readFileSync(url, 'utf8')) as TopologyFile;
  const index = new Map(nodes.map(({ id }, i) => [id, i]));
  const edges = links.map(
    ({ a, b, km }) => [index.get(a) ?? 0, index.get(b) ?? 0, Math.round(5 * km)] as const,
  );
  return { nodes: nodes.length, edges };
}

/** A square grid, weights from a fixed sequence. */
function grid(side: number): Network {
  let seed = 1;
  const weight = (): number => 1 + ((seed = (seed * 48271) % 2147483647) % 1000);
  const edges: [number, number, number][] = [];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const at = y * side + x;
      if (x + 1 < side) edges.push([at, at + 1, weight()]);
      if (y + 1 < side) edges.push([at, at + side, weight()]);
    }
  }
  return { nodes: side * side, edges };
}

function ours({ nodes, edges }: Network): Graph {
  const builder = new GraphBuilder(nodes);
  for (const [a, b, weight] of edges) builder.addEdge(a, b, weight);
  return builder.build();
}

function theirs({ nodes, edges }: Network): MultiUndirectedGraph {
  const graph = new MultiUndirectedGraph();
  for (let node = 0; node < nodes; node++) graph.addNode(String(node));
  for (const [a, b, weight] of edges) graph.addEdge(String(a), String(b), { weight });
  return graph;
}

function ms(work: () => void): number {
  const begin = performance.now();
  work();
  return performance.now() - begin;
}

/** Medians of both, in turns. */
function beside(a: () => void, b: () => void): [number, number] {
  const times: [number[], number[]] = [[], []];
  for (let i = 0; i < rounds; i++) {
    times[0].push(ms(a));
    times[1].push(ms(b));
  }
  return [round(median(times[0])), round(median(times[1]))];
}

function allPairs(): Row[] {
  const network = read('backbone-europe');
  const graph = ours(network);
  const peer = theirs(network);
  const roots = Array.from({ length: network.nodes }, (_, node) => node);
  const [value, peerValue] = beside(
    () => roots.forEach((root) => shortestPathTree(graph, root)),
    () => roots.forEach((root) => dijkstra.singleSource(peer, String(root), 'weight')),
  );
  const trees = roots.map((root) => new DynamicTree(graph, root));
  const edges = network.edges.map((_, edge) => edge).filter((edge) => edge % 40 === 0);
  const failures: number[] = [];
  const returns: number[] = [];
  for (const edge of edges) {
    const arcs = graph.arcsOf(edge);
    const weight = network.edges[edge]?.[2] ?? 0;
    for (const [to, times] of [
      [Infinity, failures],
      [weight, returns],
    ] as const) {
      graph.setEdgeWeight(edge, to);
      times.push(ms(() => trees.forEach((tree) => tree.update(arcs))));
    }
  }
  const again = (name: string, times: number[]): Row =>
    row({
      bench: 'graph',
      case: `852-node backbone: all 852 trees after one link ${name} (median of ${times.length} links)`,
      unit: 'ms',
      value: round(median(times)),
      peer: 'from scratch, ours',
      peerValue: value,
    });
  const scratch = row({
    bench: 'graph',
    case: '852-node backbone: all 852 trees from scratch',
    unit: 'ms',
    value,
    peer: 'graphology',
    peerValue,
  });
  return [scratch, again('fails', failures), again('returns', returns)];
}

function pairs(): Row {
  const { nodes, edges } = read('topozoo-Geant2012');
  const graph = ours({ nodes, edges });
  const times: number[] = [];
  let found = 0;
  let strict = 0;
  for (let i = 0; i < rounds; i++) {
    found = 0;
    strict = 0;
    times.push(
      ms(() => {
        for (let a = 0; a < nodes; a++) {
          for (let b = a + 1; b < nodes; b++) {
            const answer = disjointPaths(graph, a, b, { disjoint: 'node' });
            if (!answer) continue;
            found++;
            if (answer.penalty === 0) strict++;
          }
        }
      }),
    );
  }
  return row({
    bench: 'graph',
    case: `Geant2012: node-disjoint pairs for ${found} pairs of nodes, ${strict} strictly`,
    unit: 'ms',
    value: round(median(times)),
  });
}

function bigTree(): Row {
  const network = grid(100);
  const graph = ours(network);
  const peer = theirs(network);
  const [value, peerValue] = beside(
    () => void shortestPathTree(graph, 0),
    () => void dijkstra.singleSource(peer, '0', 'weight'),
  );
  return row({
    bench: 'graph',
    case: '10 000-node grid: one tree',
    unit: 'ms',
    value,
    peer: 'graphology',
    peerValue,
  });
}

export function graph(): Row[] {
  return [...allPairs(), pairs(), bigTree()];
}
