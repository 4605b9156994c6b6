/**
 * The machines themselves: wires, addresses, and static routes to every other machine's own address, by hop count,
 * all equal ways kept. A stand-in for each provider's routing protocol.
 */
import { WorldError } from './errors.js';
import { type Graph, GraphBuilder, nextHops, shortestPathTree } from '../graph/index.js';
import {
  bitsOf,
  type Family,
  formatPrefix,
  hostOf,
  nthHost,
  nthSubnet,
  parsePrefix,
  type Prefix,
} from '../api/prefix.js';
import { type Wire, type World } from './world.js';

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
  readonly #graph: Graph;
  readonly #machines: readonly string[];
  readonly #addresses = new Map<string, readonly Prefix[]>();
  readonly #wires: readonly LaidWire[];

  /** `before`: of an earlier file, whose machines and wires keep the addresses that no file gave them. */
  constructor(world: World, before?: Before) {
    this.#machines = world.machines.map(({ name }) => name);
    const machines = new Pools(
      MACHINE_POOLS.map((prefix) => ({ ...prefix, each: bitsOf(prefix.family) })),
      world.machines.flatMap(({ name, addresses }) => [...addresses, ...(before?.machine(name) ?? [])]),
    );
    for (const machine of world.machines)
      this.#addresses.set(
        machine.name,
        machines.complete(machine.addresses, before?.machine(machine.name) ?? []),
      );
    const wires = new Pools(
      WIRE_POOLS.map((prefix) => ({ ...prefix, each: bitsOf(prefix.family) - 1 })),
      world.wires.flatMap((wire) => [...wire.subnets, ...(before?.wire(wire) ?? [])]),
    );
    this.#wires = world.wires.map((wire) =>
      layWire(wire, wires.complete(wire.subnets, before?.wire(wire) ?? [])),
    );
    const builder = new GraphBuilder(this.#machines.length);
    const numbers = new Map(this.#machines.map((name, i) => [name, i]));
    for (const { wire } of this.#wires) {
      const [a, b] = wire.ends.map((end) => numbers.get(end.machine) ?? 0);
      builder.addEdge(a ?? 0, b ?? 0);
    }
    this.#graph = builder.build();
  }

  addresses(machine: string): readonly Prefix[] {
    return this.#addresses.get(machine) ?? [];
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

  /** Every machine's, by its name. */
  routes(): ReadonlyMap<string, readonly UnderlayRoute[]> {
    const routes = new Map<string, UnderlayRoute[]>(this.#machines.map((name) => [name, []]));
    for (const [target, other] of this.#machines.entries()) {
      const tree = shortestPathTree(this.#graph, target, { direction: 'to' });
      for (const [at, machine] of this.#machines.entries()) {
        if (at === target) continue;
        const ends = nextHops(tree, at).map((arc) => this.#end(arc, machine));
        routes.get(machine)?.push(...this.#routesTo(other, machine, ends));
      }
    }
    return routes;
  }

  /** The wire of an arc, seen from its beginning. */
  #end(arc: number, machine: string): End {
    const laid = this.#wires[this.#graph.edge[arc] ?? -1];
    if (!laid) throw new Error('an arc without a wire');
    return { laid, side: laid.wire.ends[0].machine === machine ? 0 : 1 };
  }

  #routesTo(other: string, machine: string, ends: readonly End[]): readonly UnderlayRoute[] {
    return this.addresses(other).flatMap((destination): UnderlayRoute[] => {
      const { family } = destination;
      const source = this.addresses(machine).find((prefix) => prefix.family === family);
      const hops = ends.flatMap(({ laid, side }): UnderlayNextHop[] => {
        const gateway = laid.addresses[1 - side]?.find((prefix) => prefix.family === family);
        return gateway ? [{ interface: laid.wire.ends[side].interface, gateway: hostOf(gateway) }] : [];
      });
      if (!source || hops.length === 0) return [];
      return [{ family, destination: formatPrefix(destination), source: hostOf(source), nextHops: hops }];
    });
  }
}

/** What an earlier file's machines and wires had. */
export interface Before {
  machine(name: string): readonly Prefix[];
  wire(wire: Wire): readonly Prefix[];
}

/** Pools of both families, and what is taken of them. */
class Pools {
  readonly #pools: readonly (Prefix & { readonly each: number })[];
  readonly #taken: Set<string>;

  constructor(pools: readonly (Prefix & { readonly each: number })[], taken: readonly Prefix[]) {
    this.#pools = pools;
    this.#taken = new Set(taken.map(formatPrefix));
  }

  /** One prefix of each family: given, had before, or the next that is free; the very first is nobody's. */
  complete(given: readonly Prefix[], had: readonly Prefix[]): readonly Prefix[] {
    return this.#pools.map(
      (pool) =>
        given.find(({ family }) => family === pool.family) ??
        had.find(({ family, length }) => family === pool.family && length === pool.each) ??
        this.#next(pool),
    );
  }

  #next({ each, ...pool }: Prefix & { readonly each: number }): Prefix {
    for (let i = 1; ; i++) {
      const prefix = nthSubnet(pool, each, i);
      if (!prefix) throw new WorldError('ADDRESS', `more is needed than ${formatPrefix(pool)} has`);
      if (this.#taken.has(formatPrefix(prefix))) continue;
      this.#taken.add(formatPrefix(prefix));
      return prefix;
    }
  }
}

/** A wire, and at which of its ends one is. */
interface End {
  readonly laid: LaidWire;
  readonly side: 0 | 1;
}

function layWire(wire: Wire, subnets: readonly Prefix[]): LaidWire {
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
