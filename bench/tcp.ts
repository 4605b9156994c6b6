/*
 * TCP by iperf3, one stream, from hp to hm through Figure 2: P encapsulates, Z routes, Q swaps, M delivers. Beside it
 * the kernel's VXLAN, by the same way (see vxlan.ts): over the same wires; over wires of the same make that no XDP
 * program is on; and over those with segmentation offload at the stations, whose cables then carry segments of up to
 * 64 KB as no wire does. The stations' TCP, their cables and Z are in all of the figures.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setFeatures } from '../native/lib/index.js';
import { DEFAULT_WIRE_MTU } from '../src/world/check.js';
import { namespacePath } from '../src/world/place.js';
import { median, round, row, type Row } from './report.js';
import { directFigure2, Testbed } from './testbed.js';
import { layVxlan, layWires, type VxlanNetwork } from './vxlan.js';

const rounds = 7;
const seconds = 3;

interface Way {
  readonly name: string;
  /** Namespaces. */
  readonly from: string;
  readonly to: string;
  prepare?(): void | Promise<void>;
}

function inside(namespace: string, ...command: string[]): [string, string[]] {
  return ['nsenter', [`--net=${namespacePath(namespace)}`, '--', ...command]];
}

/** Resolves when it listens, with what ends it. */
async function serve(namespace: string): Promise<() => void> {
  const [command, args] = inside(namespace, 'iperf3', '-s', '--forceflush');
  const server = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(server, 'exit').then(() =>
    Promise.reject(new Error('iperf3 -s ended: is iperf3 installed?')),
  );
  ended.catch(() => undefined);
  await Promise.race([once(server.stdout, 'data'), ended]);
  server.stdout.resume();
  return () => server.kill();
}

interface Report {
  readonly end: { readonly sum_received: { readonly bits_per_second: number } };
}

/** Gbit/s, received after the first second. */
async function throughput(way: Way): Promise<number> {
  await way.prepare?.();
  const flags = ['-t', String(seconds), '-O', '1', '-J'];
  /* client and server in their places, so that rounds are alike */
  const affinity = ['-A', `0,${availableParallelism() - 1}`];
  const [command, args] = inside(way.from, 'iperf3', '-c', '10.0.3.2', ...flags, ...affinity);
  const { stdout } = await promisify(execFile)(command, args, { maxBuffer: 1 << 26 });
  return (JSON.parse(stdout) as Report).end.sum_received.bits_per_second / 1e9;
}

async function setOffloads({ cables }: VxlanNetwork, on: boolean): Promise<void> {
  for (const [namespace, name] of cables)
    await setFeatures({ netns: namespacePath(namespace), name }, { tx: on, tso: on });
}

async function waysOf(testbed: Testbed): Promise<Way[]> {
  const same = await layVxlan(testbed.name);
  const apart = `${testbed.name}.apart`;
  await layWires(apart, DEFAULT_WIRE_MTU);
  const bare = await layVxlan(apart);
  const alternative = { from: bare.hp, to: bare.hm };
  return [
    { name: 'Figure 2', from: testbed.station('iptv', 'hp'), to: testbed.station('iptv', 'hm') },
    { name: 'kernel VXLAN, same wires', from: same.hp, to: same.hm },
    { name: 'kernel VXLAN, no XDP on the wires', ...alternative, prepare: () => setOffloads(bare, false) },
    { name: 'the same, stations with TSO', ...alternative, prepare: () => setOffloads(bare, true) },
  ];
}

export async function tcp(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-bench-'));
  const testbed = new Testbed('tcp', directFigure2(folder));
  const servers = new Map<string, () => void>();
  try {
    testbed.up();
    const ways = await waysOf(testbed);
    for (const { to } of ways) if (!servers.has(to)) servers.set(to, await serve(to));
    const rates = ways.map((): number[] => []);
    for (let i = 0; i < rounds; i++) {
      for (const [k, way] of ways.entries()) {
        rates[k]?.push(await throughput(way));
        process.stderr.write(`  ${way.name}: ${round(rates[k]?.at(-1) ?? 0)} Gbit/s\n`);
      }
    }
    const [own = 0, ...others] = rates.map((all) => round(median(all)));
    return others.map((peerValue, k) =>
      row({
        bench: 'tcp',
        case: 'hp to hm, one stream',
        unit: 'Gbit/s',
        value: own,
        peer: ways[k + 1]?.name ?? '',
        peerValue,
      }),
    );
  } finally {
    for (const stop of servers.values()) stop();
    testbed.down();
    rmSync(folder, { recursive: true, force: true });
  }
}
