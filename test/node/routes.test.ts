import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Agent } from '../../src/node/agent.js';
import {
  addMachine,
  addStation,
  address,
  collect,
  node,
  port,
  type Resource,
  startAgent,
  sweep,
} from './machines.js';

let agent: Agent;

beforeAll(async () => {
  sweep();
  addMachine('R', '100.127.0.1', 'fd64:ffff::1');
  addStation('R', 'hr', 'st-hr', ['10.0.1.2/24']);
  agent = await startAgent('R', { capacities: { chunks: 65536 } });
  await agent.applier.apply(collect('conn', [node('iptv', 'R', 'iptv'), port('iptv/R/station', 'st-hr')]));
});

afterAll(async () => {
  await agent.close();
  sweep();
});

function table(count: number, gateway: (i: number) => string): Resource[] {
  const routes: Resource[] = [address('iptv/R/station', '10.0.1.1/24')];
  for (let i = 0; i < count; i++) {
    routes.push({
      route: {
        node: 'vns/iptv/nodes/R',
        destination: `${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`,
        nextHops: [{ vif: 'vns/iptv/nodes/R/vifs/station', gateway: gateway(i) }],
      },
    });
  }
  return routes;
}

test('100 000 routes go in within seconds, one change within what it takes to read the stream', async () => {
  const timed = async (resources: Resource[]): Promise<number> => {
    const start = performance.now();
    await agent.applier.apply(collect('iptv', resources));
    return performance.now() - start;
  };
  const first = await timed(table(100_000, (i) => `10.0.1.${2 + (i % 100)}`));
  const again = await timed(table(100_000, (i) => `10.0.1.${2 + (i % 100)}`));
  const one = await timed(table(100_000, (i) => (i === 777 ? '10.0.1.200' : `10.0.1.${2 + (i % 100)}`)));
  const none = await timed(table(0, () => ''));
  console.log({ first, again, one, none });
  expect(first).toBeLessThan(5000);
});
