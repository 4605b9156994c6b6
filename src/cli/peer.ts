/** Calls over TCP: who one is, and who has to be there. */
import type { TlsTarget } from '../api/connection.js';
import type { Principal } from '../identity/principal.js';

/** Undefined also if it is empty. */
export function environment(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

export interface PeerTarget extends TlsTarget {
  readonly server: Principal;
}

/** @throws IdentityError */
export async function peerTarget(address: string, directory: string, server: string): Promise<PeerTarget> {
  const [{ Credentials }, { namedBy }] = await Promise.all([
    import('../identity/credentials.js'),
    import('../identity/principal.js'),
  ]);
  // a command ends before its certificate does
  const credentials = await Credentials.open(directory, { watch: false });
  return { address, credentials, server: namedBy(server, credentials.principal.deployment, 'server') };
}
