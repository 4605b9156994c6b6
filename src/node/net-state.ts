/**
 * What one network namespace's kernel says of its links, addresses and neighbours: read once, followed by events,
 * read again where events were lost. Listeners get the events after the state has them.
 */
import {
  type InterfaceAddress as NetlinkAddress,
  type Link,
  type Neighbour,
  Netlink,
  type NetlinkEvent,
} from '../../native/lib/index.js';
import { LeftOut, Seldom } from './left-out.js';

export type Listener = (events: readonly NetlinkEvent[]) => void;

/** NUD states (RFC 4861 §7.3.2) in which the kernel sends to the MAC address it has. */
const USABLE: ReadonlySet<string> = new Set(['reachable', 'stale', 'delay', 'probe', 'permanent', 'noarp']);

export function neighbourKey(index: number, address: string): string {
  return `${index} ${address}`;
}

/** The neighbour's MAC address if it may be used. */
export function usableMac(neighbour: Neighbour | undefined): string | undefined {
  return neighbour && USABLE.has(neighbour.state) ? neighbour.lladdr : undefined;
}

/** How many neighbours are kept, and which ones in any case. */
export interface NeighbourRoom {
  readonly most: number;
  readonly needed: (index: number, address: string) => boolean;
}

export class NetState {
  readonly netlink: Netlink;
  /** Path of the namespace; undefined: the process's own. */
  readonly netns: string | undefined;
  readonly links = new Map<number, Link>();
  /** By interface, then `10.0.1.1/24`. */
  readonly addresses = new Map<number, Map<string, NetlinkAddress>>();
  /** By neighbourKey. */
  readonly neighbours = new Map<string, Neighbour>();
  /** Neighbours that the namespace has beyond what is kept. */
  readonly leftOut = new LeftOut();
  #room: NeighbourRoom | undefined;
  readonly #rereadNeighbours: Seldom;
  readonly #listeners = new Set<Listener>();
  readonly #failed: (error: unknown) => void;
  #closed = false;
  #reading = false;

  private constructor(netlink: Netlink, netns: string | undefined, failed: (error: unknown) => void) {
    this.netlink = netlink;
    this.netns = netns;
    this.#failed = failed;
    this.#rereadNeighbours = new Seldom(async () => {
      await this.refreshNeighbours();
      this.#tell([{ type: 'resync' }]);
    }, failed);
  }

  /** From now on not all neighbours are kept: whoever is in the namespace may install any number of them. */
  limitNeighbours(room: NeighbourRoom): void {
    const grown = this.#room !== undefined && room.most > this.#room.most;
    this.#room = room;
    if (grown && (this.leftOut.size > 0 || this.leftOut.more)) this.#rereadNeighbours.ask();
  }

  /** `netns`: a path; none: the agent's own namespace. `failed` hears of dumps that fail later on. */
  static async open(options: {
    netns?: string;
    routes?: boolean;
    failed: (error: unknown) => void;
  }): Promise<NetState> {
    const { netns, routes, failed } = options;
    const state = new NetState(await Netlink.open(netns === undefined ? {} : { netns }), netns, failed);
    try {
      await state.netlink.subscribe(
        ['link', 'address', 'neighbour', ...(routes ? (['route'] as const) : [])],
        (events) => state.#receive(events),
      );
      await state.#read();
    } catch (error) {
      state.close();
      throw error;
    }
    return state;
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  neighbour(index: number, address: string): Neighbour | undefined {
    return this.neighbours.get(neighbourKey(index, address));
  }

  /** Events of routes, by a subscription of their own: one that many routes overrun loses nothing else. */
  async followRoutes(listener: Listener): Promise<() => void> {
    const subscription = await this.netlink.subscribe(['route'], listener);
    return () => subscription.close();
  }

  /** An interface of this namespace, as ethtool's functions want it. */
  place(name: string): { readonly netns?: string; readonly name: string } {
    return this.netns === undefined ? { name } : { netns: this.netns, name };
  }

  linkByName(name: string): Link | undefined {
    for (const link of this.links.values()) if (link.name === name) return link;
    return undefined;
  }

  async refreshLinks(): Promise<void> {
    const links = await this.netlink.links();
    this.links.clear();
    for (const link of links) this.links.set(link.index, link);
  }

  /** Reads a link again: what was changed through this very socket is seen without waiting for its event. */
  async refreshLink(index: number): Promise<void> {
    const link = await this.netlink.link(index);
    if (link) this.links.set(index, link);
    else this.#dropLink(index);
  }

  async refreshAddresses(): Promise<void> {
    const addresses = await this.netlink.addresses();
    this.addresses.clear();
    for (const address of addresses) this.#putAddress(address);
  }

  async refreshNeighbours(): Promise<void> {
    const neighbours = await this.netlink.neighbours();
    this.neighbours.clear();
    this.leftOut.clear();
    for (const neighbour of neighbours) this.#putNeighbour(neighbour);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rereadNeighbours.close();
    this.netlink.close();
  }

  async #read(): Promise<void> {
    await this.refreshLinks();
    await this.refreshAddresses();
    await this.refreshNeighbours();
  }

  #receive(events: readonly NetlinkEvent[]): void {
    if (this.#closed) return;
    for (const event of events) this.#apply(event);
    if (!events.some((event) => event.type === 'resync')) return this.#tell(events);
    if (this.#reading) return;
    this.#reading = true;
    this.#read()
      .then(() => this.#tell([{ type: 'resync' }]))
      .catch((error: unknown) => {
        if (!this.#closed) this.#failed(error);
      })
      .finally(() => (this.#reading = false));
  }

  #tell(events: readonly NetlinkEvent[]): void {
    if (this.#closed) return;
    for (const listener of this.#listeners) listener(events);
  }

  #apply(event: NetlinkEvent): void {
    if (event.type === 'resync') return;
    if (event.what === 'link') {
      if (event.type === 'new') this.links.set(event.object.index, event.object);
      else this.#dropLink(event.object.index);
    } else if (event.what === 'address') {
      if (event.type === 'new') this.#putAddress(event.object);
      else this.addresses.get(event.object.index)?.delete(addressText(event.object));
    } else if (event.what === 'neighbour') {
      if (event.type === 'new') this.#putNeighbour(event.object);
      else this.#dropNeighbour(neighbourKey(event.object.index, event.object.address));
    }
  }

  #putNeighbour(neighbour: Neighbour): void {
    const key = neighbourKey(neighbour.index, neighbour.address);
    const room = this.#room;
    const full = room && this.neighbours.size >= room.most && !this.neighbours.has(key);
    if (full && !room.needed(neighbour.index, neighbour.address)) {
      // groups and the like, which nobody installed
      if (neighbour.state !== 'noarp') this.leftOut.add(key, true);
    } else {
      this.leftOut.delete(key);
      this.neighbours.set(key, neighbour);
    }
  }

  #dropNeighbour(key: string): void {
    this.leftOut.delete(key);
    if (this.neighbours.delete(key) && (this.leftOut.size > 0 || this.leftOut.more)) {
      this.#rereadNeighbours.ask();
    }
  }

  #dropLink(index: number): void {
    this.links.delete(index);
    this.addresses.delete(index);
    for (const [key, neighbour] of this.neighbours)
      if (neighbour.index === index) this.neighbours.delete(key);
  }

  #putAddress(address: NetlinkAddress): void {
    let addresses = this.addresses.get(address.index);
    if (!addresses) this.addresses.set(address.index, (addresses = new Map<string, NetlinkAddress>()));
    addresses.set(addressText(address), address);
  }
}

export function addressText(address: NetlinkAddress): string {
  return `${address.address}/${address.prefixLength}`;
}
