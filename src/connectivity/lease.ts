/** What is asked of a supplier for a node or a link of ours. */
import { type Link, type Node } from '../api/connectivity.js';
import { type ReserveRequest } from '../api/infrastructure.js';
import { vifOf } from './check.js';
import { formatTime } from '../controller/clock.js';
import { type Deal, type Ends, type Party } from './deal.js';
import { type ConnectivityState } from './kinds.js';
import { type Ledger } from './ledger.js';
import { idOf, leaseOfLink, leaseOfNode, ownNode } from './names.js';

const DAY = 86_400;

export function termMs({ termSeconds }: { readonly termSeconds: number }): number {
  return (termSeconds === 0 ? DAY : termSeconds) * 1000;
}

function termFrom(start: number, body: { readonly termSeconds: number }) {
  return { startTime: formatTime(start), expireTime: formatTime(start + termMs(body)), graceSeconds: 0 };
}

type VirtualNode = ReserveRequest['virtualNodes'][number];
type VirtualLink = ReserveRequest['virtualLinks'][number];
type Asked<B> = Omit<B, 'price' | 'lease' | 'achieved' | 'wires' | 'status' | 'maintenance' | 'home'>;

export function virtualNode(self: string, node: Node, start: number): Asked<VirtualNode> {
  return {
    name: leaseOfNode(self, node.name),
    offer: node.offer,
    site: node.site,
    node: ownNode(self, node.name),
    ...(node.share && { share: node.share }),
    ports: node.ports,
    routeSource: node.routeSource,
    term: termFrom(start, node),
  };
}

export function virtualLink(self: string, link: Link, ends: Ends, start: number): Asked<VirtualLink> {
  return {
    name: leaseOfLink(self, link.name),
    a: { virtualNode: leaseOfNode(self, link.a), vif: vifOf(link.vifA, link.b), provider: '' },
    b: {
      virtualNode: leaseOfNode(self, link.b),
      vif: vifOf(link.vifB, link.a),
      provider: ends.a === ends.b ? '' : idOf(ends.b),
    },
    ...(link.slo && { slo: link.slo }),
    kind: link.kind,
    mtu: link.mtu,
    payload: link.payload,
    tunnelFamily: link.tunnelFamily,
    udpChecksum: link.udpChecksum,
    diverseFrom: link.diverseFrom.map((other) => leaseOfLink(self, other)),
    term: termFrom(start, link),
  };
}

export interface Asking {
  readonly self: string;
  readonly state: Pick<ConnectivityState, 'get'>;
  readonly ledger: Ledger;
}

/** What one party of a deal is asked for. */
export function reserveRequest({ self, state, ledger }: Asking, deal: Deal, party: Party) {
  const supplierOf = (node: string): string =>
    deal.nodes.find(({ name }) => name === node)?.supplier ??
    ledger.nodes.get(node)?.body.supplier ??
    state.get('node', node)?.supplier ??
    '';
  const endsOf = (link: Link): Ends => ({ a: supplierOf(link.a), b: supplierOf(link.b) });
  return {
    virtualNodes: deal.nodes
      .filter(({ name }) => party.nodes.includes(name))
      .map((node) => virtualNode(self, node, deal.created)),
    virtualLinks: deal.links
      .filter(({ name }) => party.links.includes(name))
      .map((link) => virtualLink(self, link, endsOf(link), deal.created)),
  };
}
