/**
 * The meters of vifs, in memory shared with the programs: what a rate costs in ticks of the programs' clock, worked
 * out here so that they never divide (bpf/police.h has the formula). A meter's rate changes in place, word by word,
 * each of which is right beside the others' old values; it begins with a full bucket.
 */
import { Limit, Meter, MeterDirection } from '../../gen/layout.js';
import { type BpfMap } from '../../native/lib/index.js';
import { wrongArgument } from './errors.js';

/** What is sold in one direction of a vif. */
export interface Rate {
  /** 0: without limit, and so is the burst. */
  readonly bitsPerSecond: number;
  readonly packetsPerSecond: number;
  readonly burstBytes: number;
  readonly burstPackets: number;
}

export type Direction = 'sent' | 'received';

const DIRECTIONS: Readonly<Record<Direction, number>> = {
  sent: MeterDirection.METER_SENT,
  received: MeterDirection.METER_RECEIVED,
};

export const LOWEST_BITS_PER_SECOND = 1000;
export const HIGHEST_BITS_PER_SECOND = 400_000_000_000;
export const HIGHEST_PACKETS_PER_SECOND = 1_000_000_000;
const LARGEST_BURST = 0xffff_ffff;
const TICKS_PER_SECOND = 1_000_000_000 * 2 ** Limit.LIMIT_METER_TICKS_SHIFT;
/** The longest that a burst may take at its rate. */
export const LONGEST_BURST_SECONDS = 2 ** Limit.LIMIT_METER_DEPTH_SHIFT / TICKS_PER_SECOND;

/** Mult and shift as one word: mult / 2^shift ticks a byte, with 32 bits of precision. 0: without limit. */
export function byteCost(bitsPerSecond: number): bigint {
  if (bitsPerSecond === 0) return 0n;
  const ticks = (8 * TICKS_PER_SECOND) / bitsPerSecond;
  const shift = Math.min(31, 31 - Math.floor(Math.log2(ticks)));
  const mult = Math.min(Math.round(ticks * 2 ** shift), LARGEST_BURST);
  return (BigInt(shift) << 32n) | BigInt(mult);
}

/** Ticks a packet. 0: without limit. */
export function packetCost(packetsPerSecond: number): bigint {
  return packetsPerSecond === 0 ? 0n : BigInt(Math.floor(TICKS_PER_SECOND / packetsPerSecond));
}

/** The largest burst of a rate, in bytes or packets, that lasts no longer than `seconds`. */
export function largestBurst(perSecond: number, seconds = LONGEST_BURST_SECONDS): number {
  return Math.min(LARGEST_BURST, Math.floor(perSecond * seconds));
}

const { size, offsets } = Meter;

export class MeterTable {
  /** Of kernel memory. */
  readonly bytes: number;
  readonly #vifs: number;
  readonly #words: BigUint64Array;
  readonly #halves: Uint32Array;
  readonly #stride: number;

  constructor(map: BpfMap) {
    const memory = map.mmap();
    this.#words = new BigUint64Array(memory);
    this.#halves = new Uint32Array(memory);
    this.#stride = map.stride;
    this.#vifs = map.maxEntries / MeterDirection.METER_DIRECTIONS;
    this.bytes = map.maxEntries * map.stride;
  }

  /** The rate of a vif's direction from now on; false, and nothing done, when it was that already. */
  set(vif: number, direction: Direction, rate: Rate): boolean {
    const { bitsPerSecond: bits, packetsPerSecond: packets, burstBytes, burstPackets } = rate;
    check('bitsPerSecond', bits, LOWEST_BITS_PER_SECOND, HIGHEST_BITS_PER_SECOND);
    check('packetsPerSecond', packets, 1, HIGHEST_PACKETS_PER_SECOND);
    if (bits !== 0) check('burstBytes', burstBytes, 1, largestBurst(bits / 8));
    if (packets !== 0) check('burstPackets', burstPackets, 1, largestBurst(packets));
    const at = this.#offset(vif, direction);
    // the burst first: no frame that is smaller than both rates' bursts is refused in between
    const changed = [
      this.#storeHalf(at + offsets.burstBytes, burstBytes),
      this.#storeHalf(at + offsets.burstPackets, burstPackets),
      this.#store(at + offsets.byteCost, byteCost(bits)),
      this.#store(at + offsets.packetCost, packetCost(packets)),
    ].includes(true);
    if (!changed) return false;
    this.#store(at + offsets.byteDue, 0n);
    this.#store(at + offsets.packetDue, 0n);
    return true;
  }

  /** Both meters of vifs that nobody has. */
  clear(vif: number): void {
    for (const direction of Object.keys(DIRECTIONS) as Direction[]) {
      const at = this.#offset(vif, direction);
      for (let i = 0; i < size; i += 8) this.#store(at + i, 0n);
    }
  }

  /** Bytes from the beginning. */
  #offset(vif: number, direction: Direction): number {
    if (!Number.isInteger(vif) || vif < 1 || vif >= this.#vifs) {
      throw wrongArgument('meters', `vif ${vif}`, `an id from 1 to ${this.#vifs - 1}`);
    }
    return (vif * MeterDirection.METER_DIRECTIONS + DIRECTIONS[direction]) * this.#stride;
  }

  #store(offset: number, value: bigint): boolean {
    return Atomics.exchange(this.#words, offset / 8, value) !== value;
  }

  #storeHalf(offset: number, value: number): boolean {
    return Atomics.exchange(this.#halves, offset / 4, value) !== value >>> 0;
  }
}

function check(field: keyof Rate, value: number, lowest: number, highest: number): void {
  if (value === 0 && !field.startsWith('burst')) return;
  if (Number.isInteger(value) && value >= lowest && value <= highest) return;
  throw wrongArgument('meters.set', field, `from ${lowest} to ${highest}`);
}
