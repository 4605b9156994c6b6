/** A service provider under test: its controller over a real store and a real socket to its supplier. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Client, connect } from '../../src/api/client.js';
import type { cabernet } from '../../gen/cabernet.js';
import { createLogger } from '../../src/api/log.js';
import { type Draft } from '../../src/api/message.js';
import { type ApiServer, startServer } from '../../src/api/server.js';
import { ServiceNetworkService } from '../../src/api/service.js';
import { type Caller } from '../../src/controller/access.js';
import { type Dialer, dialerWith } from '../../src/controller/dial.js';
import { storeErrorAsApi } from '../../src/controller/state.js';
import { type Clock, systemClock } from '../../src/controller/clock.js';
import { type Patience } from '../../src/service/patience.js';
import { makeService, type ServiceController } from '../../src/service/controller.js';
import { type Resource } from '../../src/service/model.js';
import { type Store } from '../../src/store/index.js';
import { SqliteStore } from '../../src/store/sqlite.js';

export type ServiceDraft = Draft<cabernet.service.v1.Resource>;
export type ServiceClient = Client<cabernet.service.v1.ServiceNetworkService>;

const QUICK: Patience = { firstMs: 5, mostMs: 40, refusedMs: [50, 50] };

export class Provider {
  readonly folder = mkdtempSync(join(tmpdir(), 'cabernet-service-'));
  caller: Caller = { role: 'local', name: '' };
  clock: Clock = systemClock;
  patience: Patience = QUICK;
  /** Between the store and the controller, to be cut. */
  wrap: (store: Store) => Store = (store) => store;
  dialer: Dialer = dialerWith(undefined);
  readonly log: string[] = [];
  #store: SqliteStore | undefined;
  #server: ApiServer | undefined;
  #controller: ServiceController | undefined;
  #client: ServiceClient | undefined;
  #ending = new AbortController();

  get client(): ServiceClient {
    if (!this.#client) throw new Error('not started');
    return this.#client;
  }

  get controller(): ServiceController {
    if (!this.#controller) throw new Error('not started');
    return this.#controller;
  }

  async start(): Promise<void> {
    const log = createLogger({ component: 'service', level: 'debug', write: (line) => this.log.push(line) });
    this.#ending = new AbortController();
    this.#store = await SqliteStore.open({ path: join(this.folder, 'state.db'), owner: 'service/iptv' });
    this.#controller = await makeService(
      {
        role: 'service',
        name: 'iptv',
        store: this.wrap(this.#store),
        log,
        dialer: this.dialer,
        callerOf: () => this.caller,
        ending: this.#ending.signal,
      },
      { clock: this.clock, patience: this.patience },
    );
    const socketPath = join(this.folder, 'api.sock');
    const { services } = this.#controller;
    this.#server = await startServer({ socketPath, services, log, translate: storeErrorAsApi });
    this.#client = connect(ServiceNetworkService, { socketPath });
  }

  async stop(): Promise<void> {
    this.#client?.close();
    this.#ending.abort();
    await this.#server?.stop(0);
    await this.#controller?.close();
    await this.#store?.close();
    this.#controller = undefined;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }

  async update(...resources: readonly ServiceDraft[]): Promise<void> {
    await this.client.update({ resources });
  }

  /** Waits until a question is answered with yes. */
  async until(what: string, question: () => Promise<boolean> | boolean): Promise<void> {
    const end = performance.now() + 20_000;
    while (!(await question())) {
      if (performance.now() > end) throw new Error(`not in 20 s: ${what}\n${this.log.slice(-20).join('\n')}`);
      await new Promise((done) => setTimeout(done, 5));
    }
  }

  async network(): Promise<NonNullable<Extract<Resource, { kind: 'network' }>['network']>> {
    const { resource } = await this.client.get({ name: 'network' });
    if (resource?.kind !== 'network') throw new Error('no network');
    return resource.network;
  }

  /** Waits until all that is wanted is in force. */
  async ready(): Promise<void> {
    let last: unknown;
    const is = async (): Promise<boolean> => {
      const { status } = await this.network();
      last = status;
      return status?.reconciling === false && status.state === 'ready';
    };
    await this.until('the network is ready', is).catch((error: unknown) => {
      const state = JSON.stringify(last, (_, value: unknown) =>
        typeof value === 'bigint' ? `${value}` : value,
      );
      throw new Error(state, { cause: error });
    });
  }
}
