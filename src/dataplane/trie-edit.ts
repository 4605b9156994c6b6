/**
 * Changes of a routing table, by versions: a change is applied to copies of the chunks it touches, which nobody reads
 * yet; the old version stays whole until the new one is published. Only where there is no room for copies, chunks are
 * rewritten word by word: each address then has its old or its new route at any moment, but not all at once.
 */
import { DataPlaneError } from './errors.js';
import {
  CHUNK_WORDS,
  type ChunkStore,
  depthOf,
  find,
  heapIndex,
  rootChunk,
  ROUTE_LEAF,
  type Stride,
  type TrieState,
} from './trie.js';

let versions = 0;

/** A store that publishes a change: the word's index in the chunks' memory. */
export interface Word {
  readonly at: number;
  readonly value: number;
}

/** Chunks found in memory whose prefixes are to be said anew. */
export interface FoundTrie {
  /** 0: an empty table. */
  readonly root: number;
  readonly chunks: ReadonlySet<number>;
}

export const NOTHING_FOUND: FoundTrie = { root: 0, chunks: new Set() };

/** A change of one table in the making. Nobody reads what it writes before `rewrite` or `state` is published. */
export class TrieEdit {
  readonly #store: ChunkStore;
  readonly #version = ++versions;
  readonly #from: TrieState;
  /** Chunks in whose place a new one may stay, each once. */
  readonly #found: Set<number>;
  readonly #rebuilding: boolean;
  readonly #inPlace: boolean;
  readonly #oldRoot: number;
  #root: Stride | undefined;
  #size: number;
  /** Chunks that no version before had. */
  #made = 0;
  /** Chunks of the old version that the new one does without. */
  readonly #replaced: number[] = [];
  /** Chunks filled and not yet published. */
  readonly #filled: number[] = [];
  #rewritten = 0;

  /**
   * Begins with the prefixes of `from`; or with none, to replace what was `found`: chunks that agree stay. With
   * `inPlace` there are no copies, and `fill` is the publication of all but the root.
   */
  constructor(store: ChunkStore, from: TrieState, found: FoundTrie = NOTHING_FOUND, inPlace = false) {
    this.#store = store;
    this.#inPlace = inPlace;
    this.#from = from;
    this.#root = from.root;
    this.#size = from.size;
    this.#found = new Set(found.chunks);
    this.#rebuilding = found.root !== 0;
    this.#oldRoot = from.root?.id ?? found.root;
  }

  get state(): TrieState {
    return { root: this.#root, size: this.#size };
  }

  /** Chunks written. */
  get chunks(): number {
    return this.#filled.length;
  }

  /** Words of chunks in use that `fill` has changed: none, but for an edit in place. */
  get rewritten(): number {
    return this.#rewritten;
  }

  /** Chunks that an edit in place will need. */
  get needed(): number {
    const count = (stride: Stride): number => {
      if (stride.version !== this.#version) return 0;
      let sum = this.#mayStay(stride.origin) ? 0 : 1;
      for (const child of stride.children?.values() ?? []) sum += count(child);
      return sum;
    };
    return this.#root === undefined ? 0 : count(this.#root);
  }

  /** Whether the table has another root; before `rewrite` this says whether anything has changed. */
  get moved(): boolean {
    return rootChunk(this.state) !== this.#oldRoot;
  }

  /** `TABLE_FULL` when no table could hold what was set so far: it is not worked out to its end. */
  set(bytes: Uint8Array, length: number, nextHop: number): void {
    let stride = (this.#root = this.#editable(this.#root, this.#oldRoot));
    const depth = depthOf(length);
    for (let level = 0; level < depth; level++) {
      const slot = bytes[level] ?? 0;
      const children = (stride.children ??= new Map<number, Stride>());
      let child = children.get(slot);
      if (child === undefined || child.version !== this.#version) {
        child = this.#editable(child, this.#foundBelow(stride.origin, slot));
        children.set(slot, child);
      }
      stride = child;
    }
    const at = heapIndex(bytes, length, depth);
    const own = (stride.own ??= new Uint32Array(2 * CHUNK_WORDS));
    if (own[at] === 0) {
      stride.prefixes++;
      this.#size++;
    }
    own[at] = nextHop;
  }

  /** False when the prefix is not there. */
  delete(bytes: Uint8Array, length: number): boolean {
    if (find(this.#root, bytes, length) === 0) return false;
    const depth = depthOf(length);
    let stride = (this.#root = this.#editable(this.#root, 0));
    const path: Stride[] = [stride];
    for (let level = 0; level < depth; level++) {
      const child = this.#editable(stride.children?.get(bytes[level] ?? 0), 0);
      stride.children?.set(bytes[level] ?? 0, child);
      path.push((stride = child));
    }
    if (stride.own !== undefined) stride.own[heapIndex(bytes, length, depth)] = 0;
    stride.prefixes--;
    this.#size--;
    for (let level = depth; level >= 0; level--) {
      const empty = path[level];
      if (empty === undefined || empty.prefixes > 0 || (empty.children?.size ?? 0) > 0) break;
      if (empty.origin !== 0) this.#replaced.push(empty.origin);
      const parent = path[level - 1];
      if (parent === undefined) this.#root = undefined;
      else parent.children?.delete(bytes[level - 1] ?? 0);
    }
    return true;
  }

  /**
   * Fills chunks for all that changed. `TABLE_FULL` when there are not enough: nothing has changed then, and
   * `discard` gives back what was taken.
   */
  fill(): void {
    if (this.#root !== undefined) this.#root = this.#fill(this.#root, 0, 0);
  }

  #fill(stride: Stride, inherited: number, level: number): Stride {
    if (stride.version !== this.#version && stride.inherited === inherited) return stride;
    const mine = this.#editable(stride, 0);
    mine.inherited = inherited;
    const leaves = scratchAt(level);
    const { own } = mine;
    if (own === undefined) {
      leaves.fill(inherited, 1);
    } else {
      leaves[1] = own[1] || inherited;
      for (let i = 2; i < leaves.length; i++) leaves[i] = own[i] || (leaves[i >> 1] ?? 0);
    }
    for (const [slot, child] of mine.children ?? []) {
      const filled = this.#fill(child, leaves[CHUNK_WORDS + slot] ?? 0, level + 1);
      if (filled !== child) mine.children?.set(slot, filled);
    }
    this.#place(mine, leaves.subarray(CHUNK_WORDS));
    return mine;
  }

  /** Writes the chunk to a fresh place, or finds that the old place says the same. */
  #place(stride: Stride, entries: Uint32Array): void {
    const { words, pool } = this.#store;
    const { origin } = stride;
    for (let i = 0; i < CHUNK_WORDS; i++) if (entries[i] !== 0) entries[i] = (entries[i] ?? 0) | ROUTE_LEAF;
    for (const [slot, child] of stride.children ?? []) entries[slot] = child.id;
    const mayStay = this.#mayStay(origin);
    if (mayStay && this.#inPlace) this.#rewriteChunk(origin * CHUNK_WORDS, entries);
    if (mayStay && (this.#inPlace || same(words, origin * CHUNK_WORDS, entries))) {
      stride.id = origin;
      this.#found.delete(origin);
      return;
    }
    stride.id = pool.allocate();
    this.#filled.push(stride.id);
    words.set(entries, stride.id * CHUNK_WORDS);
    if (origin !== 0 && !this.#rebuilding) this.#replaced.push(origin);
  }

  #mayStay(origin: number): boolean {
    return this.#rebuilding ? this.#found.has(origin) : origin !== 0;
  }

  /** What a new word leads to is there already: chunks below are filled first. */
  #rewriteChunk(at: number, entries: Uint32Array): void {
    const { words } = this.#store;
    for (let i = 0; i < CHUNK_WORDS; i++) {
      if (words[at + i] === entries[i]) continue;
      Atomics.store(words, at + i, entries[i] ?? 0);
      this.#rewritten++;
    }
  }

  /**
   * After `fill`: the one word whose store turns the old version into the new one, if there is such a word. It is
   * then the only way to publish, since the chunks above it, copied in vain, are given back.
   */
  rewrite(): Word | undefined {
    const found = this.#singleWord(this.#from.root, this.#root);
    return found === 'same' ? undefined : found;
  }

  #singleWord(old: Stride | undefined, fresh: Stride | undefined): Word | 'same' | undefined {
    if (old === undefined || fresh === undefined || old.id === fresh.id) return undefined;
    const { words } = this.#store;
    const [a, b] = [old.id * CHUNK_WORDS, fresh.id * CHUNK_WORDS];
    let slot = -1;
    for (let i = 0; i < CHUNK_WORDS; i++) {
      if (words[a + i] === words[b + i]) continue;
      if (slot >= 0) return undefined;
      slot = i;
    }
    const word = { at: a + slot, value: words[b + slot] ?? 0 };
    this.#keep(fresh, old.id);
    // a chunk taken out and put back in one change says the same in another place
    if (slot < 0) return 'same';
    return this.#singleWord(old.children?.get(slot), fresh.children?.get(slot)) ?? word;
  }

  /** The copy was in vain: the chunk stays where the old version has it. */
  #keep(stride: Stride, id: number): void {
    this.#store.pool.giveBack(stride.id);
    remove(this.#filled, stride.id);
    remove(this.#replaced, id);
    stride.id = id;
  }

  /** After publication: the chunks that only the old version has. */
  finish(): number[] {
    this.#filled.length = 0;
    return [...this.#replaced, ...this.#found];
  }

  /** Instead of publication. */
  discard(): void {
    for (const id of this.#filled) this.#store.pool.giveBack(id);
    this.#filled.length = 0;
  }

  /** This version's own copy; of nothing: a new one, in the place of the chunk `found`. */
  #editable(stride: Stride | undefined, found: number): Stride {
    if (stride === undefined) {
      if (++this.#made > this.#store.pool.capacity) throw tooManyChunks(this.#store.pool.capacity - 1);
      const origin = this.#found.has(found) ? found : 0;
      const version = this.#version;
      return { id: 0, version, origin, inherited: 0, own: undefined, prefixes: 0, children: undefined };
    }
    if (stride.version === this.#version) return stride;
    return {
      id: 0,
      version: this.#version,
      origin: stride.id,
      inherited: stride.inherited,
      own: stride.own?.slice(),
      prefixes: stride.prefixes,
      children: stride.children && new Map(stride.children),
    };
  }

  #foundBelow(origin: number, slot: number): number {
    if (!this.#rebuilding || origin === 0) return 0;
    return this.#store.words[origin * CHUNK_WORDS + slot] ?? 0;
  }
}

function tooManyChunks(all: number): DataPlaneError {
  return new DataPlaneError({
    code: 'TABLE_FULL',
    operation: 'routes.commit',
    subject: 'chunks',
    detail: `the routes need more than all ${all} chunks there are`,
  });
}

function remove(list: number[], id: number): void {
  const at = list.lastIndexOf(id);
  if (at >= 0) list.splice(at, 1);
}

function same(words: Uint32Array, at: number, entries: Uint32Array): boolean {
  for (let i = 0; i < CHUNK_WORDS; i++) if (words[at + i] !== entries[i]) return false;
  return true;
}

// One for each level, since a chunk is filled after those below it.
const scratch: Uint32Array[] = [];

function scratchAt(level: number): Uint32Array {
  return (scratch[level] ??= new Uint32Array(2 * CHUNK_WORDS));
}
