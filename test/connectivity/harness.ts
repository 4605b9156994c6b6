/** A connectivity controller in this process, over a real store, with suppliers that answer by sockets. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Client } from '../../src/api/client.js';
import { connect } from '../../src/api/client.js';
import { ConnectivityService, type Resource, type v1 } from '../../src/api/connectivity.js';
import { ApiError } from '../../src/api/errors.js';
import { type ApiServer, startServer } from '../../src/api/server.js';
import { type Clock, systemClock } from '../../src/controller/clock.js';
import { makeConnectivity } from '../../src/connectivity/controller.js';
import { type Caller } from '../../src/controller/access.js';
import { dialerWith } from '../../src/controller/dial.js';
import { type Controller } from '../../src/controller/process.js';
import { type Store, StoreError } from '../../src/store/index.js';
import { SqliteStore } from '../../src/store/sqlite.js';
import { quiet, TestSupplier } from './supplier.js';

export const local: Caller = { role: 'local', name: '' };

export class Harness {
  readonly folder = mkdtempSync(join(tmpdir(), 'cabernet-conn-'));
  readonly suppliers = new Map<string, TestSupplier>();
  readonly clock: Clock;
  readonly patienceMs: number;
  /** Who the next calls are from. */
  caller: Caller = local;
  /** Called before each commit of the store; what it throws, the store throws. */
  beforeCommit: (number: number) => void = () => undefined;
  commits = 0;
  client!: Client<InstanceType<typeof v1.ConnectivityService>>;
  #store: SqliteStore | undefined;
  #ending = new AbortController();
  #controller: Controller | undefined;
  #server: ApiServer | undefined;

  constructor(options: { readonly clock?: Clock; readonly patienceMs?: number } = {}) {
    this.clock = options.clock ?? systemClock;
    this.patienceMs = options.patienceMs ?? 300;
  }

  async supplier(name: string): Promise<TestSupplier> {
    const supplier = new TestSupplier(this.folder, name, this.suppliers);
    await supplier.start();
    this.suppliers.set(name, supplier);
    return supplier;
  }

  async open(): Promise<void> {
    const store = await SqliteStore.open({
      path: join(this.folder, 'state.db'),
      owner: 'connectivity/conn',
    });
    this.#store = store;
    this.#ending = new AbortController();
    const { signal } = this.#ending;
    // what a killed process would not have written is not written
    const watched: Store = new Proxy(store, {
      get: (target, key) => {
        if (key === 'commit') {
          return (commit: Parameters<Store['commit']>[0]) => {
            this.beforeCommit(++this.commits);
            if (signal.aborted) throw new StoreError('CLOSED', 'killed');
            return target.commit(commit);
          };
        }
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    this.#controller = await makeConnectivity(
      {
        role: 'connectivity',
        name: 'conn',
        store: watched,
        log: quiet,
        dialer: dialerWith(undefined),
        callerOf: () => this.caller,
        ending: signal,
      },
      { clock: this.clock, patienceMs: this.patienceMs },
    );
    const socketPath = join(this.folder, 'conn.sock');
    this.#server = await startServer({ socketPath, services: this.#controller.services, log: quiet });
    this.client = connect(ConnectivityService, { socketPath, deadlineMs: 20_000 });
  }

  /** As kill -9 does: nothing more is written, nobody is told. */
  async kill(): Promise<void> {
    this.#ending.abort();
    this.client.close();
    await this.#server?.stop(0);
    await this.#controller?.close();
    await this.#store?.close();
    this.#store = undefined;
  }

  async end(): Promise<void> {
    this.beforeCommit = () => undefined;
    await this.kill();
    for (const supplier of this.suppliers.values()) await supplier.stop();
    rmSync(this.folder, { recursive: true });
  }

  async update(...resources: readonly object[]): Promise<readonly Resource[]> {
    return (await this.client.update({ resources })).resources;
  }

  async remove(...names: readonly string[]): Promise<void> {
    await this.client.delete({ names });
  }

  /** The resource's body. */
  async get<K extends 'node' | 'link' | 'serviceNetwork' | 'offer'>(
    kind: K,
    name: string,
  ): Promise<NonNullable<Extract<Resource, { kind: K }>[K]>> {
    const { resource } = await this.client.get({ name });
    const body = (resource as Record<string, unknown> | undefined)?.[kind];
    if (!body) throw new Error(`${name} is no ${kind}`);
    return body as NonNullable<Extract<Resource, { kind: K }>[K]>;
  }

  /** What the store has under this prefix. */
  async keys(prefix: string): Promise<readonly string[]> {
    return (await this.#store?.list(prefix, { limit: 1000 }))?.entries.map(({ key }) => key) ?? [];
  }

  /** The text under this key of the store. */
  async value(key: string): Promise<string> {
    return Buffer.from((await this.#store?.get(key))?.value ?? []).toString('utf8');
  }

  /** Waits until all these are of that state. */
  async become(state: string, ...names: readonly string[]): Promise<void> {
    await until(async () => {
      for (const name of names) {
        const { resource } = await this.client.get({ name });
        const body =
          resource &&
          (resource as unknown as Record<string, { status?: { state: string } }>)[resource.kind ?? ''];
        if (body?.status?.state !== state) return `${name} is ${body?.status?.state}, not ${state}`;
      }
      return undefined;
    });
  }
}

/** Waits until it says nothing; fails with what it said last. */
export async function until(
  wrong: () => string | undefined | Promise<string | undefined>,
  ms = 15_000,
): Promise<void> {
  const end = Date.now() + ms;
  for (;;) {
    const text = await wrong();
    if (text === undefined) return;
    if (Date.now() > end) throw new Error(`waited in vain: ${text}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** `REASON field` of a refusal. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ApiError) return `${error.reason} ${error.field ?? ''}`.trim();
    throw error;
  }
  return 'no refusal';
}
