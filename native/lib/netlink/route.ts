// Routes (RTM_*ROUTE, struct rtmsg): several next hops, gateways of the other family,
// next-hop objects, tables above 255.
import { argumentError } from '../error.js';
import { familyNumber, familyOf, SCOPES, scopeOf, type Scope } from './address.js';
import type { Payload, Writer } from './attributes.js';
import { integer, interfaceIndex, oneOf, u32 } from './check.js';
import { AF, RT_SCOPE_NOWHERE, RTA, RTM_F, RTNH_F_ONLINK } from './constants.js';
import {
  METRICS,
  metricName,
  RouteProtocol,
  RouteTable,
  ROUTE_TYPES,
  routeType,
  type LookupOptions,
  type NextHop,
  type NextHopSpec,
  type Route,
  type RouteFilter,
  type RouteKey,
  type RouteMetrics,
  type RouteSpec,
} from './route-types.js';
import { formatAddress, parseAddress, parsePrefix, type Family } from './text.js';

type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

/** struct rtnexthop. */
const NEXT_HOP_HEADER = 8;
/** struct rtmsg. */
const ROUTE_HEADER = 12;

function readVia(value: Payload): string | undefined {
  return familyOf(value.u16()) === undefined ? undefined : formatAddress(value.bytes(2));
}

// Gateway and encapsulation stand in the same attributes for a single next hop and in a list.
function readHopAttribute(hop: Draft<NextHop>, type: number, value: Payload): void {
  if (type === RTA.GATEWAY || type === RTA.VIA) {
    const gateway = type === RTA.GATEWAY ? formatAddress(value.bytes()) : readVia(value);
    if (gateway !== undefined) hop.gateway = gateway;
  } else if (type === RTA.ENCAP_TYPE) {
    hop.encapsulation = value.u16();
  }
}

function readNextHops(value: Payload): NextHop[] {
  const hops: NextHop[] = [];
  value.elements(NEXT_HOP_HEADER, (element) => {
    const hop: Draft<NextHop> = { index: element.i32(4), weight: element.u8(3) + 1, flags: element.u8(2) };
    element.attributes(NEXT_HOP_HEADER, (type, inner) => readHopAttribute(hop, type, inner));
    hops.push(hop);
  });
  return hops;
}

function readMetrics(value: Payload): RouteMetrics {
  const metrics: Draft<RouteMetrics> = {};
  value.attributes(0, (type, inner) => {
    const name = metricName(type);
    if (name !== undefined) metrics[name] = inner.u32();
  });
  return metrics;
}

// The flags of a single next hop stand in rtm_flags, below the message's own.
const HOP_FLAGS = 0xff;

/** Undefined for other families and, unless wanted, for the cache's copies of routes. */
export function readRoute(payload: Payload, cached = false): Route | undefined {
  const family = familyOf(payload.u8());
  const flags = payload.u32(8);
  if (family === undefined || (!cached && (flags & RTM_F.CLONED) !== 0)) return undefined;
  const length = payload.u8(1);
  let destination = family === 4 ? '0.0.0.0' : '::';
  let single: Draft<NextHop> | undefined;
  let several: NextHop[] | undefined;
  const hop = (): Draft<NextHop> => (single ??= { index: 0, weight: 1, flags: flags & HOP_FLAGS });
  const made: Draft<Route> = {
    family,
    destination: '',
    table: payload.u8(4),
    protocol: payload.u8(5),
    type: routeType(payload.u8(7)) ?? 'unspecified',
    scope: scopeOf(payload.u8(6)),
    metric: 0,
    typeOfService: payload.u8(3),
    nextHops: [],
    flags,
  };
  payload.attributes(ROUTE_HEADER, (type, value) => {
    switch (type) {
      case RTA.DST:
        destination = formatAddress(value.bytes()) ?? destination;
        break;
      case RTA.SRC:
        // Zero: a look-up that named no source.
        if (value.bytes().some((byte) => byte !== 0)) {
          made.from = `${formatAddress(value.bytes()) ?? ''}/${payload.u8(2)}`;
        }
        break;
      case RTA.TABLE:
        made.table = value.u32();
        break;
      case RTA.PRIORITY:
        made.metric = value.u32();
        break;
      case RTA.PREFSRC: {
        const source = formatAddress(value.bytes());
        if (source !== undefined) made.source = source;
        break;
      }
      case RTA.OIF:
        hop().index = value.i32();
        break;
      case RTA.GATEWAY:
      case RTA.VIA:
      case RTA.ENCAP_TYPE:
        readHopAttribute(hop(), type, value);
        break;
      case RTA.MULTIPATH:
        several = readNextHops(value);
        break;
      case RTA.NH_ID:
        made.nextHopId = value.u32();
        break;
      case RTA.METRICS:
        made.metrics = readMetrics(value);
        break;
      default:
    }
  });
  made.destination = `${destination}/${length}`;
  made.nextHops = several ?? (single === undefined ? [] : [single]);
  return made;
}

function writeGateway(writer: Writer, text: string, family: Family, operation: string): void {
  const gateway = parseAddress(text, operation, 'gateway');
  if (gateway.family === family) {
    writer.attributeBytes(RTA.GATEWAY, gateway.bytes);
  } else if (family === 4) {
    // struct rtvia
    writer.nest(RTA.VIA, () => writer.u16(AF.INET6).raw(gateway.bytes), 0);
  } else {
    throw argumentError(operation, 'gateway', 'an IPv6 address on an IPv6 route');
  }
}

function isOnlink(hop: NextHopSpec): boolean {
  return hop.onlink ?? ((hop.flags ?? 0) & RTNH_F_ONLINK) !== 0;
}

function writeNextHops(
  writer: Writer,
  hops: readonly NextHopSpec[],
  family: Family,
  operation: string,
): void {
  const [only] = hops;
  if (hops.length === 1 && only !== undefined && (only.weight ?? 1) === 1) {
    if (only.index !== undefined && only.index !== 0) {
      writer.attributeU32(RTA.OIF, interfaceIndex(only.index, operation, 'nextHops.index'));
    }
    if (only.gateway !== undefined) writeGateway(writer, only.gateway, family, operation);
    return;
  }
  writer.nest(
    RTA.MULTIPATH,
    () => {
      for (const hop of hops) {
        const weight = integer(hop.weight ?? 1, operation, 'nextHops.weight', 1, 256);
        writer.element(() => {
          writer.u8(isOnlink(hop) ? RTNH_F_ONLINK : 0).u8(weight - 1);
          writer.u32(hop.index === undefined ? 0 : interfaceIndex(hop.index, operation, 'nextHops.index'));
          if (hop.gateway !== undefined) writeGateway(writer, hop.gateway, family, operation);
        });
      }
    },
    0,
  );
}

function writeMetrics(writer: Writer, metrics: RouteMetrics, operation: string): void {
  writer.nest(RTA.METRICS, () => {
    for (const [name, value] of Object.entries(metrics)) {
      writer.attributeU32(
        oneOf(METRICS, name, operation, 'metrics'),
        u32(value, operation, `metrics.${name}`),
      );
    }
  });
}

// What iproute2 implies too: a machine's own addresses do not leave it, a gateway is beyond the link.
function impliedScope(type: number, family: Family, hops: readonly NextHopSpec[], nextHopId?: number): Scope {
  if (family === 6) return 'universe';
  if (type === ROUTE_TYPES.local || type === ROUTE_TYPES.nat) return 'host';
  if (type === ROUTE_TYPES.broadcast || type === ROUTE_TYPES.multicast || type === ROUTE_TYPES.anycast) {
    return 'link';
  }
  const direct = nextHopId === undefined && hops.length > 0 && hops.every((hop) => hop.gateway === undefined);
  return type === ROUTE_TYPES.unicast && direct ? 'link' : 'universe';
}

interface Defaults {
  readonly protocol: number;
  readonly type: number;
  readonly scope?: number;
}

function writeBody(writer: Writer, spec: RouteSpec, operation: string, defaults: Defaults): void {
  const { family, bytes, length } = parsePrefix(spec.destination, operation, 'destination');
  const table =
    spec.table === undefined ? RouteTable.main : integer(spec.table, operation, 'table', 1, 0xffffffff);
  const type = spec.type === undefined ? defaults.type : oneOf(ROUTE_TYPES, spec.type, operation, 'type');
  const protocol = integer(spec.protocol ?? defaults.protocol, operation, 'protocol', 0, 255);
  const from = spec.from === undefined ? undefined : parsePrefix(spec.from, operation, 'from');
  const hops = spec.nextHops ?? [];
  let scope = defaults.scope;
  if (spec.scope !== undefined) scope = oneOf(SCOPES, spec.scope, operation, 'scope');
  scope ??= SCOPES[impliedScope(type, family, hops, spec.nextHopId)];
  const only = hops.length === 1 && spec.nextHopId === undefined ? hops[0] : undefined;
  const tos = integer(spec.typeOfService ?? 0, operation, 'typeOfService', 0, 255);
  writer
    .u8(familyNumber(family))
    .u8(length)
    .u8(from?.length ?? 0)
    .u8(tos);
  writer
    .u8(table > 255 ? RouteTable.compat : table)
    .u8(protocol)
    .u8(scope)
    .u8(type);
  writer.u32(only !== undefined && isOnlink(only) ? RTNH_F_ONLINK : 0);
  if (length > 0) writer.attributeBytes(RTA.DST, bytes);
  if (from !== undefined) {
    if (from.family !== family) throw argumentError(operation, 'from', `an IPv${family} prefix`);
    writer.attributeBytes(RTA.SRC, from.bytes);
  }
  writer.attributeU32(RTA.TABLE, table);
  if (spec.metric !== undefined) writer.attributeU32(RTA.PRIORITY, u32(spec.metric, operation, 'metric'));
  if (spec.source !== undefined) {
    const source = parseAddress(spec.source, operation, 'source');
    writer.attributeBytes(RTA.PREFSRC, source.bytes);
  }
  if (spec.nextHopId !== undefined) {
    writer.attributeU32(RTA.NH_ID, integer(spec.nextHopId, operation, 'nextHopId', 1, 0xffffffff));
  } else if (hops.length > 0) writeNextHops(writer, hops, family, operation);
  if (spec.metrics !== undefined) writeMetrics(writer, spec.metrics, operation);
}

export function writeRoute(writer: Writer, spec: RouteSpec, operation: string): void {
  writeBody(writer, spec, operation, { protocol: RouteProtocol.static, type: ROUTE_TYPES.unicast });
}

/** What is absent matches anything. */
export function writeRouteKey(writer: Writer, key: RouteKey, operation: string): void {
  writeBody(writer, key, operation, {
    protocol: RouteProtocol.unspecified,
    type: ROUTE_TYPES.unspecified,
    scope: RT_SCOPE_NOWHERE,
  });
}

export function writeRouteQuery(
  writer: Writer,
  family: Family,
  filter: RouteFilter,
  operation: string,
): void {
  const protocol = integer(filter.protocol ?? 0, operation, 'protocol', 0, 255);
  const type = filter.type === undefined ? 0 : oneOf(ROUTE_TYPES, filter.type, operation, 'type');
  writer.u8(familyNumber(family)).zeros(4).u8(protocol).u8(0).u8(type).u32(0);
  if (filter.table !== undefined) writer.attributeU32(RTA.TABLE, u32(filter.table, operation, 'table'));
  if (filter.index !== undefined) writer.attributeU32(RTA.OIF, interfaceIndex(filter.index, operation));
}

export function writeLookup(
  writer: Writer,
  address: string,
  options: LookupOptions,
  operation: string,
): void {
  const { family, bytes } = parseAddress(address, operation, 'address');
  const bits = bytes.length * 8;
  const { from, inIndex, outIndex, mark, protocol, sourcePort, destinationPort } = options;
  const tos = integer(options.typeOfService ?? 0, operation, 'typeOfService', 0, 255);
  writer
    .u8(familyNumber(family))
    .u8(bits)
    .u8(from === undefined ? 0 : bits)
    .u8(tos)
    .zeros(4);
  // IPv6 tells the table unasked, and refuses to be asked.
  const flags = family === 4 ? RTM_F.LOOKUP_TABLE : 0;
  writer.u32(flags | (options.fibMatch === true ? RTM_F.FIB_MATCH : 0));
  writer.attributeBytes(RTA.DST, bytes);
  if (from !== undefined) {
    const source = parseAddress(from, operation, 'from');
    if (source.family !== family) throw argumentError(operation, 'from', `an IPv${family} address`);
    writer.attributeBytes(RTA.SRC, source.bytes);
  }
  if (inIndex !== undefined) writer.attributeU32(RTA.IIF, interfaceIndex(inIndex, operation, 'inIndex'));
  if (outIndex !== undefined) writer.attributeU32(RTA.OIF, interfaceIndex(outIndex, operation, 'outIndex'));
  if (mark !== undefined) writer.attributeU32(RTA.MARK, u32(mark, operation, 'mark'));
  if (protocol !== undefined) {
    writer.attributeU8(RTA.IP_PROTO, integer(protocol, operation, 'protocol', 0, 255));
  }
  if (sourcePort !== undefined) {
    writer.attributeU16be(RTA.SPORT, integer(sourcePort, operation, 'sourcePort', 0, 65535));
  }
  if (destinationPort !== undefined) {
    writer.attributeU16be(RTA.DPORT, integer(destinationPort, operation, 'destinationPort', 0, 65535));
  }
}
