// Network interfaces as netlink has them (RTM_*LINK, struct ifinfomsg): read from its
// messages, and written for those that change or delete one. link-create.ts makes them.
import type { Payload, Writer } from './attributes.js';
import { argumentError } from '../error.js';
import { type Descriptors, integer, interfaceIndex, interfaceName, nameOf, oneOf, u32 } from './check.js';
import {
  AF,
  IFF,
  IFLA,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INFO,
  IFLA_VLAN_ID,
  IFLA_XDP,
  RTEXT_FILTER_SKIP_STATS,
  XDP_FLAGS,
} from './constants.js';
import { linkStatistics, type LinkStatistics } from './link-statistics.js';
import { formatLinkAddress, parseLinkAddress } from './text.js';

const OPERATIONAL_STATES = {
  unknown: 0,
  'not-present': 1,
  down: 2,
  'lower-layer-down': 3,
  testing: 4,
  dormant: 5,
  up: 6,
} as const;

/** RFC 2863's ifOperStatus. */
export type OperationalState = keyof typeof OPERATIONAL_STATES;
const operationalState = nameOf(OPERATIONAL_STATES);

const ADDRESS_GENERATION = { eui64: 0, none: 1, 'stable-privacy': 2, random: 3 } as const;

/** How the kernel makes IPv6 link-local addresses on an interface. */
export type AddressGeneration = keyof typeof ADDRESS_GENERATION;

const XDP_MODES = ['none', 'native', 'generic', 'offload', 'multi'] as const;

export interface LinkXdp {
  /** 'multi': programs are attached in more than one mode. */
  readonly mode: 'native' | 'generic' | 'offload' | 'multi';
  /** Of the native program where there is one, else of the one attached. */
  readonly programId: number;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly alternativeNames: readonly string[];
  /** 'veth', 'bridge', 'vxlan' …; absent on physical interfaces and loopback. */
  readonly kind?: string;
  /** ARPHRD_ number: 1 Ethernet, 772 loopback. */
  readonly ifType: number;
  /** IFF_ bits of netdevice(7). */
  readonly flags: number;
  /** Administratively up (IFF_UP). */
  readonly up: boolean;
  /** Up and with carrier (IFF_UP and IFF_LOWER_UP). */
  readonly running: boolean;
  /** Set to promiscuous mode by somebody's hand (IFF_PROMISC). */
  readonly promiscuous: boolean;
  /** Neighbours are resolved by ARP and neighbour discovery (not IFF_NOARP). */
  readonly arp: boolean;
  /** How many want it promiscuous, that hand included: bridges, packet sockets … */
  readonly promiscuity: number;
  readonly operationalState: OperationalState;
  /** Bytes, without the link-layer header. */
  readonly mtu: number;
  readonly minMtu?: number;
  /** Absent where the kernel sets no limit. */
  readonly maxMtu?: number;
  /** Link-layer address, '02:00:00:00:00:01'. */
  readonly address?: string;
  /** The other end of a veth, the interface below a VLAN. */
  readonly peerIndex?: number;
  /** The kernel's number for the namespace `peerIndex` is meant in, if it is another. */
  readonly peerNetnsId?: number;
  /** The bridge or other interface it is a port of. */
  readonly masterIndex?: number;
  readonly alias?: string;
  readonly vlanId?: number;
  readonly numRxQueues: number;
  readonly numTxQueues: number;
  /** Frames. */
  readonly txQueueLength: number;
  readonly xdp?: LinkXdp;
  /** Only when asked for. */
  readonly statistics?: LinkStatistics;
}

/** What can be changed; absent fields stay. */
export interface LinkChange {
  readonly up?: boolean;
  /** Takes frames for all MAC addresses; see `Link.promiscuous`. */
  readonly promiscuous?: boolean;
  /** Resolves neighbours by ARP and neighbour discovery; false: every neighbour is taken to be there (IFF_NOARP). */
  readonly arp?: boolean;
  /** Bytes. */
  readonly mtu?: number;
  readonly address?: string;
  readonly name?: string;
  /** Moves the interface: the path of a network namespace, or a descriptor of one. */
  readonly netns?: string | number;
  /** At most 255 bytes; '' removes it. */
  readonly alias?: string;
  /** A bridge's index; 0 takes the interface out. */
  readonly masterIndex?: number;
  /** Frames. */
  readonly txQueueLength?: number;
  /** Set it before the interface goes up, by a change of its own: addresses that are there stay. */
  readonly addressGeneration?: AddressGeneration;
  /** 'dormant': ready to carry packets, but waiting (RFC 2863); routing protocols take it for down. */
  readonly operationalState?: 'up' | 'dormant';
  /** The state an interface goes to by itself when it gets carrier: 'default' is up. */
  readonly linkMode?: 'default' | 'dormant';
  /** Not through a link, so that anybody may replace it: `BpfProgram.attachXdp` is the way to attach. */
  readonly xdp?: XdpChange;
}

/** In native mode: a program where there is none, or none where that program is. Descriptors of programs. */
export type XdpChange = { readonly attach: number } | { readonly detach: number };

function readXdp(value: Payload): LinkXdp | undefined {
  let mode: (typeof XDP_MODES)[number] = 'none';
  const programs = new Map<number, number>();
  value.attributes(0, (type, inner) => {
    if (type === IFLA_XDP.ATTACHED) mode = XDP_MODES[inner.u8()] ?? 'multi';
    else if (type >= IFLA_XDP.PROG_ID && type <= IFLA_XDP.HW_PROG_ID) programs.set(type, inner.u32());
  });
  if (mode === 'none') return undefined;
  const programId =
    programs.get(IFLA_XDP.DRV_PROG_ID) ??
    programs.get(IFLA_XDP.PROG_ID) ??
    programs.get(IFLA_XDP.SKB_PROG_ID) ??
    programs.get(IFLA_XDP.HW_PROG_ID) ??
    0;
  return { mode, programId };
}

/** Writable while it is read. */
type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

function readInfo(value: Payload, link: Draft<Link>): void {
  let data: Payload | undefined;
  value.attributes(0, (type, inner) => {
    if (type === IFLA_INFO.KIND) link.kind = inner.string();
    else if (type === IFLA_INFO.DATA) data = inner;
  });
  if (link.kind !== 'vlan') return;
  data?.attributes(0, (type, inner) => {
    if (type === IFLA_VLAN_ID) link.vlanId = inner.u16();
  });
}

/** Undefined for messages of other families, which are about ports of a bridge. */
export function readLink(payload: Payload, withStatistics = false): Link | undefined {
  if (payload.u8() !== AF.UNSPEC) return undefined;
  const flags = payload.u32(8);
  const alternativeNames: string[] = [];
  const link: Draft<Link> = {
    index: payload.i32(4),
    name: '',
    alternativeNames,
    ifType: payload.u16(2),
    flags,
    up: (flags & IFF.UP) !== 0,
    running: (flags & IFF.UP) !== 0 && (flags & IFF.LOWER_UP) !== 0,
    promiscuous: (flags & IFF.PROMISC) !== 0,
    arp: (flags & IFF.NOARP) === 0,
    promiscuity: 0,
    operationalState: 'unknown',
    mtu: 0,
    numRxQueues: 1,
    numTxQueues: 1,
    txQueueLength: 0,
  };
  payload.attributes(16, (type, value) => {
    switch (type) {
      case IFLA.IFNAME:
        link.name = value.string();
        break;
      case IFLA.MTU:
        link.mtu = value.u32();
        break;
      case IFLA.MIN_MTU:
        link.minMtu = value.u32();
        break;
      case IFLA.MAX_MTU:
        if (value.u32() !== 0) link.maxMtu = value.u32();
        break;
      case IFLA.ADDRESS:
        if (value.length > 0) link.address = formatLinkAddress(value.bytes());
        break;
      case IFLA.LINK:
        // Zero: the peer is in no namespace that has a number here.
        if (value.u32() !== 0) link.peerIndex = value.u32();
        break;
      case IFLA.LINK_NETNSID:
        if (value.i32() >= 0) link.peerNetnsId = value.i32();
        break;
      case IFLA.PROMISCUITY:
        link.promiscuity = value.u32();
        break;
      case IFLA.MASTER:
        link.masterIndex = value.u32();
        break;
      case IFLA.IFALIAS:
        link.alias = value.string();
        break;
      case IFLA.OPERSTATE:
        link.operationalState = operationalState(value.u8()) ?? 'unknown';
        break;
      case IFLA.TXQLEN:
        link.txQueueLength = value.u32();
        break;
      case IFLA.NUM_TX_QUEUES:
        link.numTxQueues = value.u32();
        break;
      case IFLA.NUM_RX_QUEUES:
        link.numRxQueues = value.u32();
        break;
      case IFLA.LINKINFO:
        readInfo(value, link);
        break;
      case IFLA.XDP: {
        const xdp = readXdp(value);
        if (xdp !== undefined) link.xdp = xdp;
        break;
      }
      case IFLA.STATS64:
        if (withStatistics) link.statistics = linkStatistics(value);
        break;
      case IFLA.PROP_LIST:
        value.attributes(0, (inner, name) => {
          if (inner === IFLA.ALT_IFNAME) alternativeNames.push(name.string());
        });
        break;
      default:
    }
  });
  return link;
}

/** struct ifinfomsg: these IFF_ bits on, those off; the others stay. */
export function writeLinkHeader(writer: Writer, index: number, on = 0, off = 0): void {
  writer.u8(AF.UNSPEC).u8(0).u16(0).u32(index);
  writer.u32(on).u32(on | off);
}

/** The IFF_ bits that a change turns on and off. */
function flagBits(change: LinkChange, operation: string): { on: number; off: number } {
  const bits = { on: 0, off: 0 };
  for (const [field, bit, inverted] of FLAGS) {
    const value = change[field];
    if (value === undefined) continue;
    if (typeof value !== 'boolean') throw argumentError(operation, field, 'a boolean');
    bits[value === inverted ? 'off' : 'on'] |= bit;
  }
  return bits;
}

const FLAGS = [
  ['up', IFF.UP, false],
  ['promiscuous', IFF.PROMISC, false],
  ['arp', IFF.NOARP, true],
] as const;

function writeXdp(writer: Writer, change: XdpChange, operation: string): void {
  if (typeof change !== 'object' || change === null || 'attach' in change === 'detach' in change) {
    throw argumentError(operation, 'xdp', 'an object with either attach or detach');
  }
  const descriptor = (value: unknown): number => integer(value, operation, 'xdp', 0, 0x7fffffff);
  writer.nest(IFLA.XDP, () => {
    if ('attach' in change) {
      writer.attributeU32(IFLA_XDP.FD, descriptor(change.attach));
      writer.attributeU32(IFLA_XDP.FLAGS, XDP_FLAGS.DRV_MODE | XDP_FLAGS.UPDATE_IF_NOEXIST);
    } else {
      writer.attributeU32(IFLA_XDP.FD, 0xffffffff);
      writer.attributeU32(IFLA_XDP.EXPECTED_FD, descriptor(change.detach));
      writer.attributeU32(IFLA_XDP.FLAGS, XDP_FLAGS.DRV_MODE | XDP_FLAGS.REPLACE);
    }
  });
}

/** Fields that making and changing an interface have in common. */
export function writeLinkFields(writer: Writer, fields: LinkChange, operation: string): void {
  if (fields.name !== undefined) writer.attributeString(IFLA.IFNAME, interfaceName(fields.name, operation));
  if (fields.mtu !== undefined) writer.attributeU32(IFLA.MTU, u32(fields.mtu, operation, 'mtu'));
  if (fields.address !== undefined) {
    writer.attributeBytes(IFLA.ADDRESS, parseLinkAddress(fields.address, operation, 'address'));
  }
  if (fields.masterIndex !== undefined) {
    writer.attributeU32(IFLA.MASTER, integer(fields.masterIndex, operation, 'masterIndex', 0, 0x7fffffff));
  }
  if (fields.txQueueLength !== undefined) {
    writer.attributeU32(IFLA.TXQLEN, u32(fields.txQueueLength, operation, 'txQueueLength'));
  }
}

export function writeLinkChange(
  writer: Writer,
  index: number,
  change: LinkChange,
  operation: string,
  descriptors: Descriptors,
): void {
  const { alias, netns, addressGeneration, linkMode, operationalState: state } = change;
  const { on, off } = flagBits(change, operation);
  writeLinkHeader(writer, interfaceIndex(index, operation), on, off);
  writeLinkFields(writer, change, operation);
  if (alias !== undefined) {
    if (typeof alias !== 'string' || Buffer.byteLength(alias) > 255 || alias.includes('\0')) {
      throw argumentError(operation, 'alias', 'a string of at most 255 bytes');
    }
    writer.attributeBytes(IFLA.IFALIAS, Buffer.from(alias, 'utf8'));
  }
  if (state !== undefined) {
    if (state !== 'up' && state !== 'dormant') {
      throw argumentError(operation, 'operationalState', "'up' or 'dormant'");
    }
    writer.attributeU8(IFLA.OPERSTATE, OPERATIONAL_STATES[state]);
  }
  if (linkMode !== undefined) {
    writer.attributeU8(IFLA.LINKMODE, oneOf({ default: 0, dormant: 1 }, linkMode, operation, 'linkMode'));
  }
  if (addressGeneration !== undefined) {
    const mode = oneOf(ADDRESS_GENERATION, addressGeneration, operation, 'addressGeneration');
    writer.nest(IFLA.AF_SPEC, () => {
      writer.nest(AF.INET6, () => {
        writer.attributeU8(IFLA_INET6_ADDR_GEN_MODE, mode);
      });
    });
  }
  if (change.xdp !== undefined) writeXdp(writer, change.xdp, operation);
  if (netns !== undefined) {
    writer.attributeU32(IFLA.NET_NS_FD, descriptors.namespace(netns, operation, 'netns'));
  }
}

/** Which interface to read: by index or by name. */
export function writeLinkQuery(
  writer: Writer,
  which: number | string,
  statistics: boolean,
  operation: string,
): void {
  writeLinkHeader(writer, typeof which === 'string' ? 0 : interfaceIndex(which, operation));
  if (typeof which === 'string') writer.attributeString(IFLA.IFNAME, interfaceName(which, operation));
  writeStatisticsMask(writer, statistics);
}

export function writeStatisticsMask(writer: Writer, statistics: boolean): void {
  writer.attributeU32(IFLA.EXT_MASK, statistics ? 0 : RTEXT_FILTER_SKIP_STATS);
}
