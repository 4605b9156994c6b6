// The netlink part of libbpf-ts, as its users see it.
export type { AddressSpec, InterfaceAddress, Scope } from './address.js';
export type { NetlinkEvent, NetlinkGroup } from './events.js';
export { GenericNetlink, type XdpFeatures } from './generic.js';
export type { BridgeSpec, LinkSpec, PlainSpec, VethPeer, VethSpec, VxlanSpec } from './link-create.js';
export type { AddressGeneration, Link, LinkChange, LinkXdp, OperationalState, XdpChange } from './link.js';
export type { LinkStatistics } from './link-statistics.js';
export type { MulticastOutput, MulticastReport, MulticastRoute } from './multicast-route.js';
export type { Neighbour, NeighbourSpec, NeighbourState } from './neighbour.js';
export { Netlink, type LinkOptions, type NetlinkOptions, type SubscribeOptions } from './netlink.js';
export type { NeighbourKey, Op } from './operations.js';
export {
  NextHopFlags,
  RouteProtocol,
  RouteTable,
  type LookupOptions,
  type NextHop,
  type NextHopSpec,
  type Route,
  type RouteFilter,
  type RouteKey,
  type RouteMetrics,
  type RouteSpec,
  type RouteType,
} from './route-types.js';
export type { Subscription } from './subscription.js';
export type { Family } from './text.js';
