// BpfObject: an object file from opening (which only parses) to its loaded maps
// and programs.
import { addon, type NativeObject, type NativeObjectDescription } from './addon.js';
import { parseBtf, type Btf } from './btf.js';
import { encodeVariable, findVariable, type BtfVariable } from './btf-variables.js';
import { argumentError, BpfError } from './error.js';
import { nativeMap } from './handles.js';
import { wrapMap, type BpfMap } from './map.js';
import { mapTypeName, type MapType } from './map-types.js';
import { wrapProgram, type BpfProgram } from './program.js';

export interface ObjectOptions {
  /** Names the object to the kernel (default: the file's name). */
  readonly name?: string;
  /** Verifier's log level; 1 or 2 fill `log` also when loading succeeds. */
  readonly logLevel?: number;
}

/** A map as the object declares it. */
export interface MapDescription {
  readonly name: string;
  readonly type: MapType;
  /** Bytes. */
  readonly keySize: number;
  /** Bytes. */
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** A section of variables (`.rodata`, `.data`, `.bss`). */
  readonly internal: boolean;
}

export interface ProgramDescription {
  readonly name: string;
  /** The ELF section, `'xdp'` or `'xdp/devmap'`. */
  readonly section: string;
  readonly autoload: boolean;
  readonly instructions: number;
}

export type ConstantValue = number | bigint | boolean | Uint8Array;

/**
 * An object file. Methods throw `BpfError`: `ERR_NOT_FOUND` for a map or program it does not have,
 * `ERR_STATE` before or after their time, `ERR_CLOSED` after `close()`.
 */
export class BpfObject {
  readonly #native: NativeObject;
  readonly #description: NativeObjectDescription;
  readonly path: string;

  private constructor(native: NativeObject, path: string) {
    this.#native = native;
    this.#description = native.describe();
    this.path = path;
  }

  /** Parses an object file; nothing reaches the kernel yet. */
  static open(path: string, options: ObjectOptions = {}): BpfObject {
    return new BpfObject(addon.objectOpen(path, options.name ?? null, options.logLevel ?? 0), path);
  }

  /** Maps in the file's order, variables' sections included. */
  get mapNames(): readonly string[] {
    return this.#description.maps.map((map) => map.name);
  }

  /** Programs in the file's order. */
  get programNames(): readonly string[] {
    return this.#description.programs.map((program) => program.name);
  }

  /** The maps as they will be (or were) created. */
  describeMaps(): readonly MapDescription[] {
    return this.#native.describe().maps.map((map) => ({ ...map, type: mapTypeName(map.type) }));
  }

  describePrograms(): readonly ProgramDescription[] {
    return this.#native.describe().programs.map(({ name, section, autoload, instructions }) => ({
      name,
      section,
      autoload,
      instructions,
    }));
  }

  /** The object's type information, with variables' offsets filled in. */
  btf(): Btf {
    return parseBtf(this.#native.btf());
  }

  /** Before `load()`: gives a map another size. */
  setMaxEntries(map: string, maxEntries: number): void {
    this.#native.setMaxEntries(map, maxEntries);
  }

  /**
   * Before `load()`: names the map's pin. A map pinned there is used instead of a new one, if it has the
   * same type, sizes and flags (`load()` fails with `ERR_SHAPE` otherwise); else the new one is pinned.
   */
  setPinned(map: string, path: string): void {
    this.#native.setPinned(map, path);
  }

  /** Before `load()`: the shape of the maps a map of maps will hold, where the file does not say it. */
  setInnerMap(map: string, inner: BpfMap): void {
    this.#native.setInnerMap(map, nativeMap(inner, 'object.setInnerMap', 'inner'));
  }

  /** Before `load()`: uses an existing map instead of a new one. `ERR_SHAPE` when the two differ. */
  reuseMap(map: string, existing: BpfMap): void {
    this.#native.reuseMap(map, nativeMap(existing, 'object.reuseMap', 'existing'));
  }

  /**
   * Before `load()`: sets `const volatile` variables (`.rodata`) by name, so that the verifier takes them as
   * constants. Numbers must fit the variable; bytes must have its size.
   */
  setConstants(values: Readonly<Record<string, ConstantValue>>): void {
    const operation = 'object.setConstants';
    if (typeof values !== 'object' || values === null) throw argumentError(operation, 'values', 'an object');
    const btf = this.btf();
    const settings = Object.entries(values).map(([name, value]) => {
      const variable = findVariable(btf, name, (section) => section.startsWith('.rodata'));
      if (variable === undefined) {
        const detail = `no such constant in ${this.path}`;
        throw new BpfError({ code: 'ERR_NOT_FOUND', operation, subject: name, detail });
      }
      return { variable, bytes: encodeVariable(btf, variable, value, operation) };
    });
    for (const { variable, bytes } of settings)
      this.#native.setInitial(variable.section, variable.offset, bytes);
  }

  /** Where a global variable lies: `map(section)` has it `offset` bytes from the begin of its only element. */
  variable(name: string): BtfVariable {
    const found = findVariable(this.btf(), name, () => true);
    if (found !== undefined) return found;
    const detail = `no such variable in ${this.path}`;
    throw new BpfError({
      code: 'ERR_NOT_FOUND',
      operation: 'object.variable',
      subject: name,
      detail,
    });
  }

  /** Before `load()`: whether a program is loaded at all. */
  setAutoload(program: string, autoload: boolean): void {
    this.#native.setAutoload(program, autoload);
  }

  /** Before `load()`: whether a map is created at all. */
  setAutocreate(map: string, autocreate: boolean): void {
    this.#native.setAutocreate(map, autocreate);
  }

  /**
   * Creates the maps and has the programs verified, off the JavaScript thread. On failure the error's
   * `log` has the verifier's log, and the object must be opened anew.
   */
  async load(): Promise<void> {
    await this.#native.load();
  }

  /** What libbpf and the verifier said during `load()`. */
  get log(): string {
    return this.#native.log();
  }

  /** After `load()`: a new handle on a map; it stays good after the object is closed. */
  map(name: string): BpfMap {
    return wrapMap(this.#native.map(name));
  }

  /** After `load()`: a new handle on a program; it stays good after the object is closed. */
  program(name: string): BpfProgram {
    return wrapProgram(this.#native.program(name));
  }

  /** Frees the object. Handles taken from it, pins and attachments stay. */
  close(): void {
    this.#native.close();
  }
}
