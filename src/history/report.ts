/** What is told of a lease: of a time as a whole, and slot by slot. */
import { type Archive, DAYS } from './archive.js';
import { type Slots } from './chunk.js';
import { type LeaseHistory } from './lease.js';
import { DAY, HOUR, MINUTE, type Slot, startOf, total } from './slot.js';
import { type Violation } from './violations.js';

export interface Period {
  readonly from: number;
  readonly to: number;
  /** Of a slot: a minute, an hour or a day, milliseconds. */
  readonly length: number;
}

export interface LeaseReport {
  readonly lease: string;
  readonly from: number;
  readonly to: number;
  /** Of all slots together. */
  readonly whole: Slot;
  readonly slots: readonly { readonly start: number; readonly slot: Slot }[];
  /** Those that were there in that time. */
  readonly violations: readonly Violation[];
}

/** How far back each resolution reaches. */
const REACH: readonly (readonly [length: number, reach: number])[] = [
  [MINUTE, DAY],
  [HOUR, 31 * DAY],
  [DAY, 366 * DAY],
];

/** The finest one that reaches so far. */
export function finest(from: number, now: number): number {
  return REACH.find(([, reach]) => from >= now - reach)?.[0] ?? DAY;
}

/** What is not known yet of a lease that is looked at, milliseconds, is no part of a report. */
const FRESH = 60_000;

/** The period in whole slots; nothing before the lease was first seen, nor what is still to be known. */
function whole({ from, to, length }: Period, history: LeaseHistory, now: number): Period {
  const { first, timeline } = history;
  const covered = timeline.covered ?? -Infinity;
  const known = covered > now - FRESH ? covered : now;
  const end = Math.min(Math.ceil(to / length) * length, known);
  const begin = first === 0 ? end : Math.max(startOf(from, length), first);
  return { from: Math.min(begin, end), to: end, length };
}

/** With the hours that are not closed yet, as their minutes are. */
async function slotsOf(archive: Archive, history: LeaseHistory, period: Period): Promise<Slots> {
  const { to, length } = period;
  const from = startOf(period.from, length);
  const name = history.leased.name;
  const slots: Slots = new Map();
  const take = (more: Slots): void => {
    for (const [start, slot] of more) if (start >= from && start < to) slots.set(start, slot);
  };
  const open = history.minutes;
  if (length === MINUTE) {
    for (let hour = startOf(from, HOUR); hour < to; hour += HOUR) take(await archive.read(name, 'm', hour));
    take(open);
  } else if (length === HOUR) {
    for (let day = startOf(from, DAY); day < to; day += DAY) take(await archive.read(name, 'h', day));
    take(grouped(open, HOUR));
  } else {
    for (let at = startOf(from, DAYS); at < to; at += DAYS) take(await archive.read(name, 'd', at));
    for (const day of new Set([...open.keys()].map((minute) => startOf(minute, DAY)))) {
      const hours = new Map([...(await archive.read(name, 'h', day)), ...grouped(open, HOUR)]);
      const own = [...hours].filter(([hour]) => startOf(hour, DAY) === day);
      take(new Map([[day, total(own.map(([, slot]) => slot))]]));
    }
  }
  return slots;
}

function grouped(slots: Slots, length: number): Slots {
  const groups = new Map<number, Slot[]>();
  for (const [at, slot] of slots) {
    const start = startOf(at, length);
    groups.set(start, [...(groups.get(start) ?? []), slot]);
  }
  return new Map([...groups].map(([start, members]) => [start, total(members)]));
}

export async function reportOn(
  archive: Archive,
  history: LeaseHistory,
  asked: Period,
  now: number,
): Promise<LeaseReport> {
  const period = whole(asked, history, now);
  const { from, to } = period;
  const slots = await slotsOf(archive, history, period);
  return {
    ...{ lease: history.leased.name, from, to },
    whole: total(slots.values()),
    slots: [...slots].toSorted(([a], [b]) => a - b).map(([start, slot]) => ({ start, slot })),
    violations: history.list.filter(
      ({ start, end }) => start < asked.to && (end === undefined || end >= asked.from),
    ),
  };
}
