/**
 * The process of a world that holds back frames of wires with a delay or a rate, and sees to it that a wire which is
 * down at one end has no carrier at the other: native-tools/, with what it is told in control.c.
 */
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

import { type Daemon, ensureDaemon, servingAt, waitForDaemon } from './daemons.js';
import { WorldError } from './errors.js';
import { packageRoot, wiresLogPath, wiresNamespace, wiresSocketPath } from './place.js';
import { type ProcessId } from './processes.js';

/** How long it may take to answer a line, milliseconds. */
const PATIENCE = 5000;

/** Of one direction; by indices of the middle's interfaces. */
export interface Holding {
  readonly from: number;
  readonly to: number;
  readonly delayUs: number;
  readonly jitterUs: number;
  /** 0: as fast as they come. */
  readonly bitsPerSecond: number;
  readonly seed: bigint;
}

function relayDaemon(world: string): Daemon {
  const socket = wiresSocketPath(world);
  return {
    what: 'the process of the wires',
    namespace: wiresNamespace(world),
    program: join(packageRoot(), 'build', 'native-tools', 'wire-relay'),
    args: ['--socket', socket],
    socket,
    log: wiresLogPath(world),
  };
}

/** There is one at most. */
export function relaysOf(world: string): readonly ProcessId[] {
  return servingAt(wiresSocketPath(world));
}

/** The one that runs, or a new one, which holds nothing yet. */
export async function ensureRelay(world: string): Promise<void> {
  const daemon = relayDaemon(world);
  if (daemon.program !== undefined && !existsSync(daemon.program))
    throw new WorldError('HOST', `there is no ${daemon.program}: run npm run setup`);
  const id = await ensureDaemon(daemon);
  await waitForDaemon(daemon, id, { ready: () => tell(world, ['ping']) });
}

export function holdLine(
  { from, to, delayUs, jitterUs, bitsPerSecond, seed }: Holding,
  anew: boolean,
): string {
  return `hold ${from} ${to} ${delayUs * 1000} ${jitterUs * 1000} ${bitsPerSecond} ${seed} ${anew ? 'anew' : 'keep'}`;
}

/** Each line in turn. Throws WorldError for the first that is refused, or where nobody answers. */
export async function tell(world: string, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const socket = connect(wiresSocketPath(world));
  socket.setTimeout(PATIENCE, () => socket.destroy(new Error(`no answer within ${PATIENCE / 1000} s`)));
  try {
    await answers(socket, lines);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new WorldError('AGENT', `the process of the wires does not do as it is told: ${why}`, { cause });
  } finally {
    socket.destroy();
  }
}

async function answers(socket: Socket, lines: readonly string[]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let text = '';
    let answered = 0;
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('it has ended')));
    socket.setEncoding('utf8').on('data', (part: string) => {
      const whole = `${text}${part}`.split('\n');
      text = whole.pop() ?? '';
      for (const line of whole) {
        if (line === 'ok') answered++;
        else reject(new Error(`${lines[answered] ?? ''}: ${line}`));
      }
      if (answered === lines.length) resolve();
    });
    socket.write(lines.map((line) => `${line}\n`).join(''));
  });
}
