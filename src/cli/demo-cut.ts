/**
 * The demo's story of a cut: two services have the same stream over the same wire, one of them over a link that is
 * protected. What each of their viewers would have seen.
 */
import { impair } from '../world/impair.js';
import { RunningStream } from '../world/stream.js';
import { findTarget } from '../world/target.js';
import { type WorldState } from '../world/state.js';
import { findWires, setWire } from '../world/wires.js';
import { reportOf, seriesOf, type Stream } from '../world/arrivals.js';
import { csvOf } from './stream.js';

/** The primary way of P-M: the paper's P-Q, which Z carries. */
const CUT = ['Z', 'Q'] as const;
const INTERVAL_US = 1000;
const BYTES = 200;

/** By what its link is: what the demo compares. */
export const VIEWERS = [
  { protection: '1:1', from: 'iptv/hp', to: 'iptv/hm', address: '10.0.3.2' },
  { protection: 'none', from: 'games/gp', to: 'games/gm', address: '10.0.3.2' },
] as const;

type Protection = (typeof VIEWERS)[number]['protection'];

/** What happened when, milliseconds after the streams began. */
export interface Happening {
  readonly atMs: number;
  readonly what: string;
}

export interface CutStory {
  readonly happenings: readonly Happening[];
  readonly streams: ReadonlyMap<Protection, Stream>;
}

/** One after another, each after so many datagrams of the first stream were due. */
const ACTS: readonly {
  readonly afterMs: number;
  readonly what: string;
  readonly act: (state: WorldState) => Promise<unknown>;
}[] = [
  { afterMs: 2000, what: `cut ${CUT.join(' ')}`, act: (state) => setWires(state, false) },
  { afterMs: 3000, what: `heal ${CUT.join(' ')}`, act: (state) => setWires(state, true) },
  {
    afterMs: 3000,
    what: `impair ${CUT.join(' ')} --loss 100% --one-way: half a cut, which no interface notices`,
    act: (state) => impair(state.plan.name, CUT, { ...NOTHING, lossPpm: 1_000_000 }, true),
  },
  {
    afterMs: 2000,
    what: `impair ${CUT.join(' ')} --clear`,
    act: (state) => impair(state.plan.name, CUT, undefined, false),
  },
];
const NOTHING = { delayUs: 0, jitterUs: 0, lossPpm: 0, bitsPerSecond: 0, seed: 0 };
const LAST_MS = 2000;

async function setWires(state: WorldState, up: boolean): Promise<void> {
  for (const wire of findWires(state, ...CUT)) await setWire(state, wire, up);
}

/**
 * Plays it. `wait` resolves after so many milliseconds, or throws when the demo is interrupted.
 */
export async function playCut(
  state: WorldState,
  wait: (ms: number) => Promise<void>,
  say: (text: string) => void,
): Promise<CutStory> {
  const total = ACTS.reduce((sum, { afterMs }) => sum + afterMs, LAST_MS);
  const running = new Map<Protection, RunningStream>();
  const happenings: Happening[] = [];
  try {
    for (const { protection, from, to, address } of VIEWERS) {
      const options = {
        intervalUs: INTERVAL_US,
        count: (2 * total * 1000) / INTERVAL_US,
        bytes: BYTES,
        address,
      };
      const ends = { from: findTarget(state, from), to: findTarget(state, to) };
      running.set(protection, await RunningStream.start(state, { ...ends, ...options }));
    }
    const begin = performance.now();
    for (const { afterMs, what, act } of ACTS) {
      await wait(afterMs);
      const atMs = performance.now() - begin;
      say(`  ${(atMs / 1000).toFixed(1)} s: ${what}`);
      happenings.push({ atMs, what });
      await act(state);
    }
    await wait(LAST_MS);
    const streams = new Map<Protection, Stream>();
    for (const stream of running.values()) stream.stop();
    for (const [protection, stream] of running) streams.set(protection, await stream.end());
    return { happenings, streams };
  } finally {
    for (const stream of running.values()) stream.kill();
  }
}

export function describeCut({ streams }: CutStory): string {
  const rows = VIEWERS.map(({ protection, from, to }) => {
    const stream = streams.get(protection);
    if (!stream) return '';
    const { sent, lost, doubled, reordered, longestGapMs, losses } = reportOf(stream);
    const each = losses
      .filter(({ length }) => length > 1)
      .map(({ gapMs }) => `${gapMs.toFixed(0)} ms`)
      .join(', ');
    return (
      `  protection ${protection.padEnd(4)} (${from} to ${to}): of ${sent} packets ${lost} lost, ${doubled} doubled, ` +
      `${reordered} out of order; longest gap ${longestGapMs.toFixed(0)} ms (gaps: ${each || 'none'})`
    );
  });
  return rows.join('\n');
}

const BIN_MS = 100;

/** From which the story can be plotted. */
export function cutJson({ happenings, streams }: CutStory): unknown {
  return {
    intervalUs: INTERVAL_US,
    binMs: BIN_MS,
    happenings,
    streams: [...streams].map(([protection, stream]) => ({
      protection,
      report: reportOf(stream),
      series: seriesOf(stream, BIN_MS),
    })),
  };
}

/** A block for each stream, with its protection in front of every line. */
export function cutCsv({ streams }: CutStory): string {
  return [...streams]
    .flatMap(([protection, stream], i) => {
      const [head, ...lines] = csvOf(seriesOf(stream, BIN_MS)).split('\n');
      const rows = lines.map((line) => `${protection},${line}`);
      return i === 0 ? [`protection,${head ?? ''}`, ...rows] : rows;
    })
    .join('\n');
}
