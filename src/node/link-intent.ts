/** How a link is carried, as an Apply says it: paths, how they are used, how each is watched. */
import { Limit } from '../dataplane/index.js';
import { type BelowMessage, checkBelow, checkLabelValue } from './intent-names.js';
import {
  type LinkPathIntent,
  type LivenessIntent,
  type MeasurementIntent,
  type PathIntent,
  type Protection,
  type TimingIntent,
  type VifIntent,
} from './model.js';
import { invalid } from './refusal.js';
import type * as wire from './wire.js';

/** What a timer of the kernel and a process of the machine can keep to; and what is still a promise. Microseconds. */
const SHORTEST_INTERVAL = 1_000;
const LONGEST_INTERVAL = 10_000_000;
const FEWEST_MISSED = 2;
const MOST_MISSED = 50;
/** Milliseconds. */
const LONGEST_RESTORE = 3_600_000;

/** Between messages of measurement, microseconds: faster tells no more of a window, slower too little. */
const MEASUREMENT_INTERVALS = [10_000, 1_000_000] as const;
const MILLION = 1_000_000;
/** Of a limit of delay: a minute, the longest that is measured. Microseconds. */
const LONGEST_DELAY = 60_000_000;
/** Milliseconds. */
const LONGEST_HOLD = 3_600_000;

type Range = readonly [least: number, most: number];

function checkIn(reason: string, value: number, [least, most]: Range, field: string): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalid(reason, field, `${value}: ${least} to ${most}`);
}

function checkNumber(value: number, range: Range, field: string): number {
  return checkIn('LIVENESS', value, range, field);
}

function contextOf(message: BelowMessage, path: PathIntent, field: string): LivenessIntent['context'] {
  const { tunnel, wire: wireName, vif } = message;
  return tunnel || wireName || vif ? checkBelow(message, field) : path.below;
}

/** Of a session, whatever it watches. */
export function checkTiming(message: wire.Liveness | wire.BfdPeer, field: string): TimingIntent {
  const intervals = [SHORTEST_INTERVAL, LONGEST_INTERVAL] as const;
  return {
    minTx: checkNumber(message.minTxUs ?? 0, intervals, `${field}.min_tx_us`),
    minRx: checkNumber(message.minRxUs ?? 0, intervals, `${field}.min_rx_us`),
    multiplier: checkNumber(message.multiplier ?? 0, [FEWEST_MISSED, MOST_MISSED], `${field}.multiplier`),
    restore: checkNumber(message.restoreMs ?? 0, [0, LONGEST_RESTORE], `${field}.restore_ms`),
    adminDown: message.adminDown ?? false,
  };
}

function checkMeasurement(path: wire.Path, field: string): MeasurementIntent | undefined {
  const { measurement: message } = path;
  if (!message) return undefined;
  if (!path.liveness)
    throw invalid('MEASUREMENT', field, 'only of a path with liveness, by whose session it is measured');
  const within = (value: number | null | undefined, range: Range, name: string): number =>
    checkIn('MEASUREMENT', value ?? 0, range, `${field}.${name}`);
  return {
    interval: within(message.intervalUs, MEASUREMENT_INTERVALS, 'interval_us'),
    loss: within(message.lossPpm, [0, MILLION], 'loss_ppm'),
    delay: within(message.delayUs, [0, LONGEST_DELAY], 'delay_us'),
    variation: within(message.variationUs, [0, LONGEST_DELAY], 'variation_us'),
    hold: within(message.holdMs, [0, LONGEST_HOLD], 'hold_ms'),
  };
}

function checkLiveness(message: wire.Liveness, path: PathIntent, field: string): LivenessIntent {
  return {
    context: contextOf(message, path, field),
    // whether the wire is a circuit, which has no labels, only its owner's whole intent says
    label: path.label === 0 && !message.label ? 0 : checkLabelValue(message.label, `${field}.label`),
    ...checkTiming(message, field),
  };
}

function checkProtection(value: number, field: string): Protection {
  if (value === 0 || value === 1) return 'first';
  if (value === 2) return 'weighted';
  if (value === 3) return 'both';
  throw invalid('PROTECTION', field, `${value} is no Protection`);
}

function checkWeight(weight: number, weighted: boolean, field: string): number {
  if (weight === 0) return 1;
  if (!weighted) throw invalid('WEIGHT', field, `${weight}: only paths of PROTECTION_WEIGHTED have weights`);
  if (Number.isInteger(weight) && weight >= 1 && weight <= Limit.LIMIT_LINK_WAYS) return weight;
  throw invalid('WEIGHT', field, `${weight}: 1 to ${Limit.LIMIT_LINK_WAYS}`);
}

function checkPath(path: wire.Path, field: string): PathIntent {
  const below = checkBelow(path, field);
  // whether the wire is a circuit, which has no labels, only its owner's whole intent says
  if (below.kind === 'wire' && !path.label) return { below, label: 0 };
  return { below, label: checkLabelValue(path.label, `${field}.label`) };
}

function checkLinkPath(path: wire.Path, weighted: boolean, field: string): LinkPathIntent {
  if (path.unrepaired) throw invalid('REPAIR', `${field}.unrepaired`, 'of a swap only, not of a link’s path');
  const checked = checkPath(path, field);
  return {
    ...checked,
    liveness: path.liveness ? checkLiveness(path.liveness, checked, `${field}.liveness`) : undefined,
    measurement: checkMeasurement(path, `${field}.measurement`),
    weight: checkWeight(path.weight ?? 0, weighted, `${field}.weight`),
    avoid: path.avoid ?? false,
  };
}

/** What only 1+1 asks for. */
function checkBoth(paths: readonly LinkPathIntent[], carriesIp: boolean, field: string): void {
  const count = Limit.LIMIT_LINK_COPIES;
  if (paths.length !== count) {
    const what = `${paths.length}: PROTECTION_ONE_PLUS_ONE has exactly ${count}`;
    throw invalid('PATH_COUNT', `${field}.paths`, what);
  }
  if (carriesIp) {
    const what = 'a link of PAYLOAD_IP has no control word for the number of PROTECTION_ONE_PLUS_ONE';
    throw invalid('PROTECTION', `${field}.protection`, what);
  }
}

/** The paths of a link; of a port, none. */
export function checkLink(
  link: wire.LinkEnd | null | undefined,
  carriesIp: boolean,
  field: string,
): Pick<VifIntent, 'paths' | 'protection'> {
  if (!link) return { paths: [], protection: 'first' };
  const given = link.paths ?? [];
  if (given.length === 0) throw invalid('PATH_MISSING', `${field}.paths`, 'a link needs a path');
  if (given.length > Limit.LIMIT_MAX_LINK_PATHS) {
    throw invalid('PATH_COUNT', `${field}.paths`, `${given.length}: at most ${Limit.LIMIT_MAX_LINK_PATHS}`);
  }
  const protection = checkProtection(link.protection ?? 0, `${field}.protection`);
  const paths = given.map((path, i) =>
    checkLinkPath(path, protection === 'weighted', `${field}.paths[${i}]`),
  );
  if (protection === 'both') checkBoth(paths, carriesIp, field);
  const watched = paths.findIndex(({ liveness }) => liveness);
  if (carriesIp && watched >= 0) {
    const what = 'a link of PAYLOAD_IP has no channel for it';
    throw invalid('LIVENESS', `${field}.paths[${watched}].liveness`, what);
  }
  return { paths, protection };
}

/** A swap is part of somebody's path, and decides nothing. */
export function checkSwap(path: wire.Path, field: string): PathIntent {
  const { liveness, measurement, weight, avoid } = path;
  const extra = liveness
    ? 'liveness'
    : measurement
      ? 'measurement'
      : weight
        ? 'weight'
        : avoid
          ? 'avoid'
          : '';
  if (extra) throw invalid('SWAP', `${field}.${extra}`, 'of the paths of a link only, not of a swap');
  const checked = checkPath(path, field);
  return path.unrepaired ? { ...checked, unrepaired: true } : checked;
}
