// Finds and loads the compiled addon, and says in types what it exports. The
// bridge carries plain data; an absent argument is null, never a missing one.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BpfError } from './error.js';

export interface NativeMapInfo {
  readonly name: string;
  readonly type: number;
  readonly id: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly stride: number;
  readonly transferSize: number;
}

/** What an update takes: bytes, or the handles whose descriptors are the value. */
export type NativeValue = Uint8Array | NativeMap | NativeProgram;

export interface NativeMap {
  info(): NativeMapInfo;
  fd(): number;
  lookupInto(key: Uint8Array, value: Uint8Array): boolean;
  update(key: Uint8Array, value: NativeValue, flags: number, netns: string | null): void;
  delete(key: Uint8Array): boolean;
  lookupAndDelete(key: Uint8Array): Buffer | undefined;
  nextKeyInto(key: Uint8Array | null, next: Uint8Array): boolean;
  mmap(): ArrayBuffer;
  freeze(): void;
  pin(path: string): void;
  close(): void;
  updateAsync(key: Uint8Array, value: NativeValue, flags: number): Promise<void>;
  deleteAsync(key: Uint8Array): Promise<boolean>;
  lookupBatch(chunk: number | null): Promise<{ keys: Buffer; values: Buffer }>;
  updateBatch(keys: Uint8Array, values: Uint8Array | NativeValue[], flags: number): Promise<void>;
  deleteBatch(keys: Uint8Array): Promise<number>;
}

export interface NativeProgramInfo {
  readonly name: string;
  readonly id: number;
  readonly type: number;
  readonly tag: string;
}

export interface NativeProgramStatistics {
  readonly runTimeNs: bigint;
  readonly runCount: bigint;
  readonly verifiedInstructions: number;
  readonly translatedBytes: number;
  readonly jitedBytes: number;
}

export interface NativeTestRunResult {
  readonly retval: number;
  readonly durationNs: number;
  readonly data: Buffer;
  readonly ctx?: Buffer;
}

export interface NativeProgram {
  info(statistics: false): NativeProgramInfo;
  info(statistics: true): NativeProgramInfo & NativeProgramStatistics;
  fd(): number;
  testRun(
    data: Uint8Array,
    ctx: Uint8Array | null,
    repeat: number,
    liveFrames: boolean,
    batchSize: number,
    dataOutSize: number,
    cpu: number | null,
    netns: string | null,
  ): Promise<NativeTestRunResult>;
  attachXdp(ifindex: number, netns: string | null): NativeLink;
  attachXdpAsync(ifindex: number, netns: string | null): Promise<NativeLink>;
  pin(path: string): void;
  close(): void;
}

export interface NativeLink {
  info(): { readonly id: number; readonly programId: number; readonly ifindex: number };
  update(program: NativeProgram, expect: NativeProgram | null): void;
  pin(path: string): void;
  detach(): void;
  close(): void;
}

export interface NativeRing {
  consume(): number;
  lost(): number;
  setRef(keepAlive: boolean): void;
  close(): void;
}

export interface NativeObjectDescription {
  readonly maps: ReadonlyArray<{
    readonly name: string;
    readonly type: number;
    readonly keySize: number;
    readonly valueSize: number;
    readonly maxEntries: number;
    readonly flags: number;
    readonly internal: boolean;
  }>;
  readonly programs: ReadonlyArray<{
    readonly name: string;
    readonly section: string;
    readonly type: number;
    readonly autoload: boolean;
    readonly instructions: number;
  }>;
}

export interface NativeObject {
  describe(): NativeObjectDescription;
  btf(): Buffer;
  setMaxEntries(map: string, maxEntries: number): void;
  setPinned(map: string, path: string): void;
  setInnerMap(map: string, inner: NativeMap): void;
  reuseMap(map: string, existing: NativeMap): void;
  setInitial(map: string, offset: number, value: Uint8Array): void;
  setAutoload(program: string, autoload: boolean): void;
  setAutocreate(map: string, autocreate: boolean): void;
  load(): Promise<void>;
  log(): string;
  map(name: string): NativeMap;
  program(name: string): NativeProgram;
  close(): void;
}

export interface NativeAddon {
  readonly possibleCpus: number;
  setErrorClass(errorClass: typeof BpfError): void;
  objectOpen(path: string, name: string | null, logLevel: number): NativeObject;
  mapCreate(
    type: number,
    name: string,
    keySize: number,
    valueSize: number,
    maxEntries: number,
    flags: number,
    innerMap: NativeMap | null,
    mapExtra: number | null,
  ): NativeMap;
  mapOpenPinned(path: string): NativeMap;
  mapOpenId(id: number): NativeMap;
  programOpenPinned(path: string): NativeProgram;
  programOpenId(id: number): NativeProgram;
  linkOpenPinned(path: string): NativeLink;
  ringOpen(
    map: NativeMap,
    capacity: number,
    onRecords: (block: ArrayBuffer, ends: Uint32Array) => void,
  ): NativeRing;
}

const FILE = join('native', 'build', 'Release', 'libbpf_ts.node');

// Upward from here: native/lib in the sources, dist/native/lib when compiled.
function findAddon(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    const candidate = join(folder, FILE);
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) break;
  }
  throw new BpfError({
    code: 'ERR_NOT_FOUND',
    operation: 'addon.load',
    subject: FILE,
    detail: `the addon is not built: run node-gyp rebuild in native/ (looked upward from ${start})`,
  });
}

// A module of the addon adds its own exports to the same object and describes them by
// its own interface: `loadAddon<NetlinkAddon>()`.
const loaded: unknown = createRequire(import.meta.url)(findAddon());

export function loadAddon<Part>(): Part {
  return loaded as Part;
}

export const addon: NativeAddon = loadAddon<NativeAddon>();
addon.setErrorClass(BpfError);
