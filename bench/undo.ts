/*
 * What a benchmark made is removed again, also when it is interrupted.
 */
import { constants } from 'node:os';

const pending = new Set<() => void>();

process.on('exit', () => {
  for (const undo of [...pending].toReversed()) undo();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => process.exit(128 + constants.signals[signal]));

/** Calling what is returned calls `undo`, once; the end of the process does if nobody else has. */
export function undoAtExit(undo: () => void): () => void {
  const once = (): void => {
    if (pending.delete(once)) undo();
  };
  pending.add(once);
  return once;
}
