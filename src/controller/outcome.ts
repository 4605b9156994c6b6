/**
 * What became of a commit whose answer got lost. It may even be on its way still: so every commit is made on condition that
 * a barrier stands where it stood, and the barrier is moved before anybody looks. What is not written by then never will be.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { type Change, type Precondition, type Revision, type Store, StoreError } from '../store/index.js';

const KEY = 'barrier';

/** Milliseconds between attempts while the store is away, doubling. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 1000;

export class Barrier {
  readonly #store: Store;
  #revision: Revision;

  private constructor(store: Store, revision: Revision) {
    this.#store = store;
    this.#revision = revision;
  }

  static async open(store: Store): Promise<Barrier> {
    return new Barrier(store, (await store.get(KEY))?.modified ?? 0);
  }

  /** Of every commit that `outcome` is to be asked about. */
  get precondition(): Precondition {
    return { key: KEY, revision: this.#revision };
  }

  /**
   * The revision as of which all of it is there (where it put something: the commit's own); undefined: nothing of it is, or
   * ever will be. Asked of one commit at a time, by whoever alone puts those keys, none of them later than at `known`.
   * Waits while the store is away. @throws StoreError whatever is final, DEPOSED for one: then nobody here knows
   */
  async outcome(changes: readonly Change[], known: Revision): Promise<Revision | undefined> {
    await this.#move();
    for (const change of changes) {
      const entry = await this.#patiently(() => this.#store.get(change.key));
      if (change.kind === 'put' && entry && entry.modified > known) return entry.modified;
      if (change.kind === 'put' || entry) return undefined;
    }
    return this.#revision;
  }

  /** An attempt of ours whose answer got lost counts as soon as the next one is refused for it. */
  async #move(): Promise<void> {
    this.#revision = await this.#patiently(async () => {
      try {
        return await this.#store.commit({
          changes: [{ kind: 'put', key: KEY, value: new Uint8Array() }],
          preconditions: [this.precondition],
        });
      } catch (error) {
        if (error instanceof StoreError && error.code === 'CONFLICT') {
          const moved = error.conflicts.find(({ key }) => key === KEY);
          if (moved) return moved.actual;
        }
        throw error;
      }
    });
  }

  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (let wait = FIRST_PAUSE; ; wait = Math.min(2 * wait, LONGEST_PAUSE)) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'UNAVAILABLE') throw error;
      }
      await pause(wait);
    }
  }
}
