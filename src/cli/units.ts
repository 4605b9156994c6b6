/** Numbers of the APIs in the units of people, and exact: nothing is rounded away. */
import { type Price, type Slo, types } from '../api/types.js';
import { type Impairment } from '../world/impairment.js';

/** `10 Mbit/s`, `1234.567 kbit/s`: the largest unit in which three decimals say it all. */
export function bandwidth(bitsPerSecond: bigint | number): string {
  return scaled(BigInt(bitsPerSecond), ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']);
}

/** Of microseconds: `800 µs`, `1.25 ms`, `2 s`. */
export function delay(us: number): string {
  return scaled(BigInt(us), ['µs', 'ms', 's']);
}

function scaled(value: bigint, units: readonly string[]): string {
  let best = `${value} ${units[0] ?? ''}`;
  let factor = 1n;
  for (const unit of units.slice(1)) {
    factor *= 1000n;
    if (value < factor || (value * 1000n) % factor !== 0n) break;
    best = `${decimal(value, factor)} ${unit}`;
  }
  return best;
}

function decimal(value: bigint, factor: bigint): string {
  const digits = String(factor).length - 1;
  const fraction = String(value % factor)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return fraction === '' ? String(value / factor) : `${value / factor}.${fraction}`;
}

/** Of parts in a million: `0.01 %`. */
export function percent(ppm: number): string {
  return `${decimal(BigInt(ppm), 10_000n)} %`;
}

/** Of millionths: `0.01 EUR/h`. */
export function price(value: Price | undefined): string {
  return value ? perHour(value.microsPerHour, value.currency) : '';
}

export function perHour(micros: bigint, currency: string): string {
  return `${decimal(micros, 1_000_000n)} ${currency === '' ? '?' : currency}/h`;
}

/** `10 Mbit/s, at most 12 ms, loss at most 0.01 %, up 99.999 %`; `best effort`; empty for nothing at all. */
export function slo(value: Slo | undefined): string {
  if (!value) return '';
  const parts = [
    value.bitsPerSecond > 0n && bandwidth(value.bitsPerSecond),
    value.delayUs > 0 && `≤ ${delay(value.delayUs)}`,
    value.lossPpm > 0 && `loss ≤ ${percent(value.lossPpm)}`,
    value.availabilityPpm > 0 && `up ≥ ${percent(value.availabilityPpm)}`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? 'best effort' : parts.join(', ');
}

/** `delay 20 ms, jitter 5 ms, loss 1 %, 10 Mbit/s`; empty for what does nothing. */
export function describeImpairment({ delayUs, jitterUs, lossPpm, bitsPerSecond }: Impairment): string {
  const parts = [
    delayUs > 0 && `delay ${delay(delayUs)}`,
    jitterUs > 0 && `jitter ${delay(jitterUs)}`,
    lossPpm > 0 && `loss ${percent(lossPpm)}`,
    bitsPerSecond > 0 && bandwidth(bitsPerSecond),
  ];
  return parts.filter((part) => part !== false).join(', ');
}

/** Seconds as `1 d 2 h`, `90 s`: the two largest parts. */
export function span(seconds: number): string {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  const sizes: readonly (readonly [number, string])[] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = sizes.findIndex(([size]) => seconds >= size);
  let rest = seconds;
  const parts: string[] = [];
  for (const [size, unit] of sizes.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.join(' ');
}

/** `in 3 d`, `2 h ago`; empty for no time, or what is none. */
export function fromNow(time: string, now = Date.now()): string {
  const seconds = (Date.parse(time) - now) / 1000;
  if (!Number.isFinite(seconds)) return '';
  return seconds >= 0 ? `in ${span(seconds)}` : `${span(-seconds)} ago`;
}

/** `LEASE_STATE_ACTIVE` as `active`; empty for what says nothing. */
export function leaseState(state: number): string {
  return word(types.LeaseState[state] ?? String(state), 'LEASE_STATE_');
}

/** The member of an enum as a word; empty for UNSPECIFIED. */
export function word(name: string, prefix: string): string {
  const text = (name.startsWith(prefix) ? name.slice(prefix.length) : name)
    .toLowerCase()
    .replaceAll('_', ' ');
  return text === 'unspecified' ? '' : text;
}
