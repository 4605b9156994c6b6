/*
 * A tenant tries to name, read or disturb what it was not leased: through the agent's API, and with frames of its own
 * making on wires and cables. Everything is refused by name or goes nowhere, and is counted.
 */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BpfObject } from '../../native/lib/index.js';
import {
  controlWord,
  ethernet,
  frame,
  ipv4,
  label as entry,
  payload,
  tunnelled,
  udp,
} from '../support/frames.js';
import { example, until, World } from '../support/worlds.js';

let world: World;
beforeAll(() => {
  world = World.up(example('figure2'));
}, 120_000);
afterAll(() => {
  world?.down();
}, 60_000);

const object = 'build/bpf/cabernet-test.o';

/** Sends frames out of an interface of a namespace, as they are (live frames, XDP_TX of a program that swaps MACs). */
async function send(netns: string, ifindex: number, bytes: Buffer): Promise<void> {
  expect(existsSync(object)).toBe(true);
  const opened = BpfObject.open(object);
  try {
    await opened.load();
    const swapped = Buffer.concat([bytes.subarray(6, 12), bytes.subarray(0, 6), bytes.subarray(12)]);
    await opened.program('bench_swap').testRun({
      data: swapped,
      netns: `/run/netns/${netns}`,
      repeat: 1,
      liveFrames: true,
      batchSize: 1,
      xdp: { ingressIfindex: ifindex },
    });
  } finally {
    opened.close();
  }
}

const drops = (machine: string, reason: string): number =>
  world
    .get<{ machine: string; reason: string; packets: string | number }>('drops')
    .filter((d) => d.machine === machine && d.reason === reason)
    .reduce((sum, d) => sum + Number(d.packets), 0);

interface Link {
  ifindex: number;
  address: string;
}

function linkOf(place: string, name: string): Link {
  const [found] = JSON.parse(world.exec(place, 'ip', '-j', 'link', 'show', name).stdout) as Link[];
  if (!found) throw new Error(`no ${name} in ${place}`);
  return found;
}

describe('frames on a wire', () => {
  interface Ends {
    local: string;
    remote: string;
  }
  interface Addresses {
    addr_info: Array<{ local: string }>;
  }

  /** The ends of the tunnel between P and Q: the machines' own addresses, on their loopback interfaces. */
  const ends = (): Ends => {
    const own = (machine: string): string => {
      const [lo] = JSON.parse(
        world.exec(machine, 'ip', '-j', '-4', 'address', 'show', 'lo').stdout,
      ) as Addresses[];
      const address = lo?.addr_info.find((a) => !a.local.startsWith('127.'));
      if (!address) throw new Error(`${machine} has no address on lo`);
      return address.local;
    };
    return { local: own('P'), remote: own('Q') };
  };

  test.each([
    [
      'label_unknown',
      'a label nobody gave out',
      (a: Ends) =>
        frame(
          ...tunnelled({ source: a.remote, destination: a.local }),
          entry({ label: 0xabcde }),
          controlWord(),
          payload(60),
        ),
    ],
    [
      'tunnel_unknown',
      'a stranger’s address',
      (a: Ends) =>
        frame(
          ...tunnelled({ source: '203.0.113.7', destination: a.local }),
          entry({ label: 0xabcde }),
          controlWord(),
          payload(60),
        ),
    ],
    [
      'outer_length',
      'lengths that lie',
      (a: Ends) =>
        frame(
          ethernet(),
          ipv4({ from: a.remote, to: a.local }),
          udp({ from: 50000, to: 6635, length: 9 }),
          payload(60),
        ),
    ],
  ])('%s: %s', async (reason, _, build) => {
    const before = drops('P', reason);
    const near = linkOf('X', 'to-P');
    await send(`${world.name}.X`, near.ifindex, build(ends()));
    await until(`${reason} counted`, () => (drops('P', reason) > before ? true : undefined));
    expect(world.ping('iptv/hp', '10.0.3.2').received).toBe(3);
  });
});

describe('frames on a station’s cable', () => {
  test('labels from a station are not looked at', async () => {
    const { ifindex, address } = linkOf('games/gp', 'eth0');
    const station = `${world.name}.station.games.gp`;
    const forged = frame(
      ethernet({ from: address, to: '02:00:00:00:00:99' }),
      ipv4({ from: '192.0.2.1', to: '192.0.2.2' }),
      udp({ from: 50000, to: 6635 }),
      entry({ label: 5000 }),
      controlWord(),
      payload(60),
    );
    const before = drops('P', 'not_my_mac');
    await send(station, ifindex, forged);
    await until('not_my_mac counted', () => (drops('P', 'not_my_mac') > before ? true : undefined));
  });
});
