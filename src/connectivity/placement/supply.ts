/** What service links are placed on: bought links, with what is left of them. Pure. */
import { type Graph, GraphBuilder } from '../../graph/index.js';

export interface SupplyLink {
  readonly name: string;
  /** Names of nodes. */
  readonly a: string;
  readonly b: string;
  /** Not yet guaranteed to anybody, bits per second: from a to b, and from b to a. */
  readonly freeAToB: number;
  readonly freeBToA: number;
  readonly delayUs: number;
  readonly lossPpm: number;
  /** 0: none is promised. */
  readonly availabilityPpm: number;
  readonly mtu: number;
  readonly riskGroups: readonly string[];
}

/** A link between two nodes that is to be placed: what it asks of its path. Zero: nothing. */
export interface Demand {
  readonly a: string;
  readonly b: string;
  /** Nodes to pass, in this order. */
  readonly via: readonly string[];
  /** Each way. */
  readonly bitsPerSecond: number;
  readonly delayUs: number;
  readonly lossPpm: number;
  readonly availabilityPpm: number;
  readonly mtu: number;
  readonly protection: Protection;
  /** Names of links that it is not to take. */
  readonly avoid?: ReadonlySet<string> | undefined;
}

/** A backup where the availability needs one; none; one in any case; one that carries all of it as well, always. */
export type Protection = 'by-slo' | 'none' | 'pair' | 'both';

/** There is to be a backup whatever is promised. */
export function isPair({ protection }: Pick<Demand, 'protection'>): boolean {
  return protection === 'pair' || protection === 'both';
}

/** Bytes that one more label takes of the layer below's frames. */
export const LABEL_BYTES = 4;

export class Supply {
  readonly links: readonly SupplyLink[];
  readonly graph: Graph;
  readonly names: readonly string[];
  /** By edge. */
  readonly risks: readonly (readonly number[])[];
  readonly #nodes: ReadonlyMap<string, number>;
  readonly #edges: ReadonlyMap<string, number>;
  /** By edge: the lesser of both directions, since a service link takes the same of both. */
  readonly #free: number[];

  constructor(nodes: readonly string[], links: readonly SupplyLink[]) {
    this.names = [...nodes].sort();
    this.#nodes = new Map(this.names.map((name, i) => [name, i]));
    this.links = links
      .filter(({ a, b }) => this.#nodes.has(a) && this.#nodes.has(b))
      .toSorted((x, y) => (x.name < y.name ? -1 : 1));
    const builder = new GraphBuilder(this.names.length);
    const groups = new Map<string, number>();
    for (const { a, b } of this.links) builder.addEdge(this.#nodes.get(a) ?? -1, this.#nodes.get(b) ?? -1);
    this.graph = builder.build();
    this.risks = this.links.map(({ riskGroups }) =>
      riskGroups.map((group) => {
        const id = groups.get(group) ?? groups.size;
        groups.set(group, id);
        return id;
      }),
    );
    this.#edges = new Map(this.links.map(({ name }, edge) => [name, edge]));
    this.#free = this.links.map(({ freeAToB, freeBToA }) => Math.min(freeAToB, freeBToA));
  }

  node(name: string): number | undefined {
    return this.#nodes.get(name);
  }

  edge(link: string): number | undefined {
    return this.#edges.get(link);
  }

  link(edge: number): SupplyLink {
    const link = this.links[edge];
    if (!link) throw new RangeError(`no edge ${edge}`);
    return link;
  }

  free(edge: number): number {
    return this.#free[edge] ?? 0;
  }

  /** Guarantees so much more on these links; negative: less. */
  take(links: readonly string[], bitsPerSecond: number): void {
    for (const name of links) {
      const edge = this.#edges.get(name);
      if (edge !== undefined) this.#free[edge] = this.free(edge) - bitsPerSecond;
    }
  }

  /** Per arc, of the edge it belongs to. */
  perArc(value: (edge: number) => number): Float64Array {
    return this.graph.perArc(this.links.map((_, edge) => value(edge)));
  }
}
