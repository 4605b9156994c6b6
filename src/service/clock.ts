/** Time, so that tests can make it pass. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once after so many milliseconds; gives the function that stops it. */
  after(ms: number, call: () => void): () => void;
}

/** What setTimeout takes is less than a long term: whoever waits looks again. */
const LONGEST = 86_400_000;

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, Math.min(Math.max(0, ms), LONGEST));
    return () => clearTimeout(timer);
  },
};

/** Waits between attempts that fail: doubled each time. */
export interface Patience {
  readonly firstMs: number;
  readonly mostMs: number;
  /** After a refusal: what was refused may fit later. */
  readonly refusedMs: number;
}

export const PATIENCE: Patience = { firstMs: 500, mostMs: 30_000, refusedMs: 300_000 };

export function waitOf(patience: Patience, failures: number): number {
  return Math.min(patience.mostMs, patience.firstMs * 2 ** Math.min(20, Math.max(0, failures - 1)));
}
