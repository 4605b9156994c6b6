/**
 * Whether an Apply fits the tables, found out before anything changes. Next hops and route chunks are known only
 * when a node's tables are built; a node whose tables do not fit keeps the ones it has.
 */
import { type DataPlane } from '../dataplane/index.js';
import { tooMuch } from './refusal.js';
import { type Holding } from './registry.js';

interface Demand {
  nodes: number;
  vifs: number;
  paths: number;
  tunnels: number;
  labels: number;
}

function demand(holding: Holding | undefined): Demand {
  const wanted = { nodes: 0, vifs: 0, paths: 0, tunnels: 0, labels: 0 };
  if (!holding) return wanted;
  wanted.nodes = holding.nodes.size;
  wanted.vifs = holding.vifs.size;
  wanted.tunnels = holding.tunnels.size;
  wanted.labels = holding.labels.size;
  for (const vif of holding.vifs.values()) if (vif.path) wanted.paths++;
  for (const label of holding.labels.values()) if (label.swap) wanted.paths++;
  return wanted;
}

/** Throws RESOURCE_EXHAUSTED, naming the table, if `after` in the place of `before` does not fit. */
export function checkCapacity(plane: DataPlane, before: Holding | undefined, after: Holding): void {
  const had = demand(before);
  const wants = demand(after);
  for (const { table, used, capacity } of plane.use()) {
    if (!(table in wants)) continue;
    const more = wants[table as keyof Demand] - had[table as keyof Demand];
    if (more <= 0 || used + more <= capacity) continue;
    throw tooMuch('TABLE_FULL', table, `${more} more do not fit: ${used} of ${capacity} ${table} are in use`);
  }
}
