/**
 * A deal: nodes and links that are bought together or not at all. Its record is in the store before any supplier hears
 * of it, and is gone when all of it is in force, or nothing of it is anywhere.
 */
import { type Link, type Node } from '../api/connectivity.js';
import { catalogue } from './kinds.js';

export const DEALS = 'deals/';

export type Stage = 'reserve' | 'commit' | 'cancel';

/** One reservation at one supplier. */
export interface Party {
  readonly supplier: string;
  readonly address: string;
  /** The reservation's id. */
  readonly reservation: string;
  readonly nodes: readonly string[];
  readonly links: readonly string[];
}

export interface Deal {
  readonly id: string;
  /** Milliseconds since 1970: where terms begin. */
  readonly created: number;
  /** Not to be begun before. */
  readonly notBefore: number;
  readonly stage: Stage;
  /** Each is reserved as a whole, then committed as a whole, one after the other; within one in this order. */
  readonly rounds: readonly (readonly Party[])[];
  /** Of `rounds`: which one is under way. */
  readonly round: number;
  readonly nodes: readonly Node[];
  readonly links: readonly Link[];
}

type Written = Omit<Deal, 'nodes' | 'links'> & { readonly items: readonly string[] };

export function encodeDeal({ nodes, links, ...rest }: Deal): Buffer {
  const items = [
    ...nodes.map((body) => catalogue.encode({ kind: 'node', body })),
    ...links.map((body) => catalogue.encode({ kind: 'link', body })),
  ].map((bytes) => bytes.toString('base64'));
  return Buffer.from(JSON.stringify({ ...rest, items } satisfies Written));
}

export function decodeDeal(bytes: Uint8Array): Deal {
  const { items, ...rest } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Written;
  const nodes: Node[] = [];
  const links: Link[] = [];
  for (const text of items) {
    const item = catalogue.decode(Buffer.from(text, 'base64'));
    if (item.kind === 'node') nodes.push(item.body as Node);
    if (item.kind === 'link') links.push(item.body as Link);
  }
  return { ...rest, nodes, links };
}

export interface Ends {
  /** Of the nodes at a link's ends: `suppliers/PROVIDER`. */
  readonly a: string;
  readonly b: string;
}

/**
 * Who is asked for what, and in which order. A link to another supplier is asked for at that of `a`, which looks for its
 * end at the other, where the node must be leased by then: such links to new nodes are a second round. What only changes
 * comes last, so that as little as possible has to be changed back.
 */
export function planRounds(
  id: string,
  nodes: readonly Node[],
  links: readonly Link[],
  endsOf: (link: Link) => Ends,
  addressOf: (supplier: string) => string,
  isChange: (name: string) => boolean,
): Party[][] {
  const bought = new Set(nodes.flatMap(({ name }) => (isChange(name) ? [] : [name])));
  const isLate = (link: Link): boolean => endsOf(link).a !== endsOf(link).b && bought.has(link.b);
  const round = (number: number, n: readonly Node[], l: readonly Link[]): Party[] => {
    const suppliers = new Set([...n.map(({ supplier }) => supplier), ...l.map((link) => endsOf(link).a)]);
    return [...suppliers].sort().map((supplier) => ({
      supplier,
      address: addressOf(supplier),
      reservation: `${id}.${number}`,
      nodes: n.filter((node) => node.supplier === supplier).map(({ name }) => name),
      links: l.filter((link) => endsOf(link).a === supplier).map(({ name }) => name),
    }));
  };
  const two = links.some(isLate);
  const waits = ({ name }: { readonly name: string }): boolean => two && isChange(name);
  const [first, second] = [false, true].map((late) => ({
    nodes: nodes.filter((node) => waits(node) === late),
    links: links.filter((link) => (isLate(link) || waits(link)) === late),
  }));
  const rounds = [
    round(0, first?.nodes ?? [], first?.links ?? []),
    round(1, second?.nodes ?? [], second?.links ?? []),
  ];
  return rounds.filter((parties) => parties.length > 0);
}
