/**
 * The main routing table of a namespace's kernel, followed by its events: which route of each prefix counts, and
 * what it means for the tables. Pure.
 */
import { formatAddress, isLinkLocal, parseAddress, parsePrefix, type Prefix } from './address.js';
import { type NetlinkEvent, type Route } from '../../native/lib/index.js';
import { LeftOut } from './left-out.js';
import { type SingleTarget, type Target } from './rib.js';
import { type Way, WAYS } from './ways.js';

/** RT_TABLE_MAIN */
export const MAIN_TABLE = 254;
/** RTPROT_KERNEL: the prefixes of the namespace's own addresses. */
export const PROTOCOL_KERNEL = 2;
/** Routes that the agent installs for a controller; unassigned in rt_protos. */
export const PROTOCOL_CABERNET = 202;

/** RTNH_F_DEAD | RTNH_F_LINKDOWN */
const UNUSABLE = 1 | 16;

export interface KernelRoute {
  readonly prefix: Prefix;
  readonly layer: 'connected' | 'route';
  readonly target: Target;
}

function isRelevant(route: Route): boolean {
  if (route.table !== MAIN_TABLE || route.protocol === PROTOCOL_CABERNET) return false;
  const prefix = parsePrefix(route.destination);
  return prefix !== undefined && isForwarded(prefix);
}

/** Prefixes that the data plane leaves to the kernel anyway. */
function isForwarded(prefix: Prefix): boolean {
  return prefix.length === 0 || (!isLinkLocal(prefix) && !(prefix.family === 6 && prefix.bytes[0] === 0xff));
}

function canonical(address: string): string {
  const parsed = parseAddress(address);
  return parsed ? formatAddress(parsed.bytes) : address;
}

/** What a route of the kernel means; `deviceOf` gives '' for what is no vif: the kernel forwards there. */
export function targetOf(route: Route, deviceOf: (index: number) => string): Target | undefined {
  switch (route.type) {
    case 'unicast':
      break;
    case 'local':
      return { kind: 'local' };
    case 'blackhole':
      return { kind: 'blackhole' };
    case 'unreachable':
    case 'prohibit':
      return { kind: 'unreachable' };
    default:
      return undefined;
  }
  const ways = route.nextHops
    .filter((hop) => (hop.flags & UNUSABLE) === 0)
    .slice(0, WAYS)
    .map((hop): Way<SingleTarget> => {
      const vif = deviceOf(hop.index);
      const to: SingleTarget =
        vif !== '' && hop.gateway !== undefined
          ? { kind: 'hop', vif, gateway: canonical(hop.gateway) }
          : { kind: 'glean', vif };
      return { to, weight: Math.min(Math.max(hop.weight, 1), 256) };
    });
  const [first] = ways;
  if (!first) return { kind: 'glean', vif: '' };
  return ways.length === 1 ? first.to : { kind: 'group', ways };
}

/** The table must be read again. */
export const RESYNC = Symbol('resync');

export class KernelRoutes {
  /** By destination, then by metric: the kernel prefers the smallest. */
  readonly #routes = new Map<string, Map<number, Route>>();
  readonly #leftOut = new LeftOut();
  #limit: number;

  /** `limit`: destinations, whatever else the kernel has. */
  constructor(limit = Infinity) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#routes.size;
  }

  /** Destinations of the kernel that are not here for want of room. */
  get leftOut(): number {
    return this.#leftOut.size;
  }

  /** True if what is left out may have room now: the table must be read again. */
  get hasRoom(): boolean {
    return this.#routes.size < this.#limit && (this.#leftOut.size > 0 || this.#leftOut.more);
  }

  /** Counts with the next reset(). */
  setLimit(limit: number): void {
    this.#limit = limit;
  }

  /** Replaces everything; returns the destinations that were or are there. */
  reset(routes: readonly Route[]): Set<string> {
    const changed = new Set(this.#routes.keys());
    this.#routes.clear();
    this.#leftOut.clear();
    for (const route of routes) {
      if (!isRelevant(route)) continue;
      if (this.#put(route)) changed.add(route.destination);
    }
    return changed;
  }

  /**
   * One event: the destination that changed, RESYNC where the event does not say enough and the table must be
   * read again, or undefined.
   */
  apply(event: NetlinkEvent): string | typeof RESYNC | undefined {
    if (event.type === 'resync') return RESYNC;
    if (event.what !== 'route') return undefined;
    const route = event.object;
    if (!isRelevant(route)) return undefined;
    if (event.type === 'new') return this.#put(route) ? route.destination : undefined;
    if (!this.#routes.has(route.destination)) this.#leftOut.delete(route.destination);
    const metrics = this.#routes.get(route.destination);
    const known = metrics?.get(route.metric);
    if (!metrics || !known) return undefined;
    // IPv6 tells of each way apart that leaves a multipath route
    if (known.nextHops.length > route.nextHops.length) return RESYNC;
    metrics.delete(route.metric);
    if (metrics.size === 0) this.#routes.delete(route.destination);
    return route.destination;
  }

  best(destination: string): Route | undefined {
    const metrics = this.#routes.get(destination);
    if (!metrics) return undefined;
    let best: Route | undefined;
    for (const route of metrics.values()) if (!best || route.metric < best.metric) best = route;
    return best;
  }

  /** What one destination is in the tables; undefined: not routed there. */
  view(destination: string, deviceOf: (index: number) => string): KernelRoute | undefined {
    const route = this.best(destination);
    const prefix = parsePrefix(destination);
    if (!route || !prefix || !isForwarded(prefix)) return undefined;
    const target = targetOf(route, deviceOf);
    return target && { prefix, layer: route.protocol === PROTOCOL_KERNEL ? 'connected' : 'route', target };
  }

  destinations(): IterableIterator<string> {
    return this.#routes.keys();
  }

  /** False: left out. */
  #put(route: Route): boolean {
    let metrics = this.#routes.get(route.destination);
    if (!metrics) {
      if (this.#routes.size >= this.#limit) {
        this.#leftOut.add(route.destination, true);
        return false;
      }
      this.#routes.set(route.destination, (metrics = new Map<number, Route>()));
    }
    metrics.set(route.metric, route);
    return true;
  }
}
