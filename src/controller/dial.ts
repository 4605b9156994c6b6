/**
 * Calls to the layer below, to a peer or to an agent. An address is `unix:/run/cabernet/one.sock`, `192.0.2.1:7200` or
 * `[2001:db8::1]:7200`, or several of these with commas between them, of replicas; who answers there must prove to be who is
 * expected.
 */
import { ADDRESSES_RULE, parseAddressOfServer, splitAddresses } from '../api/address.js';
import { type Client, connect } from '../api/client.js';
import { failedPrecondition, unavailable } from '../api/errors.js';
import { type ServiceType } from '../api/message.js';
import { goingRound } from '../api/several.js';
import { type Credentials } from '../identity/credentials.js';

export { type Address, ADDRESSES_RULE, parseAddressOfServer, splitAddresses } from '../api/address.js';

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

/**
 * By unix sockets, where the file's mode says who may call; and by TCP, which takes credentials: who answers must be who is
 * expected, of the same deployment.
 */
export function dialerWith(credentials: Credentials | undefined): Dialer {
  const dialOne = <S>(service: ServiceType<S>, address: string, expected: Expected): Client<S> => {
    const parsed = parseAddressOfServer(address);
    if (parsed?.kind === 'unix') return connect(service, { socketPath: parsed.path });
    if (!credentials) {
      throw failedPrecondition({
        reason: 'NO_CREDENTIALS',
        message: `${address} is not a unix socket, and without credentials nothing else can be called.`,
      });
    }
    const { deployment } = credentials.principal;
    const { role, name, machine } = expected;
    return connect(service, {
      address,
      credentials,
      server: (there) =>
        there.deployment === deployment &&
        there.role === role &&
        there.name === name &&
        there.machine === machine,
    });
  };
  return {
    dial(service, text, expected) {
      const addresses = splitAddresses(text);
      if (!addresses) {
        throw failedPrecondition({
          reason: 'ADDRESS',
          message: `${JSON.stringify(text.slice(0, 100))} is no address; it is ${ADDRESSES_RULE}.`,
        });
      }
      return goingRound(
        service,
        addresses.map((address) => dialOne(service, address, expected)),
      );
    },
  };
}

/** A dialer whose calls can all be ended at once, for good: who leads no longer talks to nobody. */
export class EndableDialer implements Dialer {
  readonly #dialer: Dialer;
  readonly #clients = new Set<{ close(): void }>();
  #ended = false;

  constructor(dialer: Dialer) {
    this.#dialer = dialer;
  }

  dial<S>(service: ServiceType<S>, address: string, expected: Expected): Client<S> {
    if (this.#ended) {
      throw unavailable({ reason: 'NOT_LEADER', message: 'This replica leads no longer and calls nobody.' });
    }
    const client = this.#dialer.dial(service, address, expected);
    this.#clients.add(client);
    const close = (): void => {
      this.#clients.delete(client);
      client.close();
    };
    return { ...client, close };
  }

  /** Calls under way fail, and no others are made. */
  end(): void {
    this.#ended = true;
    for (const client of this.#clients) client.close();
    this.#clients.clear();
  }
}
