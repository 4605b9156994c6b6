/** A client of an etcd cluster: options, errors as ours, and watches that outlive connections. */
import { setTimeout as pause } from 'node:timers/promises';

import { circuitBreaker, ConsecutiveBreaker, handleWhen, noop, retry } from 'cockatiel';
import { ClientClosedError, Etcd3, type IEvent, isRecoverableError, type IWatchResponse } from 'etcd3';

import type { Range } from './check.js';
import { StoreError } from './errors.js';
import type { Revision } from './store.js';

export interface EtcdOptions {
  /** `https://10.0.0.1:2379`, or `http://` where nobody else can listen; all members of one cluster. */
  readonly hosts: readonly string[];
  /** Whose state it is, e.g. `connectivity/acme`: [a-z0-9-] and slashes. Its keys begin with `cabernet/<owner>/=`. */
  readonly owner: string;
  /** PEM. With a key and a certificate the client shows who it is. */
  readonly tls?:
    | { readonly ca: Buffer; readonly key?: Buffer | undefined; readonly certificate?: Buffer | undefined }
    | undefined;
  readonly auth?: { readonly username: string; readonly password: string } | undefined;
  /** Milliseconds one call may take before it is `UNAVAILABLE`. */
  readonly timeout?: number | undefined;
}

const TIMEOUT = 5000;

/** Milliseconds until a broken watch is tried again, doubling. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 2000;

/** What grpc-js and the breaker say of a call that never left. */
const NEVER_SENT =
  /No connection established|Name resolution failed|Channel closed before call started|Execution prevented because the circuit/;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Any error of the client as ours; of a commit that may have been written, it says so. */
export function fromEtcd(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  const said = messageOf(error);
  const make = (code: StoreError['code']): StoreError =>
    new StoreError(code, `${doing}: ${said}`, { cause: error });
  if (error instanceof ClientClosedError) return new StoreError('CLOSED', 'the store is closed');
  if (said.includes('required revision has been compacted')) return make('COMPACTED');
  if (said.includes('required revision is a future revision')) return make('AHEAD');
  if (said.includes('database space exceeded')) return make('FULL');
  if (/too many operations|request is too large|larger than max/.test(said)) return make('TOO_LARGE');
  if (/permission denied|authentication failed|auth token|user name is empty|UNAUTHENTICATED/.test(said)) {
    return make('DENIED');
  }
  return new StoreError('UNAVAILABLE', `${doing}: ${said}`, {
    cause: error,
    maybeCommitted: !NEVER_SENT.test(said),
  });
}

export function connect(options: EtcdOptions): Etcd3 {
  const { hosts, tls, auth, timeout = TIMEOUT } = options;
  // Another member is asked, or a lone one again over a new channel, only if nobody got the call: a commit is not sent twice.
  const unsent = handleWhen((error) => NEVER_SENT.test(messageOf(error)));
  return new Etcd3({
    hosts: [...hosts],
    ...(tls
      ? {
          credentials: {
            rootCertificate: tls.ca,
            ...(tls.key && tls.certificate ? { privateKey: tls.key, certChain: tls.certificate } : {}),
          },
        }
      : {}),
    ...(auth ? { auth: { ...auth } } : {}),
    grpcOptions: {
      'grpc.max_receive_message_length': -1,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': LONGEST_PAUSE,
      // else a watch would not notice that the other side is gone; etcd allows one ping in 5 s
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5000,
    },
    defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + timeout }),
    faultHandling: {
      global: retry(unsent, { maxAttempts: Math.max(1, hosts.length - 1) }),
      // Among several members one that does not answer is passed over for a while.
      host: () =>
        hosts.length > 1
          ? circuitBreaker(handleWhen(isRecoverableError), {
              halfOpenAfter: LONGEST_PAUSE,
              breaker: new ConsecutiveBreaker(3),
            })
          : noop,
    },
  });
}

/** etcd's numbers come as text. */
export function revisionOf(text: string): Revision {
  const revision = Number(text);
  if (Number.isSafeInteger(revision)) return revision;
  throw new StoreError('INVALID', `${text} is no revision this store can hold`);
}

/** The cluster's newest revision, known to a majority. */
export async function newestRevision(client: Etcd3, { start }: Range): Promise<Revision> {
  try {
    const { header } = await client.kv.range({ key: start, count_only: true });
    return revisionOf(header.revision);
  } catch (error) {
    throw fromEtcd(error, 'asking etcd for its revision');
  }
}

export interface RawBatch {
  readonly revision: Revision;
  readonly events: readonly IEvent[];
}

/** Of one connection; ends with an error, or with the signal. */
async function* stream(
  client: Etcd3,
  range: Range,
  after: Revision,
  signal: AbortSignal,
): AsyncGenerator<RawBatch | Revision, void, undefined> {
  const call = await client.watchClient.watch();
  // The loop below gets it too, unless it was left before.
  call.on('error', () => {});
  const cancel = (): void => call.cancel();
  signal.addEventListener('abort', cancel);
  try {
    if (signal.aborted) return;
    call.write({
      create_request: {
        key: range.start,
        range_end: range.end,
        start_revision: after + 1,
        prev_kv: true,
        progress_notify: true,
        // else one answer holds up to a thousand commits
        fragment: true,
      },
    });
    let held: IEvent[] = [];
    for await (const response of call as unknown as AsyncIterable<IWatchResponse>) {
      if (response.canceled) {
        if (Number(response.compact_revision) > 0) {
          throw new StoreError(
            'COMPACTED',
            `etcd's history begins at revision ${response.compact_revision}, after ${after}`,
          );
        }
        throw new Error(response.cancel_reason || 'etcd ended the watch');
      }
      // All of a revision comes before anything of the next. What is fragmented ends with one that is not.
      const events = [...held, ...response.events];
      const whole = response.fragment ? startOfLast(events) : events.length;
      held = events.slice(whole);
      yield* batchesOf(events.slice(0, whole));
      // nothing up to there is missing
      if (!response.created && response.events.length === 0) yield revisionOf(response.header.revision);
    }
    throw new Error('etcd ended the watch');
  } finally {
    signal.removeEventListener('abort', cancel);
    call.cancel();
  }
}

/** Where the events of the last revision begin. */
function startOfLast(events: readonly IEvent[]): number {
  const last = events.at(-1)?.kv.mod_revision;
  return Math.max(
    0,
    events.findIndex(({ kv }) => kv.mod_revision === last),
  );
}

function* batchesOf(events: readonly IEvent[]): Generator<RawBatch, void, undefined> {
  let start = 0;
  for (let end = 1; end <= events.length; end++) {
    const revision = events[start]?.kv.mod_revision;
    if (revision === undefined || events[end]?.kv.mod_revision === revision) continue;
    yield { revision: revisionOf(revision), events: events.slice(start, end) };
    start = end;
  }
}

/** Every commit to the range after that revision, whatever happens to the connection. Throws only what is final. */
export async function* followEtcd(
  client: Etcd3,
  range: Range,
  after: Revision,
  signal: AbortSignal,
): AsyncGenerator<RawBatch, void, undefined> {
  let position = after;
  let delay = FIRST_PAUSE;
  while (!signal.aborted) {
    try {
      // etcd would wait in silence for a revision that it lost in a restore
      const newest = await newestRevision(client, range);
      if (position > newest) {
        throw new StoreError('AHEAD', `etcd is at revision ${newest}, not yet at ${position}`);
      }
      for await (const item of stream(client, range, position, signal)) {
        delay = FIRST_PAUSE;
        if (typeof item === 'number') {
          position = Math.max(position, item);
          continue;
        }
        position = item.revision;
        yield item;
      }
    } catch (error) {
      if (signal.aborted) return;
      const fault = fromEtcd(error, 'watching etcd');
      if (fault.code !== 'UNAVAILABLE') throw fault;
    }
    // an early wake-up is the loop's end
    await pause(delay, undefined, { signal }).catch(() => {});
    delay = Math.min(delay * 2, LONGEST_PAUSE);
  }
}
