/** A service link's way over our own links, as data planes see it. Pure. */
import { type Link } from '../../api/connectivity.js';
import { vifOf } from '../check.js';
import { ownNode } from '../names.js';

/** From one of our nodes into the next. */
export interface Hop {
  /** `nodes/NODE` */
  readonly from: string;
  /** Vif of our own node: `vns/SELF/nodes/NODE/vifs/VIF`. */
  readonly out: string;
  readonly to: string;
  readonly into: string;
}

/** With the label that `to` expects on `into`. */
export interface LabelledHop extends Hop {
  readonly label: number;
}

/** One way that a service link is carried, both directions. */
export interface Way {
  /** Names of our links, from a to b. */
  readonly path: readonly string[];
  readonly there: readonly LabelledHop[];
  readonly back: readonly LabelledHop[];
  /** Bytes of the largest frame that every link of it takes with one more label. */
  readonly room: number;
}

export function vifAt(self: string, link: Link, node: string): string {
  const vif = link.a === node ? vifOf(link.vifA, link.b) : vifOf(link.vifB, link.a);
  return `${ownNode(self, node)}/vifs/${vif}`;
}

/** Undefined: the links do not follow one another from there. */
export function hopsAlong(self: string, start: string, links: readonly Link[]): Hop[] | undefined {
  const hops: Hop[] = [];
  let at = start;
  for (const link of links) {
    if (link.a !== at && link.b !== at) return undefined;
    const to = link.a === at ? link.b : link.a;
    hops.push({ from: at, out: vifAt(self, link, at), to, into: vifAt(self, link, to) });
    at = to;
  }
  return hops;
}

export function turned(hops: readonly Hop[]): Hop[] {
  return hops.map(({ from, out, to, into }) => ({ from: to, out: into, to: from, into: out })).toReversed();
}
