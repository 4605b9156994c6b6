/*
 * A protected service link in a world: P - Z - Q - M, of which Z only routes IP and Q only switches labels, and beside it
 * P - A - M. Whatever fails on the way in use, what is lost lies in one gap each way, no longer than the data planes
 * themselves wrote down. Nobody else has a part in it, hence all controllers are dead but where they are told of.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { netnsNames } from '../../native/lib/index.js';
import { agentsOf } from '../../src/world/agents.js';
import { impair } from '../../src/world/impair.js';
import { processOf } from '../../src/world/processes.js';
import { findWires, setWire } from '../../src/world/wires.js';
import { World } from '../support/worlds.js';
import { type Both, INTERVAL_US, type Seen, Streams, transitMs } from './streams.js';
import { twoWays, type WirePair, WIRES } from './two-ways.js';
import {
  type End,
  ENDS,
  sessionsNow,
  stateOf,
  type Way,
  type Ways,
  waysOf,
  waysUntil,
  worstTick,
} from './ways.js';

const YAML = twoWays('protection', [
  { name: 'iptv', link: 'protection: LINK_PROTECTION_ONE_FOR_ONE, repair_us: 100000', prefix: 'h' },
  { name: 'games', prefix: 'g' },
]);

const INTERVAL_MS = INTERVAL_US / 1000;

let world: World;
let running: Streams[] = [];

beforeAll(() => {
  world = World.up(YAML);
}, 120_000);
afterEach(async () => {
  for (const streams of running) streams.kill();
  running = [];
  // also after a failure: the next one is not to meet what this one cut
  for (const wire of WIRES) {
    await lose(wire, false);
    await set(wire, true);
  }
});
afterAll(async () => {
  world?.down();
  if (world) expect((await netnsNames()).filter((name) => name.startsWith(`${world.name}.`))).toEqual([]);
}, 60_000);

async function streams(prefix: 'h' | 'g' = 'h'): Promise<Streams> {
  const started = await Streams.start(world.name, prefix);
  running.push(started);
  return started;
}

async function set([a, b]: WirePair, up: boolean): Promise<void> {
  const state = stateOf(world.name);
  for (const wire of findWires(state, a, b)) await setWire(state, wire, up);
}

/** All frames, or again none: nobody is told. */
async function lose(wire: WirePair, all: boolean, oneWay = false): Promise<void> {
  const nothing = { delayUs: 0, jitterUs: 0, bitsPerSecond: 0, seed: 0 };
  await impair(world.name, wire, all ? { ...nothing, lossPpm: 1_000_000 } : undefined, oneWay);
}

const other = (way: Way): Way => (way === 'Q' ? 'A' : 'Q');

/** Of both ends: this way carries. */
const uses = (way: Way): Promise<Ways> =>
  waysUntil(world.name, `${way} is in use`, (ways) => ways[way].inUse && !ways[other(way)].inUse);
const bothUp = (): Promise<Ways> =>
  waysUntil(world.name, 'both ways are up', ({ Q, A }) => Q.isUp && A.isUp, 30);

/** Once each end, and of the other way none: what the host's own pauses do is no failure of ours to count. */
function failedOnce(way: Way, before: Ways, after: Ways): void {
  for (const end of ENDS) {
    expect(after[end][way].failures, `${way} at ${end}`).toBe(before[end][way].failures + 1);
    expect(after[end][other(way)].failures, `${other(way)} at ${end}`).toBe(before[end][other(way)].failures);
  }
}

/**
 * What an end sends is lost from when the wire was cut, which is after a packet of the session last came through, until
 * it left the way. Milliseconds.
 */
function recordedMs(way: Way, sender: End, after: Ways): number {
  const lastHeard = Math.min(...ENDS.map((end) => after[end][way].lastHeard));
  return (after[sender][way].failed - lastHeard) / 1e6;
}

/**
 * One gap each way, as long as was written down at most; nothing comes twice. What was under way when it was cut was sent
 * before, and the session's last packet was heard after it had passed. A host that lets packets or a sender wait just
 * before the cut shows it by nothing that arrives, but lets ticks wait too: the worst of those was written down.
 */
function oneGap(way: Way, seen: Both<Seen>, after: Ways): void {
  // else it did not go there
  expect(seen.P.report.lost + seen.M.report.lost).toBeGreaterThan(0);
  const tickMs = Math.max(...ENDS.map((end) => worstTick(world.name, end))) / 1e6;
  for (const end of ENDS) {
    const { report, lateMs } = seen[end];
    expect(report.losses.length, `from ${end}: ${JSON.stringify(report.losses)}`).toBeLessThanOrEqual(1);
    expect(report.doubled, `from ${end}`).toBe(0);
    for (const { number, length, gapMs } of report.losses) {
      const slack = 2 * INTERVAL_MS + lateMs + 2 * transitMs(seen[end], number, length) + tickMs;
      expect(gapMs, `from ${end}`).toBeLessThanOrEqual(recordedMs(way, end, after) + slack);
    }
  }
}

function lossless(seen: Both<Seen>): void {
  for (const end of ENDS) {
    const { lost, doubled, losses } = seen[end].report;
    expect({ lost, doubled, losses }, `from ${end}`).toEqual({ lost: 0, doubled: 0, losses: [] });
  }
}

/** The way in use is cut: it is left for the other one. */
async function left(way: Way, cut: () => Promise<void>): Promise<{ seen: Both<Seen>; after: Ways }> {
  await bothUp();
  const before = await uses(way);
  const stream = await streams();
  await cut();
  const after = await uses(other(way));
  await stream.bothArriving();
  const seen = await stream.end();
  failedOnce(way, before, after);
  oneGap(way, seen, after);
  return { seen, after };
}

test('cabernet stream: JSON and CSV say the same of a link that loses nothing', async () => {
  await bothUp();
  const words = ['iptv/hp', 'iptv/hm', '--interval', '2ms', '--duration', '500ms'];
  interface Printed {
    sent: number;
    received: number;
    lost: number;
    losses: unknown[];
    binMs: number;
    series: { atMs: number; sent: number; received: number; lost: number }[];
  }
  const json = world.run('stream', ...words, '--json');
  expect(json).toMatchObject({ status: 0, stderr: '' });
  const { series, ...report } = JSON.parse(json.stdout) as Printed;
  expect(report).toMatchObject({ sent: 250, received: 250, lost: 0, doubled: 0, losses: [], binMs: 100 });
  const csv = world.run('stream', ...words, '--csv');
  expect(csv).toMatchObject({ status: 0, stderr: '' });
  const [head, ...lines] = csv.stdout.trimEnd().split('\n');
  expect(head).toMatch(/^seconds,sent,received,lost,/);
  expect(lines.map((line) => line.split(',').slice(0, 4).map(Number))).toEqual(
    series.map((bin) => [bin.atMs / 1000, bin.sent, bin.received, bin.lost]),
  );
  const text = world.run('stream', ...words, '--ipv6');
  expect(text).toMatchObject({ status: 1, stdout: '' });
  expect(text.stderr).toMatch(/hm has no IPv6 address/);
}, 60_000);

test('a wire is cut at both ends, and healed: one gap each way, and back without another; unprotected, all is lost', async () => {
  world.orphaned();
  const before = await uses('Q');
  const [stream, unprotected] = [await streams(), await streams('g')];
  await set(['Q', 'M'], false);
  const cut = Number(process.hrtime.bigint());
  const after = await uses('A');
  await stream.bothArriving();
  const healed = Number(process.hrtime.bigint());
  await set(['Q', 'M'], true);
  // after the hold
  await uses('Q');
  await stream.bothArriving();
  await unprotected.bothArriving();
  const seen = await stream.end();
  failedOnce('Q', before, after);
  oneGap('Q', seen, after);
  for (const {
    stream: { arrivals },
    report,
  } of Object.values(await unprotected.end())) {
    expect(arrivals.filter(({ sent }) => sent > cut && sent < healed)).toEqual([]);
    expect(report.longestGapMs).toBeGreaterThanOrEqual((healed - cut) / 1e6);
    expect(report.losses.length, JSON.stringify(report.losses)).toBe(1);
  }
}, 60_000);

test('silence on the first wire: both ends find out', async () => {
  await left('Q', () => lose(['P', 'Z'], true));
}, 60_000);

test('the other way fails while the first one is still held back: it is used again at once', async () => {
  await left('A', () => lose(['A', 'M'], true));
}, 60_000);

test('silence in one direction: the other one loses nothing', async () => {
  // from P to M only
  const { seen } = await left('Q', () => lose(['Z', 'Q'], true, true));
  expect(seen.M.report.lost).toBe(0);
  await lose(['Z', 'Q'], false);
  const back = await left('A', () => lose(['A', 'P'], true, true));
  expect(back.seen.P.report.lost).toBe(0);
}, 60_000);

test('the agent of a machine that only switches dies: nothing changes. All its interfaces go: the way is left', async () => {
  await bothUp();
  const before = await uses('Q');
  const stream = await streams();
  const [agent] = agentsOf(world.name, 'Q');
  if (!agent) throw new Error('Q has no agent');
  process.kill(agent.pid, 'SIGKILL');
  while (processOf(agent.pid)) await delay(10);
  await stream.bothArriving();
  lossless(await stream.end());
  expect((await waysOf(world.name)).P.Q.failures).toBe(before.P.Q.failures);
  const wires: readonly WirePair[] = [
    ['Z', 'Q'],
    ['Q', 'M'],
  ];
  await left('Q', async () => {
    await Promise.all(wires.map((wire) => set(wire, false)));
  });
}, 60_000);

test('under load, two busy processors: no more is lost than was written down', async () => {
  const busy: ChildProcess[] = [0, 1].map(() =>
    spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }),
  );
  try {
    await left('A', () => set(['P', 'A'], false));
  } finally {
    for (const child of busy) child.kill('SIGKILL');
  }
}, 60_000);

test('a wire that flaps: damped, it is left once', async () => {
  const before = await bothUp();
  await uses('Q');
  const stream = await streams();
  for (let flap = 0; flap < 5; flap++) {
    await set(['Q', 'M'], false);
    await delay(150);
    await set(['Q', 'M'], true);
    await delay(450);
  }
  const after = await uses('A');
  await stream.bothArriving();
  const seen = await stream.end();
  for (const end of ENDS) {
    const failures = after[end].Q.failures - before[end].Q.failures;
    expect(failures, end).toBeGreaterThanOrEqual(1);
    expect(failures, end).toBeLessThanOrEqual(5);
    const { losses, doubled } = seen[end].report;
    expect(losses.length, `from ${end}: ${JSON.stringify(losses)}`).toBe(1);
    expect(doubled).toBe(0);
  }
}, 60_000);

test('all ways are cut, and one is mended: it carries as soon as both ends know', async () => {
  await bothUp();
  await uses('A');
  const stream = await streams();
  await Promise.all([set(['Q', 'M'], false), set(['A', 'M'], false)]);
  await waysUntil(world.name, 'both ways are down', ({ Q, A }) => !Q.isUp && !A.isUp);
  await set(['Q', 'M'], true);
  await stream.bothArriving();
  const after = await uses('Q');
  const seen = await stream.end();
  for (const end of ENDS) {
    const { losses } = seen[end].report;
    expect(losses.length, JSON.stringify(losses)).toBe(1);
    const [{ number, length }] = losses as [(typeof losses)[number]];
    const first = seen[end].stream.arrivals.find((arrival) => arrival.number === number + length);
    // both know when the later one does; from then on each sends there by its next sweep
    const known = Math.max(...ENDS.map((at) => after[at].Q.since));
    const sweep = worstTick(world.name, end);
    const bound = known + sweep + 2 * INTERVAL_US * 1000 + seen[end].lateMs * 1e6;
    expect(first?.sent ?? Infinity, `from ${end}`).toBeLessThanOrEqual(bound);
  }
}, 60_000);

test('no agent and no controller lives at the ends: the way is left all the same, and up mends all', async () => {
  await bothUp();
  const before = await uses('Q');
  const stream = await streams();
  for (const end of ENDS) {
    for (const { pid } of agentsOf(world.name, end)) {
      process.kill(pid, 'SIGKILL');
      while (processOf(pid)) await delay(10);
    }
  }
  await set(['Z', 'Q'], false);
  const late = Date.now() + 10_000;
  let after = before;
  while (ENDS.some((end) => after[end].Q.failures === before[end].Q.failures)) {
    if (Date.now() > late) throw new Error('the cut is not noticed');
    await delay(10);
    after = sessionsNow(world.name, before);
  }
  await stream.bothArriving();
  const seen = await stream.end();
  after = sessionsNow(world.name, before);
  failedOnce('Q', before, after);
  oneGap('Q', seen, after);
  expect(world.again()).toMatchObject({ status: 0 });
  await bothUp();
  expect(world.ping('iptv/hp', '10.0.3.2').received).toBe(3);
  expect(world.ping('games/gp', '10.0.3.2').received).toBe(3);
}, 90_000);

test('controllers live, and are told of it: that costs nothing more', async () => {
  const { P } = await bothUp();
  const way: Way = P.Q.inUse ? 'Q' : 'A';
  const wire: WirePair = way === 'Q' ? ['Q', 'M'] : ['A', 'M'];
  const stream = await streams();
  const before = await uses(way);
  await set(wire, false);
  const after = await uses(other(way));
  await stream.bothArriving();
  await set(wire, true);
  await bothUp();
  await stream.bothArriving();
  const seen = await stream.end();
  failedOnce(way, before, after);
  oneGap(way, seen, after);
}, 60_000);
