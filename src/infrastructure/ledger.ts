/** What is sold: leases, and what reservations hold. Made from a view for one decision, and added to while it is taken. */
import { type LeaseState, type NodeShare, types } from '../api/types.js';
import { type Bodies, type View } from './kinds.js';
import { minus, NO_SHARE, plus, shareOf } from './shares.js';

type Node = Bodies['virtualNode'];
type Link = Bodies['virtualLink'];

/** Where a lease is: its offer has the machine's name. */
export function machineOf(node: Node): string {
  return `machines/${node.offer.slice('offers/'.length)}`;
}

/** `customers/conn/virtualNodes/P`: `conn`. */
export function customerOf(name: string): string {
  return name.split('/')[1] ?? '';
}

/** Traffic passes: it is in force, or in its grace. */
export function passes(lease: LeaseState): boolean {
  return lease === types.LeaseState.LEASE_STATE_ACTIVE || lease === types.LeaseState.LEASE_STATE_GRACE;
}

export function isCircuit({ kind }: Link): boolean {
  return kind === types.LinkKind.LINK_KIND_CIRCUIT;
}

/** On each wire of the link: a circuit has all of its wire, whatever was asked for. */
function soldBits(link: Link): bigint {
  return (isCircuit(link) ? link.achieved : link.slo)?.bitsPerSecond ?? 0n;
}

export class Ledger {
  readonly nodes = new Map<string, Node>();
  readonly links = new Map<string, Link>();
  /** By machine. */
  readonly #shares = new Map<string, NodeShare>();
  /** By machine and interface: the node that has it. */
  readonly #ports = new Map<string, string>();
  /** By wire or peering, each way: tunnels use all equal ways in both directions. */
  readonly #bits = new Map<string, bigint>();
  /** By wire or peering: how many links and segments pass it. */
  readonly #users = new Map<string, number>();
  /** By wire: the circuit that has it. */
  readonly #circuits = new Map<string, string>();
  /** By customer: of changes that are held, beyond what is in force. */
  readonly #moreBits = new Map<string, bigint>();
  /** By node and vif: the link. */
  readonly #vifs = new Map<string, string>();

  /** `except`: names of leases that are not to count. */
  constructor(view: View, except: ReadonlySet<string> = new Set()) {
    const held = view.all('reservation').filter(({ committed }) => !committed);
    for (const node of view.all('virtualNode')) if (!except.has(node.name)) this.addNode(node);
    for (const link of view.all('virtualLink')) if (!except.has(link.name)) this.addLink(link);
    for (const node of held.flatMap((one) => one.virtualNodes))
      if (!except.has(node.name)) this.holdNode(node);
    for (const link of held.flatMap((one) => one.virtualLinks))
      if (!except.has(link.name)) this.holdLink(link);
    for (const segment of view.all('segment')) this.addSegment(segment);
  }

  addNode(node: Node): void {
    const machine = machineOf(node);
    this.nodes.set(node.name, node);
    this.#shares.set(machine, plus(this.shareOn(machine), shareOf(node.share)));
    for (const port of node.ports) this.#ports.set(`${machine} ${port}`, node.name);
  }

  addLink(link: Link): void {
    this.links.set(link.name, link);
    for (const end of [link.a, link.b]) if (end) this.#vifs.set(`${end.virtualNode} ${end.vif}`, link.name);
    // of a wire that both ways pass, once: only one of them is used
    for (const wire of new Set([...link.wires, ...(link.move?.wires ?? [])])) this.#use(wire, soldBits(link));
    if (isCircuit(link)) for (const wire of link.wires) this.#circuits.set(wire, link.name);
  }

  /** Reserved: a change of a lease counts as what it takes beyond that, which stays in force meanwhile. */
  holdNode(node: Node): void {
    const leased = this.nodes.get(node.name);
    if (!leased) return this.addNode(node);
    const machine = machineOf(leased);
    const more = minus(shareOf(node.share), shareOf(leased.share));
    this.#shares.set(machine, plus(this.shareOn(machine), more));
    for (const port of node.ports) this.#ports.set(`${machine} ${port}`, node.name);
  }

  /** As {@link holdNode}. */
  holdLink(link: Link): void {
    const leased = this.links.get(link.name);
    if (!leased) return this.addLink(link);
    const [bits, had] = [link, leased].map(({ slo }) => slo?.bitsPerSecond ?? 0n) as [bigint, bigint];
    for (const wire of link.wires) {
      if (!leased.wires.includes(wire)) this.#use(wire, bits);
      else if (bits > had) this.#bits.set(wire, this.bitsOn(wire) + bits - had);
    }
    const customer = customerOf(link.name);
    if (bits > had) this.#moreBits.set(customer, (this.#moreBits.get(customer) ?? 0n) + bits - had);
  }

  /** What there is for others than this node, which is to change. */
  withoutNode(node: Node): Pick<Ledger, 'shareOn' | 'portUser'> {
    const at = machineOf(node);
    return {
      shareOn: (machine) =>
        machine === at ? minus(this.shareOn(machine), shareOf(node.share)) : this.shareOn(machine),
      portUser: (machine, port) => {
        const user = this.portUser(machine, port);
        return user === node.name ? undefined : user;
      },
    };
  }

  /** As {@link withoutNode}. */
  withoutLink(link: Link): Pick<Ledger, 'bitsOn' | 'circuitOn'> {
    const bits = link.slo?.bitsPerSecond ?? 0n;
    return {
      bitsOn: (wire) => this.bitsOn(wire) - (link.wires.includes(wire) ? bits : 0n),
      circuitOn: (wire) => this.circuitOn(wire),
    };
  }

  /** Of a link that begins elsewhere: one that begins here is counted as that. */
  addSegment(segment: Bodies['segment']): void {
    if (segment.upstream === '') return;
    if (segment.outward === '') this.#vifs.set(`${segment.virtualNode} ${segment.vif}`, segment.name);
    for (const wire of segment.wires) this.#use(wire, segment.bounds?.bitsPerSecond ?? 0n);
  }

  #use(wire: string, bits: bigint): void {
    this.#bits.set(wire, this.bitsOn(wire) + bits);
    this.#users.set(wire, this.usersOf(wire) + 1);
  }

  shareOn(machine: string): NodeShare {
    return this.#shares.get(machine) ?? NO_SHARE;
  }

  portUser(machine: string, port: string): string | undefined {
    return this.#ports.get(`${machine} ${port}`);
  }

  vifUser(node: string, vif: string): string | undefined {
    return this.#vifs.get(`${node} ${vif}`);
  }

  /** Of a wire or a peering, each way. */
  bitsOn(wire: string): bigint {
    return this.#bits.get(wire) ?? 0n;
  }

  /** How many links and segments pass the wire, whatever they were promised. */
  usersOf(wire: string): number {
    return this.#users.get(wire) ?? 0;
  }

  circuitOn(wire: string): string | undefined {
    return this.#circuits.get(wire);
  }

  /** Of one customer, altogether. */
  totals(customer: string): { nodes: number; links: number; bits: bigint } {
    const own = (name: string): boolean => customerOf(name) === customer;
    let bits = this.#moreBits.get(customer) ?? 0n;
    let links = 0;
    for (const link of this.links.values()) {
      if (!own(link.name)) continue;
      links++;
      bits += soldBits(link);
    }
    return { nodes: [...this.nodes.keys()].filter(own).length, links, bits };
  }
}
