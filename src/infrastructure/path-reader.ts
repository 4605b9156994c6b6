/** One machine's paths, read from its agent now and then, and when one of its vifs has another state. */
import { setTimeout as pause } from 'node:timers/promises';

import { type Logger } from '../api/log.js';
import { type PathState } from '../history/reading.js';
import { type Clock, sleep } from '../controller/clock.js';
import { type AgentClient } from './agent.js';
import { Signal } from './signal.js';

/** A path of a machine, as its agent told it. */
export interface PathRead {
  readonly path: PathState;
  /** When, by the machine's monotonic clock, nanoseconds. */
  readonly clockNs: bigint;
  /** The same by ours, milliseconds since 1970. */
  readonly at: number;
}

export type PathsRead = readonly PathRead[];

export interface PathReaderOptions {
  readonly machine: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly told: (machine: string, read: PathsRead) => void;
}

/** Milliseconds from one reading to the next, where nothing happens. */
export const READ_EVERY = 10_000;
/** And where much does. */
const NOT_WITHIN = 500;
const DEADLINE_MS = 10_000;
/** An answer that was under way for longer does not say when it was true: milliseconds. */
const OLDEST = 4000;

export class PathReader {
  readonly #options: PathReaderOptions;
  readonly #changed = new Signal();

  constructor(options: PathReaderOptions) {
    this.#options = options;
  }

  /** Something has changed there. */
  kick(): void {
    this.#changed.raise();
  }

  /** Until the signal. What an agent does not answer is tried again. */
  async run(client: AgentClient, signal: AbortSignal): Promise<void> {
    const { machine, clock, log, told } = this.#options;
    while (!signal.aborted) {
      const seen = this.#changed.count;
      try {
        told(machine, await read(client, clock, signal));
      } catch (error) {
        if (!signal.aborted) log.info('paths are not read', { machine, error });
      }
      await pause(NOT_WITHIN, undefined, { signal }).catch(() => undefined);
      const over = new AbortController();
      const until = AbortSignal.any([signal, over.signal]);
      const kicked = this.#changed.after(seen, until).catch(() => undefined);
      await Promise.race([sleep(clock, READ_EVERY, until), kicked]);
      over.abort();
      await kicked;
    }
  }
}

async function read(client: AgentClient, clock: Clock, signal: AbortSignal): Promise<PathsRead> {
  const paths: PathRead[] = [];
  let pageToken = '';
  do {
    const asked = clock.now();
    const page = await client.listPaths({ pageSize: 0, pageToken }, { signal, deadlineMs: DEADLINE_MS });
    const { clockNs } = page;
    const at = clock.now();
    if (at - asked > OLDEST) throw new Error(`the answer took ${at - asked} ms, and is old`);
    for (const path of page.paths) paths.push({ path, clockNs, at });
    ({ nextPageToken: pageToken } = page);
  } while (pageToken !== '');
  return paths;
}
