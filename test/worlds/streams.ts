/* Numbered packets in both directions of a link at once. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { reportOf, type Stream, type StreamReport } from '../../src/world/arrivals.js';
import { processesWith } from '../../src/world/processes.js';
import { RunningStream } from '../../src/world/stream.js';
import { findTarget } from '../../src/world/target.js';
import { type End, ENDS, stateOf } from './ways.js';

export const INTERVAL_US = 2000;
const ADDRESSES: Readonly<Record<End, string>> = { P: '10.0.1.2', M: '10.0.3.2' };
const STATIONS: Readonly<Record<End, string>> = { P: 'p', M: 'm' };

/** As they are sent: by which end. */
export type Both<T> = Readonly<Record<End, T>>;

/** A stream from each of the ends to the other. */
export class Streams {
  readonly #running: Both<RunningStream>;

  private constructor(running: Both<RunningStream>) {
    this.#running = running;
  }

  /** Packets arrive when it resolves. Of a network, between its stations `PREFIXp` and `PREFIXm`. */
  static async start(
    world: string,
    prefix = 'h',
    network = prefix === 'h' ? 'iptv' : 'games',
    intervalUs = INTERVAL_US,
  ): Promise<Streams> {
    const state = stateOf(world);
    const from = async (end: End, other: End): Promise<RunningStream> =>
      RunningStream.start(state, {
        from: findTarget(state, `${network}/${prefix}${STATIONS[end]}`),
        to: findTarget(state, `${network}/${prefix}${STATIONS[other]}`),
        address: ADDRESSES[other],
        intervalUs,
        count: 120_000_000 / intervalUs,
        bytes: 64,
      });
    const streams = new Streams({ P: await from('P', 'M'), M: await from('M', 'P') });
    try {
      for (const end of ENDS) await streams.arriving(end);
      hurry(intervalUs);
      return streams;
    } catch (error) {
      streams.kill();
      throw error;
    }
  }

  /** Until more of what this end sends has come. */
  async arriving(end: End, more = 20): Promise<void> {
    const stream = this.#running[end];
    const wanted = stream.received + more;
    const late = Date.now() + 20_000;
    while (stream.received < wanted) {
      if (Date.now() > late) throw new Error(`what ${end} sends does not arrive`);
      await delay(10);
    }
  }

  /** Until so many of what this end sends have come altogether. */
  async received(end: End, count: number): Promise<void> {
    const left = (): number => count - this.#running[end].received;
    while (left() > 0) await this.arriving(end, Math.min(left(), 2000));
  }

  async bothArriving(): Promise<void> {
    await Promise.all(ENDS.map((end) => this.arriving(end)));
  }

  async end(): Promise<Both<Seen>> {
    for (const end of ENDS) this.#running[end].stop();
    const [P, M] = await Promise.all(ENDS.map(async (end) => seenOf(await this.#running[end].end())));
    if (!P || !M) throw new Error('there are two');
    return { P, M };
  }

  kill(): void {
    for (const end of ENDS) this.#running[end].kill();
  }
}

/** What waits for a processor at the ends says nothing about paths: ours go before all else, where that is allowed. */
function hurry(intervalUs: number): void {
  for (const words of [['send', String(intervalUs)], ['receive']]) {
    for (const { pid } of processesWith(words)) {
      const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      if (Number(parent) === process.pid) spawnSync('chrt', ['--fifo', '--pid', '1', String(pid)]);
    }
  }
}

export interface Seen {
  readonly stream: Stream;
  readonly report: StreamReport;
  /** The longest that a packet was sent after it was due, milliseconds. */
  readonly lateMs: number;
}

/** Packets on either side of a gap that tell how long the way took then. */
const BESIDE = 100;

/** The longest that a packet was on its way about then, milliseconds: what was under way at a cut was sent before it. */
export function transitMs({ stream: { arrivals } }: Seen, number: number, length: number): number {
  return arrivals
    .filter((one) => one.number >= number - BESIDE && one.number < number + length + BESIDE)
    .reduce((most, { sent, received }) => Math.max(most, (received - sent) / 1e6), 0);
}

function seenOf(stream: Stream): Seen {
  const lateness = stream.arrivals.map(
    ({ number, sent }) => sent - stream.begin - number * stream.intervalUs * 1000,
  );
  return {
    stream,
    report: reportOf(stream),
    lateMs: lateness.reduce((most, one) => Math.max(most, one), 0) / 1e6,
  };
}
