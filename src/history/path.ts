/**
 * From what a machine says of a path now and then to what became of it in between. The session of a path counts its
 * failures and says when the last one was, so nothing is missed; what cannot be told is unknown, never up. Pure.
 */
import { type Histogram, since, sum } from './histogram.js';
import { type Direction } from './slot.js';
import { Timeline } from './timeline.js';

/** What a path is found to be. Times are milliseconds since 1970, made from how long ago a thing was. */
export interface Reading {
  /** When. */
  readonly at: number;
  /** Of the machine's own clock, milliseconds, which nobody sets. */
  readonly clock: number;
  /** Of the session: another one counts anew. */
  readonly session: number;
  readonly isUp: boolean;
  /** Of that. */
  readonly since: number;
  readonly failures: number;
  /** What was sent from then on was lost in the last failure: the last sign of life before it. 0: never. */
  readonly failed: number;
  readonly inUse: boolean;
  readonly measured?: Measured | undefined;
}

/** Totals of the session. */
export interface Measured {
  readonly received: Direction;
  readonly sent: Direction;
  readonly delays: readonly number[];
  readonly isDegraded: boolean;
  /** When that last changed; 0: never. */
  readonly degradedSince: number;
}

/** What was counted since the reading before. */
export interface Gain {
  readonly received: Direction;
  readonly sent: Direction;
  readonly delays: Histogram;
}

const NOTHING: Gain = { received: { packets: 0, lost: 0 }, sent: { packets: 0, lost: 0 }, delays: {} };

/** Milliseconds that two clocks may differ by, over the time between two readings. */
const SLACK = 2000;

export class PathHistory {
  readonly timeline = new Timeline();
  #last: Reading | undefined;
  #gain: Gain = NOTHING;

  get last(): Reading | undefined {
    return this.#last;
  }

  observe(now: Reading): void {
    const before = this.#last;
    if (before && now.at <= before.at) return;
    this.#last = now;
    this.timeline.begin(now.at);
    if (!before) return;
    const from = seenFrom(before, now);
    const same = from < now.at && before.session === now.session && now.failures >= before.failures;
    if (same) this.#between(before, now, from);
    // the machine, the agent or the session began anew: what is up is so since then
    else if (now.isUp) this.timeline.add(Math.max(now.since, before.at), now.at, goodness(now));
    else this.timeline.add(Math.max(now.since, before.at), now.at, 'down');
    if (now.inUse) this.#count(same ? before : undefined, now);
  }

  /** Nobody says anything of it: until then it is not known. */
  silence(until: number): void {
    const { covered } = this.timeline;
    if (covered !== undefined) this.timeline.add(covered, until, 'unknown');
  }

  /** What was counted since this was last asked. */
  take(): Gain {
    const gain = this.#gain;
    this.#gain = NOTHING;
    return gain;
  }

  #between(before: Reading, now: Reading, from: number): void {
    const { timeline } = this;
    const failed = now.failures - before.failures;
    let at = from;
    const until = (to: number, is: 'up' | 'degraded' | 'unknown' | 'down'): void => {
      const end = Math.min(Math.max(to, at), now.at);
      if (is === 'up') this.#up(before, now, at, end);
      else timeline.add(at, end, is);
      at = end;
    };
    if (failed > 0) {
      // of several failures only the last one has a time; of one that was down before, when it came back is not told
      const told = failed === 1 && before.isUp;
      until(now.failed, told ? 'up' : 'unknown');
    } else if (before.isUp && !now.isUp) until(now.since, 'up');
    if (now.isUp && (failed > 0 || !before.isUp)) until(now.since, 'down');
    until(now.at, now.isUp ? 'up' : 'down');
  }

  /** Up, and as good as it was then. */
  #up(before: Reading, now: Reading, from: number, to: number): void {
    const [was, is] = [goodness(before), goodness(now)];
    const turned = was === is ? from : Math.min(Math.max(now.measured?.degradedSince ?? from, from), to);
    this.timeline.add(from, turned, was);
    this.timeline.add(turned, to, is);
  }

  #count(before: Reading | undefined, now: Reading): void {
    const [old, measured] = [before?.measured, now.measured];
    // totals of before it was first looked at belong to another time
    if (!measured || !old) return;
    this.#gain = {
      received: more(this.#gain.received, old.received, measured.received),
      sent: more(this.#gain.sent, old.sent, measured.sent),
      delays: sum(this.#gain.delays, since(old.delays, measured.delays)),
    };
  }
}

function goodness({ measured }: Reading): 'up' | 'degraded' {
  return measured?.isDegraded === true ? 'degraded' : 'up';
}

/** Totals that went back have begun anew: all of them are new. */
function more(sum: Direction, before: Direction, now: Direction): Direction {
  const anew = now.packets < before.packets || now.lost < before.lost;
  const base = anew ? { packets: 0, lost: 0 } : before;
  return { packets: sum.packets + now.packets - base.packets, lost: sum.lost + now.lost - base.lost };
}

/** Where our clock was set meanwhile, the machine's own says how much time has passed. */
function seenFrom(before: Reading, now: Reading): number {
  const passed = now.clock - before.clock;
  if (passed <= 0) return now.at;
  return now.at - before.at > passed + SLACK ? now.at - passed : before.at;
}
