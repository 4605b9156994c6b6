/** What many measurements of one thing come to. Pure. */

export interface Distribution {
  readonly min: number;
  readonly median: number;
  /** 95 % are no larger. */
  readonly p95: number;
  readonly max: number;
}

/** By the nearest rank: every figure is one that was measured. Undefined: nothing was. */
export function distribution(values: readonly number[]): Distribution | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { min: rank(0), median: rank(0.5), p95: rank(0.95), max: rank(1) };
}
