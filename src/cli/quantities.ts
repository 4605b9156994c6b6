/** Quantities as people write them, with their units. Throws UsageError. */
import { UsageError } from './report.js';

/** Of microseconds. */
const TIMES: Readonly<Record<string, number>> = { us: 1, µs: 1, ms: 1000, s: 1_000_000 };
/** Of bits a second. */
const RATES: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };

/** In the smallest unit, in which it is a whole number; undefined: it is not of this form, or would be rounded to nothing. */
function quantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, number, unit = ''] = /^(\d{1,15}(?:\.\d{1,9})?) ?([a-zµ%]+)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (number === undefined || factor === undefined) return undefined;
  const value = Math.round(Number(number) * factor);
  return value === 0 && Number(number) > 0 ? undefined : value;
}

/** Of milliseconds. */
const SPANS: Readonly<Record<string, number>> = {
  ...{ s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 },
};
const YEAR = 366 * 86_400_000;

/** Milliseconds, a year at most. */
export function spanOf(option: string, text: string): number {
  const value = quantity(text, SPANS);
  if (value !== undefined && value > 0 && value <= YEAR) return value;
  throw new UsageError(`${option} ${text}: how long ago, such as 30min, 1h, 1d or 4w; a year at most`);
}

/** Microseconds. */
export function timeOf(option: string, text: string): number {
  const value = quantity(text, TIMES);
  if (value !== undefined) return value;
  throw new UsageError(`${option} ${text}: a time such as 20ms, 1.5s or 800us, in whole microseconds`);
}

/** Frames in a million. */
export function shareOf(option: string, text: string): number {
  const value = quantity(text, { '%': 10_000 });
  if (value !== undefined) return value;
  throw new UsageError(`${option} ${text}: a share such as 1% or 0.05%, in steps of 0.0001%`);
}

/** Bits a second. */
export function rateOf(option: string, text: string): number {
  const value = quantity(text.toLowerCase().replace(/\/s$|ps$/, ''), RATES);
  if (value !== undefined && value > 0) return value;
  throw new UsageError(`${option} ${text}: a rate such as 10mbit, 500kbit or 1gbit`);
}
