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
      - { a: P, b: M, name: plain }
      - { a: P, b: M, name: sum, tunnel_family: 6, udp_checksum: true }
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

test('connectivity links over IPv4, and over IPv6 with UDP checksums, carry their owner’s frames', () => {
  const vifs = world.get<{ vif: string; addresses: string }>('vifs', 'conn/M');
  for (const link of ['plain', 'sum']) {
    const address = vifs.find((v) => v.vif.endsWith(`/${link}`))?.addresses.split('/')[0] ?? '';
    expect(world.ping('conn/P', address).received, `${link} ${address}`).toBe(3);
  }
});

test('the service works over them', () => {
  for (const to of ['10.0.3.2', 'fd00:0:0:3::2']) expect(world.ping('iptv/hp', to).received).toBe(3);
});

test('two equal ways are both known, and flows spread over them', () => {
  interface Statistics {
    stats64: { tx: { packets: number } };
  }
  const counted = (): number[] =>
    ['X', 'Y'].map((via) => {
      const [link] = JSON.parse(
        world.exec('P', 'ip', '-s', '-j', 'link', 'show', `to-${via}`).stdout,
      ) as Statistics[];
      return link?.stats64.tx.packets ?? 0;
    });
  const before = counted();
  const script = `const s = require('dgram').createSocket('udp4'); let n = 0;
    for (let port = 1000; port < 1200; port++) s.send('x', port, '10.0.3.2', () => { if (++n === 200) s.close(); });`;
  expect(world.exec('iptv/hp', process.execPath, '-e', script).status).toBe(0);
  const sent = counted().map((n, i) => n - (before[i] ?? 0));
  expect(Math.min(...sent), `${sent.join(' and ')} packets`).toBeGreaterThan(30);
});

test('one way goes down: all by the other; it comes back', async () => {
  const reaches = (): true | undefined =>
    world.ping('iptv/hp', '10.0.3.2', 2).received === 2 ? true : undefined;
  for (const via of ['X', 'Y']) {
    /* both wires of the way: the machines' routes are static, X would not tell M what P lost */
    for (const end of ['P', 'M']) expect(world.run('cut', end, via).status).toBe(0);
    await until(`reachable without ${via}`, reaches);
    for (const end of ['P', 'M']) expect(world.run('heal', end, via).status).toBe(0);
    await until('reachable', reaches);
  }
}, 60_000);

test('a link renamed and readdressed below', async () => {
  expect(world.exec('P', 'ip', 'link', 'set', 'to-Y', 'name', 'wan0').status).toBe(0);
  expect(world.exec('P', 'ip', 'link', 'set', 'wan0', 'address', '02:11:22:33:44:55').status).toBe(0);
  for (const end of ['P', 'M']) expect(world.run('cut', end, 'X').status).toBe(0);
  await until('reachable by the renamed link', () =>
    world.ping('iptv/hp', '10.0.3.2', 2).received === 2 ? true : undefined,
  );
  const below = world
    .get<{ vif: string; below: string }>('paths')
    .find((p) => p.vif === 'conn/P/plain')?.below;
  expect(below).toContain('wan0');
});
