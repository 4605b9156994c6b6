/**
 * Keeps one owner's contents of one leased node as they are to be: an Apply for every change, later and later while nobody
 * answers. Versions count changes; an Apply that was acknowledged stands for all versions before it began.
 */
import { type ApplyRequest, type ApplyResponse } from '../../api/infrastructure.js';
import { type Draft } from '../../api/message.js';
import { type ResourceDraft, v1 as nodeV1 } from '../../api/node.js';
import { messageType } from '../../api/message.js';
import { type v1 } from '../../api/infrastructure.js';
import { type Clock, sleep } from '../../controller/clock.js';
import { isPassing, type Supply } from '../suppliers.js';

export interface Target {
  readonly supply: Supply;
  /** `customers/SELF/virtualNodes/NODE` */
  readonly lease: string;
}

export interface SenderOptions {
  /** Empty: we ourselves. */
  readonly owner: string;
  /** Undefined: there is nothing to send to, for now. */
  readonly target: () => Target | undefined;
  /** Batches. */
  readonly contents: () => AsyncIterable<readonly ResourceDraft[]>;
  /** Stored before it is given. */
  readonly nextEpoch: () => Promise<bigint>;
  readonly acknowledged: (version: number, answer: ApplyResponse) => void | Promise<void>;
  /** Also of failures that may pass. */
  readonly failed: (version: number, error: unknown) => void | Promise<void>;
  readonly clock: Clock;
  readonly ending: AbortSignal;
}

const FIRST = 50;
const LONGEST = 5000;
const REFUSED = 30_000;
const CALL = 120_000;

export class Sender {
  readonly #options: SenderOptions;
  #version = 0;
  #acknowledged = 0;
  #running: Promise<void> | undefined;
  #wake = new AbortController();

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  get version(): number {
    return this.#version;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** The contents have changed. Gives the version to wait for. */
  touch(): number {
    this.#version++;
    this.kick();
    return this.#version;
  }

  /** There may be somebody to send to now. */
  kick(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
    if (this.#options.ending.aborted) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // changed after the last look
      if (this.#acknowledged < this.#version && this.#options.target()) this.kick();
    });
  }

  async end(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { target, acknowledged, failed, ending } = this.#options;
    let wait = FIRST;
    while (this.#acknowledged < this.#version && !ending.aborted) {
      const to = target();
      if (!to) return;
      const version = this.#version;
      const wake = this.#wake.signal;
      try {
        const answer = await this.#send(to);
        this.#acknowledged = version;
        wait = FIRST;
        await acknowledged(version, answer);
      } catch (error) {
        if (ending.aborted) return;
        await Promise.resolve(failed(version, error)).catch(() => undefined);
        await this.#pause(isPassing(error) ? wait : REFUSED, wake);
        wait = Math.min(2 * wait, LONGEST);
      }
    }
  }

  /** Ends early when something changes. */
  async #pause(ms: number, wake: AbortSignal): Promise<void> {
    if (wake.aborted) return;
    await sleep(this.#options.clock, ms, AbortSignal.any([wake, this.#options.ending]));
  }

  async #send({ supply, lease }: Target): Promise<ApplyResponse> {
    const { owner, contents, nextEpoch, ending } = this.#options;
    const epoch = await nextEpoch();
    const stream = applyStream({ virtualNode: lease, owner, epoch, validateOnly: false }, contents());
    return supply.apply(stream, { signal: ending, deadlineMs: CALL });
  }
}

type Begin = NonNullable<ApplyRequest['begin']>;
type Request = Draft<(typeof v1.ApplyRequest)['prototype']>;

const batchType = messageType(nodeV1.ApplyResources);
/** Of the 4 MiB of a message. */
const BATCH_BYTES = 1024 * 1024;

export async function* applyStream(
  begin: Begin,
  batches: AsyncIterable<readonly ResourceDraft[]>,
): AsyncGenerator<Request> {
  yield { begin };
  let count = 0;
  for await (const batch of batches) {
    for (const resources of parted(batch)) {
      count += resources.length;
      yield { resources: { resources } };
    }
  }
  yield { commit: { resourceCount: count } };
}

function* parted(batch: readonly ResourceDraft[]): Generator<readonly ResourceDraft[]> {
  if (batch.length === 0) return;
  if (batch.length === 1 || batchType.encode({ resources: batch }).length <= BATCH_BYTES) {
    yield batch;
    return;
  }
  const half = batch.length >> 1;
  yield* parted(batch.slice(0, half));
  yield* parted(batch.slice(half));
}
