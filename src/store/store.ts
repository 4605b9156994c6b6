/**
 * The state of one controller: bytes under string keys, changed by atomic commits, each of which gets the next revision.
 * Two forms of it behave alike: a SQLite file ({@link SqliteStore}) and a key prefix of an etcd cluster
 * ({@link EtcdStore}). Failures are {@link StoreError}s.
 */

/**
 * Of the whole store, raised by every commit that changes something; from 1, a safe integer. In etcd the cluster's own,
 * which other controllers raise too: later is larger, not larger by one.
 */
export type Revision = number;

/**
 * What either form takes with its database's own defaults (etcd: 1.5 MiB and 128 operations a request, which nest).
 * What is larger is refused with `TOO_LARGE`, never split: a commit is atomic.
 */
export const LIMITS = {
  /** Bytes of UTF-8. */
  key: 512,
  /** Bytes. */
  value: 512 * 1024,
  /** Bytes of all keys and values of one commit. */
  commit: 1024 * 1024,
  /** Puts and deletes of one commit. */
  changes: 1000,
  /** Preconditions of one commit. */
  preconditions: 100,
  /** Entries of a page; a page may end earlier, at about `pageBytes`. */
  page: 1000,
  pageBytes: 4 * 1024 * 1024,
} as const;

/** Entries of a page whose size was not asked for. */
export const DEFAULT_PAGE = 100;

export interface Entry {
  /** Well-formed Unicode, 1 to {@link LIMITS}.key bytes of UTF-8. Keys are ordered by those bytes. */
  readonly key: string;
  readonly value: Uint8Array;
  /** Of the commit that put the key when it was absent. */
  readonly created: Revision;
  /** Of the last commit that put it: what an etag is made from. */
  readonly modified: Revision;
}

/** Deleting what is absent changes nothing and is no event. */
export type Change =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: string };

/** The key was last modified by this revision; 0: it is absent. */
export interface Precondition {
  readonly key: string;
  readonly revision: Revision;
}

export interface Commit {
  /** Each key at most once. None, or none that changes anything: the preconditions are checked, and no revision is made. */
  readonly changes: readonly Change[];
  /** All of them hold, or nothing is written (`CONFLICT`). */
  readonly preconditions?: readonly Precondition[];
}

export interface ListOptions {
  /** Keys greater than this one: `next` of the page before. */
  readonly after?: string | undefined;
  /** Entries, 1 to {@link LIMITS}.page. */
  readonly limit?: number | undefined;
  /** What was there at this revision: `revision` of the first page, for pages that belong together (`COMPACTED`, `AHEAD`). */
  readonly revision?: Revision | undefined;
}

export interface Page {
  /** In the order of keys. */
  readonly entries: readonly Entry[];
  /** What the page shows is the state at this revision: where to watch from. */
  readonly revision: Revision;
  /** `after` of the next page; undefined: this was the last. */
  readonly next: string | undefined;
}

export type StoreEvent =
  | {
      readonly kind: 'put';
      readonly entry: Entry;
      /** What it replaced; undefined also where the history no longer has it (entry.created tells). */
      readonly previous: Entry | undefined;
    }
  | { readonly kind: 'delete'; readonly key: string; readonly previous: Entry | undefined };

/** All that one commit changed under the watched prefix, in the order of keys. */
export interface Batch {
  readonly revision: Revision;
  /** At least one. */
  readonly events: readonly StoreEvent[];
}

export interface WatchOptions {
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal | undefined;
}

export interface Store {
  /** The entry as the last commit left it. */
  get(key: string): Promise<Entry | undefined>;

  /** A page of the keys which begin with the prefix; '' for all. */
  list(prefix: string, options?: ListOptions): Promise<Page>;

  /**
   * Writes all of it or nothing. Answers once it is durable, with its revision: the `modified` of what it put. One that
   * changes nothing answers the present revision.
   */
  commit(commit: Commit): Promise<Revision>;

  /**
   * Every commit after that revision which changed something under the prefix, once, in order, to the end of the
   * store: first what is past, then what comes. To resume, watch after the last revision seen (or `revision` of a page).
   * Nothing is queued for a slow reader: it reads the history at its own pace, and gets `COMPACTED` when that has been cut
   * under it. Survives that etcd is away.
   */
  watch(prefix: string, after: Revision, options?: WatchOptions): AsyncIterableIterator<Batch>;

  /** Commits already asked for are finished first; watches then end with `CLOSED`. */
  close(): Promise<void>;
}
