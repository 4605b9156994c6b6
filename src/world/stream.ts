/** A constant stream between two stations of a world, by native-tools/stream in their namespaces. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { type Arrival, type Stream } from './arrivals.js';
import { WorldError } from './errors.js';
import { commandIn } from './exec.js';
import { packageRoot } from './place.js';
import { type WorldState } from './state.js';
import { type Target } from './target.js';

export interface StreamOptions {
  readonly from: Target;
  readonly to: Target;
  /** Of `to`. */
  readonly address: string;
  readonly intervalUs: number;
  readonly count: number;
  /** Payload of a datagram. */
  readonly bytes: number;
}

export const SMALLEST_DATAGRAM = 32;
export const LARGEST_DATAGRAM = 9000;

/** RFC 6335: nobody's. */
const PORT = 49_600;
/** What is on its way when the last is sent has so long to arrive, milliseconds. */
const PATIENCE_MS = 1_000;

type Child = ChildProcessByStdio<null, Readable, Readable>;

export class RunningStream {
  readonly #options: StreamOptions;
  readonly #sender: Child;
  readonly #receiver: Child;
  readonly #arrivals: Arrival[] = [];
  readonly #sent: Promise<{ readonly begin: number; readonly sent: number }>;

  private constructor(options: StreamOptions, sender: Child, receiver: Child) {
    this.#options = options;
    this.#sender = sender;
    this.#receiver = receiver;
    this.#sent = readSender(sender);
    this.#sent.catch(() => undefined);
    createInterface({ input: receiver.stdout }).on('line', (line) => {
      const [number, from, received] = line.split(' ').map(Number);
      if (received !== undefined) this.#arrivals.push({ number: number ?? 0, sent: from ?? 0, received });
    });
  }

  /** Sends when it returns. */
  static async start(state: WorldState, options: StreamOptions): Promise<RunningStream> {
    const { from, to, address, intervalUs, count, bytes } = options;
    const session = randomBytes(8).readBigUInt64LE().toString();
    const program = join(packageRoot(), 'build', 'native-tools', 'stream');
    const begin = (place: Target, words: readonly string[]): Child => {
      const [file, ...args] = commandIn(state, place, [program, ...words]);
      return spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    };
    const receiver = begin(to, ['receive', String(PORT), session]);
    await listening(receiver);
    const numbers = [PORT, session, intervalUs, count, bytes].map(String);
    return new RunningStream(options, begin(from, ['send', address, ...numbers]), receiver);
  }

  /** What has come so far. */
  get received(): number {
    return this.#arrivals.length;
  }

  /** Ends the sender now, if it has not ended. */
  stop(): void {
    this.#sender.kill('SIGTERM');
  }

  /** When all has been sent, and what was on its way has come or is late. */
  async end(): Promise<Stream> {
    const { begin, sent } = await this.#sent;
    for (let quiet = 0, before = -1; quiet < PATIENCE_MS && this.#arrivals.length < sent; quiet += 50) {
      if (this.#arrivals.length !== before) quiet = 0;
      before = this.#arrivals.length;
      await delay(50);
    }
    this.#receiver.kill('SIGTERM');
    await once(this.#receiver, 'close');
    const { intervalUs } = this.#options;
    return { begin, sent, intervalUs, arrivals: this.#arrivals };
  }

  /** Leaves nothing behind. */
  kill(): void {
    this.#sender.kill('SIGKILL');
    this.#receiver.kill('SIGKILL');
  }
}

/** What a process says of itself when it cannot go on. */
async function complaint(child: Child, text: string): Promise<WorldError> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  return new WorldError('HOST', `the stream cannot run: ${text.trim() || 'its process has ended'}`);
}

async function listening(child: Child): Promise<void> {
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => (said += part));
  const [first] = (await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'close').then(() => ['']),
  ])) as [Buffer | string];
  if (!String(first).startsWith('listening')) throw await complaint(child, said);
}

async function readSender(child: Child): Promise<{ begin: number; sent: number }> {
  let [output, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (part: string) => (output += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (said += part));
  await once(child, 'close');
  const match = /^begin (\d+)\nsent (\d+) /.exec(output);
  if (!match) throw await complaint(child, said);
  return { begin: Number(match[1]), sent: Number(match[2]) };
}
