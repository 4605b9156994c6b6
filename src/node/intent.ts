/**
 * From an Apply stream's messages to checked intents: every field of every resource, whoever sent it. What is
 * wrong is refused with the field's path, e.g. `resources[3].vif.mtu`, and with what would be right.
 */
import { createHash } from 'node:crypto';

import {
  type Address,
  formatAddress,
  formatMac,
  isLinkLocal,
  isUnicast,
  parseAddress,
  parseInterfaceAddress,
  parseMac,
  parsePrefix,
  type Prefix,
} from './address.js';
import { checkBfdPeerIntent } from './bfd-peer-intent.js';
import {
  type AddressIntent,
  type Below,
  type Intent,
  type LabelIntent,
  type Limits,
  type NextHopIntent,
  NO_LIMITS,
  type NodeIntent,
  type PathIntent,
  type RouteIntent,
  type TunnelIntent,
  type VifIntent,
  type WireIntent,
  type WireType,
} from './model.js';
import {
  checkBelow,
  checkInterface,
  checkLabelValue,
  checkNodeName,
  checkOwner,
  checkTunnelName,
  checkVifName,
  checkVlan,
  checkWireName,
  quote,
  text,
} from './intent-names.js';
import { checkLink, checkSwap } from './link-intent.js';
import { checkRate } from './rates.js';
import { invalid } from './refusal.js';
import type * as wire from './wire.js';

export const DEFAULT_MTU = 1500;
/** RFC 791: every IPv4 host takes 576 bytes. */
export const SMALLEST_MTU = 576;
/** What a native XDP program leaves of a page; and for jumbo frames, what underlays of that name carry with our headers. */
export const LARGEST_MTU = 3498;
export const LARGEST_JUMBO_MTU = 9600;
const MAX_NEXT_HOPS = 8;
/** cabernet.node.v1.Payload */
const PAYLOAD_IP = 2;

/** Every number is a limit. */
function checkLimits(message: wire.Limits | null | undefined): Limits {
  if (!message) return NO_LIMITS;
  const { routes, neighbours, addresses, labels, vifsAbove } = message;
  return {
    routes: routes ?? 0,
    neighbours: neighbours ?? 0,
    addresses: addresses ?? 0,
    labels: labels ?? 0,
    vifsAbove: vifsAbove ?? 0,
  };
}

function checkShare(share: number, field: string): number {
  if (Number.isInteger(share) && share >= 0 && share <= 1000) return share;
  throw invalid('CPU_SHARE', field, `${share}: 1 to 1000 thousandths, or 0 for no share`);
}

export function checkNodeIntent(message: wire.VirtualNode, field: string): NodeIntent {
  const { name, vn, node } = checkNodeName(message.name, `${field}.name`);
  const source: number = message.routeSource ?? 0;
  if (source !== 0 && source !== 1 && source !== 2) {
    throw invalid('ROUTE_SOURCE', `${field}.route_source`, `${source} is no RouteSource`);
  }
  return {
    kind: 'node',
    name,
    vn,
    node,
    tenant: checkOwner(message.tenant, `${field}.tenant`),
    routeSource: source === 2 ? 'kernel' : 'controller',
    limits: checkLimits(message.limits),
    cpuShare: checkShare(message.cpu?.share ?? 0, `${field}.cpu.share`),
  };
}

function checkOuterAddress(value: string | null | undefined, field: string): Address {
  const address = parseAddress(text(value));
  if (address && isUnicast(address) && !isLinkLocal(address)) return address;
  throw invalid('TUNNEL_ADDRESS', field, `${quote(text(value))} is no routable unicast IPv4 or IPv6 address`);
}

export function checkTunnelIntent(message: wire.Tunnel, field: string): TunnelIntent {
  const name = checkTunnelName(message.name, `${field}.name`);
  const local = checkOuterAddress(message.localAddress, `${field}.local_address`);
  const remote = checkOuterAddress(message.remoteAddress, `${field}.remote_address`);
  const dscp = message.dscp ?? 0;
  if (local.family !== remote.family) {
    throw invalid('TUNNEL_FAMILY', `${field}.remote_address`, 'the same family as local_address');
  }
  const texts = { local: formatAddress(local.bytes), remote: formatAddress(remote.bytes) };
  if (texts.local === texts.remote) {
    throw invalid('TUNNEL_ADDRESS', `${field}.remote_address`, 'another machine: it equals local_address');
  }
  if (!Number.isInteger(dscp) || dscp < 0 || dscp > 63) {
    throw invalid('DSCP_RANGE', `${field}.dscp`, `${dscp}: 0 to 63 (RFC 2474)`);
  }
  return {
    kind: 'tunnel',
    name,
    ...texts,
    udpChecksum: message.udpChecksum ?? false,
    dscp,
    arrivalInterface: text(message.arrivalInterface)
      ? checkInterface(message.arrivalInterface, `${field}.arrival_interface`)
      : '',
  };
}

/** cabernet.node.v1.WireKind */
const WIRE_TYPES: Readonly<Record<number, WireType>> = { 1: 'lsp', 2: 'circuit' };

export function checkWireIntent(message: wire.Wire, field: string): WireIntent {
  const name = checkWireName(message.name, `${field}.name`);
  const type = WIRE_TYPES[message.kind ?? 0];
  if (!type) throw invalid('WIRE_KIND', `${field}.kind`, `${message.kind ?? 0}: LSP or CIRCUIT`);
  const device = checkInterface(message.interface, `${field}.interface`);
  const vlan = checkVlan(message.vlan, `${field}.vlan`);
  return {
    ...{ kind: 'wire', name, type, interface: device, vlan },
    ...checkNeighbour(message, field),
    bypass: message.bypass ? checkBypass(message.bypass, name, type, `${field}.bypass`) : undefined,
  };
}

function checkBypass(message: wire.Bypass, around: string, type: WireType, field: string): PathIntent {
  if (type === 'circuit')
    throw invalid('BYPASS', field, `${around} is a circuit, which has no labels to go around with`);
  const name = checkWireName(message.wire, `${field}.wire`);
  if (name === around) throw invalid('BYPASS', `${field}.wire`, `another wire: ${name} leads to itself`);
  return { below: { kind: 'wire', name }, label: checkLabelValue(message.label, `${field}.label`) };
}

function checkNeighbour(
  message: wire.Wire,
  field: string,
): Pick<WireIntent, 'neighbourMac' | 'neighbourAddress'> {
  const [mac, given] = [text(message.neighbourMac), text(message.neighbourAddress)];
  if (!mac === !given) {
    throw invalid('NEIGHBOUR', field, 'exactly one of neighbour_mac and neighbour_address says who is there');
  }
  if (mac) return { neighbourMac: checkMac(mac, `${field}.neighbour_mac`), neighbourAddress: '' };
  const address = parseAddress(given);
  if (address && isUnicast(address)) {
    return { neighbourMac: '', neighbourAddress: formatAddress(address.bytes) };
  }
  throw invalid(
    'NEIGHBOUR_ADDRESS',
    `${field}.neighbour_address`,
    `${quote(given)} is no unicast IPv4 or IPv6 address`,
  );
}

/** Stable, locally administered, unicast. */
export function deriveMac(name: string): string {
  const digest = createHash('sha256').update(name).digest();
  return formatMac(Uint8Array.of(2, ...digest.subarray(0, 5)));
}

function checkMac(value: string | null | undefined, field: string): string {
  const mac = parseMac(text(value));
  if (mac && ((mac[0] ?? 1) & 1) === 0 && mac.some((byte) => byte !== 0)) return formatMac(mac);
  throw invalid(
    'MAC_ADDRESS',
    field,
    `${quote(text(value))} is no unicast MAC address such as 02:00:00:00:00:01`,
  );
}

export function checkVifIntent(message: wire.Vif, field: string): VifIntent {
  const name = checkVifName(message.name, `${field}.name`);
  const mtu = message.mtu || DEFAULT_MTU;
  if (!Number.isInteger(mtu) || mtu < SMALLEST_MTU || mtu > LARGEST_JUMBO_MTU) {
    throw invalid('MTU_RANGE', `${field}.mtu`, `${mtu}: ${SMALLEST_MTU} to ${LARGEST_JUMBO_MTU} bytes`);
  }
  const { link, port } = message;
  if (!link === !port) throw invalid('ATTACHMENT', field, 'exactly one of link and port');
  const payload: number = link?.payload ?? 0;
  if (!Number.isInteger(payload) || payload < 0 || payload > PAYLOAD_IP) {
    throw invalid('PAYLOAD', `${field}.link.payload`, `${payload} is no Payload`);
  }
  return {
    kind: 'vif',
    ...name,
    mac: text(message.mac) ? checkMac(message.mac, `${field}.mac`) : deriveMac(name.name),
    macDerived: !text(message.mac),
    mtu,
    ...checkLink(link, payload === PAYLOAD_IP, `${field}.link`),
    carriesIp: payload === PAYLOAD_IP,
    port: port ? checkInterface(port.interface, `${field}.port.interface`) : undefined,
    sent: checkRate(message.sent, mtu, `${field}.sent`),
    received: checkRate(message.received, mtu, `${field}.received`),
  };
}

export function checkLabelIntent(message: wire.Label, field: string): LabelIntent {
  const context = checkBelow(message, field);
  const label = checkLabelValue(message.label, `${field}.label`);
  const [deliver, on] = [text(message.deliver), text(message.continueOn)];
  if ([deliver, message.swap, on].filter(Boolean).length !== 1)
    throw invalid('LABEL_ACTION', field, 'exactly one of deliver, swap and continue_on');
  return {
    kind: 'label',
    context,
    label,
    deliver: deliver ? checkVifName(deliver, `${field}.deliver`).name : undefined,
    swap: message.swap ? checkSwap(message.swap, `${field}.swap`) : undefined,
    continueOn: on ? checkContinueOn(on, context, `${field}.continue_on`) : undefined,
  };
}

/** A bypass comes by another wire than the one it leads around. */
function checkContinueOn(value: string, context: Below, field: string): string {
  const name = checkWireName(value, field);
  if (context.kind === 'wire' && context.name !== name) return name;
  throw invalid('LABEL_ACTION', field, `${name}: only a label on another wire goes on as if on this one`);
}

function checkAddress(message: wire.Address, field: string): AddressIntent {
  const { name, node, device } = checkVifName(message.vif, `${field}.vif`);
  const address = parseInterfaceAddress(text(message.prefix));
  const where = `${field}.prefix`;
  if (!address || address.length === 0 || !isUnicast(address)) {
    throw invalid(
      'ADDRESS',
      where,
      `${quote(text(message.prefix))}: a unicast address and its prefix length`,
    );
  }
  const bits = address.bytes.length * 8;
  if (bits - address.length >= 2 && isEdge(address, address.length)) {
    throw invalid('ADDRESS', where, `${address.text} is its subnet's own or its broadcast address`);
  }
  return { kind: 'address', vif: name, node, device, address };
}

/** All host bits zero, or, in IPv4, all one. */
function isEdge(address: Address, length: number): boolean {
  let ones = address.family === 4;
  let zeros = true;
  for (let bit = length; bit < address.bytes.length * 8; bit++) {
    if ((address.bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) zeros = false;
    else ones = false;
  }
  return zeros || ones;
}

function isForwardable(prefix: Prefix): boolean {
  const [first = 0, second = 0] = prefix.bytes;
  if (prefix.length === 0) return true;
  if (prefix.family === 4) return first < 224 && first !== 127 && !(first === 0 && prefix.length >= 8);
  if (prefix.length >= 8 && first === 0xff) return false;
  return !(prefix.length >= 10 && first === 0xfe && (second & 0xc0) === 0x80);
}

function checkNextHop(hop: wire.NextHop, route: RouteShape, many: boolean, field: string): NextHopIntent {
  const vif = checkVifName(hop.vif, `${field}.vif`);
  if (vif.node !== route.node) {
    throw invalid('NEXT_HOP_NODE', `${field}.vif`, `${vif.name} is no vif of ${route.node}`);
  }
  const weight = hop.weight || 1;
  if (!Number.isInteger(weight) || weight < 1 || weight > 255) {
    throw invalid('WEIGHT_RANGE', `${field}.weight`, `${weight}: 1 to 255`);
  }
  if (!text(hop.gateway)) {
    if (many) throw invalid('GATEWAY_MISSING', `${field}.gateway`, 'several next hops: each has a gateway');
    return { device: vif.device, gateway: '', weight };
  }
  const gateway = parseAddress(text(hop.gateway));
  if (!gateway || !isUnicast(gateway) || gateway.family !== route.destination.family) {
    throw invalid(
      'GATEWAY',
      `${field}.gateway`,
      `${quote(text(hop.gateway))}: a unicast IPv${route.destination.family} address, as the destination`,
    );
  }
  return { device: vif.device, gateway: formatAddress(gateway.bytes), weight };
}

interface RouteShape {
  readonly node: string;
  readonly destination: Prefix;
}

const ROUTE_KINDS = ['unicast', 'unicast', 'blackhole', 'unreachable'] as const;

function checkRoute(message: wire.Route, field: string): RouteIntent {
  const { name: node } = checkNodeName(message.node, `${field}.node`);
  const destination = parsePrefix(text(message.destination));
  if (!destination || !isForwardable(destination)) {
    throw invalid(
      'DESTINATION',
      `${field}.destination`,
      `${quote(text(message.destination))}: a unicast prefix such as 10.0.3.0/24, host bits zero`,
    );
  }
  const type = ROUTE_KINDS[(message.type ?? 0) as number];
  if (!type)
    throw invalid('ROUTE_TYPE', `${field}.type`, `${message.type}: UNICAST, BLACKHOLE or UNREACHABLE`);
  const hops = message.nextHops ?? [];
  const where = `${field}.next_hops`;
  if (type !== 'unicast') {
    if (hops.length > 0) throw invalid('NEXT_HOPS', where, `a route of type ${type} has none`);
    return { kind: 'route', node, destination, type, nextHops: [] };
  }
  if (hops.length < 1 || hops.length > MAX_NEXT_HOPS) {
    throw invalid('NEXT_HOPS', where, `${hops.length}: a unicast route has 1 to ${MAX_NEXT_HOPS}`);
  }
  const many = hops.length > 1;
  const nextHops = hops.map((hop, i) => checkNextHop(hop, { node, destination }, many, `${where}[${i}]`));
  if (many && new Set(nextHops.map((hop) => `${hop.device} ${hop.gateway}`)).size < nextHops.length) {
    throw invalid('NEXT_HOPS', where, 'the same next hop twice: give it a weight');
  }
  return { kind: 'route', node, destination, type, nextHops };
}

/** One resource of the stream; `index` counts from 0 over the whole stream. Throws ApiError. */
export function checkResource(resource: wire.Resource, index: number): Intent {
  const field = `resources[${index}]`;
  if (resource.route) return checkRoute(resource.route, `${field}.route`);
  if (resource.address) return checkAddress(resource.address, `${field}.address`);
  if (resource.label) return checkLabelIntent(resource.label, `${field}.label`);
  if (resource.vif) return checkVifIntent(resource.vif, `${field}.vif`);
  if (resource.tunnel) return checkTunnelIntent(resource.tunnel, `${field}.tunnel`);
  if (resource.wire) return checkWireIntent(resource.wire, `${field}.wire`);
  if (resource.bfdPeer) return checkBfdPeerIntent(resource.bfdPeer, `${field}.bfd_peer`);
  if (resource.virtualNode) return checkNodeIntent(resource.virtualNode, `${field}.virtual_node`);
  throw invalid('RESOURCE_KIND', field, 'no resource in it that this version knows');
}
