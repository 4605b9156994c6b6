/** Time that passes when a test says so. */
import { type Clock } from '../../src/connectivity/clock.js';

export class TestClock implements Clock {
  #now = Date.parse('2026-12-01T08:00:00Z');
  readonly #sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((done) => {
      const sleeper = {
        until: this.#now + ms,
        wake: (): void => {
          this.#sleepers.delete(sleeper);
          done();
        },
      };
      if (signal.aborted) done();
      else {
        this.#sleepers.add(sleeper);
        signal.addEventListener('abort', sleeper.wake, { once: true });
      }
    });
  }

  pass(ms: number): void {
    this.#now += ms;
    for (const sleeper of this.#sleepers) if (sleeper.until <= this.#now) sleeper.wake();
  }
}
