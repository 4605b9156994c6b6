/**
 * What the tracing build said, in words: each look-up with its key, its result, the layer it belongs to and the bytes
 * of header that it adds or takes off. Depth 0 is the wire, 1 the connectivity network, 2 the service network …
 */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft } from '../../api/message.js';
import {
  type Carrier,
  contextOwner,
  dropReasons,
  LabelAction,
  Limit,
  LinkKind,
  NextHopKind,
  puntKinds,
  type TraceEvent,
  TraceKind,
} from '../../dataplane/index.js';
import { formatAddress, formatMac } from '../address.js';
import { type Agent } from '../agent.js';
import { labelsOf } from '../authority.js';
import { type Entry, targetKey } from '../rib.js';

type Step = Draft<cabernet.node.v1.TraceStep>;

/** A name and its sentence, of a drop's reason or a punt's kind. */
export interface Why {
  readonly name: string;
  readonly sentence: string;
}

const ROLES = ['no role', 'underlay', 'port', 'vif'];

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

export class StepReader {
  readonly #agent: Agent;
  readonly steps: Step[] = [];
  punt: Why | undefined;
  drop: Why | undefined;
  passed = false;
  /** Set once the frame goes out of a port. */
  delivered = false;
  /** What the frame leaves by, below its labels. */
  carrier: Carrier | undefined;
  /** The vif that the frame is at. */
  vif = 0;
  /** Whose path the next PATH event is. */
  #carried = '';
  /** The link whose frame goes twice. */
  #copied = '';

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  read(events: readonly TraceEvent[]): void {
    for (const event of events) this.#read(event);
  }

  #add(
    event: TraceEvent,
    lookup: string,
    key: string,
    result: string,
    depth: number,
    bytes = event.bytes,
  ): void {
    this.steps.push({ depth, node: this.#nodeName(event.node), lookup, key, result, bytes });
  }

  #nodeName(id: number): string {
    return this.#agent.nodes.byId(id)?.name ?? '';
  }

  #vifName(id: number): string {
    return this.#agent.vifs.byId(id)?.name ?? `vif ${id}`;
  }

  #interface(index: number): string {
    return this.#agent.net.links.get(index)?.name ?? `interface ${index}`;
  }

  #tunnelName(id: number): string {
    for (const tunnel of this.#agent.underlay.all) if (tunnel.id === id) return tunnel.intent.name;
    return `tunnel ${id}`;
  }

  #wireName(id: number): string {
    return this.#agent.wires.byId(id)?.intent.name ?? `wire ${id}`;
  }

  #carrierName(carrier: Carrier): string {
    if ('tunnel' in carrier) return this.#tunnelName(carrier.tunnel);
    return 'wire' in carrier ? this.#wireName(carrier.wire) : this.#vifName(carrier.vif);
  }

  /** How many labels the frames of a node's links bear: its layer. */
  #layer(node: number): number {
    const { registry, nodes } = this.#agent;
    const name = nodes.byId(node)?.name;
    let layer = 1;
    for (const vif of name === undefined ? [] : registry.vifsOf(name)) {
      for (const path of registry.vif(vif)?.intent.paths ?? []) {
        layer = Math.max(layer, labelsOf(registry, path) ?? 1);
      }
    }
    return layer;
  }

  #read(event: TraceEvent): void {
    const { kind, node, vif, found, words } = event;
    const [a = 0, b = 0, c = 0, d = 0] = words;
    if (vif !== 0) this.vif = vif;
    switch (kind) {
      case TraceKind.TRACE_PORT:
        return this.#add(event, 'port', this.#interface(found), ROLES[a] ?? String(a), 0);
      case TraceKind.TRACE_TUNNEL:
        return this.#add(event, 'tunnel', this.#outerKey(found), this.#tunnelName(found), 0);
      case TraceKind.TRACE_WIRE: {
        const where = this.#agent.wires.byId(found)?.intent.interface ?? '';
        return this.#add(event, 'wire', b === 0 ? where : `${where} VLAN ${b}`, this.#wireName(found), 0);
      }
      case TraceKind.TRACE_LABEL:
        return this.#label(event, a, b, c);
      case TraceKind.TRACE_CONTROL_WORD:
        return this.#add(
          event,
          'control word',
          `nibble ${found}`,
          found === 0 ? 'data' : 'channel',
          event.depth,
        );
      case TraceKind.TRACE_MAC:
        return this.#add(event, 'mac', `type 0x${hex(a, 4)}`, this.#vifName(vif), this.#layer(node));
      case TraceKind.TRACE_IP: {
        const source = this.#address(event, c);
        return this.#add(
          event,
          'header',
          source,
          `ttl ${found}, ${a} bytes, protocol ${b}`,
          this.#layer(node),
        );
      }
      case TraceKind.TRACE_FLOW_CACHE:
        return this.#flowCache(event, c);
      case TraceKind.TRACE_ROUTE:
        return this.#route(event, b);
      case TraceKind.TRACE_NEXT_HOP:
        return this.#nextHop(event, a, b, c);
      case TraceKind.TRACE_VIF:
        return this.#outVif(event, a, b);
      case TraceKind.TRACE_PATH:
        return this.#path(event, a, d !== 0 ? { wire: d } : b !== 0 ? { vif: b } : { tunnel: c });
      case TraceKind.TRACE_LINK:
        return this.#link(event, a, c, b === LinkKind.LINK_TWICE);
      case TraceKind.TRACE_CHANNEL:
        this.delivered = true;
        if (vif === 0) return this.#add(event, 'channel', 'BFD', `a neighbour, by session ${found}`, 0);
        return this.#add(event, 'channel', 'BFD', `path ${a} of ${this.#vifName(vif)}`, event.depth);
      case TraceKind.TRACE_UNDERLAY_HOP:
        return this.#underlayHop(event, a, b, c);
      case TraceKind.TRACE_DEVICE:
        this.delivered = true;
        return this.#add(event, 'device', this.#vifName(a), this.#interface(found), 0);
      case TraceKind.TRACE_PUNT:
        return this.#punt(event);
      case TraceKind.TRACE_DROP:
        return this.#drop(event);
      case TraceKind.TRACE_PASS:
        this.passed = true;
        return this.#add(event, 'pass', `type 0x${hex(a, 4)}`, "not ours: the machine's kernel", 0);
      case TraceKind.TRACE_REWRITE:
        return this.#add(event, 'rewrite', `next hop ${found}`, 'MAC addresses, TTL - 1', this.#layer(node));
      default:
        // what egress takes off and puts on was counted where it was looked up
        return;
    }
  }

  #address(event: TraceEvent, size: number): string {
    return formatAddress(event.address.slice(0, size === 16 ? 16 : 4));
  }

  #outerKey(tunnel: number): string {
    for (const { id, intent } of this.#agent.underlay.all) {
      if (id === tunnel) return `${intent.remote} > ${intent.local}`;
    }
    return '';
  }

  #label(event: TraceEvent, label: number, context: number, action: number): void {
    const where = this.#carrierName(contextOwner(context));
    let result = 'unknown';
    if (event.found !== 0 && action === LabelAction.LABEL_DELIVER)
      result = `deliver to ${this.#vifName(event.found)}`;
    else if (event.found !== 0 && action === LabelAction.LABEL_POP)
      result = `end of a bypass, on as if on ${this.#carrierName(contextOwner(event.found))}`;
    else if (event.found !== 0) {
      result = 'swap';
      this.#carried = where;
    }
    this.#add(event, 'label', `${label} in ${where}`, result, event.depth + 1);
  }

  #route(event: TraceEvent, family: number): void {
    const address = this.#address(event, family === 6 ? 16 : 4);
    const bytes = event.address.slice(0, family === 6 ? 16 : 4);
    const match = this.#agent.nodes.byId(event.node)?.mirror.match({ family: family === 6 ? 6 : 4, bytes });
    const result = event.found === 0 ? 'no route' : match ? describe(match) : `next hop ${event.found}`;
    this.#add(event, family === 6 ? 'ipv6' : 'ipv4', address, result, this.#layer(event.node));
  }

  /** What the cache remembers of an earlier look-up; the route beside it is the one of now. */
  #flowCache(event: TraceEvent, size: number): void {
    const bytes = event.address.slice(0, size === 16 ? 16 : 4);
    const match = this.#agent.nodes.byId(event.node)?.mirror.match({ family: size === 16 ? 6 : 4, bytes });
    const result = match ? describe(match) : `next hop ${event.found}`;
    this.#add(event, 'flow cache', formatAddress(bytes), result, this.#layer(event.node));
  }

  #nextHop(event: TraceEvent, kind: number, high: number, low: number): void {
    const mac = formatMac(Uint8Array.of(high >>> 24, high >>> 16, high >>> 8, high, low >>> 8, low));
    const results: Readonly<Record<number, string>> = {
      [NextHopKind.NEXT_HOP_FORWARD]: `${mac} on ${this.#vifName(event.vif)}`,
      [NextHopKind.NEXT_HOP_LOCAL]: 'an address of this node',
      [NextHopKind.NEXT_HOP_GLEAN]: 'on the link, MAC not known',
      [NextHopKind.NEXT_HOP_UNREACHABLE]: 'unreachable',
      [NextHopKind.NEXT_HOP_BLACKHOLE]: 'blackhole',
    };
    const result = results[kind] ?? `kind ${kind}`;
    this.#add(event, 'next hop', String(event.found), result, this.#layer(event.node));
  }

  #outVif(event: TraceEvent, length: number, mtu: number): void {
    const name = this.#vifName(event.vif);
    this.#carried = name;
    const where = event.found === 0 ? 'a virtual link' : `port ${this.#interface(event.found)}`;
    const fits = length <= mtu ? 'fits' : 'does not fit';
    this.#add(event, 'vif', name, `${where}; ${length} bytes: MTU ${mtu} ${fits}`, this.#layer(event.node));
  }

  /** Of a link's paths, the one that is used. */
  #link(event: TraceEvent, state: number, index: number, isCopy: boolean): void {
    // of 1+1 both ways down are told of, one after the other
    const carrier = (isCopy && this.#copied) || this.#carried || this.#vifName(event.vif);
    if (isCopy) this.#carried = this.#copied = carrier;
    const down = Array.from({ length: Limit.LIMIT_MAX_LINK_PATHS }, (_, i) => i).filter(
      (i) => state & (1 << i),
    );
    const others = down.length === 0 ? '' : `; down: ${down.join(', ')}`;
    const { registry } = this.#agent;
    const labels = (registry.vif(carrier)?.intent.paths ?? []).map((path) => labelsOf(registry, path) ?? 1);
    const node = carrier.startsWith('vns/') ? carrier.slice(0, carrier.indexOf('/vifs/')) : '';
    const result = `${isCopy ? 'a copy by ' : ''}path ${index}${others}`;
    this.steps.push({ depth: Math.max(1, ...labels), node, lookup: 'link', key: carrier, result, bytes: 0 });
  }

  #path(event: TraceEvent, label: number, below: Carrier): void {
    const over = this.#carrierName(below);
    const { registry } = this.#agent;
    const beneath = 'vif' in below ? (registry.vif(over)?.intent.paths ?? []) : [];
    const depth = 1 + Math.max(0, ...beneath.map((path) => labelsOf(registry, path) ?? 0));
    const carrier = this.#carried || this.#vifName(event.vif);
    const node = carrier.startsWith('vns/') ? carrier.slice(0, carrier.indexOf('/vifs/')) : '';
    this.steps.push({
      depth,
      node,
      lookup: 'path',
      key: carrier,
      result: label === Limit.LIMIT_LABEL_IMPLICIT_NULL ? `over ${over}` : `label ${label} over ${over}`,
      bytes: event.bytes,
    });
    this.#carried = over;
  }

  #underlayHop(event: TraceEvent, context: number, ifindex: number, length: number): void {
    const carrier = contextOwner(context);
    this.carrier = carrier;
    const hop = this.#agent.plane.underlayHops.read(event.found);
    const mac = formatMac(hop.ethernet.slice(0, 6));
    const result = `${mac} by ${this.#interface(ifindex)}; ${length} of ${hop.room} bytes`;
    this.steps.push({
      depth: 0,
      node: '',
      lookup: 'adjacency',
      key: this.#carrierName(carrier),
      result,
      bytes: event.bytes,
    });
  }

  #punt(event: TraceEvent): void {
    const { name, sentence } = puntKinds[event.found] ?? { name: `kind_${event.found}`, sentence: '' };
    this.punt = { name: name.toLowerCase(), sentence };
    this.#add(event, 'punt', this.punt.name, sentence, this.#layer(event.node));
  }

  #drop(event: TraceEvent): void {
    const { name, sentence } = dropReasons[event.found] ?? { name: `reason_${event.found}`, sentence: '' };
    this.drop = { name: name.toLowerCase(), sentence };
    this.#add(event, 'drop', this.drop.name, sentence, event.node === 0 ? 0 : this.#layer(event.node));
  }
}

function describe({ prefix, target, source }: Entry): string {
  if (target.kind === 'hop') return `${prefix.text} via ${target.gateway} on ${target.vif}`;
  if (target.kind === 'glean') return `${prefix.text} on ${target.vif || 'a device of the node itself'}`;
  if (target.kind === 'group') return `${prefix.text}, ${target.ways.length} ways`;
  return target.kind === source ? `${prefix.text} ${source}` : `${prefix.text} ${targetKey(target)}`;
}
