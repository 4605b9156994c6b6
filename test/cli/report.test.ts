/** `cabernet report`, as a process. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { types } from '../../src/api/types.js';
import { connectivityController, serviceController } from './servers.js';
import { Home } from './support.js';

let home: Home;
let conn: ReturnType<typeof connectivityController>;
let iptv: ReturnType<typeof serviceController>;

const HOUR = 3_600_000;
const at = (ms: number): string => new Date(Date.parse('2026-12-01T08:00:00Z') + ms).toISOString();

const total = {
  ...{ startTime: at(0), endTime: at(HOUR) },
  ...{ upMs: BigInt(HOUR - 12_000), degradedMs: 10_000n, downMs: 1500n, unknownMs: 500n },
  aToB: { packets: 1_000_000n, lostPackets: 21n },
  bToA: { packets: 1_000_000n, lostPackets: 0n },
  ...{ delays: 3600n, delayP50Us: 1200, delayP95Us: 1500, delayP99Us: 2500, delayMaxUs: 9000 },
};
interface Row {
  readonly lease: string;
  readonly slots?: readonly object[];
  readonly [field: string]: unknown;
}

const REPORTS: readonly Row[] = [
  {
    ...{ lease: 'customers/iptv/serviceNetworks/iptv/links/P-M', layer: 'connectivity', provider: 'conn' },
    promised: { delayUs: 5000, availabilityPpm: 999_990 },
    total,
    slots: [{ ...total, endTime: at(60_000) }],
    violations: [
      {
        kind: types.ViolationKind.VIOLATION_KIND_AVAILABILITY,
        ...{ startTime: at(60_000), endTime: at(70_000), violatedMs: 1500n, times: 2, promised: 999_990n },
        cause: 'links/p-q, leased from one: it was down.',
        fault: { layer: 'infrastructure', provider: 'one', lease: 'links/p-q', resources: [] },
      },
      {
        kind: types.ViolationKind.VIOLATION_KIND_DELAY,
        ...{ startTime: at(80_000), endTime: '', violatedMs: 90_000n, times: 1, promised: 5000n },
        ...{ measured: 9000n, cause: 'unknown\u001b[2J' },
      },
    ],
  },
  {
    lease: 'links/p-q',
    layer: 'infrastructure',
    provider: 'one',
    total: { startTime: at(0), endTime: at(0) },
  },
];

beforeEach(async () => {
  home = new Home();
  conn = connectivityController();
  iptv = serviceController();
  conn.reports = ({ lease, pageToken, summary }) => {
    const all = REPORTS.filter((one) => lease === '' || one.lease === lease).map((one) => ({
      ...one,
      slots: summary ? [] : (one.slots ?? []),
    }));
    // a page each
    const [first, ...more] = pageToken === '' ? all : all.slice(1);
    return { reports: first ? [first] : [], nextPageToken: more.length > 0 ? 'more' : '' };
  };
  await Promise.all([conn.start(), iptv.start()]);
  const contexts = [
    { name: 'conn', layer: 'connectivity', address: `unix:${conn.socket}` },
    { name: 'iptv', layer: 'service', address: `unix:${iptv.socket}` },
  ];
  home.file('contexts.yaml', JSON.stringify({ current: 'conn', contexts }));
});
afterEach(async () => {
  await Promise.all([conn.remove(), iptv.remove()]);
  home.remove();
});

describe('cabernet report', () => {
  test('promised beside measured; what was not kept, when, and whose fault it was', async () => {
    const { stdout, stderr, status } = await home.run('report');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const [head, sold, bought, , violated, first, second, ...rest] = stdout.trimEnd().split('\n');
    expect(rest).toEqual([]);
    expect(head).toMatch(/^LEASE +PROMISED BY +PROMISED +UP +KNOWN +LOSS +DELAY 50\/95\/99 % +VIOLATIONS$/);
    expect(sold).toMatch(
      /^customers\/iptv\/serviceNetworks\/iptv\/links\/P-M +connectivity\/conn +≤ 5 ms, up ≥ 99\.999 % +99\.9583 % +59 min 59 s +0\.0021 % +1\.2 ms \/ 1\.5 ms \/ 2\.5 ms +2$/,
    );
    expect(bought).toMatch(/^links\/p-q +infrastructure\/one +- +- +0 µs +- +- +0$/);
    expect(violated).toMatch(/^LEASE +VIOLATION +BEGAN +LASTED +MEASURED +AT FAULT +CAUSE$/);
    expect(first).toMatch(
      / availability +2026-12-01T08:01:00.000Z +1\.5 s in 2 times +- +infrastructure provider one, links\/p-q +links\/p-q, leased from one: it was down\.$/,
    );
    // what a server says moves no cursor
    expect(second).toMatch(/ delay +\S+ +90 s, goes on +9 ms, ≤ 5 ms +not known +unknown\\u\{1b\}\[2J$/);
  });

  test('one lease, by its last part or its name; step by step', async () => {
    const one = await home.run('report', 'p-q', '-o', 'json');
    expect(JSON.parse(one.stdout)).toMatchObject([{ lease: 'links/p-q' }]);
    const named = await home.run('report', 'links/p-q', '--since', '2d', '--by', 'hour');
    expect(named.stdout).toMatch(/links\/p-q\nnothing is known\n$/);
    const request = conn.calls.findLast(({ method }) => method === 'listReports')?.request;
    expect(request).toMatchObject({
      lease: 'links/p-q',
      resolution: types.ReportResolution.REPORT_RESOLUTION_HOUR,
    });
    const since = Date.now() - Date.parse((request as { startTime: string }).startTime);
    expect(Math.round(since / HOUR)).toBe(48);
    const steps = await home.run('report', 'P-M', '--by', 'minute');
    expect(steps.stdout).toMatch(/\nFROM +UP +DOWN +DEGRADED +UNKNOWN +LOSS +DELAY/);
    expect(steps.stdout).toMatch(/\n2026-12-01T08:00:00.000Z +59 min 48 s +1\.5 s +10 s +500 ms /);
  });

  test('JSON and YAML are the API’s own', async () => {
    const json = JSON.parse((await home.run('report', '-o', 'json')).stdout) as object[];
    expect(json).toMatchObject([
      {
        layer: 'connectivity',
        total: { downMs: '1500', aToB: { packets: '1000000', lostPackets: '21' }, delayP95Us: 1500 },
        violations: [{ kind: 'VIOLATION_KIND_AVAILABILITY', fault: { provider: 'one' } }, {}],
      },
      { lease: 'links/p-q' },
    ]);
    expect((await home.run('report', '-o', 'yaml')).stdout).toMatch(/^- lease: customers\/iptv/);
  });

  test.each([
    [['report', 'nothing'], 1, /there is no link nothing to report on/],
    [['report', '--since', '5'], 2, /--since 5: how long ago, such as 30min, 1h, 1d or 4w/],
    [['report', '--since', '2000d'], 2, /a year at most/],
    [['report', '--by', 'second'], 2, /minute, hour, day/],
    [['report', '--context', 'iptv'], 2, /leased from its connectivity provider/],
  ] as const)('%j', async (words, wanted, sentence) => {
    const { stderr, status } = await home.run(...words);
    expect(status).toBe(wanted);
    expect(stderr).toMatch(sentence);
  });
});
