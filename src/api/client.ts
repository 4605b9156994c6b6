/**
 * A typed client over a unix socket or over TCP with mutual TLS. A method is a function: of a request, or of an async iterable of requests; it gives a
 * promise of the answer, or an async iterable of answers. What goes wrong is an ApiError, as the server threw it.
 */
import { Metadata, type ServiceError } from '@grpc/grpc-js';

import { type Connection, connectionOf, type Hold, type TlsTarget, type UnixTarget } from './connection.js';

import {
  ApiError,
  cancelled,
  fromServiceError,
  internal,
  invalidArgument,
  resourceExhausted,
  Status,
} from './errors.js';
import {
  type Draft,
  type Message,
  MessageError,
  type MessageType,
  type MethodKey,
  type MethodType,
  type RequestOf,
  type ResponseOf,
  type ServiceType,
  type StreamsOf,
} from './message.js';
import { Outbound } from './outbound.js';
import { goingRound } from './several.js';
import { identity, MAX_MESSAGE_BYTES, REQUEST_ID_METADATA, streamsOf } from './wire.js';

export interface CallOptions {
  /** Milliseconds the call may take. Default: the client's, for methods that answer once; none for streams of answers. */
  readonly deadlineMs?: number | undefined;
  /** Ends the call; it fails with CANCELLED. */
  readonly signal?: AbortSignal | undefined;
  /** Appears in the server's log: 1 to 64 characters of [A-Za-z0-9._:-]. */
  readonly requestId?: string | undefined;
}

type Requests<T> = AsyncIterable<T> | Iterable<T>;

interface MethodByStreams<Q, R> {
  none: (request: Q, options?: CallOptions) => Promise<R>;
  request: (requests: Requests<Q>, options?: CallOptions) => Promise<R>;
  /** The call starts with the iteration and ends with it: leaving the loop cancels it. */
  response: (request: Q, options?: CallOptions) => AsyncIterable<R>;
  both: (requests: Requests<Q>, options?: CallOptions) => AsyncIterable<R>;
}

export type ClientMethod<S, K extends MethodKey<S>> = MethodByStreams<
  Draft<RequestOf<S, K>>,
  Message<ResponseOf<S, K>>
>[StreamsOf<S, K>];

export type Client<S> = { readonly [K in MethodKey<S>]: ClientMethod<S, K> } & {
  /** Waits until the server answers. @throws ApiError UNAVAILABLE, UNREACHABLE after `deadlineMs` */
  ready(deadlineMs: number): Promise<void>;
  /** Calls under way fail with CANCELLED, CLIENT_CLOSED; and so does whatever is called later. */
  close(): void;
};

/** An agent on this machine, or another over TCP with mutual TLS. */
export type ClientOptions = (UnixTarget | TlsTarget) & {
  /** For methods that answer once. Default: 60 000. */
  readonly deadlineMs?: number | undefined;
};

/** What the four kinds of grpc-js calls share. */
interface Cancellable {
  cancel(): void;
}

class Channel {
  readonly connection: Connection;
  readonly #deadlineMs: number;
  readonly #underWay = new Set<Cancellable>();
  #closed = false;

  constructor(options: ClientOptions) {
    this.connection = connectionOf(options);
    this.#deadlineMs = options.deadlineMs ?? 60_000;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** @throws ApiError CLIENT_CLOSED */
  hold(operation: string): Hold {
    if (this.#closed) throw closedError(operation);
    return this.connection.hold();
  }

  /** Until the function that it gives is called, the call is ended with the client. */
  keep(call: Cancellable): () => void {
    this.#underWay.add(call);
    return () => this.#underWay.delete(call);
  }

  /** grpc-js would let calls under way go on, for ever where they are watches. */
  close(): void {
    this.#closed = true;
    for (const call of this.#underWay) call.cancel();
    this.#underWay.clear();
    this.connection.close();
  }

  deadline(options: CallOptions, answersOnce: boolean): { deadline: Date } | Record<string, never> {
    const ms = options.deadlineMs ?? (answersOnce ? this.#deadlineMs : Infinity);
    return Number.isFinite(ms) ? { deadline: new Date(Date.now() + ms) } : {};
  }

  metadata(options: CallOptions): Metadata {
    const metadata = new Metadata();
    if (options.requestId !== undefined) metadata.set(REQUEST_ID_METADATA, options.requestId);
    return metadata;
  }

  /** What went wrong, in the words of somebody who runs agents. */
  failure(error: unknown, operation: string): ApiError {
    const known = fromServiceError(error, operation);
    const { code, details } = error as Partial<ServiceError>;
    if (this.#closed && code === Status.CANCELLED) return closedError(operation);
    if (code !== Status.UNAVAILABLE || !details?.startsWith('No connection established')) return known;
    return this.connection.unreachable(operation, details);
  }
}

function closedError(operation: string): ApiError {
  const message = 'This client is closed; make another one to call again.';
  return cancelled({ reason: 'CLIENT_CLOSED', operation, message });
}

class Method {
  readonly #channel: Channel;
  readonly #type: MethodType;

  constructor(channel: Channel, type: MethodType) {
    this.#channel = channel;
    this.#type = type;
  }

  get #operation(): string {
    return this.#type.schema.name;
  }

  #encode(draft: unknown): Buffer {
    const operation = this.#operation;
    let bytes: Buffer;
    try {
      bytes = (this.#type.request as MessageType<object>).encode(draft as object);
    } catch (cause) {
      if (!(cause instanceof MessageError)) throw cause;
      throw invalidArgument({
        reason: 'MESSAGE_INVALID',
        operation,
        field: cause.field,
        message: cause.message,
        cause,
      });
    }
    if (bytes.length <= MAX_MESSAGE_BYTES) return bytes;
    throw resourceExhausted({
      reason: 'MESSAGE_TOO_LARGE',
      operation,
      message: `The request takes ${bytes.length} bytes, over ${MAX_MESSAGE_BYTES}; send it in parts.`,
    });
  }

  #decode(bytes: Buffer): unknown {
    try {
      return this.#type.response.decode(bytes);
    } catch (cause) {
      const message = `The answer is no ${this.#type.response.name}; check that both sides speak the same version.`;
      throw internal({ reason: 'MESSAGE_MALFORMED', operation: this.#operation, message, cause });
    }
  }

  /** Cancels the call when the signal says so, or the client is closed; gives the function that stops listening. */
  #heed(signal: AbortSignal | undefined, call: Cancellable): () => void {
    const unkeep = this.#channel.keep(call);
    if (!signal) return unkeep;
    const stop = (): void => call.cancel();
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    return () => {
      unkeep();
      signal.removeEventListener('abort', stop);
    };
  }

  async none(request: unknown, options: CallOptions = {}): Promise<unknown> {
    const bytes = this.#encode(request);
    const { grpc, release } = this.#channel.hold(this.#operation);
    const answer = await new Promise<Buffer>((done, fail) => {
      const call = grpc.makeUnaryRequest(
        this.#type.schema.path,
        identity,
        identity,
        bytes,
        this.#channel.metadata(options),
        this.#channel.deadline(options, true),
        (error: ServiceError | null, value?: Buffer) => {
          unheed();
          release();
          if (error) fail(this.#channel.failure(error, this.#operation));
          else done(value ?? Buffer.alloc(0));
        },
      );
      const unheed = this.#heed(options.signal, call);
    });
    return this.#decode(answer);
  }

  async request(requests: Requests<unknown>, options: CallOptions = {}): Promise<unknown> {
    const ended = new AbortController();
    let settle: { done: (value: Buffer) => void; fail: (error: unknown) => void } | undefined;
    const answer = new Promise<Buffer>((done, fail) => (settle = { done, fail }));
    const { grpc, release } = this.#channel.hold(this.#operation);
    const call = grpc.makeClientStreamRequest(
      this.#type.schema.path,
      identity,
      identity,
      this.#channel.metadata(options),
      this.#channel.deadline(options, true),
      (error: ServiceError | null, value?: Buffer) => {
        release();
        if (error) settle?.fail(this.#channel.failure(error, this.#operation));
        else settle?.done(value ?? Buffer.alloc(0));
        ended.abort();
      },
    );
    call.on('error', () => undefined); // told by the callback
    const unheed = this.#heed(options.signal, call);
    answer.catch(() => undefined); // awaited below, perhaps after it failed
    try {
      await new Outbound(call, ended.signal).sendAll(requests, (request) => this.#encode(request));
      call.end();
    } catch (error) {
      if (!ended.signal.aborted) {
        // The caller's own iterable or message failed: that is what went wrong, not the cancellation it leads to.
        call.cancel();
        unheed();
        throw error;
      }
    }
    try {
      return this.#decode(await answer);
    } finally {
      unheed();
    }
  }

  async *response(request: unknown, options: CallOptions = {}): AsyncGenerator<unknown, void> {
    const bytes = this.#encode(request);
    const { grpc, release } = this.#channel.hold(this.#operation);
    const call = grpc.makeServerStreamRequest(
      this.#type.schema.path,
      identity,
      identity,
      bytes,
      this.#channel.metadata(options),
      this.#channel.deadline(options, false),
    );
    call.once('status', release);
    yield* this.#answers(call, options);
  }

  async *both(requests: Requests<unknown>, options: CallOptions = {}): AsyncGenerator<unknown, void> {
    const { grpc, release } = this.#channel.hold(this.#operation);
    const call = grpc.makeBidiStreamRequest(
      this.#type.schema.path,
      identity,
      identity,
      this.#channel.metadata(options),
      this.#channel.deadline(options, false),
    );
    const ended = new AbortController();
    call.once('status', () => {
      release();
      ended.abort();
    });
    let fault: unknown;
    void new Outbound(call, ended.signal)
      .sendAll(requests, (request) => this.#encode(request))
      .then(
        () => call.end(),
        (error: unknown) => {
          if (ended.signal.aborted) return;
          fault = error;
          call.cancel();
        },
      );
    try {
      yield* this.#answers(call, options);
    } catch (error) {
      throw fault ?? error;
    }
  }

  async *#answers(
    call: Cancellable & AsyncIterable<Buffer> & { on(event: 'error', listener: () => void): unknown },
    options: CallOptions,
  ): AsyncGenerator<unknown, void> {
    call.on('error', () => undefined); // the iteration throws it; after the iteration nobody asks
    const unheed = this.#heed(options.signal, call);
    try {
      for await (const bytes of call) yield this.#decode(bytes);
      // A stream cut off by cancel() may just end.
      if (this.#channel.closed) throw closedError(this.#operation);
      if (options.signal?.aborted === true) {
        throw cancelled({
          reason: 'CANCELLED',
          operation: this.#operation,
          message: 'The call was cancelled.',
        });
      }
    } catch (error) {
      throw error instanceof ApiError ? error : this.#channel.failure(error, this.#operation);
    } finally {
      unheed();
      call.cancel();
    }
  }
}

/**
 * A client; it connects when first used, and again after the server was away.
 * @throws ApiError ADDRESS
 */
export function connect<S>(service: ServiceType<S>, options: ClientOptions): Client<S> {
  if ('address' in options && options.address.includes(','))
    return goingRound(
      service,
      options.address.split(',').map((address) => connect(service, { ...options, address })),
    );
  const channel = new Channel(options);
  const client: Record<string, unknown> = {
    close: () => channel.close(),
    ready: (deadlineMs: number) => channel.connection.ready(deadlineMs),
  };
  for (const [key, type] of service.methods) {
    const method = new Method(channel, type);
    client[key] = method[streamsOf(type.schema)].bind(method);
  }
  return client as unknown as Client<S>;
}
