/** A world's controllers on this host, over agents in guests, whose sockets are brought here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LoadedWorld } from '../src/world/index.js';
import { bring } from '../src/world/business.js';
import {
  controllerClient,
  controllerDaemon,
  controllerSocket,
  ensureCredentials,
  type Seat,
  seatAddress,
} from '../src/world/controllers.js';
import { ensureDaemon, servingAt, waitForDaemon } from '../src/world/daemons.js';
import { manifestsOf, providersOf } from '../src/world/manifests.js';
import { endAll } from '../src/world/processes.js';

/** Ports of this host's loopback that nobody listens on: taken and let go of all together. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => {
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('a server without a port');
    return address.port;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export class LabControllers {
  readonly #directory = mkdtempSync(join(tmpdir(), 'cabernet-lab-'));
  readonly #seats: readonly Seat[];

  private constructor(seats: readonly Seat[]) {
    this.#seats = seats;
  }

  /** Everything of the world is bought and told when the promise is kept. `sockets`: of agents, by machine. */
  static async open(
    loaded: LoadedWorld,
    sockets: ReadonlyMap<string, string>,
    patienceSeconds: number,
  ): Promise<LabControllers> {
    const providers = providersOf(loaded.world);
    const ports = await freePorts(2 * providers.length);
    const seats = providers.map((one, i): Seat => ({ ...one, port: ports[i] ?? 0 }));
    const controllers = new LabControllers(seats);
    try {
      await controllers.#open(loaded, sockets, patienceSeconds);
      return controllers;
    } catch (error) {
      await controllers.close();
      throw error;
    }
  }

  async #open(
    { world, plan }: LoadedWorld,
    sockets: ReadonlyMap<string, string>,
    patience: number,
  ): Promise<void> {
    const directory = this.#directory;
    await ensureCredentials(directory, this.#seats);
    const clients = new Map(this.#seats.map((seat) => [seat.name, controllerClient(directory, seat)]));
    const client = (name: string): ReturnType<typeof controllerClient> => {
      const found = clients.get(name);
      if (!found) throw new Error(`no controller for ${name}`);
      return found;
    };
    try {
      await Promise.all(
        this.#seats.map(async (seat) => {
          const daemon = controllerDaemon({ directory, namespace: undefined }, seat);
          await waitForDaemon(daemon, await ensureDaemon(daemon), client(seat.name));
        }),
      );
      const places = {
        agent: (machine: string) => `unix:${sockets.get(machine) ?? ''}`,
        controller: (name: string) => {
          const seat = this.#seats.find((one) => one.name === name);
          return seat ? seatAddress(seat) : '';
        },
      };
      await bring(manifestsOf(world, plan, places), ({ name }) => client(name), patience);
    } finally {
      for (const one of clients.values()) one.close();
    }
  }

  async close(): Promise<void> {
    const daemons = this.#seats.flatMap(({ name }) => servingAt(controllerSocket(this.#directory, name)));
    await endAll(daemons);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
