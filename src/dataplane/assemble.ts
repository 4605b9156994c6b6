/**
 * From an empty folder, or from what an earlier process pinned there, to everything a data plane has in the kernel.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Limit, PortRole } from '../../gen/layout.js';
import { BpfMap, BpfObject } from '../../native/lib/index.js';
import { adoptTables } from './adopt.js';
import { chooseCapacities, type Capacities } from './capacities.js';
import { DevicePairs } from './device-pairs.js';
import { DataPlaneError, wrongArgument } from './errors.js';
import { type Lock } from './lock.js';
import { NameTable } from './names.js';
import { load, objectPath, pinMaps, prepare, sharedMaps, SharedWord } from './objects.js';
import { type ProgramKind, Programs } from './programs.js';
import { type FoundTables } from './routes.js';
import { TableSet } from './tables.js';

export interface OpenOptions {
  /** A folder of the BPF file system; made when it is not there. */
  readonly pinDir: string;
  /** Chosen when the plane is made; an adopted one keeps its own. */
  readonly capacities?: Partial<Capacities>;
  /** For frames in several buffers, MTUs above some 3500. An adopted plane must be of the same build. */
  readonly jumbo?: boolean;
  /** Path of the network namespace the interfaces are in; this process's own otherwise. */
  readonly netns?: string;
  /** Where the compiled objects are; build/bpf of the package otherwise. */
  readonly objects?: string;
  readonly log?: (message: string) => void;
}

/** What is written down of a plane when it is made. */
interface Instance {
  readonly layoutVersion: number;
  readonly bootId: string;
  readonly capacities: Capacities;
  /** Absent in those made before there were two builds: false. */
  readonly jumbo?: boolean;
}

export interface Parts {
  readonly lock: Lock;
  readonly adopted: boolean;
  readonly capacities: Capacities;
  readonly jumbo: boolean;
  readonly options: OpenOptions;
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly tables: TableSet;
  readonly programs: Programs;
  readonly pairs: DevicePairs;
  readonly capturesOn: SharedWord;
  readonly found: Map<number, FoundTables>;
}

/** Everything in the kernel, made or taken over; `opened` has what must be closed if that fails halfway. */
export async function assemble(
  options: OpenOptions,
  lock: Lock,
  opened: Array<{ close(): void }>,
): Promise<Parts> {
  const { pinDir, jumbo = false, log = () => undefined } = options;
  const mapDir = join(pinDir, 'maps');
  const instance = await readInstance(mapDir);
  if (instance !== undefined && instance.layoutVersion !== Limit.LIMIT_LAYOUT_VERSION) {
    throw layoutMismatch(pinDir, instance.layoutVersion);
  }
  if (instance !== undefined && (instance.jumbo ?? false) !== jumbo) throw buildMismatch(pinDir, jumbo);
  if (instance === undefined && existsSync(pinDir)) {
    log(`${pinDir} has no complete data plane: beginning anew`);
    rmSync(mapDir, { recursive: true, force: true });
    rmSync(join(pinDir, 'links'), { recursive: true, force: true });
  }
  const object = BpfObject.open(objectPath({ purpose: 'forward', jumbo, folder: options.objects }));
  opened.push(object);
  const capacities = instance?.capacities ?? chooseCapacities(object.describeMaps(), options.capacities);
  if (instance !== undefined) tellDifferences(capacities, options.capacities, log);
  prepare(object, capacities);
  mkdirSync(pinDir, { recursive: true, mode: 0o700 });
  pinMaps(object, mapDir);
  await load(object);
  const maps = new Map(sharedMaps(object).map((name) => [name, object.map(name)]));
  opened.push(...maps.values());
  const tables = new TableSet(maps, (error) => log(`a grace period failed: ${String(error)}`));
  const found = instance === undefined ? new Map<number, FoundTables>() : await adoptTables(tables);
  const egress = object.program('cabernet_egress');
  const programs = new Programs({
    programs: {
      port: object.program('cabernet_port'),
      vif: object.program('cabernet_vif'),
      channel: object.program('cabernet_channel'),
      egress,
      arm: object.program('cabernet_arm'),
    },
    devices: mapOf(maps, 'devices'),
    folder: join(pinDir, 'links'),
    netns: options.netns,
    jumbo,
    log,
  });
  opened.push(programs);
  const pairs = new DevicePairs({
    map: mapOf(maps, 'device_pairs'),
    egress,
    netns: options.netns,
    log,
  });
  const bss = object.map('.bss');
  const capturesOn = new SharedWord(bss, object.btf(), 'captures_on');
  bss.close();
  object.close();
  if (instance === undefined) {
    const made: Instance = { layoutVersion: Limit.LIMIT_LAYOUT_VERSION, bootId: bootId(), capacities, jumbo };
    tables.names.set('instance', 0, JSON.stringify(made));
  } else {
    await pairs.adopt();
    programs.adopt((ifindex) => kindOf(tables.ports.read(ifindex).role));
  }
  return {
    lock,
    adopted: instance !== undefined,
    capacities,
    jumbo,
    options,
    maps,
    tables,
    programs,
    pairs,
    capturesOn,
    found,
  };
}

function kindOf(role: number): ProgramKind {
  if (role === PortRole.PORT_VIF) return 'vif';
  return role === PortRole.PORT_CHANNEL ? 'channel' : 'port';
}

export function mapOf(maps: ReadonlyMap<string, BpfMap>, name: string): BpfMap {
  const map = maps.get(name);
  if (map === undefined) throw wrongArgument('open', name, 'a map of the object');
  return map;
}

/** What is pinned, if it was completed once. */
async function readInstance(mapDir: string): Promise<Instance | undefined> {
  const path = join(mapDir, 'names');
  if (!existsSync(path)) return undefined;
  const map = BpfMap.openPinned(path);
  try {
    const names = new NameTable(map);
    await names.load();
    const text = names.get('instance', 0);
    return text === undefined ? undefined : (JSON.parse(text) as Instance);
  } finally {
    map.close();
  }
}

function tellDifferences(
  present: Capacities,
  wanted: Partial<Capacities> | undefined,
  log: (message: string) => void,
): void {
  for (const table of Object.keys(present) as Array<keyof Capacities>) {
    const other = wanted?.[table];
    if (other !== undefined && other !== present[table]) {
      log(
        `capacity of ${table} stays ${present[table]}, not ${other}: it is chosen when a data plane is made`,
      );
    }
  }
}

function layoutMismatch(pinDir: string, version: number): DataPlaneError {
  return new DataPlaneError({
    code: 'LAYOUT_MISMATCH',
    operation: 'open',
    subject: pinDir,
    detail:
      `layout ${version} is pinned, this release has ${Limit.LIMIT_LAYOUT_VERSION}: ` +
      'start the release that made it, or remove the folder, which stops its traffic',
  });
}

/** The kernel lets no program of the other build share a device table, and tells nobody why. */
function buildMismatch(pinDir: string, jumbo: boolean): DataPlaneError {
  return new DataPlaneError({
    code: 'BUILD_MISMATCH',
    operation: 'open',
    subject: pinDir,
    detail:
      `what is pinned was made ${jumbo ? 'without' : 'for'} jumbo frames: ` +
      `go on ${jumbo ? 'without' : 'with'} them, or remove the folder, which stops its traffic`,
  });
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
