/** Work that is done again whenever something has changed: one round at a time, and one more for all that came meanwhile. */
import { type Logger } from '../api/log.js';
import { type Clock, sleep } from './clock.js';

export interface RoundsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ending: AbortSignal;
  /** What is told when a round fails; it is begun anew a second later. */
  readonly trouble: string;
}

/** Milliseconds. */
const INTERRUPTED = 1000;

export class Rounds {
  readonly #options: RoundsOptions;
  readonly #round: () => Promise<void>;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(options: RoundsOptions, round: () => Promise<void>) {
    this.#options = options;
    this.#round = round;
  }

  kick(): void {
    if (this.#options.ending.aborted) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again) this.kick();
    });
  }

  /** Resolves when none is under way; the signal must be aborted. */
  async end(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, log, ending, trouble } = this.#options;
    while (this.#again && !ending.aborted) {
      this.#again = false;
      try {
        await this.#round();
      } catch (error) {
        if (ending.aborted) return;
        log.error(trouble, { error });
        await sleep(clock, INTERRUPTED, ending);
        this.#again = true;
      }
    }
  }
}
