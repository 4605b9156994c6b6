/** What there is to say of one stretch of time: sums, so that longer ones are made by adding. Pure. */
import { type Histogram, sum } from './histogram.js';

export interface Direction {
  /** Sent, of what was measured. */
  readonly packets: number;
  /** Of these, what did not arrive. */
  readonly lost: number;
}

/** What was counted; of a link from its end a to its end b, and back. */
export interface Counted {
  readonly aToB: Direction;
  readonly bToA: Direction;
  /** To the other end and back. */
  readonly delays: Histogram;
}

/** Milliseconds in each condition; what is missing from the whole was not seen. */
export interface Slot extends Counted {
  readonly up: number;
  readonly degraded: number;
  readonly down: number;
}

const NONE: Direction = { packets: 0, lost: 0 };
export const NOTHING: Slot = { up: 0, degraded: 0, down: 0, aToB: NONE, bToA: NONE, delays: {} };

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

function both(a: Direction, b: Direction): Direction {
  return { packets: a.packets + b.packets, lost: a.lost + b.lost };
}

export function plus(a: Slot, b: Partial<Slot>): Slot {
  return {
    up: a.up + (b.up ?? 0),
    degraded: a.degraded + (b.degraded ?? 0),
    down: a.down + (b.down ?? 0),
    aToB: b.aToB ? both(a.aToB, b.aToB) : a.aToB,
    bToA: b.bToA ? both(a.bToA, b.bToA) : a.bToA,
    delays: b.delays ? sum(a.delays, b.delays) : a.delays,
  };
}

export function total(slots: Iterable<Slot>): Slot {
  let whole = NOTHING;
  for (const slot of slots) whole = plus(whole, slot);
  return whole;
}

/** Where the slot of that time begins. UTC has no half hours: a day begins at midnight there. */
export function startOf(at: number, length: number): number {
  return Math.floor(at / length) * length;
}
