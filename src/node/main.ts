/**
 * `cabernet node`: the agent as a process. It says in one sentence why it cannot go on, and when it is told to end
 * it lets go of everything but the data plane, which forwards on.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';

import { createLogger, type LogLevel } from '../api/log.js';
import { startServer } from '../api/server.js';
import { type Capacities } from '../dataplane/index.js';
import { Agent } from './agent.js';
import { translate } from './refusal.js';
import { nodeService } from './rpc/index.js';

export interface NodeOptions {
  /** Of the machine. */
  readonly name: string;
  /** Path of the unix socket to serve `cabernet.node.v1` on. */
  readonly socket: string;
  /** Directory in the BPF file system where the data plane is pinned. */
  readonly pinDir: string;
  /** Virtual node N of VN V lives in the network namespace `${netnsPrefix}V.N`. */
  readonly netnsPrefix: string;
  /** Underlay interfaces. */
  readonly interfaces: readonly string[];
  /** Globs of interfaces offered to stations. */
  readonly ports: readonly string[];
  readonly capacities?: Partial<Capacities>;
  readonly logLevel?: LogLevel;
}

/** Why the agent cannot run here; the message is for the operator. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

const BPF_FILE_SYSTEM = '/sys/fs/bpf';

function isMounted(directory: string, type: string): boolean {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .some(
      (line) => line.startsWith(`${type} ${directory} ${type} `) || line.includes(` ${directory} ${type} `),
    );
}

function prepareMachine(options: NodeOptions): void {
  if (process.getuid?.() !== 0) throw new StartError('the agent loads BPF programs: start it as root');
  if (!existsSync('/proc/sys/kernel/bpf_stats_enabled')) throw new StartError('this kernel has no BPF');
  if (!options.pinDir.startsWith(`${BPF_FILE_SYSTEM}/`)) {
    throw new StartError(`--pin-dir ${options.pinDir} is not below ${BPF_FILE_SYSTEM}`);
  }
  if (!isMounted(BPF_FILE_SYSTEM, 'bpf')) {
    try {
      mkdirSync(BPF_FILE_SYSTEM, { recursive: true });
      execFileSync('mount', ['-t', 'bpf', 'bpf', BPF_FILE_SYSTEM], { stdio: 'pipe' });
    } catch (error) {
      throw new StartError(`the BPF file system cannot be mounted at ${BPF_FILE_SYSTEM}: ${String(error)}`);
    }
  }
  try {
    // kernels before 5.11 charge BPF maps against it; where it cannot be raised, loading says so
    execFileSync('prlimit', ['--pid', String(process.pid), '--memlock=unlimited:unlimited'], {
      stdio: 'pipe',
    });
  } catch {
    return;
  }
}

function waitForSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}

/** Runs until SIGTERM or SIGINT. Throws StartError, ApiError or DataPlaneError when it cannot begin. */
export async function runNode(options: NodeOptions): Promise<void> {
  prepareMachine(options);
  const log = createLogger({ component: 'node', level: options.logLevel });
  const ended = waitForSignal();
  const agent = await Agent.start({ ...options, log });
  const server = await startServer({
    socketPath: options.socket,
    services: [nodeService(agent)],
    log,
    translate,
  });
  log.info('forwarding', { machine: options.name, adopted: agent.plane.adopted });
  const signal = await ended;
  log.info('ending', { signal });
  await server.stop();
  await agent.close();
}
