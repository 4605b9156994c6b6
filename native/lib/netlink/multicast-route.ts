// Multicast routes (RTM_*ROUTE in the families RTNL_FAMILY_IPMR and IP6MR), which a multicast
// routing daemon writes, and the kernel's reports to it (RTM_NEWCACHEREPORT).
import type { Payload, Writer } from './attributes.js';
import { u32 } from './check.js';
import { AF, IPMRA_CREPORT, RTA, RTNH_F_UNRESOLVED } from './constants.js';
import { RouteTable } from './route-types.js';
import { formatAddress, type Family } from './text.js';

export interface MulticastOutput {
  readonly index: number;
  /** Packets with a TTL or hop limit up to this are not sent here. */
  readonly ttl: number;
}

export interface MulticastRoute {
  readonly family: Family;
  /** '0.0.0.0' or '::' where any source is meant. */
  readonly source: string;
  readonly group: string;
  readonly table: number;
  /** The interface its packets must come in through; absent while unresolved. */
  readonly inputIndex?: number;
  readonly outputs: readonly MulticastOutput[];
  /** Packets wait for a daemon to write this route. */
  readonly unresolved: boolean;
  readonly protocol: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  /** Packets that came in through another interface. */
  readonly wrongInterface: bigint;
}

/** A packet the kernel asks its multicast daemon about. */
export interface MulticastReport {
  readonly family: Family;
  /** `nocache`: no route; `wrong-interface`: it came in elsewhere; `whole-packet`: to be registered at a rendezvous point. */
  readonly reason: 'nocache' | 'wrong-interface' | 'whole-packet' | 'other';
  /** Number of the virtual interface (VIF, MIF) it came in through. */
  readonly vif: number;
  readonly source: string;
  readonly group: string;
  readonly table: number;
  readonly packet: Uint8Array;
}

type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

function multicastFamily(number: number): Family | undefined {
  return number === AF.IPMR ? 4 : number === AF.IP6MR ? 6 : undefined;
}

const NEXT_HOP_HEADER = 8;
const ROUTE_HEADER = 12;

export function readMulticastRoute(payload: Payload): MulticastRoute | undefined {
  const family = multicastFamily(payload.u8());
  if (family === undefined) return undefined;
  const any = family === 4 ? '0.0.0.0' : '::';
  const outputs: MulticastOutput[] = [];
  const made: Draft<MulticastRoute> = {
    family,
    source: any,
    group: any,
    table: payload.u8(4),
    outputs,
    unresolved: (payload.u32(8) & RTNH_F_UNRESOLVED) !== 0,
    protocol: payload.u8(5),
    packets: 0n,
    bytes: 0n,
    wrongInterface: 0n,
  };
  payload.attributes(ROUTE_HEADER, (type, value) => {
    switch (type) {
      case RTA.SRC:
        made.source = formatAddress(value.bytes()) ?? any;
        break;
      case RTA.DST:
        made.group = formatAddress(value.bytes()) ?? any;
        break;
      case RTA.TABLE:
        made.table = value.u32();
        break;
      case RTA.IIF:
        made.inputIndex = value.u32();
        break;
      case RTA.MULTIPATH:
        value.elements(NEXT_HOP_HEADER, (element) =>
          outputs.push({ index: element.i32(4), ttl: element.u8(3) }),
        );
        break;
      case RTA.MFC_STATS:
        made.packets = value.u64(0);
        made.bytes = value.u64(8);
        made.wrongInterface = value.u64(16);
        break;
      default:
    }
  });
  return made;
}

// IGMPMSG_ and MRT6MSG_ numbers.
const REASONS = ['other', 'nocache', 'wrong-interface', 'whole-packet', 'whole-packet'] as const;

export function readMulticastReport(payload: Payload): MulticastReport | undefined {
  const family = multicastFamily(payload.u8());
  if (family === undefined) return undefined;
  const any = family === 4 ? '0.0.0.0' : '::';
  const made: Draft<MulticastReport> = {
    family,
    reason: 'other',
    vif: 0,
    source: any,
    group: any,
    table: RouteTable.default,
    packet: new Uint8Array(),
  };
  // struct rtgenmsg, padded
  payload.attributes(4, (type, value) => {
    switch (type) {
      case IPMRA_CREPORT.MSGTYPE:
        made.reason = REASONS[value.u8()] ?? 'other';
        break;
      case IPMRA_CREPORT.VIF_ID:
        made.vif = value.u32();
        break;
      case IPMRA_CREPORT.SRC_ADDR:
        made.source = formatAddress(value.bytes()) ?? any;
        break;
      case IPMRA_CREPORT.DST_ADDR:
        made.group = formatAddress(value.bytes()) ?? any;
        break;
      case IPMRA_CREPORT.PKT:
        made.packet = value.bytes().slice();
        break;
      case IPMRA_CREPORT.TABLE:
        made.table = value.u32();
        break;
      default:
    }
  });
  return made;
}

export function writeMulticastQuery(
  writer: Writer,
  family: Family,
  table: number | undefined,
  operation: string,
): void {
  writer.u8(family === 4 ? AF.IPMR : AF.IP6MR).zeros(11);
  if (table !== undefined) writer.attributeU32(RTA.TABLE, u32(table, operation, 'table'));
}
