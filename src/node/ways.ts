/**
 * Several equal or weighted ways into the fixed number of slots that the data plane chooses from by flow. Pure.
 */

/** Slots of a tunnel's underlay hops and of a route's group of next hops (bpf/limits.h: MAX_WAYS). */
export const WAYS = 8;

export interface Way<T> {
  readonly to: T;
  /** 1 to 255. */
  readonly weight: number;
}

/**
 * Each way gets a slot, and each slot that is left goes to the way that has the fewest for its weight (d'Hondt):
 * a heavier way never has fewer. Interleaved; the same ways give the same slots. No ways: no slots.
 */
export function spread<T>(ways: readonly Way<T>[]): T[] {
  const shares = ways.slice(0, WAYS).map(({ to, weight }) => ({ to, weight, slots: 1 }));
  const [first] = shares;
  if (!first) return [];
  for (let left = WAYS - shares.length; left > 0; left--) {
    let neediest = first;
    for (const share of shares) {
      if (share.weight * (neediest.slots + 1) > neediest.weight * (share.slots + 1)) neediest = share;
    }
    neediest.slots++;
  }
  const slots: T[] = [];
  while (slots.length < WAYS) {
    for (const share of shares) if (share.slots-- > 0) slots.push(share.to);
  }
  return slots;
}
