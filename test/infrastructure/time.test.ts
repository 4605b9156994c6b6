/** Holds, terms, and what outlives a process that is killed: leases, labels that an upstream may still use. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { types } from '../../src/api/types.js';
import {
  conn,
  eventually,
  lineOfThree,
  link,
  local,
  node,
  Provider,
  type ProviderClient,
  refusal,
  until,
} from './provider.js';

const { LeaseState } = types;
const HOUR = 3_600_000;

let one: Provider;
let operator: ProviderClient;
let customer: ProviderClient;

beforeEach(async () => {
  one = new Provider();
  operator = await lineOfThree(one);
  customer = one.as(conn);
});
afterEach(() => one.end());

const asked = (more: object = {}): object => ({
  virtualNodes: [
    node('P', { term: { expireTime: '2026-12-01T09:00:00Z' } }),
    node('M', { term: { expireTime: '2026-12-01T09:00:00Z' } }),
  ],
  virtualLinks: [
    link('P', 'M', { slo: { bitsPerSecond: 1000n }, term: { expireTime: '2026-12-01T09:00:00Z' } }),
  ],
  requestId: 'r',
  ...more,
});
const name = 'customers/conn/reservations/r';
const theLink = 'customers/conn/virtualLinks/P-M';

async function leased(): Promise<void> {
  await customer.reserve(asked());
  await customer.commit({ name });
  await until(customer, theLink, (resource) => resource.virtualLink?.status?.state === 'ready');
}

async function again(): Promise<void> {
  await one.stop();
  await one.start();
  operator = one.as(local);
  customer = one.as(conn);
}

async function labels(): Promise<{ name: string; link: string; label: number }[]> {
  const { resources } = await operator.list({ collection: 'machines/-/labels' });
  return resources.flatMap(({ label }) => (label ? [label] : []));
}

async function soldOf(wire: string): Promise<bigint | undefined> {
  return (await operator.get({ name: wire })).resource?.wire?.soldAToB;
}

test('a hold runs out, with all that it held', async () => {
  await customer.reserve(asked({ holdSeconds: 10 }));
  expect(await soldOf('wires/p-q')).toBe(1000n);
  one.clock.pass(9_999);
  expect(await customer.get({ name })).toBeDefined();
  one.clock.pass(1);
  await until(operator, 'wires/p-q', (resource) => resource.wire?.soldAToB === 0n);
  expect(await refusal(customer.commit({ name }))).toBe('NOT_FOUND name');
  expect(await labels()).toEqual([]);
});

test('the process ends between Reserve and Commit: it can still be committed; or its hold has run out meanwhile', async () => {
  await customer.reserve(asked());
  const before = await labels();
  await again();
  expect((await customer.get({ name })).resource?.reservation?.committed).toBe(false);
  expect(await labels()).toEqual(before);
  await customer.commit({ name });
  const first = await customer.commit({ name });
  expect(first.reservation?.committed).toBe(true);
  await until(customer, theLink, (resource) => resource.virtualLink?.status?.state === 'ready');

  await customer.reserve({ virtualNodes: [node('Q')], requestId: 'late', holdSeconds: 10 });
  await one.stop();
  one.clock.pass(10_000);
  await one.start();
  expect(await refusal(one.as(conn).commit({ name: 'customers/conn/reservations/late' }))).toBe(
    'NOT_FOUND name',
  );
});

test('active, in grace, suspended, ended', async () => {
  await leased();
  const agent = one.agents.get('P');
  const content = [
    { begin: { virtualNode: 'customers/conn/virtualNodes/P', epoch: 1 } },
    { resources: { resources: [{ address: { vif: 'vns/conn/nodes/P/vifs/toM', prefix: '10.0.0.0/31' } }] } },
    { commit: { resourceCount: 1 } },
  ];
  await customer.apply(content);
  one.clock.pass(HOUR);
  await until(customer, theLink, (resource) => resource.virtualLink?.lease === LeaseState.LEASE_STATE_GRACE);
  expect(agent?.resourcesOf('one')).toHaveLength(4);
  one.clock.pass(HOUR);
  await until(
    customer,
    theLink,
    (resource) =>
      resource.virtualLink?.status?.state === 'suspended' && !resource.virtualLink.status.reconciling,
  );
  // no vifs; the node stays
  expect(agent?.resourcesOf('one').map(({ kind }) => kind)).toEqual(['virtualNode']);
  await eventually(() => agent?.resourcesOf('conn').length === 0, 'the content is withheld');
  expect(await refusal(customer.apply(content))).toBe('LEASE_SUSPENDED begin.virtual_node');
  // its labels are still its own
  expect((await labels()).map((label) => label.link)).toEqual([theLink, theLink]);

  const names = ['customers/conn/virtualNodes/P', 'customers/conn/virtualNodes/M', theLink];
  expect(
    await refusal(
      customer.renew({
        names: [...names, 'customers/conn/virtualNodes/Z'],
        expireTime: '2026-12-01T12:00:00Z',
      }),
    ),
  ).toBe('NOT_FOUND names[3]');
  expect(await refusal(customer.renew({ names, expireTime: '2026-12-01T09:00:00Z' }))).toBe(
    'TERM expire_time',
  );
  await customer.renew({ names, expireTime: '2026-12-01T12:00:00Z' });
  await eventually(
    () => agent?.resourcesOf('conn').length === 1 && agent.resourcesOf('one').length === 4,
    'all is back',
  );

  one.clock.pass(4 * HOUR);
  await until(operator, 'wires/p-q', (resource) => resource.wire?.soldAToB === 0n);
  expect((await customer.list({ collection: 'customers/conn/virtualNodes' })).resources).toEqual([]);
  await eventually(
    () => agent?.resourcesOf('one').length === 0 && agent.resourcesOf('conn').length === 0,
    'nothing is left',
  );
});

test('a label is never used again while its upstream may send with it', async () => {
  await leased();
  const m = one.agents.get('M');
  await m?.stop();
  await until(operator, 'machines/M', (resource) => resource.machine?.status?.state === 'unreachable');
  const [atM, atP] = [
    (await labels()).filter((label) => label.name.startsWith('machines/M/')),
    (await labels()).filter((label) => label.name.startsWith('machines/P/')),
  ];
  await customer.cancel({ name });
  // P's agent answers: what M expects is free as soon as P has forgotten it; what P expects is not, for M sends with it
  await eventually(() => one.agents.get('P')?.resourcesOf('one').length === 0, 'P has forgotten');
  for (let left = await labels(); left.length > 1; left = await labels());
  expect(await labels()).toEqual([
    { ...atP[0], link: '', bootId: 'boot-1', status: expect.anything() as unknown },
  ]);
  expect(atM).toHaveLength(1);
  // neither time nor a new process of the controller changes that
  one.clock.pass(1000 * HOUR);
  await again();
  expect((await labels()).map((label) => label.label)).toEqual([atP[0]?.label]);
  // the upstream is back and acknowledges
  await m?.start();
  for (let left = await labels(); left.length > 0; left = await labels());
  expect(m?.resourcesOf('one')).toEqual([]);
});

test('an agent that boots anew gets all of it again; one that is away and back, nothing', async () => {
  await leased();
  const p = one.agents.get('P');
  const applies = p?.applies.length;
  await p?.stop();
  await until(operator, 'machines/P', (resource) => resource.machine?.status?.state === 'unreachable');
  await p?.start();
  await until(operator, 'machines/P', (resource) => resource.machine?.status?.state === 'ready');
  // what comes next is sent alone: what was there before is not sent again
  await customer.reserve({
    virtualNodes: [{ ...node('P'), name: 'customers/conn/virtualNodes/P2', node: 'vns/x/nodes/P' }],
    requestId: 'more',
  });
  await customer.commit({ name: 'customers/conn/reservations/more' });
  await until(
    customer,
    'customers/conn/virtualNodes/P2',
    (resource) => resource.virtualNode?.status?.state === 'ready',
  );
  expect(p?.applies.slice(applies).map(({ resources }) => resources.length)).toEqual([5]);
  await p?.stop();
  await until(operator, 'machines/P', (resource) => resource.machine?.status?.state === 'unreachable');
  await p?.reboot();
  await eventually(() => p?.resourcesOf('one').length === 5, 'all is back');
  expect(p?.applies.length).toBeGreaterThan(applies ?? 0);
  await until(operator, 'machines/P', (resource) => resource.machine?.state?.bootId === 'boot-2');
});

test(
  'more leases at once than a commit of the store takes end all the same',
  { timeout: 60_000 },
  async () => {
    await operator.update({
      resources: ['P', 'M'].map((id, i) =>
        one.machine(id, 2 * i + 1, { capacity: { cpuMillis: 1000, vifs: 100_000 } }),
      ),
    });
    const term = { expireTime: '2026-12-01T09:00:00Z', graceSeconds: 1 };
    await customer.reserve({
      virtualNodes: [node('P', { term, share: { vifs: 1000 } }), node('M', { term, share: { vifs: 1000 } })],
      requestId: 'nodes',
    });
    await customer.commit({ name: 'customers/conn/reservations/nodes' });
    for (const part of [1, 2, 3]) {
      const virtualLinks = Array.from({ length: 150 }, (_, i) => ({
        ...link('P', 'M'),
        name: `customers/conn/virtualLinks/l${part}-${i}`,
        term,
        a: { virtualNode: 'customers/conn/virtualNodes/P', vif: `v${part}-${i}` },
        b: { virtualNode: 'customers/conn/virtualNodes/M', vif: `v${part}-${i}` },
      }));
      await customer.reserve({ virtualLinks, requestId: `links${part}` });
      await customer.commit({ name: `customers/conn/reservations/links${part}` });
    }
    await eventually(() => one.agents.get('P')?.resourcesOf('one').length === 902, 'all links are there');
    one.clock.pass(2 * HOUR);
    await eventually(() => one.agents.get('P')?.resourcesOf('one').length === 0, 'all are gone');
    const left = async (): Promise<number> =>
      (await operator.list({ collection: 'customers/-/virtualLinks' })).resources.length;
    for (let links = await left(); links > 0; links = await left());
    for (let waiting = await labels(); waiting.length > 0; waiting = await labels());
  },
);
