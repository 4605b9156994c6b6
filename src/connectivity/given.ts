/** What callers give in an Update, seen against what there is. */
import { protectedFields } from '../api/protected.js';
import { type Resource, type ServiceNetwork } from '../api/connectivity.js';
import { type Caller } from '../controller/access.js';
import { type Bodies, type ConnectivityState, type KindName, mayManage } from './kinds.js';
import { sameTerm } from './network-terms.js';

export function named(resource: Resource): string[] {
  const { kind } = resource;
  if (kind === undefined) return [];
  const body = resource[kind as 'node'];
  return body ? [body.name] : [];
}

/**
 * What we write into the links of a network is as it was, whatever the caller gives: else every repetition is a change. What
 * a link is to avoid is for operators to say.
 */
export function againstNow(self: string) {
  return <K extends KindName>(
    kind: K,
    given: Bodies[K],
    before: Bodies[K] | undefined,
    caller: Caller,
  ): Bodies[K] => {
    if (kind !== 'serviceNetwork') return given;
    const [now, then] = [before, given] as (ServiceNetwork | undefined)[];
    return withPlacement(then as ServiceNetwork, now, mayManage(self, caller)) as Bodies[K];
  };
}

function withPlacement(
  given: ServiceNetwork,
  before: ServiceNetwork | undefined,
  manages: boolean,
): ServiceNetwork {
  const known = new Map(before?.links.map((link) => [link.name, link]));
  const links = given.links.map((link) => {
    const old = known.get(link.name);
    const { name, a, b, vifA, vifB, slo, mtu, payload, via } = link;
    return {
      ...{ name, a, b, vifA, vifB, mtu, payload, via },
      ...protectedFields(link),
      ...(slo && { slo }),
      path: old?.path ?? [],
      backup: old?.backup ?? [],
      shared: old?.shared ?? [],
      backupProgrammed: old?.backupProgrammed ?? false,
      state: old?.state ?? '',
      message: old?.message ?? '',
      ...(old?.violation && { violation: old.violation }),
      avoid: manages ? link.avoid : (old?.avoid ?? []),
      ...(old?.achieved && { achieved: old.achieved }),
      ...(old?.price && { price: old.price }),
    };
  });
  const term = sameTerm(given.term, before?.term);
  return { ...given, links, ...(term && { term }) };
}

export function refusedAmong(names: readonly string[], state: ConnectivityState): string[] {
  return names.filter(
    (name) => (state.get('node', name) ?? state.get('link', name))?.status?.state === 'refused',
  );
}
