import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inside, netns, sweep, until } from './machines.js';
import { applyTo, client, end, endAll, start } from './processes.js';
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

/** Echo requests every 5 ms for five seconds; sent and received. */
async function stream(target: string): Promise<{ sent: number; received: number }> {
  const command = ['ping', '-i', '0.005', '-c', '1000', '-q', '-W', '1', target];
  const child = spawn('nsenter', [`--net=/run/netns/${netns('st.hp')}`, '--', ...command]);
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  await once(child, 'close');
  const match = /(\d+) packets transmitted, (\d+) received/.exec(output);
  return { sent: Number(match?.[1]), received: Number(match?.[2]) };
}

test('killed agents forward on, and new ones take over without a packet lost', async () => {
  expect(inside(netns('st.hp'), 'ping', '-c', '2', '10.0.3.2').status).toBe(0);
  expect(inside(netns('st.hp'), 'ping', '-c', '2', 'fd00:0:0:3::2').status).toBe(0);
  const before = (await client('P').listRoutes({ node: 'vns/iptv/nodes/P' })).routes;
  const streams = [stream('10.0.3.2'), stream('fd00:0:0:3::2')];
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
  expect(await Promise.all(streams)).toEqual([
    { sent: 1000, received: 1000 },
    { sent: 1000, received: 1000 },
  ]);
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
