/** What a virtual node was sold, as its machine's agent holds it, and what is left of it for each of those over it. Pure. */
import { type NodeShare } from '../api/types.js';
import { type ContentFacts } from './content-store.js';
import { COUNTS, minus, NO_SHARE, plus, shareOf, WHOLE_CPU } from './shares.js';

type FullLimits = Readonly<Record<'routes' | 'neighbours' | 'addresses' | 'labels' | 'vifsAbove', number>>;

interface Held {
  readonly limits: FullLimits;
  readonly cpu: { readonly share: number };
}

/**
 * A share's thousandths of a processor are the agent's: of all processors of the machine.
 * @param over limits of the virtual nodes over it, which are taken from its own; one of each is always left, for 0 is
 *   without limit
 */
export function heldOf(share: NodeShare | undefined, over: NodeShare): Held {
  const whole = shareOf(share);
  const left = minus(whole, over);
  return {
    limits: {
      routes: Math.max(1, left.routes),
      neighbours: Math.max(1, left.neighbours),
      addresses: 0,
      labels: whole.labels,
      vifsAbove: whole.vifs,
    },
    cpu: { share: Math.min(whole.cpuMillis, WHOLE_CPU) },
  };
}

/** Of a virtual node that a customer makes over a lease, whatever it says: a tenth of the share where it says nothing. */
export function limitsOver(
  stated: Partial<FullLimits> | undefined,
  share: NodeShare | undefined,
): FullLimits {
  const { routes, neighbours } = shareOf(share);
  const tenth = (count: number): number => Math.max(1, Math.floor(count / 10));
  return {
    routes: stated?.routes || tenth(routes),
    neighbours: stated?.neighbours || tenth(neighbours),
    addresses: stated?.addresses ?? 0,
    labels: stated?.labels ?? 0,
    vifsAbove: stated?.vifsAbove ?? 0,
  };
}

/** Sum of the limits of the virtual nodes that contents make. */
export function limitsIn(contents: Iterable<ContentFacts>): NodeShare {
  let sum = NO_SHARE;
  for (const { nodes } of contents)
    // missing in what was stored before there were limits
    for (const { routes = 0, neighbours = 0 } of nodes) sum = plus(sum, { ...NO_SHARE, routes, neighbours });
  return sum;
}

/** What contents take of the share of the node that they are for: those limits, and what they bring themselves. */
export function usedBy(contents: readonly ContentFacts[]): NodeShare {
  let used = limitsIn(contents);
  for (const { vifs, labels, ownRoutes = 0 } of contents)
    used = plus(used, { ...NO_SHARE, vifs: vifs.length, labels, routes: ownRoutes });
  return used;
}

/** The first count of which all of them together take more than there is. */
export function exceededBy(
  used: NodeShare,
  share: NodeShare | undefined,
): (typeof COUNTS)[number] | undefined {
  const whole = shareOf(share);
  return COUNTS.find((count) => count !== 'cpuMillis' && used[count] > whole[count]);
}
