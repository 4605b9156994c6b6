/**
 * The ways that the provider's IP routing takes between two machines: the least sum of metrics, all equal ones at once.
 * What is promised over them holds whichever of them a packet takes.
 */
import {
  type Graph,
  GraphBuilder,
  nextHops,
  type ShortestPathTree,
  shortestPathTree,
} from '../graph/index.js';
import { type Bodies, type View } from './kinds.js';

type Wire = Bodies['wire'];

export const DEFAULT_MTU = 1500;
const MILLION = 1_000_000;

/** Sums along a way; of several equal ways the worst of each. */
export interface Sums {
  readonly delayUs: number;
  /** -ln(1 - loss) */
  readonly lossLog: number;
  /** -ln(availability) */
  readonly downLog: number;
  /** Of the narrowest wire, IP. Infinity without wires. */
  readonly mtu: number;
  /** Of the longest of the equal ways. */
  readonly hops: number;
}

export interface Way extends Sums {
  /** Names, of all equal ways, from here on. */
  readonly wires: readonly string[];
}

export const NOWHERE: Sums = { delayUs: 0, lossLog: 0, downLog: 0, mtu: Infinity, hops: 0 };

interface Carries {
  readonly delayUs: number;
  readonly lossPpm: number;
  readonly availabilityPpm: number;
  readonly mtu: number;
}

/** Of one wire or peering. */
export function sumsOf(wire: Carries): Sums {
  return {
    delayUs: wire.delayUs,
    lossLog: -Math.log1p(-wire.lossPpm / MILLION),
    downLog: -Math.log((wire.availabilityPpm || MILLION) / MILLION),
    mtu: wire.mtu || DEFAULT_MTU,
    hops: 1,
  };
}

/** One after the other. */
export function along(a: Sums, b: Sums): Sums {
  return {
    delayUs: a.delayUs + b.delayUs,
    lossLog: a.lossLog + b.lossLog,
    downLog: a.downLog + b.downLog,
    mtu: Math.min(a.mtu, b.mtu),
    hops: a.hops + b.hops,
  };
}

/** Either of them. */
function worst(a: Sums, b: Sums): Sums {
  return {
    delayUs: Math.max(a.delayUs, b.delayUs),
    lossLog: Math.max(a.lossLog, b.lossLog),
    downLog: Math.max(a.downLog, b.downLog),
    mtu: Math.min(a.mtu, b.mtu),
    hops: Math.max(a.hops, b.hops),
  };
}

/** In parts of a million, rounded to the customer's disadvantage. */
export function lossPpm(sums: Sums): number {
  return Math.min(MILLION, Math.ceil(-Math.expm1(-sums.lossLog) * MILLION - 1e-6));
}

export function availabilityPpm(sums: Sums): number {
  return Math.floor(Math.exp(-sums.downLog) * MILLION + 1e-6);
}

export class Routing {
  readonly #numbers = new Map<string, number>();
  readonly #machines: readonly string[];
  readonly #wires: readonly Wire[];
  readonly #graph: Graph;
  readonly #trees = new Map<number, ShortestPathTree>();

  constructor(view: View) {
    this.#machines = view.all('machine').map(({ name }) => name);
    for (const [i, name] of this.#machines.entries()) this.#numbers.set(name, i);
    const builder = new GraphBuilder(this.#machines.length);
    this.#wires = view.all('wire').filter((wire) => {
      const [a, b] = [this.#numbers.get(wire.a?.machine ?? ''), this.#numbers.get(wire.b?.machine ?? '')];
      if (a === undefined || b === undefined) return false;
      builder.addEdge(a, b, wire.metric || 1);
      return true;
    });
    this.#graph = builder.build();
  }

  /** Undefined: no wires lead there. */
  way(from: string, to: string): Way | undefined {
    const [source, target] = [this.#numbers.get(from), this.#numbers.get(to)];
    if (source === undefined || target === undefined) return undefined;
    let tree = this.#trees.get(target);
    if (!tree) this.#trees.set(target, (tree = shortestPathTree(this.#graph, target, { direction: 'to' })));
    if (tree.distance[source] === Infinity) return undefined;
    const wires = new Set<string>();
    const known = new Map<number, Sums>();
    const queue = [source];
    for (const node of queue) {
      for (const arc of nextHops(tree, node)) {
        wires.add(this.#wires[this.#graph.edge[arc] as number]?.name ?? '');
        const next = this.#graph.head[arc] as number;
        if (!queue.includes(next)) queue.push(next);
      }
    }
    // nearer ones first, so that what comes after a node is known
    const order = tree;
    queue.sort((a, b) => compare(order, a, b));
    for (const node of queue) {
      let sums: Sums | undefined;
      for (const arc of nextHops(tree, node)) {
        const wire = this.#wires[this.#graph.edge[arc] as number];
        const rest = known.get(this.#graph.head[arc] as number);
        if (!wire || !rest) throw new Error('the ways of IP routing are not in order');
        const one = along(sumsOf(wire), rest);
        sums = sums ? worst(sums, one) : one;
      }
      known.set(node, sums ?? NOWHERE);
    }
    return { wires: [...wires], ...(known.get(source) ?? NOWHERE) };
  }
}

function compare(tree: ShortestPathTree, a: number, b: number): number {
  const byDistance = (tree.distance[a] as number) - (tree.distance[b] as number);
  return byDistance === 0 ? (tree.hops[a] as number) - (tree.hops[b] as number) : byDistance;
}
