/** How our paths do, asked of all suppliers now and then: they alone see machines. */
import { type PathState } from '../history/reading.js';
import { type Logger } from '../api/log.js';
import { type Clock, sleep } from '../controller/clock.js';
import { type ConnectivityState } from './kinds.js';
import { type Suppliers, type Supply } from './suppliers.js';

/** A path of ours, or of a network over ours, as its supplier told it. */
export interface PathRead {
  readonly path: PathState;
  /** When, by its machine's monotonic clock, nanoseconds. */
  readonly clockNs: bigint;
  /** The same by ours, milliseconds since 1970. */
  readonly at: number;
}

export interface PathReaderOptions {
  readonly state: ConnectivityState;
  readonly suppliers: Suppliers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ending: AbortSignal;
  readonly told: (supplier: string, paths: readonly PathRead[]) => void;
}

/** Milliseconds. A failure in between is not missed: sessions count them, and say when the last one was. */
const READ_EVERY = 10_000;
const DEADLINE_MS = 10_000;
/** An answer that was under way for longer does not say when it was true: milliseconds. */
const OLDEST = 4000;

export class PathReader {
  readonly #options: PathReaderOptions;
  readonly #running: Promise<void>;

  constructor(options: PathReaderOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** After `ending`. */
  end(): Promise<void> {
    return this.#running;
  }

  async #run(): Promise<void> {
    const { state, clock, ending } = this.#options;
    while (!ending.aborted) {
      await Promise.all(state.all('supplier').map(({ name, address }) => this.#read(name, address)));
      await sleep(clock, READ_EVERY, ending);
    }
  }

  async #read(supplier: string, address: string): Promise<void> {
    const { suppliers, clock, log, ending, told } = this.#options;
    try {
      told(supplier, await readAll(suppliers.at(supplier, address), clock, ending));
    } catch (error) {
      if (!ending.aborted) log.info('a supplier does not tell of our paths', { supplier, error });
    }
  }
}

async function readAll(supply: Supply, clock: Clock, signal: AbortSignal): Promise<readonly PathRead[]> {
  const paths: PathRead[] = [];
  let pageToken = '';
  do {
    const request = { pageSize: 0, pageToken, customer: '' };
    const asked = clock.now();
    const page = await supply.listPaths(request, { signal, deadlineMs: DEADLINE_MS });
    const now = clock.now();
    if (now - asked > OLDEST) throw new Error(`the answer took ${now - asked} ms, and is old`);
    for (const { path, clockNs, ageMs } of page.paths)
      if (path) paths.push({ path, clockNs, at: now - Number(ageMs) });
    ({ nextPageToken: pageToken } = page);
  } while (pageToken !== '');
  return paths;
}
