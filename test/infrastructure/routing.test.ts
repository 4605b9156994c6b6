/** The ways of IP routing over wires, against known values and a plain enumeration of all paths. */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { resourceType } from '../../src/api/infrastructure.js';
import { type Bodies, type View } from '../../src/infrastructure/kinds.js';
import { leftOf } from '../../src/infrastructure/onward.js';
import { linkPrice, tariffOf } from '../../src/infrastructure/price.js';
import {
  along,
  availabilityPpm,
  lossPpm,
  NOWHERE,
  Routing,
  sumsOf,
} from '../../src/infrastructure/routing.js';

type Wire = Bodies['wire'];

function wire(name: string, a: string, b: string, more: object = {}): Wire {
  const ends = {
    a: { machine: `machines/${a}`, interface: name },
    b: { machine: `machines/${b}`, interface: name },
  };
  const { wire: body } = resourceType.complete({ wire: { name: `wires/${name}`, ...ends, ...more } });
  if (!body) throw new Error('no wire');
  return body;
}

function viewOf(machines: readonly string[], wires: readonly Wire[]): View {
  const bodies: Record<string, readonly unknown[]> = {
    machine: machines.map((name) => ({ name: `machines/${name}` })),
    wire: wires,
  };
  return { get: () => undefined, all: (kind) => (bodies[kind] ?? []) as never };
}

test('two equal ways: both, and of each sum the worse', () => {
  const wires = [
    wire('ab', 'A', 'B', { delayUs: 10, mtu: 1600, lossPpm: 100 }),
    wire('bd', 'B', 'D', { delayUs: 10, mtu: 1600, availabilityPpm: 999_000 }),
    wire('ac', 'A', 'C', { delayUs: 5, mtu: 1400 }),
    wire('cd', 'C', 'D', { delayUs: 50, mtu: 9000 }),
    wire('ad', 'A', 'D', { delayUs: 1, metric: 3 }),
  ];
  const routing = new Routing(viewOf(['A', 'B', 'C', 'D', 'E'], wires));
  const way = routing.way('machines/A', 'machines/D');
  expect(way?.wires.toSorted()).toEqual(['wires/ab', 'wires/ac', 'wires/bd', 'wires/cd']);
  expect(way).toMatchObject({ delayUs: 55, mtu: 1400, hops: 2 });
  expect(way && [lossPpm(way), availabilityPpm(way)]).toEqual([100, 999_000]);
  expect(routing.way('machines/A', 'machines/E')).toBeUndefined();
  expect(routing.way('machines/A', 'machines/none')).toBeUndefined();
  expect(routing.way('machines/A', 'machines/A')).toEqual({ wires: [], ...NOWHERE });
});

const MACHINES = ['A', 'B', 'C', 'D', 'E'];
const anyWire = fc.record({
  a: fc.constantFrom(...MACHINES),
  b: fc.constantFrom(...MACHINES),
  metric: fc.integer({ min: 1, max: 3 }),
  delayUs: fc.integer({ min: 0, max: 9 }),
});

/** All paths without a machine twice. */
function paths(
  wires: readonly Wire[],
  from: string,
  to: string,
  passed: readonly string[] = [from],
): Wire[][] {
  if (from === to) return [[]];
  return wires.flatMap((one) => {
    const ends = [one.a?.machine ?? '', one.b?.machine ?? ''];
    const next = ends[0] === from ? ends[1] : ends[1] === from ? ends[0] : undefined;
    if (next === undefined || passed.includes(next)) return [];
    return paths(wires, next, to, [...passed, next]).map((rest) => [one, ...rest]);
  });
}

test('as all paths of the least metric say', () => {
  fc.assert(
    fc.property(fc.array(anyWire, { maxLength: 9 }), (drawn) => {
      const wires = drawn
        .filter(({ a, b }) => a !== b)
        .map(({ a, b, ...more }, i) => wire(`w${i}`, a, b, more));
      const way = new Routing(viewOf(MACHINES, wires)).way('machines/A', 'machines/B');
      const all = paths(wires, 'machines/A', 'machines/B');
      expect(way === undefined).toBe(all.length === 0);
      if (all.length === 0) return;
      const metric = (path: readonly Wire[]): number => path.reduce((sum, one) => sum + one.metric, 0);
      const least = Math.min(...all.map(metric));
      const best = all.filter((path) => metric(path) === least);
      expect(way?.wires.toSorted()).toEqual([...new Set(best.flat().map(({ name }) => name))].toSorted());
      expect(way?.delayUs).toBe(
        Math.max(...best.map((path) => path.reduce((sum, one) => sum + one.delayUs, 0))),
      );
    }),
  );
});

test('what is left of bounds, then used, keeps them', () => {
  const ppm = fc.integer({ min: 0, max: 1000 });
  fc.assert(
    fc.property(ppm, ppm, ppm, ppm, (used, more, lost, gone) => {
      const first = sumsOf({ delayUs: used, lossPpm: lost, availabilityPpm: 1_000_000 - gone, mtu: 1500 });
      const bounds = {
        bitsPerSecond: 1n,
        delayUs: used + more + 1,
        lossPpm: lost + more + 1,
        availabilityPpm: 1_000_000 - gone - more - 1,
      };
      const left = leftOf(bounds, first);
      const second = sumsOf({
        delayUs: left.delayUs,
        lossPpm: left.lossPpm,
        availabilityPpm: left.availabilityPpm,
        mtu: 1500,
      });
      const both = along(first, second);
      expect(both.delayUs).toBeLessThanOrEqual(bounds.delayUs);
      expect(lossPpm(both)).toBeLessThanOrEqual(bounds.lossPpm);
      expect(availabilityPpm(both)).toBeGreaterThanOrEqual(bounds.availabilityPpm);
    }),
  );
});

test('prices: every part of a Mbit/s on every wire', () => {
  const tariff = { ...tariffOf(viewOf([], [])), linkMicros: 7n, mbitWireMicros: 10n };
  expect(linkPrice(tariff, 0n, 5).microsPerHour).toBe(7n);
  expect(linkPrice(tariff, 1_000_000n, 3).microsPerHour).toBe(37n);
  expect(linkPrice(tariff, 1n, 1).microsPerHour).toBe(8n);
});
