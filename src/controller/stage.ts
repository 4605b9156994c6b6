/**
 * What a process serves whether it leads or not: all methods are there from the start, and are refused with NOT_LEADER unless a
 * controller is on the stage.
 */
import { type ApiError, unavailable } from '../api/errors.js';
import { type MethodType } from '../api/message.js';
import { type Implementation } from '../api/server.js';
import { streamsOf } from '../api/wire.js';

type Handler = Implementation['methods'][number]['handler'];

/** A service at run time, whichever. */
export interface AnyService {
  readonly schema: { readonly name: string };
  readonly methods: ReadonlyMap<string, MethodType>;
}

export class Stage {
  readonly services: readonly Implementation[];
  readonly #whoLeads: () => Promise<string | undefined>;
  #playing: ReadonlyMap<string, Handler> | undefined;

  /** `whoLeads`: the address of the one that does, as far as it is known. */
  constructor(services: readonly AnyService[], whoLeads: () => Promise<string | undefined>) {
    this.#whoLeads = whoLeads;
    this.services = services.map(({ schema, methods }) => ({
      name: schema.name,
      methods: [...methods.values()].map((type) => ({ type, handler: this.#handler(type) })),
    }));
  }

  enter(services: readonly Implementation[]): void {
    this.#playing = new Map(
      services.flatMap(({ methods }) => methods.map(({ type, handler }) => [type.schema.path, handler])),
    );
  }

  leave(): void {
    this.#playing = undefined;
  }

  async #find({ schema }: MethodType): Promise<Handler> {
    const found = this.#playing?.get(schema.path);
    if (found) return found;
    throw notLeader(await this.#whoLeads());
  }

  #handler(type: MethodType): Handler {
    const find = (): Promise<Handler> => this.#find(type);
    const handler: Handler = {
      none: async (request, call) => (await find()).none(request, call),
      request: async (requests, call) => (await find()).request(requests, call),
      async *response(request, call) {
        yield* (await find()).response(request, call);
      },
      async *both(requests, call) {
        yield* (await find()).both(requests, call);
      },
    };
    const streams = streamsOf(type.schema);
    return { [streams]: handler[streams] } as unknown as Handler;
  }
}

export function notLeader(leader?: string): ApiError {
  return unavailable({
    reason: 'NOT_LEADER',
    message:
      leader === undefined
        ? 'This replica does not lead, nor is it known who does; ask the others, or again later.'
        : `This replica does not lead; the one at ${leader} does.`,
  });
}
