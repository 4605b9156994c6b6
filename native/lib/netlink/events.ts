// What the kernel tells unasked: groups of notices, and each notice as an event.
import { argumentError } from '../error.js';
import { readAddress, type InterfaceAddress } from './address.js';
import type { Message } from './attributes.js';
import { isArray } from './check.js';
import { AF, NLM_F, RTM, RTNLGRP } from './constants.js';
import { readLink, type Link } from './link.js';
import {
  readMulticastReport,
  readMulticastRoute,
  type MulticastReport,
  type MulticastRoute,
} from './multicast-route.js';
import { readNeighbour, type Neighbour } from './neighbour.js';
import type { Route } from './route-types.js';
import { readRoute } from './route.js';

const GROUPS = {
  link: [RTNLGRP.LINK],
  address: [RTNLGRP.IPV4_IFADDR, RTNLGRP.IPV6_IFADDR],
  neighbour: [RTNLGRP.NEIGH],
  route: [RTNLGRP.IPV4_ROUTE, RTNLGRP.IPV6_ROUTE],
  multicastRoute: [RTNLGRP.IPV4_MROUTE, RTNLGRP.IPV6_MROUTE],
  multicastReport: [RTNLGRP.IPV4_MROUTE_R, RTNLGRP.IPV6_MROUTE_R],
} as const;

export type NetlinkGroup = keyof typeof GROUPS;

/**
 * Something is new or changed ('new'), or gone ('del'). `resync`: notices were lost; what was known may be wrong,
 * so dump again.
 *
 * `replaced`: the route took the place of one with the same key. A 'new' IPv6 route has all its next hops,
 * also when only one was added; a 'del' has those that went, and others may be left.
 */
export type NetlinkEvent =
  | { readonly type: 'new' | 'del'; readonly what: 'link'; readonly object: Link }
  | { readonly type: 'new' | 'del'; readonly what: 'address'; readonly object: InterfaceAddress }
  | { readonly type: 'new' | 'del'; readonly what: 'neighbour'; readonly object: Neighbour }
  | {
      readonly type: 'new' | 'del';
      readonly what: 'route';
      readonly object: Route;
      readonly replaced: boolean;
    }
  | { readonly type: 'new' | 'del'; readonly what: 'multicastRoute'; readonly object: MulticastRoute }
  | { readonly type: 'new'; readonly what: 'multicastReport'; readonly object: MulticastReport }
  | { readonly type: 'resync' };

export function groupNumbers(groups: readonly NetlinkGroup[], operation: string): number[] {
  const known = new Map<unknown, readonly number[]>(Object.entries(GROUPS));
  if (!isArray(groups) || groups.length === 0 || groups.some((group) => !known.has(group))) {
    throw argumentError(operation, 'groups', `a list of some of ${[...known.keys()].join(', ')}`);
  }
  return groups.flatMap((group) => known.get(group) ?? []);
}

/** Undefined for notices about something else. */
export function readEvent(message: Message): NetlinkEvent | undefined {
  const { payload, flags } = message;
  switch (message.type) {
    case RTM.NEWLINK:
    case RTM.DELLINK: {
      const object = readLink(payload);
      return object && { type: message.type === RTM.NEWLINK ? 'new' : 'del', what: 'link', object };
    }
    case RTM.NEWADDR:
    case RTM.DELADDR: {
      const object = readAddress(payload);
      return object && { type: message.type === RTM.NEWADDR ? 'new' : 'del', what: 'address', object };
    }
    case RTM.NEWNEIGH:
    case RTM.DELNEIGH: {
      const object = readNeighbour(payload);
      return object && { type: message.type === RTM.NEWNEIGH ? 'new' : 'del', what: 'neighbour', object };
    }
    case RTM.NEWROUTE:
    case RTM.DELROUTE: {
      const type = message.type === RTM.NEWROUTE ? 'new' : 'del';
      const family = payload.u8();
      if (family === AF.IPMR || family === AF.IP6MR) {
        const object = readMulticastRoute(payload);
        return object && { type, what: 'multicastRoute', object };
      }
      const object = readRoute(payload);
      return (
        object && { type, what: 'route', object, replaced: type === 'new' && (flags & NLM_F.REPLACE) !== 0 }
      );
    }
    case RTM.NEWCACHEREPORT: {
      const object = readMulticastReport(payload);
      return object && { type: 'new', what: 'multicastReport', object };
    }
    default:
      return undefined;
  }
}
