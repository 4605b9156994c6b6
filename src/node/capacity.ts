/**
 * Whether an Apply fits the tables, found out before anything changes. Next hops are known only when a node's tables
 * are built; a node whose tables do not fit keeps the ones it has.
 */
import { type DataPlane } from '../dataplane/index.js';
import { tooMuch } from './refusal.js';
import { type Holding } from './registry.js';

/** Who has ever applied: an owner's last epoch is kept although nothing else of it may be left. */
const MAX_OWNERS = 1000;

interface Demand {
  nodes: number;
  vifs: number;
  paths: number;
  sessions: number;
  tunnels: number;
  wires: number;
  labels: number;
}

function demand(holding: Holding | undefined): Demand {
  const wanted = { nodes: 0, vifs: 0, paths: 0, sessions: 0, tunnels: 0, wires: 0, labels: 0 };
  if (!holding) return wanted;
  wanted.sessions = holding.bfdPeers.size;
  wanted.nodes = holding.nodes.size;
  wanted.vifs = holding.vifs.size;
  wanted.tunnels = holding.tunnels.size;
  wanted.wires = holding.wires.size;
  wanted.labels = holding.labels.size;
  for (const { paths } of holding.vifs.values()) {
    wanted.paths += paths.length;
    for (const { liveness } of paths) if (liveness) wanted.sessions++;
  }
  for (const label of holding.labels.values()) if (label.swap) wanted.paths++;
  for (const wire of holding.wires.values()) if (wire.bypass) wanted.paths++;
  return wanted;
}

/** Throws RESOURCE_EXHAUSTED, naming the table, if `after` in the place of `before` does not fit; `owners` are known. */
export function checkCapacity(
  plane: DataPlane,
  owners: number,
  before: Holding | undefined,
  after: Holding,
): void {
  if (!before && owners >= MAX_OWNERS) {
    throw tooMuch('TABLE_FULL', 'owners', `${owners} owners are known, and no more are taken`);
  }
  const had = demand(before);
  const wants = demand(after);
  for (const { table, used, capacity } of plane.use()) {
    if (!(table in wants)) continue;
    const more = wants[table as keyof Demand] - had[table as keyof Demand];
    if (more <= 0 || used + more <= capacity) continue;
    throw tooMuch('TABLE_FULL', table, `${more} more do not fit: ${used} of ${capacity} ${table} are in use`);
  }
  checkChunks(plane, before, after);
}

function checkChunks(plane: DataPlane, before: Holding | undefined, after: Holding): void {
  const { used = 0, capacity = 0 } = plane.use().find(({ table }) => table === 'chunks') ?? {};
  const wants = chunksOf(after, capacity);
  if (wants <= capacity - used) return;
  if (wants > capacity)
    throw tooMuch('TABLE_FULL', 'chunks', `the routes need more than all ${capacity} chunks`);
  const others = used - chunksOf(before, capacity);
  if (wants <= capacity - others) return;
  throw tooMuch(
    'TABLE_FULL',
    'chunks',
    `the routes need ${wants} chunks, and ${others} of ${capacity} are in use by others`,
  );
}

/** Of a trie: by the next eight bits of the prefixes that go on there. */
type Stride = Map<number, Stride>;

/** Chunks of all routes: one for each eight bits that some prefix passes. Not counted far beyond `limit`. */
function chunksOf(holding: Holding | undefined, limit: number): number {
  let count = 0;
  for (const routes of holding?.routes.values() ?? []) {
    const roots: Record<4 | 6, Stride | undefined> = { 4: undefined, 6: undefined };
    for (const { destination } of routes.values()) {
      const { family, bytes, length } = destination;
      let stride = roots[family];
      if (!stride) {
        roots[family] = stride = new Map();
        count++;
      }
      for (let level = 0; 8 * (level + 1) < length; level++) {
        const byte = bytes[level] ?? 0;
        let next: Stride | undefined = stride.get(byte);
        if (!next) {
          stride.set(byte, (next = new Map()));
          count++;
        }
        stride = next;
      }
      if (count > limit) return count;
    }
  }
  return count;
}
