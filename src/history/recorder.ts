/**
 * The histories of all leases of one controller: told what machines say of paths, it works out what became of leases, and
 * writes that down once a minute. What was not written when the process was killed is unknown afterwards.
 */
import { type Change, type Store } from '../store/index.js';
import { Archive, type Write } from './archive.js';
import { type Broken, LeaseHistory, type Leased, type Promised } from './lease.js';
import { PathHistory, type Reading } from './path.js';
import { type LeaseReport, type Period, reportOn } from './report.js';
import { startOf, HOUR } from './slot.js';
import { Timeline } from './timeline.js';
import { blame, type Fault, KINDS, latest, trim, type Violation } from './violations.js';

/** A path of a lease says so much less after that long, milliseconds. */
const SILENT = 30_000;

/** What was never up may take so long to come up at first, milliseconds. */
const BEING_MADE = 60_000;

/** Why, and whose fault it is. Undefined: that cannot be said yet; it is asked again. */
export type Judge = (
  lease: Leased,
  violation: Violation,
) => { readonly cause: string; readonly fault: Fault } | undefined;

export interface RecorderOptions {
  readonly store: Store;
  readonly write: Write;
  readonly judge: Judge;
  readonly now: () => number;
}

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #archive: Archive;
  readonly #paths = new Map<string, PathHistory>();
  readonly #broken = new Map<string, readonly Broken[]>();
  readonly #leases = new Map<string, LeaseHistory>();
  /** By path: of the lease that goes by it. */
  readonly #promised = new Map<string, Promised>();
  /** Of leases that nobody has named yet since the process began. */
  #kept: Awaited<ReturnType<Archive['open']>> = new Map();

  private constructor(options: RecorderOptions) {
    this.#options = options;
    this.#archive = new Archive(options.store, options.write);
  }

  static async open(options: RecorderOptions): Promise<Recorder> {
    const recorder = new Recorder(options);
    recorder.#kept = await recorder.#archive.open(options.now());
    return recorder;
  }

  /** Those that there are now, what they stand on first. Others are no longer looked at; what was seen of them stays. */
  watch(leases: readonly Leased[]): void {
    for (const leased of leases) {
      const known = this.#leases.get(leased.name);
      if (known) {
        known.leased = leased;
        continue;
      }
      const history = new LeaseHistory(leased, new Timeline());
      const kept = this.#kept.get(leased.name);
      if (kept) {
        history.first = kept.noted.first;
        history.list = kept.noted.violations;
        for (const [minute, slot] of kept.minutes) history.minutes.set(minute, slot);
        this.#kept.delete(leased.name);
      }
      this.#leases.set(leased.name, history);
    }
    const names = new Set(leases.map(({ name }) => name));
    for (const [name, history] of this.#leases) if (!names.has(name)) history.rest();
    this.#promised.clear();
    for (const { needs, promised } of leases)
      for (const path of needs.flat()) this.#promised.set(path, promised);
    this.#forgetPaths();
  }

  /** There is no such lease any more: its history goes with it. */
  async forget(names: Iterable<string>): Promise<void> {
    for (const name of names) {
      this.#leases.delete(name);
      this.#kept.delete(name);
      await this.#archive.forget(name);
    }
  }

  /** All leases that something is kept of. */
  names(): readonly string[] {
    return [...new Set([...this.#leases.keys(), ...this.#kept.keys()])];
  }

  /** What nothing stands on is passed over. `brokenOf`: of what is promised of the lease that goes by it. */
  observe(path: string, reading: Reading, brokenOf: (promised: Promised) => readonly Broken[]): void {
    const promised = this.#promised.get(path);
    const known = this.#paths.get(path);
    if (!promised || (!known && isBeingMade(reading))) return;
    const history = known ?? new PathHistory();
    this.#paths.set(path, history);
    history.observe(reading);
    this.#broken.set(path, brokenOf(promised));
  }

  /** Takes up all that is known. @returns leases whose violations have changed, with those */
  settle(): readonly { readonly lease: Leased; readonly violations: readonly Violation[] }[] {
    const now = this.#options.now();
    for (const [name, path] of this.#paths) {
      if ((path.last?.at ?? now) > now - SILENT) continue;
      path.silence(now - SILENT);
      this.#broken.delete(name);
    }
    const changed: LeaseHistory[] = [];
    for (const history of this.#leases.values()) {
      const before = history.list;
      history.settle({
        timeline: (name) => this.timeline(name),
        path: (name) => this.#paths.get(name),
        broken: (path) => this.#broken.get(path) ?? [],
      });
      this.#judge(history, before);
      if (history.list !== before) changed.push(history);
    }
    return changed.map(({ leased, list }) => ({ lease: leased, violations: list }));
  }

  /** Of a path, or of a lease. */
  timeline(name: string): Timeline | undefined {
    return this.#paths.get(name)?.timeline ?? this.#leases.get(name)?.timeline;
  }

  violationsOf(name: string): readonly Violation[] {
    return this.#leases.get(name)?.list ?? [];
  }

  /** What is to be written with what is told of a violation. */
  noteOf(name: string): Change | undefined {
    const history = this.#leases.get(name);
    return history && this.#archive.noteOf(name, noted(history));
  }

  /** Writes what is not written yet. To be called once a minute, and at the end. */
  async flush(): Promise<void> {
    const now = this.#options.now();
    const changes: Change[] = [];
    const written: { history: LeaseHistory; closed: readonly number[] }[] = [];
    for (const history of this.#leases.values()) {
      const { name } = history.leased;
      const closed = history.closed(now - SILENT);
      if (!history.isDirty && closed.length === 0) continue;
      history.list = trim(history.list, now);
      if (!history.isNoted) changes.push(this.#archive.noteOf(name, noted(history)));
      // of several that were not closed in time, each builds upon the one before
      for (const [i, hour] of closed.entries()) {
        const closing = await this.#archive.close(name, hour, history.minutes);
        if (i < closed.length - 1) await this.#archive.write(closing);
        else changes.push(...closing);
      }
      for (const hour of openHours(history, closed))
        changes.push(this.#archive.minutesOf(name, hour, history.minutes));
      written.push({ history, closed });
      history.written();
    }
    try {
      await this.#archive.write(changes);
    } catch (error) {
      for (const { history } of written) history.unwritten();
      throw error;
    }
    for (const { history, closed } of written)
      for (const minute of history.minutes.keys())
        if (closed.includes(startOf(minute, HOUR))) history.minutes.delete(minute);
  }

  /** Undefined: nothing is kept of such a lease. */
  async report(name: string, period: Period): Promise<LeaseReport | undefined> {
    const history = this.#leases.get(name);
    if (!history) return undefined;
    return reportOn(this.#archive, history, period, this.#options.now());
  }

  #judge(history: LeaseHistory, before: readonly Violation[]): void {
    for (const what of KINDS) {
      const now = latest(history.list, what);
      // once it is over, what is known of it then is what is known
      if (!now || (now.end !== undefined && now.fault.layer !== '' && before.includes(now))) continue;
      const verdict = this.#options.judge(history.leased, now);
      if (verdict) history.list = blame(history.list, what, verdict);
    }
  }

  #forgetPaths(): void {
    for (const name of this.#paths.keys())
      if (!this.#promised.has(name)) {
        this.#paths.delete(name);
        this.#broken.delete(name);
      }
  }
}

/** It was never up, and has had no time yet. */
function isBeingMade({ isUp, failures, at, since }: Reading): boolean {
  return !isUp && failures === 0 && at - since < BEING_MADE;
}

function noted({ first, list }: LeaseHistory): { first: number; violations: readonly Violation[] } {
  return { first, violations: list };
}

function openHours(history: LeaseHistory, closed: readonly number[]): Set<number> {
  const hours = [...history.minutes.keys()].map((minute) => startOf(minute, HOUR));
  return new Set(hours.filter((hour) => !closed.includes(hour)));
}
