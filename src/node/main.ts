/**
 * `cabernet node`: the agent as a process. It says in one sentence why it cannot go on, and when it is told to end
 * it lets go of everything but the data plane, which forwards on.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { release } from 'node:os';
import { resolve } from 'node:path';

import { createLogger, type Logger, type LogLevel } from '../api/log.js';
import { formatCaller, type Observe, startServer } from '../api/server.js';
import { type Capacities } from '../dataplane/index.js';
import { type Credentials } from '../identity/credentials.js';
import { type MetricsServer } from '../metrics/server.js';
import { Agent } from './agent.js';
import { addAgentMetrics } from './metrics.js';
import { translate } from './refusal.js';
import { rightsAt } from './rights.js';
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
  /** MTUs above some 3500, where the drivers take frames in several buffers. */
  readonly jumbo?: boolean;
  readonly capacities?: Partial<Capacities>;
  readonly logLevel?: LogLevel;
  /** Where Prometheus asks: `127.0.0.1:9464`. */
  readonly metrics?: string;
  /** TCP beside the socket. */
  readonly remote?: RemoteOptions;
}

export interface RemoteOptions {
  /** `ADDRESS:PORT` to serve `cabernet.node.v1` on, with mutual TLS. */
  readonly listen: string;
  /** Directory of the agent's own certificate, `agent/PROVIDER/NAME`. */
  readonly credentials: string;
  /** The infrastructure provider that owns the machine, and may call everything. */
  readonly provider: string;
}

/** Why the agent cannot run here; the message is for the operator. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

const BPF_FILE_SYSTEM = '/sys/fs/bpf';

/** Managed neighbours, and programs of this size: what Debian 12 has. */
const OLDEST_KERNEL = [6, 1] as const;

function isMounted(directory: string, type: string): boolean {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return mounts.some((line) => line.includes(` ${directory} ${type} `));
}

function isOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor < OLDEST_KERNEL[1]);
}

function prepareMachine(options: NodeOptions): void {
  if (process.getuid?.() !== 0) throw new StartError('the agent loads BPF programs: start it as root');
  if (isOld(release())) {
    throw new StartError(`Linux ${release()} is older than ${OLDEST_KERNEL.join('.')}: upgrade the kernel`);
  }
  if (!existsSync('/proc/sys/kernel/bpf_stats_enabled')) throw new StartError('this kernel has no BPF');
  if (!resolve(options.pinDir).startsWith(`${BPF_FILE_SYSTEM}/`)) {
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

/**
 * One agent per data plane. A name that the kernel holds for this process in its network namespace (an abstract
 * socket, unix(7)): it goes with the process, however that ends.
 */
async function lock(pinDir: string): Promise<Server> {
  const server = createServer();
  const path = `\0cabernet:${createHash('sha256').update(pinDir).digest('hex')}`;
  await new Promise<void>((done, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(taken ? new StartError(`another agent runs the data plane in ${pinDir}: stop it first`) : error);
    });
    server.listen(path, done);
  });
  return server.unref();
}

function waitForSignal(): Promise<NodeJS.Signals> {
  return new Promise((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => done(signal));
  });
}

/** The library for it is loaded only where it is wanted. */
async function metricsOf(
  name: string,
  agent: Agent,
): Promise<{ observe: Observe; serve: (address: string) => Promise<MetricsServer> }> {
  const { Metrics } = await import('../metrics/metrics.js');
  const { serveMetrics } = await import('../metrics/server.js');
  const metrics = new Metrics({ role: 'node', name });
  addAgentMetrics(metrics, agent);
  return { observe: metrics.observe, serve: (address) => serveMetrics(address, metrics) };
}

/** The agent's certificate, read again when it changes. */
async function openCredentials(
  options: NodeOptions,
  remote: RemoteOptions,
  log: Logger,
): Promise<Credentials> {
  const { Credentials } = await import('../identity/credentials.js');
  const identity = log.child('identity');
  const credentials = await Credentials.open(remote.credentials, {
    onProblem: (problem) => identity.warn('what is there is not used', { problem }),
  });
  const { principal } = credentials;
  const { name } = options;
  if (principal.role !== 'agent' || principal.name !== remote.provider || principal.machine !== name) {
    credentials.close();
    throw new StartError(
      `the certificate in ${remote.credentials} is ${formatCaller(principal)}: it has to be agent/${remote.provider}/${name}`,
    );
  }
  const note = (): void => {
    identity.info('certificate', { caller: formatCaller(principal), until: new Date(credentials.expires) });
  };
  note();
  credentials.onChange(note);
  return credentials;
}

/** Runs until SIGTERM or SIGINT. Throws StartError, ApiError, IdentityError or DataPlaneError when it cannot begin. */
export async function runNode(options: NodeOptions): Promise<void> {
  prepareMachine(options);
  const log = createLogger({ component: 'node', level: options.logLevel });
  const { remote } = options;
  const credentials = remote && (await openCredentials(options, remote, log));
  const held = await lock(options.pinDir);
  const ended = waitForSignal();
  const agent = await Agent.start({ ...options, log });
  let told: MetricsServer | undefined;
  try {
    const metrics = options.metrics === undefined ? undefined : await metricsOf(options.name, agent);
    if (metrics) told = await metrics.serve(options.metrics ?? '');
    const server = await startServer({
      socketPath: options.socket,
      ...(remote && credentials
        ? { tls: { address: remote.listen, credentials }, authorize: rightsAt(remote.provider) }
        : {}),
      services: [nodeService(agent)],
      log,
      translate,
      observe: metrics?.observe,
    });
    log.info('forwarding', { machine: options.name, adopted: agent.plane.adopted });
    const signal = await ended;
    log.info('ending', { signal });
    await server.stop();
  } finally {
    // also where the socket cannot be had: what is open keeps the process
    await told?.close();
    await agent.close();
    held.close();
    credentials?.close();
  }
}
