/** Something that happens again and again, and that others wait for. Whoever asks with a count misses nothing. */
export class Signal {
  #count = 0;
  #waiting = new Set<() => void>();

  /** How often it has happened. */
  get count(): number {
    return this.#count;
  }

  raise(): void {
    this.#count++;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  /** Resolves when it has happened more often than that. @throws the abort signal's reason */
  async after(count: number, signal: AbortSignal): Promise<void> {
    if (this.#count > count) return;
    signal.throwIfAborted();
    await new Promise<void>((done, fail) => {
      const stop = (): void => {
        this.#waiting.delete(wake);
        fail(signal.reason as Error);
      };
      const wake = (): void => {
        signal.removeEventListener('abort', stop);
        done();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', stop, { once: true });
    });
  }

  next(signal: AbortSignal): Promise<void> {
    return this.after(this.#count, signal);
  }
}
