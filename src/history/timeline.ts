/** What was seen of one thing, as long as others may still ask for it. */
import { append, type Condition, slice, type Span } from './spans.js';

/** Milliseconds that are kept: others are seen later by so much at most. */
export const KEPT = 600_000;

export class Timeline {
  #spans: Span[] = [];
  #covered: number | undefined;

  /** Until when it is known; undefined: nothing was ever seen. */
  get covered(): number | undefined {
    return this.#covered;
  }

  /** It is looked at from here on. */
  begin(at: number): void {
    this.#covered ??= at;
  }

  /** In order; what is known already stays as it is. */
  add(from: number, to: number, is: Condition): void {
    const start = Math.max(from, this.#covered ?? from);
    if (to <= start) return;
    if (this.#covered !== undefined) append(this.#spans, { from: this.#covered, to: start, is: 'unknown' });
    append(this.#spans, { from: start, to, is });
    this.#covered = to;
    while (this.#spans.length > 1 && (this.#spans[0]?.to ?? Infinity) < to - KEPT) this.#spans.shift();
  }

  slice(from: number, to: number): Span[] {
    return slice(this.#spans, from, to);
  }
}
