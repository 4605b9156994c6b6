/**
 * Reading from all agents of a world at once: every list whole, page by page; what does not answer is told beside
 * what does.
 */
import { clientOf, type NodeClient } from './agents.js';
import type {
  Counters,
  DropCount,
  Finding,
  LabelState,
  MachineInfo,
  NeighbourState,
  PathState,
  RouteState,
  TunnelState,
  VifState,
  VirtualNodeState,
  WireState,
  BfdPeerState,
} from './messages.js';
import { Naming } from './naming.js';
import { type WorldState } from './state.js';

/** How long an agent may take to answer a question, milliseconds. */
const PATIENCE = 5000;

/** What one machine's agent said. */
export interface Said<T> {
  readonly machine: string;
  readonly value: T;
}

export interface Answers<T> {
  readonly answers: readonly Said<T>[];
  /** Why the others did not. */
  readonly silent: readonly Said<string>[];
}

interface Page {
  readonly nextPageToken: string;
}

async function pages<R extends Page, T>(
  list: (request: { pageSize: number; pageToken: string }, options: { deadlineMs: number }) => Promise<R>,
  rows: (response: R) => readonly T[],
): Promise<readonly T[]> {
  const all: T[] = [];
  let pageToken = '';
  do {
    const response = await list({ pageSize: 10_000, pageToken }, { deadlineMs: PATIENCE });
    for (const row of rows(response)) all.push(row);
    pageToken = response.nextPageToken;
  } while (pageToken !== '');
  return all;
}

/** The lists of one agent, with its world's names. */
export class Agent {
  readonly machine: string;
  readonly client: NodeClient;
  readonly #naming: Naming;

  constructor(machine: string, client: NodeClient, naming = new Naming([])) {
    this.machine = machine;
    this.client = client;
    this.#naming = naming;
  }

  async #pages<R extends Page, T>(
    list: (request: { pageSize: number; pageToken: string }, options: { deadlineMs: number }) => Promise<R>,
    rows: (response: R) => readonly T[],
  ): Promise<readonly T[]> {
    return this.#naming.forPeople(await pages(list, rows));
  }

  info(): Promise<MachineInfo> {
    return this.client.getMachine({}, { deadlineMs: PATIENCE });
  }

  nodes(): Promise<readonly VirtualNodeState[]> {
    return this.#pages(this.client.listVirtualNodes, (response) => response.virtualNodes);
  }

  vifs(): Promise<readonly VifState[]> {
    return this.#pages(this.client.listVifs, (response) => response.vifs);
  }

  tunnels(): Promise<readonly TunnelState[]> {
    return this.#pages(this.client.listTunnels, (response) => response.tunnels);
  }

  wires(): Promise<readonly WireState[]> {
    return this.#pages(this.client.listWires, (response) => response.wires);
  }

  bfdPeers(): Promise<readonly BfdPeerState[]> {
    return this.#pages(this.client.listBfdPeers, (response) => response.bfdPeers);
  }

  paths(): Promise<readonly PathState[]> {
    return this.#pages(this.client.listPaths, (response) => response.paths);
  }

  labels(): Promise<readonly LabelState[]> {
    return this.#pages(this.client.listLabels, (response) => response.labels);
  }

  /** Of one node, `vns/VN/nodes/NODE`. */
  routes(node: string): Promise<readonly RouteState[]> {
    return this.#pages(
      (request, options) =>
        this.client.listRoutes({ ...request, node: this.#naming.forMachines(node) }, options),
      (response) => response.routes,
    );
  }

  neighbours(): Promise<readonly NeighbourState[]> {
    return this.#pages(this.client.listNeighbours, (response) => response.neighbours);
  }

  counters(): Promise<readonly Counters[]> {
    return this.#pages(this.client.listCounters, (response) => response.counters);
  }

  drops(): Promise<readonly DropCount[]> {
    return this.#pages(this.client.listDrops, (response) => response.drops);
  }

  async diagnose(): Promise<readonly Finding[]> {
    return this.#naming.forPeople((await this.client.diagnose({}, { deadlineMs: PATIENCE })).findings);
  }
}

/** Several agents, connected when first asked. */
export class Agents {
  readonly #agents: readonly Agent[];

  /** All of a world, or these. */
  constructor(whose: WorldState | readonly Agent[]) {
    if (!('plan' in whose)) {
      this.#agents = whose;
      return;
    }
    const { name: world, machines, networks } = whose.plan;
    const naming = new Naming(networks);
    this.#agents = machines.map(({ name }) => new Agent(name, clientOf(world, name), naming));
  }

  [Symbol.iterator](): Iterator<Agent> {
    return this.#agents[Symbol.iterator]();
  }

  /** The same question to each. */
  async ask<T>(question: (agent: Agent) => Promise<T>): Promise<Answers<T>> {
    const results = await Promise.allSettled(this.#agents.map(question));
    const answers: Said<T>[] = [];
    const silent: Said<string>[] = [];
    for (const [i, result] of results.entries()) {
      const machine = this.#agents[i]?.machine ?? '';
      if (result.status === 'fulfilled') answers.push({ machine, value: result.value });
      else silent.push({ machine, value: reasonOf(result.reason) });
    }
    return { answers, silent };
  }

  close(): void {
    for (const agent of this.#agents) agent.client.close();
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
