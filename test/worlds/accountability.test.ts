/*
 * A wire is cut and mended in a small world, P - Q - M: every layer's report says that its link was down for that time, and
 * whose fault it was; links that do not pass the wire were up. Killed controllers know it afterwards.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { netnsNames } from '../../native/lib/index.js';
import { findWires, setWire } from '../../src/world/wires.js';
import { cabernet, until, World } from '../support/worlds.js';
import { stateOf } from './ways.js';

const YAML = `
name: accountability
machines: [{ name: P, provider: one }, { name: Q, provider: one }, { name: M, provider: one }]
wires: [{ a: P, b: Q }, { a: Q, b: M }]
networks:
  - name: conn
    nodes: [{ name: P }, { name: Q }, { name: M }]
    links: [{ a: P, b: Q }, { a: Q, b: M, slo: { availability_ppm: 999000 } }]
  - name: iptv
    over: conn
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M, via: [Q] }]
`;

interface Told {
  readonly lease: string;
  readonly layer: string;
  readonly provider: string;
  readonly total: { readonly upMs?: string; readonly downMs?: string };
  readonly violations?: readonly {
    readonly kind: string;
    readonly startTime: string;
    readonly endTime?: string;
    readonly violatedMs?: string;
    readonly cause: string;
    readonly fault: {
      readonly layer: string;
      readonly provider: string;
      readonly lease?: string;
      readonly resources?: readonly string[];
    };
  }[];
}

let world: World;

beforeAll(() => {
  world = World.up(YAML);
}, 120_000);
afterAll(async () => {
  world?.down();
  if (world) expect((await netnsNames()).filter((name) => name.startsWith(`${world.name}.`))).toEqual([]);
}, 60_000);

/** By the last part of the lease's name. */
function reports(provider: string): ReadonlyMap<string, Told> {
  const { status, stdout, stderr } = cabernet(
    ...['report', '--context', `${world.name}/${provider}`, '-o', 'json'],
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const all = JSON.parse(stdout) as readonly Told[];
  return new Map(all.map((one) => [one.lease, one]));
}

function named(told: ReadonlyMap<string, Told>, part: RegExp): Told {
  const found = [...told].filter(([lease]) => part.test(lease)).map(([, one]) => one);
  const [one] = found;
  if (!one || found.length > 1) throw new Error(`${found.length} of ${part}: ${[...told.keys()].join(', ')}`);
  return one;
}

const reportUntil = (
  provider: string,
  link: RegExp,
  what: string,
  test: (told: Told) => boolean,
): Promise<Told> =>
  until(
    `${provider}: ${what}`,
    () => {
      const told = named(reports(provider), link);
      return test(told) ? told : undefined;
    },
    60,
  );

async function set(up: boolean): Promise<void> {
  const state = stateOf(world.name);
  for (const wire of findWires(state, 'Q', 'M')) await setWire(state, wire, up);
}

const OF_INFRASTRUCTURE = /\/virtualLinks\/.*m/i;
const BOUGHT = /^links\/.*m/i;
const SOLD = /^customers\/iptv\//;

test('a wire is cut and mended: for that time each layer’s link was down, and it is known whose fault it was', async () => {
  for (const [provider, link] of [
    ['one', OF_INFRASTRUCTURE],
    ['conn', BOUGHT],
    ['conn', SOLD],
  ] as const)
    await reportUntil(provider, link, 'it is seen to be up', ({ total }) => Number(total.upMs ?? 0) > 0);
  await set(false);
  const going = await reportUntil('one', OF_INFRASTRUCTURE, 'down', ({ violations = [] }) =>
    violations.some(({ endTime = '' }) => endTime === ''),
  );
  // times of a machine's clock are taken for later than they were, by as long as its answer was under way
  const seen = Date.now();
  await reportUntil('conn', SOLD, 'down', ({ violations = [] }) => violations.length > 0);
  const mending = Date.now();
  await set(true);

  const over = ({ violations = [] }: Told): boolean =>
    violations.length > 0 && violations.every(({ endTime = '' }) => endTime !== '');
  const below = await reportUntil('one', OF_INFRASTRUCTURE, 'up again', over);
  expect(below).toMatchObject({ layer: 'infrastructure', provider: 'one' });
  expect(below.violations).toHaveLength(1);
  const [violation] = below.violations ?? [];
  expect(violation).toMatchObject({
    kind: 'VIOLATION_KIND_AVAILABILITY',
    startTime: going.violations?.[0]?.startTime,
    promised: '999000',
    fault: { layer: 'infrastructure', provider: 'one' },
  });
  // only the wire that was cut: the other one carries
  expect(violation?.fault.resources).toHaveLength(1);
  expect(violation?.fault.resources?.[0]).toMatch(/^wires\/.*m/i);
  expect(Date.parse(violation?.startTime ?? '')).toBeLessThanOrEqual(seen);
  expect(Number(violation?.violatedMs)).toBeGreaterThanOrEqual(mending - seen);
  expect(Date.parse(violation?.endTime ?? '')).toBeGreaterThanOrEqual(mending);

  const bought = await reportUntil('conn', BOUGHT, 'up again', over);
  expect(bought).toMatchObject({ layer: 'infrastructure', provider: 'one' });
  const sold = await reportUntil('conn', SOLD, 'up again', over);
  expect(sold).toMatchObject({ layer: 'connectivity', provider: 'conn' });
  for (const { lease, violations = [] } of [bought, sold]) {
    const last = violations.at(-1);
    expect(last?.fault, lease).toMatchObject({
      layer: 'infrastructure',
      provider: 'one',
      lease: bought.lease,
    });
    expect(Date.parse(last?.endTime ?? ''), lease).toBeGreaterThanOrEqual(mending);
  }
  for (const provider of ['one', 'conn']) {
    const other = named(reports(provider), provider === 'one' ? /\/virtualLinks\/.*p/i : /^links\/.*p/i);
    expect(other.violations ?? [], other.lease).toEqual([]);
    expect(other.total.downMs ?? '0', other.lease).toBe('0');
  }

  const known = [below, bought, sold].map(({ lease, violations }) => ({ lease, violations }));
  world.orphaned();
  expect(world.again()).toMatchObject({ status: 0 });
  const again = new Map([...reports('one'), ...reports('conn')]);
  for (const { lease, violations } of known) expect(again.get(lease)?.violations, lease).toEqual(violations);
}, 240_000);
