/** Waits between attempts that fail: doubled each time. */
export interface Patience {
  readonly firstMs: number;
  readonly mostMs: number;
  /** After a refusal, at first and at most: what was refused may fit soon, or much later. */
  readonly refusedMs: readonly [number, number];
}

export const PATIENCE: Patience = { firstMs: 500, mostMs: 30_000, refusedMs: [10_000, 300_000] };

export function waitOf(patience: Patience, failures: number): number {
  return Math.min(patience.mostMs, patience.firstMs * 2 ** Math.min(20, Math.max(0, failures - 1)));
}
