import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Agent } from '../../src/node/agent.js';
import {
  addMachine,
  addStation,
  address,
  addWire,
  apply,
  deliver,
  inside,
  ip,
  link,
  netns,
  node,
  port,
  route,
  startAgent,
  swap,
  sweep,
  tunnel,
} from './machines.js';

/** P - Q - M, service link P - M over P - Q - M, stations hp and hm. */
const agents = new Map<string, Agent>();

function agent(name: string): Agent {
  const found = agents.get(name);
  if (!found) throw new Error(name);
  return found;
}

beforeAll(async () => {
  sweep();
  addMachine('P', '100.127.0.1', 'fd64:ffff::1');
  addMachine('Q', '100.127.0.2', 'fd64:ffff::2');
  addMachine('M', '100.127.0.3', 'fd64:ffff::3');
  addWire('P', 'Q', 0);
  addWire('Q', 'M', 1);
  for (const [at, to, via, via6] of [
    ['P', 2, '100.64.0.1', 'fd64::1'],
    ['Q', 1, '100.64.0.0', 'fd64::'],
    ['Q', 3, '100.64.0.3', 'fd64::3'],
    ['M', 2, '100.64.0.2', 'fd64::2'],
  ] as const) {
    ip('-n', netns(at), 'route', 'add', `100.127.0.${to}/32`, 'via', via);
    ip('-n', netns(at), '-6', 'route', 'add', `fd64:ffff::${to}/128`, 'via', via6);
  }
  addStation('P', 'hp', 'st-hp', ['10.0.1.2/24', 'fd00:0:0:1::2/64']);
  addStation('M', 'hm', 'st-hm', ['10.0.3.2/24', 'fd00:0:0:3::2/64']);
  for (const name of ['P', 'Q', 'M']) agents.set(name, await startAgent(name));
});

afterAll(async () => {
  for (const one of agents.values()) await one.close();
  sweep();
});

test('a station reaches another over three layers', async () => {
  await apply(agent('P'), 'one', [
    tunnel('p-q', '100.127.0.1', '100.127.0.2'),
    node('conn', 'P', 'conn'),
    link('conn/P/p6', { tunnel: 'p-q', label: 1001 }),
    deliver({ tunnel: 'p-q', label: 2001 }, 'conn/P/p6'),
  ]);
  await apply(agent('Q'), 'one', [
    tunnel('q-p', '100.127.0.2', '100.127.0.1'),
    tunnel('q-m', '100.127.0.2', '100.127.0.3'),
    node('conn', 'Q', 'conn'),
    link('conn/Q/q2', { tunnel: 'q-p', label: 2001 }),
    link('conn/Q/q3', { tunnel: 'q-m', label: 3001 }),
    deliver({ tunnel: 'q-p', label: 1001 }, 'conn/Q/q2'),
    deliver({ tunnel: 'q-m', label: 4001 }, 'conn/Q/q3'),
  ]);
  await apply(agent('M'), 'one', [
    tunnel('m-q', '100.127.0.3', '100.127.0.2'),
    node('conn', 'M', 'conn'),
    link('conn/M/m1', { tunnel: 'm-q', label: 4001 }),
    deliver({ tunnel: 'm-q', label: 3001 }, 'conn/M/m1'),
  ]);
  await apply(agent('P'), 'conn', [
    node('iptv', 'P', 'iptv'),
    port('iptv/P/station', 'st-hp'),
    link('iptv/P/p-m', { vif: 'conn/P/p6', label: 5001 }),
    deliver({ vif: 'conn/P/p6', label: 6001 }, 'iptv/P/p-m'),
  ]);
  await apply(agent('Q'), 'conn', [
    swap({ vif: 'conn/Q/q2', label: 5001 }, { vif: 'conn/Q/q3', label: 5002 }),
    swap({ vif: 'conn/Q/q3', label: 6002 }, { vif: 'conn/Q/q2', label: 6001 }),
  ]);
  await apply(agent('M'), 'conn', [
    node('iptv', 'M', 'iptv'),
    port('iptv/M/station', 'st-hm'),
    link('iptv/M/m-p', { vif: 'conn/M/m1', label: 6002 }),
    deliver({ vif: 'conn/M/m1', label: 5002 }, 'iptv/M/m-p'),
  ]);
  await apply(agent('P'), 'iptv', [
    address('iptv/P/station', '10.0.1.1/24'),
    address('iptv/P/station', 'fd00:0:0:1::1/64'),
    address('iptv/P/p-m', '10.1.0.0/31'),
    address('iptv/P/p-m', 'fd00:1::/127'),
    route('iptv/P', '10.0.3.0/24', ['p-m', '10.1.0.1']),
    route('iptv/P', 'fd00:0:0:3::/64', ['p-m', 'fd00:1::1']),
  ]);
  await apply(agent('M'), 'iptv', [
    address('iptv/M/station', '10.0.3.1/24'),
    address('iptv/M/station', 'fd00:0:0:3::1/64'),
    address('iptv/M/m-p', '10.1.0.1/31'),
    address('iptv/M/m-p', 'fd00:1::1/127'),
    route('iptv/M', '10.0.1.0/24', ['m-p', '10.1.0.0']),
    route('iptv/M', 'fd00:0:0:1::/64', ['m-p', 'fd00:1::']),
  ]);
  for (const target of ['10.0.1.1', '10.0.3.2', 'fd00:0:0:1::1', 'fd00:0:0:3::2']) {
    const { status, output } = inside(netns('st.hp'), 'ping', '-c', '3', '-i', '0.2', '-W', '2', target);
    expect(status, output).toBe(0);
  }
});
