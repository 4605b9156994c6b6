/** What an infrastructure provider has. */
import type {
  Customer,
  Label,
  LinkEnd,
  Machine,
  Offer,
  Peering,
  Reservation,
  Segment,
  Tariff,
  VirtualLink,
  VirtualNode,
  Wire,
  WireEnd,
} from '../../../api/infrastructure.js';
import { types } from '../../../api/types.js';
import { bandwidth, delay, fromNow, perHour, percent, price, slo, span, word } from '../../units.js';
import { column, count, drained, kind, last, lease, list, type ResourceKind, right, wide } from './kind.js';

const wireEnd = (end: WireEnd | undefined): string => (end ? `${last(end.machine)}:${end.interface}` : '');
const linkEnd = (end: LinkEnd | undefined): string =>
  end ? `${end.provider === '' ? '' : `${end.provider}:`}${last(end.virtualNode)}:${end.vif}` : '';
const sold = (a: bigint, b: bigint): string =>
  a === 0n && b === 0n ? '' : `${bandwidth(a)} / ${bandwidth(b)}`;
const some = (bits: bigint): string => (bits > 0n ? bandwidth(bits) : '');
const share = (millis: number | undefined): string =>
  millis !== undefined && millis > 0 ? percent(millis * 1000) : '';

export const infrastructureKinds: readonly ResourceKind[] = [
  kind<Machine>('machine', 'machines', [
    column('SITE', ({ site }) => site),
    column('ADDRESSES', ({ addresses }) => list(addresses)),
    right('LEASED CPU', ({ state }) => share(state?.leased?.cpuMillis)),
    column('PORTS', ({ ports }) => list(ports)),
    drained('DRAINED', ({ drain }) => drain),
    wide('AGENT', ({ agent }) => agent),
    wide('VERSION', ({ state }) => state?.agentVersion ?? ''),
    wide('KERNEL', ({ state }) => state?.kernel ?? ''),
  ]),
  kind<Wire>('wire', 'wires', [
    column('A', ({ a }) => wireEnd(a)),
    column('B', ({ b }) => wireEnd(b)),
    right('BANDWIDTH', ({ bitsPerSecond }) => some(bitsPerSecond)),
    right('SOLD', ({ soldAToB, soldBToA }) => sold(soldAToB, soldBToA)),
    right('DELAY', ({ delayUs }) => delay(delayUs)),
    column('BYPASS', ({ bypass }) => list(bypass.map((name) => name.replace(/^wires\//, '')))),
    drained('DRAINED', ({ drain }) => drain),
    wide('LOSS', ({ lossPpm }) => percent(lossPpm)),
    wide('METRIC', ({ metric }) => count(metric)),
    wide('MTU', ({ mtu }) => count(mtu)),
    wide('RISKS', ({ riskGroups }) => list(riskGroups)),
  ]),
  kind<Peering>('peering', 'peerings', [
    column('PROVIDER', ({ provider }) => provider),
    column('END', ({ end }) => wireEnd(end)),
    right('BANDWIDTH', ({ bitsPerSecond }) => some(bitsPerSecond)),
    right('SOLD', ({ soldOut, soldIn }) => sold(soldOut, soldIn)),
    right('DELAY', ({ delayUs }) => delay(delayUs)),
    drained('DRAINED', ({ drain }) => drain),
    wide('CONTROLLER', ({ controller }) => controller),
    wide('RISKS', ({ riskGroups }) => list(riskGroups)),
  ]),
  kind<Customer>('customer', 'customers', [
    right('NODES', ({ virtualNodes }) => limit(virtualNodes)),
    right('LINKS', ({ virtualLinks }) => limit(virtualLinks)),
    right('BANDWIDTH', ({ bitsPerSecond }) => (bitsPerSecond > 0n ? bandwidth(bitsPerSecond) : 'any')),
  ]),
  kind<Tariff>('tariff', 'tariff', [
    right('NODE', ({ nodeMicros, currency }) => perHour(nodeMicros, currency)),
    right('CPU 0.1 %', ({ cpuMilliMicros, currency }) => perHour(cpuMilliMicros, currency)),
    right('LINK', ({ linkMicros, currency }) => perHour(linkMicros, currency)),
    right('MBIT/S ON A WIRE', ({ mbitWireMicros, currency }) => perHour(mbitWireMicros, currency)),
    column('LONGEST', ({ longestTermSeconds }) => span(longestTermSeconds || 365 * 86_400)),
  ]),
  kind<Offer>('offer', 'offers', [
    column('SITE', ({ site }) => site),
    right('FREE CPU', ({ free }) => share(free?.cpuMillis)),
    column('PORTS', ({ ports }) => list(ports)),
    right('NODE', ({ nodePrice }) => price(nodePrice)),
  ]),
  kind<VirtualNode>('virtualNode', 'customers/+/virtualNodes', [
    column('OFFER', ({ offer }) => last(offer)),
    column('NODE', ({ node }) => node),
    right('CPU', ({ share: wanted }) => share(wanted?.cpuMillis)),
    column('PORTS', ({ ports }) => list(ports)),
    right('PRICE', (body) => price(body.price)),
    column('LEASE', (body) => lease(body.lease)),
    drained('MAINTENANCE', ({ maintenance }) => maintenance),
    column('ENDS', ({ term }) => fromNow(term?.expireTime ?? '')),
  ]),
  kind<VirtualLink>('virtualLink', 'customers/+/virtualLinks', [
    column('A', ({ a }) => linkEnd(a)),
    column('B', ({ b }) => linkEnd(b)),
    column('KIND', (body) => word(types.LinkKind[body.kind] ?? '', 'LINK_KIND_')),
    column('PROMISE', (body) => slo(body.slo)),
    wide('ACHIEVED', ({ achieved }) => slo(achieved)),
    wide('WIRES', ({ wires }) => list(wires.map(last))),
    right('PRICE', (body) => price(body.price)),
    column('LEASE', (body) => lease(body.lease)),
    drained('MAINTENANCE', ({ maintenance }) => maintenance),
    column('ENDS', ({ term }) => fromNow(term?.expireTime ?? '')),
  ]),
  kind<Reservation>('reservation', 'customers/+/reservations', [
    right('NODES', ({ virtualNodes }) => String(virtualNodes.length)),
    right('LINKS', ({ virtualLinks }) => String(virtualLinks.length)),
    right('PRICE', (body) => price(body.price)),
    column('COMMITTED', ({ committed }) => (committed ? 'yes' : 'no')),
    column('HELD', ({ holdUntil, committed }) => (committed ? '' : fromNow(holdUntil))),
  ]),
  kind<Label>('label', 'machines/+/labels', [
    right('LABEL', ({ label }) => String(label)),
    column('LINK', ({ link }) => last(link)),
    column('FROM', ({ upstream, remoteAddress }) => (upstream === '' ? remoteAddress : last(upstream))),
    wide('TUNNEL', ({ localAddress, remoteAddress }) => `${localAddress} ${remoteAddress}`.trim()),
  ]),
  kind<Segment>('segment', 'segments', [
    column('CUSTOMER', ({ customer }) => last(customer)),
    column('LINK', ({ link }) => last(link)),
    column('FROM', ({ inward }) => last(inward)),
    column('TO', ({ outward }) => last(outward)),
    column('END', ({ provider, virtualNode, vif }) => `${provider}:${last(virtualNode)}:${vif}`),
    wide('ACHIEVED', ({ achieved }) => slo(achieved)),
    wide('WIRES', ({ wires }) => list(wires.map(last))),
    right('PRICE', (body) => price(body.price)),
    column('COMMITTED', ({ committed }) => (committed ? 'yes' : 'no')),
    column('ENDS', ({ term }) => fromNow(term?.expireTime ?? '')),
  ]),
];

function limit(value: number): string {
  return value > 0 ? String(value) : 'any';
}
