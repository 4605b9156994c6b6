/** How much of a link's bandwidth can be guaranteed to service links, so that all of them may use theirs at once. Pure. */
import { type Link } from '../api/connectivity.js';

/** Ethernet's smallest frame; the meters of a service link let no more frames pass than of these (controller/rates.ts). */
const SMALLEST_FRAME = 60n;
/** A service link's label and the control word: what the link below, and its meters, have of each frame in addition. */
const ADDED = 8n;

export function sellableOf({ slo }: Pick<Link, 'slo'>): bigint {
  return ((slo?.bitsPerSecond ?? 0n) * SMALLEST_FRAME) / (SMALLEST_FRAME + ADDED);
}
