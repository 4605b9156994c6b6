/** Everything that is wanted on one machine, by owner, bottom up: from the leases, and from contents that can stand on them. */
import { createHash } from 'node:crypto';

import { type Resource, type ResourceDraft, v1 as node } from '../api/node.js';
import { messageType } from '../api/message.js';
import { types } from '../api/types.js';
import { composeProvider, type Part } from './compose.js';
import { type ContentHead, type ContentStore } from './content-store.js';
import { type View } from './kinds.js';
import { nodesOn } from './settle.js';
import { limitsIn } from './sold.js';

const resourceType = messageType(node.Resource);
const { LeaseState } = types;

/** Resources of one lease, or of one content, that follow one another in a stream. */
export interface Piece {
  /** The lease; of what several links share, empty. */
  readonly origin: string;
  count: number;
}

export interface OwnerIntent {
  readonly owner: string;
  /** The same for the same resources. */
  readonly fingerprint: string;
  readonly heads: readonly ContentHead[];
  resources(): Iterable<ResourceDraft> | AsyncIterable<ResourceDraft>;
  /** The lease that the resource at an index of the stream just sent is there for. */
  originAt(index: number): string | undefined;
}

export function providerIntent(provider: string, parts: readonly Part[]): OwnerIntent {
  const hash = createHash('sha256');
  for (const { resource } of parts) hash.update(resourceType.encode(resource)).update(';');
  return {
    owner: provider,
    fingerprint: hash.digest('hex'),
    heads: [],
    resources: () => parts.map(({ resource }) => resource),
    originAt: (index) => parts[index]?.origin,
  };
}

export interface Refusals {
  /** Leases, by name, that the agent refuses. */
  readonly leases: ReadonlySet<string>;
  /** Generations of contents that it refuses. */
  readonly contents: ReadonlySet<string>;
}

/** Of one machine, all that its streams are made of. */
export interface Machine {
  readonly view: View;
  readonly contents: ContentStore;
  readonly provider: string;
  readonly machine: string;
  readonly refused: Refusals;
}

export function composeMachine(on: Machine): readonly OwnerIntent[] {
  const { parts, heads, there } = wantedOn(on);
  const owners = new Map<string, ContentHead[]>();
  for (const head of heads) owners.set(head.owner, [...(owners.get(head.owner) ?? []), head]);
  // a tenant's name has its owner's before it, and so comes after it
  const sorted = [...owners].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [
    providerIntent(on.provider, parts),
    ...sorted.map(([owner, own]) => contentIntent(on.contents, owner, own, there)),
  ];
}

/** What the owner's stream would be without its content of one node, which is to be another. */
export function composeBeside(on: Machine, owner: string, lease: string): OwnerIntent {
  const { heads, there } = wantedOn(on);
  const beside = heads.filter((head) => head.owner === owner && head.lease !== lease);
  return contentIntent(on.contents, owner, beside, there);
}

interface WantedOn {
  readonly parts: readonly Part[];
  readonly heads: readonly ContentHead[];
  /** Vifs: the links', and what contents put over those. */
  readonly there: ReadonlySet<string>;
}

function wantedOn({ view, contents, machine, refused }: Machine): WantedOn {
  const parts = composeProvider(view, machine, refused.leases, (lease) =>
    limitsIn(contents.headsOf(lease).map(({ facts }) => facts)),
  );
  const vifs = new Set(
    parts.flatMap(({ resource }) => (resource.vif?.name === undefined ? [] : [resource.vif.name])),
  );
  const heads = nodesOn(view, machine)
    .filter(({ name, lease }) => lease !== LeaseState.LEASE_STATE_SUSPENDED && !refused.leases.has(name))
    .flatMap(({ name }) => contents.headsOf(name))
    .filter(({ generation }) => !refused.contents.has(generation));
  return { parts, heads, there: standing(vifs, heads) };
}

function standing(vifs: ReadonlySet<string>, heads: readonly ContentHead[]): ReadonlySet<string> {
  const there = new Set(vifs);
  let left = heads.flatMap(({ facts }) => facts.vifs);
  for (let found = true; found;) {
    const next = left.filter(({ name, below }) => {
      const ways = [below].flat().filter((vif) => vif !== '');
      const stands = ways.length === 0 || ways.some((vif) => there.has(vif));
      if (stands) there.add(name);
      return !stands;
    });
    found = next.length < left.length;
    left = next;
  }
  return there;
}

function contentIntent(
  contents: ContentStore,
  owner: string,
  heads: readonly ContentHead[],
  there: ReadonlySet<string>,
): OwnerIntent {
  const absent = new Set(heads.flatMap(({ facts }) => facts.uses.filter((vif) => !there.has(vif))));
  const text = [...heads.map(({ generation }) => generation), ...[...absent].toSorted()].join(' ');
  const sent: Piece[] = [];
  return {
    owner,
    heads,
    fingerprint: createHash('sha256').update(text).digest('hex'),
    async *resources() {
      sent.length = 0;
      for (const head of heads) {
        const piece = { origin: head.generation, count: 0 };
        sent.push(piece);
        for await (const resource of contents.resources(head)) {
          const left = absent.size > 0 ? withoutAbsent(resource, absent) : resource;
          if (!left) continue;
          piece.count++;
          yield left;
        }
      }
    },
    originAt(index) {
      let before = 0;
      for (const { origin, count } of sent) if (index < (before += count)) return origin;
      return undefined;
    },
  };
}

/** What is left of a resource whose vifs are not all there: of a link, the paths that lead somewhere. */
function withoutAbsent(resource: Resource, absent: ReadonlySet<string>): Resource | undefined {
  const { vif } = resource;
  if (!vif?.link || absent.has(vif.name)) {
    return vifsOf(resource).some((name) => absent.has(name)) ? undefined : resource;
  }
  const { link } = vif;
  const paths = link.paths.filter(
    (path) => !absent.has(path.vif ?? '') && !absent.has(path.liveness?.vif ?? ''),
  );
  if (paths.length === 0) return undefined;
  return { kind: 'vif', vif: { ...vif, attachment: 'link', link: { ...link, paths } } as typeof vif };
}

/** Every vif that a resource names. */
export function vifsOf(resource: Resource): readonly string[] {
  const { vif, label, address, route } = resource;
  if (route) return route.nextHops.map((hop) => hop.vif);
  if (address) return [address.vif];
  const names = vif
    ? [vif.name, ...(vif.link?.paths ?? []).flatMap(({ vif, liveness }) => [vif, liveness?.vif])]
    : label
      ? [label.vif, label.deliver, label.swap?.vif]
      : [];
  return names.filter((name): name is string => name !== undefined && name !== '');
}
