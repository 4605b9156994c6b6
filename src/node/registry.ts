/**
 * What every owner wants on this machine, as last accepted, with the indices that the checks and the steps ask:
 * whose a name is, who stands on it, what a node's tenant put into it. Pure; no truth of its own: an agent that
 * starts anew reads it back from the pins and the namespaces.
 */
import {
  type AddressIntent,
  type Below,
  type BfdPeerIntent,
  type Intent,
  intentKey,
  type LabelIntent,
  labelKey,
  type NodeIntent,
  type RouteIntent,
  type TunnelIntent,
  type VifIntent,
  type WireIntent,
} from './model.js';

/** One owner's resources. */
export class Holding {
  readonly owner: string;
  epoch: bigint;
  readonly nodes = new Map<string, NodeIntent>();
  readonly tunnels = new Map<string, TunnelIntent>();
  readonly wires = new Map<string, WireIntent>();
  readonly bfdPeers = new Map<string, BfdPeerIntent>();
  readonly vifs = new Map<string, VifIntent>();
  /** By labelKey. */
  readonly labels = new Map<string, LabelIntent>();
  /** By node, then by intentKey. */
  readonly addresses = new Map<string, Map<string, AddressIntent>>();
  /** By node, then by destination. */
  readonly routes = new Map<string, Map<string, RouteIntent>>();
  #size = 0;

  constructor(owner: string, epoch: bigint) {
    this.owner = owner;
    this.epoch = epoch;
  }

  get size(): number {
    return this.#size;
  }

  /** False, and nothing done, if there is one with this key already. */
  add(intent: Intent): boolean {
    const added = this.#insert(intent);
    if (added) this.#size++;
    return added;
  }

  /** The one with the same key. */
  find(intent: Intent): Intent | undefined {
    switch (intent.kind) {
      case 'node':
        return this.nodes.get(intent.name);
      case 'tunnel':
        return this.tunnels.get(intent.name);
      case 'wire':
        return this.wires.get(intent.name);
      case 'bfdPeer':
        return this.bfdPeers.get(intent.name);
      case 'vif':
        return this.vifs.get(intent.name);
      case 'label':
        return this.labels.get(intentKey(intent));
      case 'address':
        return this.addresses.get(intent.node)?.get(intentKey(intent));
      case 'route':
        return this.routes.get(intent.node)?.get(intent.destination.text);
    }
  }

  #insert(intent: Intent): boolean {
    switch (intent.kind) {
      case 'node':
        return insert(this.nodes, intent.name, intent);
      case 'tunnel':
        return insert(this.tunnels, intent.name, intent);
      case 'wire':
        return insert(this.wires, intent.name, intent);
      case 'bfdPeer':
        return insert(this.bfdPeers, intent.name, intent);
      case 'vif':
        return insert(this.vifs, intent.name, intent);
      case 'label':
        return insert(this.labels, intentKey(intent), intent);
      case 'address':
        return insert(within(this.addresses, intent.node), intentKey(intent), intent);
      case 'route':
        return insert(within(this.routes, intent.node), intent.destination.text, intent);
    }
  }
}

function insert<T>(map: Map<string, T>, key: string, value: T): boolean {
  const before = map.size;
  if (map.has(key)) return false;
  map.set(key, value);
  return map.size > before;
}

function within<T>(map: Map<string, Map<string, T>>, key: string): Map<string, T> {
  let inner = map.get(key);
  if (!inner) map.set(key, (inner = new Map<string, T>()));
  return inner;
}

export interface Owned<T> {
  readonly owner: string;
  readonly intent: T;
}

/** Who stands on a tunnel, a wire or a vif: links carried by it, labels in its context or swapped onto it. */
export type Dependent = VifIntent | LabelIntent;

/** The questions that the checks ask; also answered by a Registry as it would be after an Apply. */
export interface Lookup {
  node(name: string): Owned<NodeIntent> | undefined;
  tunnel(name: string): Owned<TunnelIntent> | undefined;
  wire(name: string): Owned<WireIntent> | undefined;
  vif(name: string): Owned<VifIntent> | undefined;
}

/** Who may put paths and labels over it: a tunnel's or a wire's owner, the tenant of a vif's node. */
export function userOf(lookup: Lookup, below: Below): string | undefined {
  if (below.kind === 'wire') return lookup.wire(below.name)?.owner;
  if (below.kind === 'tunnel') return lookup.tunnel(below.name)?.owner;
  const vif = lookup.vif(below.name);
  return vif && lookup.node(vif.intent.node)?.intent.tenant;
}

export class Registry implements Lookup {
  readonly holdings = new Map<string, Holding>();
  readonly #nodes = new Map<string, Owned<NodeIntent>>();
  readonly #tunnels = new Map<string, Owned<TunnelIntent>>();
  readonly #wires = new Map<string, Owned<WireIntent>>();
  readonly #bfdPeers = new Map<string, Owned<BfdPeerIntent>>();
  readonly #vifs = new Map<string, Owned<VifIntent>>();
  readonly #vifsOfNode = new Map<string, Set<string>>();
  readonly #dependents = new Map<string, Map<string, Owned<Dependent>>>();

  node(name: string): Owned<NodeIntent> | undefined {
    return this.#nodes.get(name);
  }

  tunnel(name: string): Owned<TunnelIntent> | undefined {
    return this.#tunnels.get(name);
  }

  wire(name: string): Owned<WireIntent> | undefined {
    return this.#wires.get(name);
  }

  bfdPeer(name: string): Owned<BfdPeerIntent> | undefined {
    return this.#bfdPeers.get(name);
  }

  vif(name: string): Owned<VifIntent> | undefined {
    return this.#vifs.get(name);
  }

  /** The label with this meaning, if its owner may give it one now. */
  label(context: Below, label: number): Owned<LabelIntent> | undefined {
    const owner = userOf(this, context);
    const intent =
      owner === undefined ? undefined : this.holdings.get(owner)?.labels.get(labelKey(context, label));
    return intent && owner !== undefined ? { owner, intent } : undefined;
  }

  get nodes(): IterableIterator<Owned<NodeIntent>> {
    return this.#nodes.values();
  }

  get tunnels(): IterableIterator<Owned<TunnelIntent>> {
    return this.#tunnels.values();
  }

  get wires(): IterableIterator<Owned<WireIntent>> {
    return this.#wires.values();
  }

  get bfdPeers(): IterableIterator<Owned<BfdPeerIntent>> {
    return this.#bfdPeers.values();
  }

  get vifs(): IterableIterator<Owned<VifIntent>> {
    return this.#vifs.values();
  }

  *labels(): Generator<Owned<LabelIntent>> {
    for (const [owner, holding] of this.holdings) {
      for (const intent of holding.labels.values()) yield { owner, intent };
    }
  }

  vifsOf(node: string): Iterable<string> {
    return this.#vifsOfNode.get(node) ?? [];
  }

  /** What stands on a tunnel, a wire or a vif, whoever owns it. */
  dependents(name: string): Iterable<Owned<Dependent>> {
    return this.#dependents.get(name)?.values() ?? [];
  }

  /** What the node's tenant wants in it. */
  addressesOf(node: string): ReadonlyMap<string, AddressIntent> {
    const tenant = this.#nodes.get(node)?.intent.tenant;
    return (tenant === undefined ? undefined : this.holdings.get(tenant)?.addresses.get(node)) ?? new Map();
  }

  /** Empty where the node's kernel fills the tables. */
  routesOf(node: string): ReadonlyMap<string, RouteIntent> {
    const intent = this.#nodes.get(node)?.intent;
    if (!intent || intent.routeSource === 'kernel') return new Map();
    return this.holdings.get(intent.tenant)?.routes.get(node) ?? new Map();
  }

  /** `holding` is all that its owner wants from now on. */
  replace(holding: Holding): void {
    const { owner } = holding;
    const before = this.holdings.get(owner);
    if (before) {
      for (const name of before.nodes.keys()) this.#nodes.delete(name);
      for (const name of before.tunnels.keys()) this.#tunnels.delete(name);
      for (const name of before.wires.keys()) this.#wires.delete(name);
      for (const name of before.bfdPeers.keys()) this.#bfdPeers.delete(name);
      for (const vif of before.vifs.values()) {
        this.#vifs.delete(vif.name);
        this.#vifsOfNode.get(vif.node)?.delete(vif.name);
        this.#forget(owner, vif);
      }
      for (const label of before.labels.values()) this.#forget(owner, label);
    }
    this.holdings.set(owner, holding);
    for (const intent of holding.nodes.values()) this.#nodes.set(intent.name, { owner, intent });
    for (const intent of holding.tunnels.values()) this.#tunnels.set(intent.name, { owner, intent });
    for (const intent of holding.wires.values()) this.#wires.set(intent.name, { owner, intent });
    for (const intent of holding.bfdPeers.values()) this.#bfdPeers.set(intent.name, { owner, intent });
    for (const intent of holding.vifs.values()) {
      this.#vifs.set(intent.name, { owner, intent });
      let vifs = this.#vifsOfNode.get(intent.node);
      if (!vifs) this.#vifsOfNode.set(intent.node, (vifs = new Set()));
      vifs.add(intent.name);
      this.#remember(owner, intent);
    }
    for (const intent of holding.labels.values()) this.#remember(owner, intent);
  }

  #remember(owner: string, intent: Dependent): void {
    for (const name of standsOn(intent)) {
      let dependents = this.#dependents.get(name);
      if (!dependents) this.#dependents.set(name, (dependents = new Map<string, Owned<Dependent>>()));
      dependents.set(dependentKey(owner, intent), { owner, intent });
    }
  }

  #forget(owner: string, intent: Dependent): void {
    for (const name of standsOn(intent)) {
      const dependents = this.#dependents.get(name);
      dependents?.delete(dependentKey(owner, intent));
      if (dependents?.size === 0) this.#dependents.delete(name);
    }
  }
}

function dependentKey(owner: string, intent: Dependent): string {
  return `${owner} ${intent.kind} ${intentKey(intent)}`;
}

/** The tunnels, wires and vifs that a link or a label needs. */
export function standsOn(intent: Dependent): string[] {
  if (intent.kind === 'vif') {
    const names = intent.paths.flatMap(({ below, liveness }) =>
      liveness ? [below.name, liveness.context.name] : [below.name],
    );
    return [...new Set(names)];
  }
  const names = [intent.context.name];
  if (intent.swap) names.push(intent.swap.below.name);
  if (intent.deliver !== undefined) names.push(intent.deliver);
  if (intent.continueOn !== undefined) names.push(intent.continueOn);
  return names;
}

/** The registry as it would be with `wanted` in the place of its owner's present holding. */
export function foresee(registry: Registry, wanted: Holding): Lookup {
  const choose = <T>(present: Owned<T> | undefined, next: T | undefined): Owned<T> | undefined => {
    if (present && present.owner !== wanted.owner) return present;
    return next && { owner: wanted.owner, intent: next };
  };
  return {
    node: (name) => choose(registry.node(name), wanted.nodes.get(name)),
    tunnel: (name) => choose(registry.tunnel(name), wanted.tunnels.get(name)),
    wire: (name) => choose(registry.wire(name), wanted.wires.get(name)),
    vif: (name) => choose(registry.vif(name), wanted.vifs.get(name)),
  };
}
