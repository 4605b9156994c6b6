/** What a path and its backup have in common. Pure. */
import { type Link } from '../../api/connectivity.js';

type Below = Pick<Link, 'name' | 'a' | 'b' | 'riskGroups'>;

/** `links/LINK`, `nodes/NODE` between the ends, `riskGroups/NAME`, each sorted. Of links that are gone nothing is known. */
export function sharedBy(
  path: readonly string[],
  backup: readonly string[],
  linkOf: (name: string) => Below | undefined,
): string[] {
  const [one, other] = [path, backup].map((names) => partsOf(names, linkOf)) as [Parts, Parts];
  return (['links', 'nodes', 'groups'] as const).flatMap((kind) =>
    [...one[kind]].filter((name) => other[kind].has(name)).sort(),
  );
}

type Parts = Readonly<Record<'links' | 'nodes' | 'groups', ReadonlySet<string>>>;

function partsOf(names: readonly string[], linkOf: (name: string) => Below | undefined): Parts {
  const known = names.flatMap((name) => linkOf(name) ?? []);
  const ends = known.flatMap(({ a, b }) => [a, b]);
  return {
    links: new Set(names),
    // two links of the path meet there
    nodes: new Set(ends.filter((node, i) => ends.indexOf(node) < i)),
    groups: new Set(known.flatMap(({ riskGroups }) => riskGroups.map((group) => `riskGroups/${group}`))),
  };
}
