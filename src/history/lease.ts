/** What became of one lease, from what became of the paths that it goes by. Pure. */
import { type Histogram, percentile, sum } from './histogram.js';
import { type Gain, type PathHistory } from './path.js';
import { addTo, type Slots } from './chunk.js';
import { type Counted, type Direction, HOUR, MINUTE, startOf } from './slot.js';
import { best, type Span, timeIn, worst } from './spans.js';
import { type Timeline } from './timeline.js';
import * as violations from './violations.js';

export interface Promised {
  /** A million: always. 0: nothing is promised, as with the others. */
  readonly availabilityPpm: number;
  readonly lossPpm: number;
  /** One way. */
  readonly delayUs: number;
}

/** What it goes by at one of its ends: one of them is enough. */
export type Ways = readonly string[];

export interface Leased {
  readonly name: string;
  /** It is up while it is so at all of them. Names of paths, or of leases below. */
  readonly needs: readonly Ways[];
  /** Paths by which packets and delays are counted: seen from end a, and from end b. */
  readonly a: Ways;
  readonly b: Ways;
  readonly promised: Promised;
}

/** What a path breaks now, and how badly. */
export interface Broken {
  readonly what: violations.What;
  readonly measured: number;
}

export interface Sources {
  timeline(name: string): Timeline | undefined;
  path(name: string): PathHistory | undefined;
  broken(path: string): readonly Broken[];
}

const MILLION = 1_000_000;

export class LeaseHistory {
  leased: Leased;
  /** Of hours that are not closed yet. */
  readonly minutes: Slots = new Map();
  readonly timeline: Timeline;
  list: readonly violations.Violation[] = [];
  /** The first moment that is known of it, milliseconds since 1970; 0: none yet. */
  first = 0;
  /** Something of it is not written yet. */
  isDirty = false;
  #noted: { readonly first: number; readonly list: readonly violations.Violation[] } | undefined;

  constructor(leased: Leased, timeline: Timeline) {
    this.leased = leased;
    this.timeline = timeline;
  }

  /** What is kept beside the slots is written as it is now. */
  get isNoted(): boolean {
    return this.#noted?.first === this.first && this.#noted.list === this.list;
  }

  written(): void {
    this.isDirty = false;
    this.#noted = { first: this.first, list: this.list };
  }

  unwritten(): void {
    this.isDirty = true;
    this.#noted = undefined;
  }

  /** It is not in force: nobody looks, and nothing of it is broken. */
  rest(): void {
    if (this.leased.needs.length === 0) return;
    this.leased = { ...this.leased, needs: [], a: [], b: [] };
    const at = this.timeline.covered;
    for (const what of violations.KINDS)
      if (at !== undefined) this.list = violations.end(this.list, what, at);
    this.isDirty = true;
  }

  /** Takes up what is known by now. @returns whether violations have changed */
  settle(sources: Sources): boolean {
    const { needs } = this.leased;
    const timelines = needs.map((ways) => ways.flatMap((name) => sources.timeline(name) ?? []));
    const covered = timelines.flat().map((one) => one.covered ?? -Infinity);
    const to = Math.min(...covered);
    if (covered.length === 0 || !Number.isFinite(to) || timelines.some((ways) => ways.length === 0))
      return false;
    // of all that it goes by something is known
    const begun = Math.max(...covered);
    this.timeline.begin(begun);
    const from = this.timeline.covered ?? begun;
    if (this.first === 0) this.first = from;
    if (to <= from) return false;
    const spans = worst(timelines.map((ways) => best(ways.map((one) => one.slice(from, to)))));
    for (const span of spans) {
      this.timeline.add(span.from, span.to, span.is);
      this.#add(span);
    }
    this.#count(sources, to);
    this.isDirty = true;
    const before = this.list;
    this.#availability(spans);
    this.#quality(sources, from, to, timeIn(spans, 'up') + timeIn(spans, 'degraded'));
    return this.list !== before;
  }

  #add({ from, to, is }: Span): void {
    if (is === 'unknown') return;
    for (let at = from; at < to;) {
      const minute = startOf(at, MINUTE);
      const end = Math.min(to, minute + MINUTE);
      addTo(this.minutes, minute, { [is]: end - at });
      at = end;
    }
  }

  #count(sources: Sources, at: number): void {
    const gains = (names: Ways): readonly Gain[] => names.flatMap((name) => sources.path(name)?.take() ?? []);
    const [a, b] = [gains(this.leased.a), gains(this.leased.b)];
    // who receives counts; what the other end has told of it stands in where nobody does
    const way = (received: readonly Gain[], sent: readonly Gain[]): Direction => {
      const heard = summed(received.map((gain) => gain.received));
      return heard.packets > 0 ? heard : summed(sent.map((gain) => gain.sent));
    };
    const delays = [...a, ...b].reduce<Histogram>((all, gain) => sum(all, gain.delays), {});
    const counted: Counted = { aToB: way(b, a), bToA: way(a, b), delays };
    addTo(this.minutes, startOf(at - 1, MINUTE), counted);
  }

  #availability(spans: readonly Span[]): void {
    const { availabilityPpm } = this.leased.promised;
    for (const { from, to, is } of spans) {
      if (is === 'down') {
        this.list = violations.begin(this.list, {
          what: 'availability',
          start: from,
          promised: availabilityPpm,
        });
        this.list = violations.goOn(this.list, 'availability', { lasted: to - from });
      } else if (is !== 'unknown') this.list = violations.end(this.list, 'availability', from);
    }
  }

  #quality(sources: Sources, from: number, to: number, lasted: number): void {
    const broken = [...this.leased.a, ...this.leased.b].flatMap((path) => sources.broken(path));
    const { lossPpm, delayUs } = this.leased.promised;
    for (const [what, promised] of [
      ['loss', lossPpm],
      ['delay', delayUs],
      ['variation', 0],
    ] as const) {
      const now = broken.filter((one) => one.what === what);
      if (now.length === 0) {
        this.list = violations.end(this.list, what, from);
        continue;
      }
      this.list = violations.begin(this.list, { what, start: from, promised });
      const measured = Math.max(...now.map((one) => one.measured));
      this.list = violations.goOn(this.list, what, { lasted: Math.min(lasted, to - from), measured });
    }
  }

  /** Hours that are over, oldest first. */
  closed(now: number): number[] {
    const hours = new Set([...this.minutes.keys()].map((minute) => startOf(minute, HOUR)));
    return [...hours].filter((hour) => hour + HOUR <= now).toSorted((a, b) => a - b);
  }
}

function summed(all: readonly Direction[]): Direction {
  return all.reduce((x, y) => ({ packets: x.packets + y.packets, lost: x.lost + y.lost }), {
    packets: 0,
    lost: 0,
  });
}

/** In a million; undefined: nothing is known. */
export function ppm(part: number, whole: number): number | undefined {
  return whole > 0 ? Math.round((MILLION * part) / whole) : undefined;
}

/** One way, µs: half of there and back. */
export function oneWay(delays: Histogram, share: number): number {
  return Math.ceil(percentile(delays, share) / 2);
}
