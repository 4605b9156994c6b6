/*
 * What a tenant bought of a machine's tables: its Apply is refused beyond it, by name; what its namespace's kernel has
 * beyond it is left out, counted, and taken in when there is room; and the others keep theirs.
 */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiError } from '../../src/api/errors.js';
import { type Agent } from '../../src/node/agent.js';
import { listVirtualNodes } from '../../src/node/rpc/virtual-nodes.js';
import {
  addMachine,
  addStation,
  address,
  apply,
  deliver,
  ip,
  link,
  node,
  port,
  type Resource,
  route,
  startAgent,
  sweep,
  until,
  vifName,
} from './machines.js';

let agent: Agent;

type Limits = Readonly<
  Partial<Record<'routes' | 'neighbours' | 'addresses' | 'labels' | 'vifsAbove', number>>
>;

function limited(vn: string, limits: Limits, source = 1): Resource {
  const { virtualNode } = node(vn, 'R', vn, source);
  return { virtualNode: { ...virtualNode, limits } };
}

/** Everything of `conn`: two nodes whose tenants write routes, one whose kernel does. */
function sold(limits: Limits, kernel: Limits = limits): Resource[] {
  return [
    limited('iptv', limits),
    port('iptv/R/station', 'st-hr'),
    limited('games', {}),
    port('games/R/station', 'st-gr'),
    limited('daemon', kernel, 2),
    port('daemon/R/station', 'st-dr'),
  ];
}

const routes = (vn: string, count: number): Resource[] => [
  address(`${vn}/R/station`, '10.0.1.1/24'),
  ...Array.from({ length: count }, (_, i) =>
    route(`${vn}/R`, `20.0.${i}.0/24`, ['station', `10.0.1.${2 + (i % 100)}`]),
  ),
];

async function refusal(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => new Error('accepted'),
    (thrown: unknown) => thrown,
  );
  return error instanceof ApiError ? `${error.reason} ${error.field}: ${error.message}` : String(error);
}

function state(vn: string) {
  const { virtualNodes = [] } = listVirtualNodes(agent, { pageSize: 0, pageToken: '' });
  const found = virtualNodes?.find((one) => one.virtualNode?.name === `vns/${vn}/nodes/R`);
  if (!found) throw new Error(`no ${vn}`);
  return found;
}

/** In the namespace of a node: one `ip` for all lines. */
function batch(vn: string, lines: readonly string[]): void {
  const namespace = agent.nodes.get(`vns/${vn}/nodes/R`)?.namespace ?? '';
  execFileSync('ip', ['-n', namespace, '-force', '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

beforeAll(async () => {
  sweep();
  addMachine('R', '100.127.0.1', 'fd64:ffff::1');
  for (const station of ['hr', 'gr', 'dr']) addStation('R', station, `st-${station}`, ['10.0.1.2/24']);
  agent = await startAgent('R', { capacities: { chunks: 4096, nextHops: 4096 } });
  await apply(agent, 'conn', sold({}));
});

afterAll(async () => {
  await agent?.close();
  sweep();
});

test('routes and addresses: as many as were leased, and not one more', async () => {
  await apply(agent, 'conn', sold({ routes: 5, addresses: 2 }));
  await apply(agent, 'iptv', routes('iptv', 5));
  expect(await refusal(apply(agent, 'iptv', routes('iptv', 6)))).toMatch(
    /^QUOTA_EXCEEDED resources\[6\]\.route: .*vns\/iptv\/nodes\/R has 5 routes.*and 6 or more are wanted/,
  );
  const addresses = (count: number): Resource[] =>
    Array.from({ length: count }, (_, i) => address('iptv/R/station', `10.${i}.1.1/24`));
  await apply(agent, 'iptv', addresses(2));
  expect(await refusal(apply(agent, 'iptv', addresses(3)))).toMatch(
    /^QUOTA_EXCEEDED resources\[2\]\.address: .* has 2 addresses/,
  );
  // another tenant's are not counted with them
  await apply(agent, 'games', routes('games', 50));
  // a limit below what is used cuts nothing; the tenant's next Apply must fit
  await apply(agent, 'iptv', routes('iptv', 5));
  await apply(agent, 'conn', sold({ routes: 3 }));
  expect(state('iptv').ipv4Routes).toBeGreaterThan(5);
  expect(await refusal(apply(agent, 'iptv', routes('iptv', 5)))).toMatch(/^QUOTA_EXCEEDED/);
  await apply(agent, 'iptv', routes('iptv', 3));
});

test('labels, and vifs of the layer above', async () => {
  const above = (vifs: number, labels: number): Resource[] => [
    node('nested', 'R', 'nobody'),
    ...Array.from({ length: vifs }, (_, i) =>
      link(`nested/R/v${i}`, { vif: 'under/R/a', label: 100 + i }, { mtu: 1000 }),
    ),
    ...Array.from({ length: labels }, (_, i) => deliver({ vif: 'under/R/a', label: 200 + i }, 'nested/R/v0')),
  ];
  const lower = (limits: Limits): Resource[] => [
    { tunnel: { name: 'tunnels/t', localAddress: '100.127.0.1', remoteAddress: '100.127.0.2' } },
    { virtualNode: { ...node('under', 'R', 'leaser').virtualNode, limits } },
    link('under/R/a', { tunnel: 't', label: 99 }, { mtu: 1100 }),
    link('under/R/b', { tunnel: 't', label: 98 }, { mtu: 1100 }),
  ];
  await apply(agent, 'one', lower({ labels: 3, vifsAbove: 2 }));
  await apply(agent, 'leaser', above(2, 3));
  expect(state('under')).toMatchObject({ labels: 3, vifsAbove: 2 });
  expect(await refusal(apply(agent, 'leaser', above(3, 3)))).toMatch(
    /^QUOTA_EXCEEDED resources\[3\]\.vif: .*vns\/under\/nodes\/R has 2 vifs carried over its vifs/,
  );
  expect(await refusal(apply(agent, 'leaser', above(2, 4)))).toMatch(
    /^QUOTA_EXCEEDED resources\[6\]\.label: .* has 3 labels/,
  );
  await apply(agent, 'one', lower({ labels: 4, vifsAbove: 3 }));
  await apply(agent, 'leaser', above(3, 4));
  await apply(agent, 'leaser', []);
  await apply(agent, 'one', []);
});

test('routes of a daemon: what is too many is left out, counted, and taken in when there is room', async () => {
  await apply(agent, 'conn', sold({}, { routes: 40 }));
  await apply(agent, 'daemon', [address('daemon/R/station', '10.0.1.1/24')]);
  const kernel = (verb: string, from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, i) => {
      const n = from + i;
      return `route ${verb} 30.${n >> 8}.${n & 255}.0/24 via 10.0.1.2`;
    });
  batch('daemon', kernel('add', 0, 1000));
  // 39 and the connected prefix; a local address and a neighbour besides
  await until('960 are left out', () => state('daemon').routesLeftOut === 961);
  expect(state('daemon').ipv4Routes).toBeLessThan(45);
  batch('daemon', kernel('delete', 0, 500));
  await until('500 of the rest are', () => state('daemon').routesLeftOut === 461);
  await until('the tables are full again', () => (state('daemon').ipv4Routes ?? 0) >= 40);
  await apply(agent, 'conn', sold({}, { routes: 200 }));
  await until('there is room for more', () => state('daemon').routesLeftOut === 301);
  await until('which are in the tables', () => (state('daemon').ipv4Routes ?? 0) >= 200);
  await apply(agent, 'conn', sold({}, { routes: 10 }));
  await until('and for fewer', () => state('daemon').routesLeftOut === 491);
  await until('which are gone from the tables', () => (state('daemon').ipv4Routes ?? 0) < 15);
  await apply(agent, 'conn', sold({}));
  await until('none is left out', () => state('daemon').routesLeftOut === 0);
  batch('daemon', kernel('delete', 500, 1000));
}, 30_000);

test('neighbours and addresses of a namespace', async () => {
  const neighbours = (verb: string, from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, i) => {
      const mac =
        verb === 'delete'
          ? ''
          : ` lladdr 02:00:00:00:${(from + i)
              .toString(16)
              .padStart(4, '0')
              .replace(/(..)(..)/, '$1:$2')} nud permanent`;
      return `neigh ${verb} 10.0.1.${10 + from + i}${mac} dev station`;
    });
  await apply(agent, 'conn', sold({}, { neighbours: 20, addresses: 4 }));
  batch('daemon', neighbours('replace', 0, 200));
  await until('180 are left out', () => (state('daemon').neighboursLeftOut ?? 0) >= 180);
  expect(state('daemon').neighbours).toBe(20);
  batch('daemon', neighbours('delete', 0, 100));
  await until('fewer are', () => (state('daemon').neighboursLeftOut ?? 999) <= 85);
  await until('the tables are full again', () => state('daemon').neighbours === 20);
  await apply(agent, 'conn', sold({}, { neighbours: 60, addresses: 4 }));
  await until('there is room for more', () => state('daemon').neighbours === 60);
  await apply(agent, 'conn', sold({}, { neighbours: 5, addresses: 4 }));
  await until('and for fewer', () => state('daemon').neighbours === 5);
  batch('daemon', neighbours('delete', 100, 200));

  batch(
    'daemon',
    Array.from({ length: 50 }, (_, i) => `address add 40.0.${i}.1/32 dev lo`),
  );
  await until('addresses are left out', () => state('daemon').addressesLeftOut === 47);
  batch('daemon', ['address flush dev lo scope global']);
  await until('none is', () => state('daemon').addressesLeftOut === 0);
}, 30_000);

test('a flood of routes and neighbours in a namespace: the other tenant gets what it bought, and the agent answers', async () => {
  await apply(agent, 'conn', sold({ routes: 200 }, { routes: 100, neighbours: 50 }));
  const flood = [
    ...Array.from({ length: 30_000 }, (_, i) => `route add 50.${i >> 8}.${i & 255}.7/32 via 10.0.1.2`),
    ...Array.from(
      { length: 30_000 },
      (_, i) => `neigh replace 60.${i >> 8}.${i & 255}.1 lladdr 02:00:00:00:00:01 nud permanent dev station`,
    ),
  ];
  batch('daemon', flood);
  await apply(agent, 'iptv', routes('iptv', 200));
  expect(state('iptv').ipv4Routes).toBeGreaterThanOrEqual(200);
  await until('what is too many is counted', () => (state('daemon').routesLeftOut ?? 0) > 20_000);
  await until('neighbours too', () => (state('daemon').neighboursLeftOut ?? 0) > 20_000);
  expect(state('daemon').ipv4Routes).toBeLessThanOrEqual(100 + 50 + 5);
  const use = agent.plane.use().find(({ table }) => table === 'chunks');
  expect(use?.used).toBeLessThan(3 * (200 + 100 + 50 + 100));
  ip('-n', agent.nodes.get('vns/daemon/nodes/R')?.namespace ?? '', 'link', 'set', 'station', 'down');
  await until('all of it is gone with the link', () => (state('daemon').ipv4Routes ?? 999) < 10);
}, 240_000);

test('limits outlive the agent', async () => {
  await agent.close();
  agent = await startAgent('R');
  expect(state('iptv').virtualNode?.limits).toMatchObject({ routes: 200, neighbours: 0 });
  expect(await refusal(apply(agent, 'iptv', routes('iptv', 201)))).toMatch(/^QUOTA_EXCEEDED/);
  expect(vifName('iptv/R/station')).toBeTruthy();
});
