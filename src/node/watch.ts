/**
 * Who watches, each with a queue of its own: a reader that is too slow loses events, is told so, and keeps nobody
 * else waiting.
 */
import { type StateChange } from './states.js';

export type WatchEvent =
  | {
      readonly kind: 'changed' | 'current';
      readonly name: string;
      readonly state: string;
      readonly time: bigint;
    }
  | { readonly kind: 'deleted'; readonly name: string; readonly time: bigint }
  | { readonly kind: 'applied'; readonly owner: string; readonly epoch: bigint; readonly time: bigint }
  | { readonly kind: 'synced' | 'lost'; readonly time: bigint };

/** Events that a reader may be behind. */
export const WATCH_QUEUE = 4096;

/** CLOCK_REALTIME, nanoseconds. */
export function now(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
}

/** A CLOCK_MONOTONIC time as CLOCK_REALTIME, nanoseconds. */
export function wallClock(monotonic: bigint): bigint {
  return now() - (process.hrtime.bigint() - monotonic);
}

export class Watcher {
  #events: WatchEvent[];
  /** Of #events: what the reader may be behind, the present state aside. */
  #behind = 0;
  #lost = false;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(current: WatchEvent[]) {
    this.#events = current;
  }

  push(event: WatchEvent): void {
    if (this.#closed) return;
    if (this.#behind >= WATCH_QUEUE) this.#lost = true;
    else {
      this.#events.push(event);
      this.#behind++;
    }
    this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** What came since the last call, as soon as there is something; undefined once closed. */
  async next(): Promise<WatchEvent[] | undefined> {
    while (this.#events.length === 0 && !this.#lost && !this.#closed) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    if (this.#closed) return undefined;
    const events = this.#events;
    this.#events = [];
    this.#behind = 0;
    if (this.#lost) events.push({ kind: 'lost', time: now() });
    this.#lost = false;
    return events;
  }
}

export class WatchHub {
  readonly #watchers = new Set<Watcher>();

  get size(): number {
    return this.#watchers.size;
  }

  /** `current`: what to send first. */
  open(current?: Iterable<StateChange>): Watcher {
    const events: WatchEvent[] = [];
    const time = now();
    for (const { name, state } of current ?? []) {
      if (state !== undefined) events.push({ kind: 'current', name, state, time });
    }
    if (current) events.push({ kind: 'synced', time });
    const watcher = new Watcher(events);
    this.#watchers.add(watcher);
    return watcher;
  }

  close(watcher: Watcher): void {
    watcher.close();
    this.#watchers.delete(watcher);
  }

  tell(changes: readonly StateChange[]): void {
    const time = now();
    for (const { name, state } of changes) {
      this.#push(
        state === undefined ? { kind: 'deleted', name, time } : { kind: 'changed', name, state, time },
      );
    }
  }

  applied(owner: string, epoch: bigint): void {
    this.#push({ kind: 'applied', owner, epoch, time: now() });
  }

  closeAll(): void {
    for (const watcher of [...this.#watchers]) this.close(watcher);
  }

  #push(event: WatchEvent): void {
    for (const watcher of this.#watchers) watcher.push(event);
  }
}
