/**
 * Delays as counts in buckets, as cabernet.node.v1.MeasurementState has them: bucket 4 o + q, q from 0 to 3, counts from
 * (4 + q) 2^o µs on. A percentile is the upper end of its bucket: never too small, and at most a quarter too large. Pure.
 */

/** By bucket: how many. Buckets without any are left out. */
export type Histogram = Readonly<Record<number, number>>;

/** µs: where the bucket begins. The first one also has all that is shorter. */
export function bucketStart(bucket: number): number {
  return (4 + (bucket % 4)) * 2 ** Math.floor(bucket / 4);
}

export function bucketEnd(bucket: number): number {
  return bucketStart(bucket + 1);
}

export function sum(a: Histogram, b: Histogram): Histogram {
  const both: Record<number, number> = { ...a };
  for (const [bucket, count] of Object.entries(b)) both[Number(bucket)] = (a[Number(bucket)] ?? 0) + count;
  return both;
}

export function countOf(histogram: Histogram): number {
  return Object.values(histogram).reduce((total, count) => total + count, 0);
}

/** What came since. Counts that went back have begun anew: all of them are new. */
export function since(before: readonly number[], now: readonly number[]): Histogram {
  const anew = now.some((count, bucket) => count < (before[bucket] ?? 0));
  const more: Record<number, number> = {};
  for (const [bucket, count] of now.entries()) {
    const added = anew ? count : count - (before[bucket] ?? 0);
    if (added > 0) more[bucket] = added;
  }
  return more;
}

/** µs, by the nearest rank. @param share 0 to 1; 1: the longest. Of nothing: 0 */
export function percentile(histogram: Histogram, share: number): number {
  const total = countOf(histogram);
  let rank = Math.max(1, Math.ceil(share * total));
  for (const [bucket, count] of Object.entries(histogram)) {
    rank -= count;
    if (rank <= 0) return bucketEnd(Number(bucket));
  }
  return 0;
}
