/**
 * What the agents' intents say would happen to a packet: a small reading of the node API's words, apart from the
 * planner's, that follows one packet through tables, paths and labels over every machine to where it ends.
 */
import { BlockList, isIPv6 } from 'node:net';

import { type Resource } from '../../src/world/messages.js';
import { type MachinePlan, type WorldPlan } from '../../src/world/plan.js';

type Kind = 'virtualNode' | 'tunnel' | 'vif' | 'label' | 'address' | 'route';
type Of<K extends Kind> = NonNullable<Extract<Resource, { readonly [P in K]: object }>[K]>;

export function resourcesOf<K extends Kind>(machine: MachinePlan, kind: K): Of<K>[] {
  return machine.intents.flatMap(({ resources }) =>
    resources.flatMap((resource) => {
      const found = (resource as { readonly [P in K]?: Of<K> })[kind];
      return found ? [found] : [];
    }),
  );
}

export interface Walk {
  /** `iptv/P`, every service node in turn. */
  readonly nodes: readonly string[];
  /** Every machine where a label was looked up or a packet routed, in turn. */
  readonly machines: readonly string[];
  /** The label stack on each tunnel, outermost first. */
  readonly stacks: readonly (readonly number[])[];
  /** `hm`, or why there is none. */
  readonly end: string;
}

interface Path {
  readonly tunnel?: string | undefined;
  readonly vif?: string | undefined;
  readonly label?: number | undefined;
}

/** From a station's cable, to an address. */
export function walk(plan: WorldPlan, network: string, station: string, destination: string): Walk {
  const from = plan.stations.find((one) => one.network === network && one.name === station);
  if (!from) throw new Error(`no station ${network}/${station}`);
  return new Walker(plan, destination).from(from.machine, `vns/${network}/nodes/${from.node}`);
}

class Walker {
  readonly #plan: WorldPlan;
  readonly #destination: string;
  readonly #nodes: string[] = [];
  readonly #machines: string[] = [];
  readonly #stacks: number[][] = [];

  constructor(plan: WorldPlan, destination: string) {
    this.#plan = plan;
    this.#destination = destination;
  }

  from(machine: string, node: string): Walk {
    let at = { machine, node };
    for (let hops = 0; hops < 64; hops++) {
      const next = this.#route(at.machine, at.node);
      if (typeof next === 'string') return this.#end(next);
      at = next;
    }
    return this.#end('a loop');
  }

  #end(end: string): Walk {
    return { nodes: this.#nodes, machines: this.#machines, stacks: this.#stacks, end };
  }

  #machine(name: string): MachinePlan {
    const found = this.#plan.machines.find((machine) => machine.name === name);
    if (!found) throw new Error(`no machine ${name}`);
    return found;
  }

  #holds(prefix: string): boolean {
    const [address = '', length = ''] = prefix.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (isIPv6(this.#destination) !== (family === 'ipv6')) return false;
    const list = new BlockList();
    list.addSubnet(address, Number(length), family);
    return list.check(this.#destination, family);
  }

  /** One look-up in a node's table: the next node, or the end. */
  #route(machineName: string, node: string): { machine: string; node: string } | string {
    const machine = this.#machine(machineName);
    const [, network = '', name = ''] = /^vns\/(.*)\/nodes\/(.*)$/.exec(node) ?? [];
    this.#machines.push(machineName);
    this.#nodes.push(`${network}/${name}`);
    const length = (prefix: string): number => Number(prefix.split('/')[1]);
    const connected = resourcesOf(machine, 'address')
      .filter(({ vif, prefix }) => vif?.startsWith(`${node}/vifs/`) && this.#holds(prefix ?? ''))
      .map(({ vif = '', prefix = '' }) => ({ length: length(prefix), vif, own: prefix.split('/')[0] }));
    if (connected.some((one) => one.own === this.#destination)) return 'local';
    const routed = resourcesOf(machine, 'route')
      .filter((route) => route.node === node && this.#holds(route.destination ?? ''))
      .map((route) => ({ length: length(route.destination ?? ''), vif: route.nextHops?.[0]?.vif ?? '' }));
    const [best] = [...connected, ...routed].sort((a, b) => b.length - a.length);
    if (!best) return 'no route';
    const vif = resourcesOf(machine, 'vif').find((one) => one.name === best.vif);
    if (!vif) return `no vif ${best.vif}`;
    if (vif.port) return this.#station(machineName, vif.port.interface ?? '');
    const arrived = this.#descend(machineName, vif.link?.paths?.[0] ?? {}, []);
    if (typeof arrived === 'string') return arrived;
    return { machine: arrived.machine, node: arrived.vif.replace(/\/vifs\/.*$/, '') };
  }

  #station(machine: string, port: string): string {
    const found = this.#plan.stations.find((one) => one.machine === machine && one.port === port);
    const here = found?.addresses.some((address) => address.split('/')[0] === this.#destination);
    return found && here ? found.name : 'nobody';
  }

  /** Down to the tunnel, over to the other machine, and up through its labels. */
  #descend(
    machineName: string,
    path: Path,
    above: readonly number[],
  ): { machine: string; vif: string } | string {
    const machine = this.#machine(machineName);
    const stack = [path.label ?? 0, ...above];
    if (path.vif) {
      const below = resourcesOf(machine, 'vif').find((vif) => vif.name === path.vif);
      const [lower] = below?.link?.paths ?? [];
      return lower ? this.#descend(machineName, lower, stack) : `no link ${path.vif}`;
    }
    const out = resourcesOf(machine, 'tunnel').find((tunnel) => tunnel.name === path.tunnel);
    if (!out) return `no tunnel ${path.tunnel}`;
    this.#stacks.push(stack);
    for (const other of this.#plan.machines) {
      if (!other.addresses.some((address) => address.split('/')[0] === out.remoteAddress)) continue;
      const into = resourcesOf(other, 'tunnel').find(
        (tunnel) => tunnel.localAddress === out.remoteAddress && tunnel.remoteAddress === out.localAddress,
      );
      return into ? this.#ascend(other, { tunnel: into.name }, stack) : `${other.name} knows no such tunnel`;
    }
    return `nobody is ${out.remoteAddress}`;
  }

  #ascend(
    machine: MachinePlan,
    context: Path,
    stack: readonly number[],
  ): { machine: string; vif: string } | string {
    const [label, ...rest] = stack;
    const found = resourcesOf(machine, 'label').find(
      (one) =>
        one.label === label && (context.tunnel ? one.tunnel === context.tunnel : one.vif === context.vif),
    );
    if (!found) return `label ${label} means nothing to ${machine.name}`;
    if (found.swap) {
      this.#machines.push(machine.name);
      return this.#descend(machine.name, found.swap, rest);
    }
    const vif = found.deliver ?? '';
    return rest.length === 0 ? { machine: machine.name, vif } : this.#ascend(machine, { vif }, rest);
  }
}
