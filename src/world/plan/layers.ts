/**
 * The layers: every network's nodes, its links' vifs, and the paths and labels by which the layer below carries them.
 * At the bottom are the infrastructure's tunnels; a network over another is carried by that one's links, and each
 * node passed on the way swaps a label.
 */
import { WorldError } from '../errors.js';
import { type Arc, Graph } from '../graph.js';
import { type Path, type RouteSource } from '../messages.js';
import { type Link, type Network, type Node, nodeName, type Station, vifName, type World } from '../world.js';
import { type Intents } from './intents.js';
import { Labels } from './labels.js';
import { type Underlay } from './underlay.js';

/** What a tunnel always leaves room for, so that no repair changes an MTU: an IPv6 and a UDP header and a spare label. */
const TUNNEL = 40 + 8 + 4;
const LABEL = 4;
const CONTROL_WORD_AND_ETHERNET = 4 + 14;

/** Of the API's RouteSource. */
const CONTROLLER: RouteSource = 1;
const KERNEL: RouteSource = 2;
/** Of the API's Payload. */
const PAYLOAD_IP = 2;

/** What a path runs over, or a label's context: a tunnel or a vif of the layer below, at one machine. */
type Below = { readonly tunnel: string } | { readonly vif: string };

/** One hop at the layer below: out of one machine, into the next. */
interface Hop {
  readonly from: string;
  readonly out: Below;
  readonly to: string;
  readonly into: Below;
}

interface Way {
  readonly hops: readonly Hop[];
  /** Bytes that fit behind the labels below. */
  readonly room: number;
}

export class Layers {
  readonly #underlay: Underlay;
  readonly #intents: Intents;
  readonly #labels: Labels;
  readonly #providers: ReadonlyMap<string, string>;
  readonly #graphs = new Map<Network, Graph<Link>>();
  readonly #tunnels = new Map<string, Link>();
  /** Bytes that fit behind a link's own label. */
  readonly #rooms = new Map<Link, number>();

  constructor(world: World, underlay: Underlay, intents: Intents) {
    this.#underlay = underlay;
    this.#intents = intents;
    this.#labels = new Labels(world.name);
    this.#providers = new Map(world.machines.map((machine) => [machine.name, machine.provider]));
    for (const network of world.networks) this.#addNetwork(network);
    for (const station of world.stations) this.#addPort(station);
  }

  /** Who makes this network's vifs and labels on a machine. */
  #carrier(network: Network, machine: string): string {
    return network.over?.owner ?? this.#providers.get(machine) ?? '';
  }

  #addNetwork(network: Network): void {
    const graph = new Graph<Link>();
    this.#graphs.set(network, graph);
    for (const node of network.nodes) {
      graph.addNode(node.name);
      const carrier = this.#carrier(network, node.machine);
      this.#intents.lease(node.machine, carrier, network.owner);
      this.#intents.add(node.machine, carrier, {
        virtualNode: {
          name: nodeName(network, node),
          tenant: network.owner,
          routeSource: network.kernelRoutes ? KERNEL : CONTROLLER,
        },
      });
    }
    for (const link of network.links) {
      const [a, b] = link.ends;
      graph.addEdge(a.node.name, b.node.name, link);
      this.#addLink(network, link);
    }
  }

  #addPort(station: Station): void {
    const { network, node } = station;
    this.#intents.add(node.machine, this.#carrier(network, node.machine), {
      vif: {
        name: vifName(network, node, station.name),
        mtu: station.mtu,
        port: { interface: station.port },
      },
    });
  }

  #addLink(network: Network, link: Link): void {
    const [a, b] = link.ends;
    const way = network.over ? this.#wayOver(network.over, link) : this.#wayInTunnel(link);
    const room = way.room - LABEL;
    if (link.mtu + CONTROL_WORD_AND_ETHERNET > room) {
      const fits = room - CONTROL_WORD_AND_ETHERNET;
      const text = `an MTU of ${link.mtu} does not fit the wires below with its headers: at most ${fits}`;
      throw new WorldError('MTU', text, { field: `${link.field}.mtu` });
    }
    this.#rooms.set(link, room);
    const back = way.hops
      .map((hop) => ({ from: hop.to, out: hop.into, to: hop.from, into: hop.out }))
      .toReversed();
    this.#addDirection(network, link, a, b, way.hops);
    this.#addDirection(network, link, b, a, back);
  }

  /** The vif at one end with its path, and the labels at every node on the way to the other. */
  #addDirection(
    network: Network,
    link: Link,
    from: Link['ends'][number],
    to: Link['ends'][number],
    hops: readonly Hop[],
  ): void {
    const target = vifName(network, to.node, to.vif);
    const labels = hops.map((hop) => this.#labels.allocate(`${hop.to} ${nameOf(hop.into)}`, target));
    const path = (i: number): Path => ({ ...hops[i]?.out, label: labels[i] ?? 0 });
    this.#intents.add(from.node.machine, this.#carrier(network, from.node.machine), {
      vif: {
        name: vifName(network, from.node, from.vif),
        mtu: link.mtu,
        link: { paths: [path(0)], ...(link.carriesIp ? { payload: PAYLOAD_IP } : {}) },
      },
    });
    for (const [i, hop] of hops.entries()) {
      const last = i === hops.length - 1;
      this.#intents.add(hop.to, this.#carrier(network, hop.to), {
        label: {
          ...hop.into,
          label: labels[i] ?? 0,
          ...(last ? { deliver: target } : { swap: path(i + 1) }),
        },
      });
    }
  }

  /** The two machines' tunnel, one for all links between them that agree on it. */
  #wayInTunnel(link: Link): Way {
    const [a, b] = [link.ends[0].node.machine, link.ends[1].node.machine];
    const ipv6 = link.tunnelFamily === 6 ? '.ipv6' : '';
    const there = `tunnels/${a}-${b}${ipv6}`;
    const back = `tunnels/${b}-${a}${ipv6}`;
    const known = this.#tunnels.get(there);
    if (known && known.udpChecksum !== link.udpChecksum) {
      const text = `shares the tunnel from ${a} to ${b} with ${known.field}: both with udp_checksum or none`;
      throw new WorldError('PATH', text, { field: link.field });
    }
    if (!known) {
      this.#tunnels.set(there, link).set(back, link);
      this.#addTunnel(there, a, b, link);
      this.#addTunnel(back, b, a, link);
    }
    return {
      hops: [{ from: a, out: { tunnel: there }, to: b, into: { tunnel: back } }],
      room: this.#underlay.mtuBetween(a, b, link.field) - TUNNEL,
    };
  }

  #addTunnel(name: string, from: string, to: string, link: Link): void {
    this.#intents.add(from, this.#providers.get(from) ?? '', {
      tunnel: {
        name,
        localAddress: this.#underlay.address(from, link.tunnelFamily, link.field),
        remoteAddress: this.#underlay.address(to, link.tunnelFamily, link.field),
        udpChecksum: link.udpChecksum,
        arrivalInterface: this.#underlay.singleHome(from) ?? '',
      },
    });
  }

  /** Over the links of the network below: past the nodes of `via`, between them the shortest way. */
  #wayOver(below: Network, link: Link): Way {
    const [from, to] = link.ends.map((end) => this.#nodeOn(below, end.node, link).name);
    const graph = this.#graphs.get(below);
    const arcs: Arc<Link>[] = [];
    let at = from ?? '';
    for (const next of [...link.via, to ?? '']) {
      const part = graph?.way(at, next);
      if (!part || at === next) {
        throw new WorldError('PATH', `no links of ${below.name} lead from ${at} to ${next}`, {
          field: link.field,
        });
      }
      arcs.push(...part);
      at = next;
    }
    const passed = [from, ...arcs.map((arc) => arc.to)];
    if (new Set(passed).size < passed.length) {
      const text = `the path passes a node twice: ${passed.join(', ')}`;
      throw new WorldError('PATH', text, { field: `${link.field}.via` });
    }
    const hops = arcs.map((arc): Hop => {
      const [out, into] =
        arc.edge.ends[0].node.name === arc.from ? arc.edge.ends : [arc.edge.ends[1], arc.edge.ends[0]];
      return {
        from: out.node.machine,
        out: { vif: vifName(below, out.node, out.vif) },
        to: into.node.machine,
        into: { vif: vifName(below, into.node, into.vif) },
      };
    });
    return { hops, room: Math.min(...arcs.map((arc) => this.#rooms.get(arc.edge) ?? 0)) };
  }

  /** The lower network's node on the same machine. */
  #nodeOn(below: Network, node: Node, link: Link): Node {
    const [found, ...more] = below.nodes.filter((lower) => lower.machine === node.machine);
    if (found && more.length === 0) return found;
    const text = `${node.machine} has ${found ? 'several nodes' : 'no node'} of ${below.name} to carry ${node.name}'s links`;
    throw new WorldError('PATH', text, { field: link.field });
  }

  /** The network's nodes and links. */
  graph(network: Network): Graph<Link> {
    return this.#graphs.get(network) ?? new Graph<Link>();
  }
}

function nameOf(below: Below): string {
  return 'tunnel' in below ? below.tunnel : below.vif;
}
