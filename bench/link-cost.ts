/*
 * What a packet of a link costs, encapsulated as in `forward`: by a link of one path that nobody watches, by the first
 * fit of two (1:1), by both in proportion, and by both (1+1): then without the kernel's copying and the second copy's
 * headers, which `forward` has live. What it costs to take one number of 1+1 where it arrives.
 */
import { LinkKind } from '../gen/layout.js';
import { Instance } from '../test/support/instance.js';
import { cableHp } from '../test/support/machine-p.js';
import { measure, overhead } from './forward.js';
import { mergeCost } from './merge-cost.js';
import { setDestinations, stationFrame, withRoutes } from './machine.js';
import { measurePaths, protect } from './protect.js';
import { type Row, round, row } from './report.js';

const KINDS: readonly {
  readonly name: string;
  readonly kind?: LinkKind;
  readonly measured?: boolean;
}[] = [
  { name: 'one path, not watched' },
  { name: 'the first of two (1:1)', kind: LinkKind.LINK_FIRST },
  { name: 'the first of two, measured', kind: LinkKind.LINK_FIRST, measured: true },
  { name: 'two by weight', kind: LinkKind.LINK_WEIGHTED },
  { name: 'both of two (1+1), one copy', kind: LinkKind.LINK_TWICE },
];

export async function linkCost(): Promise<Row[]> {
  const { tables, networks } = withRoutes(1000);
  const instances: Instance[] = [];
  try {
    for (const { kind, measured = false } of KINDS) {
      const instance = await Instance.start(tables, { chunks: 4096, benchmarks: true });
      instances.push(instance);
      setDestinations(instance, networks, 1000);
      if (kind !== undefined) protect(instance, kind);
      if (measured) measurePaths(instance);
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
    const rows = costs.map((cost, i) =>
      row({
        bench: 'protection',
        case: `encapsulate, a link of ${KINDS[i]?.name ?? ''}`,
        unit: 'ns',
        value: net(cost),
        ...(i === 0 ? {} : { peer: 'one path', peerValue: net(plain) }),
        ...(cost.instructions === undefined || restore.instructions === undefined
          ? {}
          : { instructionsPerPacket: Math.round(cost.instructions - restore.instructions) }),
      }),
    );
    return [...rows, await mergeCost(one)];
  } finally {
    for (const instance of instances) instance.stop();
  }
}
