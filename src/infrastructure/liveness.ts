/** How the provider watches the links that it leases, so that it knows before its customers do, and the wires under lsps. Pure. */
import { type ResourceDraft } from '../api/node.js';
import { type CarriedEnd } from './compose-wires.js';
import { type Bodies } from './kinds.js';

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

/** Where nothing is said of a wire: sooner than its customers' own protection looks. */
const WIRE_DETECTION_US = 30_000;
/** A wire or a router has to be up for so long before traffic comes back to it, and twice as long after each further time. */
const WIRE_RESTORE_MS = 1000;

/** `wires/p-q`, watched in its own channel: that it is cut is seen by its ends, and all goes by the bypass. */
export function watchedWire({ name, detectionUs }: Bodies['wire']): ResourceDraft {
  const interval = Math.floor((detectionUs || WIRE_DETECTION_US) / MULTIPLIER);
  return {
    bfdPeer: {
      name: `bfdPeers/${name.slice('wires/'.length)}`,
      wire: name,
      minTxUs: interval,
      minRxUs: interval,
      multiplier: MULTIPLIER,
      restoreMs: WIRE_RESTORE_MS,
    },
  };
}

/** Of routers, which do not all send more often. */
const NEIGHBOUR_DETECTION_US = 150_000;

/** A router next to the machine: tunnels leave their ways by it while it is silent. */
export function watchedNeighbour(neighbour: Bodies['machine']['neighbours'][number]): ResourceDraft {
  const { name, vlan, localAddress, remoteAddress, detectionUs } = neighbour;
  const interval = Math.floor((detectionUs || NEIGHBOUR_DETECTION_US) / MULTIPLIER);
  return {
    bfdPeer: {
      name: `bfdPeers/underlay.${name}`,
      interface: neighbour.interface,
      ...{ vlan, localAddress, remoteAddress },
      minTxUs: interval,
      minRxUs: interval,
      multiplier: MULTIPLIER,
      restoreMs: WIRE_RESTORE_MS,
    },
  };
}

type Context = CarriedEnd['path'];

function contextOf(of: Context): { readonly wire: string } | { readonly tunnel: string } {
  return 'wire' in of ? { wire: of.wire } : { tunnel: of.tunnel };
}

function sameContext(a: Context, b: Context): boolean {
  return JSON.stringify(contextOf(a)) === JSON.stringify(contextOf(b));
}
