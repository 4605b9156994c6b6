/**
 * Which outer addresses belong to which tunnel: the key of an arriving packet's outer header. IPv4 pairs are in
 * buckets of shared memory that the programs read directly, IPv6 pairs in a hash map of the kernel's.
 */
import { type BpfMap } from '../../native/lib/index.js';
import { Limit, TunnelBucket4, TunnelSlot4 } from '../../gen/layout.js';
import { bucketsOf } from './buckets.js';
import { DataPlaneError, wrongArgument } from './errors.js';

const SLOTS = Limit.LIMIT_TUNNEL_SLOTS;
const WORDS = TunnelSlot4.size / 4;
const USED = TunnelSlot4.offsets.used / 4;
const REMOTE = TunnelSlot4.offsets.remote / 4;
const LOCAL = TunnelSlot4.offsets.local / 4;
const TUNNEL = TunnelSlot4.offsets.tunnel / 4;

export interface TunnelEnd {
  /** 4 or 16 bytes, wire order. */
  readonly local: Uint8Array;
  /** Zero: `local` is an end of some tunnel, so that strangers' packets to it are dropped by name. */
  readonly remote: Uint8Array;
  /** 0 where `remote` is zero. */
  readonly tunnel: number;
}

export class TunnelEnds {
  readonly #ipv4: Buckets;
  readonly #ipv6: BpfMap;

  constructor(ipv4: BpfMap, ipv6: BpfMap) {
    this.#ipv4 = new Buckets(ipv4);
    this.#ipv6 = ipv6;
  }

  /** Packets from `remote` to `local` belong to this tunnel. `TABLE_FULL` when no more fit. */
  set(local: Uint8Array, remote: Uint8Array, tunnel: number): void {
    const operation = 'tunnelEnds.set';
    if (!Number.isInteger(tunnel) || tunnel < 0) throw wrongArgument(operation, 'tunnel', 'a tunnel id or 0');
    if (family(local, remote, operation) === 4) return this.#ipv4.set(word(remote), word(local), tunnel);
    try {
      this.#ipv6.update(key6(local, remote), new Uint8Array(Uint32Array.of(tunnel).buffer));
    } catch (cause) {
      throw full(this.#ipv6.name, `no more than ${this.#ipv6.maxEntries} pairs of addresses fit`, cause);
    }
  }

  /** The tunnel, 0 for one of our addresses, undefined for a stranger. */
  get(local: Uint8Array, remote: Uint8Array): number | undefined {
    if (family(local, remote, 'tunnelEnds.get') === 4) return this.#ipv4.get(word(remote), word(local));
    return this.#ipv6.lookup(key6(local, remote))?.readUInt32LE(0);
  }

  /** False when it was not there. */
  delete(local: Uint8Array, remote: Uint8Array): boolean {
    if (family(local, remote, 'tunnelEnds.delete') === 4) return this.#ipv4.delete(word(remote), word(local));
    return this.#ipv6.delete(key6(local, remote));
  }

  async entries(): Promise<TunnelEnd[]> {
    const found = [...this.#ipv4.entries()];
    const { keys, values } = await this.#ipv6.lookupBatch();
    const { keySize, transferSize } = this.#ipv6;
    for (let i = 0; i * keySize < keys.length; i++) {
      const key = new Uint8Array(keys.subarray(i * keySize, (i + 1) * keySize));
      const tunnel = values.readUInt32LE(i * transferSize);
      found.push({ remote: key.slice(0, 16), local: key.slice(16), tunnel });
    }
    return found;
  }
}

/** The IPv4 pairs, in memory shared with the programs: see struct tunnel_slot4. */
class Buckets {
  readonly #name: string;
  readonly #words: Uint32Array;
  readonly #mask: number;
  readonly #capacity: number;

  constructor(map: BpfMap) {
    if (map.valueSize !== TunnelBucket4.size)
      throw wrongArgument('tunnelEnds', map.name, 'a map of tunnel buckets');
    this.#name = map.name;
    this.#words = new Uint32Array(map.mmap());
    this.#mask = map.maxEntries - 1;
    this.#capacity = map.maxEntries * SLOTS;
  }

  set(remote: number, local: number, tunnel: number): void {
    const [one, two] = bucketsOf(remote, local, this.#mask);
    const [more, less] = this.#taken(one) > this.#taken(two) ? [one, two] : [two, one];
    const slot = this.#find(remote, local) ?? this.#free(less) ?? this.#free(more);
    if (slot === undefined)
      throw full(this.#name, 'both places of this pair of addresses are full', undefined);
    const base = slot * WORDS;
    // whoever reads it meanwhile holds the tunnel's own record against what arrived
    Atomics.store(this.#words, base + TUNNEL, tunnel);
    Atomics.store(this.#words, base + REMOTE, remote);
    Atomics.store(this.#words, base + LOCAL, local);
    Atomics.store(this.#words, base + USED, 1);
  }

  get(remote: number, local: number): number | undefined {
    const slot = this.#find(remote, local);
    return slot === undefined ? undefined : this.#words[slot * WORDS + TUNNEL];
  }

  delete(remote: number, local: number): boolean {
    const slot = this.#find(remote, local);
    if (slot === undefined) return false;
    Atomics.store(this.#words, slot * WORDS + USED, 0);
    return true;
  }

  *entries(): Generator<TunnelEnd> {
    for (let slot = 0; slot < this.#capacity; slot++) {
      const base = slot * WORDS;
      if (!this.#words[base + USED]) continue;
      const tunnel = this.#words[base + TUNNEL] ?? 0;
      yield { remote: bytes(this.#words[base + REMOTE]), local: bytes(this.#words[base + LOCAL]), tunnel };
    }
  }

  *#slots(bucket: number): Generator<number> {
    for (let i = 0; i < SLOTS; i++) yield bucket * SLOTS + i;
  }

  #taken(bucket: number): number {
    let taken = 0;
    for (const slot of this.#slots(bucket)) taken += this.#words[slot * WORDS + USED] ?? 0;
    return taken;
  }

  #free(bucket: number): number | undefined {
    for (const slot of this.#slots(bucket)) if (!this.#words[slot * WORDS + USED]) return slot;
    return undefined;
  }

  #find(remote: number, local: number): number | undefined {
    for (const bucket of bucketsOf(remote, local, this.#mask)) {
      for (const slot of this.#slots(bucket)) {
        const base = slot * WORDS;
        const is = this.#words[base + REMOTE] === remote && this.#words[base + LOCAL] === local;
        if (is && this.#words[base + USED]) return slot;
      }
    }
    return undefined;
  }
}

function family(local: Uint8Array, remote: Uint8Array, operation: string): 4 | 6 {
  if (local.length === remote.length && local.length === 4) return 4;
  if (local.length === remote.length && local.length === 16) return 6;
  throw wrongArgument(operation, 'local, remote', 'two addresses of 4 or of 16 bytes');
}

/** An IPv4 address as the programs load it from a packet. */
function word(address: Uint8Array): number {
  return new DataView(address.buffer, address.byteOffset, 4).getUint32(0, true);
}

function bytes(address: number | undefined): Uint8Array {
  const result = new Uint8Array(4);
  new DataView(result.buffer).setUint32(0, address ?? 0, true);
  return result;
}

/** struct tunnel_key6: the source of arriving packets first. */
function key6(local: Uint8Array, remote: Uint8Array): Uint8Array {
  return Buffer.concat([remote, local]);
}

function full(subject: string, detail: string, cause: unknown): DataPlaneError {
  return new DataPlaneError({ code: 'TABLE_FULL', operation: 'tunnelEnds.set', subject, detail, cause });
}
