/** What a link has in common with those that it is to be diverse from: wires, machines between its ends, risk groups. */
import { type Bodies, type View } from './kinds.js';
import { type Ledger } from './ledger.js';

type Link = Bodies['virtualLink'];
type Shared = NonNullable<Link['shared']>;

/** All that the others use. */
export interface Avoid {
  readonly wires: ReadonlySet<string>;
  readonly machines: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
}

/** A wire or a peering, as far as it can be shared. */
function partsOf(view: View, name: string): { machines: readonly string[]; groups: readonly string[] } {
  const wire = view.get('wire', name);
  const peering = view.get('peering', name);
  return {
    machines: [wire?.a, wire?.b, peering?.end].flatMap((end) => (end ? [end.machine] : [])),
    groups: (wire ?? peering)?.riskGroups ?? [],
  };
}

/** `ends`: the machines where the link ends, which it cannot avoid. Undefined: it is diverse from none. */
export function avoidOf(
  view: View,
  ledger: Ledger,
  diverseFrom: readonly string[],
  ends: readonly string[],
): Avoid | undefined {
  if (diverseFrom.length === 0) return undefined;
  return usedBy(
    view,
    diverseFrom.flatMap((name) => ledger.links.get(name)?.wires ?? []),
    ends,
  );
}

function usedBy(view: View, names: readonly string[], ends: readonly string[]): Avoid {
  const parts = names.map((name) => partsOf(view, name));
  const machines = new Set(parts.flatMap((one) => one.machines));
  for (const end of ends) machines.delete(end);
  return { wires: new Set(names), machines, groups: new Set(parts.flatMap(({ groups }) => groups)) };
}

/** Undefined: nothing. */
export function sharedWith(
  view: View,
  avoid: Avoid | undefined,
  wires: readonly string[],
  ends: readonly string[],
): Shared | undefined {
  if (!avoid) return undefined;
  const own = usedBy(view, wires, ends);
  const count = (key: keyof Avoid): number => [...own[key]].filter((name) => avoid[key].has(name)).length;
  const shared = { wires: count('wires'), machines: count('machines'), riskGroups: count('groups') };
  return sizeOf(shared) === 0 ? undefined : shared;
}

export function sizeOf(shared: Shared | undefined): number {
  return shared ? shared.wires + shared.machines + shared.riskGroups : 0;
}
