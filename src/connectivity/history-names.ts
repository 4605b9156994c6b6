/** What histories are kept of: our own links, and those of service networks; and by which paths they go. Pure. */
import { type Link, type ServiceLink, type ServiceNetwork } from '../api/connectivity.js';
import { v1 as nodeV1 } from '../api/node.js';
import { type Slo } from '../api/types.js';
import { type Leased, type Promised } from '../history/lease.js';
import { type ConnectivityState } from './kinds.js';
import { inForce, type Ledger } from './ledger.js';
import { isSuspended } from './network-terms.js';
import { vifAt } from './program/hops.js';
import { vifsOfLink } from './program/items.js';
import { nodeUnder } from './usage.js';

export function serviceLinkName(network: string, link: string): string {
  return `${network}/links/${link}`;
}

/** `customers/CUSTOMER/serviceNetworks/VN/links/LINK`; undefined: it is none of a service network. */
export function parseServiceLink(name: string): { network: string; link: string } | undefined {
  const [, network, link] = /^(customers\/[^/]+\/serviceNetworks\/[^/]+)\/links\/([^/]+)$/.exec(name) ?? [];
  return network === undefined || link === undefined ? undefined : { network, link };
}

export function findServiceLink(
  state: Pick<ConnectivityState, 'get'>,
  name: string,
): ServiceLink | undefined {
  const parsed = parseServiceLink(name);
  const network = parsed && state.get('serviceNetwork', parsed.network);
  return network?.links.find((link) => link.name === parsed?.link);
}

export function pathName(supplier: string, vif: string, index: number): string {
  return `${supplier} ${vif}/paths/${index}`;
}

function promisedOf(slo: Slo | undefined): Promised {
  return {
    availabilityPpm: slo?.availabilityPpm ?? 0,
    lossPpm: slo?.lossPpm ?? 0,
    delayUs: slo?.delayUs ?? 0,
  };
}

export interface Known {
  readonly self: string;
  readonly state: ConnectivityState;
  readonly ledger: Ledger;
}

/** In force, what others stand on first; and the names of all. */
export function leasesIn(known: Known): { inForce: readonly Leased[]; names: ReadonlySet<string> } {
  const { state, ledger } = known;
  const bought = [...ledger.links.values()].map(({ body }) => body);
  const networks = state.all('serviceNetwork');
  const sold = networks.flatMap((network) =>
    isSuspended(network) ? [] : network.links.map((link) => soldLink(known, network, link)),
  );
  return {
    inForce: [...bought.filter(inForce).map((link) => boughtLink(known, link)), ...sold],
    names: new Set([
      ...bought.map(({ name }) => name),
      ...networks.flatMap(({ name, links }) => links.map((link) => serviceLinkName(name, link.name))),
    ]),
  };
}

/** One path at each end, which its supplier watches; none where the link has no channel for that. */
function boughtLink({ self, ledger }: Known, link: Link): Leased {
  const ends = [link.a, link.b].map((node) => {
    const supplier = ledger.nodes.get(node)?.body.supplier;
    const watched = supplier !== undefined && link.payload !== nodeV1.Payload.PAYLOAD_IP;
    return watched ? [pathName(supplier, vifAt(self, link, node), 0)] : [];
  });
  const [a = [], b = []] = ends;
  return {
    name: link.name,
    needs: ends.every((end) => end.length > 0) ? ends : [],
    a,
    b,
    promised: promisedOf(link.slo),
  };
}

/** Where the ends watch their paths, one of them is enough; elsewhere it needs all the links of its way. */
function soldLink({ ledger }: Known, network: ServiceNetwork, link: ServiceLink): Leased {
  const vifs = vifsOfLink(network, link);
  const pathsAt = (end: string, vif: string): readonly string[] => {
    const node = network.nodes.find(({ name }) => name === end);
    const supplier = node && ledger.nodes.get(nodeUnder(node))?.body.supplier;
    return supplier === undefined ? [] : [0, 1].map((index) => pathName(supplier, vif, index));
  };
  const [a, b] = [pathsAt(link.a, vifs.a), pathsAt(link.b, vifs.b)];
  const needs = link.backupProgrammed ? [a, b] : link.path.map((below) => [below]);
  return { name: serviceLinkName(network.name, link.name), needs, a, b, promised: promisedOf(link.slo) };
}
