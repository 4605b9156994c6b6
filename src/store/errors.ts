/** What a store refuses and what befalls it, under codes that do not change. */
import type { Revision } from './store.js';

/**
 * | code | meaning, and what to do |
 * | --- | --- |
 * | `INVALID` | the call is wrong whatever the state: a key, a limit, the same key twice |
 * | `TOO_LARGE` | a key, a value or a commit is over {@link LIMITS} |
 * | `CONFLICT` | a precondition does not hold, nothing was written: read again and repeat |
 * | `COMPACTED` | the history no longer reaches back to that revision: list anew, then watch from there |
 * | `AHEAD` | a revision that this store has not reached (it was restored from a backup): list anew |
 * | `UNAVAILABLE` | nobody answers now: repeat later, minding `maybeCommitted` |
 * | `DEPOSED` | this process leads no longer, nothing was written |
 * | `DENIED` | the database does not know us, or may not let us |
 * | `FULL` | no room left, nothing was written |
 * | `CLOSED` | the store was closed by its owner |
 * | `IN_USE` | another process, or another store of this process, has the file open |
 * | `FOREIGN` | the file is somebody else's: no SQLite, another program's, another controller's |
 * | `NEWER` | the file was written by a newer version of Cabernet |
 * | `CORRUPT` | the file is damaged: restore a backup |
 * | `BROKEN` | the disk failed under a write: close, open anew, read what is there |
 */
export type StoreErrorCode =
  | 'INVALID'
  | 'TOO_LARGE'
  | 'CONFLICT'
  | 'COMPACTED'
  | 'AHEAD'
  | 'UNAVAILABLE'
  | 'DEPOSED'
  | 'DENIED'
  | 'FULL'
  | 'CLOSED'
  | 'IN_USE'
  | 'FOREIGN'
  | 'NEWER'
  | 'CORRUPT'
  | 'BROKEN';

/** A precondition that did not hold. Revision 0 stands for an absent key. */
export interface Conflict {
  readonly key: string;
  readonly expected: Revision;
  readonly actual: Revision;
}

export interface StoreErrorFacts {
  readonly cause?: unknown;
  /** Of `CONFLICT`: at least one. */
  readonly conflicts?: readonly Conflict[];
  /** Of a commit: it may have been written all the same. False unless said. */
  readonly maybeCommitted?: boolean;
}

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  readonly conflicts: readonly Conflict[];
  /** The answer to a commit got lost: only reading tells whether it was written. */
  readonly maybeCommitted: boolean;

  constructor(code: StoreErrorCode, message: string, facts: StoreErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.conflicts = facts.conflicts ?? [];
    this.maybeCommitted = facts.maybeCommitted ?? false;
  }
}

export function conflict(conflicts: readonly Conflict[]): StoreError {
  const [first] = conflicts;
  const said = first
    ? `${JSON.stringify(first.key)} is at revision ${first.actual}, not ${first.expected}`
    : 'a precondition does not hold';
  return new StoreError(
    'CONFLICT',
    conflicts.length > 1 ? `${said}, and ${conflicts.length - 1} more` : said,
    {
      conflicts,
    },
  );
}
