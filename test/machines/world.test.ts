/*
 * Three machines in a row with native XDP on virtio NICs between them, a station behind a virtio NIC of its own: what
 * namespaces on one kernel hide. NICs filter MAC addresses, leave checksums to be finished, and merge segments.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { packageRoot } from '../../lab/paths.js';
import { LabWorld } from '../../lab/world.js';
import { missing, needed, titled } from './support.js';

/** examples/three.yaml, whose IPv6 subnets and addresses these are. */
const far = { 4: '10.0.3.2', 6: 'fd00:0:0:3::2' };
const near = { 4: '10.0.1.1', 6: 'fd00:0:0:1::1' };

/** Of the links of a second service network, with the same addresses; its stations have more. */
const narrow = 1300;

interface WorldFile {
  networks: object[];
  stations: { name: string; network: string }[];
}

/** That example, and the narrow network beside it. */
function yaml(): string {
  const world = parse(readFileSync(join(packageRoot, 'examples', 'three.yaml'), 'utf8')) as WorldFile;
  world.networks.push({
    name: 'narrow',
    over: 'conn',
    nodes: [{ name: 'P' }, { name: 'M' }],
    links: [{ a: 'P', b: 'M', via: ['Q'], mtu: narrow }],
  });
  const { stations } = world;
  world.stations = [
    ...stations,
    ...stations.map((station) => ({ ...station, name: `narrow-${station.name}`, network: 'narrow' })),
  ];
  return stringify(world, { aliasDuplicateObjects: false });
}

interface Link {
  ifname: string;
  mtu: number;
  flags: string[];
  xdp?: { mode: number; prog: { name: string } };
}

/** XDP_ATTACHED_DRV */
const NATIVE = 1;

/** Takes what comes and answers with its digest; sends a megabyte of its own first. */
const server = `
  const { createHash, randomBytes } = require('crypto');
  require('net').createServer({ allowHalfOpen: true }, (socket) => {
    const here = randomBytes(2 ** 20), hash = createHash('sha256');
    socket.write(here);
    socket.on('data', (data) => hash.update(data));
    socket.on('end', () => socket.end(createHash('sha256').update(here).digest('hex') + hash.digest('hex')));
  }).listen(5000, '::', () => console.log('listening'));`;

/** Sends as much, and compares both digests with what it saw itself. */
const client = `
  const { createHash, randomBytes } = require('crypto');
  const here = randomBytes(2 ** 20), all = [];
  const socket = require('net').connect({ host: process.argv[1], port: 5000, allowHalfOpen: true });
  socket.on('error', (error) => { console.log(String(error)); process.exit(1); });
  socket.on('data', (data) => all.push(data));
  socket.end(here);
  socket.on('end', () => {
    const got = Buffer.concat(all), sum = (bytes) => createHash('sha256').update(bytes).digest('hex');
    const content = got.subarray(0, 2 ** 20), said = got.subarray(2 ** 20).toString();
    console.log(said === sum(content) + sum(here) ? 'same' : 'other: ' + got.length + ' bytes');
  });`;

describe.skipIf(missing !== undefined)(titled('three machines'), () => {
  let world: LabWorld;
  beforeAll(async () => {
    world = await LabWorld.up(needed(), yaml(), { apart: ['hm'] });
  });
  afterAll(() => world?.close());

  async function links(machine: string): Promise<Link[]> {
    const { stdout } = await world.machine(machine).exec(['ip', '-j', '-d', 'link', 'show']);
    return JSON.parse(stdout) as Link[];
  }

  async function transfer(from: string, station: string, to: string): Promise<string> {
    const running = world.start(station, [process.execPath, '-e', server]);
    try {
      await running.prints('listening');
      return (await world.exec(from, [process.execPath, '-e', client, to])).stdout.trim();
    } finally {
      running.kill();
      await running.ended;
    }
  }

  test('native XDP on every virtio NIC, and none of another mode', async () => {
    for (const [machine, names] of Object.entries({
      P: ['to-Q', 'st-hp'],
      Q: ['to-P', 'to-M'],
      M: ['to-Q', 'st-hm'],
    })) {
      const all = await links(machine);
      for (const name of names) {
        expect(all.find((one) => one.ifname === name)?.xdp, `${machine} ${name}`).toMatchObject({
          mode: NATIVE,
          prog: { name: 'cabernet_port' },
        });
      }
    }
  });

  test('ping in both families', async () => {
    for (const to of [far[4], far[6]]) expect(await world.ping('hp', to), to).toBe(3);
  });

  test('the station’s NIC of its own: its port is promiscuous, for the vif’s MAC address is not the NIC’s', async () => {
    const port = (await links('M')).find((one) => one.ifname === 'st-hm');
    expect(port?.flags).toContain('PROMISC');
    const drops = (await world.client('M').listDrops({})).drops.map((row) => row.reason);
    expect(drops).not.toContain('headroom');
  });

  test('TCP, both ways at once, arrives as it was sent', async () => {
    for (const to of [far[4], far[6]]) expect(await transfer('hp', 'hm', to), to).toBe('same');
  });

  test('a full packet crosses with the headers of both layers', async () => {
    expect(await world.ping('hp', far[4], { size: 1472 })).toBe(3);
    expect(await world.ping('hp', far[6], { size: 1452 })).toBe(3);
  });

  test('PMTU: the router tells of a link that is too narrow, and TCP goes by it', async () => {
    const told = { 4: /From 10\.0\.1\.1 .*\(mtu = 1300\)/, 6: /From fd00:0:0:1::1 .*mtu=1300/ };
    for (const [family, headers] of [
      [4, 28],
      [6, 48],
    ] as const) {
      const to = far[family];
      expect(await world.ping('narrow-hp', near[family])).toBe(3);
      expect(await world.ping('narrow-hp', to, { size: narrow - headers })).toBe(3);
      const { stdout } = await world.exec(
        'narrow-hp',
        ['ping', '-n', '-c', '1', '-W', '2', '-M', 'do', '-s', String(narrow - headers + 1), to],
        { mayFail: true },
      );
      expect(stdout).toMatch(told[family]);
      // what the ping has taught the station
      await world.exec('narrow-hp', ['ip', `-${family}`, 'route', 'flush', 'cache']);
      expect(await transfer('narrow-hp', 'narrow-hm', to), to).toBe('same');
      const route = await world.exec('narrow-hp', ['ip', `-${family}`, 'route', 'get', to]);
      expect(route.stdout).toContain(`mtu ${narrow}`);
    }
  });

  test('the agents are killed and none is there: no packet is lost; an end and the transit adopt', async () => {
    const machines = ['P', 'Q', 'M'];
    // counted, not timed: the last is waited for
    const running = world.start('hp', ['ping', '-n', '-q', '-i', '0.02', '-c', '400', '-W', '5', far[4]]);
    await Promise.all(machines.map((name) => world.killAgent(name)));
    for (const name of machines) {
      const { stdout } = await world.machine(name).exec(['pgrep', '-f', 'cabernet node'], { mayFail: true });
      expect(stdout, name).toBe('');
    }
    expect(await world.ping('hp', far[6], { count: 20 })).toBe(20);
    expect((await running.ended).stdout).toContain('400 packets transmitted, 400 received');
    // M stays alone
    await Promise.all(['P', 'Q'].map((name) => world.startAgent(name)));
    const { owners } = await world.client('P').getMachine({});
    expect(owners.map(({ owner }) => owner).toSorted()).toEqual(['conn', 'conn.iptv', 'conn.narrow', 'one']);
    for (const to of [far[4], far[6]]) expect(await world.ping('hp', to), to).toBe(3);
  });
});
