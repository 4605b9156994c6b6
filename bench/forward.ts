/*
 * What one packet costs on one machine, by test run: encapsulation (ingress and egress together, three look-ups),
 * decapsulation, transit; beside a program that only swaps the MAC addresses and sends the frame back. A round also
 * makes the frame again what it was: what that takes is measured too and left out.
 */
import {
  controlWord,
  ethernet,
  frame,
  ipv4,
  label as entry,
  payload,
  tunnelled,
  udp,
} from '../test/support/frames.js';
import { Instance } from '../test/support/instance.js';
import { cableHp, label, mac, outer, wireQ } from '../test/support/machine-p.js';
import type { Tables } from '../test/support/tables.js';
import { countInstructions } from './instructions.js';
import { setDestinations, setFrame, setVariable, stationFrame, withRoutes } from './machine.js';
import { median, round, row, type Row } from './report.js';

const rounds = 9;
const repeat = 1_000_000;
/** Bytes of Ethernet, IPv4, UDP, two labels and a control word. */
export const overhead = 54;

interface Program {
  name: string;
  frame: Buffer;
  ifindex: number;
  /** Bytes the frame grows by. */
  grows: number;
  instance: Instance;
}

interface Cost {
  ns: number;
  instructions?: number;
}

async function once(p: Program): Promise<number> {
  setVariable(p.instance, 'bench_delta', p.grows);
  setFrame(p.instance, p.frame);
  const result = await p.instance.object.program(p.name).testRun({
    data: p.frame,
    netns: p.instance.netns,
    repeat,
    xdp: { ingressIfindex: p.ifindex },
  });
  /* XDP_TX: the round came to its end */
  if (result.retval !== 3) throw new Error(`${p.name} returned ${result.retval}`);
  return result.durationNs;
}

/** All programs in turn, so that the machine's drift meets each of them alike. */
export async function measure(programs: readonly Program[]): Promise<Cost[]> {
  const times = programs.map((): number[] => []);
  for (let i = 0; i < rounds; i++) {
    for (const [k, p] of programs.entries()) times[k]?.push(await once(p));
  }
  const costs: Cost[] = [];
  for (const [k, p] of programs.entries()) {
    const { instructions } = await countInstructions(() => once(p));
    const cost: Cost = { ns: median(times[k] ?? []) };
    if (instructions !== undefined) cost.instructions = instructions / repeat;
    costs.push(cost);
  }
  return costs;
}

function arriving(top: number, inner: Buffer): Buffer {
  return frame(
    ...tunnelled({ source: outer.q, destination: outer.p }),
    entry({ label: label.fromQ }),
    entry({ label: top }),
    controlWord(),
    payload(inner),
  );
}

/** Of the station's port, of the link, and of the link below, which refuse nothing. */
function withMeters(tables: Tables): Tables {
  const rate = {
    bits: 400_000_000_000,
    packets: 1_000_000_000,
    burstBytes: 4_000_000_000,
    burstPackets: 1_000_000_000,
  };
  return {
    ...tables,
    vifs: tables.vifs.map((vif) => ({
      ...vif,
      ...(vif.id === 1 ? { received: rate } : {}),
      ...([3, 11].includes(vif.id) ? { sent: rate } : {}),
    })),
  };
}

export async function forward(): Promise<Row[]> {
  const small = withRoutes(1000);
  const large = withRoutes(100_000);
  const few = await Instance.start(small.tables, { chunks: 4096, benchmarks: true });
  const metered = await Instance.start(withMeters(small.tables), { chunks: 4096, benchmarks: true });
  const many = await Instance.start(large.tables, { chunks: 65536, benchmarks: true });
  try {
    setDestinations(few, small.networks, 1000);
    setDestinations(metered, small.networks, 1000);
    setDestinations(many, large.networks, 10_000);
    const first = (networks: number[]): Buffer => {
      const n = networks[0] ?? 0;
      return stationFrame(`${n >> 16}.${(n >> 8) & 255}.${n & 255}.9`);
    };
    const toStation = frame(
      ethernet({ from: mac.farM, to: mac.vif3 }),
      ipv4({ from: '10.0.3.2', to: '10.0.1.2' }),
      udp({ from: 2, to: 1 }),
      payload(18),
    );
    const access = { ifindex: cableHp, frame: first(small.networks), instance: few };
    const wire = { ifindex: wireQ, instance: few, name: 'bench_labelled' };
    const costs = await measure([
      { ...access, name: 'bench_swap', grows: 0 },
      { ...access, name: 'bench_restore', grows: overhead },
      { ...access, name: 'bench_encapsulate', grows: overhead },
      { ...access, name: 'bench_encapsulate', grows: overhead, instance: metered },
      { ...access, name: 'bench_encapsulate', grows: overhead, instance: many, frame: first(large.networks) },
      { ...wire, frame: arriving(label.iptvFromM, toStation), grows: -overhead },
      { ...wire, frame: arriving(label.transitQtoA, toStation), grows: 20 },
    ]);
    const [swap, restore, encapsulate, held, thousands, decapsulate, transit] = costs;
    if (!swap || !restore || !encapsulate || !held || !thousands || !decapsulate || !transit)
      throw new Error('no costs');
    /* the restoring program is one program too: without its own entry and exit */
    const net = (cost: Cost): number => round(cost.ns - Math.max(0, restore.ns - swap.ns));
    const of = (name: string, cost: Cost): Row =>
      row({
        bench: 'forward',
        case: name,
        unit: 'ns',
        value: net(cost),
        peer: 'swap MACs and TX',
        peerValue: round(swap.ns),
        ...(cost.instructions === undefined || restore.instructions === undefined
          ? {}
          : { instructionsPerPacket: Math.round(cost.instructions - restore.instructions) }),
      });
    return [
      of('encapsulate, 1 000 routes, 1 000 destinations', encapsulate),
      row({
        bench: 'forward',
        case: 'the same, three meters on its way, of bits and packets',
        unit: 'ns',
        value: net(held),
        peer: 'without meters',
        peerValue: net(encapsulate),
      }),
      row({
        bench: 'forward',
        case: 'encapsulate, 100 000 routes, 10 000 destinations',
        unit: 'ns',
        value: net(thousands),
        peer: 'with 1 000 routes',
        peerValue: net(encapsulate),
      }),
      of('decapsulate to a station', decapsulate),
      of('transit, IPv4 to IPv6 tunnel', transit),
    ];
  } finally {
    few.stop();
    metered.stop();
    many.stop();
  }
}
