/*
 * What many measurements of one thing come to, and what is missing of a numbered stream.
 */
import { distribution as spreadOf, type Distribution as Spread } from '../src/world/distribution.js';

export interface Distribution extends Spread {
  readonly count: number;
}

/** Throws where nothing was measured. */
export function distribution(values: readonly number[]): Distribution {
  const spread = spreadOf(values);
  if (!spread) throw new Error('nothing was measured');
  return { count: values.length, ...spread };
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
