// Neighbours: who answers to which address on an interface (RTM_*NEIGH, struct ndmsg).
import type { Payload, Writer } from './attributes.js';
import { familyNumber, familyOf } from './address.js';
import { interfaceIndex, nameOf, oneOf } from './check.js';
import { AF, NDA, NTF, NTF_EXT_MANAGED } from './constants.js';
import { formatAddress, formatLinkAddress, parseAddress, parseLinkAddress, type Family } from './text.js';

const STATES = {
  none: 0,
  incomplete: 0x01,
  reachable: 0x02,
  stale: 0x04,
  delay: 0x08,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80,
} as const;

/** The states of RFC 4861 7.3.2, and the kernel's: failed, noarp (needs none), permanent, none. */
export type NeighbourState = keyof typeof STATES;
const stateName = nameOf(STATES);

export interface Neighbour {
  readonly index: number;
  readonly family: Family;
  readonly address: string;
  /** Link-layer address, once known. */
  readonly lladdr?: string;
  readonly state: NeighbourState;
  /** It said that it is a router (RFC 4861). */
  readonly router: boolean;
  /** Answered for by this machine (proxy ARP, proxy ND). */
  readonly proxy: boolean;
  /** Written by a control plane: never collected as garbage. */
  readonly externLearned: boolean;
  /** Resolved and kept fresh by the kernel itself, traffic or not. */
  readonly managed: boolean;
  /** Who wrote it, as a routing protocol's number; 0: nobody said. */
  readonly protocol: number;
}

export interface NeighbourSpec {
  readonly index: number;
  readonly address: string;
  readonly lladdr?: string;
  /** 'permanent' where absent; 'none' for a managed neighbour without `lladdr`, which resolves it. */
  readonly state?: NeighbourState;
  /** Resolved and kept fresh by the kernel (5.16 or newer; older ones refuse). */
  readonly managed?: boolean;
  readonly externLearned?: boolean;
  readonly router?: boolean;
}

type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

/** Undefined for messages of other families, such as a bridge's forwarding entries. */
export function readNeighbour(payload: Payload): Neighbour | undefined {
  const family = familyOf(payload.u8());
  if (family === undefined) return undefined;
  const flags = payload.u8(10);
  const made: Draft<Neighbour> = {
    index: payload.i32(4),
    family,
    address: '',
    state: stateName(payload.u16(8)) ?? 'none',
    router: (flags & NTF.ROUTER) !== 0,
    proxy: (flags & NTF.PROXY) !== 0,
    externLearned: (flags & NTF.EXT_LEARNED) !== 0,
    managed: false,
    protocol: 0,
  };
  payload.attributes(12, (type, value) => {
    switch (type) {
      case NDA.DST:
        made.address = formatAddress(value.bytes()) ?? '';
        break;
      case NDA.LLADDR:
        if (value.length > 0) made.lladdr = formatLinkAddress(value.bytes());
        break;
      case NDA.FLAGS_EXT:
        made.managed = (value.u32() & NTF_EXT_MANAGED) !== 0;
        break;
      case NDA.PROTOCOL:
        made.protocol = value.u8();
        break;
      default:
    }
  });
  return made.address === '' ? undefined : made;
}

export function writeNeighbour(writer: Writer, spec: NeighbourSpec, operation: string): void {
  const { family, bytes } = parseAddress(spec.address, operation, 'address');
  const managed = spec.managed === true;
  const state = spec.state ?? (managed && spec.lladdr === undefined ? 'none' : 'permanent');
  const flags = (spec.externLearned === true ? NTF.EXT_LEARNED : 0) | (spec.router === true ? NTF.ROUTER : 0);
  writer.u8(familyNumber(family)).u8(0).u16(0).u32(interfaceIndex(spec.index, operation));
  writer
    .u16(oneOf(STATES, state, operation, 'state'))
    .u8(flags)
    .u8(0);
  writer.attributeBytes(NDA.DST, bytes);
  if (spec.lladdr !== undefined) {
    writer.attributeBytes(NDA.LLADDR, parseLinkAddress(spec.lladdr, operation, 'lladdr'));
  }
  if (managed) writer.attributeU32(NDA.FLAGS_EXT, NTF_EXT_MANAGED);
}

/** Which neighbour to delete. */
export function writeNeighbourKey(
  writer: Writer,
  key: { readonly index: number; readonly address: string },
  operation: string,
): void {
  const { family, bytes } = parseAddress(key.address, operation, 'address');
  writer.u8(familyNumber(family)).u8(0).u16(0).u32(interfaceIndex(key.index, operation)).u16(0).u8(0).u8(0);
  writer.attributeBytes(NDA.DST, bytes);
}

/** A dump request; `index` narrows it to one interface. */
export function writeNeighbourQuery(
  writer: Writer,
  family: Family | undefined,
  index: number | undefined,
): void {
  writer
    .u8(family === undefined ? AF.UNSPEC : familyNumber(family))
    .u8(0)
    .u16(0)
    .u32(0)
    .u16(0)
    .u8(0)
    .u8(0);
  if (index !== undefined) writer.attributeU32(NDA.IFINDEX, index);
}
