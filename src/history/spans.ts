/** Time in stretches, each in one condition. Times are milliseconds since 1970. Pure. */

/** Worst last. `unknown`: nobody has seen it; it counts for nothing. */
export type Condition = 'up' | 'degraded' | 'unknown' | 'down';

export interface Span {
  readonly from: number;
  readonly to: number;
  readonly is: Condition;
}

const RANK: Readonly<Record<Condition, number>> = { up: 0, degraded: 1, unknown: 2, down: 3 };
const NAMES: readonly Condition[] = ['up', 'degraded', 'unknown', 'down'];

/** Adds a stretch behind the others, or makes the last one longer. Empty ones are left out. */
export function append(spans: Span[], { from, to, is }: Span): void {
  if (to <= from) return;
  const last = spans.at(-1);
  if (last?.is === is && last.to === from) spans[spans.length - 1] = { ...last, to };
  else spans.push({ from, to, is });
}

/** All of that time: what no stretch covers is unknown. @param spans in order, none over another */
export function slice(spans: readonly Span[], from: number, to: number): Span[] {
  const cut: Span[] = [];
  let at = from;
  for (const span of spans) {
    const [start, end] = [Math.max(span.from, at), Math.min(span.to, to)];
    if (end <= start) continue;
    append(cut, { from: at, to: start, is: 'unknown' });
    append(cut, { from: start, to: end, is: span.is });
    at = end;
  }
  append(cut, { from: at, to, is: 'unknown' });
  return cut;
}

/** What has several parts and needs all of them. @param parts each of the same time, whole */
export function worst(parts: readonly (readonly Span[])[]): Span[] {
  return combined(parts, Math.max);
}

/** What has several parts and needs one of them. @param parts each of the same time, whole */
export function best(parts: readonly (readonly Span[])[]): Span[] {
  return combined(parts, Math.min);
}

function combined(
  parts: readonly (readonly Span[])[],
  choose: (...ranks: readonly number[]) => number,
): Span[] {
  const [first = [], ...others] = parts;
  return others.reduce<Span[]>((sum, part) => pairwise(sum, part, choose), [...first]);
}

function pairwise(
  a: readonly Span[],
  b: readonly Span[],
  choose: (...ranks: readonly number[]) => number,
): Span[] {
  const spans: Span[] = [];
  let [i, j] = [0, 0];
  for (let one = a[i], other = b[j]; one && other; one = a[i], other = b[j]) {
    const [from, to] = [Math.max(one.from, other.from), Math.min(one.to, other.to)];
    append(spans, { from, to, is: NAMES[choose(RANK[one.is], RANK[other.is])] ?? 'unknown' });
    if (one.to <= to) i++;
    if (other.to <= to) j++;
  }
  return spans;
}

/** Of that condition, milliseconds. */
export function timeIn(spans: readonly Span[], is: Condition): number {
  return spans.reduce((sum, span) => (span.is === is ? sum + span.to - span.from : sum), 0);
}
