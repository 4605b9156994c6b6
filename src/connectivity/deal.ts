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
 * Who is asked for what, and in which order. A link between two suppliers is asked for at that of `a`, which will look
 * for its end at the other: there the node must be reserved before. Where suppliers wait for one another in a circle, links
 * between suppliers are a second round, when all nodes are leased.
 */
export function planRounds(
  id: string,
  nodes: readonly Node[],
  links: readonly Link[],
  endsOf: (link: Link) => Ends,
  addressOf: (supplier: string) => string,
): Party[][] {
  const party = (supplier: string, round: number, own: readonly Node[], their: readonly Link[]): Party => ({
    supplier,
    address: addressOf(supplier),
    reservation: `${id}.${round}`,
    nodes: own.map(({ name }) => name),
    links: their.map(({ name }) => name),
  });
  const crossing = links.filter((link) => endsOf(link).a !== endsOf(link).b);
  const suppliers = [
    ...new Set([...nodes.map(({ supplier }) => supplier), ...links.map((link) => endsOf(link).a)]),
  ].sort();
  const round = (number: number, order: readonly string[], n: readonly Node[], l: readonly Link[]): Party[] =>
    order
      .map((supplier) =>
        party(
          supplier,
          number,
          n.filter((node) => node.supplier === supplier),
          l.filter((link) => endsOf(link).a === supplier),
        ),
      )
      .filter((one) => one.nodes.length + one.links.length > 0);
  const order = inOrder(suppliers, crossing.map(endsOf));
  if (order) return [round(0, order, nodes, links)];
  const inside = links.filter((link) => !crossing.includes(link));
  return [round(0, suppliers, nodes, inside), round(1, suppliers, [], crossing)];
}

/** Each `b` before its `a`; undefined if there is a circle. */
function inOrder(suppliers: readonly string[], pairs: readonly Ends[]): string[] | undefined {
  const order: string[] = [];
  const left = new Set(suppliers);
  while (left.size > 0) {
    const next = [...left].find((one) => !pairs.some(({ a, b }) => a === one && left.has(b)));
    if (next === undefined) return undefined;
    left.delete(next);
    order.push(next);
  }
  return order;
}
