/** `--wait`: until what was asked for is in force, is refused, or the time is over. */
import { type AnyResource, bodyOf, type ResourceClient } from './api.js';
import { ResourceError } from './errors.js';
import { follow } from './follow.js';
import { parentOf } from './lists.js';

/** What a resource was when it was asked for. */
export interface Goal {
  readonly name: string;
  readonly generation: bigint;
  readonly etag: string;
  /** The request changed nothing of it. */
  readonly unchanged: boolean;
}

type Verdict = 'waiting' | 'ready' | { readonly failed: string };

function verdictOf(goal: Goal, resource: AnyResource): Verdict {
  const { status } = bodyOf(resource);
  if (!status || status.generation < goal.generation) return 'waiting';
  const { reconciling, state, etag, message } = status;
  // A refusal of an earlier generation stays to be seen until the controller has looked at this one.
  const fresh = !reconciling || goal.unchanged || etag !== goal.etag;
  if (state === 'refused' && fresh)
    return { failed: `refused: ${message === '' ? 'no reason is told' : message}` };
  return reconciling ? 'waiting' : 'ready';
}

export interface WaitOptions {
  readonly timeoutSeconds: number;
  readonly onReady: (name: string) => Promise<void>;
}

/** How long others may take to fail too, milliseconds. */
const AFTER_FAILURE = 500;

/** @throws ResourceError that names all that failed, or else are not ready, and why */
export async function waitUntilReady(
  client: ResourceClient,
  goals: readonly Goal[],
  options: WaitOptions,
): Promise<void> {
  const open = new Map(goals.map((goal) => [goal.name, goal]));
  const last = new Map<string, AnyResource>();
  const failures: string[] = [];
  const seen = new Set<string>();
  const failed = new AbortController();
  await watching(client, goals, { ...options, enough: failed.signal }, async (type, resource) => {
    if (type === 'synced') {
      for (const name of open.keys()) {
        if (seen.has(name)) continue;
        open.delete(name);
        failures.push(`${name} is gone`);
      }
    }
    const { name } = bodyOf(resource);
    const goal = open.get(name);
    if (!resource || !goal) return open.size === 0;
    seen.add(name);
    last.set(name, resource);
    const verdict: Verdict = type === 'deleted' ? { failed: 'deleted meanwhile' } : verdictOf(goal, resource);
    if (verdict === 'waiting') return false;
    open.delete(name);
    if (verdict === 'ready') await options.onReady(name);
    else {
      failures.push(`${name} is ${verdict.failed}`);
      // what hangs on it would wait for nothing
      setTimeout(() => failed.abort(), AFTER_FAILURE).unref();
    }
    return open.size === 0;
  });
  for (const name of failures.length > 0 ? [] : open.keys()) {
    const { status } = bodyOf(last.get(name));
    const state = status
      ? `: it is ${[status.state, status.message].filter((one) => one !== '').join(', ')}`
      : '';
    failures.push(`${name} is not ready after ${options.timeoutSeconds} s${state}`);
  }
  if (failures.length > 0) throw new ResourceError(failures);
}

/** @throws ResourceError that names those that are still there */
export async function waitUntilGone(
  client: ResourceClient,
  names: readonly string[],
  timeoutSeconds: number,
): Promise<void> {
  const left = new Set<string>();
  const wanted = new Set(names);
  const goals = names.map((name) => ({ name }));
  let synced = false;
  await watching(client, goals, { timeoutSeconds }, (type, resource) => {
    const { name } = bodyOf(resource);
    if (type === 'synced') synced = true;
    else if (wanted.has(name) && type === 'deleted') left.delete(name);
    else if (wanted.has(name)) left.add(name);
    return Promise.resolve(synced && left.size === 0);
  });
  if (!synced) throw new ResourceError(`nobody says after ${timeoutSeconds} s whether they are gone`);
  if (left.size > 0)
    throw new ResourceError(
      [...left].map((name) => `${name} is still there after ${timeoutSeconds} s`).join('\n'),
    );
}

/** Until `done` says so, or the time is over. */
async function watching(
  client: ResourceClient,
  goals: readonly { readonly name: string }[],
  { timeoutSeconds, enough }: { readonly timeoutSeconds: number; readonly enough?: AbortSignal },
  done: (type: string, resource: AnyResource | undefined) => Promise<boolean>,
): Promise<void> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeoutSeconds * 1000);
  const collections = [...new Set(goals.map(({ name }) => parentOf(name)))];
  try {
    const signal = enough ? AbortSignal.any([stop.signal, enough]) : stop.signal;
    const events = follow(client, { collections, resumeToken: '', signal, catchUp: true });
    for await (const { type, resource } of events) if (await done(type, resource)) break;
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}
