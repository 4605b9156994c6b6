/*
 * Under which loads it is measured, and how much of it: what the environment says.
 */
import { whileBusy } from './busy.js';

export const LOADS = [
  { name: 'idle', under: <T>(work: () => Promise<T>): Promise<T> => work() },
  { name: 'both cores busy', under: whileBusy },
] as const;

export const CUTS = 'CABERNET_BENCH_CUTS';
export const SECONDS = 'CABERNET_BENCH_SECONDS';

/** Throws where it is none that makes sense. */
export function setting(name: typeof CUTS | typeof SECONDS, usual: number): number {
  const value = Number(process.env[name] ?? usual);
  if (!Number.isInteger(value) || value < 1 || value > 10_000)
    throw new Error(`${name} is '${process.env[name] ?? ''}'; it must be an integer from 1 to 10000`);
  return value;
}
