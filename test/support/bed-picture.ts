/*
 * All that the machines of a world hold, so that two worlds which are to be the same can be compared: labels, which are random, by
 * where they lead; no indices, no counts of what comes and goes with traffic.
 */
import { execFileSync } from 'node:child_process';

import { type NodeClient } from '../../src/world/agents.js';
import type { LabelState, PathState, TunnelState, VifState, WireState } from '../../src/world/messages.js';
import { Agent } from '../../src/world/observe.js';
import { namespacePrefix } from '../../src/world/place.js';

export type Picture = Readonly<Record<string, unknown>>;

type Way = PathState['path'];

interface Holds {
  readonly labels: readonly LabelState[];
  readonly paths: readonly PathState[];
  readonly tunnels: readonly TunnelState[];
  readonly vifs: readonly VifState[];
  readonly wires: readonly WireState[];
  /** MAC addresses of its interfaces, by name. */
  readonly macs: ReadonlyMap<string, string>;
}

export async function pictureOf(
  world: string,
  agents: ReadonlyMap<string, NodeClient>,
): Promise<Record<string, Picture>> {
  const readers = [...agents].map(([machine, client]) => new Agent(machine, client));
  const holds = new Map<string, Holds>();
  for (const agent of readers) {
    const { interfaces } = await agent.client.getMachine({});
    holds.set(agent.machine, {
      labels: await agent.labels(),
      paths: await agent.paths(),
      tunnels: await agent.tunnels(),
      vifs: await agent.vifs(),
      wires: await agent.wires(),
      macs: new Map(interfaces.map(({ name, mac }) => [name, mac])),
    });
  }
  const ways = new Ways(holds);
  const pictures: Record<string, Picture> = {};
  for (const agent of readers) {
    const { machine, client } = agent;
    const own = holds.get(machine);
    if (!own) continue;
    const nodes = await agent.nodes();
    const routes: Record<string, readonly string[]> = {};
    const gateways = new Set<string>();
    for (const { virtualNode } of nodes) {
      const name = virtualNode?.name ?? '';
      const all = await agent.routes(name);
      routes[name] = all.map(shown).sort();
      for (const { route } of all)
        for (const { vif, gateway } of route?.nextHops ?? []) gateways.add(`${vif} ${gateway}`);
    }
    // a record each: those that some packet made known
    const met = (await agent.neighbours()).filter(
      ({ vif, address, mac }) =>
        mac !== '' && !address.startsWith('fe80') && !gateways.has(`${vif} ${address}`),
    );
    const { owners, tables, interfaces } = await client.getMachine({});
    // of those the epochs are remembered
    const empty = owners.filter(({ resources }) => resources === 0);
    const apart: Readonly<Record<string, number>> = { nextHops: met.length, names: empty.length };
    pictures[machine] = {
      nodes: nodes.map(({ virtualNode, owner, namespace, vifs, labels, vifsAbove, ...rest }) =>
        shown([
          [virtualNode, owner, namespace.replace(world, ''), vifs, labels, vifsAbove],
          [
            rest.routesLeftOut,
            rest.neighboursLeftOut,
            rest.addressesLeftOut,
            rest.cgroup.replaceAll(world, ''),
          ],
        ]),
      ),
      vifs: own.vifs
        .map(({ vif, owner, addresses, state }) => {
          const paths = (vif?.link?.paths ?? []).map((path) => ways.to(machine, path));
          const link = vif?.link ? { ...vif.link, paths } : undefined;
          return shown([{ ...vif, link }, owner, [...addresses].sort(), state]);
        })
        .sort(),
      tunnels: own.tunnels.map(({ tunnel, owner, state }) => shown([tunnel, owner, state])).sort(),
      wires: own.wires
        .map(({ wire, owner, state, vif }) =>
          shown([wire?.name, wire?.kind, wire?.interface, owner, state, vif]),
        )
        .sort(),
      paths: own.paths
        .map(({ path, vif, index, owner, below, state }) =>
          shown([vif, index, ways.to(machine, path), owner, below, state]),
        )
        .sort(),
      labels: own.labels
        .map(({ label, owner }) =>
          shown([
            ...[label?.tunnel, label?.vif, label?.wire, label?.deliver],
            label?.swap && ways.to(machine, label.swap),
            owner,
          ]),
        )
        .sort(),
      routes,
      owners: owners
        .filter(({ resources }) => resources > 0)
        .map(({ owner, resources }) => `${owner} ${resources}`)
        .sort(),
      interfaces: interfaces
        .filter(({ role }) => role !== 'vif')
        .map(({ name, role, xdpMode }) => `${name} ${role} ${xdpMode}`)
        .sort(),
      vifInterfaces: interfaces.filter(({ role }) => role === 'vif').length,
      tables: Object.fromEntries(
        tables.map(({ table, used }) => [table, Number(used) - (apart[table] ?? 0)]),
      ),
    };
  }
  for (const machine of agents.keys()) {
    const own = pictures[machine];
    if (own) pictures[machine] = { ...own, kernel: kernelOf(world, machine) };
  }
  return pictures;
}

/** Addresses and routes of every namespace of a machine's virtual nodes, and what interfaces there are. */
function kernelOf(world: string, machine: string): unknown {
  const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
  const prefix = `${namespacePrefix(world)}${machine}.`;
  const spaces = ip('netns', 'list')
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name.startsWith(prefix))
    .sort();
  return spaces.map((space) => {
    const lines = (...args: string[]): string[] =>
      ip('-n', space, ...args)
        .split('\n')
        .map((line) => line.replace(/@\S+/, '').trimEnd().replace(/\s+/g, ' '))
        .sort();
    return [
      space.slice(prefix.length),
      lines('-br', 'link'),
      lines('-br', 'address'),
      lines('route'),
      lines('-6', 'route'),
    ];
  });
}

const shown = (value: unknown): string =>
  JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? Number(one) : one));

/** Where a path ends, and what it passes on its way there. */
interface Destination {
  readonly machine: string;
  /** The vif it is delivered to, or what is wrong. */
  readonly vif: string;
  readonly passed: readonly string[];
}

/** Where labels lead, said without numbers. */
class Ways {
  readonly #holds: ReadonlyMap<string, Holds>;

  constructor(holds: ReadonlyMap<string, Holds>) {
    this.#holds = holds;
  }

  to(machine: string, path: Way | null | undefined): string {
    if (!path) return '';
    const { machine: far, vif, passed } = this.#follow(machine, path, []);
    return [...passed, `${far} ${vif}`].join(' > ');
  }

  #follow(machine: string, path: Way & object, before: readonly string[]): Destination {
    const passed = [...before, `${machine} ${path.tunnel ?? path.vif ?? path.wire ?? ''}`];
    const end = this.#farEnd(machine, path);
    if (!end || passed.length > 8) return { machine: '?', vif: 'leads nowhere', passed };
    const [far, context] = end;
    // a circuit
    if (path.label === 0) return { machine: far, vif: `whatever ${context} brings`, passed };
    const entry = this.#holds
      .get(far)
      ?.labels.find(
        ({ label }) =>
          label?.label === path.label && (label?.tunnel ?? label?.vif ?? label?.wire ?? '') === context,
      )?.label;
    if (entry?.swap) return this.#follow(far, entry.swap, passed);
    return { machine: far, vif: entry?.deliver ?? `label unknown in ${context}`, passed };
  }

  /** The machine at the other end of what is below, and what that is called there. */
  #farEnd(machine: string, path: Way & object): readonly [string, string] | undefined {
    const own = this.#holds.get(machine);
    if (path.vif !== undefined) {
      const below = own?.paths.find(({ vif }) => vif === path.vif)?.path;
      if (!below) return undefined;
      const { machine: far, vif } = this.#follow(machine, below, []);
      return [far, vif];
    }
    const here = own?.tunnels.find(({ tunnel }) => tunnel?.name === path.tunnel)?.tunnel;
    const mac = own?.wires.find(({ wire }) => wire?.name === path.wire)?.mac;
    for (const [far, { tunnels, wires, macs }] of this.#holds) {
      const tunnel = tunnels.find(
        ({ tunnel: there }) =>
          here && there?.localAddress === here.remoteAddress && there.remoteAddress === here.localAddress,
      )?.tunnel;
      if (path.tunnel !== undefined && tunnel) return [far, tunnel.name];
      const wire = wires.find(({ wire: there }) => macs.get(there?.interface ?? '') === mac)?.wire;
      if (path.wire !== undefined && mac !== undefined && wire) return [far, wire.name];
    }
    return undefined;
  }
}
