/**
 * What a wire does to frames in one direction, and its bounds: pure. How it is done is bpf/relay.bpf.c (loss) and
 * native-tools/wire-relay (delay, jitter, rate).
 */
import { createHash } from 'node:crypto';

/** Nothing that is zero is done. */
export interface Impairment {
  /** Every frame comes so much later, at least. */
  readonly delayUs: number;
  /** And so much more at most, by chance; frames stay in order. */
  readonly jitterUs: number;
  /** Frames in a million, by chance. */
  readonly lossPpm: number;
  /** Of frames with their Ethernet headers. */
  readonly bitsPerSecond: number;
  /** The same one gives the n-th frame in a direction the same chance again. */
  readonly seed: number;
}

export const LONGEST_DELAY_US = 10_000_000;
export const LOSS_OF_ALL_PPM = 1_000_000;
export const LEAST_RATE = 1000;
export const HIGHEST_RATE = 100_000_000_000;
/** Fits the world file's field. */
export const HIGHEST_SEED = 2 ** 32 - 1;

/** The field that is out of its bounds, and those; undefined: none is. */
export function outOfBounds(impairment: Impairment): { field: keyof Impairment; bounds: string } | undefined {
  const { delayUs, jitterUs, lossPpm, bitsPerSecond, seed } = impairment;
  const within = (value: number, least: number, most: number): boolean =>
    Number.isSafeInteger(value) && value >= least && value <= most;
  const duration = 'at most 10 s';
  if (!within(delayUs, 0, LONGEST_DELAY_US)) return { field: 'delayUs', bounds: duration };
  if (!within(jitterUs, 0, LONGEST_DELAY_US)) return { field: 'jitterUs', bounds: duration };
  if (!within(lossPpm, 0, LOSS_OF_ALL_PPM)) return { field: 'lossPpm', bounds: 'at most 100 % of frames' };
  if (bitsPerSecond !== 0 && !within(bitsPerSecond, LEAST_RATE, HIGHEST_RATE))
    return { field: 'bitsPerSecond', bounds: '1 kbit/s to 100 Gbit/s' };
  if (!within(seed, 0, HIGHEST_SEED)) return { field: 'seed', bounds: '0 to 4294967295' };
  return undefined;
}

export function doesAnything({ delayUs, jitterUs, lossPpm, bitsPerSecond }: Impairment): boolean {
  return delayUs > 0 || jitterUs > 0 || lossPpm > 0 || bitsPerSecond > 0;
}

/** By the process, that is. */
export function holdsFrames({ delayUs, jitterUs, bitsPerSecond }: Impairment): boolean {
  return delayUs > 0 || jitterUs > 0 || bitsPerSecond > 0;
}

/** Each wire and direction has chances of its own, in whatever world of the same shape. */
export function seedOf({ seed }: Impairment, from: string, to: string, of: 'loss' | 'jitter'): bigint {
  return createHash('sha256').update(`${seed} ${of} ${from} ${to}`).digest().readBigUInt64LE(0);
}
