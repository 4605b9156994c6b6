/**
 * The next hop records of one virtual node, one for each different target, shared by the routes that use it. A
 * neighbour's MAC address comes and goes by one word (FORWARD and GLEAN); it is rewritten only when every program
 * that may have read FORWARD has ended.
 */
import { NextHopKind, type NextHop } from '../../gen/layout.js';
import { type SingleTarget, type Target, targetKey } from './rib.js';
import { spread } from './ways.js';

/** What is needed of the data plane. */
export interface NextHopRecords {
  allocate(table: 'nextHop'): number;
  release(table: 'nextHop', id: number): void;
  grace(): Promise<void>;
  readonly nextHops: {
    write(id: number, value: Partial<NextHop>): void;
    set(id: number, field: 'kind', value: number): void;
  };
}

/** A vif of the node as next hops need it. */
export interface VifOfHop {
  readonly id: number;
  readonly mac: Uint8Array;
}

/** Where the records' contents come from. */
export interface Adjacencies {
  /** Undefined: no vif of ours; the kernel forwards. */
  vif(device: string): VifOfHop | undefined;
  /** False: a way of a group that is left out. */
  up(device: string): boolean;
  /** Gateway '': of whoever is on the link, which is known only where nobody has one. */
  mac(device: string, gateway: string): Uint8Array | undefined;
  /** A neighbour is now used by some next hop, or by none any more. */
  used(device: string, gateway: string, inUse: boolean): void;
}

interface Forward {
  readonly vif: number;
  readonly source: Uint8Array;
  readonly mac: Uint8Array;
}

interface HopEntry {
  readonly id: number;
  readonly key: string;
  readonly target: Target;
  references: number;
  /** What the record says while its kind is FORWARD. */
  forward: Forward | undefined;
  /** Set while some program may still read an older FORWARD. */
  quiet: Promise<void> | undefined;
  /** Of a group. */
  readonly members: readonly HopEntry[];
}

function sameMac(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

export class NextHops {
  readonly #records: NextHopRecords;
  readonly #node: number;
  readonly #adjacencies: Adjacencies;
  readonly #entries = new Map<string, HopEntry>();

  constructor(records: NextHopRecords, node: number, adjacencies: Adjacencies) {
    this.#records = records;
    this.#node = node;
    this.#adjacencies = adjacencies;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Ids in use. */
  ids(): Set<number> {
    return new Set(Array.from(this.#entries.values(), (entry) => entry.id));
  }

  /** The record of a target, one reference more. Throws DataPlaneError TABLE_FULL. */
  acquire(target: Target): number {
    return this.#acquire(target).id;
  }

  /** One reference less; the last one gives the record back. No table may lead to it any more. */
  release(key: string): void {
    const entry = this.#entries.get(key);
    if (entry) this.#release(entry);
  }

  /** A neighbour's MAC address has changed. */
  neighbourChanged(device: string, gateway: string): void {
    const entry = this.#entries.get(targetKey({ kind: 'hop', vif: device, gateway }));
    if (entry) this.#settle(entry);
  }

  /** A vif has come, gone, changed its MAC address, or gone up or down. */
  vifChanged(device: string): void {
    for (const entry of this.#entries.values()) {
      const { target } = entry;
      if (target.kind === 'group') {
        if (target.ways.some((way) => way.to.vif === device)) this.#fillWays(entry);
      } else if ((target.kind === 'hop' || target.kind === 'glean') && target.vif === device) {
        this.#settle(entry);
      }
    }
  }

  #acquire(target: Target): HopEntry {
    const key = targetKey(target);
    let entry = this.#entries.get(key);
    if (!entry) {
      const members: HopEntry[] = [];
      try {
        if (target.kind === 'group') for (const way of target.ways) members.push(this.#acquire(way.to));
        const id = this.#records.allocate('nextHop');
        entry = { id, key, target, references: 0, forward: undefined, quiet: undefined, members };
      } catch (error) {
        for (const member of members) this.#release(member);
        throw error;
      }
      this.#entries.set(key, entry);
      this.#write(entry);
      if (target.kind === 'hop') this.#adjacencies.used(target.vif, target.gateway, true);
    }
    entry.references++;
    return entry;
  }

  #release(entry: HopEntry): void {
    if (--entry.references > 0) return;
    this.#entries.delete(entry.key);
    for (const member of entry.members) this.#release(member);
    this.#records.release('nextHop', entry.id);
    const { target } = entry;
    if (target.kind === 'hop') this.#adjacencies.used(target.vif, target.gateway, false);
  }

  #write(entry: HopEntry): void {
    const { target } = entry;
    switch (target.kind) {
      case 'local':
        return this.#writeKind(entry, NextHopKind.NEXT_HOP_LOCAL);
      case 'unreachable':
        return this.#writeKind(entry, NextHopKind.NEXT_HOP_UNREACHABLE);
      case 'blackhole':
        return this.#writeKind(entry, NextHopKind.NEXT_HOP_BLACKHOLE);
      case 'group':
        this.#fillWays(entry);
        this.#records.nextHops.set(entry.id, 'kind', NextHopKind.NEXT_HOP_GROUP);
        return;
      default:
        this.#writeKind(entry, NextHopKind.NEXT_HOP_GLEAN);
        this.#settle(entry);
    }
  }

  #writeKind(entry: HopEntry, kind: number): void {
    const device = entry.target.kind === 'glean' || entry.target.kind === 'hop' ? entry.target.vif : '';
    const vif = this.#adjacencies.vif(device)?.id ?? 0;
    this.#records.nextHops.write(entry.id, { node: this.#node, vif, kind });
  }

  #fillWays(entry: HopEntry): void {
    if (entry.target.kind !== 'group') return;
    const all = entry.target.ways.map((way, i) => ({
      to: entry.members[i]?.id ?? 0,
      weight: way.weight,
      way,
    }));
    const alive = all.filter(({ way }) => this.#adjacencies.up(way.to.vif));
    const ways = spread(alive.length > 0 ? alive : all);
    this.#records.nextHops.write(entry.id, { node: this.#node, vif: 0, ways: Uint32Array.from(ways) });
  }

  /** Makes a neighbour's record what the namespace knows of it. */
  #settle(entry: HopEntry): void {
    const { target } = entry;
    if (target.kind !== 'glean' && target.kind !== 'hop') return;
    const wanted = this.#wanted(target.vif, target.kind === 'hop' ? target.gateway : '');
    const { nextHops } = this.#records;
    const now = entry.forward;
    if (now) {
      if (
        wanted &&
        wanted.vif === now.vif &&
        sameMac(wanted.mac, now.mac) &&
        sameMac(wanted.source, now.source)
      ) {
        return;
      }
      nextHops.set(entry.id, 'kind', NextHopKind.NEXT_HOP_GLEAN);
      entry.forward = undefined;
      this.#quieten(entry);
      return;
    }
    if (entry.quiet) return;
    if (!wanted) {
      if (target.kind === 'glean') this.#settleGlean(entry, target);
      return;
    }
    nextHops.write(entry.id, { node: this.#node, ...wanted });
    nextHops.set(entry.id, 'kind', NextHopKind.NEXT_HOP_FORWARD);
    entry.forward = wanted;
  }

  /** The record's vif is for the eye only: the kernel sends. */
  #settleGlean(entry: HopEntry, target: SingleTarget): void {
    this.#records.nextHops.write(entry.id, { vif: this.#adjacencies.vif(target.vif)?.id ?? 0 });
  }

  #wanted(device: string, gateway: string): Forward | undefined {
    const vif = this.#adjacencies.vif(device);
    const mac = vif && this.#adjacencies.mac(device, gateway);
    return vif && mac && { vif: vif.id, source: vif.mac, mac };
  }

  #quieten(entry: HopEntry): void {
    const quiet = this.#records.grace().then(() => {
      if (entry.quiet !== quiet) return;
      entry.quiet = undefined;
      if (this.#entries.get(entry.key) === entry) this.#settle(entry);
    });
    // a data plane that is being closed has no grace periods: nothing is rewritten then
    quiet.catch(() => undefined);
    entry.quiet = quiet;
  }
}
