/*
 * `npm run bench -- quiet`: nothing is cut, and yet a path is found dead. Three links of two paths between two machines, watched
 * at three paces, and FRR's bfdd between two more, all at once; each time one is found dead is told apart by whether
 * a core was not to be had just then.
 *
 * CABERNET_BENCH_SECONDS (10), idle and with every core busy.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../test/node/machines.js';
import { GATEWAY, RATE } from './cuts.js';
import { FrrPair, frrMissing } from './frr.js';
import { LOADS, SECONDS, setting } from './loads.js';
import { drained, send, Sink } from './paced.js';
import { type Carried, Pair } from './pair.js';
import { meets, type Pause, watchPauses } from './pauses.js';
import { type Row, round, row, tell } from './report.js';

const bench = 'quiet';
const MULTIPLIER = 3;
const every = (ms: number): Carried => ({
  name: `every-${ms}`,
  intervalUs: ms * 1000,
  multiplier: MULTIPLIER,
});
const quickest = every(1);
const LINKS: readonly Carried[] = [quickest, every(10), every(50)];
/** The stream's. */
const STREAMED = 'every-10';
const FRR = { intervalMs: 10, multiplier: MULTIPLIER };
/** Of pauses that count: two packets of the quickest are not sent. */
const SHORTEST_US = 2000;

interface Found {
  readonly link: Carried;
  readonly count: number;
  /** … just when a core was not to be had. */
  readonly held: number;
}

/** ns that a path was listened to before it was left, the last packet's interval included. */
const listened = (link: Carried): number => link.intervalUs * (link.multiplier + 1) * 1000;

/** Of all moments, percent, those that a pause would explain if it were for nothing. */
function chance(link: Carried, pauses: readonly Pause[], seconds: number): number {
  const around = pauses.map(({ from, to }) => ({ from, to: to + listened(link) }));
  let covered = 0;
  let end = 0;
  for (const { from, to } of around.toSorted((a, b) => a.from - b.from)) {
    covered += Math.max(0, to - Math.max(from, end));
    end = Math.max(end, to);
  }
  return (100 * covered) / (seconds * 1e9);
}

async function watch(
  pair: Pair,
  seconds: number,
  frr?: FrrPair,
): Promise<{ all: Found[]; pauses: readonly Pause[]; downs?: number }> {
  const times = new Map(LINKS.map(({ name }) => [name, [] as number[]]));
  const stop = watchPauses(SHORTEST_US);
  const unwatch = pair.onSilence([...times.keys()], (link, at) => times.get(link)?.push(at));
  const falseDowns = frr?.falseDowns(seconds);
  await delay(seconds * 1000);
  const downs = await falseDowns;
  unwatch();
  const pauses = await stop();
  const all = LINKS.map((link) => {
    const own = times.get(link.name) ?? [];
    const held = own.filter((at) => meets(pauses, at - listened(link), at)).length;
    return { link, count: own.length, held };
  });
  return { all, pauses, ...(downs === undefined ? {} : { downs }) };
}

/** Under a stream by one of them. */
async function streamed(pair: Pair, sink: Sink, load: string, seconds: number, frr?: FrrPair) {
  await until('all paths are up', () => pair.isWhole());
  sink.clear();
  const stream = send(pair.route, GATEWAY, RATE);
  await until('the stream runs', () => sink.received > RATE / 20);
  const { all, pauses, downs } = await watch(pair, seconds, frr);
  const sent = await stream.stop();
  await drained(sink);
  const what = `${load}, ${seconds} s`;
  const theirs =
    downs === undefined
      ? {}
      : { peer: `FRR, ${FRR.intervalMs} ms × ${FRR.multiplier}, one end`, peerValue: downs };
  const found = all.flatMap(({ link, count, held }) => {
    const ms = link.intervalUs / 1000;
    const name = `${what}: ${ms} ms × ${link.multiplier}, found dead for no reason, at either end`;
    return [
      row({ bench, case: name, unit: 'times', value: count, ...theirs }),
      row({
        ...{ bench, case: `… ${ms} ms: while a core was not to be had for 2 ms or more` },
        ...{ unit: 'times', value: held },
      }),
    ];
  });
  const longest = Math.max(0, ...pauses.map(({ from, to }) => to - from)) / 1e6;
  return [
    ...found,
    row({ bench, case: '… cores not to be had for 2 ms or more', unit: 'times', value: pauses.length }),
    row({ bench, case: '… the longest', unit: 'ms', value: round(longest) }),
    row({
      bench,
      case: '… moments of 1 ms × 3 that one meets',
      unit: '%',
      value: round(chance(quickest, pauses, seconds)),
    }),
    row({
      bench,
      case: `… packets lost, of ${sent} by the one of 10 ms`,
      unit: 'packets',
      value: sent - sink.received,
    }),
  ];
}

export async function quiet(): Promise<Row[]> {
  const seconds = setting(SECONDS, 10);
  const pair = await Pair.build();
  try {
    await pair.carry(LINKS);
    await pair.routeBy(STREAMED);
    const sink = await Sink.open(pair.route);
    const missing = frrMissing();
    if (missing !== undefined) process.stderr.write(`SKIP FRR: ${missing}\n`);
    const frr = missing === undefined ? await FrrPair.build(FRR.intervalMs, FRR.multiplier) : undefined;
    try {
      const rows: Row[] = [];
      for (const { name, under } of LOADS)
        rows.push(...tell(await under(() => streamed(pair, sink, name, seconds, frr))));
      return rows;
    } finally {
      await frr?.close();
      sink.close();
    }
  } finally {
    await pair.close();
  }
}
