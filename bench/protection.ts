/*
 * `npm run bench -- protection`: how long a link of two paths is without one when a wire falls silent, what that costs,
 * and what it takes to watch many paths. Beside it FRR's bfdd.
 *
 * CABERNET_BENCH_CUTS (10) cuts of each kind, CABERNET_BENCH_SECONDS (10) without any for each setting.
 */
import { whileBusy } from './busy.js';
import { type CutResult, cuts, falseSwitches, LINK, type Quiet } from './cuts.js';
import { FrrPair, frrMissing } from './frr.js';
import { linkCost } from './link-cost.js';
import { type Cut } from './middles.js';
import { Pair, type Watched } from './pair.js';
import { Sink } from './paced.js';
import { type Row, round, row, spreadRow } from './report.js';
import { manySessions } from './sessions.js';
import { twice } from './twice.js';

const bench = 'protection';
/** FRR's shortest, and its multiplier. */
const FRR = { intervalMs: 10, multiplier: 3 };

const LOADS = [
  { name: 'idle', under: <T>(work: () => Promise<T>): Promise<T> => work() },
  { name: 'both cores busy', under: whileBusy },
] as const;

const SETTINGS: readonly Watched[] = [1, 10, 50].map((ms) => ({ intervalUs: ms * 1000, multiplier: 3 }));

function setting(name: string, usual: number): number {
  const value = Number(process.env[name] ?? usual);
  if (!Number.isInteger(value) || value < 1 || value > 10_000)
    throw new Error(`${name} is '${process.env[name] ?? ''}'; it must be an integer from 1 to 10000`);
  return value;
}

const text = ({ intervalUs, multiplier }: Watched): string => `${intervalUs / 1000} ms × ${multiplier}`;

/** As they are measured: all of them take minutes. */
function tell(rows: readonly Row[]): readonly Row[] {
  for (const { case: name, value, unit, spread } of rows) {
    const more = spread ? ` (${spread.min} / ${spread.p95} / ${spread.max}, of ${spread.count})` : '';
    process.stderr.write(`  ${name}: ${value} ${unit}${more}\n`);
  }
  return rows;
}

function cutRows(
  what: string,
  { intervalUs, multiplier }: Watched,
  results: readonly CutResult[],
  frr: number | undefined,
): Row[] {
  const aim = ((multiplier + 1) * intervalUs) / 1000;
  const peer = frr === undefined ? {} : { peer: `FRR, 10 ms × ${FRR.multiplier}`, peerValue: frr };
  return [
    spreadRow(
      { bench, case: `${what}: cut to switch`, unit: 'ms', ...peer },
      results.map(({ switchMs }) => switchMs),
    ),
    row({
      bench,
      case: `… later than ${aim} ms, of ${results.length} cuts`,
      unit: 'times',
      value: results.filter(({ switchMs }) => switchMs > aim).length,
    }),
    spreadRow(
      { bench, case: '… packets lost', unit: 'packets' },
      results.map(({ lost }) => lost),
    ),
    spreadRow(
      { bench, case: '… packets lost but for the longest gap', unit: 'packets' },
      results.map(({ lost, longest }) => lost - longest),
    ),
    row({
      bench,
      case: '… packets doubled, all cuts together',
      unit: 'packets',
      value: results.reduce((sum, { doubled }) => sum + doubled, 0),
    }),
  ];
}

function quietRows(what: string, { switches, sent, lost, slowestSweep }: Quiet): Row[] {
  const rows = [
    row({ bench, case: what, unit: 'times', value: switches }),
    row({ bench, case: '… longest from tick to tick of the sweep', unit: 'ms', value: round(slowestSweep) }),
  ];
  if (sent === 0) return rows;
  const value = round((100 * lost) / sent);
  return [...rows, row({ bench, case: '… packets lost all the same', unit: '%', value })];
}

const CUTS: readonly (readonly [Cut, string])[] = [
  ['both', 'both directions'],
  ['forth', "only the stream's direction"],
];

/** Medians of FRR by load, and its rows. */
export async function beside(
  count: number,
  seconds: number,
): Promise<{ medians: readonly (number | undefined)[]; rows: Row[] }> {
  const missing = frrMissing();
  if (missing !== undefined) {
    process.stderr.write(`SKIP FRR: ${missing}\n`);
    return { medians: [], rows: [] };
  }
  const pair = await FrrPair.build(FRR.intervalMs, FRR.multiplier);
  const rows: Row[] = [];
  const medians: (number | undefined)[] = [];
  try {
    for (const { name, under } of LOADS) {
      const results = await under(() => pair.cuts(count));
      const what = `FRR, ${FRR.intervalMs} ms × ${FRR.multiplier}, ${name}`;
      const value = await under(() => pair.falseDowns(seconds));
      const found = [
        row({ bench, case: `${what}: session down for no reason in ${seconds} s`, unit: 'times', value }),
      ];
      // it may never have been up for long enough
      if (results.length > 0)
        found.push(spreadRow({ bench, case: `${what}: cut to session down`, unit: 'ms' }, results));
      medians.push(found[1]?.value);
      rows.push(...tell(found));
    }
  } finally {
    await pair.close();
  }
  return { medians, rows };
}

export async function ours(
  count: number,
  seconds: number,
  medians: readonly (number | undefined)[],
): Promise<Row[]> {
  const pair = await Pair.build();
  const rows: Row[] = [];
  try {
    await pair.carry([LINK], SETTINGS[0] ?? { intervalUs: 1000, multiplier: 3 });
    await pair.routeBy(LINK);
    const sink = await Sink.open(pair.route);
    try {
      for (const watched of SETTINGS) {
        await pair.carry([LINK], watched);
        for (const [i, { name, under }] of LOADS.entries()) {
          for (const [which, where] of CUTS) {
            const results = await under(() => cuts(pair, sink, watched, which, count));
            // none of theirs is as slow
            const peer = watched.intervalUs > FRR.intervalMs * 1000 ? undefined : medians[i];
            rows.push(...tell(cutRows(`${text(watched)}, ${name}, ${where}`, watched, results, peer)));
          }
          for (const streaming of [true, false]) {
            const quiet = await under(() => falseSwitches(pair, sink, watched, seconds, streaming));
            const what = `${text(watched)}, ${name}, ${streaming ? 'with' : 'without'} the stream`;
            rows.push(...tell(quietRows(`${what}: false switches in ${seconds} s, both ends`, quiet)));
          }
        }
      }
      rows.push(...tell(await twice(pair, sink, count)));
    } finally {
      sink.close();
    }
    rows.push(...tell(await manySessions(pair)));
  } finally {
    await pair.close();
  }
  return rows;
}

export async function protection(): Promise<Row[]> {
  const count = setting('CABERNET_BENCH_CUTS', 10);
  const seconds = setting('CABERNET_BENCH_SECONDS', 10);
  const frr = await beside(count, seconds);
  return [...(await ours(count, seconds, frr.medians)), ...frr.rows, ...(await linkCost())];
}
