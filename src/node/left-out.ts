/**
 * What a virtual node's namespace has beyond the node's limits: known by key, so that it is counted once and taken in
 * when there is room; a bounded number of them, since a tenant may install any. And when to look again.
 */

/** So many are told apart. */
const MOST = 65_536;

export class LeftOut<T = true> {
  readonly #known = new Map<string, T>();
  #more = false;

  get size(): number {
    return this.#known.size;
  }

  /** Some were not even noted: only reading all of them again finds them. */
  get more(): boolean {
    return this.#more;
  }

  add(key: string, what: T): void {
    if (this.#known.size < MOST || this.#known.has(key)) this.#known.set(key, what);
    else this.#more = true;
  }

  delete(key: string): void {
    this.#known.delete(key);
  }

  clear(): void {
    this.#known.clear();
    this.#more = false;
  }

  /** One of them, which is left out no longer. */
  take(): T | undefined {
    for (const [key, what] of this.#known) {
      this.#known.delete(key);
      return what;
    }
    return undefined;
  }
}

/** The least between two runs. */
const PAUSE_MS = 100;

/** Work that may be long, asked for by whoever likes as often as he likes: a tenth of the time is all it gets. */
export class Seldom {
  readonly #work: () => Promise<void>;
  readonly #failed: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #again = false;
  #notBefore = 0;
  #closed = false;

  constructor(work: () => Promise<void>, failed: (error: unknown) => void) {
    this.#work = work;
    this.#failed = failed;
  }

  ask(): void {
    if (this.#running) this.#again = true;
    else if (this.#timer === undefined && !this.#closed) {
      const wait = Math.max(0, this.#notBefore - performance.now());
      this.#timer = setTimeout(() => void this.#run(), wait);
      this.#timer.unref();
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    this.#timer = undefined;
    this.#running = true;
    const begin = performance.now();
    try {
      await this.#work();
    } catch (error) {
      if (!this.#closed) this.#failed(error);
    }
    const end = performance.now();
    this.#notBefore = end + Math.max(PAUSE_MS, 9 * (end - begin));
    this.#running = false;
    if (!this.#again) return;
    this.#again = false;
    this.ask();
  }
}
