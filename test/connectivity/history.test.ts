/* What became of links, bought and sold, from what suppliers tell of paths: whose fault it was, and who may know. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { types } from '../../src/api/types.js';
import { type Caller } from '../../src/controller/access.js';
import { MadeUpPaths } from '../support/paths.js';
import { TestClock } from '../support/clock.js';
import { Harness, local, refusal, until } from './harness.js';
import { type TestSupplier } from './supplier.js';

const iptv: Caller = { role: 'service', name: 'iptv' };
const games: Caller = { role: 'service', name: 'games' };
const NETWORK = 'customers/iptv/serviceNetworks/iptv';
const PLAIN = `${NETWORK}/links/plain`;
const PROTECTED = `${NETWORK}/links/safe`;
const { VIOLATION_KIND_AVAILABILITY, VIOLATION_KIND_DELAY } = types.ViolationKind;

/** Milliseconds. */
const READ_EVERY = 10_000;

let clock: TestClock;
let harness: Harness;
let one: TestSupplier;
let paths: MadeUpPaths;
let T: number;

const vif = (vn: string, at: string, to: string): string => `vns/${vn}/nodes/${at}/vifs/${to}`;
const own = (a: string, b: string): readonly [string, string] => [
  vif('conn', a, `to-${b}`),
  vif('conn', b, `to-${a}`),
];
const ENDS = [vif('iptv', 'P', 's'), vif('iptv', 'M', 's')] as const;

beforeEach(async () => {
  clock = new TestClock();
  T = clock.now();
  paths = new MadeUpPaths(T - 3_600_000);
  harness = new Harness({ clock });
  one = await harness.supplier('one');
  one.paths = () =>
    paths.rows(clock.now()).map((path) => ({ path, clockNs: paths.clockNs(clock.now()), ageMs: 0n }));
  await harness.open();
  const link = (a: string, b: string) => ({
    link: {
      ...{ name: `links/${a}-${b}`, a: `nodes/${a}`, b: `nodes/${b}` },
      slo: { bitsPerSecond: 100_000, delayUs: 4000, availabilityPpm: 999_000 },
    },
  });
  await harness.update(
    { supplier: { name: 'suppliers/one', address: one.address } },
    { customer: { name: 'customers/iptv' } },
    { customer: { name: 'customers/games' } },
    ...['P', 'Q', 'M'].map((name) => ({ node: { name: `nodes/${name}`, supplier: 'suppliers/one' } })),
    link('P', 'M'),
    link('P', 'Q'),
    link('Q', 'M'),
  );
  await harness.become('ready', 'links/P-M', 'links/P-Q', 'links/Q-M');
  harness.caller = iptv;
  await harness.update({
    serviceNetwork: {
      name: NETWORK,
      nodes: [{ name: 'P' }, { name: 'M' }],
      links: [
        { name: 'plain', a: 'P', b: 'M', vifA: 'p', vifB: 'p', slo: { bitsPerSecond: 400 } },
        {
          ...{ name: 'safe', a: 'P', b: 'M', vifA: 's', vifB: 's' },
          slo: { bitsPerSecond: 400, delayUs: 9000 },
          protection: types.LinkProtection.LINK_PROTECTION_ONE_FOR_ONE,
        },
      ],
    },
  });
  harness.caller = local;
  await harness.become('ready', NETWORK);
  await until(async () => {
    const { links } = await harness.get('serviceNetwork', NETWORK);
    return links[1]?.backupProgrammed ? undefined : 'the backup is not programmed';
  });
  paths.add(...own('P', 'M'), ...own('P', 'Q'), ...own('Q', 'M'), ...ENDS);
  // once for the paths themselves, and again for what stands on them
  await read();
  await read();
}, 30_000);
afterEach(() => harness.end());

/** Suppliers are asked when that time has passed, and what they say is taken up. */
async function read(): Promise<void> {
  const asleep = (): string | undefined => (clock.isAwaited(READ_EVERY) ? undefined : 'still reading');
  await until(asleep);
  const { pathsRead } = one;
  clock.pass(READ_EVERY);
  await until(() => (one.pathsRead > pathsRead ? undefined : 'not asked'));
  await until(asleep);
}

async function reportAs(caller: Caller, lease: string) {
  harness.caller = caller;
  const { reports } = await harness.client.listReports({ lease });
  harness.caller = local;
  return reports[0];
}

/** The newest violation, when there is one that has ended, or goes on. */
async function violation(caller: Caller, lease: string, over: boolean) {
  await until(async () => {
    const told = await reportAs(caller, lease);
    const last = told?.violations.at(-1);
    return last && (last.endTime !== '') === over ? undefined : JSON.stringify(last?.cause ?? 'none');
  });
  return (await reportAs(caller, lease))?.violations.at(-1);
}

/** What is cut at both ends, by the last sign of life. */
function cut(at: number, ends: readonly string[], index?: number): void {
  for (const end of ends) paths.fail(at, end, index);
}
function mend(at: number, ends: readonly string[], index?: number): void {
  for (const end of ends) paths.recover(at, end, index);
}

describe('a link below is down for a while', () => {
  test('its supplier is at fault, also for what stands on it; the customer is told as much as it may know', async () => {
    const start = clock.now();
    await read();
    cut(clock.now(), own('P', 'M'));
    await read();
    const bought = await violation(local, 'links/P-M', false);
    expect(bought).toMatchObject({
      kind: VIOLATION_KIND_AVAILABILITY,
      promised: 999_000n,
      fault: { layer: 'infrastructure', provider: 'one', lease: 'links/P-M' },
    });
    // without protection it is down; the operator reads of which lease
    const sold = await violation(local, PLAIN, false);
    expect(sold).toMatchObject({
      cause: 'links/P-M, leased from one: it was down.',
      fault: { layer: 'infrastructure', provider: 'one', lease: 'links/P-M' },
    });
    // the customer is told with the link, and not of what
    harness.caller = iptv;
    await until(async () =>
      (await harness.get('serviceNetwork', NETWORK)).links[0]?.violation ? undefined : 'no notice',
    );
    const notice = (await harness.get('serviceNetwork', NETWORK)).links[0]?.violation;
    harness.caller = local;
    expect(notice).toMatchObject({
      cause: 'Nothing went over it, for what is below this provider.',
      fault: { layer: 'infrastructure', provider: '', lease: '', resources: [] },
    });
    mend(clock.now(), own('P', 'M'));
    await read();
    const over = await violation(iptv, PLAIN, true);
    expect(Date.parse(over?.startTime ?? '')).toBeGreaterThan(start);
    expect(Number(over?.violatedMs)).toBe(
      Date.parse(over?.endTime ?? '') - Date.parse(over?.startTime ?? ''),
    );
    expect(over?.cause).not.toMatch(/one|P-M/);
    await until(async () =>
      (await harness.get('serviceNetwork', NETWORK)).links[0]?.violation ? 'still told' : undefined,
    );
    // the protected one had its other way
    expect((await reportAs(local, PROTECTED))?.violations).toEqual([]);
    expect((await reportAs(local, 'links/P-M'))?.violations).toHaveLength(1);
  });

  test('the links below were up, and the paths over them were not: this provider itself is at fault', async () => {
    await read();
    cut(clock.now(), ENDS);
    await read();
    mend(clock.now(), ENDS);
    await read();
    await read();
    await until(async () => {
      const told = await violation(local, PROTECTED, true);
      return told?.fault?.layer === 'connectivity' ? undefined : `at fault: ${told?.fault?.layer}`;
    });
    expect(await violation(local, PROTECTED, true)).toMatchObject({
      cause: 'What is leased for it kept its promise; what was made of that did not.',
      fault: { layer: 'connectivity', provider: 'conn' },
    });
    expect(await violation(iptv, PROTECTED, true)).toMatchObject({
      cause: 'Nothing went over it.',
      fault: { layer: 'connectivity', provider: 'conn' },
    });
  });

  test('one of two paths is enough', async () => {
    await read();
    cut(clock.now(), ENDS, 0);
    await read();
    await read();
    const told = await reportAs(local, PROTECTED);
    expect(told?.violations).toEqual([]);
    expect(told?.total?.downMs).toBe(0n);
    expect(told?.total?.upMs).toBeGreaterThan(0n);
  });
});

test('delays: what is promised is compared with half of there and back', async () => {
  paths.measure(ENDS[0], { delayUs: 30_000, delays: [] });
  await read();
  expect(await violation(local, PROTECTED, false)).toMatchObject({
    ...{ kind: VIOLATION_KIND_DELAY, promised: 9000n, measured: 15_000n },
  });
});

test('killed: what has ended is known afterwards', async () => {
  await read();
  cut(clock.now(), own('P', 'M'));
  await read();
  mend(clock.now(), own('P', 'M'));
  await read();
  const before = await violation(local, PLAIN, true);
  await until(async () =>
    (await harness.value(`history/${PLAIN}|v`)).includes('"end"') ? undefined : 'not written',
  );
  await harness.kill();
  await harness.open();
  expect(await violation(local, PLAIN, true)).toEqual(before);
});

test('who sees what', async () => {
  const all = async (caller: Caller): Promise<readonly string[]> => {
    harness.caller = caller;
    const { reports } = await harness.client.listReports({});
    harness.caller = local;
    return reports.map(({ lease, layer, provider }) => `${lease} ${layer}/${provider}`);
  };
  expect(await all(local)).toEqual([
    ...[`${PLAIN} connectivity/conn`, `${PROTECTED} connectivity/conn`],
    ...['P-M', 'P-Q', 'Q-M'].map((link) => `links/${link} infrastructure/one`),
  ]);
  expect(await all(iptv)).toEqual([`${PLAIN} connectivity/conn`, `${PROTECTED} connectivity/conn`]);
  expect(await all(games)).toEqual([]);
  harness.caller = games;
  for (const lease of [PLAIN, 'links/P-M', 'links/none'])
    expect(await refusal(harness.client.listReports({ lease }))).toBe('NOT_FOUND lease');
});

test('what a customer gives as a violation is not taken', async () => {
  const network = await harness.get('serviceNetwork', NETWORK);
  const lie = { kind: VIOLATION_KIND_AVAILABILITY, cause: 'a lie' };
  harness.caller = iptv;
  await harness.update({
    serviceNetwork: { ...network, links: network.links.map((link) => ({ ...link, violation: lie })) },
  });
  const { links } = await harness.get('serviceNetwork', NETWORK);
  expect(links.map(({ violation: told }) => told)).toEqual([undefined, undefined]);
});
