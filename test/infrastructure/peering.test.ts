/*
 * Three providers: one (P - Q), two (T alone, a transit), three (Z). One peers with two and with three, two with three:
 * the way by two is the quicker one, the direct one the cheaper one.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { type ResourceDraft, type Segment } from '../../src/api/infrastructure.js';
import { unavailable } from '../../src/api/errors.js';
import { type Caller } from '../../src/controller/access.js';
import { type Dialer, dialerWith } from '../../src/controller/dial.js';
import {
  conn,
  eventually,
  local,
  node,
  Provider,
  type ProviderClient,
  refusal,
  tariff,
  until,
  wire,
} from './provider.js';
import { TestClock } from '../support/clock.js';

let clock: TestClock;
let one: Provider;
let two: Provider;
let three: Provider;
let customer: ProviderClient;

const infrastructure = (name: string): Caller => ({ role: 'infrastructure', name });

function peering(
  own: Provider,
  other: Provider,
  id: string,
  machine: string,
  more: object = {},
): ResourceDraft {
  return {
    peering: {
      name: `peerings/${id}`,
      provider: other.name,
      controller: `unix:${other.socketOf(infrastructure(own.name))}`,
      end: { machine: `machines/${machine}`, interface: `p-${id}` },
      bitsPerSecond: 100_000_000n,
      delayUs: 1000,
      mtu: 1600,
      ...more,
    },
  };
}

beforeEach(async () => {
  clock = new TestClock();
  [one, two, three] = [new Provider('one', clock), new Provider('two', clock), new Provider('three', clock)];
  for (const [provider, machines] of [
    [one, ['P', 'Q']],
    [two, ['T']],
    [three, ['Z']],
  ] as const) {
    for (const name of machines) await provider.agent(name);
    await provider.start();
  }
  const customers = [{ customer: { name: 'customers/conn' } }, tariff];
  await one.as(local).update({
    resources: [
      one.machine('P', 1),
      one.machine('Q', 2),
      wire('P', 'Q'),
      peering(one, two, 'x12', 'Q'),
      peering(one, three, 'x13', 'P', { delayUs: 50_000 }),
      ...customers,
    ],
  });
  await two.as(local).update({
    resources: [
      two.machine('T', 11),
      peering(two, one, 'x12', 'T'),
      peering(two, three, 'x23', 'T'),
      ...customers,
    ],
  });
  await three.as(local).update({
    resources: [
      three.machine('Z', 21),
      peering(three, one, 'x13', 'Z', { delayUs: 50_000 }),
      peering(three, two, 'x23', 'Z'),
      ...customers,
    ],
  });
  for (const [provider, machines] of [
    [one, ['P', 'Q']],
    [two, ['T']],
    [three, ['Z']],
  ] as const)
    for (const name of machines)
      await until(
        provider.as(local),
        `machines/${name}`,
        (resource) => resource.machine?.status?.state === 'ready',
      );
  customer = one.as(conn);
  await customer.reserve({ virtualNodes: [node('P')], requestId: 'p' });
  await customer.commit({ name: 'customers/conn/reservations/p' });
  const far = three.as(conn);
  await far.reserve({ virtualNodes: [node('Z')], requestId: 'z' });
  await far.commit({ name: 'customers/conn/reservations/z' });
});
afterEach(async () => {
  for (const provider of [one, two, three]) await provider.end();
});

const link = (slo: object = {}, more: object = {}): object => ({
  name: 'customers/conn/virtualLinks/l',
  a: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'toZ' },
  b: { virtualNode: 'customers/conn/virtualNodes/Z', vif: 'toP', provider: 'three' },
  slo: { bitsPerSecond: 10_000_000n, ...slo },
  ...more,
});
const name = 'customers/conn/reservations/r';

async function segments(provider: Provider): Promise<readonly Segment[]> {
  const { resources } = await provider.as(local).list({ collection: 'segments' });
  return resources.flatMap(({ segment }) => (segment ? [segment] : []));
}

async function allGone(...providers: Provider[]): Promise<void> {
  for (const provider of providers) {
    for (let left = await segments(provider); left.length > 0; left = await segments(provider));
    expect((await provider.as(local).list({ collection: 'machines/-/labels' })).resources).toEqual([]);
  }
}

async function sold(provider: Provider, id: string): Promise<bigint | undefined> {
  return (await provider.as(local).get({ name: `peerings/${id}` })).resource?.peering?.soldOut;
}

test.each([
  ['directly, which is cheaper', {}, 'x13', 50_000],
  ['by a third, which is quicker', { delayUs: 10_000 }, 'x12', 3000],
])('a link to another provider: %s', async (_, slo, by, delayUs) => {
  const { reservation } = await customer.reserve({ virtualLinks: [link(slo)], requestId: 'r' });
  expect(reservation?.virtualLinks[0]).toMatchObject({ achieved: { delayUs }, wires: [] });
  expect(await sold(one, by)).toBe(10_000_000n);
  expect(one.agents.get('P')?.resourcesOf('one')).toHaveLength(1);
  await customer.commit({ name });
  await customer.commit({ name });
  await until(
    customer,
    'customers/conn/virtualLinks/l',
    (resource) => resource.virtualLink?.status?.state === 'ready',
  );
  const z = three.agents.get('Z');
  await eventually(() => z?.resourcesOf('three').length === 4, 'the far end is there');
  const p = one.agents.get('P')?.resourcesOf('one') ?? [];
  const far = z?.resourcesOf('three') ?? [];
  expect(p[1]?.tunnel).toMatchObject({ localAddress: '100.127.0.1', remoteAddress: '100.127.0.21' });
  expect(far[1]?.tunnel).toMatchObject({ localAddress: '100.127.0.21', remoteAddress: '100.127.0.1' });
  // each provider holds its own end to what was sold
  const rates = { sent: { bitsPerSecond: 10_000_000n }, received: { bitsPerSecond: 10_010_000n } };
  expect([p[2]?.vif, far[2]?.vif]).toMatchObject([rates, rates]);
  // what one end sends with, the other expects
  expect(far[3]?.label).toMatchObject({
    label: p[2]?.vif?.link?.paths[0]?.label,
    deliver: 'vns/conn/nodes/Z/vifs/toP',
  });
  expect(p[3]?.label).toMatchObject({
    label: far[2]?.vif?.link?.paths[0]?.label,
    deliver: 'vns/conn/nodes/P/vifs/toZ',
  });
  expect(await segments(two)).toHaveLength(by === 'x12' ? 1 : 0);
  // the far node cannot go while the link is there
  expect(await refusal(three.as(conn).delete({ names: ['customers/conn/virtualNodes/Z'] }))).toBe(
    'IN_USE names[0]',
  );

  await customer.delete({ names: ['customers/conn/virtualLinks/l'] });
  await allGone(one, two, three);
  await eventually(() => z?.resourcesOf('three').length === 1, 'the far end is gone');
  for (const [provider, id] of [
    [one, 'x12'],
    [one, 'x13'],
    [two, 'x23'],
    [three, 'x13'],
  ] as const)
    expect(await sold(provider, id)).toBe(0n);
});

test('bounds that no way keeps, bandwidth that none has, a node that is not there', async () => {
  const told = (slo: object, more: object = {}): Promise<string> =>
    refusal(customer.reserve({ virtualLinks: [link(slo, more)] }));
  expect(await told({ delayUs: 2999 })).toMatch(/^NO_PATH/);
  expect(await told({ bitsPerSecond: 100_000_001n })).toMatch(/^NO_/);
  const far = (b: object): object => ({
    b: { virtualNode: 'customers/conn/virtualNodes/Z', vif: 'toP', provider: 'three', ...b },
  });
  expect(await told({}, far({ virtualNode: 'customers/conn/virtualNodes/none' }))).toMatch(/^NO_PATH/);
  expect(await told({}, far({ virtualNode: 'customers/other/virtualNodes/Z' }))).toBe(
    'NAME virtual_links[0].b.virtual_node',
  );
  expect(await told({}, far({ provider: 'nobody' }))).toMatch(/^NO_PATH/);
  expect(await told({}, far({ provider: '../x' }))).toBe('PROVIDER virtual_links[0].b.provider');
  expect(await told({}, far({ vif: 'a/b' }))).toBe('VIF_NAME virtual_links[0].b.vif');
  await allGone(one, two, three);
});

test('two links at once share what the way has', async () => {
  const second = {
    ...link({ bitsPerSecond: 60_000_000n, delayUs: 10_000 }),
    name: 'customers/conn/virtualLinks/m',
    a: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'm' },
    b: { virtualNode: 'customers/conn/virtualNodes/Z', vif: 'm', provider: 'three' },
  };
  expect(
    await refusal(
      customer.reserve({ virtualLinks: [link({ bitsPerSecond: 60_000_000n, delayUs: 10_000 }), second] }),
    ),
  ).toMatch(/^NO_CAPACITY/);
  await allGone(one, two, three);
});

test('a neighbour that dies in between: nothing stays held anywhere once it is back', async () => {
  await customer.reserve({ virtualLinks: [link({ delayUs: 10_000 })], requestId: 'r' });
  expect(await segments(three)).toHaveLength(1);
  await two.stop();
  expect(await refusal(customer.commit({ name }))).toMatch(/^UNREACHABLE/);
  await customer.cancel({ name });
  expect((await segments(one)).map(({ releasing }) => releasing)).toEqual([true]);
  expect(await sold(one, 'x12')).toBe(0n);
  // the one where it begins dies as well
  await one.stop();
  await one.start();
  expect(await segments(one)).toHaveLength(1);
  await two.start();
  await allGone(one, two, three);
});

test('while a neighbour does not answer, nobody is told that there is no way', async () => {
  await two.stop();
  const told = (slo: object): Promise<string> => refusal(customer.reserve({ virtualLinks: [link(slo)] }));
  const silent = 'NEIGHBOUR_SILENT virtual_links[0]';
  // the direct way is too slow, or too narrow
  expect(await told({ delayUs: 10_000 })).toBe(silent);
  expect(await told({ bitsPerSecond: 100_000_001n })).toBe(silent);
  // through the transit, which finds the end silent
  await two.start();
  await three.stop();
  expect(await told({ delayUs: 10_000 })).toBe(silent);
  await three.start();
  expect(await refusal(customer.reserve({ virtualLinks: [link({ delayUs: 2999 })] }))).toMatch(/^NO_PATH/);
  await allGone(one, two, three);
});

test('refused by the next: what was held here is let go of', async () => {
  await two.stop();
  const real = dialerWith(undefined);
  let broken = false;
  const dialer: Dialer = {
    dial(service, address, expected) {
      const client = real.dial(service, address, expected);
      if (!broken || expected.role !== 'infrastructure') return client;
      return {
        ...client,
        reserveSegment: () => Promise.reject(unavailable({ reason: 'UNREACHABLE', message: 'cut' })),
      };
    },
  };
  two.dialer = dialer;
  await two.start();
  broken = true;
  expect(
    await refusal(customer.reserve({ virtualLinks: [link({ delayUs: 10_000 })], requestId: 'r' })),
  ).toMatch(/^UNREACHABLE/);
  broken = false;
  await allGone(one, two, three);
  expect(await sold(one, 'x12')).toBe(0n);
  await customer.reserve({ virtualLinks: [link({ delayUs: 10_000 })], requestId: 'r' });
});

test('a hold that nobody commits runs out everywhere', async () => {
  await customer.reserve({ virtualLinks: [link({ delayUs: 10_000 })], requestId: 'r', holdSeconds: 10 });
  clock.pass(10_000);
  await allGone(one, two, three);
});

test('only neighbours call, and each sees its own segments only', async () => {
  const request = {
    customer: 'conn',
    provider: 'three',
    virtualNode: 'customers/conn/virtualNodes/Z',
    mtu: 1500,
  };
  const stranger = three.pathAs(conn);
  expect(await refusal(stranger.computeTree(request))).toBe('PERMISSION_DENIED');
  expect(await refusal(three.pathAs(local).releaseSegment({ segment: 'x' }))).toBe('PERMISSION_DENIED');
  const neighbour = three.pathAs(infrastructure('two'));
  const { entryPoints } = await neighbour.computeTree(request);
  expect(entryPoints).toMatchObject([
    { peering: 'peerings/x23', providers: ['three'], achieved: { delayUs: 0 } },
  ]);
  expect((await neighbour.computeTree({ ...request, passed: ['three'] })).entryPoints).toEqual([]);
  expect(await refusal(neighbour.computeTree({ ...request, customer: 'other' }))).toBe(
    'NOT_FOUND virtual_node',
  );
  const segment = {
    ...request,
    segment: 's',
    peering: 'peerings/x23',
    vif: 'x',
    tunnelAddress: '100.127.0.11',
    label: 100,
    term: { expireTime: '2026-12-02T08:00:00Z' },
  };
  for (const [more, told] of [
    [{ segment: 'a/b' }, 'SEGMENT_ID segment'],
    [{ peering: 'peerings/x13' }, 'NOT_FOUND peering'],
    [{ tunnelAddress: 'x' }, 'ADDRESS tunnel_address'],
    [{ tunnelAddress: '127.0.0.1' }, 'ADDRESS tunnel_address'],
    [{ tunnelAddress: 'fe80::1' }, 'ADDRESS tunnel_address'],
    [{ tunnelAddress: '::' }, 'ADDRESS tunnel_address'],
    [{ tunnelAddress: '100.127.0.21' }, 'ADDRESS tunnel_address'],
    [{ label: 15 }, 'LABEL_RANGE label'],
    [{ term: undefined }, 'TERM term'],
    [{ vif: '../x' }, 'VIF_NAME vif'],
    [{ mtu: 1523 }, 'MTU_TOO_BIG mtu'],
    [{ customer: 'other' }, 'NOT_FOUND virtual_node'],
    [{ bounds: { bitsPerSecond: 100_000_001n } }, 'NO_CAPACITY bounds.bits_per_second'],
  ] as const)
    expect(await refusal(neighbour.reserveSegment({ ...segment, ...more }))).toBe(told);
  const first = await neighbour.reserveSegment(segment);
  expect(await neighbour.reserveSegment(segment)).toEqual(first);
  const other = three.pathAs(infrastructure('one'));
  expect(await refusal(other.commitSegment({ segment: 's' }))).toBe('NOT_FOUND segment');
  expect(await refusal(other.releaseSegment({ segment: 's' }))).toBe('NOT_FOUND segment');
  expect(await refusal(other.reserveSegment({ ...segment, peering: 'peerings/x13' }))).toBe(
    'SEGMENT_IN_USE segment',
  );
  await neighbour.commitSegment({ segment: 's' });
  await neighbour.releaseSegment({ segment: 's' });
  await neighbour.releaseSegment({ segment: 's' });
  expect(await refusal(neighbour.commitSegment({ segment: 's' }))).toBe('NOT_FOUND segment');
  await allGone(three);
});
