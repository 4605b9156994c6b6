/*
 * A world for jumbo frames: what a station sends in one packet of 9000 bytes crosses all layers whole; and a data plane
 * is wholly of one build or the other.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DataPlane } from '../../src/dataplane/index.js';
import { agentsOf } from '../../src/world/agents.js';
import { example, World } from '../support/worlds.js';

const yaml = example('three')
  .replace(/^name: .*$/m, 'name: jumbo\njumbo: true')
  .replace('{ a: P, b: Q }\n  - { a: Q, b: M }', '{ a: P, b: Q, mtu: 9300 }\n  - { a: Q, b: M, mtu: 9300 }')
  .replace('via: [Q] }', 'via: [Q], mtu: 9000 }')
  .replaceAll(/::2\/64'\] \}/g, "::2/64'], mtu: 9000 }");

let world: World;
beforeAll(() => {
  world = World.up(yaml);
}, 120_000);
afterAll(() => {
  world?.down();
}, 60_000);

test('a packet of 9000 bytes, not to be fragmented, in both families', () => {
  for (const [to, headers] of [
    ['10.0.3.2', 28],
    ['fd00:0:0:3::2', 48],
  ] as const) {
    world.ping('iptv/hp', to, 1);
    const size = String(9000 - headers);
    const { stdout } = world.exec(
      'iptv/hp',
      'ping',
      '-n',
      '-M',
      'do',
      '-c',
      '3',
      '-i',
      '0.05',
      '-s',
      size,
      to,
    );
    expect(stdout, to).toContain('3 received');
  }
});

test('one byte more is told by the router, and small ones still cross', () => {
  const { stdout } = world.exec(
    'iptv/hp',
    'ping',
    '-n',
    '-M',
    'do',
    '-c',
    '1',
    '-W',
    '1',
    '-s',
    '8973',
    '10.0.3.2',
  );
  expect(stdout).toContain('0 received');
  expect(world.ping('iptv/hp', '10.0.3.2').received).toBe(3);
});

test('TCP with large segments arrives as it was sent', async () => {
  const server = world.start(
    'iptv/hm',
    [
      process.execPath,
      '-e',
      `const { createHash } = require('crypto');
       require('net').createServer((c) => { const h = createHash('sha256'); c.on('data', (d) => h.update(d));
         c.on('end', () => { c.end(h.digest('hex')); }); }).listen({ port: 5000, host: '0.0.0.0' }, () => console.log('listening'));`,
    ],
    'listening',
  );
  await server.ready;
  try {
    const client = `const { createHash } = require('crypto'); const h = createHash('sha256');
      const c = require('net').connect(5000, '10.0.3.2'); let got = '';
      for (let i = 0; i < 200; i++) { const d = Buffer.alloc(50000, i); h.update(d); c.write(d); }
      c.end(); c.on('data', (d) => { got += d; });
      c.on('close', () => { process.stdout.write(got === h.digest('hex') ? 'same' : 'other'); });
      c.on('error', (e) => { process.stdout.write(String(e)); });`;
    const result = world.exec('iptv/hp', process.execPath, '-e', client);
    expect(result.stdout, result.stderr).toBe('same');
  } finally {
    server.child.kill();
  }
});

test('a trace of a large packet', () => {
  const trace = world.run('trace', 'iptv/hp', '--to', '10.0.3.2', '--length', '8000');
  expect(trace.status, trace.stderr).toBe(0);
  expect(trace.stdout).toMatch(/hm/);
});

test('the agent starts again for jumbo frames only', async () => {
  const folder = `${world.name}:Q`;
  const [agent] = agentsOf(world.name, 'Q');
  if (agent) process.kill(agent.pid, 'SIGKILL');
  await expect(
    DataPlane.open({ pinDir: `/sys/fs/bpf/cabernet/${folder}`, netns: `/run/netns/${world.name}.Q` }),
  ).rejects.toMatchObject({ code: 'BUILD_MISMATCH' });
  expect(world.ping('iptv/hp', '10.0.3.2').received).toBe(3);
  expect(world.again()).toMatchObject({ status: 0 });
  expect(world.ping('iptv/hp', '10.0.3.2').received).toBe(3);
});
