/*
 * What a packet costs the machine in the middle of three, on virtio NICs: native XDP redirect of ours in transit (a
 * label swapped between two NICs) beside the kernel's own IPv4 forwarding between the same NICs, in turn. The figure is
 * the processor time of the middle guest's processor per packet that arrived, less what it takes when nothing flows.
 * The processors are emulated: the ratio is worth something, the figures are not.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureKernel } from '../lab/kernels.js';
import { packageRoot } from '../lab/paths.js';
import { LabWorld } from '../lab/world.js';
import { type Guest, type Running } from '../lab/guest.js';
import { median, round, row, type Row } from './report.js';

const rounds = 5;
const seconds = 6;

interface Way {
  readonly name: string;
  serve(): Running;
  /** UDP with as many bytes as make frames of one length on the wire to the middle. */
  send(): Promise<number>;
}

interface Report {
  readonly end: { readonly sum: { readonly packets: number; readonly lost_packets: number } };
}

function blast(to: string, length: number): string[] {
  // less than any of the three can carry, so that nothing queues
  return [
    'iperf3',
    '-u',
    '-c',
    to,
    '-l',
    String(length),
    '-b',
    '1500K',
    '-t',
    String(seconds),
    '-J',
    '--get-server-output',
  ];
}

function arrived(stdout: string): number {
  const { packets, lost_packets: lost } = (JSON.parse(stdout) as Report).end.sum;
  return packets - lost;
}

/** µs a packet. */
async function cost(middle: Guest, way: Way, idle: number): Promise<number> {
  const server = way.serve();
  await server.prints('listening');
  const begin = performance.now();
  const before = middle.processorTime;
  const packets = await way.send();
  const spent = middle.processorTime - before - idle * (performance.now() - begin);
  server.kill();
  await server.ended;
  return (1000 * spent) / packets;
}

/** The part of a processor that the guest takes when nothing flows. */
async function idleShare(middle: Guest): Promise<number> {
  const before = middle.processorTime;
  const begin = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 4000));
  return (middle.processorTime - before) / (performance.now() - begin);
}

export async function machines(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of ['6.1', '6.12']) {
    const kernel = await ensureKernel(name);
    const yaml = readFileSync(join(packageRoot, 'examples', 'three.yaml'), 'utf8');
    const world = await LabWorld.up(kernel, yaml);
    try {
      await world.ping('hp', '10.0.3.2');
      const [p, q, m] = [world.machine('P'), world.machine('Q'), world.machine('M')];
      const ways: Way[] = [
        {
          name: 'native redirect',
          serve: () => world.start('hm', ['iperf3', '-s', '--forceflush']),
          send: async () => arrived((await world.exec('hp', blast('10.0.3.2', 64))).stdout),
        },
        {
          name: 'kernel IPv4',
          serve: () => m.start(['iperf3', '-s', '--forceflush']),
          // the service packet's headers on the way: Ethernet, IP, UDP, two labels, control word, Ethernet less its own
          send: async () => arrived((await p.exec(blast('100.127.0.3', 64 + 54))).stdout),
        },
      ];
      const idle = await idleShare(q);
      const costs = ways.map(() => [] as number[]);
      for (let i = 0; i < rounds; i++) {
        for (const [j, way] of ways.entries()) costs[j]?.push(await cost(q, way, idle));
      }
      const [ours = 0, kernels = 0] = costs.map((all) => round(median(all)));
      rows.push(
        row({
          bench: 'machines',
          case: `transit between virtio NICs, Linux ${name}, emulated`,
          unit: 'µs',
          value: ours,
          peer: 'kernel IPv4 forwarding',
          peerValue: kernels,
        }),
      );
    } finally {
      await world.close();
    }
  }
  return rows;
}
