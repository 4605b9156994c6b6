/**
 * Slots as they are written down: those of an hour, a day or a year together, by when they begin. Slots that follow one
 * another and are the same take the room of one. Pure.
 */
import { type Histogram } from './histogram.js';
import { type Direction, NOTHING, plus, type Slot } from './slot.js';

/** By when they begin. */
export type Slots = Map<number, Slot>;

/** [first, how many, up, degraded, down, then what was counted]; zeros at the end are left out. */
type Run = readonly [number, number, ...(number | Histogram)[]];

const VERSION = 1;

function numbersOf({ up, degraded, down, aToB, bToA, delays }: Slot): (number | Histogram)[] {
  const all = [up, degraded, down, aToB.packets, aToB.lost, bToA.packets, bToA.lost, delays];
  const isNothing = (one: number | Histogram): boolean =>
    typeof one === 'number' ? one === 0 : Object.keys(one).length === 0;
  while (all.length > 0 && isNothing(all.at(-1) ?? 0)) all.pop();
  return all;
}

export function encode(slots: Slots, length: number): Buffer {
  const runs: Run[] = [];
  let last: { start: number; count: number; text: string } | undefined;
  for (const [start, slot] of [...slots].toSorted(([a], [b]) => a - b)) {
    const numbers = numbersOf(slot);
    const text = JSON.stringify(numbers);
    if (last?.text === text && last.start + last.count * length === start) last.count++;
    else last = { start, count: 1, text };
    if (last.count > 1) runs.pop();
    runs.push([last.start / length, last.count, ...numbers]);
  }
  return Buffer.from(JSON.stringify({ version: VERSION, runs }));
}

/** What is of another version, or none of ours, has no slots: nothing is known of that time. */
export function decode(bytes: Uint8Array, length: number): Slots {
  const slots: Slots = new Map();
  const { version, runs } = JSON.parse(Buffer.from(bytes).toString('utf8')) as {
    readonly version: number;
    readonly runs: readonly Run[];
  };
  if (version !== VERSION) return slots;
  for (const [first, count, ...numbers] of runs) {
    const n = (i: number): number => Number(numbers[i] ?? 0);
    const direction = (i: number): Direction => ({ packets: n(i), lost: n(i + 1) });
    const delays = (numbers[7] ?? {}) as Histogram;
    const slot: Slot = {
      ...{ up: n(0), degraded: n(1), down: n(2) },
      ...{ aToB: direction(3), bToA: direction(5), delays },
    };
    for (let i = 0; i < count; i++) slots.set((first + i) * length, slot);
  }
  return slots;
}

export function addTo(slots: Slots, start: number, more: Partial<Slot>): void {
  slots.set(start, plus(slots.get(start) ?? NOTHING, more));
}
