/** The file of a SQLite store: whose it is, that it is whole, that nobody else has it; its schema. */
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import Sqlite, { type Database } from 'better-sqlite3';

import { StoreError, type StoreErrorCode } from './errors.js';

/** In the file's header, for file(1) and for us: "CABE". */
export const APPLICATION_ID = 0x43414245;

/** The n-th brings a file from version n to n + 1; they are never changed, only added to. */
export const MIGRATIONS: readonly string[] = [
  `-- one row
   CREATE TABLE state (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     owner TEXT NOT NULL,
     revision INTEGER NOT NULL,
     compacted INTEGER NOT NULL   -- history is complete after this revision
   ) STRICT;
   CREATE TABLE entry (
     key BLOB PRIMARY KEY NOT NULL,
     value BLOB NOT NULL,
     created INTEGER NOT NULL,
     modified INTEGER NOT NULL
   ) STRICT;
   -- what a key was before that revision changed it; without created: absent
   CREATE TABLE history (
     revision INTEGER NOT NULL,
     key BLOB NOT NULL,
     value BLOB,
     created INTEGER,
     modified INTEGER,
     PRIMARY KEY (revision, key)
   ) STRICT;
   CREATE INDEX history_of_key ON history (key, revision);`,
];

/** An error of SQLite as ours. */
export function fromSqlite(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  const code = error instanceof Sqlite.SqliteError ? error.code : '';
  const said = error instanceof Error ? error.message : String(error);
  const known: readonly [RegExp, StoreErrorCode, string][] = [
    [/^SQLITE_(BUSY|LOCKED)/, 'IN_USE', 'another process has the file open'],
    [/^SQLITE_NOTADB/, 'FOREIGN', 'the file is no SQLite database'],
    [/^SQLITE_CORRUPT/, 'CORRUPT', 'the file is damaged: restore a backup'],
    [/^SQLITE_FULL/, 'FULL', 'there is no room left'],
  ];
  for (const [pattern, kind, meaning] of known) {
    if (pattern.test(code)) return new StoreError(kind, `${doing}: ${meaning} (${said})`, { cause: error });
  }
  return new StoreError('BROKEN', `${doing}: ${said} (${code || 'no code of SQLite'})`, { cause: error });
}

/** Makes the name of a new file as durable as the file. */
export function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** A new, empty file for its owner alone; false: there is something. SQLite gives its other files the same mode. */
export function createPrivate(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw new StoreError('INVALID', `${path} can't be created: ${String(error)}`, { cause: error });
  }
}

function makePrivate(path: string): void {
  for (const name of [path, `${path}-wal`]) {
    if (existsSync(name)) chmodSync(name, 0o600);
  }
}

function pragma(db: Database, text: string): number {
  const value: unknown = db.pragma(text, { simple: true });
  return Number(value);
}

function foreign(path: string, why: string): StoreError {
  return new StoreError('FOREIGN', `${path}: ${why}; it was left as it is`);
}

/** To the newest version, in one transaction. */
export function migrate(db: Database, migrations: readonly string[] = MIGRATIONS): void {
  const version = pragma(db, 'user_version');
  if (version === migrations.length) return;
  db.transaction(() => {
    for (const sql of migrations.slice(version)) db.exec(sql);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${migrations.length}`);
  }).exclusive();
}

/** Looks only; true: there is nothing in the file yet. */
function checkIdentity(db: Database, path: string, owner: string): boolean {
  const application = pragma(db, 'application_id');
  const version = pragma(db, 'user_version');
  const tables = Number(db.prepare<[], number>('SELECT count(*) FROM sqlite_schema').pluck().get());
  if (application === 0 && version === 0 && tables === 0) return true;
  if (application !== APPLICATION_ID) throw foreign(path, 'a SQLite database, but not of Cabernet');
  if (version > MIGRATIONS.length) {
    throw new StoreError(
      'NEWER',
      `${path} has schema ${version}, and this version of Cabernet knows up to ${MIGRATIONS.length}`,
    );
  }
  const faults = db.prepare<[], string>('PRAGMA integrity_check(3)').pluck().all();
  if (faults.length !== 1 || faults[0] !== 'ok') {
    throw new StoreError('CORRUPT', `${path} is damaged: ${faults.join('; ')}`);
  }
  const found = db.prepare<[], string>('SELECT owner FROM state').pluck().get();
  if (found !== owner) throw foreign(path, `the store of ${JSON.stringify(found)}, not of ${owner}`);
  return false;
}

function attempt(path: string, owner: string): Database {
  const db = new Sqlite(path, { timeout: 0, fileMustExist: true });
  try {
    // The lock is taken by the first transaction and kept until close; it ends with the process, however that ends.
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('BEGIN EXCLUSIVE; COMMIT');
    db.pragma('trusted_schema = OFF');
    db.pragma('cell_size_check = ON');
    const isNew = checkIdentity(db, path, owner);
    makePrivate(path);
    db.pragma('journal_mode = WAL');
    // an fsync of the log before a commit is answered
    db.pragma('synchronous = FULL');
    db.pragma('journal_size_limit = 67108864');
    if (isNew) {
      db.transaction(() => {
        migrate(db);
        db.prepare('INSERT INTO state VALUES (1, ?, 1, 0)').run(owner);
      }).exclusive();
    } else migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** More commits than a store makes between a copy and its end; two million such leaps stay safe integers. */
const LEAP = 2 ** 32;

/** Makes a copy a store of its own: no revision of it will ever be one of the original's, and no history joins them. */
export function detach(path: string): void {
  const db = new Sqlite(path, { timeout: 0, fileMustExist: true });
  try {
    db.pragma('locking_mode = EXCLUSIVE');
    db.transaction(() => {
      db.prepare('DELETE FROM history').run();
      db.prepare('UPDATE state SET revision = revision + ?').run(LEAP);
      db.prepare('UPDATE state SET compacted = revision').run();
    }).exclusive();
  } finally {
    db.close();
  }
}

/** How often the lock is tried: an old process may be just ending, or two start at once. */
const ATTEMPTS = 10;

/**
 * Opens the file or makes it, exclusively. Never opened by any other way in this process while it is open here: closing
 * a second descriptor would drop the locks (POSIX).
 */
export async function openFile(path: string, owner: string): Promise<Database> {
  if (createPrivate(path)) syncFolder(path);
  else if (!statSync(path).isFile()) throw new StoreError('INVALID', `${path} is no file`);
  for (let tries = 1; ; tries++) {
    try {
      return attempt(path, owner);
    } catch (error) {
      const fault = fromSqlite(error, `opening ${path}`);
      if (fault.code !== 'IN_USE' || tries === ATTEMPTS) throw fault;
      await pause(20 + Math.random() * 60);
    }
  }
}
