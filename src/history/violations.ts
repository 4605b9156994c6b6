/** What a lease did not keep, and when. Times are milliseconds since 1970. Pure. */

export type What = 'availability' | 'loss' | 'delay' | 'variation';

export const KINDS: readonly What[] = ['availability', 'loss', 'delay', 'variation'];

/** Whose fault it is, as far as that is known. */
export interface Fault {
  readonly layer: string;
  readonly provider: string;
  /** Of the layer at fault, as who tells calls it. */
  readonly lease: string;
  /** Of the provider's own: wires, machines. */
  readonly resources: readonly string[];
}

export interface Violation {
  readonly what: What;
  readonly start: number;
  /** Undefined: it goes on. */
  readonly end?: number | undefined;
  /** Milliseconds in which it was not kept: less than from start to end where it came and went. */
  readonly lasted: number;
  /** How often it began. */
  readonly times: number;
  /** Packets in a million, or µs; 0: nothing was promised. */
  readonly promised: number;
  /** The worst of it; of availability 0. */
  readonly measured: number;
  readonly cause: string;
  readonly fault: Fault;
}

/** What began again so soon, milliseconds, is the same as before. */
const AGAIN = 60_000;
/** Of one lease; the oldest are forgotten. */
export const MOST_VIOLATIONS = 200;
const YEAR = 366 * 86_400_000;

export const UNKNOWN_FAULT: Fault = { layer: '', provider: '', lease: '', resources: [] };

/** The newest of that kind. */
export function latest(list: readonly Violation[], what: What): Violation | undefined {
  return list.findLast((one) => one.what === what);
}

export function isOpen(violation: Violation | undefined): boolean {
  return violation !== undefined && violation.end === undefined;
}

function replaced(list: readonly Violation[], old: Violation, by: Violation): readonly Violation[] {
  return list.map((one) => (one === old ? by : one));
}

export interface Begun {
  readonly what: What;
  readonly start: number;
  readonly promised: number;
}

export function begin(list: readonly Violation[], { what, start, promised }: Begun): readonly Violation[] {
  const before = latest(list, what);
  if (isOpen(before)) return list;
  if (before?.end !== undefined && start - before.end < AGAIN)
    return replaced(list, before, { ...before, end: undefined, times: before.times + 1 });
  const fresh: Violation = {
    ...{ what, start, promised, lasted: 0, times: 1, measured: 0, cause: '', fault: UNKNOWN_FAULT },
  };
  return trim([...list, fresh], start);
}

/** Of one that goes on: so much longer, and as bad as that. */
export function goOn(
  list: readonly Violation[],
  what: What,
  more: { readonly lasted?: number; readonly measured?: number },
): readonly Violation[] {
  const now = latest(list, what);
  if (!now || !isOpen(now)) return list;
  const measured = Math.max(now.measured, more.measured ?? 0);
  return replaced(list, now, { ...now, lasted: now.lasted + (more.lasted ?? 0), measured });
}

export function end(list: readonly Violation[], what: What, at: number): readonly Violation[] {
  const now = latest(list, what);
  return now && isOpen(now) ? replaced(list, now, { ...now, end: Math.max(at, now.start) }) : list;
}

export function blame(
  list: readonly Violation[],
  what: What,
  { cause, fault }: Pick<Violation, 'cause' | 'fault'>,
): readonly Violation[] {
  const now = latest(list, what);
  if (!now || (now.cause === cause && JSON.stringify(now.fault) === JSON.stringify(fault))) return list;
  return replaced(list, now, { ...now, cause, fault });
}

/** Without what is too old, or too much. */
export function trim(list: readonly Violation[], now: number): readonly Violation[] {
  const young = list.filter((one) => (one.end ?? now) > now - YEAR);
  return young.length === list.length && young.length <= MOST_VIOLATIONS
    ? list
    : young.slice(-MOST_VIOLATIONS);
}
