/** `cabernet report`: what became of leases, and whose fault it was. */
import { toJson } from '../../api/manifest.js';
import { messageType } from '../../api/message.js';
import { types } from '../../api/types.js';
import { type Report, type ResourceClient } from '../../resources/api.js';
import { requireTarget, type TargetFlags } from '../contexts/choose.js';
import { formatYaml } from '../output.js';
import { printableJson } from '../printable.js';
import { spanOf } from '../quantities.js';
import { CommandError, UsageError } from '../report.js';
import { reportTables, slotTable } from './report-tables.js';
import { withServer } from './server.js';
import { print } from './show.js';

export interface ReportFlags extends TargetFlags {
  readonly since: string;
  readonly by?: string | undefined;
  readonly output: string;
}

const { ReportResolution } = types;
const RESOLUTIONS: Readonly<Record<string, number>> = {
  minute: ReportResolution.REPORT_RESOLUTION_MINUTE,
  hour: ReportResolution.REPORT_RESOLUTION_HOUR,
  day: ReportResolution.REPORT_RESOLUTION_DAY,
};

const reportType = messageType(types.Report);

export async function reportCommand(lease: string | undefined, flags: ReportFlags): Promise<void> {
  const since = spanOf('--since', flags.since);
  const resolution = flags.by === undefined ? 0 : (RESOLUTIONS[flags.by] ?? 0);
  const target = requireTarget(flags);
  if (target.layer === 'service')
    throw new UsageError(
      'a service provider’s links are leased from its connectivity provider, which tells of them: --address ADDRESS --layer connectivity, or a context of it',
    );
  await withServer(target, async ({ client }) => {
    const startTime = new Date(Date.now() - since).toISOString();
    const summary = flags.by === undefined && flags.output === 'table';
    const named = lease?.includes('/') ? lease : '';
    const all = await listReports(client, { lease: named, startTime, resolution, summary });
    const reports = lease === undefined || named !== '' ? all : all.filter((one) => isCalled(one, lease));
    if (lease !== undefined && reports.length === 0)
      throw new CommandError(`there is no link ${lease} to report on; \`cabernet report\` shows all`);
    await print(await formatted(reports, flags));
  });
}

interface Asked {
  readonly lease: string;
  readonly startTime: string;
  readonly resolution: number;
  readonly summary: boolean;
}

/** All pages. */
async function listReports(client: ResourceClient, asked: Asked): Promise<readonly Report[]> {
  const reports: Report[] = [];
  let pageToken = '';
  do {
    const page = await client.listReports({ ...asked, pageToken });
    reports.push(...page.reports);
    if (page.nextPageToken !== '' && page.nextPageToken === pageToken)
      throw new CommandError('the server gives the same page of reports for ever');
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return reports;
}

/** By its last id. */
function isCalled({ lease }: Report, name: string): boolean {
  return lease.slice(lease.lastIndexOf('/') + 1) === name;
}

async function formatted(reports: readonly Report[], { output, by }: ReportFlags): Promise<string> {
  if (output === 'table')
    return [reportTables(reports), ...(by === undefined ? [] : reports.map(slotTable))].join('\n\n');
  const json = reports.map((report) => toJson(reportType as never, report as never));
  return printableJson(output === 'yaml' ? await formatYaml(json) : JSON.stringify(json, undefined, 2));
}
