/** What every form of the store checks before it asks its database, and the bytes that go there. */
import { StoreError } from './errors.js';
import {
  type Commit,
  DEFAULT_PAGE,
  LIMITS,
  type ListOptions,
  type Precondition,
  type Revision,
} from './store.js';

export interface CheckedChange {
  readonly key: string;
  readonly bytes: Buffer;
  /** A copy: the caller may go on with its own. Undefined: deleted. */
  readonly value: Buffer | undefined;
}

export interface CheckedPrecondition extends Precondition {
  readonly bytes: Buffer;
}

/** Changes in the order of keys. */
export interface CheckedCommit {
  readonly changes: readonly CheckedChange[];
  readonly preconditions: readonly CheckedPrecondition[];
  readonly size: number;
}

/** From `start` on, before `end`. */
export interface Range {
  readonly start: Buffer;
  readonly end: Buffer;
}

export interface CheckedList extends Range {
  readonly limit: number;
  readonly revision: Revision | undefined;
}

function quote(key: string): string {
  return JSON.stringify(key.length > 80 ? `${key.slice(0, 80)}…` : key);
}

function invalid(message: string): StoreError {
  return new StoreError('INVALID', message);
}

function tooLarge(what: string, size: number, limit: number, unit: string): StoreError {
  return new StoreError('TOO_LARGE', `${what} has ${size} ${unit}, and ${limit} are possible`);
}

// Half a surrogate pair would become U+FFFD in UTF-8, and two keys one.
function encode(text: string, what: string): Buffer {
  if (typeof text !== 'string') throw invalid(`${what} is no string`);
  if (/\p{Surrogate}/u.test(text)) throw invalid(`${what} ${quote(text)} is no well-formed Unicode`);
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > LIMITS.key) throw tooLarge(`${what} ${quote(text)}`, bytes.length, LIMITS.key, 'bytes');
  return bytes;
}

export function checkKey(key: string): Buffer {
  const bytes = encode(key, 'the key');
  if (bytes.length === 0) throw invalid('a key is not empty');
  return bytes;
}

export function checkRevision(revision: Revision, least: number): Revision {
  if (Number.isSafeInteger(revision) && revision >= least) return revision;
  throw invalid(`${revision} is no revision: an integer from ${least} on`);
}

// In UTF-8 no byte is 0xff: the last one plus one, or 0xff for everything, comes after all that begins so.
export function checkPrefix(prefix: string): Range {
  const start = encode(prefix, 'the prefix');
  const end = start.length === 0 ? Buffer.of(0xff) : Buffer.from(start);
  if (start.length > 0) end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1);
  return { start, end };
}

export function checkList(prefix: string, options: ListOptions): CheckedList {
  const { start, end } = checkPrefix(prefix);
  const limit = options.limit ?? DEFAULT_PAGE;
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.page) {
    throw invalid(`a page has 1 to ${LIMITS.page} entries, not ${limit}`);
  }
  const revision = options.revision === undefined ? undefined : checkRevision(options.revision, 1);
  if (options.after === undefined) return { start, end, limit, revision };
  // the next key there can be
  const after = Buffer.concat([encode(options.after, 'the key to go on after'), Buffer.of(0)]);
  return { start: Buffer.compare(after, start) > 0 ? after : start, end, limit, revision };
}

function checkOnce(keys: readonly { readonly key: string }[], what: string): void {
  const seen = new Set<string>();
  for (const { key } of keys) {
    if (seen.has(key)) throw invalid(`${quote(key)} is twice among the ${what}`);
    seen.add(key);
  }
}

function checkCount(count: number, limit: number, what: string): void {
  if (count > limit) throw tooLarge('the commit', count, limit, what);
}

export function checkCommit(commit: Commit): CheckedCommit {
  const asked = commit.preconditions ?? [];
  checkCount(commit.changes.length, LIMITS.changes, 'changes');
  checkCount(asked.length, LIMITS.preconditions, 'preconditions');
  const changes = commit.changes.map((change): CheckedChange => {
    const bytes = checkKey(change.key);
    if (change.kind === 'delete') return { key: change.key, bytes, value: undefined };
    if (!(change.value instanceof Uint8Array)) throw invalid(`the value of ${quote(change.key)} is no bytes`);
    if (change.value.length > LIMITS.value) {
      throw tooLarge(`the value of ${quote(change.key)}`, change.value.length, LIMITS.value, 'bytes');
    }
    return { key: change.key, bytes, value: Buffer.from(change.value) };
  });
  const preconditions = asked.map(({ key, revision }) => ({
    key,
    bytes: checkKey(key),
    revision: checkRevision(revision, 0),
  }));
  checkOnce(changes, 'changes');
  checkOnce(preconditions, 'preconditions');
  let size = 0;
  for (const { bytes, value } of changes) size += bytes.length + (value?.length ?? 0);
  for (const { bytes } of preconditions) size += bytes.length;
  checkCount(size, LIMITS.commit, 'bytes');
  changes.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  return { changes, preconditions, size };
}
