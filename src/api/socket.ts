/**
 * A unix socket that only its owner can reach, from its first moment. It is bound in a private folder, gets its mode there,
 * and appears under its name by link(2), which never replaces anything: a living socket is not taken over. One that nobody
 * listens on any more is moved aside, looked at again and deleted, by one process at a time.
 */
import { createHash } from 'node:crypto';
import { chmod, link, lstat, mkdir, mkdtemp, rename, rm, unlink } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join, resolve } from 'node:path';

import { type ApiError, failedPrecondition, invalidArgument } from './errors.js';

/** sun_path, unix(7), without its final zero. */
const LONGEST_PATH = 107;
const PRIVATE_FOLDER = '.XXXXXX/s'.length;
const PATIENCE_MS = 2000;

export interface PublishedSocket {
  readonly path: string;
  /** Takes the name away, if it still is this socket's. Safe to repeat. */
  remove(): Promise<void>;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Whether somebody accepts connections there. */
async function answers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path);
    const end = (answer: boolean): void => {
      socket.destroy();
      done(answer);
    };
    socket.once('connect', () => end(true));
    // Refused: bound once, by a process that is gone. Anything else (no permission, a full queue): somebody's.
    socket.once('error', (error) => end(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error))));
  });
}

function inUse(path: string): ApiError {
  return failedPrecondition({
    reason: 'SOCKET_IN_USE',
    field: 'socket',
    message: `Another process answers at ${path}; stop it first, or give this one another socket.`,
  });
}

/** One try to give the socket at `bound` its name; false if what stood in the way is gone and it may be tried again. */
async function publish(bound: string, path: string, folder: string): Promise<boolean> {
  try {
    await link(bound, path);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  const seen = await lstat(path).catch(() => undefined);
  if (!seen) return false;
  if (!seen.isSocket()) {
    throw failedPrecondition({
      reason: 'SOCKET_PATH_TAKEN',
      field: 'socket',
      message: `${path} is there and is no socket; remove it, or give another path.`,
    });
  }
  if (await answers(path)) throw inUse(path);
  const aside = join(folder, 'stale');
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
  if ((await lstat(aside)).ino !== seen.ino) {
    // Somebody published a living socket since: it goes back.
    await link(aside, path).catch(() => undefined);
    throw inUse(path);
  }
  await unlink(aside);
  return false;
}

/** Holds an abstract socket, which the kernel takes back when its holder dies; undefined while another holds it. */
async function hold(name: string): Promise<(() => void) | undefined> {
  const waiting = new Set<Socket>();
  const holder = createServer((socket) => {
    socket.on('error', () => undefined);
    waiting.add(socket);
  });
  const held = await new Promise<boolean>((done) => {
    holder.once('error', () => done(false));
    holder.listen(name, () => done(true));
  });
  if (!held) return undefined;
  return () => {
    holder.close();
    for (const socket of waiting) socket.destroy();
  };
}

/** Resolves when whoever holds the name lets go of it, or after `ms`. */
async function released(name: string, ms: number): Promise<void> {
  await new Promise<void>((done) => {
    const socket = connect(name);
    socket.setTimeout(ms, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', () => done());
    socket.resume();
  });
}

/**
 * Runs `work` while no other process of this network namespace publishes the same path. Anybody may hold an abstract name, so
 * patience ends: without its turn the work is still right but for two processes that replace a dead socket in the same instant.
 */
async function inTurn<T>(path: string, work: () => Promise<T>): Promise<T> {
  const name = `\0cabernet-${createHash('sha256').update(path).digest('hex').slice(0, 40)}`;
  const end = performance.now() + PATIENCE_MS;
  let release = await hold(name);
  while (!release && performance.now() < end) {
    await released(name, end - performance.now());
    release = await hold(name);
  }
  try {
    return await work();
  } finally {
    release?.();
  }
}

/**
 * Makes a folder and those above it that are missing. One try each: mkdir's own `recursive` asks for ever where a folder is
 * there in which nothing can be made, such as `/proc/self/none`.
 */
async function makeFolders(path: string): Promise<void> {
  if ((await makeFolder(path)) || dirname(path) === path) return;
  await makeFolders(dirname(path));
  if (await makeFolder(path)) return;
  throw failedPrecondition({
    reason: 'SOCKET_FOLDER',
    field: 'socket',
    message: `The folder ${path} is not there and cannot be made; give a path in another one.`,
  });
}

/** False if the folder it would be in is missing. */
async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o755 });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  return true;
}

/**
 * Makes the socket at `path`, mode 0600; its folder too if that is missing. `bind` must listen at the path it is given, and
 * goes on listening there when this resolves.
 * @throws ApiError SOCKET_IN_USE, SOCKET_PATH_TAKEN, SOCKET_PATH_TOO_LONG, SOCKET_FOLDER, and what the file system or `bind`
 * throws
 */
export async function publishSocket(
  socketPath: string,
  bind: (path: string) => Promise<void>,
): Promise<PublishedSocket> {
  const path = resolve(socketPath);
  const parent = dirname(path);
  if (Math.max(Buffer.byteLength(path), Buffer.byteLength(parent) + 1 + PRIVATE_FOLDER) > LONGEST_PATH) {
    throw invalidArgument({
      reason: 'SOCKET_PATH_TOO_LONG',
      field: 'socket',
      message: `${path} is too long for a socket; ${LONGEST_PATH} bytes is the most, ${PRIVATE_FOLDER + 1} of them below its folder.`,
    });
  }
  await makeFolders(parent);
  // in `parent` itself, for link(2) goes no further than its file system; mode 0700
  const folder = await mkdtemp(`${parent}/.`);
  try {
    const bound = join(folder, 's');
    await bind(bound);
    await chmod(bound, 0o600);
    const { ino } = await lstat(bound);
    await inTurn(path, async () => {
      // A second round follows a dead socket; more mean that other processes come and go.
      for (let round = 0; !(await publish(bound, path, folder)); round++) {
        if (round === 10) throw inUse(path);
      }
    });
    return {
      path,
      remove: async () => {
        const there = await lstat(path).catch(() => undefined);
        if (there?.ino === ino) await unlink(path).catch(() => undefined);
      },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
