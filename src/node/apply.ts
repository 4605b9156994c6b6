/**
 * Apply: one owner's whole intent at a time, one after another on this machine. Checked as a whole, compared with
 * what the owner has, then made true step by step. A step that fails ends it with its name; what was not reached
 * is remembered and joined to the next Apply.
 */
import { type Agent } from './agent.js';
import { checkAuthority, waysDown } from './authority.js';
import { type Collection, UnderWay } from './collect.js';
import { checkCapacity } from './capacity.js';
import { largestVifMtu } from './hop.js';
import { LARGEST_MTU, SMALLEST_MTU } from './intent.js';
import { type Below, type Intent, type WireType } from './model.js';
import { type Counts, difference, join, orderSteps, type Step, stepKey, widen } from './plan.js';
import { impossible } from './refusal.js';
import { checkOnePlusOne } from './one-plus-one.js';
import { foresee, type Holding, type Lookup } from './registry.js';

export class Applier {
  /** Of streams that are being received or wait for their turn. */
  readonly underWay = new UnderWay();
  readonly #agent: Agent;
  #turn: Promise<unknown> = Promise.resolve();
  /** Steps that failed or were not reached, by stepKey, and whose they are. */
  readonly #leftover = new Map<string, { readonly step: Step; readonly owner: string }>();

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  /** Steps that the next Apply will take up. */
  get leftover(): number {
    return this.#leftover.size;
  }

  /** Something of this owner's was found out of order: the next Apply takes it up. */
  defer(owner: string, steps: readonly Step[]): void {
    for (const step of steps) this.#leftover.set(stepKey(step), { step, owner });
  }

  /** Waits its turn, and is not begun if `signal` was aborted by then. Throws ApiError, or the signal's reason. */
  apply(collection: Collection, signal?: AbortSignal): Promise<Counts> {
    return this.#inTurn(() => {
      signal?.throwIfAborted();
      return this.#apply(collection);
    });
  }

  /** Takes these steps when it is their turn; what fails is left over. Never throws. */
  repair(owner: string, steps: readonly Step[]): Promise<void> {
    return this.#inTurn(async () => {
      this.defer(owner, steps);
      await this.#run(owner, steps, () => false);
    });
  }

  /** Nothing is being applied any more. */
  idle(): Promise<unknown> {
    return this.#turn;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #apply(collection: Collection): Promise<Counts> {
    const { registry, interfaces, plane } = this.#agent;
    const wanted = collection.holding;
    const { owner } = wanted;
    const fieldOf = (intent: Intent): string => collection.fieldOf(intent);
    const before = registry.holdings.get(owner);
    if (before && wanted.epoch < before.epoch) {
      const last = `${before.epoch}, the last one accepted`;
      throw impossible('EPOCH_STALE', 'begin.epoch', `${wanted.epoch} is before ${last}`);
    }
    checkAuthority(registry, wanted, interfaces, fieldOf);
    checkOnePlusOne({ registry, wanted, jumbo: plane.jumbo, fieldOf });
    this.#checkShares(wanted, fieldOf);
    await this.#checkMtus(wanted, fieldOf);
    const { touched, counts } = difference(before, wanted);
    checkCapacity(plane, registry.holdings.size, before, wanted);
    if (collection.validateOnly) return counts;

    registry.replace(wanted);
    this.#agent.writeOwner(wanted);
    for (const { step, owner: whose } of this.#leftover.values()) if (whose === owner) join(touched, [step]);
    const mine = new Set(orderSteps(touched, registry).map(stepKey));
    widen(touched, registry);
    join(
      touched,
      Array.from(this.#leftover.values(), ({ step }) => step),
    );
    try {
      await this.#run(owner, orderSteps(touched, registry), (step) => mine.has(stepKey(step)));
    } finally {
      void this.#agent.vifs.clearAway();
    }
    this.#agent.settleShares();
    this.#agent.applied(owner, wanted.epoch);
    return counts;
  }

  /**
   * The first of its own steps that fails ends an Apply, and is its answer. A step that is there for another owner's
   * sake does not: it is left over, and that owner's next Apply hears of it.
   */
  async #run(owner: string, steps: readonly Step[], isOwn: (step: Step) => boolean): Promise<void> {
    for (const [i, step] of steps.entries()) {
      const key = stepKey(step);
      try {
        await this.#agent.take(step);
        this.#leftover.delete(key);
      } catch (error) {
        if (isOwn(step)) {
          for (const rest of steps.slice(i)) {
            if (isOwn(rest) || !this.#leftover.has(stepKey(rest))) this.defer(owner, [rest]);
          }
          throw error;
        }
        if (!this.#leftover.has(key)) this.defer(this.#agent.ownerOf(step) ?? owner, [step]);
        this.#agent.options.log.warn('step failed', { step: key, error });
      }
    }
  }

  #checkShares(wanted: Holding, fieldOf: (intent: Intent) => string): void {
    if (this.#agent.cgroups.available) return;
    const node = [...wanted.nodes.values()].find(({ cpuShare }) => cpuShare > 0);
    if (!node) return;
    const what = 'this machine has no cgroup hierarchy with the cpu controller to hold it with';
    throw impossible('CPU_CONTROLLER', `${fieldOf(node)}.cpu`, what);
  }

  /** A vif's frames, with all their headers and room for a bypass label, fit the underlay as it is now. */
  async #checkMtus(wanted: Holding, fieldOf: (intent: Intent) => string): Promise<void> {
    const { registry, plane } = this.#agent;
    const after = foresee(registry, wanted);
    const known = new Map<string, CarrierMtu | undefined>();
    for (const vif of wanted.vifs.values()) {
      if (vif.mtu > LARGEST_MTU && !plane.jumbo) {
        const text = `${vif.mtu}: at most ${LARGEST_MTU} without jumbo frames (agent option --jumbo)`;
        throw impossible('MTU_TOO_BIG', `${fieldOf(vif)}.mtu`, text);
      }
      for (const { labels, lowest } of vif.paths.flatMap((path) => waysDown(after, path) ?? [])) {
        if (!known.has(lowest.name)) known.set(lowest.name, await this.#mtuOf(after, lowest));
        const carrier = known.get(lowest.name);
        if (carrier === undefined) continue;
        const largest = largestVifMtu(carrier.mtu, labels, carrier.kind);
        if (vif.mtu <= largest) continue;
        const { name } = lowest;
        throw impossible(
          'MTU_TOO_BIG',
          `${fieldOf(vif)}.mtu`,
          largest < SMALLEST_MTU
            ? `no frame fits: ${name} leaves by an underlay of MTU ${carrier.mtu}`
            : `${vif.mtu}: at most ${largest} fits, by ${name} over an underlay of MTU ${carrier.mtu} and ${labels} labels`,
        );
      }
    }
  }

  /** Of the machine's interfaces that a tunnel or a wire leaves by, as they are now; undefined where there is none. */
  async #mtuOf(after: Lookup, { kind, name }: Below): Promise<CarrierMtu | undefined> {
    const { underlay, wires } = this.#agent;
    const tunnel = kind === 'tunnel' ? after.tunnel(name)?.intent : undefined;
    const wire = kind === 'wire' ? after.wire(name)?.intent : undefined;
    const mtu = tunnel ? await underlay.mtuTo(tunnel) : wire && wires.mtuOf(wire);
    return mtu === undefined ? undefined : { mtu, kind: wire?.type ?? 'tunnel' };
  }
}

interface CarrierMtu {
  readonly mtu: number;
  readonly kind: 'tunnel' | WireType;
}
