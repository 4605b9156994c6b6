/** Time, for terms and holds: tests have another one. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once, at that time or later. Gives the function that stops it. */
  at(time: number, wake: () => void): () => void;
}

/** setTimeout takes at most 2^31-1 ms: what is later wakes early, and is asked again. */
const LONGEST = 86_400_000;

export const systemClock: Clock = {
  now: () => Date.now(),
  at(time, wake) {
    const timer = setTimeout(wake, Math.min(LONGEST, Math.max(0, time - Date.now())));
    return () => clearTimeout(timer);
  },
};

/** RFC 3339 in UTC, whole seconds as far as possible: `2026-12-01T08:00:00Z`. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** Milliseconds since 1970, or undefined for what is no such time. */
export function parseTime(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
