/** How long leases last: what a term asked for becomes, and what a term means at a moment. */
import { invalidArgument } from '../api/errors.js';
import { type LeaseState, type Term, types } from '../api/types.js';
import { formatTime, parseTime } from './clock.js';

const DAY = 86_400;
const YEAR = 365 * DAY;

/** Seconds; 0: a year, and a day. */
export interface TermRules {
  readonly longestTermSeconds: number;
  readonly graceSeconds: number;
}

/** Milliseconds since 1970 of when it expires, is suspended, ends. */
export function momentsOf(term: Term | undefined): { expires: number; suspends: number; ends: number } {
  const expires = parseTime(term?.expireTime ?? '') ?? Infinity;
  const grace = (term?.graceSeconds ?? 0) * 1000;
  return { expires, suspends: expires + grace, ends: expires + 2 * grace };
}

/** Of a lease at that time; undefined: it has ended. */
export function leaseAt(term: Term | undefined, now: number): LeaseState | undefined {
  const { expires, suspends, ends } = momentsOf(term);
  if (now >= ends) return undefined;
  if (now >= suspends) return types.LeaseState.LEASE_STATE_SUSPENDED;
  return now >= expires ? types.LeaseState.LEASE_STATE_GRACE : types.LeaseState.LEASE_STATE_ACTIVE;
}

/** When the lease next changes by itself. */
export function nextMoment(term: Term | undefined, now: number): number {
  const { expires, suspends, ends } = momentsOf(term);
  return [expires, suspends, ends].find((time) => time > now) ?? now;
}

export function longestMs(tariff: TermRules): number {
  return (tariff.longestTermSeconds || YEAR) * 1000;
}

/** @throws ApiError TERM, TERM_TOO_LONG */
export function checkExpiry(text: string, tariff: TermRules, now: number, field: string): number {
  const time = parseTime(text);
  if (time === undefined || time <= now) {
    throw invalidArgument({
      reason: 'TERM',
      field,
      message: `${field} must be a time to come in UTC, such as ${formatTime(now + 3_600_000)}.`,
    });
  }
  const last = now + longestMs(tariff);
  if (time <= last) return time;
  throw invalidArgument({
    reason: 'TERM_TOO_LONG',
    field,
    message: `${field} is beyond the longest term sold here; at most ${formatTime(last)}.`,
  });
}

/** What a term asked for becomes. @throws ApiError TERM, TERM_TOO_LONG */
export function termOf(asked: Term | undefined, tariff: TermRules, now: number, field: string): Term {
  const start = asked?.startTime ?? '';
  const startsAt = start === '' ? now : parseTime(start);
  if (startsAt === undefined || startsAt > now) {
    throw invalidArgument({
      reason: 'TERM',
      field: `${field}.start_time`,
      message: `${field}.start_time must be empty: a lease begins when its reservation is committed.`,
    });
  }
  const expireTime = asked?.expireTime ?? '';
  const expires =
    expireTime === ''
      ? now + longestMs(tariff)
      : checkExpiry(expireTime, tariff, now, `${field}.expire_time`);
  const longest = tariff.graceSeconds || DAY;
  const graceSeconds = asked?.graceSeconds || longest;
  if (graceSeconds > longest) {
    throw invalidArgument({
      reason: 'TERM_TOO_LONG',
      field: `${field}.grace_seconds`,
      message: `${field}.grace_seconds is more than is granted here; at most ${longest}.`,
    });
  }
  return { startTime: formatTime(now), expireTime: formatTime(expires), graceSeconds };
}
