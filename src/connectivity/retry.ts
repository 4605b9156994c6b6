/** The same again, later and later, until it succeeds or fails for good. */
import { type Clock, sleep } from '../controller/clock.js';
import { isPassing } from './suppliers.js';

export interface Patience {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Milliseconds after which a passing failure is thrown; Infinity: never. */
  readonly forMs: number;
  readonly onFailure?: ((error: unknown) => void) | undefined;
  /** Other failures than the usual ones that pass by themselves. */
  readonly passes?: ((error: unknown) => boolean) | undefined;
}

const FIRST = 50;
const LONGEST = 5000;

export async function repeated<T>(work: () => Promise<T>, patience: Patience): Promise<T> {
  const { clock, signal, forMs, onFailure, passes } = patience;
  const start = clock.now();
  for (let wait = FIRST; ; wait = Math.min(2 * wait, LONGEST)) {
    try {
      signal.throwIfAborted();
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!(isPassing(error) || passes?.(error)) || clock.now() - start >= forMs) throw error;
      onFailure?.(error);
      await sleep(clock, wait, signal);
    }
  }
}
