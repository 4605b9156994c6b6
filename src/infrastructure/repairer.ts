/** Keeps a bypass around every wire that lsps pass: what it is follows from the state, in whatever order that changes. */
import { type Logger } from '../api/log.js';
import { type Clock } from '../controller/clock.js';
import { Rounds } from '../controller/rounds.js';
import { type Changed, type State } from '../controller/state.js';
import { rerouted, takeBypass } from './bypass.js';
import { type Bodies, type Tx } from './kinds.js';

export interface RepairerOptions {
  readonly state: State<Bodies>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Repairer {
  readonly #options: RepairerOptions;
  readonly #ending = new AbortController();
  readonly #rounds: Rounds;
  readonly #stop: () => void;

  constructor(options: RepairerOptions) {
    this.#options = options;
    const trouble = 'no way around a cut wire can be kept';
    this.#rounds = new Rounds({ ...options, ending: this.#ending.signal, trouble }, () => this.#round());
    this.#stop = options.state.onChange((changes) => {
      if (changes.some(isConcerned)) this.#rounds.kick();
    });
    this.#rounds.kick();
  }

  /** Resolves when what is under way is done. */
  async close(): Promise<void> {
    this.#stop();
    this.#ending.abort();
    await this.#rounds.end();
  }

  async #round(): Promise<void> {
    const { state } = this.#options;
    // most changes make no difference: they cost no transaction
    while (rerouted(state).length > 0 && !this.#ending.signal.aborted)
      await state.transact((tx) => this.#take(tx));
  }

  /** One at a time: a commit of the store takes so many changes, and each takes all its labels along. */
  #take(tx: Tx): void {
    const [first] = rerouted(tx);
    if (!first) return;
    const { wire, bypass } = first;
    const what = bypass.length > 0 ? 'a wire has a bypass' : 'a wire has no bypass';
    this.#options.log.info(what, { wire, bypass: bypass.join(' ') });
    takeBypass(tx, first);
  }
}

/** Whether it can make a difference to any wire's bypass: most changes of leases are of their states. */
function isConcerned({ before, after }: Changed<Bodies>): boolean {
  const what = (after ?? before)?.kind ?? '';
  const facts = FACTS[what];
  return facts !== undefined && factsOf(facts, before?.body) !== factsOf(facts, after?.body);
}

type Facts = (body: never) => unknown;

const FACTS: Readonly<Record<string, Facts>> = {
  machine: ({ drain, state }: Bodies['machine']) => [
    drain,
    (state?.interfaces ?? []).map(({ name, role, mac }) => [name, role, mac]),
  ],
  wire: (wire: Bodies['wire']) => ({ ...wire, soldAToB: 0n, soldBToA: 0n, status: undefined }),
  virtualLink: ({ kind, lease, mtu, wires, move }: Bodies['virtualLink']) => [
    kind,
    lease,
    mtu,
    wires,
    move?.wires,
  ],
};

function factsOf(facts: Facts, body: unknown): string {
  return body === undefined ? '' : JSON.stringify(facts(body as never), wide);
}

function wide(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
