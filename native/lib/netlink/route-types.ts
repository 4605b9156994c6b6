// What a route is, as plain data, and the names of its kinds (struct rtmsg).
import type { Scope } from './address.js';
import { nameOf } from './check.js';
import type { Family } from './text.js';

export const ROUTE_TYPES = {
  unspecified: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
  nat: 10,
} as const;

/** What a packet that takes the route meets; 'throw': the look-up goes on in the next table. */
export type RouteType = keyof typeof ROUTE_TYPES;
export const routeType = nameOf(ROUTE_TYPES);

/** Table numbers with a name. */
export const RouteTable = { compat: 252, default: 253, main: 254, local: 255 } as const;

/** Who wrote a route (rtm_protocol); daemons have their own numbers above these. */
export const RouteProtocol = {
  unspecified: 0,
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  ra: 9,
  bird: 12,
  zebra: 11,
  bgp: 186,
  isis: 187,
  ospf: 188,
} as const;

/** Bits of `NextHop.flags`. */
export const NextHopFlags = {
  /** Cannot be used: its interface is down or gone. */
  dead: 0x1,
  pervasive: 0x2,
  /** The gateway is on the link whatever the addresses say. */
  onlink: 0x4,
  offload: 0x8,
  /** Its interface has no carrier. */
  linkDown: 0x10,
  unresolved: 0x20,
  trap: 0x40,
} as const;

/** Names of the kernel's per-route metrics (RTAX_), by number. */
export const METRICS = {
  lock: 1,
  mtu: 2,
  window: 3,
  rtt: 4,
  rttVariance: 5,
  slowStartThreshold: 6,
  congestionWindow: 7,
  advertisedMss: 8,
  reordering: 9,
  hopLimit: 10,
  initialCongestionWindow: 11,
  features: 12,
  minimumRto: 13,
  initialReceiveWindow: 14,
  quickAck: 15,
} as const;
export const metricName = nameOf(METRICS);

export type RouteMetrics = { readonly [Name in keyof typeof METRICS]?: number };

export interface NextHop {
  /** The interface; 0 where the route has none. */
  readonly index: number;
  /** May be IPv6 on an IPv4 route (RFC 8950). Absent: the destination is on the link. */
  readonly gateway?: string;
  /** Share among the next hops, 1 to 256. */
  readonly weight: number;
  /** `NextHopFlags`, or-ed. */
  readonly flags: number;
  /** LWTUNNEL_ENCAP_ number: packets get more than a link-layer header. */
  readonly encapsulation?: number;
}

export interface Route {
  readonly family: Family;
  /** '10.0.0.0/8'; the default route is '0.0.0.0/0' or '::/0'. */
  readonly destination: string;
  readonly table: number;
  /** `RouteProtocol`, or a daemon's number. */
  readonly protocol: number;
  readonly type: RouteType;
  readonly scope: Scope;
  /** Preference among routes to one destination, the lower the better. */
  readonly metric: number;
  readonly typeOfService: number;
  /** Empty for 'blackhole' and its like. */
  readonly nextHops: readonly NextHop[];
  /** The kernel's next-hop object the route refers to. */
  readonly nextHopId?: number;
  /** The address packets of this machine get as their source. */
  readonly source?: string;
  /** Only packets from here (IPv6 source-specific routing). */
  readonly from?: string;
  readonly metrics?: RouteMetrics;
  /** RTM_F_ and RTNH_F_ bits. */
  readonly flags: number;
}

export interface NextHopSpec {
  readonly index?: number;
  readonly gateway?: string;
  /** 1 to 256, default 1. */
  readonly weight?: number;
  /** Only `NextHopFlags.onlink` is written. */
  readonly flags?: number;
  readonly onlink?: boolean;
}

/** A route to write; a `Route` that was read is one too. */
export interface RouteSpec {
  readonly destination: string;
  /** Default `RouteTable.main`. */
  readonly table?: number;
  /** Default `RouteProtocol.static`. */
  readonly protocol?: number;
  /** Default 'unicast'. */
  readonly type?: RouteType;
  /** Default: what its type and gateways imply. */
  readonly scope?: Scope;
  /** Default: the kernel's, 0 for IPv4 and 1024 for IPv6. */
  readonly metric?: number;
  readonly typeOfService?: number;
  readonly nextHops?: readonly NextHopSpec[];
  /** Instead of `nextHops`; wins where both are given. */
  readonly nextHopId?: number;
  readonly source?: string;
  readonly from?: string;
  readonly metrics?: RouteMetrics;
}

/** Which route to delete: the destination, and whatever else is given must match. */
export type RouteKey = RouteSpec;

export interface RouteFilter {
  readonly family?: Family;
  readonly table?: number;
  readonly protocol?: number;
  readonly type?: RouteType;
  /** Routes through this interface. */
  readonly index?: number;
}

export interface LookupOptions {
  /** The packet's source address. */
  readonly from?: string;
  /** Out through this interface. */
  readonly outIndex?: number;
  /** As if it had come in through this interface: forwarding, instead of a packet of this machine. */
  readonly inIndex?: number;
  readonly mark?: number;
  readonly typeOfService?: number;
  /** IP protocol and ports, where rules or multipath hashing ask for them. */
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** The route of the table that matched, with all its next hops, instead of the one way this packet would go. */
  readonly fibMatch?: boolean;
}
