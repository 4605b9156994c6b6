/**
 * The store in one SQLite file. Commits that are asked for in the same turn of the event loop share one transaction and
 * one fsync, in the order of asking. SQLite works on the main thread: the loop stands still for that fsync.
 *
 * The present state is one table; another holds what each commit replaced. From the two follow the past (pages at a
 * revision) and the events (watches), so that nothing is kept in memory for a watcher.
 */
import { existsSync, linkSync, rmSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Database } from 'better-sqlite3';

import {
  checkCommit,
  type CheckedCommit,
  checkKey,
  checkList,
  checkPrefix,
  checkRevision,
  type Range,
} from './check.js';
import { conflict, StoreError } from './errors.js';
import { leavable } from './iteration.js';
import { createPrivate, detach, fromSqlite, openFile, syncFolder } from './sqlite-file.js';
import {
  type Batch,
  type Commit,
  type Entry,
  LIMITS,
  type ListOptions,
  type Page,
  type Revision,
  type Store,
  type StoreEvent,
  type WatchOptions,
} from './store.js';

export interface SqliteOptions {
  /** The file; beside it lies `-wal` while it is open. Its folder is there and on a local file system. */
  readonly path: string;
  /** Whose state it is, e.g. `connectivity/acme`: a file of somebody else's is refused. */
  readonly owner: string;
  /** How far back watches and pages reach: whichever is reached first. */
  readonly history?: { readonly changes?: number; readonly bytes?: number } | undefined;
}

const HISTORY_CHANGES = 100_000;
const HISTORY_BYTES = 64 * 1024 * 1024;

/** Of one transaction, so that the loop goes on in between. */
const GROUP_COMMITS = 256;
const GROUP_BYTES = 8 * 1024 * 1024;

/** A watcher that catches up gives way after so many batches. */
const BATCHES_A_TURN = 64;

interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly created: number;
  readonly modified: number;
}

interface PastRow {
  readonly key: Buffer;
  readonly value: Buffer | null;
  readonly created: number | null;
  readonly modified: number | null;
}

interface Waiting {
  readonly commit: CheckedCommit;
  readonly resolve: (revision: Revision) => void;
  readonly reject: (error: unknown) => void;
}

function entryOf({ key, value, created, modified }: Row): Entry {
  return {
    key: key.toString('utf8'),
    value: new Uint8Array(value.buffer, value.byteOffset, value.length),
    created,
    modified,
  };
}

function isPresent(row: PastRow | undefined): row is Row {
  return row !== undefined && row.created !== null;
}

function statements(db: Database) {
  return {
    get: db.prepare<[Buffer], Row>('SELECT * FROM entry WHERE key = ?'),
    list: db.prepare<[Buffer, Buffer], Row>('SELECT * FROM entry WHERE key >= ? AND key < ? ORDER BY key'),
    // A key is as the first change after that revision found it; where there is none, as it is now.
    listAt: db.prepare<{ start: Buffer; end: Buffer; at: number }, Row>(
      `SELECT key, value, created, modified FROM entry WHERE key >= @start AND key < @end AND modified <= @at
       UNION ALL
       SELECT key, value, created, modified FROM history AS h
       WHERE key >= @start AND key < @end AND revision > @at AND created IS NOT NULL
         AND revision = (SELECT min(revision) FROM history WHERE key = h.key AND revision > @at)
       ORDER BY key`,
    ),
    put: db.prepare<[Buffer, Buffer, number, number]>('INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)'),
    delete: db.prepare<[Buffer]>('DELETE FROM entry WHERE key = ?'),
    remember: db.prepare<[number, Buffer, Buffer | null, number | null, number | null]>(
      'INSERT INTO history VALUES (?, ?, ?, ?, ?)',
    ),
    state: db.prepare<[], { revision: number; compacted: number }>('SELECT revision, compacted FROM state'),
    setState: db.prepare<[number, number]>('UPDATE state SET revision = ?, compacted = ?'),
    historySize: db.prepare<[], { changes: number; bytes: number }>(
      'SELECT count(*) AS changes, coalesce(sum(length(key) + coalesce(length(value), 0)), 0) AS bytes FROM history',
    ),
    oldest: db.prepare<[], { revision: number; changes: number; bytes: number }>(
      `SELECT revision, count(*) AS changes, sum(length(key) + coalesce(length(value), 0)) AS bytes
       FROM history WHERE revision = (SELECT min(revision) FROM history) GROUP BY revision`,
    ),
    forget: db.prepare<[number]>('DELETE FROM history WHERE revision = ?'),
    nextRevision: db
      .prepare<[number, Buffer, Buffer], number>(
        // by the index of revisions: `+` keeps the planner from collecting every key's and sorting them
        'SELECT revision FROM history WHERE revision > ? AND +key >= ? AND +key < ? ORDER BY revision LIMIT 1',
      )
      .pluck(),
    changesOf: db.prepare<[number, Buffer, Buffer], PastRow>(
      'SELECT key, value, created, modified FROM history WHERE revision = ? AND key >= ? AND key < ? ORDER BY key',
    ),
    changeAfter: db.prepare<[Buffer, number], PastRow>(
      'SELECT key, value, created, modified FROM history WHERE key = ? AND revision > ? ORDER BY revision LIMIT 1',
    ),
  };
}

export class SqliteStore implements Store {
  readonly #db: Database;
  readonly #sql: ReturnType<typeof statements>;
  readonly #limit: { readonly changes: number; readonly bytes: number };
  #revision: Revision;
  #compacted: Revision;
  /** Of the history. */
  #changes: number;
  #bytes: number;
  #queue: Waiting[] = [];
  /** Told of every new revision, and of the end. */
  readonly #watchers = new Set<() => void>();
  readonly #backups = new Set<Promise<unknown>>();
  /** Why nothing works any more. */
  #ended: StoreError | undefined;

  private constructor(db: Database, options: SqliteOptions) {
    this.#db = db;
    this.#sql = statements(db);
    this.#limit = {
      changes: options.history?.changes ?? HISTORY_CHANGES,
      bytes: options.history?.bytes ?? HISTORY_BYTES,
    };
    const state = this.#sql.state.get();
    const size = this.#sql.historySize.get();
    if (!state || !size) throw new StoreError('CORRUPT', `${options.path} says nothing of its state`);
    this.#revision = state.revision;
    this.#compacted = state.compacted;
    this.#changes = size.changes;
    this.#bytes = size.bytes;
  }

  /** Opens the file, or makes it; `IN_USE`, `FOREIGN`, `NEWER` and `CORRUPT` leave it as it is. */
  static async open(options: SqliteOptions): Promise<SqliteStore> {
    const db = await openFile(options.path, options.owner);
    try {
      return new SqliteStore(db, options);
    } catch (error) {
      db.close();
      throw fromSqlite(error, `opening ${options.path}`);
    }
  }

  async get(key: string): Promise<Entry | undefined> {
    const bytes = checkKey(key);
    const row = this.#read(() => this.#sql.get.get(bytes));
    return row && entryOf(row);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<Page> {
    const { start, end, limit, revision = this.#revision } = checkList(prefix, options);
    return this.#read(() => {
      this.#checkReach(revision);
      const rows =
        revision === this.#revision
          ? this.#sql.list.iterate(start, end)
          : this.#sql.listAt.iterate({ start, end, at: revision });
      const entries: Entry[] = [];
      let size = 0;
      for (const row of rows) {
        if (entries.length === limit || size >= LIMITS.pageBytes) {
          return { entries, revision, next: entries.at(-1)?.key };
        }
        entries.push(entryOf(row));
        size += row.value.length;
      }
      return { entries, revision, next: undefined };
    });
  }

  async commit(commit: Commit): Promise<Revision> {
    const checked = checkCommit(commit);
    if (this.#ended) throw this.#ended;
    return new Promise((resolve, reject) => {
      if (this.#queue.push({ commit: checked, resolve, reject }) === 1) setImmediate(() => this.#flush());
    });
  }

  watch(prefix: string, after: Revision, options: WatchOptions = {}): AsyncIterableIterator<Batch> {
    const range = checkPrefix(prefix);
    checkRevision(after, 0);
    return leavable((signal) => this.#follow(range, after, signal), options.signal);
  }

  /**
   * A copy of the whole store as of one moment, made while it is used. It never replaces a file; until it is whole it is
   * called `<path>.partial`. A store that is restored from it goes on at revisions which this one never reaches, and
   * answers what was learned after the copy with `COMPACTED`.
   */
  async backup(path: string): Promise<void> {
    if (this.#ended) throw this.#ended;
    const partial = `${path}.partial`;
    if (existsSync(path)) throw new StoreError('INVALID', `${path} is there already`);
    if (!createPrivate(partial)) throw new StoreError('INVALID', `${partial} is there already`);
    const copying = this.#db.backup(partial);
    this.#backups.add(copying);
    try {
      await copying;
      detach(partial);
      linkSync(partial, path);
      syncFolder(path);
    } catch (error) {
      throw fromSqlite(error, `copying to ${path}`);
    } finally {
      rmSync(partial, { force: true });
      this.#backups.delete(copying);
    }
  }

  async close(): Promise<void> {
    if (!this.#db.open) return;
    while (this.#queue.length > 0 && !this.#ended) this.#flush();
    this.#end(new StoreError('CLOSED', 'the store is closed'));
    await Promise.allSettled(this.#backups);
    this.#db.close();
  }

  #read<T>(look: () => T): T {
    if (this.#ended) throw this.#ended;
    try {
      return look();
    } catch (error) {
      throw fromSqlite(error, 'reading the store');
    }
  }

  #checkReach(revision: Revision): void {
    if (revision > this.#revision) {
      throw new StoreError('AHEAD', `the store is at revision ${this.#revision}, not yet at ${revision}`);
    }
    if (revision < this.#compacted) {
      throw new StoreError(
        'COMPACTED',
        `the history begins after revision ${this.#compacted}, not ${revision}`,
      );
    }
  }

  #end(why: StoreError): void {
    this.#ended ??= why;
    for (const { reject } of this.#queue.splice(0)) reject(this.#ended);
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#watchers]) wake();
  }

  #takeGroup(): Waiting[] {
    let size = 0;
    let count = 0;
    for (const { commit } of this.#queue) {
      if (count === GROUP_COMMITS || (count > 0 && size + commit.size > GROUP_BYTES)) break;
      size += commit.size;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  #flush(): void {
    const group = this.#takeGroup();
    if (this.#queue.length > 0) setImmediate(() => this.#flush());
    if (group.length === 0) return;
    const before = [this.#revision, this.#compacted, this.#changes, this.#bytes] as const;
    try {
      this.#db.exec('BEGIN');
      const answers = group.map(({ commit }) => this.#apply(commit));
      if (this.#revision !== before[0]) {
        this.#compact();
        this.#sql.setState.run(this.#revision, this.#compacted);
      }
      this.#db.exec('COMMIT');
      for (const [index, { resolve, reject }] of group.entries()) {
        const answer = answers[index];
        if (typeof answer === 'number') resolve(answer);
        else reject(answer);
      }
    } catch (error) {
      [this.#revision, this.#compacted, this.#changes, this.#bytes] = before;
      this.#abandon(group, fromSqlite(error, 'writing the store'));
      return;
    }
    if (this.#revision !== before[0]) this.#wake();
  }

  /** After a failed write. What the disk holds then only a new start tells, except when it was merely full. */
  #abandon(group: readonly Waiting[], fault: StoreError): void {
    let rolledBack = true;
    try {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
    } catch {
      rolledBack = false;
    }
    const clean = fault.code === 'FULL' && rolledBack;
    const said = clean
      ? fault
      : new StoreError('BROKEN', fault.message, { cause: fault, maybeCommitted: true });
    for (const { reject } of group) reject(said);
    if (!clean) this.#end(said);
  }

  /** In the group's transaction; whatever is refused is refused before anything is written. */
  #apply(commit: CheckedCommit): Revision | StoreError {
    const conflicts = commit.preconditions.flatMap(({ key, bytes, revision }) => {
      const actual = this.#sql.get.get(bytes)?.modified ?? 0;
      return actual === revision ? [] : [{ key, expected: revision, actual }];
    });
    if (conflicts.length > 0) return conflict(conflicts);
    const revision = this.#revision + 1;
    for (const { bytes, value } of commit.changes) {
      const old = this.#sql.get.get(bytes);
      if (!old && !value) continue;
      this.#revision = revision;
      this.#changes++;
      this.#bytes += bytes.length + (old?.value.length ?? 0);
      this.#sql.remember.run(
        revision,
        bytes,
        old?.value ?? null,
        old?.created ?? null,
        old?.modified ?? null,
      );
      if (value) this.#sql.put.run(bytes, value, old?.created ?? revision, revision);
      else this.#sql.delete.run(bytes);
    }
    return this.#revision;
  }

  /** Forgets the oldest revisions, never the newest. */
  #compact(): void {
    while (this.#changes > this.#limit.changes || this.#bytes > this.#limit.bytes) {
      const oldest = this.#sql.oldest.get();
      if (!oldest || oldest.revision === this.#revision) return;
      this.#sql.forget.run(oldest.revision);
      this.#compacted = oldest.revision;
      this.#changes -= oldest.changes;
      this.#bytes -= oldest.bytes;
    }
  }

  async *#follow(range: Range, after: Revision, signal: AbortSignal): AsyncGenerator<Batch, void, undefined> {
    let position = after;
    for (let count = 1; !signal.aborted; count++) {
      const batch = this.#read(() => {
        this.#checkReach(position);
        return this.#batchAfter(position, range);
      });
      if (batch) {
        position = batch.revision;
        yield batch;
        if (count % BATCHES_A_TURN === 0) await nextTurn();
      } else {
        position = this.#revision;
        await this.#news(position, signal);
      }
    }
  }

  #batchAfter(position: Revision, { start, end }: Range): Batch | undefined {
    const revision = this.#sql.nextRevision.get(position, start, end);
    if (revision === undefined) return undefined;
    const events = this.#sql.changesOf.all(revision, start, end).map((old): StoreEvent => {
      const later = this.#sql.changeAfter.get(old.key, revision);
      const now = later ?? this.#sql.get.get(old.key);
      const previous = isPresent(old) ? entryOf(old) : undefined;
      return isPresent(now)
        ? { kind: 'put', entry: entryOf(now), previous }
        : { kind: 'delete', key: old.key.toString('utf8'), previous };
    });
    return { revision, events };
  }

  /** Until there is a later revision, or an end. */
  async #news(position: Revision, signal: AbortSignal): Promise<void> {
    if (this.#revision !== position || this.#ended || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#watchers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#watchers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}
