/** The vifs that the nodes are to have, with the router's own addresses on each. */
import { prefixes } from './assign.js';
import { type View, vifToward } from './model.js';
import { type Vifs } from './next-hops.js';
import { type Prefix, routerOf } from '../api/prefix.js';

interface Vif {
  readonly node: string;
  readonly vif: string;
  /** The link or station that it is of. */
  readonly of: string;
  readonly addresses: readonly Prefix[];
}

export function* allVifs(view: View): Generator<Vif, void> {
  for (const link of view.all('link')) {
    const { name, a, b } = link;
    yield { node: a, vif: vifToward(link.vifA, b), of: name, addresses: prefixes(link.assignedA) };
    yield { node: b, vif: vifToward(link.vifB, a), of: name, addresses: prefixes(link.assignedB) };
  }
  for (const { name, node, addresses } of view.all('station')) {
    const vif = name.slice('stations/'.length);
    yield { node, vif, of: name, addresses: prefixes(addresses).map(routerOf) };
  }
}

export function vifsOf(view: View, node: string): Vifs {
  const vifs = new Map<string, readonly Prefix[]>();
  for (const one of allVifs(view)) if (one.node === node) vifs.set(one.vif, one.addresses);
  return vifs;
}
