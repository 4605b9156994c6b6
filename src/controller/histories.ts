/**
 * The histories that a controller keeps of its leases: which leases there are follows its resources, what is found goes
 * into its store, and what is broken is written at once and shown with the
 * lease, so that whoever watches that is told.
 */
import { type Logger } from '../api/log.js';
import { type Leased } from '../history/lease.js';
import { type ViolationMessage, violationMessage } from '../history/message.js';
import { type Judge, Recorder } from '../history/recorder.js';
import { isOpen, KINDS, type Violation } from '../history/violations.js';
import { type Change } from '../store/index.js';
import { type Clock } from './clock.js';
import { type Shape } from './kind.js';
import { type State, type Transaction } from './state.js';

export interface HistoriesOptions<Bodies extends Shape<Bodies>> {
  readonly state: State<Bodies>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Leases in force; and the names of all, also those that are not, whose histories are kept. */
  readonly leases: () => { readonly inForce: readonly Leased[]; readonly names: ReadonlySet<string> };
  readonly judge: Judge;
  /** Whether it is shown with the lease itself; elsewhere it is only in reports. */
  readonly isShown: (lease: string) => boolean;
  /** What is shown with a lease now. */
  readonly shown: (lease: string) => ViolationMessage | undefined;
  readonly show: (tx: Transaction<Bodies>, lease: string, violation: ViolationMessage | undefined) => void;
}

const MINUTE = 60_000;
/** Leases of one transaction. */
const BATCH = 100;

export class Histories<Bodies extends Shape<Bodies>> {
  readonly recorder: Recorder;
  readonly #options: HistoriesOptions<Bodies>;
  readonly #stop: () => void;
  /** Resources have changed since the leases were last looked for. */
  #isStale = true;
  /** By lease: what is written of its violations. */
  readonly #written = new Map<string, string>();
  #running: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;
  #closed = false;

  private constructor(options: HistoriesOptions<Bodies>, recorder: Recorder) {
    this.#options = options;
    this.recorder = recorder;
    this.#stop = options.state.onChange(() => {
      this.#isStale = true;
    });
    this.refresh();
    this.#wait();
  }

  static async open<Bodies extends Shape<Bodies>>(
    options: HistoriesOptions<Bodies>,
  ): Promise<Histories<Bodies>> {
    const { state, clock, judge } = options;
    const write = (changes: readonly Change[]): Promise<void> =>
      state.transact((tx) => {
        for (const change of changes) put(tx, change);
      });
    const recorder = await Recorder.open({ store: state.store, write, judge, now: () => clock.now() });
    return new Histories(options, recorder);
  }

  /** Takes up which leases there are: before anything is said of their paths. */
  refresh(): void {
    if (!this.#isStale) return;
    this.#isStale = false;
    const { inForce, names } = this.#options.leases();
    this.recorder.watch(inForce);
    const gone = this.recorder.names().filter((name) => !names.has(name));
    if (gone.length > 0) this.#then(() => this.recorder.forget(gone));
  }

  /** Takes up what was said of paths. */
  settle(): void {
    this.refresh();
    this.recorder.settle();
    this.#then(() => this.#tell());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    this.#cancel?.();
    this.#then(() => this.recorder.flush());
    await this.#running;
  }

  /** One thing after the other. */
  #then(work: () => Promise<void>): void {
    this.#running = this.#running
      .then(work)
      .catch((error: unknown) => this.#options.log.warn('histories are not written', { error }));
  }

  #wait(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(MINUTE, () => {
      this.recorder.settle();
      this.#then(() => this.recorder.flush());
      this.#wait();
    });
  }

  /** Shows with each lease what of it is broken now, where something else is shown. */
  async #tell(): Promise<void> {
    const { state, isShown, shown, show } = this.#options;
    const differs = (name: string): boolean =>
      isShown(name) && signOf(shown(name)) !== signOf(this.#now(name));
    const signs = new Map(
      this.recorder.names().map((name) => [name, signOfAll(this.recorder.violationsOf(name))]),
    );
    const changed = [...signs].filter(
      ([name, sign]) => differs(name) || (this.#written.get(name) ?? NONE) !== sign,
    );
    for (let i = 0; i < changed.length; i += BATCH)
      await state.transact((tx) => {
        for (const [name, sign] of changed.slice(i, i + BATCH)) {
          if (isShown(name)) show(tx, name, this.#now(name));
          const note = this.recorder.noteOf(name);
          if (note) put(tx, note);
          tx.onCommit(() => this.#written.set(name, sign));
        }
      });
    for (const name of this.#written.keys()) if (!signs.has(name)) this.#written.delete(name);
  }

  #now(name: string): ViolationMessage | undefined {
    const worst = worstOf(this.recorder.violationsOf(name));
    return worst && violationMessage(worst);
  }
}

/** Of those that go on: nothing goes over it; else the first of the others. */
function worstOf(list: readonly Violation[]): Violation | undefined {
  const open = list.filter(isOpen);
  return open.find(({ what }) => what === 'availability') ?? open[0];
}

/** What of it is worth telling again: not how long it has lasted. */
function signOf(violation: ViolationMessage | undefined): string {
  if (!violation) return '';
  const { kind, startTime, times, cause, fault } = violation;
  return JSON.stringify([kind, startTime, times, cause, fault]);
}

/** What of them is worth writing at once: not how long the last one has lasted. */
function signOfAll(list: readonly Violation[]): string {
  const newest = list.slice(-KINDS.length);
  return JSON.stringify(newest.map(({ what, start, end, times, fault }) => [what, start, end, times, fault]));
}

const NONE = signOfAll([]);

function put<Bodies>(tx: Transaction<Bodies>, change: Change): void {
  if (change.kind === 'put') tx.putEntry(change.key, change.value);
  else tx.deleteEntry(change.key);
}
