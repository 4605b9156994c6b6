/**
 * One machine: connects to its agent, keeps it as it should be, and says whether it answers. What fails is tried again,
 * later and later; what changes is taken up at once.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { aborted, type ApiError, unavailable } from '../api/errors.js';
import { type ApplyResponse, NodeService, type ResourceDraft } from '../api/node.js';
import { type Clock } from '../controller/clock.js';
import { type Dialer } from '../controller/dial.js';
import { type AgentClient, applyTo } from './agent.js';
import { type Had, Session, type SessionOptions } from './session.js';
import { forgetInParts, quarantinedBy } from './labels.js';
import { type OwnerIntent } from './machine-intent.js';
import { settle, stateOf } from './settle.js';
import { PathReader, type PathsRead } from './path-reader.js';
import { Signal } from './signal.js';

export interface WorkerOptions extends SessionOptions {
  readonly dialer: Dialer;
  readonly clock: Clock;
  /** What the machine says of its paths; undefined: it says nothing any more. */
  readonly onPaths: (machine: string, read: PathsRead | undefined) => void;
  /** Milliseconds before the first repetition, and the longest. */
  readonly backoff: readonly [number, number];
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #ending = new AbortController();
  readonly #changed = new Signal();
  /** After every round and every end of a connection. */
  readonly #rounds = new Signal();
  readonly #reader: PathReader;
  readonly #running: Promise<void>;
  #session: Session | undefined;
  #client: AgentClient | undefined;
  /** Changes that a round has taken up. */
  #done = -1;
  /** Of the last connection: what is known of the agent. */
  #last: { bootId: string; had: ReadonlyMap<string, Had> } | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#reader = new PathReader({ ...options, told: options.onPaths });
    this.#running = this.#run();
  }

  /** Something that this machine may be concerned with has changed. */
  kick(): void {
    this.#changed.raise();
  }

  /** Its paths are read soon, though nothing has changed there. */
  readPaths(): void {
    this.#reader.kick();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#changed.raise();
    this.#rounds.raise();
    await this.#running;
  }

  /**
   * Whether the agent would take it, and what it would change. @throws ApiError as the agent says it
   * @param resources of one lease, in a stream with what the same owner has in others on that machine
   */
  async validate(
    owner: string,
    lease: string,
    resources: (beside: OwnerIntent) => AsyncIterable<ResourceDraft>,
    signal: AbortSignal,
  ): Promise<ApplyResponse> {
    // what was leased just now is there first
    const changes = this.#changed.count;
    while (this.#client && this.#done < changes) await this.#rounds.next(signal);
    const [client, session] = [this.#client, this.#session];
    if (!client || !session) throw this.#unreachable();
    // the largest epoch: whatever was sent before, this one is not stale, and it is not kept
    const begin = { owner, epoch: 2n ** 64n - 1n, validateOnly: true };
    return applyTo(client, { ...begin, resources: resources(session.beside(owner, lease)) }, signal);
  }

  /**
   * Resolves when the agent has that content. @param current whether it is still the one that is wanted
   * @throws ApiError why the agent does not take it, SUPERSEDED; the signal's reason
   */
  async delivered(generation: string, current: () => boolean, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#ending.signal.aborted) throw this.#unreachable();
      const refusal = this.#session?.refusalOf(generation);
      if (refusal) throw refusal;
      if (this.#session?.has(generation) === true) return;
      if (!current())
        throw aborted({
          reason: 'SUPERSEDED',
          message: 'Another stream of this owner, or the end of the lease, came after this one.',
        });
      await this.#rounds.next(signal);
    }
  }

  #unreachable(): ApiError {
    return unavailable({
      reason: 'MACHINE_UNREACHABLE',
      message: 'The machine does not answer now; nothing has been changed. Try again later.',
    });
  }

  async #run(): Promise<void> {
    const { log, machine, progress, backoff } = this.#options;
    const { signal } = this.#ending;
    let wait = backoff[0];
    while (!signal.aborted) {
      const answered = await this.#connection(signal).catch((error: unknown) => {
        log.warn('the agent does not answer', { machine, error });
        return false;
      });
      if (signal.aborted) return;
      progress.forget(machine);
      await this.#record('unreachable').catch((error: unknown) =>
        log.error('cannot be stored', { machine, error }),
      );
      wait = answered ? backoff[0] : Math.min(2 * wait, backoff[1]);
      await sleep(wait, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Until the agent or the process goes. True: it had answered. */
  async #connection(signal: AbortSignal): Promise<boolean> {
    const { dialer, state, machine, provider } = this.#options;
    const body = state.get('machine', machine);
    if (!body) return false;
    const name = machine.slice('machines/'.length);
    const client = dialer.dial(NodeService, body.agent, { role: 'agent', name: provider, machine: name });
    const over = new AbortController();
    const both = AbortSignal.any([signal, over.signal]);
    let answered = false;
    try {
      const found = await client.getMachine({}, { signal: both, deadlineMs: 10_000 });
      answered = true;
      const { bootId, kernel, version, interfaces } = found;
      await this.#record('ready', { bootId, kernel, agentVersion: version, interfaces });
      const session = new Session(this.#options, client);
      session.setOwners(
        found.owners,
        this.#last?.bootId === bootId ? this.#last.had : new Map<string, Had>(),
      );
      this.#last = { bootId, had: session.had };
      this.#done = -1;
      [this.#session, this.#client] = [session, client];
      const watching = this.#watch(client, both).finally(() => {
        over.abort();
        this.#changed.raise();
      });
      const reading = this.#reader.run(client, both);
      try {
        await this.#keep(session, both);
      } finally {
        over.abort();
        await Promise.all([watching, reading]);
        this.#options.onPaths(machine, undefined);
      }
    } catch (error) {
      if (!signal.aborted && !over.signal.aborted) throw error;
    } finally {
      [this.#session, this.#client] = [undefined, undefined];
      client.close();
      this.#rounds.raise();
    }
    return answered;
  }

  async #keep(session: Session, signal: AbortSignal): Promise<void> {
    const [first, longest] = this.#options.backoff;
    let wait = first;
    while (!signal.aborted) {
      const seen = this.#changed.count;
      const whole = await session.round(signal);
      this.#done = seen;
      this.#rounds.raise();
      if (whole) wait = first;
      const retry = AbortSignal.timeout(wait);
      const until = whole ? signal : AbortSignal.any([signal, retry]);
      await this.#changed.after(seen, until).catch(() => undefined);
      if (whole || !retry.aborted) continue;
      wait = Math.min(2 * wait, longest);
      session.forgive();
    }
  }

  /** Ends when the agent goes. */
  async #watch(client: AgentClient, signal: AbortSignal): Promise<void> {
    try {
      for await (const { name } of client.watch({ includeCurrent: false }, { signal })) {
        if (signal.aborted) return;
        if (name.includes('/vifs/')) this.#reader.kick();
      }
    } catch (error) {
      if (!signal.aborted)
        this.#options.log.info('the agent has gone', { machine: this.#options.machine, error });
    }
  }

  async #record(
    word: 'ready' | 'unreachable',
    found?: Omit<ReturnType<typeof stateOf>, 'leased'>,
  ): Promise<void> {
    const { state, machine: name } = this.#options;
    await state.transact((tx) => {
      const body = tx.get('machine', name);
      if (!body?.status) return;
      const message =
        word === 'ready' ? '' : 'Its agent does not answer; what it forwards, it goes on forwarding.';
      tx.put('machine', {
        ...body,
        state: { ...stateOf(body), ...found },
        status: { ...body.status, state: word, message },
      });
      settle(tx);
    });
    if (!found) return;
    const booted = quarantinedBy(state, name).filter(
      ({ bootId }) => bootId !== '' && bootId !== found.bootId,
    );
    await forgetInParts(
      state,
      booted.map((label) => label.name),
    );
  }
}
