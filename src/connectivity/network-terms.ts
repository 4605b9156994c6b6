/** How long service networks last: what is asked for, what is granted, what that means now. */
import { type ServiceNetwork } from '../api/connectivity.js';
import { type Term, types } from '../api/types.js';
import { formatTime, parseTime } from '../controller/clock.js';
import { termOf, type TermRules } from '../controller/terms.js';
import { type Tx } from './kinds.js';

const DAY = 86_400;

export function rulesOf(tx: Pick<Tx, 'get'>): TermRules {
  const { longestTermSeconds = 0, graceSeconds = 0 } = tx.get('tariff', 'tariff') ?? {};
  return { longestTermSeconds, graceSeconds };
}

/** As a caller gives it, of a network that is there: what is left out is as it was, so that a repetition is no change. */
export function sameTerm(given: Term | undefined, had: Term | undefined): Term | undefined {
  if (!had) return given;
  const { expireTime = '', graceSeconds = 0 } = given ?? {};
  const same = expireTime === '' || parseTime(expireTime) === parseTime(had.expireTime);
  return {
    startTime: had.startTime,
    expireTime: same ? had.expireTime : expireTime,
    graceSeconds: graceSeconds || had.graceSeconds,
  };
}

/** @throws ApiError TERM, TERM_TOO_LONG */
export function grantedTerm(
  asked: Term | undefined,
  had: Term | undefined,
  rules: TermRules,
  now: number,
  field: string,
): Term {
  if (!had) return termOf(asked, rules, now, field);
  const { expireTime = had.expireTime, graceSeconds = 0 } = asked ?? {};
  // a change of something else: also when its time has come
  if (expireTime === had.expireTime && graceSeconds === had.graceSeconds) return had;
  const longest = rules.graceSeconds || DAY;
  const grace = graceSeconds === had.graceSeconds ? Math.min(graceSeconds, longest) : graceSeconds;
  const term = termOf({ startTime: '', expireTime, graceSeconds: grace }, rules, now, field);
  return { ...term, startTime: had.startTime || formatTime(now) };
}

export const TERM_IS_OVER = 'The term is over, and its grace: no traffic passes until it is renewed.';

export function isSuspended({ lease }: Pick<ServiceNetwork, 'lease'>): boolean {
  return lease === types.LeaseState.LEASE_STATE_SUSPENDED;
}
