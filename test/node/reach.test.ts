import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Agent } from '../../src/node/agent.js';
import { apply, inside, netns, startAgent, sweep } from './machines.js';
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
