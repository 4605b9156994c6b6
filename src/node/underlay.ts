/**
 * Tunnels: where the machine's own routes and neighbours lead to, as ready outer headers. Follows links, addresses,
 * routes and neighbours; many events in one go are one look. What changed is a new hop, swapped in by one word a
 * slot; the old one is released. The next hops' neighbours are managed: the kernel never sees our traffic.
 */
import { type Link, type NetlinkEvent, type Route } from '../../native/lib/index.js';
import { type DataPlane } from '../dataplane/index.js';
import { type Address, parseAddress, parseMac } from './address.js';
import { hopRecord, type OuterHeader, TUNNEL_CHECKSUM, type UnderlayWay } from './hop.js';
import { type Interfaces } from './interfaces.js';
import { type TunnelIntent } from './model.js';
import { type NetState, neighbourKey, usableMac } from './net-state.js';
import { spread, type Way, WAYS } from './ways.js';

/** RTNH_F_DEAD | RTNH_F_LINKDOWN */
const UNUSABLE = 1 | 16;
/** No interface has this index: a tunnel whose arrival interface is not there takes nothing. */
const NO_INTERFACE = 0xffffffff;

export type TunnelCondition = 'up' | 'no route' | 'unresolved' | 'interface down';

/** One of the equal ways the machine's routes give, as far as it is known. */
export interface ResolvedWay {
  readonly interface: string;
  readonly gateway: string;
  readonly mac: string;
  readonly weight: number;
}

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
  /** Neighbours its ways need, by neighbourKey. */
  neighbours: Set<string>;
}

interface Candidate {
  readonly link: Link;
  readonly gateway: string;
  readonly weight: number;
}

interface Findings {
  readonly condition: TunnelCondition;
  readonly remark: string;
  readonly ways: readonly (ResolvedWay & { readonly way: UnderlayWay | undefined; readonly index: number })[];
  readonly mtu: number | undefined;
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
  /** A tunnel's condition or ways changed. */
  readonly changed: (name: string) => void;
  readonly failed: (error: unknown) => void;
}

export class Underlay {
  readonly #options: UnderlayOptions;
  readonly #tunnels = new Map<string, Tunnel>();
  /** How many tunnels need a managed neighbour. */
  readonly #managed = new Map<string, { index: number; address: string; users: number }>();
  /** How many tunnels end at a local address. */
  readonly #locals = new Map<string, number>();
  #work: Promise<void> = Promise.resolve();
  #pending: Set<string> | 'all' | undefined;

  constructor(options: UnderlayOptions) {
    this.#options = options;
    options.net.listen((events) => this.#onEvents(events));
  }

  get(name: string): LiveTunnel | undefined {
    return this.#tunnels.get(name);
  }

  get all(): IterableIterator<LiveTunnel> {
    return this.#tunnels.values();
  }

  /** The IP MTU towards `intent`'s far end as the machine routes now; undefined where it knows no way. */
  async mtuTo(intent: TunnelIntent): Promise<number | undefined> {
    return (await this.#look(intent)).mtu;
  }

  /** Takes over the record of an earlier agent; resolve() brings it up to date. */
  adopt(intent: TunnelIntent, owner: string, id: number): void {
    const record = this.#options.plane.tunnels.read(id);
    this.#tunnels.set(intent.name, {
      ...fresh(intent, owner, id),
      slots: [...record.hops],
      // ids nobody names any more once the ways are resolved
      hops: new Map(Array.from(new Set(record.hops), (hop) => [`adopted ${hop}`, hop] as const).filter(([, hop]) => hop)),
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
      this.#need(tunnel, new Map());
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
      if (event.type === 'resync' || event.what !== 'neighbour') {
        this.#pend('all');
        return;
      }
      const key = neighbourKey(event.object.index, event.object.address);
      if (!this.#managed.has(key)) continue;
      for (const tunnel of this.#tunnels.values()) if (tunnel.neighbours.has(key)) this.#pend(tunnel.intent.name);
    }
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

  async #route(intent: TunnelIntent): Promise<Route | undefined> {
    try {
      return await this.#options.net.netlink.lookupRoute(intent.remote, { fibMatch: true });
    } catch {
      return undefined;
    }
  }

  async #look(intent: TunnelIntent): Promise<Findings> {
    const { net, interfaces } = this.#options;
    const nothing = (condition: TunnelCondition, remark: string): Findings => ({
      condition,
      remark,
      ways: [],
      mtu: undefined,
    });
    if (!this.#isOwn(intent.local)) return nothing('no route', `${intent.local} is no address of this machine`);
    const route = await this.#route(intent);
    if (!route || route.type !== 'unicast') return nothing('no route', `the machine has no route to ${intent.remote}`);
    const candidates: Candidate[] = [];
    let foreign = '';
    for (const hop of route.nextHops) {
      const link = net.links.get(hop.index);
      if (!link) continue;
      if (interfaces.underlayOf(link) === undefined) foreign = link.name;
      else if (link.up && link.running && (hop.flags & UNUSABLE) === 0) {
        candidates.push({ link, gateway: hop.gateway ?? intent.remote, weight: Math.max(hop.weight, 1) });
      }
    }
    if (candidates.length === 0) {
      return foreign
        ? nothing('no route', `the route to ${intent.remote} leaves by ${foreign}, which is no underlay interface`)
        : nothing('interface down', '');
    }
    return this.#findings(candidates.slice(0, WAYS));
  }

  #findings(candidates: readonly Candidate[]): Findings {
    const { net } = this.#options;
    const ways = candidates.map(({ link, gateway, weight }) => {
      const mac = usableMac(net.neighbours.get(neighbourKey(link.index, gateway)));
      return {
        interface: link.name,
        index: link.index,
        gateway,
        mac: mac ?? '',
        weight,
        way: mac === undefined ? undefined : this.#wayOf(link, mac),
      };
    });
    return {
      condition: ways.some((way) => way.way) ? 'up' : 'unresolved',
      remark: '',
      ways,
      mtu: Math.min(...candidates.map(({ link }) => link.mtu)),
    };
  }

  /** A VLAN device's frames leave by the NIC below it, with its tag. */
  #wayOf(link: Link, mac: string): UnderlayWay | undefined {
    const ifindex = this.#options.interfaces.underlayOf(link);
    const sourceMac = link.address === undefined ? undefined : parseMac(link.address);
    const destinationMac = parseMac(mac);
    if (ifindex === undefined || !sourceMac || !destinationMac) return undefined;
    return { ifindex, sourceMac, destinationMac, mtu: link.mtu, vlanId: link.vlanId };
  }

  #isOwn(local: string): boolean {
    for (const addresses of this.#options.net.addresses.values()) {
      for (const { address: own } of addresses.values()) if (own === local) return true;
    }
    return false;
  }

  async #resolve(tunnel: Tunnel): Promise<void> {
    if (this.#tunnels.get(tunnel.intent.name) !== tunnel) return;
    const { plane, interfaces } = this.#options;
    const { intent } = tunnel;
    const findings = await this.#look(intent);
    this.#need(
      tunnel,
      new Map(findings.ways.map(({ index, gateway }) => [neighbourKey(index, gateway), { index, gateway }])),
    );
    if (intent.arrivalInterface) {
      const arrival = interfaces.underlayIndex(intent.arrivalInterface) ?? NO_INTERFACE;
      if (arrival !== tunnel.arrival) {
        tunnel.arrival = arrival;
        plane.tunnels.write(tunnel.id, { arrival });
      }
    }
    this.#swapHops(tunnel, findings);
    const before = JSON.stringify([tunnel.condition, tunnel.ways, tunnel.mtu]);
    tunnel.condition = findings.condition;
    tunnel.remark = findings.remark;
    tunnel.mtu = findings.mtu;
    tunnel.ways = findings.ways.map(({ interface: name, gateway, mac, weight }) => ({
      interface: name,
      gateway,
      mac,
      weight,
    }));
    if (JSON.stringify([tunnel.condition, tunnel.ways, tunnel.mtu]) !== before) this.#options.changed(intent.name);
  }

  #swapHops(tunnel: Tunnel, findings: Findings): void {
    const { plane } = this.#options;
    const outer = outerOf(tunnel.intent);
    const hops = new Map<string, number>();
    const ways: Way<number>[] = [];
    for (const { way, weight } of findings.ways) {
      if (!way) continue;
      const record = hopRecord(outer, way);
      const key = JSON.stringify([record.ifindex, record.room, record.flags, hex(record.ethernet), hex(record.ip)]);
      let id = hops.get(key) ?? tunnel.hops.get(key);
      if (id === undefined) {
        id = plane.allocate('underlayHop');
        plane.underlayHops.write(id, record);
      }
      hops.set(key, id);
      ways.push({ to: id, weight });
    }
    const slots = ways.length > 0 ? spread(ways) : new Array<number>(WAYS).fill(0);
    if (slots.some((id, i) => id !== tunnel.slots[i])) plane.tunnels.write(tunnel.id, { hops: Uint32Array.from(slots) });
    const kept = new Set(hops.values());
    for (const id of tunnel.hops.values()) if (!kept.has(id)) plane.release('underlayHop', id);
    tunnel.slots = slots;
    tunnel.hops = hops;
  }

  /** Neighbours that a tunnel's ways go to: kept resolved by the kernel for as long as one does. */
  #need(tunnel: Tunnel, wanted: ReadonlyMap<string, { index: number; gateway: string }>): void {
    const { net, failed } = this.#options;
    for (const [key, { index, gateway }] of wanted) {
      if (tunnel.neighbours.has(key)) continue;
      tunnel.neighbours.add(key);
      const known = this.#managed.get(key);
      if (known) known.users++;
      else this.#managed.set(key, { index, address: gateway, users: 1 });
      if (!known) net.netlink.replaceNeighbour({ index, address: gateway, managed: true }).catch(failed);
    }
    for (const key of tunnel.neighbours) {
      if (wanted.has(key)) continue;
      tunnel.neighbours.delete(key);
      const managed = this.#managed.get(key);
      if (!managed || --managed.users > 0) continue;
      this.#managed.delete(key);
      // gone with its interface is as good
      net.netlink.deleteNeighbour({ index: managed.index, address: managed.address }).catch(() => undefined);
    }
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
    neighbours: new Set(),
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
