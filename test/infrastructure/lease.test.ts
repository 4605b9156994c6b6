/** Reserving, committing, and what the agents are told. */
import { isDeepStrictEqual } from 'node:util';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { failedPrecondition } from '../../src/api/errors.js';
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
  until,
  wire,
} from './provider.js';

let one: Provider;
let operator: ProviderClient;

beforeEach(async () => {
  one = new Provider();
  operator = await lineOfThree(one);
});
afterEach(() => one.end());

test('two nodes and a link between them: reserved, committed, and on the machines', async () => {
  const customer = one.as(conn);
  const { reservation } = await customer.reserve({
    virtualNodes: [node('P', { share: { cpuMillis: 600 } }), node('M', { offer: '', site: 'Ulm' })],
    virtualLinks: [link('P', 'M', { slo: { bitsPerSecond: 100_000_000n, delayUs: 5000 } })],
    requestId: 'first',
  });
  expect(reservation).toMatchObject({
    name: 'customers/conn/reservations/first',
    committed: false,
    price: { microsPerHour: 1000n + 6000n + 1000n + 100n + 500n + 600n, currency: 'EUR' },
    virtualLinks: [{ wires: [], achieved: { delayUs: 2000, lossPpm: 20, availabilityPpm: 999_980 } }],
  });
  expect(one.agents.get('P')?.resourcesOf('one')).toEqual([]);
  const answer = await customer.commit({ name: 'customers/conn/reservations/first' });
  // the customer sells on what it is answered, whatever its watch has told by then
  const lease = types.LeaseState.LEASE_STATE_ACTIVE;
  expect(answer.reservation?.virtualNodes).toMatchObject([{ lease }, { lease }]);
  expect(answer.reservation?.virtualLinks).toMatchObject([{ lease }]);
  await until(
    customer,
    'customers/conn/virtualLinks/P-M',
    (one) => one.virtualLink?.status?.state === 'ready',
  );
  const { resource } = await operator.get({ name: 'customers/conn/virtualLinks/P-M' });
  expect(resource?.virtualLink?.wires).toEqual(['wires/p-q', 'wires/q-m']);
  const [p, m] = ['P', 'M'].map((name) => one.agents.get(name)?.resourcesOf('one') ?? []);
  expect(p?.map((resource) => resource.kind)).toEqual(['virtualNode', 'tunnel', 'vif', 'label']);
  expect(p?.[0]?.virtualNode).toMatchObject({ name: 'vns/conn/nodes/P', tenant: 'conn' });
  expect(p?.[1]?.tunnel).toMatchObject({
    localAddress: '100.127.0.1',
    remoteAddress: '100.127.0.3',
    arrivalInterface: 'to-Q',
  });
  // what is sold is held: shares that were left out are those of the lease
  expect(p?.[0]?.virtualNode).toMatchObject({
    limits: { routes: 10_000, neighbours: 1_000, labels: 1_000, vifsAbove: 64, addresses: 0 },
    cpu: { share: 600 },
  });
  expect(m?.[0]?.virtualNode).toMatchObject({ cpu: { share: 10 } });
  for (const end of [p, m])
    expect(end?.[2]?.vif).toMatchObject({
      sent: { bitsPerSecond: 100_000_000n, packetsPerSecond: 208_334n, burstBytes: 250_000 },
      received: { bitsPerSecond: 100_100_000n, burstBytes: 500_500 },
    });
  const path = p?.[2]?.vif?.link?.paths[0];
  // what one end sends with, the other expects
  expect(m?.[3]?.label).toMatchObject({ label: path?.label, deliver: 'vns/conn/nodes/M/vifs/toP' });
  expect(p?.[3]?.label?.label).toBe(m?.[2]?.vif?.link?.paths[0]?.label);
  const wire = await operator.get({ name: 'wires/q-m' });
  expect(wire.resource?.wire).toMatchObject({ soldAToB: 100_000_000n, soldBToA: 100_000_000n });
  const offer = await customer.get({ name: 'offers/P' });
  expect(offer.resource?.offer?.free?.cpuMillis).toBe(400);
});

test('links without a guarantee share what is not sold of their narrowest wire', async () => {
  const customer = one.as(conn);
  const ends = (more: string, slo: object = {}): object => ({
    ...link('P', 'M', { name: `customers/conn/virtualLinks/${more}`, ...slo }),
    a: { virtualNode: 'customers/conn/virtualNodes/P', vif: more },
    b: { virtualNode: 'customers/conn/virtualNodes/M', vif: more },
  });
  const lease = async (requestId: string, links: object[], nodes: object[] = []): Promise<void> => {
    await customer.reserve({ virtualNodes: nodes, virtualLinks: links, requestId });
    await customer.commit({ name: `customers/conn/reservations/${requestId}` });
  };
  const become = (machine: string, wanted: Record<string, bigint>): Promise<void> =>
    eventually(
      () => {
        const vifs = (one.agents.get(machine)?.resourcesOf('one') ?? []).flatMap(({ vif }) => vif ?? []);
        const rates = vifs.map(({ name, sent }) => [name.split('/').at(-1), sent?.bitsPerSecond]);
        return isDeepStrictEqual(new Map(rates as [string, bigint][]), new Map(Object.entries(wanted)));
      },
      `${machine} has ${Object.keys(wanted).join()}`,
    );
  await lease('one', [ends('a')], [node('P'), node('M')]);
  await become('P', { a: 1_000_000_000n });
  await lease('two', [ends('b')]);
  await become('P', { a: 500_000_000n, b: 500_000_000n });
  await lease('three', [ends('c', { slo: { bitsPerSecond: 400_000_000n } })]);
  for (const machine of ['P', 'M'])
    await become(machine, { a: 300_000_000n, b: 300_000_000n, c: 400_000_000n });
  // sold out: what keeps a routing protocol going
  await lease('four', [ends('d', { slo: { bitsPerSecond: 600_000_000n } })]);
  await become('M', { a: 64_000n, b: 64_000n, c: 400_000_000n, d: 600_000_000n });
  // over a wire without a number nothing is guaranteed, and nothing held; the other one still is
  await customer.delete({ names: ['c', 'd'].map((id) => `customers/conn/virtualLinks/${id}`) });
  await operator.update({ resources: [wire('P', 'Q', { bitsPerSecond: 0n })] });
  await become('P', { a: 500_000_000n, b: 500_000_000n });
  await operator.update({ resources: [wire('Q', 'M', { bitsPerSecond: 0n })] });
  await eventually(
    () =>
      one.agents
        .get('P')
        ?.resourcesOf('one')
        .every(({ vif }) => vif?.sent === undefined) === true,
    'there are no meters',
  );
});

test('an end of leases takes everything away, and labels are let go of when both agents have forgotten them', async () => {
  const customer = one.as(conn);
  await customer.reserve({
    virtualNodes: [node('P'), node('M')],
    virtualLinks: [link('P', 'M')],
    requestId: 'r',
  });
  await customer.commit({ name: 'customers/conn/reservations/r' });
  await until(
    customer,
    'customers/conn/virtualLinks/P-M',
    (one) => one.virtualLink?.status?.state === 'ready',
  );
  await customer.cancel({ name: 'customers/conn/reservations/r' });
  await customer.cancel({ name: 'customers/conn/reservations/r' });
  await eventually(() => one.agents.get('P')?.resourcesOf('one').length === 0, 'nothing is left at P');
  const labels = async (): Promise<number> =>
    (await operator.list({ collection: 'machines/-/labels' })).resources.length;
  for (let left = await labels(); left > 0; left = await labels());
  expect((await one.as(local).list({ collection: 'customers/-/virtualNodes' })).resources).toEqual([]);
});

test('what an agent refuses of one lease holds nothing else up, and is told in the customer’s words', async () => {
  const p = one.agents.get('P');
  if (p)
    p.refuse = ({ owner, resources }) => {
      const index = resources.findIndex(({ vif }) => (vif?.mtu ?? 0) > 1500);
      return owner === 'one' && index >= 0
        ? failedPrecondition({
            reason: 'MTU_TOO_BIG',
            field: `resources[${index}].vif.mtu`,
            message:
              'vns/conn_x/nodes/P/vifs/big: at most 1500 fits, by tunnels/to-100.127.0.3 over an underlay of MTU 1574',
          })
        : undefined;
    };
  const customer = one.as(conn);
  const big = { name: 'customers/conn/virtualLinks/big', mtu: 1520 };
  await customer.reserve({
    virtualNodes: [node('P', { node: 'vns/x/nodes/P' }), node('M')],
    virtualLinks: [
      {
        ...link('P', 'M', big),
        a: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'big' },
        b: { virtualNode: 'customers/conn/virtualNodes/M', vif: 'big' },
      },
      link('P', 'M'),
    ],
    requestId: 'r',
  });
  await customer.commit({ name: 'customers/conn/reservations/r' });
  await until(
    customer,
    'customers/conn/virtualLinks/P-M',
    (resource) => resource.virtualLink?.status?.state === 'ready',
  );
  const refused = await until(
    customer,
    big.name,
    (resource) => resource.virtualLink?.status?.state === 'refused',
  );
  expect(refused.virtualLink?.status).toMatchObject({
    reconciling: true,
    message:
      'The machine refuses it: vns/x/nodes/P/vifs/big: at most 1500 fits, by the tunnel over an underlay of MTU 1574',
  });
  // it is tried again by itself
  if (p) p.refuse = () => undefined;
  await until(customer, big.name, (resource) => resource.virtualLink?.status?.state === 'ready');
});
