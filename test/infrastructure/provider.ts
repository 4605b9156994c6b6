/* A provider of three machines in a line (P - Q - M, and A off Q) with recording agents, over a real store and real sockets. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type cabernet } from '../../gen/cabernet.js';
import { type Client, connect } from '../../src/api/client.js';
import { ApiError } from '../../src/api/errors.js';
import {
  InfrastructureService,
  PathService,
  type Resource,
  type ResourceDraft,
} from '../../src/api/infrastructure.js';
import { silentLogger, createLogger } from '../../src/api/log.js';
import { type ApiServer, startServer } from '../../src/api/server.js';
import { type Caller } from '../../src/controller/access.js';
import { type Controller } from '../../src/controller/process.js';
import { type Dialer, dialerWith } from '../../src/controller/dial.js';
import { storeErrorAsApi } from '../../src/controller/state.js';
import { makeInfrastructure } from '../../src/infrastructure/main.js';
import { SqliteStore } from '../../src/store/sqlite.js';
import { RecordingAgent } from './agent.js';
import { TestClock } from '../support/clock.js';

export type ProviderClient = Client<cabernet.infrastructure.v1.InfrastructureService>;
export type PathClient = Client<cabernet.infrastructure.v1.PathService>;

export const local: Caller = { role: 'local', name: '' };
export const conn: Caller = { role: 'connectivity', name: 'conn' };

export class Provider {
  readonly name: string;
  readonly folder = mkdtempSync(join(tmpdir(), 'cabernet-infra-'));
  readonly clock: TestClock;
  readonly agents = new Map<string, RecordingAgent>();
  dialer: Dialer = dialerWith(undefined);
  /** By socket: who calls there. */
  readonly #callers = new Map<string, Caller>();
  readonly #servers: ApiServer[] = [];
  readonly #clients: { close(): void }[] = [];
  #store: SqliteStore | undefined;
  #controller: Controller | undefined;

  constructor(name = 'one', clock = new TestClock()) {
    this.name = name;
    this.clock = clock;
  }

  /** Opens the store as it is. */
  async start(): Promise<void> {
    const { name, dialer } = this;
    const log = process.env['CABERNET_TEST_LOG']
      ? createLogger({ component: name, level: 'debug' })
      : silentLogger;
    const store = await SqliteStore.open({
      path: join(this.folder, 'state.db'),
      owner: `infrastructure/${name}`,
    });
    this.#store = store;
    // the socket says who calls, as a certificate does elsewhere: one server for each caller over one controller
    let current: Caller = local;
    const controller = await makeInfrastructure(
      {
        role: 'infrastructure',
        name,
        store,
        log,
        dialer,
        callerOf: (call) => callers.get(call) ?? current,
        ending: new AbortController().signal,
      },
      { clock: this.clock, backoff: [20, 200] },
    );
    const callers = new WeakMap<object, Caller>();
    this.#controller = controller;
    for (const caller of [
      local,
      conn,
      { role: 'connectivity', name: 'other' } as Caller,
      { role: 'service', name: 'iptv' } as Caller,
      { role: 'infrastructure', name: 'one' } as Caller,
      { role: 'infrastructure', name: 'two' } as Caller,
      { role: 'infrastructure', name: 'three' } as Caller,
    ]) {
      const socketPath = this.socketOf(caller);
      this.#callers.set(socketPath, caller);
      const services = controller.services.map((service) => ({
        ...service,
        methods: service.methods.map(({ type, handler }) => ({
          type,
          handler: Object.fromEntries(
            Object.entries(handler).map(([streams, run]) => [
              streams,
              (request: unknown, call: object) => {
                callers.set(call, caller);
                return (run as (request: unknown, call: object) => unknown)(request, call);
              },
            ]),
          ) as unknown as typeof handler,
        })),
      }));
      this.#servers.push(await startServer({ socketPath, services, log, translate: storeErrorAsApi }));
    }
    current = local;
  }

  socketOf(caller: Caller): string {
    return join(this.folder, `${caller.role}-${caller.name}.sock`);
  }

  as(caller: Caller): ProviderClient {
    const client = connect(InfrastructureService, { socketPath: this.socketOf(caller) });
    this.#clients.push(client);
    return client;
  }

  pathAs(caller: Caller): PathClient {
    const client = connect(PathService, { socketPath: this.socketOf(caller) });
    this.#clients.push(client);
    return client;
  }

  async agent(machine: string): Promise<RecordingAgent> {
    const agent = new RecordingAgent(join(this.folder, `${machine}.sock`));
    this.agents.set(machine, agent);
    await agent.start();
    return agent;
  }

  /** As the process ends, or as it dies: nothing is said to anybody, the store is opened anew. */
  async stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    await Promise.all(this.#servers.splice(0).map((server) => server.stop(200)));
    await this.#controller?.close();
    await this.#store?.close();
  }

  async end(): Promise<void> {
    await this.stop();
    await Promise.all([...this.agents.values()].map((agent) => agent.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }

  machine(name: string, host: number, more: object = {}): ResourceDraft {
    return {
      machine: {
        name: `machines/${name}`,
        agent: `unix:${join(this.folder, `${name}.sock`)}`,
        addresses: [`100.127.0.${host}`, `fd64:ffff::${host}`],
        site: name === 'P' || name === 'Q' ? 'Aalen' : 'Ulm',
        ports: [`st-${name}0`, `st-${name}1`],
        capacity: { cpuMillis: 1000 },
        ...more,
      },
    };
  }
}

export function wire(a: string, b: string, more: object = {}): ResourceDraft {
  return {
    wire: {
      name: `wires/${a}-${b}`.toLowerCase(),
      a: { machine: `machines/${a}`, interface: `to-${b}` },
      b: { machine: `machines/${b}`, interface: `to-${a}` },
      bitsPerSecond: 1_000_000_000n,
      delayUs: 1000,
      lossPpm: 10,
      availabilityPpm: 999_990,
      mtu: 1600,
      ...more,
    },
  };
}

export const tariff: ResourceDraft = {
  tariff: {
    name: 'tariff',
    currency: 'EUR',
    nodeMicros: 1000n,
    cpuMilliMicros: 10n,
    linkMicros: 500n,
    mbitWireMicros: 3n,
    longestTermSeconds: 86_400,
    graceSeconds: 3600,
  },
};

/** P - Q - M and Q - A, customers conn and other, and all agents answering. */
export async function lineOfThree(provider: Provider): Promise<ProviderClient> {
  for (const name of ['P', 'Q', 'M']) await provider.agent(name);
  await provider.start();
  const operator = provider.as(local);
  await operator.update({
    resources: [
      provider.machine('P', 1),
      provider.machine('Q', 2),
      provider.machine('M', 3),
      wire('P', 'Q'),
      wire('Q', 'M'),
      tariff,
      { customer: { name: 'customers/conn' } },
      { customer: { name: 'customers/other' } },
    ],
  });
  for (const name of ['P', 'Q', 'M'])
    await until(operator, `machines/${name}`, (resource) => resource.machine?.status?.state === 'ready');
  return operator;
}

/** Waits, by the API's own watch, until a resource is as told. */
export async function until(
  client: ProviderClient,
  name: string,
  test: (resource: Resource) => boolean,
): Promise<Resource> {
  let last: Resource | undefined;
  const collections: string[] = [];
  const deadline = AbortSignal.timeout(10_000);
  try {
    for await (const { resource } of client.watch(
      { includeCurrent: true, collections },
      { signal: deadline },
    )) {
      if (!resource || bodyOf(resource)?.name !== name) continue;
      last = resource;
      if (test(resource)) return resource;
    }
  } catch (error) {
    if (!deadline.aborted) throw error;
  }
  throw new Error(
    `${name} did not become so; it is ${JSON.stringify(last, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`,
  );
}

export function bodyOf(
  resource: Resource,
): { readonly name: string; readonly status?: { readonly state: string } } | undefined {
  return resource.kind === undefined
    ? undefined
    : (resource as unknown as Record<string, { name: string }>)[resource.kind];
}

/** Polls what has no watch: the recorder's memory. */
export async function eventually(test: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 10_000;
  while (!test()) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** The reason and the field of what a call is refused with. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ApiError) return `${error.reason} ${error.field ?? ''}`.trim();
    throw error;
  }
  return 'not refused';
}

export const node = (id: string, more: object = {}): object => ({
  name: `customers/conn/virtualNodes/${id}`,
  offer: `offers/${id}`,
  node: `vns/conn/nodes/${id}`,
  ...more,
});

export const link = (a: string, b: string, more: object = {}): object => ({
  name: `customers/conn/virtualLinks/${a}-${b}`,
  a: { virtualNode: `customers/conn/virtualNodes/${a}`, vif: `to${b}` },
  b: { virtualNode: `customers/conn/virtualNodes/${b}`, vif: `to${a}` },
  ...more,
});
