/*
 * One machine's data plane for packet tests: the test build of bpf/ loaded as it is, its maps filled from readable
 * tables, its programs run on single frames by BPF_PROG_TEST_RUN in a namespace of its own with real interfaces.
 * It writes the maps by itself, not through src/dataplane: a mistake there must not hide one here.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Chunk,
  DevicePairKey,
  DropReason,
  LabelAction,
  LabelBucket,
  Limit,
  Meter,
  MeterDirection,
  NextHop,
  NextHopKind,
  Node,
  Path,
  Port,
  PortRole,
  PuntKind,
  PuntWindow,
  Tables as TableRoots,
  Tag,
  Tunnel,
  TunnelBucket4,
  TunnelKey6,
  UnderlayHop,
  Vif,
  VifCounters,
  Wire,
  WireKey,
  WireKind,
} from '../../gen/layout.js';
import { BpfMap, BpfObject, possibleCpus, XdpAction, type BpfProgram } from '../../native/lib/index.js';
import { addressBytes, checksum, macBytes } from './frames.js';
import { Sessions } from './sessions.js';
import { contextWord, type Outcome, type Rate, type Tables } from './tables.js';

/** Upward from here: the sources, or what is compiled from them. */
export function objectPath(name: string): string {
  const file = join('build', 'bpf', `${name}.o`);
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, file))) return join(folder, file);
    if (folder === dirname(folder)) throw new Error(`${file} is not built: run npm run setup`);
  }
}

interface Codec<T> {
  size: number;
  encode(value: T): Uint8Array;
  decode(view: DataView, offset: number): T;
}

/** A record: what is not named is zero. */
function record<T extends object>(codec: Codec<T>, fields: Partial<T>): Uint8Array {
  const zero = codec.decode(new DataView(new ArrayBuffer(codec.size)), 0);
  return codec.encode({ ...zero, ...fields });
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

function ip(args: readonly string[], input = ''): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8', input });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

let instances = 0;

/** Virtual nodes that the tests use, and the machine. */
const NODES = 5;

export interface RunOptions {
  /** As if the frame came from the virtual node's kernel, at the machine's end of its veth. */
  fromKernel?: boolean;
  /** As if the BFD sender had sent it. */
  fromSender?: boolean;
  /** Metadata that a neighbouring namespace left on the frame. */
  meta?: Uint8Array;
}

export class Instance {
  private readonly reasons = Object.entries(DropReason).map(([name, id]) => ({ name, id }));
  private chunksUsed = 1;

  readonly object: BpfObject;
  /** Path of its network namespace. */
  readonly netns: string;
  /** Links of several paths, and what watches them. */
  readonly sessions: Sessions;
  private readonly maps: Map<string, BpfMap>;

  private constructor(object: BpfObject, netns: string, maps: Map<string, BpfMap>) {
    this.object = object;
    this.netns = netns;
    this.maps = maps;
    this.sessions = new Sessions((map) => this.map(map));
  }

  /**
   * Interfaces 2 to `interfaces` + 1 exist, so that frames may come and go by them. `puntLimit`: packets a window to
   * a virtual node's kernel, instead of the limits by kind. `jumbo`: the build for frames in several buffers.
   * `benchmarks`: the programs for repeated runs as well.
   */
  static async start(
    tables: Tables,
    options: { puntLimit?: number; chunks?: number; jumbo?: boolean; benchmarks?: boolean } = {},
    interfaces = 16,
  ): Promise<Instance> {
    const name = `cbpk-${process.pid}-${instances++}`;
    ip(['netns', 'add', name]);
    try {
      const pairs = Array.from({ length: interfaces / 2 }, (_, i) => [2 * i + 2, 2 * i + 3] as const);
      // by one process: under emulation each costs as much as a hundred packets
      ip(
        ['-n', name, '-batch', '-'],
        pairs.map(([a, b]) => `link add e${a} index ${a} type veth peer name e${b} index ${b}\n`).join(''),
      );
      const object = BpfObject.open(objectPath(options.jumbo ? 'cabernet-jumbo-test' : 'cabernet-test'));
      object.setMaxEntries('chunks', options.chunks ?? 4096);
      // the nodes that tests use, so that all counters are read by one call
      object.setMaxEntries('drops', NODES * Limit.LIMIT_DROP_ROW);
      object.setMaxEntries('punts', NODES * Limit.LIMIT_PUNT_ROW);
      object.setMaxEntries('copies', possibleCpus() * Limit.LIMIT_COPY_SLOTS);
      // each holds the whole data plane once more, which is most of a load's time
      for (const program of object.programNames) {
        if (program.startsWith('bench_')) object.setAutoload(program, options.benchmarks ?? false);
      }
      if (options.puntLimit !== undefined) {
        const limits = Uint32Array.from({ length: PuntKind.PUNT_COUNT }, () => options.puntLimit ?? 0);
        object.setConstants({ punt_limits: new Uint8Array(limits.buffer) });
      }
      await object.load();
      const maps = new Map(object.mapNames.map((map) => [map, object.map(map)]));
      const instance = new Instance(object, `/run/netns/${name}`, maps);
      const egress = object.program('cabernet_egress');
      for (let i = 2; i < interfaces + 2; i++)
        instance.map('devices').setDevice(i, { ifindex: i, program: egress }, { netns: instance.netns });
      instance.write(tables);
      return instance;
    } catch (error) {
      ip(['netns', 'delete', name]);
      throw error;
    }
  }

  stop(): void {
    this.sessions.close();
    for (const map of this.maps.values()) map.close();
    this.object.close();
    ip(['netns', 'delete', this.netns.slice('/run/netns/'.length)]);
  }

  map(name: string): BpfMap {
    const map = this.maps.get(name);
    if (!map) throw new Error(`no map ${name}`);
    return map;
  }

  // ---- tables

  private put(map: string, id: number, value: Uint8Array): void {
    this.map(map).update(u32(id), value);
  }

  write(tables: Tables): void {
    const roles = { underlay: PortRole.PORT_UNDERLAY, access: PortRole.PORT_ACCESS, vif: PortRole.PORT_VIF };
    for (const p of tables.ports)
      this.put('ports', p.ifindex, record(Port, { role: roles[p.role], vif: p.vif ?? 0 }));
    for (const h of tables.hops) this.writeHop(h, tables);
    for (const t of tables.tunnels) this.writeTunnel(t);
    for (const w of tables.wires ?? []) this.writeWire(w);
    for (const v of tables.vifs) {
      const meters =
        (v.sent ? Limit.LIMIT_VIF_SENT_RATE : 0) | (v.received ? Limit.LIMIT_VIF_RECEIVED_RATE : 0);
      const carried = tables.links?.find(({ vif }) => vif === v.id);
      const twice = carried?.kind === 'twice' ? Limit.LIMIT_VIF_TWICE : 0;
      const link = carried ? Limit.LIMIT_VIF_LINK | twice : 0;
      const flags = (v.down ? 0 : Limit.LIMIT_VIF_UP) | (v.ip ? Limit.LIMIT_VIF_IP : 0) | meters | link;
      if (v.sent) this.writeMeter(v.id, 'sent', v.sent);
      if (v.received) this.writeMeter(v.id, 'received', v.received);
      const rest = { node: v.node, veth: v.veth, port: v.port ?? 0, path: v.path ?? 0, mtu: v.mtu };
      this.put('vifs', v.id, record(Vif, { flags, ...rest, mac: macBytes(v.mac) }));
    }
    for (const l of tables.links ?? []) this.sessions.writeLink(l);
    for (const one of tables.sessions ?? []) this.sessions.write(one);
    for (const p of tables.paths) this.writePath(p);
    for (const l of tables.labels) this.writeLabel(l);
    for (const n of tables.nextHops) this.writeNextHop(n, tables);
    for (const n of tables.nodes) this.writeNode(n);
  }

  /** A meter's rate, and when its next byte is due: 0 is a full bucket. */
  writeMeter(vif: number, direction: 'sent' | 'received', rate: Rate, byteDue = 0n): void {
    const { bits = 0, packets = 0, burstBytes = 0, burstPackets = 0 } = rate;
    const packetCost = packets ? 64_000_000_000n / BigInt(packets) : 0n;
    const fields = { byteDue, byteCost: byteCost(bits), packetCost, burstBytes, burstPackets };
    this.put('meters', meterKey(vif, direction), record(Meter, fields));
  }

  /** When the next byte and the next packet are due, in ticks of 1/64 ns. */
  due(vif: number, direction: 'sent' | 'received'): { bytes: bigint; packets: bigint } {
    const found = this.map('meters').lookup(u32(meterKey(vif, direction)));
    if (!found) throw new Error('no such meter');
    const { byteDue, packetDue } = Meter.decode(new DataView(found.buffer, found.byteOffset), 0);
    return { bytes: byteDue, packets: packetDue };
  }

  /** The meters' clock, in ns; it stands still. */
  setClock(ns: bigint): void {
    const variables = this.map('.bss');
    const bytes = variables.lookup(u32(0));
    bytes?.writeBigUInt64LE(ns, this.object.variable('test_clock').offset);
    if (bytes) variables.update(u32(0), bytes);
  }

  private writeHop(h: Tables['hops'][number], tables: Tables): void {
    const tunnel = tables.tunnels.find((t) => t.hops.includes(h.id));
    if (!tunnel && !tables.wires?.some((w) => w.hop === h.id)) return;
    const family = !tunnel ? 0 : isIPv4(tunnel.local) ? 4 : 6;
    const ethernet = Buffer.alloc(20);
    macBytes(h.destination).copy(ethernet, 0);
    macBytes(h.source).copy(ethernet, 6);
    let l2 = 12;
    if (h.vlan !== undefined) {
      ethernet.writeUInt16BE(0x8100, 12);
      ethernet.writeUInt16BE(h.vlan, 14);
      l2 = 16;
    }
    ethernet.writeUInt16BE({ 0: 0x8847, 4: 0x0800, 6: 0x86dd }[family], l2);
    const ip = Buffer.alloc(48);
    let sum = 0;
    if (tunnel && family === 4) {
      ip[0] = 0x45;
      ip[1] = (h.dscp ?? 0) << 2;
      ip.writeUInt16BE(0x4000, 6);
      ip[8] = 64;
      ip[9] = 17;
      addressBytes(tunnel.local).copy(ip, 12);
      addressBytes(tunnel.remote).copy(ip, 16);
      for (let i = 0; i < 20; i += 2) sum += ip.readUInt16LE(i);
    } else if (tunnel) {
      ip.writeUInt32BE((0x60000000 | ((h.dscp ?? 0) << 22)) >>> 0, 0);
      ip[6] = 17;
      ip[7] = 64;
      addressBytes(tunnel.local).copy(ip, 8);
      addressBytes(tunnel.remote).copy(ip, 24);
    }
    const watched = h.peer ? Limit.LIMIT_HOP_WATCHED : 0;
    const flags = (tunnel?.checksum ? Limit.LIMIT_TUNNEL_CHECKSUM : 0) | watched;
    const bytes = l2 + 2 + { 0: 0, 4: 28, 6: 48 }[family];
    const fields = { ifindex: h.ifindex, room: h.room, l2: l2 + 2, family, flags, sum, ethernet, ip, bytes };
    this.put('underlay_hops', h.id, record(UnderlayHop, { ...fields, peer: h.peer ?? 0 }));
  }

  /** Whole headers, Ethernet up to UDP, as a BFD peer has them. */
  writeHeaders(id: number, ifindex: number, headers: Buffer): void {
    const l2 = headers.readUInt16BE(12) === 0x8100 ? 18 : 14;
    const family = headers.readUInt16BE(l2 - 2) === 0x0800 ? 4 : 6;
    const wide = (bytes: Buffer, size: number): Buffer => Buffer.concat([bytes, Buffer.alloc(size)], size);
    const ethernet = wide(headers.subarray(0, l2), 20);
    const ip = wide(headers.subarray(l2), 48);
    const fields = { ifindex, room: 1600, l2, family, ethernet, ip, bytes: headers.length };
    this.put('underlay_hops', id, record(UnderlayHop, fields));
  }

  private writeTunnel(t: Tables['tunnels'][number]): void {
    const wide = (address: string): Buffer =>
      Buffer.concat([addressBytes(address), Buffer.alloc(12)]).subarray(0, 16);
    const hops = Uint32Array.from(
      { length: Limit.LIMIT_MAX_WAYS },
      (_, i) => t.hops[i % Math.max(1, t.hops.length)] ?? 0,
    );
    const four = isIPv4(t.local);
    this.put(
      'tunnels',
      t.id,
      record(Tunnel, {
        family: four ? 4 : 6,
        flags: t.checksum ? Limit.LIMIT_TUNNEL_CHECKSUM : 0,
        arrival: t.arrival ?? 0,
        local: wide(t.local),
        remote: wide(t.remote),
        hops,
      }),
    );
    for (const [remote, id] of [
      [t.remote, t.id],
      [four ? '0.0.0.0' : '::', 0],
    ] as const) {
      if (four) {
        this.writeTunnelEnd(addressBytes(remote).readUInt32LE(), addressBytes(t.local).readUInt32LE(), id);
      } else {
        const key = { remote: addressBytes(remote), local: addressBytes(t.local) };
        this.map('tunnel_ends6').update(record(TunnelKey6, key), u32(id));
      }
    }
  }

  /** As it is from now on. */
  writeWire(w: NonNullable<Tables['wires']>[number]): void {
    const { ifindex, vlan = 0, vif = 0, hop = 0, bypass = 0 } = w;
    const kind = w.kind === 'lsp' ? WireKind.WIRE_LSP : WireKind.WIRE_CIRCUIT;
    this.put('wires', w.id, record(Wire, { kind, ifindex, vlan, vif, hop, bypass }));
    this.map('wire_ends').update(record(WireKey, { ifindex, vlan }), u32(w.id));
  }

  private writeTunnelEnd(remote: number, local: number, tunnel: number): void {
    const ends = this.map('tunnel_ends4');
    for (const bucket of buckets(remote, local, ends.maxEntries - 1)) {
      const bytes = ends.lookup(u32(bucket));
      if (!bytes) throw new Error('no such bucket');
      const slots = [...TunnelBucket4.decode(new DataView(bytes.buffer, bytes.byteOffset), 0).slots];
      const place = slots.findIndex((s) => !s.used || (s.remote === remote && s.local === local));
      if (place < 0) continue;
      slots[place] = { used: 1, remote, local, tunnel };
      ends.update(u32(bucket), TunnelBucket4.encode({ slots }));
      return;
    }
    throw new Error('both buckets are full');
  }

  /** As it is from now on, its colour included. */
  writePath(p: Tables['paths'][number]): void {
    const flags = p.unrepaired ? Limit.LIMIT_PATH_UNREPAIRED : 0;
    this.put('paths', p.id, record(Path, { label: Limit.LIMIT_LABEL_IMPLICIT_NULL, flags, ...p }));
  }

  private writeLabel(l: Tables['labels'][number]): void {
    const context = contextWord(l.context);
    const labels = this.map('labels');
    for (const bucket of buckets(context, l.label, labels.maxEntries - 1)) {
      const bytes = labels.lookup(u32(bucket));
      if (!bytes) throw new Error('no such bucket');
      const slots = [...LabelBucket.decode(new DataView(bytes.buffer, bytes.byteOffset), 0).slots];
      const free = slots.findIndex((s) => s.label === 0);
      if (free < 0) continue;
      const { LABEL_SWAP: swap, LABEL_DELIVER: deliver, LABEL_POP: pop } = LabelAction;
      const marked = { swap, deliver, pop }[l.action] | ((l.session ?? 0) << Limit.LIMIT_LABEL_SESSION_SHIFT);
      const target = l.action === 'pop' ? contextWord({ wire: l.target }) : l.target;
      slots[free] = { label: l.label, context, action: marked, target };
      labels.update(u32(bucket), LabelBucket.encode({ slots }));
      return;
    }
    throw new Error('both buckets are full');
  }

  private writeNextHop(n: Tables['nextHops'][number], tables: Tables): void {
    const kinds = {
      forward: NextHopKind.NEXT_HOP_FORWARD,
      local: NextHopKind.NEXT_HOP_LOCAL,
      glean: NextHopKind.NEXT_HOP_GLEAN,
      unreachable: NextHopKind.NEXT_HOP_UNREACHABLE,
      blackhole: NextHopKind.NEXT_HOP_BLACKHOLE,
      group: NextHopKind.NEXT_HOP_GROUP,
    };
    let fields: Partial<NextHop> = { kind: kinds[n.kind], node: n.node };
    if (n.kind === 'forward') {
      const out = tables.vifs.find((v) => v.id === n.vif);
      const source = macBytes(out?.mac ?? '02:00:00:00:00:00');
      fields = { ...fields, vif: n.vif, mac: macBytes(n.mac), source };
    }
    if (n.kind === 'group') {
      const ways = Uint32Array.from(
        { length: Limit.LIMIT_MAX_WAYS },
        (_, i) => n.ways[i % n.ways.length] ?? 0,
      );
      fields = { ...fields, ways };
    }
    this.put('next_hops', n.id, record(NextHop, fields));
  }

  /** A fresh trie for all of the node's routes: short prefixes first, longer ones over them. */
  private writeNode(n: Tables['nodes'][number]): void {
    const chunks = new Map<number, Uint32Array>();
    const fresh = (fill: number): number => {
      chunks.set(this.chunksUsed, new Uint32Array(256).fill(fill));
      return this.chunksUsed++;
    };
    const roots = { 4: fresh(0), 16: fresh(0) };
    const routes = n.routes.map((r) => {
      const [address = '', bits = ''] = r.prefix.split('/');
      return { address: addressBytes(address), bits: Number(bits), nextHop: r.nextHop };
    });
    for (const r of routes.sort((a, b) => a.bits - b.bits)) {
      let chunk = chunks.get(r.address.length === 4 ? roots[4] : roots[16]);
      let at = 0;
      for (; r.bits > at + 8 && chunk; at += 8) {
        const byte = r.address[at / 8] ?? 0;
        const entry = chunk[byte] ?? 0;
        if (entry === 0 || entry >>> 31) chunk[byte] = fresh(entry);
        chunk = chunks.get(chunk[byte] ?? 0);
      }
      const span = 1 << (at + 8 - r.bits);
      const first = (r.address[at / 8] ?? 0) & ~(span - 1);
      chunk?.fill((0x80000000 | r.nextHop) >>> 0, first, first + span);
    }
    for (const [id, entries] of chunks) this.put('chunks', id, Chunk.encode({ entries }));
    this.put('tables', n.id, record(TableRoots, { ipv4: roots[4], ipv6: roots[16] }));
    const before = this.map('nodes').lookup(u32(n.id));
    const generation = before ? Node.decode(new DataView(before.buffer, before.byteOffset), 0).generation : 0;
    this.put('nodes', n.id, record(Node, { tables: n.id, generation: generation + 1 }));
  }

  /** Frames may leave by both of these interfaces at the same time, or twice by one. */
  pairDevices(a: number, b: number): void {
    const pair = BpfMap.create({ type: 'devmap', name: 'pair', keySize: 4, valueSize: 8, maxEntries: 2 });
    const [low, high] = a < b ? [a, b] : [b, a];
    const program = this.object.program('cabernet_egress');
    for (const [i, ifindex] of [low, high].entries())
      pair.setDevice(i, { ifindex, program }, { netns: this.netns });
    this.map('device_pairs').update(DevicePairKey.encode({ low, high }), pair);
    pair.close();
  }

  // ---- counters

  /** By node and lower-case reason, only what is not zero. */
  async drops(): Promise<Map<string, number>> {
    const { values } = await this.map('drops').lookupBatch();
    const result = new Map<string, number>();
    const cpus = possibleCpus();
    for (let node = 0; node < NODES; node++) {
      for (const { name, id } of this.reasons) {
        const at = (node * Limit.LIMIT_DROP_ROW + id) * cpus * 8;
        let sum = 0;
        for (let cpu = 0; cpu < cpus; cpu++) sum += Number(values.readBigUInt64LE(at + cpu * 8));
        if (sum) result.set(`${node} ${name.slice('DROP_'.length).toLowerCase()}`, sum);
      }
    }
    return result;
  }

  /** Frames that a vif's meters admitted and refused, of those that arrived for it. */
  received(vif: number): { admitted: number; refused: number; sentRefused: number } {
    const found = this.map('vif_counters').lookup(u32(vif));
    const sums = { admitted: 0, refused: 0, sentRefused: 0 };
    for (let at = 0; found && at < found.length; at += VifCounters.size) {
      const counters = VifCounters.decode(new DataView(found.buffer, found.byteOffset), at);
      sums.admitted += Number(counters.receivedPackets);
      sums.refused += Number(counters.receivedRefused);
      sums.sentRefused += Number(counters.sentRefused);
    }
    return sums;
  }

  /** By kind, of all nodes. */
  private async punts(): Promise<Map<string, number>> {
    const { values } = await this.map('punts').lookupBatch();
    const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
    const result = new Map<string, number>();
    for (let node = 1; node < NODES; node++) {
      for (const [name, id] of Object.entries(PuntKind)) {
        if (id === PuntKind.PUNT_COUNT) continue;
        const { punted } = PuntWindow.decode(view, (node * Limit.LIMIT_PUNT_ROW + id) * PuntWindow.size);
        const kind = name.slice('PUNT_'.length).toLowerCase();
        if (punted) result.set(kind, Number(punted) + (result.get(kind) ?? 0));
      }
    }
    return result;
  }

  // ---- packets

  private program(name: string): BpfProgram {
    return this.object.program(name);
  }

  /** One frame all the way: ingress, and where it is redirected, egress. */
  async run(ifindex: number, frame: Buffer, options: RunOptions = {}): Promise<Outcome> {
    const drops = await this.drops();
    const punts = await this.punts();
    const entry = options.fromKernel ? 'vif' : options.fromSender ? 'channel' : 'port';
    const ingress = await this.program(`cabernet_${entry}`).testRun({
      data: frame,
      netns: this.netns,
      xdp: { ingressIfindex: ifindex, ...(options.meta ? { meta: options.meta } : {}) },
    });
    let action = ingress.retval;
    let out = ingress.data;
    if (action === XdpAction.REDIRECT) {
      const egress = await this.egress(ingress.data, ingress.meta ?? Buffer.alloc(0));
      /* the kernel compares lengths with the device's MTU before egress */
      if (ingress.data.length > egress.data.length && egress.retval === XdpAction.PASS)
        throw new Error(
          `redirected with ${ingress.data.length} bytes, but leaves with ${egress.data.length}`,
        );
      action = egress.retval === XdpAction.PASS ? XdpAction.REDIRECT : egress.retval;
      out = egress.data;
    }
    const reason = risen(drops, await this.drops())?.replaceAll(/\d+ /g, '');
    const punt = risen(punts, await this.punts());
    if (action === XdpAction.PASS) return { action: 'pass' };
    if (action !== XdpAction.REDIRECT) return { action: 'drop', reason: reason ?? 'NOT COUNTED' };
    return {
      action: 'redirect',
      ifindex: this.lastEgress(),
      frame: out,
      ...(punt === undefined ? {} : { punt }),
      ...(reason === undefined ? {} : { reason }),
    };
  }

  /** One frame in by a port, where nobody asks what becomes of it: a fifth of the calls. */
  async feed(ifindex: number, frame: Buffer): Promise<void> {
    await this.program('cabernet_port').testRun({
      data: frame,
      netns: this.netns,
      xdp: { ingressIfindex: ifindex },
    });
  }

  /** One tick of what ends silent sessions. */
  async sweep(): Promise<void> {
    await this.program('cabernet_sweep_test').testRun({ data: Buffer.alloc(14) });
  }

  /** Starts the timer of the sweep, by `sweep_control.period`. */
  async arm(): Promise<void> {
    const { retval } = await this.program('cabernet_arm').testRun({ data: Buffer.alloc(14) });
    if (retval !== XdpAction.PASS) throw new Error('the timer of the sweep was not armed');
  }

  /** The egress program on any frame and metadata. */
  async egress(frame: Buffer, meta: Buffer): Promise<{ retval: number; data: Buffer; meta?: Buffer }> {
    return this.program('cabernet_egress_test').testRun({ data: frame, netns: this.netns, xdp: { meta } });
  }

  private lastEgress(): number {
    return this.variable('last_egress');
  }

  /** A 32-bit variable of the test build. */
  variable(name: string): number {
    return this.map('.bss').lookup(u32(0))?.readUInt32LE(this.object.variable(name).offset) ?? 0;
  }

  setVariables(values: Readonly<Record<string, number>>): void {
    const bytes = this.map('.bss').lookup(u32(0));
    if (!bytes) throw new Error('the object has no variables');
    for (const [name, value] of Object.entries(values))
      bytes.writeUInt32LE(value, this.object.variable(name).offset);
    this.map('.bss').update(u32(0), bytes);
  }
}

function meterKey(vif: number, direction: 'sent' | 'received'): number {
  const { METER_DIRECTIONS, METER_SENT, METER_RECEIVED } = MeterDirection;
  return vif * METER_DIRECTIONS + (direction === 'sent' ? METER_SENT : METER_RECEIVED);
}

/** Ticks a byte as mult / 2^shift, mult with 32 bits: the largest shift that leaves it so. */
export function byteCost(bits: number): bigint {
  if (bits === 0) return 0n;
  for (let shift = 31n; ; shift--) {
    const mult = ((512_000_000_000n << shift) + BigInt(bits) / 2n) / BigInt(bits);
    if (mult < 1n << 32n) return (shift << 32n) | mult;
  }
}

/** bucket_hash() of bpf/labels.h, written once more. */
function buckets(a: number, b: number, mask: number): number[] {
  let h = (Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b)) >>> 0;
  h ^= h >>> 15;
  h = Math.imul(h, 0xc2b2ae35) >>> 0;
  h = (h ^ (h >>> 13)) >>> 0;
  return [h & mask, ((h >>> 16) ^ Math.imul(h, 31)) & mask];
}

/** A tag as ingress writes it, for tests that forge one. */
export function tag(fields: Partial<Tag>): Buffer {
  return Buffer.from(record(Tag, { magic: Limit.LIMIT_TAG_MAGIC, ...fields }));
}

/** The one counter that rose; all of them where several did, which no test expects. */
function risen(before: Map<string, number>, after: Map<string, number>): string | undefined {
  const names = [...after].filter(([name, count]) => count !== (before.get(name) ?? 0)).map(([name]) => name);
  return names.length === 0 ? undefined : names.join('+');
}

/** Source port and flow label of the outer header are chosen by a hash: set aside, within what is allowed. */
export function withoutEntropy(frame: Buffer): { frame: Buffer; port?: number; problem?: string } {
  const out = Buffer.from(frame);
  let at = 14;
  let type = out.readUInt16BE(12);
  if (type === 0x8100) {
    type = out.readUInt16BE(16);
    at = 18;
  }
  const four = type === 0x0800;
  const udp = at + (four ? 20 : 40);
  if (out.length < udp + 8 || (!four && type !== 0x86dd)) return { frame: out };
  if (out[at + (four ? 9 : 6)] !== 17 || out.readUInt16BE(udp + 2) !== 6635) return { frame: out };
  const port = out.readUInt16BE(udp);
  const field = out.readUInt16BE(udp + 6);
  if (field !== 0) {
    const addresses = out.subarray(at + (four ? 12 : 8), udp);
    const tail = Buffer.alloc(4);
    tail[1] = 17;
    out.copy(tail, 2, udp + 4, udp + 6);
    if (checksum(addresses, tail, out.subarray(udp)) !== 0)
      return { frame: out, port, problem: 'UDP checksum' };
    out.writeUInt16BE(0, udp + 6);
  }
  out.writeUInt16BE(0, udp);
  if (four) return { frame: out, port };
  const flowLabel = out.readUInt32BE(at) & 0xfffff;
  out.writeUInt32BE((out.readUInt32BE(at) & 0xfff00000) >>> 0, at);
  return {
    frame: out,
    port,
    ...(flowLabel === port ? {} : { problem: `flow label ${flowLabel}, port ${port}` }),
  };
}
