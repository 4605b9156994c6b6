import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Agent } from '../../src/node/agent.js';
import { type LiveTunnel } from '../../src/node/underlay.js';
import {
  addMachine,
  address,
  addWire,
  apply,
  deliver,
  inside,
  ip,
  link,
  netns,
  node,
  type Resource,
  startAgent,
  sweep,
  tunnel,
  until,
} from './machines.js';

/** A and B, two wires between them, equal routes over both; one link of a connectivity network. */
let a: Agent;
let b: Agent;

const ends = { A: '100.127.0.1', B: '100.127.0.2' };

function wanted(at: 'A' | 'B', more: object = {}): Resource[] {
  const other = at === 'A' ? 'B' : 'A';
  return [
    tunnel('t', ends[at], ends[other], more),
    node('conn', at, 'one'),
    link(`conn/${at}/x`, { tunnel: 't', label: 1000 }),
    deliver({ tunnel: 't', label: 1000 }, `conn/${at}/x`),
    address(`conn/${at}/x`, at === 'A' ? '10.5.0.1/24' : '10.5.0.2/24'),
  ];
}

function routes(): void {
  const via = (host: number, device: string): string[] => [
    'nexthop',
    'via',
    `100.64.0.${host}`,
    'dev',
    device,
  ];
  ip('-n', netns('A'), 'route', 'replace', `${ends.B}/32`, ...via(1, 'to-B'), ...via(3, 'to-B2'));
  ip('-n', netns('B'), 'route', 'replace', `${ends.A}/32`, ...via(0, 'to-A'), ...via(2, 'to-A2'));
}

function live(agent: Agent): LiveTunnel {
  const found = agent.underlay.get('tunnels/t');
  if (!found) throw new Error('no tunnel');
  return found;
}

function ways(agent: Agent): string[] {
  return live(agent)
    .ways.filter((way) => way.mac !== '')
    .map((way) => `${way.interface} ${way.gateway}`)
    .sort();
}

/** From the connectivity network's node in A to the one in B: the whole way down and up. */
function reaches(): boolean {
  return inside(`${netns('A')}.conn.A`, 'ping', '-c', '1', '-W', '1', '10.5.0.2').status === 0;
}

beforeAll(async () => {
  sweep();
  addMachine('A', ends.A, 'fd64:ffff::1');
  addMachine('B', ends.B, 'fd64:ffff::2');
  addWire('A', 'B', 0);
  addWire('A', 'B', 1, 1700, '2');
  routes();
  [a, b] = await Promise.all([startAgent('A'), startAgent('B')]);
  await apply(a, 'one', wanted('A'));
  await apply(b, 'one', wanted('B'));
});

afterAll(async () => {
  await a.close();
  await b.close();
  sweep();
});

beforeEach(async () => {
  await until('both ways are known', () => ways(a).length === 2 && ways(b).length === 2);
});

test('equal routes are equal ways, and the narrowest counts', async () => {
  expect(ways(a)).toEqual(['to-B 100.64.0.1', 'to-B2 100.64.0.3']);
  expect(live(a)).toMatchObject({ condition: 'up', mtu: 1600 });
  const { hops } = a.plane.tunnels.read(live(a).id);
  expect(new Set(hops).size).toBe(2);
  await until('the other end answers', reaches);
});

test('a wire that goes down, comes back, or loses its carrier', async () => {
  ip('-n', netns('A'), 'link', 'set', 'to-B', 'down');
  await until(
    'one way is left',
    () => ways(a).join() === 'to-B2 100.64.0.3' && ways(b).join() === 'to-A2 100.64.0.2',
  );
  await until('the far end answers', reaches, 5000);
  ip('-n', netns('A'), 'link', 'set', 'to-B2', 'down');
  await until('none is left', () => live(a).condition !== 'up');
  expect(reaches()).toBe(false);
  ip('-n', netns('A'), 'link', 'set', 'to-B', 'up');
  ip('-n', netns('A'), 'link', 'set', 'to-B2', 'up');
  routes();
  await until('both are back', () => ways(a).length === 2 && ways(b).length === 2);
  await until('the far end answers', reaches, 5000);
});

test('a wire of another name is the same wire', async () => {
  ip('-n', netns('A'), 'link', 'set', 'to-B', 'down');
  ip('-n', netns('A'), 'link', 'set', 'to-B', 'name', 'wire');
  ip('-n', netns('A'), 'link', 'set', 'wire', 'up');
  ip(
    ...['-n', netns('A'), 'route', 'replace', `${ends.B}/32`],
    ...['nexthop', 'via', '100.64.0.1', 'dev', 'wire', 'nexthop', 'via', '100.64.0.3', 'dev', 'to-B2'],
  );
  await until('it is used under its new name', () => ways(a).join() === 'to-B2 100.64.0.3,wire 100.64.0.1');
  await until('the far end answers', reaches, 5000);
  ip('-n', netns('A'), 'link', 'set', 'wire', 'down');
  ip('-n', netns('A'), 'link', 'set', 'wire', 'name', 'to-B');
  ip('-n', netns('A'), 'link', 'set', 'to-B', 'up');
  routes();
});

test('a wire that was taken away and laid anew under its name', async () => {
  ip('-n', netns('A'), 'link', 'delete', 'to-B');
  // the kernel takes a route away of which one wire is gone
  await until('no way is left', () => ways(a).length === 0 && ways(b).length === 0);
  addWire('A', 'B', 0);
  routes();
  await until('both are back', () => ways(a).length === 2 && ways(b).length === 2);
  ip('-n', netns('A'), 'link', 'set', 'to-B2', 'down');
  await until('the new one is left', () => ways(a).join() === 'to-B 100.64.0.1');
  await until('the far end answers', reaches, 5000);
  ip('-n', netns('A'), 'link', 'set', 'to-B2', 'up');
  routes();
});

test('other addresses on a wire, and another MAC address at its far end', async () => {
  ip('-n', netns('A'), 'address', 'add', '100.64.9.0/31', 'dev', 'to-B');
  ip('-n', netns('B'), 'address', 'add', '100.64.9.1/31', 'dev', 'to-A');
  ip('-n', netns('A'), 'route', 'replace', `${ends.B}/32`, 'via', '100.64.9.1', 'dev', 'to-B');
  await until('the new gateway is known', () => ways(a).join() === 'to-B 100.64.9.1');
  await until('the far end answers', reaches, 5000);
  // announced, as a router that takes over an address does; unannounced it takes the kernel's probes some seconds
  inside(netns('B'), 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/to-A/arp_notify');
  ip('-n', netns('B'), 'link', 'set', 'to-A', 'address', '02:00:00:00:99:01');
  await until('the new MAC address is used', () => live(a).ways[0]?.mac === '02:00:00:00:99:01');
  await until('the far end answers', reaches, 5000);
  ip('-n', netns('A'), 'address', 'delete', '100.64.9.0/31', 'dev', 'to-B');
  ip('-n', netns('B'), 'address', 'delete', '100.64.9.1/31', 'dev', 'to-A');
  routes();
});

test('no route, a route elsewhere, and a machine without the address', async () => {
  ip('-n', netns('A'), 'route', 'delete', `${ends.B}/32`);
  await until('there is no route', () => live(a).condition === 'no route');
  ip('-n', netns('A'), 'route', 'add', `${ends.B}/32`, 'dev', 'lo', 'scope', 'link');
  await until('the route is no wire’s', () => live(a).remark.includes('leaves by lo'));
  ip('-n', netns('A'), 'route', 'delete', `${ends.B}/32`);
  routes();
  await until('it is back', () => live(a).condition === 'up');
  ip('-n', netns('A'), 'address', 'delete', `${ends.A}/32`, 'dev', 'lo');
  await until('the address is not the machine’s', () =>
    live(a).remark.includes('no address of this machine'),
  );
  ip('-n', netns('A'), 'address', 'add', `${ends.A}/32`, 'dev', 'lo');
});

test('a changed tunnel sends other headers, by new hops', async () => {
  const before = new Set(a.plane.tunnels.read(live(a).id).hops);
  await apply(a, 'one', wanted('A', { dscp: 46, udpChecksum: true }));
  const { hops, flags } = a.plane.tunnels.read(live(a).id);
  expect(flags).toBe(1);
  for (const hop of hops) {
    expect(before.has(hop)).toBe(false);
    expect(a.plane.underlayHops.read(hop).ip[1]).toBe(46 << 2);
  }
  // what one end sends with a checksum, the other wants with one
  await apply(b, 'one', wanted('B', { udpChecksum: true }));
  await until('it is understood', reaches);
  await apply(a, 'one', wanted('A'));
  await apply(b, 'one', wanted('B'));
});

test('packets of a tunnel that must arrive elsewhere go nowhere', async () => {
  await apply(b, 'one', wanted('B', { arrivalInterface: 'to-A2' }));
  ip('-n', netns('A'), 'route', 'replace', `${ends.B}/32`, 'via', '100.64.0.1', 'dev', 'to-B');
  await until('A sends by the first wire', () => ways(a).join() === 'to-B 100.64.0.1');
  expect(reaches()).toBe(false);
  const drops = await b.plane.counters.drops();
  expect(drops.some(({ reason }) => reason === 9)).toBe(true);
  ip('-n', netns('A'), 'route', 'replace', `${ends.B}/32`, 'via', '100.64.0.3', 'dev', 'to-B2');
  await until('A sends by the second', () => ways(a).join() === 'to-B2 100.64.0.3');
  await until('the far end answers', reaches, 5000);
  await apply(b, 'one', wanted('B'));
  routes();
});

test('a vif that does not fit the underlay is refused with what would', async () => {
  const large = wanted('A').map((resource) =>
    resource.vif ? { vif: { ...resource.vif, mtu: 1550 } } : resource,
  ) as Resource[];
  await expect(apply(a, 'one', large)).rejects.toMatchObject({
    reason: 'MTU_TOO_BIG',
    field: 'resources[2].vif.mtu',
    message: expect.stringContaining('at most 1526 fits') as string,
  });
  const jumbo = large.map((resource) =>
    resource.vif ? { vif: { ...resource.vif, mtu: 3499 } } : resource,
  ) as Resource[];
  await expect(apply(a, 'one', jumbo)).rejects.toMatchObject({
    reason: 'MTU_TOO_BIG',
    message: expect.stringContaining('at most 3498 without jumbo frames') as string,
  });
});
