/** What a static route says of its next hops: checked by itself, and against the vifs of its node. */
import { cabernet } from '../../gen/cabernet.js';
import { type Wrong } from '../controller/kind.js';
import { type Route } from '../api/service.js';
import { contains, type Family, hostOf, parseHost, type Prefix } from '../api/prefix.js';

const { RouteType } = cabernet.node.v1;
/** Of a route (the API's bound). */
export const MAX_NEXT_HOPS = 8;
const MAX_WEIGHT = 255;

type Said = Pick<Route, 'type' | 'nextHops'>;

/** A node's vifs by name: the router's own addresses on each. */
export type Vifs = ReadonlyMap<string, readonly Prefix[]>;

type Type = cabernet.node.v1.RouteType;

export function isUnicast(type: Type): boolean {
  return type === RouteType.ROUTE_TYPE_UNSPECIFIED || type === RouteType.ROUTE_TYPE_UNICAST;
}

/** Throws for what is wrong whatever vifs there are. `family`: of the destination. */
export function checkNextHops({ type, nextHops }: Said, family: Family, wrong: Wrong): void {
  const dropping = type === RouteType.ROUTE_TYPE_BLACKHOLE || type === RouteType.ROUTE_TYPE_UNREACHABLE;
  if (!isUnicast(type) && !dropping)
    throw wrong('type', 'ROUTE_TYPE', 'type must be unicast, blackhole or unreachable.');
  const most = dropping ? 0 : MAX_NEXT_HOPS;
  if (nextHops.length > most || (!dropping && nextHops.length === 0)) {
    const rule = dropping ? 'there are none of a route that drops' : `there are 1 to ${MAX_NEXT_HOPS}`;
    throw wrong('next_hops', 'NEXT_HOPS', `next_hops: ${rule}, not ${nextHops.length}.`);
  }
  for (const [i, hop] of nextHops.entries()) {
    const field = `next_hops[${i}]`;
    if (hop.weight > MAX_WEIGHT) {
      const text = `${field}.weight must be 1 to ${MAX_WEIGHT}, or 0 for 1; not ${hop.weight}.`;
      throw wrong(`${field}.weight`, 'WEIGHT_RANGE', text);
    }
    if (hop.gateway !== '') checkFamily(hop.gateway, family, `${field}.gateway`, wrong);
    const same = nextHops.findIndex((one) => one.vif === hop.vif && one.gateway === hop.gateway);
    if (same < i)
      throw wrong(field, 'DUPLICATE', `${field} is next_hops[${same}] again; give it a weight instead.`);
  }
}

/** The last one that was right: a stream names the same gateway many times. */
let known: { readonly gateway: string; readonly family: Family } | undefined;

function checkFamily(gateway: string, family: Family, field: string, wrong: Wrong): void {
  if (known?.gateway !== gateway) {
    const host = parseHost(gateway);
    if (host) known = { gateway, family: host.family };
  }
  if (known?.gateway === gateway && known.family === family) return;
  throw wrong(
    field,
    'GATEWAY',
    `${field} must be an address of IPv${family}, as the destination is, or empty.`,
  );
}

/** Throws unless the node has the vif, and the gateway is a neighbour on it. */
export function checkOnVifs(hops: Said['nextHops'], vifs: Vifs, node: string, wrong: Wrong): void {
  for (const [i, hop] of hops.entries()) {
    const problem = problemOf(hop.vif, hop.gateway, vifs, node);
    if (!problem) continue;
    const field = `next_hops[${i}].${problem.field}`;
    throw wrong(field, problem.reason, `${field}: ${problem.text}.`);
  }
}

export function problemOf(
  vif: string,
  gateway: string,
  vifs: Vifs,
  node: string,
): { readonly field: string; readonly reason: string; readonly text: string } | undefined {
  const own = vifs.get(vif);
  if (!own) {
    const text = `${node} has no vif ${JSON.stringify(vif.slice(0, 40))}; it is that of a link or a station`;
    return { field: 'vif', reason: 'VIF_NOT_FOUND', text };
  }
  if (gateway === '') return undefined;
  const host = parseHost(gateway);
  const subnet = host && own.find((one) => contains(one, host));
  if (!subnet) {
    const text = `${gateway} is in no subnet of ${vif}, which has ${own.map(hostOf).join(' and ') || 'no address'}`;
    return { field: 'gateway', reason: 'GATEWAY_NOT_CONNECTED', text };
  }
  if (host.address !== subnet.address) return undefined;
  return {
    field: 'gateway',
    reason: 'GATEWAY_IS_SELF',
    text: `${gateway} is ${node}'s own address on ${vif}`,
  };
}
