/**
 * BFD peers: neighbours on the underlay, watched over UDP (RFC 5881), or on a wire without IP (RFC 5586). Each has a session of the data plane for as long as
 * its interface is there, and the headers that its packets leave with for as long as its MAC address is known. Who goes by
 * a neighbour asks here which session watches it, and is asked again when that changes.
 */
import { type Link, type NetlinkEvent } from '../../native/lib/index.js';
import { type DataPlane, Limit, NOT_MEASURED, type PeerPlace, type PeerTiming } from '../dataplane/index.js';
import { type Address, parseAddress, parseMac } from './address.js';
import { type HopRecord, type UnderlayWay, wireHopRecord } from './hop.js';
import { type Interfaces } from './interfaces.js';
import { type ManagedNeighbours } from './managed.js';
import { type BfdPeerIntent, samePlace } from './model.js';
import { writeBfdPeer } from './names.js';
import { neighbourKey, type NetState, usableMac } from './net-state.js';
import { peerHopRecord } from './peer-hop.js';
import { type LiveWire, vlanDevice } from './wires.js';

export type BfdPeerCondition = 'up' | 'unresolved' | 'interface down';

export interface LiveBfdPeer {
  /** Its session's; its own whatever becomes of the interface. */
  readonly id: number;
  readonly owner: string;
  readonly intent: BfdPeerIntent;
  /** Whether its packets can leave. */
  readonly condition: BfdPeerCondition;
  readonly remark: string;
  /** The neighbour's, the last that was known; empty: none ever was. */
  readonly mac: string;
  /** A session runs. */
  readonly watched: boolean;
}

interface BfdPeer {
  id: number;
  owner: string;
  intent: BfdPeerIntent;
  condition: BfdPeerCondition;
  remark: string;
  mac: string;
  watched: boolean;
  hop: number;
  /** What the hop says. */
  header: string;
}

export interface BfdPeersOptions {
  readonly plane: DataPlane;
  readonly net: NetState;
  readonly interfaces: Interfaces;
  readonly neighbours: ManagedNeighbours;
  /** A wire as it is; undefined: there is none of this name. */
  readonly wire: (name: string) => LiveWire | undefined;
  /** Where its frames leave by; undefined while they can't. */
  readonly wayOf: (wire: string) => UnderlayWay | undefined;
  /** Called before a session begins: something has to send. */
  readonly watching: () => Promise<void>;
  /** Sessions watch other neighbours than before: whoever goes by one is to ask again. */
  readonly watchChanged: () => Promise<void>;
  readonly changed: (name: string) => void;
  readonly failed: (error: unknown) => void;
}

export class BfdPeers {
  readonly #options: BfdPeersOptions;
  readonly #peers = new Map<string, BfdPeer>();
  #work: Promise<void> = Promise.resolve();
  #pending: Set<string> | 'all' | undefined;

  constructor(options: BfdPeersOptions) {
    this.#options = options;
    options.net.listen((events) => this.#onEvents(events));
  }

  get(name: string): LiveBfdPeer | undefined {
    return this.#peers.get(name);
  }

  get all(): IterableIterator<LiveBfdPeer> {
    return this.#peers.values();
  }

  byId(id: number): LiveBfdPeer | undefined {
    for (const peer of this.#peers.values()) if (peer.id === id) return peer;
    return undefined;
  }

  /**
   * The session that watches the neighbour a way leads to; 0: none does. A machine has several addresses, and one MAC
   * address on the wire: of several sessions with it, the one with `address` is the nearest.
   */
  sessionOf({ ifindex, vlanId = 0, destinationMac }: UnderlayWay, address: string): number {
    let found = 0;
    for (const { id, intent, mac, watched } of this.#peers.values()) {
      if (!watched || this.#vlanOf(intent) !== vlanId || this.#linkOf(intent)?.index !== ifindex) continue;
      const known = parseMac(mac);
      if (!known || Buffer.compare(known, destinationMac) !== 0) continue;
      if (intent.remote === address) return id;
      found ||= id;
    }
    return found;
  }

  /** Takes over the records of an earlier agent; resolveAll() brings them up to date. */
  adopt(intent: BfdPeerIntent, owner: string, id: number): void {
    const { plane } = this.#options;
    const { hop } = plane.peers.records.read(id);
    const watched = plane.sessions.intents.read(id).discriminator !== 0;
    this.#peers.set(intent.name, { ...fresh(intent, owner, id), hop, watched });
  }

  /** There, and as wanted, when the promise is kept. `TABLE_FULL` where there is no room. */
  ensure(intent: BfdPeerIntent, owner: string): Promise<void> {
    return this.#queue(async () => {
      const { plane } = this.#options;
      let peer = this.#peers.get(intent.name);
      if (!peer) {
        peer = fresh(intent, owner, plane.allocate('session'));
        this.#peers.set(intent.name, peer);
      }
      if (!samePlace(peer.intent, intent)) await this.#retire(peer);
      peer.intent = intent;
      peer.owner = owner;
      writeBfdPeer(plane, peer.id, owner, intent);
      if (peer.watched) plane.sessions.change(peer.id, { ...timingOf(intent), ...NOT_MEASURED });
      if (await this.#resolve(peer)) await this.#options.watchChanged();
    });
  }

  /** The neighbour is told, nobody asks it any more, and its records go back. */
  remove(name: string): Promise<void> {
    return this.#queue(async () => {
      const peer = this.#peers.get(name);
      if (!peer) return;
      const { plane, neighbours } = this.#options;
      if (peer.watched) await plane.sessions.retire([peer.id]);
      this.#peers.delete(name);
      await this.#options.watchChanged();
      this.#stop(peer);
      neighbours.need(name, []);
      plane.release('session', peer.id);
    });
  }

  /** A wire is another than it was, or as it was and in another condition: who watches it looks again. */
  async wireChanged(name: string): Promise<void> {
    const names = new Set<string>();
    for (const { intent } of this.#peers.values()) if (intent.wire === name) names.add(intent.name);
    if (names.size > 0) await this.#queue(() => this.#resolveThese(names));
  }

  /** Looks at every peer again. */
  resolveAll(): Promise<void> {
    return this.#queue(() => this.#resolveThese('all'));
  }

  /** Ids of sessions and hops in use. */
  ids(): { sessions: Set<number>; hops: Set<number> } {
    const live = [...this.#peers.values()];
    return {
      sessions: new Set(live.map(({ id }) => id)),
      hops: new Set(live.flatMap(({ hop }) => (hop === 0 ? [] : [hop]))),
    };
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    return done;
  }

  #onEvents(events: readonly NetlinkEvent[]): void {
    const { interfaces, neighbours } = this.#options;
    for (const event of events) {
      if (event.type === 'resync') return this.#pend('all');
      if (event.what === 'link' && interfaces.concerns(event.object)) return this.#pend('all');
      if (event.what !== 'neighbour') continue;
      for (const name of neighbours.usersOf(event.object.index, event.object.address)) this.#pend(name);
    }
  }

  /** Events that come together are looked at together. */
  #pend(what: string): void {
    if (this.#peers.size === 0) return;
    const pending = this.#pending;
    if (what === 'all') this.#pending = 'all';
    else if (pending === undefined) this.#pending = new Set([what]);
    else if (pending !== 'all') pending.add(what);
    if (pending !== undefined) return;
    setImmediate(() => {
      const names = this.#pending ?? new Set<string>();
      this.#pending = undefined;
      this.#queue(() => this.#resolveThese(names)).catch(this.#options.failed);
    });
  }

  async #resolveThese(names: ReadonlySet<string> | 'all'): Promise<void> {
    let changed = false;
    for (const [name, peer] of this.#peers) {
      if ((names === 'all' || names.has(name)) && (await this.#resolve(peer))) changed = true;
    }
    if (changed) await this.#options.watchChanged();
  }

  // ---- the session

  /** Ends a session that is to be another's; a new id, for what is known of it is kept by the old one. */
  async #retire(peer: BfdPeer): Promise<void> {
    if (!peer.watched) return;
    await this.#options.plane.sessions.retire([peer.id]);
    await this.#replace(peer);
  }

  async #replace(peer: BfdPeer): Promise<void> {
    const { plane } = this.#options;
    const before = peer.id;
    peer.mac = '';
    this.#stop(peer);
    peer.id = plane.allocate('session');
    writeBfdPeer(plane, peer.id, peer.owner, peer.intent);
    await this.#options.watchChanged();
    plane.release('session', before);
  }

  #stop(peer: BfdPeer): void {
    this.#setHop(peer, undefined);
    if (peer.watched) this.#options.plane.peers.end(peer.id);
    peer.watched = false;
  }

  /** By one word; the old one is released. */
  #setHop(peer: BfdPeer, record: HopRecord | undefined): void {
    const { plane } = this.#options;
    const header = record ? JSON.stringify([record.ifindex, [...record.ethernet], [...record.ip]]) : '';
    if (header === peer.header && (record === undefined) === (peer.hop === 0)) return;
    const before = peer.hop;
    peer.header = header;
    peer.hop = 0;
    if (record) {
      peer.hop = plane.allocate('underlayHop');
      plane.underlayHops.write(peer.hop, record);
    }
    plane.peers.setHop(peer.id, peer.hop);
    if (before !== 0) plane.release('underlayHop', before);
  }

  // ---- resolution

  #linkOf(intent: BfdPeerIntent): Link | undefined {
    const { interfaces, net, wire } = this.#options;
    const name = intent.wire ? wire(intent.wire)?.intent.interface : intent.interface;
    const index = name === undefined ? undefined : interfaces.underlayIndex(name);
    return index === undefined ? undefined : net.links.get(index);
  }

  #vlanOf({ wire, vlan }: BfdPeerIntent): number {
    return wire ? (this.#options.wire(wire)?.intent.vlan ?? 0) : vlan;
  }

  /** True if who goes by the neighbour has to ask again. */
  async #resolve(peer: BfdPeer): Promise<boolean> {
    const { plane, changed, watching } = this.#options;
    const { intent } = peer;
    const before = JSON.stringify([peer.condition, peer.remark, peer.mac, peer.watched]);
    const known = JSON.stringify([peer.id, peer.mac, peer.watched]);
    const link = this.#linkOf(intent);
    const place = link && placeOf(intent, link.index, this.#vlanOf(intent));
    if (peer.watched && (!place || !plane.peers.isAt(peer.id, place))) await this.#replace(peer);
    if (place) await watching();
    if (place && !peer.watched) {
      plane.peers.begin(peer.id, place, timingOf(intent));
      peer.watched = true;
    }
    if (intent.wire) this.#askWire(peer, intent.wire);
    else this.#ask(peer, link);
    if (JSON.stringify([peer.condition, peer.remark, peer.mac, peer.watched]) !== before)
      changed(intent.name);
    return JSON.stringify([peer.id, peer.mac, peer.watched]) !== known;
  }

  #set(peer: BfdPeer, condition: BfdPeerCondition, remark: string, record?: HopRecord): void {
    peer.condition = condition;
    peer.remark = remark;
    this.#setHop(peer, record);
  }

  /** Its wire has asked already. */
  #askWire(peer: BfdPeer, name: string): void {
    const wire = this.#options.wire(name);
    const way = this.#options.wayOf(name);
    if (wire?.condition !== 'up' || !way)
      return this.#set(peer, wire?.condition ?? 'interface down', `${name}: ${wire?.remark ?? 'not there'}`);
    peer.mac = wire.mac;
    this.#set(peer, 'up', '', wireHopRecord(way));
  }

  #ask(peer: BfdPeer, link: Link | undefined): void {
    const { interfaces, neighbours } = this.#options;
    const { intent } = peer;
    const set = (condition: BfdPeerCondition, remark: string, record?: HopRecord): void =>
      this.#set(peer, condition, remark, record);
    const problem = link ? interfaces.wireProblem(link.index) : `there is no ${intent.interface}`;
    if (!link || problem !== '' || !link.up || !link.running) {
      neighbours.need(intent.name, []);
      return set('interface down', problem);
    }
    const device =
      intent.vlan === 0 ? link : vlanDevice(this.#options.net.links.values(), link.index, intent.vlan);
    neighbours.need(intent.name, device ? [{ index: device.index, address: intent.remote }] : []);
    if (!device) return set('unresolved', `no device of VLAN ${intent.vlan} is on ${intent.interface}`);
    const mac = usableMac(this.#options.net.neighbours.get(neighbourKey(device.index, intent.remote)));
    const way = mac === undefined ? undefined : wayTo(link, device, mac);
    if (!way) return set('unresolved', `nobody answers for ${intent.remote} on ${device.name}`);
    peer.mac = mac ?? '';
    set('up', '', peerHopRecord(addressesOf(intent), way, peer.id));
  }
}

function wayTo(link: Link, device: Link, mac: string): UnderlayWay | undefined {
  const sourceMac = device.address === undefined ? undefined : parseMac(device.address);
  const destinationMac = parseMac(mac);
  if (!sourceMac || !destinationMac) return undefined;
  return { ifindex: link.index, sourceMac, destinationMac, mtu: device.mtu, vlanId: device.vlanId };
}

function addressesOf({ local, remote }: BfdPeerIntent): { local: Address; remote: Address } {
  const [here, there] = [parseAddress(local), parseAddress(remote)];
  if (!here || !there) throw new RangeError(`${local}, ${remote}: IP addresses`);
  return { local: here, remote: there };
}

const NO_ADDRESS = new Uint8Array();

function placeOf(intent: BfdPeerIntent, ifindex: number, vlan: number): PeerPlace {
  if (intent.wire) return { ifindex, vlan, family: 0, local: NO_ADDRESS, remote: NO_ADDRESS };
  const { local, remote } = addressesOf(intent);
  return { ifindex, vlan, family: local.family, local: local.bytes, remote: remote.bytes };
}

function timingOf({ minTx, minRx, multiplier, restore, adminDown }: BfdPeerIntent): PeerTiming {
  return { minTx, minRx, multiplier, restore, flags: adminDown ? Limit.LIMIT_SESSION_ADMIN_DOWN : 0 };
}

function fresh(intent: BfdPeerIntent, owner: string, id: number): BfdPeer {
  return {
    id,
    owner,
    intent,
    condition: 'interface down',
    remark: '',
    mac: '',
    watched: false,
    hop: 0,
    header: '',
  };
}
