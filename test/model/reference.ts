/*
 * A second data plane, written for reading: what bpf/ must do with one frame, given the tables. It shares no code and
 * no cleverness with the programs: routes are searched one by one, headers are taken apart by their offsets.
 * Where the programs choose by a hash, it returns every outcome that is allowed.
 */
import { addressBytes, checksum, macBytes } from '../support/frames.js';
import type { Context, LinkTable, Outcome, Tables } from '../support/tables.js';

const maxDepth = 4;
const labelTtl = 64;

class Dropped extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

interface LabelEntry {
  label: number;
  bottom: boolean;
  ttl: number;
}

interface Leaving {
  ifindex: number;
  /** Labels, outermost first, with the hop they leave by; none out of ports. */
  outer?: { hop: number; tunnel?: number; labels: LabelEntry[]; controlWord: boolean };
}

/** A frame on its way down. */
interface Load {
  inner: Buffer;
  controlWord: boolean;
  /** So far, outermost first. */
  labels: LabelEntry[];
  /** Layers passed. */
  depth?: number;
  /** Of the outer header, where a link has chosen. */
  port?: number;
}

/** What the outer header of an arriving packet said. */
interface Outer {
  /** Set where nothing else matters. */
  reason?: string;
  tunnel?: Tables['tunnels'][number] | undefined;
  /** Source and destination. */
  addresses: Buffer;
  /** Where the UDP header begins, and how long the IP header says it and what follows are. */
  at: number;
  payload: number;
  fragment?: boolean;
  shortHeader?: boolean;
  badHeader?: boolean;
}

/** Any of these is right. Source port and IPv6 flow label of an encapsulated frame are free unless `port` is given. */
export interface Expectation {
  /** `port`: where all that is on a path of a link has one. */
  outcomes: Array<Outcome & { port?: number }>;
  /** The outer source port that a transit frame must keep. */
  port?: number;
}

export class Reference {
  private readonly tables: Tables;
  /** What the meters of vifs have admitted of the frame at hand, which may pass one vif several times. */
  private charged = new Map<string, number>();

  constructor(tables: Tables) {
    this.tables = tables;
  }

  /** A frame arrives at an interface; `fromKernel`: at the machine's end of a vif's veth. */
  receive(ifindex: number, frame: Buffer, fromKernel: boolean): Expectation {
    this.charged = new Map();
    try {
      return this.dispatch(ifindex, frame, fromKernel);
    } catch (error) {
      if (error instanceof Dropped) return { outcomes: [{ action: 'drop', reason: error.reason }] };
      throw error;
    }
  }

  private dispatch(ifindex: number, frame: Buffer, fromKernel: boolean): Expectation {
    const port = this.tables.ports.find((p) => p.ifindex === ifindex);
    if (fromKernel) {
      if (port?.role !== 'vif') throw new Dropped('not_a_cable');
      const vif = this.vif(port.vif ?? 0);
      if (!vif) throw new Dropped('vif_down');
      if (frame.length < 14) throw new Dropped('truncated');
      if (vif.ip && ![0x0800, 0x86dd].includes(frame.readUInt16BE(12))) throw new Dropped('not_ip');
      return this.outOf(vif.id, frame, frame.length);
    }
    if (port?.role === 'underlay') return this.fromWire(ifindex, frame);
    if (port?.role !== 'access') throw new Dropped('not_a_cable');
    return this.atVif(port.vif ?? 0, frame);
  }

  /** The tests' clock leaves a full bucket to every frame: only what does not fit into it is too much. */
  private meter(vif: Tables['vifs'][number], direction: 'sent' | 'received', bytes: number): void {
    const burst = vif[direction]?.burstBytes;
    const key = `${vif.id} ${direction}`;
    const sum = (this.charged.get(key) ?? 0) + bytes;
    if (burst !== undefined && sum > burst) throw new Dropped(`${direction}_rate`);
    this.charged.set(key, sum);
  }

  private vif(id: number): Tables['vifs'][number] | undefined {
    return this.tables.vifs.find((v) => v.id === id);
  }

  private upVif(id: number): Tables['vifs'][number] {
    const vif = this.vif(id);
    if (!vif || vif.down) throw new Dropped('vif_down');
    return vif;
  }

  // ---- the wire

  private fromWire(ifindex: number, frame: Buffer): Expectation {
    const pass: Expectation = { outcomes: [{ action: 'pass' }] };
    if (frame.length < 14) throw new Dropped('truncated');
    let at = 14;
    let type = frame.readUInt16BE(12);
    let stacked = false;
    let vlan: number | undefined = 0;
    if (type === 0x8100 || type === 0x88a8) {
      if (frame.length < at + 4) return pass;
      vlan = type === 0x8100 ? frame.readUInt16BE(at) & 0xfff : undefined;
      type = frame.readUInt16BE(at + 2);
      at += 4;
      if (type === 0x8100) {
        if (frame.length < at + 4) return pass;
        type = frame.readUInt16BE(at + 2);
        at += 4;
        stacked = true;
      }
    }
    if (type === 0x8847) return stacked ? pass : (this.fromNeighbour(ifindex, vlan, frame, at) ?? pass);
    const outer =
      type === 0x0800 ? this.outer4(frame, at) : type === 0x86dd ? this.outer6(frame, at) : undefined;
    if (!outer) return pass;
    if (stacked) throw new Dropped('vlan_stacked');
    if (outer.reason) throw new Dropped(outer.reason);
    const tunnel = outer.tunnel;
    if (tunnel === undefined) throw new Dropped('tunnel_unknown');
    if (outer.fragment) throw new Dropped('outer_fragment');
    if (outer.shortHeader) throw new Dropped('outer_length');
    if (outer.badHeader) throw new Dropped('outer_checksum');
    if (tunnel.arrival !== undefined && tunnel.arrival !== ifindex) throw new Dropped('wrong_interface');
    at = outer.at;
    const udpLength = frame.readUInt16BE(at + 4);
    if (udpLength < 8 || udpLength !== outer.payload || at + udpLength > frame.length)
      throw new Dropped('outer_length');
    const field = frame.readUInt16BE(at + 6);
    if (field === 0) {
      if (tunnel.checksum) throw new Dropped('checksum_missing');
    } else {
      const tail = Buffer.from([0, 17, udpLength >> 8, udpLength & 0xff]);
      if (checksum(outer.addresses, tail, frame.subarray(at, at + udpLength)) !== 0)
        throw new Dropped('outer_checksum');
    }
    const expectation = this.climb(frame, at + 8, { tunnel: tunnel.id });
    if (expectation.port === -1) expectation.port = frame.readUInt16BE(at);
    return expectation;
  }

  /** Labels right on the wire; undefined where it is none of ours. */
  private fromNeighbour(
    ifindex: number,
    vlan: number | undefined,
    frame: Buffer,
    at: number,
  ): Expectation | undefined {
    const wire = this.tables.wires?.find((w) => w.ifindex === ifindex && (w.vlan ?? 0) === vlan);
    /* there is no source port to keep */
    return wire && { outcomes: this.byWire(wire, frame, at).outcomes };
  }

  private byWire(wire: NonNullable<Tables['wires']>[number], frame: Buffer, at: number): Expectation {
    const hop = this.tables.hops.find((h) => h.id === wire.hop);
    if (!hop) throw new Dropped('wire_unresolved');
    const addresses = Buffer.concat([macBytes(hop.source), macBytes(hop.destination)]);
    if (!frame.subarray(0, 12).equals(addresses)) throw new Dropped('wire_address');
    if (frame.length < at + 8) throw new Dropped('truncated');
    if (wire.kind === 'lsp') return this.climb(frame, at, { wire: wire.id });
    const word = frame.readUInt32BE(at);
    const vif = this.vif(wire.vif ?? 0);
    if (!vif) throw new Dropped('vif_down');
    /* label 0 at the bottom, whatever its traffic class: the circuit's own frame */
    if (word >>> 12 === 0 && word & 0x100) {
      if ((word & 0xff) === 0) throw new Dropped('label_ttl');
      return this.belowLabels(frame, at + 4, this.upVif(vif.id));
    }
    const up = this.upVif(vif.id);
    if (!beginsChannel(frame, at)) this.meter(up, 'received', frame.length - at);
    return this.climb(frame, at, { vif: vif.id });
  }

  private outer4(frame: Buffer, at: number): Outer | undefined {
    if (frame.length < at + 20 || frame[at + 9] !== 17 || (frame[at] ?? 0) >> 4 !== 4) return undefined;
    const source = frame.subarray(at + 12, at + 16);
    const destination = frame.subarray(at + 16, at + 20);
    const versionIhl = frame[at] ?? 0;
    const header = (versionIhl & 15) * 4;
    if (header < 20 || frame.length < at + header + 8) return undefined;
    if (frame.readUInt16BE(at + header + 2) !== 6635) return undefined;
    const fragment = frame.readUInt16BE(at + 6);
    const length = frame.readUInt16BE(at + 2);
    const ours = this.isEnd(destination);
    const base = { addresses: frame.subarray(at + 12, at + 20), at: at + 20, payload: length - 20 };
    if (header > 20) return ours ? { ...base, reason: 'outer_options' } : undefined;
    if (fragment & 0x1fff) return undefined;
    const tunnel = this.tunnel(source, destination);
    if (!tunnel && !ours) return undefined;
    return {
      ...base,
      tunnel,
      fragment: (fragment & 0x3fff) !== 0,
      shortHeader: length < 20,
      badHeader: checksum(frame.subarray(at, at + 20)) !== 0,
    };
  }

  private outer6(frame: Buffer, at: number): Outer | undefined {
    if (frame.length < at + 48 || frame[at + 6] !== 17 || frame.readUInt16BE(at + 42) !== 6635)
      return undefined;
    const source = frame.subarray(at + 8, at + 24);
    const destination = frame.subarray(at + 24, at + 40);
    const tunnel = this.tunnel(source, destination);
    if (!tunnel && !this.isEnd(destination)) return undefined;
    return {
      tunnel,
      addresses: frame.subarray(at + 8, at + 40),
      at: at + 40,
      payload: frame.readUInt16BE(at + 4),
    };
  }

  private isEnd(address: Buffer): boolean {
    return this.tables.tunnels.some((t) => addressBytes(t.local).equals(address));
  }

  private tunnel(source: Buffer, destination: Buffer) {
    return this.tables.tunnels.find(
      (t) => addressBytes(t.remote).equals(source) && addressBytes(t.local).equals(destination),
    );
  }

  // ---- up

  private climb(frame: Buffer, start: number, from: Context): Expectation {
    let at = start;
    let context = from;
    for (let depth = 0; depth < maxDepth; depth++) {
      if (frame.length < at + 4) throw new Dropped('truncated');
      const word = frame.readUInt32BE(at);
      const entry = { label: word >>> 12, bottom: (word & 0x100) !== 0, ttl: word & 0xff };
      at += 4;
      const meaning = this.tables.labels.find(
        (l) => l.label === entry.label && sameContext(l.context, context),
      );
      if (!meaning) throw new Dropped('label_unknown');
      if (meaning.action === 'swap') {
        if (entry.ttl <= 1) throw new Dropped('label_ttl');
        const inner = { bottom: entry.bottom, ttl: entry.ttl - 1 };
        const load = { inner: frame.subarray(at), controlWord: false, labels: [] };
        return { ...this.encapsulate(load, meaning.target, inner), port: -1 };
      }
      if (entry.ttl === 0) throw new Dropped('label_ttl');
      if (meaning.action === 'pop') {
        if (entry.bottom) throw new Dropped('label_unknown');
        context = { wire: meaning.target };
        continue;
      }
      const vif = this.upVif(meaning.target);
      if (entry.bottom) return this.belowLabels(frame, at, vif);
      if (!beginsChannel(frame, at)) this.meter(vif, 'received', frame.length - at);
      context = { vif: meaning.target };
    }
    throw new Dropped('label_surplus');
  }

  private belowLabels(frame: Buffer, at: number, vif: Tables['vifs'][number]): Expectation {
    if (frame.length < at + (vif.ip ? 1 : 4)) throw new Dropped('truncated');
    const nibble = (frame[at] ?? 0) >> 4;
    if (vif.ip) return this.atVif(vif.id, withEthernet(vif.mac, nibble, frame.subarray(at)));
    if (nibble === 1) throw new Dropped('channel_unknown');
    if (nibble !== 0) throw new Dropped('control_word');
    return this.atVif(vif.id, frame.subarray(at + 4));
  }

  // ---- at a vif

  private atVif(id: number, frame: Buffer): Expectation {
    const vif = this.upVif(id);
    if (frame.length < 14) throw new Dropped('truncated');
    const to = frame.subarray(0, 6);
    const type = frame.readUInt16BE(12);
    const punt = (kind: string): Expectation => {
      if (frame.length > vif.mtu + 18) throw new Dropped('too_big');
      return { outcomes: [{ action: 'redirect', punt: kind, ifindex: vif.veth, frame: Buffer.from(frame) }] };
    };
    if ((frame[6] ?? 0) & 1) throw new Dropped('source_mac');
    const group = ((to[0] ?? 0) & 1) !== 0;
    if (!group && !to.equals(macBytes(vif.mac))) throw new Dropped('not_my_mac');
    this.meter(vif, 'received', frame.length);
    if (group) {
      if (type === 0x0806) return punt('neighbour');
      const discovery = type === 0x86dd && frame.length >= 54 && isDiscovery(frame.subarray(14));
      return punt(discovery ? 'neighbour' : 'group');
    }
    if (type === 0x0806) return punt('neighbour');
    if (type === 0x0800) return this.ipv4(vif, frame, punt);
    if (type === 0x86dd) return this.ipv6(vif, frame, punt);
    return punt('other');
  }

  private ipv4(vif: Tables['vifs'][number], frame: Buffer, punt: (kind: string) => Expectation): Expectation {
    const ip = frame.subarray(14);
    if (ip.length < 20) throw new Dropped('truncated');
    if ((ip[0] ?? 0) >> 4 !== 4) throw new Dropped('inner_version');
    const length = ip.readUInt16BE(2);
    if (((ip[0] ?? 0) & 15) < 5 || length < 20 || length > ip.length) throw new Dropped('inner_length');
    if (ip[0] !== 0x45) return punt('options');
    if (checksum(ip.subarray(0, 20)) !== 0) throw new Dropped('inner_checksum');
    const [source, destination] = [ip.subarray(12, 16), ip.subarray(16, 20)];
    for (const address of [source, destination]) {
      const first = address[0] ?? 0;
      if (first === 0 || first === 127 || first >= 224) throw new Dropped('martian');
    }
    const ttl = ip[8] ?? 0;
    return this.route(vif, destination, length, ttl, punt, (hopMac, sourceMac) => {
      const out = Buffer.from(frame);
      hopMac.copy(out, 0);
      sourceMac.copy(out, 6);
      out[14 + 8] = ttl - 1;
      out.writeUInt16BE(0, 14 + 10);
      out.writeUInt16BE(checksum(out.subarray(14, 34)), 14 + 10);
      return out;
    });
  }

  private ipv6(vif: Tables['vifs'][number], frame: Buffer, punt: (kind: string) => Expectation): Expectation {
    const ip = frame.subarray(14);
    if (ip.length < 40) throw new Dropped('truncated');
    if ((ip[0] ?? 0) >> 4 !== 6) throw new Dropped('inner_version');
    const length = 40 + ip.readUInt16BE(4);
    if (length > ip.length) throw new Dropped('inner_length');
    const [source, destination] = [ip.subarray(8, 24), ip.subarray(24, 40)];
    const own = (a: Buffer): boolean => a.subarray(0, 15).every((b) => b === 0) && (a[15] ?? 0) < 2;
    const group = (a: Buffer): boolean => a[0] === 0xff;
    if ([source, destination].some((a) => own(a) || group(a))) throw new Dropped('martian');
    const linkLocal = (a: Buffer): boolean => a[0] === 0xfe && ((a[1] ?? 0) & 0xc0) === 0x80;
    if (linkLocal(source) || linkLocal(destination)) return punt(isDiscovery(ip) ? 'neighbour' : 'local');
    if (ip[6] === 0) return punt('options');
    const hopLimit = ip[7] ?? 0;
    return this.route(vif, destination, length, hopLimit, punt, (hopMac, sourceMac) => {
      const out = Buffer.from(frame);
      hopMac.copy(out, 0);
      sourceMac.copy(out, 6);
      out[14 + 7] = hopLimit - 1;
      return out;
    });
  }

  private route(
    vif: Tables['vifs'][number],
    destination: Buffer,
    length: number,
    ttl: number,
    punt: (kind: string) => Expectation,
    rewrite: (hopMac: Buffer, sourceMac: Buffer) => Buffer,
  ): Expectation {
    const first = this.longestPrefix(vif.node, destination);
    if (!first) {
      /* counted, and then it does not even fit the cable to the kernel */
      if (length + 14 > vif.mtu + 18) throw new Dropped('no_route+too_big');
      const answer = punt('unreachable');
      for (const outcome of answer.outcomes) outcome.reason = 'no_route';
      return answer;
    }
    const candidates = first.kind === 'group' ? first.ways : [first.id];
    const before = this.charged;
    const outcomes = candidates.flatMap((id): Expectation['outcomes'] => {
      this.charged = new Map(before);
      const hop = this.tables.nextHops.find((h) => h.id === id);
      if (!hop || hop.node !== vif.node || hop.kind === 'group')
        return [{ action: 'drop', reason: 'no_next_hop' }];
      if (hop.kind === 'local') return punt('local').outcomes;
      if (hop.kind === 'glean') return punt('unresolved').outcomes;
      if (hop.kind === 'unreachable') return punt('unreachable').outcomes;
      if (hop.kind === 'blackhole') return [{ action: 'drop', reason: 'blackhole' }];
      if (ttl <= 1) return punt('ttl').outcomes;
      const out = this.vif(hop.vif);
      if (!out) return [{ action: 'drop', reason: 'vif_down' }];
      if (length > out.mtu) return punt('too_big').outcomes;
      try {
        return this.outOf(out.id, rewrite(macBytes(hop.mac), macBytes(out.mac))).outcomes;
      } catch (error) {
        if (error instanceof Dropped) return [{ action: 'drop', reason: error.reason }];
        throw error;
      }
    });
    return { outcomes };
  }

  private longestPrefix(node: number, destination: Buffer) {
    let best: { bits: number; nextHop: number } | undefined;
    for (const route of this.tables.nodes.find((n) => n.id === node)?.routes ?? []) {
      const [address = '', bits = ''] = route.prefix.split('/');
      const prefix = addressBytes(address);
      const length = Number(bits);
      if (prefix.length !== destination.length || (best && best.bits >= length)) continue;
      if (bitsOf(destination).startsWith(bitsOf(prefix).slice(0, length)))
        best = { bits: length, nextHop: route.nextHop };
    }
    return best && this.tables.nextHops.find((h) => h.id === best.nextHop);
  }

  // ---- down

  private outOf(id: number, frame: Buffer, size = frame.length): Expectation {
    const vif = this.upVif(id);
    this.meter(vif, 'sent', size);
    if (vif.port) {
      if (size > vif.mtu + 18) throw new Dropped('too_big');
      return { outcomes: [{ action: 'redirect', ifindex: vif.port, frame }] };
    }
    const content = vif.ip ? frame.subarray(14) : frame;
    const begins = { bottom: true, ttl: labelTtl, own: true };
    return this.byAnyPath(vif, (path, port) =>
      this.encapsulate({ inner: content, controlWord: !vif.ip, labels: [], ...port }, path, begins),
    );
  }

  /** By each path that a vif's link may choose. */
  private byAnyPath(
    vif: Tables['vifs'][number],
    descend: (path: number, port: { port?: number }) => Expectation,
  ): Expectation {
    const link = this.tables.links?.find((l) => l.vif === vif.id);
    if (!link) return descend(vif.path ?? 0, {});
    const before = this.charged;
    const outcomes = choices(link).flatMap((place) => {
      const path = link.paths[place] ?? 0;
      this.charged = new Map(before);
      try {
        return descend(path, { port: pathPort(path) }).outcomes;
      } catch (error) {
        if (error instanceof Dropped) return [{ action: 'drop' as const, reason: error.reason }];
        throw error;
      }
    });
    return { outcomes };
  }

  /** By one path, and on to the wire; `load` is what has been gathered above. */
  private encapsulate(
    load: Load,
    path: number,
    innermost: { bottom: boolean; ttl: number; own?: boolean },
  ): Expectation {
    const depth = load.depth ?? 0;
    if (depth >= maxDepth) throw new Dropped('depth');
    const { inner, controlWord } = load;
    const step = this.tables.paths.find((p) => p.id === path);
    if (!step) throw new Dropped('no_path');
    const { bottom, ttl } = depth === 0 ? innermost : { bottom: false, ttl: labelTtl };
    const own = step.label ?? (depth === 0 ? 0 : undefined);
    if (step.label === undefined && depth === 0 && !innermost.own) throw new Dropped('no_path');
    const labels = own === undefined ? load.labels : [{ label: own, bottom, ttl }, ...load.labels];
    const port = load.port === undefined ? {} : { port: load.port };
    if (step.wire !== undefined) {
      const way = this.wireOrBypass(step.wire, labels);
      return { outcomes: [this.outer({ ifindex: 0, outer: { ...way, controlWord } }, inner)] };
    }
    if (step.vif === undefined) {
      const tunnel = this.tables.tunnels.find((t) => t.id === step.tunnel);
      if (!tunnel?.hops.length) throw new Dropped('tunnel_unresolved');
      const outcomes = tunnel.hops.map((hop) => ({
        ...this.outer({ ifindex: 0, outer: { hop, tunnel: tunnel.id, labels, controlWord } }, inner),
        ...port,
      }));
      return { outcomes };
    }
    const below = this.upVif(step.vif);
    this.meter(below, 'sent', inner.length + 4 * labels.length + (controlWord ? 4 : 0));
    return this.byAnyPath(below, (next, chosen) =>
      this.encapsulate({ ...load, labels, depth: depth + 1, ...chosen }, next, innermost),
    );
  }

  /** By the wire, or by its bypass with a label more where that leads to another one that is resolved. */
  private wireOrBypass(id: number, labels: Load['labels']): { hop: number; labels: Load['labels'] } {
    const wireOf = (number?: number) => this.tables.wires?.find((w) => w.id === number);
    const wire = wireOf(id);
    if (wire?.hop !== undefined) return { hop: wire.hop, labels };
    const bypass = this.tables.paths.find((p) => p.id === wire?.bypass);
    const other = bypass?.label === undefined ? undefined : wireOf(bypass.wire);
    if (bypass?.label === undefined || other?.kind !== 'lsp' || other.hop === undefined)
      throw new Dropped('wire_unresolved');
    if (labels.length >= maxDepth) throw new Dropped('depth');
    return { hop: other.hop, labels: [{ label: bypass.label, bottom: false, ttl: labelTtl }, ...labels] };
  }

  private outer(leaving: Leaving, inner: Buffer): Outcome {
    const { outer } = leaving;
    const hop = this.tables.hops.find((h) => h.id === outer?.hop);
    const tunnel = this.tables.tunnels.find((t) => t.id === outer?.tunnel);
    if (!outer || !hop) return { action: 'drop', reason: 'tunnel_unresolved' };
    const stack = outer.labels.map((l) => {
      const word = Buffer.alloc(4);
      word.writeUInt32BE(((l.label << 12) | (l.bottom ? 0x100 : 0) | l.ttl) >>> 0);
      return word;
    });
    const body = Buffer.concat([...stack, Buffer.alloc(outer.controlWord ? 4 : 0), inner]);
    const packet = tunnel
      ? mplsInUdp(addressBytes(tunnel.local), addressBytes(tunnel.remote), (hop.dscp ?? 0) << 2, body)
      : { type: [0x88, 0x47], bytes: body };
    const ethernet = Buffer.concat([macBytes(hop.destination), macBytes(hop.source)]);
    const tag =
      hop.vlan === undefined ? Buffer.alloc(0) : Buffer.from([0x81, 0, hop.vlan >> 8, hop.vlan & 0xff]);
    const frame = Buffer.concat([ethernet, tag, Buffer.from(packet.type), packet.bytes]);
    if (frame.length > hop.room) return { action: 'drop', reason: 'too_big' };
    /* four labels and a control word, or what takes their place: shorter is no frame of a VN */
    if (body.length < 20) return { action: 'drop', reason: 'truncated' };
    return { action: 'redirect', ifindex: hop.ifindex, frame };
  }
}

/** What watches a link of the layer above, which no meter holds back: its label, and the word of a channel. */
function beginsChannel(frame: Buffer, at: number): boolean {
  return frame.length >= at + 8 && ((frame[at + 2] ?? 0) & 1) === 1 && (frame[at + 4] ?? 0) >> 4 === 1;
}

/** Places of the paths by which a frame may go: by a weighted link any that has a share and is fit, the hash decides. */
function choices(link: LinkTable): number[] {
  const used = link.used ?? 0;
  if (link.kind !== 'weighted') return [used];
  const unfit = new Set([...(link.down ?? []), ...(link.avoid ?? [])]);
  return [...new Set((link.ways ?? [0]).map((way) => (unfit.has(way) ? used : way)))];
}

/** One for everything on a path of a link. */
function pathPort(path: number): number {
  return 49152 + (Number(((BigInt(path) * 0x9e3779b1n) & 0xffffffffn) >> 16n) % 16384);
}

function mplsInUdp(source: Buffer, destination: Buffer, tos: number, body: Buffer) {
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(6635, 2);
  udp.writeUInt16BE(8 + body.length, 4);
  const four = source.length === 4;
  const ip = four
    ? ipv4Header(source, destination, 28 + body.length, tos)
    : ipv6Header(source, destination, 8 + body.length, tos);
  return { type: four ? [0x08, 0x00] : [0x86, 0xdd], bytes: Buffer.concat([ip, udp, body]) };
}

/** An IP packet as a link of frames would have brought it. */
function withEthernet(mac: string, version: number, packet: Buffer): Buffer {
  const type = version === 4 ? [0x08, 0x00] : version === 6 ? [0x86, 0xdd] : undefined;
  if (!type) throw new Dropped('not_ip');
  return Buffer.concat([macBytes(mac), macBytes('02:00:00:00:00:00'), Buffer.from(type), packet]);
}

function ipv4Header(source: Buffer, destination: Buffer, length: number, tos: number): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header[1] = tos;
  header.writeUInt16BE(length & 0xffff, 2);
  header.writeUInt16BE(0x4000, 6);
  header[8] = 64;
  header[9] = 17;
  source.copy(header, 12);
  destination.copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return header;
}

function ipv6Header(source: Buffer, destination: Buffer, length: number, trafficClass: number): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE(((6 << 28) | (trafficClass << 20)) >>> 0, 0);
  header.writeUInt16BE(length, 4);
  header[6] = 17;
  header[7] = 64;
  source.copy(header, 8);
  destination.copy(header, 24);
  return header;
}

function sameContext(a: Context, b: Context): boolean {
  if ('tunnel' in a) return 'tunnel' in b && a.tunnel === b.tunnel;
  if ('wire' in a) return 'wire' in b && a.wire === b.wire;
  return 'vif' in b && a.vif === b.vif;
}

function isDiscovery(ip: Buffer): boolean {
  const type = ip[40] ?? 0;
  return ip[6] === 58 && ip.length > 40 && type >= 133 && type <= 137;
}

function bitsOf(bytes: Buffer): string {
  return [...bytes].map((b) => b.toString(2).padStart(8, '0')).join('');
}
