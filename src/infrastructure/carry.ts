/** How a virtual link is carried: its way over the wires, whether that keeps the promise, and what it then keeps. */
import { type ApiError, failedPrecondition, resourceExhausted } from '../api/errors.js';
import { type Slo } from '../api/types.js';
import { type Bodies, type View } from './kinds.js';
import { type Ledger } from './ledger.js';
import { availabilityPpm, lossPpm, type Sums } from './routing.js';

/**
 * What a tunnel always leaves room for, so that no repair changes an MTU: an IPv6 and a UDP header, the labels of this
 * layer and of one over it, a bypass label, the control word and the Ethernet header. The agent has the last word.
 */
export const OVERHEAD = 40 + 8 + 4 + 4 + 4 + 4 + 14;
/** The same without IP and UDP; a circuit has no label of this layer either. */
export const LSP_OVERHEAD = OVERHEAD - 40 - 8;
export const CIRCUIT_OVERHEAD = LSP_OVERHEAD - 4;
export const SMALLEST_MTU = 576;

export function achievedBy(sums: Sums, bitsPerSecond: bigint): Slo {
  return {
    bitsPerSecond,
    delayUs: sums.delayUs,
    lossPpm: lossPpm(sums),
    availabilityPpm: availabilityPpm(sums),
  };
}

/** The first bound that the sums do not keep. @param where what carries it, for the sentence */
export function boundRefusal(
  slo: Slo | undefined,
  sums: Sums,
  where: string,
  field: string,
): ApiError | undefined {
  if (!slo) return undefined;
  const noPath = (name: string, text: string): ApiError =>
    failedPrecondition({ reason: 'NO_PATH', field: `${field}.${name}`, message: `${where} ${text}` });
  const { delayUs } = sums;
  if (slo.delayUs !== 0 && delayUs > slo.delayUs)
    return noPath(
      'delay_us',
      `takes ${delayUs} µs, at most ${slo.delayUs} are asked for; ${delayUs} would fit.`,
    );
  const loss = lossPpm(sums);
  if (slo.lossPpm !== 0 && loss > slo.lossPpm)
    return noPath(
      'loss_ppm',
      `loses ${loss} in a million, at most ${slo.lossPpm} are asked for; ${loss} would fit.`,
    );
  const available = availabilityPpm(sums);
  if (available < slo.availabilityPpm)
    return noPath(
      'availability_ppm',
      `is there ${available} of a million parts of time, ${slo.availabilityPpm} are asked for; ${available} would fit.`,
    );
  return undefined;
}

/** `shown`: whether the wire may be named to whoever asks. */
export function bandwidthRefusal(
  view: View,
  ledger: Pick<Ledger, 'bitsOn' | 'circuitOn'>,
  wires: readonly string[],
  bits: bigint,
  field: string,
): ApiError | undefined {
  if (wires.some((name) => ledger.circuitOn(name) !== undefined))
    return resourceExhausted({
      reason: 'NO_CAPACITY',
      field,
      message: 'The way passes a wire that is leased as a whole, as a circuit.',
    });
  if (bits === 0n) return undefined;
  let least: bigint | undefined;
  for (const name of wires) {
    const wire: Bodies['wire'] | Bodies['peering'] | undefined =
      view.get('wire', name) ?? view.get('peering', name);
    const free = (wire?.bitsPerSecond ?? 0n) - ledger.bitsOn(name);
    if (least === undefined || free < least) least = free;
  }
  if (least === undefined || least >= bits) return undefined;
  const fits = least > 0n ? least : 0n;
  return resourceExhausted({
    reason: 'NO_CAPACITY',
    field,
    message: `The way has ${fits} bit/s free, ${bits} are asked for; ${fits} would fit.`,
  });
}

/** @param mtu of the link's frames, without their Ethernet header */
export function mtuRefusal(
  mtu: number,
  sums: Pick<Sums, 'mtu'>,
  field: string,
  overhead = OVERHEAD,
): ApiError | undefined {
  const most = Math.min(9600, sums.mtu - overhead);
  if (mtu >= SMALLEST_MTU && mtu <= most) return undefined;
  return failedPrecondition({
    reason: mtu < SMALLEST_MTU ? 'MTU_TOO_SMALL' : 'MTU_TOO_BIG',
    field,
    message: `An MTU of ${mtu} does not fit; ${SMALLEST_MTU} to ${most} do.`,
  });
}
