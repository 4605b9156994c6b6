/**
 * What a link is sold for, as the meters of its two vifs (cabernet.node.v1 `Rate`). Bits are counted as the promise counts
 * them (cabernet.types.v1 `Slo`): frames of the network that the link is sold to, with their Ethernet header; where that
 * network carries others in turn, with their labels and control word, its own payload. Pure.
 */
import { type cabernet } from '../../gen/cabernet.js';
import { type Draft } from '../api/message.js';

type Rate = Draft<cabernet.node.v1.Rate>;

export interface VifRates {
  readonly sent?: Rate;
  readonly received?: Rate;
}

/** Of the agent's meters. */
const FEWEST_BITS = 1000n;
const MOST_BITS = 400_000_000_000n;
const LONGEST_BURST_SECONDS = 1000;

/** Ethernet makes no frame shorter, its checksum not counted; so each counts as that at least, by the limit of packets. */
const SMALLEST_FRAME = 60;
/** Ethernet header and a VLAN tag of the network's own. */
const FRAME_OVERHEAD = 18;
const BURST_SECONDS = 0.02;
const BURST_FRAMES = 8;

/** What arrives has been metered where it was sent, by another clock: so much faster, in thousandths, */
const CLOCK_PERMILLE = 1n;
/** and as much later as a second burst lasts. */
const JITTER_BURSTS = 2;

/**
 * The same at both ends of a link, each way.
 * @param bitsPerSecond 0: as many as it likes
 * @param mtu of its frames, without their Ethernet header
 */
export function ratesOf(bitsPerSecond: bigint, mtu: number): VifRates {
  if (bitsPerSecond === 0n) return {};
  return {
    sent: rate(bitsPerSecond, mtu, 1),
    received: rate(bitsPerSecond + (bitsPerSecond * CLOCK_PERMILLE) / 1000n, mtu, JITTER_BURSTS),
  };
}

function rate(wanted: bigint, mtu: number, bursts: number): Rate {
  const bits = wanted < FEWEST_BITS ? FEWEST_BITS : wanted > MOST_BITS ? MOST_BITS : wanted;
  const bytes = Number(bits) / 8;
  const burst = Math.max(BURST_FRAMES * (mtu + FRAME_OVERHEAD), Math.ceil(bytes * BURST_SECONDS));
  const burstBytes = Math.min(bursts * burst, Math.floor(bytes * LONGEST_BURST_SECONDS));
  return {
    bitsPerSecond: bits,
    packetsPerSecond: BigInt(Math.ceil(bytes / SMALLEST_FRAME)),
    burstBytes,
    burstPackets: Math.ceil(burstBytes / SMALLEST_FRAME),
  };
}
