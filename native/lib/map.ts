// BpfMap: a handle on one kernel map. Keys and values are bytes, checked against
// the map's sizes before the kernel sees them; typed-map.ts puts codecs on top.
import { readFileSync } from 'node:fs';
import { addon, type NativeMap, type NativeMapInfo, type NativeValue } from './addon.js';
import { argumentError, BpfError } from './error.js';
import { nativeHandle, nativeMap, nativeProgram, registerMap } from './handles.js';
import { mapTypeName, mapTypeNumber, updateFlags, type MapType, type UpdateMode } from './map-types.js';
import type { BpfProgram } from './program.js';

/** CPUs the kernel may ever have: a per-CPU value has this many parts, each rounded up to 8 bytes. */
export function possibleCpus(): number {
  return addon.possibleCpus;
}

/** A value: its bytes, or the inner map or tail-call program it refers to. */
export type MapValue = Uint8Array | BpfMap | BpfProgram;

export interface MapOptions {
  readonly type: MapType;
  /** Shown by tools; the kernel keeps 15 characters. */
  readonly name: string;
  /** Bytes. */
  readonly keySize: number;
  /** Bytes. */
  readonly valueSize: number;
  readonly maxEntries: number;
  /** `MapFlags`, or-ed. */
  readonly flags?: number;
  /** The shape of the maps a map of maps may hold. */
  readonly innerMap?: BpfMap;
  /** What the type makes of `map_extra`: for a `bloom_filter` the number of hash functions. */
  readonly extra?: number;
}

export interface UpdateOptions {
  readonly mode?: UpdateMode;
  /** Path of the network namespace in which an interface index in the value is meant (device maps). */
  readonly netns?: string;
}

/** What a device map sends to: an interface, and optionally the program run on leaving through it. */
export interface MapDevice {
  readonly ifindex: number;
  readonly program?: BpfProgram;
}

let wrap: (native: NativeMap) => BpfMap;

/**
 * A handle on a kernel map. The handle owns a file descriptor until `close()` or collection;
 * operations in flight keep the map alive by themselves.
 *
 * Every method throws `BpfError`: `ERR_CLOSED` after `close()`, `ERR_SIZE` for keys or values of a
 * wrong length, `ERR_ARGUMENT` for wrong types, else the kernel's errno.
 */
export class BpfMap {
  readonly #native: NativeMap;
  readonly #info: NativeMapInfo;
  readonly type: MapType;

  private constructor(native: NativeMap) {
    this.#native = native;
    this.#info = native.info();
    this.type = mapTypeName(this.#info.type);
    registerMap(this, native);
  }

  static {
    wrap = (native) => new BpfMap(native);
  }

  /** Makes a map of its own, outside any object. */
  static create(options: MapOptions): BpfMap {
    const operation = 'map.create';
    if (typeof options !== 'object' || options === null)
      throw argumentError(operation, 'options', 'an object');
    const type = mapTypeNumber(options.type);
    if (type === undefined || type === 0) throw argumentError(operation, 'type', 'the name of a map type');
    const inner = options.innerMap === undefined ? null : nativeMap(options.innerMap, operation, 'innerMap');
    const { name, keySize, valueSize, maxEntries, flags = 0, extra = null } = options;
    return new BpfMap(addon.mapCreate(type, name, keySize, valueSize, maxEntries, flags, inner, extra));
  }

  /** Opens the map pinned at a path of the BPF file system. `ERR_FOREIGN` when it is not a map. */
  static openPinned(path: string): BpfMap {
    return new BpfMap(addon.mapOpenPinned(path));
  }

  /** Opens a map by its id, as found in another map's value or in a program's description. */
  static openId(id: number): BpfMap {
    return new BpfMap(addon.mapOpenId(id));
  }

  /** As declared in the object, or the kernel's (15 characters) for a map opened otherwise. */
  get name(): string {
    return this.#info.name;
  }
  get id(): number {
    return this.#info.id;
  }
  /** The kernel's number of the type, also where `type` is `'unknown'`. */
  get typeId(): number {
    return this.#info.type;
  }
  /** Bytes. */
  get keySize(): number {
    return this.#info.keySize;
  }
  /** Bytes of one value; of one CPU's part in a per-CPU map. */
  get valueSize(): number {
    return this.#info.valueSize;
  }
  get maxEntries(): number {
    return this.#info.maxEntries;
  }
  /** `MapFlags`, or-ed; the kernel may have added some. */
  get flags(): number {
    return this.#info.flags;
  }
  /** Bytes from one element to the next in `mmap()`'s memory, from one CPU's part to the next in a per-CPU value. */
  get stride(): number {
    return this.#info.stride;
  }
  /** Bytes of what `lookup` returns and `update` takes: `valueSize`, or `possibleCpus() * stride` in per-CPU maps. */
  get transferSize(): number {
    return this.#info.transferSize;
  }
  /** The descriptor's number, good while this handle is open. */
  get fd(): number {
    return this.#native.fd();
  }

  /** The value, or undefined when the key is not there. */
  lookup(key: Uint8Array): Buffer | undefined {
    const value = Buffer.allocUnsafe(this.#info.transferSize);
    return this.#native.lookupInto(key, value) ? value : undefined;
  }

  /** Writes the value into `value` (of `transferSize` bytes); false, and `value` as it was, when the key is not there. */
  lookupInto(key: Uint8Array, value: Uint8Array): boolean {
    return this.#native.lookupInto(key, value);
  }

  /** Waits for an RCU grace period in maps of maps: use `updateAsync` there. */
  update(key: Uint8Array, value: MapValue, mode: UpdateMode | UpdateOptions = 'any'): void {
    const options = typeof mode === 'object' && mode !== null ? mode : { mode };
    const flags = flagsOf(options.mode, 'map.update');
    this.#native.update(key, nativeValue(value), flags, options.netns ?? null);
  }

  /** Sets where a device map (`devmap`, `devmap_hash`) sends frames redirected to `key`. */
  setDevice(key: number, device: MapDevice, options: UpdateOptions = {}): void {
    const operation = 'map.setDevice';
    if (this.type !== 'devmap' && this.type !== 'devmap_hash') {
      throw new BpfError({
        code: 'ERR_STATE',
        operation,
        subject: this.name,
        detail: 'the map is not a device map',
      });
    }
    const program =
      device.program === undefined ? 0 : nativeProgram(device.program, operation, 'program').fd();
    if (program !== 0 && this.valueSize < 8) {
      throw new BpfError({
        code: 'ERR_SIZE',
        operation,
        subject: this.name,
        detail: 'the values of this map have no room for a program (struct bpf_devmap_val, 8 bytes)',
      });
    }
    const value = Uint32Array.of(u32(device.ifindex, operation, 'ifindex'), program);
    const bytes = new Uint8Array(value.buffer, 0, this.valueSize);
    this.update(new Uint8Array(Uint32Array.of(u32(key, operation, 'key')).buffer), bytes, options);
  }

  /** False when the key was not there. Elements of arrays cannot be deleted (`EINVAL`). */
  delete(key: Uint8Array): boolean {
    return this.#native.delete(key);
  }

  /** Takes an element out; for queues and stacks with an empty key. */
  lookupAndDelete(key: Uint8Array): Buffer | undefined {
    return this.#native.lookupAndDelete(key);
  }

  /** The key after `key`, the first without one, undefined after the last. A key that is gone leads back to the first. */
  nextKey(key?: Uint8Array): Buffer | undefined {
    const next = Buffer.allocUnsafe(this.#info.keySize);
    return this.#native.nextKeyInto(key ?? null, next) ? next : undefined;
  }

  /** All keys. The current one may be deleted while iterating; other deletions may repeat keys. */
  *keys(): Generator<Buffer, void, undefined> {
    let key = this.nextKey();
    while (key !== undefined) {
      const next = this.nextKey(key);
      yield key;
      key = next;
    }
  }

  /** All elements, one system call each; `lookupBatch` is faster. */
  *entries(): Generator<[key: Buffer, value: Buffer], void, undefined> {
    for (const key of this.keys()) {
      const value = this.lookup(key);
      if (value !== undefined) yield [key, value];
    }
  }

  /** `update` off the JavaScript thread. The arguments are copied at once. */
  async updateAsync(key: Uint8Array, value: MapValue, mode: UpdateMode = 'any'): Promise<void> {
    await this.#native.updateAsync(key, nativeValue(value), flagsOf(mode, 'map.updateAsync'));
  }

  /** `delete` off the JavaScript thread. */
  async deleteAsync(key: Uint8Array): Promise<boolean> {
    return await this.#native.deleteAsync(key);
  }

  /**
   * Every element: keys and values one after the other. Not a snapshot if the map changes meanwhile.
   * `chunk` is how many elements the first system call asks for (default 1 024; it grows by itself).
   */
  async lookupBatch(options: { readonly chunk?: number } = {}): Promise<{ keys: Buffer; values: Buffer }> {
    return await this.#native.lookupBatch(options.chunk ?? null);
  }

  /**
   * Sets many elements, with one grace period for all. `keys` are the keys one after the other; `values`
   * likewise, or the inner maps. On failure `BpfError.completed` says how many elements were set.
   */
  async updateBatch(
    keys: Uint8Array,
    values: Uint8Array | readonly MapValue[],
    mode: UpdateMode = 'any',
  ): Promise<void> {
    const native = values instanceof Array ? values.map(nativeValue) : values;
    await this.#native.updateBatch(keys, native, flagsOf(mode, 'map.updateBatch'));
  }

  /** Deletes many elements, passing over keys that are not there; how many were. */
  async deleteBatch(keys: Uint8Array): Promise<number> {
    return await this.#native.deleteBatch(keys);
  }

  /**
   * The memory of an array made with `MapFlags.MMAPABLE`: `maxEntries` elements, `stride` bytes apart.
   * Each call maps anew; the memory stays mapped until the ArrayBuffer is collected, also after `close()`.
   * Programs see stores at once; `Atomics` on a typed array over it gives atomic ones.
   */
  mmap(): ArrayBuffer {
    return this.#native.mmap();
  }

  /** Refuses every further write from user space, for good. */
  freeze(): void {
    this.#native.freeze();
  }

  /** Pins the map at a path of the BPF file system, making the directory. `EEXIST` when the path is taken. */
  pin(path: string): void {
    this.#native.pin(path);
  }

  /** Bytes of kernel memory the map holds, by its own account. */
  memory(): number {
    const text = readFileSync(`/proc/self/fdinfo/${this.#native.fd()}`, 'utf8');
    return Number(/^memlock:\s*(\d+)/m.exec(text)?.[1] ?? 0);
  }

  /** Gives the descriptor back. The map lives on while pinned, used by a program or held elsewhere. */
  close(): void {
    this.#native.close();
  }
}

/** For the other classes of this facade: a BpfMap around the addon's handle. */
export function wrapMap(native: NativeMap): BpfMap {
  return wrap(native);
}

// Anything else than a handle goes to the addon as it is, which takes bytes and refuses the rest.
function nativeValue(value: MapValue): NativeValue {
  return nativeHandle(value) ?? (value as Uint8Array);
}

function flagsOf(mode: UpdateMode | undefined, operation: string): number {
  const flags = updateFlags(mode ?? 'any');
  if (flags === undefined) throw argumentError(operation, 'mode', "'any', 'create' or 'exist'");
  return flags;
}

function u32(value: number, operation: string, name: string): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw argumentError(operation, name, 'an integer between 0 and 4294967295');
  }
  return value;
}
