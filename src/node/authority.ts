/**
 * Who may write what, checked over an Apply as a whole before anything changes. A virtual node and its vifs are
 * written by one owner, the layer below; addresses and routes in it by its tenant; paths and labels over a vif by
 * the tenant of that vif's node, over a tunnel or a wire by its owner; ports only where the operator offers them.
 */
import {
  type AddressIntent,
  type Below,
  type BfdPeerIntent,
  type Intent,
  type LabelIntent,
  labelKey,
  type LinkPathIntent,
  type NodeIntent,
  type PathIntent,
  type RouteIntent,
  sameBelow,
  type TunnelIntent,
  type VifIntent,
  type WireIntent,
} from './model.js';
import { type ApiError } from '../api/errors.js';
import { denied, impossible, invalid, tooMuch } from './refusal.js';
import { foresee, type Holding, type Lookup, type Registry, userOf } from './registry.js';

/** Labels a frame may bear: one for each layer it descends (bpf/limits.h: MAX_DEPTH). */
export const MAX_DEPTH = 4;

/** Of one virtual node that has no limit of its own: each costs its kernel a request, and makes ListVifs longer. */
export const MAX_ADDRESSES = 1024;

/** What the machine's operator grants. */
export interface Grants {
  /** True if stations' cables may end at this interface. */
  offersPort(name: string): boolean;
  /** True if it is one of the machine's own wires, or on one. */
  isUnderlay(name: string): boolean;
  /** True if the operator named it as one. */
  isNamedUnderlay(name: string): boolean;
}

interface Scope {
  readonly wanted: Holding;
  readonly after: Lookup;
  readonly registry: Registry;
  readonly grants: Grants;
  /** `resources[3].vif`: the field of an intent, for errors. */
  fieldOf(intent: Intent): string;
}

/** Throws ApiError for the first thing that `wanted`'s owner may not have, or that could not work. */
export function checkAuthority(
  registry: Registry,
  wanted: Holding,
  grants: Grants,
  fieldOf: (intent: Intent) => string,
): void {
  const scope: Scope = { wanted, after: foresee(registry, wanted), registry, grants, fieldOf };
  for (const tunnel of wanted.tunnels.values()) checkTunnel(scope, tunnel);
  checkTunnelEnds(scope);
  for (const wire of wanted.wires.values()) checkWire(scope, wire);
  checkWirePlaces(scope);
  for (const peer of wanted.bfdPeers.values()) checkBfdPeer(scope, peer);
  checkBfdPeerPlaces(scope);
  for (const node of wanted.nodes.values()) checkNode(scope, node);
  for (const vif of wanted.vifs.values()) checkVif(scope, vif);
  checkPorts(scope);
  checkCircuits(scope);
  for (const label of wanted.labels.values()) checkLabel(scope, label);
  for (const [node, addresses] of wanted.addresses) {
    for (const address of addresses.values()) checkAddress(scope, node, address);
    checkCount(scope, node, 'addresses', addresses);
  }
  for (const [node, routes] of wanted.routes) {
    checkRoutes(scope, node, routes.values());
    checkCount(scope, node, 'routes', routes);
  }
  checkUpperQuotas(scope);
}

type Quota = 'routes' | 'addresses' | 'labels' | 'vifsAbove';

const QUOTAS: Readonly<Record<Quota, string>> = {
  routes: 'routes',
  addresses: 'addresses',
  labels: 'labels in the contexts of its vifs',
  vifsAbove: 'vifs carried over its vifs',
};

/** What the layer below leased of the node's tables; Infinity: no limit. */
function quotaOf(scope: Scope, node: string, quota: Quota): number {
  const limit = scope.after.node(node)?.intent.limits[quota] ?? 0;
  if (limit !== 0) return limit;
  return quota === 'addresses' ? MAX_ADDRESSES : Infinity;
}

/** All of one node: refused at the first that is too many. */
function checkCount(
  scope: Scope,
  node: string,
  quota: Quota,
  intents: ReadonlyMap<string, RouteIntent | AddressIntent>,
): void {
  const limit = quotaOf(scope, node, quota);
  if (intents.size <= limit) return;
  const [first] = [...intents.values()].slice(limit);
  if (first) throw exceeded(scope, first, node, quota, { limit, wanted: intents.size });
}

/** Of the layer above: on whose vifs labels and links stand. */
function checkUpperQuotas(scope: Scope): void {
  const { wanted } = scope;
  const used = { labels: new Map<string, number>(), vifsAbove: new Map<string, number>() };
  const count = (quota: 'labels' | 'vifsAbove', below: Below | undefined, intent: Intent): void => {
    const node = below?.kind === 'vif' ? scope.after.vif(below.name)?.intent.node : undefined;
    if (node === undefined) return;
    const number = (used[quota].get(node) ?? 0) + 1;
    used[quota].set(node, number);
    const limit = quotaOf(scope, node, quota);
    if (number > limit) throw exceeded(scope, intent, node, quota, { limit, wanted: number });
  };
  for (const label of wanted.labels.values()) count('labels', label.context, label);
  for (const vif of wanted.vifs.values()) {
    for (const { below } of vif.paths) count('vifsAbove', below, vif);
  }
}

function exceeded(
  scope: Scope,
  intent: Intent,
  node: string,
  quota: Quota,
  { limit, wanted }: { limit: number; wanted: number },
): ApiError {
  if (quota === 'addresses' && scope.after.node(node)?.intent.limits.addresses === 0) {
    return tooMuch('ADDRESS_COUNT', scope.fieldOf(intent), `more than ${limit} addresses in ${node}`);
  }
  const what = `${node} has ${limit} ${QUOTAS[quota]}, as the layer below leases it, and ${wanted} or more are wanted`;
  return tooMuch('QUOTA_EXCEEDED', scope.fieldOf(intent), what);
}

/** A name belongs to whoever had it first. */
function checkName(
  scope: Scope,
  owner: string | undefined,
  intent: NodeIntent | TunnelIntent | WireIntent | BfdPeerIntent | VifIntent,
): void {
  if (owner === undefined || owner === scope.wanted.owner) return;
  throw denied('NAME_IN_USE', `${scope.fieldOf(intent)}.name`, `${intent.name} belongs to another owner`);
}

function checkTunnel(scope: Scope, tunnel: TunnelIntent): void {
  checkName(scope, scope.registry.tunnel(tunnel.name)?.owner, tunnel);
  if (tunnel.arrivalInterface && !scope.grants.isUnderlay(tunnel.arrivalInterface)) {
    throw invalid(
      'NOT_UNDERLAY',
      `${scope.fieldOf(tunnel)}.arrival_interface`,
      `${tunnel.arrivalInterface} is not among this machine's underlay interfaces`,
    );
  }
}

/** The pair of outer addresses says whose a packet is: no two tunnels share one. */
function checkTunnelEnds(scope: Scope): void {
  const ends = new Map<string, string>();
  for (const { owner, intent } of scope.registry.tunnels) {
    if (owner !== scope.wanted.owner) ends.set(`${intent.local} ${intent.remote}`, intent.name);
  }
  for (const tunnel of scope.wanted.tunnels.values()) {
    const pair = `${tunnel.local} ${tunnel.remote}`;
    if (ends.has(pair)) {
      throw impossible(
        'TUNNEL_IN_USE',
        `${scope.fieldOf(tunnel)}.remote_address`,
        `there is a tunnel from ${tunnel.local} to ${tunnel.remote} already`,
      );
    }
    ends.set(pair, tunnel.name);
  }
}

function checkWire(scope: Scope, wire: WireIntent): void {
  checkName(scope, scope.registry.wire(wire.name)?.owner, wire);
  checkNamedUnderlay(scope, wire);
  if (wire.bypass) checkBypass(scope, wire.bypass.below.name, `${scope.fieldOf(wire)}.bypass.wire`);
}

/** Wires may be each other's bypass: one of the two comes first. */
function checkBypass(scope: Scope, name: string, field: string): void {
  const found = scope.after.wire(name);
  if (!found) return;
  if (found.owner !== scope.wanted.owner)
    throw denied('NOT_OWNER', field, `${name} belongs to another owner`);
  if (found.intent.type === 'circuit')
    throw impossible('CIRCUIT_LABEL', field, `${name} is a circuit: no label goes by it`);
}

/** By its VLAN's number, not by the name of a device on it: frames are tagged in one place only. */
function checkNamedUnderlay(scope: Scope, intent: WireIntent | BfdPeerIntent): void {
  if (scope.grants.isNamedUnderlay(intent.interface)) return;
  throw invalid(
    'NOT_UNDERLAY',
    `${scope.fieldOf(intent)}.interface`,
    `${intent.interface} is not among this machine's underlay interfaces (agent option --interface)`,
  );
}

function checkBfdPeer(scope: Scope, peer: BfdPeerIntent): void {
  checkName(scope, scope.registry.bfdPeer(peer.name)?.owner, peer);
  if (peer.wire) checkBelow(scope, { kind: 'wire', name: peer.wire }, scope.fieldOf(peer));
  else checkNamedUnderlay(scope, peer);
}

/** Place and addresses say whose a packet is: no two peers share them. */
function checkBfdPeerPlaces(scope: Scope): void {
  const placeOf = ({ wire, interface: name, vlan, local, remote }: BfdPeerIntent): string =>
    `${wire} ${name} ${vlan} ${local} ${remote}`;
  const places = new Set<string>();
  for (const { owner, intent } of scope.registry.bfdPeers) {
    if (owner !== scope.wanted.owner) places.add(placeOf(intent));
  }
  for (const peer of scope.wanted.bfdPeers.values()) {
    if (places.has(placeOf(peer))) {
      const who = peer.wire || `${peer.remote} on ${peer.interface} from ${peer.local}`;
      const field = `${scope.fieldOf(peer)}.${peer.wire ? 'wire' : 'remote_address'}`;
      throw impossible('BFD_PEER_IN_USE', field, `another peer watches ${who} already`);
    }
    places.add(placeOf(peer));
  }
}

/** The port and VLAN say whose a labelled frame is: no two wires share one. */
function checkWirePlaces(scope: Scope): void {
  const places = new Set<string>();
  for (const { owner, intent } of scope.registry.wires) {
    if (owner !== scope.wanted.owner) places.add(`${intent.interface} ${intent.vlan}`);
  }
  for (const wire of scope.wanted.wires.values()) {
    const place = `${wire.interface} ${wire.vlan}`;
    if (places.has(place)) {
      const where = wire.vlan === 0 ? wire.interface : `${wire.interface}, VLAN ${wire.vlan},`;
      throw impossible('WIRE_IN_USE', `${scope.fieldOf(wire)}.interface`, `${where} is another wire's`);
    }
    places.add(place);
  }
}

function isCircuit(scope: Scope, below: Below): boolean {
  return below.kind === 'wire' && scope.after.wire(below.name)?.intent.type === 'circuit';
}

/** One circuit, one link. Only its owner may name it, so that its owner's intent has them all. */
function checkCircuits(scope: Scope): void {
  const users = new Map<string, string>();
  for (const vif of scope.wanted.vifs.values()) {
    for (const [i, { below }] of vif.paths.entries()) {
      if (!isCircuit(scope, below)) continue;
      if (users.has(below.name)) {
        throw impossible(
          'CIRCUIT_IN_USE',
          `${scope.fieldOf(vif)}.link.paths[${i}].wire`,
          `${below.name} is a circuit, and carries the link of ${users.get(below.name)}`,
        );
      }
      users.set(below.name, vif.name);
    }
  }
}

function checkNode(scope: Scope, node: NodeIntent): void {
  checkName(scope, scope.registry.node(node.name)?.owner, node);
}

function checkVif(scope: Scope, vif: VifIntent): void {
  checkName(scope, scope.registry.vif(vif.name)?.owner, vif);
  const field = scope.fieldOf(vif);
  const node = scope.after.node(vif.node);
  if (!node) throw impossible('NODE_NOT_FOUND', `${field}.name`, `there is no virtual node ${vif.node}`);
  if (node.owner !== scope.wanted.owner) {
    throw denied('NOT_OWNER', `${field}.name`, `${vif.node} belongs to another owner, and so do its vifs`);
  }
  for (const [i, path] of vif.paths.entries()) {
    checkPath(scope, path, `${field}.link.paths[${i}]`);
    checkLiveness(scope, vif, path, `${field}.link.paths[${i}].liveness`);
  }
  if (vif.port !== undefined) checkPort(scope, vif.port, `${field}.port.interface`);
}

function checkPort(scope: Scope, name: string, field: string): void {
  if (scope.grants.isUnderlay(name)) {
    throw denied('PORT_NOT_OFFERED', field, `${name} is one of the machine's own wires`);
  }
  if (!scope.grants.offersPort(name)) {
    throw denied('PORT_NOT_OFFERED', field, `${name} is not offered to stations (agent option --port)`);
  }
}

/** One cable, one vif. */
function checkPorts(scope: Scope): void {
  const users = new Map<string, string>();
  for (const { owner, intent } of scope.registry.vifs) {
    if (owner !== scope.wanted.owner && intent.port !== undefined) users.set(intent.port, intent.name);
  }
  for (const vif of scope.wanted.vifs.values()) {
    if (vif.port === undefined) continue;
    if (users.has(vif.port)) {
      throw impossible(
        'PORT_IN_USE',
        `${scope.fieldOf(vif)}.port.interface`,
        `${vif.port} is another vif's port`,
      );
    }
    users.set(vif.port, vif.name);
  }
}

/** `below` exists and this owner may put labels over it. */
function checkBelow(scope: Scope, below: Below, field: string): void {
  const where = `${field}.${below.kind}`;
  if (!scope.after[below.kind](below.name)) {
    throw impossible(NOT_FOUND[below.kind], where, `there is no ${below.name} on this machine`);
  }
  if (userOf(scope.after, below) === scope.wanted.owner) return;
  throw below.kind === 'vif'
    ? denied('NOT_TENANT', where, `the virtual node of ${below.name} is another tenant's`)
    : denied('NOT_OWNER', where, `${below.name} belongs to another owner`);
}

const NOT_FOUND = { tunnel: 'TUNNEL_NOT_FOUND', wire: 'WIRE_NOT_FOUND', vif: 'VIF_NOT_FOUND' } as const;

function checkPath(scope: Scope, path: PathIntent, field: string): void {
  checkBelow(scope, path.below, field);
  checkPathLabel(scope, path, `${field}.label`);
  if (labelsOf(scope.after, path) === undefined) {
    throw impossible(
      'PATH_DEPTH',
      field,
      `a path leads over ports, in a circle, or over more than ${MAX_DEPTH} layers`,
    );
  }
}

/** A circuit has no labels, everything else has. */
function checkPathLabel(scope: Scope, { below, label }: PathIntent, field: string): void {
  const circuit = isCircuit(scope, below);
  if (circuit && label !== 0) {
    throw invalid('CIRCUIT_LABEL', field, `${label}: ${below.name} is a circuit, which has no labels: 0`);
  }
  if (circuit || label !== 0) return;
  throw invalid('LABEL_RANGE', field, `${label}: a label is 16 to 1048575 (RFC 3032)`);
}

/**
 * What arrives on a watched path bears a label that leads to the vif: so nobody listens to another's link. Over a
 * circuit it bears none.
 */
function checkLiveness(
  scope: Scope,
  vif: VifIntent,
  { below, liveness }: LinkPathIntent,
  field: string,
): void {
  if (!liveness) return;
  const { context, label } = liveness;
  if (isCircuit(scope, below) && sameBelow(context, below)) {
    if (label === 0) return;
    throw invalid(
      'CIRCUIT_LABEL',
      `${field}.label`,
      `${label}: ${below.name} is a circuit, which has no labels: 0`,
    );
  }
  const found = scope.wanted.labels.get(labelKey(context, label));
  if (found?.deliver === vif.name) return;
  const what = `label ${label} of ${context.name} does not deliver to ${vif.name}: nothing would be heard`;
  throw impossible('LIVENESS_LABEL', `${field}.label`, what);
}

/** A path all the way down: the labels that a frame on it bears, one more than on a circuit, and the tunnel or wire. */
export interface WayDown {
  readonly labels: number;
  readonly lowest: Below;
}

/** Each of a path's ways down; undefined where one never reaches a tunnel or a wire within the bound. */
export function waysDown(lookup: Lookup, path: PathIntent, depth = 1): WayDown[] | undefined {
  const { below } = path;
  if (below.kind !== 'vif') return [{ labels: depth, lowest: below }];
  const paths = lookup.vif(below.name)?.intent.paths ?? [];
  if (depth >= MAX_DEPTH || paths.length === 0) return undefined;
  const ways: WayDown[] = [];
  for (const next of paths) {
    const found = waysDown(lookup, next, depth + 1);
    if (!found) return undefined;
    ways.push(...found);
  }
  return ways;
}

/** Layers that a path descends, by its longest way; undefined: see waysDown(). */
export function labelsOf(lookup: Lookup, path: PathIntent): number | undefined {
  const ways = waysDown(lookup, path);
  return ways && Math.max(...ways.map(({ labels }) => labels));
}

function checkLabel(scope: Scope, label: LabelIntent): void {
  const field = scope.fieldOf(label);
  checkBelow(scope, label.context, field);
  for (const [below, where] of [
    [label.context, field],
    [label.swap?.below, `${field}.swap`],
  ] as const) {
    if (below?.kind !== 'wire' || scope.after.wire(below.name)?.intent.type !== 'circuit') continue;
    throw impossible(
      'CIRCUIT_LABEL',
      `${where}.wire`,
      `${below.name} is a circuit: it carries the link whose path names it, and no label leads to or from it`,
    );
  }
  if (label.swap) checkPath(scope, label.swap, `${field}.swap`);
  if (label.continueOn !== undefined) checkContinueOn(scope, label.continueOn, `${field}.continue_on`);
  if (label.deliver === undefined) return;
  const vif = scope.after.vif(label.deliver);
  if (!vif)
    throw impossible('VIF_NOT_FOUND', `${field}.deliver`, `there is no ${label.deliver} on this machine`);
  if (vif.owner !== scope.wanted.owner) {
    throw denied('NOT_OWNER', `${field}.deliver`, `${label.deliver} belongs to another owner`);
  }
  if (vif.intent.paths.length === 0) {
    throw impossible(
      'NOT_A_LINK',
      `${field}.deliver`,
      `${label.deliver} is a station's port: no label leads to it`,
    );
  }
}

/** What a label means on a wire is its owner's to say. */
function checkContinueOn(scope: Scope, name: string, field: string): void {
  const wire = scope.after.wire(name);
  if (!wire) throw impossible('WIRE_NOT_FOUND', field, `there is no ${name} on this machine`);
  if (wire.owner !== scope.wanted.owner) throw denied('NOT_OWNER', field, `${name} belongs to another owner`);
  if (wire.intent.type === 'circuit')
    throw impossible('CIRCUIT_LABEL', field, `${name} is a circuit: no label means anything on it`);
}

/** The node is there and leased to this owner. */
function checkTenant(scope: Scope, node: string, field: string): NodeIntent {
  const found = scope.after.node(node);
  if (!found) throw impossible('NODE_NOT_FOUND', field, `there is no virtual node ${node} on this machine`);
  if (found.intent.tenant !== scope.wanted.owner) {
    throw denied('NOT_TENANT', field, `${node} is another tenant's`);
  }
  return found.intent;
}

function checkAddress(scope: Scope, node: string, address: AddressIntent): void {
  const field = `${scope.fieldOf(address)}.vif`;
  checkTenant(scope, node, field);
  const vif = scope.after.vif(address.vif)?.intent;
  if (!vif) throw impossible('VIF_NOT_FOUND', field, `there is no ${address.vif} on this machine`);
  checkFamily(vif, address.address.family, () => `${scope.fieldOf(address)}.prefix`);
}

/** RFC 8200 §5. A kernel has no IPv6 on an interface that takes less. */
const SMALLEST_MTU_OF_IPV6 = 1280;

function checkFamily(vif: VifIntent, family: 4 | 6, field: () => string): void {
  if (family === 4 || vif.mtu >= SMALLEST_MTU_OF_IPV6) return;
  throw impossible(
    'MTU_TOO_SMALL',
    field(),
    `${vif.name} has an MTU of ${vif.mtu}: IPv6 needs ${SMALLEST_MTU_OF_IPV6} (RFC 8200)`,
  );
}

function checkRoutes(scope: Scope, node: string, routes: Iterable<RouteIntent>): void {
  const devices = new Map<string, VifIntent | undefined>();
  const own = new Set<string>();
  for (const address of scope.wanted.addresses.get(node)?.values() ?? []) {
    own.add(address.address.text.slice(0, address.address.text.indexOf('/')));
  }
  let tenant: NodeIntent | undefined;
  for (const route of routes) {
    tenant ??= checkTenant(scope, node, `${scope.fieldOf(route)}.node`);
    if (tenant.routeSource === 'kernel') {
      throw impossible(
        'ROUTE_SOURCE',
        `${scope.fieldOf(route)}.node`,
        `${node} takes its routes from its kernel`,
      );
    }
    for (const [i, hop] of route.nextHops.entries()) {
      let vif = devices.get(hop.device);
      if (!vif) {
        vif = scope.after.vif(`${node}/vifs/${hop.device}`)?.intent;
        devices.set(hop.device, vif);
      }
      if (!vif) {
        throw impossible(
          'VIF_NOT_FOUND',
          `${scope.fieldOf(route)}.next_hops[${i}].vif`,
          `there is no ${node}/vifs/${hop.device} on this machine`,
        );
      }
      checkFamily(vif, route.destination.family, () => `${scope.fieldOf(route)}.next_hops[${i}].vif`);
      if (hop.gateway && own.has(hop.gateway)) {
        throw impossible(
          'GATEWAY',
          `${scope.fieldOf(route)}.next_hops[${i}].gateway`,
          `${hop.gateway} is an address of ${node} itself`,
        );
      }
    }
  }
}
