/** What callers give in an Update, seen against what there is. */
import { type Resource } from '../api/connectivity.js';
import { type ConnectivityState } from './kinds.js';
import { sameTerm } from './network-terms.js';

export function named(resource: Resource): string[] {
  const { kind } = resource;
  if (kind === undefined) return [];
  const body = resource[kind as 'node'];
  return body ? [body.name] : [];
}

/** What we write into the links of a network is as it was, whatever the caller gives: else every repetition is a change. */
export function withPlacement(resource: Resource, state: ConnectivityState): Resource {
  if (resource.kind !== 'serviceNetwork') return resource;
  const { serviceNetwork } = resource;
  const before = state.get('serviceNetwork', serviceNetwork.name);
  const known = new Map(before?.links.map((link) => [link.name, link]));
  const links = serviceNetwork.links.map((given) => {
    const old = known.get(given.name);
    const { name, a, b, vifA, vifB, slo, mtu, payload, via } = given;
    return {
      ...{ name, a, b, vifA, vifB, mtu, payload, via },
      ...(slo && { slo }),
      path: old?.path ?? [],
      backup: old?.backup ?? [],
      state: old?.state ?? '',
      message: old?.message ?? '',
      ...(old?.achieved && { achieved: old.achieved }),
      ...(old?.price && { price: old.price }),
    };
  });
  const term = sameTerm(serviceNetwork.term, before?.term);
  return { kind: 'serviceNetwork', serviceNetwork: { ...serviceNetwork, links, ...(term && { term }) } };
}

export function refusedAmong(names: readonly string[], state: ConnectivityState): string[] {
  return names.filter(
    (name) => (state.get('node', name) ?? state.get('link', name))?.status?.state === 'refused',
  );
}
