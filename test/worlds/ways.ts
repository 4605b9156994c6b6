/* The two paths of a protected service link of a world, as the data planes of its ends have them. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { BpfMap } from '../../native/lib/index.js';
import { Session, SessionState, SweepControl } from '../../gen/layout.js';
import { v1 } from '../../src/api/node.js';
import { BfdState } from '../../src/dataplane/index.js';
import { clientOf } from '../../src/world/agents.js';
import { pinDirectory } from '../../src/world/place.js';
import { readState, type WorldState } from '../../src/world/state.js';

export const ENDS = ['P', 'M'] as const;
export type End = (typeof ENDS)[number];

/** By the node next on it. */
export type Way = 'Q' | 'A';

/** A path as one end has it. Times are of CLOCK_MONOTONIC, nanoseconds. */
export interface WayState {
  readonly inUse: boolean;
  readonly isUp: boolean;
  /** Of the session, of this end. */
  readonly discriminator: number;
  readonly since: number;
  readonly failures: number;
  readonly failed: number;
  readonly lastHeard: number;
  /** Too bad, and how often it became so. */
  readonly degraded: boolean;
  readonly degradations: number;
}

export type Ways = Readonly<Record<End, Readonly<Record<Way, WayState>>>>;

export function stateOf(world: string): WorldState {
  const state = readState(world);
  if (!state) throw new Error(`${world} is not up`);
  return state;
}

async function waysAt(world: string, end: End, network: string): Promise<Record<Way, WayState>> {
  const client = clientOf(world, end);
  try {
    const { paths } = await client.listPaths({ pageSize: 0, pageToken: '' }, { deadlineMs: 10_000 });
    const found: Partial<Record<Way, WayState>> = {};
    for (const { vif, below, inUse, liveness, measurement } of paths) {
      if (!vif.startsWith(`vns/conn_${network}/`) || !liveness) continue;
      found[below[0]?.endsWith('/to-A') ? 'A' : 'Q'] = {
        inUse,
        isUp: liveness.state === v1.SessionState.SESSION_STATE_UP,
        discriminator: liveness.discriminator,
        since: Number(liveness.sinceNs),
        failures: liveness.failures,
        failed: Number(liveness.failedNs),
        lastHeard: Number(liveness.lastHeardNs),
        degraded: measurement?.degraded ?? false,
        degradations: measurement?.degradations ?? 0,
      };
    }
    const { Q, A } = found;
    if (!Q || !A) throw new Error(`at ${end} the link does not have two paths that are watched`);
    return { Q, A };
  } finally {
    client.close();
  }
}

export async function waysOf(world: string, network = 'iptv'): Promise<Ways> {
  const [P, M] = await Promise.all([waysAt(world, 'P', network), waysAt(world, 'M', network)]);
  return { P, M };
}

/** Both ends at once, so that no direction is forgotten. Throws with what there was last. */
export async function waysUntil(
  world: string,
  what: string,
  look: (ways: Ways[End]) => boolean,
  seconds = 20,
  network = 'iptv',
): Promise<Ways> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const ways = await waysOf(world, network);
    if (ENDS.every((at) => look(ways[at]))) return ways;
    if (Date.now() > end) throw new Error(`${what}: not in ${seconds} s: ${JSON.stringify(ways)}`);
    await delay(20);
  }
}

const keyOf = (id: number): Buffer => Buffer.from(Uint32Array.of(id).buffer);

/** What a map of a machine's data plane has, whether or not an agent lives. */
function pinned<T>(world: string, machine: string, name: string, read: (map: BpfMap) => T): T {
  const map = BpfMap.openPinned(join(pinDirectory(world, machine), 'maps', name));
  try {
    return read(map);
  } finally {
    map.close();
  }
}

/** The longest that a sweep of this machine came after the one before, nanoseconds. */
export function worstTick(world: string, machine: string): number {
  const value = pinned(world, machine, 'sweep_control', (map) => map.lookup(keyOf(0)));
  if (!value) throw new Error('there is no sweep');
  return Number(SweepControl.decode(value).worst);
}

/** As the data plane has this path's session now: no agent is asked. */
function sessionNow(world: string, end: End, { discriminator }: WayState): Partial<WayState> {
  const id = pinned(world, end, 'sessions', (map) => {
    for (let one = 1; one < 64; one++) {
      const value = map.lookup(keyOf(one));
      if (value && Session.decode(value).discriminator === discriminator) return one;
    }
    throw new Error('there is no such session');
  });
  const value = pinned(world, end, 'session_states', (map) => map.lookup(keyOf(id)));
  if (!value) throw new Error('the session has no state');
  const { word, since, failures, leftUp, lastHeard } = SessionState.decode(value);
  return {
    isUp: (word & 0xff) === BfdState.BFD_UP,
    since: Number(since),
    failures,
    failed: Number(leftUp),
    lastHeard: Number(lastHeard),
  };
}

/** The same paths later, while no agent lives. Which is in use it does not say. */
export function sessionsNow(world: string, known: Ways): Ways {
  const at = (end: End): Ways[End] => ({
    Q: { ...known[end].Q, ...sessionNow(world, end, known[end].Q) },
    A: { ...known[end].A, ...sessionNow(world, end, known[end].A) },
  });
  return { P: at('P'), M: at('M') };
}
