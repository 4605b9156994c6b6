/**
 * From a compiled BPF object to maps and programs in the kernel: where the object is, how large its maps are, which
 * of them are pinned already.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BpfError, plainType, type BpfMap, type BpfObject, type Btf } from '../../native/lib/index.js';
import { type Capacities, constants, maxEntries } from './capacities.js';
import { DataPlaneError } from './errors.js';

/** `forward`: the programs; `trace`: the same source, following one frame. */
export type ObjectPurpose = 'forward' | 'trace';

export interface ObjectChoice {
  readonly purpose: ObjectPurpose;
  /** The build for frames in several buffers. All programs of one device table are of one build. */
  readonly jumbo: boolean;
  /** Where the compiled objects are; build/bpf of the package otherwise. */
  readonly folder: string | undefined;
}

const FOLDER = join('build', 'bpf');

/** The object's file. `OBJECT_MISSING` when it is not there. */
export function objectPath({ purpose, jumbo, folder }: ObjectChoice): string {
  const file = `cabernet${jumbo ? '-jumbo' : ''}${purpose === 'trace' ? '-trace' : ''}.o`;
  const start = dirname(fileURLToPath(import.meta.url));
  const missing = (looked: string): DataPlaneError =>
    new DataPlaneError({
      code: 'OBJECT_MISSING',
      operation: 'open',
      subject: file,
      detail: `there is no compiled object (looked ${looked}): run npm run setup`,
    });
  if (folder !== undefined) {
    const path = join(folder, file);
    if (existsSync(path)) return path;
    throw missing(`in ${folder}`);
  }
  // upward from here: src/dataplane in the sources, dist/src/dataplane when compiled
  for (let at = start; ; at = dirname(at)) {
    const path = join(at, FOLDER, file);
    if (existsSync(path)) return path;
    if (dirname(at) === at) throw missing(`for ${FOLDER} upward from ${start}`);
  }
}

/** Maps that every start makes anew: they belong to one build of the programs. */
const OWN_MAPS: ReadonlySet<string> = new Set(['trace_events']);

/** Sizes the object's maps and sets the constants that follow. */
export function prepare(object: BpfObject, capacities: Capacities): void {
  const sizes = maxEntries(capacities);
  for (const map of object.describeMaps()) {
    const size = sizes[map.name];
    if (!map.internal && size !== undefined) object.setMaxEntries(map.name, size);
  }
  object.setConstants(constants(capacities));
}

/** The names of the maps that hold the data plane's state. */
export function sharedMaps(object: BpfObject): string[] {
  return object
    .describeMaps()
    .filter((map) => !map.internal && !OWN_MAPS.has(map.name))
    .map((map) => map.name);
}

/** Every shared map is taken from its pin in `folder`, or made and pinned there. */
export function pinMaps(object: BpfObject, folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of sharedMaps(object)) object.setPinned(name, join(folder, name));
}

/** `LOAD_FAILED`, or `LAYOUT_MISMATCH` when a pinned map is of another shape. */
export async function load(object: BpfObject): Promise<void> {
  try {
    await object.load();
  } catch (cause) {
    if (!(cause instanceof BpfError)) throw cause;
    const shape = cause.code === 'ERR_SHAPE';
    throw new DataPlaneError({
      code: shape ? 'LAYOUT_MISMATCH' : 'LOAD_FAILED',
      operation: 'open',
      subject: cause.subject ?? object.path,
      detail: shape ? 'a pinned map is of another shape than this release has' : cause.detail,
      cause,
    });
  }
}

/** One 32-bit variable of a loaded object, shared with its programs. */
export class SharedWord {
  readonly #words: Uint32Array;
  readonly #index: number;

  constructor(section: BpfMap, btf: Btf, name: string) {
    this.#words = new Uint32Array(section.mmap());
    this.#index = variableOffset(btf, '.bss', name) / 4;
  }

  get value(): number {
    return Atomics.load(this.#words, this.#index);
  }

  set value(value: number) {
    Atomics.store(this.#words, this.#index, value);
  }
}

function variableOffset(btf: Btf, section: string, name: string): number {
  for (const type of btf.types) {
    if (type.kind !== 'datasec' || type.name !== section) continue;
    for (const { type: id, offset } of type.variables) {
      const variable = btf.types[id];
      if (variable?.kind !== 'var' || variable.name !== name) continue;
      const { type: plain } = plainType(btf, variable.type);
      if (plain.kind === 'int' && plain.size === 4) return offset;
    }
  }
  throw new DataPlaneError({
    code: 'LOAD_FAILED',
    operation: 'open',
    subject: name,
    detail: `the object has no such 32-bit variable in ${section}`,
  });
}
