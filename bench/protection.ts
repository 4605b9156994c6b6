/*
 * `npm run bench -- protection`: how long a link of two paths is without one when a wire falls silent, what that costs,
 * and what it takes to watch many paths. Beside it FRR's bfdd.
 *
 * CABERNET_BENCH_CUTS (10) cuts of each kind.
 */
import { type CutResult, cuts, LINK } from './cuts.js';
import { FrrPair, frrMissing } from './frr.js';
import { linkCost } from './link-cost.js';
import { CUTS, LOADS, setting } from './loads.js';
import { type Cut } from './middles.js';
import { Pair, type Watched } from './pair.js';
import { Sink } from './paced.js';
import { repairCost } from './repair-cost.js';
import { type Row, row, spreadRow, tell } from './report.js';
import { manySessions } from './sessions.js';
import { twice } from './twice.js';

const bench = 'protection';
/** FRR's shortest, and its multiplier. */
const FRR = { intervalMs: 10, multiplier: 3 };

const SETTINGS: readonly Watched[] = [1, 10, 50].map((ms) => ({ intervalUs: ms * 1000, multiplier: 3 }));

const text = ({ intervalUs, multiplier }: Watched): string => `${intervalUs / 1000} ms × ${multiplier}`;

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

const DIRECTIONS: readonly (readonly [Cut, string])[] = [
  ['both', 'both directions'],
  ['forth', "only the stream's direction"],
];

/** Medians of FRR by load, and its rows. */
export async function beside(
  count: number,
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
    for (const [i, { name, under }] of LOADS.entries()) {
      const results = await under(() => pair.cuts(count));
      const what = `FRR, ${FRR.intervalMs} ms × ${FRR.multiplier}, ${name}`;
      // it may never have been up for long enough
      if (results.length === 0) continue;
      const found = spreadRow({ bench, case: `${what}: cut to session down`, unit: 'ms' }, results);
      medians[i] = found.value;
      rows.push(...tell([found]));
    }
  } finally {
    await pair.close();
  }
  return { medians, rows };
}

export async function ours(count: number, medians: readonly (number | undefined)[]): Promise<Row[]> {
  const pair = await Pair.build();
  const rows: Row[] = [];
  try {
    await pair.carry([{ name: LINK, intervalUs: 1000, multiplier: 3 }]);
    await pair.routeBy(LINK);
    const sink = await Sink.open(pair.route);
    try {
      for (const watched of SETTINGS) {
        await pair.carry([{ name: LINK, ...watched }]);
        for (const [i, { name, under }] of LOADS.entries()) {
          for (const [which, where] of DIRECTIONS) {
            const results = await under(() => cuts(pair, sink, watched, which, count));
            // none of theirs is as slow
            const peer = watched.intervalUs > FRR.intervalMs * 1000 ? undefined : medians[i];
            rows.push(...tell(cutRows(`${text(watched)}, ${name}, ${where}`, watched, results, peer)));
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
  const count = setting(CUTS, 10);
  const frr = await beside(count);
  return [...(await ours(count, frr.medians)), ...frr.rows, ...(await linkCost()), ...(await repairCost())];
}
