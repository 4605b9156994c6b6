/** Time that stands still until a test lets it pass. */
import { type Clock } from '../../src/controller/clock.js';

export class TestClock implements Clock {
  #now = Date.parse('2026-12-01T08:00:00Z');
  readonly #waiting = new Set<{ readonly at: number; readonly wake: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, wake: () => void): () => void {
    const one = { at: this.#now + ms, wake };
    this.#waiting.add(one);
    return () => this.#waiting.delete(one);
  }

  /** Whether somebody waits who began now to wait for that long. */
  isAwaited(ms: number): boolean {
    return [...this.#waiting].some(({ at }) => at === this.#now + ms);
  }

  /** Wakes whoever waited for that long; who begins to wait by that, waits. */
  pass(ms: number): void {
    this.#now += ms;
    for (const one of [...this.#waiting]) if (one.at <= this.#now && this.#waiting.delete(one)) one.wake();
  }
}
