/**
 * Watch, also over a server that goes away and comes back: no event is missed, none is told twice. A token stands for
 * what was received up to it, but before `synced` what there was has not all been received: then it begins anew, and
 * what was told already is left out.
 */
import { ApiError, Status } from '../api/errors.js';
import { types } from '../api/types.js';
import { type AnyResource, bodyOf, type ResourceClient, type WatchAnswer } from './api.js';

export type Happening = 'current' | 'synced' | 'changed' | 'deleted';

export interface Seen {
  readonly type: Happening;
  /** Undefined of `synced`. */
  readonly resource: AnyResource | undefined;
  /** To go on from behind this event; empty before `synced`. */
  readonly resumeToken: string;
}

export interface FollowOptions {
  /** As the server wants them; none: all. */
  readonly collections: readonly string[];
  /** Empty: what there is, then changes. */
  readonly resumeToken: string;
  readonly signal: AbortSignal;
  /** When the token has become too old: begin anew and tell what differs, instead of failing. */
  readonly catchUp: boolean;
  readonly onAway?: ((error: ApiError | undefined) => void) | undefined;
}

const PAUSE = 200;

/** Until the signal; ends without an error then. */
export async function* follow(client: ResourceClient, options: FollowOptions): AsyncGenerator<Seen, void> {
  const { collections, signal } = options;
  const told = new Map<string, AnyResource>();
  let token = options.resumeToken;
  while (!signal.aborted) {
    try {
      const request = { collections, resumeToken: token, includeCurrent: token === '' };
      const round = new Set<string>();
      for await (const answer of client.watch(request, { signal })) {
        for (const seen of news(answer, told, round)) {
          if (seen.type !== 'current') token = answer.resumeToken;
          yield seen;
        }
      }
      if (!signal.aborted) options.onAway?.(undefined);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      if (error.reason === 'RESUME_TOKEN_EXPIRED' && options.catchUp) token = '';
      else if (error.status === Status.UNAVAILABLE) options.onAway?.(error);
      else throw error;
    }
    await pause(signal);
  }
}

/** What is new in an answer; `told` and `round` are kept up. */
function* news(
  answer: WatchAnswer,
  told: Map<string, AnyResource>,
  round: Set<string>,
): Generator<Seen, void> {
  const { EventType } = types;
  const { type, resource, resumeToken } = answer;
  const { name, status } = bodyOf(resource);
  switch (type) {
    case EventType.EVENT_TYPE_CURRENT: {
      round.add(name);
      const before = bodyOf(told.get(name)).status?.etag;
      if (resource) told.set(name, resource);
      if (before === undefined || before !== status?.etag)
        yield { type: 'current', resource, resumeToken: '' };
      return;
    }
    case EventType.EVENT_TYPE_SYNCED:
      for (const [gone, last] of told) {
        if (round.has(gone)) continue;
        told.delete(gone);
        yield { type: 'deleted', resource: last, resumeToken: '' };
      }
      yield { type: 'synced', resource: undefined, resumeToken };
      return;
    case EventType.EVENT_TYPE_DELETED:
      told.delete(name);
      yield { type: 'deleted', resource, resumeToken };
      return;
    case EventType.EVENT_TYPE_CHANGED:
      if (resource) told.set(name, resource);
      yield { type: 'changed', resource, resumeToken };
      return;
    default: // of a later version
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, PAUSE);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
