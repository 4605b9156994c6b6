/** Which of several replicas of a controller may commit. */
import type { SqliteStore } from './sqlite.js';
import type { Store } from './store.js';

/** What the one that leads holds until it is lost or given back. */
export interface Leadership {
  /** Larger than that of any earlier leader: for others, to tell a deposed one by. 0 where there can be none. */
  readonly term: number;
  /** The store as this leader may use it: a commit after the loss is refused with `DEPOSED`, whether it knows or not. */
  readonly store: Store;
  /** Aborts when this process leads no longer, as soon as that is known here. */
  readonly lost: AbortSignal;
  /** Lets another lead at once. */
  resign(): Promise<void>;
}

export interface Leader {
  /** Waits, through failures of the database too, until this process leads; rejects with the signal's reason. */
  campaign(options?: { readonly signal?: AbortSignal | undefined }): Promise<Leadership>;
  /** What the one that leads now calls itself. */
  current(): Promise<string | undefined>;
}

/** Whoever has the file open leads: the file's lock is the election. */
export class SqliteLeader implements Leader {
  readonly #store: SqliteStore;
  readonly #candidate: string;

  constructor(store: SqliteStore, candidate: string) {
    this.#store = store;
    this.#candidate = candidate;
  }

  async campaign(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Leadership> {
    options.signal?.throwIfAborted();
    // ends with the store, and that its owner closes
    return { term: 0, store: this.#store, lost: new AbortController().signal, resign: async () => {} };
  }

  async current(): Promise<string | undefined> {
    return this.#candidate;
  }
}
