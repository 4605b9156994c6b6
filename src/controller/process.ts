/**
 * A controller as a process: its store, its lead, its API, its end. What it does is made by `make` when it leads.
 */
import { createLogger, type Logger, type LogLevel } from '../api/log.js';
import { type Call, formatCaller, type Implementation } from '../api/server.js';
import { Credentials } from '../identity/credentials.js';
import { type Store } from '../store/index.js';
import { type Caller } from './access.js';
import { type Dialer } from './dial.js';
import { type Place } from './place.js';
import { Replica } from './replica.js';
import { type Rights } from './rights.js';
import { openSeat } from './seat.js';
import { type AnyService } from './stage.js';

export { isSecure, parsePlace, PLACE_RULE } from './place.js';

export interface ControllerOptions {
  readonly role: 'infrastructure' | 'connectivity' | 'service';
  /** Of the provider: 1 to 20 characters of [a-z0-9-], beginning with a letter. */
  readonly name: string;
  /** Unix socket for the provider's own operator. */
  readonly socket: string;
  /** The folder of a SQLite file is made if it is missing. */
  readonly state: Place;
  /** Folder of the certificates for etcd. */
  readonly stateCredentials?: string | undefined;
  /** Of replicas over one etcd. */
  readonly replica?: ReplicaOptions | undefined;
  readonly logLevel?: LogLevel | undefined;
  /** Calls over TCP by these credentials; and, where it listens, the API over TCP beside the socket. */
  readonly remote?: { readonly listen?: string | undefined; readonly credentials: string } | undefined;
  /** Where Prometheus asks: `127.0.0.1:9464`. */
  readonly metrics?: string | undefined;
}

export interface ReplicaOptions {
  /** Where clients find this one: callers of the others are told. Default: where it listens, or its socket. */
  readonly advertise?: string | undefined;
  /** Seconds after which a silent leader is followed by another. Default: 10. */
  readonly failover?: number | undefined;
}

export interface Context {
  readonly role: ControllerOptions['role'];
  readonly name: string;
  readonly store: Store;
  readonly log: Logger;
  readonly dialer: Dialer;
  /** Who calls, from what the connection has proven. */
  readonly callerOf: (call: Call) => Caller;
  /** Larger than that of any replica that led before; 0 without replicas. */
  readonly term?: number | undefined;
  /** Aborts when the process is to end, or leads no longer. */
  readonly ending: AbortSignal;
  /** Memory may no longer be what the store holds: the controller is to be closed and made anew. */
  readonly onStale?: ((why: unknown) => void) | undefined;
}

export interface Controller {
  readonly services: readonly Implementation[];
  /** After the last call has ended. */
  close(): Promise<void>;
}

export interface ControllerKind {
  /** All that `Controller.services` will be of. */
  readonly services: readonly AnyService[];
  /** What others than operators and the provider itself may call. */
  readonly rights: Rights;
  /** From the store, to where it was. Called each time this process comes to lead. */
  readonly make: (context: Context) => Promise<Controller>;
}

/** Why it cannot run; the message is for the operator. */
export class ControllerStartError extends Error {
  override readonly name = 'ControllerStartError';
}

const NAME = /^[a-z][a-z0-9-]{0,19}$/;

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
export async function runController(options: ControllerOptions, kind: ControllerKind): Promise<void> {
  const { role, name, state: place, stateCredentials } = options;
  if (!NAME.test(name)) {
    throw new ControllerStartError(
      `--name must be 1 to 20 characters of [a-z0-9-], beginning with a letter, not ${JSON.stringify(name)}`,
    );
  }
  const log = createLogger({ component: role, level: options.logLevel });
  const ending = new AbortController();
  for (const one of ['SIGTERM', 'SIGINT'] as const) process.once(one, () => ending.abort(one));
  const credentials = options.remote && (await openCredentials(options, options.remote.credentials, log));
  try {
    const owner = `${role}/${name}`;
    const { failover } = options.replica ?? {};
    const seat = await openSeat({ place, owner, credentials: stateCredentials, failover });
    try {
      const replica = new Replica({ options, kind, seat, log, credentials, ending: ending.signal });
      await replica.run();
    } finally {
      await seat.close();
    }
  } finally {
    credentials?.close();
  }
}
