/** This provider's part of links that cross peerings: held, committed, let go of. Each is one transaction. */
import { type cabernet } from '../../gen/cabernet.js';
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '../api/errors.js';
import { type ReserveSegmentRequest } from '../api/infrastructure.js';
import { type Draft } from '../api/message.js';
import { parseAddress, parseVifName } from '../api/names.js';

import { missing } from '../controller/access.js';
import { achievedBy, bandwidthRefusal, boundRefusal, mtuRefusal } from './carry.js';
import { formatTime, parseTime } from '../controller/clock.js';
import { type Bodies, type Tx, type View } from './kinds.js';
import { addressOf, allocatePeerLabel, checkTunnel, releaseLabels } from './labels.js';
import { customerOf, Ledger, machineOf } from './ledger.js';
import { leftOf, NO_BOUNDS, type Onward } from './onward.js';
import { linkPrice, tariffOf } from './price.js';
import { along, NOWHERE, Routing, type Sums, sumsOf } from './routing.js';
import { settle } from './settle.js';
import { settled } from './status.js';
import { leaseAt } from '../controller/terms.js';

export type Segment = Bodies['segment'];

const EMPTY = {
  inward: '',
  outward: '',
  link: '',
  localAddress: '',
  localLabel: 0,
  remoteAddress: '',
  remoteLabel: 0,
};

function held(request: ReserveSegmentRequest, upstream: string, now: number): Segment {
  const { customer, provider, virtualNode, vif, mtu, payload, udpChecksum, peering } = request;
  return {
    ...EMPTY,
    name: `segments/${request.segment}`,
    customer,
    upstream,
    inward: peering,
    provider,
    virtualNode,
    vif,
    mtu,
    payload,
    udpChecksum,
    ...(request.bounds && { bounds: request.bounds }),
    ...(request.term && { term: request.term }),
    wires: [],
    holdUntil: formatTime(now + Math.min(request.holdSeconds || 60, 7200) * 1000),
    committed: false,
    releasing: false,
    status: settled(undefined, 'reserved'),
  };
}

/** The same request may have come twice at once. @throws ApiError SEGMENT_IN_USE */
function knownTo(view: View, request: ReserveSegmentRequest, upstream: string): Segment | undefined {
  const known = view.get('segment', `segments/${request.segment}`);
  if (!known || (known.upstream === upstream && !known.releasing)) return known;
  throw alreadyExists({
    reason: 'SEGMENT_IN_USE',
    field: 'segment',
    message: 'This segment is known already, and is over or another’s; choose another id.',
  });
}

/** What another provider says is its machine's address. @throws ApiError ADDRESS: it cannot be, or is one of ours */
export function checkFarEnd(view: View, text: string, field: string): void {
  const address = parseAddress(text);
  const ours = view.all('machine').some(({ addresses }) => addresses.includes(text));
  if (address && !ours && isUnicast(address.family, address.bytes)) return;
  throw invalidArgument({
    reason: 'ADDRESS',
    field,
    message: `${field} must be the IPv4 or IPv6 unicast address of a machine of another provider.`,
  });
}

/** And no loopback, no link-local address: something that a tunnel may lead to. */
function isUnicast(family: 4 | 6, bytes: Uint8Array): boolean {
  const [first = 0, second = 0] = bytes;
  if (family === 4) return first !== 0 && first !== 127 && first < 224 && !(first === 169 && second === 254);
  const small = bytes.slice(0, 15).every((byte) => byte === 0);
  return !small && first !== 0xff && !(first === 0xfe && (second & 0xc0) === 0x80);
}

/** The link ends at a node here. @throws ApiError for whatever is in its way */
export function holdEnd(tx: Tx, request: ReserveSegmentRequest, upstream: string, now: number): Segment {
  const known = knownTo(tx, request, upstream);
  if (known) return known;
  checkFarEnd(tx, request.tunnelAddress, 'tunnel_address');
  const ledger = new Ledger(tx);
  const node = tx.get('virtualNode', request.virtualNode);
  if (!node || customerOf(node.name) !== request.customer)
    throw notFound({
      reason: 'NOT_FOUND',
      field: 'virtual_node',
      message: `${request.customer} has no ${request.virtualNode.slice(0, 120)} here.`,
    });
  if (!parseVifName(`${node.node}/vifs/${request.vif}`))
    throw failedPrecondition({
      reason: 'VIF_NAME',
      field: 'vif',
      message: 'vif must be 1 to 15 characters of [A-Za-z0-9_-].',
    });
  if (ledger.vifUser(node.name, request.vif) !== undefined)
    throw failedPrecondition({
      reason: 'VIF_IN_USE',
      field: 'vif',
      message: `${request.vif} of ${node.name} is the end of a link already.`,
    });
  const peering = tx.get('peering', request.peering);
  const machine = tx.get('machine', machineOf(node));
  const family = parseAddress(request.tunnelAddress)?.family;
  const localAddress = machine && family !== undefined ? addressOf(machine, family) : undefined;
  if (!machine || localAddress === undefined)
    throw failedPrecondition({
      reason: 'TUNNEL_FAMILY',
      field: 'tunnel_address',
      message: 'The machine has no address of that family for a tunnel.',
    });
  const way = peering?.end && new Routing(tx).way(peering.end.machine, machine.name);
  if (!way)
    throw failedPrecondition({
      reason: 'NO_PATH',
      field: 'peering',
      message: 'No wires lead on from this peering.',
    });
  const bits = request.bounds?.bitsPerSecond ?? 0n;
  const wires = [request.peering, ...way.wires];
  const refusal =
    mtuRefusal(request.mtu, along(way, { ...NOWHERE, mtu: sumsOf(peering).mtu }), 'mtu') ??
    boundRefusal(request.bounds, way, 'The way here', 'bounds') ??
    bandwidthRefusal(tx, ledger, wires, bits, 'bounds.bits_per_second');
  if (refusal) throw refusal;
  const base = held(request, upstream, now);
  const { tunnelAddress: remoteAddress, udpChecksum } = request;
  const ends = { machine: machine.name, localAddress, remoteAddress, udpChecksum };
  checkTunnel(tx, ends, 'udp_checksum');
  const { label } = allocatePeerLabel(tx, ends, base.name);
  const price = linkPrice(tariffOf(tx), bits, way.hops);
  const remote = { remoteAddress, remoteLabel: request.label };
  const segment = {
    ...base,
    ...remote,
    localAddress,
    localLabel: label,
    wires,
    price,
    achieved: achievedBy(way, bits),
  };
  tx.put('segment', segment);
  settle(tx);
  return segment;
}

/** The link passes: held here, to be held at the next. */
export function holdTransit(
  tx: Tx,
  request: ReserveSegmentRequest,
  upstream: string,
  onward: Onward,
  now: number,
): Segment {
  const known = knownTo(tx, request, upstream);
  if (known) return known;
  const { peering, way, sums, price } = onward;
  const bits = request.bounds?.bitsPerSecond ?? 0n;
  const wires = [request.peering, ...way.wires, peering.name];
  const refusal = bandwidthRefusal(tx, new Ledger(tx), wires, bits, 'bounds.bits_per_second');
  if (refusal) throw refusal;
  const begin = { remoteAddress: request.tunnelAddress, remoteLabel: request.label };
  const segment = {
    ...held(request, upstream, now),
    ...begin,
    outward: peering.name,
    wires,
    price,
    achieved: achievedBy(sums, bits),
  };
  tx.put('segment', segment);
  settle(tx);
  return segment;
}

/** @throws ApiError NOT_FOUND: it never was, is over, or is another's */
export function commitSegment(tx: Tx, name: string, upstream: string): void {
  const segment = tx.get('segment', name);
  if (!segment || segment.upstream !== upstream || segment.releasing) throw missing(name, 'segment');
  if (!segment.committed)
    tx.put('segment', { ...segment, committed: true, status: settled(segment.status, 'committed') });
}

/** What it held is free at once; the record stays until all have forgotten it. */
export function releaseSegment(tx: Tx, name: string): void {
  const segment = tx.get('segment', name);
  if (!segment || segment.releasing) return;
  tx.put('segment', { ...segment, wires: [], releasing: true, status: settled(segment.status, 'releasing') });
  releaseLabels(tx, segment.name, segment.committed);
  settle(tx);
}

/** Of a link that is over, where it begins. */
export function releaseSegmentOf(tx: Tx, link: string): void {
  for (const segment of tx.all('segment')) if (segment.link === link) releaseSegment(tx, segment.name);
}

/** What the next provider is asked. @param local what the way here takes, up to and with the peering */
export function onwardRequest(
  view: View,
  segment: Segment,
  holdSeconds: number,
): Draft<cabernet.infrastructure.v1.ReserveSegmentRequest> {
  const { customer, outward, provider, virtualNode, vif, mtu, payload, udpChecksum, term } = segment;
  const begins = segment.upstream === '';
  const node = view.get('virtualLink', segment.link)?.a?.virtualNode ?? '';
  const lease = view.get('virtualNode', node);
  return {
    segment: segment.name.slice('segments/'.length),
    customer,
    peering: outward,
    provider,
    virtualNode,
    vif,
    mtu,
    payload,
    udpChecksum,
    tunnelAddress: begins ? segment.localAddress : segment.remoteAddress,
    label: begins ? segment.localLabel : segment.remoteLabel,
    holdSeconds,
    bounds: leftOf(segment.bounds ?? NO_BOUNDS, localSums(view, segment)),
    ...(term && { term }),
    bootId: (lease && view.get('machine', machineOf(lease))?.state?.bootId) ?? '',
  };
}

/** The worst of the wires here, from where it comes in to the peering by which it goes on, that included. */
function localSums(view: View, segment: Segment): Sums {
  const out = view.get('peering', segment.outward);
  const from = view.get('peering', segment.inward)?.end?.machine ?? machineOfBegin(view, segment);
  const way = out?.end && new Routing(view).way(from, out.end.machine);
  return out && way ? along(way, sumsOf(out)) : NOWHERE;
}

function machineOfBegin(view: View, segment: Segment): string {
  const label = view
    .all('label')
    .find((one) => one.link === segment.link && one.label === segment.localLabel);
  return label?.name.split('/').slice(0, 2).join('/') ?? '';
}

/** Nothing on our machines sends or expects it any more. */
export function isForgottenHere(view: View, segment: Segment): boolean {
  return !view
    .all('label')
    .some(
      (label) =>
        label.localAddress === segment.localAddress &&
        label.label === segment.localLabel &&
        label.name.includes('/labels/peer.'),
    );
}

/** When time ends it: its hold, or its term with all grace. */
export function isSegmentOver(segment: Segment, now: number): boolean {
  if (segment.releasing) return false;
  // where it begins, the link says when
  if (segment.upstream === '') return false;
  if (!segment.committed) return (parseTime(segment.holdUntil) ?? 0) <= now;
  return leaseAt(segment.term, now) === undefined;
}
