/** The explicit ways of lsps against a plain enumeration of all paths over random wires, some of them sold already. */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { ApiError } from '../../src/api/errors.js';
import { resourceType } from '../../src/api/infrastructure.js';
import { type Avoid } from '../../src/infrastructure/diverse.js';
import { type Bodies, type Tx } from '../../src/infrastructure/kinds.js';
import { Ledger } from '../../src/infrastructure/ledger.js';
import { lspPath, type PathAsked } from '../../src/infrastructure/lsp-path.js';
import { tariffOf } from '../../src/infrastructure/price.js';
import {
  along,
  availabilityPpm,
  lossPpm,
  NOWHERE,
  Routing,
  type Sums,
  sumsOf,
} from '../../src/infrastructure/routing.js';

type Wire = Bodies['wire'];

const MACHINES = ['A', 'B', 'C', 'D', 'E'];
const GROUPS = ['duct', 'power'];
const OVERHEAD = 30;

const anyWire = fc.record({
  a: fc.constantFrom(...MACHINES),
  b: fc.constantFrom(...MACHINES),
  metric: fc.integer({ min: 1, max: 4 }),
  bitsPerSecond: fc.bigInt({ min: 0n, max: 4n }),
  delayUs: fc.integer({ min: 0, max: 9 }),
  lossPpm: fc.constantFrom(0, 0, 0, 3, 10, 1_000_000),
  availabilityPpm: fc.constantFrom(0, 0, 0, 999_990, 990_000, 1),
  mtu: fc.constantFrom(1600, 1600, 1600, 1529),
  riskGroups: fc.subarray(GROUPS),
  /** Not told of: an interface whose MAC address nobody knows. */
  known: fc.constantFrom(true, true, true, true, false),
  sold: fc.bigInt({ min: 0n, max: 2n }),
});
const anyAsked = fc.record({
  bitsPerSecond: fc.constantFrom(0n, 0n, 1n, 2n, 2n ** 64n - 1n),
  delayUs: fc.constantFrom(0, 0, 1, 9, 18, 4_294_967_295),
  lossPpm: fc.constantFrom(0, 0, 6, 13, 1_000_000),
  availabilityPpm: fc.constantFrom(0, 0, 1, 980_100, 999_980, 1_000_000),
});
const anyAvoid = fc.option(
  fc.record({
    wires: fc.uniqueArray(fc.integer({ min: 0, max: 8 })),
    machines: fc.subarray(MACHINES.slice(2)),
    groups: fc.subarray(GROUPS),
  }),
);

interface World {
  readonly wires: readonly Wire[];
  readonly known: ReadonlySet<string>;
  readonly planning: Parameters<typeof lspPath>[0];
}

type Drawn = typeof anyWire extends fc.Arbitrary<infer T> ? T : never;

function worldOf(drawn: readonly Drawn[]): World {
  const known = new Set<string>();
  const links: object[] = [];
  const wires = drawn
    .filter(({ a, b }) => a !== b)
    .map(({ a, b, known: told, sold, ...more }, i) => {
      const ends = {
        a: { machine: `machines/${a}`, interface: `w${i}` },
        b: { machine: `machines/${b}`, interface: `w${i}` },
      };
      const { wire } = resourceType.complete({ wire: { name: `wires/w${i}`, ...ends, ...more } });
      if (!wire) throw new Error('no wire');
      if (told) known.add(wire.name);
      links.push({
        name: `customers/c/virtualLinks/w${i}`,
        wires: [wire.name],
        kind: 1,
        slo: { bitsPerSecond: sold },
      });
      return wire;
    });
  const machines = MACHINES.map((name) => ({
    name: `machines/${name}`,
    state: {
      interfaces: wires
        .filter((wire) => known.has(wire.name))
        .map((wire) => ({ name: wire.a?.interface, role: 'underlay', mac: '02:00:00:00:00:01' })),
    },
  }));
  const bodies: Record<string, readonly { name: string }[]> = {
    machine: machines,
    wire: wires,
    virtualLink: links as { name: string }[],
  };
  const view = {
    all: (kind: string) => bodies[kind] ?? [],
    get: (kind: string, name: string) => bodies[kind]?.find((one) => one.name === name),
  } as unknown as Tx;
  const planning = {
    view,
    ledger: new Ledger(view),
    routing: new Routing(view),
    tariff: tariffOf(view),
    customer: 'c',
    fresh: new Set<string>(),
    changed: new Set<string>(),
    provider: 'one',
    now: 0,
  };
  return { wires, known, planning };
}

interface Step {
  readonly wire: Wire;
  readonly to: string;
}

/** All paths without a machine twice. */
function paths(wires: readonly Wire[], from: string, to: string, passed: readonly string[]): Step[][] {
  if (from === to) return [[]];
  return wires.flatMap((wire) => {
    const [a, b] = [wire.a?.machine ?? '', wire.b?.machine ?? ''];
    const next = a === from ? b : b === from ? a : undefined;
    if (next === undefined || passed.includes(next)) return [];
    return paths(wires, next, to, [...passed, next]).map((rest) => [{ wire, to: next }, ...rest]);
  });
}

function keeps({ planning }: World, { slo, mtu }: PathAsked, path: readonly Step[]): boolean {
  const sums = path.reduce<Sums>((sum, { wire }) => along(sum, sumsOf(wire)), NOWHERE);
  const bits = slo?.bitsPerSecond ?? 0n;
  return (
    sums.mtu >= mtu + OVERHEAD &&
    (!slo?.delayUs || sums.delayUs <= slo.delayUs) &&
    (!slo?.lossPpm || lossPpm(sums) <= slo.lossPpm) &&
    availabilityPpm(sums) >= (slo?.availabilityPpm ?? 0) &&
    (bits === 0n || path.every(({ wire }) => wire.bitsPerSecond - planning.ledger.bitsOn(wire.name) >= bits))
  );
}

/** What is shared, then the metric. */
function costOf(avoid: Avoid | undefined, path: readonly Step[], target: string): readonly [number, number] {
  let [shared, metric] = [0, 0];
  for (const { wire, to } of path) {
    metric += wire.metric;
    if (avoid?.wires.has(wire.name)) shared++;
    if (to !== target && avoid?.machines.has(to)) shared++;
    shared += wire.riskGroups.filter((group) => avoid?.groups.has(group)).length;
  }
  return [shared, metric];
}

const compare = (a: readonly [number, number], b: readonly [number, number]): number =>
  a[0] - b[0] || a[1] - b[1];

const [FROM, TO] = ['machines/A', 'machines/B'];

test('the best of all paths that keep the bounds; where there is none, what would fit does', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(anyWire, { maxLength: 9 }), anyAsked, anyAvoid, (drawn, slo, drawnAvoid) => {
      const world = worldOf(drawn);
      const avoid = drawnAvoid
        ? {
            wires: new Set(drawnAvoid.wires.map((i) => `wires/w${i}`)),
            machines: new Set(drawnAvoid.machines.map((name) => `machines/${name}`)),
            groups: new Set(drawnAvoid.groups),
          }
        : undefined;
      const asked: PathAsked = { from: FROM, to: TO, slo, mtu: 1500, overhead: OVERHEAD, avoid };
      const all = paths(
        world.wires.filter(({ name }) => world.known.has(name)),
        FROM,
        TO,
        [FROM],
      );
      const good = all.filter((path) => keeps(world, asked, path));
      const best = good.map((path) => costOf(avoid, path, TO)).toSorted(compare)[0];
      let refusal: ApiError | undefined;
      try {
        const way = lspPath(world.planning, asked, 'l');
        const found = all.find((path) => String(path.map(({ wire }) => wire.name)) === String(way.wires));
        if (!found) throw new Error(`${way.wires.join()} is no path`);
        expect(keeps(world, asked, found)).toBe(true);
        expect(costOf(avoid, found, TO)).toEqual(best);
        expect(way.hops).toBe(found.length);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        refusal = error;
      }
      seen.add(refusal ? `${refusal.reason} ${refusal.field}` : 'found');
      expect(refusal === undefined).toBe(good.length > 0);
      if (!refusal) return;
      const fits = /(\d+) would fit/.exec(refusal.message)?.[1];
      const name = /slo\.(\w+)$/.exec(refusal.field ?? '')?.[1];
      if (fits === undefined || name === undefined) return;
      const key = name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
      const value = name === 'bits_per_second' ? BigInt(fits) : Number(fits);
      // a bound of zero is none, which fits all the more
      const eased = { ...asked, slo: { ...slo, [key]: value } };
      expect(all.some((path) => keeps(world, eased, path))).toBe(true);
      seen.add('would fit');
    }),
    { numRuns: 2000 },
  );
  // nothing of it was left untried
  expect([...seen].toSorted()).toEqual([
    'MTU_TOO_BIG l.mtu',
    'NO_CAPACITY l.slo.bits_per_second',
    'NO_PATH l',
    'NO_PATH l.slo.availability_ppm',
    'NO_PATH l.slo.delay_us',
    'NO_PATH l.slo.loss_ppm',
    'found',
    'would fit',
  ]);
});
