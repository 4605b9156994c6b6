/** A path as a machine's agent tells of it, as a history takes it up. */
import { type cabernet } from '../../gen/cabernet.js';
import { type Message } from '../api/message.js';
import { v1 } from '../api/node.js';
import { type Broken, type Promised } from './lease.js';
import { type Direction } from './slot.js';
import { type Measured, type Reading } from './path.js';

export type PathState = Message<cabernet.node.v1.PathState>;
type Measurement = NonNullable<PathState['measurement']>;
type MeasuredDirection = Measurement['received'];

const NS = 1e6;

/**
 * Undefined: it is not watched, or one of its ends has said that nobody is to conclude anything from its watching (RFC 5882).
 * @param clockNs of the machine's monotonic clock when it was read
 * @param at the same by our own, milliseconds
 */
export function readingOf(path: PathState, clockNs: bigint, at: number): Reading | undefined {
  const { liveness, inUse, measurement } = path;
  const { SESSION_STATE_UP, SESSION_STATE_ADMIN_DOWN } = v1.SessionState;
  if (!liveness || clockNs === 0n) return undefined;
  const isUp = liveness.state === SESSION_STATE_UP;
  const onPurpose =
    liveness.state === SESSION_STATE_ADMIN_DOWN || liveness.remoteState === SESSION_STATE_ADMIN_DOWN;
  if (!isUp && onPurpose) return undefined;
  const when = (ns: bigint): number => (ns === 0n ? 0 : at - Math.max(0, Number(clockNs - ns) / NS));
  const failed = liveness.lastHeardNs === 0n ? liveness.failedNs : liveness.lastHeardNs;
  return {
    at,
    clock: Number(clockNs / BigInt(NS)),
    session: liveness.discriminator,
    isUp,
    since: Math.round(when(liveness.sinceNs)),
    failures: liveness.failures,
    failed: Math.round(when(failed)),
    inUse,
    ...(measurement && { measured: measuredOf(measurement, (ns) => Math.round(when(ns))) }),
  };
}

function measuredOf(measurement: Measurement, when: (ns: bigint) => number): Measured {
  return {
    received: directionOf(measurement.received),
    sent: directionOf(measurement.sent),
    delays: measurement.delays,
    isDegraded: measurement.degraded,
    degradedSince: when(measurement.sinceNs),
  };
}

function directionOf(direction: MeasuredDirection): Direction {
  return { packets: Number(direction?.packets ?? 0n), lost: Number(direction?.lostPackets ?? 0n) };
}

/** What the path breaks in its last whole window: of what its machine was told to hold it to, or of what is promised. */
export function brokenOf({ measurement, inUse }: PathState, { lossPpm, delayUs }: Promised): Broken[] {
  if (!measurement || !inUse) return [];
  const { received, sent, breaksLoss, breaksDelay, breaksVariation } = measurement;
  const loss = Math.max(received?.lossPpm ?? 0, sent?.lossPpm ?? 0);
  const delay = Math.ceil(measurement.delayUs / 2);
  const variation = Math.max(received?.variationUs ?? 0, sent?.variationUs ?? 0);
  const broken: Broken[] = [];
  if (breaksLoss || (lossPpm > 0 && loss > lossPpm)) broken.push({ what: 'loss', measured: loss });
  if (breaksDelay || (delayUs > 0 && delay > delayUs)) broken.push({ what: 'delay', measured: delay });
  if (breaksVariation) broken.push({ what: 'variation', measured: variation });
  return broken;
}
