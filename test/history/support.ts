/** Readings of a path, as its machine would give them: times as milliseconds after a moment that all tests share. */
import { type Leased } from '../../src/history/lease.js';
import { type Reading } from '../../src/history/path.js';

export const T = Date.parse('2026-12-01T08:00:00Z');

/** By default: up since long before, never failed, of the session 7. */
export function reading(at: number, more: Partial<Reading> = {}): Reading {
  const { since = -3_600_000, failed = 0, ...rest } = more;
  return {
    ...{ at: T + at, clock: at + 1e9, session: 7, isUp: true, failures: 0, inUse: true },
    ...rest,
    since: T + since,
    failed: failed === 0 ? 0 : T + failed,
  };
}

/** A link of one path at each end. */
export function leased(name: string, more: Partial<Leased> = {}): Leased {
  return {
    ...{ name, needs: [[`${name}/a`], [`${name}/b`]], a: [`${name}/a`], b: [`${name}/b`] },
    promised: { availabilityPpm: 999_000, lossPpm: 100, delayUs: 10_000 },
    ...more,
  };
}
