/**
 * Streams that count only when they are whole: begin, batches, and a commit that says how many there were. That the
 * messages end is no proof that the caller sent them all.
 */
import { type ApiError, invalidArgument } from '../api/errors.js';

export type Step<Begin, Batch> =
  | { readonly begin: Begin }
  | { readonly batch: Batch }
  /** How many there were. */
  | { readonly commit: number };

export interface Parts<Message, Begin, Batch> {
  /** Undefined: it is none of these. */
  readonly step: (message: Message) => Step<Begin, Batch> | undefined;
  readonly begin: (begin: Begin) => void;
  /** Gives how many were in it. */
  readonly batch: (batch: Batch, begin: Begin) => number | Promise<number>;
  /** Of what it is a stream, in the singular: `resource`, `route`. */
  readonly of: string;
}

export interface Whole<Begin> {
  readonly begin: Begin;
  readonly count: number;
}

function wrong(reason: string, field: string, message: string): ApiError {
  return invalidArgument({ reason, field, message });
}

/** @throws ApiError STREAM_ORDER, STREAM_TRUNCATED, and what the parts throw */
export async function readStream<Message, Begin, Batch>(
  messages: AsyncIterable<Message>,
  { step, begin: onBegin, batch: onBatch, of }: Parts<Message, Begin, Batch>,
): Promise<Whole<Begin>> {
  let begun: { readonly begin: Begin } | undefined;
  let count = 0;
  let ended = false;
  for await (const message of messages) {
    if (ended) throw wrong('STREAM_ORDER', 'commit', 'The commit is the last message of the stream.');
    const one = step(message);
    if (one && 'begin' in one) {
      if (begun) throw wrong('STREAM_ORDER', 'begin', 'A stream begins once.');
      onBegin(one.begin);
      begun = one;
    } else if (!begun) {
      throw wrong('STREAM_ORDER', 'begin', 'The first message of the stream is begin.');
    } else if (!one) {
      throw wrong('STREAM_ORDER', 'message', `Each message is begin, ${of}s or commit.`);
    } else if ('batch' in one) {
      count += await onBatch(one.batch, begun.begin);
    } else {
      ended = true;
      if (one.commit !== count)
        throw wrong(
          'STREAM_TRUNCATED',
          `commit.${of}_count`,
          `${one.commit} ${of}s were announced, ${count} have come.`,
        );
    }
  }
  if (!begun || !ended) throw wrong('STREAM_TRUNCATED', 'commit', 'The stream ended without a commit.');
  return { begin: begun.begin, count };
}
