/**
 * The demo's story of a wire that goes bad, and then is cut: two services have the same stream over it, one of them over
 * a link that is protected. What each of their viewers would have seen.
 */
import { clientOf } from '../world/agents.js';
import { impair } from '../world/impair.js';
import { RunningStream } from '../world/stream.js';
import { findTarget } from '../world/target.js';
import { type WorldState } from '../world/state.js';
import { findWires, setWire } from '../world/wires.js';
import { type Bin, reportOf, seriesOf, type Stream } from '../world/arrivals.js';
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

/** What happened when. */
export interface Happening {
  /** CLOCK_MONOTONIC, as the streams have it; ns. */
  readonly at: number;
  readonly what: string;
  /** It begins one. */
  readonly chapter?: string;
}

export interface CutStory {
  readonly happenings: readonly Happening[];
  readonly streams: ReadonlyMap<Protection, Stream>;
}

/** One after another, each after so many milliseconds; `chapter`: what is told of from here on. */
const ACTS: readonly {
  readonly afterMs: number;
  /** And not before this is so, as far as there is patience for it. */
  readonly once?: (state: WorldState) => Promise<boolean>;
  readonly chapter?: string;
  readonly what: string;
  readonly act: (state: WorldState) => Promise<unknown>;
}[] = [
  {
    afterMs: 2000,
    chapter: 'congested: up, and losing three of a hundred',
    what: `impair ${CUT.join(' ')} --loss 3%`,
    act: (state) => impair(state.plan.name, CUT, { ...NOTHING, lossPpm: 30_000 }, false),
  },
  {
    afterMs: 6000,
    what: `impair ${CUT.join(' ')} --clear`,
    act: (state) => impair(state.plan.name, CUT, undefined, false),
  },
  {
    // the way that was left has to be good for long enough: with no traffic on it that takes some time to tell
    afterMs: 8000,
    once: isHome,
    chapter: 'cut, and healed',
    what: `cut ${CUT.join(' ')}`,
    act: (state) => setWires(state, false),
  },
  { afterMs: 3000, what: `heal ${CUT.join(' ')}`, act: (state) => setWires(state, true) },
  {
    afterMs: 3000,
    chapter: 'half a cut, which no interface notices',
    what: `impair ${CUT.join(' ')} --loss 100% --one-way`,
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
/** More of a stream than should be needed. */
const LATE_MS = 30_000;

async function always(): Promise<boolean> {
  return true;
}

/** The protected link takes the first of its paths, at both ends. */
async function isHome(state: WorldState): Promise<boolean> {
  const { vif, ends } = PROTECTED;
  const atHome = ends.map(async (end) => {
    const client = clientOf(state.plan.name, end);
    try {
      const { paths } = await client.listPaths({ pageSize: 0, pageToken: '' }, { deadlineMs: 5000 });
      return paths.some((path) => vif.test(path.vif) && path.index === 0 && path.inUse);
    } finally {
      client.close();
    }
  });
  return (await Promise.all(atHome)).every((home) => home);
}
const PROTECTED = {
  vif: /^vns\/[^/]*iptv\/nodes\/(P\/vifs\/to-M|M\/vifs\/to-P)$/,
  ends: ['P', 'M'],
} as const;
/** A loss that small is told within ten seconds on a path without traffic; then the hold. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 500;

function monotonic(): number {
  return Number(process.hrtime.bigint());
}

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
        count: ((total + PATIENCE_MS + LATE_MS) * 1000) / INTERVAL_US,
        bytes: BYTES,
        address,
      };
      const ends = { from: findTarget(state, from), to: findTarget(state, to) };
      running.set(protection, await RunningStream.start(state, { ...ends, ...options }));
    }
    const begin = monotonic();
    for (const { afterMs, once = always, what, act, chapter } of ACTS) {
      await wait(afterMs);
      for (let waited = 0; waited < PATIENCE_MS && !(await once(state)); waited += LOOK_MS)
        await wait(LOOK_MS);
      const at = monotonic();
      say(`  ${((at - begin) / 1e9).toFixed(1)} s: ${what}`);
      happenings.push({ at, what, ...(chapter !== undefined && { chapter }) });
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

/** By chapters: what was lost of each stream in it, and until when. */
export function describeCut({ happenings, streams }: CutStory): string {
  const chapters = happenings.filter(({ chapter }) => chapter !== undefined);
  return chapters
    .flatMap(({ at, chapter }, i) => {
      const end = chapters[i + 1]?.at ?? Infinity;
      const rows = VIEWERS.map(({ protection, from, to }) => {
        const stream = streams.get(protection);
        const told = stream ? lossIn(stream, at, end) : 'nothing';
        return `    protection ${protection.padEnd(4)} (${from} to ${to}): ${told}`;
      });
      return [`  ${chapter}:`, ...rows];
    })
    .concat(...VIEWERS.map(({ protection }) => wholeOf(protection, streams.get(protection))))
    .join('\n');
}

/** Between two times of the monotonic clock. */
function lossIn(stream: Stream, from: number, to: number): string {
  const [fromMs, toMs] = [from, to].map((time) => (time - stream.begin) / 1e6) as [number, number];
  const losses = reportOf(stream).losses.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  const lost = losses.reduce((sum, { length }) => sum + length, 0);
  if (lost === 0) return 'none lost';
  const last = Math.max(...losses.map(({ atMs }) => atMs)) - fromMs;
  const longest = Math.max(...losses.map(({ gapMs }) => gapMs));
  return `${lost} lost, the last ${(last / 1000).toFixed(1)} s after it began; longest gap ${longest.toFixed(0)} ms`;
}

function wholeOf(protection: Protection, stream: Stream | undefined): string[] {
  if (!stream) return [];
  const { sent, lost, doubled, reordered } = reportOf(stream);
  return [
    `  in all, protection ${protection.padEnd(4)}: of ${sent} packets ${lost} lost, ${doubled} doubled, ${reordered} out of order`,
  ];
}

const BIN_MS = 100;

/** From which the story can be plotted. All times begin with the first stream. */
export function cutJson({ happenings, streams }: CutStory): unknown {
  const zero = beginOf(streams);
  return {
    intervalUs: INTERVAL_US,
    binMs: BIN_MS,
    happenings: happenings.map(({ at, ...rest }) => ({ atMs: (at - zero) / 1e6, ...rest })),
    streams: [...streams].map(([protection, stream]) => ({
      protection,
      report: reportOf(stream),
      series: seriesSince(stream, zero),
    })),
  };
}

/** A block for each stream, with its protection in front of every line. */
export function cutCsv({ streams }: CutStory): string {
  const zero = beginOf(streams);
  return [...streams]
    .flatMap(([protection, stream], i) => {
      const [head, ...lines] = csvOf(seriesSince(stream, zero)).split('\n');
      const rows = lines.map((line) => `${protection},${line}`);
      return i === 0 ? [`protection,${head ?? ''}`, ...rows] : rows;
    })
    .join('\n');
}

function beginOf(streams: CutStory['streams']): number {
  return Math.min(...[...streams.values()].map(({ begin }) => begin));
}

function seriesSince(stream: Stream, zero: number): Bin[] {
  const offset = (stream.begin - zero) / 1e6;
  return seriesOf(stream, BIN_MS).map((bin) => ({ ...bin, atMs: bin.atMs + offset }));
}
