/** Calls to neighbours' PathService, and segments that are over: told to the next until it has forgotten them. */
import { type cabernet } from '../../gen/cabernet.js';
import { type Client } from '../api/client.js';
import { ApiError, failedPrecondition, Status } from '../api/errors.js';
import { PathService, type ReserveSegmentResponse } from '../api/infrastructure.js';
import { type Draft } from '../api/message.js';
import { type Logger } from '../api/log.js';
import { type Dialer } from '../controller/dial.js';
import { type State } from '../controller/state.js';
import { type Bodies } from './kinds.js';
import { isForgottenHere, type Segment } from './segments.js';
import { Signal } from './signal.js';

type PathClient = Client<cabernet.infrastructure.v1.PathService>;

export interface PeersOptions {
  readonly state: State<Bodies>;
  readonly dialer: Dialer;
  readonly log: Logger;
  /** Milliseconds before the first repetition, and the longest. */
  readonly backoff: readonly [number, number];
}

export class Peers {
  readonly #options: PeersOptions;
  readonly #ending = new AbortController();
  readonly #changed = new Signal();
  readonly #stop: () => void;
  readonly #running: Promise<void>;

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#stop = options.state.onChange(() => this.#changed.raise());
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop();
    this.#ending.abort();
    this.#changed.raise();
    await this.#running;
  }

  /** @param segment as it is here; its `outward` says whom to ask */
  reserve(
    segment: Segment,
    request: Draft<cabernet.infrastructure.v1.ReserveSegmentRequest>,
    signal: AbortSignal,
  ): Promise<ReserveSegmentResponse> {
    return this.#with(segment, (client) => client.reserveSegment(request, { signal, deadlineMs: 30_000 }));
  }

  async commit(segment: Segment, signal: AbortSignal): Promise<void> {
    await this.#with(segment, (client) =>
      client.commitSegment({ segment: idOf(segment) }, { signal, deadlineMs: 30_000 }),
    );
  }

  /** Resolves when the segment is gone. @throws the signal's reason */
  async gone(name: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      const seen = this.#changed.count;
      if (!this.#options.state.get('segment', name)) return;
      await this.#changed.after(seen, signal);
    }
  }

  async #with<T>(segment: Segment, call: (client: PathClient) => Promise<T>): Promise<T> {
    const { state, dialer } = this.#options;
    const peering = state.get('peering', segment.outward);
    if (!peering)
      throw failedPrecondition({ reason: 'NO_PEERING', message: `There is no ${segment.outward}.` });
    const client = dialer.dial(PathService, peering.controller, {
      role: 'infrastructure',
      name: peering.provider,
    });
    try {
      return await call(client);
    } finally {
      client.close();
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    const [first, longest] = this.#options.backoff;
    let wait = first;
    while (!signal.aborted) {
      const seen = this.#changed.count;
      const whole = await this.#releaseAll(signal).catch((error: unknown) => {
        this.#options.log.error('segments cannot be released', { error });
        return false;
      });
      wait = whole ? first : Math.min(2 * wait, longest);
      const until = whole ? signal : AbortSignal.any([signal, AbortSignal.timeout(wait)]);
      await this.#changed.after(seen, until).catch(() => undefined);
    }
  }

  /** Whether nothing is left to be told. */
  async #releaseAll(signal: AbortSignal): Promise<boolean> {
    const { state } = this.#options;
    const over = state
      .all('segment')
      .filter((segment) => segment.releasing && isForgottenHere(state, segment));
    const done = await Promise.all(over.map((segment) => this.#release(segment, signal)));
    return done.every(Boolean);
  }

  async #release(segment: Segment, signal: AbortSignal): Promise<boolean> {
    const { state, log } = this.#options;
    if (segment.outward !== '') {
      try {
        await this.#with(segment, (client) =>
          client.releaseSegment({ segment: idOf(segment) }, { signal, deadlineMs: 10_000 }),
        );
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        // it never was there, or is gone already
        if (error.status !== Status.NOT_FOUND) {
          log.warn('the next provider does not let go of a segment yet', { segment: segment.name, error });
          return false;
        }
      }
    }
    await state.transact((tx) => tx.delete(segment.name));
    return true;
  }
}

export function idOf(segment: Segment): string {
  return segment.name.slice('segments/'.length);
}
