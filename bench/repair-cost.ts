/*
 * What local repair costs a packet that enters an lsp, encapsulated as in `forward`: on a wire without a bypass that nobody
 * watches, on one with a bypass while it is up, and by the bypass.
 */
import { Peer } from '../gen/layout.js';
import { ethernet, frame, ipv4, payload, udp } from '../test/support/frames.js';
import { Instance } from '../test/support/instance.js';
import { mac, machineR, wire1 } from '../test/support/machine-r.js';
import { type Tables } from '../test/support/tables.js';
import { measure } from './forward.js';
import { type Row, round, row } from './report.js';

/** The station's. */
const PORT = 6;
/** Ethernet, two labels and a control word. */
const GROWS = 26;
const MORE = { label: 4, vlan: 4 };
/** Of wire 1. */
const SESSION = 1;

/** Nothing is watched, and nothing leads around. */
function plain(): Tables {
  const tables = machineR();
  const { bypass: _, ...wire } = wire1;
  return {
    ...tables,
    hops: tables.hops.map(({ peer: __, ...hop }) => hop),
    wires: [wire, ...(tables.wires ?? []).filter(({ id }) => id !== wire.id)],
    sessions: [],
  };
}

function gone(instance: Instance): void {
  const peers = instance.map('peers');
  const key = Buffer.from(Uint32Array.of(SESSION).buffer);
  const record = peers.lookup(key);
  if (!record) throw new Error('nobody watches the wire');
  peers.update(key, Peer.encode({ ...Peer.decode(record), down: 1 }));
}

export async function repairCost(): Promise<Row[]> {
  const instances: Instance[] = [];
  try {
    for (const tables of [plain(), machineR(), machineR()])
      instances.push(await Instance.start(tables, { benchmarks: true }));
    const [without, up, down] = instances;
    if (!without || !up || !down) throw new Error('no machines');
    gone(down);
    const station = frame(
      ethernet({ from: mac.station, to: mac.vif1 }),
      ipv4({ from: '10.0.1.2', to: '10.0.3.1' }),
      udp({ from: 1, to: 9 }),
      payload(18),
    );
    const same = { ifindex: PORT, frame: station };
    const encapsulate = { ...same, name: 'bench_encapsulate' };
    const around = GROWS + MORE.label + MORE.vlan;
    const costs = await measure([
      { ...same, instance: without, name: 'bench_swap', grows: 0 },
      { ...same, instance: without, name: 'bench_restore', grows: GROWS },
      { ...encapsulate, instance: without, grows: GROWS },
      { ...encapsulate, instance: up, grows: GROWS },
      { ...encapsulate, instance: down, grows: around },
    ]);
    const [swap, restore, plainly, watched, bypass] = costs;
    if (!swap || !restore || !plainly || !watched || !bypass) throw new Error('no costs');
    const net = ({ ns }: { ns: number }): number => round(ns - Math.max(0, restore.ns - swap.ns));
    const of = (name: string, cost: { ns: number; instructions?: number }): Row =>
      row({
        ...{ bench: 'protection', case: name, unit: 'ns', value: net(cost) },
        ...(cost === plainly ? {} : { peer: 'without a bypass, unwatched', peerValue: net(plainly) }),
        ...(cost.instructions === undefined || restore.instructions === undefined
          ? {}
          : { instructionsPerPacket: Math.round(cost.instructions - restore.instructions) }),
      });
    return [
      of('encapsulate into an lsp, its wire without a bypass', plainly),
      of('… its wire has a bypass, and is up', watched),
      of('… by the bypass: a label and a VLAN tag more', bypass),
    ];
  } finally {
    for (const instance of instances) instance.stop();
  }
}
