/** Reports on paper: promised beside measured, then what was not kept, when, and whose fault it was. */
import { type Slot, types, type Violation } from '../../api/types.js';
import { type Report } from '../../resources/api.js';
import { type Column, formatTable, type Row } from '../output.js';
import { printable } from '../printable.js';
import { delay, percent, slo, span, word } from '../units.js';

const COLUMNS: readonly Column[] = [
  { key: 'lease', title: 'LEASE' },
  { key: 'by', title: 'PROMISED BY' },
  { key: 'promised', title: 'PROMISED' },
  { key: 'up', title: 'UP', align: 'right' },
  { key: 'known', title: 'KNOWN', align: 'right' },
  { key: 'loss', title: 'LOSS', align: 'right' },
  { key: 'delay', title: 'DELAY 50/95/99 %' },
  { key: 'violations', title: 'VIOLATIONS', align: 'right' },
];
const VIOLATED: readonly Column[] = [
  { key: 'lease', title: 'LEASE' },
  { key: 'what', title: 'VIOLATION' },
  { key: 'start', title: 'BEGAN' },
  { key: 'lasted', title: 'LASTED', align: 'right' },
  { key: 'measured', title: 'MEASURED', align: 'right' },
  { key: 'fault', title: 'AT FAULT' },
  { key: 'cause', title: 'CAUSE' },
];
const SLOTS: readonly Column[] = [
  { key: 'start', title: 'FROM' },
  { key: 'up', title: 'UP', align: 'right' },
  { key: 'down', title: 'DOWN', align: 'right' },
  { key: 'degraded', title: 'DEGRADED', align: 'right' },
  { key: 'unknown', title: 'UNKNOWN', align: 'right' },
  { key: 'loss', title: 'LOSS', align: 'right' },
  { key: 'delay', title: 'DELAY 50/95/99 %' },
];

const MILLION = 1_000_000n;
const { ViolationKind } = types;

export function reportTables(reports: readonly Report[]): string {
  if (reports.length === 0) return 'none';
  const violations = reports.flatMap((report) =>
    report.violations.map((violation) => violationRow(report, violation)),
  );
  const tables = [formatTable(COLUMNS, reports.map(summaryRow))];
  if (violations.length > 0) tables.push(formatTable(VIOLATED, violations));
  return tables.join('\n\n');
}

export function slotTable({ lease, slots }: Report): string {
  const rows = slots.map((slot) => ({
    start: printable(slot.startTime),
    up: length(slot.upMs),
    down: length(slot.downMs),
    degraded: length(slot.degradedMs),
    unknown: length(slot.unknownMs),
    loss: lossOf(slot),
    delay: delaysOf(slot),
  }));
  return `${printable(lease)}\n${rows.length === 0 ? 'nothing is known' : formatTable(SLOTS, rows)}`;
}

function summaryRow({ lease, layer, provider, promised, total, violations }: Report): Row {
  return {
    lease: printable(lease),
    by: printable(`${layer}/${provider}`),
    promised: slo(promised),
    up: total ? upOf(total) : '',
    known: total ? length(total.upMs + total.degradedMs + total.downMs) : '',
    loss: total ? lossOf(total) : '',
    delay: total ? delaysOf(total) : '',
    violations: violations.length,
  };
}

/** Never more than it was: what was down for a moment was not up all the time. */
function upOf({ upMs, degradedMs, downMs }: Slot): string {
  const known = upMs + degradedMs + downMs;
  return known === 0n ? '' : percent(Number(((upMs + degradedMs) * MILLION) / known));
}

/** Of the worse direction, and never less than it was. */
function lossOf({ aToB, bToA }: Slot): string {
  const shares = [aToB, bToA].flatMap((way) =>
    way && way.packets > 0n ? [(way.lostPackets * MILLION + way.packets - 1n) / way.packets] : [],
  );
  return shares.length === 0 ? '' : percent(Number(shares.reduce((a, b) => (a > b ? a : b))));
}

function delaysOf({ delays, delayP50Us, delayP95Us, delayP99Us }: Slot): string {
  return delays === 0n ? '' : [delayP50Us, delayP95Us, delayP99Us].map(delay).join(' / ');
}

/** Exact below a minute. */
function length(ms: bigint): string {
  return ms < 60_000n ? delay(Number(ms) * 1000) : span(Number(ms) / 1000);
}

function violationRow({ lease }: Report, violation: Violation): Row {
  const { kind, startTime, endTime, violatedMs, times, cause } = violation;
  const going = endTime === '' ? ', goes on' : '';
  const often = times > 1 ? ` in ${times} times` : '';
  return {
    lease: printable(lease),
    what: word(ViolationKind[kind] ?? String(kind), 'VIOLATION_KIND_'),
    start: printable(startTime),
    lasted: `${length(violatedMs)}${often}${going}`,
    measured: measuredOf(violation),
    fault: faultOf(violation),
    cause: printable(cause),
  };
}

function measuredOf({ kind, promised, measured }: Violation): string {
  const { VIOLATION_KIND_LOSS, VIOLATION_KIND_DELAY, VIOLATION_KIND_VARIATION } = ViolationKind;
  const inUnit =
    kind === VIOLATION_KIND_LOSS
      ? percent
      : kind === VIOLATION_KIND_DELAY || kind === VIOLATION_KIND_VARIATION
        ? delay
        : undefined;
  if (!inUnit) return '';
  const bound = promised > 0n ? `, ≤ ${inUnit(Number(promised))}` : '';
  return `${inUnit(Number(measured))}${bound}`;
}

/** `infrastructure provider one, links/p-q`; empty: not known. */
function faultOf({ fault }: Violation): string {
  if (!fault || fault.layer === '') return 'not known';
  const who = fault.provider === '' ? fault.layer : `${fault.layer} provider ${fault.provider}`;
  const what = [fault.lease, ...fault.resources].filter((one) => one !== '');
  return printable([who, ...what].join(', '));
}
