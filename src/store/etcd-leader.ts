/**
 * Election by one key that belongs to the leader's lease: created if absent, gone when the lease ends. The revision of its
 * creation is in every commit as a precondition, so that etcd itself refuses what a deposed leader still sends, however
 * late its clock or its thread.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { type Etcd3, EtcdLeaseInvalidError, type Lease } from 'etcd3';

import type { Range } from './check.js';
import { StoreError } from './errors.js';
import type { EtcdStore, Fence } from './etcd.js';
import { followEtcd, fromEtcd, revisionOf } from './etcd-client.js';
import type { Leader, Leadership } from './leader.js';
import type { Batch, Commit, Entry, ListOptions, Page, Revision, Store, WatchOptions } from './store.js';

export interface CandidateOptions {
  /** What the others are told, e.g. the address to call. */
  readonly candidate: string;
  /** Seconds after which a silent leader is deposed; etcd makes it 2 at least. */
  readonly ttl?: number | undefined;
}

const TTL = 10;

/** Milliseconds between attempts while etcd is away. */
const RETRY = 200;

/** The store with every commit fenced. Closing it is closing the store. */
class FencedStore implements Store {
  readonly #store: EtcdStore;
  readonly #term: Term;

  constructor(store: EtcdStore, term: Term) {
    this.#store = store;
    this.#term = term;
  }

  get(key: string): Promise<Entry | undefined> {
    return this.#store.get(key);
  }

  list(prefix: string, options?: ListOptions): Promise<Page> {
    return this.#store.list(prefix, options);
  }

  async commit(commit: Commit): Promise<Revision> {
    if (this.#term.lost.aborted) throw new StoreError('DEPOSED', 'this process leads no longer');
    try {
      return await this.#store.commitFenced(commit, this.#term.fence);
    } catch (error) {
      if (error instanceof StoreError && error.code === 'DEPOSED') this.#term.end();
      throw error;
    }
  }

  watch(prefix: string, after: Revision, options?: WatchOptions): AsyncIterableIterator<Batch> {
    return this.#store.watch(prefix, after, options);
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

/** From an election to its end. */
class Term implements Leadership {
  readonly fence: Fence;
  readonly store: Store;
  readonly #lease: Lease;
  readonly #lost = new AbortController();

  constructor(store: EtcdStore, lease: Lease, fence: Fence, ttl: number, granted: number) {
    this.fence = fence;
    this.#lease = lease;
    this.store = new FencedStore(store, this);
    store.closing.addEventListener('abort', () => this.end(), { signal: this.lost });
    void this.#keep(ttl, granted);
    void this.#watch(store.client);
  }

  get term(): number {
    return this.fence.created;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  end(): void {
    this.#lost.abort(new StoreError('DEPOSED', 'this process leads no longer'));
  }

  async resign(): Promise<void> {
    this.end();
    try {
      await this.#lease.revoke();
    } catch (error) {
      throw fromEtcd(error, 'giving the lead back');
    }
  }

  /** Extends the lease three times as often as needed; without an answer it counts as over when etcd may say so. */
  async #keep(ttl: number, granted: number): Promise<void> {
    const life = ttl * 1000;
    let asked = granted;
    while (!this.lost.aborted) {
      const now = performance.now();
      const left = asked + life - now;
      if (left <= 0) break;
      try {
        await this.#lease.keepaliveOnce({ deadline: Date.now() + Math.min(left, life / 3) });
        asked = now;
        await pause(life / 3, undefined, { signal: this.lost });
      } catch (error) {
        if (error instanceof EtcdLeaseInvalidError) break;
        await pause(Math.min(RETRY, life / 10), undefined, { signal: this.lost }).catch(() => {});
      }
    }
    this.end();
  }

  /** Somebody may have deleted the key or ended the lease. */
  async #watch(client: Etcd3): Promise<void> {
    try {
      await keyIsGone(client, this.fence.key, this.fence.created, this.lost);
      this.end();
    } catch {
      // The keeping above and the fence hold without it.
    }
  }
}

async function keyIsGone(client: Etcd3, key: Buffer, after: Revision, signal: AbortSignal): Promise<void> {
  const range: Range = { start: key, end: Buffer.concat([key, Buffer.of(0)]) };
  for await (const { events } of followEtcd(client, range, after, signal)) {
    if (events.some(({ type }) => type === 'Delete')) return;
  }
}

export class EtcdLeader implements Leader {
  readonly #store: EtcdStore;
  readonly #candidate: string;
  readonly #ttl: number;

  constructor(store: EtcdStore, options: CandidateOptions) {
    this.#store = store;
    this.#candidate = options.candidate;
    this.#ttl = options.ttl ?? TTL;
    if (!Number.isInteger(this.#ttl) || this.#ttl < 2) {
      throw new StoreError('INVALID', `a ttl is at least 2 seconds, not ${this.#ttl}`);
    }
  }

  async campaign(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Leadership> {
    const { closing } = this.#store;
    const signal = options.signal ? AbortSignal.any([options.signal, closing]) : closing;
    for (;;) {
      options.signal?.throwIfAborted();
      if (closing.aborted) throw new StoreError('CLOSED', 'the store is closed');
      try {
        const term = await this.#attempt();
        if (typeof term !== 'number') return term;
        await keyIsGone(this.#store.client, this.#store.electionKey, term, signal);
      } catch (error) {
        const fault = fromEtcd(error, 'standing for election');
        // listed anew by the next attempt
        if (!['UNAVAILABLE', 'COMPACTED', 'AHEAD'].includes(fault.code)) throw fault;
        await pause(RETRY, undefined, { signal }).catch(() => {});
      }
    }
  }

  async current(): Promise<string | undefined> {
    try {
      const { kvs } = await this.#store.client.kv.range({ key: this.#store.electionKey });
      return kvs[0]?.value.toString('utf8');
    } catch (error) {
      throw fromEtcd(error, 'asking who leads');
    }
  }

  /** Leads, or says as of which revision somebody else does. */
  async #attempt(): Promise<Term | Revision> {
    const key = this.#store.electionKey;
    const { client } = this.#store;
    const granted = performance.now();
    const lease = client.lease(this.#ttl, { autoKeepAlive: false });
    try {
      const id = await lease.grant();
      const { succeeded, header } = await client.kv.txn({
        compare: [{ key, target: 'Create', result: 'Equal', create_revision: 0 }],
        success: [{ request_put: { key, value: Buffer.from(this.#candidate), lease: id } }],
        failure: [],
      });
      const revision = revisionOf(header.revision);
      if (succeeded) return new Term(this.#store, lease, { key, created: revision }, this.#ttl, granted);
      await lease.revoke();
      return revision;
    } catch (error) {
      // What may have been written goes with the lease, at the latest after its time.
      await lease.revoke().catch(() => {});
      throw error;
    }
  }
}
