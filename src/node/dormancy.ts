/**
 * A vif by which nothing has got through for a while is dormant in its namespace (RFC 2863 §3.1.12), so that a routing daemon
 * there goes another way. What the data plane does with frames does not depend on it, nor do the kernel's own IPv4 routes.
 */
import { type Logger } from '../api/log.js';
import { type StateChange } from './states.js';

/** Milliseconds without a break: a switch is over by then, and most of what is mended below. */
export const DORMANT_AFTER = 1000;

export interface DormancyOptions {
  readonly isVif: (name: string) => boolean;
  /** False: it was so already, or is gone. */
  readonly set: (vif: string, dormant: boolean) => Promise<boolean>;
  readonly log: Logger;
  readonly failed: (error: unknown) => void;
}

export class Dormancy {
  readonly #options: DormancyOptions;
  /** Of those that are not up; undefined: long enough already. */
  readonly #waiting = new Map<string, NodeJS.Timeout | undefined>();
  #running: Promise<void> = Promise.resolve();

  constructor(options: DormancyOptions) {
    this.#options = options;
  }

  /** Of any resources. */
  tell(changes: readonly StateChange[]): void {
    for (const { name, state } of changes) {
      if (state === undefined || state === 'up') {
        clearTimeout(this.#waiting.get(name));
        this.#waiting.delete(name);
        if (state === 'up') this.#set(name, state);
      } else if (!this.#waiting.has(name)) {
        if (this.#options.isVif(name)) this.#wait(name, state);
      } else if (!this.#waiting.get(name)) {
        // its device may be a new one
        this.#set(name, state);
      }
    }
  }

  /** Vifs stay what they are. */
  async close(): Promise<void> {
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    await this.#running;
  }

  #wait(name: string, state: string): void {
    const over = (): void => {
      this.#waiting.set(name, undefined);
      this.#set(name, state);
    };
    this.#waiting.set(name, setTimeout(over, DORMANT_AFTER));
  }

  /** One after the other: what is told last is what stays. */
  #set(name: string, state: string): void {
    const { isVif, set, log, failed } = this.#options;
    if (!isVif(name)) return;
    const dormant = state !== 'up';
    this.#running = this.#running
      .then(async () => {
        if (!(await set(name, dormant))) return;
        if (dormant) log.warn('vif dormant', { vif: name, state });
        else log.info('vif awake', { vif: name });
      })
      .catch(failed);
  }
}
