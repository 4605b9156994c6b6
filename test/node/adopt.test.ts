import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  address,
  deliver,
  inside,
  ip,
  link,
  netns,
  node,
  type Resource,
  route,
  stream,
  sweep,
  tunnel,
  until,
} from './machines.js';
import { applyTo, client, end, endAll, start, startAgain } from './processes.js';
import { buildThree, MACHINES, OWNERS, three } from './three.js';

beforeAll(async () => {
  sweep();
  buildThree();
  await Promise.all(MACHINES.map(start));
  const wanted = three(4);
  for (const owner of OWNERS) {
    for (const name of MACHINES) await applyTo(name, owner, wanted[name][owner] ?? []);
  }
});

afterAll(async () => {
  await endAll();
  sweep();
});

test('killed agents forward on, and new ones take over without a packet lost', async () => {
  expect(inside(netns('st.hp'), 'ping', '-c', '2', '10.0.3.2').status).toBe(0);
  expect(inside(netns('st.hp'), 'ping', '-c', '2', 'fd00:0:0:3::2').status).toBe(0);
  const before = (await client('P').listRoutes({ node: 'vns/iptv/nodes/P' })).routes;
  let over = false;
  // two of each family, so that where one begins anew the other goes on
  const streams = ['10.0.3.2', 'fd00:0:0:3::2', '10.0.3.2', 'fd00:0:0:3::2'].map(async (target, i) => {
    let lost = 0;
    let sent = 0;
    while (!over) {
      const part = await stream('hp', target, i < 2 ? 150 : 190);
      lost += part.sent - part.received;
      sent += part.sent;
    }
    return { lost, enough: sent > 100 };
  });
  await Promise.all(MACHINES.map((name) => end(name, 'SIGKILL')));
  await Promise.all(MACHINES.map(start));
  const wanted = three(4);
  const after = (await client('P').listRoutes({ node: 'vns/iptv/nodes/P' })).routes;
  expect(after).toEqual(before);
  const machine = await client('P').getMachine({});
  expect(machine.owners.map(({ owner, resources }) => [owner, resources]).sort()).toEqual([
    ['conn', 4],
    ['iptv', 6],
    ['one', 4],
  ]);
  for (const owner of OWNERS) {
    for (const name of MACHINES) {
      const resources = wanted[name][owner] ?? [];
      const counts = await applyTo(name, owner, resources);
      expect(counts).toMatchObject({ created: 0, updated: 0, deleted: 0, unchanged: resources.length });
    }
  }
  over = true;
  for (const result of await Promise.all(streams)) expect(result).toEqual({ lost: 0, enough: true });
});

test('a second agent on the same data plane is refused, and harms nobody', async () => {
  const { status, stderr } = await startAgain('M');
  expect(status).not.toBe(0);
  expect(stderr).toContain('another agent runs the data plane');
  expect(inside(netns('st.hp'), 'ping', '-c', '2', '10.0.3.2').status).toBe(0);
});

test('what was pinned is swept by the owner, and the end leaves nothing half', async () => {
  expect(await end('P', 'SIGTERM')).toBe(0);
  await start('P');
  const states = async (): Promise<string[]> =>
    (await client('P').listVifs({})).vifs.map(({ vif, state }) => `${vif?.name} ${state}`);
  await until('every vif is up again', async () => (await states()).every((state) => state.endsWith(' up')));
  for (const owner of OWNERS.toReversed()) await applyTo('P', owner, []);
  expect(await states()).toEqual([]);
  const { tables } = await client('P').getMachine({});
  await until('every id is given back', async () => {
    const { tables: now } = await client('P').getMachine({});
    return now.every(({ table, used }) => used === 0n || table === 'names');
  });
  expect(tables.length).toBeGreaterThan(5);
});

test('an Apply that is cut short at any moment is whole after the next', async () => {
  const vifs = 30;
  const wanted: Resource[] = [
    tunnel('big', '100.127.0.2', '100.127.0.9'),
    node('big', 'Q', 'big'),
    ...Array.from({ length: vifs }, (_, i) => link(`big/Q/v${i}`, { tunnel: 'big', label: 100 + i })),
    ...Array.from({ length: vifs }, (_, i) => deliver({ tunnel: 'big', label: 100 + i }, `big/Q/v${i}`)),
    ...Array.from({ length: vifs }, (_, i) => address(`big/Q/v${i}`, `10.40.${i}.1/24`)),
    ...Array.from({ length: 500 }, (_, i) =>
      route('big/Q', `10.${41 + (i >> 8)}.${i & 255}.0/24`, [`v${i % vifs}`, `10.40.${i % vifs}.2`]),
    ),
  ];
  const free = async (): Promise<unknown> => {
    const { tables } = await client('Q').getMachine({});
    return tables.filter(({ table }) => table !== 'names').map(({ table, used }) => [table, used]);
  };
  const before = await free();
  for (const moment of [20, 80, 160, 320]) {
    const cut = applyTo('Q', 'big', wanted).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, moment));
    await end('Q', 'SIGKILL');
    await cut;
    await start('Q');
    const counts = await applyTo('Q', 'big', wanted);
    expect(counts.created + counts.updated + counts.unchanged).toBe(wanted.length);
    const { vifs: rows } = await client('Q').listVifs({ node: 'vns/big/nodes/Q' });
    expect(rows).toHaveLength(vifs);
    for (const row of rows) expect(row.state).toMatch(/^tunnels\/big: no route$/);
    const { routes } = await client('Q').listRoutes({ node: 'vns/big/nodes/Q' });
    expect(routes.filter(({ source }) => source === 'controller')).toHaveLength(500);
    const installed = ip('-n', `${netns('Q')}.big.Q`, 'route', 'show', 'proto', '202')
      .trim()
      .split('\n');
    expect(installed).toHaveLength(500);
    if (moment !== 80) await applyTo('Q', 'big', []);
  }
  const { findings } = await client('Q').diagnose({});
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  await until(
    'all is given back',
    async () => JSON.stringify(await free(), text) === JSON.stringify(before, text),
  );
  expect(readdirSync('/run/netns').filter((name) => name.startsWith(`${netns('Q')}.big`))).toEqual([]);
  const ends = JSON.parse(ip('-n', netns('Q'), '-j', 'link')) as { ifname: string }[];
  expect(ends.filter(({ ifname }) => ifname.startsWith('cv'))).toHaveLength(2);
});

function text(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
