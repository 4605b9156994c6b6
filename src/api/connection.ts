/**
 * What a client calls over: a unix socket, or TCP with mutual TLS 1.3, where the other end is known by its certificate and never by
 * its address. With other credentials (renewed ones, other authorities) new calls take a new connection; the old one goes when
 * the last call on it has ended.
 */
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';

import { ChannelCredentials, type ChannelOptions, Client as GrpcClient, credentials } from '@grpc/grpc-js';

import { type Credentials } from '../identity/credentials.js';
import { IdentityError } from '../identity/errors.js';
import { formatId, type Principal, samePrincipal } from '../identity/principal.js';
import { type Endpoint, formatEndpoint, grpcTarget, parseEndpoint } from './endpoint.js';
import { type ApiError, unavailable } from './errors.js';
import { MAX_MESSAGE_BYTES } from './wire.js';

export interface UnixTarget {
  readonly socketPath: string;
}

export interface TlsTarget {
  /** `HOST:PORT`; for a client also those of several replicas, with commas between them. */
  readonly address: string;
  /** Theirs to close who opened them. */
  readonly credentials: Credentials;
  /** Who has to be there: somebody, or whoever this holds for. */
  readonly server: Principal | ((principal: Principal) => boolean);
}

/** One call's share of a connection. */
export interface Hold {
  readonly grpc: GrpcClient;
  /** Once the call has ended. */
  readonly release: () => void;
}

export interface Connection {
  hold(): Hold;
  /** Waits until the server answers. @throws ApiError UNREACHABLE, or why it will not be trusted, after `deadlineMs` */
  ready(deadlineMs: number): Promise<void>;
  /** Why nobody was reached: `details` are grpc-js's words. */
  unreachable(operation: string, details: string): ApiError;
  /** Calls under way fail. */
  close(): void;
}

const OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc-node.flow_control_window': MAX_MESSAGE_BYTES,
  // A call that failed is the caller's to repeat, and need not be kept for it.
  'grpc.enable_retries': 0,
  // An agent that starts again is found again soon.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.use_local_subchannel_pool': 1,
};

const TLS_OPTIONS: ChannelOptions = {
  ...OPTIONS,
  // The environment of whoever calls says nothing about the way to an agent.
  'grpc.enable_http_proxy': 0,
  // The server's name for TLS: no address is one (RFC 6066 §3), and nobody looks at it here.
  'grpc.ssl_target_name_override': 'cabernet',
  // A machine that is gone ends its streams too.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

export function connectionOf(target: UnixTarget | TlsTarget): Connection {
  return 'socketPath' in target ? new UnixConnection(target.socketPath) : new TlsConnection(target);
}

function becomesReady(grpc: GrpcClient, deadlineMs: number): Promise<boolean> {
  return new Promise((done) => {
    grpc.waitForReady(Date.now() + deadlineMs, (error) => done(error === undefined));
  });
}

/** `ECONNREFUSED`, or what is left of grpc-js's sentence without its frame. */
function errorName(details: string): string {
  const [, last = details] = /Last error: (.*?)(?: \(\d{4}-[^)]*\))?\. Resolution note/.exec(details) ?? [];
  return /\bE[A-Z]{3,}\b/.exec(details)?.[0] ?? last;
}

class UnixConnection implements Connection {
  readonly #path: string;
  readonly #grpc: GrpcClient;
  readonly #hold: Hold;

  constructor(socketPath: string) {
    this.#path = resolve(socketPath);
    this.#grpc = new GrpcClient(`unix:${this.#path}`, credentials.createInsecure(), OPTIONS);
    this.#hold = { grpc: this.#grpc, release: () => undefined };
  }

  hold(): Hold {
    return this.#hold;
  }

  async ready(deadlineMs: number): Promise<void> {
    if (!(await becomesReady(this.#grpc, deadlineMs))) throw this.unreachable('', `waited ${deadlineMs} ms`);
  }

  unreachable(operation: string, details: string): ApiError {
    return unavailable({
      reason: 'UNREACHABLE',
      operation,
      message: `Nobody answers at ${this.#path} (${errorName(details)}); is the server running?`,
    });
  }

  close(): void {
    this.#grpc.close();
  }
}

/** One TLS context, and the calls that use it. */
class Era {
  readonly grpc: GrpcClient;
  readonly #onEnd: (era: Era) => void;
  #calls = 0;
  #over = false;

  constructor(grpc: GrpcClient, onEnd: (era: Era) => void) {
    this.grpc = grpc;
    this.#onEnd = onEnd;
  }

  hold(): Hold {
    this.#calls++;
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      this.#calls--;
      this.#closeIfIdle();
    };
    return { grpc: this.grpc, release };
  }

  /** No more calls will come. */
  end(): void {
    this.#over = true;
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    if (!this.#over || this.#calls > 0) return;
    this.grpc.close();
    this.#onEnd(this);
  }
}

/** OpenSSL's words for what it thinks of a server's certificate, before we are asked. */
const VERDICTS: readonly (readonly [pattern: RegExp, code: string, sentence: string])[] = [
  [/certificate has expired/, 'CERTIFICATE_EXPIRED', 'its certificate, or its authority, has expired'],
  [
    /certificate is not yet valid/,
    'CERTIFICATE_NOT_YET_VALID',
    'its certificate is not valid yet; look at the clocks',
  ],
  [
    /self.signed certificate|unable to (get|verify)|signature failure/,
    'CERTIFICATE_UNTRUSTED',
    'its certificate is issued by no authority that is trusted here',
  ],
  [
    /protocol version|wrong version number|packet length too long|no protocols? available|unexpected message/,
    'NO_TLS',
    'it does not speak TLS 1.3',
  ],
];

class TlsConnection implements Connection {
  readonly #endpoint: Endpoint;
  readonly #target: TlsTarget;
  readonly #forget: () => void;
  #era: Era | undefined;
  readonly #eras = new Set<Era>();
  #closed = false;
  /** Why the last server was refused by us. */
  #refusal: IdentityError | undefined;

  constructor(target: TlsTarget) {
    this.#endpoint = parseEndpoint(target.address, 'address', { names: true });
    this.#target = target;
    this.#forget = target.credentials.onChange(() => {
      this.#era?.end();
      this.#era = undefined;
    });
  }

  #current(): Era {
    if (this.#era) return this.#era;
    const { cert, key, ca } = this.#target.credentials.tls;
    const context = createSecureContext({ cert, key, ca: [...ca], minVersion: 'TLSv1.3' });
    const secure = ChannelCredentials.createFromSecureContext(context, {
      checkServerIdentity: (_host, { raw }) => this.#judge(raw),
    });
    const grpc = new GrpcClient(grpcTarget(this.#endpoint), secure, TLS_OPTIONS);
    const era = new Era(grpc, (ended) => this.#eras.delete(ended));
    if (this.#closed) grpc.close();
    this.#eras.add(era);
    this.#era = era;
    return era;
  }

  /** Called when TLS has found the certificate to be of an authority that is trusted. */
  #judge(certificate: Buffer): Error | undefined {
    this.#refusal = undefined;
    try {
      const { credentials, server } = this.#target;
      const principal = credentials.verify(certificate);
      const right = typeof server === 'function' ? server(principal) : samePrincipal(server, principal);
      if (right) return undefined;
      const expected = typeof server === 'function' ? 'whom this is for' : formatId(server);
      throw new IdentityError('WRONG_PEER', `It is ${formatId(principal)}, not ${expected}.`, {
        operation: 'verify',
      });
    } catch (error) {
      if (error instanceof IdentityError) this.#refusal = error;
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  hold(): Hold {
    return this.#current().hold();
  }

  async ready(deadlineMs: number): Promise<void> {
    const { grpc, release } = this.hold();
    try {
      if (!(await becomesReady(grpc, deadlineMs))) throw this.unreachable('', `waited ${deadlineMs} ms`);
    } finally {
      release();
    }
  }

  unreachable(operation: string, details: string): ApiError {
    const where = formatEndpoint(this.#endpoint);
    const refuse = (reason: string, why: string): ApiError => {
      const clause = why.replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase()).replace(/\.$/, '');
      return unavailable({ reason, operation, message: `${where} is not called: ${clause}.` });
    };
    if (this.#refusal) {
      const { code, message } = this.#refusal;
      const reason = code === 'WRONG_PEER' ? code : `CERTIFICATE_${code}`;
      return refuse(reason, message);
    }
    const verdict = VERDICTS.find(([pattern]) => pattern.test(details));
    if (verdict) return refuse(verdict[1], verdict[2]);
    // A server that refuses us says nothing but goodbye: whether it has cause to, we know as well as it does.
    const { flaw } = this.#target.credentials;
    if (flaw)
      return refuse(`OWN_CERTIFICATE_${flaw.code}`, `one's own certificate is refused: ${flaw.message}`);
    // `Failed to connect`: the connection ended before the first frame of HTTP/2
    const hangup = /ECONNRESET|EPIPE|Socket closed|disconnected before|Failed to connect/.test(details);
    const hint = hangup
      ? `it hung up, as it does on certificates that it does not trust; is ${formatId(this.#target.credentials.principal)} issued by its authority? Its log tells more`
      : 'is the server running?';
    return unavailable({
      reason: hangup ? 'HUNG_UP' : 'UNREACHABLE',
      operation,
      message: `Nobody answers at ${where} (${errorName(details)}); ${hint}${hangup ? '.' : ''}`,
    });
  }

  close(): void {
    this.#closed = true;
    this.#forget();
    for (const era of this.#eras) era.grpc.close();
  }
}
