/**
 * Apply: one owner's whole intent at a time, one after another on this machine. Checked as a whole, compared with
 * what the owner has, then made true step by step. A step that fails ends it with its name; what was not reached
 * is remembered and joined to the next Apply, whoever's.
 */
import { type Agent } from './agent.js';
import { checkAuthority, labelsOf, tunnelOf } from './authority.js';
import { type Collection } from './collect.js';
import { checkCapacity } from './capacity.js';
import { largestVifMtu } from './hop.js';
import { SMALLEST_MTU } from './intent.js';
import { type Intent } from './model.js';
import { type Counts, difference, join, orderSteps, type Step, widen } from './plan.js';
import { impossible } from './refusal.js';
import { foresee, type Holding } from './registry.js';

export class Applier {
  readonly #agent: Agent;
  #turn: Promise<unknown> = Promise.resolve();
  /** Steps of earlier Applies that failed or were not reached. */
  #leftover: readonly Step[] = [];

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  /** Steps that the next Apply will take up. */
  get leftover(): number {
    return this.#leftover.length;
  }

  /** Something found out of order: the next Apply puts it right. */
  defer(steps: readonly Step[]): void {
    this.#leftover = [...this.#leftover, ...steps];
  }

  /** Waits its turn. Throws ApiError. */
  apply(collection: Collection): Promise<Counts> {
    const done = this.#turn.then(() => this.#apply(collection));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Nothing is being applied any more. */
  idle(): Promise<unknown> {
    return this.#turn;
  }

  async #apply(collection: Collection): Promise<Counts> {
    const { registry, interfaces, plane } = this.#agent;
    const wanted = collection.holding;
    const fieldOf = (intent: Intent): string => collection.fieldOf(intent);
    const before = registry.holdings.get(wanted.owner);
    if (before && wanted.epoch < before.epoch) {
      throw impossible(
        'EPOCH_STALE',
        'begin.epoch',
        `${wanted.epoch} is before ${before.epoch}, the last one accepted`,
      );
    }
    checkAuthority(registry, wanted, interfaces, fieldOf);
    await this.#checkMtus(wanted, fieldOf);
    const { touched, counts } = difference(before, wanted);
    checkCapacity(plane, before, wanted);
    if (collection.validateOnly) return counts;

    registry.replace(wanted);
    this.#agent.writeOwner(wanted);
    join(touched, this.#leftover);
    // both what stood and what will stand on things: the registry has the latter, its labels and links the former
    widen(touched, registry);
    const steps = orderSteps(touched, registry);
    await this.#run(steps);
    this.#agent.applied(wanted.owner, wanted.epoch);
    return counts;
  }

  async #run(steps: readonly Step[]): Promise<void> {
    for (const [i, step] of steps.entries()) {
      try {
        await this.#agent.take(step);
      } catch (error) {
        this.#leftover = steps.slice(i);
        throw error;
      }
    }
    this.#leftover = [];
  }

  /** A vif's frames, with all their headers and room for a bypass label, fit the underlay as it is now. */
  async #checkMtus(wanted: Holding, fieldOf: (intent: Intent) => string): Promise<void> {
    const { registry, underlay } = this.#agent;
    const after = foresee(registry, wanted);
    const known = new Map<string, number | undefined>();
    for (const vif of wanted.vifs.values()) {
      if (!vif.path) continue;
      const name = tunnelOf(after, vif.path);
      const labels = labelsOf(after, vif.path);
      const tunnel = name === undefined ? undefined : after.tunnel(name)?.intent;
      if (!tunnel || labels === undefined) continue;
      if (!known.has(tunnel.name)) known.set(tunnel.name, await underlay.mtuTo(tunnel));
      const mtu = known.get(tunnel.name);
      if (mtu === undefined) continue;
      const largest = largestVifMtu(mtu, labels);
      if (vif.mtu <= largest) continue;
      throw impossible(
        'MTU_TOO_BIG',
        `${fieldOf(vif)}.mtu`,
        largest < SMALLEST_MTU
          ? `no frame fits: ${tunnel.name} leaves by an underlay of MTU ${mtu}`
          : `${vif.mtu}: at most ${largest} fits, by ${tunnel.name} over an underlay of MTU ${mtu} and ${labels} labels`,
      );
    }
  }
}
