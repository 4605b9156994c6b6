/**
 * Processes that outlive the command: started by path, detached, with a log, in a namespace of the world; known again
 * by process number and start time; found by the socket that they serve.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, rmSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { WorldError } from './errors.js';
import { namespacePath, packageRoot } from './place.js';
import { commandOf, endAll, isRunning, type ProcessId, processesWith, processOf } from './processes.js';

export interface Daemon {
  /** `the agent of P` */
  readonly what: string;
  /** Undefined: the caller's own. */
  readonly namespace: string | undefined;
  /** Another program than `cabernet`: its path. */
  readonly program?: string;
  /** With `--socket`. */
  readonly args: readonly string[];
  readonly socket: string;
  readonly log: string;
}

/** How long one may take to answer after its start, milliseconds: a busy host starts thirty at once. */
const START_DEADLINE = 60_000;

/** Those that serve this socket, whoever started them: there is one at most. */
export function servingAt(socket: string): readonly ProcessId[] {
  return processesWith(['--socket', socket]);
}

/**
 * The running one if it was started with the same arguments, else a new one, which takes over what the old one left.
 * Its identity is known when this returns; whether it answers `waitForDaemon` knows.
 */
export async function ensureDaemon(daemon: Daemon): Promise<ProcessId> {
  const running = servingAt(daemon.socket);
  const same = running.find((id) => {
    const command = commandOf(id.pid);
    const { args, socket } = daemon;
    return args.every((word, i) => command.at(i - args.length) === word) && existsSync(socket);
  });
  await endAll(running.filter((id) => id !== same));
  return same ?? start(daemon);
}

function start({ what, namespace, program: other, args, socket, log: path }: Daemon): ProcessId {
  rmSync(socket, { force: true });
  const log = openSync(path, 'a', 0o600);
  try {
    const own = [process.execPath, join(packageRoot(), 'bin', 'cabernet')];
    const command = [...(other === undefined ? own : [other]), ...args];
    // not `ip netns exec`, which would hide the BPF file system
    const enter = namespace === undefined ? [] : ['nsenter', `--net=${namespacePath(namespace)}`, '--'];
    const [program = '', ...words] = [...enter, ...command];
    const child = spawn(program, words, { detached: true, stdio: ['ignore', log, log], cwd: '/' });
    child.on('error', () => undefined);
    child.unref();
    const id = child.pid === undefined ? undefined : processOf(child.pid);
    if (!id) throw new WorldError('AGENT', `${what} cannot be started: is nsenter installed?`);
    return id;
  } finally {
    closeSync(log);
  }
}

/** Until `client` is answered. Rejects with the end of the log if the process ends instead. */
export async function waitForDaemon(
  { what, socket, log }: Daemon,
  id: ProcessId,
  client: { ready(deadlineMs: number): Promise<void> },
): Promise<void> {
  const deadline = Date.now() + START_DEADLINE;
  const gone = new AbortController();
  const watched = setInterval(() => {
    if (!isRunning(id)) gone.abort();
  }, 20);
  try {
    await appearance(socket, AbortSignal.any([gone.signal, AbortSignal.timeout(START_DEADLINE)]));
    await Promise.race([
      client.ready(Math.max(1, deadline - Date.now())),
      once(gone.signal, 'abort').then(() => Promise.reject(new Error('ended'))),
    ]);
  } catch (cause) {
    const fate = gone.signal.aborted ? 'ended at once' : `did not answer within ${START_DEADLINE / 1000} s`;
    throw new WorldError('AGENT', `${what} ${fate}`, { detail: tailOf(log), cause });
  } finally {
    clearInterval(watched);
  }
}

/** Resolves when the file is there. */
async function appearance(path: string, signal: AbortSignal): Promise<void> {
  const [directory, name] = [dirname(path), basename(path)];
  await new Promise<void>((resolve, reject) => {
    const watcher = watch(directory, { signal });
    const look = (): void => {
      if (existsSync(join(directory, name))) end();
    };
    const end = (error?: Error): void => {
      watcher.close();
      if (error) reject(error);
      else resolve();
    };
    watcher.on('change', look);
    watcher.on('error', end);
    signal.addEventListener('abort', () => end(new Error('no socket')), { once: true });
    look();
  });
}

/** The last lines of a log. */
export function tailOf(log: string, lines = 12): string {
  try {
    return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}
