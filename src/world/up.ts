/**
 * `up`: from a world file to a world in which packets flow. What is there already is kept and put right, so that it
 * may be repeated, with the same file or a changed one, and finishes what was broken off.
 */
import { rm } from 'node:fs/promises';

import { bodyOf } from '../resources/api.js';
import { listResources } from '../resources/lists.js';
import { agentDaemon, clientOf, type NodeClient, waitUntilUp } from './agents.js';
import { type Applied, bring } from './business.js';
import {
  controllerClient,
  controllerDaemon,
  controllerSocket,
  ensureCredentials,
  type Office,
  removeController,
  type Seat,
  seatAddress,
  seated,
} from './controllers.js';
import { type Daemon, ensureDaemon, servingAt, waitForDaemon } from './daemons.js';
import { removeNamespaces, removePins } from './down.js';
import { ensureFabric, obsoleteNamespaces, removeObsoleteCables, writeHosts } from './fabric.js';
import { impairedOf, impose } from './impair.js';
import { ensureBpfFs, requireRoot } from './host.js';
import { type HostName, type WorldPlan } from './layout.js';
import { type LoadedWorld, loadWorld } from './load.js';
import { lockWorld } from './lock.js';
import { type Manifest, manifestsOf, type Provider, providersOf } from './manifests.js';
import { hasMiddle } from './middle.js';
import { hostsPath, logPath, officeNamespace, socketPath, WIRES_PINS, worldDirectory } from './place.js';
import { endAll, type ProcessId } from './processes.js';
import { ensureRelay } from './relay.js';
import { readState, type WorldState, writeState } from './state.js';

/** How long tunnels and vifs may take to come up, milliseconds. */
const UP_DEADLINE = 30_000;

export interface UpOptions {
  /** Instead of the name in the file. */
  readonly name?: string | undefined;
  /** Told at the beginning of every step. */
  readonly onStep?: ((text: string) => void) | undefined;
}

export interface UpResult {
  readonly plan: WorldPlan;
  /** The providers' controllers. */
  readonly seats: readonly Seat[];
  readonly applied: Applied;
}

/** Throws WorldError, ManifestError or ApiError. What is made by then stays, for `up` again or `down`. */
export async function up(file: string, options: UpOptions = {}): Promise<UpResult> {
  const loaded = await loadWorld(file, options.name);
  requireRoot('`cabernet up`');
  await ensureBpfFs();
  const lock = await lockWorld(loaded.plan.name, 'up');
  try {
    return await build(loaded, options.onStep ?? (() => undefined));
  } finally {
    await lock.release();
  }
}

async function build({ file, world, plan }: LoadedWorld, onStep: (text: string) => void): Promise<UpResult> {
  const { name } = plan;
  const directory = worldDirectory(name);
  const office: Office = { directory, namespace: officeNamespace(name) };
  const before = readState(name);
  const gone = goneOf(before, plan);
  const providers = providersOf(world);
  // who has left the world is asked to give back what it has
  const leaving = (before?.seats ?? []).filter((one) => !providers.some((other) => isSame(one, other)));
  const seats = seated([...providers, ...leaving], before?.seats ?? []);
  const impaired = impairedOf(plan.wires);
  let state: WorldState = {
    version: 2,
    file,
    complete: false,
    plan: { ...plan, hosts: before?.plan.hosts ?? plan.hosts },
    seats,
    agents: before?.agents ?? {},
    controllers: before?.controllers ?? {},
    impaired,
  };
  if (before) await removeObsolete(before, plan, gone);
  writeState(state);

  onStep(
    `${count(plan.machines, 'machine')}, ${count(plan.wires, 'wire')}, ${count(plan.stations, 'station')}`,
  );
  await ensureFabric(plan);
  if (plan.wires.some(hasMiddle)) {
    await ensureRelay(name);
    await impose(name, plan.wires, impaired);
  } else await removePins(name, WIRES_PINS);

  onStep(`${count(plan.machines, 'agent')}, ${count(seats, 'controller')}`);
  await ensureCredentials(directory, seats);
  const agents = new Map(plan.machines.map((machine) => [machine.name, agentDaemon(name, machine)]));
  const controllers = new Map(seats.map((seat) => [seat.name, controllerDaemon(office, seat)]));
  state = {
    ...state,
    agents: await started(agents, (ids) => writeState({ ...state, agents: { ...state.agents, ...ids } })),
  };
  state = {
    ...state,
    controllers: await started(controllers, (ids) => writeState({ ...state, controllers: ids })),
  };
  const machines = new Map<string, NodeClient>(
    plan.machines.map((machine) => [machine.name, clientOf(name, machine.name)]),
  );
  const desks = new Map(seats.map((seat) => [seat.name, controllerClient(directory, seat)]));
  try {
    await Promise.all([
      answered(agents, state.agents, machines),
      answered(controllers, state.controllers, desks),
    ]);
    onStep(`${count(plan.networks, 'network')}: ${plan.networks.map((network) => network.name).join(', ')}`);
    const manifests = [
      ...manifestsOf(world, plan, placesIn(name, seats)),
      ...leaving.map((provider): Manifest => ({ ...provider, resources: [] })),
    ];
    const applied = await bring(manifests, (provider) => called(desks, provider));
    await removeMachines(name, gone);
    await removeProviders(directory, leaving);
    onStep('tunnels and vifs up');
    await Promise.all([...machines].map(([machine, client]) => waitUntilUp(client, machine, UP_DEADLINE)));
    const hosts = [...plan.hosts, ...(await linkHosts(plan, desks))];
    const whole = { ...plan, hosts };
    await writeHosts(whole);
    const still = seats.filter((seat) => !leaving.includes(seat));
    writeState({ ...state, plan: whole, seats: still, complete: true });
    return { plan: whole, seats: still, applied };
  } finally {
    for (const client of [...machines.values(), ...desks.values()]) client.close();
  }
}

function count(things: readonly unknown[], name: string): string {
  return `${things.length} ${name}${things.length === 1 ? '' : 's'}`;
}

const isSame = (a: Provider, b: Provider): boolean => a.layer === b.layer && a.name === b.name;

function called<T>(clients: ReadonlyMap<string, T>, { name }: Provider): T {
  const client = clients.get(name);
  if (!client) throw new Error(`no controller for ${name}`);
  return client;
}

/** The processes of all of them; `note` is told of each, before anything waits for it. */
async function started(
  daemons: ReadonlyMap<string, Daemon>,
  note: (ids: Readonly<Record<string, ProcessId>>) => void,
): Promise<Readonly<Record<string, ProcessId>>> {
  const ids: Record<string, ProcessId> = {};
  for (const [name, daemon] of daemons) {
    ids[name] = await ensureDaemon(daemon);
    note(ids);
  }
  return ids;
}

async function answered(
  daemons: ReadonlyMap<string, Daemon>,
  ids: Readonly<Record<string, ProcessId>>,
  clients: ReadonlyMap<string, { ready(deadlineMs: number): Promise<void> }>,
): Promise<void> {
  await Promise.all(
    [...daemons].map(async ([name, daemon]) => {
      const [id, client] = [ids[name], clients.get(name)];
      if (!id || !client) throw new Error(`nobody has started ${daemon.what}`);
      await waitForDaemon(daemon, id, client);
    }),
  );
}

function placesIn(world: string, seats: readonly Seat[]): Parameters<typeof manifestsOf>[2] {
  return {
    agent: (machine) => `unix:${socketPath(world, machine)}`,
    controller: (provider) => {
      const seat = seats.find((one) => one.name === provider);
      if (!seat) throw new Error(`${provider} has no controller`);
      return seatAddress(seat);
    },
  };
}

/** The addresses that the providers gave their links' ends. */
async function linkHosts(
  { networks }: WorldPlan,
  desks: ReadonlyMap<string, ReturnType<typeof controllerClient>>,
): Promise<readonly HostName[]> {
  const lists = await Promise.all(
    networks.map(async ({ name, owner, over }) => {
      const layer = over === '' ? 'connectivity' : 'service';
      const links = await listResources(called(desks, { layer, name: owner }), 'links');
      return links.flatMap((resource): readonly HostName[] => {
        const link = bodyOf(resource) as LinkBody;
        const [a, b] =
          layer === 'service' ? [link.assignedA, link.assignedB] : [link.addressesA, link.addressesB];
        const named = (node: string, prefixes: readonly string[] = []): readonly HostName[] =>
          prefixes.map((prefix) => ({
            network: name,
            address: prefix.replace(/\/\d+$/, ''),
            name: node.slice(node.lastIndexOf('/') + 1),
          }));
        return [...named(link.a, a), ...named(link.b, b)];
      });
    }),
  );
  return lists.flat();
}

/** Of both APIs. */
interface LinkBody {
  readonly name: string;
  readonly a: string;
  readonly b: string;
  readonly addressesA?: readonly string[];
  readonly addressesB?: readonly string[];
  readonly assignedA?: readonly string[];
  readonly assignedB?: readonly string[];
}

/** Machines that an earlier file had and this one has not. */
function goneOf(before: WorldState | undefined, plan: WorldPlan): WorldPlan['machines'] {
  const machines = new Set(plan.machines.map((machine) => machine.name));
  return (before?.plan.machines ?? []).filter((machine) => !machines.has(machine.name));
}

/** What an earlier file had and this one has not; the machines stay until nothing is leased of them. */
async function removeObsolete(
  before: WorldState,
  plan: WorldPlan,
  gone: WorldPlan['machines'],
): Promise<void> {
  const kept = { ...plan, machines: [...plan.machines, ...gone] };
  await removeNamespaces(plan.name, await obsoleteNamespaces(kept));
  await removeObsoleteCables(before.plan, plan);
  const networks = new Set(plan.networks.map((network) => network.name));
  for (const { name } of before.plan.networks) {
    if (!networks.has(name)) await rm(hostsPath(plan.name, name), { force: true });
  }
}

async function removeMachines(world: string, gone: WorldPlan['machines']): Promise<void> {
  if (gone.length === 0) return;
  const state = readState(world);
  await endAll(gone.flatMap(({ name }) => servingAt(socketPath(world, name))));
  if (state) await removeNamespaces(world, await obsoleteNamespaces(state.plan));
  for (const { name } of gone) {
    await removePins(world, name);
    for (const path of [socketPath(world, name), logPath(world, name)]) await rm(path, { force: true });
  }
}

async function removeProviders(directory: string, leaving: readonly Provider[]): Promise<void> {
  await endAll(leaving.flatMap(({ name }) => servingAt(controllerSocket(directory, name))));
  for (const { name } of leaving) await removeController(directory, name);
}
