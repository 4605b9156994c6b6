/*
 * An infrastructure provider over three real agents, P - Q - M in network namespaces, and a second wire between P and Q: an
 * lsp from P to M, which Q switches and has no virtual node for, and a circuit on the second wire. No machine has a route to
 * another's addresses, so that no tunnel can carry the pings.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { types } from '../../src/api/types.js';
import { conn, link, local, node, Provider, until, wire } from '../infrastructure/provider.js';
import { addMachine, addWire, inside, ip, netns, sweep } from '../node/machines.js';
import { MACHINES } from '../node/three.js';
import { ServedAgents } from './served.js';

const one = new Provider();
const agents = new ServedAgents();

beforeAll(async () => {
  sweep();
  for (const [i, name] of MACHINES.entries()) addMachine(name, `100.127.0.${i + 1}`, `fd64:ffff::${i + 1}`);
  addWire('P', 'Q', 0);
  addWire('Q', 'M', 1);
  addWire('P', 'Q', 2, 1600, '-2');
  await agents.start(one.folder, MACHINES);
  await one.start();
});

afterAll(async () => {
  await one.end();
  await agents.close();
  sweep();
});

const ping = (from: string, to: string): boolean =>
  inside(netns(from), 'ping', '-c', '3', '-i', '0.05', '-W', '1', to).status === 0;

const ready = (id: string): Promise<unknown> =>
  until(
    one.as(conn),
    `customers/conn/virtualLinks/${id}`,
    ({ virtualLink }) => virtualLink?.status?.state === 'ready' && !virtualLink.status.reconciling,
  );

test('an lsp over a machine in between, and a circuit: pings cross both', { timeout: 90_000 }, async () => {
  const operator = one.as(local);
  const second = {
    name: 'wires/p-q-2',
    a: { machine: 'machines/P', interface: 'to-Q-2' },
    b: { machine: 'machines/Q', interface: 'to-P-2' },
    metric: 100,
  };
  await operator.update({
    resources: [
      ...MACHINES.map((name, i) => one.machine(name, i + 1, { ports: [] })),
      // its bypass would be the second wire, which is to be a circuit's
      wire('P', 'Q', { unprotected: true }),
      wire('Q', 'M'),
      wire('P', 'Q', second),
      { customer: { name: 'customers/conn' } },
      { customer: { name: 'customers/other' } },
    ],
  });
  for (const name of MACHINES)
    await until(operator, `machines/${name}`, (resource) => resource.machine?.status?.state === 'ready');
  const customer = one.as(conn);
  // the customer of the lsp has nothing at Q; the circuit is another's, who has
  await customer.reserve({
    virtualNodes: [node('P'), node('M')],
    virtualLinks: [
      link('P', 'M', { kind: types.LinkKind.LINK_KIND_LSP, mtu: 1570, slo: { bitsPerSecond: 1_000_000n } }),
    ],
    requestId: 'lsp',
  });
  await customer.commit({ name: 'customers/conn/reservations/lsp' });
  await ready('P-M');
  const other = one.as({ role: 'connectivity', name: 'other' });
  const end = (id: string): object => ({ virtualNode: `customers/other/virtualNodes/${id}`, vif: 'c' });
  await other.reserve({
    virtualNodes: ['P', 'Q'].map((id) => ({
      name: `customers/other/virtualNodes/${id}`,
      offer: `offers/${id}`,
      node: `vns/other/nodes/${id}`,
    })),
    virtualLinks: [
      {
        name: 'customers/other/virtualLinks/c',
        a: end('P'),
        b: end('Q'),
        kind: types.LinkKind.LINK_KIND_CIRCUIT,
        mtu: 1574,
      },
    ],
    requestId: 'c',
  });
  await other.commit({ name: 'customers/other/reservations/c' });
  await until(
    other,
    'customers/other/virtualLinks/c',
    ({ virtualLink }) => virtualLink?.status?.state === 'ready' && !virtualLink.status.reconciling,
  );
  const wiresOf = async (name: string): Promise<readonly string[] | undefined> =>
    (await operator.get({ name })).resource?.virtualLink?.wires;
  expect(await wiresOf('customers/conn/virtualLinks/P-M')).toEqual(['wires/p-q', 'wires/q-m']);
  expect(await wiresOf('customers/other/virtualLinks/c')).toEqual(['wires/p-q-2']);

  for (const [client, name, at, vif, host] of [
    [customer, 'conn', 'P', 'toM', '10.9.0.0'],
    [customer, 'conn', 'M', 'toP', '10.9.0.1'],
    [other, 'other', 'P', 'c', '10.9.0.2'],
    [other, 'other', 'Q', 'c', '10.9.0.3'],
  ] as const)
    await client.apply([
      { begin: { virtualNode: `customers/${name}/virtualNodes/${at}`, epoch: 1 } },
      {
        resources: {
          resources: [{ address: { vif: `vns/${name}/nodes/${at}/vifs/${vif}`, prefix: `${host}/31` } }],
        },
      },
      { commit: { resourceCount: 1 } },
    ]);
  expect(ping('P.conn.P', '10.9.0.1')).toBe(true);
  expect(ping('M.conn.M', '10.9.0.0')).toBe(true);
  expect(ping('P.other.P', '10.9.0.3')).toBe(true);
  expect(ping('Q.other.Q', '10.9.0.2')).toBe(true);
  // whole frames of both sizes that were sold
  const whole = (from: string, size: number, to: string): number =>
    inside(netns(from), 'ping', '-c', '1', '-W', '1', '-M', 'do', '-s', String(size - 28), to).status;
  expect(whole('P.conn.P', 1570, '10.9.0.1')).toBe(0);
  expect(whole('P.other.P', 1574, '10.9.0.3')).toBe(0);

  // a cut of the second wire ends the circuit and nothing else
  ip('-n', netns('Q'), 'link', 'set', 'to-P-2', 'down');
  expect(ping('P.other.P', '10.9.0.3')).toBe(false);
  expect(ping('P.conn.P', '10.9.0.1')).toBe(true);
  ip('-n', netns('Q'), 'link', 'set', 'to-P-2', 'up');
  const q = agents.get('Q');
  for (let up = false; !up; await new Promise(setImmediate))
    up = q.wires.get('wires/p-q-2')?.condition === 'up';

  // the controller dies: nothing is lost, and it picks up where it was
  await one.stop();
  expect(ping('P.conn.P', '10.9.0.1')).toBe(true);
  await one.start();
  await until(one.as(local), 'machines/Q', (resource) => resource.machine?.status?.state === 'ready');
  expect(ping('P.conn.P', '10.9.0.1')).toBe(true);

  // the lsp ends, and the circuit goes on; nothing of the lsp stays at Q
  await one.as(conn).cancel({ name: 'customers/conn/reservations/lsp' });
  const labels = async (): Promise<number> =>
    (await one.as(local).list({ collection: 'machines/-/labels' })).resources.length;
  for (let left = await labels(); left > 2; left = await labels());
  expect([...q.wires.all].map(({ intent }) => intent.name)).toEqual(['wires/p-q-2']);
  for (let tries = 0; !ping('P.other.P', '10.9.0.3'); tries++) expect(tries).toBeLessThan(20);
  expect((await one.as(local).get({ name: 'wires/p-q' })).resource?.wire?.soldAToB).toBe(0n);
});
