/**
 * The resources of one controller: in memory for reading, in the store for good. Every change is a transaction: it sees
 * the state as it will be, and is written as a whole before anybody else sees it. Transactions run one after the other.
 */
import { aborted, type ApiError, failedPrecondition, resourceExhausted, unavailable } from '../api/errors.js';
import { type Change, type Revision, type Store, StoreError } from '../store/index.js';
import { type Body, type Catalogue, type Item, type Shape } from './kind.js';
import { Barrier } from './outcome.js';

/** Keys of resources in the store; others are the controller's own (`requests/`, `contents/` …). */
export const RESOURCE_PREFIX = 'r/';

/** As many as a commit takes, less the barrier's. */
const MOST_PRECONDITIONS = 99;

export interface StateOptions {
  /** Told once when memory may no longer be what the store holds: whoever opened the state opens it anew, or ends. */
  readonly onStale?: ((why: unknown) => void) | undefined;
}

interface Held<Bodies> {
  readonly item: Item<Bodies>;
  readonly revision: Revision;
}

/** What can be read of a state, or of a state to be. */
export interface View<Bodies> {
  get<K extends keyof Bodies & string>(kind: K, name: string): Bodies[K] | undefined;
  /** In the order of names. */
  all<K extends keyof Bodies & string>(kind: K): readonly Bodies[K][];
}

export interface Transaction<Bodies> extends View<Bodies> {
  /** Writes a body as it is, but for the times in its status. */
  put<K extends keyof Bodies & string>(kind: K, body: Bodies[K]): void;
  delete(name: string): void;
  /** Entries of the controller's own, outside the resources, written with them. Values of 512 KiB at most. */
  putEntry(key: string, value: Uint8Array): void;
  deleteEntry(key: string): void;
  /** Called when all of it is durable, before any listener and the next transaction: for what is kept in memory beside it. */
  onCommit(work: () => void): void;
}

export class State<Bodies extends Shape<Bodies>> {
  readonly catalogue: Catalogue<Bodies>;
  readonly store: Store;
  readonly #held = new Map<string, Held<Bodies>>();
  readonly #sorted = new Map<keyof Bodies, readonly Body[]>();
  readonly #listeners = new Set<(changes: readonly Changed<Bodies>[]) => void>();
  #revision: Revision = 0;
  #last: Promise<unknown> = Promise.resolve();
  readonly #barrier: Barrier;
  readonly #onStale: (why: unknown) => void;
  /** Why nothing is changed any more. */
  #stale: ApiError | undefined;

  private constructor(store: Store, catalogue: Catalogue<Bodies>, barrier: Barrier, options: StateOptions) {
    this.store = store;
    this.catalogue = catalogue;
    this.#barrier = barrier;
    this.#onStale = options.onStale ?? (() => undefined);
  }

  /** Reads all there is. */
  static async open<Bodies extends Shape<Bodies>>(
    store: Store,
    catalogue: Catalogue<Bodies>,
    options: StateOptions = {},
  ): Promise<State<Bodies>> {
    const state = new State(store, catalogue, await Barrier.open(store), options);
    let after: string | undefined;
    let revision: Revision | undefined;
    do {
      const page = await store.list(RESOURCE_PREFIX, { after, revision, limit: 1000 });
      for (const { key, value, modified } of page.entries)
        state.#held.set(key.slice(RESOURCE_PREFIX.length), {
          item: catalogue.decode(value),
          revision: modified,
        });
      after = page.next;
      revision = page.revision;
    } while (after !== undefined);
    state.#revision = revision;
    return state;
  }

  /** Of the last change. */
  get revision(): Revision {
    return this.#revision;
  }

  get<K extends keyof Bodies & string>(kind: K, name: string): Bodies[K] | undefined {
    const held = this.#held.get(name);
    return held?.item.kind === kind ? (held.item.body as Bodies[K]) : undefined;
  }

  /** With the revision that its etag is made of. */
  held(name: string): Held<Bodies> | undefined {
    return this.#held.get(name);
  }

  all<K extends keyof Bodies & string>(kind: K): readonly Bodies[K][] {
    let sorted = this.#sorted.get(kind);
    if (!sorted) {
      const bodies: Body[] = [];
      for (const { item } of this.#held.values()) if (item.kind === kind) bodies.push(item.body);
      sorted = bodies.sort(byName);
      this.#sorted.set(kind, sorted);
    }
    return sorted as readonly Bodies[K][];
  }

  /** Told of every commit, in order, after it is durable. Gives the function that stops it. */
  onChange(listener: (changes: readonly Changed<Bodies>[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Runs `work` on the state to be, then writes all of it or, if it throws, nothing. Resolves when it is durable.
   * `work` may not wait for another transaction.
   * Where the store's answer gets lost, it waits until it knows what was written.
   * @throws ApiError ABORTED, UNAVAILABLE or RESOURCE_EXHAUSTED when it is not written; UNAVAILABLE, OUTCOME_UNKNOWN when
   * this process will never know; what `work` throws
   */
  transact<T>(work: (tx: Transaction<Bodies>) => T | Promise<T>): Promise<T> {
    const run = this.#last.then(async () => {
      if (this.#stale) throw this.#stale;
      const draft = new Draft<Bodies>(this);
      const result = await work(draft);
      await this.#write(draft);
      return result;
    });
    this.#last = run.catch(() => undefined);
    return run;
  }

  /** Runs `work` on the state to be, and writes nothing. What it throws is thrown. */
  async tryOut<T>(work: (tx: Transaction<Bodies>) => T | Promise<T>): Promise<T> {
    return work(new Draft<Bodies>(this));
  }

  async #write(draft: Draft<Bodies>): Promise<void> {
    const now = new Date().toISOString();
    const puts: { name: string; item: Item<Bodies> }[] = [];
    const changes: Change[] = [];
    for (const [name, item] of draft.items) {
      const before = this.#held.get(name);
      if (!item) {
        if (before) changes.push({ kind: 'delete', key: RESOURCE_PREFIX + name });
        continue;
      }
      if (before && this.catalogue.encode(item).equals(this.catalogue.encode(before.item))) continue;
      const stamped = stamp(item, before?.item.body.status?.createTime ?? now, now);
      puts.push({ name, item: stamped });
      changes.push({ kind: 'put', key: RESOURCE_PREFIX + name, value: this.catalogue.encode(stamped) });
    }
    for (const [key, value] of draft.entries)
      changes.push(value ? { kind: 'put', key, value } : { kind: 'delete', key });
    if (changes.length === 0) {
      for (const work of draft.afterwards) work();
      return;
    }
    const revision = await this.#commit(changes);
    const told: Changed<Bodies>[] = [];
    for (const [name, item] of draft.items) {
      const before = this.#held.get(name)?.item;
      if (!item) {
        this.#held.delete(name);
        if (before) told.push({ name, before, after: undefined });
      }
      const kind = (item ?? before)?.kind;
      if (kind !== undefined) this.#sorted.delete(kind);
    }
    for (const { name, item } of puts) {
      told.push({ name, before: this.#held.get(name)?.item, after: item });
      this.#held.set(name, { item, revision });
    }
    this.#revision = revision;
    for (const work of draft.afterwards) work();
    for (const listener of this.#listeners) listener(told);
  }

  async #commit(changes: readonly Change[]): Promise<Revision> {
    // what this process believes to be there is there: nobody else writes, or this one has been deposed
    const preconditions = changes
      .filter(({ key }) => key.startsWith(RESOURCE_PREFIX))
      .slice(0, MOST_PRECONDITIONS)
      .map(({ key }) => ({
        key,
        revision: this.#held.get(key.slice(RESOURCE_PREFIX.length))?.revision ?? 0,
      }));
    preconditions.push(this.#barrier.precondition);
    try {
      return await this.store.commit({ changes, preconditions });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === 'CONFLICT') this.#end(error, translateStoreError(error) as ApiError);
      if (!error.maybeCommitted) throw translateStoreError(error);
      const written = await this.#outcome(changes, error);
      if (written !== undefined) return written;
      throw unavailable({
        reason: 'STORE_UNAVAILABLE',
        message: `The store did not take it: ${error.message}; repeat it.`,
        cause: error,
      });
    }
  }

  async #outcome(changes: readonly Change[], lost: StoreError): Promise<Revision | undefined> {
    try {
      return await this.#barrier.outcome(changes, this.#revision);
    } catch (error) {
      const unknown = unavailable({
        reason: 'OUTCOME_UNKNOWN',
        message: `Whether it was written is not known (${lost.message}); repeat it with the same request_id.`,
        cause: error,
      });
      return this.#end(error, unknown);
    }
  }

  #end(why: unknown, told: ApiError): never {
    const first = this.#stale === undefined;
    this.#stale ??= unavailable({
      reason: 'STATE_STALE',
      message: 'What this process knows may no longer be what its store holds; it begins anew. Repeat later.',
      cause: why,
    });
    if (first) this.#onStale(why);
    throw told;
  }
}

export interface Changed<Bodies> {
  readonly name: string;
  readonly before: Item<Bodies> | undefined;
  readonly after: Item<Bodies> | undefined;
}

function byName(a: Body, b: Body): number {
  return a.name < b.name ? -1 : 1;
}

function stamp<Bodies extends Shape<Bodies>>(item: Item<Bodies>, created: string, now: string): Item<Bodies> {
  const status = {
    etag: '',
    generation: 1n,
    observedGeneration: 0n,
    reconciling: false,
    state: '',
    message: '',
    ...item.body.status,
    createTime: created,
    updateTime: now,
  };
  return { kind: item.kind, body: { ...item.body, status: { ...status, etag: '' } } };
}

class Draft<Bodies extends Shape<Bodies>> implements Transaction<Bodies> {
  readonly items = new Map<string, Item<Bodies> | undefined>();
  readonly entries = new Map<string, Uint8Array | undefined>();
  readonly afterwards: (() => void)[] = [];
  readonly #state: State<Bodies>;

  constructor(state: State<Bodies>) {
    this.#state = state;
  }

  get<K extends keyof Bodies & string>(kind: K, name: string): Bodies[K] | undefined {
    if (!this.items.has(name)) return this.#state.get(kind, name);
    const item = this.items.get(name);
    return item?.kind === kind ? (item.body as Bodies[K]) : undefined;
  }

  all<K extends keyof Bodies & string>(kind: K): readonly Bodies[K][] {
    const there = this.#state.all(kind);
    if (this.items.size === 0) return there;
    const bodies = there.filter((body) => !this.items.has(body.name));
    for (const item of this.items.values()) if (item?.kind === kind) bodies.push(item.body as Bodies[K]);
    return bodies.sort(byName);
  }

  put<K extends keyof Bodies & string>(kind: K, body: Bodies[K]): void {
    this.items.set(body.name, { kind, body });
  }

  delete(name: string): void {
    this.items.set(name, undefined);
  }

  putEntry(key: string, value: Uint8Array): void {
    this.entries.set(key, value);
  }

  deleteEntry(key: string): void {
    this.entries.set(key, undefined);
  }

  onCommit(work: () => void): void {
    this.afterwards.push(work);
  }
}

/** What befalls the store, in the words of the API; anything else as it is. */
export function translateStoreError(error: unknown): unknown {
  return storeErrorAsApi(error) ?? error;
}

/** Undefined for anything but an error of the store. */
export function storeErrorAsApi(error: unknown): ApiError | undefined {
  if (!(error instanceof StoreError)) return undefined;
  const { message } = error;
  switch (error.code) {
    case 'CONFLICT':
      return aborted({ reason: 'CONFLICT', message: `${message}; read again and repeat.`, cause: error });
    case 'TOO_LARGE':
      return resourceExhausted({
        reason: 'TRANSACTION_TOO_LARGE',
        message: `Too much for one change (${message}); send it in parts.`,
        cause: error,
      });
    case 'FULL':
      return resourceExhausted({
        reason: 'STORE_FULL',
        message: `The store is full: ${message}.`,
        cause: error,
      });
    case 'DEPOSED':
      return unavailable({
        reason: 'NOT_LEADER',
        message: 'Another replica leads now; ask it.',
        cause: error,
      });
    case 'UNAVAILABLE':
    case 'CLOSED':
      return unavailable({
        reason: 'STORE_UNAVAILABLE',
        message: `The store does not answer: ${message}.`,
        cause: error,
      });
    case 'INVALID':
    case 'COMPACTED':
    case 'AHEAD':
    case 'DENIED':
    case 'IN_USE':
    case 'FOREIGN':
    case 'NEWER':
    case 'CORRUPT':
    case 'BROKEN':
      return failedPrecondition({ reason: 'STORE', message: `The store refuses: ${message}.`, cause: error });
  }
}
