/**
 * A controller as a process: its store, its lead, its API, its end. What it does is made by `make` when it leads.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

import { createLogger, type Logger, type LogLevel } from '../api/log.js';
import { type Call, formatCaller, type Implementation, startServer } from '../api/server.js';
import { Credentials } from '../identity/credentials.js';
import { Metrics } from '../metrics/metrics.js';
import { type MetricsServer, serveMetrics } from '../metrics/server.js';
import { SqliteStore } from '../store/sqlite.js';
import { type Store } from '../store/index.js';
import { type Caller } from './access.js';
import { type Dialer, dialerWith } from './dial.js';
import { forgetRequests } from './repeat.js';
import { type Rights, rightsOf } from './rights.js';
import { storeErrorAsApi } from './state.js';

export interface ControllerOptions {
  readonly role: 'infrastructure' | 'connectivity' | 'service';
  /** Of the provider: 1 to 20 characters of [a-z0-9-], beginning with a letter. */
  readonly name: string;
  /** Unix socket for the provider's own operator. */
  readonly socket: string;
  /** The SQLite file; its folder is made if it is missing. */
  readonly state: string;
  readonly logLevel?: LogLevel | undefined;
  /** Calls over TCP by these credentials; and, where it listens, the API over TCP beside the socket. */
  readonly remote?: { readonly listen?: string | undefined; readonly credentials: string } | undefined;
  /** Where Prometheus asks: `127.0.0.1:9464`. */
  readonly metrics?: string | undefined;
}

export interface Context {
  readonly role: ControllerOptions['role'];
  readonly name: string;
  readonly store: Store;
  readonly log: Logger;
  readonly dialer: Dialer;
  /** Who calls, from what the connection has proven. */
  readonly callerOf: (call: Call) => Caller;
  /** Aborts when the process is to end. */
  readonly ending: AbortSignal;
}

export interface Controller {
  readonly services: readonly Implementation[];
  /** What others than operators and the provider itself may call. */
  readonly rights: Rights;
  /** After the last call has ended. */
  close(): Promise<void>;
}

/** Why it cannot run; the message is for the operator. */
export class ControllerStartError extends Error {
  override readonly name = 'ControllerStartError';
}

/** Milliseconds. */
const FORGET_EVERY = 600_000;

const NAME = /^[a-z][a-z0-9-]{0,19}$/;

/** From what the connection has proven. */
export function callerOf({ principal }: Call): Caller {
  return principal.role === 'local'
    ? { role: 'local', name: '' }
    : { role: principal.role, name: principal.name };
}

/** The provider's certificate, read again when it changes. */
async function openCredentials(
  { role, name }: ControllerOptions,
  directory: string,
  log: Logger,
): Promise<Credentials> {
  const identity = log.child('identity');
  const credentials = await Credentials.open(directory, {
    onProblem: (problem) => identity.warn('what is there is not used', { problem }),
  });
  const { principal } = credentials;
  if (principal.role === role && principal.name === name) return credentials;
  credentials.close();
  throw new ControllerStartError(
    `the certificate in ${directory} is ${formatCaller(principal)}: it has to be ${role}/${name}`,
  );
}

/** Runs until SIGTERM or SIGINT. */
export async function runController(
  options: ControllerOptions,
  make: (context: Context) => Promise<Controller>,
): Promise<void> {
  const { role, name } = options;
  if (!NAME.test(name)) {
    throw new ControllerStartError(
      `--name must be 1 to 20 characters of [a-z0-9-], beginning with a letter, not ${JSON.stringify(name)}`,
    );
  }
  const log = createLogger({ component: role, level: options.logLevel });
  const ending = new AbortController();
  const signal = new Promise<string>((done) => {
    for (const one of ['SIGTERM', 'SIGINT'] as const) process.once(one, () => done(one));
  });
  await mkdir(dirname(options.state), { recursive: true, mode: 0o700 });
  const credentials = options.remote && (await openCredentials(options, options.remote.credentials, log));
  const store = await SqliteStore.open({ path: options.state, owner: `${role}/${name}` }).catch(
    (error: unknown) => {
      credentials?.close();
      throw error;
    },
  );
  const forgetting = setInterval(() => {
    forgetRequests(store).catch((error: unknown) => log.warn('old requests are not forgotten', { error }));
  }, FORGET_EVERY).unref();
  try {
    const controller = await make({
      role,
      name,
      store,
      log,
      dialer: dialerWith(credentials),
      callerOf,
      ending: ending.signal,
    });
    let told: MetricsServer | undefined;
    try {
      const metrics = options.metrics === undefined ? undefined : new Metrics({ role, name });
      if (metrics) told = await serveMetrics(options.metrics ?? '', metrics);
      const server = await startServer({
        socketPath: options.socket,
        ...(options.remote?.listen !== undefined &&
          credentials && { tls: { address: options.remote.listen, credentials } }),
        authorize: rightsOf({ role, name }, controller.rights),
        services: controller.services,
        log,
        translate: storeErrorAsApi,
        observe: metrics?.observe,
      });
      log.info('ready', { provider: name });
      log.info('ending', { signal: await signal });
      ending.abort();
      await server.stop();
    } finally {
      ending.abort();
      await told?.close();
      await controller.close();
    }
  } finally {
    clearInterval(forgetting);
    await store.close();
    credentials?.close();
  }
}
