/*
 * Paths that are up and bad, in a world: P - Z - Q - M, of which Z only routes IP and Q only switches labels, and beside
 * it P - A - M. Three networks have the same link and were promised different things: one loses little, one is fast, one
 * is steady. Each leaves a path that breaks its own promise, and no other.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { netnsNames } from '../../native/lib/index.js';
import { impair } from '../../src/world/impair.js';
import { World } from '../support/worlds.js';
import { Streams } from './streams.js';
import { twoWays } from './two-ways.js';
import { ENDS, type Way, type Ways, waysOf, waysUntil } from './ways.js';

/* watched slowly: what is bad here is not to look like a cut */
const LINK = 'protection: LINK_PROTECTION_ONE_FOR_ONE, repair_us: 2000000, degraded_ms: 2000';
/** Wide enough that this machine's own pauses, in the mean of a second, keep within. */
const PROMISES = {
  lossless: 'slo: { loss_ppm: 20000 }',
  fast: 'slo: { delay_us: 30000 }',
  steady: 'variation_us: 8000',
} as const;
type Network = keyof typeof PROMISES;
const NETWORKS = Object.keys(PROMISES) as Network[];

const YAML = twoWays(
  'degraded',
  NETWORKS.map((name) => ({ name, link: `${LINK}, ${PROMISES[name]}`, prefix: name.slice(0, 1) })),
);

const NOTHING = { delayUs: 0, jitterUs: 0, lossPpm: 0, bitsPerSecond: 0, seed: 7 };

const IMPAIRED = {
  lossless: { ...NOTHING, lossPpm: 60_000 },
  fast: { ...NOTHING, delayUs: 90_000 },
  steady: { ...NOTHING, jitterUs: 60_000 },
} as const;
/** On the way over Q, and on the one over A. */
const ON_Q = ['Z', 'Q'] as const;
const ON_A = ['P', 'A'] as const;

let world: World;
let running: Streams | undefined;

beforeAll(() => {
  world = World.up(YAML);
}, 120_000);
afterEach(async () => {
  running?.kill();
  running = undefined;
  for (const wire of [ON_Q, ON_A]) await impair(world.name, wire, undefined, false);
});
afterAll(async () => {
  world?.down();
  if (world) expect((await netnsNames()).filter((name) => name.startsWith(`${world.name}.`))).toEqual([]);
}, 60_000);

const until = (network: Network, what: string, look: (ways: Ways['P']) => boolean): Promise<Ways> =>
  waysUntil(world.name, `${network}: ${what}`, look, 60, network);
const uses = (network: Network, way: Way): Promise<Ways> =>
  until(network, `${way} is in use`, (ways) => ways[way].inUse);

function times(ways: Ways, way: Way): number {
  return ENDS.reduce((sum, end) => sum + ways[end][way].degradations, 0);
}

test.each([
  { network: 'lossless', from: 'Z', to: 'Q', what: 'lossy towards M' },
  { network: 'fast', from: 'Z', to: 'Q', what: 'slow towards M' },
  { network: 'steady', from: 'Q', to: 'Z', what: 'jittery towards P' },
] as const)(
  '$what: $network leaves it at both ends, and comes back',
  async ({ network, from, to }) => {
    for (const one of NETWORKS) await uses(one, 'Q');
    const streams = await Streams.start(world.name, network[0], network);
    running = streams;
    const before = await waysOf(world.name, network);
    await impair(world.name, [from, to], IMPAIRED[network], true);
    const left = await uses(network, 'A');
    for (const end of ENDS) {
      expect(left[end].Q).toMatchObject({ isUp: true, degraded: true });
      expect(left[end].A).toMatchObject({
        isUp: true,
        degraded: false,
        degradations: before[end].A.degradations,
      });
      // up all the time: it was the measuring that left it
      expect(left[end].Q.failures).toBe(before[end].Q.failures);
    }
    await streams.bothArriving();
    // the others were promised nothing that this breaks
    for (const other of NETWORKS.filter((one) => one !== network)) {
      const ways = await waysOf(world.name, other);
      for (const end of ENDS)
        expect(ways[end].Q, `${other} at ${end}`).toMatchObject({ inUse: true, degraded: false });
    }
    await impair(world.name, [from, to], undefined, false);
    await uses(network, 'Q');
    const seen = await streams.end();
    running = undefined;
    for (const end of ENDS) {
      const { report } = seen[end];
      expect(report.doubled).toBe(0);
      // where it is not loss that is bad, none is lost: not by leaving, and not by coming back
      if (network !== 'lossless' || end === 'M') expect(report.lost, `sent by ${end}`).toBe(0);
    }
  },
  90_000,
);

test('both ways are lossy: traffic moves once at most, and stays', async () => {
  const network = 'lossless';
  await uses(network, 'Q');
  for (const wire of [ON_Q, ON_A]) await impair(world.name, wire, IMPAIRED[network], false);
  const bad = await until(network, 'both are bad', ({ Q, A }) => Q.degraded && A.degraded);
  const used = ENDS.map((end) => (bad[end].Q.inUse ? 'Q' : 'A'));
  // ten more seconds of messages
  const streams = await Streams.start(world.name, network[0], network);
  running = streams;
  for (let i = 0; i < 10; i++) {
    for (const end of ENDS) await streams.arriving(end, 400);
    const now = await waysOf(world.name, network);
    expect(ENDS.map((end) => (now[end].Q.inUse ? 'Q' : 'A'))).toEqual(used);
  }
  const after = await waysOf(world.name, network);
  expect(times(after, 'Q') + times(after, 'A')).toBe(times(bad, 'Q') + times(bad, 'A'));
}, 90_000);
