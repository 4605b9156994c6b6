/**
 * The wrapper around every method of every service: it decodes and encodes, gives the call an id and a signal, refuses
 * what comes too late, turns exceptions into errors of the API and logs failures. A handler holds domain code only.
 */
import { randomUUID } from 'node:crypto';

import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js';

import { findUnknownEnum } from './enums.js';
import {
  ApiError,
  cancelled,
  deadlineExceeded,
  fromException,
  invalidArgument,
  resourceExhausted,
  Status,
  toStatus,
} from './errors.js';
import { type Logger } from './log.js';
import {
  type Draft,
  type Message,
  type MessageType,
  type MethodKey,
  type MethodType,
  type RequestOf,
  type ResponseOf,
  type ServiceType,
  type StreamsOf,
} from './message.js';
import { Outbound } from './outbound.js';
import { type Caller, callerOf, formatCaller } from './peer.js';
import { MAX_MESSAGE_BYTES, REQUEST_ID_METADATA, streamsOf } from './wire.js';

/** One call, as its handler sees it. */
export interface Call {
  /** The RPC's name: `ListVifs`. */
  readonly operation: string;
  readonly requestId: string;
  /** Who calls. */
  readonly principal: Caller;
  /** Aborted when the caller has gone, its deadline has passed or the server stops; the reason is an ApiError. */
  readonly signal: AbortSignal;
  readonly deadline: Date | undefined;
  readonly log: Logger;
}

type Request<S, K extends MethodKey<S>> = Message<RequestOf<S, K>>;
type Response<S, K extends MethodKey<S>> = Draft<ResponseOf<S, K>>;

interface HandlerByStreams<Q, R> {
  none: (request: Q, call: Call) => R | Promise<R>;
  /**
   * That the requests end is no proof that the caller sent all: Node's HTTP/2 ends a stream before it resets it, so a
   * cancelled call may look ended until `signal` aborts. A protocol that must know sends a last message that says so.
   */
  request: (requests: AsyncIterable<Q>, call: Call) => R | Promise<R>;
  response: (request: Q, call: Call) => AsyncIterable<R>;
  both: (requests: AsyncIterable<Q>, call: Call) => AsyncIterable<R>;
}

export type Handler<S, K extends MethodKey<S>> = HandlerByStreams<Request<S, K>, Response<S, K>>[StreamsOf<
  S,
  K
>];

/** One handler for every method; a file each (`Apply`, `ListVifs` …), gathered in one object. */
export type Handlers<S> = { readonly [K in MethodKey<S>]: Handler<S, K> };

/** A service with its handlers. */
export interface Implementation {
  readonly name: string;
  readonly methods: readonly {
    readonly type: MethodType;
    readonly handler: HandlerByStreams<unknown, unknown>;
  }[];
}

/** Ties handlers to a service; TypeScript checks that all are there and fit. */
export function implement<S>(service: ServiceType<S>, handlers: Handlers<S>): Implementation {
  return {
    name: service.schema.name,
    methods: [...service.methods].map(([key, type]) => {
      const handler: unknown = handlers[key];
      if (typeof handler !== 'function')
        throw new TypeError(`${service.schema.name} has no handler for ${key}`);
      const bound: unknown = handler.bind(handlers);
      return {
        type,
        handler: { [streamsOf(type.schema)]: bound } as unknown as HandlerByStreams<unknown, unknown>,
      };
    }),
  };
}

/** Errors of the domain as errors of the API; undefined: not one of them. */
export type Translate = (thrown: unknown) => ApiError | undefined;

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,64}$/;

/** Told of every call that has ended: `OK` or the name of the status it ended with. */
export type Observe = (call: {
  readonly service: string;
  readonly method: string;
  readonly status: string;
  readonly seconds: number;
}) => void;

type Stream = ServerDuplexStream<Buffer, Buffer>;

/** Of a server, as far as its calls are concerned. */
export interface ExchangeOptions {
  readonly translate?: Translate | undefined;
  readonly observe?: Observe | undefined;
  /** Refuses requests with a value of an enum that this version does not know (ENUM_VALUE). Else its handlers see them. */
  readonly knownEnumsOnly?: boolean | undefined;
}

/** One call under way. */
export class Exchange {
  readonly #stream: Stream;
  readonly #type: MethodType;
  readonly #abort = new AbortController();
  readonly call: Call;
  readonly #outbound: Outbound;
  readonly #started = performance.now();
  readonly #translate: Translate | undefined;
  readonly #observe: Observe | undefined;
  readonly #knownEnumsOnly: boolean;
  #peerGone = false;

  constructor(
    stream: Stream,
    type: MethodType,
    log: Logger,
    { translate, observe, knownEnumsOnly = false }: ExchangeOptions,
  ) {
    this.#observe = observe;
    this.#knownEnumsOnly = knownEnumsOnly;
    this.#stream = stream;
    this.#type = type;
    this.#translate = translate;
    const operation = type.schema.name;
    const [given] = stream.metadata.get(REQUEST_ID_METADATA);
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    const principal = callerOf(stream.metadata);
    const deadline = stream.getDeadline();
    this.call = {
      operation,
      requestId,
      principal,
      signal: this.#abort.signal,
      deadline:
        typeof deadline === 'number'
          ? Number.isFinite(deadline)
            ? new Date(deadline)
            : undefined
          : deadline,
      log: log.child('api', {
        operation,
        request: requestId,
        // on the unix socket it is always the same
        caller: principal.role === 'local' ? undefined : formatCaller(principal),
      }),
    };
    this.#outbound = new Outbound(stream, this.#abort.signal);
    stream.once('cancelled', () => {
      this.#peerGone = true;
      this.abort(
        this.#isLate() ? this.#late() : cancelled({ reason: 'CANCELLED', message: 'The caller has gone.' }),
      );
    });
  }

  get streamsResponses(): boolean {
    return this.#type.schema.responseStream;
  }

  abort(reason: ApiError): void {
    this.#abort.abort(reason);
  }

  #isLate(): boolean {
    return this.call.deadline !== undefined && this.call.deadline.getTime() <= Date.now();
  }

  #late(): ApiError {
    return deadlineExceeded({
      reason: 'DEADLINE_EXCEEDED',
      message: 'The deadline has passed; give the call more time.',
    });
  }

  #decode(bytes: Buffer): unknown {
    const request = this.#decoded(bytes);
    const unknown = this.#knownEnumsOnly && findUnknownEnum(this.#type.request.schema, request);
    if (!unknown) return request;
    const { field, value, enumeration } = unknown;
    const known = [...enumeration.names].map(([number, name]) => `${name} (${number})`).join(', ');
    throw invalidArgument({
      reason: 'ENUM_VALUE',
      field,
      message: `${field} is ${value}, which this version does not know; it is one of ${known}.`,
    });
  }

  #decoded(bytes: Buffer): unknown {
    try {
      return this.#type.request.decode(bytes);
    } catch (cause) {
      throw invalidArgument({
        reason: 'MESSAGE_MALFORMED',
        message: `The bytes received are no ${this.#type.request.name}; check that both sides speak the same version.`,
        cause,
      });
    }
  }

  #encode(draft: unknown): Buffer {
    const bytes = (this.#type.response as MessageType<object>).encode(draft as object);
    if (bytes.length <= MAX_MESSAGE_BYTES) return bytes;
    throw resourceExhausted({
      reason: 'MESSAGE_TOO_LARGE',
      message: `The answer takes ${bytes.length} bytes, over ${MAX_MESSAGE_BYTES}; ask for less at a time.`,
    });
  }

  async *#requests(): AsyncGenerator<unknown, void> {
    try {
      // Not destroyed when the handler stops reading: the answer goes out by the same stream.
      for await (const bytes of this.#stream.iterator({ destroyOnReturn: false })) {
        yield this.#decode(bytes as Buffer);
      }
    } catch (error) {
      this.#abort.signal.throwIfAborted();
      throw error;
    }
    this.#abort.signal.throwIfAborted(); // cut off
  }

  async #request(): Promise<unknown> {
    const received: unknown[] = [];
    for await (const request of this.#requests()) {
      received.push(request);
      if (received.length > 1) break;
    }
    if (received.length === 1) return received[0];
    throw invalidArgument({
      reason: 'MESSAGE_COUNT',
      message: `${this.call.operation} takes exactly one request message.`,
    });
  }

  async #answer(handler: HandlerByStreams<unknown, unknown>): Promise<void> {
    const { requestStream, responseStream } = this.#type.schema;
    const { call } = this;
    const outbound = this.#outbound;
    if (!responseStream) {
      const answer = requestStream
        ? await handler.request(this.#requests(), call)
        : await handler.none(await this.#request(), call);
      await outbound.send(this.#encode(answer));
      return;
    }
    const answers = requestStream
      ? handler.both(this.#requests(), call)
      : handler.response(await this.#request(), call);
    await outbound.sendAll(answers, (answer) => this.#encode(answer));
  }

  /** Runs the handler and answers, whatever happens; resolves when the handler has ended. */
  async run(handler: HandlerByStreams<unknown, unknown>, refusal: ApiError | undefined): Promise<void> {
    const trailers = new Metadata();
    trailers.set(REQUEST_ID_METADATA, this.call.requestId);
    try {
      if (refusal) throw refusal;
      if (this.#isLate()) throw this.#late();
      await this.#answer(handler);
      this.#log(undefined);
      if (!this.#peerGone) this.#stream.end(trailers);
    } catch (thrown) {
      const error = fromException(this.#translated(thrown), this.call.operation, this.call.requestId);
      this.#log(error);
      if (!this.#peerGone) this.#stream.emit('error', toStatus(error, trailers));
    }
  }

  #translated(thrown: unknown): unknown {
    if (thrown instanceof ApiError) return thrown;
    try {
      return this.#translate?.(thrown) ?? thrown;
    } catch (fault) {
      return fault;
    }
  }

  #log(error: ApiError | undefined): void {
    const seconds = (performance.now() - this.#started) / 1000;
    const ms = Math.round(seconds * 1000);
    const [, service = '', method = ''] = this.#type.schema.path.split('/');
    this.#observe?.({ service, method, status: error ? (Status[error.status] ?? 'UNKNOWN') : 'OK', seconds });
    if (!error) {
      this.call.log.debug('done', { ms });
      return;
    }
    const { reason, field, message, cause } = error;
    const fields = { status: Status[error.status], reason, field, message, ms };
    if (error.status === Status.INTERNAL) {
      const stack = cause instanceof Error ? (cause.stack ?? cause.message) : cause;
      this.call.log.error('failed', { ...fields, stack: stack ?? error.stack });
    } else if (error.status === Status.CANCELLED) {
      // whoever watches leaves by hanging up: nothing for an operator
      this.call.log.debug('left by the caller', fields);
    } else {
      this.call.log[error.status === Status.DEADLINE_EXCEEDED ? 'info' : 'warn']('refused', fields);
    }
  }
}
