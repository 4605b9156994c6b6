/**
 * Files that decide who is trusted: read only if nobody else can have written them, replaced in one step, changed by one
 * process at a time.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { IdentityError } from './errors.js';

/** Nothing here is larger: a list of 10 000 revoked certificates is 400 kB. */
const LONGEST_FILE = 16 * 1024 * 1024;

const OTHERS_WRITE = 0o022;
const OTHERS_AT_ALL = 0o077;

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function insecure(path: string, what: string): IdentityError {
  return new IdentityError('INSECURE', `${path} ${what}.`, { operation: 'read', field: path });
}

/** Ours or root's, with none of these bits. */
function checkOwned(path: string, stats: Stats, forbidden: number): void {
  const me = process.geteuid?.() ?? 0;
  if (stats.uid !== me && stats.uid !== 0) {
    throw insecure(
      path,
      `belongs to user ${stats.uid}, who could replace it; let it be user ${me}'s or root's`,
    );
  }
  if ((stats.mode & forbidden) === 0) return;
  const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
  const right = forbidden === OTHERS_AT_ALL ? 'only its owner may have it: chmod go-rwx' : 'chmod go-w';
  throw insecure(path, `has mode ${mode}; ${right}`);
}

/**
 * A folder that nobody else can put files in; with `secret`, nor look into. Not by a symbolic link: its owner would decide
 * what is in it.
 * @throws IdentityError NOT_FOUND, INSECURE
 */
export async function checkFolder(path: string, secret: boolean): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (!['ENOENT', 'ENOTDIR'].includes(codeOf(error))) throw error;
    throw new IdentityError('NOT_FOUND', `There is no folder ${path}.`, { operation: 'read', field: path });
  });
  if (!stats.isDirectory()) throw insecure(path, 'is no folder (a symbolic link to one will not do)');
  checkOwned(path, stats, secret ? OTHERS_AT_ALL : OTHERS_WRITE);
}

/**
 * The text of a regular file that nobody else can change; with `secret`, nor read. Undefined if there is none.
 * @throws IdentityError INSECURE, CORRUPT
 */
export async function readOwn(path: string, secret = false): Promise<string | undefined> {
  let file: FileHandle;
  try {
    // not blocking: it may be a pipe
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (codeOf(error) === 'ELOOP') throw insecure(path, 'is a symbolic link; put the file itself there');
    throw error;
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw insecure(path, 'is no regular file');
    checkOwned(path, stats, secret ? OTHERS_AT_ALL : OTHERS_WRITE);
    if (stats.size > LONGEST_FILE) {
      throw new IdentityError('CORRUPT', `${path} has ${stats.size} bytes, over ${LONGEST_FILE}.`, {
        field: path,
      });
    }
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** Makes or replaces a file in one step, durably; mode 0600 unless said. Whoever reads sees the old one or the new one. */
export async function replaceFile(path: string, text: string, mode = 0o600): Promise<void> {
  const aside = join(
    dirname(path),
    `.${basename(path)}.${process.pid}.${Math.random().toString(36).slice(2)}`,
  );
  const file = await open(aside, 'wx', mode);
  try {
    try {
      await file.chmod(mode); // whatever the umask
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await unlink(aside).catch(() => undefined);
    throw error;
  }
  await syncFolder(dirname(path));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A folder of ours, made if it is missing (not those above it). @throws IdentityError INSECURE, NOT_FOUND */
export async function ensureFolder(given: string, mode: number): Promise<string> {
  const path = resolve(given);
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new IdentityError('NOT_FOUND', `${dirname(path)} is not there; make it first.`, {
        field: path,
        cause: error,
      });
    }
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  await checkFolder(path, mode === 0o700);
  return path;
}

/** Seconds until somebody else has to have ended. */
const PATIENCE = 20;

/**
 * Runs `work` while nobody else does with the same file. flock(2): the kernel's own lock, of the open file, so it goes with
 * this process however that ends; flock(1) takes it on the descriptor it inherits, which stays ours.
 * @throws IdentityError BUSY
 */
export async function locked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    const taker = spawn('flock', ['--exclusive', '--timeout', String(PATIENCE), '3'], {
      stdio: ['ignore', 'ignore', 'ignore', file.fd],
    });
    const [status] = (await once(taker, 'close')) as [number | null];
    if (status !== 0) {
      throw new IdentityError(
        'BUSY',
        `${dirname(path)} is being changed by another process; try again when it has ended.`,
        {
          operation: 'lock',
          field: path,
        },
      );
    }
    return await work();
  } finally {
    await file.close();
  }
}
