/** An endless generator as an iterator that can be left while it waits. */

/**
 * `follow` gets a signal that aborts when the caller's does or the iterator is left; it has to return then. A plain
 * generator's return() would wait for the next commit, which may never come.
 */
export function leavable<T>(
  follow: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
  outer: AbortSignal | undefined,
): AsyncIterableIterator<T> {
  const left = new AbortController();
  const items = follow(outer ? AbortSignal.any([outer, left.signal]) : left.signal);
  return {
    next: () => items.next(),
    return: () => {
      left.abort();
      return items.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
