/*
 * Links of IP packets, without Ethernet header and control word, between two of our own: the service works as over
 * any other, in both families, and what is not IP does not cross.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentsOf } from '../../src/world/agents.js';
import { answerOnce, ask, example, until, World } from '../support/worlds.js';

let world: World;
beforeAll(() => {
  const yaml = example('three').replace('via: [Q] }', 'via: [Q], payload: PAYLOAD_IP }');
  expect(yaml).toContain('PAYLOAD_IP');
  world = World.up(yaml);
}, 120_000);
afterAll(() => {
  world?.down();
}, 60_000);

/** The address of M at the other end. */
function farOf(of: World): string {
  const vifs = of.get<{ vif: string; addresses: string }>('vifs', 'iptv/M');
  return vifs.find((v) => v.vif.endsWith('/to-P'))?.addresses.split(/[/, ]/)[0] ?? '';
}

test('stations reach each other, and the far router', () => {
  for (const to of ['10.0.3.2', 'fd00:0:0:3::2', farOf(world)]) {
    expect(world.ping('iptv/hp', to).received, to).toBe(3);
    expect(world.ping('iptv/P', to).received, to).toBe(3);
  }
});

test('they see service routers only', () => {
  const { stdout } = world.exec('iptv/hp', 'traceroute', '-n', '-q', '1', '10.0.3.2');
  expect(stdout.match(/^ *\d+ .*$/gm)).toHaveLength(3);
});

test('TCP', async () => {
  const server = world.start('iptv/hm', answerOnce('hello', 5000, 4), 'listening');
  await server.ready;
  try {
    expect(world.exec('iptv/hp', ...ask('10.0.3.2', 5000)).stdout).toBe('hello');
  } finally {
    server.child.kill();
  }
});

test('no neighbour is asked for, and the routes over it go without one', () => {
  const [link] = JSON.parse(world.exec('iptv/P', 'ip', '-j', 'link', 'show', 'to-M').stdout) as {
    flags: string[];
  }[];
  expect(link?.flags).toContain('NOARP');
  // what the kernel notes for itself, whoever pinged, is none
  expect(world.exec('iptv/P', 'ping', '-c1', farOf(world)).status).toBe(0);
  expect(world.exec('iptv/P', 'ip', 'neigh', 'show', 'nud', 'noarp', 'dev', 'to-M').stdout).toContain(
    'NOARP',
  );
  expect(world.exec('iptv/P', 'ip', 'neigh', 'show', 'nud', 'all', 'dev', 'to-M').stdout).not.toMatch(
    /managed/,
  );
  const neighbours = world.get<{ vif: string }>('neighbours', 'iptv/P').map(({ vif }) => vif);
  expect(neighbours.filter((vif) => vif.endsWith('/to-M'))).toEqual([]);
  const drops = world.get<{ reason: string }>('drops', 'iptv/P').map((row) => row.reason);
  expect(drops).not.toContain('NOT_IP');
});

test('a trace shows no control word on the way', () => {
  const trace = world.run('trace', 'iptv/hp', '--to', '10.0.3.2');
  expect(trace.status, trace.stderr).toBe(0);
  expect(trace.stdout).toMatch(/hm/);
  expect(trace.stdout).not.toMatch(/control word/i);
});

test('a link that becomes one of frames, and back', async () => {
  const yaml = readFileSync(world.file, 'utf8');
  for (const payload of ['PAYLOAD_ETHERNET', 'PAYLOAD_IP']) {
    writeFileSync(world.file, yaml.replace('PAYLOAD_IP', payload));
    expect(world.again()).toMatchObject({ status: 0 });
    await until(`reachable by ${payload}`, () =>
      world.ping('iptv/hp', '10.0.3.2', 2).received === 2 ? true : undefined,
    );
  }
}, 60_000);

test('the agents are killed and started again: it is still one', async () => {
  for (const machine of ['P', 'M']) {
    const [agent] = agentsOf(world.name, machine);
    expect(agent).toBeDefined();
    if (agent) process.kill(agent.pid, 'SIGKILL');
  }
  expect(world.again()).toMatchObject({ status: 0 });
  expect(world.ping('iptv/hp', '10.0.3.2').received).toBe(3);
});
