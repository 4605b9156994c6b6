/** Leases that are changed in place: admitted by the difference, in force when it is committed, or not at all. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { type Resource } from '../../src/api/node.js';

import {
  conn,
  lineOfThree,
  link,
  local,
  node,
  Provider,
  type ProviderClient,
  refusal,
  until,
} from './provider.js';

let one: Provider;
let operator: ProviderClient;
let customer: ProviderClient;
const GIGABIT = 1_000_000_000n;
const P = 'customers/conn/virtualNodes/P';
const PM = 'customers/conn/virtualLinks/P-M';

beforeEach(async () => {
  one = new Provider();
  operator = await lineOfThree(one);
  customer = one.as(conn);
  await reserved('first', {
    virtualNodes: [node('P', { share: { cpuMillis: 600 }, ports: ['st-P0'] }), node('M')],
    virtualLinks: [link('P', 'M', { slo: { bitsPerSecond: 600_000_000n } })],
  });
  await commit('first');
  await until(customer, PM, ({ virtualLink }) => virtualLink?.status?.state === 'ready');
});
afterEach(() => one.end());

const reserved = (requestId: string, more: object) => customer.reserve({ ...more, requestId });
const commit = (id: string) => customer.commit({ name: `customers/conn/reservations/${id}` });
const cancel = (id: string) => customer.cancel({ name: `customers/conn/reservations/${id}` });
const wide = (bitsPerSecond: bigint, more: object = {}) => ({
  virtualLinks: [link('P', 'M', { slo: { bitsPerSecond }, ...more })],
});

const MACHINES = ['P', 'Q', 'M'];

/** All that the agent of this machine has, in an order. */
function toldAt(machine: string): readonly Resource[] {
  const told = [...(one.agents.get(machine)?.holdings.values() ?? [])];
  return told.flatMap(({ resources }) => resources);
}

async function sold(): Promise<bigint | undefined> {
  return (await operator.get({ name: 'wires/p-q' })).resource?.wire?.soldAToB;
}

async function leasedLink() {
  return (await operator.get({ name: PM })).resource?.virtualLink;
}

async function offered() {
  return (await customer.get({ name: 'offers/P' })).resource?.offer;
}

test('a link: admitted by the difference, in force with its commit, and all that its machines are told is its rates', async () => {
  const before = new Map(MACHINES.map((name) => [name, toldAt(name)]));
  const labels = await operator.list({ collection: 'machines/-/labels' });
  const { reservation } = await reserved('more', wide(GIGABIT));
  expect(reservation).toMatchObject({
    virtualLinks: [{ name: PM, slo: { bitsPerSecond: GIGABIT } }],
    changedLinks: [{ name: PM, slo: { bitsPerSecond: 600_000_000n }, wires: [] }],
  });
  expect(await sold()).toBe(GIGABIT);
  expect((await leasedLink())?.slo?.bitsPerSecond).toBe(600_000_000n);
  await commit('more');
  await commit('more');
  await until(customer, PM, ({ virtualLink }) => virtualLink?.status?.state === 'ready');
  expect((await leasedLink())?.slo?.bitsPerSecond).toBe(GIGABIT);
  expect(await operator.list({ collection: 'machines/-/labels' })).toMatchObject({
    resources: labels.resources,
  });
  // the agents take it as it comes
  for (const name of ['P', 'M']) await vi.waitFor(() => expect(toldAt(name)).not.toEqual(before.get(name)));
  for (const name of MACHINES) {
    const former = before.get(name) ?? [];
    const now = toldAt(name);
    expect(now.map(({ vif, ...rest }) => (vif ? { ...vif, sent: 0, received: 0 } : rest))).toEqual(
      former.map(({ vif, ...rest }) => (vif ? { ...vif, sent: 0, received: 0 } : rest)),
    );
    const rates = (all: readonly Resource[]) =>
      all.flatMap(({ vif }) => (vif?.sent ? [vif.sent.bitsPerSecond] : []));
    expect(rates(former)).toEqual(name === 'Q' ? [] : [600_000_000n]);
    expect(rates(now)).toEqual(name === 'Q' ? [] : [GIGABIT]);
  }
  // less: what is given back is free when it is committed
  await reserved('less', wide(1n));
  expect(await sold()).toBe(GIGABIT);
  await commit('less');
  expect(await sold()).toBe(1n);
  // changes of the same are not kept one by one
  const { resources } = await operator.list({ collection: 'customers/-/reservations' });
  expect(resources.map((one) => one.reservation?.name.split('/')[3])).toEqual(['first', 'less']);
});

test('a node: share and ports', async () => {
  const change = (share: object, ports: readonly string[]) => ({
    virtualNodes: [node('P', { share, ports })],
  });
  await reserved('more', change({ cpuMillis: 1000 }, ['st-P1', 'st-P0']));
  expect(await offered()).toMatchObject({ free: { cpuMillis: 0 }, ports: [] });
  await cancel('more');
  expect(await offered()).toMatchObject({ free: { cpuMillis: 400 }, ports: ['st-P1'] });
  await reserved('other', change({ cpuMillis: 100 }, ['st-P1']));
  // both are held: the one is in force, the other will be
  expect(await offered()).toMatchObject({ free: { cpuMillis: 400 }, ports: [] });
  await commit('other');
  expect(await offered()).toMatchObject({ free: { cpuMillis: 900 }, ports: ['st-P0'] });
});

test('what is cancelled, runs out or was committed and is cancelled: as it was', async () => {
  await reserved('a', wide(GIGABIT));
  await cancel('a');
  expect(await sold()).toBe(600_000_000n);
  await reserved('b', { ...wide(GIGABIT), holdSeconds: 10 });
  one.clock.pass(10_000);
  await until(operator, 'wires/p-q', ({ wire }) => wire?.soldAToB === 600_000_000n);
  expect(await refusal(commit('b'))).toBe('NOT_FOUND name');
  await reserved('c', {
    ...wide(GIGABIT),
    virtualNodes: [node('P', { share: { cpuMillis: 700 } }), node('Q')],
  });
  await commit('c');
  await cancel('c');
  expect(await leasedLink()).toMatchObject({ slo: { bitsPerSecond: 600_000_000n }, lease: 2 });
  expect((await operator.get({ name: P })).resource?.virtualNode).toMatchObject({
    share: { cpuMillis: 600 },
    ports: ['st-P0'],
  });
  const { resources } = await customer.list({ collection: 'customers/conn/virtualNodes' });
  expect(resources).toHaveLength(2);
  expect(await operator.list({ collection: 'machines/-/labels' })).toMatchObject({
    resources: { length: 2 },
  });
});

test('no way back where another has bought what was given up', async () => {
  await reserved('less', wide(1n));
  await commit('less');
  await reserved('other', {
    virtualLinks: [
      link('P', 'M', {
        name: 'customers/conn/virtualLinks/x',
        a: { virtualNode: P, vif: 'x' },
        b: { virtualNode: 'customers/conn/virtualNodes/M', vif: 'x' },
        slo: { bitsPerSecond: 900_000_000n },
      }),
    ],
  });
  expect(await refusal(cancel('less'))).toBe('CHANGE_STANDS name');
  expect((await leasedLink())?.slo?.bitsPerSecond).toBe(1n);
});

test('also when the process dies in between', async () => {
  await reserved('more', wide(GIGABIT));
  await one.stop();
  await one.start();
  operator = one.as(local);
  customer = one.as(conn);
  expect(await sold()).toBe(GIGABIT);
  await commit('more');
  expect((await leasedLink())?.slo?.bitsPerSecond).toBe(GIGABIT);
});

test('what contents use is not taken away', async () => {
  const content = [{ vif: { name: 'vns/iptv/nodes/P/vifs/hp', port: { interface: 'st-P0' } } }];
  await customer.apply([
    { begin: { virtualNode: P, owner: '', epoch: 1n } },
    { resources: { resources: [{ virtualNode: { name: 'vns/iptv/nodes/P', tenant: 'iptv' } }, ...content] } },
    { commit: { resourceCount: 2 } },
  ]);
  await reserved('none', { virtualNodes: [node('P', { share: { cpuMillis: 600 } })] });
  expect(await refusal(commit('none'))).toBe('IN_USE name');
  expect((await offered())?.ports).toEqual(['st-P1']);
});

describe('refused, and nothing changes', () => {
  test.each<[string, object, string]>([
    ['more than the wires have', wide(GIGABIT + 1n), 'NO_CAPACITY virtual_links[0].slo.bits_per_second'],
    ['a delay that is not kept', wide(1n, { slo: { delayUs: 1 } }), 'NO_PATH virtual_links[0].slo.delay_us'],
    [
      'another end',
      wide(1n, { b: { virtualNode: P, vif: 'x' } }),
      'IMMUTABLE virtual_links[0].b.virtual_node',
    ],
    ['another payload', wide(1n, { payload: 2 }), 'IMMUTABLE virtual_links[0].payload'],
    ['another tunnel', wide(1n, { tunnelFamily: 6 }), 'IMMUTABLE virtual_links[0].tunnel_family'],
    ['another kind', wide(1n, { kind: 3 }), 'IMMUTABLE virtual_links[0].kind'],
    ['twice', { virtualNodes: [node('P'), node('P')] }, 'ALREADY_EXISTS virtual_nodes[1].name'],
    [
      'more than the machine has',
      { virtualNodes: [node('P', { share: { cpuMillis: 1001 } })] },
      'NO_CAPACITY virtual_nodes[0].share.cpu_millis',
    ],
    [
      'another machine',
      { virtualNodes: [node('P', { offer: 'offers/Q' })] },
      'IMMUTABLE virtual_nodes[0].offer',
    ],
    [
      'another name',
      { virtualNodes: [node('P', { node: 'vns/conn/nodes/X' })] },
      'IMMUTABLE virtual_nodes[0].node',
    ],
    [
      'a wire as a port',
      { virtualNodes: [node('P', { ports: ['to-Q'] })] },
      'PORT_NOT_OFFERED virtual_nodes[0].ports[0]',
    ],
  ])('%s', async (_, asked, told) => {
    expect(await refusal(reserved('x', asked))).toBe(told);
    expect(await sold()).toBe(600_000_000n);
  });

  test('another’s lease, and one that is being changed', async () => {
    const other = one.as({ role: 'connectivity', name: 'other' });
    expect(await refusal(other.reserve(wide(1n) as never))).toBe('NOT_FOUND virtual_nodes');
    await reserved('x', wide(GIGABIT));
    expect(await refusal(reserved('y', wide(1n)))).toBe('ALREADY_EXISTS virtual_links[0].name');
  });
});
