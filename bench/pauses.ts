/*
 * When a core was not to be had, even by its most urgent thread (native-tools/pauses): in that time nobody sends and nobody
 * looks, so what is found silent then is the machine's doing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { packageRoot } from '../src/world/place.js';
import { undoAtExit } from './undo.js';

/** CLOCK_MONOTONIC, ns. */
export interface Pause {
  readonly from: number;
  readonly to: number;
}

/** Lines `CORE FROM TO`. */
export function parsePauses(text: string): Pause[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, from, to] = line.split(' ').map(Number);
      if (from === undefined || to === undefined || !(from <= to)) throw new Error(`not a pause: '${line}'`);
      return { from, to };
    });
}

/** One of them lies, at least in part, between these times. */
export function meets(pauses: readonly Pause[], from: number, to: number): boolean {
  return pauses.some((pause) => pause.from <= to && pause.to >= from);
}

/** From now on, until what is returned is called. */
export function watchPauses(shortestUs: number): () => Promise<readonly Pause[]> {
  const tool = join(packageRoot(), 'build', 'native-tools', 'pauses');
  const child = spawn(tool, [String(shortestUs)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const undo = undoAtExit(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (text: Buffer) => (said += text.toString()));
  const ended = once(child, 'close');
  return async () => {
    child.stdin.end();
    const [status] = (await ended) as [number | null];
    undo();
    if (status !== 0) throw new Error('pauses has failed: see above');
    return parsePauses(said);
  };
}
