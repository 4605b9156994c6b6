/**
 * Counters as the programs keep them: per CPU, summed here. Only ever rising while an id has one owner; set to zero
 * before the id has another.
 */
import { Limit, PathCounters, PuntWindow, VifCounters } from '../../gen/layout.js';
import { dropReasons, puntKinds } from '../../gen/reasons.js';
import { type BpfMap } from '../../native/lib/index.js';

export interface VifCount {
  readonly receivedPackets: bigint;
  readonly receivedBytes: bigint;
  /** Of ports; a link's is the sum over its paths. */
  readonly sentPackets: bigint;
  readonly sentBytes: bigint;
  /** Given to the virtual node's kernel. */
  readonly puntedPackets: bigint;
  /** More than the vif's rates: dropped. */
  readonly receivedRefused: bigint;
  readonly sentRefused: bigint;
}

export interface PathCount {
  readonly sentPackets: bigint;
  readonly sentBytes: bigint;
}

export interface DropCount {
  /** 0: the machine. */
  readonly node: number;
  /** Index into `dropReasons`. */
  readonly reason: number;
  readonly packets: bigint;
}

export interface PuntCount {
  readonly node: number;
  /** Index into `puntKinds`. */
  readonly kind: number;
  readonly packets: bigint;
}

export interface CounterMaps {
  readonly vifs: BpfMap;
  readonly paths: BpfMap;
  readonly drops: BpfMap;
  readonly punts: BpfMap;
}

/** More ids than this are read in one batch of the whole table. */
const SINGLE_READS = 512;

export class Counters {
  readonly #maps: CounterMaps;
  readonly #nodes: () => Iterable<number>;

  /** `nodes`: the ids whose drops and punts are of interest, besides the machine's. */
  constructor(maps: CounterMaps, nodes: () => Iterable<number>) {
    this.#maps = maps;
    this.#nodes = nodes;
  }

  /** Of these vifs, or of all that have counted anything. */
  async vifs(ids?: Iterable<number>): Promise<Map<number, VifCount>> {
    const words = [
      'receivedPackets',
      'receivedBytes',
      'sentPackets',
      'sentBytes',
      'puntedPackets',
      'receivedRefused',
      'sentRefused',
    ] as const;
    return await readAll(this.#maps.vifs, ids, words, VifCounters.offsets);
  }

  /** Of these paths, or of all that have counted anything. */
  async paths(ids?: Iterable<number>): Promise<Map<number, PathCount>> {
    return await readAll(this.#maps.paths, ids, ['sentPackets', 'sentBytes'] as const, PathCounters.offsets);
  }

  /** Every counter above zero. */
  async drops(): Promise<DropCount[]> {
    const row = Limit.LIMIT_DROP_ROW;
    const counts = await this.#rows(this.#maps.drops, row, dropReasons.length, 0);
    return counts.map(({ key, packets }) => ({ node: Math.floor(key / row), reason: key % row, packets }));
  }

  /** Every counter above zero. */
  async punts(): Promise<PuntCount[]> {
    const row = Limit.LIMIT_PUNT_ROW;
    const counts = await this.#rows(this.#maps.punts, row, puntKinds.length, PuntWindow.offsets.punted);
    return counts.map(({ key, packets }) => ({ node: Math.floor(key / row), kind: key % row, packets }));
  }

  async clearVifs(ids: readonly number[]): Promise<void> {
    await clear(this.#maps.vifs, ids);
  }

  async clearPaths(ids: readonly number[]): Promise<void> {
    await clear(this.#maps.paths, ids);
  }

  async clearNodes(ids: readonly number[]): Promise<void> {
    await clear(this.#maps.drops, rowKeys(ids, Limit.LIMIT_DROP_ROW, dropReasons.length));
    await clear(this.#maps.punts, rowKeys(ids, Limit.LIMIT_PUNT_ROW, puntKinds.length));
  }

  async #rows(
    map: BpfMap,
    row: number,
    used: number,
    offset: number,
  ): Promise<Array<{ key: number; packets: bigint }>> {
    const keys = rowKeys([0, ...this.#nodes()], row, used);
    const counts = await readAll(map, keys, ['packets'] as const, { packets: offset });
    const found: Array<{ key: number; packets: bigint }> = [];
    for (const key of keys) {
      const packets = counts.get(key)?.packets ?? 0n;
      if (packets > 0n) found.push({ key, packets });
    }
    return found;
  }
}

function rowKeys(nodes: readonly number[], row: number, used: number): number[] {
  return nodes.flatMap((node) => Array.from({ length: used }, (_, column) => node * row + column));
}

function keyBytes(ids: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(ids).buffer);
}

/** Sums 64-bit words over CPUs: of these ids, or of all where one of the words is above zero. */
async function readAll<Name extends string>(
  map: BpfMap,
  ids: Iterable<number> | undefined,
  names: readonly Name[],
  offsets: Readonly<Record<Name, number>>,
): Promise<Map<number, Record<Name, bigint>>> {
  const result = new Map<number, Record<Name, bigint>>();
  const parts = map.transferSize / map.stride;
  const sum = (words: BigUint64Array): Record<Name, bigint> => {
    const total = (name: Name): bigint => {
      let value = 0n;
      for (let cpu = 0; cpu < parts; cpu++) value += words[(cpu * map.stride + offsets[name]) / 8] ?? 0n;
      return value;
    };
    return Object.fromEntries(names.map((name) => [name, total(name)])) as Record<Name, bigint>;
  };
  const list = ids === undefined ? undefined : [...ids];
  if (list !== undefined && list.length <= SINGLE_READS) {
    const words = new BigUint64Array(map.transferSize / 8);
    const value = new Uint8Array(words.buffer);
    for (const id of list) {
      if (id < map.maxEntries && map.lookupInto(keyBytes([id]), value)) result.set(id, sum(words));
    }
    return result;
  }
  const { keys, values } = await map.lookupBatch();
  const wanted = list && new Set(list);
  for (let i = 0; 4 * i < keys.length; i++) {
    const id = keys.readUInt32LE(4 * i);
    const at = values.byteOffset + i * map.transferSize;
    const words = new BigUint64Array(values.buffer, at, map.transferSize / 8);
    if (wanted ? wanted.has(id) : words.some((word) => word > 0n)) result.set(id, sum(words));
  }
  return result;
}

async function clear(map: BpfMap, ids: readonly number[]): Promise<void> {
  if (ids.length > 0) await map.updateBatch(keyBytes(ids), new Uint8Array(ids.length * map.transferSize));
}
