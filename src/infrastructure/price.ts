/** What leases cost, by the provider's tariff. Amounts in millionths of the currency for each hour. */
import { type NodeShare, type Price } from '../api/types.js';
import { type Bodies, type View } from './kinds.js';

const MEGABIT = 1_000_000n;
export const DAY = 86_400;

/** Where the provider has none: everything is free, of the default terms. */
const FREE: Bodies['tariff'] = {
  name: 'tariff',
  currency: 'EUR',
  nodeMicros: 0n,
  cpuMilliMicros: 0n,
  linkMicros: 0n,
  mbitWireMicros: 0n,
  longestTermSeconds: 0,
  graceSeconds: 0,
};

export function tariffOf(view: View): Bodies['tariff'] {
  return view.get('tariff', 'tariff') ?? FREE;
}

export function nodePrice(tariff: Bodies['tariff'], share: NodeShare): Price {
  return {
    microsPerHour: tariff.nodeMicros + BigInt(share.cpuMillis) * tariff.cpuMilliMicros,
    currency: tariff.currency,
  };
}

/** `wires`: how many a packet passes; every part of a Mbit/s counts. */
export function linkPrice(tariff: Bodies['tariff'], bitsPerSecond: bigint, wires: number): Price {
  const use = bitsPerSecond * BigInt(wires) * tariff.mbitWireMicros;
  return { microsPerHour: tariff.linkMicros + (use + MEGABIT - 1n) / MEGABIT, currency: tariff.currency };
}

export function sum(prices: readonly (Price | undefined)[], currency: string): Price {
  return { microsPerHour: prices.reduce((all, one) => all + (one?.microsPerHour ?? 0n), 0n), currency };
}
