/*
 * An infrastructure provider over three real agents, P - Q - M in network namespaces: nodes at P and M are leased with a
 * link between them, and pings cross it, as long as the lease is there.
 */
import { existsSync } from 'node:fs';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { conn, eventually, link, local, node, Provider, until, wire } from '../infrastructure/provider.js';
import { inside, ip, netns, sweep } from '../node/machines.js';
import { buildThree, MACHINES } from '../node/three.js';
import { ServedAgents } from './served.js';

const one = new Provider();
const agents = new ServedAgents();

beforeAll(async () => {
  sweep();
  buildThree();
  // P and M know one another by way of Q, whose kernel forwards
  for (const [at, to, via, via6] of [
    ['P', 3, '100.64.0.1', 'fd64::1'],
    ['M', 1, '100.64.0.2', 'fd64::2'],
  ] as const) {
    ip('-n', netns(at), 'route', 'add', `100.127.0.${to}/32`, 'via', via);
    ip('-n', netns(at), '-6', 'route', 'add', `fd64:ffff::${to}/128`, 'via', via6);
  }
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

test('leased nodes reach one another over a leased link', { timeout: 60_000 }, async () => {
  const operator = one.as(local);
  await operator.update({
    resources: [
      one.machine('P', 1, { ports: ['st-hp'] }),
      one.machine('Q', 2, { ports: [] }),
      one.machine('M', 3, { ports: ['st-hm'] }),
      wire('P', 'Q'),
      wire('Q', 'M'),
      { customer: { name: 'customers/conn' } },
    ],
  });
  for (const name of MACHINES)
    await until(operator, `machines/${name}`, (resource) => resource.machine?.status?.state === 'ready');
  const customer = one.as(conn);
  const asked = {
    virtualNodes: [node('P'), node('M')],
    virtualLinks: [
      link('P', 'M', { slo: { bitsPerSecond: 1_000_000n } }),
      {
        ...link('P', 'M', { tunnelFamily: 6 }),
        name: 'customers/conn/virtualLinks/six',
        a: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'six' },
        b: { virtualNode: 'customers/conn/virtualNodes/M', vif: 'six' },
      },
    ],
    requestId: 'r',
  };
  await customer.reserve(asked);
  await customer.commit({ name: 'customers/conn/reservations/r' });
  for (const id of ['P-M', 'six'])
    await until(
      customer,
      `customers/conn/virtualLinks/${id}`,
      (resource) => resource.virtualLink?.status?.state === 'ready',
    );
  for (const [id, to, host] of [
    ['P', 'M', 0],
    ['M', 'P', 1],
  ] as const) {
    await customer.apply([
      { begin: { virtualNode: `customers/conn/virtualNodes/${id}`, epoch: 1 } },
      {
        resources: {
          resources: [
            { address: { vif: `vns/conn/nodes/${id}/vifs/to${to}`, prefix: `10.9.0.${host}/31` } },
            { address: { vif: `vns/conn/nodes/${id}/vifs/six`, prefix: `fd09::${host}/127` } },
          ],
        },
      },
      { commit: { resourceCount: 2 } },
    ]);
  }
  const p = `P.conn.P`;
  expect(ping(p, '10.9.0.1')).toBe(true);
  expect(ping(p, 'fd09::1')).toBe(true);

  // the controller dies: nothing is lost, and it picks up where it was
  await one.stop();
  expect(ping(p, '10.9.0.1')).toBe(true);
  await one.start();
  const again = one.as(conn);
  await until(one.as(local), 'machines/M', (resource) => resource.machine?.status?.state === 'ready');
  expect(ping(p, '10.9.0.1')).toBe(true);

  // the lease ends, and nothing of it stays on the machines
  await again.cancel({ name: 'customers/conn/reservations/r' });
  await eventually(
    () => !existsSync(`/run/netns/${netns(p)}`) && !existsSync(`/run/netns/${netns('M.conn.M')}`),
    'the nodes are gone',
  );
  const labels = async (): Promise<number> =>
    (await one.as(local).list({ collection: 'machines/-/labels' })).resources.length;
  for (let left = await labels(); left > 0; left = await labels());
  expect((await one.as(local).get({ name: 'wires/p-q' })).resource?.wire?.soldAToB).toBe(0n);
});
