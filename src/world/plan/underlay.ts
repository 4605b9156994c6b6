/**
 * The machines themselves: wires, addresses, and static routes to every other machine's own address, by hop count,
 * all equal ways kept. A stand-in for each provider's routing protocol.
 */
import { WorldError } from '../errors.js';
import { Graph } from '../graph.js';
import {
  bitsOf,
  type Family,
  formatAddress,
  formatPrefix,
  hostOf,
  nthHost,
  nthSubnet,
  parsePrefix,
  type Prefix,
} from '../../api/prefix.js';
import { type Machine, type Wire, type World } from '../world.js';

export interface InterfacePlan {
  readonly name: string;
  readonly mtu: number;
  /** `100.64.0.0/31` */
  readonly addresses: readonly string[];
}

export interface UnderlayNextHop {
  readonly interface: string;
  readonly gateway: string;
}

export interface UnderlayRoute {
  readonly family: Family;
  /** `100.127.0.2/32` */
  readonly destination: string;
  /** What the machine's own packets there are sent from. */
  readonly source: string;
  readonly nextHops: readonly UnderlayNextHop[];
}

/** A wire with its addresses, by end. */
interface LaidWire {
  readonly wire: Wire;
  readonly addresses: readonly [readonly Prefix[], readonly Prefix[]];
}

function pool(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(`no prefix: ${text}`);
  return prefix;
}

const MACHINE_POOLS = [pool('100.127.0.0/16'), pool('fd64:ffff::/64')];
const WIRE_POOLS = [pool('100.64.0.0/16'), pool('fd64::/64')];

export class Underlay {
  readonly #graph = new Graph<LaidWire>();
  readonly #addresses = new Map<string, readonly Prefix[]>();
  readonly #wires: readonly LaidWire[];

  constructor(world: World) {
    for (const [i, machine] of world.machines.entries()) {
      this.#graph.addNode(machine.name);
      this.#addresses.set(machine.name, machineAddresses(machine, i));
    }
    this.#wires = world.wires.map(layWire);
    for (const laid of this.#wires) {
      const [a, b] = laid.wire.ends;
      this.#graph.addEdge(a.machine, b.machine, laid);
    }
  }

  addresses(machine: string): readonly Prefix[] {
    return this.#addresses.get(machine) ?? [];
  }

  /** The end of the machine's tunnels of that family. */
  address(machine: string, family: Family, field: string): string {
    const address = this.addresses(machine).find((prefix) => prefix.family === family);
    if (address) return hostOf(address);
    throw new WorldError('ADDRESS', `${machine} has no IPv${family} address for a tunnel's end`, { field });
  }

  /** What fits every wire that a tunnel between two machines may use. Throws WorldError where there is no way. */
  mtuBetween(a: string, b: string, field: string): number {
    const wires = this.#graph.edgesBetween(a, b);
    if (wires.size === 0) throw new WorldError('PATH', `no wires lead from ${a} to ${b}`, { field });
    return Math.min(...[...wires].map((laid) => laid.wire.mtu));
  }

  /** The one interface that everything for this machine arrives at, or undefined. */
  singleHome(machine: string): string | undefined {
    const [first, ...more] = this.interfaces(machine);
    return more.length === 0 ? first?.name : undefined;
  }

  interfaces(machine: string): readonly InterfacePlan[] {
    return this.#wires.flatMap(({ wire, addresses }) =>
      wire.ends.flatMap((end, side) =>
        end.machine === machine
          ? [{ name: end.interface, mtu: wire.mtu, addresses: (addresses[side] ?? []).map(formatPrefix) }]
          : [],
      ),
    );
  }

  routes(machine: string): readonly UnderlayRoute[] {
    const routes: UnderlayRoute[] = [];
    for (const [other, addresses] of this.#addresses) {
      if (other === machine) continue;
      const arcs = this.#graph.firstHops(machine, other);
      for (const destination of addresses) {
        const { family } = destination;
        const source = this.addresses(machine).find((prefix) => prefix.family === family);
        const nextHops = arcs.flatMap(({ edge, from }): UnderlayNextHop[] => {
          const side = edge.wire.ends[0].machine === from ? 0 : 1;
          const gateway = edge.addresses[1 - side]?.find((prefix) => prefix.family === family);
          return gateway ? [{ interface: edge.wire.ends[side].interface, gateway: hostOf(gateway) }] : [];
        });
        if (!source || nextHops.length === 0) continue;
        routes.push({ family, destination: formatPrefix(destination), source: hostOf(source), nextHops });
      }
    }
    return routes;
  }
}

/** What the file gives, and the next of the pools for a family that it leaves out. */
function machineAddresses(machine: Machine, index: number): readonly Prefix[] {
  return MACHINE_POOLS.map((from) => {
    const given = machine.addresses.find((address) => address.family === from.family);
    return (
      given ?? { family: from.family, address: from.address + BigInt(index + 1), length: bitsOf(from.family) }
    );
  });
}

function layWire(wire: Wire, index: number): LaidWire {
  const subnets = WIRE_POOLS.map((from) => {
    const given = wire.subnets.find((subnet) => subnet.family === from.family);
    const subnet = given ?? nthSubnet(from, bitsOf(from.family) - 1, index + 1);
    if (!subnet)
      throw new WorldError(
        'ADDRESS',
        `more wires than ${formatAddress(from.family, from.address)} has subnets`,
      );
    return subnet;
  });
  return {
    wire,
    addresses: [subnets.map((subnet) => end(subnet, 0)), subnets.map((subnet) => end(subnet, 1))],
  };
}

/** The first or second usable address: a /31 or /127 has no network address (RFC 3021, RFC 6164). */
function end(subnet: Prefix, side: 0 | 1): Prefix {
  const first = bitsOf(subnet.family) - subnet.length === 1 ? 0 : 1;
  return nthHost(subnet, first + side);
}
