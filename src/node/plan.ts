/**
 * From what was wanted to what is wanted: which things an Apply touches, and the order of the steps. First
 * everything that is to be there, from the bottom up; then each node's tables in one publication; then, from the
 * top down, what is no longer wanted. Pure: a step says only what to look at, whoever does it asks the registry
 * whether the thing shall be or not, so a step may be repeated and a failed Apply's rest joined to the next.
 */
import {
  type AddressIntent,
  type Below,
  type Intent,
  labelKey,
  type RouteIntent,
  sameIntent,
} from './model.js';
import { type Dependent, type Holding, type Registry } from './registry.js';

export interface LabelPlace {
  readonly context: Below;
  readonly label: number;
}

/** What may have to change. */
export interface Touched {
  readonly nodes: Set<string>;
  readonly tunnels: Set<string>;
  readonly wires: Set<string>;
  readonly bfdPeers: Set<string>;
  readonly vifs: Set<string>;
  /** By labelKey. */
  readonly labels: Map<string, LabelPlace>;
  /** Nodes whose addresses and routes changed. */
  readonly contents: Set<string>;
}

export interface Counts {
  created: number;
  updated: number;
  deleted: number;
  unchanged: number;
}

export type Step =
  | {
      readonly kind: 'node' | 'tunnel' | 'wire' | 'bfdPeer' | 'vif' | 'contents';
      readonly name: string;
      readonly remove: boolean;
    }
  | { readonly kind: 'label'; readonly place: LabelPlace; readonly remove: boolean };

export function nothingTouched(): Touched {
  return {
    nodes: new Set(),
    tunnels: new Set(),
    wires: new Set(),
    bfdPeers: new Set(),
    vifs: new Set(),
    labels: new Map(),
    contents: new Set(),
  };
}

function compare<T extends Intent>(
  before: ReadonlyMap<string, T> | undefined,
  after: ReadonlyMap<string, T> | undefined,
  counts: Counts,
  touch: (intent: T) => void,
): void {
  for (const [key, intent] of after ?? []) {
    const old = before?.get(key);
    if (old && sameIntent(old, intent)) {
      counts.unchanged++;
      continue;
    }
    if (old) counts.updated++;
    else counts.created++;
    touch(intent);
  }
  for (const [key, intent] of before ?? []) {
    if (after?.has(key)) continue;
    counts.deleted++;
    touch(intent);
  }
}

function compareContents<T extends AddressIntent | RouteIntent>(
  before: ReadonlyMap<string, ReadonlyMap<string, T>> | undefined,
  after: ReadonlyMap<string, ReadonlyMap<string, T>>,
  counts: Counts,
  touched: Touched,
): void {
  for (const node of new Set([...(before?.keys() ?? []), ...after.keys()])) {
    compare(before?.get(node), after.get(node), counts, () => touched.contents.add(node));
  }
}

/** What one owner's new holding changes, and how many resources of each fate. */
export function difference(
  before: Holding | undefined,
  after: Holding,
): { touched: Touched; counts: Counts } {
  const touched = nothingTouched();
  const counts: Counts = { created: 0, updated: 0, deleted: 0, unchanged: 0 };
  compare(before?.nodes, after.nodes, counts, (intent) => touched.nodes.add(intent.name));
  compare(before?.tunnels, after.tunnels, counts, (intent) => touched.tunnels.add(intent.name));
  compare(before?.wires, after.wires, counts, (intent) => touched.wires.add(intent.name));
  compare(before?.bfdPeers, after.bfdPeers, counts, (intent) => touched.bfdPeers.add(intent.name));
  compare(before?.vifs, after.vifs, counts, (intent) => touched.vifs.add(intent.name));
  compare(before?.labels, after.labels, counts, ({ context, label }) =>
    touched.labels.set(labelKey(context, label), { context, label }),
  );
  compareContents(before?.addresses, after.addresses, counts, touched);
  compareContents(before?.routes, after.routes, counts, touched);
  return { touched, counts };
}

function touchDependents(name: string, registry: Registry, touched: Touched): void {
  for (const { intent } of registry.dependents(name)) touchDependent(intent, touched);
}

function touchDependent(intent: Dependent, touched: Touched): void {
  if (intent.kind === 'vif') touched.vifs.add(intent.name);
  else {
    const { context, label } = intent;
    touched.labels.set(labelKey(context, label), { context, label });
  }
}

/** Adds what stands on the things touched, whoever owns it: a lease given, taken back or given to another. */
export function widen(touched: Touched, registry: Registry): void {
  for (const node of touched.nodes) {
    touched.contents.add(node);
    for (const vif of registry.vifsOf(node)) touchDependents(vif, registry, touched);
  }
  for (const tunnel of touched.tunnels) touchDependents(tunnel, registry, touched);
  for (const wire of touched.wires) touchDependents(wire, registry, touched);
  for (const vif of [...touched.vifs]) {
    touched.contents.add(vif.slice(0, vif.indexOf('/vifs/')));
    touchDependents(vif, registry, touched);
  }
}

/** How many layers a vif stands above the tunnels and wires, by its longest way down. A circle counts as its length. */
function height(name: string, registry: Registry, above: ReadonlySet<string> = new Set()): number {
  let most = 0;
  for (const { below } of registry.vif(name)?.intent.paths ?? []) {
    if (below.kind !== 'vif' || above.has(below.name)) continue;
    most = Math.max(most, 1 + height(below.name, registry, new Set([...above, below.name])));
  }
  return most;
}

/** The steps, in order, to what the registry now says. */
export function orderSteps(touched: Touched, registry: Registry): Step[] {
  const make: Step[] = [];
  const unmake: Step[] = [];
  for (const name of touched.nodes) {
    if (registry.node(name)) make.push({ kind: 'node', name, remove: false });
  }
  for (const name of touched.tunnels) {
    if (registry.tunnel(name)) make.push({ kind: 'tunnel', name, remove: false });
  }
  for (const name of touched.wires) {
    if (registry.wire(name)) make.push({ kind: 'wire', name, remove: false });
  }
  // what they watch is there by now, and nothing is carried by it yet
  for (const name of touched.bfdPeers) {
    if (registry.bfdPeer(name)) make.push({ kind: 'bfdPeer', name, remove: false });
  }
  const vifs = [...touched.vifs].filter((name) => registry.vif(name));
  const heights = new Map(vifs.map((name) => [name, height(name, registry)]));
  vifs.sort((a, b) => (heights.get(a) ?? 0) - (heights.get(b) ?? 0));
  for (const name of vifs) make.push({ kind: 'vif', name, remove: false });
  for (const place of touched.labels.values()) {
    const remove = registry.label(place.context, place.label) === undefined;
    (remove ? unmake : make).push({ kind: 'label', place, remove });
  }
  for (const name of touched.contents) {
    if (registry.node(name)) make.push({ kind: 'contents', name, remove: false });
  }
  for (const name of touched.vifs) {
    if (!registry.vif(name)) unmake.push({ kind: 'vif', name, remove: true });
  }
  for (const name of touched.bfdPeers) {
    if (!registry.bfdPeer(name)) unmake.push({ kind: 'bfdPeer', name, remove: true });
  }
  for (const name of touched.tunnels) {
    if (!registry.tunnel(name)) unmake.push({ kind: 'tunnel', name, remove: true });
  }
  for (const name of touched.wires) {
    if (!registry.wire(name)) unmake.push({ kind: 'wire', name, remove: true });
  }
  for (const name of touched.nodes) {
    if (!registry.node(name)) unmake.push({ kind: 'node', name, remove: true });
  }
  return [...make, ...unmake];
}

/** What a step is about: the same for the making and the removal of one thing. */
export function stepKey(step: Step): string {
  return step.kind === 'label'
    ? `label ${labelKey(step.place.context, step.place.label)}`
    : `${step.kind} ${step.name}`;
}

/** The part of `touched` that `steps` would deal with: what is left of an Apply that failed. */
export function touchedBy(steps: readonly Step[]): Touched {
  const touched = nothingTouched();
  join(touched, steps);
  return touched;
}

/** Adds what `steps` would look at. */
export function join(touched: Touched, steps: readonly Step[]): void {
  for (const step of steps) {
    if (step.kind === 'label') {
      touched.labels.set(labelKey(step.place.context, step.place.label), step.place);
    } else if (step.kind === 'contents') touched.contents.add(step.name);
    else if (step.kind === 'node') touched.nodes.add(step.name);
    else if (step.kind === 'tunnel') touched.tunnels.add(step.name);
    else if (step.kind === 'wire') touched.wires.add(step.name);
    else if (step.kind === 'bfdPeer') touched.bfdPeers.add(step.name);
    else touched.vifs.add(step.name);
  }
}
