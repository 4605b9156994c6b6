/**
 * One virtual node's tables, kept what its namespace says: addresses, the prefixes of its links, neighbours, and
 * the routes of its kernel or of its tenant. Events that come together are published together, by one transaction.
 */
import { type NetlinkEvent } from '../../native/lib/index.js';
import { type DataPlane, type RouteTable } from '../dataplane/index.js';
import {
  type Address,
  hostPrefix,
  isLinkLocal,
  isUnicast,
  parseAddress,
  type Prefix,
  prefixOf,
} from './address.js';
import { KernelRoutes, PROTOCOL_CABERNET, RESYNC } from './kernel-routes.js';
import { Seldom } from './left-out.js';
import { type Limits, NO_LIMITS } from './model.js';
import { MAX_NEIGHBOURS, NodeNeighbours } from './neighbours.js';
import { type NetState } from './net-state.js';
import { NextHops } from './next-hops.js';
import { type Entry, Rib, type Target, targetKey } from './rib.js';

/** Addresses that the tables have of a node without a limit of its own. */
const MAX_ADDRESSES = 1024;

/** For each neighbour of the tables so many are kept of which no MAC address is known, or that wait for room. */
const NEIGHBOURS_KEPT = 4;

/** In the namespace, and for want of a larger limit not in the tables. */
export interface LeftOutCounts {
  readonly routes: number;
  readonly neighbours: number;
  readonly addresses: number;
}

export interface MirrorVif {
  readonly id: number;
  readonly mac: Uint8Array;
  /** Of the device in the namespace. */
  readonly index: number;
  /** A link of IP packets: no neighbour has a MAC address or is asked for, and the kernel's count for nothing. */
  readonly carriesIp: boolean;
}

/** Written into the Ethernet header that such a link takes off again. */
const NOBODY = Uint8Array.of(2, 0, 0, 0, 0, 0);

export interface MirrorOptions {
  readonly plane: DataPlane;
  readonly node: number;
  readonly net: NetState;
  /** A vif's device was set up or down, or is gone. */
  readonly linkChanged: (device: string) => void;
  readonly neighbourChanged: (device: string, address: string) => void;
  readonly failed: (error: unknown) => void;
}

interface FromAddress {
  readonly layer: 'local' | 'connected';
  readonly prefix: Prefix;
  readonly target: Target;
}

interface UsableAddress {
  readonly address: Address;
  readonly length: number;
  /** By the tenant's Apply. */
  readonly own: boolean;
  readonly loopback: boolean;
  readonly vif: string;
}

function sameVif(a: MirrorVif, b: MirrorVif): boolean {
  const sameMac = a.mac.every((byte, i) => byte === b.mac[i]);
  return a.id === b.id && a.index === b.index && a.carriesIp === b.carriesIp && sameMac;
}

export class Mirror {
  readonly #options: MirrorOptions;
  readonly #rib = new Rib();
  readonly #hops: NextHops;
  readonly #table: RouteTable;
  readonly #vifs = new Map<string, MirrorVif>();
  readonly #devices = new Map<number, string>();
  readonly #neighbours: NodeNeighbours;
  #fromAddresses = new Map<string, FromAddress>();
  /** Seen by an event since #fromAddresses was made: many of them cost one look. */
  #addressesMoved = false;
  #limits: Limits = NO_LIMITS;
  #addressesLeftOut = 0;
  readonly #reread: Seldom;
  #kernel: KernelRoutes | undefined;
  #stopKernel: (() => void) | undefined;
  #work: Promise<void> = Promise.resolve();
  #scheduled = false;
  /** Not before this (performance.now()) is what failed tried again on an event's account. */
  #patience = 0;
  #version = 0;
  #started = false;
  #closed = false;
  #cleared = false;

  constructor(options: MirrorOptions) {
    this.#options = options;
    const { plane, node, net } = options;
    this.#table = plane.routes(node);
    this.#neighbours = new NodeNeighbours({
      net,
      deviceOf: (index) => (this.#vifOf(index)?.carriesIp === false ? this.deviceOf(index) : ''),
      indexOf: (device) => {
        const vif = this.#vifs.get(device);
        return vif?.carriesIp === false && this.isUp(device) ? vif.index : undefined;
      },
      changed: (...neighbour) => this.#neighbourChanged(...neighbour),
    });
    this.#hops = new NextHops(plane, node, {
      vif: (device) => this.#vifs.get(device),
      up: (device) => this.isUp(device),
      mac: (device, gateway) =>
        this.#vifs.get(device)?.carriesIp ? NOBODY : this.#neighbours.mac(device, gateway),
      used: (device, gateway, inUse) => this.#neighbours.manage(device, gateway, inUse),
    });
    this.#reread = new Seldom(() => this.#rereadRoutes(), options.failed);
    this.#limitNeighbours();
    net.listen((events) => this.#onEvents(events));
  }

  /** Neighbours in the tables. */
  get neighbours(): number {
    return this.#neighbours.size;
  }

  get leftOut(): LeftOutCounts {
    return {
      routes: this.#kernel?.leftOut ?? 0,
      neighbours: this.#neighbours.leftOut + this.#options.net.leftOut.size,
      addresses: this.#addressesLeftOut,
    };
  }

  /** What of the namespace may be in the tables from now on; a tenant's own routes are checked before they come here. */
  async setLimits(limits: Limits): Promise<void> {
    const before = this.#limits;
    this.#limits = limits;
    if (before.neighbours !== limits.neighbours) {
      this.#limitNeighbours();
      this.#schedule();
    }
    if (before.addresses !== limits.addresses) this.#recompute();
    if (before.routes === limits.routes || !this.#kernel) return;
    this.#kernel.setLimit(limits.routes || Infinity);
    await this.#rereadRoutes();
  }

  #limitNeighbours(): void {
    const { neighbours } = this.#limits;
    this.#options.net.limitNeighbours({
      most: NEIGHBOURS_KEPT * (neighbours || MAX_NEIGHBOURS),
      needed: (index, address) => this.#neighbours.isManaged(index, address),
    });
    this.#neighbours.setLimit(neighbours);
  }

  get table(): RouteTable {
    return this.#table;
  }

  /** Another with every change of the tables. */
  get version(): number {
    return this.#version;
  }

  /** The longest prefix that covers an address, and where it leads. */
  match(address: Address): Entry | undefined {
    return this.#rib.match(address);
  }

  entries(): Generator<Entry> {
    return this.#rib.entries();
  }

  nextHopIds(): Set<number> {
    return this.#hops.ids();
  }

  /** True while the device of a vif is there and set up. */
  isUp(device: string): boolean {
    const vif = this.#vifs.get(device);
    return vif !== undefined && this.#options.net.links.get(vif.index)?.up === true;
  }

  deviceIndex(device: string): number | undefined {
    return this.#vifs.get(device)?.index;
  }

  deviceOf(index: number): string {
    return this.#devices.get(index) ?? '';
  }

  #vifOf(index: number): MirrorVif | undefined {
    return this.#vifs.get(this.deviceOf(index));
  }

  /** A vif of this node is there, or is another than before. */
  setVif(device: string, vif: MirrorVif): void {
    const before = this.#vifs.get(device);
    if (before && sameVif(before, vif)) return;
    if (before) this.#devices.delete(before.index);
    this.#vifs.set(device, vif);
    this.#devices.set(vif.index, device);
    this.#neighbours.reread();
    this.#hops.vifChanged(device);
    this.#recompute();
  }

  removeVif(device: string): void {
    const vif = this.#vifs.get(device);
    if (!vif) return;
    this.#vifs.delete(device);
    this.#devices.delete(vif.index);
    this.#neighbours.reread();
    this.#hops.vifChanged(device);
    this.#recompute();
  }

  /** A route of the node's tenant; undefined: no longer. Counts with the next publish(). */
  setRoute(prefix: Prefix, target: Target | undefined): void {
    this.#rib.set('route', prefix, target);
  }

  /** From now on the kernel's main table is mirrored (`true`), or not. */
  async followKernel(follow: boolean): Promise<void> {
    if (follow === (this.#kernel !== undefined)) return;
    const { net } = this.#options;
    if (!follow) {
      this.#stopKernel?.();
      this.#stopKernel = undefined;
      const kernel = this.#kernel;
      this.#kernel = undefined;
      for (const destination of kernel?.destinations() ?? []) this.#clearKernel(destination);
      this.#recompute();
      return;
    }
    this.#kernel = new KernelRoutes(this.#limits.routes || Infinity);
    this.#stopKernel = await net.followRoutes((events) => this.#onRoutes(events));
    await this.#rereadRoutes();
    this.#recompute();
  }

  /** Reads addresses again, then publishes: what was just written to the namespace is in the tables after it. */
  async refresh(): Promise<void> {
    await this.#options.net.refreshAddresses();
    this.#recomputeAddresses();
    await this.publish();
  }

  /** From now on what the namespace says is published; before, an adopted table stays what it is. */
  async start(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    await this.publish();
  }

  /** All that changed since the last time, by one transaction. */
  publish(): Promise<void> {
    const done = this.#work.then(() => this.#publish());
    this.#work = done.catch(() => undefined);
    return done;
  }

  /** Nothing is routed any more, and no next hop is in use. */
  async clear(): Promise<void> {
    await this.followKernel(false);
    this.#cleared = true;
    for (const { prefix } of [...this.#rib.entries()]) {
      for (const layer of ['local', 'connected', 'route'] as const) this.#rib.set(layer, prefix, undefined);
    }
    this.#fromAddresses.clear();
    for (const device of [...this.#vifs.keys()]) this.removeVif(device);
    await this.publish();
  }

  close(): void {
    this.#closed = true;
    this.#neighbours.close();
    this.#reread.close();
    this.#stopKernel?.();
  }

  // ---- from the namespace

  #onEvents(events: readonly NetlinkEvent[]): void {
    if (this.#closed || this.#cleared) return;
    let reread = false;
    for (const event of events) {
      if (event.type === 'resync') {
        reread = true;
        this.#neighbours.reread();
        this.#recompute();
        for (const device of this.#vifs.keys()) this.#linkChanged(device);
      } else if (event.what === 'neighbour') {
        const { index, address } = event.object;
        if (this.#neighbours.learn(index, address) !== undefined) {
          this.#options.neighbourChanged(this.deviceOf(index), address);
        }
      } else if (event.what === 'address') {
        this.#addressesMoved = true;
      } else if (event.what === 'link') {
        const device = this.deviceOf(event.object.index);
        if (device) this.#linkChanged(device);
        this.#addressesMoved = true;
        reread = true;
      }
    }
    // a link that goes down takes routes with it, and says nothing else
    if (reread && this.#kernel) this.#reread.ask();
    this.#schedule();
  }

  #linkChanged(device: string): void {
    this.#hops.vifChanged(device);
    this.#options.linkChanged(device);
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    const look = (): void => {
      this.#scheduled = false;
      if (!this.#closed) this.publish().catch(this.#options.failed);
    };
    const wait = this.#patience - performance.now();
    if (wait > 0) setTimeout(look, wait).unref();
    else setImmediate(look);
  }

  #recompute(): void {
    this.#recomputeAddresses();
    for (const destination of this.#kernel?.destinations() ?? []) this.#applyKernel(destination);
    this.#schedule();
  }

  // ---- addresses: of the node itself, and what they say is on its links

  #recomputeAddresses(): void {
    this.#addressesMoved = false;
    if (this.#cleared) return;
    const now = new Map<string, FromAddress>();
    const most = this.#limits.addresses || MAX_ADDRESSES;
    const usable = this.#usableAddresses();
    // the tenant's own before what somebody has put into the namespace
    if (usable.length > most) usable.sort((a, b) => Number(b.own) - Number(a.own));
    this.#addressesLeftOut = Math.max(0, usable.length - most);
    for (const { address, length, loopback, vif } of usable.slice(0, most)) {
      for (const found of this.#saidBy(address, length, loopback, vif)) {
        const key = `${found.layer} ${found.prefix.text}`;
        if (!now.has(key)) now.set(key, found);
      }
    }
    for (const [key, { layer, prefix }] of this.#fromAddresses) {
      if (!now.has(key)) this.#rib.set(layer, prefix, undefined);
    }
    for (const [key, { layer, prefix, target }] of now) {
      const before = this.#fromAddresses.get(key);
      if (!before || targetKey(before.target) !== targetKey(target)) this.#rib.set(layer, prefix, target);
    }
    this.#fromAddresses = now;
  }

  #usableAddresses(): UsableAddress[] {
    const { net } = this.#options;
    const usable: UsableAddress[] = [];
    for (const [index, addresses] of net.addresses) {
      const link = net.links.get(index);
      if (!link?.up) continue;
      const place = { loopback: link.name === 'lo', vif: this.deviceOf(index) };
      for (const { address, prefixLength, protocol } of addresses.values()) {
        const parsed = parseAddress(address);
        if (!parsed || isLinkLocal(parsed) || !isUnicast(parsed)) continue;
        usable.push({ address: parsed, length: prefixLength, own: protocol === PROTOCOL_CABERNET, ...place });
      }
    }
    return usable;
  }

  *#saidBy(address: Address, length: number, loopback: boolean, vif: string): Generator<FromAddress> {
    const local: Target = { kind: 'local' };
    yield { layer: 'local', prefix: hostPrefix(address), target: local };
    const bits = address.bytes.length * 8;
    if (length >= bits) return;
    const prefix = prefixOf(address, length);
    if (loopback) {
      yield { layer: 'local', prefix, target: local };
      return;
    }
    // RFC 4291 §2.6.1: the subnet's routers answer to its first address; not between two routers (RFC 6164)
    if (address.family === 6 && length < 127)
      yield { layer: 'local', prefix: hostPrefix(prefix), target: local };
    if (!this.#kernel) yield { layer: 'connected', prefix, target: { kind: 'glean', vif } };
  }

  #neighbourChanged(device: string, address: Address, text: string, known: boolean): void {
    this.#rib.setNeighbour(device, address, known);
    this.#hops.neighbourChanged(device, text);
    this.#schedule();
  }

  // ---- the kernel's routes

  #onRoutes(events: readonly NetlinkEvent[]): void {
    const kernel = this.#kernel;
    if (!kernel || this.#closed) return;
    let reread = false;
    for (const event of events) {
      const destination = kernel.apply(event);
      if (destination === RESYNC) reread = true;
      else if (destination !== undefined) this.#applyKernel(destination);
    }
    if (reread || kernel.hasRoom) this.#reread.ask();
    this.#schedule();
  }

  async #rereadRoutes(): Promise<void> {
    const kernel = this.#kernel;
    if (!kernel) return;
    const { netlink } = this.#options.net;
    const routes = [...(await netlink.routes({ family: 4 })), ...(await netlink.routes({ family: 6 }))];
    if (this.#kernel !== kernel) return;
    for (const destination of kernel.reset(routes)) this.#applyKernel(destination);
    this.#schedule();
  }

  #applyKernel(destination: string): void {
    const view = this.#kernel?.view(destination, (index) => this.deviceOf(index));
    if (!view) return this.#clearKernel(destination);
    const { prefix, target, layer } = view;
    const connected = layer === 'connected';
    this.#rib.set('connected', prefix, connected ? target : undefined);
    this.#rib.set('kernel', prefix, connected ? undefined : target);
  }

  #clearKernel(destination: string): void {
    const slash = destination.indexOf('/');
    const parsed = parseAddress(destination.slice(0, slash));
    if (!parsed) return;
    const prefix = prefixOf(parsed, Number(destination.slice(slash + 1)));
    this.#rib.set('connected', prefix, undefined);
    this.#rib.set('kernel', prefix, undefined);
  }

  // ---- to the data plane

  async #publish(): Promise<void> {
    if (this.#closed || !this.#started) return;
    if (this.#addressesMoved) this.#recomputeAddresses();
    const begin = performance.now();
    const changes = this.#rib.take();
    const table = this.#table;
    if (changes.length > 0 || table.adopted) {
      const acquired: string[] = [];
      try {
        const entries: [Prefix, number][] = [];
        for (const { prefix, target } of changes) {
          if (!target) {
            entries.push([prefix, 0]);
            continue;
          }
          entries.push([prefix, this.#hops.acquire(target)]);
          acquired.push(targetKey(target));
        }
        if (table.adopted) await table.rebuild(entries.filter(([, id]) => id !== 0));
        else {
          const transaction = table.transaction();
          for (const [prefix, id] of entries) {
            if (id === 0) transaction.delete(prefix);
            else transaction.set(prefix, id);
          }
          await transaction.commit();
        }
      } catch (error) {
        for (const key of acquired) this.#hops.release(key);
        this.#rib.giveBack(changes);
        // tables that do not fit may be long: a tenth of the agent's time is all they get
        const end = performance.now();
        this.#patience = end + 9 * (end - begin);
        throw error;
      }
      this.#version++;
      for (const { before } of changes) if (before !== undefined) this.#hops.release(before);
    }
    this.#neighbours.manageAgain();
  }
}
