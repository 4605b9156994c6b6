// Addresses of interfaces (RTM_*ADDR, struct ifaddrmsg).
import type { Payload, Writer } from './attributes.js';
import { argumentError } from '../error.js';
import { integer, interfaceIndex, nameOf, oneOf } from './check.js';
import { AF, IFA, IFA_F } from './constants.js';
import { formatAddress, parseAddress, type Family } from './text.js';

export const SCOPES = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;

/** How far an address or a route is meant to reach (RFC 3549). */
export type Scope = keyof typeof SCOPES;
const scopeName = nameOf(SCOPES);

/** A scope's name; user-defined ones count as the next wider named one. */
export function scopeOf(number: number): Scope {
  return scopeName(number) ?? (number < SCOPES.site ? 'universe' : 'site');
}

export interface InterfaceAddress {
  readonly index: number;
  readonly family: Family;
  readonly address: string;
  readonly prefixLength: number;
  /** The other end, of a point-to-point address. */
  readonly peer?: string;
  readonly broadcast?: string;
  readonly label?: string;
  readonly scope: Scope;
  /** IFA_F_ bits. */
  readonly flags: number;
  /** Duplicate address detection is still running (RFC 4862): it cannot be used yet. */
  readonly tentative: boolean;
  /** Duplicate address detection found another owner. */
  readonly duplicate: boolean;
  readonly deprecated: boolean;
  readonly permanent: boolean;
  /** Who wrote it, as a routing protocol's number (kernel 5.18 or newer); 0: nobody said. */
  readonly protocol: number;
  /** Seconds; absent: for ever. */
  readonly validLifetime?: number;
  /** Seconds; absent: for ever. */
  readonly preferredLifetime?: number;
}

export interface AddressSpec {
  readonly index: number;
  readonly address: string;
  readonly prefixLength: number;
  readonly peer?: string;
  readonly broadcast?: string;
  readonly label?: string;
  readonly scope?: Scope;
  /** Usable at once: without duplicate address detection (IPv6). */
  readonly noDad?: boolean;
  /** Without the route to the prefix the kernel would add. */
  readonly noPrefixRoute?: boolean;
  /** Who writes it, as a routing protocol's number; kernels before 5.18 forget it. */
  readonly protocol?: number;
}

export function familyOf(number: number): Family | undefined {
  return number === AF.INET ? 4 : number === AF.INET6 ? 6 : undefined;
}

export function familyNumber(family: Family): number {
  return family === 4 ? AF.INET : AF.INET6;
}

const FOREVER = 0xffffffff;

type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

/** Undefined for messages of other families. */
export function readAddress(payload: Payload): InterfaceAddress | undefined {
  const family = familyOf(payload.u8());
  if (family === undefined) return undefined;
  let flags = payload.u8(2);
  let local: string | undefined;
  let remote: string | undefined;
  const made: Draft<InterfaceAddress> = {
    index: payload.i32(4),
    family,
    address: '',
    prefixLength: payload.u8(1),
    scope: scopeOf(payload.u8(3)),
    flags,
    tentative: false,
    duplicate: false,
    deprecated: false,
    permanent: false,
    protocol: 0,
  };
  payload.attributes(8, (type, value) => {
    switch (type) {
      case IFA.ADDRESS:
        remote = formatAddress(value.bytes());
        break;
      case IFA.LOCAL:
        local = formatAddress(value.bytes());
        break;
      case IFA.BROADCAST: {
        const text = formatAddress(value.bytes());
        if (text !== undefined) made.broadcast = text;
        break;
      }
      case IFA.LABEL:
        made.label = value.string();
        break;
      case IFA.FLAGS:
        flags = value.u32();
        break;
      case IFA.PROTO:
        made.protocol = value.u8();
        break;
      case IFA.CACHEINFO:
        if (value.u32(0) !== FOREVER) made.preferredLifetime = value.u32(0);
        if (value.u32(4) !== FOREVER) made.validLifetime = value.u32(4);
        break;
      default:
    }
  });
  const address = local ?? remote;
  if (address === undefined) return undefined;
  made.address = address;
  if (remote !== undefined && remote !== address) made.peer = remote;
  made.flags = flags;
  made.tentative = (flags & IFA_F.TENTATIVE) !== 0;
  made.duplicate = (flags & IFA_F.DADFAILED) !== 0;
  made.deprecated = (flags & IFA_F.DEPRECATED) !== 0;
  made.permanent = (flags & IFA_F.PERMANENT) !== 0;
  return made;
}

export function writeAddress(writer: Writer, spec: AddressSpec, operation: string): void {
  const { family, bytes } = parseAddress(spec.address, operation, 'address');
  const length = integer(spec.prefixLength, operation, 'prefixLength', 0, bytes.length * 8);
  const same = (text: string, name: string): ArrayLike<number> => {
    const other = parseAddress(text, operation, name);
    if (other.family !== family) {
      throw argumentError(operation, name, `of the address's own family, IPv${family}`);
    }
    return other.bytes;
  };
  const scope = spec.scope === undefined ? SCOPES.universe : oneOf(SCOPES, spec.scope, operation, 'scope');
  writer.u8(familyNumber(family)).u8(length).u8(0).u8(scope);
  writer.u32(interfaceIndex(spec.index, operation));
  writer.attributeBytes(IFA.LOCAL, bytes);
  writer.attributeBytes(IFA.ADDRESS, spec.peer === undefined ? bytes : same(spec.peer, 'peer'));
  if (spec.broadcast !== undefined) writer.attributeBytes(IFA.BROADCAST, same(spec.broadcast, 'broadcast'));
  if (spec.label !== undefined) {
    if (typeof spec.label !== 'string' || spec.label.length > 15) {
      throw argumentError(operation, 'label', 'a string of at most 15 bytes');
    }
    writer.attributeString(IFA.LABEL, spec.label);
  }
  const flags =
    (spec.noDad === true ? IFA_F.NODAD : 0) | (spec.noPrefixRoute === true ? IFA_F.NOPREFIXROUTE : 0);
  if (flags !== 0) writer.attributeU32(IFA.FLAGS, flags);
  if (spec.protocol !== undefined) {
    writer.attributeU8(IFA.PROTO, integer(spec.protocol, operation, 'protocol', 0, 255));
  }
}

/** The header of a dump request; `index` narrows it to one interface. */
export function writeAddressQuery(
  writer: Writer,
  family: Family | undefined,
  index: number | undefined,
): void {
  writer
    .u8(family === undefined ? AF.UNSPEC : familyNumber(family))
    .u8(0)
    .u8(0)
    .u8(0)
    .u32(index ?? 0);
}
