/**
 * Messages on their way out of a gRPC stream, with back-pressure in bytes: a writer waits while too much is under way to a
 * slow reader, and no longer than the call lives.
 */

/** Bytes written and not yet taken by the connection, above which a writer waits. */
const WINDOW = 1024 * 1024;

/** What is needed of a grpc-js stream. */
interface ByteSink {
  write(bytes: Buffer, written: () => void): boolean;
}

export class Outbound {
  readonly #sink: ByteSink;
  readonly #signal: AbortSignal;
  #underWay = 0;
  #resume: (() => void) | undefined;

  /** When the signal aborts, everything that waits here rejects with its reason. */
  constructor(sink: ByteSink, signal: AbortSignal) {
    this.#sink = sink;
    this.#signal = signal;
  }

  /** Hands one message over; resolves when the next may be sent. One at a time. */
  async send(bytes: Buffer): Promise<void> {
    this.#signal.throwIfAborted();
    this.#underWay += bytes.length + 1; // an empty message counts too
    this.#sink.write(bytes, () => {
      this.#underWay -= bytes.length + 1;
      if (this.#underWay < WINDOW) this.#resume?.();
    });
    if (this.#underWay < WINDOW) return;
    await orAbort(new Promise<void>((done) => (this.#resume = done)), this.#signal);
  }

  /** Sends what the iterable yields; ends it early when the signal aborts. */
  async sendAll<T>(messages: AsyncIterable<T> | Iterable<T>, encode: (message: T) => Buffer): Promise<void> {
    const iterator =
      Symbol.asyncIterator in messages ? messages[Symbol.asyncIterator]() : messages[Symbol.iterator]();
    let ended = false;
    try {
      for (;;) {
        const next = await orAbort(Promise.resolve(iterator.next()), this.#signal);
        if (next.done === true) {
          ended = true;
          return;
        }
        await this.send(encode(next.value));
      }
    } finally {
      // Not awaited: a generator that waits for something else returns only after that.
      if (!ended) Promise.resolve(iterator.return?.()).catch(() => undefined);
    }
  }
}

/** The promise's outcome, or the signal's reason if that comes first. */
export async function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
    promise.catch(() => undefined); // when nobody waits for it any more
  }
}
