/*
 * Two connectivity providers over the same three infrastructure providers, each with a service of its own at the same
 * addresses. What the file no longer has is given back while the other's packets flow, and can be had again.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cabernet, type Output, World } from '../support/worlds.js';

const machines = `
name: providers
machines: [{ name: P, provider: one }, { name: Q, provider: two }, { name: M, provider: three }]
wires: [{ a: P, b: Q }, { a: Q, b: M }, { a: P, b: M }]
`;
const conn = `
  - name: conn
    nodes: [{ name: P }, { name: Q }, { name: M }]
    links: [{ a: P, b: Q }, { a: Q, b: M }]
  - name: iptv
    over: conn
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M, via: [Q], slo: { delayUs: 5000 } }]`;
const metro = `
  - name: metro
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M }]
  - name: talk
    owner: radio
    over: metro
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M }]`;
const stations = (network: string, prefix: string): string => `
  - { name: ${prefix}p, network: ${network}, node: P, addresses: ['10.0.1.2/24', 'fd00:0:0:1::2/64'] }
  - { name: ${prefix}m, network: ${network}, node: M, addresses: ['10.0.3.2/24', 'fd00:0:0:3::2/64'] }`;

const both = `${machines}networks:${conn}${metro}\nstations:${stations('iptv', 'h')}${stations('talk', 'r')}\n`;
const one = `${machines}networks:${conn}\nstations:${stations('iptv', 'h')}\n`;

let world: World;
beforeAll(() => {
  world = World.up(both);
}, 120_000);
afterAll(() => {
  world?.down();
}, 60_000);

const names = (provider: string, collection: string): string[] => {
  const { stdout, stderr, status } = seen(provider, 'get', collection, '-o', 'name');
  expect(status, stderr).toBe(0);
  return stdout.trim().split('\n').filter(Boolean).sort();
};
const seen = (provider: string, ...words: string[]): Output =>
  cabernet(...words, '--context', `${world.name}/${provider}`);

/** Both families of both services, the far station's own. */
function reach(...services: ('iptv' | 'talk')[]): void {
  for (const service of services) {
    for (const address of ['10.0.3.2', 'fd00:0:0:3::2'])
      expect(world.ping(service === 'iptv' ? 'iptv/hp' : 'talk/rp', address).received, service).toBe(3);
  }
}

/** The world file changed, and `up` again. */
function change(yaml: string): Output {
  writeFileSync(
    world.file,
    yaml.replace(/^name: .*$/m, /^name: .*$/m.exec(readFileSync(world.file, 'utf8'))?.[0] ?? ''),
  );
  const output = world.again();
  expect(output.status, output.stderr).toBe(0);
  return output;
}

test('each has bought its own, of all three, and sees nothing of the other', () => {
  reach('iptv', 'talk');
  expect(names('one', 'virtualNodes')).toEqual([
    'customers/conn/virtualNodes/P',
    'customers/metro/virtualNodes/P',
  ]);
  expect(names('two', 'virtualNodes')).toEqual(['customers/conn/virtualNodes/Q']);
  expect(names('three', 'customers')).toEqual(['customers/conn', 'customers/metro']);
  expect(names('conn', 'customers/-/serviceNetworks')).toEqual(['customers/iptv/serviceNetworks/iptv']);
  expect(names('metro', 'customers/-/serviceNetworks')).toEqual(['customers/radio/serviceNetworks/talk']);
  const passed = (station: string): string[] =>
    [...world.run('trace', station, '--to', '10.0.3.2').stdout.matchAll(/^([A-Z])$/gm)].map(
      ([, name = '']) => name,
    );
  expect(passed('iptv/hp')).toEqual(['P', 'Q', 'M']);
  expect(passed('talk/rp')).toEqual(['P', 'M']);
  expect(seen('metro', 'describe', 'links/P-M').stdout).not.toContain('conn');
});

test('up again finds all as it was', () => {
  expect(change(both).stdout).toMatch(/resources: \d+ as it was$/m);
});

test('one leaves: all of its is given back, and the other loses no packet', async () => {
  const pings = world.start('iptv/hp', ['ping', '-n', '-i', '0.02', '10.0.3.2'], 'icmp_seq=10 ');
  await pings.ready;
  expect(change(one).stdout).toMatch(/\d+ removed/);
  pings.child.kill('SIGINT');
  await pings.ended;
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(pings.output()) ?? [];
  // the last one may be on its way
  expect(Number(received), pings.output()).toBeGreaterThanOrEqual(Number(sent) - 1);
  expect(Number(received)).toBeGreaterThan(20);
  expect(names('one', 'virtualNodes')).toEqual(['customers/conn/virtualNodes/P']);
  expect(names('three', 'customers')).toEqual(['customers/conn']);
  expect(seen('metro', 'get', 'nodes')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('no context') as string,
  });
  const nodes = world.get<{ node: string }>('nodes').map(({ node }) => node);
  expect(nodes.sort()).toEqual(['conn/M', 'conn/P', 'conn/Q', 'iptv/M', 'iptv/P']);
});

test('it comes back', () => {
  change(both);
  reach('iptv', 'talk');
});

test('a machine leaves with what was leased of it', () => {
  const without = both
    .replace('{ name: Q, provider: two }, ', '')
    .replace('[{ a: P, b: Q }, { a: Q, b: M }, { a: P, b: M }]', '[{ a: P, b: M }]')
    .replace('nodes: [{ name: P }, { name: Q }, { name: M }]', 'nodes: [{ name: P }, { name: M }]')
    .replace('links: [{ a: P, b: Q }, { a: Q, b: M }]', 'links: [{ a: P, b: M }]')
    .replace('via: [Q], ', '');
  change(without);
  reach('iptv', 'talk');
  expect(world.get<{ machine: string }>('machines').map(({ machine }) => machine)).toEqual(['P', 'M']);
  expect(seen('two', 'get', 'machines').status).toBe(2);
});

test('all controllers killed: packets flow, and up again starts them where they were', () => {
  world.orphaned();
  reach('iptv', 'talk');
  expect(world.again().stdout).toMatch(/resources: \d+ as it was$/m);
  reach('iptv', 'talk');
});

test('what a provider refuses is told in its words, and what was in force stays', () => {
  const file = readFileSync(world.file, 'utf8');
  writeFileSync(world.file, file.replace('delayUs: 5000', 'delayUs: 5'));
  const output = world.again();
  expect(output.status).toBe(1);
  expect(output.stderr).toMatch(/iptv, the service provider, does not have it all/);
  expect(output.stderr).toMatch(/links\/P-M is refused: .*within 5 µs|would fit/);
  reach('iptv', 'talk');
  writeFileSync(world.file, file);
  expect(world.again().status).toBe(0);
});
