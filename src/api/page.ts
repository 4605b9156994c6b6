/**
 * Pages of a list that is sorted by a key. A token says after which key the next page begins, not how many rows were
 * seen: rows that come and go between two pages neither shift the rest nor show a row twice. Tokens are opaque to
 * clients, hold nothing that the list does not, and are checked as any input.
 */
import { createHash } from 'node:crypto';

import { invalidArgument } from './errors.js';

export const DEFAULT_PAGE_SIZE = 1000;
export const MAX_PAGE_SIZE = 10_000;
/** Bytes of rows in one page, under the 4 MiB of a message. */
export const PAGE_BYTES = 3_500_000;

export interface PageRequest {
  /** Rows; 0: 1000, more than 10000: 10000 (AIP-158). */
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

export interface PageOptions<T> {
  /** Unique in the list; the list ascends by it, as `<` compares strings. */
  readonly key: (item: T) => string;
  /** What is listed, with its filter: `routes vns/iptv/nodes/P`. A token of another list is refused. */
  readonly list: string;
  /** Bytes that the row takes in the answer; with it the page ends before it is too big to send. */
  readonly bytes?: ((item: T) => number) | undefined;
}

const VERSION = 1;
const MARK_BYTES = 8;
const LONGEST_KEY = 1024;
const LONGEST_TOKEN = Math.ceil(((1 + 2 * MARK_BYTES + LONGEST_KEY) * 4) / 3);

function mark(...parts: readonly string[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:${part}`);
  return hash.digest().subarray(0, MARK_BYTES);
}

function tokenAfter(key: string, list: string): string {
  const bytes = Buffer.from(key, 'utf8');
  if (bytes.length > LONGEST_KEY)
    throw new RangeError(`the key of a row takes ${bytes.length} bytes, over ${LONGEST_KEY}`);
  return Buffer.concat([Buffer.of(VERSION), mark(list), mark(list, key), bytes]).toString('base64url');
}

function keyOf(token: string, list: string): string {
  const bytes = token.length <= LONGEST_TOKEN ? Buffer.from(token, 'base64url') : Buffer.alloc(0);
  const key = bytes.subarray(1 + 2 * MARK_BYTES).toString('utf8');
  const ours =
    bytes[0] === VERSION &&
    bytes.length > 1 + 2 * MARK_BYTES &&
    bytes.toString('base64url') === token &&
    bytes.subarray(1, 1 + MARK_BYTES).equals(mark(list));
  // The second mark finds damage; it is no secret, and a forged token only says where to go on reading.
  if (!ours || !bytes.subarray(1 + MARK_BYTES, 1 + 2 * MARK_BYTES).equals(mark(list, key))) {
    throw invalidArgument({
      reason: 'PAGE_TOKEN_INVALID',
      field: 'page_token',
      message:
        'page_token is not one that this list returned with the same filter; leave it empty to begin again.',
    });
  }
  return key;
}

/** Index of the first row whose key is greater. */
function firstAfter<T>(items: readonly T[], after: string, key: (item: T) => string): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (key(items[middle] as T) > after) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Sorts rows as `paginate` needs them. */
export function byKey<T>(items: Iterable<T>, key: (item: T) => string): T[] {
  const keyed = Array.from(items, (item) => ({ item, key: key(item) }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return keyed.map(({ item }) => item);
}

/**
 * One page of a sorted list.
 * @throws ApiError INVALID_ARGUMENT, PAGE_TOKEN_INVALID
 */
export function paginate<T>(items: readonly T[], request: PageRequest, options: PageOptions<T>): Page<T> {
  const size = Math.min(request.pageSize <= 0 ? DEFAULT_PAGE_SIZE : request.pageSize, MAX_PAGE_SIZE);
  const start =
    request.pageToken === '' ? 0 : firstAfter(items, keyOf(request.pageToken, options.list), options.key);
  let end = Math.min(items.length, start + size);
  if (options.bytes) {
    let total = 0;
    for (let i = start; i < end; i++) {
      total += options.bytes(items[i] as T);
      if (total > PAGE_BYTES && i > start) end = i;
    }
  }
  const last = items[end - 1];
  const nextPageToken =
    end < items.length && last !== undefined ? tokenAfter(options.key(last), options.list) : '';
  return { items: items.slice(start, end), nextPageToken };
}
