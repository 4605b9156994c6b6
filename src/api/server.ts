/**
 * A gRPC server on a unix socket, on TCP with mutual TLS, or on both, with health and reflection: from a socket that is safe
 * to publish to an end that lets calls finish.
 */
import { type handleBidiStreamingCall, Server, type ServiceDefinition } from '@grpc/grpc-js';

import { type ApiError, unavailable } from './errors.js';
import { Exchange, type ExchangeOptions, type Implementation } from './exchange.js';
import { type Logger } from './log.js';
import { allowLocal, type Authorize, gated, LOCAL } from './peer.js';
import { addHealth, addReflection } from './reflection.js';
import { type PublishedSocket, publishSocket } from './socket.js';
import { identifyBy, listenTls, type TlsListener, type TlsOptions } from './tls.js';
import { identity, MAX_MESSAGE_BYTES } from './wire.js';

export {
  type Call,
  type Handler,
  type Handlers,
  implement,
  type Implementation,
  type Observe,
  type Translate,
} from './exchange.js';
export { type Attempt, type Authorize, type Caller, formatCaller, type Refusal } from './peer.js';

export interface ServerOptions extends ExchangeOptions {
  /** Created with mode 0600, its folder too if missing. Whoever can open it is the caller `local`. */
  readonly socketPath?: string | undefined;
  /** TCP, for those with certificates of the same deployment. */
  readonly tls?: TlsOptions | undefined;
  /** Who may call what. Without it only `local` may call anything. */
  readonly authorize?: Authorize | undefined;
  readonly services: readonly Implementation[];
  readonly log: Logger;
}

export interface ApiServer {
  /** Empty without one. */
  readonly socketPath: string;
  /** Where TCP is served, with the port that was chosen; empty without TLS. */
  readonly address: string;
  /** What health says; true from the start. */
  setServing(serving: boolean): void;
  /** Streams of answers end with this error; calls that answer once go on to their own end. */
  endStreams(reason: ApiError): void;
  /**
   * No new calls; streams end with UNAVAILABLE, SHUTTING_DOWN; the other calls have `graceMs` (5000) to finish. The
   * socket's name goes first. Safe to repeat.
   */
  stop(graceMs?: number): Promise<void>;
}

class GrpcServer implements ApiServer {
  readonly #server: Server;
  readonly #log: Logger;
  readonly #running = new Map<Exchange, Promise<void>>();
  readonly #setServing: (serving: boolean) => void;
  readonly #authorize: Authorize;
  #socket: PublishedSocket | undefined;
  #tls: TlsListener | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: ServerOptions) {
    this.#log = options.log;
    this.#authorize = options.authorize ?? allowLocal;
    this.#server = new Server({
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_concurrent_streams': 1000,
      'grpc-node.flow_control_window': MAX_MESSAGE_BYTES,
    });
    for (const service of options.services) this.#add(service, options);
    const names = options.services.map(({ name }) => name);
    this.#setServing = addHealth(this.#server, names);
    addReflection(this.#server, names);
  }

  // Every method is registered as a stream both ways, which on the wire they all are: one wrapper then serves the four kinds.
  #add(service: Implementation, options: ServerOptions): void {
    const definition: Record<string, ServiceDefinition[string]> = {};
    const implementation: Record<string, handleBidiStreamingCall<Buffer, Buffer>> = {};
    for (const { type, handler } of service.methods) {
      definition[type.schema.name] = {
        path: type.schema.path,
        requestStream: true,
        responseStream: true,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      };
      implementation[type.schema.name] = (stream) => {
        const exchange = new Exchange(stream, type, this.#log, options);
        const run = exchange.run(handler, this.#stopping ? shuttingDown() : undefined);
        this.#running.set(
          exchange,
          run.finally(() => this.#running.delete(exchange)),
        );
      };
    }
    this.#server.addService(definition, implementation);
  }

  get socketPath(): string {
    return this.#socket?.path ?? '';
  }

  get address(): string {
    return this.#tls?.address ?? '';
  }

  async listen({ socketPath, tls }: ServerOptions): Promise<void> {
    const log = this.#log.child('api');
    try {
      if (tls) {
        const gate = gated(identifyBy(tls.credentials), this.#authorize, log);
        this.#tls = await listenTls(this.#server, gate, tls, this.#log);
      }
      if (socketPath !== undefined) {
        const gate = gated(() => LOCAL, this.#authorize, log);
        this.#socket = await publishSocket(socketPath, async (path) => {
          await new Promise<void>((done, fail) => {
            this.#server.bindAsync(`unix:${path}`, gate, (error) => (error ? fail(error) : done()));
          });
        });
      }
    } catch (error) {
      this.#tls?.close();
      this.#tls?.destroy();
      this.#server.forceShutdown();
      throw error;
    }
  }

  setServing(serving: boolean): void {
    if (!this.#stopping) this.#setServing(serving);
  }

  endStreams(reason: ApiError): void {
    for (const exchange of this.#running.keys()) if (exchange.streamsResponses) exchange.abort(reason);
  }

  stop(graceMs = 5000): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<void> {
    const end = performance.now() + graceMs;
    await this.#socket?.remove();
    this.#tls?.close();
    this.#setServing(false);
    this.endStreams(shuttingDown());
    await settled([...this.#running.values()], graceMs);
    for (const exchange of this.#running.keys()) exchange.abort(shuttingDown());
    // Streams of health and reflection are not ours to end: a moment for the last answers, then the connections go.
    const closed = new Promise<void>((done) => this.#server.tryShutdown(() => done()));
    await settled([closed], Math.max(250, Math.min(1000, end - performance.now())));
    this.#server.forceShutdown();
    this.#tls?.destroy();
  }
}

function shuttingDown(): ApiError {
  return unavailable({
    reason: 'SHUTTING_DOWN',
    message: 'The server is stopping; try again when it has started.',
  });
}

/** Resolves when all have, or after `ms`. */
async function settled(promises: readonly Promise<unknown>[], ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((done) => (timer = setTimeout(done, ms)));
  await Promise.race([Promise.allSettled(promises), timeout]);
  clearTimeout(timer);
}

/**
 * Starts serving.
 * @throws ApiError ADDRESS, LISTEN, SOCKET_IN_USE, SOCKET_PATH_TAKEN, SOCKET_PATH_TOO_LONG, SOCKET_FOLDER, and what the file system throws
 */
export async function startServer(options: ServerOptions): Promise<ApiServer> {
  const server = new GrpcServer(options);
  await server.listen(options);
  const { socketPath, address } = server;
  options.log.child('api').info('serving', {
    socket: socketPath === '' ? undefined : socketPath,
    address: address === '' ? undefined : address,
  });
  return server;
}
