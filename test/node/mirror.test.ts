import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NextHopKind } from '../../gen/layout.js';
import { parseAddress } from '../../src/node/address.js';
import { type Agent } from '../../src/node/agent.js';
import { type VirtualNode } from '../../src/node/nodes.js';
import {
  addMachine,
  addStation,
  address,
  apply,
  inside,
  ip,
  netns,
  node,
  port,
  type Resource,
  route,
  startAgent,
  sweep,
  until,
} from './machines.js';

/** One machine, two stations; node C filled by its tenant, node K by its kernel. */
let agent: Agent;

const C = `${netns('R')}.c.R`;
const K = `${netns('R')}.k.R`;

const tenantsContents = [
  address('c/R/x', '10.0.1.1/24'),
  address('c/R/x', 'fd00:0:0:1::1/64'),
  address('c/R/y', '10.0.2.1/24'),
  route('c/R', '10.9.0.0/16', ['x', '10.0.1.2']),
  route('c/R', 'fd09::/64', ['x', 'fd00:0:0:1::2']),
];

beforeAll(async () => {
  sweep();
  addMachine('R', '100.127.0.1', 'fd64:ffff::1');
  addStation('R', 'cx', 'st-cx', ['10.0.1.2/24', 'fd00:0:0:1::2/64']);
  addStation('R', 'cy', 'st-cy', ['10.0.2.2/24']);
  addStation('R', 'kx', 'st-kx', ['10.0.1.2/24', 'fd00:0:0:1::2/64']);
  addStation('R', 'ky', 'st-ky', ['10.0.2.2/24']);
  agent = await startAgent('R');
  await apply(agent, 'below', [
    node('c', 'R', 'tenant'),
    port('c/R/x', 'st-cx'),
    port('c/R/y', 'st-cy'),
    node('k', 'R', 'tenant', 2),
    port('k/R/x', 'st-kx'),
    port('k/R/y', 'st-ky'),
  ]);
});

afterAll(async () => {
  await agent.close();
  sweep();
});

function find(name: string): VirtualNode {
  const found = agent.nodes.get(name);
  if (!found) throw new Error(name);
  return found;
}

const KINDS = new Map<number, string>(
  Object.entries(NextHopKind).map(([name, kind]) => [kind, name.replace('NEXT_HOP_', '').toLowerCase()]),
);

/** What the programs find for an address: the kind, and the vif by its device. */
function sees(name: string, text: string): string {
  const at = find(name);
  const id = agent.plane.routes(at.id).lookup(parseAddress(text)?.bytes ?? new Uint8Array(4));
  if (id === 0) return 'none';
  const hop = agent.plane.nextHops.read(id);
  expect(hop.node).toBe(at.id);
  const device = agent.vifs.byId(hop.vif)?.intent.device ?? '';
  return `${KINDS.get(hop.kind)} ${device}`.trim();
}

function pings(station: string, target: string): boolean {
  return inside(netns(`st.${station}`), 'ping', '-c', '1', '-W', '2', target).status === 0;
}

describe('a node that its tenant fills', () => {
  const c = 'vns/c/nodes/R';
  beforeEach(async () => {
    await apply(agent, 'tenant', tenantsContents);
    ip('-n', netns('st.cx'), 'link', 'set', 'eth0', 'up');
  });

  test('its addresses, its links, and neighbours as they are met', async () => {
    expect(sees(c, '10.0.1.1')).toBe('local');
    expect(sees(c, 'fd00:0:0:1::1')).toBe('local');
    expect(sees(c, 'fd00:0:0:1::')).toBe('local');
    expect(sees(c, '10.0.1.77')).toBe('glean x');
    expect(sees(c, '10.0.2.2')).toBe('glean y');
    expect(sees(c, '192.0.2.1')).toBe('none');
    expect(pings('cx', '10.0.2.2')).toBe(true);
    await until('the station is a neighbour', () => sees(c, '10.0.2.2') === 'forward y');
    expect(ip('-n', C, 'neighbour', 'show', '10.0.2.2')).toContain('managed');
  });

  test('a gateway is resolved before anybody sends to it', async () => {
    await until('the gateway is known', () => sees(c, '10.9.1.1') === 'forward x');
    await until('the IPv6 gateway is known', () => sees(c, 'fd09::1') === 'forward x');
    expect(ip('-n', C, 'route', 'show', '10.9.0.0/16')).toContain(
      'via 10.0.1.2 dev x proto 202 metric 1024 onlink',
    );
  });

  test('a station that goes is forgotten, and met again', async () => {
    expect(pings('cx', '10.0.2.2')).toBe(true);
    await until('it is known', () => sees(c, '10.0.2.2') === 'forward y');
    ip('-n', C, 'neighbour', 'delete', '10.0.2.2', 'dev', 'y');
    await until('it is forgotten', () => sees(c, '10.0.2.2') === 'glean y');
    expect(pings('cx', '10.0.2.2')).toBe(true);
    await until('it is known again', () => sees(c, '10.0.2.2') === 'forward y');
  });

  test('a gateway that the kernel let go is asked for again', async () => {
    await until('the gateway is known', () => sees(c, '10.9.1.1') === 'forward x');
    ip('-n', C, 'neighbour', 'delete', '10.0.1.2', 'dev', 'x');
    await until('it is known again', () => sees(c, '10.9.1.1') === 'forward x');
  });

  test('another MAC address of a gateway is taken up', async () => {
    const macOf = (): string => {
      const id = agent.plane.routes(find(c).id).lookup(Uint8Array.of(10, 9, 0, 1));
      return Buffer.from(agent.plane.nextHops.read(id).mac).toString('hex');
    };
    await until('the gateway is known', () => sees(c, '10.9.1.1') === 'forward x');
    inside(netns('st.cx'), 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_notify');
    ip('-n', netns('st.cx'), 'link', 'set', 'eth0', 'address', '02:00:00:00:77:01');
    await until(
      'its new one is used',
      () => macOf() === '020000007701' && sees(c, '10.9.1.1') === 'forward x',
    );
  });

  test('groups, blackholes and unreachable prefixes', async () => {
    const vif = (device: string): string => `vns/c/nodes/R/vifs/${device}`;
    const more: Resource[] = [
      {
        route: {
          node: c,
          destination: '10.8.0.0/16',
          nextHops: [
            { vif: vif('x'), gateway: '10.0.1.2', weight: 3 },
            { vif: vif('y'), gateway: '10.0.2.2', weight: 1 },
          ],
        },
      },
      {
        route: {
          node: c,
          destination: 'fd08::/64',
          nextHops: [
            { vif: vif('x'), gateway: 'fd00:0:0:1::2' },
            { vif: vif('y'), gateway: 'fd00:0:0:2::2' },
          ],
        },
      },
      { route: { node: c, destination: '10.7.0.0/16', type: 2 } },
      { route: { node: c, destination: 'fd07::/64', type: 3 } },
      { route: { node: c, destination: '10.6.0.0/16', nextHops: [{ vif: vif('y') }] } },
    ];
    await apply(agent, 'tenant', [...tenantsContents, ...more]);
    expect(sees(c, '10.8.0.1')).toBe('group');
    expect(sees(c, 'fd08::1')).toBe('group');
    expect(ip('-n', C, '-6', 'route', 'show', 'fd08::/64').match(/nexthop via/g)).toHaveLength(2);
    expect(sees(c, '10.7.0.1')).toBe('blackhole');
    expect(sees(c, 'fd07::1')).toBe('unreachable');
    expect(sees(c, '10.6.0.1')).toBe('glean y');
    const id = agent.plane.routes(find(c).id).lookup(Uint8Array.of(10, 8, 0, 1));
    const { ways } = agent.plane.nextHops.read(id);
    const devices = Array.from(
      ways,
      (way) => agent.vifs.byId(agent.plane.nextHops.read(way).vif)?.intent.device,
    );
    expect(devices.filter((device) => device === 'x')).toHaveLength(6);
    const kernel = ip('-n', C, 'route', 'show', '10.8.0.0/16');
    expect(kernel).toMatch(/via 10.0.1.2 dev x weight 3 onlink/);
    expect(ip('-n', C, 'route', 'show', 'type', 'blackhole')).toContain('10.7.0.0/16');
    expect(ip('-n', C, '-6', 'route', 'show', 'type', 'unreachable')).toContain('fd07::/64');

    // IPv6 keeps the kinds apart
    const turned = more.map((one) =>
      one.route?.destination === 'fd07::/64' ? route('c/R', 'fd07::/64', ['x', 'fd00:0:0:1::2']) : one,
    );
    await apply(agent, 'tenant', [...tenantsContents, ...turned]);
    const after = ip('-n', C, '-6', 'route', 'show', 'fd07::/64').trim().split('\n');
    expect(after).toHaveLength(1);
    expect(after[0]).toContain('via fd00:0:0:1::2');
    await apply(agent, 'tenant', tenantsContents);
    expect(ip('-n', C, 'route', 'show', 'proto', '202').trim().split('\n')).toHaveLength(1);
    expect(sees(c, '10.8.0.1')).toBe('none');
  });

  test('a link set down in the namespace, and up again, with its routes', async () => {
    await until('the gateway is known', () => sees(c, '10.9.1.1') === 'forward x');
    ip('-n', C, 'link', 'set', 'x', 'down');
    await until('the vif is down', () => agent.vifs.get(`${c}/vifs/x`)?.up === false);
    await until('its addresses are not there', () => sees(c, '10.0.1.1') === 'none');
    expect(ip('-n', C, 'route', 'show', 'proto', '202')).toBe('');
    ip('-n', C, 'link', 'set', 'x', 'up');
    await until('the vif is up', () => agent.vifs.get(`${c}/vifs/x`)?.up === true);
    await until('its kernel has the routes again', () => ip('-n', C, 'route', 'show', 'proto', '202') !== '');
    await until('the gateway is known', () => sees(c, '10.9.1.1') === 'forward x');
    expect(pings('cx', '10.0.2.2')).toBe(true);
  });

  test('addresses come and go, one prefix length gives way to another', async () => {
    await apply(agent, 'tenant', [address('c/R/x', '10.0.1.1/16'), address('c/R/x', 'fd00:0:0:1::1/48')]);
    expect(sees(c, '10.0.9.9')).toBe('glean x');
    expect(sees(c, 'fd00:0:0:9::9')).toBe('glean x');
    expect(sees(c, '10.0.2.1')).toBe('glean x');
    expect(ip('-n', C, 'address', 'show', 'dev', 'x')).not.toContain('10.0.1.1/24');
    expect(ip('-n', C, 'address', 'show', 'dev', 'x')).not.toContain('fd00:0:0:1::1/64');
    ip('-n', C, 'address', 'add', '10.200.0.1/24', 'dev', 'y');
    await until('what an operator adds is seen', () => sees(c, '10.200.0.1') === 'local');
    await apply(agent, 'tenant', tenantsContents);
    expect(sees(c, '10.200.0.1')).toBe('local');
    ip('-n', C, 'address', 'delete', '10.200.0.1/24', 'dev', 'y');
    await until('and not any more', () => sees(c, '10.200.0.1') === 'none');
  });

  test('one changed route leaves all others’ records alone', async () => {
    const many = Array.from({ length: 300 }, (_, i) =>
      route('c/R', `10.9.${i % 256}.${(i >> 8) * 128}/25`, ['y', '10.0.2.2']),
    );
    await apply(agent, 'tenant', [...tenantsContents, ...many]);
    await until(
      'the gateways are known',
      () => sees(c, '10.9.3.1') === 'forward y' && sees(c, '10.0.2.2') === 'forward y',
    );
    await until(
      'and the other',
      () => sees(c, '10.9.255.255') === 'forward x' && sees(c, '10.0.1.2') === 'forward x',
    );
    const { generation, tables } = agent.plane.nodes.read(find(c).id);
    await apply(agent, 'tenant', [...tenantsContents, ...many]);
    expect(agent.plane.nodes.read(find(c).id)).toMatchObject({ generation, tables });
    await apply(agent, 'tenant', [...tenantsContents, ...many.slice(1)]);
    expect(agent.plane.nodes.read(find(c).id).generation).toBe(generation + 1);
  });
});

describe('a node that its kernel fills', () => {
  const k = 'vns/k/nodes/R';

  test('what is installed in its main table is in its tables', async () => {
    await apply(agent, 'tenant', [
      ...tenantsContents,
      address('k/R/x', '10.0.1.1/24'),
      address('k/R/x', 'fd00:0:0:1::1/64'),
      address('k/R/y', '10.0.2.1/24'),
    ]);
    await until(
      'its links are there',
      () => sees(k, '10.0.1.50') === 'glean x' && sees(k, '10.0.2.50') === 'glean y',
    );
    expect(sees(k, '10.0.1.1')).toBe('local');
    ip('-n', K, 'route', 'add', '10.9.0.0/16', 'via', '10.0.1.2', 'proto', 'zebra');
    ip('-n', K, '-6', 'route', 'add', 'fd09::/64', 'via', 'fd00:0:0:1::2');
    await until('a route is', () => sees(k, '10.9.0.1') === 'forward x');
    await until('an IPv6 route is', () => sees(k, 'fd09::1') === 'forward x');
    ip('-n', K, 'route', 'replace', '10.9.0.0/16', 'via', '10.0.2.2', 'proto', 'zebra');
    await until('its other gateway is', () => sees(k, '10.9.0.1') === 'forward y');
    ip('-n', K, 'route', 'add', '10.9.0.0/16', 'metric', '50', 'via', '10.0.1.2');
    ip('-n', K, 'route', 'delete', '10.9.0.0/16', 'metric', '0');
    await until('the next best is', () => sees(k, '10.9.0.1') === 'forward x');
    ip('-n', K, 'route', 'delete', '10.9.0.0/16');
    await until('none is', () => sees(k, '10.9.0.1') === 'none');
  });

  test('equal ways, kinds of routes, a loopback address', async () => {
    ip(
      '-n',
      K,
      'route',
      'add',
      '10.8.0.0/16',
      'nexthop',
      'via',
      '10.0.1.2',
      'nexthop',
      'via',
      '10.0.2.2',
      'weight',
      '3',
    );
    await until('a group is', () => sees(k, '10.8.0.1') === 'group');
    ip('-n', K, 'route', 'add', 'blackhole', '10.7.0.0/16');
    ip('-n', K, 'route', 'add', 'prohibit', '10.6.0.0/16');
    await until(
      'the others are',
      () => sees(k, '10.7.0.1') === 'blackhole' && sees(k, '10.6.0.1') === 'unreachable',
    );
    ip('-n', K, 'address', 'add', '10.255.0.9/32', 'dev', 'lo');
    await until('the address is', () => sees(k, '10.255.0.9') === 'local');
    for (const one of ['10.8.0.0/16', '10.7.0.0/16', '10.6.0.0/16']) ip('-n', K, 'route', 'delete', one);
    await until('they are gone', () => sees(k, '10.8.0.1') === 'none' && sees(k, '10.6.0.1') === 'none');
  });

  test('one of two IPv6 ways leaves', async () => {
    ip('-n', K, '-6', 'address', 'add', 'fd00:0:0:2::1/64', 'dev', 'y');
    ip('-n', K, '-6', 'route', 'add', 'fd08::/64', 'via', 'fd00:0:0:1::2');
    ip('-n', K, '-6', 'route', 'append', 'fd08::/64', 'via', 'fd00:0:0:2::2');
    await until('a group is', () => sees(k, 'fd08::1') === 'group');
    ip('-n', K, '-6', 'route', 'delete', 'fd08::/64', 'via', 'fd00:0:0:2::2');
    await until('one is', () => sees(k, 'fd08::1') === 'forward x');
  });

  test('a link that goes down takes its routes along', async () => {
    ip('-n', K, 'route', 'add', '10.9.0.0/16', 'via', '10.0.1.2');
    await until('the route is', () => sees(k, '10.9.0.1') === 'forward x');
    ip('-n', K, 'link', 'set', 'x', 'down');
    await until('none is', () => sees(k, '10.9.0.1') === 'none' && sees(k, '10.0.1.50') === 'none');
    ip('-n', K, 'link', 'set', 'x', 'up');
    await until('its link is back', () => sees(k, '10.0.1.50') === 'glean x');
  });

  test('more routes at once than there is room for their events', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cabernet-node-'));
    const batch = Array.from(
      { length: 40_000 },
      (_, i) => `route add 30.${i >> 8}.${i & 255}.0/24 via 10.0.2.2`,
    );
    writeFileSync(join(folder, 'batch'), batch.join('\n'));
    ip('-n', K, '-batch', join(folder, 'batch'));
    rmSync(folder, { recursive: true });
    await until('all are there', () => find(k).mirror.table.size(4) >= 40_000);
    expect(sees(k, '30.156.63.1')).toBe('forward y');
    ip('-n', K, 'route', 'flush', 'root', '30.0.0.0/8');
    await until('none is', () => find(k).mirror.table.size(4) < 100);
  }, 150_000);

  test('the choice of who fills a node can be changed', async () => {
    const below = (source: number): Resource[] => [
      node('c', 'R', 'tenant', source),
      port('c/R/x', 'st-cx'),
      port('c/R/y', 'st-cy'),
      node('k', 'R', 'tenant', 2),
      port('k/R/x', 'st-kx'),
      port('k/R/y', 'st-ky'),
    ];
    const c = 'vns/c/nodes/R';
    expect(sees(c, '10.9.0.1')).toBe('forward x');
    await apply(agent, 'below', below(2));
    await until('the tenant’s route is not there', () => sees(c, '10.9.0.1') === 'none');
    expect(ip('-n', C, 'route', 'show', 'proto', '202')).toBe('');
    expect(sees(c, '10.0.1.1')).toBe('local');
    await until('its link is', () => sees(c, '10.0.1.50') === 'glean x');
    await apply(agent, 'below', below(1));
    await until('the tenant’s route is back', () => sees(c, '10.9.0.1') === 'forward x');
    expect(sees(c, '10.0.1.50')).toBe('glean x');
  });
});
