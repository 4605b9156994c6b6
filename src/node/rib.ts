/**
 * One virtual node's routing table before it becomes records: what the namespace's addresses, routes and
 * neighbours say of each prefix, which of them wins, and what has changed since it was last published. Pure.
 *
 * A neighbour is a host entry only while the longest prefix that covers it says that it is on its vif's link.
 */
import { type Address, type Family, covers, hostPrefix, type Prefix, prefixOf } from './address.js';
import { type Way } from './ways.js';

/** A vif is named as its device in the node's namespace is. */
export type SingleTarget =
  | { readonly kind: 'glean'; readonly vif: string }
  | { readonly kind: 'hop'; readonly vif: string; readonly gateway: string };

export type Target =
  | SingleTarget
  | { readonly kind: 'local' }
  | { readonly kind: 'unreachable' }
  | { readonly kind: 'blackhole' }
  | { readonly kind: 'group'; readonly ways: readonly Way<SingleTarget>[] };

/**
 * Where an entry comes from; an earlier one wins over a later one. `kernel`: its own routes, while they are mirrored;
 * `route`: the tenant's, which stay what they are below those.
 */
export type Layer = 'local' | 'connected' | 'kernel' | 'route';

export interface Entry {
  readonly prefix: Prefix;
  readonly target: Target;
  readonly source: Layer | 'neighbour';
}

export interface Change {
  readonly prefix: Prefix;
  /** Undefined: the prefix is no longer routed. */
  readonly target: Target | undefined;
  /** targetKey of what it was; undefined: it was not routed. */
  readonly before: string | undefined;
}

interface Slot {
  readonly prefix: Prefix;
  local: Target | undefined;
  connected: Target | undefined;
  kernel: Target | undefined;
  route: Target | undefined;
  host: Target | undefined;
  /** targetKey of what take() said last. */
  published: string | undefined;
}

interface Neighbour {
  readonly vif: string;
  readonly address: Address;
  readonly prefix: Prefix;
}

/** The same key: the same next hop record. */
export function targetKey(target: Target): string {
  switch (target.kind) {
    case 'glean':
      return `glean ${target.vif}`;
    case 'hop':
      return `hop ${target.vif} ${target.gateway}`;
    case 'group':
      return `group ${target.ways.map((way) => `${way.weight}*${targetKey(way.to)}`).join(' ')}`;
    default:
      return target.kind;
  }
}

export class Rib {
  readonly #slots = new Map<string, Slot>();
  readonly #dirty = new Set<Slot>();
  /** How many slots of each prefix length hold something that is no host entry. */
  readonly #lengths: Record<Family, Int32Array> = { 4: new Int32Array(33), 6: new Int32Array(129) };
  readonly #neighbours = new Map<string, Neighbour>();
  /** Of what may change which neighbours are on the link. */
  #moved: Prefix[] = [];

  set(layer: Layer, prefix: Prefix, target: Target | undefined): void {
    let slot = this.#slots.get(prefix.text);
    if (!slot) {
      if (!target) return;
      slot = this.#insert(prefix);
    }
    const had = base(slot) !== undefined;
    slot[layer] = target;
    const has = base(slot) !== undefined;
    if (had !== has) {
      const lengths = this.#lengths[prefix.family];
      lengths[prefix.length] = (lengths[prefix.length] ?? 0) + (has ? 1 : -1);
    }
    this.#dirty.add(slot);
    this.#moved.push(prefix);
  }

  /** What `layer` says of a prefix. */
  get(layer: Layer, prefix: string): Target | undefined {
    return this.#slots.get(prefix)?.[layer];
  }

  /** A neighbour whose MAC address is known (`known`), or no longer. */
  setNeighbour(vif: string, address: Address, known: boolean): void {
    const prefix = hostPrefix(address);
    const key = `${vif} ${prefix.text}`;
    if (known) {
      if (!this.#neighbours.has(key)) this.#neighbours.set(key, { vif, address, prefix });
    } else if (!this.#neighbours.delete(key)) {
      return;
    }
    this.#place(prefix, { vif, address, prefix }, known);
  }

  /** True while the longest prefix that covers `address`, host entries aside, is on the link of `vif`. */
  onLink(vif: string, address: Address): boolean {
    const lengths = this.#lengths[address.family];
    for (let length = lengths.length - 1; length >= 0; length--) {
      if (!lengths[length]) continue;
      const slot = this.#slots.get(prefixOf(address, length).text);
      const target = slot && base(slot);
      if (target) return target.kind === 'glean' && target.vif === vif;
    }
    return false;
  }

  /** The entry of the longest prefix that covers an address. */
  match(address: Address): Entry | undefined {
    for (let length = address.bytes.length * 8; length >= 0; length--) {
      const slot = this.#slots.get(prefixOf(address, length).text);
      const target = slot && effective(slot);
      if (target) return { prefix: slot.prefix, target, source: source(slot, target) };
    }
    return undefined;
  }

  /** What changed since the last call. */
  take(): Change[] {
    this.#replaceNeighbours();
    const changes: Change[] = [];
    for (const slot of this.#dirty) {
      const target = effective(slot);
      const key = target && targetKey(target);
      if (key !== slot.published) {
        changes.push({ prefix: slot.prefix, target, before: slot.published });
        slot.published = key;
      }
      if (!base(slot) && !slot.host) this.#slots.delete(slot.prefix.text);
    }
    this.#dirty.clear();
    return changes;
  }

  /** These could not be published: the next take() has them again. */
  giveBack(changes: readonly Change[]): void {
    for (const { prefix, before } of changes) {
      const slot = this.#slots.get(prefix.text) ?? this.#insert(prefix);
      slot.published = before;
      this.#dirty.add(slot);
    }
  }

  /** Everything, in no order. */
  *entries(): Generator<Entry> {
    for (const slot of this.#slots.values()) {
      const target = effective(slot);
      if (target) yield { prefix: slot.prefix, target, source: source(slot, target) };
    }
  }

  #insert(prefix: Prefix): Slot {
    const slot: Slot = {
      prefix,
      local: undefined,
      connected: undefined,
      kernel: undefined,
      route: undefined,
      host: undefined,
      published: undefined,
    };
    this.#slots.set(prefix.text, slot);
    return slot;
  }

  /** Which neighbours are on the link may have changed with a prefix that covers them. */
  #replaceNeighbours(): void {
    const moved = this.#moved;
    this.#moved = [];
    if (moved.length === 0) return;
    for (const neighbour of this.#neighbours.values()) {
      if (moved.length > 64 || moved.some((prefix) => covers(prefix, neighbour.address))) {
        this.#place(neighbour.prefix, neighbour, true);
      }
    }
  }

  #place(prefix: Prefix, neighbour: Neighbour, known: boolean): void {
    const wanted = known && this.onLink(neighbour.vif, neighbour.address);
    let slot = this.#slots.get(prefix.text);
    const host = slot?.host;
    if (wanted) {
      if (host?.kind === 'hop' && host.vif === neighbour.vif) return;
      slot ??= this.#insert(prefix);
      const slash = prefix.text.indexOf('/');
      slot.host = { kind: 'hop', vif: neighbour.vif, gateway: prefix.text.slice(0, slash) };
    } else {
      if (!slot || host?.kind !== 'hop' || host.vif !== neighbour.vif) return;
      slot.host = undefined;
    }
    this.#dirty.add(slot);
  }
}

function base(slot: Slot): Target | undefined {
  return slot.local ?? slot.connected ?? slot.kernel ?? slot.route;
}

function effective(slot: Slot): Target | undefined {
  const target = base(slot);
  const { host } = slot;
  if (!target) return host;
  return target.kind === 'glean' && host?.kind === 'hop' && host.vif === target.vif ? host : target;
}

function source(slot: Slot, target: Target): Entry['source'] {
  if (target === slot.local) return 'local';
  if (target === slot.connected) return 'connected';
  if (target === slot.kernel) return 'kernel';
  return target === slot.route ? 'route' : 'neighbour';
}
