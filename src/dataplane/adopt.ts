/**
 * Taking over what an earlier process left: who has which id, told from the names, the records and what they lead to.
 * What nobody leads to is cleared, after a grace period.
 */
import { Limit } from '../../gen/layout.js';
import { type IdPool } from './pool.js';
import { type FoundTables } from './routes.js';
import { type TableSet } from './tables.js';
import { walkChunks } from './trie.js';
import { type FoundTrie, NOTHING_FOUND } from './trie-edit.js';

/** What is in memory of each node's routes. */
export async function adoptTables(tables: TableSet): Promise<Map<number, FoundTables>> {
  const { names, pools, labels } = tables;
  await names.load();
  for (const [table, pool] of [
    ['node', pools.node],
    ['vif', pools.vif],
    ['path', pools.path],
    ['tunnel', pools.tunnel],
    ['wire', pools.wire],
    ['bfdPeer', pools.session],
  ] as const) {
    for (const [id] of names.entries(table)) pool.adopt(id);
  }
  adoptSet(pools.node, (id) => tables.nodes.isSet(id, 'generation'));
  adoptSet(pools.vif, (id) => tables.vifs.isSet(id));
  adoptSet(pools.path, (id) => tables.paths.isSet(id));
  adoptSet(pools.tunnel, (id) => tables.tunnels.isSet(id));
  adoptSet(pools.wire, (id) => tables.wires.isSet(id));
  adoptSet(pools.session, (id) => tables.sessions.intents.isSet(id));
  for (const id of pools.tunnel.ids()) {
    for (const hop of tables.tunnels.read(id).hops) pools.underlayHop.adopt(hop);
  }
  for (const id of pools.wire.ids()) pools.underlayHop.adopt(tables.wires.read(id).hop);
  for (const id of pools.session.ids()) pools.underlayHop.adopt(tables.peers.records.read(id).hop);
  const found = new Map<number, FoundTables>();
  for (const node of pools.node.ids()) {
    const record = tables.nodes.read(node).tables;
    if (record === 0 || !tables.tablesPool.adopt(record)) continue;
    const roots = tables.tableRoots.read(record);
    found.set(node, { ipv4: adoptTrie(tables, roots.ipv4), ipv6: adoptTrie(tables, roots.ipv6) });
  }
  labels.adopt();
  await tables.grace.wait();
  sweep(tables);
  return found;
}

function adoptSet(pool: IdPool, isSet: (id: number) => boolean): void {
  for (let id = 1; id < pool.capacity; id++) if (isSet(id)) pool.adopt(id);
}

function adoptTrie(tables: TableSet, root: number): FoundTrie {
  if (root === 0) return NOTHING_FOUND;
  const { chunks, nextHops } = walkChunks(tables.chunks.words, root);
  const mine = new Set([...chunks].filter((id) => tables.chunks.pool.adopt(id)));
  for (const id of nextHops) adoptNextHop(tables, id);
  return { root, chunks: mine };
}

function adoptNextHop(tables: TableSet, id: number): void {
  if (!tables.pools.nextHop.adopt(id)) return;
  for (const way of tables.nextHops.read(id).ways) if (way !== 0) adoptNextHop(tables, way);
}

function sweep(tables: TableSet): void {
  const { pools } = tables;
  clearFree(pools.underlayHop, tables.underlayHops);
  clearFree(pools.nextHop, tables.nextHops);
  clearFree(tables.tablesPool, tables.tableRoots);
  tables.labels.sweep();
  // captures ended with the process that had them
  for (const id of pools.vif.ids()) tables.vifs.setBits(id, 'flags', Limit.LIMIT_VIF_CAPTURE, false);
  for (let ifindex = 1; ifindex < tables.ports.capacity; ifindex++) {
    if (tables.ports.isSet(ifindex)) tables.ports.setBits(ifindex, 'flags', Limit.LIMIT_PORT_CAPTURE, false);
  }
}

function clearFree(pool: IdPool, records: { isSet(id: number): boolean; clear(id: number): void }): void {
  for (let id = 1; id < pool.capacity; id++) if (!pool.isUsed(id) && records.isSet(id)) records.clear(id);
}
