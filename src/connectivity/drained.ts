/** What service links are to leave before maintenance: by an operator's word here, or by a supplier's. Pure. */
import { type Link, type Node, type ServiceLink, type ServiceNetwork } from '../api/connectivity.js';
import { nodeUnder } from './usage.js';

interface Bought {
  all(kind: 'link'): readonly Link[];
  all(kind: 'node'): readonly Node[];
}

export function isDrained({ drain, maintenance }: Pick<Link, 'drain' | 'maintenance'>): boolean {
  return drain || maintenance;
}

export class Drained {
  readonly #links = new Set<string>();
  /** By drained node: the links that end there. */
  readonly #atNodes = new Map<string, string[]>();

  constructor(view: Bought) {
    for (const node of view.all('node')) if (isDrained(node)) this.#atNodes.set(node.name, []);
    for (const link of view.all('link')) {
      if (isDrained(link)) this.#links.add(link.name);
      for (const end of [link.a, link.b]) this.#atNodes.get(end)?.push(link.name);
    }
  }

  /** Links below that this one is to keep off. A node where it ends it cannot avoid. */
  of(link: ServiceLink, network: ServiceNetwork): ReadonlySet<string> {
    if (this.#links.size + this.#atNodes.size + link.avoid.length === 0) return NONE;
    const at = network.nodes.filter(({ name }) => name === link.a || name === link.b);
    const ends = new Set(at.map(nodeUnder));
    const passing = [...this.#atNodes].flatMap(([node, links]) => (ends.has(node) ? [] : links));
    return new Set([...this.#links, ...passing, ...link.avoid]);
  }
}

const NONE: ReadonlySet<string> = new Set();
