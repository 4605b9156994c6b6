/**
 * TCP with mutual TLS 1.3 in front of a gRPC server. The handshake wants a certificate of an authority that is trusted; then
 * who it is, and whether it was revoked, is asked before a byte of HTTP/2 is read, again for each call, and of all connections
 * whenever the credentials change. Nobody is told more than that the connection ended; the log tells why.
 */
import { type AddressInfo, type Socket } from 'node:net';
import { createServer, type Server as TlsServer, type TLSSocket } from 'node:tls';

import { type Server, type ServerCredentials } from '@grpc/grpc-js';

import { type Credentials } from '../identity/credentials.js';
import { IdentityError } from '../identity/errors.js';
import { formatEndpoint, parseEndpoint } from './endpoint.js';
import { failedPrecondition } from './errors.js';
import { type Logger } from './log.js';
import { type Identify } from './peer.js';

/** Of a handshake, milliseconds. */
const PATIENCE = 10_000;
/** Certificates expire while connections live: how often all are looked at, milliseconds. */
const LOOK_EVERY = 30_000;
/** Connections at once: a stranger can do no more than hold these for a handshake's time. */
const MOST_CONNECTIONS = 4096;

export interface TlsOptions {
  /** `ADDRESS:PORT`; port 0 lets the kernel choose. */
  readonly address: string;
  /** Theirs to close who opened them. */
  readonly credentials: Credentials;
}

export interface TlsListener {
  /** Where it listens. */
  readonly address: string;
  /** No new connections. */
  close(): void;
  /** Ends those that are left, also in the middle of a handshake. */
  destroy(): void;
}

/** Who is at the other end, by its certificate and what is believed now. */
export function identifyBy(credentials: Credentials): Identify {
  return (call) => {
    const { sslPeerCertificate } = call.getAuthContext();
    if (sslPeerCertificate) return credentials.verify(sslPeerCertificate.raw);
    throw new IdentityError('UNTRUSTED', 'A call came without a certificate.', { operation: 'verify' });
  };
}

function contextOf(credentials: Credentials): {
  cert: string;
  key: string;
  ca: string[];
  minVersion: 'TLSv1.3';
} {
  const { cert, key, ca } = credentials.tls;
  return { cert, key, ca: [...ca], minVersion: 'TLSv1.3' };
}

class Listener implements TlsListener {
  readonly #tls: TlsServer;
  readonly #credentials: Credentials;
  readonly #log: Logger;
  readonly #sockets = new Set<TLSSocket>();
  readonly #wires = new Set<Socket>();
  readonly #ends: (() => void)[] = [];
  address = '';

  constructor(server: Server, gate: ServerCredentials, credentials: Credentials, log: Logger) {
    this.#credentials = credentials;
    this.#log = log;
    const injector = server.createConnectionInjector(gate);
    this.#tls = createServer({
      ...contextOf(credentials),
      requestCert: true,
      // refused below, where the log can say who and why
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      handshakeTimeout: PATIENCE,
      // a peer whose machine is gone without a word
      keepAlive: true,
      keepAliveInitialDelay: LOOK_EVERY,
    });
    this.#tls.maxConnections = MOST_CONNECTIONS;
    this.#tls.on('connection', (wire: Socket) => {
      this.#wires.add(wire);
      wire.once('close', () => this.#wires.delete(wire));
    });
    this.#tls.on('tlsClientError', (error: Error, socket) => {
      this.#log.info('no connection', { peer: peerOf(socket), problem: error.message });
      socket.destroy();
    });
    this.#tls.on('secureConnection', (socket) => {
      socket.on('error', (error: Error) => this.#log.debug('connection', { problem: error.message }));
      if (socket.alpnProtocol !== 'h2' || !this.#isAuthorized(socket) || !this.#stands(socket)) {
        socket.destroy();
        return;
      }
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      injector.injectConnection(socket);
    });
    this.#ends.push(
      credentials.onChange(() => {
        this.#tls.setSecureContext(contextOf(credentials));
        this.#look();
      }),
    );
    const period = setInterval(() => this.#look(), LOOK_EVERY).unref();
    this.#ends.push(() => clearInterval(period));
  }

  async listen(text: string): Promise<void> {
    const endpoint = parseEndpoint(text, 'listen', { lowest: 0 });
    await new Promise<void>((done, fail) => {
      this.#tls.once('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'EADDRINUSE' ? 'another process listens there' : error.message;
        const message = `Nothing can listen at ${text}: ${why}; give another address.`;
        fail(failedPrecondition({ reason: 'LISTEN', field: 'listen', message, cause: error }));
      });
      this.#tls.listen({ ...endpoint, exclusive: true }, done);
    });
    // one that comes later is of a connection that could not be accepted
    this.#tls.on('error', (error: Error) => this.#log.warn('no connection', { problem: error.message }));
    const { address, port } = this.#tls.address() as AddressInfo;
    this.address = formatEndpoint({ host: address, port });
  }

  /** Whether OpenSSL found the certificate good, with its key: of an authority that is trusted, for this use, in time. */
  #isAuthorized(socket: TLSSocket): boolean {
    if (socket.authorized) return true;
    // declared an Error, and a code
    const reason = socket.authorizationError as unknown;
    this.#log.warn('no connection', { peer: peerOf(socket), reason });
    return false;
  }

  /** Whether whoever is there is still believed; the log tells why not. */
  #stands(socket: TLSSocket): boolean {
    try {
      this.#credentials.verify(socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0));
      return true;
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error;
      const { code, message } = error;
      this.#log.warn('no connection', { peer: peerOf(socket), reason: code, problem: message });
      return false;
    }
  }

  #look(): void {
    for (const socket of this.#sockets) if (!this.#stands(socket)) socket.destroy();
  }

  close(): void {
    for (const end of this.#ends) end();
    this.#tls.close();
  }

  destroy(): void {
    for (const wire of this.#wires) wire.destroy();
  }
}

function peerOf(socket: TLSSocket): string {
  return socket.remoteAddress === undefined
    ? ''
    : formatEndpoint({ host: socket.remoteAddress, port: socket.remotePort ?? 0 });
}

/**
 * Listens, and hands connections to the server, whose calls then go through the gate.
 * @throws ApiError ADDRESS, LISTEN
 */
export async function listenTls(
  server: Server,
  gate: ServerCredentials,
  options: TlsOptions,
  log: Logger,
): Promise<TlsListener> {
  const listener = new Listener(server, gate, options.credentials, log.child('tls'));
  try {
    await listener.listen(options.address);
  } catch (error) {
    listener.close();
    throw error;
  }
  return listener;
}
