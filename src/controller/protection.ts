/** How links of service networks may be protected, as service providers ask for it and connectivity providers sell it. */
import { type Protected } from '../api/protected.js';
import { type LinkProtection, types } from '../api/types.js';
import { v1 as nodeV1 } from '../api/node.js';
import { type Wrong } from './kind.js';

export interface ProtectionAsked extends Protected<LinkProtection> {
  readonly payload: (typeof nodeV1.Payload)[keyof typeof nodeV1.Payload];
}

const {
  LINK_PROTECTION_UNSPECIFIED: UNSPECIFIED,
  LINK_PROTECTION_NONE: NONE,
  LINK_PROTECTION_ONE_FOR_ONE: ONE_FOR_ONE,
  LINK_PROTECTION_ONE_PLUS_ONE: ONE_PLUS_ONE,
  LINK_PROTECTION_WEIGHTED: WEIGHTED,
} = types.LinkProtection;
const KNOWN: ReadonlySet<LinkProtection> = new Set([UNSPECIFIED, NONE, ONE_FOR_ONE, ONE_PLUS_ONE, WEIGHTED]);

/** Watching at a millisecond's interval is the fastest that machines keep to, every ten seconds the slowest. */
const SHORTEST_REPAIR_US = 4_000;
const LONGEST_REPAIR_US = 40_000_000;
const MOST_WEIGHT = 16;
/** Of a link that says nothing. */
export const USUAL_REPAIR_US = 200_000;
export const USUAL_DEGRADED_MS = 3_000;
/** A window of measurement is a second. */
const SHORTEST_DEGRADED_MS = 1_000;
const LONGEST_DEGRADED_MS = 3_600_000;
const LONGEST_VARIATION_US = 60_000_000;

/** Whether it has a backup whatever availability is promised. */
export function wantsBackup({ protection }: Pick<ProtectionAsked, 'protection'>): boolean {
  return protection === ONE_FOR_ONE || protection === ONE_PLUS_ONE || protection === WEIGHTED;
}

/** Whether path and backup both carry all of it, always. */
export function isCarriedTwice({ protection }: Pick<ProtectionAsked, 'protection'>): boolean {
  return protection === ONE_PLUS_ONE;
}

/** `at`: what comes before the names of fields, such as `links[0].`. */
export function checkProtection(asked: ProtectionAsked, at: string, wrong: Wrong): void {
  const { protection, repairUs, weights, payload } = asked;
  // from a store or a caller of an earlier or later version
  if (!KNOWN.has(protection))
    throw wrong(`${at}protection`, 'PROTECTION', `${protection} is no LinkProtection that there is.`);
  if (wantsBackup(asked) && payload === nodeV1.Payload.PAYLOAD_IP)
    throw wrong(
      `${at}protection`,
      'PROTECTION',
      'A link of PAYLOAD_IP has no channel to watch its paths by; protect one of Ethernet frames.',
    );
  if (repairUs !== 0 && !wantsBackup(asked))
    throw wrong(
      `${at}repair_us`,
      'PROTECTION',
      'repair_us is of links with LINK_PROTECTION_ONE_FOR_ONE, LINK_PROTECTION_ONE_PLUS_ONE or LINK_PROTECTION_WEIGHTED.',
    );
  if (repairUs !== 0 && (repairUs < SHORTEST_REPAIR_US || repairUs > LONGEST_REPAIR_US))
    throw wrong(
      `${at}repair_us`,
      'RANGE',
      `repair_us must be ${SHORTEST_REPAIR_US} to ${LONGEST_REPAIR_US}, or 0 for 200000.`,
    );
  checkLimits(asked, at, wrong);
  if (weights.length === 0) return;
  if (protection !== WEIGHTED)
    throw wrong(`${at}weights`, 'PROTECTION', 'weights are of links with LINK_PROTECTION_WEIGHTED.');
  if (weights.length !== 2 || weights.some((weight) => weight < 1 || weight > MOST_WEIGHT))
    throw wrong(
      `${at}weights`,
      'RANGE',
      `weights are two, of the path and of the backup, 1 to ${MOST_WEIGHT} each.`,
    );
}

/** What a path has to keep to, to be used. */
function checkLimits(asked: ProtectionAsked, at: string, wrong: Wrong): void {
  const { variationUs, degradedMs } = asked;
  const given = variationUs === 0 ? (degradedMs === 0 ? undefined : 'degraded_ms') : 'variation_us';
  if (given !== undefined && (asked.protection === NONE || asked.payload === nodeV1.Payload.PAYLOAD_IP))
    throw wrong(
      `${at}${given}`,
      'PROTECTION',
      `${given} is of links that may have a backup, and of Ethernet frames.`,
    );
  if (variationUs > LONGEST_VARIATION_US)
    throw wrong(`${at}variation_us`, 'RANGE', `variation_us must be at most ${LONGEST_VARIATION_US}.`);
  if (degradedMs !== 0 && (degradedMs < SHORTEST_DEGRADED_MS || degradedMs > LONGEST_DEGRADED_MS))
    throw wrong(
      `${at}degraded_ms`,
      'RANGE',
      `degraded_ms must be ${SHORTEST_DEGRADED_MS} to ${LONGEST_DEGRADED_MS}, or 0 for ${USUAL_DEGRADED_MS}.`,
    );
}
