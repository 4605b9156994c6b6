import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Agent } from '../../src/node/agent.js';
import {
  apply,
  inside,
  link,
  netns,
  node,
  port,
  deliver,
  startAgent,
  stream,
  swap,
  sweep,
} from './machines.js';
import { buildThree, MACHINES, OWNERS, three } from './three.js';

const agents = new Map<string, Agent>();

beforeAll(async () => {
  sweep();
  buildThree();
  for (const name of MACHINES) agents.set(name, await startAgent(name));
});

afterAll(async () => {
  for (const one of agents.values()) await one.close();
  sweep();
});

async function applyThree(family: 4 | 6): Promise<void> {
  const wanted = three(family);
  for (const owner of OWNERS) {
    for (const name of MACHINES) {
      const agent = agents.get(name);
      if (agent) await apply(agent, owner, wanted[name][owner] ?? []);
    }
  }
}

function ping(target: string): void {
  const { status, output } = inside(netns('st.hp'), 'ping', '-c', '3', '-i', '0.2', '-W', '2', target);
  expect(status, output).toBe(0);
}

test.each([4, 6] as const)(
  'stations reach each other over three layers, tunnels over IPv%d',
  async (family) => {
    await applyThree(family);
    for (const target of ['10.0.1.1', '10.0.3.2', 'fd00:0:0:1::1', 'fd00:0:0:3::2']) ping(target);
  },
);

test('traceroute shows service routers only', () => {
  for (const [flag, hops] of [
    ['-4', ['10.0.1.1', '10.1.0.1', '10.0.3.2']],
    ['-6', ['fd00:0:0:1::1', 'fd00:1::1', 'fd00:0:0:3::2']],
  ] as const) {
    const target = hops[2];
    const { output } = inside(netns('st.hp'), 'traceroute', flag, '-n', '-q', '1', '-w', '2', target);
    const seen = output
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/)[1])
      .filter(Boolean);
    expect(seen, output).toEqual(hops);
  }
});

test('a link moves to another path, and back, without a packet lost', async () => {
  await applyThree(4);
  ping('10.0.3.2');
  const [p, q] = [agents.get('P'), agents.get('Q')];
  if (!p || !q) throw new Error('no agents');
  const other = swap({ vif: 'conn/Q/q2', label: 5011 }, { vif: 'conn/Q/q3', label: 5002 });
  await apply(q, 'conn', [...(three(4).Q['conn'] ?? []), other]);
  const by = (label: number): Parameters<typeof apply>[2] => [
    node('iptv', 'P', 'iptv'),
    port('iptv/P/station', 'st-hp'),
    link('iptv/P/p-m', { vif: 'conn/P/p6', label }),
    deliver({ vif: 'conn/P/p6', label: 6001 }, 'iptv/P/p-m'),
  ];
  const streams = stream('hp', '10.0.3.2', 400);
  for (let i = 0; i < 12; i++) {
    await apply(p, 'conn', by(i % 2 ? 5001 : 5011));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(await streams).toEqual({ sent: 400, received: 400 });
});

test('what a tenant adds to its tables costs nobody a packet', async () => {
  const m = agents.get('M');
  if (!m) throw new Error('no agent');
  const streams = stream('hp', '10.0.3.2', 400);
  const own = three(4).M['iptv'] ?? [];
  for (let i = 0; i < 10; i++) {
    const more = Array.from({ length: 2000 }, (_, n) => ({
      route: {
        node: 'vns/iptv/nodes/M',
        destination: `10.${100 + (n >> 8)}.${n & 255}.0/24`,
        nextHops: [{ vif: 'vns/iptv/nodes/M/vifs/m-p', gateway: '10.1.0.0' }],
      },
    }));
    await apply(m, 'iptv', i % 2 ? own : [...own, ...more]);
  }
  expect(await streams).toEqual({ sent: 400, received: 400 });
});
