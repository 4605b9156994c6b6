/**
 * How a service link comes to where it is to be, without a label being sent that is not understood yet: what receives is
 * made before what sends, and taken away after it. Pure.
 */
import { type Way } from './hops.js';
import { type Carried, sameEnds } from './items.js';

/** What is to be waited for before the next step: these nodes have acknowledged what they have now. */
export interface Step {
  readonly nodes: ReadonlySet<string>;
  readonly after: Carried;
}

export const NOTHING: Carried = { old: [] };

/** The same path; labels may differ. */
export function samePath(way: Way | undefined, path: readonly string[]): boolean {
  return (
    way !== undefined && way.path.length === path.length && way.path.every((link, i) => link === path[i])
  );
}

/** With another way to be taken; undefined: none. What was being made and is not wanted was never sent over. */
export function towards(now: Carried, way: Way | undefined): Carried {
  const dropped = now.next && now.next !== way ? [now.next] : [];
  if (way === undefined) {
    const old = now.active ? [now.active, ...now.old, ...dropped] : [...now.old, ...dropped];
    return { old };
  }
  if (way === now.active) return { active: way, old: [...now.old, ...dropped] };
  // an end has moved to another node: its vif cannot be at both
  if (now.active && !sameEnds(now.active, way))
    return { next: way, old: [now.active, ...now.old, ...dropped] };
  return { ...(now.active && { active: now.active }), next: way, old: [...now.old, ...dropped] };
}

/** The next step, or undefined where all is as it is to be. */
export function nextStep(now: Carried): Step | undefined {
  if (now.next) {
    // whoever receives, and knows already where to deliver; where nothing is active, its ends must be rid of earlier vifs,
    // which would be there without knowing the new labels
    const nodes = now.active
      ? nodesOf(now.next)
      : new Set([...transitOf(now.next), ...shared(endsOf(now.next), now.old.flatMap(endsOf))]);
    return {
      nodes,
      after: { active: now.next, old: [...(now.active ? [now.active] : []), ...now.old] },
    };
  }
  if (now.old.length === 0) return undefined;
  // the vifs send over what is active, or are gone
  const ends = new Set(now.old.flatMap(endsOf));
  return { nodes: ends, after: { ...(now.active && { active: now.active }), old: [] } };
}

function nodesOf(way: Way): Set<string> {
  return new Set(way.there.flatMap(({ from, to }) => [from, to]));
}

function transitOf(way: Way): Set<string> {
  return new Set(way.there.slice(0, -1).map(({ to }) => to));
}

function shared(some: readonly string[], others: readonly string[]): string[] {
  return some.filter((node) => others.includes(node));
}

function endsOf(way: Way): string[] {
  const [first] = way.there;
  const last = way.there.at(-1);
  return first && last ? [first.from, last.to] : [];
}
