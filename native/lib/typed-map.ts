// TypedMap: a BpfMap whose keys and values go through codecs, such as those that
// generateLayout() writes.
import { BpfError } from './error.js';
import type { BpfMap } from './map.js';
import type { UpdateMode } from './map-types.js';

/** Translates between a value and its bytes; every generated layout is one. */
export interface Codec<T> {
  /** Bytes. */
  readonly size: number;
  encode(value: T): Buffer;
  encodeInto(target: DataView | Uint8Array, offset: number, value: T): void;
  decode(source: DataView | Uint8Array, offset?: number): T;
}

/** A map with typed keys and values. Errors are those of `BpfMap`, plus `RangeError` for values that do not fit. */
export class TypedMap<K, V> {
  readonly map: BpfMap;
  readonly key: Codec<K>;
  readonly value: Codec<V>;

  /** `ERR_SIZE` when the codecs are not of the map's sizes. */
  constructor(map: BpfMap, key: Codec<K>, value: Codec<V>) {
    for (const [what, wanted, found] of [
      ['keys', map.keySize, key.size],
      ['values', map.valueSize, value.size],
    ] as const) {
      if (wanted === found) continue;
      const detail = `the map's ${what} have ${wanted} bytes, their codec ${found}`;
      throw new BpfError({ code: 'ERR_SIZE', operation: 'map.typed', subject: map.name, detail });
    }
    this.map = map;
    this.key = key;
    this.value = value;
  }

  get(key: K): V | undefined {
    const bytes = this.map.lookup(this.key.encode(key));
    return bytes === undefined ? undefined : this.value.decode(bytes);
  }

  /** The value on every possible CPU, in a per-CPU map. */
  getPerCpu(key: K): V[] | undefined {
    const bytes = this.map.lookup(this.key.encode(key));
    return bytes === undefined ? undefined : this.#perCpu(bytes, 0);
  }

  set(key: K, value: V, mode: UpdateMode = 'any'): void {
    this.map.update(this.key.encode(key), this.value.encode(value), mode);
  }

  delete(key: K): boolean {
    return this.map.delete(this.key.encode(key));
  }

  /** Every element, read in few system calls off the JavaScript thread. */
  async all(): Promise<Array<[key: K, value: V]>> {
    const { keys, values } = await this.map.lookupBatch();
    return this.#keys(keys).map((key, i) => [key, this.value.decode(values, i * this.map.transferSize)]);
  }

  /** Every element of a per-CPU map. */
  async allPerCpu(): Promise<Array<[key: K, values: V[]]>> {
    const { keys, values } = await this.map.lookupBatch();
    return this.#keys(keys).map((key, i) => [key, this.#perCpu(values, i * this.map.transferSize)]);
  }

  /** Sets many elements with one grace period; off the JavaScript thread. */
  async setAll(
    elements: ReadonlyArray<readonly [key: K, value: V]>,
    mode: UpdateMode = 'any',
  ): Promise<void> {
    const keys = Buffer.alloc(elements.length * this.key.size);
    const values = Buffer.alloc(elements.length * this.value.size);
    elements.forEach(([key, value], i) => {
      this.key.encodeInto(keys, i * this.key.size, key);
      this.value.encodeInto(values, i * this.value.size, value);
    });
    await this.map.updateBatch(keys, values, mode);
  }

  /** Deletes many elements, passing over keys that are not there; how many were. */
  async deleteAll(keys: readonly K[]): Promise<number> {
    const bytes = Buffer.alloc(keys.length * this.key.size);
    keys.forEach((key, i) => this.key.encodeInto(bytes, i * this.key.size, key));
    return await this.map.deleteBatch(bytes);
  }

  #keys(bytes: Buffer): K[] {
    return Array.from({ length: bytes.length / this.key.size }, (_, i) =>
      this.key.decode(bytes, i * this.key.size),
    );
  }

  #perCpu(bytes: Buffer, offset: number): V[] {
    const { stride, transferSize } = this.map;
    return Array.from({ length: transferSize / stride }, (_, cpu) =>
      this.value.decode(bytes, offset + cpu * stride),
    );
  }
}
