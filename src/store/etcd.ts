/**
 * The store in an etcd cluster, under a prefix of its own. Every read is linearizable: a majority has confirmed it.
 * How far the history reaches is the cluster's to say (`--auto-compaction-…`).
 */
import type { Etcd3, ICompare, IEvent, IKeyValue, IRequestOp } from 'etcd3';

import {
  checkCommit,
  type CheckedCommit,
  checkKey,
  checkList,
  checkPrefix,
  checkRevision,
  type Range,
} from './check.js';
import { conflict, StoreError } from './errors.js';
import { connect, type EtcdOptions, followEtcd, fromEtcd, revisionOf } from './etcd-client.js';
import { leavable } from './iteration.js';
import {
  type Batch,
  type Commit,
  type Entry,
  LIMITS,
  type ListOptions,
  type Page,
  type Revision,
  type Store,
  type StoreEvent,
  type WatchOptions,
} from './store.js';

export type { EtcdOptions } from './etcd-client.js';

/** Who may commit: while that key is the one created at that revision. */
export interface Fence {
  readonly key: Buffer;
  readonly created: Revision;
}

/** No '=' in it: nobody's keys begin with another owner's. */
const OWNER = /^[a-z0-9-]+(?:\/[a-z0-9-]+)*$/;
const OWNER_LENGTH = 100;

/** Entries of the first request for a page; the next ones follow the size of what came. */
const FIRST_CHUNK = 16;

/** etcd's --max-txn-ops, which holds for the sum along a nesting; LIMITS stay far below it on both levels. */
const OPERATIONS = 128;

export class EtcdStore implements Store {
  /** For {@link EtcdLeader}. */
  readonly client: Etcd3;
  readonly #root: string;
  readonly #data: Buffer;
  readonly #closing = new AbortController();
  readonly #commits = new Set<Promise<unknown>>();

  private constructor(options: EtcdOptions) {
    if (!OWNER.test(options.owner) || options.owner.length > OWNER_LENGTH) {
      throw new StoreError(
        'INVALID',
        `${JSON.stringify(options.owner)} is no owner such as connectivity/acme`,
      );
    }
    if (options.hosts.length === 0) throw new StoreError('INVALID', 'no hosts of etcd');
    if (!options.tls?.key !== !options.tls?.certificate) {
      throw new StoreError('INVALID', 'a certificate and its key go together');
    }
    this.client = connect(options);
    this.#root = `cabernet/${options.owner}/`;
    this.#data = Buffer.from(`${this.#root}=/`);
  }

  /** Connects, and asks once: `UNAVAILABLE` and `DENIED` come here first. */
  static async open(options: EtcdOptions): Promise<EtcdStore> {
    const store = new EtcdStore(options);
    try {
      await store.list('', { limit: 1 });
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Aborts when the store is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** The key of the election; beside the data, so that no watch shows it. */
  get electionKey(): Buffer {
    return Buffer.from(`${this.#root}=leader`);
  }

  async get(key: string): Promise<Entry | undefined> {
    const bytes = this.#key(checkKey(key));
    const { kvs } = await this.#call('reading etcd', () => this.client.kv.range({ key: bytes }));
    const [found] = kvs;
    return found && this.#entry(found);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<Page> {
    const asked = checkList(prefix, options);
    const { end } = this.#range(asked);
    let { start } = this.#range(asked);
    let { revision } = asked;
    const entries: Entry[] = [];
    let size = 0;
    for (let chunk = FIRST_CHUNK; ;) {
      const limit = Math.min(chunk, asked.limit - entries.length);
      const { kvs, more, header } = await this.#call('listing from etcd', () =>
        this.client.kv.range({ key: start, range_end: end, limit, revision: revision ?? 0 }),
      );
      revision ??= revisionOf(header.revision);
      for (const found of kvs) {
        entries.push(this.#entry(found));
        size += found.value.length;
      }
      const last = entries.at(-1)?.key;
      if (!more || last === undefined) return { entries, revision, next: undefined };
      if (entries.length === asked.limit || size >= LIMITS.pageBytes)
        return { entries, revision, next: last };
      start = Buffer.concat([this.#key(Buffer.from(last)), Buffer.of(0)]);
      chunk = Math.ceil(((LIMITS.pageBytes - size) * entries.length) / Math.max(size, entries.length));
    }
  }

  /**
   * `UNAVAILABLE` with `maybeCommitted` where the answer got lost. Nothing is sent twice; a commit whose preconditions
   * name what it changes may be repeated: the second of the two is a `CONFLICT`.
   */
  commit(commit: Commit): Promise<Revision> {
    return this.commitFenced(commit, undefined);
  }

  /** For {@link EtcdLeader}: refused with `DEPOSED` unless the fence holds. */
  async commitFenced(commit: Commit, fence: Fence | undefined): Promise<Revision> {
    const checked = checkCommit(commit);
    const compare: ICompare[] = checked.preconditions.map(({ bytes, revision }) => ({
      key: this.#key(bytes),
      target: 'Mod',
      result: 'Equal',
      mod_revision: revision,
    }));
    // what is there instead, if they fail
    const failure: IRequestOp[] = compare.flatMap(({ key }) =>
      key ? [{ request_range: { key, keys_only: true } }] : [],
    );
    if (fence) {
      compare.push({ key: fence.key, target: 'Create', result: 'Equal', create_revision: fence.created });
      failure.push({ request_range: { key: fence.key, keys_only: true } });
    }
    const success = nested(this.#operations(checked), compare.length);
    const answer = this.#call('committing to etcd', () => this.client.kv.txn({ compare, success, failure }));
    this.#commits.add(answer);
    const { succeeded, responses, header } = await answer.finally(() => this.#commits.delete(answer));
    if (succeeded) return revisionOf(header.revision);
    const found = responses.map(({ response_range: { kvs } }) => kvs[0]);
    if (fence && found.at(-1)?.create_revision !== String(fence.created)) {
      throw new StoreError('DEPOSED', 'another process leads now');
    }
    throw conflict(
      checked.preconditions.flatMap(({ key, revision }, index) => {
        const actual = revisionOf(found[index]?.mod_revision ?? '0');
        return actual === revision ? [] : [{ key, expected: revision, actual }];
      }),
    );
  }

  watch(prefix: string, after: Revision, options: WatchOptions = {}): AsyncIterableIterator<Batch> {
    const range = this.#range(checkPrefix(prefix));
    checkRevision(after, 0);
    return leavable((signal) => this.#follow(range, after, signal), options.signal);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#commits);
    this.client.close();
  }

  async *#follow(range: Range, after: Revision, left: AbortSignal): AsyncGenerator<Batch, void, undefined> {
    const signal = AbortSignal.any([left, this.#closing.signal]);
    for await (const { revision, events } of followEtcd(this.client, range, after, signal)) {
      yield { revision, events: events.map((event) => this.#event(event)) };
    }
    if (this.#closing.signal.aborted && !left.aborted) throw new StoreError('CLOSED', 'the store is closed');
  }

  #key(key: Buffer): Buffer {
    return Buffer.concat([this.#data, key]);
  }

  #range({ start, end }: Range): Range {
    return { start: this.#key(start), end: this.#key(end) };
  }

  // Copies: what came is one buffer for the whole answer.
  #entry({ key, value, create_revision, mod_revision }: IKeyValue): Entry {
    return {
      key: key.toString('utf8', this.#data.length),
      value: new Uint8Array(value),
      created: revisionOf(create_revision),
      modified: revisionOf(mod_revision),
    };
  }

  #event({ type, kv, prev_kv }: IEvent): StoreEvent {
    // the library's types leave out that it may be absent
    const before = prev_kv as IKeyValue | null;
    const previous = before ? this.#entry(before) : undefined;
    return type === 'Put'
      ? { kind: 'put', entry: this.#entry(kv), previous }
      : { kind: 'delete', key: kv.key.toString('utf8', this.#data.length), previous };
  }

  #operations({ changes }: CheckedCommit): IRequestOp[] {
    return changes.map(({ bytes, value }) => {
      const key = this.#key(bytes);
      return value ? { request_put: { key, value } } : { request_delete_range: { key } };
    });
  }

  async #call<T>(doing: string, ask: () => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) throw new StoreError('CLOSED', 'the store is closed');
    try {
      return await ask();
    } catch (error) {
      throw fromEtcd(error, doing);
    }
  }
}

/** Many operations as transactions in the one, so that neither level has more than etcd takes. One revision all the same. */
function nested(operations: readonly IRequestOp[], compares: number): IRequestOp[] {
  if (operations.length <= OPERATIONS) return [...operations];
  const groups = Math.max(compares, Math.ceil(OPERATIONS / 2));
  const size = Math.ceil(operations.length / groups);
  const all: IRequestOp[] = [];
  for (let start = 0; start < operations.length; start += size) {
    all.push({ request_txn: { success: operations.slice(start, start + size) } });
  }
  return all;
}
