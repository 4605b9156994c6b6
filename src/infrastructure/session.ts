/**
 * One connection to one machine's agent: what the agent has is compared with what is wanted, owner by owner and bottom up,
 * and an Apply is sent for each that differs.
 */
import { ApiError, Status } from '../api/errors.js';
import { type Logger } from '../api/log.js';
import { type State } from '../controller/state.js';
import { type AgentClient, applyTo, indexIn } from './agent.js';
import { type ContentStore } from './content-store.js';
import { type Bodies } from './kinds.js';
import { forgetInParts, quarantinedBy } from './labels.js';
import { customerOf } from './ledger.js';
import { composeBeside, composeMachine, type Machine, type OwnerIntent } from './machine-intent.js';
import { errorUp } from './rename.js';
import { leasesOn, type Progress, type Said } from './progress.js';

export interface SessionOptions {
  readonly provider: string;
  readonly machine: string;
  readonly state: State<Bodies>;
  readonly contents: ContentStore;
  readonly progress: Progress;
  /** Of the lead: epochs begin with it, so that what a deposed leader still sends is stale to an agent. */
  readonly term?: number | undefined;
  readonly log: Logger;
}

/** Bits: 65 536 epochs of an owner until a term runs into the next one's. */
const EPOCH_BITS = 16n;

/** After the last one accepted, and after all of earlier terms. */
export function nextEpoch(last: bigint, term: number): bigint {
  const first = BigInt(term) << EPOCH_BITS;
  return last < first ? first : last + 1n;
}

/** Of an owner at this agent. */
export interface Had {
  epoch: bigint;
  /** Of what this process sent and the agent has acknowledged; empty: unknown. */
  fingerprint: string;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #client: AgentClient;
  readonly #had = new Map<string, Had>();
  readonly #refusedLeases = new Map<string, { generation: bigint; message: string }>();
  readonly #refusedContents = new Map<string, ApiError>();
  /** By owner: the contents that the agent has, and why it does not take them now. */
  readonly #acknowledged = new Map<string, ReadonlySet<string>>();
  readonly #failed = new Map<string, { generations: ReadonlySet<string>; error: ApiError }>();

  constructor(options: SessionOptions, client: AgentClient) {
    this.#options = options;
    this.#client = client;
  }

  /** What this process knows of the agent's owners. */
  get had(): ReadonlyMap<string, Had> {
    return this.#had;
  }

  /**
   * Owners and epochs, from GetMachine. @param known from an earlier connection to the same boot: an owner at the very
   * epoch that was acknowledged then has what it was sent
   */
  setOwners(
    owners: readonly { readonly owner: string; readonly epoch: bigint }[],
    known: ReadonlyMap<string, Had>,
  ): void {
    for (const { owner, epoch } of owners) {
      const before = known.get(owner);
      this.#had.set(owner, { epoch, fingerprint: before?.epoch === epoch ? before.fingerprint : '' });
    }
  }

  has(generation: string): boolean {
    return [...this.#acknowledged.values()].some((generations) => generations.has(generation));
  }

  refusalOf(generation: string): ApiError | undefined {
    const failed = [...this.#failed.values()].find(({ generations }) => generations.has(generation));
    return this.#refusedContents.get(generation) ?? failed?.error;
  }

  /** Refused things are tried again with the next round. */
  forgive(): void {
    this.#refusedLeases.clear();
    this.#refusedContents.clear();
  }

  /** Whether all that is wanted is there now. @throws ApiError where the agent does not answer */
  async round(signal: AbortSignal): Promise<boolean> {
    const { state, machine, provider } = this.#options;
    for (;;) {
      const generations = leasesOn(state, machine);
      for (const [lease, { generation }] of this.#refusedLeases)
        // what is no lease, as a bypass, has none: it is left out until all that was refused is tried again
        if ((generations.get(lease) ?? 0n) !== generation) this.#refusedLeases.delete(lease);
      const forgotten = quarantinedBy(state, machine).map(({ name }) => name);
      const intents = composeMachine(this.#machine());
      let whole = true;
      let again = false;
      for (const intent of intents) {
        const outcome = await this.#bring(intent, signal);
        again = outcome === 'again';
        if (outcome !== 'done') whole = false;
        const own = intent.owner === provider;
        if (outcome === 'done' && own && forgotten.length > 0) await forgetInParts(state, forgotten);
        if (own && !again) await this.#report(generations, outcome === 'done');
        if (again || (outcome === 'failed' && own)) break;
      }
      if (again) continue;
      if (whole) whole = await this.#sweep(intents, signal);
      return whole && this.#refusedLeases.size === 0 && this.#refusedContents.size === 0;
    }
  }

  /** What an owner's content of one node would be sent together with. */
  beside(owner: string, lease: string): OwnerIntent {
    return composeBeside(this.#machine(), owner, lease);
  }

  #machine(): Machine {
    const { state, contents, provider, machine } = this.#options;
    const refused = {
      leases: new Set(this.#refusedLeases.keys()),
      contents: new Set(this.#refusedContents.keys()),
    };
    return { view: state, contents, provider, machine, refused };
  }

  /** `again`: something was refused and left out; `failed`: all of this owner's, for now. */
  async #bring(intent: OwnerIntent, signal: AbortSignal): Promise<'done' | 'again' | 'failed'> {
    const { owner, fingerprint } = intent;
    const had = this.#had.get(owner) ?? { epoch: 0n, fingerprint: '' };
    if (had.fingerprint === fingerprint) {
      this.#acknowledged.set(owner, generationsOf(intent));
      return 'done';
    }
    const epoch = nextEpoch(had.epoch, this.#options.term ?? 0);
    this.#had.set(owner, { epoch, fingerprint: '' });
    this.#failed.delete(owner);
    try {
      await applyTo(this.#client, { owner, epoch, resources: intent.resources() }, signal);
      this.#had.set(owner, { epoch, fingerprint });
      this.#acknowledged.set(owner, generationsOf(intent));
      return 'done';
    } catch (error) {
      if (!(error instanceof ApiError) || isGone(error)) throw error;
      return this.#refused(intent, error);
    }
  }

  #refused(intent: OwnerIntent, error: ApiError): 'again' | 'failed' {
    const { machine, provider, state, log } = this.#options;
    const { owner } = intent;
    if (error.reason === 'CONTENT_REPLACED') return 'again';
    const index = indexIn(error.field);
    const origin = index === undefined ? undefined : intent.originAt(index);
    log.warn('the agent refuses', {
      machine,
      owner,
      origin,
      reason: error.reason,
      field: error.field,
      message: error.message,
    });
    if (origin === undefined || origin === '') {
      this.#failed.set(owner, {
        generations: generationsOf(intent),
        error,
      });
      return 'failed';
    }
    if (owner === provider) {
      const generation = leasesOn(state, machine).get(origin) ?? 0n;
      this.#refusedLeases.set(origin, { generation, message: refusalFor(customerOf(origin), error) });
    } else this.#refusedContents.set(origin, error);
    return 'again';
  }

  /** Owners that the agent has and nobody wants any more, the upper ones first. */
  async #sweep(intents: readonly OwnerIntent[], signal: AbortSignal): Promise<boolean> {
    const wanted = new Set(intents.map(({ owner }) => owner));
    for (const owner of [...this.#had.keys()].toSorted().toReversed()) {
      if (wanted.has(owner)) continue;
      const empty: OwnerIntent = {
        owner,
        fingerprint: 'empty',
        heads: [],
        resources: () => [],
        originAt: () => undefined,
      };
      if ((await this.#bring(empty, signal)) !== 'done') return false;
    }
    return true;
  }

  async #report(generations: ReadonlyMap<string, bigint>, whole: boolean): Promise<void> {
    const { state, machine, progress } = this.#options;
    const said = new Map<string, Said>();
    for (const [lease, generation] of generations) {
      const refusal = this.#refusedLeases.get(lease)?.message ?? '';
      if (whole || refusal !== '') said.set(lease, { generation, refusal });
    }
    progress.set(machine, said);
    await state.transact((tx) => progress.report(tx, machine));
  }
}

/** As the customer may read it: of a wire, nothing of the provider's inside. */
function refusalFor(customer: string, error: ApiError): string {
  if (/^resources\[\d+\]\.wire\b/.test(error.field ?? ''))
    return 'A machine on its way cannot use a wire for it now; the provider’s operator finds the reason in the log.';
  return `The machine refuses it: ${errorUp(customer, error).message}`;
}

function generationsOf({ heads }: OwnerIntent): ReadonlySet<string> {
  return new Set(heads.map(({ generation }) => generation));
}

/** The agent is away, or is going: the connection is over. */
function isGone(error: ApiError): boolean {
  return (
    error.status === Status.UNAVAILABLE ||
    error.status === Status.CANCELLED ||
    error.status === Status.DEADLINE_EXCEEDED
  );
}
