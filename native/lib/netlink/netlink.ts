// Netlink: the routing socket of one network namespace. Links, addresses, neighbours, routes and
// multicast routes are read, changed and watched through it, from whatever namespace the caller is in.
import { argumentError, BpfError } from '../error.js';
import { readAddress, writeAddressQuery, type AddressSpec, type InterfaceAddress } from './address.js';
import { interfaceIndex, isArray } from './check.js';
import { NLM_F, RTM } from './constants.js';
import { groupNumbers, type NetlinkEvent, type NetlinkGroup } from './events.js';
import { wantsPeerUp, type LinkSpec } from './link-create.js';
import {
  readLink,
  writeLinkHeader,
  writeLinkQuery,
  writeStatisticsMask,
  type Link,
  type LinkChange,
} from './link.js';
import { readMulticastRoute, writeMulticastQuery, type MulticastRoute } from './multicast-route.js';
import { netlinkOpen, type NativeNetlink } from './native.js';
import { readNeighbour, writeNeighbourQuery, type Neighbour, type NeighbourSpec } from './neighbour.js';
import { requestOf, type NeighbourKey, type Op } from './operations.js';

import type { LookupOptions, Route, RouteFilter, RouteKey, RouteSpec } from './route-types.js';
import { readRoute, writeLookup, writeRouteQuery } from './route.js';
import { RequestSocket } from './socket.js';
import { Subscription } from './subscription.js';
import type { Family } from './text.js';

export interface NetlinkOptions {
  /** Path of the network namespace, such as /run/netns/x; the process's own where absent. */
  readonly netns?: string;
}

export interface SubscribeOptions {
  /** Bytes of notices that may wait to be read (default 16 MiB). Beyond net.core.rmem_max only with CAP_NET_ADMIN. */
  readonly receiveBuffer?: number;
}

export interface LinkOptions {
  /** With `Link.statistics`. */
  readonly statistics?: boolean;
}

const REQUEST_BUFFER = 4 << 20;
const SUBSCRIPTION_BUFFER = 16 << 20;
const DUMP = NLM_F.REQUEST | NLM_F.DUMP;

function hasCode(error: BpfError, ...codes: string[]): boolean {
  return codes.includes(error.code);
}

/**
 * One namespace's routing socket. Calls may overlap: changes and look-ups are done in the order of the calls, many to
 * a system call; dumps run beside them. Every method rejects with `BpfError`: the kernel's errno by name with
 * the kernel's own explanation, ERR_ARGUMENT for what could not be sent, ERR_CLOSED after `close()`, EINTR
 * for a table that changed during every try to dump it. An idle socket does not keep the process alive.
 */
export class Netlink {
  readonly #native: NativeNetlink;
  readonly #socket: RequestSocket;
  readonly #subscriptions = new Set<Subscription>();

  private constructor(native: NativeNetlink) {
    this.#native = native;
    this.#socket = new RequestSocket(native);
  }

  static async open(options: NetlinkOptions = {}): Promise<Netlink> {
    return new Netlink(await netlinkOpen(options.netns ?? null, REQUEST_BUFFER, false));
  }

  links(options: LinkOptions = {}): Promise<Link[]> {
    const statistics = options.statistics === true;
    return this.#socket.dump({
      operation: 'links',
      write: (writer) => {
        writer.begin(RTM.GETLINK, DUMP);
        writeLinkHeader(writer, 0);
        writeStatisticsMask(writer, statistics);
      },
      read: (payload) => readLink(payload, statistics),
    });
  }

  /** One interface by index or name; undefined when there is none. */
  async link(which: number | string, options: LinkOptions = {}): Promise<Link | undefined> {
    const operation = 'link';
    const statistics = options.statistics === true;
    let found: Link | undefined;
    const [error] = await this.#socket.run(operation, 1, () => ({
      operation,
      subject: () => String(which),
      write: (writer) => {
        writer.begin(RTM.GETLINK, NLM_F.REQUEST);
        writeLinkQuery(writer, which, statistics, operation);
      },
      receive: (payload) => {
        found = readLink(payload, statistics);
      },
    }));
    if (error !== undefined && !hasCode(error, 'ENODEV')) throw error;
    return found;
  }

  /** Makes an interface (a veth with its peer) and returns it as it is now. */
  async addLink(link: LinkSpec): Promise<Link> {
    if (!wantsPeerUp(link)) {
      await this.#change({ op: 'addLink', link });
      return this.#made(link.name);
    }
    const { peer } = link;
    await this.#change({ op: 'addLink', link: { ...link, peer: { ...peer, up: false } } });
    const { index, peerIndex } = await this.#made(link.name);
    try {
      await this.#setPeerUp(peerIndex, peer.netns);
    } catch (error) {
      await this.deleteLink(index);
      throw error;
    }
    return this.#made(link.name);
  }

  async #made(name: string): Promise<Link> {
    const link = await this.link(name);
    if (link !== undefined) return link;
    throw new BpfError({ code: 'ENODEV', operation: 'addLink', subject: name, detail: 'it is gone again' });
  }

  async #setPeerUp(index: number | undefined, netns: string | number | undefined): Promise<void> {
    if (index === undefined) return;
    if (netns === undefined) {
      await this.setLink(index, { up: true });
      return;
    }
    const there = await Netlink.open({ netns: typeof netns === 'number' ? `/proc/self/fd/${netns}` : netns });
    try {
      await there.setLink(index, { up: true });
    } finally {
      there.close();
    }
  }

  setLink(index: number, change: LinkChange): Promise<void> {
    return this.#change({ op: 'setLink', index, change });
  }

  /** With a veth its peer goes too. Addresses and routes of an interface go with it. */
  deleteLink(index: number): Promise<void> {
    return this.#change({ op: 'deleteLink', index });
  }

  addresses(filter: { readonly family?: Family; readonly index?: number } = {}): Promise<InterfaceAddress[]> {
    const operation = 'addresses';
    return this.#socket.dump({
      operation,
      write: (writer) => {
        const index = filter.index === undefined ? undefined : interfaceIndex(filter.index, operation);
        writeAddressQuery(writer.begin(RTM.GETADDR, DUMP), filter.family, index);
      },
      read: (payload) => readAddress(payload),
    });
  }

  addAddress(address: AddressSpec): Promise<void> {
    return this.#change({ op: 'addAddress', address });
  }

  replaceAddress(address: AddressSpec): Promise<void> {
    return this.#change({ op: 'replaceAddress', address });
  }

  deleteAddress(address: AddressSpec): Promise<void> {
    return this.#change({ op: 'deleteAddress', address });
  }

  neighbours(filter: { readonly family?: Family; readonly index?: number } = {}): Promise<Neighbour[]> {
    const operation = 'neighbours';
    return this.#socket.dump({
      operation,
      write: (writer) => {
        const index = filter.index === undefined ? undefined : interfaceIndex(filter.index, operation);
        writeNeighbourQuery(writer.begin(RTM.GETNEIGH, DUMP), filter.family, index);
      },
      read: readNeighbour,
    });
  }

  addNeighbour(neighbour: NeighbourSpec): Promise<void> {
    return this.#change({ op: 'addNeighbour', neighbour });
  }

  replaceNeighbour(neighbour: NeighbourSpec): Promise<void> {
    return this.#change({ op: 'replaceNeighbour', neighbour });
  }

  deleteNeighbour(neighbour: NeighbourKey): Promise<void> {
    return this.#change({ op: 'deleteNeighbour', neighbour });
  }

  /** Routes of all tables and both families, or of those the filter names. */
  async routes(filter: RouteFilter = {}): Promise<Route[]> {
    if (filter.family !== undefined) return this.#routesOf(filter.family, filter);
    const [v4, v6] = await Promise.all([this.#routesOf(4, filter), this.#routesOf(6, filter)]);
    return v4.concat(v6);
  }

  async #routesOf(family: Family, filter: RouteFilter): Promise<Route[]> {
    const operation = 'routes';
    try {
      return await this.#socket.dump({
        operation,
        write: (writer) => writeRouteQuery(writer.begin(RTM.GETROUTE, DUMP), family, filter, operation),
        read: (payload) => readRoute(payload),
      });
    } catch (error) {
      // A table that nothing was ever written to does not exist.
      if (filter.table !== undefined && error instanceof BpfError && hasCode(error, 'ENOENT')) return [];
      throw error;
    }
  }

  addRoute(route: RouteSpec): Promise<void> {
    return this.#change({ op: 'addRoute', route });
  }

  /** Puts it in the place of the route with the same destination, table and metric, or makes it. */
  replaceRoute(route: RouteSpec): Promise<void> {
    return this.#change({ op: 'replaceRoute', route });
  }

  /** IPv4: after those with the same destination, table and metric. IPv6: more next hops for it. */
  appendRoute(route: RouteSpec): Promise<void> {
    return this.#change({ op: 'appendRoute', route });
  }

  /** Deletes the first route that matches all that is given. */
  deleteRoute(route: RouteKey): Promise<void> {
    return this.#change({ op: 'deleteRoute', route });
  }

  /**
   * The way a packet to `address` would take; with `fibMatch` the whole route that matched. Undefined when no
   * route matches; EHOSTUNREACH, EACCES or EINVAL for an 'unreachable', 'prohibit' or 'blackhole' route.
   */
  async lookupRoute(address: string, options: LookupOptions = {}): Promise<Route | undefined> {
    const operation = 'lookupRoute';
    let found: Route | undefined;
    const [error] = await this.#socket.run(operation, 1, () => ({
      operation,
      subject: () => address,
      write: (writer) => writeLookup(writer.begin(RTM.GETROUTE, NLM_F.REQUEST), address, options, operation),
      receive: (payload) => {
        found = readRoute(payload, true);
      },
    }));
    if (error !== undefined && !hasCode(error, 'ENETUNREACH')) throw error;
    return found;
  }

  multicastRoutes(family: Family, filter: { readonly table?: number } = {}): Promise<MulticastRoute[]> {
    const operation = 'multicastRoutes';
    return this.#socket.dump({
      operation,
      write: (writer) =>
        writeMulticastQuery(writer.begin(RTM.GETROUTE, DUMP), family, filter.table, operation),
      read: readMulticastRoute,
    });
  }

  /** Many changes in few system calls, in order, each on its own: the error of each, undefined where done. */
  batch(ops: readonly Op[]): Promise<Array<BpfError | undefined>> {
    if (!isArray(ops)) return Promise.reject(argumentError('batch', 'ops', 'an array of changes'));
    const list = [...ops];
    return this.#socket.run('batch', list.length, (i) => {
      const op = list[i];
      if (typeof op !== 'object' || op === null) throw argumentError('batch', `ops[${i}]`, 'a change');
      return requestOf(op);
    });
  }

  /**
   * Begins to tell what changes. Subscribe first and dump then: nothing is missed between. After
   * `{ type: 'resync' }` dump again.
   *
   * The kernel does not tell everything: an interface that goes down takes its IPv4 routes with it, and one
   * whose carrier is lost marks next hops dead, by a 'link' event alone.
   */
  async subscribe(
    groups: readonly NetlinkGroup[],
    onEvents: (events: NetlinkEvent[]) => void,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const operation = 'subscribe';
    const numbers = groupNumbers(groups, operation);
    if (typeof onEvents !== 'function') throw argumentError(operation, 'onEvents', 'a function');
    const native = this.#native.sibling(options.receiveBuffer ?? SUBSCRIPTION_BUFFER);
    try {
      const subscription = new Subscription(native, numbers, onEvents, (closed) =>
        this.#subscriptions.delete(closed),
      );
      this.#subscriptions.add(subscription);
      return subscription;
    } catch (error) {
      native.close();
      throw error;
    }
  }

  /** Closes its subscriptions too; what is in flight ends with ERR_CLOSED. */
  close(): void {
    for (const subscription of this.#subscriptions) subscription.close();
    this.#socket.close();
  }

  async #change(op: Op): Promise<void> {
    await this.#socket.one(requestOf(op));
  }
}
