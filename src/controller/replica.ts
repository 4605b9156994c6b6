/**
 * One process of a controller, from its first call to its last: it waits until it leads, makes the controller from the
 * store, and serves it; when it leads no longer it is silent at once, and waits again. Alone it leads from the start.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

import { ApiError, Status } from '../api/errors.js';
import { type Logger } from '../api/log.js';
import { type ApiServer, startServer } from '../api/server.js';
import { type Credentials } from '../identity/credentials.js';
import { Metrics } from '../metrics/metrics.js';
import { type MetricsServer, serveMetrics } from '../metrics/server.js';
import { type Leader, type Leadership } from '../store/leader.js';
import { StoreError } from '../store/index.js';
import { callerOf } from './access.js';
import { dialerWith, EndableDialer } from './dial.js';
import { type Controller, type ControllerKind, type ControllerOptions } from './process.js';
import { forgetRequests } from './repeat.js';
import { rightsOf } from './rights.js';
import { type Seat } from './seat.js';
import { notLeader, Stage } from './stage.js';
import { storeErrorAsApi } from './state.js';

/** Milliseconds. */
const FORGET_EVERY = 600_000;
/** Milliseconds a controller that leads no longer has to end. */
const CLOSE_WITHIN = 20_000;
/** Milliseconds for which it is known who leads: however many ask, the store is not. */
const LEADER_KNOWN = 1000;

export interface ReplicaParts {
  readonly options: ControllerOptions;
  readonly kind: ControllerKind;
  readonly seat: Seat;
  readonly log: Logger;
  readonly credentials: Credentials | undefined;
  readonly ending: AbortSignal;
}

export class Replica {
  readonly #parts: ReplicaParts;
  readonly #stage: Stage;
  readonly #metrics: Metrics | undefined;
  #server: ApiServer | undefined;
  #told: MetricsServer | undefined;
  #leader: Leader | undefined;
  #known: { readonly until: number; readonly leader: Promise<string | undefined> } | undefined;

  constructor(parts: ReplicaParts) {
    const { role, name, metrics } = parts.options;
    this.#parts = parts;
    this.#stage = new Stage(parts.kind.services, () => this.#whoLeads());
    this.#metrics = metrics === undefined ? undefined : new Metrics({ role, name });
  }

  /** Until `ending`. @throws what keeps it from beginning; StoreError when a store of its own has failed */
  async run(): Promise<void> {
    const { seat, log, ending } = this.#parts;
    try {
      // whoever shares the lead can be asked from the start who has it
      if (seat.shared) (await this.#serve()).setServing(false);
      while (!ending.aborted) {
        const leadership = await this.#campaign();
        if (leadership) await this.#lead(leadership);
      }
    } finally {
      log.info('ending', { signal: ending.reason as unknown });
      await this.#server?.stop();
      await this.#told?.close();
    }
  }

  async #serve(): Promise<ApiServer> {
    if (this.#server) return this.#server;
    const { options, kind, log, credentials } = this.#parts;
    const { role, name, socket, remote, metrics } = options;
    if (this.#metrics) this.#told = await serveMetrics(metrics ?? '', this.#metrics);
    this.#server = await startServer({
      socketPath: socket,
      ...(remote?.listen !== undefined && credentials && { tls: { address: remote.listen, credentials } }),
      authorize: rightsOf({ role, name }, kind.rights),
      services: this.#stage.services,
      log,
      translate: storeErrorAsApi,
      observe: this.#metrics?.observe,
      // what is in the store is encoded anew, by whoever knows no other values
      knownEnumsOnly: true,
    });
    return this.#server;
  }

  get #self(): string {
    const { replica, socket } = this.#parts.options;
    return replica?.advertise ?? (this.#server?.address || `unix:${socket}`);
  }

  /** Undefined: the process is to end. */
  async #campaign(): Promise<Leadership | undefined> {
    const { seat, log, ending } = this.#parts;
    this.#leader ??= seat.leader(this.#self);
    if (seat.shared) log.info('stands by', { self: this.#self, leader: await this.#whoLeads() });
    try {
      return await this.#leader.campaign({ signal: ending });
    } catch (error) {
      if (ending.aborted) return undefined;
      throw error;
    }
  }

  #whoLeads(): Promise<string | undefined> {
    const now = performance.now();
    if (!this.#known || this.#known.until < now) {
      const leader = this.#leader?.current().catch(() => undefined) ?? Promise.resolve(undefined);
      this.#known = { until: now + LEADER_KNOWN, leader };
    }
    return this.#known.leader;
  }

  /** From an election to its end. */
  async #lead(leadership: Leadership): Promise<void> {
    const { options, kind, seat, log, credentials, ending } = this.#parts;
    const { role, name } = options;
    const { store } = leadership;
    const stale = new AbortController();
    const over = AbortSignal.any([ending, leadership.lost, stale.signal]);
    // one for each node, supplier and peer is no leak
    setMaxListeners(0, over);
    const dialer = new EndableDialer(dialerWith(credentials));
    const forgetting = setInterval(() => {
      forgetRequests(store).catch((error: unknown) => log.warn('old requests are not forgotten', { error }));
    }, FORGET_EVERY).unref();
    // at once, whatever else waits: who leads no longer says nothing to anybody
    const fallSilent = (): void => {
      this.#known = undefined;
      if (ending.aborted) return;
      dialer.end();
      this.#stage.leave();
      this.#server?.setServing(false);
      this.#server?.endStreams(notLeader());
    };
    over.addEventListener('abort', fallSilent, { once: true });
    let controller: Controller | undefined;
    try {
      controller = await kind.make({
        role,
        name,
        store,
        log,
        dialer,
        callerOf,
        term: leadership.term,
        ending: over,
        onStale: (why) => stale.abort(why),
      });
      if (!over.aborted) {
        this.#stage.enter(controller.services);
        const server = await this.#serve();
        if (!over.aborted) server.setServing(true);
        log.info('ready', { provider: name });
        await aborted(over);
      }
    } catch (error) {
      // what it began with may be another's already; or there is nothing to begin with while etcd is away
      if (!over.aborted && !(seat.shared && isAway(error))) throw error;
      log.warn('did not come to lead', { error });
    } finally {
      over.removeEventListener('abort', fallSilent);
      clearInterval(forgetting);
      if (ending.aborted) await this.#server?.stop();
      if (controller) await this.#close(controller);
      dialer.end();
      await leadership.resign().catch((error: unknown) => log.debug('the lead runs out', { error }));
    }
    if (!over.aborted || ending.aborted) return;
    const why: unknown = over.reason;
    log.warn('leads no longer', { error: why });
    if (!seat.shared) throw why instanceof Error ? why : new StoreError('BROKEN', String(why));
  }

  async #close(controller: Controller): Promise<void> {
    const { ending, log } = this.#parts;
    if (ending.aborted) return controller.close();
    const closed = new AbortController();
    const late = pause(CLOSE_WITHIN, undefined, { signal: closed.signal, ref: false }).then(
      () => {
        log.error('what led before does not end, so that the process does');
        process.exit(1);
      },
      () => undefined,
    );
    await controller.close().catch((error: unknown) => log.warn('ended with something left', { error }));
    closed.abort();
    await late;
  }
}

function isAway(error: unknown): boolean {
  return error instanceof StoreError
    ? error.code === 'UNAVAILABLE'
    : error instanceof ApiError && error.status === Status.UNAVAILABLE;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done(), { once: true });
  });
}
