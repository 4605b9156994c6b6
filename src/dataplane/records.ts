/**
 * Tables of records in memory shared with the programs: an id is an index, a record is words that programs may read
 * at any moment. A record is prepared first and published by one aligned word: everything after a record's first
 * word is written before it, and what must change at once is one word (`set`, `setAt`).
 */
import { type BpfMap } from '../../native/lib/index.js';
import { DataPlaneError, wrongArgument } from './errors.js';
import { type IdPool } from './pool.js';

/** What gen/layout.ts has for each struct. */
export interface RecordCodec<T, Offsets> {
  readonly size: number;
  readonly offsets: Offsets;
  encodeInto(target: DataView | Uint8Array, offset: number, value: T): void;
  decode(source: DataView | Uint8Array, offset?: number): T;
}

export type NumberField<T> = { [K in keyof T & string]: T[K] extends number ? K : never }[keyof T & string];
export type WordsField<T> = { [K in keyof T & string]: T[K] extends Uint32Array ? K : never }[keyof T &
  string];

/** Some fields of a record; words may come as any list of numbers. */
export type Fields<T> = { readonly [K in keyof T]?: T[K] extends Uint32Array ? ArrayLike<number> : T[K] };

export interface RecordTableOptions<T> {
  /** Only ids of this pool may be written. */
  readonly pool?: IdPool;
  /** Bits of words that somebody else owns: `write` and `set` leave them as they are. */
  readonly kept?: ReadonlyArray<{ readonly field: NumberField<T>; readonly bits: number }>;
}

export class RecordTable<T extends object, Offsets extends Readonly<Record<string, number>>> {
  readonly name: string;
  /** Ids are 1 to `capacity - 1`. */
  readonly capacity: number;
  readonly #codec: RecordCodec<T, Offsets>;
  readonly #words: Uint32Array;
  readonly #view: DataView;
  readonly #stride: number;
  readonly #scratch: Uint32Array;
  readonly #scratchView: DataView;
  readonly #pool: IdPool | undefined;
  /** By word. */
  readonly #kept: ReadonlyMap<number, number>;

  constructor(map: BpfMap, codec: RecordCodec<T, Offsets>, options: RecordTableOptions<T> = {}) {
    if (codec.size !== map.valueSize || codec.size % 4 !== 0) {
      throw wrongArgument('records', map.name, `a map of records of ${codec.size} bytes`);
    }
    const memory = map.mmap();
    this.name = map.name;
    this.capacity = map.maxEntries;
    this.#codec = codec;
    this.#words = new Uint32Array(memory);
    this.#view = new DataView(memory);
    this.#stride = map.stride;
    this.#scratch = new Uint32Array(codec.size / 4);
    this.#scratchView = new DataView(this.#scratch.buffer);
    this.#pool = options.pool;
    this.#kept = new Map(options.kept?.map(({ field, bits }) => [this.#wordOf(field), bits]));
  }

  /** Bytes of kernel memory. */
  get bytes(): number {
    return this.capacity * this.#stride;
  }

  read(id: number): T {
    return this.#codec.decode(this.#view, this.#offset(id, 'read'));
  }

  /** The words of `fields` that differ, the record's first word last. A reader may see some of them before others. */
  write(id: number, fields: Fields<T>): void {
    const offset = this.#writable(id, 'write');
    const record = { ...this.#codec.decode(this.#view, offset), ...fields };
    this.#codec.encodeInto(this.#scratchView, 0, record);
    const base = offset / 4;
    for (let i = this.#scratch.length - 1; i >= 0; i--) this.#store(base, i, this.#scratch[i] ?? 0);
  }

  /** One word, at once. */
  set(id: number, field: NumberField<T>, value: number): void {
    const base = this.#writable(id, 'set') / 4;
    this.#store(base, this.#wordOf(field), checkWord(value, `${this.name}.${field}`));
  }

  /** One word of an array, at once. */
  setAt(id: number, field: WordsField<T>, index: number, value: number): void {
    const base = this.#writable(id, 'setAt') / 4;
    const start = this.#start(field);
    const length = (this.#end(start) - start) / 4;
    if (!Number.isInteger(index) || index < 0 || index >= length) {
      throw wrongArgument('setAt', `${this.name}.${field}`, `indexed from 0 to ${length - 1}`);
    }
    this.#store(base, start / 4 + index, checkWord(value, `${this.name}.${field}`));
  }

  /** Adds one to a word, at once; it wraps. */
  increment(id: number, field: NumberField<T>): void {
    Atomics.add(this.#words, this.#offset(id, 'increment') / 4 + this.#wordOf(field), 1);
  }

  /** One word, if it is `expected` still; what it was. */
  exchange(id: number, field: NumberField<T>, expected: number, value: number): number {
    const at = this.#writable(id, 'exchange') / 4 + this.#wordOf(field);
    return Atomics.compareExchange(this.#words, at, expected, checkWord(value, `${this.name}.${field}`));
  }

  /** Sets or clears the bits of `mask` in a word, whoever owns them. */
  setBits(id: number, field: NumberField<T>, mask: number, on: boolean): void {
    const at = this.#offset(id, 'setBits') / 4 + this.#wordOf(field);
    if (on) Atomics.or(this.#words, at, mask);
    else Atomics.and(this.#words, at, ~mask);
  }

  /** All words but that of `keep`, the first one first. For ids nobody has: no pool is asked. */
  clear(id: number, keep?: NumberField<T>): void {
    const base = this.#offset(id, 'clear') / 4;
    const kept = keep === undefined ? -1 : this.#wordOf(keep);
    for (let i = 0; i < this.#scratch.length; i++) if (i !== kept) Atomics.store(this.#words, base + i, 0);
  }

  /** Whether any word but that of `aside` is set. */
  isSet(id: number, aside?: NumberField<T>): boolean {
    const base = this.#offset(id, 'read') / 4;
    const skip = aside === undefined ? -1 : this.#wordOf(aside);
    for (let i = 0; i < this.#scratch.length; i++) if (i !== skip && this.#words[base + i] !== 0) return true;
    return false;
  }

  #store(base: number, word: number, value: number): void {
    const at = base + word;
    const live = this.#words[at] ?? 0;
    const kept = this.#kept.get(word) ?? 0;
    const next = (value & ~kept) | (live & kept);
    if (live !== next >>> 0) Atomics.store(this.#words, at, next);
  }

  #offset(id: number, operation: string): number {
    if (!Number.isInteger(id) || id < 1 || id >= this.capacity) {
      throw wrongArgument(
        `records.${operation}`,
        `${this.name} ${id}`,
        `an id from 1 to ${this.capacity - 1}`,
      );
    }
    return id * this.#stride;
  }

  #writable(id: number, operation: string): number {
    const offset = this.#offset(id, operation);
    this.#pool?.check(id, `records.${operation}`);
    return offset;
  }

  #start(field: string): number {
    const start = this.#codec.offsets[field];
    if (start === undefined) {
      throw new DataPlaneError({
        code: 'ARGUMENT',
        operation: 'records.field',
        subject: `${this.name}.${field}`,
        detail: 'there is no such field',
      });
    }
    return start;
  }

  #end(start: number): number {
    return Math.min(
      ...Object.values(this.#codec.offsets).filter((offset) => offset > start),
      this.#codec.size,
    );
  }

  #wordOf(field: string): number {
    const start = this.#start(field);
    if (start % 4 !== 0 || this.#end(start) - start !== 4) {
      throw wrongArgument('records.field', `${this.name}.${field}`, 'one aligned word');
    }
    return start / 4;
  }
}

function checkWord(value: number, subject: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffffffff) return value;
  throw wrongArgument('records.set', subject, 'an integer from 0 to 4294967295');
}
