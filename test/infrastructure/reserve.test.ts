/** What Reserve and Update refuse, with what would fit; who may do what. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  conn,
  lineOfThree,
  link,
  local,
  node,
  Provider,
  type ProviderClient,
  refusal,
  wire,
} from './provider.js';

const one = new Provider();
let operator: ProviderClient;
let customer: ProviderClient;

beforeAll(async () => {
  operator = await lineOfThree(one);
  customer = one.as(conn);
  await operator.update({ resources: [{ customer: { name: 'customers/small', virtualNodes: 1 } }] });
  // what others have: a port, most of P, a name
  await customer.reserve({
    virtualNodes: [node('P', { share: { cpuMillis: 700 }, ports: ['st-P0'] }), node('M')],
    virtualLinks: [link('P', 'M', { slo: { bitsPerSecond: 900_000_000n } })],
    requestId: 'taken',
  });
  await customer.commit({ name: 'customers/conn/reservations/taken' });
});
afterAll(() => one.end());

const other = (id: string, more: object = {}): object => ({
  name: `customers/conn/virtualNodes/${id}`,
  node: `vns/x/nodes/${id}`,
  ...more,
});

describe('nodes', () => {
  test.each<[string, object[], string]>([
    ['no name', [{}], 'NAME virtual_nodes[0].name'],
    ['a name that climbs', [other('..')], 'NAME virtual_nodes[0].name'],
    ['a name of another kind', [{ name: 'machines/P' }], 'NAME virtual_nodes[0].name'],
    [
      'two customers at once',
      [other('a', { offer: 'offers/Q' }), { name: 'customers/other/virtualNodes/b' }],
      'CUSTOMER virtual_nodes[1].name',
    ],
    ['a lease under another name', [other('P')], 'IMMUTABLE virtual_nodes[0].node'],
    ['the same twice', [other('a'), other('a')], 'ALREADY_EXISTS virtual_nodes[1].name'],
    [
      'a node called as another',
      [other('a', { node: 'vns/conn/nodes/P' })],
      'NAME_IN_USE virtual_nodes[0].node',
    ],
    ['a node with no name', [other('a', { node: '' })], 'NODE_NAME virtual_nodes[0].node'],
    [
      'a name too long at the machine',
      [other('a', { node: `vns/${'v'.repeat(27)}/nodes/a` })],
      'NODE_NAME virtual_nodes[0].node',
    ],
    ['an offer that is not there', [other('a', { offer: 'offers/Z' })], 'NOT_FOUND virtual_nodes[0].offer'],
    ['a machine for an offer', [other('a', { offer: 'machines/P' })], 'NOT_FOUND virtual_nodes[0].offer'],
    [
      'an offer at another site',
      [other('a', { offer: 'offers/P', site: 'Ulm' })],
      'NOT_FOUND virtual_nodes[0].offer',
    ],
    ['a site without offers', [other('a', { site: 'Bonn' })], 'NOT_FOUND virtual_nodes[0].site'],
    [
      'more than is free',
      [other('a', { offer: 'offers/P', share: { cpuMillis: 301 } })],
      'NO_CAPACITY virtual_nodes[0].share.cpu_millis',
    ],
    [
      'more than is free together',
      [
        other('a', { offer: 'offers/P', share: { cpuMillis: 200 } }),
        other('b', { offer: 'offers/P', share: { cpuMillis: 200 } }),
      ],
      'NO_CAPACITY virtual_nodes[1].share.cpu_millis',
    ],
    [
      'more routes than a machine has',
      [other('a', { share: { routes: 2_000_000_000 } })],
      'NO_CAPACITY virtual_nodes[0].share.routes',
    ],
    [
      'a port that is leased',
      [other('a', { offer: 'offers/P', ports: ['st-P0'] })],
      'PORT_IN_USE virtual_nodes[0].ports[0]',
    ],
    [
      'a wire as a port',
      [other('a', { offer: 'offers/P', ports: ['to-Q'] })],
      'PORT_NOT_OFFERED virtual_nodes[0].ports[0]',
    ],
    ['a port twice', [other('a', { ports: ['st-P1', 'st-P1'] })], 'DUPLICATE virtual_nodes[0].ports[1]'],
    [
      'a term in the past',
      [other('a', { term: { expireTime: '2020-01-01T00:00:00Z' } })],
      'TERM virtual_nodes[0].term.expire_time',
    ],
    ['no time', [other('a', { term: { expireTime: 'tomorrow' } })], 'TERM virtual_nodes[0].term.expire_time'],
    [
      'a term too long',
      [other('a', { term: { expireTime: '2099-01-01T00:00:00Z' } })],
      'TERM_TOO_LONG virtual_nodes[0].term.expire_time',
    ],
    [
      'a start to come',
      [other('a', { term: { startTime: '2099-01-01T00:00:00Z' } })],
      'TERM virtual_nodes[0].term.start_time',
    ],
    [
      'grace without end',
      [other('a', { term: { graceSeconds: 4_000_000_000 } })],
      'TERM_TOO_LONG virtual_nodes[0].term.grace_seconds',
    ],
    [
      'one that fits and one that does not',
      [other('a', { routeSource: 2 }), other('b', { share: { cpuMillis: 4_000_000_000 } })],
      'NO_CAPACITY virtual_nodes[1].share.cpu_millis',
    ],
  ])('%s', async (_, virtualNodes, told) => {
    expect(await refusal(customer.reserve({ virtualNodes }))).toBe(told);
  });

  test('the sentence says what would fit', async () => {
    await expect(
      customer.reserve({ virtualNodes: [other('a', { offer: 'offers/P', share: { cpuMillis: 301 } })] }),
    ).rejects.toThrow(/has 300 of cpu_millis free, 301 are asked for; 300 would fit/);
  });

  test('any that fits: the emptiest', async () => {
    const { reservation } = await customer.reserve({
      virtualNodes: [other('a', { share: { cpuMillis: 500 } })],
      validateOnly: true,
    });
    expect(reservation?.virtualNodes[0]?.offer).toBe('offers/Q');
  });
});

describe('links', () => {
  const more = (slo: object = {}, rest: object = {}): object[] => [
    {
      name: 'customers/conn/virtualLinks/l',
      a: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'x' },
      b: { virtualNode: 'customers/conn/virtualNodes/M', vif: 'x' },
      slo,
      ...rest,
    },
  ];
  test.each<[string, object[], string]>([
    [
      'more bandwidth than is left',
      more({ bitsPerSecond: 100_000_001n }),
      'NO_CAPACITY virtual_links[0].slo.bits_per_second',
    ],
    ['a delay that is not kept', more({ delayUs: 1999 }), 'NO_PATH virtual_links[0].slo.delay_us'],
    ['a loss that is not kept', more({ lossPpm: 19 }), 'NO_PATH virtual_links[0].slo.loss_ppm'],
    [
      'an availability that is not kept',
      more({ availabilityPpm: 999_981 }),
      'NO_PATH virtual_links[0].slo.availability_ppm',
    ],
    [
      'an availability that is none',
      more({ availabilityPpm: 1_000_001 }),
      'RANGE virtual_links[0].slo.availability_ppm',
    ],
    ['an MTU too big', more({}, { mtu: 1523 }), 'MTU_TOO_BIG virtual_links[0].mtu'],
    ['an MTU too small', more({}, { mtu: 500 }), 'MTU_TOO_SMALL virtual_links[0].mtu'],
    [
      'a vif in use',
      more({}, { a: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'toM' } }),
      'VIF_IN_USE virtual_links[0].a.vif',
    ],
    [
      'a vif that is none',
      more({}, { a: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'a/b' } }),
      'VIF_NAME virtual_links[0].a.vif',
    ],
    ['one end', more({}, { b: undefined }), 'END_MISSING virtual_links[0].b'],
    [
      'a node that is not there',
      more({}, { b: { virtualNode: 'customers/conn/virtualNodes/Z', vif: 'x' } }),
      'NOT_FOUND virtual_links[0].b.virtual_node',
    ],
    [
      'another’s node',
      more({}, { b: { virtualNode: 'customers/other/virtualNodes/P', vif: 'x' } }),
      'NOT_FOUND virtual_links[0].b.virtual_node',
    ],
    [
      'one machine',
      more({}, { b: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'y' } }),
      'SAME_MACHINE virtual_links[0].b.virtual_node',
    ],
    ['a circuit to who is no neighbour', more({}, { kind: 3 }), 'NO_PATH virtual_links[0].kind'],
    ['a family that is none', more({}, { tunnelFamily: 5 }), 'TUNNEL_FAMILY virtual_links[0].tunnel_family'],
    [
      'a checksum in a tunnel without',
      more({}, { udpChecksum: true }),
      'TUNNEL_CHECKSUM virtual_links[0].udp_checksum',
    ],
    [
      'diverse from a link that is not there',
      more({}, { diverseFrom: ['customers/other/virtualLinks/x'] }),
      'NOT_FOUND virtual_links[0].diverse_from[0]',
    ],
  ])('%s', async (_, virtualLinks, told) => {
    expect(await refusal(customer.reserve({ virtualLinks }))).toBe(told);
  });

  test('all or nothing: a node that fits is not held where its link does not', async () => {
    const virtualNodes = [other('Q2', { offer: 'offers/Q' })];
    await refusal(customer.reserve({ virtualNodes, virtualLinks: more({ delayUs: 1 }) }));
    const offer = await customer.get({ name: 'offers/Q' });
    expect(offer.resource?.offer?.free?.cpuMillis).toBe(1000);
    expect((await operator.list({ collection: 'machines/-/labels' })).resources).toHaveLength(2);
  });

  test('what would fit fits', async () => {
    const { reservation } = await customer.reserve({
      virtualLinks: more(
        { bitsPerSecond: 100_000_000n, delayUs: 2000, lossPpm: 20, availabilityPpm: 999_980 },
        { mtu: 1522 },
      ),
      validateOnly: true,
    });
    expect(reservation?.virtualLinks).toHaveLength(1);
    expect((await operator.list({ collection: 'machines/-/labels' })).resources).toHaveLength(2);
  });
});

test.each<[string, object, string]>([
  ['nothing', {}, 'EMPTY virtual_nodes'],
  ['too much', { virtualNodes: Array.from({ length: 101 }, () => ({})) }, 'TOO_MANY virtual_nodes'],
  ['held too long', { virtualNodes: [other('a')], holdSeconds: 3601 }, 'RANGE hold_seconds'],
  ['an id that is none', { virtualNodes: [other('a')], requestId: 'a/b' }, 'REQUEST_ID request_id'],
  [
    'an id used for something else',
    { virtualNodes: [other('a')], requestId: 'taken' },
    'REQUEST_ID_REUSED request_id',
  ],
])('a request of %s', async (_, request, told) => {
  expect(await refusal(customer.reserve(request))).toBe(told);
});

test('the same request id again gets the same reservation', async () => {
  const asked = { virtualNodes: [other('again')], requestId: 'again' };
  const first = await customer.reserve(asked);
  expect(await customer.reserve(asked)).toEqual(first);
  await customer.cancel({ name: 'customers/conn/reservations/again' });
});

test('quotas, and who is no customer', async () => {
  const small = {
    virtualNodes: [1, 2].map((i) => ({
      name: `customers/small/virtualNodes/${i}`,
      node: `vns/small/nodes/${i}`,
    })),
  };
  expect(await refusal(operator.reserve(small))).toBe('QUOTA virtual_nodes');
  const nobody = { virtualNodes: [{ name: 'customers/nobody/virtualNodes/a', node: 'vns/nobody/nodes/a' }] };
  expect(await refusal(operator.reserve(nobody))).toBe('NOT_A_CUSTOMER');
});

test('what is another’s is not there', async () => {
  const stranger = one.as({ role: 'connectivity', name: 'other' });
  const reservation = { name: 'customers/conn/reservations/taken' };
  expect(await refusal(stranger.get({ name: 'customers/conn/virtualNodes/P' }))).toBe('NOT_FOUND name');
  expect(await refusal(stranger.get({ name: 'machines/P' }))).toBe('NOT_FOUND name');
  expect(await refusal(stranger.commit(reservation))).toBe('NOT_FOUND name');
  expect(await refusal(stranger.cancel(reservation))).toBe('NOT_FOUND name');
  expect(
    await refusal(
      stranger.renew({ names: ['customers/conn/virtualNodes/P'], expireTime: '2026-12-01T09:00:00Z' }),
    ),
  ).toBe('NOT_FOUND names[0]');
  expect(await refusal(stranger.delete({ names: ['customers/conn/virtualLinks/P-M'] }))).toBe(
    'NOT_FOUND names[0]',
  );
  expect(await refusal(stranger.reserve({ virtualNodes: [other('a')] }))).toBe('NOT_FOUND virtual_nodes');
  expect((await stranger.list({ collection: 'customers/-/virtualNodes' })).resources).toEqual([]);
  expect((await stranger.list({ collection: 'offers' })).resources).toHaveLength(3);
  const service = one.as({ role: 'service', name: 'iptv' });
  expect(await refusal(service.reserve({ virtualNodes: [other('a')] }))).toBe(
    'PERMISSION_DENIED virtual_nodes',
  );
  expect((await service.list({ collection: 'offers' })).resources).toEqual([]);
  expect(await refusal(customer.update({ resources: [{ customer: { name: 'customers/conn' } }] }))).toBe(
    'PERMISSION_DENIED resources[0].customer.name',
  );
  expect(await refusal(customer.get({ name: 'wires/p-q' }))).toBe('NOT_FOUND name');
});

test.each<[string, object[], string]>([
  [
    'a machine without an agent',
    [{ machine: { name: 'machines/X' } }],
    'ADDRESS_OF_SERVER resources[0].machine.agent',
  ],
  [
    'a machine with another’s address',
    [one.machine('X', 1)],
    'ADDRESS_IN_USE resources[0].machine.addresses[0]',
  ],
  [
    'a machine with less than is leased of it',
    [one.machine('P', 1, { capacity: { cpuMillis: 600 } })],
    'IN_USE resources[0].machine.capacity.cpu_millis',
  ],
  [
    'a machine without the port that is leased',
    [one.machine('P', 1, { ports: [] })],
    'IN_USE resources[0].machine.ports',
  ],
  ['a machine at another address', [one.machine('P', 9)], 'IN_USE resources[0].machine.addresses'],
  ['a wire to nowhere', [wire('P', 'X')], 'NOT_FOUND resources[0].wire.b.machine'],
  [
    'a wire at an interface in use',
    [wire('P', 'Q', { name: 'wires/second' })],
    'INTERFACE_IN_USE resources[0].wire.a.interface',
  ],
  ['a wire with less than is sold of it', [wire('P', 'Q', { bitsPerSecond: 1n })], 'IN_USE resources'],
  [
    'a wire to itself',
    [
      {
        wire: {
          name: 'wires/x',
          a: { machine: 'machines/P', interface: 'a' },
          b: { machine: 'machines/P', interface: 'b' },
        },
      },
    ],
    'SAME_MACHINE resources[0].wire.b.machine',
  ],
  [
    'a customer called as the provider',
    [{ customer: { name: 'customers/one' } }],
    'NAME resources[0].customer.name',
  ],
  ['a lease', [{ virtualNode: node('X') }], 'PERMISSION_DENIED resources[0].virtual_node'],
])('operators: %s', async (_, resources, told) => {
  expect(await refusal(operator.update({ resources }))).toBe(told);
});

test.each([
  ['machines/P', 'IN_USE names[0]'],
  ['wires/p-q', 'IN_USE names[0]'],
  ['customers/conn', 'IN_USE names[0]'],
  ['customers/conn/virtualNodes/P', 'IN_USE names[0]'],
  ['offers/P', 'PERMISSION_DENIED names[0]'],
])('%s cannot be deleted', async (name, told) => {
  expect(await refusal(one.as(local).delete({ names: [name] }))).toBe(told);
});
