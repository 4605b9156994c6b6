/** Lsps: where they go, what is held for them, and labels that nobody is given too early. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { failedPrecondition } from '../../src/api/errors.js';
import { types } from '../../src/api/types.js';
import {
  agentOf,
  between,
  clientsAnew,
  CIRCUIT,
  customer,
  labels,
  lease,
  leased,
  leaseNodes,
  linkName,
  LSP,
  MACHINES,
  MBIT,
  noLabels,
  one,
  openMesh,
  operator,
  ready,
  soldOf,
  term,
  toldTo,
  TUNNEL,
  vifOf,
  walk,
  wire,
} from './mesh.js';
import { eventually, link, node, refusal, until } from './provider.js';

beforeEach(() => openMesh());
afterEach(() => one.end());

test('by the path that keeps the bounds, with labels and wires on every machine of it', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP, slo: { bitsPerSecond: 100n * MBIT, delayUs: 3000 } }));
  expect(await leased('l')).toMatchObject({
    kind: LSP,
    wires: ['wires/p-q', 'wires/q-m'],
    tunnelFamily: 0,
    achieved: { bitsPerSecond: 100n * MBIT, delayUs: 2000, lossPpm: 20, availabilityPpm: 999_980 },
    price: { microsPerHour: 500n + 100n * 2n * 3n },
  });
  expect(walk('P', vifOf('P', 'l'))).toEqual(['wires/p-q', 'wires/q-m', `M ${vifOf('M', 'l')}`]);
  expect(walk('M', vifOf('M', 'l'))).toEqual(['wires/q-m', 'wires/p-q', `P ${vifOf('P', 'l')}`]);
  expect(toldTo('Q').map(({ kind }) => kind)).toEqual(['virtualNode', 'wire', 'wire', 'label', 'label']);
  expect(toldTo('A')).toEqual([]);
  expect([await soldOf('p-q'), await soldOf('q-m'), await soldOf('p-a')]).toEqual([
    100n * MBIT,
    100n * MBIT,
    0n,
  ]);
  // a customer does not see where it goes
  expect((await customer.get({ name: linkName('l') })).resource?.virtualLink?.wires).toEqual([]);
});

test('over a machine that only forwards; and two lsps over one wire', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }), between('k', 'M', 'P', { kind: LSP }));
  expect(walk('P', vifOf('P', 'l'))).toEqual(['wires/p-a', 'wires/a-m', `M ${vifOf('M', 'l')}`]);
  expect(walk('P', vifOf('P', 'k'))).toEqual(['wires/p-a', 'wires/a-m', `M ${vifOf('M', 'k')}`]);
  expect(toldTo('A').map(({ kind }) => kind)).toEqual(['wire', 'wire', 'label', 'label', 'label', 'label']);
  expect(new Set((await labels()).map(({ name }) => name)).size).toBe(8);
});

test('of no kind: a tunnel where that keeps the promise, else an lsp, and the lease says which', async () => {
  await leaseNodes();
  await lease(
    between('any', 'P', 'M', { slo: { delayUs: 10_000 } }),
    between('quick', 'P', 'M', { slo: { delayUs: 9999 } }),
    between('wide', 'P', 'M', { slo: { bitsPerSecond: 501n * MBIT } }),
    between('big', 'P', 'M', { mtu: 1570 }),
  );
  const kinds = await Promise.all(['any', 'quick', 'wide', 'big'].map(async (id) => (await leased(id)).kind));
  expect(kinds).toEqual([TUNNEL, LSP, LSP, LSP]);
  const asked = (slo: object): Promise<string> =>
    refusal(customer.reserve({ virtualLinks: [between('more', 'P', 'M', { slo })] }));
  // the sentence has the best of all ways
  await expect(
    customer.reserve({ virtualLinks: [between('more', 'P', 'M', { slo: { delayUs: 1 } })] }),
  ).rejects.toThrow(/2000 would fit/);
  expect(await asked({ bitsPerSecond: 501n * MBIT })).toBe(
    'NO_CAPACITY virtual_links[0].slo.bits_per_second',
  );
});

test('is not changed in place yet, and says so, whatever is asked of it', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  const change = between('l', 'P', 'M', { kind: LSP, slo: { bitsPerSecond: MBIT } });
  expect(await refusal(customer.reserve({ virtualLinks: [change] }))).toBe(
    'CHANGE_UNAVAILABLE virtual_links[0].name',
  );
});

test('diverse from another link: by other wires, machines and risk groups; what cannot be avoided is told', async () => {
  await leaseNodes();
  await lease(between('first', 'P', 'M', { kind: LSP }));
  await lease(
    between('other', 'P', 'M', { kind: LSP, diverseFrom: [linkName('first')] }),
    between('any', 'P', 'M', { diverseFrom: [linkName('first')] }),
    between('tunnel', 'P', 'M', { kind: TUNNEL, diverseFrom: [linkName('first')] }),
    between('third', 'P', 'M', {
      kind: LSP,
      slo: { delayUs: 3000 },
      diverseFrom: [linkName('first'), linkName('other')],
    }),
  );
  const told = await Promise.all(['other', 'any', 'tunnel', 'third'].map((id) => leased(id)));
  expect(told.map(({ kind, wires }) => [kind, wires.toSorted()])).toEqual([
    [LSP, ['wires/p-q', 'wires/q-m']],
    [LSP, ['wires/p-q', 'wires/q-m']],
    [TUNNEL, ['wires/a-m', 'wires/p-a']],
    [LSP, ['wires/p-q', 'wires/q-m']],
  ]);
  expect(told.map(({ shared }) => shared)).toEqual([
    undefined,
    undefined,
    { wires: 2, machines: 1, riskGroups: 1 },
    { wires: 2, machines: 1, riskGroups: 0 },
  ]);
  // three ducts in common are worse than a wire and a machine
  const riskGroups = ['duct', 'bridge', 'power'];
  await operator.update({
    resources: [
      wire('P', 'Q', { metric: 2, riskGroups }),
      wire('A', 'M', { delayUs: 5000, bitsPerSecond: 500n * MBIT, riskGroups }),
    ],
  });
  const { reservation } = await customer.reserve({
    virtualLinks: [between('duct', 'P', 'Q', { kind: LSP, diverseFrom: [linkName('first')] })],
    validateOnly: true,
  });
  expect(reservation?.virtualLinks[0]?.wires).toEqual([]);
  expect(reservation?.virtualLinks[0]?.shared).toEqual({ wires: 1, machines: 1, riskGroups: 0 });
});

describe('refused', () => {
  const asked = (more: object, a = 'P', b = 'M'): object[] => [between('x', a, b, more)];
  test.each<[string, object[], string]>([
    [
      'all the bandwidth that can be written',
      asked({ kind: LSP, slo: { bitsPerSecond: 2n ** 64n - 1n } }),
      'NO_CAPACITY virtual_links[0].slo.bits_per_second',
    ],
    [
      'a bit more than there is',
      asked({ kind: LSP, slo: { bitsPerSecond: 1000n * MBIT + 1n } }),
      'NO_CAPACITY virtual_links[0].slo.bits_per_second',
    ],
    [
      'a delay no path has',
      asked({ kind: LSP, slo: { delayUs: 1999 } }),
      'NO_PATH virtual_links[0].slo.delay_us',
    ],
    [
      'a loss no path has',
      asked({ kind: LSP, slo: { lossPpm: 19 } }),
      'NO_PATH virtual_links[0].slo.loss_ppm',
    ],
    [
      'an availability no path has',
      asked({ kind: LSP, slo: { availabilityPpm: 1_000_000 } }),
      'NO_PATH virtual_links[0].slo.availability_ppm',
    ],
    ['an MTU too big', asked({ kind: LSP, mtu: 1571 }), 'MTU_TOO_BIG virtual_links[0].mtu'],
    ['an MTU too small', asked({ kind: LSP, mtu: 575 }), 'MTU_TOO_SMALL virtual_links[0].mtu'],
    ['an MTU beyond all', asked({ kind: LSP, mtu: 2 ** 32 - 1 }), 'MTU_TOO_BIG virtual_links[0].mtu'],
    ['a circuit to who is no neighbour', asked({ kind: CIRCUIT }), 'NO_PATH virtual_links[0].kind'],
    [
      'a circuit too narrow',
      asked({ kind: CIRCUIT, slo: { bitsPerSecond: 1000n * MBIT + 1n } }, 'P', 'Q'),
      'NO_CAPACITY virtual_links[0].slo.bits_per_second',
    ],
    [
      'a circuit too slow',
      asked({ kind: CIRCUIT, slo: { delayUs: 999 } }, 'P', 'Q'),
      'NO_PATH virtual_links[0].slo.delay_us',
    ],
    [
      'a circuit with an MTU too big',
      asked({ kind: CIRCUIT, mtu: 1575 }, 'P', 'Q'),
      'MTU_TOO_BIG virtual_links[0].mtu',
    ],
    [
      'too many at once',
      Array.from({ length: 76 }, (_, i) => between(`x${i}`, 'P', 'M', { kind: LSP })),
      'TOO_MANY virtual_links',
    ],
    [
      'an lsp to another provider',
      [
        {
          ...link('P', 'M', { kind: LSP }),
          b: { virtualNode: 'customers/conn/virtualNodes/Z', vif: 'x', provider: 'two' },
        },
      ],
      'KIND_UNAVAILABLE virtual_links[0].kind',
    ],
  ])('%s', async (_, virtualLinks, told) => {
    await leaseNodes();
    expect(await refusal(customer.reserve({ virtualLinks }))).toBe(told);
    expect(await labels()).toEqual([]);
  });
});

test('admitted by the explicit path, wire by wire, in both directions of asking', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP, slo: { bitsPerSecond: 600n * MBIT } }));
  expect((await leased('l')).wires).toEqual(['wires/p-q', 'wires/q-m']);
  await lease(between('k', 'M', 'P', { kind: LSP, slo: { bitsPerSecond: 500n * MBIT } }));
  expect((await leased('k')).wires).toEqual(['wires/a-m', 'wires/p-a']);
  await expect(
    customer.reserve({
      virtualLinks: [between('x', 'P', 'M', { kind: LSP, slo: { bitsPerSecond: 401n * MBIT } })],
    }),
  ).rejects.toThrow(/400000000 would fit/);
  await lease(between('m', 'P', 'M', { kind: LSP, slo: { bitsPerSecond: 400n * MBIT } }));
  expect((await leased('m')).wires).toEqual(['wires/p-q', 'wires/q-m']);
});

test('a wire whose ends nobody has told of takes no labels', async () => {
  const a = agentOf('A');
  await a.stop();
  await until(operator, 'machines/A', (resource) => resource.machine?.status?.state === 'unreachable');
  a.interfaces = a.interfaces.filter(({ name }) => name !== 'to-M');
  await a.start();
  await until(operator, 'machines/A', (resource) => resource.machine?.status?.state === 'ready');
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  expect((await leased('l')).wires).toEqual(['wires/p-q', 'wires/q-m']);
});

test('a neighbour with another MAC address is told of', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  const a = agentOf('A');
  await a.stop();
  a.interfaces = a.interfaces.map((one) => ({ ...one, mac: '02:00:00:00:00:aa' }));
  await a.start();
  const neighbour = (): string | undefined => toldTo('P').find((one) => one.wire)?.wire?.neighbourMac;
  await eventually(() => neighbour() === '02:00:00:00:00:aa', 'P knows');
});

describe('killed, and started again', () => {
  const again = async (): Promise<void> => {
    await one.stop();
    await one.start();
    clientsAnew();
  };

  test('between Reserve and Commit: the same labels; after it: nothing is sent anew', async () => {
    await leaseNodes();
    await customer.reserve({ virtualLinks: [between('l', 'P', 'M', { kind: LSP })], requestId: 'l' });
    const held = await labels();
    expect(held).toHaveLength(4);
    expect(toldTo('A')).toEqual([]);
    await again();
    expect(await labels()).toEqual(held);
    await customer.commit({ name: 'customers/conn/reservations/l' });
    await ready('l');
    const told = toldTo('A');
    expect(walk('P', vifOf('P', 'l'))).toHaveLength(3);
    await again();
    for (const name of MACHINES)
      await until(operator, `machines/${name}`, (resource) => resource.machine?.status?.state === 'ready');
    await lease(between('k', 'P', 'Q', { kind: LSP }));
    expect(toldTo('A')).toEqual(told);
    expect(walk('M', vifOf('M', 'l'))).toHaveLength(3);
  });

  test('a hold that is not committed: its labels are free when it has run out', async () => {
    await leaseNodes();
    await customer.reserve({
      virtualLinks: [between('l', 'P', 'M', { kind: LSP, slo: { bitsPerSecond: MBIT } })],
      requestId: 'l',
      holdSeconds: 10,
    });
    expect(await soldOf('p-a')).toBe(MBIT);
    await one.stop();
    one.clock.pass(10_000);
    await one.start();
    clientsAnew();
    await until(operator, 'wires/p-a', (resource) => resource.wire?.soldAToB === 0n);
    expect(await labels()).toEqual([]);
  });
});

test('grace, suspended, renewed, ended: on the machines between too', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP, term }));
  one.clock.pass(3_600_000);
  await until(
    customer,
    linkName('l'),
    ({ virtualLink }) => virtualLink?.lease === types.LeaseState.LEASE_STATE_GRACE,
  );
  expect(toldTo('A')).toHaveLength(4);
  one.clock.pass(3_600_000);
  await until(
    customer,
    linkName('l'),
    ({ virtualLink }) => virtualLink?.status?.state === 'suspended' && !virtualLink.status.reconciling,
  );
  expect(toldTo('A')).toEqual([]);
  expect((await labels()).map((one) => one.link)).toEqual(Array(4).fill(linkName('l')));
  await customer.renew({ names: [linkName('l')], expireTime: '2026-12-01T12:00:00Z' });
  await ready('l');
  expect(walk('P', vifOf('P', 'l'))).toEqual(['wires/p-a', 'wires/a-m', `M ${vifOf('M', 'l')}`]);
  one.clock.pass(5 * 3_600_000);
  await until(operator, 'wires/p-a', (resource) => resource.wire?.soldAToB === 0n);
  await noLabels();
  expect(toldTo('A')).toEqual([]);
});

test('withdrawn while the machine between does not answer: no label is free before it has forgotten', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  const before = await labels();
  const a = agentOf('A');
  await a.stop();
  await until(operator, 'machines/A', (resource) => resource.machine?.status?.state === 'unreachable');
  await customer.cancel({ name: 'customers/conn/reservations/l' });
  await eventually(() => toldTo('P').length === 1 && toldTo('M').length === 1, 'P and M have forgotten');
  // what A sends with waits for A; what A expects too: it would still lead to where it did
  const waitingFor = async (): Promise<string[]> => (await labels()).map(({ upstream }) => upstream);
  for (let left = await waitingFor(); left.some((one) => one !== 'machines/A'); left = await waitingFor());
  expect((await labels()).map(({ name, label }) => [name, label])).toEqual(
    before.map(({ name, label }) => [name, label]),
  );
  one.clock.pass(1000 * 3_600_000);
  await one.stop();
  await one.start();
  clientsAnew();
  expect(await waitingFor()).toEqual(Array(4).fill('machines/A'));
  // nor may the wire be moved or become a circuit
  expect(await refusal(operator.delete({ names: ['wires/p-a'] }))).toBe('IN_USE names[0]');
  expect(
    await refusal(
      operator.update({
        resources: [wire('P', 'A', { a: { machine: 'machines/P', interface: 'elsewhere' } })],
      }),
    ),
  ).toBe('IN_USE resources[0].wire');
  await a.start();
  await noLabels();
  expect(a.resourcesOf('one')).toEqual([]);
  await operator.delete({ names: ['wires/p-a'] });
});

test('a machine that is gone for good is deleted with its wires, which then wait for nobody', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  await agentOf('A').stop();
  await until(operator, 'machines/A', (resource) => resource.machine?.status?.state === 'unreachable');
  const gone = { names: ['wires/p-a', 'wires/a-m', 'wires/a-q', 'machines/A'] };
  expect(await refusal(operator.delete(gone))).toBe('IN_USE names[0]');
  // nor while P may still send to it
  const p = agentOf('P');
  await p.stop();
  await until(operator, 'machines/P', (resource) => resource.machine?.status?.state === 'unreachable');
  await customer.cancel({ name: 'customers/conn/reservations/l' });
  await eventually(() => toldTo('M').length === 1, 'M has forgotten');
  expect(await refusal(operator.delete(gone))).toBe('IN_USE names[0]');
  await p.start();
  for (let left = await labels(); left.some((one) => one.upstream !== 'machines/A'); left = await labels());
  await operator.delete(gone);
  expect(await labels()).toEqual([]);
});

test('a wire that labels may still come by becomes no circuit', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'Q', { kind: LSP, slo: { delayUs: 1000 } }));
  const q = agentOf('Q');
  await q.stop();
  await until(operator, 'machines/Q', (resource) => resource.machine?.status?.state === 'unreachable');
  await customer.cancel({ name: 'customers/conn/reservations/l' });
  const circuit = between('c', 'P', 'Q', { kind: CIRCUIT });
  expect(await refusal(customer.reserve({ virtualLinks: [circuit] }))).toBe(
    'NO_CAPACITY virtual_links[0].kind',
  );
  await q.start();
  await noLabels();
  await lease(circuit);
});

test('a lease is ready when the machine between has its labels too', async () => {
  await leaseNodes();
  const a = agentOf('A');
  await a.stop();
  await until(operator, 'machines/A', (resource) => resource.machine?.status?.state === 'unreachable');
  await customer.reserve({ virtualLinks: [between('l', 'P', 'M', { kind: LSP })], requestId: 'l' });
  await customer.commit({ name: 'customers/conn/reservations/l' });
  await eventually(() => [toldTo('P'), toldTo('M')].every((told) => told.length === 4), 'both ends have it');
  // what is said of another lease comes after what is said of this one
  await lease(between('k', 'P', 'Q', { kind: LSP, slo: { delayUs: 1000 } }));
  expect((await customer.get({ name: linkName('l') })).resource?.virtualLink?.status).toMatchObject({
    state: 'pending',
    reconciling: true,
  });
  await a.start();
  await ready('l');
  expect(walk('P', vifOf('P', 'l'))).toEqual(['wires/p-a', 'wires/a-m', `M ${vifOf('M', 'l')}`]);
});

test('more lsps at once than a commit of the store takes end all the same', { timeout: 60_000 }, async () => {
  await operator.update({
    resources: ['P', 'M'].map((id, i) =>
      one.machine(id, 2 * i + 1, { capacity: { cpuMillis: 1000, vifs: 100_000 } }),
    ),
  });
  await customer.reserve({
    virtualNodes: ['P', 'M'].map((id) => node(id, { term, share: { vifs: 1000 } })),
    requestId: 'nodes',
  });
  await customer.commit({ name: 'customers/conn/reservations/nodes' });
  for (let part = 0; part < 4; part++) {
    const virtualLinks = Array.from({ length: 75 }, (_, i) =>
      between(`l${part}-${i}`, 'P', 'M', { kind: LSP, term }),
    );
    await customer.reserve({ virtualLinks, requestId: `links${part}` });
    await customer.commit({ name: `customers/conn/reservations/links${part}` });
  }
  await eventually(() => toldTo('A').length === 2 + 600, 'all swaps are there');
  one.clock.pass(3 * 3_600_000);
  await eventually(() => toldTo('A').length === 0 && toldTo('P').length === 0, 'all are gone');
  await noLabels();
  expect((await operator.list({ collection: 'customers/-/virtualLinks' })).resources).toEqual([]);
});

test('a machine that has booted has forgotten', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  const a = agentOf('A');
  await a.stop();
  await until(operator, 'machines/A', (resource) => resource.machine?.status?.state === 'unreachable');
  await customer.cancel({ name: 'customers/conn/reservations/l' });
  await a.reboot();
  await noLabels();
});

test('what the machine between refuses is told, and nothing of the provider’s inside', async () => {
  agentOf('A').refuse = ({ resources }) => {
    const index = resources.findIndex((one) => one.wire);
    return index < 0
      ? undefined
      : failedPrecondition({
          reason: 'NOT_UNDERLAY',
          field: `resources[${index}].wire.interface`,
          message: 'to-P is not among this machine’s underlay interfaces',
        });
  };
  await leaseNodes();
  await customer.reserve({
    virtualLinks: [between('l', 'P', 'M', { kind: LSP }), between('k', 'P', 'Q', { kind: LSP })],
    requestId: 'l',
  });
  await customer.commit({ name: 'customers/conn/reservations/l' });
  const told = await until(
    customer,
    linkName('l'),
    ({ virtualLink }) => virtualLink?.status?.state === 'refused',
  );
  expect(told.virtualLink?.status?.message).toMatch(/^A machine on its way cannot use a wire for it now/);
  await ready('k');
  agentOf('A').refuse = () => undefined;
  await ready('l');
});

test.each<[string, object[], string]>([
  ['narrower than is sold', [wire('P', 'Q', { metric: 2, bitsPerSecond: 1n })], 'IN_USE resources'],
  ['slower than was promised', [wire('P', 'Q', { metric: 2, delayUs: 2001 })], 'IN_USE resources'],
  ['too small for its frames', [wire('P', 'Q', { metric: 2, mtu: 1529 })], 'IN_USE resources'],
  [
    'elsewhere',
    [wire('P', 'Q', { metric: 2, b: { machine: 'machines/A', interface: 'to-X' } })],
    'IN_USE resources[0].wire',
  ],
])('a wire that an lsp passes does not become %s', async (_, resources, told) => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP, slo: { bitsPerSecond: MBIT, delayUs: 3000 } }));
  expect(await refusal(operator.update({ resources }))).toBe(told);
  // and what it can become is told of
  await operator.update({ resources: [wire('P', 'Q', { metric: 20, delayUs: 1500 })] });
  expect(await leased('l')).toMatchObject({ wires: ['wires/p-q', 'wires/q-m'], achieved: { delayUs: 2500 } });
});
