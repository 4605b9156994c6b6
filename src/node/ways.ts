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
 * Each way gets slots by its weight (largest remainder, at least one while there are slots), interleaved. The
 * same ways give the same slots, so that what did not change keeps its flows. No ways: no slots.
 */
export function spread<T>(ways: readonly Way<T>[]): T[] {
  const kept = ways.slice(0, WAYS);
  if (kept.length === 0) return [];
  const total = kept.reduce((sum, way) => sum + way.weight, 0);
  const shares = kept.map((way) => {
    const exact = (way.weight * WAYS) / total;
    return { to: way.to, slots: Math.max(1, Math.floor(exact)), rest: exact - Math.floor(exact) };
  });
  let left = WAYS - shares.reduce((sum, share) => sum + share.slots, 0);
  const byRest = shares.toSorted((a, b) => b.rest - a.rest);
  for (let i = 0; left > 0; i++, left--) {
    const share = byRest[i % byRest.length];
    if (share) share.slots++;
  }
  // the floor of one may have given too much: the largest share pays
  for (; left < 0; left++) {
    const largest = shares.reduce((a, b) => (b.slots > a.slots ? b : a));
    largest.slots--;
  }
  const slots: T[] = [];
  while (slots.length < WAYS) {
    for (const share of shares) {
      if (share.slots > 0 && slots.length < WAYS) {
        share.slots--;
        slots.push(share.to);
      }
    }
  }
  return slots;
}
