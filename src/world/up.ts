/**
 * `up`: from a world file to a world in which packets flow. What is there already is kept and put right, so that it
 * may be repeated, with the same file or a changed one, and finishes what was broken off.
 */
import { rm } from 'node:fs/promises';

import { ensureAgent, type NodeClient, waitForAgent } from './agents.js';
import { type Applied, applyIntents, waitUntilUp } from './apply.js';
import { removeNamespaces, removePins } from './down.js';
import { ensureFabric, obsoleteNamespaces, removeObsoleteCables } from './fabric.js';
import { ensureBpfFs, requireRoot } from './host.js';
import { type LoadedWorld, loadWorld } from './load.js';
import { lockWorld } from './lock.js';
import { hostsPath, logPath, socketPath } from './place.js';
import { type MachinePlan, type WorldPlan } from './plan.js';
import { type ProcessId } from './processes.js';
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
  /** Summed over all machines and owners. */
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

async function build({ file, plan }: LoadedWorld, onStep: (text: string) => void): Promise<UpResult> {
  const known = withoutIntents(plan);
  const before = readState(plan.name);
  if (before) await removeObsolete(before, known);
  const state: WorldState = { version: 1, file, complete: false, plan: known, agents: before?.agents ?? {} };
  writeState(state);

  onStep(
    `${count(plan.machines, 'machine')}, ${count(plan.wires, 'wire')}, ${count(plan.stations, 'station')}`,
  );
  await ensureFabric(known);

  onStep(count(plan.machines, 'agent'));
  const agents: Record<string, ProcessId> = {};
  for (const machine of known.machines) {
    agents[machine.name] = await ensureAgent(plan.name, machine);
    writeState({ ...state, agents });
  }
  const clients = await Promise.all(
    plan.machines.map(async (machine) => {
      const id = agents[machine.name];
      if (!id) throw new Error(`no agent for ${machine.name}`);
      return { machine, client: await waitForAgent(plan.name, machine.name, id) };
    }),
  );
  try {
    onStep(`${count(plan.networks, 'network')}: ${plan.networks.map((network) => network.name).join(', ')}`);
    const applied = await Promise.all(clients.map(applyTo));
    onStep('tunnels and vifs up');
    await Promise.all(
      clients.map(({ machine, client }) => waitUntilUp(client, machine.name, machine.intents, UP_DEADLINE)),
    );
    writeState({ ...state, agents, complete: true });
    return { plan, applied: applied.reduce(sum) };
  } finally {
    for (const { client } of clients) client.close();
  }
}

function count(things: readonly unknown[], name: string): string {
  return `${things.length} ${name}${things.length === 1 ? '' : 's'}`;
}

function withoutIntents(plan: WorldPlan): WorldState['plan'] {
  return {
    ...plan,
    machines: plan.machines.map(({ name, provider, jumbo, addresses, interfaces, routes }) => ({
      name,
      provider,
      jumbo,
      addresses,
      interfaces,
      routes,
    })),
  };
}

function applyTo({ machine, client }: { machine: MachinePlan; client: NodeClient }): Promise<Applied> {
  return applyIntents(client, machine.intents);
}

function sum(a: Applied, b: Applied): Applied {
  return {
    created: a.created + b.created,
    updated: a.updated + b.updated,
    deleted: a.deleted + b.deleted,
    unchanged: a.unchanged + b.unchanged,
  };
}

/** What an earlier file had and this one has not. */
async function removeObsolete(before: WorldState, plan: WorldState['plan']): Promise<void> {
  const machines = new Set(plan.machines.map((machine) => machine.name));
  const gone = before.plan.machines.filter((machine) => !machines.has(machine.name));
  await removeNamespaces(plan.name, await obsoleteNamespaces(plan));
  for (const { name } of gone) {
    await removePins(plan.name, name);
    for (const path of [socketPath(plan.name, name), logPath(plan.name, name)])
      await rm(path, { force: true });
  }
  await removeObsoleteCables(before.plan, plan);
  const networks = new Set(plan.networks.map((network) => network.name));
  for (const { name } of before.plan.networks) {
    if (!networks.has(name)) await rm(hostsPath(plan.name, name), { force: true });
  }
}
