/**
 * Repeated requests (AIP-155): what was asked under a request id is kept in the store for an hour, so that a caller whose
 * answer got lost may ask again, also of the next process.
 */
import { createHash } from 'node:crypto';

import { failedPrecondition, invalidArgument } from '../api/errors.js';
import { type Store } from '../store/index.js';
import { type Caller, isOperator } from './access.js';
import { type Item, type Shape } from './kind.js';
import { type State, type Transaction } from './state.js';

const PREFIX = 'requests/';
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,64}$/;
/** Milliseconds. */
const LIFE = 3_600_000;
/** In one commit: as many as it takes preconditions. */
const MOST = 100;

export interface Repeat<Bodies> {
  /** The very same request has been answered. */
  isDone(): Promise<boolean>;
  remember(tx: Transaction<Bodies>): void;
}

function record(text: Uint8Array): { time: number; digest: string } {
  const [time, digest = ''] = Buffer.from(text).toString('utf8').split(' ');
  return { time: Number(time), digest };
}

/**
 * Undefined without an id.
 * @throws ApiError REQUEST_ID; `isDone` FAILED_PRECONDITION, REQUEST_ID_REUSED
 */
export function repeatOf<Bodies extends Shape<Bodies>>(
  requestId: string,
  caller: Caller,
  given: readonly { readonly kind: keyof Bodies & string; readonly spec: Bodies[keyof Bodies & string] }[],
  state: State<Bodies>,
): Repeat<Bodies> | undefined {
  if (requestId === '') return undefined;
  if (!REQUEST_ID.test(requestId)) {
    throw invalidArgument({
      reason: 'REQUEST_ID',
      field: 'request_id',
      message: 'request_id must be 1 to 64 characters of [A-Za-z0-9._:-].',
    });
  }
  const key = `${PREFIX}${isOperator(caller) ? '' : caller.role}/${caller.name}/${requestId}`;
  const hash = createHash('sha256');
  for (const { kind, spec } of given) {
    const item: Item<Bodies> = { kind, body: spec };
    hash.update(state.catalogue.encode(item));
  }
  const digest = hash.digest('hex');
  return {
    async isDone() {
      const entry = await state.store.get(key);
      if (!entry) return false;
      const known = record(entry.value);
      if (Date.now() - known.time > LIFE) return false;
      if (known.digest === digest) return true;
      throw failedPrecondition({
        reason: 'REQUEST_ID_REUSED',
        field: 'request_id',
        message: `request_id ${requestId} was used for another request; take a new one.`,
      });
    },
    remember(tx) {
      tx.putEntry(key, Buffer.from(`${Date.now()} ${digest}`));
    },
  };
}

/** Removes what is older than an hour; gives how many there were. */
export async function forgetRequests(store: Store, now = Date.now()): Promise<number> {
  let after: string | undefined;
  let forgotten = 0;
  do {
    const page = await store.list(PREFIX, { after, limit: MOST });
    const old = page.entries.filter(({ value }) => now - record(value).time > LIFE);
    if (old.length > 0) {
      await store.commit({
        changes: old.map(({ key }) => ({ kind: 'delete' as const, key })),
        // one that was used again meanwhile stays
        preconditions: old.map(({ key, modified }) => ({ key, revision: modified })),
      });
      forgotten += old.length;
    }
    after = page.next;
  } while (after !== undefined);
  return forgotten;
}
