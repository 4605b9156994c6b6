/*
 * What IPsec below the tunnels costs (test/machines/ipsec-world.ts): the guest's processor time for each full packet
 * that crosses from station to station, with ESP between the gateways and without, the same gateways either way. The
 * processor is emulated and has no AES instructions: real ones come off far better.
 */
import { ensureKernel } from '../lab/kernels.js';
import { Lab } from '../lab/lab.js';
import { FULL, newKey, protect, upIpsecWorld } from '../test/machines/ipsec-world.js';
import { type GuestWorld } from '../lab/namespaces.js';
import { median, round, row, type Row } from './report.js';

const rounds = 5;
const seconds = 5;

interface Report {
  readonly end: { readonly sum: { readonly packets: number; readonly lost_packets: number } };
}

/** The part of a processor that the guest takes when nothing flows. */
async function idleShare({ guest }: GuestWorld): Promise<number> {
  const [before, begin] = [guest.processorTime, performance.now()];
  await new Promise((resolve) => setTimeout(resolve, 4000));
  return (guest.processorTime - before) / (performance.now() - begin);
}

/** µs a packet. */
async function cost(world: GuestWorld, idle: number): Promise<number> {
  const { guest } = world;
  const server = world.start('hm', ['iperf3', '-s', '--forceflush']);
  await server.prints('listening');
  const [before, begin] = [guest.processorTime, performance.now()];
  const { stdout } = await world.sh(
    'hp',
    `iperf3 -u -c 10.0.3.2 -l ${FULL - 28} -b 2M -t ${seconds} -J --get-server-output`,
  );
  const spent = guest.processorTime - before - idle * (performance.now() - begin);
  server.kill();
  await server.ended;
  const { packets, lost_packets: lost } = (JSON.parse(stdout) as Report).end.sum;
  return (1000 * spent) / (packets - lost);
}

async function costs(world: GuestWorld): Promise<number> {
  const idle = await idleShare(world);
  const all: number[] = [];
  for (let i = 0; i < rounds; i++) all.push(await cost(world, idle));
  return round(median(all));
}

export async function ipsec(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of ['6.1', '6.12']) {
    const lab = await Lab.open(await ensureKernel(name));
    try {
      const world = await upIpsecWorld(await lab.boot({ name: 'ipsec', cpus: 2, memory: 2048 }));
      const without = await costs(world);
      await protect(world, { there: newKey(0x101), back: newKey(0x102) });
      const protectedCost = await costs(world);
      await world.close();
      rows.push(
        row({
          bench: 'ipsec',
          case: `a packet of ${FULL} bytes, station to station, with ESP, Linux ${name}, emulated`,
          unit: 'µs',
          value: protectedCost,
          peer: 'without ESP',
          peerValue: without,
        }),
      );
    } finally {
      await lab.close();
    }
  }
  return rows;
}
