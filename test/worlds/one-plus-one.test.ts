/*
 * A service link that is 1+1: P - Z - Q - M, of which Z only routes IP and Q only switches labels, and beside it P - A - M.
 * Whatever fails on one of them, nothing is lost and nothing comes twice.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { netnsNames } from '../../native/lib/index.js';
import { impair } from '../../src/world/impair.js';
import { findWires, setWire } from '../../src/world/wires.js';
import { World } from '../support/worlds.js';
import { Streams } from './streams.js';
import { twoWays, type WirePair, WIRES } from './two-ways.js';
import { ENDS, stateOf, type Ways, waysUntil } from './ways.js';

const PROTECTION = 'protection: LINK_PROTECTION_ONE_PLUS_ONE, repair_us: 100000';
const YAML = twoWays('oneplus', [{ name: 'iptv', link: PROTECTION, prefix: 'h' }]);

/** 5000 a second. */
const INTERVAL_US = 200;
const PACKETS = 100_000;

let world: World;
let stream: Streams | undefined;

beforeAll(() => {
  world = World.up(YAML);
}, 120_000);
afterEach(async () => {
  stream?.kill();
  stream = undefined;
  for (const wire of WIRES) {
    await lose(wire, false);
    await set(wire, true);
  }
});
afterAll(async () => {
  world?.down();
  if (world) expect((await netnsNames()).filter((name) => name.startsWith(`${world.name}.`))).toEqual([]);
}, 60_000);

async function set([a, b]: WirePair, up: boolean): Promise<void> {
  const state = stateOf(world.name);
  for (const wire of findWires(state, a, b)) await setWire(state, wire, up);
}

async function lose(wire: WirePair, all: boolean, oneWay = false): Promise<void> {
  const nothing = { delayUs: 0, jitterUs: 0, bitsPerSecond: 0, seed: 0 };
  await impair(world.name, wire, all ? { ...nothing, lossPpm: 1_000_000 } : undefined, oneWay);
}

const bothUp = (): Promise<Ways> =>
  waysUntil(world.name, 'both ways are up', ({ Q, A }) => Q.isUp && A.isUp, 30);
const isDown = (way: 'Q' | 'A'): Promise<Ways> =>
  waysUntil(world.name, `${way} is down`, (ways) => !ways[way].isUp, 30);

interface Merge {
  readonly merged?: string;
  readonly duplicates?: string;
}

/** Of what has arrived at both ends of the link, by the agents' own account. */
function merges(): Merge[] {
  return world.get<Merge & { readonly vif: string }>('paths').filter(({ merged }) => merged !== undefined);
}

test('cut and mended, one way after the other, under 100 000 packets each way: none lost, none twice', async () => {
  const ways = await bothUp();
  for (const way of ['Q', 'A'] as const) expect(ways.P[way].inUse, way).toBe(true);
  stream = await Streams.start(world.name, 'h', 'iptv', INTERVAL_US);
  const cuts: readonly ['Q' | 'A', () => Promise<void>, () => Promise<void>][] = [
    ['Q', () => set(['Q', 'M'], false), () => set(['Q', 'M'], true)],
    ['A', () => set(['P', 'A'], false), () => set(['P', 'A'], true)],
    ['Q', () => lose(['P', 'Z'], true), () => lose(['P', 'Z'], false)],
    ['A', () => lose(['A', 'M'], true, true), () => lose(['A', 'M'], false)],
  ];
  for (const [way, cut, mend] of cuts) {
    await cut();
    await isDown(way);
    await stream.bothArriving();
    await mend();
    await bothUp();
    await stream.bothArriving();
  }
  for (const end of ENDS) await stream.received(end, PACKETS);
  const seen = await stream.end();
  for (const end of ENDS) {
    const { sent, lost, doubled, losses } = seen[end].report;
    expect({ lost, doubled, losses }, `from ${end}`).toEqual({ lost: 0, doubled: 0, losses: [] });
    expect(sent).toBeGreaterThanOrEqual(PACKETS);
  }
  // both did arrive most of the time, or this has shown nothing
  const merged = merges();
  expect(merged.length).toBe(4);
  for (const one of merged) {
    expect(Number(one.merged)).toBeGreaterThanOrEqual(PACKETS);
    expect(Number(one.duplicates)).toBeGreaterThan(PACKETS / 4);
  }
}, 240_000);

test('a trace tells of both ways down, and goes on with the first', async () => {
  await bothUp();
  const { status, stdout } = world.run('trace', 'iptv/hp', '--to', '10.0.3.2');
  expect(status, stdout).toBe(0);
  // their places in the record, which they keep whatever has been preferred to them
  const copies = [...stdout.matchAll(/a copy by path (\d)/g)].map(([, path]) => path);
  expect(copies.toSorted(), stdout).toEqual(['0', '1']);
  const machines = [...stdout.matchAll(/^([A-Z])$/gm)].map(([, machine]) => machine).join('');
  expect(['PQM', 'PAM'], stdout).toContain(machines);
}, 60_000);
