/*
 * A world whose controllers a test tells things itself: cables, agents and controllers as `up` starts them, with nothing
 * asked of anybody yet. Its processes are killed with SIGKILL and started again; `cabernet down` removes all of it.
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import Sqlite from 'better-sqlite3';

import { type ResourceClient } from '../../src/resources/api.js';
import { agentDaemon, clientOf, type NodeClient } from '../../src/world/agents.js';
import {
  controllerClient,
  controllerDaemon,
  ensureCredentials,
  type Office,
  type Seat,
  seatAddress,
  seated,
} from '../../src/world/controllers.js';
import { type Daemon, ensureDaemon, tailOf, waitForDaemon } from '../../src/world/daemons.js';
import { ensureFabric } from '../../src/world/fabric.js';
import { ensureBpfFs } from '../../src/world/host.js';
import { type LoadedWorld, loadWorld } from '../../src/world/load.js';
import { type Manifest, manifestsOf, providersOf } from '../../src/world/manifests.js';
import { officeNamespace, socketPath, worldDirectory } from '../../src/world/place.js';
import { endAll, isRunning, type ProcessId } from '../../src/world/processes.js';
import { type WorldState, writeState } from '../../src/world/state.js';
import { cabernet } from './worlds.js';

/** A process of the world: an agent, by its machine, or a controller, by its provider. */
interface Member {
  readonly daemon: Daemon;
  readonly client: { ready(deadlineMs: number): Promise<void>; close(): void };
  id: ProcessId;
}

let beds = 0;

export class Bed {
  readonly name: string;
  readonly agents: ReadonlyMap<string, NodeClient>;
  readonly desks: ReadonlyMap<string, ResourceClient>;
  /** What the world file has its providers want. */
  readonly manifests: readonly Manifest[];
  readonly seats: readonly Seat[];
  readonly loaded: LoadedWorld;
  readonly #folder: string;
  readonly #members = new Map<string, Member>();

  private constructor(loaded: LoadedWorld, folder: string, seats: readonly Seat[]) {
    this.name = loaded.plan.name;
    this.loaded = loaded;
    this.seats = seats;
    this.#folder = folder;
    const directory = worldDirectory(this.name);
    this.agents = new Map(loaded.plan.machines.map(({ name }) => [name, clientOf(this.name, name)]));
    this.desks = new Map(seats.map((seat) => [seat.name, controllerClient(directory, seat)]));
    this.manifests = manifestsOf(loaded.world, loaded.plan, {
      agent: (machine) => `unix:${socketPath(this.name, machine)}`,
      controller: (provider) => {
        const seat = seats.find(({ name }) => name === provider);
        if (!seat) throw new Error(`${provider} has no controller`);
        return seatAddress(seat);
      },
    });
  }

  static async start(yaml: string): Promise<Bed> {
    const folder = mkdtempSync(join(tmpdir(), 'cabernet-bed-'));
    const file = join(folder, 'world.yaml');
    const name = `b${process.pid}-${beds++}`;
    writeFileSync(file, yaml.replace(/^name: .*$/m, `name: ${name}`));
    const loaded = await loadWorld(file);
    await ensureBpfFs();
    const bed = new Bed(loaded, folder, seated(providersOf(loaded.world), []));
    try {
      await bed.#start();
    } catch (error) {
      bed.down();
      throw error;
    }
    return bed;
  }

  async #start(): Promise<void> {
    const { plan, file } = this.loaded;
    const state = (): WorldState => ({
      ...{ version: 2, file, complete: true, plan, seats: this.seats },
      agents: this.#ids(this.agents.keys()),
      controllers: this.#ids(this.desks.keys()),
    });
    writeState({ ...state(), complete: false });
    await ensureFabric(plan);
    const directory = worldDirectory(this.name);
    await ensureCredentials(directory, this.seats);
    const office: Office = { directory, namespace: officeNamespace(this.name) };
    for (const machine of plan.machines)
      await this.#add(machine.name, agentDaemon(this.name, machine), this.agents.get(machine.name));
    for (const seat of this.seats)
      await this.#add(seat.name, controllerDaemon(office, seat), this.desks.get(seat.name));
    writeState(state());
    await this.answering();
  }

  async #add(name: string, daemon: Daemon, client: Member['client'] | undefined): Promise<void> {
    if (!client) throw new Error(`no client for ${name}`);
    this.#members.set(name, { daemon, client, id: await ensureDaemon(daemon) });
  }

  #ids(names: Iterable<string>): Record<string, ProcessId> {
    return Object.fromEntries(
      [...names].flatMap((name) => {
        const member = this.#members.get(name);
        return member ? [[name, member.id]] : [];
      }),
    );
  }

  /** Names of all machines and providers. */
  get members(): readonly string[] {
    return [...this.#members.keys()];
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (!member) throw new Error(`there is no ${name}`);
    return member;
  }

  /** kill -9, all of them at once, and new ones; they may not answer yet. */
  async kill(...names: readonly string[]): Promise<void> {
    const members = names.map((name) => this.#member(name));
    for (const { id, daemon } of members) {
      if (!isRunning(id)) throw new Error(`${daemon.what} has ended by itself:\n${tailOf(daemon.log)}`);
      process.kill(id.pid, 'SIGKILL');
    }
    // the kernel may need a moment to take them down; endAll waits for that
    await endAll(members.map(({ id }) => id));
    for (const member of members) member.id = await ensureDaemon(member.daemon);
  }

  /** Until they all answer. Throws if one has ended. */
  async answering(names: readonly string[] = this.members): Promise<void> {
    await Promise.all(
      names.map((name) => {
        const { daemon, id, client } = this.#member(name);
        return waitForDaemon(daemon, id, client);
      }),
    );
  }

  desk(provider: string): ResourceClient {
    const desk = this.desks.get(provider);
    if (!desk) throw new Error(`there is no ${provider}`);
    return desk;
  }

  /** Keys in the store of a provider's controller, which has its file for itself: read from a copy. */
  stored(provider: string): readonly string[] {
    const file = join(worldDirectory(this.name), `provider.${provider}.db`);
    const copy = join(this.#folder, `${provider}.db`);
    for (const end of ['', '-wal'])
      if (existsSync(`${file}${end}`)) copyFileSync(`${file}${end}`, `${copy}${end}`);
    const db = new Sqlite(copy);
    try {
      const rows = db.prepare<[], { key: Buffer }>('SELECT key FROM entry ORDER BY key').all();
      return rows.map(({ key }) => key.toString());
    } finally {
      db.close();
    }
  }

  /** The last lines of everybody's log. */
  logs(lines = 8): string {
    return [...this.#members.values()]
      .map(({ daemon: { what, log } }) => `== ${what}\n${tailOf(log, lines)}`)
      .join('\n');
  }

  down(): void {
    for (const client of [...this.agents.values(), ...this.desks.values()]) client.close();
    const { status, stderr } = cabernet('down', this.name);
    rmSync(this.#folder, { recursive: true, force: true });
    if (status !== 0) throw new Error(`down: ${stderr}`);
  }
}
