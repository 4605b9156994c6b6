/** What a change may do to the whole: names that are there, vifs and subnets used once, nothing cut off from below. */
import {
  alreadyExists,
  type ApiError,
  failedPrecondition,
  invalidArgument,
  resourceExhausted,
} from '../api/errors.js';
import { assignAddresses, prefixes } from './assign.js';
import { type Bodies, type Change, idOf, NETWORK, type Tx } from './model.js';
import { checkOnVifs, problemOf } from './next-hops.js';
import { formatPrefix, lastOf, parsePrefix, type Prefix, subnetOf } from '../api/prefix.js';
import { type StaticRoutes } from './static-routes.js';
import { nodeOfRoute } from './kinds.js';
import { allVifs, vifsOf } from './vifs.js';

/** Of one node as resources; more go by SetRoutes. */
export const MOST_ROUTE_RESOURCES = 500;
const MOST_NODES = 1000;
const MOST_LINKS = 5000;
const MOST_STATIONS = 10_000;

/** Checks the state to be, and completes it: links get addresses, a deleted node's routes go with it. */
export function admitChanges(tx: Tx, changes: readonly Change[], statics: StaticRoutes): void {
  const touched = new Set(changes.map(({ kind }) => kind));
  for (const change of changes) {
    if (change.kind === 'network') admitNetwork(tx, change);
    if (change.kind === 'node' && !change.after) dropNode(tx, change, statics);
    if (change.kind === 'link' || change.kind === 'station') checkNodesOf(tx, change);
  }
  checkCounts(tx, changes);
  if (touched.has('link') || touched.has('station') || touched.has('network')) {
    checkVifs(tx, changes);
    const order = changes.filter(({ kind }) => kind === 'link').map(({ name }) => name);
    const without = assignAddresses(tx, order);
    if (without !== undefined) {
      throw resourceExhausted({
        reason: 'POOL_USED_UP',
        field: fieldOf(changes, without),
        message: `There is no subnet left for ${without}; give ${NETWORK} larger link_pools.`,
      });
    }
    checkSubnets(tx, changes);
    checkStandingRoutes(tx, changes, statics);
  }
  admitRoutes(tx, changes, statics);
  unsettle(tx);
}

/** From this very change on, the network as a whole is not what was asked for: who waits for it waits for the change. */
export function unsettle(tx: Tx): void {
  const network = tx.get('network', NETWORK);
  if (!network?.status) return;
  const status = { ...network.status, reconciling: true, state: 'pending', message: '' };
  tx.put('network', { ...network, status });
}

function fieldOf(changes: readonly Change[], name: string): string | undefined {
  return (changes.find((change) => change.name === name) ?? changes[0])?.field;
}

function inUse(field: string | undefined, message: string): ApiError {
  return failedPrecondition({ reason: 'IN_USE', field, message });
}

function admitNetwork(tx: Tx, { field, before, after }: Change): void {
  const [old, now] = [before as Bodies['network'] | undefined, after as Bodies['network'] | undefined];
  if (!now) {
    const [node] = tx.all('node');
    if (node)
      throw inUse(
        field,
        `${NETWORK} still has ${node.name}; delete what is in it first, or together with it.`,
      );
    return;
  }
  for (const [member, where] of [
    ['supplier', 'supplier'],
    ['vn', 'vn'],
  ] as const) {
    if (!old || old[member] === now[member]) continue;
    throw failedPrecondition({
      reason: 'FIXED',
      field: `${field}.${where}`,
      message: `${where} cannot be changed while the network is there; delete the network and make another one.`,
    });
  }
}

function dropNode(tx: Tx, { name, field }: Change, statics: StaticRoutes): void {
  const link = tx.all('link').find(({ a, b }) => a === name || b === name);
  const user = link ?? tx.all('station').find(({ node }) => node === name);
  if (user) throw inUse(field, `${name} has ${user.name}; delete that first, or together with it.`);
  for (const route of tx.all('route')) if (nodeOfRoute(route.name) === name) tx.delete(route.name);
  statics.drop(tx, name);
}

function checkNodesOf(tx: Tx, { kind, field, after }: Change): void {
  if (!after) return;
  const named =
    kind === 'station'
      ? ([['node', (after as Bodies['station']).node]] as const)
      : ([
          ['a', (after as Bodies['link']).a],
          ['b', (after as Bodies['link']).b],
        ] as const);
  for (const [member, node] of named) if (!tx.get('node', node)) throw noNode(node, `${field}.${member}`);
}

function noNode(node: string, field: string): ApiError {
  return failedPrecondition({
    reason: 'NODE_NOT_FOUND',
    field,
    message: `There is no ${node}; create it first, or in the same request.`,
  });
}

function checkCounts(tx: Tx, changes: readonly Change[]): void {
  for (const [kind, most] of [
    ['node', MOST_NODES],
    ['link', MOST_LINKS],
    ['station', MOST_STATIONS],
  ] as const) {
    const change = changes.find((one) => one.kind === kind && one.before === undefined);
    if (!change) continue;
    const count = tx.all(kind).length;
    if (count <= most) continue;
    throw resourceExhausted({
      reason: 'TOO_MANY',
      field: change.field,
      message: `That would be ${count} ${kind}s; a network has at most ${most}.`,
    });
  }
}

/** Each vif of a node is of one link or station. */
function checkVifs(tx: Tx, changes: readonly Change[]): void {
  const seen = new Map<string, string>();
  for (const { node, vif, of } of allVifs(tx)) {
    const other = seen.get(`${node} ${vif}`);
    if (other !== undefined) {
      throw failedPrecondition({
        reason: 'VIF_IN_USE',
        field: fieldOf(changes, changes.some(({ name }) => name === of) ? of : other),
        message: `${other} and ${of} both have the vif ${vif} in ${node}; give one of them another name.`,
      });
    }
    seen.set(`${node} ${vif}`, of);
  }
}

/** Every subnet is of one link or station. */
function checkSubnets(tx: Tx, changes: readonly Change[]): void {
  const subnets: { readonly prefix: Prefix; readonly of: string }[] = [];
  for (const { name, addresses } of tx.all('station'))
    for (const address of prefixes(addresses)) subnets.push({ prefix: subnetOf(address), of: name });
  for (const { name, assignedA } of tx.all('link'))
    for (const address of prefixes(assignedA)) subnets.push({ prefix: subnetOf(address), of: name });
  subnets.sort((x, y) => x.prefix.family - y.prefix.family || (x.prefix.address < y.prefix.address ? -1 : 1));
  let last: (typeof subnets)[number] | undefined;
  for (const one of subnets) {
    const meets =
      last && last.prefix.family === one.prefix.family && lastOf(last.prefix) >= one.prefix.address;
    if (last && meets) {
      const newer = changes.some(({ name }) => name === one.of) ? one.of : last.of;
      throw failedPrecondition({
        reason: 'ADDRESS_OVERLAP',
        field: fieldOf(changes, newer),
        message: `${formatPrefix(last.prefix)} of ${last.of} and ${formatPrefix(one.prefix)} of ${one.of} overlap; each has a subnet of its own.`,
      });
    }
    last = one;
  }
}

/** No link or station goes that a static route uses, nor the subnet of its gateway. */
function checkStandingRoutes(tx: Tx, changes: readonly Change[], statics: StaticRoutes): void {
  const nodes = new Set<string>();
  for (const { kind, before } of changes) {
    if (kind === 'link' && before) nodes.add((before as Bodies['link']).a).add((before as Bodies['link']).b);
    if (kind === 'station' && before) nodes.add((before as Bodies['station']).node);
    if (kind === 'network') for (const { name } of tx.all('node')) nodes.add(name);
  }
  const given = new Set(changes.filter(({ kind }) => kind === 'route').map(({ name }) => name));
  for (const node of nodes) {
    if (!tx.get('node', node)) continue;
    const vifs = vifsOf(tx, node);
    const used = statics.usesOf(node).map(({ vif, gateway }) => {
      return { vif, gateway, by: `a route of ${node} from SetRoutes` };
    });
    for (const { name, nextHops } of tx.all('route'))
      if (nodeOfRoute(name) === node && !given.has(name))
        for (const { vif, gateway } of nextHops) used.push({ vif, gateway, by: name });
    for (const { vif, gateway, by } of used) {
      const problem = problemOf(vif, gateway, vifs, node);
      if (problem)
        throw inUse(changes[0]?.field, `${by} goes that way: ${problem.text}; change the route first.`);
    }
  }
}

function admitRoutes(tx: Tx, changes: readonly Change[], statics: StaticRoutes): void {
  const changed = changes.filter(({ kind, after }) => kind === 'route' && after !== undefined);
  const byNode = new Map<string, Change[]>();
  for (const change of changed) {
    const node = nodeOfRoute(change.name);
    byNode.set(node, [...(byNode.get(node) ?? []), change]);
  }
  for (const [node, mine] of byNode) {
    if (!tx.get('node', node)) throw noNode(node, `${mine[0]?.field}.name`);
    const routes = tx.all('route').filter(({ name }) => nodeOfRoute(name) === node);
    if (routes.length > MOST_ROUTE_RESOURCES) {
      throw resourceExhausted({
        reason: 'TOO_MANY',
        field: mine[0]?.field,
        message: `That would be ${routes.length} routes of ${node}; more than ${MOST_ROUTE_RESOURCES} go by SetRoutes.`,
      });
    }
    const vifs = vifsOf(tx, node);
    const byDestination = new Map<string, string>();
    for (const { name, destination } of routes) {
      const key = keyOf(destination);
      const other = byDestination.get(key) ?? (statics.has(node, key) ? 'a route from SetRoutes' : undefined);
      if (other !== undefined) {
        throw alreadyExists({
          reason: 'DUPLICATE',
          field: `${fieldOf(mine, name)}.destination`,
          message: `${name} and ${other} both are of ${node} to ${key}; give each destination once.`,
        });
      }
      byDestination.set(key, name);
    }
    for (const { field, after } of mine) {
      const { nextHops } = after as Bodies['route'];
      checkOnVifs(nextHops, vifs, idOf(node), (where, reason, message) =>
        invalidArgument({ reason, field: `${field}.${where}`, message }),
      );
    }
  }
}

/** A destination as it is written canonically. */
export function keyOf(destination: string): string {
  const prefix = parsePrefix(destination);
  return prefix ? formatPrefix(prefix) : destination;
}
