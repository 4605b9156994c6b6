/**
 * One client over those of several replicas, of which one leads. Whoever answered last is asked first. What surely was not
 * begun (nobody was reached, or NOT_LEADER) goes to the next one at once; whatever else makes a replica unavailable is the
 * caller's to repeat, and finds the next one then.
 */
import { type Client } from './client.js';
import { ApiError, Status } from './errors.js';
import { type ServiceType } from './message.js';
import { streamsOf } from './wire.js';

type Once = (request: unknown, options?: object) => Promise<unknown>;
type Stream = (request: unknown, options?: object) => AsyncIterable<unknown>;
type Methods = Readonly<Record<string, Once & Stream>>;

/** Nobody was reached, or who was is not the one meant, or refused before it began. */
const NOT_BEGUN = /^(UNREACHABLE|HUNG_UP|NO_TLS|WRONG_PEER|(OWN_)?CERTIFICATE_[A-Z_]+|NOT_LEADER)$/;

class Round {
  readonly #clients: readonly Methods[];
  #first = 0;

  constructor(clients: readonly Methods[]) {
    this.#clients = clients;
  }

  /** `tries`: the call can be made again. Asks each once, and throws what tells most. */
  async *go(key: string, tries: boolean, call: (client: Methods) => AsyncIterable<unknown>): AsyncGenerator {
    let told: ApiError | undefined;
    for (let left = this.#clients.length; left > 0; left--) {
      const index = this.#first;
      const client = this.#clients[index];
      if (!client) break;
      let begun = false;
      try {
        for await (const answer of call(client)) {
          begun = true;
          yield answer;
        }
        return;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== Status.UNAVAILABLE) throw error;
        // another call may have found the way already
        if (this.#first === index) this.#first = (index + 1) % this.#clients.length;
        if (begun || !tries || !NOT_BEGUN.test(error.reason)) throw error;
        // that one is there says more than that another is not
        if (!told || error.reason !== 'UNREACHABLE') told = error;
      }
    }
    throw told ?? new Error(`${key} has nobody to go to`);
  }
}

/** The clients are closed with it; there is at least one. */
export function goingRound<S>(service: ServiceType<S>, clients: readonly Client<S>[]): Client<S> {
  const [only, ...others] = clients;
  if (only && others.length === 0) return only;
  const round = new Round(clients as unknown as readonly Methods[]);
  const one: Record<string, unknown> = {
    close: () => {
      for (const client of clients) client.close();
    },
    // the errors of all of them: the first is as good as any
    ready: (deadlineMs: number) =>
      Promise.any(clients.map((client) => client.ready(deadlineMs))).catch((error: unknown) => {
        throw error instanceof AggregateError ? error.errors[0] : error;
      }),
  };
  for (const [key, type] of service.methods) {
    const streams = streamsOf(type.schema);
    // what was sent of a stream of requests is gone
    const tries = streams === 'none' || streams === 'response';
    const answersOnce = streams === 'none' || streams === 'request';
    const go = (request: unknown, options?: object): AsyncGenerator =>
      round.go(key, tries, (client) =>
        answersOnce ? once(() => client[key]?.(request, options)) : (client[key] as Stream)(request, options),
      );
    one[key] = answersOnce
      ? async (request: unknown, options?: object) => (await go(request, options).next()).value as unknown
      : go;
  }
  return one as unknown as Client<S>;
}

async function* once(ask: () => unknown): AsyncGenerator {
  yield await ask();
}
