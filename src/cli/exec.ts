/** `cabernet exec`: the command gets the terminal, and its exit code becomes ours. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

import { commandIn } from '../world/exec.js';
import { requireRoot } from '../world/host.js';
import { chooseWorld, findTarget } from '../world/target.js';

/** From a terminal the child gets these by itself. */
const OF_TERMINALS: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT']);
const FORWARDED: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGINT', 'SIGQUIT'];

export async function execCommand(
  place: string,
  command: readonly string[],
  options: { world?: string },
): Promise<void> {
  requireRoot('`cabernet exec`');
  const state = chooseWorld(options.world);
  const [program, ...args] = commandIn(state, findTarget(state, place), command);
  const child = spawn(program, args, { stdio: 'inherit' });
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      if (!process.stdin.isTTY || !OF_TERMINALS.has(signal)) child.kill(signal);
    });
  }
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
  // the listeners would keep nothing alive, but a signal after this ends us as any process
  for (const signal of FORWARDED) process.removeAllListeners(signal);
}
