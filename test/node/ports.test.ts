import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Agent } from '../../src/node/agent.js';
import { matchesGlob } from '../../src/node/interfaces.js';
import { vifState } from '../../src/node/states.js';
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
  startAgent,
  sweep,
  until,
  vifName,
} from './machines.js';

let agent: Agent;

const wanted = [
  node('n', 'R', 'n'),
  port('n/R/a', 'st-a'),
  port('n/R/b', 'st-b'),
  address('n/R/a', '10.0.1.1/24'),
  address('n/R/b', '10.0.2.1/24'),
];

beforeAll(async () => {
  sweep();
  addMachine('R', '100.127.0.1', 'fd64:ffff::1');
  addStation('R', 'a', 'st-a', ['10.0.1.2/24']);
  agent = await startAgent('R');
  await apply(agent, 'n', wanted);
});

afterAll(async () => {
  await agent.close();
  sweep();
});

function state(short: string): string {
  const vif = agent.vifs.get(vifName(short));
  return vif ? vifState(agent, vif) : 'none';
}

function answers(station: string, target: string): boolean {
  return inside(netns(`st.${station}`), 'ping', '-c', '1', '-W', '1', target).status === 0;
}

test('a cable that is plugged in later', async () => {
  expect(state('n/R/a')).toBe('up');
  expect(state('n/R/b')).toBe('port st-b: no such interface');
  addStation('R', 'b', 'st-b', ['10.0.2.2/24']);
  await until('the vif is up', () => state('n/R/b') === 'up');
  await until('stations reach each other', () => answers('b', '10.0.1.2'));
});

test('one that is pulled out, or whose interface has another name', async () => {
  ip('-n', netns('st.b'), 'link', 'set', 'eth0', 'down');
  await until('the carrier is gone', () => state('n/R/b') === 'port st-b has no carrier');
  ip('-n', netns('st.b'), 'link', 'set', 'eth0', 'up');
  await until('it is back', () => state('n/R/b') === 'up');
  ip('-n', netns('st.b'), 'route', 'replace', 'default', 'via', '10.0.2.1');
  ip('-n', netns('R'), 'link', 'set', 'st-b', 'down');
  await until('it is down', () => state('n/R/b') === 'port st-b is down');
  ip('-n', netns('R'), 'link', 'set', 'st-b', 'name', 'other');
  ip('-n', netns('R'), 'link', 'set', 'other', 'up');
  await until('it is up again', () => state('n/R/b') === 'up');
  ip('-n', netns('st.b'), 'route', 'replace', 'default', 'via', '10.0.2.1');
  await until('the station reaches the other', () => answers('b', '10.0.1.2'));
  ip('-n', netns('R'), 'link', 'delete', 'other');
  await until('it is gone', () => state('n/R/b') === 'port st-b: no such interface');
  ip('netns', 'delete', netns('st.b'));
  addStation('R', 'b', 'st-b', ['10.0.2.2/24']);
  await until('another is taken', () => state('n/R/b') === 'up');
  await until('the station reaches the other', () => answers('b', '10.0.1.2'));
});

test('an interface that cannot run the program natively is refused with the reason', async () => {
  ip('netns', 'add', netns('st.c'));
  ip(
    'link',
    'add',
    'name',
    'st-c',
    'netns',
    netns('R'),
    'mtu',
    '9000',
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    netns('st.c'),
  );
  ip('-n', netns('st.c'), 'link', 'set', 'eth0', 'mtu', '9000', 'up');
  ip('-n', netns('R'), 'link', 'set', 'st-c', 'up');
  await apply(agent, 'n', [...wanted, port('n/R/c', 'st-c')]);
  expect(state('n/R/c')).toMatch(/^port st-c: .*“veth: .*MTU.*ip link set dev st-c mtu 3498.*NOT_NATIVE/);
  expect(agent.vifs.get(vifName('n/R/c'))?.up).toBe(false);
  ip('-n', netns('st.c'), 'link', 'set', 'eth0', 'mtu', '1500');
  ip('-n', netns('R'), 'link', 'set', 'st-c', 'mtu', '1500');
  await until('it is taken when it can', () => state('n/R/c') === 'up');
  await apply(agent, 'n', wanted);
  expect(state('n/R/c')).toBe('none');
  expect(ip('-n', netns('R'), 'link', 'show', 'st-c')).not.toContain('xdp');
});

test('a port moves from one vif to another, and a vif from one port to another', async () => {
  await apply(agent, 'n', [
    node('n', 'R', 'n'),
    port('n/R/a', 'st-b'),
    port('n/R/b', 'st-a'),
    address('n/R/a', '10.0.2.1/24'),
    address('n/R/b', '10.0.1.1/24'),
  ]);
  expect([state('n/R/a'), state('n/R/b')]).toEqual(['up', 'up']);
  const forget = (): void => {
    for (const station of ['a', 'b']) ip('-n', netns(`st.${station}`), 'neighbour', 'flush', 'dev', 'eth0');
  };
  forget();
  await until('the station reaches the other', () => answers('b', '10.0.1.2'));
  await apply(agent, 'n', wanted);
  forget();
  await until('and as before', () => answers('b', '10.0.1.2'));
});

test('the machine itself says nothing on a station’s cable or into a virtual node', () => {
  for (const name of ['st-a', 'st-b']) {
    expect(inside(netns('R'), 'cat', `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`).output.trim()).toBe('1');
  }
  const ends = JSON.parse(ip('-n', netns('R'), '-j', 'address')) as {
    ifname: string;
    addr_info: unknown[];
  }[];
  for (const { ifname, addr_info } of ends) if (ifname.startsWith('cv')) expect(addr_info).toEqual([]);
});

test('globs', () => {
  expect(matchesGlob('st-*', 'st-a')).toBe(true);
  expect(matchesGlob('st-*', 'xst-a')).toBe(false);
  expect(matchesGlob('eth?.10', 'eth1.10')).toBe(true);
  expect(matchesGlob('eth?.10', 'eth1x10')).toBe(false);
  expect(matchesGlob('a+b', 'a+b')).toBe(true);
});
