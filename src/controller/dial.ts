/**
 * Calls to the layer below, to a peer or to an agent. An address is `unix:/run/cabernet/one.sock`, `192.0.2.1:7200` or
 * `[2001:db8::1]:7200`; who answers there must prove to be who is expected.
 */
import { isIP } from 'node:net';

import { type Client, connect } from '../api/client.js';
import { failedPrecondition } from '../api/errors.js';
import { type ServiceType } from '../api/message.js';
import { type Credentials } from '../identity/credentials.js';

/** Who is to answer. */
export interface Expected {
  readonly role: 'infrastructure' | 'connectivity' | 'agent';
  /** Of the provider; of an agent, its provider's. */
  readonly name: string;
  /** Of an agent. */
  readonly machine?: string | undefined;
}

export interface Dialer {
  /** Connects when it is first used. The caller closes it. */
  dial<S>(service: ServiceType<S>, address: string, expected: Expected): Client<S>;
}

export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** `sun_path` of unix(7), less its end. */
const LONGEST_PATH = 107;

/** Undefined: it is none. */
export function parseAddressOfServer(text: string): Address | undefined {
  if (text.startsWith('unix:/')) {
    const path = text.slice('unix:'.length);
    const plain = /^[\x21-\x7e]+$/.test(path) && Buffer.byteLength(path) <= LONGEST_PATH;
    return plain ? { kind: 'unix', path } : undefined;
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})$/.exec(text);
  const [, six, four, digits] = match ?? [];
  const host = six ?? four ?? '';
  const port = Number(digits);
  return isIP(host) === (six === undefined ? 4 : 6) && port <= 65535
    ? { kind: 'tcp', host, port }
    : undefined;
}

/**
 * By unix sockets, where the file's mode says who may call; and by TCP, which takes credentials: who answers must be who is
 * expected, of the same deployment.
 */
export function dialerWith(credentials: Credentials | undefined): Dialer {
  return {
    dial(service, address, { role, name, machine }) {
      const parsed = parseAddressOfServer(address);
      if (parsed?.kind === 'unix') return connect(service, { socketPath: parsed.path });
      if (!credentials || !parsed) {
        throw failedPrecondition({
          reason: parsed ? 'NO_CREDENTIALS' : 'ADDRESS',
          message: parsed
            ? `${address} is not a unix socket, and without credentials nothing else can be called.`
            : `${JSON.stringify(address.slice(0, 100))} is no address; give unix:/PATH, ADDRESS:PORT or [IPV6]:PORT.`,
        });
      }
      const { deployment } = credentials.principal;
      return connect(service, {
        address,
        credentials,
        server: (there) =>
          there.deployment === deployment &&
          there.role === role &&
          there.name === name &&
          there.machine === machine,
      });
    },
  };
}
