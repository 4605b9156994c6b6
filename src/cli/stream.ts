/** `cabernet stream`: a constant stream between two stations, and what became of it. */
import { requireRoot } from '../world/host.js';
import { type Bin, reportOf, seriesOf, type Stream } from '../world/arrivals.js';
import { type Distribution } from '../world/distribution.js';
import { WorldError } from '../world/errors.js';
import { type WorldState } from '../world/state.js';
import { LARGEST_DATAGRAM, RunningStream, SMALLEST_DATAGRAM } from '../world/stream.js';
import { chooseWorld, findTarget, type Target } from '../world/target.js';
import type { StreamFlags } from './flags.js';
import { timeOf } from './quantities.js';
import { UsageError } from './report.js';

const BIN_MS = 100;
const LONGEST_SECONDS = 3600;
const MOST_A_SECOND = 100_000;

export async function streamCommand(from: string, to: string, flags: StreamFlags): Promise<void> {
  const intervalUs = timeOf('--interval', flags.interval);
  const durationUs = timeOf('--duration', flags.duration);
  if (intervalUs < 1e6 / MOST_A_SECOND || intervalUs > 10e6)
    throw new UsageError(`--interval ${flags.interval}: 10us to 10s`);
  if (durationUs < intervalUs || durationUs > LONGEST_SECONDS * 1e6)
    throw new UsageError(`--duration ${flags.duration}: an interval to ${LONGEST_SECONDS}s`);
  if (flags.bytes < SMALLEST_DATAGRAM || flags.bytes > LARGEST_DATAGRAM)
    throw new UsageError(`--bytes ${flags.bytes}: ${SMALLEST_DATAGRAM} to ${LARGEST_DATAGRAM}`);
  requireRoot('`cabernet stream`');
  const state = chooseWorld(flags.world);
  const target = findTarget(state, to);
  const running = await RunningStream.start(state, {
    from: findTarget(state, from),
    to: target,
    address: addressOf(state, target, flags.ipv6 === true ? 6 : 4),
    intervalUs,
    count: Math.floor(durationUs / intervalUs),
    bytes: flags.bytes,
  });
  // told to end early, it says what it has
  const stop = (): void => running.stop();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  const stream = await running.end();
  process.stdout.write(`${format(stream, flags)}\n`);
  if (reportOf(stream).received === 0) process.exitCode = 1;
}

/** Of a station, a node's first of that family. Throws WorldError. */
export function addressOf(state: WorldState, target: Target, family: 4 | 6): string {
  const addresses =
    target.kind === 'station'
      ? target.station.addresses.map((prefix) => prefix.replace(/\/.*$/, ''))
      : state.plan.hosts
          .filter(({ network, name }) => network === target.network && name === nameOf(target))
          .map(({ address }) => address);
  const found = addresses.find((address) => address.includes(':') === (family === 6));
  if (found !== undefined) return found;
  throw new WorldError('NAME', `${nameOf(target)} has no IPv${family} address in the world's file`);
}

function nameOf(target: Target): string {
  if (target.kind === 'machine') return target.machine;
  return target.kind === 'node' ? target.node : target.station.name;
}

function format(stream: Stream, flags: StreamFlags): string {
  if (flags.csv) return csvOf(seriesOf(stream, BIN_MS));
  if (flags.json)
    return JSON.stringify({ ...reportOf(stream), binMs: BIN_MS, series: seriesOf(stream, BIN_MS) });
  return textOf(stream);
}

const number = (value: number): string => value.toFixed(value < 10 ? 2 : 1);

function spread({ min, median, p95, max }: Distribution): string {
  return `${number(min)} / ${number(median)} / ${number(p95)} / ${number(max)} ms`;
}

/** At most so many are told one by one. */
const MOST_TOLD = 20;

export function textOf(stream: Stream): string {
  const { sent, received, lost, doubled, reordered, delayMs, longestGapMs, losses } = reportOf(stream);
  const share = sent === 0 ? 0 : (100 * lost) / sent;
  const lines = [
    `${sent} sent, one every ${number(stream.intervalUs / 1000)} ms; ${received} received, ${lost} lost (${share.toFixed(3)} %), ` +
      `${doubled} doubled, ${reordered} out of order`,
  ];
  if (delayMs) lines.push(`one-way delay, min / median / 95 % / max: ${spread(delayMs)}`);
  if (lost > 0) lines.push(`longest gap: ${number(longestGapMs)} ms; ${losses.length} loss periods:`);
  for (const { atMs, length, gapMs } of losses.slice(0, MOST_TOLD))
    lines.push(`  at ${(atMs / 1000).toFixed(3)} s: ${length} lost, a gap of ${number(gapMs)} ms`);
  if (losses.length > MOST_TOLD) lines.push(`  and ${losses.length - MOST_TOLD} more`);
  return lines.join('\n');
}

export function csvOf(series: readonly Bin[]): string {
  const lines = series.map(({ atMs, sent, received, lost, delayMs }) => {
    const delays = delayMs ? [delayMs.min, delayMs.median, delayMs.p95, delayMs.max] : [];
    const columns = Array.from({ length: 4 }, (_, i) => delays[i]?.toFixed(3) ?? '');
    return [(atMs / 1000).toFixed(1), sent, received, lost, ...columns].join(',');
  });
  const head = 'seconds,sent,received,lost,delay_min_ms,delay_median_ms,delay_95_ms,delay_max_ms';
  return [head, ...lines].join('\n');
}
