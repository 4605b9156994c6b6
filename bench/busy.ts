/*
 * Every core kept busy by a loop at normal priority.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { undoAtExit } from './undo.js';

export async function whileBusy<T>(work: () => Promise<T>): Promise<T> {
  const loops = Array.from({ length: availableParallelism() }, () =>
    spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }),
  );
  const undo = undoAtExit(() => loops.forEach((loop) => loop.kill('SIGKILL')));
  const ended = Promise.all(loops.map((loop) => once(loop, 'exit')));
  try {
    return await work();
  } finally {
    undo();
    await ended;
  }
}
