/**
 * One routing table as the programs read it: a trie of 8-bit strides in chunks of 256 words, with the answer of the
 * longest prefix in every leaf (bpf/routes.h). What the leaves hide, the prefixes, is kept here in user memory.
 */
import { DataPlaneError } from './errors.js';
import { type IdPool } from './pool.js';

/** bpf/tables.h: ROUTE_LEAF. */
export const ROUTE_LEAF = 0x80000000;

/** Words of a chunk. */
export const CHUNK_WORDS = 256;

export type Family = 4 | 6;

export interface RoutePrefix {
  readonly family: Family;
  /** 4 or 16 bytes, wire order; bits after `length` are not looked at. */
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** The memory of all tables' chunks and who has which. */
export interface ChunkStore {
  readonly words: Uint32Array;
  readonly pool: IdPool;
}

/**
 * One chunk in user memory. `own` has the prefixes that end in it as a heap: index 1 the one of no bits (that of
 * length 0, in the root), 2 and 3 those of one bit, ... 256 to 511 those of eight.
 */
export interface Stride {
  /** Where the programs find it; 0 while it has no place yet. */
  id: number;
  /** The version that may still change it. */
  version: number;
  /** The chunk it takes the place of. */
  origin: number;
  /** The answer where no prefix of its own covers. */
  inherited: number;
  own: Uint32Array | undefined;
  prefixes: number;
  children: Map<number, Stride> | undefined;
}

/** An immutable state of one table. */
export interface TrieState {
  readonly root: Stride | undefined;
  /** Prefixes. */
  readonly size: number;
}

export const EMPTY: TrieState = { root: undefined, size: 0 };

/** Chunk of the root, 0 for an empty table. */
export function rootChunk(state: TrieState): number {
  return state.root?.id ?? 0;
}

/** The next hop of exactly this prefix, or 0. */
export function findRoute(state: TrieState, bytes: Uint8Array, length: number): number {
  return find(state.root, bytes, length);
}

export function find(root: Stride | undefined, bytes: Uint8Array, length: number): number {
  const depth = depthOf(length);
  let stride = root;
  for (let level = 0; level < depth && stride !== undefined; level++)
    stride = stride.children?.get(bytes[level] ?? 0);
  return stride?.own?.[heapIndex(bytes, length, depth)] ?? 0;
}

/** The next hop of the longest prefix that covers the address, or 0, from the prefixes themselves. */
export function matchRoute(state: TrieState, address: Uint8Array): number {
  let best = 0;
  let stride = state.root;
  for (let level = 0; stride !== undefined; level++) {
    const byte = address[level] ?? 0;
    if (stride.own !== undefined) {
      for (let i = CHUNK_WORDS | byte; i > 0; i >>= 1) {
        const found = stride.own[i] ?? 0;
        if (found === 0) continue;
        best = found;
        break;
      }
    }
    stride = stride.children?.get(byte);
  }
  return best;
}

/** Every prefix with its next hop. */
export function* routesOf(
  state: TrieState,
  family: Family,
): Generator<[prefix: RoutePrefix, nextHop: number]> {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  const visit = function* (stride: Stride, level: number): Generator<[RoutePrefix, number]> {
    for (let i = 1; stride.own !== undefined && i < 2 * CHUNK_WORDS; i++) {
      const nextHop = stride.own[i] ?? 0;
      if (nextHop === 0) continue;
      const bits = 31 - Math.clz32(i);
      const address = bytes.slice();
      if (level < address.length) address[level] = (i << (8 - bits)) & 0xff;
      yield [{ family, bytes: address, length: 8 * level + bits }, nextHop];
    }
    for (const [slot, child] of stride.children ?? []) {
      bytes[level] = slot;
      yield* visit(child, level + 1);
      bytes[level] = 0;
    }
  };
  if (state.root !== undefined) yield* visit(state.root, 0);
}

/** All chunks of one version. */
export function chunksOf(state: TrieState): number[] {
  const found: number[] = [];
  const visit = (stride: Stride): void => {
    found.push(stride.id);
    for (const child of stride.children?.values() ?? []) visit(child);
  };
  if (state.root !== undefined) visit(state.root);
  return found;
}

/**
 * The chunks and next hops of a table found in memory, whose prefixes nobody remembers. Words that lead nowhere a
 * table may lead are passed over.
 */
export function walkChunks(words: Uint32Array, root: number): { chunks: Set<number>; nextHops: Set<number> } {
  const chunks = new Set<number>();
  const nextHops = new Set<number>();
  const count = words.length / CHUNK_WORDS;
  const queue = [root];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    if (id === 0 || id >= count || chunks.has(id)) continue;
    chunks.add(id);
    for (let i = id * CHUNK_WORDS; i < (id + 1) * CHUNK_WORDS; i++) {
      const word = words[i] ?? 0;
      if (word >= ROUTE_LEAF) nextHops.add(word - ROUTE_LEAF);
      else if (word !== 0) queue.push(word);
    }
  }
  return { chunks, nextHops };
}

/** The chunk on the way that a prefix of this length ends in. */
export function depthOf(length: number): number {
  return length === 0 ? 0 : (length - 1) >> 3;
}

export function heapIndex(bytes: Uint8Array, length: number, depth: number): number {
  const bits = length - 8 * depth;
  return (1 << bits) | ((bytes[depth] ?? 0) >> (8 - bits));
}

/** Checks a prefix at the boundary. */
export function checkPrefix(prefix: RoutePrefix, operation: string): void {
  const size = prefix.family === 4 ? 4 : 16;
  const wrong = (detail: string): DataPlaneError =>
    new DataPlaneError({ code: 'ARGUMENT', operation, subject: 'prefix', detail });
  if (prefix.family !== 4 && prefix.family !== 6) throw wrong('the family must be 4 or 6');
  if (!(prefix.bytes instanceof Uint8Array) || prefix.bytes.length !== size) {
    throw wrong(`an address of family ${prefix.family} must have ${size} bytes`);
  }
  if (!Number.isInteger(prefix.length) || prefix.length < 0 || prefix.length > 8 * size) {
    throw wrong(`the length must be an integer from 0 to ${8 * size}`);
  }
}
