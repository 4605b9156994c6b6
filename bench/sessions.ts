/*
 * 1 000 sessions between two machines, 500 over each of two wires: what they take of the processors, and how soon the
 * 500 of one wire are found dead.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../test/node/machines.js';
import { ENDS, type Pair } from './pair.js';
import { type Row, round, spreadRow } from './report.js';
import { machineSeconds } from './sender-process.js';

const bench = 'protection';
const LINKS = 500;
const WATCHED = { intervalUs: 10_000, multiplier: 3 };
const SECONDS = 5;
const CUTS = 3;

interface Share {
  /** Of one core, percent. */
  readonly senders: number;
  readonly busy: number;
  readonly softirq: number;
}

async function share(pair: Pair): Promise<Share> {
  const sum = (): number => pair.senders().reduce((all, sender) => all + sender.seconds(), 0);
  const [start, sent, machine] = [process.hrtime.bigint(), sum(), machineSeconds()];
  await delay(SECONDS * 1000);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const after = machineSeconds();
  const percent = (value: number): number => round((100 * value) / seconds);
  return {
    senders: percent(sum() - sent),
    busy: percent(after.busy - machine.busy),
    softirq: percent(after.softirq - machine.softirq),
  };
}

async function cut(pair: Pair, names: readonly string[]): Promise<{ down: number[]; switched: number[] }> {
  await until('all are up', () => pair.isWhole(WATCHED.intervalUs), 120_000);
  await delay(1000 + Math.random() * 50);
  const at = pair.wires.cut(0, 'both');
  const left = (): boolean =>
    ENDS.every((end) => names.every((name) => pair.history(end, name).switched > at));
  await until('all have left the wire', left, 20_000);
  const since = (ns: bigint): number => Number(ns - at) / 1e6;
  const switched = ENDS.flatMap((end) => names.map((name) => since(pair.history(end, name).switched)));
  const down = ENDS.flatMap((end) =>
    pair
      .paths(end)
      .filter(({ index }) => index === 0)
      .map(({ liveness }) => since(BigInt(liveness?.failedNs ?? 0))),
  );
  pair.wires.mend(0);
  return { down, switched };
}

export async function manySessions(pair: Pair): Promise<Row[]> {
  const names = Array.from({ length: LINKS }, (_, i) => `l${i}`);
  const idle = await share(pair);
  await pair.carry(names.map((name) => ({ name, ...WATCHED })));
  await until('all are up', () => pair.isWhole(WATCHED.intervalUs), 120_000);
  const watching = await share(pair);
  const all = [];
  for (let i = 0; i < CUTS; i++) all.push(await cut(pair, names));
  const what = `${2 * LINKS} sessions of 10 ms × 3 at each of two machines`;
  const of = (name: string, value: number, peerValue: number): Row =>
    // no alternative, so no ratio
    ({ bench, case: name, unit: '% of a core', value, peer: 'with 2 sessions', peerValue });
  return [
    of(`${what}: both senders`, watching.senders, idle.senders),
    of('… softirqs, most of them within the senders’ calls', watching.softirq, idle.softirq),
    of('… everything on the machine', watching.busy, idle.busy),
    spreadRow(
      { bench, case: `${LINKS} sessions die at once: cut to down, both ends, ${CUTS} cuts`, unit: 'ms' },
      all.flatMap(({ down }) => down),
    ),
    spreadRow(
      { bench, case: '… cut to switch', unit: 'ms' },
      all.flatMap(({ switched }) => switched),
    ),
  ];
}
