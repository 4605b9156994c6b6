/*
 * What a packet of a link costs, encapsulated as in `forward`: by a link of one path that nobody watches, by the first
 * fit of two (1:1), and by both in proportion.
 */
import { Limit, Link, LinkKind, Path, Vif } from '../gen/layout.js';
import { Instance } from '../test/support/instance.js';
import { cableHp } from '../test/support/machine-p.js';
import { measure, overhead } from './forward.js';
import { setDestinations, stationFrame, withRoutes } from './machine.js';
import { type Row, round, row } from './report.js';

/** The link that the routes lead to, its path, and one more of the same. */
const vif = 3;
const first = 2;
const second = 40;
/** Slot 0, then slot 1, then nobody. */
const order = Buffer.from([0, 1, Limit.LIMIT_LINK_NOBODY, Limit.LIMIT_LINK_NOBODY]).readUInt32LE();

const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);

function protect(instance: Instance, kind: LinkKind): void {
  const [pathMap, vifMap] = [instance.map('paths'), instance.map('vifs')];
  const path = pathMap.lookup(u32(first));
  const record = vifMap.lookup(u32(vif));
  if (!path || !record) throw new Error('the machine has no such link');
  const { label, ...below } = Path.decode(path);
  pathMap.update(u32(second), Path.encode({ ...below, label: label + 1 }));
  const paths = Uint32Array.from({ length: Limit.LIMIT_MAX_LINK_PATHS }, (_, i) => [first, second][i] ?? 0);
  const ways = Uint8Array.from({ length: Limit.LIMIT_LINK_WAYS }, (_, i) => i % 2);
  const link = { state: 0, kind, avoid: 0, order, paths, ways, reserved: new Uint32Array(4) };
  instance.map('links').update(u32(vif), Link.encode(link));
  const fields = Vif.decode(record);
  vifMap.update(u32(vif), Vif.encode({ ...fields, flags: fields.flags | Limit.LIMIT_VIF_LINK }));
}

export async function linkCost(): Promise<Row[]> {
  const { tables, networks } = withRoutes(1000);
  const instances: Instance[] = [];
  try {
    for (const kind of [undefined, LinkKind.LINK_FIRST, LinkKind.LINK_WEIGHTED]) {
      const instance = await Instance.start(tables, { chunks: 4096, benchmarks: true });
      instances.push(instance);
      setDestinations(instance, networks, 1000);
      if (kind !== undefined) protect(instance, kind);
    }
    const network = networks[0] ?? 0;
    const frame = stationFrame(`${network >> 16}.${(network >> 8) & 255}.${network & 255}.9`);
    const [one] = instances;
    if (!one) throw new Error('no machine');
    const same = { ifindex: cableHp, frame };
    const [swap, restore, ...costs] = await measure([
      { ...same, instance: one, name: 'bench_swap', grows: 0 },
      { ...same, instance: one, name: 'bench_restore', grows: overhead },
      ...instances.map((instance) => ({ ...same, instance, name: 'bench_encapsulate', grows: overhead })),
    ]);
    const [plain] = costs;
    if (!swap || !restore || !plain) throw new Error('no costs');
    const net = ({ ns }: { ns: number }): number => round(ns - Math.max(0, restore.ns - swap.ns));
    const names = ['one path, not watched', 'the first of two (1:1)', 'two by weight'];
    return costs.map((cost, i) =>
      row({
        bench: 'protection',
        case: `encapsulate, a link of ${names[i] ?? ''}`,
        unit: 'ns',
        value: net(cost),
        ...(i === 0 ? {} : { peer: 'one path', peerValue: net(plain) }),
        ...(cost.instructions === undefined || restore.instructions === undefined
          ? {}
          : { instructionsPerPacket: Math.round(cost.instructions - restore.instructions) }),
      }),
    );
  } finally {
    for (const instance of instances) instance.stop();
  }
}
