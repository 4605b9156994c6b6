/**
 * The providers' controllers: one process each, all in one namespace with nothing but its loopback, where they call one
 * another over mutual TLS; their operator calls each by its own socket.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { Authority } from '../identity/authority.js';
import { Credentials } from '../identity/credentials.js';
import { IdentityError } from '../identity/errors.js';
import { namedBy, type Principal, samePrincipal } from '../identity/principal.js';
import { APIS, type ResourceClient } from '../resources/api.js';
import { type Daemon } from './daemons.js';
import { type Provider } from './manifests.js';

/** Where the files of a world's controllers are, and where they run. */
export interface Office {
  readonly directory: string;
  /** Undefined: the caller's own. */
  readonly namespace: string | undefined;
}

/** A provider and the port of its API on 127.0.0.1. */
export interface Seat extends Provider {
  readonly port: number;
}

/** The first one; Prometheus asks at a port as far behind {@link FIRST_METRICS}. */
const FIRST_PORT = 7101;
const FIRST_METRICS = 9501;

export function controllerSocket(directory: string, provider: string): string {
  return join(directory, `provider.${provider}.sock`);
}

export function controllerLog(directory: string, provider: string): string {
  return join(directory, `provider.${provider}.log`);
}

const statePath = (directory: string, provider: string): string => join(directory, `provider.${provider}.db`);
const credentialsPath = (directory: string, provider: string): string =>
  join(directory, `provider.${provider}`);

export const seatAddress = ({ port }: Seat): string => `127.0.0.1:${port}`;

/** Each in its own seat, as before; new ones in those that are free. */
export function seated(providers: readonly Provider[], before: readonly Seat[]): readonly Seat[] {
  const taken = new Set(before.map(({ port }) => port));
  return providers.map((provider): Seat => {
    const known = before.find(({ layer, name }) => layer === provider.layer && name === provider.name);
    if (known) return known;
    let port = FIRST_PORT;
    while (taken.has(port)) port++;
    taken.add(port);
    return { ...provider, port };
  });
}

export function controllerDaemon({ directory, namespace }: Office, seat: Seat): Daemon {
  const { layer, name, port } = seat;
  const socket = controllerSocket(directory, name);
  return {
    what: `the controller of ${name}`,
    namespace,
    socket,
    log: controllerLog(directory, name),
    args: [
      layer,
      ...['--name', name],
      ...['--socket', socket],
      ...['--state', statePath(directory, name)],
      ...['--listen', seatAddress(seat)],
      ...['--credentials', credentialsPath(directory, name)],
      ...['--metrics', `127.0.0.1:${port - FIRST_PORT + FIRST_METRICS}`],
    ],
  };
}

/** As its operator. */
export function controllerClient(directory: string, { layer, name }: Provider): ResourceClient {
  return APIS[layer].connect({ socketPath: controllerSocket(directory, name) });
}

/** Once its process has ended. */
export async function removeController(directory: string, provider: string): Promise<void> {
  const state = statePath(directory, provider);
  const paths = [
    ...[controllerSocket(directory, provider), controllerLog(directory, provider)],
    ...[state, `${state}-wal`, `${state}-shm`, credentialsPath(directory, provider)],
  ];
  await Promise.all(paths.map((path) => rm(path, { recursive: true, force: true })));
}

/** Less than this, and a certificate is made anew: 30 days, milliseconds. */
const SHORTEST_REST = 30 * 86_400_000;

/** An authority for the world, and a certificate for each provider that has none, or not for much longer. */
export async function ensureCredentials(directory: string, providers: readonly Provider[]): Promise<void> {
  const authority = await ensureAuthority(join(directory, 'ca'));
  for (const { layer, name } of providers) {
    const principal = namedBy(`${layer}/${name}`, authority.deployment, 'name');
    const path = credentialsPath(directory, name);
    if (!(await isGood(path, principal))) {
      await rm(path, { recursive: true, force: true });
      await authority.issue(principal, path);
    }
  }
}

async function ensureAuthority(path: string): Promise<Authority> {
  try {
    return await Authority.open(path);
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    // of an `up` that was killed: whatever it had made is worth nothing
    await rm(path, { recursive: true, force: true });
    return Authority.init(path, 'world.cabernet.test');
  }
}

async function isGood(path: string, principal: Principal): Promise<boolean> {
  try {
    const credentials = await Credentials.open(path, { watch: false });
    const { expires, principal: own } = credentials;
    credentials.close();
    return samePrincipal(own, principal) && expires > Date.now() + SHORTEST_REST;
  } catch (error) {
    if (error instanceof IdentityError) return false;
    throw error;
  }
}
