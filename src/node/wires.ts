/**
 * Wires: a port, or a port and VLAN, to one adjacent machine, where labels come without IP. Each is a record, an entry
 * by which an arriving frame finds it, and a ready Ethernet header, whose MAC addresses are also those that an arriving
 * frame must bear. Follows links and, where the neighbour is known by its IP address, the kernel's neighbours.
 */
import { type Link, type NetlinkEvent } from '../../native/lib/index.js';
import { type DataPlane, WireKind } from '../dataplane/index.js';
import { parseMac } from './address.js';
import { type UnderlayWay, watchedBy, wireHopRecord } from './hop.js';
import { type Interfaces } from './interfaces.js';
import { type ManagedNeighbours } from './managed.js';
import { type WireIntent } from './model.js';
import { neighbourKey, type NetState, usableMac } from './net-state.js';

export type WireCondition = 'up' | 'unresolved' | 'interface down';

export interface LiveWire {
  readonly id: number;
  readonly owner: string;
  readonly intent: WireIntent;
  readonly condition: WireCondition;
  /** Why `condition` is not `up`, where there is more to say. */
  readonly remark: string;
  /** The neighbour's; empty while it is not known. */
  readonly mac: string;
  /** Of the interface; undefined while it is not there. */
  readonly mtu: number | undefined;
  /** Of a circuit: the id of the vif whose link it carries; 0: none. */
  readonly vif: number;
}

interface Wire {
  id: number;
  owner: string;
  intent: WireIntent;
  condition: WireCondition;
  remark: string;
  mac: string;
  mtu: number | undefined;
  vif: number;
  /** Where its frames arrive, as the data plane has it; interface 0: nowhere. */
  ifindex: number;
  vlan: number;
  hop: number;
  /** What the hop says. */
  header: string;
  /** What watches the neighbour; 0: nothing. */
  session: number;
}

/** The neighbour as far as it is known. */
interface Found {
  readonly condition: WireCondition;
  readonly remark: string;
  readonly link?: Link;
  readonly mac?: string;
}

export interface WiresOptions {
  readonly plane: DataPlane;
  readonly net: NetState;
  readonly interfaces: Interfaces;
  readonly neighbours: ManagedNeighbours;
  /** The session that watches the neighbour a way leads to; 0: none does. */
  readonly sessionOf: (way: UnderlayWay, address: string) => number;
  /** A wire's condition or neighbour changed. */
  readonly changed: (name: string) => void;
  readonly failed: (error: unknown) => void;
}

export class Wires {
  readonly #options: WiresOptions;
  readonly #wires = new Map<string, Wire>();
  #pending: Set<string> | 'all' | undefined;

  constructor(options: WiresOptions) {
    this.#options = options;
    options.net.listen((events) => this.#onEvents(events));
  }

  get(name: string): LiveWire | undefined {
    return this.#wires.get(name);
  }

  get all(): IterableIterator<LiveWire> {
    return this.#wires.values();
  }

  byId(id: number): LiveWire | undefined {
    for (const wire of this.#wires.values()) if (wire.id === id) return wire;
    return undefined;
  }

  /** So says what watches its neighbour. */
  isGone(name: string): boolean {
    return this.#options.plane.peers.isDown(this.#wires.get(name)?.session ?? 0);
  }

  /** Nothing can be sent by it: as the programs see it. */
  isDown(name: string): boolean {
    return (this.#wires.get(name)?.hop ?? 0) === 0 || this.isGone(name);
  }

  /** Where it is now: of an interface that is there, with the neighbour's MAC address known. */
  wayOf(name: string): UnderlayWay | undefined {
    const wire = this.#wires.get(name);
    const link = wire && this.#linkOf(wire.intent.interface);
    return link && wire.mac ? wayBy(wire.intent, link, wire.mac) : undefined;
  }

  /** The MTU of the interface that `intent` names; undefined where there is none. */
  mtuOf({ interface: name }: WireIntent): number | undefined {
    return this.#linkOf(name)?.mtu;
  }

  /** Takes over the record of an earlier agent; resolveAll() brings it up to date. */
  adopt(intent: WireIntent, owner: string, id: number): void {
    const { ifindex, vlan, hop, vif } = this.#options.plane.wires.read(id);
    this.#wires.set(intent.name, { ...fresh(intent, owner, id), ifindex, vlan, hop, vif });
  }

  /** Entries that lead to no wire here are taken away. */
  async sweep(): Promise<void> {
    const { wireEnds } = this.#options.plane;
    const ours = new Map(Array.from(this.#wires.values(), (wire) => [wire.id, wire] as const));
    for (const end of await wireEnds.entries()) {
      const wire = ours.get(end.wire);
      if (wire?.ifindex !== end.ifindex || wire.vlan !== end.vlan) wireEnds.delete(end);
    }
  }

  /** There, and as wanted. `TABLE_FULL` where there is no room. */
  ensure(intent: WireIntent, owner: string): void {
    const { plane } = this.#options;
    let wire = this.#wires.get(intent.name);
    if (!wire) {
      wire = fresh(intent, owner, plane.allocate('wire'));
      this.#wires.set(intent.name, wire);
    }
    wire.owner = owner;
    const kind = intent.type === 'lsp' ? WireKind.WIRE_LSP : WireKind.WIRE_CIRCUIT;
    if (intent.type !== 'circuit') this.#setVif(wire, 0);
    wire.intent = intent;
    plane.wires.set(wire.id, 'kind', kind);
    this.#resolve(wire);
  }

  /** Nothing leads to it any more: its records go back. */
  remove(name: string): void {
    const wire = this.#wires.get(name);
    if (!wire) return;
    const { plane, neighbours } = this.#options;
    this.#wires.delete(name);
    plane.wires.set(wire.id, 'kind', WireKind.WIRE_NONE);
    this.#setVif(wire, 0);
    this.#setHop(wire, undefined);
    this.#move(wire, 0, 0);
    neighbours.need(name, []);
    plane.release('wire', wire.id);
  }

  /** A circuit carries this vif's link from now on; of an lsp, its labels say what it carries. */
  carry(names: readonly string[], vif: number): void {
    for (const wire of this.#wires.values()) {
      const wanted = wire.intent.type === 'circuit' && names.includes(wire.intent.name);
      if (wanted) this.#setVif(wire, vif);
      else if (wire.vif === vif) this.#setVif(wire, 0);
    }
  }

  /** The circuit leads to no vif. */
  forget(name: string): void {
    const wire = this.#wires.get(name);
    if (wire) this.#setVif(wire, 0);
  }

  /** Looks at every wire again. */
  resolveAll(): void {
    for (const wire of this.#wires.values()) this.#resolve(wire);
  }

  /** Ids of wires and hops in use. */
  ids(): { wires: Set<number>; hops: Set<number> } {
    const live = [...this.#wires.values()];
    return {
      wires: new Set(live.map((wire) => wire.id)),
      hops: new Set(live.flatMap((wire) => (wire.hop === 0 ? [] : [wire.hop]))),
    };
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
    const pending = this.#pending;
    if (what === 'all') this.#pending = 'all';
    else if (pending === undefined) this.#pending = new Set([what]);
    else if (pending !== 'all') pending.add(what);
    if (pending !== undefined) return;
    setImmediate(() => {
      const names = this.#pending;
      this.#pending = undefined;
      try {
        for (const [name, wire] of this.#wires) if (names === 'all' || names?.has(name)) this.#resolve(wire);
      } catch (error) {
        this.#options.failed(error);
      }
    });
  }

  // ---- the record

  #setVif(wire: Wire, vif: number): void {
    if (wire.vif === vif) return;
    wire.vif = vif;
    this.#options.plane.wires.set(wire.id, 'vif', vif);
  }

  /** By one word; the old one is released. */
  #setHop(wire: Wire, link: { readonly link: Link; readonly mac: string } | undefined): void {
    const { plane } = this.#options;
    const record = link && this.#hopOf(wire, link.link, link.mac);
    const header = record
      ? JSON.stringify([record.ifindex, record.room, record.peer, [...record.ethernet]])
      : '';
    if (header === wire.header && (record === undefined) === (wire.hop === 0)) return;
    const before = wire.hop;
    wire.header = header;
    wire.session = record?.peer ?? 0;
    wire.hop = 0;
    if (record) {
      wire.hop = plane.allocate('underlayHop');
      plane.underlayHops.write(wire.hop, record);
    }
    plane.wires.set(wire.id, 'hop', wire.hop);
    if (before !== 0) plane.release('underlayHop', before);
  }

  #hopOf(wire: Wire, link: Link, mac: string): ReturnType<typeof wireHopRecord> | undefined {
    const way = wayBy(wire.intent, link, mac);
    if (!way) return undefined;
    return watchedBy(wireHopRecord(way), this.#options.sessionOf(way, wire.intent.neighbourAddress));
  }

  /** Frames arrive by another interface or VLAN from now on: nothing of the old place's is taken for the new one's. */
  #move(wire: Wire, ifindex: number, vlan: number): void {
    if (wire.ifindex === ifindex && wire.vlan === vlan) return;
    const { plane } = this.#options;
    this.#setHop(wire, undefined);
    if (wire.ifindex !== 0) {
      const before = { ifindex: wire.ifindex, vlan: wire.vlan };
      // another wire may have taken its place already
      if (plane.wireEnds.get(before) === wire.id) plane.wireEnds.delete(before);
    }
    wire.ifindex = ifindex;
    wire.vlan = vlan;
    plane.wires.set(wire.id, 'ifindex', ifindex);
    plane.wires.set(wire.id, 'vlan', vlan);
    if (ifindex !== 0) plane.wireEnds.set({ ifindex, vlan }, wire.id);
  }

  // ---- resolution

  #linkOf(name: string): Link | undefined {
    const { interfaces, net } = this.#options;
    const index = interfaces.underlayIndex(name);
    return index === undefined ? undefined : net.links.get(index);
  }

  #resolve(wire: Wire): void {
    const { intent } = wire;
    const link = this.#linkOf(intent.interface);
    this.#move(wire, link?.index ?? 0, link ? intent.vlan : 0);
    const found = this.#find(intent, link);
    this.#setHop(
      wire,
      found.link && found.mac !== undefined ? { link: found.link, mac: found.mac } : undefined,
    );
    const before = JSON.stringify([wire.condition, wire.mac, wire.mtu]);
    wire.condition = found.condition;
    wire.remark = found.remark;
    wire.mac = found.mac ?? '';
    wire.mtu = link?.mtu;
    if (JSON.stringify([wire.condition, wire.mac, wire.mtu]) !== before) this.#options.changed(intent.name);
  }

  #find(intent: WireIntent, link: Link | undefined): Found {
    const { neighbours, interfaces } = this.#options;
    const down = (remark: string): Found => {
      neighbours.need(intent.name, []);
      return { condition: 'interface down', remark };
    };
    if (!link) return down(`there is no ${intent.interface}`);
    const problem = interfaces.wireProblem(link.index);
    if (problem !== '') return down(problem);
    if (!link.up || !link.running) return down('');
    if (intent.neighbourMac) {
      neighbours.need(intent.name, []);
      return { condition: 'up', remark: '', link, mac: intent.neighbourMac };
    }
    return this.#ask(intent, link);
  }

  /** The kernel knows the neighbours of a VLAN only by a device of that VLAN. */
  #ask(intent: WireIntent, link: Link): Found {
    const { net, neighbours } = this.#options;
    const device = intent.vlan === 0 ? link : vlanDevice(net.links.values(), link.index, intent.vlan);
    const address = intent.neighbourAddress;
    neighbours.need(intent.name, device ? [{ index: device.index, address }] : []);
    if (!device) {
      const remark = `no device of VLAN ${intent.vlan} is on ${intent.interface}: give the neighbour's MAC address`;
      return { condition: 'unresolved', remark };
    }
    const mac = usableMac(net.neighbours.get(neighbourKey(device.index, address)));
    if (mac !== undefined) return { condition: 'up', remark: '', link, mac };
    return { condition: 'unresolved', remark: `nobody answers for ${address} on ${device.name}` };
  }
}

function wayBy({ vlan }: WireIntent, link: Link, mac: string): UnderlayWay | undefined {
  const sourceMac = link.address === undefined ? undefined : parseMac(link.address);
  const destinationMac = parseMac(mac);
  if (!sourceMac || !destinationMac) return undefined;
  const tagged = vlan === 0 ? {} : { vlanId: vlan };
  return { ifindex: link.index, sourceMac, destinationMac, mtu: link.mtu, ...tagged };
}

/** The device of a VLAN on an interface. */
export function vlanDevice(links: Iterable<Link>, below: number, vlan: number): Link | undefined {
  for (const link of links) {
    if (link.kind === 'vlan' && link.peerIndex === below && link.vlanId === vlan) return link;
  }
  return undefined;
}

function fresh(intent: WireIntent, owner: string, id: number): Wire {
  return {
    id,
    owner,
    intent,
    condition: 'interface down',
    remark: '',
    mac: '',
    mtu: undefined,
    vif: 0,
    ifindex: 0,
    vlan: 0,
    hop: 0,
    header: '',
    session: 0,
  };
}
