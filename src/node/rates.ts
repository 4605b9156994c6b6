/**
 * What a vif is sold, from an Apply's message: every field checked, and the bursts that were left out chosen.
 */
import {
  HIGHEST_BITS_PER_SECOND,
  HIGHEST_PACKETS_PER_SECOND,
  largestBurst,
  LOWEST_BITS_PER_SECOND,
} from '../dataplane/index.js';
import { type RateIntent } from './model.js';
import { invalid } from './refusal.js';
import type * as wire from './wire.js';

/** A burst that nobody chose lasts this long at its rate, */
const USUAL_BURST_SECONDS = 0.02;
/** and has room for so many of the vif's largest frames, or so many packets. */
const FEWEST_FRAMES = 8;
const FEWEST_PACKETS = 16;
/** Ethernet header and a VLAN tag of the VN's own. */
const FRAME_OVERHEAD = 18;
/** What the documentation promises, a little less than what the programs can count. */
const LONGEST_BURST_SECONDS = 1000;

function checkRange(
  value: bigint | number | null | undefined,
  lowest: number,
  highest: number,
  field: string,
): number {
  const given = BigInt(value ?? 0);
  if (given === 0n || (given >= BigInt(lowest) && given <= BigInt(highest))) return Number(given);
  throw invalid('RATE_RANGE', field, `${given}: 0 (without limit), or ${lowest} to ${highest}`);
}

function checkBurst(
  given: number,
  rate: number,
  { smallest, usual, unit, field }: { smallest: number; usual: number; unit: string; field: string },
): number {
  if (rate === 0) {
    if (given === 0) return 0;
    throw invalid('BURST_WITHOUT_RATE', field, `a burst of ${given} ${unit} without a rate limits nothing`);
  }
  const largest = largestBurst(rate, LONGEST_BURST_SECONDS);
  if (given === 0) return Math.min(largest, Math.max(usual, Math.ceil(rate * USUAL_BURST_SECONDS)));
  if (given >= smallest && given <= largest) return given;
  throw invalid('BURST_RANGE', field, `${given}: ${smallest} to ${largest} ${unit} at this rate`);
}

/** Undefined: without limit. Throws ApiError. */
export function checkRate(
  message: wire.Rate | null | undefined,
  mtu: number,
  field: string,
): RateIntent | undefined {
  if (!message) return undefined;
  const bits = message.bitsPerSecond;
  const bitsPerSecond = checkRange(
    bits,
    LOWEST_BITS_PER_SECOND,
    HIGHEST_BITS_PER_SECOND,
    `${field}.bits_per_second`,
  );
  const packetsPerSecond = checkRange(
    message.packetsPerSecond,
    1,
    HIGHEST_PACKETS_PER_SECOND,
    `${field}.packets_per_second`,
  );
  const frame = mtu + FRAME_OVERHEAD;
  const burstBytes = checkBurst(message.burstBytes ?? 0, bitsPerSecond / 8, {
    smallest: frame,
    usual: FEWEST_FRAMES * frame,
    unit: 'bytes',
    field: `${field}.burst_bytes`,
  });
  const burstPackets = checkBurst(message.burstPackets ?? 0, packetsPerSecond, {
    smallest: 1,
    usual: FEWEST_PACKETS,
    unit: 'packets',
    field: `${field}.burst_packets`,
  });
  if (bitsPerSecond === 0 && packetsPerSecond === 0) return undefined;
  return { bitsPerSecond, packetsPerSecond, burstBytes, burstPackets };
}
