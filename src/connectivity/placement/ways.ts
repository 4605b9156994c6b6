/** Ways from one node to another past others, by ascending weight. Pure. */
import { type ArcFilter, GraphBuilder, pathsByWeight } from '../../graph/index.js';
import { type Supply } from './supply.js';

export interface Way {
  readonly edges: readonly number[];
  readonly nodes: readonly number[];
  readonly weight: number;
}

/** Ways that pass a node twice are found and left out; so many of them are looked at. */
const MOST_LOOKED_AT = 5000;

/** @param weights, usable by arc of the supply's graph */
export function* waysPast(
  supply: Supply,
  stops: readonly number[],
  weights: Float64Array,
  usable: ArcFilter,
): Generator<Way, void, void> {
  const { graph } = supply;
  const [source = 0] = stops;
  const target = stops.at(-1) ?? 0;
  if (stops.length === 2) {
    yield* pathsByWeight(graph, source, target, { weights, usable });
    return;
  }
  // a copy of the graph for each part of the way; at each stop one goes on to the next copy
  const n = graph.nodeCount;
  const parts = stops.length - 1;
  const builder = new GraphBuilder(n * parts);
  const edgeOf: number[] = [];
  for (let part = 0; part < parts; part++) {
    for (let arc = 0; arc < graph.arcCount; arc++) {
      if (!usable(arc)) continue;
      const [tail = 0, head = 0, weight = 0] = [graph.tail[arc], graph.head[arc], weights[arc]];
      builder.addOneWay(part * n + tail, part * n + head, weight);
      edgeOf.push(graph.edge[arc] ?? -1);
    }
    const stop = stops[part + 1] ?? 0;
    if (part + 1 < parts) {
      builder.addOneWay(part * n + stop, (part + 1) * n + stop, 0);
      edgeOf.push(-1);
    }
  }
  let looked = 0;
  for (const path of pathsByWeight(builder.build(), source, (parts - 1) * n + target)) {
    if (++looked > MOST_LOOKED_AT) return;
    const edges = path.edges.flatMap((edge) => {
      const own = edgeOf[edge] ?? -1;
      return own < 0 ? [] : [own];
    });
    const nodes = path.nodes.map((node) => node % n).filter((node, i, all) => i === 0 || node !== all[i - 1]);
    if (new Set(nodes).size === nodes.length) yield { edges, nodes, weight: path.weight };
  }
}
