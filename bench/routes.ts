/*
 * 100 000 routes from a service provider's SetRoutes into the tables of one machine, by way of all three layers of controllers:
 * examples/three.yaml. Beside it `ip -batch`, which puts as many into a namespace's kernel.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { cabernet } from '../gen/cabernet.js';
import { connect } from '../src/api/client.js';
import { type Draft } from '../src/api/message.js';
import { ServiceNetworkService } from '../src/api/service.js';
import { clientOf, type NodeClient } from '../src/world/agents.js';
import { controllerSocket } from '../src/world/controllers.js';
import { packageRoot, worldDirectory } from '../src/world/place.js';
import { Desk } from './desk.js';
import { ipBatch } from './ip.js';
import { median, round, row, type Row } from './report.js';
import { Testbed } from './testbed.js';

const rounds = 3;
const routes = 100_000;

/** The nth of /24 networks one after the other, from `first`.0.0.0 on. */
export function routeNetwork(first: number, n: number): string {
  return `${first + (n >> 16)}.${(n >> 8) & 255}.${n & 255}.0/24`;
}

export function* routeStream(
  first: number,
  count: number,
): Generator<Draft<cabernet.service.v1.SetRoutesRequest>, void> {
  yield { begin: { node: 'nodes/P' } };
  for (let i = 0; i < count; i += 5000) {
    const batch = Array.from({ length: Math.min(5000, count - i) }, (_, k) => ({
      destination: routeNetwork(first, i + k),
      nextHops: [{ vif: 'to-M' }],
    }));
    yield { routes: { routes: batch } };
  }
  yield { commit: { routeCount: count } };
}

/** What the machine's agent has in the node's table, of the networks from `first` on. */
async function countOf(agent: NodeClient, node: string, first: number): Promise<number> {
  let count = 0;
  let pageToken = '';
  do {
    const page = await agent.listRoutes({ node, pageSize: 10_000, pageToken });
    count += page.routes.filter(({ route }) => {
      const byte = Number(route?.destination.split('.', 1)[0]);
      return byte >= first && byte <= first + (routes >> 16);
    }).length;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return count;
}

async function measured(testbed: Testbed): Promise<Row[]> {
  const service = new Desk(testbed.name, { layer: 'service', name: 'iptv' });
  const socketPath = controllerSocket(worldDirectory(testbed.name), 'iptv');
  const client = connect(ServiceNetworkService, { socketPath, deadlineMs: 300_000 });
  const agent = clientOf(testbed.name, 'P');
  try {
    const { virtualNodes } = await agent.listVirtualNodes({ pageSize: 100 });
    const node = virtualNodes.find((one) => one.virtualNode?.name.includes('iptv'))?.virtualNode?.name ?? '';
    const times = { ours: [] as number[], ip: [] as number[] };
    for (let i = 0; i < rounds; i++) {
      const first = 20 + 4 * i;
      const start = performance.now();
      await client.setRoutes(routeStream(first, routes));
      await service.ready('network');
      times.ours.push((performance.now() - start) / 1000);
      const count = await countOf(agent, node, first);
      if (count !== routes) throw new Error(`${count} of ${routes} routes are in the node's table`);
      times.ip.push(await ipBatch(Array.from({ length: routes }, (_, n) => routeNetwork(first, n))));
      process.stderr.write(`  ${routes} routes by SetRoutes: ${round(times.ours.at(-1) ?? 0)} s\n`);
      await client.setRoutes(routeStream(first, 0));
      await service.ready('network');
    }
    return [
      row({
        ...{ bench: 'control', case: '100 000 routes by SetRoutes: in the machine', unit: 's' },
        ...{ value: round(median(times.ours)), peer: 'ip -batch', peerValue: round(median(times.ip)) },
      }),
    ];
  } finally {
    service.close();
    client.close();
    agent.close();
  }
}

export async function routesThroughAll(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-bench-'));
  const file = join(folder, 'three.yaml');
  const yaml = readFileSync(join(packageRoot(), 'examples', 'three.yaml'), 'utf8');
  const [plain, larger] = [
    'nodes: [{ name: P }, { name: M }]',
    'nodes: [{ name: P, share: { routes: 110000 } }, { name: M }]',
  ];
  if (!yaml.includes(plain)) throw new Error('examples/three.yaml is not as this benchmark knows it');
  writeFileSync(file, yaml.replace(plain, larger));
  const testbed = new Testbed('three', file);
  try {
    testbed.up();
    return await measured(testbed);
  } finally {
    testbed.down();
    rmSync(folder, { recursive: true, force: true });
  }
}
