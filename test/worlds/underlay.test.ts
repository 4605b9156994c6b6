/*
 * What happens below: tunnels over IPv6, tunnels with UDP checksums, two equal ways, links that go down, are renamed
 * or readdressed. The service above keeps its addresses, its MTU and, where there is another way, its traffic.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until, World } from '../support/worlds.js';

/* Between P and M two equal ways, by X and by Y. */
const yaml = `
name: underlay
machines:
  - { name: P, provider: one }
  - { name: X, provider: one }
  - { name: Y, provider: one }
  - { name: M, provider: one }
wires:
  - { a: P, b: X }
  - { a: P, b: Y }
  - { a: X, b: M }
  - { a: Y, b: M }
networks:
  - name: conn
    nodes: [{ name: P }, { name: M }]
    links:
      - { a: P, b: M, name: four }
      - { a: P, b: M, name: six, tunnel_family: 6 }
      - { a: P, b: M, name: sum, udp_checksum: true }
  - name: iptv
    over: conn
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M }]
stations:
  - { name: hp, network: iptv, node: P, addresses: ['10.0.1.2/24', 'fd00:0:0:1::2/64'] }
  - { name: hm, network: iptv, node: M, addresses: ['10.0.3.2/24', 'fd00:0:0:3::2/64'] }
`;

let world: World;
beforeAll(() => {
  world = World.up(yaml);
}, 120_000);
afterAll(() => {
  world?.down();
}, 60_000);

interface Tunnel {
  tunnel: { name: string; localAddress: string; udpChecksum?: boolean };
  state: string;
  hops: Array<{ interface: string }>;
}

test('connectivity links over IPv4, over IPv6 and with UDP checksums carry their owner’s frames', () => {
  const nodes = world.get<{ vif: { name: string }; addresses: string[] }>('vifs', 'conn/M');
  for (const link of ['four', 'six', 'sum']) {
    const address = nodes.find((v) => v.vif.name.endsWith(`/${link}`))?.addresses.find((a) => a.includes('.'))?.split('/')[0];
    expect(address, link).toBeDefined();
    expect(world.ping('conn/P', address ?? '').received, link).toBe(3);
  }
});

test('the service works over them', () => {
  for (const to of ['10.0.3.2', 'fd00:0:0:3::2']) expect(world.ping('iptv/hp', to).received).toBe(3);
});

test('two equal ways are both known, and flows spread over them', () => {
  const counted = (name: string): number[] =>
    ['X', 'Y'].map((via) => Number(/(\d+)/.exec(world.exec('P', 'cat', `/sys/class/net/to-${via}/statistics/tx_packets`).stdout)?.[1] ?? name));
  const before = counted('before');
  const script = `const s = require('dgram').createSocket('udp4'); let n = 0;
    for (let port = 1000; port < 1200; port++) s.send('x', port, '10.0.3.2', () => { if (++n === 200) s.close(); });`;
  expect(world.exec('iptv/hp', process.execPath, '-e', script).status).toBe(0);
  const sent = counted('after').map((n, i) => n - (before[i] ?? 0));
  expect(Math.min(...sent), `${sent.join(' and ')} packets`).toBeGreaterThan(30);
});

test('one way goes down: all by the other; it comes back', async () => {
  const reaches = (): true | undefined => (world.ping('iptv/hp', '10.0.3.2', 2).received === 2 ? true : undefined);
  expect(world.run('cut', 'P', 'X').status).toBe(0);
  await until('reachable by Y', reaches);
  expect(world.run('heal', 'P', 'X').status).toBe(0);
  expect(world.run('cut', 'P', 'Y').status).toBe(0);
  await until('reachable by X', reaches);
  expect(world.run('heal', 'P', 'Y').status).toBe(0);
  await until('reachable', reaches);
}, 60_000);

test('a link renamed and readdressed below', async () => {
  expect(world.exec('P', 'ip', 'link', 'set', 'to-Y', 'down').status).toBe(0);
  expect(world.exec('P', 'ip', 'link', 'set', 'to-Y', 'name', 'wan0').status).toBe(0);
  expect(world.exec('P', 'ip', 'link', 'set', 'wan0', 'address', '02:11:22:33:44:55').status).toBe(0);
  expect(world.exec('P', 'ip', 'link', 'set', 'wan0', 'up').status).toBe(0);
  await until('reachable', () => (world.ping('iptv/hp', '10.0.3.2', 2).received === 2 ? true : undefined));
  expect(world.get<Tunnel>('paths').length).toBeGreaterThan(0);
});
