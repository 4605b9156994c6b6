/**
 * A world without its agents: namespaces, wires, stations, addresses and the machines' own routes, made to be as
 * planned whatever is there already.
 */
import { writeFile } from 'node:fs/promises';

import { ensureAddresses, ensureRoutes } from './addressing.js';
import { ensureCable, removeInterface } from './cables.js';
import { Namespaces, namespacesWith } from './namespaces.js';
import { ensureMiddles, hasMiddle } from './middle.js';
import {
  hostsPath,
  machineNamespace,
  namespacePrefix,
  officeNamespace,
  stationNamespace,
  wiresNamespace,
} from './place.js';
import { type MachinePlan, type StationPlan, type WorldPlan } from './layout.js';

/** The only interface of a station. */
export const STATION_INTERFACE = 'eth0';

/** Namespaces of the world that this plan has no use for. A machine's virtual nodes are its agent's affair. */
export async function obsoleteNamespaces(plan: WorldPlan): Promise<readonly string[]> {
  const machines = plan.machines.map((machine) => machineNamespace(plan.name, machine.name));
  const wanted = new Set([
    officeNamespace(plan.name),
    ...(plan.wires.some(hasMiddle) ? [wiresNamespace(plan.name)] : []),
    ...machines,
    ...plan.stations.map((station) => stationNamespace(plan.name, station.network, station.name)),
  ]);
  const all = await namespacesWith(namespacePrefix(plan.name));
  return all.filter(
    (name) => !wanted.has(name) && !machines.some((machine) => name.startsWith(`${machine}.`)),
  );
}

/** Wires and ports that an earlier plan had and this one has not, on machines that both have. */
export async function removeObsoleteCables(before: WorldPlan, plan: WorldPlan): Promise<void> {
  const namespaces = new Namespaces();
  try {
    const existing = new Set(await namespacesWith(namespacePrefix(plan.name)));
    const wanted = new Set(cablesOf(plan).flatMap(({ name, ends }) => ends.map((end) => `${name} ${end}`)));
    for (const { name, ends } of cablesOf(before)) {
      for (const end of ends) {
        const [namespace = '', device = ''] = end.split(' ');
        if (wanted.has(`${name} ${end}`) || !existing.has(namespace)) continue;
        await removeInterface(await namespaces.netlink(namespace), device);
      }
    }
  } finally {
    namespaces.close();
  }
}

/** Every cable by what it joins, with its ends as `NAMESPACE INTERFACE`. */
function cablesOf(plan: WorldPlan): { name: string; ends: string[] }[] {
  const wires = plan.wires.map((wire) => {
    const ends = wire.ends.map((end) => `${machineNamespace(plan.name, end.machine)} ${end.interface}`);
    return { name: `${ends.join(' ')}${hasMiddle(wire) ? '' : ' directly'}`, ends };
  });
  const stations = plan.stations.map((station) => ({
    name: `${station.network}/${station.name} on ${station.machine}`,
    ends: [`${machineNamespace(plan.name, station.machine)} ${station.port}`],
  }));
  return [...wires, ...stations];
}

export async function ensureFabric(plan: WorldPlan): Promise<void> {
  const namespaces = new Namespaces();
  try {
    const existing = new Set(await namespacesWith(namespacePrefix(plan.name)));
    await Promise.all([
      ...plan.machines.map((one) => namespaces.ensure(machineNamespace(plan.name, one.name), existing, true)),
      namespaces.ensure(officeNamespace(plan.name), existing, false),
      ...plan.stations.map((one) =>
        namespaces.ensure(stationNamespace(plan.name, one.network, one.name), existing, false),
      ),
    ]);
    await ensureMiddles(namespaces, plan, existing);
    await Promise.all(
      plan.wires.filter((wire) => !hasMiddle(wire)).map((wire) => ensureWire(namespaces, plan, wire)),
    );
    await Promise.all([
      ...plan.machines.map((machine) => ensureMachine(namespaces, plan.name, machine)),
      ...plan.stations.map((station) => ensureStation(namespaces, plan.name, station)),
    ]);
  } finally {
    namespaces.close();
  }
}

function ensureWire(
  namespaces: Namespaces,
  plan: WorldPlan,
  wire: WorldPlan['wires'][number],
): Promise<void> {
  const [a, b] = wire.ends;
  const ends = [
    { namespace: machineNamespace(plan.name, a.machine), interface: a.interface },
    { namespace: machineNamespace(plan.name, b.machine), interface: b.interface },
  ] as const;
  return ensureCable(namespaces, ends, wire.mtu);
}

/** Its addresses and routes; its wires are there. */
export async function ensureMachine(
  namespaces: Namespaces,
  world: string,
  machine: MachinePlan,
): Promise<void> {
  const netlink = await namespaces.netlink(machineNamespace(world, machine.name));
  await ensureAddresses(netlink, [
    ...machine.addresses.map((prefix) => ({ interface: 'lo', prefix })),
    ...machine.interfaces.flatMap((one) => one.addresses.map((prefix) => ({ interface: one.name, prefix }))),
  ]);
  await ensureRoutes(netlink, machine.routes);
}

async function ensureStation(namespaces: Namespaces, world: string, station: StationPlan): Promise<void> {
  const namespace = stationNamespace(world, station.network, station.name);
  const port = { namespace: machineNamespace(world, station.machine), interface: station.port };
  await ensureCable(namespaces, [port, { namespace, interface: STATION_INTERFACE }], station.mtu);
  const netlink = await namespaces.netlink(namespace);
  await ensureAddresses(
    netlink,
    station.addresses.map((prefix) => ({ interface: STATION_INTERFACE, prefix })),
  );
  await ensureRoutes(
    netlink,
    station.gateways.map((gateway) => ({
      destination: gateway.includes(':') ? '::/0' : '0.0.0.0/0',
      nextHops: [{ interface: STATION_INTERFACE, gateway }],
    })),
  );
}

/** One hosts file for each network: the names that `exec` gives its guests. */
export async function writeHosts(plan: WorldPlan): Promise<void> {
  const networks = ['', ...plan.networks.map((network) => network.name)];
  await Promise.all(
    networks.map((network) => {
      const lines = plan.hosts
        .filter((host) => host.network === network)
        .map((host) => `${host.address} ${host.name}`);
      const text = ['127.0.0.1 localhost', '::1 localhost', ...lines, ''].join('\n');
      return writeFile(hostsPath(plan.name, network), text, { mode: 0o644 });
    }),
  );
}
