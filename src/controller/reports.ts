/** ListReports, the same for every controller that has leases: a time, a resolution, pages, and what the caller may see. */
import { type cabernet } from '../../gen/cabernet.js';
import { invalidArgument } from '../api/errors.js';
import { type Draft, type Message, messageType } from '../api/message.js';
import { paginate } from '../api/page.js';
import { type Slo, types } from '../api/types.js';
import { type ReportMessage, reportMessage, type ViolationMessage } from '../history/message.js';
import { type Recorder } from '../history/recorder.js';
import { finest, type Period } from '../history/report.js';
import { DAY, HOUR, MINUTE } from '../history/slot.js';
import { type Caller, missing } from './access.js';
import { parseTime } from './clock.js';

/** Both packages have the same. */
export type ReportsRequest = Message<cabernet.infrastructure.v1.ListReportsRequest>;
export type ReportsResponse = Draft<cabernet.infrastructure.v1.ListReportsResponse>;

export interface ReportsOptions {
  readonly recorder: Recorder;
  readonly layer: 'infrastructure' | 'connectivity';
  readonly provider: string;
  /** Names of leases that the caller may see. */
  readonly visible: (caller: Caller) => readonly string[];
  readonly sloOf: (lease: string) => Slo | undefined;
  /** Who promised it, where that is not this provider itself. */
  readonly seller?: (lease: string) => Pick<ReportMessage, 'layer' | 'provider'> | undefined;
  /** As the caller may read it. */
  readonly shown: (caller: Caller, violation: ViolationMessage) => ViolationMessage;
  readonly now: () => number;
}

const { ReportResolution } = types;
const LENGTHS: Readonly<Record<number, number>> = {
  [ReportResolution.REPORT_RESOLUTION_MINUTE]: MINUTE,
  [ReportResolution.REPORT_RESOLUTION_HOUR]: HOUR,
  [ReportResolution.REPORT_RESOLUTION_DAY]: DAY,
};
const YEAR = 366 * DAY;

const slotType = messageType(types.ReportSlot);
const SLOT_BYTES = 160;
const ROW_BYTES = 1000;
const VIOLATION_BYTES = 500;

/** @throws ApiError TIME, RANGE, RESOLUTION, NOT_FOUND, PAGE_TOKEN_INVALID */
export async function listReports(
  options: ReportsOptions,
  caller: Caller,
  request: ReportsRequest,
): Promise<ReportsResponse> {
  const { recorder, visible, now } = options;
  const period = periodOf(request, now());
  const names = [...visible(caller)].toSorted((a, b) => (a < b ? -1 : 1));
  if (request.lease !== '' && !names.includes(request.lease)) throw missing(request.lease, 'lease');
  const slots = request.summary ? 0 : Math.ceil((period.to - period.from) / period.length) + 1;
  const rows = request.lease === '' ? names : [request.lease];
  const { items, nextPageToken } = paginate(rows, request, {
    key: (name) => name,
    list: `reports ${request.lease} of ${caller.role} ${caller.name}`,
    bytes: (name) => ROW_BYTES + slots * SLOT_BYTES + recorder.violationsOf(name).length * VIOLATION_BYTES,
  });
  const reports: Draft<cabernet.types.v1.Report>[] = [];
  for (const name of items) reports.push(await reportOn(options, caller, name, period, request.summary));
  return { reports, nextPageToken };
}

async function reportOn(
  { recorder, layer, provider, sloOf, seller, shown, now }: ReportsOptions,
  caller: Caller,
  lease: string,
  period: Period,
  summary: boolean,
): Promise<Draft<cabernet.types.v1.Report>> {
  const found = await recorder.report(lease, period);
  const slo = sloOf(lease);
  const head = { ...{ lease, layer, provider }, ...seller?.(lease), ...(slo && { promised: slo }) };
  if (!found) {
    const time = new Date(now()).toISOString();
    return { ...head, total: slotType.complete({ startTime: time, endTime: time }) };
  }
  const { violations, ...report } = reportMessage(found, period.length, summary);
  return { ...report, ...head, violations: violations.map((one) => shown(caller, one)) };
}

function periodOf({ startTime, endTime, resolution }: ReportsRequest, now: number): Period {
  const to = timeOf('end_time', endTime) ?? now;
  const from = timeOf('start_time', startTime) ?? to - HOUR;
  if (from >= to)
    throw invalidArgument({
      reason: 'RANGE',
      field: 'start_time',
      message: 'start_time must be before end_time, or before now where that is left out.',
    });
  if (from < now - YEAR)
    throw invalidArgument({
      reason: 'RANGE',
      field: 'start_time',
      message: 'start_time is more than a year ago; histories are kept for that long.',
    });
  const reach = finest(from, now);
  const length = LENGTHS[resolution] ?? reach;
  if (length < reach)
    throw invalidArgument({
      reason: 'RESOLUTION',
      field: 'resolution',
      message: 'Minutes are kept for a day and hours for 31 days; leave resolution out for what there is.',
    });
  return { from, to: Math.min(to, now), length };
}

function timeOf(field: string, text: string): number | undefined {
  if (text === '') return undefined;
  const time = parseTime(text);
  if (time !== undefined) return time;
  throw invalidArgument({
    reason: 'TIME',
    field,
    message: `${field} must be a time such as 2026-12-01T08:00:00Z.`,
  });
}
