/*
 * Worlds for tests, brought up and taken down by the command line as anybody would do it. Every world gets a name of
 * its own, so that nothing of the user's is touched, and is taken down also after a failure.
 */
import { once } from 'node:events';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { isRunning } from '../../src/world/processes.js';
import { readState } from '../../src/world/state.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const command = join(root, 'bin', 'cabernet');

export interface Output {
  status: number | null;
  stdout: string;
  stderr: string;
}

export function cabernet(...args: string[]): Output {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: 120_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { status: result.status, stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
}

export function example(name: string): string {
  return readFileSync(join(root, 'examples', `${name}.yaml`), 'utf8');
}

export interface Background {
  child: ChildProcess;
  /** It has printed its sign. */
  ready: Promise<void>;
  ended: Promise<void>;
  output: () => string;
}

let worlds = 0;

export class World {
  readonly name: string;
  readonly file: string;
  private readonly folder: string;

  private constructor(yaml: string) {
    this.name = `t${process.pid}-${worlds++}`;
    this.folder = mkdtempSync(join(tmpdir(), 'cabernet-world-'));
    this.file = join(this.folder, 'world.yaml');
    writeFileSync(this.file, yaml.replace(/^name: .*$/m, `name: ${this.name}`));
  }

  /** Brings it up, or throws with what `up` said and takes down what is there. */
  static up(yaml: string): World {
    const world = new World(yaml);
    const result = world.again();
    if (result.status === 0) return world;
    world.down();
    throw new Error(`up failed (${result.status}):\n${result.stdout}\n${result.stderr}`);
  }

  /** Its controllers, killed: the agents and the data plane need none. `up` again starts new ones. */
  orphaned(): this {
    const ids = Object.values(readState(this.name)?.controllers ?? {});
    for (const { pid } of ids.filter(isRunning)) process.kill(pid, 'SIGKILL');
    return this;
  }

  again(): Output {
    return cabernet('up', this.file);
  }

  down(): Output {
    const result = cabernet('down', this.name);
    rmSync(this.folder, { recursive: true, force: true });
    return result;
  }

  /** Any command on this world. */
  run(...args: string[]): Output {
    return cabernet('--world', this.name, ...args);
  }

  /** In a station, a virtual node or a machine. */
  exec(place: string, ...args: string[]): Output {
    return this.run('exec', place, '--', ...args);
  }

  /** The same in the background, until the caller stops it; `ready` resolves when it has printed `sign`. */
  start(place: string, args: string[], sign: string): Background {
    return this.background(['exec', place, '--', ...args], sign);
  }

  /** Captures at a vif, a virtual node or an interface into a pcapng file, until the caller stops it. */
  capture(place: string, file: string): Background {
    return this.background(['capture', place, '-w', file], 'capturing');
  }

  private background(args: string[], sign: string): Background {
    const child = spawn(command, ['--world', this.name, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    const ready = new Promise<void>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        text += chunk.toString();
        if (text.includes(sign)) resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.on('exit', (code) => reject(new Error(`${args.join(' ')} ended (${code}): ${text}`)));
    });
    /* whoever does not wait for it must not be hit by it */
    ready.catch(() => undefined);
    const ended = once(child, 'exit').then(() => undefined);
    return { child, ready, ended, output: () => text };
  }

  get<T>(what: string, ...args: string[]): T[] {
    const result = this.run('get', what, ...args, '-o', 'json');
    if (result.status !== 0) throw new Error(`get ${what}: ${result.stderr}`);
    return JSON.parse(result.stdout) as T[];
  }

  /** Pings until one answer comes: what is being resolved may take a moment. Then `count` in a row. */
  ping(from: string, to: string, count = 3): { received: number; output: string } {
    this.exec(from, 'ping', '-c', '1', '-W', '1', to);
    const result = this.exec(from, 'ping', '-n', '-c', String(count), '-i', '0.05', '-W', '1', to);
    return { received: Number(/(\d+) received/.exec(result.stdout)?.[1] ?? 0), output: result.stdout };
  }
}

/** Waits for a condition, looked at again and again; throws what it last saw. */
export async function until<T>(what: string, look: () => T | undefined, seconds = 10): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const seen = look();
    if (seen !== undefined) return seen;
    if (Date.now() > end) throw new Error(`${what}: not in ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A server in one station that answers each connection with one word, and the client's question from another. */
export const answerOnce = (word: string, port: number, family: 4 | 6): string[] => [
  process.execPath,
  '-e',
  `const s = require('net').createServer((c) => c.end('${word}'));
   s.listen(${port}, '${family === 4 ? '0.0.0.0' : '::'}', () => console.log('listening'));`,
];

export const ask = (address: string, port: number): string[] => [
  process.execPath,
  '-e',
  `const c = require('net').connect({ host: '${address}', port: ${port}, timeout: 2000 });
   c.on('data', (d) => process.stdout.write(d));
   c.on('timeout', () => { console.log('no answer'); process.exit(1); });
   c.on('error', (e) => { console.log(e.code); process.exit(1); });`,
];
