/*
 * What many measurements of one thing come to, and what is missing of a numbered stream.
 */
export interface Distribution {
  readonly count: number;
  readonly min: number;
  readonly median: number;
  /** 95 % are no larger. */
  readonly p95: number;
  readonly max: number;
}

/** By the nearest rank: every figure is one that was measured. Throws where nothing was. */
export function distribution(values: readonly number[]): Distribution {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (share: number): number => {
    const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
    if (value === undefined) throw new Error('nothing was measured');
    return value;
  };
  return { count: sorted.length, min: rank(0), median: rank(0.5), p95: rank(0.95), max: rank(1) };
}

export interface StreamLoss {
  readonly lost: number;
  /** Copies too many. */
  readonly doubled: number;
  /** Most numbers in a row that are missing. */
  readonly longest: number;
}

/** Of the numbers from 0 to `sent` - 1, by how often each has come. */
export function lossOf(sent: number, seen: (number: number) => number): StreamLoss {
  let lost = 0;
  let doubled = 0;
  let longest = 0;
  for (let number = 0, run = 0; number < sent; number++) {
    const copies = seen(number);
    if (copies > 0) {
      doubled += copies - 1;
      run = 0;
      continue;
    }
    lost++;
    longest = Math.max(longest, ++run);
  }
  return { lost, doubled, longest };
}
