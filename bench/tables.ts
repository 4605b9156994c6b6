/*
 * Tables through the API: what 100 000 routes take until the data plane and the virtual node's kernel have them, what
 * one more takes, and the memory of 1 000 virtual nodes.
 */
import { readFileSync } from 'node:fs';
import type { ResourceDraft } from '../src/api/node.js';
import { Agent } from './agent.js';
import { ipBatch } from './ip.js';
import { sequence } from './machine.js';
import { median, round, row, type Row } from './report.js';

const rounds = 5;
const routes = 100_000;
const nodes = 1000;
const each = 100;
const MiB = 1 << 20;

/** Different /24 networks, scattered over 11.0.0.0 to 110.255.255.0; the first ones are the same however many. */
function scattered(count: number): string[] {
  const next = sequence(7);
  const networks = new Set<string>();
  while (networks.size < count) {
    const n = next();
    networks.add(`${11 + (next() % 100)}.${(n >>> 8) & 255}.${n & 255}.0/24`);
  }
  return [...networks];
}

const tunnel: ResourceDraft = {
  tunnel: { name: 'tunnels/far', localAddress: '192.0.2.1', remoteAddress: '192.0.2.2' },
};
const nodeName = (i: number): string => `vns/v${i}/nodes/n`;

/** What the layer below makes: a virtual node and one link over the tunnel. */
function lease(i: number): ResourceDraft[] {
  const vif = `${nodeName(i)}/vifs/far`;
  const label = 16 + i;
  return [
    { virtualNode: { name: nodeName(i), tenant: 'tenant' } },
    { vif: { name: vif, link: { paths: [{ tunnel: 'tunnels/far', label }] } } },
    { label: { tunnel: 'tunnels/far', label, deliver: vif } },
  ];
}

/** What its tenant writes into it: an address, and routes by the link. */
function contents(i: number, networks: readonly string[]): ResourceDraft[] {
  const [node, vif] = [nodeName(i), `${nodeName(i)}/vifs/far`];
  return [
    { address: { vif, prefix: '10.255.0.1/24' } },
    ...networks.map((destination) => ({
      route: { node, destination, nextHops: [{ vif, gateway: '10.255.0.2' }] },
    })),
  ];
}

async function manyRoutes(): Promise<Row[]> {
  const networks = scattered(routes + rounds);
  const all = networks.slice(0, routes);
  const agent = await Agent.start('routes', { chunks: 65536 });
  try {
    await agent.apply('owner', [tunnel, ...lease(0)]);
    const times = { apply: [] as number[], ip: [] as number[], more: [] as number[] };
    for (let i = 0; i < rounds; i++) {
      const { seconds, answer } = await agent.apply('tenant', contents(0, all));
      if (answer.created < routes) throw new Error(`only ${answer.created} routes were made`);
      times.apply.push(seconds);
      const more = await agent.apply('tenant', contents(0, networks.slice(0, routes + 1 + i)));
      times.more.push(more.seconds);
      times.ip.push(await ipBatch(all));
      process.stderr.write(`  ${routes} routes: ${round(seconds)} s, one more: ${round(more.seconds)} s\n`);
      await agent.apply('tenant', []);
    }
    return [
      row({
        bench: 'tables',
        case: '100 000 routes into a node by one Apply',
        unit: 's',
        value: round(median(times.apply)),
        peer: 'ip -batch, kernel only',
        peerValue: round(median(times.ip)),
      }),
      row({
        bench: 'tables',
        case: 'one route more, all sent again',
        unit: 'ms',
        value: round(median(times.more) * 1000),
      }),
    ];
  } finally {
    await agent.stop();
  }
}

/** Bytes the kernel has in slabs, per-CPU and vmalloc memory. */
function kernelMemory(): number {
  const info = readFileSync('/proc/meminfo', 'utf8');
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return ['Slab', 'Percpu', 'VmallocUsed', 'KernelStack'].reduce(
    (sum, name) => sum + kilobytes(name) * 1024,
    0,
  );
}

/** Says how far it is, every hundred nodes; resolves when the call has ended. */
async function progress(agent: Agent, signal: AbortSignal): Promise<void> {
  const seen = new Set<string>();
  try {
    for await (const { name } of agent.client.watch({}, { signal })) {
      if (!name.endsWith('/vifs/far') || seen.has(name)) continue;
      seen.add(name);
      if (seen.size % 100 === 0) process.stderr.write(`  ${seen.size} virtual nodes\n`);
    }
  } catch {
    /* what ends it too early ends the Apply as well, which says so */
    return;
  }
}

interface Numbering {
  /** Of each node. */
  readonly networks: readonly string[];
  /** Capacity of the routes' table: a little more than it takes. */
  readonly chunks: number;
}

/** Memory in MiB, times in seconds. */
interface Cost {
  readonly maps: number;
  readonly agent: number;
  /** The kernel's own, for namespaces and veths. */
  readonly kernel: number;
  readonly made: number;
  readonly filled: number;
}

/** MiB of 16-8-8 tables: a root of 256 KB a node, and a chunk of 1 KB for every /16 that has longer prefixes. */
function rootedTables({ networks }: Numbering): number {
  const chunks = new Set(networks.map((network) => network.split('.', 2).join('.'))).size;
  return (nodes * (256 + chunks)) / 1024;
}

async function manyNodes({ networks, chunks }: Numbering): Promise<Cost> {
  const indices = Array.from({ length: nodes }, (_, i) => i);
  const agent = await Agent.start('nodes', { nodes: nodes + 1, vifs: nodes + 1, paths: nodes + 1, chunks });
  const abort = new AbortController();
  const following = progress(agent, abort.signal);
  try {
    const before = kernelMemory();
    const made = await agent.apply('owner', [tunnel, ...indices.flatMap(lease)]);
    const kernel = kernelMemory() - before;
    const filled = await agent.apply(
      'tenant',
      indices.flatMap((i) => contents(i, networks)),
    );
    const memory = agent.memory();
    return {
      maps: memory.maps / MiB,
      agent: memory.process / MiB,
      kernel: kernel / MiB,
      made: made.seconds,
      filled: filled.seconds,
    };
  } finally {
    abort.abort();
    await following;
    await agent.stop();
  }
}

export async function tables(): Promise<Row[]> {
  const rows = await manyRoutes();
  const inOrder = { networks: Array.from({ length: each }, (_, i) => `10.0.${i}.0/24`), chunks: 8192 };
  const apart = { networks: scattered(each), chunks: 180_224 };
  const [near, far] = [await manyNodes(inOrder), await manyNodes(apart)];
  const add = (what: string, unit: string, value: number, peerValue?: number): void => {
    const beside =
      peerValue === undefined ? {} : { peer: '16-8-8 tables alone', peerValue: round(peerValue) };
    rows.push(row({ bench: 'tables', case: `1 000 nodes: ${what}`, unit, value: round(value), ...beside }));
  };
  add('maps, 100 routes each', 'MiB', near.maps, rootedTables(inOrder));
  add('maps and agent', 'MiB', near.maps + near.agent, rootedTables(inOrder));
  add('maps, 100 scattered routes each', 'MiB', far.maps, rootedTables(apart));
  add('maps and agent, scattered', 'MiB', far.maps + far.agent, rootedTables(apart));
  add("kernel's namespaces and veths", 'MiB', near.kernel);
  add('made, a vif each', 's', near.made);
  add('100 000 routes, 100 each', 's', near.filled);
  return rows;
}
