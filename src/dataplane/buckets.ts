/**
 * Two-choice hashing as the programs do it (bpf/labels.h): an entry goes into the emptier of its two buckets and is
 * never moved, so that readers need no lock.
 */

/** bucket_hash() of bpf/labels.h. */
export function bucketHash(a: number, b: number): number {
  let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
  h ^= h >>> 15;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 13;
  return h >>> 0;
}

/** Where an entry may be; the two may be one. `mask` is the number of buckets minus one, a power of two minus one. */
export function bucketsOf(a: number, b: number, mask: number): readonly [number, number] {
  const h = bucketHash(a, b);
  return [(h & mask) >>> 0, (((h >>> 16) ^ Math.imul(h, 31)) & mask) >>> 0];
}
