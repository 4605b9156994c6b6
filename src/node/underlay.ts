/**
 * Tunnels: where the machine's own routes and neighbours lead to, as ready outer headers. Follows links, addresses,
 * routes and neighbours; many events in one go are one look. What changed is a new hop, swapped in by one word a
 * slot; the old one is released. The next hops' neighbours are managed: the kernel never sees our traffic.
 */
import { type NetlinkEvent, RouteTable } from '../../native/lib/index.js';
import { type DataPlane } from '../dataplane/index.js';
import { type Address, parseAddress } from './address.js';
import { hopRecord, type OuterHeader, TUNNEL_CHECKSUM, type UnderlayWay, watchedBy } from './hop.js';
import { type Interfaces } from './interfaces.js';
import { type TunnelIntent } from './model.js';
import { type ManagedNeighbours } from './managed.js';
import { type NetState } from './net-state.js';
import { type ResolvedWay, type TunnelCondition, UnderlayWays, type Ways } from './underlay-ways.js';
import { spread, type Way, WAYS } from './ways.js';

/** No interface has this index: a tunnel whose arrival interface is not there takes nothing. */
const NO_INTERFACE = 0xffffffff;

export interface LiveTunnel {
  readonly id: number;
  readonly owner: string;
  readonly intent: TunnelIntent;
  readonly condition: TunnelCondition;
  readonly ways: readonly ResolvedWay[];
  /** IP MTU of the narrowest way; undefined while there is none. */
  readonly mtu: number | undefined;
  /** Why `condition` is not `up`, where there is more to say. */
  readonly remark: string;
}

interface Tunnel {
  id: number;
  owner: string;
  intent: TunnelIntent;
  condition: TunnelCondition;
  ways: ResolvedWay[];
  mtu: number | undefined;
  remark: string;
  /** Hop ids by what they say. */
  hops: Map<string, number>;
  slots: number[];
  arrival: number;
  /** What watches the neighbour of each resolved way; 0: nothing. */
  sessions: number[];
}

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (!parsed) throw new RangeError(`${text} is no IP address`);
  return parsed;
}

function outerOf(intent: TunnelIntent): OuterHeader {
  return {
    local: address(intent.local),
    remote: address(intent.remote),
    dscp: intent.dscp,
    udpChecksum: intent.udpChecksum,
  };
}

function padded(bytes: Uint8Array): Uint8Array {
  const field = new Uint8Array(16);
  field.set(bytes);
  return field;
}

export interface UnderlayOptions {
  readonly plane: DataPlane;
  readonly net: NetState;
  readonly interfaces: Interfaces;
  readonly neighbours: ManagedNeighbours;
  /** The session that watches the neighbour a way leads to; 0: none does. */
  readonly sessionOf: (way: UnderlayWay, address: string) => number;
  /** A tunnel's condition or ways changed. */
  readonly changed: (name: string) => void;
  readonly failed: (error: unknown) => void;
}

export class Underlay {
  readonly #options: UnderlayOptions;
  readonly #tunnels = new Map<string, Tunnel>();
  readonly #ways: UnderlayWays;
  readonly #neighbours: ManagedNeighbours;
  /** How many tunnels end at a local address. */
  readonly #locals = new Map<string, number>();
  #work: Promise<void> = Promise.resolve();
  #pending: Set<string> | 'all' | undefined;

  constructor(options: UnderlayOptions) {
    this.#options = options;
    this.#ways = new UnderlayWays(options.net, options.interfaces);
    this.#neighbours = options.neighbours;
    options.net.listen((events) => this.#onEvents(events));
  }

  get(name: string): LiveTunnel | undefined {
    return this.#tunnels.get(name);
  }

  get all(): IterableIterator<LiveTunnel> {
    return this.#tunnels.values();
  }

  /** So says what watches the neighbours of all its ways. */
  isGone(name: string): boolean {
    const { sessions = [] } = this.#tunnels.get(name) ?? {};
    return sessions.length > 0 && sessions.every((session) => this.#options.plane.peers.isDown(session));
  }

  /** The IP MTU towards `intent`'s far end as the machine routes now; undefined where it knows no way. */
  async mtuTo(intent: TunnelIntent): Promise<number | undefined> {
    return (await this.#ways.find(intent.local, intent.remote)).mtu;
  }

  /** Takes over the record of an earlier agent; resolve() brings it up to date. */
  adopt(intent: TunnelIntent, owner: string, id: number): void {
    const record = this.#options.plane.tunnels.read(id);
    this.#tunnels.set(intent.name, {
      ...fresh(intent, owner, id),
      slots: [...record.hops],
      // ids nobody names any more once the ways are resolved
      hops: new Map(
        Array.from(new Set(record.hops), (hop) => [`adopted ${hop}`, hop] as const).filter(([, hop]) => hop),
      ),
      arrival: record.arrival,
    });
    this.#count(intent.local, 1);
  }

  /** There, and as wanted, when the promise is kept. */
  async ensure(intent: TunnelIntent, owner: string, id?: number): Promise<void> {
    await this.#queue(async () => {
      const { plane } = this.#options;
      let tunnel = this.#tunnels.get(intent.name);
      const before = tunnel?.intent;
      if (!tunnel) {
        tunnel = fresh(intent, owner, id ?? plane.allocate('tunnel'));
        this.#tunnels.set(intent.name, tunnel);
      }
      tunnel.intent = intent;
      tunnel.owner = owner;
      this.#writeEnds(tunnel, before);
      await this.#resolve(tunnel);
    });
  }

  /** Nothing leads to it any more: its ends close, its records go back. */
  async remove(name: string): Promise<void> {
    await this.#queue(() => {
      const tunnel = this.#tunnels.get(name);
      if (!tunnel) return;
      this.#tunnels.delete(name);
      this.#closeEnds(tunnel.intent);
      const { plane } = this.#options;
      plane.tunnels.write(tunnel.id, { hops: new Uint32Array(WAYS) });
      for (const hop of tunnel.hops.values()) plane.release('underlayHop', hop);
      this.#neighbours.need(name, []);
      plane.release('tunnel', tunnel.id);
    });
  }

  /** Looks at every tunnel again. */
  resolveAll(): Promise<void> {
    return this.#queue(async () => {
      for (const tunnel of this.#tunnels.values()) await this.#resolve(tunnel);
    });
  }

  /** Ids of tunnels and hops in use. */
  ids(): { tunnels: Set<number>; hops: Set<number> } {
    const tunnels = new Set<number>();
    const hops = new Set<number>();
    for (const tunnel of this.#tunnels.values()) {
      tunnels.add(tunnel.id);
      for (const hop of tunnel.hops.values()) hops.add(hop);
    }
    return { tunnels, hops };
  }

  #queue(work: () => Promise<void> | void): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    return done;
  }

  #onEvents(events: readonly NetlinkEvent[]): void {
    for (const event of events) {
      if (event.type === 'resync' || (event.what !== 'neighbour' && this.#concerns(event))) {
        this.#pend('all');
        return;
      }
      if (event.what !== 'neighbour') continue;
      for (const name of this.#neighbours.usersOf(event.object.index, event.object.address)) this.#pend(name);
    }
  }

  /** Devices of vifs come and go by the thousand: they change nothing here. */
  #concerns(event: Exclude<NetlinkEvent, { type: 'resync' }>): boolean {
    const { net, interfaces } = this.#options;
    if (event.what === 'route') {
      const { table, destination } = event.object;
      return (
        table !== RouteTable.local && !destination.startsWith('fe80:') && !destination.startsWith('ff00:')
      );
    }
    if (event.what === 'link') return interfaces.concerns(event.object);
    const link = event.what === 'address' ? net.links.get(event.object.index) : undefined;
    return link === undefined || link.name === 'lo' || interfaces.concerns(link);
  }

  #pend(what: string): void {
    const pending = this.#pending;
    if (what === 'all') this.#pending = 'all';
    else if (pending === undefined) this.#pending = new Set([what]);
    else if (pending !== 'all') pending.add(what);
    if (pending !== undefined) return;
    setImmediate(() => {
      this.#queue(async () => {
        const pending = this.#pending;
        this.#pending = undefined;
        for (const tunnel of this.#tunnels.values()) {
          if (pending === 'all' || pending?.has(tunnel.intent.name)) await this.#resolve(tunnel);
        }
      }).catch(this.#options.failed);
    });
  }

  // ---- the record and its ends

  #writeEnds(tunnel: Tunnel, before: TunnelIntent | undefined): void {
    const { plane, interfaces } = this.#options;
    const { intent, id } = tunnel;
    const arrival = intent.arrivalInterface
      ? (interfaces.underlayIndex(intent.arrivalInterface) ?? NO_INTERFACE)
      : 0;
    const local = address(intent.local);
    const remote = address(intent.remote);
    if (before && (before.local !== intent.local || before.remote !== intent.remote)) this.#closeEnds(before);
    plane.tunnels.write(id, {
      family: local.family,
      flags: intent.udpChecksum ? TUNNEL_CHECKSUM : 0,
      arrival,
      local: padded(local.bytes),
      remote: padded(remote.bytes),
    });
    tunnel.arrival = arrival;
    if (!before || before.local !== intent.local) this.#count(intent.local, 1);
    plane.tunnelEnds.set(local.bytes, remote.bytes, id);
  }

  #closeEnds(intent: TunnelIntent): void {
    const { plane } = this.#options;
    const local = address(intent.local).bytes;
    plane.tunnelEnds.delete(local, address(intent.remote).bytes);
    this.#count(intent.local, -1);
  }

  /** A local end is marked as ours while some tunnel ends there. */
  #count(local: string, step: 1 | -1): void {
    const { plane } = this.#options;
    const { bytes } = address(local);
    const users = (this.#locals.get(local) ?? 0) + step;
    if (users > 0) {
      this.#locals.set(local, users);
      plane.tunnelEnds.set(bytes, new Uint8Array(bytes.length), 0);
    } else {
      this.#locals.delete(local);
      plane.tunnelEnds.delete(bytes, new Uint8Array(bytes.length));
    }
  }

  // ---- resolution

  async #resolve(tunnel: Tunnel): Promise<void> {
    if (this.#tunnels.get(tunnel.intent.name) !== tunnel) return;
    const { plane, interfaces } = this.#options;
    const { intent } = tunnel;
    const found = await this.#ways.find(intent.local, intent.remote);
    this.#neighbours.need(
      intent.name,
      found.ways.map(({ index, gateway }) => ({ index, address: gateway })),
    );
    if (intent.arrivalInterface) {
      const arrival = interfaces.underlayIndex(intent.arrivalInterface) ?? NO_INTERFACE;
      if (arrival !== tunnel.arrival) {
        tunnel.arrival = arrival;
        plane.tunnels.write(tunnel.id, { arrival });
      }
    }
    this.#swapHops(tunnel, found);
    const before = JSON.stringify([tunnel.condition, tunnel.ways, tunnel.mtu]);
    tunnel.condition = found.condition;
    tunnel.remark = found.remark;
    tunnel.mtu = found.mtu;
    tunnel.ways = found.ways.map(({ interface: name, gateway, mac, weight }) => ({
      interface: name,
      gateway,
      mac,
      weight,
    }));
    if (JSON.stringify([tunnel.condition, tunnel.ways, tunnel.mtu]) !== before)
      this.#options.changed(intent.name);
  }

  #swapHops(tunnel: Tunnel, found: Ways): void {
    const { plane, sessionOf } = this.#options;
    const outer = outerOf(tunnel.intent);
    const hops = new Map<string, number>();
    const ways: Way<number>[] = [];
    const sessions: number[] = [];
    for (const { way, weight, gateway } of found.ways) {
      if (!way) continue;
      const record = watchedBy(hopRecord(outer, way), sessionOf(way, gateway));
      sessions.push(record.peer);
      const key = JSON.stringify([
        record.ifindex,
        record.room,
        record.flags,
        record.peer,
        hex(record.ethernet),
        hex(record.ip),
      ]);
      let id = hops.get(key) ?? tunnel.hops.get(key);
      if (id === undefined) {
        id = plane.allocate('underlayHop');
        plane.underlayHops.write(id, record);
      }
      hops.set(key, id);
      ways.push({ to: id, weight });
    }
    const slots = ways.length > 0 ? spread(ways) : new Array<number>(WAYS).fill(0);
    if (slots.some((id, i) => id !== tunnel.slots[i]))
      plane.tunnels.write(tunnel.id, { hops: Uint32Array.from(slots) });
    const kept = new Set(hops.values());
    for (const id of tunnel.hops.values()) if (!kept.has(id)) plane.release('underlayHop', id);
    tunnel.slots = slots;
    tunnel.hops = hops;
    tunnel.sessions = sessions;
  }
}

function fresh(intent: TunnelIntent, owner: string, id: number): Tunnel {
  return {
    id,
    owner,
    intent,
    condition: 'no route',
    ways: [],
    mtu: undefined,
    remark: '',
    hops: new Map(),
    slots: new Array<number>(WAYS).fill(0),
    arrival: 0,
    sessions: [],
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
