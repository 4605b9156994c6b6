/** Histories in the words of the API. */
import { type cabernet } from '../../gen/cabernet.js';
import { type Message } from '../api/message.js';
import { types } from '../api/types.js';
import { countOf } from './histogram.js';
import { oneWay } from './lease.js';
import { type LeaseReport } from './report.js';
import { DAY, HOUR, type Slot, type Direction } from './slot.js';
import { type Violation, type What } from './violations.js';

export type ViolationMessage = Message<cabernet.types.v1.Violation>;
type SlotMessage = Message<cabernet.types.v1.ReportSlot>;
export type ReportMessage = Message<cabernet.types.v1.Report>;
export type Resolution = cabernet.types.v1.ReportResolution;

const { ViolationKind, ReportResolution } = types;
const KIND_OF: Readonly<Record<What, cabernet.types.v1.ViolationKind>> = {
  availability: ViolationKind.VIOLATION_KIND_AVAILABILITY,
  loss: ViolationKind.VIOLATION_KIND_LOSS,
  delay: ViolationKind.VIOLATION_KIND_DELAY,
  variation: ViolationKind.VIOLATION_KIND_VARIATION,
};

/** RFC 3339 in UTC. */
function time(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

export function violationMessage(violation: Violation): ViolationMessage {
  const { what, start, end, lasted, times, promised, measured, cause, fault } = violation;
  return {
    kind: KIND_OF[what],
    startTime: time(start),
    endTime: end === undefined ? '' : time(end),
    violatedMs: BigInt(Math.round(lasted)),
    times,
    promised: BigInt(promised),
    measured: BigInt(Math.round(measured)),
    cause,
    fault: { ...fault, resources: [...fault.resources] },
  };
}

const direction = ({ packets, lost }: Direction): Message<cabernet.types.v1.ReportDirection> => ({
  packets: BigInt(packets),
  lostPackets: BigInt(lost),
});

function slotMessage(slot: Slot, from: number, to: number): SlotMessage {
  const { up, degraded, down, aToB, bToA, delays } = slot;
  const whole = [up, degraded, down].map(Math.round);
  const [upMs = 0, degradedMs = 0, downMs = 0] = whole;
  return {
    startTime: time(from),
    endTime: time(to),
    upMs: BigInt(upMs),
    degradedMs: BigInt(degradedMs),
    downMs: BigInt(downMs),
    unknownMs: BigInt(Math.max(0, Math.round(to - from) - upMs - degradedMs - downMs)),
    ...(aToB.packets > 0 && { aToB: direction(aToB) }),
    ...(bToA.packets > 0 && { bToA: direction(bToA) }),
    delays: BigInt(countOf(delays)),
    delayP50Us: oneWay(delays, 0.5),
    delayP95Us: oneWay(delays, 0.95),
    delayP99Us: oneWay(delays, 0.99),
    delayMaxUs: oneWay(delays, 1),
  };
}

export function resolutionOf(length: number): Resolution {
  if (length === DAY) return ReportResolution.REPORT_RESOLUTION_DAY;
  return length === HOUR
    ? ReportResolution.REPORT_RESOLUTION_HOUR
    : ReportResolution.REPORT_RESOLUTION_MINUTE;
}

/** `summary`: without the slots. */
export function reportMessage(
  report: LeaseReport,
  length: number,
  summary: boolean,
): Omit<ReportMessage, 'layer' | 'provider' | 'promised'> {
  const { lease, from, to, whole, slots, violations } = report;
  return {
    lease,
    total: slotMessage(whole, from, to),
    slots: summary
      ? []
      : slots.map(({ start, slot }) =>
          slotMessage(slot, Math.max(start, from), Math.min(start + length, to)),
        ),
    resolution: resolutionOf(length),
    violations: violations.map(violationMessage),
  };
}
