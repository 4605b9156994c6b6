/** How the ends of a service link use its ways, and watch them. Pure. */
import { type ServiceLink } from '../../api/connectivity.js';
import { type ResourceDraft, v1 as nodeV1 } from '../../api/node.js';
import { types } from '../../api/types.js';
import { isCarriedTwice, USUAL_DEGRADED_MS, USUAL_REPAIR_US } from '../../controller/protection.js';
import { type LabelledHop } from './hops.js';

type LinkEnd = NonNullable<NonNullable<ResourceDraft['vif']>['link']>;
type Path = NonNullable<LinkEnd['paths']>[number];

/** Between messages of measurement: a window of a second has enough of them to tell delay by. */
const MEASUREMENT_US = 50_000;
/** cabernet.node.v1.Measurement.delay_us */
const LONGEST_DELAY_US = 60_000_000;
/** Packets; who counts them takes up to one interval more. */
const MISSED = 3;
/** A path that has failed is used again when it was up for so long; the data plane doubles it for one that goes on failing. */
const RESTORE_MS = 5_000;

/** Where there is a choice between ways it is made by whether they are up. */
export function isWatched({ payload }: Pick<ServiceLink, 'payload'>): boolean {
  return payload !== nodeV1.Payload.PAYLOAD_IP;
}

/** Ways that its data planes are to know, in the order of preference: without watching no more than one. */
export function pathsToProgram(
  link: Pick<ServiceLink, 'path' | 'backup' | 'payload'>,
): readonly (readonly string[])[] {
  return link.backup.length > 0 && isWatched(link) ? [link.path, link.backup] : [link.path];
}

const { PROTECTION_FIRST, PROTECTION_ONE_PLUS_ONE, PROTECTION_WEIGHTED } = nodeV1.Protection;

function isWeighted({ protection }: ServiceLink): boolean {
  return protection === types.LinkProtection.LINK_PROTECTION_WEIGHTED;
}

/** @param ways how many there are at the moment */
export function protectionOf(link: ServiceLink, ways: number): Pick<LinkEnd, 'protection'> {
  if (ways < 2) return {};
  if (isCarriedTwice(link)) return { protection: PROTECTION_ONE_PLUS_ONE };
  return { protection: isWeighted(link) ? PROTECTION_WEIGHTED : PROTECTION_FIRST };
}

/** What a path of the link has to keep to. That of delay is promised one way and measured two ways. */
function measurementOf({ slo, variationUs, degradedMs }: ServiceLink): NonNullable<Path['measurement']> {
  return {
    intervalUs: MEASUREMENT_US,
    lossPpm: slo?.lossPpm ?? 0,
    delayUs: Math.min(2 * (slo?.delayUs ?? 0), LONGEST_DELAY_US),
    variationUs,
    holdMs: degradedMs || USUAL_DEGRADED_MS,
  };
}

/**
 * One end's path. Its liveness listens where packets of the way back arrive: on the vif that it sends by, for a way is the
 * same links in both directions.
 */
export function pathOf(
  link: ServiceLink,
  sending: readonly LabelledHop[],
  receiving: readonly LabelledHop[],
  { index, of, avoid = false }: { readonly index: number; readonly of: number; readonly avoid?: boolean },
): Path | undefined {
  const [first] = sending;
  const last = receiving.at(-1);
  if (!first || !last) return undefined;
  const path = { vif: first.out, label: first.label };
  if (of < 2 || !isWatched(link)) return path;
  const interval = Math.floor((link.repairUs || USUAL_REPAIR_US) / (MISSED + 1));
  const liveness = {
    label: last.label,
    ...(last.into !== first.out && { vif: last.into }),
    minTxUs: interval,
    minRxUs: interval,
    multiplier: MISSED,
    restoreMs: RESTORE_MS,
  };
  const weight = link.weights[index] ?? 0;
  return {
    ...path,
    liveness,
    measurement: measurementOf(link),
    ...(isWeighted(link) && weight > 0 && { weight }),
    ...(avoid && { avoid }),
  };
}
