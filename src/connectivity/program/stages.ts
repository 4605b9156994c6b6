/**
 * How a service link comes to where it is to be, without a label being sent that is not understood yet: what receives is
 * made before what sends, and taken away after it. Each way for itself: one that is held up holds up no other. Pure.
 */
import { type Way } from './hops.js';
import { type Carried } from './items.js';
import { among, sameEnds, without } from './ways.js';

/** What is to be waited for before the next step: these nodes have acknowledged what they have now. */
export interface Step {
  readonly nodes: ReadonlySet<string>;
  readonly after: Carried;
  /** Ways that may have something under way when they have acknowledged it, which is to arrive first. */
  readonly leaving: readonly Way[];
}

export const NOTHING: Carried = { active: [], next: [], old: [] };

/**
 * With other ways to be taken, in the order of preference; none: it ends. Ways that are active already are used in the new
 * order at once, beside them what was active before, until what is to take its place is there.
 */
export function towards(now: Carried, ways: readonly Way[]): Carried {
  const known = [...now.active, ...now.next, ...now.old];
  const [first] = ways;
  // an end has moved to another node: its vif cannot be at both
  const stays = first && now.active.every((way) => sameEnds(way, first)) ? now.active : [];
  const active = arranged(ways, stays, stays);
  const next = without(ways, active).length > 0 ? [...ways] : [];
  return { active, next, old: without(known, [...active, ...next]) };
}

/** In each place what is wanted there, if it is `ready`; else what is there until then. */
function arranged(wanted: readonly Way[], ready: readonly Way[], active: readonly Way[]): Way[] {
  const left = without(active, wanted);
  const placed = wanted.map((way) => (among(way, ready) ? way : left.shift()));
  return placed.filter((way) => way !== undefined);
}

/** What can be done next, each by itself; none: all is as it is to be. */
export function nextSteps(now: Carried): Step[] {
  const { active, next, old } = now;
  const steps = without(next, active).map((way): Step => {
    const then = arranged(next, [...active, way], active);
    const gone = without(active, [...then, ...next]);
    const open = without(next, then).length > 0 ? next : [];
    // whoever receives, and knows already where to deliver; where nothing is active, its ends must be rid of earlier vifs,
    // which would be there without knowing the new labels
    const nodes =
      active.length > 0
        ? nodesOf(way)
        : new Set([...transitOf(way), ...shared(endsOf(way), old.flatMap(endsOf))]);
    return { nodes, after: { active: then, next: open, old: [...gone, ...old] }, leaving: [] };
  });
  // the vifs send over what is active, or are gone
  if (old.length > 0)
    steps.push({ nodes: new Set(old.flatMap(endsOf)), after: { ...now, old: [] }, leaving: old });
  return steps;
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
