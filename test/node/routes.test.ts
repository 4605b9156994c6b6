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

test('100 000 routes go in; what is sent again unchanged is not touched, and one change is one', async () => {
  const apply = (resources: Resource[]): Promise<unknown> => agent.applier.apply(collect('iptv', resources));
  const gateway = (i: number): string => `10.0.1.${2 + (i % 100)}`;
  expect(await apply(table(100_000, gateway))).toMatchObject({ created: 100_001, deleted: 0 });
  const generationOf = (): number =>
    agent.plane.nodes.read(agent.nodes.get('vns/iptv/nodes/R')?.id ?? 0).generation;
  const generation = generationOf();
  expect(await apply(table(100_000, gateway))).toMatchObject({ created: 0, updated: 0, unchanged: 100_001 });
  expect(generationOf()).toBe(generation);
  const one = table(100_000, (i) => (i === 777 ? '10.0.1.200' : gateway(i)));
  expect(await apply(one)).toMatchObject({ created: 0, updated: 1, unchanged: 100_000 });
  expect(await apply(table(0, gateway))).toMatchObject({ deleted: 100_000, unchanged: 1 });
});
