/**
 * The machines' agents as processes: started by path in their machine's namespace, detached, with a log; known again
 * by process number and start time; ended by signal.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';

import type { cabernet } from '../../gen/cabernet.js';
import { type Client, connect } from '../api/client.js';
import { NodeService } from '../api/node.js';
import { PORT_PREFIX } from './check.js';
import { WorldError } from './errors.js';
import {
  logPath,
  machineNamespace,
  namespacePath,
  nodeNamespacePrefix,
  packageRoot,
  pinDirectory,
  socketPath,
  worldDirectory,
} from './place.js';
import { commandOf, endAll, isRunning, type ProcessId, processesWith, processOf } from './processes.js';
import { type MachineState } from './state.js';

export type NodeClient = Client<cabernet.node.v1.NodeService>;

/** How long an agent may take to answer after its start, milliseconds: a busy host starts thirty at once. */
const START_DEADLINE = 60_000;

function argumentsOf(world: string, machine: MachineState): readonly string[] {
  const { name } = machine;
  return [
    'node',
    ...['--name', name],
    ...['--socket', socketPath(world, name)],
    ...['--pin-dir', pinDirectory(world, name)],
    ...['--netns-prefix', nodeNamespacePrefix(world, name)],
    // in the machine's own namespace
    ...['--metrics', '127.0.0.1:9464'],
    ...machine.interfaces.flatMap((one) => ['--interface', one.name]),
    ...['--port', `${PORT_PREFIX}*`],
    ...(machine.jumbo ? ['--jumbo'] : []),
  ];
}

/** A client for one machine's agent; it connects when it is first used. */
export function clientOf(world: string, machine: string): NodeClient {
  return connect(NodeService, { socketPath: socketPath(world, machine) });
}

/** The agents of this machine, whoever started them: there is one at most. */
export function agentsOf(world: string, machine: string): readonly ProcessId[] {
  return processesWith(['--socket', socketPath(world, machine)]);
}

/**
 * The machine's agent: the running one if it was started with the same arguments, else a new one, which takes over
 * what the old one left. Its identity is known when this returns; whether it answers `waitForAgent` knows.
 */
export async function ensureAgent(world: string, machine: MachineState): Promise<ProcessId> {
  const wanted = argumentsOf(world, machine);
  const running = agentsOf(world, machine.name);
  const same = running.find((id) => {
    const command = commandOf(id.pid);
    return (
      wanted.every((word, i) => command.at(i - wanted.length) === word) &&
      existsSync(socketPath(world, machine.name))
    );
  });
  await endAll(running.filter((id) => id !== same));
  return same ?? startAgent(world, machine, wanted);
}

function startAgent(world: string, machine: MachineState, args: readonly string[]): ProcessId {
  rmSync(socketPath(world, machine.name), { force: true });
  const log = openSync(logPath(world, machine.name), 'a', 0o600);
  try {
    const command = [process.execPath, join(packageRoot(), 'bin', 'cabernet'), ...args];
    // not `ip netns exec`, which would hide the BPF file system
    const netns = `--net=${namespacePath(machineNamespace(world, machine.name))}`;
    const child = spawn('nsenter', [netns, '--', ...command], {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
    });
    child.on('error', () => undefined);
    child.unref();
    const id = child.pid === undefined ? undefined : processOf(child.pid);
    if (!id)
      throw new WorldError('AGENT', `the agent of ${machine.name} cannot be started: is nsenter installed?`);
    return id;
  } finally {
    closeSync(log);
  }
}

/** Rejects with the end of its log if it ends instead. */
export async function waitForAgent(world: string, machine: string, id: ProcessId): Promise<NodeClient> {
  const deadline = Date.now() + START_DEADLINE;
  const client = clientOf(world, machine);
  const gone = new AbortController();
  const watched = setInterval(() => {
    if (!isRunning(id)) gone.abort();
  }, 20);
  try {
    await appearance(
      world,
      `${machine}.sock`,
      AbortSignal.any([gone.signal, AbortSignal.timeout(START_DEADLINE)]),
    );
    await Promise.race([
      client.ready(Math.max(1, deadline - Date.now())),
      once(gone.signal, 'abort').then(() => Promise.reject(new Error('ended'))),
    ]);
    return client;
  } catch (cause) {
    client.close();
    const what = gone.signal.aborted ? 'ended at once' : `did not answer within ${START_DEADLINE / 1000} s`;
    throw new WorldError('AGENT', `the agent of ${machine} ${what}`, {
      detail: logTail(world, machine),
      cause,
    });
  } finally {
    clearInterval(watched);
  }
}

/** Resolves when there is such a file in the world's directory. */
async function appearance(world: string, name: string, signal: AbortSignal): Promise<void> {
  const directory = worldDirectory(world);
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

/** The last lines of an agent's log. */
export function logTail(world: string, machine: string, lines = 12): string {
  try {
    return readFileSync(logPath(world, machine), 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}
