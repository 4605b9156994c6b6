/*
 * What `cabernet impair` does to real packets: every wire of this world is between two machines' own IP stacks, with
 * neighbours that need no resolving, so that nothing is on a wire but what a test sends. P - Q for jumbo frames; Q - M
 * impaired by the world's file; P - M direct.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { getFeatures, netnsNames } from '../../native/lib/index.js';
import { seedOf } from '../../src/world/impairment.js';
import { middleOf } from '../../src/world/middle.js';
import { namespacePath, wiresNamespace } from '../../src/world/place.js';
import { relaysOf } from '../../src/world/relay.js';
import { type Output, until, World } from '../support/worlds.js';

const YAML = `name: impair
jumbo: true
machines: [{ name: P, provider: one }, { name: Q, provider: one }, { name: M, provider: one }]
wires:
  - { a: P, b: Q, mtu: 9300, subnets: ['10.9.1.0/31'] }
  - { a: Q, b: M, subnets: ['10.9.2.0/31'], impairment: { delay_us: 15000, one_way: true } }
  - { a: P, b: M, subnets: ['10.9.3.0/31'], direct: true }
`;
const [P, Q, M] = ['10.9.1.0', '10.9.1.1', '10.9.2.1'];

let world: World;
const folder = mkdtempSync(join(tmpdir(), 'cabernet-impair-'));

beforeAll(() => {
  world = World.up(YAML);
  neighbours();
}, 120_000);
afterAll(async () => {
  world?.down();
  rmSync(folder, { recursive: true, force: true });
  if (world) expect((await netnsNames()).filter((name) => name.startsWith(`${world.name}.`))).toEqual([]);
}, 60_000);

/** Each knows the other's MAC for good. */
function neighbours(): void {
  for (const [machine, device, other, far, address] of [
    ['P', 'to-Q', 'Q', 'to-P', Q],
    ['Q', 'to-P', 'P', 'to-Q', P],
  ] as const) {
    const [, mac = ''] = /link\/ether (\S+)/.exec(world.exec(other, 'ip', 'link', 'show', far).stdout) ?? [];
    const set = ['neighbour', 'replace', address, 'lladdr', mac, 'dev', device, 'nud', 'permanent'];
    expect(world.exec(machine, 'ip', ...set)).toMatchObject({ status: 0, stderr: '' });
  }
}

function impair(...options: string[]): void {
  expect(world.run('impair', 'P', 'Q', ...options)).toMatchObject({ status: 0, stderr: '' });
}

interface Direction {
  from: string;
  impairment: string;
  packets: number;
  lost: number;
}

function directions(): Direction[] {
  const { stdout } = world.run('impair', 'P', 'Q', '-o', 'json');
  return JSON.parse(stdout) as Direction[];
}

const ping = (from: string, to: string, ...options: string[]): Output =>
  world.exec(from, 'ping', '-n', '-W', '1', ...options, to);

/** Milliseconds. */
function roundTrips({ stdout }: Output): number[] {
  return [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}

/** Of the machine's own IP, since it is there. */
function counter(machine: string, protocol: string, name: string): number {
  const lines = world.exec(machine, 'cat', '/proc/net/snmp').stdout.split('\n');
  const [names = '', values = ''] = lines.filter((line) => line.startsWith(`${protocol}: `));
  return Number(values.split(' ')[names.split(' ').indexOf(name)]);
}

test('a delay is there in both directions, no packet is earlier, and it is gone when it is cleared', () => {
  impair('--delay', '20ms');
  const times = roundTrips(ping('P', Q, '-c', '5', '-i', '0.05'));
  expect(times).toHaveLength(5);
  expect(Math.min(...times)).toBeGreaterThanOrEqual(40);
  expect(world.get('links').at(0)).toMatchObject({ a: 'P:to-Q', state: 'up; delay 20 ms' });
  impair('--clear');
  expect(directions().map(({ impairment }) => impairment)).toEqual(['', '']);
  expect(world.get('links').at(0)).toMatchObject({ a: 'P:to-Q', state: 'up' });
  expect(roundTrips(ping('P', Q, '-c', '5', '-i', '0.05'))).toHaveLength(5);
}, 90_000);

test('jitter comes on top of the delay, in order', () => {
  impair('--delay', '5ms', '--jitter', '10ms', '--seed', '1');
  const { stdout } = ping('P', Q, '-c', '50', '-i', '0.002');
  const order = [...stdout.matchAll(/icmp_seq=(\d+) /g)].map(([, number]) => Number(number));
  expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  expect(Math.min(...roundTrips({ status: 0, stdout, stderr: '' }))).toBeGreaterThanOrEqual(10);
});

const COUNT = 500;

/** Numbers from 0 of the pings from P to Q that were lost on the way there, when nothing else was on the wire. */
function lostThere(loss: string, seed: number): number[] {
  for (let round = 0; round < 5; round++) {
    impair('--loss', loss, '--seed', String(seed), '--one-way');
    const { stdout } = ping('P', Q, '-c', String(COUNT), '-i', '0.001');
    const [there] = directions();
    if (there?.packets !== COUNT) continue;
    const arrived = new Set([...stdout.matchAll(/icmp_seq=(\d+) /g)].map(([, number]) => Number(number) - 1));
    const lost = Array.from({ length: COUNT }, (_, i) => i).filter((i) => !arrived.has(i));
    expect(there.lost).toBe(lost.length);
    return lost;
  }
  throw new Error('something else is on the wire');
}

/** SplitMix64's n-th number, in another language than the program's. */
function nth(seed: bigint, n: number): bigint {
  const word = (value: bigint): bigint => BigInt.asUintN(64, value);
  let z = word(seed + BigInt(n + 1) * 0x9e3779b97f4a7c15n);
  z = word((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = word((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

test('the same seed loses the same packets, another one others, of both about as many as were asked for', () => {
  const lost = lostThere('20%', 4);
  expect(lostThere('20%', 4)).toEqual(lost);
  const others = lostThere('20%', 5);
  expect(others).not.toEqual(lost);
  // binomial, n = 500, p = 0.2: six standard deviations of 8.9, outside of which once in a hundred million
  for (const count of [lost.length, others.length]) {
    expect(count).toBeGreaterThan(100 - 54);
    expect(count).toBeLessThan(100 + 54);
  }
  const seed = seedOf(
    { delayUs: 0, jitterUs: 0, lossPpm: 200_000, bitsPerSecond: 0, seed: 4 },
    'P:to-Q',
    'Q:to-P',
    'loss',
  );
  const expected = Array.from({ length: COUNT }, (_, n) => n).filter(
    (n) => nth(seed, n) >> 32n < (200_000n << 32n) / 1_000_000n + 1n,
  );
  expect(lost).toEqual(expected);
}, 90_000);

test('all or nothing, and one way only: what the other end sends still comes', () => {
  impair('--loss', '100%', '--one-way');
  const before = [counter('P', 'Icmp', 'InEchos'), counter('Q', 'Icmp', 'InEchos')];
  expect(ping('P', Q, '-c', '3', '-i', '0.05').stdout).toContain(' 0 received');
  expect(ping('Q', P, '-c', '3', '-i', '0.05').stdout).toContain(' 0 received');
  expect(counter('Q', 'Icmp', 'InEchos')).toBe(before[1]);
  expect(counter('P', 'Icmp', 'InEchos')).toBe((before[0] ?? 0) + 3);
  impair('--clear', '--one-way');
  expect(ping('Q', P, '-c', '3', '-i', '0.05').stdout).toContain(' 3 received');
}, 90_000);

/** UDP datagrams of 1000 bytes to a port of Q that nobody listens at. */
const burst = (count: number): string =>
  `const s = require('dgram').createSocket('udp4'); const d = Buffer.alloc(1000); let left = ${count};
   const next = () => { if (left-- > 0) s.send(d, 9, '${Q}', next); else s.close(); }; s.on('error', () => {}); next();`;
/** On the wire: with UDP, IP and Ethernet headers. */
const BITS = (1000 + 8 + 20 + 14) * 8;

test('a rate caps what passes; what the queue has room for waits and comes', async () => {
  impair('--rate', '2mbit');
  const arrived = (): number => counter('Q', 'Udp', 'NoPorts');
  let before = arrived();
  expect(world.exec('P', process.execPath, '-e', burst(15))).toMatchObject({ status: 0 });
  await until('15 datagrams', () => (arrived() === before + 15 ? true : undefined));

  before = arrived();
  const start = performance.now();
  expect(world.exec('P', process.execPath, '-e', burst(2000))).toMatchObject({ status: 0 });
  const count = arrived() - before;
  const seconds = (performance.now() - start) / 1000;
  expect(count).toBeGreaterThan(0);
  expect(count).toBeLessThan(2000);
  expect((count - 1) * BITS).toBeLessThanOrEqual(2_000_000 * seconds);
}, 90_000);

test('jumbo frames and VLAN tags cross, held back or not', async () => {
  for (const options of [['--clear'], ['--loss', '0.0001%'], ['--delay', '2ms'], ['--rate', '100mbit']]) {
    impair(...options);
    const jumbo = ping('P', Q, '-c', '3', '-i', '0.05', '-M', 'do', '-s', String(9300 - 28));
    expect(jumbo.stdout, options.join(' ')).toContain(' 3 received');
    const text = `tagged ${options.join(' ')}`;
    const frame = Buffer.concat([
      Buffer.from('ffffffffffff02000000000181000064 88b5'.replace(' ', ''), 'hex'),
      Buffer.from(text.padEnd(60)),
    ]);
    const file = join(folder, `${options[0]}.pcapng`);
    const capture = world.capture('Q:to-P', file);
    await capture.ready;
    const send = `import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("to-Q", 0)); s.send(bytes.fromhex("${frame.toString('hex')}"))`;
    expect(world.exec('P', 'python3', '-c', send)).toMatchObject({ status: 0 });
    await until(`the frame "${text}"`, () => (readFileSync(file).includes(frame) ? true : undefined));
    capture.child.kill('SIGINT');
    await capture.ended;
  }
}, 90_000);

test('a wire that is cut stays impaired, and has no carrier at either end, nor when one end is down', async () => {
  impair('--delay', '10ms');
  const carrier = (machine: string, device: string): string =>
    /LOWER_UP/.test(world.exec(machine, 'ip', '-br', 'link', 'show', device).stdout) ? 'carrier' : 'none';
  expect(world.run('cut', 'P', 'Q').status).toBe(0);
  expect([carrier('P', 'to-Q'), carrier('Q', 'to-P')]).toEqual(['none', 'none']);
  expect(world.run('heal', 'P', 'Q').status).toBe(0);
  expect([carrier('P', 'to-Q'), carrier('Q', 'to-P')]).toEqual(['carrier', 'carrier']);
  neighbours();
  const times = roundTrips(ping('P', Q, '-c', '3', '-i', '0.05'));
  expect(times).toHaveLength(3);
  expect(Math.min(...times)).toBeGreaterThanOrEqual(20);

  for (const [machine, device, other, far] of [
    ['P', 'to-Q', 'Q', 'to-P'],
    ['Q', 'to-P', 'P', 'to-Q'],
  ] as const) {
    for (const [state, seen] of [
      ['down', 'none'],
      ['up', 'carrier'],
    ] as const) {
      expect(world.exec(machine, 'ip', 'link', 'set', device, state).status).toBe(0);
      await until(`${far} of ${other}: ${seen}`, () => (carrier(other, far) === seen ? true : undefined));
    }
  }
  expect(world.run('heal', 'P', 'Q').status).toBe(0);
  neighbours();
}, 90_000);

test('a file has its wires impaired from the beginning; without their process they lose all, until up', () => {
  impair('--clear');
  const times = roundTrips(ping('Q', M, '-c', '3', '-i', '0.05'));
  expect(times).toHaveLength(3);
  expect(Math.min(...times)).toBeGreaterThanOrEqual(15);
  const [relay, ...more] = relaysOf(world.name);
  expect(more).toEqual([]);
  if (!relay) throw new Error('there is no process of the wires');
  process.kill(relay.pid, 'SIGKILL');
  expect(ping('Q', M, '-c', '2', '-i', '0.05').stdout).toContain(' 0 received');
  expect(ping('P', Q, '-c', '2', '-i', '0.05').stdout).toContain(' 2 received');
  expect(world.run('impair')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/has ended/) as unknown,
  });
  expect(world.again()).toMatchObject({ status: 0 });
  expect(world.run('impair')).toMatchObject({ status: 0, stderr: '' });
  const again = roundTrips(ping('Q', M, '-c', '3', '-i', '0.05'));
  expect(again).toHaveLength(3);
  expect(Math.min(...again)).toBeGreaterThanOrEqual(15);
}, 90_000);

test('up again leaves what it finds: the same process, and no frames merged before it', async () => {
  const before = relaysOf(world.name);
  expect(world.again()).toMatchObject({ status: 0 });
  expect(relaysOf(world.name)).toEqual(before);
  const ends = [
    { machine: 'Q', interface: 'to-M' },
    { machine: 'M', interface: 'to-Q' },
  ] as const;
  const place = { netns: namespacePath(wiresNamespace(world.name)), name: middleOf({ ends })[0] };
  expect(await getFeatures(place)).toMatchObject({ gro: false });
  expect(roundTrips(ping('Q', M, '-c', '3', '-i', '0.05'))).toHaveLength(3);
}, 90_000);

test('up makes wires as the file says again', () => {
  impair('--loss', '100%');
  expect(world.run('impair', '-o', 'json').stdout).toContain('"from": "P:to-Q"');
  expect(world.again()).toMatchObject({ status: 0 });
  const shown = JSON.parse(world.run('impair', '-o', 'json').stdout) as Direction[];
  expect(shown.map(({ from, impairment }) => `${from} ${impairment}`)).toEqual(['Q:to-M delay 15 ms']);
  expect(ping('P', Q, '-c', '2', '-i', '0.05').stdout).toContain(' 2 received');
}, 90_000);

test.each([
  [['P', 'Q', '--delay', '-5ms'], 2, /--delay -5ms: a time such as 20ms/],
  [['P', 'Q', '--delay', 'NaN'], 2, /a time such as/],
  [['P', 'Q', '--delay', '11s'], 2, /at most 10 s/],
  [['P', 'Q', '--delay', '9'.repeat(400)], 2, /a time such as/],
  [['P', 'Q', '--delay', '1ns'], 2, /a time such as/],
  [['P', 'Q', '--jitter', '10.1s'], 2, /--jitter 10.1s: at most 10 s/],
  [['P', 'Q', '--loss', '101%'], 2, /at most 100 %/],
  [['P', 'Q', '--loss', '-1%'], 2, /a share such as 1%/],
  [['P', 'Q', '--loss', '0.00001%'], 2, /steps of 0.0001%/],
  [['P', 'Q', '--loss', '1'], 2, /a share such as 1%/],
  [['P', 'Q', '--rate', '0mbit'], 2, /a rate such as 10mbit/],
  [['P', 'Q', '--rate', '101gbit'], 2, /1 kbit\/s to 100 Gbit\/s/],
  [['P', 'Q', '--rate', '1constructor'], 2, /a rate such as/],
  [['P', 'Q', '--loss', '1%', '--seed', '4294967296'], 2, /0 to 4294967295/],
  [['P', 'Q', '--loss', '1%', '--seed', '-1'], 2, /a whole number/],
  [['P', 'Q', '--clear', '--loss', '1%'], 2, /--clear takes everything away/],
  [['P', 'Q', '--one-way'], 2, /what is the wire to do/],
  [['P', '--loss', '1%'], 2, /two ends/],
  [['--loss', '1%'], 2, /which wire/],
  [['P', 'Z', '--loss', '1%'], 1, /no wire between P and Z/],
  [['P', 'M', '--loss', '1%'], 1, /is direct and cannot be impaired: take `direct` from it/],
] as const)('refused in one sentence: impair %j', (args, status, sentence) => {
  const result = world.run('impair', ...args);
  expect(result).toMatchObject({ status, stdout: '' });
  expect(result.stderr).toMatch(sentence);
  expect(result.stderr.trim().split('\n')).toHaveLength(1);
});

test('nor is there anything to impair in a world that is not up', () => {
  const result = world.run('--world', 'no-such-world', 'impair', 'P', 'Q', '--loss', '1%');
  expect(result).toMatchObject({ status: 1, stdout: '' });
  expect(result.stderr).toMatch(/no-such-world is not up/);
});
