/** Service networks last as long as their term: grace, suspension, the end, and renewal by the customer. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { types } from '../../src/api/types.js';
import { type Caller } from '../../src/controller/access.js';
import { TestClock } from '../support/clock.js';
import { Harness, local, refusal, until } from './harness.js';
import { type TestSupplier } from './supplier.js';

let clock: TestClock;
let harness: Harness;
let one: TestSupplier;

const { LeaseState } = types;
const HOUR = 3_600_000;
const iptv: Caller = { role: 'service', name: 'iptv' };
const NETWORK = 'customers/iptv/serviceNetworks/iptv';
const P = 'customers/conn/virtualNodes/P';
const network = (term: object | undefined, more: object = {}) => ({
  serviceNetwork: {
    name: NETWORK,
    nodes: [{ name: 'P', ports: [{ vif: 'hp', port: 'st' }] }, { name: 'M' }],
    links: [{ name: 'l', a: 'P', b: 'M', slo: { bitsPerSecond: 600 } }],
    ...(term && { term }),
    ...more,
  },
});
const until9 = { expireTime: '2026-12-01T09:00:00Z' };

beforeEach(async () => {
  clock = new TestClock();
  harness = new Harness({ clock });
  one = await harness.supplier('one');
  await harness.open();
  await harness.update(
    { supplier: { name: 'suppliers/one', address: one.address } },
    { customer: { name: 'customers/iptv' } },
    { tariff: { name: 'tariff', longestTermSeconds: 86_400, graceSeconds: 600 } },
    { node: { name: 'nodes/P', supplier: 'suppliers/one', ports: ['st'] } },
    { node: { name: 'nodes/M', supplier: 'suppliers/one' } },
    { link: { name: 'links/P-M', a: 'nodes/P', b: 'nodes/M', slo: { bitsPerSecond: 1000 } } },
  );
  await harness.become('ready', 'nodes/P', 'nodes/M', 'links/P-M');
  await harness.update(network(until9));
  await harness.become('ready', NETWORK);
  harness.caller = iptv;
});
afterEach(() => harness.end());

const kinds = () => one.applied.get(`${P} `)?.resources.map(({ kind, vif }) => vif?.name ?? kind);

async function lease(state: (typeof LeaseState)[keyof typeof LeaseState]): Promise<void> {
  await until(async () => {
    const now = (await harness.get('serviceNetwork', NETWORK)).lease;
    return now === state ? undefined : `lease ${now}`;
  });
}

const apply = (epoch: bigint) =>
  harness.client.apply([
    { begin: { serviceNetwork: NETWORK, node: 'P', epoch } },
    { resources: { resources: [{ address: { vif: 'vns/iptv/nodes/P/vifs/hp', prefix: '10.0.0.1/24' } }] } },
    { commit: { resourceCount: 1 } },
  ]);

test('grace with traffic, then suspended without, renewed with all that was there, then the end', async () => {
  expect((await harness.get('serviceNetwork', NETWORK)).term).toEqual({
    startTime: '2026-12-01T08:00:00Z',
    ...until9,
    graceSeconds: 600,
  });
  await apply(1n);
  const all = kinds();
  expect(all).toContain('vns/iptv/nodes/P/vifs/hp');
  clock.pass(HOUR);
  await lease(LeaseState.LEASE_STATE_GRACE);
  await apply(2n);
  expect(kinds()).toEqual(all);

  clock.pass(600_000);
  await lease(LeaseState.LEASE_STATE_SUSPENDED);
  await harness.become('suspended', NETWORK);
  await until(async () => {
    const { status } = await harness.get('serviceNetwork', NETWORK);
    return status?.reconciling === false ? undefined : 'its machines are being told';
  });
  const suspended = await harness.get('serviceNetwork', NETWORK);
  expect(suspended.status?.message).toMatch(/renewed/);
  expect(suspended.links[0]).toMatchObject({ state: 'down' });
  expect(kinds()?.filter((name) => name?.includes('vifs'))).toEqual([]);
  expect(kinds()).toContain('virtualNode');
  expect(await refusal(apply(3n))).toBe('LEASE_SUSPENDED begin.service_network');
  expect(one.applied.get(`${P} iptv`)?.resources).toHaveLength(1);
  harness.caller = local;
  expect((await harness.get('link', 'links/P-M')).soldAToB).toBe(600n);

  // also over a restart
  await harness.kill();
  await harness.open();
  harness.caller = iptv;
  await lease(LeaseState.LEASE_STATE_SUSPENDED);
  await harness.update(network({ expireTime: '2026-12-01T10:00:00Z' }));
  await harness.become('ready', NETWORK);
  await lease(LeaseState.LEASE_STATE_ACTIVE);
  expect(new Set(kinds())).toEqual(new Set(all));
  await until(async () => {
    const { links } = await harness.get('serviceNetwork', NETWORK);
    return links[0]?.state === 'up' ? undefined : links[0]?.state;
  });

  clock.pass(2 * HOUR);
  harness.caller = local;
  await until(async () => {
    const { resources } = await harness.client.list({ collection: 'customers/-/serviceNetworks' });
    return resources.length === 0 ? undefined : 'it is there';
  });
  expect((await harness.get('link', 'links/P-M')).soldAToB).toBe(0n);
  await until(() => (kinds()?.length === 0 ? undefined : kinds()?.join()));
});

test('what ended while the process was dead is ended at its start', async () => {
  await harness.kill();
  clock.pass(HOUR + 1_200_000);
  await harness.open();
  harness.caller = local;
  await until(async () => {
    const { resources } = await harness.client.list({ collection: 'customers/-/serviceNetworks' });
    return resources.length === 0 ? undefined : 'it is there';
  });
});

test('renewed by another expire_time; the same again, and what is left out, is no change', async () => {
  const generation = async () => (await harness.get('serviceNetwork', NETWORK)).status?.generation;
  await harness.update(network(until9));
  await harness.update(network(undefined));
  await harness.update(network({ expireTime: '2026-12-01T09:00:00.000Z', graceSeconds: 600 }));
  expect(await generation()).toBe(1n);
  clock.pass(HOUR / 2);
  await harness.update(network({ expireTime: '2026-12-02T08:00:00Z' }));
  const { term } = await harness.get('serviceNetwork', NETWORK);
  expect(term).toMatchObject({ startTime: '2026-12-01T08:00:00Z', expireTime: '2026-12-02T08:00:00Z' });
  clock.pass(HOUR);
  await lease(LeaseState.LEASE_STATE_ACTIVE);
});

test('a renewal is not refused for a quota that has become less; more is', async () => {
  harness.caller = local;
  await harness.update({ customer: { name: 'customers/iptv', virtualNodes: 1 } });
  harness.caller = iptv;
  await harness.update(network({ expireTime: '2026-12-01T10:00:00Z' }));
  const more = { nodes: [{ name: 'P' }, { name: 'M', share: { cpuMillis: 1 } }] };
  expect(await refusal(harness.update(network(undefined, more)))).toBe(
    'QUOTA resources[0].service_network.nodes',
  );
});

test('a change of something else in grace is no renewal, and is not refused for the time', async () => {
  clock.pass(HOUR);
  await lease(LeaseState.LEASE_STATE_GRACE);
  await harness.update(network(undefined, { nodes: [{ name: 'P' }, { name: 'M' }] }));
  await lease(LeaseState.LEASE_STATE_GRACE);
});

test.each([
  [
    'a time that is over',
    { expireTime: '2026-11-30T09:00:00Z' },
    'TERM resources[0].service_network.term.expire_time',
  ],
  ['no time', { expireTime: 'tomorrow' }, 'TERM resources[0].service_network.term.expire_time'],
  [
    'longer than is sold',
    { expireTime: '2026-12-03T09:00:00Z' },
    'TERM_TOO_LONG resources[0].service_network.term.expire_time',
  ],
  [
    'more grace',
    { ...until9, graceSeconds: 601 },
    'TERM_TOO_LONG resources[0].service_network.term.grace_seconds',
  ],
])('%s is refused', async (_, term, told) => {
  expect(await refusal(harness.update(network(term)))).toBe(told);
});
