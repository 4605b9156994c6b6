/** SetRoutes: all static routes of one node at once, by a stream that counts only when it is whole. */
import { randomUUID } from 'node:crypto';

import { invalidArgument, resourceExhausted, type ApiError } from '../api/errors.js';
import { type Route, type SetRoutesBegin, type SetRoutesRequest } from '../api/service.js';
import { formatPrefix } from '../api/names.js';
import { missing } from '../controller/access.js';
import { readStream } from '../controller/stream.js';
import { unsettle } from './admit.js';
import { checkDestination } from './checks.js';
import { nodeOfRoute } from './kinds.js';
import { idOf, type ServiceState } from './model.js';
import { checkNextHops, checkOnVifs } from './next-hops.js';
import { Collector, type StaticRoutes } from './static-routes.js';
import { vifsOf } from './vifs.js';

/** Of one node. */
export const MOST_ROUTES = 100_000;
/** Of all streams under way. */
const MOST_UNDER_WAY = 400_000;

const wrong = (field: string, reason: string, message: string): ApiError =>
  invalidArgument({ reason, field, message });

export class SetRoutes {
  readonly #state: ServiceState;
  readonly #statics: StaticRoutes;
  #underWay = 0;

  constructor(state: ServiceState, statics: StaticRoutes) {
    this.#state = state;
    this.#statics = statics;
  }

  /** @throws ApiError STREAM_ORDER, STREAM_TRUNCATED, NOT_FOUND, and what is wrong with a route */
  async run(requests: AsyncIterable<SetRoutesRequest>, signal: AbortSignal): Promise<{ routes: number }> {
    let held = 0;
    let total = 0;
    const collector = new Collector();
    try {
      const { begin } = await readStream(requests, {
        of: 'route',
        step: (request) =>
          request.begin
            ? { begin: request.begin }
            : request.routes
              ? { batch: request.routes.routes }
              : request.commit && { commit: request.commit.routeCount },
        begin: ({ node }: SetRoutesBegin) => {
          if (!this.#state.get('node', node)) throw missing(node, 'begin.node');
        },
        batch: (routes: readonly Route[]) => {
          this.#underWay += routes.length;
          held += routes.length;
          if (this.#underWay > MOST_UNDER_WAY)
            throw tooMany('Too many routes are under way; repeat it later.');
          for (const route of routes) this.#add(route, total++, collector);
          return routes.length;
        },
      });
      signal.throwIfAborted();
      await this.#put(begin, collector);
      return { routes: total };
    } finally {
      this.#underWay -= held;
    }
  }

  #add(route: Route, index: number, collector: Collector): void {
    const at = (field: string, reason: string, message: string): ApiError =>
      wrong(`routes[${index}].${field}`, reason, `routes[${index}].${message}`);
    if (index >= MOST_ROUTES)
      throw tooMany(`A node has at most ${MOST_ROUTES} static routes.`, `routes[${index}]`);
    if (route.name !== '')
      throw at('name', 'NAME', 'name must be empty: routes by SetRoutes are told by their destinations.');
    const prefix = checkDestination(route.destination, at);
    const destination = formatPrefix(prefix);
    checkNextHops(route, prefix.family, at);
    const { type, nextHops, announce } = route;
    const hops = nextHops.map(({ vif, gateway, weight }) => ({ vif, gateway, weight }));
    if (!collector.add(destination, { destination, type, hops, announce }))
      throw at('destination', 'DUPLICATE', `destination ${destination} is in this stream already.`);
  }

  async #put({ node, validateOnly }: SetRoutesBegin, collector: Collector): Promise<void> {
    const statics = collector.done();
    const check = (view: Parameters<typeof vifsOf>[0]): void => {
      if (!view.get('node', node)) throw missing(node, 'begin.node');
      const vifs = vifsOf(view, node);
      try {
        checkOnVifs(statics.uses, vifs, idOf(node), wrong);
      } catch {
        // which route it is, is only looked for when there is one
        let i = 0;
        for (const { index, hops } of indexed(collector)) {
          checkOnVifs(hops, vifs, idOf(node), (field, reason, message) =>
            wrong(`routes[${index}].${field}`, reason, `routes[${index}].${message}`),
          );
          i++;
        }
        throw new Error(`${i} routes are right one by one and wrong together`);
      }
    };
    if (validateOnly) {
      check(this.#state);
      return;
    }
    // before anything is written: what is refused in the end for sure need not be
    check(this.#state);
    await this.#statics.replace(node, statics, randomUUID(), (tx) => {
      check(tx);
      unsettle(tx);
      for (const { name } of tx.all('route')) if (nodeOfRoute(name) === node) tx.delete(name);
    });
  }
}

/** In the order of the stream. */
function* indexed(collector: Collector): Generator<{ index: number; hops: Route['nextHops'] }, void> {
  let index = 0;
  for (const { hops } of collector.inOrder()) yield { index: index++, hops };
}

function tooMany(message: string, field?: string): ApiError {
  return resourceExhausted({ reason: 'TOO_MANY_ROUTES', field, message });
}
