/**
 * How much a data plane can hold: chosen when it is first opened, since a map never grows. Record 0 of every table
 * is "none", so that a table of capacity n has n - 1 ids.
 */
import { Limit, MarkDirection, MeterDirection } from '../../gen/layout.js';
import { type MapDescription, possibleCpus } from '../../native/lib/index.js';
import { wrongArgument } from './errors.js';

export interface Capacities {
  /** Highest interface index, plus one. */
  readonly interfaces: number;
  readonly nodes: number;
  readonly vifs: number;
  readonly paths: number;
  /** Paths and neighbours that are watched. */
  readonly sessions: number;
  readonly tunnels: number;
  readonly wires: number;
  readonly underlayHops: number;
  readonly nextHops: number;
  /** Labels, all contexts together; four times a power of two. */
  readonly labels: number;
  /** Chunks of routes, 1 KB each. */
  readonly chunks: number;
  /** Entries of the flow caches per CPU, 32 and 64 bytes each; powers of two. */
  readonly flows4: number;
  readonly flows6: number;
}

/** The map that says how large a table is by default. */
const MAPS: Readonly<Record<keyof Capacities, string>> = {
  interfaces: 'ports',
  nodes: 'nodes',
  vifs: 'vifs',
  paths: 'paths',
  sessions: 'sessions',
  tunnels: 'tunnels',
  wires: 'wires',
  underlayHops: 'underlay_hops',
  nextHops: 'next_hops',
  labels: 'labels',
  chunks: 'chunks',
  flows4: 'flows4',
  flows6: 'flows6',
};

const POWERS_OF_TWO: ReadonlySet<keyof Capacities> = new Set(['labels', 'flows4', 'flows6']);

/** A table's ids must leave the highest bit free, and a map's memory must be addressable. */
const LARGEST = 1 << 24;

/** What was asked for, completed by the object's own sizes. */
export function chooseCapacities(
  maps: readonly MapDescription[],
  wanted: Partial<Capacities> = {},
): Capacities {
  const result: Partial<Record<keyof Capacities, number>> = {};
  for (const table of Object.keys(MAPS) as Array<keyof Capacities>) {
    const declared = maps.find((map) => map.name === MAPS[table])?.maxEntries ?? 0;
    const value = wanted[table] ?? (table === 'labels' ? declared * Limit.LIMIT_LABEL_SLOTS : declared);
    if (!Number.isInteger(value) || value < 2 || value > LARGEST) {
      throw wrongArgument('open', `capacities.${table}`, `an integer from 2 to ${LARGEST}`);
    }
    const power = table === 'labels' ? value / Limit.LIMIT_LABEL_SLOTS : value;
    if (POWERS_OF_TWO.has(table) && (!Number.isInteger(power) || (power & (power - 1)) !== 0)) {
      const times = table === 'labels' ? `${Limit.LIMIT_LABEL_SLOTS} times a power of two` : 'a power of two';
      throw wrongArgument('open', `capacities.${table}`, times);
    }
    result[table] = value;
  }
  return result as Capacities;
}

/** A quarter of the slots is ever used: two entries a tunnel, four slots a bucket. */
function tunnelBuckets(tunnels: number): number {
  return 2 ** Math.ceil(Math.log2(2 * tunnels));
}

/** Elements of each map. */
export function maxEntries(capacities: Capacities): Readonly<Record<string, number>> {
  const { interfaces, nodes, vifs, paths, sessions, tunnels, wires, underlayHops, nextHops, labels, chunks } =
    capacities;
  return {
    ports: interfaces,
    devices: interfaces,
    nodes,
    tables: 2 * nodes,
    drops: nodes * Limit.LIMIT_DROP_ROW,
    punts: nodes * Limit.LIMIT_PUNT_ROW,
    vifs,
    vif_counters: vifs,
    meters: vifs * MeterDirection.METER_DIRECTIONS,
    links: vifs,
    link_histories: vifs,
    merges: vifs,
    merge_counters: vifs,
    copies: possibleCpus() * Limit.LIMIT_COPY_SLOTS,
    sessions,
    sessions_heard: sessions,
    session_states: sessions,
    sessions_sent: sessions,
    session_ends: sessions,
    measures_sent: sessions,
    measure_states: sessions,
    delay_histograms: sessions,
    marked: sessions * MarkDirection.MARK_DIRECTIONS,
    peers: sessions,
    peer_ends: sessions,
    paths,
    path_counters: paths,
    tunnels,
    tunnel_ends4: tunnelBuckets(tunnels),
    tunnel_ends6: 2 * tunnels,
    wires,
    wire_ends: wires,
    underlay_hops: underlayHops,
    next_hops: nextHops,
    labels: labels / Limit.LIMIT_LABEL_SLOTS,
    chunks,
    flows4: capacities.flows4,
    flows6: capacities.flows6,
    names: nodes + vifs + paths + tunnels + wires + sessions + labels,
  };
}

/** Constants of the programs that follow from sizes. */
export function constants(capacities: Capacities): Readonly<Record<string, number>> {
  return {
    flow4_mask: capacities.flows4 - 1,
    flow6_mask: capacities.flows6 - 1,
    tunnel_bucket_mask: tunnelBuckets(capacities.tunnels) - 1,
    label_bucket_mask: capacities.labels / Limit.LIMIT_LABEL_SLOTS - 1,
  };
}
