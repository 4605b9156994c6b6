/* What became of leased links, from what their machines' agents say: reports, notices, who sees what. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type VirtualLink } from '../../src/api/infrastructure.js';
import { types } from '../../src/api/types.js';
import { type Caller } from '../../src/controller/access.js';
import { MadeUpPaths } from '../support/paths.js';
import { LASTING } from '../../src/infrastructure/outages.js';
import { conn, eventually, lineOfThree, link, local, node, Provider, refusal, until } from './provider.js';

const other: Caller = { role: 'connectivity', name: 'other' };
const LINK = 'customers/conn/virtualLinks/P-M';
const SOUND = 'customers/conn/virtualLinks/P-Q';
const { VIOLATION_KIND_AVAILABILITY, VIOLATION_KIND_LOSS } = types.ViolationKind;

let provider: Provider;
let paths: MadeUpPaths;
let T: number;

beforeEach(async () => {
  provider = new Provider();
  T = provider.clock.now();
  paths = new MadeUpPaths(T - 3_600_000);
  paths.add(
    ...['P/vifs/toM', 'P/vifs/toQ', 'M/vifs/toP', 'Q/vifs/toP'].map((name) => `vns/conn/nodes/${name}`),
  );
  paths.add('vns/conn_iptv/nodes/P/vifs/x', 'vns/other/nodes/P/vifs/x', 'vns/connx/nodes/P/vifs/x');
  await lineOfThree(provider);
  for (const [machine, agent] of provider.agents)
    agent.paths = () => ({
      paths: paths.rows(provider.clock.now()).filter(({ vif }) => vif?.includes(`/nodes/${machine}/`)),
      clockNs: paths.clockNs(provider.clock.now()),
    });
  const client = provider.as(conn);
  await client.reserve({
    virtualNodes: ['P', 'Q', 'M'].map((id) => node(id)),
    virtualLinks: [link('P', 'M', { slo: { availabilityPpm: 999_000, lossPpm: 1000 } }), link('P', 'Q')],
    requestId: 'r',
  });
  await client.commit({ name: 'customers/conn/reservations/r' });
  await until(client, LINK, ({ virtualLink }) => virtualLink?.status?.state === 'ready');
  await read(1000);
}, 30_000);
afterEach(() => provider.end());

/** So much later, all agents are asked. */
async function read(ms: number): Promise<void> {
  provider.clock.pass(ms);
  for (const [machine, agent] of provider.agents) {
    // an answer that was under way may come first: the next one is of a later time
    for (let times = 0; times < 2; times++) {
      provider.clock.pass(1);
      const { pathsRead } = agent;
      agent.changed(`vns/conn/nodes/${machine}/vifs/any`);
      await eventually(() => agent.pathsRead > pathsRead, `${machine} is asked`);
    }
  }
}

async function reportAs(caller: Caller, lease: string) {
  const { reports } = await provider.as(caller).listReports({ lease });
  return reports[0];
}

/** Cut from 10 s to 22 s, seen at 15 s and 30 s. */
async function outage(): Promise<void> {
  await read(9000);
  for (const end of ['P/vifs/toM', 'M/vifs/toP']) paths.fail(T + 12_000, `vns/conn/nodes/${end}`);
  await read(5000);
}
async function mended(): Promise<void> {
  for (const end of ['P/vifs/toM', 'M/vifs/toP']) paths.recover(T + 22_000, `vns/conn/nodes/${end}`);
  await read(15_000);
}

/** The clock of these tests may go on while an answer is under way. */
const SLACK = 20;
const soonAfter = (time: string): unknown =>
  expect.toSatisfy((text: string) => Math.abs(Date.parse(text) - Date.parse(time)) <= SLACK, `about ${time}`);
const near = (ms: number): unknown =>
  expect.toSatisfy((told: bigint) => Math.abs(Number(told) - ms) <= SLACK, `about ${ms}`);

const violationOf = (virtualLink: VirtualLink | undefined) => virtualLink?.violation;

describe('a link that is down for a while', () => {
  test('its customer is told when it begins and when it is over; the provider which wire it was', async () => {
    await outage();
    const told = await until(
      provider.as(conn),
      LINK,
      ({ virtualLink }) => virtualLink?.violation !== undefined,
    );
    expect(violationOf(told.virtualLink)).toMatchObject({
      kind: VIOLATION_KIND_AVAILABILITY,
      startTime: soonAfter('2026-12-01T08:00:12Z'),
      endTime: '',
      cause: 'Nothing arrived from the other end.',
      fault: { layer: 'infrastructure', provider: 'one', lease: '', resources: [] },
    });
    const own = await until(
      provider.as(local),
      LINK,
      ({ virtualLink }) => virtualLink?.violation !== undefined,
    );
    // P-Q passes its wire, and is up
    expect(violationOf(own.virtualLink)?.fault?.resources).toEqual(['wires/q-m']);
    await mended();
    await until(provider.as(conn), LINK, ({ virtualLink }) => virtualLink?.violation === undefined);

    const mine = await reportAs(local, LINK);
    expect(mine).toMatchObject({
      ...{ lease: LINK, layer: 'infrastructure', provider: 'one' },
      promised: { availabilityPpm: 999_000 },
      total: { downMs: near(10_000) },
      violations: [
        {
          ...{ startTime: soonAfter('2026-12-01T08:00:12Z'), endTime: soonAfter('2026-12-01T08:00:22Z') },
          ...{ violatedMs: near(10_000), times: 1, promised: 999_000n },
          cause: 'Nothing arrived from the other end by wires/q-m.',
          fault: { resources: ['wires/q-m'] },
        },
      ],
    });
    const { total } = mine ?? {};
    expect(total?.upMs).toBeGreaterThan(10_000n);
    expect(total?.unknownMs).toBe(0n);
    const customers = await reportAs(conn, LINK);
    expect(customers?.total).toEqual(total);
    expect(customers?.violations).toMatchObject([
      { fault: { layer: 'infrastructure', provider: 'one', lease: '', resources: [] } },
    ]);
    expect(
      JSON.stringify(customers, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
    ).not.toMatch(/wires|machines/);
    expect((await reportAs(conn, SOUND))?.violations).toEqual([]);
  });

  test('the controller begins anew: what was known is known, what came meanwhile is not', async () => {
    await outage();
    await until(provider.as(local), LINK, ({ virtualLink }) => virtualLink?.violation !== undefined);
    await provider.stop();
    provider.clock.pass(2000);
    await provider.start();
    for (const machine of ['P', 'Q', 'M'])
      await until(
        provider.as(local),
        `machines/${machine}`,
        ({ machine: m }) => m?.status?.state === 'ready',
      );
    await read(1000);
    await mended();
    await until(provider.as(local), LINK, ({ virtualLink }) => virtualLink?.violation === undefined);
    const told = await reportAs(local, LINK);
    expect(told?.violations).toMatchObject([
      { startTime: soonAfter('2026-12-01T08:00:12Z'), endTime: soonAfter('2026-12-01T08:00:22Z'), times: 1 },
    ]);
    expect(told?.total?.unknownMs).toBeGreaterThan(0n);
    const { upMs = 0n, downMs = 0n, unknownMs = 0n, startTime = '', endTime = '' } = told?.total ?? {};
    expect(Number(upMs + downMs + unknownMs)).toBe(Date.parse(endTime) - Date.parse(startTime));
  });

  test('when that lasts the link is called down, and ready as soon as something passes', async () => {
    const client = provider.as(conn);
    const become = (state: string): Promise<unknown> =>
      until(client, LINK, ({ virtualLink }) => virtualLink?.status?.state === state);
    for (const end of ['P/vifs/toM', 'M/vifs/toP']) paths.fail(T + 500, `vns/conn/nodes/${end}`);
    await read(5000);
    // not yet: whoever is protected has left it long ago
    const told = await client.list({ collection: 'customers/conn/virtualLinks' });
    expect(told.resources.map(({ virtualLink }) => virtualLink?.status?.state)).toEqual(['ready', 'ready']);
    await read(LASTING);
    await become('down');
    for (const end of ['P/vifs/toM', 'M/vifs/toP'])
      paths.recover(provider.clock.now(), `vns/conn/nodes/${end}`);
    await read(1000);
    await become('ready');
    // a short one that follows is not the long one again
    for (const end of ['P/vifs/toM', 'M/vifs/toP']) paths.fail(provider.clock.now(), `vns/conn/nodes/${end}`);
    await read(2000);
    const again = await reportAs(local, LINK);
    expect(again?.violations.at(-1)).toMatchObject({ endTime: '', times: 2 });
    const after = await client.list({ collection: 'customers/conn/virtualLinks' });
    expect(after.resources.map(({ virtualLink }) => virtualLink?.status?.state)).toEqual(['ready', 'ready']);
  });

  test('what is measured: loss each way, delays, and a violation where more is lost than is promised', async () => {
    const [a, b] = ['vns/conn/nodes/P/vifs/toM', 'vns/conn/nodes/M/vifs/toP'];
    const counts = (packets: bigint, lostPackets: bigint, lossPpm = 0) => ({ packets, lostPackets, lossPpm });
    paths.measure(a, { received: counts(0n, 0n), delays: [] });
    paths.measure(b, { received: counts(0n, 0n), delays: [] });
    await read(10_000);
    paths.measure(a, { received: counts(900n, 0n), delays: [0, 0, 0, 0, 10] });
    paths.measure(b, { received: counts(1000n, 50n, 50_000), breaksLoss: true, degraded: true, delays: [] });
    await read(10_000);
    await until(provider.as(conn), LINK, ({ virtualLink }) => virtualLink?.violation !== undefined);
    const told = await reportAs(conn, LINK);
    expect(told?.total).toMatchObject({
      aToB: { packets: 1000n, lostPackets: 50n },
      bToA: { packets: 900n, lostPackets: 0n },
      delays: 10n,
      // there and back in the bucket from 8 to 10 µs
      ...{ delayP50Us: 5, delayMaxUs: 5 },
    });
    expect(told?.violations).toMatchObject([
      {
        ...{ kind: VIOLATION_KIND_LOSS, promised: 1000n, measured: 50_000n, endTime: '' },
        cause: 'More was lost on the way than is promised.',
      },
    ]);
  });

  test('with the lease its history goes', async () => {
    await outage();
    await provider.as(conn).delete({ names: [LINK, SOUND] });
    await read(1000);
    expect(await refusal(provider.as(local).listReports({ lease: LINK }))).toBe('NOT_FOUND lease');
    expect((await provider.as(local).listReports({})).reports).toEqual([]);
  });
});

describe('who sees what', () => {
  test('reports: a customer its own, operators all', async () => {
    const all = async (caller: Caller): Promise<readonly string[]> =>
      (await provider.as(caller).listReports({})).reports.map(({ lease }) => lease);
    expect(await all(local)).toEqual([LINK, SOUND]);
    expect(await all(conn)).toEqual([LINK, SOUND]);
    expect(await all(other)).toEqual([]);
    expect(await refusal(provider.as(other).listReports({ lease: LINK }))).toBe('NOT_FOUND lease');
    const first = await provider.as(conn).listReports({ pageSize: 1 });
    expect(first.reports.map(({ lease }) => lease)).toEqual([LINK]);
    const next = await provider.as(conn).listReports({ pageToken: first.nextPageToken });
    expect(next.reports.map(({ lease }) => lease)).toEqual([SOUND]);
    // another's token is none
    expect(await refusal(provider.as(other).listReports({ pageToken: first.nextPageToken }))).toBe(
      'PAGE_TOKEN_INVALID page_token',
    );
  });

  test('paths: a customer those of its own networks, by its own names, and not what carries them', async () => {
    const { paths: mine } = await provider.as(conn).listPaths({});
    const vifs = [...new Set(mine.map(({ path }) => path?.vif))];
    expect(vifs).toEqual([
      ...['M/vifs/toP', 'P/vifs/toM', 'P/vifs/toQ', 'Q/vifs/toP'].map((name) => `vns/conn/nodes/${name}`),
      'vns/iptv/nodes/P/vifs/x',
    ]);
    for (const { path, clockNs } of mine) {
      expect(path).toMatchObject({ owner: '', below: [], state: 'up', liveness: { failures: 0 } });
      expect(path?.path).toBeUndefined();
      expect(clockNs).toBeGreaterThan(path?.liveness?.sinceNs ?? 0n);
    }
    expect((await provider.as(other).listPaths({})).paths.map(({ path }) => path?.vif)).toEqual(
      [0, 1].map(() => 'vns/other/nodes/P/vifs/x'),
    );
    const refused = provider.as(other).listPaths({ customer: 'customers/conn' });
    expect(await refusal(refused)).toBe('NOT_FOUND customer');
    expect(await refusal(provider.as(local).listPaths({}))).toBe('CUSTOMER_MISSING customer');
    const operators = await provider.as(local).listPaths({ customer: 'customers/conn' });
    expect(operators.paths.length).toBe(mine.length);
  });

  test.each([
    [{ startTime: 'yesterday' }, 'TIME start_time'],
    [{ endTime: '2026-12-01' }, 'TIME end_time'],
    [{ startTime: '2026-12-01T09:00:00Z', endTime: '2026-12-01T08:00:00Z' }, 'RANGE start_time'],
    [{ startTime: '2024-12-01T09:00:00Z' }, 'RANGE start_time'],
    [{ startTime: '2026-11-20T09:00:00Z', resolution: 1 }, 'RESOLUTION resolution'],
    [{ startTime: '2026-08-20T09:00:00Z', resolution: 2 }, 'RESOLUTION resolution'],
    [{ lease: 'machines/P' }, 'NOT_FOUND lease'],
  ])('%j is refused', async (request, wanted) => {
    expect(await refusal(provider.as(conn).listReports(request))).toBe(wanted);
  });
});
