/**
 * What became of a constant stream of numbered datagrams: lost, doubled, out of order, late. Pure. Words are of
 * RFC 2680 (loss), RFC 3357 (loss periods), RFC 3393 (delay variation), RFC 4737 (reordering).
 */

import { distribution, type Distribution } from './distribution.js';

/** Times in nanoseconds of one clock. */
export interface Arrival {
  readonly number: number;
  readonly sent: number;
  readonly received: number;
}

export interface Stream {
  /** Datagrams, numbered from 0. */
  readonly sent: number;
  /** Between two of them, microseconds. */
  readonly intervalUs: number;
  /** When the first was due, nanoseconds. */
  readonly begin: number;
  /** In the order in which they came. */
  readonly arrivals: readonly Arrival[];
}

/** A run of datagrams that are missing. */
export interface LossPeriod {
  /** The first of them. */
  readonly number: number;
  readonly length: number;
  /** When it was due, milliseconds after the first datagram. */
  readonly atMs: number;
  /** From the last that arrived before to the first that arrived after, as sent: what a viewer misses. */
  readonly gapMs: number;
}

export interface StreamReport {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly doubled: number;
  /** Of smaller number than one that came before. */
  readonly reordered: number;
  /** One way, of the first of each number, milliseconds; undefined: nothing came. */
  readonly delayMs: Distribution | undefined;
  /** The longest `gapMs`; 0: nothing is missing. */
  readonly longestGapMs: number;
  readonly losses: readonly LossPeriod[];
}

export function reportOf({ sent, intervalUs, arrivals }: Stream): StreamReport {
  const seen = new Uint8Array(sent);
  const delays: number[] = [];
  let [doubled, reordered, highest] = [0, 0, -1];
  for (const { number, sent: from, received } of arrivals) {
    if (number >= sent) continue;
    if (seen[number] === 1) {
      doubled++;
      continue;
    }
    if (number < highest) reordered++;
    seen[number] = 1;
    highest = Math.max(highest, number);
    delays.push((received - from) / 1e6);
  }
  const losses = lossPeriods(seen, intervalUs / 1000);
  const lost = losses.reduce((sum, { length }) => sum + length, 0);
  return {
    sent,
    received: sent - lost,
    lost,
    doubled,
    reordered,
    delayMs: distribution(delays),
    longestGapMs: losses.reduce((most, { gapMs }) => Math.max(most, gapMs), 0),
    losses,
  };
}

function lossPeriods(seen: Uint8Array, intervalMs: number): LossPeriod[] {
  const periods: LossPeriod[] = [];
  for (let number = 0; number < seen.length;) {
    if (seen[number] === 1) {
      number++;
      continue;
    }
    let end = number;
    while (end < seen.length && seen[end] === 0) end++;
    const length = end - number;
    periods.push({ number, length, atMs: number * intervalMs, gapMs: (length + 1) * intervalMs });
    number = end;
  }
  return periods;
}

/** What was sent in one stretch of time, and what became of it. */
export interface Bin {
  /** Where it begins, milliseconds after the first datagram. */
  readonly atMs: number;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly delayMs: Distribution | undefined;
}

/** A time series, by when datagrams were due. */
export function seriesOf({ sent, intervalUs, arrivals }: Stream, binMs: number): Bin[] {
  const intervalMs = intervalUs / 1000;
  const count = Math.ceil((sent * intervalMs) / binMs);
  const binOf = (number: number): number => Math.min(count - 1, Math.floor((number * intervalMs) / binMs));
  const sentIn = new Array<number>(count).fill(0);
  for (let number = 0; number < sent; number++) {
    const bin = binOf(number);
    sentIn[bin] = (sentIn[bin] ?? 0) + 1;
  }
  const delays = Array.from({ length: count }, (): number[] => []);
  const seen = new Set<number>();
  for (const { number, sent: from, received } of arrivals) {
    if (number >= sent || seen.has(number)) continue;
    seen.add(number);
    delays[binOf(number)]?.push((received - from) / 1e6);
  }
  return sentIn.map((all, i) => {
    const came = delays[i] ?? [];
    return {
      atMs: i * binMs,
      sent: all,
      received: came.length,
      lost: all - came.length,
      delayMs: distribution(came),
    };
  });
}
