/**
 * The routes of one virtual node. A transaction is one change of all the node's tables: it is published by one store
 * of one word, whether that is a trie's entry, a table's root or the node's `tables`, and the flow cache's generation
 * is raised after it.
 */
import { type Node, type Tables } from '../../gen/layout.js';
import { DataPlaneError, wrongArgument } from './errors.js';
import { type IdPool } from './pool.js';
import { type RecordTable } from './records.js';
import {
  checkPrefix,
  type ChunkStore,
  chunksOf,
  EMPTY,
  type Family,
  findRoute,
  matchRoute,
  rootChunk,
  type RoutePrefix,
  routesOf,
  type TrieState,
} from './trie.js';
import { type FoundTrie, NOTHING_FOUND, TrieEdit } from './trie-edit.js';

export type Route = readonly [prefix: RoutePrefix, nextHop: number];

/** What all tables of routes share. */
export interface RouteStore {
  readonly chunks: ChunkStore;
  readonly tables: RecordTable<Tables, Readonly<Record<keyof Tables, number>>>;
  readonly tablesPool: IdPool;
  readonly nodes: RecordTable<Node, Readonly<Record<keyof Node, number>>>;
  readonly nextHops: IdPool;
  readonly grace: () => Promise<void>;
}

/** What is in memory of a node whose prefixes nobody remembers. */
export interface FoundTables {
  readonly ipv4: FoundTrie;
  readonly ipv6: FoundTrie;
}

export interface Commit {
  /**
   * What was published: nothing (the programs see no difference), one word of a trie, or new tables. `words`: there
   * was no room to prepare it aside, so that each address changed at once, but not all of them together.
   */
  readonly published: 'nothing' | 'word' | 'tables' | 'words';
  /** Chunks (1 KB) written for it. */
  readonly chunks: number;
}

type Attempt = (inPlace: boolean) => Commit;

interface Change {
  readonly prefix: RoutePrefix;
  /** 0: no route. */
  readonly nextHop: number;
}

/** A change of a node's routes in the making; of several for one prefix the last counts. */
export interface RouteTransaction {
  /** The prefix's bytes must stay as they are until the commit. `NOT_ALLOCATED` for a next hop nobody has. */
  set(prefix: RoutePrefix, nextHop: number): this;
  delete(prefix: RoutePrefix): this;
  /** How many changes it has. */
  readonly size: number;
  /**
   * Publishes all changes at once, now if there is room, else when chunks released earlier are free, else address by
   * address; commits of one node keep their order. Rejects with `TABLE_FULL`, and has changed nothing, when the routes
   * themselves do not fit.
   */
  commit(): Promise<Commit>;
}

export class RouteTable {
  readonly node: number;
  readonly #store: RouteStore;
  #ipv4: TrieState = EMPTY;
  #ipv6: TrieState = EMPTY;
  #found: FoundTables | undefined;
  /** The last commit that had to wait for room. */
  #waiting: Promise<unknown> | undefined;
  #disposed = false;

  constructor(node: number, store: RouteStore, found?: FoundTables) {
    this.node = node;
    this.#store = store;
    this.#found = found;
  }

  /** Whether `rebuild` must come first: the table is in use, but its prefixes are not known. */
  get adopted(): boolean {
    return this.#found !== undefined;
  }

  /** Prefixes. */
  size(family: Family): number {
    return this.#state(family).size;
  }

  /** The next hop of the longest prefix that covers an address of 4 or 16 bytes, or 0. */
  lookup(address: Uint8Array): number {
    return matchRoute(this.#state(familyOf(address)), address);
  }

  /** The next hop of exactly this prefix, or 0. */
  get(prefix: RoutePrefix): number {
    checkPrefix(prefix, 'routes.get');
    return findRoute(this.#state(prefix.family), prefix.bytes, prefix.length);
  }

  entries(family: Family): Generator<[prefix: RoutePrefix, nextHop: number]> {
    return routesOf(this.#state(family), family);
  }

  transaction(): RouteTransaction {
    const changes: Change[] = [];
    const transaction: RouteTransaction = {
      set: (prefix, nextHop) => {
        checkPrefix(prefix, 'routes.set');
        this.#store.nextHops.check(nextHop, 'routes.set');
        changes.push({ prefix, nextHop });
        return transaction;
      },
      delete: (prefix) => {
        checkPrefix(prefix, 'routes.delete');
        changes.push({ prefix, nextHop: 0 });
        return transaction;
      },
      get size() {
        return changes.length;
      },
      commit: async () => {
        const mine = changes.splice(0);
        return await this.#commit((inPlace) => this.#apply(mine, inPlace));
      },
    };
    return transaction;
  }

  /**
   * Makes these the node's routes, whatever they were; what does not change stays where it is. The way to take over
   * an adopted table: until then the programs go on with what they have.
   */
  async rebuild(routes: Iterable<Route>): Promise<Commit> {
    const mine = [...routes];
    for (const [prefix, nextHop] of mine) {
      checkPrefix(prefix, 'routes.rebuild');
      this.#store.nextHops.check(nextHop, 'routes.rebuild');
    }
    return await this.#commit((inPlace) => this.#replace(mine, inPlace));
  }

  /** No routes any more. */
  async clear(): Promise<Commit> {
    return await this.rebuild([]);
  }

  /** The node is no more: its tables are unlinked at once. For the plane's `release`. */
  dispose(): void {
    this.#disposed = true;
    const { nodes, tablesPool, chunks } = this.#store;
    const record = nodes.read(this.node).tables;
    nodes.set(this.node, 'tables', 0);
    nodes.increment(this.node, 'generation');
    if (tablesPool.isUsed(record)) tablesPool.release(record);
    const found = this.#foundNow();
    for (const id of [...found.ipv4.chunks, ...found.ipv6.chunks]) chunks.pool.release(id);
    this.#found = undefined;
    this.#ipv4 = EMPTY;
    this.#ipv6 = EMPTY;
  }

  #state(family: Family): TrieState {
    return family === 4 ? this.#ipv4 : this.#ipv6;
  }

  /** Tries at once, so that a commit that finds room is done when this returns. */
  async #commit(attempt: Attempt): Promise<Commit> {
    if (this.#waiting === undefined) {
      const done = this.#attempt(attempt);
      if (done !== undefined) return done;
    }
    const turn = this.#retry(attempt, this.#waiting);
    this.#waiting = turn;
    try {
      return await turn;
    } finally {
      if (this.#waiting === turn) this.#waiting = undefined;
    }
  }

  async #retry(attempt: Attempt, before: Promise<unknown> | undefined): Promise<Commit> {
    await before?.catch(() => undefined);
    for (;;) {
      const done = this.#attempt(attempt);
      if (done !== undefined) return done;
      await this.#store.grace();
    }
  }

  /** Undefined: there will be more room after the next grace period. */
  #attempt(attempt: Attempt): Commit | undefined {
    if (this.#disposed) {
      throw new DataPlaneError({
        code: 'NOT_ALLOCATED',
        operation: 'routes.commit',
        subject: `node ${this.node}`,
        detail: 'the node was released',
      });
    }
    const { chunks, tablesPool } = this.#store;
    const hope = chunks.pool.pending > 0 || tablesPool.pending > 0;
    try {
      return attempt(false);
    } catch (error) {
      if (!(error instanceof DataPlaneError && error.code === 'TABLE_FULL')) throw error;
      return hope ? undefined : attempt(true);
    }
  }

  #apply(changes: readonly Change[], inPlace: boolean): Commit {
    if (this.#found !== undefined) {
      throw new DataPlaneError({
        code: 'NOT_REBUILT',
        operation: 'routes.commit',
        subject: `node ${this.node}`,
        detail: 'the table was adopted and its prefixes are not known: call rebuild() with all routes first',
      });
    }
    const { chunks } = this.#store;
    const edit = (from: TrieState): TrieEdit => new TrieEdit(chunks, from, NOTHING_FOUND, inPlace);
    const edits = { 4: edit(this.#ipv4), 6: edit(this.#ipv6) };
    for (const { prefix, nextHop } of changes) {
      if (nextHop === 0) edits[prefix.family].delete(prefix.bytes, prefix.length);
      else edits[prefix.family].set(prefix.bytes, prefix.length, nextHop);
    }
    return inPlace ? this.#publishInPlace(edits[4], edits[6]) : this.#publish(edits[4], edits[6]);
  }

  #replace(routes: readonly Route[], inPlace: boolean): Commit {
    const { chunks } = this.#store;
    const found = this.#foundNow();
    const edit = (of: FoundTrie): TrieEdit => new TrieEdit(chunks, EMPTY, of, inPlace);
    const edits = { 4: edit(found.ipv4), 6: edit(found.ipv6) };
    for (const [prefix, nextHop] of routes) edits[prefix.family].set(prefix.bytes, prefix.length, nextHop);
    return inPlace ? this.#publishInPlace(edits[4], edits[6]) : this.#publish(edits[4], edits[6]);
  }

  #foundNow(): FoundTables {
    if (this.#found !== undefined) return this.#found;
    const found = (state: TrieState): FoundTrie =>
      state.root === undefined ? NOTHING_FOUND : { root: rootChunk(state), chunks: new Set(chunksOf(state)) };
    return { ipv4: found(this.#ipv4), ipv6: found(this.#ipv6) };
  }

  #publish(ipv4: TrieEdit, ipv6: TrieEdit): Commit {
    const { chunks, nodes, tables, tablesPool } = this.#store;
    const edits = [ipv4, ipv6];
    const before = nodes.read(this.node).tables;
    let fresh = 0;
    try {
      for (const edit of edits) edit.fill();
      if ((before === 0 && edits.some((edit) => edit.moved)) || edits.every((edit) => edit.moved)) {
        fresh = tablesPool.allocate();
      }
    } catch (error) {
      for (const edit of edits) edit.discard();
      throw error;
    }
    let published: Commit['published'] = 'nothing';
    if (fresh !== 0) {
      tables.write(fresh, { ipv4: rootChunk(ipv4.state), ipv6: rootChunk(ipv6.state) });
      nodes.set(this.node, 'tables', fresh);
      published = 'tables';
    } else {
      const edit = edits.find(({ moved }) => moved);
      const word = edit?.rewrite();
      if (word !== undefined) {
        Atomics.store(chunks.words, word.at, word.value);
        published = 'word';
      } else if (edit?.moved === true) {
        tables.set(before, edit === ipv4 ? 'ipv4' : 'ipv6', rootChunk(edit.state));
        published = 'tables';
      }
    }
    return this.#finish(ipv4, ipv6, published, fresh === 0 ? 0 : before);
  }

  #publishInPlace(ipv4: TrieEdit, ipv6: TrieEdit): Commit {
    const { chunks, nodes, tables, tablesPool } = this.#store;
    const needed = ipv4.needed + ipv6.needed;
    if (needed > chunks.pool.available) {
      throw new DataPlaneError({
        code: 'TABLE_FULL',
        operation: 'routes.commit',
        subject: `node ${this.node}`,
        detail: `the routes need ${needed} chunks more, ${chunks.pool.available} of ${chunks.pool.capacity - 1} are left`,
      });
    }
    let record = nodes.read(this.node).tables;
    if (record === 0) {
      record = tablesPool.allocate();
      nodes.set(this.node, 'tables', record);
    }
    for (const edit of [ipv4, ipv6]) edit.fill();
    tables.write(record, { ipv4: rootChunk(ipv4.state), ipv6: rootChunk(ipv6.state) });
    const changed = [ipv4, ipv6].some((edit) => edit.moved || edit.rewritten > 0);
    return this.#finish(ipv4, ipv6, changed ? 'words' : 'nothing', 0);
  }

  /** After publication: `oldTables` and the chunks of the old version go. */
  #finish(ipv4: TrieEdit, ipv6: TrieEdit, published: Commit['published'], oldTables: number): Commit {
    const { chunks, nodes, tablesPool } = this.#store;
    if (published !== 'nothing') nodes.increment(this.node, 'generation');
    const written = ipv4.chunks + ipv6.chunks;
    if (oldTables !== 0) tablesPool.release(oldTables);
    for (const edit of [ipv4, ipv6]) for (const id of edit.finish()) chunks.pool.release(id);
    this.#ipv4 = ipv4.state;
    this.#ipv6 = ipv6.state;
    this.#found = undefined;
    return { published, chunks: written };
  }
}

function familyOf(address: Uint8Array): Family {
  if (address instanceof Uint8Array && address.length === 4) return 4;
  if (address instanceof Uint8Array && address.length === 16) return 6;
  throw wrongArgument('routes.lookup', 'address', '4 or 16 bytes');
}
