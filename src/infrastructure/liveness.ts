/** How the provider watches the links that it leases: so that it knows before its customers do. Pure. */
import { type ResourceDraft } from '../api/node.js';
import { type CarriedEnd } from './compose-wires.js';

type Path = NonNullable<NonNullable<NonNullable<ResourceDraft['vif']>['link']>['paths']>[number];

/** cabernet.node.v1.Payload */
const PAYLOAD_IP = 2;

/** 150 ms until a link is called down. Its customers, whose traffic it is, may watch closer. */
const INTERVAL_US = 50_000;
const MULTIPLIER = 3;
/** Ten times a second: what is promised of a lease is accounted for by the minute. */
const MEASUREMENT_US = 100_000;
/** There is no other path to come back from: as soon as it is up. */
const RESTORE_MS = 0;

/** The path of an end, watched where the link's payload has a channel for it. */
export function watchedPath({ path, arrives }: CarriedEnd, payload: number): Path {
  if (payload === PAYLOAD_IP) return path;
  const elsewhere = arrives && !sameContext(path, arrives) ? contextOf(arrives) : {};
  return {
    ...path,
    liveness: {
      ...elsewhere,
      label: arrives?.label ?? 0,
      minTxUs: INTERVAL_US,
      minRxUs: INTERVAL_US,
      multiplier: MULTIPLIER,
      restoreMs: RESTORE_MS,
    },
    // no limits: there is no other path to use
    measurement: { intervalUs: MEASUREMENT_US },
  };
}

type Context = CarriedEnd['path'];

function contextOf(of: Context): { readonly wire: string } | { readonly tunnel: string } {
  return 'wire' in of ? { wire: of.wire } : { tunnel: of.tunnel };
}

function sameContext(a: Context, b: Context): boolean {
  return JSON.stringify(contextOf(a)) === JSON.stringify(contextOf(b));
}
