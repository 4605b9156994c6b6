// Making network interfaces (RTM_NEWLINK): what each kind needs besides what all have.
import { argumentError } from '../error.js';
import type { Writer } from './attributes.js';
import { type Descriptors, integer, interfaceIndex, interfaceName, u32 } from './check.js';
import { IFF, IFLA, IFLA_BR, IFLA_INFO, IFLA_VXLAN, VETH_INFO_PEER } from './constants.js';
import { writeLinkFields, writeLinkHeader } from './link.js';
import { parseAddress } from './text.js';

interface CommonSpec {
  readonly name: string;
  /** Bytes. */
  readonly mtu?: number;
  /** Link-layer address; the kernel draws one where absent. */
  readonly address?: string;
  /** The index it shall have; the kernel picks one where absent. A veth's peer has its own only if both have. */
  readonly index?: number;
  /** Receive queues and transmit queues, as many of each. */
  readonly numQueues?: number;
  readonly numRxQueues?: number;
  readonly numTxQueues?: number;
  readonly up?: boolean;
  readonly masterIndex?: number;
  /** Frames. */
  readonly txQueueLength?: number;
}

/** The other end of a veth: its own name, and the namespace where it shall be (a path, or a descriptor). */
export type VethPeer = Omit<CommonSpec, 'masterIndex'> & {
  readonly netns?: string | number;
  /** Not in a batch: a veth's end can only go up once both are made. */
  readonly up?: boolean;
};

export interface VethSpec extends CommonSpec {
  readonly kind: 'veth';
  readonly peer: VethPeer;
}

export interface BridgeSpec extends CommonSpec {
  readonly kind: 'bridge';
  readonly spanningTree?: boolean;
  readonly vlanFiltering?: boolean;
  readonly multicastSnooping?: boolean;
  /** Seconds a port waits before it forwards. */
  readonly forwardDelay?: number;
  /** Seconds an unused entry lives. */
  readonly ageing?: number;
}

export interface VxlanSpec extends CommonSpec {
  readonly kind: 'vxlan';
  /** VXLAN network identifier, 24 bits (RFC 7348). */
  readonly id: number;
  readonly local?: string;
  /** A tunnel's other end, or a multicast group. */
  readonly remote?: string;
  /** UDP port; 4789 where absent. */
  readonly port?: number;
  /** The interface below. */
  readonly belowIndex?: number;
  /** 0: taken from the inner packet. */
  readonly ttl?: number;
  readonly learning?: boolean;
  readonly udpChecksum?: boolean;
  /** Zero UDP checksums over IPv6 (RFC 6936). */
  readonly udpZeroChecksum6?: boolean;
}

/** A kind that needs no more than its name: 'dummy', 'ifb' … */
export interface PlainSpec extends CommonSpec {
  readonly kind: string & {};
}

export type LinkSpec = VethSpec | BridgeSpec | VxlanSpec | PlainSpec;

// USER_HZ: the bridge's times are hundredths of a second on every architecture.
const TICKS = 100;

function writeCommon(writer: Writer, spec: CommonSpec | VethPeer, operation: string): void {
  if (spec.up !== undefined && typeof spec.up !== 'boolean') {
    throw argumentError(operation, 'up', 'a boolean');
  }
  const index = spec.index === undefined ? 0 : interfaceIndex(spec.index, operation);
  writeLinkHeader(writer, index, spec.up === true ? IFF.UP : 0);
  interfaceName(spec.name, operation);
  writeLinkFields(writer, spec, operation);
  const rx = spec.numRxQueues ?? spec.numQueues;
  const tx = spec.numTxQueues ?? spec.numQueues;
  if (rx !== undefined) {
    writer.attributeU32(IFLA.NUM_RX_QUEUES, integer(rx, operation, 'numRxQueues', 1, 4096));
  }
  if (tx !== undefined) {
    writer.attributeU32(IFLA.NUM_TX_QUEUES, integer(tx, operation, 'numTxQueues', 1, 4096));
  }
}

function flag(writer: Writer, type: number, value: unknown, operation: string, name: string): void {
  if (value === undefined) return;
  if (typeof value !== 'boolean') throw argumentError(operation, name, 'a boolean');
  writer.attributeU8(type, value ? 1 : 0);
}

function writeVeth(writer: Writer, spec: VethSpec, operation: string, descriptors: Descriptors): void {
  const { peer } = spec;
  if (typeof peer !== 'object' || peer === null) {
    throw argumentError(operation, 'peer', 'an object with a name');
  }
  if (peer.up === true) {
    throw argumentError(operation, 'peer.up', 'set by a change of its own, once the veth is made');
  }
  // The kernel ignores the one without the other.
  if (peer.index !== undefined && spec.index === undefined) {
    throw argumentError(operation, 'index', 'given too where peer.index is');
  }
  writer.nest(VETH_INFO_PEER, () => {
    writeCommon(writer, peer, operation);
    if (peer.netns !== undefined) {
      writer.attributeU32(IFLA.NET_NS_FD, descriptors.namespace(peer.netns, operation, 'peer.netns'));
    }
  });
}

function writeBridge(writer: Writer, spec: BridgeSpec, operation: string): void {
  const { spanningTree, forwardDelay, ageing } = spec;
  if (forwardDelay !== undefined) {
    writer.attributeU32(
      IFLA_BR.FORWARD_DELAY,
      integer(forwardDelay * TICKS, operation, 'forwardDelay', 0, 3000),
    );
  }
  if (ageing !== undefined) {
    writer.attributeU32(IFLA_BR.AGEING_TIME, u32(ageing * TICKS, operation, 'ageing'));
  }
  if (spanningTree !== undefined) writer.attributeU32(IFLA_BR.STP_STATE, spanningTree ? 1 : 0);
  flag(writer, IFLA_BR.VLAN_FILTERING, spec.vlanFiltering, operation, 'vlanFiltering');
  flag(writer, IFLA_BR.MCAST_SNOOPING, spec.multicastSnooping, operation, 'multicastSnooping');
}

function writeVxlan(writer: Writer, spec: VxlanSpec, operation: string): void {
  writer.attributeU32(IFLA_VXLAN.ID, integer(spec.id, operation, 'id', 0, 0xffffff));
  if (spec.local !== undefined) {
    const { family, bytes } = parseAddress(spec.local, operation, 'local');
    writer.attributeBytes(family === 4 ? IFLA_VXLAN.LOCAL : IFLA_VXLAN.LOCAL6, bytes);
  }
  if (spec.remote !== undefined) {
    const { family, bytes } = parseAddress(spec.remote, operation, 'remote');
    writer.attributeBytes(family === 4 ? IFLA_VXLAN.GROUP : IFLA_VXLAN.GROUP6, bytes);
  }
  // The kernel's own default is older than the number IANA gave.
  writer.attributeU16be(IFLA_VXLAN.PORT, integer(spec.port ?? 4789, operation, 'port', 1, 65535));
  if (spec.belowIndex !== undefined) {
    writer.attributeU32(IFLA_VXLAN.LINK, interfaceIndex(spec.belowIndex, operation, 'belowIndex'));
  }
  if (spec.ttl !== undefined) writer.attributeU8(IFLA_VXLAN.TTL, integer(spec.ttl, operation, 'ttl', 0, 255));
  flag(writer, IFLA_VXLAN.LEARNING, spec.learning, operation, 'learning');
  flag(writer, IFLA_VXLAN.UDP_CSUM, spec.udpChecksum, operation, 'udpChecksum');
  flag(writer, IFLA_VXLAN.UDP_ZERO_CSUM6_TX, spec.udpZeroChecksum6, operation, 'udpZeroChecksum6');
  flag(writer, IFLA_VXLAN.UDP_ZERO_CSUM6_RX, spec.udpZeroChecksum6, operation, 'udpZeroChecksum6');
}

/** A veth whose peer shall be up as well. */
export function wantsPeerUp(spec: LinkSpec): spec is VethSpec {
  return isKind<VethSpec>(spec, 'veth') && spec.peer?.up === true;
}

function isKind<Spec extends LinkSpec>(spec: LinkSpec, kind: Spec['kind']): spec is Spec {
  return spec.kind === kind;
}

export function writeLinkSpec(
  writer: Writer,
  spec: LinkSpec,
  operation: string,
  descriptors: Descriptors,
): void {
  if (typeof spec.kind !== 'string' || !/^[a-z0-9_-]{1,32}$/.test(spec.kind)) {
    throw argumentError(operation, 'kind', `a kind of interface such as 'veth', not ${String(spec.kind)}`);
  }
  writeCommon(writer, spec, operation);
  writer.nest(IFLA.LINKINFO, () => {
    writer.attributeString(IFLA_INFO.KIND, spec.kind);
    if (isKind<VethSpec>(spec, 'veth')) {
      writer.nest(IFLA_INFO.DATA, () => writeVeth(writer, spec, operation, descriptors));
    } else if (isKind<BridgeSpec>(spec, 'bridge')) {
      writer.nest(IFLA_INFO.DATA, () => writeBridge(writer, spec, operation));
    } else if (isKind<VxlanSpec>(spec, 'vxlan')) {
      writer.nest(IFLA_INFO.DATA, () => writeVxlan(writer, spec, operation));
    }
  });
}
