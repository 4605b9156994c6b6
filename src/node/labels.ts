/**
 * The labels of this machine in the data plane: each as its owner wants it, as long as the owner may give it a
 * meaning and what it leads to is there.
 */
import { type Carrier, contextOf, type DataPlane, type LabelVerb } from '../dataplane/index.js';
import { type Below, type LabelIntent, labelKey, samePath } from './model.js';
import { type LabelPlace } from './plan.js';
import { type Paths } from './paths.js';
import { type Registry } from './registry.js';
import { writeLabel } from './names.js';

interface LiveLabel {
  readonly owner: string;
  readonly intent: LabelIntent;
  readonly context: number;
  readonly target: number;
  readonly slot: number;
  /** The record that a swap goes on by; 0: it delivers. */
  readonly path: number;
}

export interface LabelsOptions {
  readonly plane: DataPlane;
  readonly registry: Registry;
  readonly paths: Paths;
  /** Ids of what is there; undefined: it is not. */
  readonly carrierOf: (below: Below) => Carrier | undefined;
  readonly vifId: (name: string) => number | undefined;
}

export class Labels {
  readonly #options: LabelsOptions;
  readonly #live = new Map<string, LiveLabel>();

  constructor(options: LabelsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#live.size;
  }

  get all(): Iterable<{ readonly owner: string; readonly intent: LabelIntent }> {
    return this.#live.values();
  }

  /** Slots in use. */
  slots(): Set<number> {
    return new Set(Array.from(this.#live.values(), (label) => label.slot));
  }

  /** Takes over what an earlier agent wrote. */
  adopt(owner: string, intent: LabelIntent): void {
    const context = this.#contextId(intent.context);
    const placed =
      context === undefined ? undefined : this.#options.plane.labels.get({ context, label: intent.label });
    if (context === undefined || !placed) return;
    const path = placed.action === 'swap' ? placed.target : 0;
    if (intent.swap && path !== 0) this.#options.paths.adopt(path, intent.swap);
    this.#live.set(labelKey(intent.context, intent.label), {
      owner,
      intent,
      context,
      target: placed.target,
      slot: placed.slot,
      path,
    });
  }

  /** Makes the label mean what the registry says, or nothing. */
  async settle(place: LabelPlace): Promise<void> {
    const { plane, registry, paths } = this.#options;
    const key = labelKey(place.context, place.label);
    const wanted = registry.label(place.context, place.label);
    const context = wanted && this.#contextId(place.context);
    const live = this.#live.get(key);
    if (live && live.context !== context) this.#drop(key, live);
    if (!wanted || context === undefined) return;

    const before = live?.context === context ? live : undefined;
    const { intent, owner } = wanted;
    const keep =
      before?.path &&
      samePath(before.intent.swap, intent.swap) &&
      paths.isCurrent(before.path, intent.swap, owner);
    const path = intent.swap ? (keep ? before.path : paths.make(intent.swap, owner)) : 0;
    const target = intent.swap ? path : this.#targetOf(owner, intent);
    if (!target) {
      if (before) this.#drop(key, before);
      return;
    }
    const entry = {
      context,
      label: place.label,
      action: verbOf(intent),
      target,
    };
    let slot: number;
    try {
      slot = before ? await plane.labels.replace(entry) : plane.labels.insert(entry);
    } catch (error) {
      if (path && !keep) paths.release(path);
      throw error;
    }
    if (before && before.slot !== slot) plane.names.delete('label', before.slot);
    writeLabel(plane, slot, owner, intent);
    if (before?.path && before.path !== path) paths.release(before.path);
    this.#live.set(key, { owner, intent, context, target, slot, path });
  }

  /** Drops what arrives by, leads to, or goes on over a tunnel, a wire or a vif. */
  cutOver(carrier: Carrier): void {
    const context = contextOf(carrier);
    for (const [key, live] of this.#live) {
      // a vif's context is its id
      const delivered = live.path === 0 && live.target === context;
      const swapped = live.path !== 0 && this.#options.paths.leadsOver(live.path, carrier);
      if (live.context === context || delivered || swapped) this.#drop(key, live);
    }
  }

  #drop(key: string, live: LiveLabel): void {
    const { plane, paths } = this.#options;
    plane.labels.remove({ context: live.context, label: live.intent.label });
    plane.names.delete('label', live.slot);
    if (live.path) paths.release(live.path);
    this.#live.delete(key);
  }

  /** Only the owner of a vif lets labels lead to it, only that of a wire lets them go on there; 0: not now. */
  #targetOf(owner: string, { deliver, continueOn }: LabelIntent): number {
    const { registry, vifId } = this.#options;
    if (continueOn !== undefined) {
      if (registry.wire(continueOn)?.owner !== owner) return 0;
      return this.#contextId({ kind: 'wire', name: continueOn }) ?? 0;
    }
    if (deliver === undefined || registry.vif(deliver)?.owner !== owner) return 0;
    return vifId(deliver) ?? 0;
  }

  #contextId(context: Below): number | undefined {
    const carrier = this.#options.carrierOf(context);
    return carrier && contextOf(carrier);
  }
}

function verbOf({ swap, deliver }: LabelIntent): LabelVerb {
  if (swap) return 'swap';
  return deliver === undefined ? 'pop' : 'deliver';
}
