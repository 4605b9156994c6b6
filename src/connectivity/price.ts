/** What things cost, by the tariff; nothing where there is none. */
import { type ServiceLink, type ServiceNode, type Tariff } from '../api/connectivity.js';
import { type Price } from '../api/types.js';

const MBIT = 1_000_000n;

export function currencyOf(tariff: Tariff | undefined): string {
  return tariff?.currency || 'EUR';
}

export function nodePrice(tariff: Tariff | undefined, cpuMillis = 0): Price {
  const micros = (tariff?.nodeMicros ?? 0n) + (tariff?.cpuMilliMicros ?? 0n) * BigInt(cpuMillis);
  return { microsPerHour: micros, currency: currencyOf(tariff) };
}

/** Of one link below, for so many bits per second; begun millionths count whole. */
export function hopMicros(tariff: Tariff | undefined, bitsPerSecond: bigint): bigint {
  return ((tariff?.mbitLinkMicros ?? 0n) * bitsPerSecond + MBIT - 1n) / MBIT;
}

/** `hops`: links below of the path; `backupHops`: of the backup. */
export function linkPrice(
  tariff: Tariff | undefined,
  bitsPerSecond: bigint,
  hops: number,
  backupHops: number,
): Price {
  const hop = hopMicros(tariff, bitsPerSecond);
  const backup = (hop * BigInt(backupHops) * BigInt(tariff?.backupPermille ?? 0) + 999n) / 1000n;
  return {
    microsPerHour: (tariff?.linkMicros ?? 0n) + hop * BigInt(hops) + backup,
    currency: currencyOf(tariff),
  };
}

export function networkPrice(
  tariff: Tariff | undefined,
  nodes: readonly ServiceNode[],
  links: readonly ServiceLink[],
): Price {
  let microsPerHour = 0n;
  for (const { share } of nodes) microsPerHour += nodePrice(tariff, share?.cpuMillis).microsPerHour;
  for (const { price } of links) microsPerHour += price?.microsPerHour ?? 0n;
  return { microsPerHour, currency: currencyOf(tariff) };
}
