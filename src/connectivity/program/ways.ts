/** Ways compared. Pure. */
import { type LabelledHop, type Way } from './hops.js';

/** The same path; labels may differ. */
export function samePath(way: Way | undefined, path: readonly string[]): boolean {
  return (
    way !== undefined && way.path.length === path.length && way.path.every((link, i) => link === path[i])
  );
}

/** The same labels too, also of records that were read again. */
function sameWay(one: Way, other: Way): boolean {
  const same = (some: readonly LabelledHop[], others: readonly LabelledHop[]): boolean =>
    some.every(({ into, label }, i) => into === others[i]?.into && label === others[i]?.label);
  return (
    one === other || (samePath(one, other.path) && same(one.there, other.there) && same(one.back, other.back))
  );
}

export function among(way: Way, ways: readonly Way[]): boolean {
  return ways.some((one) => sameWay(one, way));
}

/** Those of `ways` that are not among the others. */
export function without(ways: readonly Way[], others: readonly Way[]): Way[] {
  return ways.filter((way) => !among(way, others));
}

/** Whether both lead from and to the same nodes of ours. */
export function sameEnds(one: Way, other: Way): boolean {
  return one.there[0]?.from === other.there[0]?.from && one.there.at(-1)?.to === other.there.at(-1)?.to;
}
