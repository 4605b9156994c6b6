/**
 * `cabernet demo`: Figure 2 of the paper comes up, is explained, carries traffic, and goes, also when it is
 * interrupted or something fails.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import {
  Agents,
  chooseWorld,
  commandIn,
  down,
  findTarget,
  packageRoot,
  requireRoot,
  trace,
  up,
  WorldError,
  type WorldState,
} from '../world/index.js';
import { dealsOf } from './deals.js';
import { cutCsv, cutJson, describeCut, playCut } from './demo-cut.js';
import type { DemoFlags } from './flags.js';
import { layersOf } from './layers.js';
import { UsageError } from './report.js';
import { formatLeg } from './trace.js';

const WORLD = 'demo';
/** What two of the providers see of the same machines. */
const SHOWN = [
  ['get', 'virtualLinks', '--context', `${WORLD}/two`],
  ['get', 'links', '--context', `${WORLD}/iptv`],
];
/** Seconds of TCP each way. */
const TCP_SECONDS = 2;

class Interrupted extends Error {}

/** What the demo has to end when it is told to. */
class Stage {
  #child: ChildProcess | undefined;
  #interrupted = false;

  interrupt(): void {
    this.#interrupted = true;
    this.#child?.kill('SIGTERM');
  }

  /** Throws when it is told to end meanwhile. */
  async wait(ms: number): Promise<void> {
    const end = performance.now() + ms;
    for (let left = ms; left > 0; left = end - performance.now()) {
      this.check();
      await delay(Math.min(left, 50));
    }
    this.check();
  }

  check(): void {
    if (this.#interrupted) throw new Interrupted();
  }

  /** Shows the command of ours and runs it. Throws if it fails. */
  async command(words: readonly string[]): Promise<void> {
    this.check();
    say(`$ cabernet ${words.join(' ')}`);
    const program = join(packageRoot(), 'bin', 'cabernet');
    const child = spawn(process.execPath, [program, ...words], { stdio: ['ignore', 'inherit', 'inherit'] });
    this.#child = child;
    const [code] = (await once(child, 'close')) as [number | null];
    this.#child = undefined;
    this.check();
    if (code !== 0) throw new WorldError('HOST', `\`cabernet ${words.join(' ')}\` failed`);
  }

  /** Shows the command and runs it inside; what it prints is seen unless `quiet`. Throws if it fails. */
  async run(state: WorldState, place: string, command: readonly string[], quiet = false): Promise<string> {
    this.check();
    say(`$ cabernet exec ${place} -- ${command.join(' ')}`);
    const [program, ...args] = commandIn(state, findTarget(state, place), command);
    const child = spawn(program, args, { stdio: ['ignore', quiet ? 'pipe' : 'inherit', 'inherit'] });
    this.#child = child;
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => (output += part));
    const [code] = (await once(child, 'close')) as [number | null];
    this.#child = undefined;
    this.check();
    if (code !== 0)
      throw new WorldError(
        'HOST',
        `\`${command.join(' ')}\` in ${place} failed${code === null ? '' : ` with code ${code}`}`,
      );
    return output;
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function heading(text: string): void {
  const bold = process.stdout.isTTY ? ['\x1b[1m', '\x1b[0m'] : ['', ''];
  say(`\n${bold[0]}== ${text}${bold[1]}`);
}

export async function demoCommand(flags: DemoFlags): Promise<void> {
  requireRoot('the demo');
  for (const file of [flags.json, flags.csv]) if (file !== undefined) await checkWritable(file);
  const begin = performance.now();
  const stage = new Stage();
  const interrupt = (): void => stage.interrupt();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  try {
    await show(stage, flags);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    say('\ninterrupted');
    process.exitCode = 130;
  } finally {
    heading('down');
    await down(WORLD);
    say(`all of it is gone; ${((performance.now() - begin) / 1000).toFixed(0)} s in all`);
  }
}

async function show(stage: Stage, flags: DemoFlags): Promise<void> {
  heading('up: examples/figure2.yaml, the network of the paper');
  await up(join(packageRoot(), 'examples', 'figure2.yaml'), {
    name: WORLD,
    onStep: (text) => {
      stage.check();
      say(`  ${text}`);
    },
  });
  stage.check();
  const state = chooseWorld(WORLD);

  heading('who bought what from whom: six providers, each a controller of its own that sees one layer only');
  say(await dealsOf(state));
  say('');
  for (const command of SHOWN) await stage.command(command);

  heading('three layers, and what carries what');
  const agents = new Agents(state);
  try {
    say(await layersOf(state, agents));
  } finally {
    agents.close();
  }

  heading('ping: two services on the same machines, at the same addresses');
  for (const [place, address] of [
    ['iptv/hp', '10.0.3.2'],
    ['iptv/hp', 'fd00:0:0:3::2'],
    ['games/gp', '10.0.3.2'],
    ['games/gp', 'fd00:0:0:3::2'],
  ] as const) {
    await stage.run(state, place, ['ping', '-c', '2', '-i', '0.2', address]);
  }

  heading('traceroute: the service sees its own routers only, never Q');
  await stage.run(state, 'iptv/hp', ['traceroute', '-q', '1', 'hm']);
  await stage.run(state, 'iptv/hp', ['traceroute', '-6', '-q', '1', 'hm']);

  heading('TCP, both ways');
  await tcp(stage, state);

  heading(
    'a wire goes bad and is cut under two streams, one packet a millisecond; iptv has its link protected, games has not',
  );
  const story = await playCut(state, (ms) => stage.wait(ms), say);
  say(describeCut(story));
  if (flags.json !== undefined)
    await writeFile(flags.json, `${JSON.stringify(cutJson(story), undefined, 2)}\n`);
  if (flags.csv !== undefined) await writeFile(flags.csv, `${cutCsv(story)}\n`);

  heading('one packet through all layers: each line a look-up, further right the higher its layer');
  const target = findTarget(state, 'iptv/hp');
  if (target.kind === 'machine') return;
  for await (const leg of trace(state, target, { to: 'hm' })) {
    stage.check();
    say(formatLeg(leg));
    say('');
  }
}

/** Before a minute's work, not after it. */
async function checkWritable(file: string): Promise<void> {
  try {
    await writeFile(file, '', { flag: 'a' });
  } catch (error) {
    throw new UsageError(
      `${file} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

async function tcp(stage: Stage, state: WorldState): Promise<void> {
  const [program, ...args] = commandIn(state, findTarget(state, 'iptv/hm'), [
    'iperf3',
    '--server',
    '--forceflush',
  ]);
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    await listening(server);
    for (const [ends, more] of [
      ['hp to hm', []],
      ['hm to hp', ['--reverse']],
    ] as const) {
      const command = ['iperf3', '--client', 'hm', '--time', String(TCP_SECONDS), ...more];
      const output = await stage.run(state, 'iptv/hp', [...command, '--json'], true);
      const { end } = JSON.parse(output) as {
        end: { sum_received: { bits_per_second: number }; sum_sent: { retransmits?: number } };
      };
      const rate = (end.sum_received.bits_per_second / 1e9).toFixed(2);
      say(`  ${ends}: ${rate} Gbit/s, ${end.sum_sent.retransmits ?? 0} retransmits`);
    }
  } finally {
    server.kill('SIGTERM');
    if (server.exitCode === null) await once(server, 'exit');
  }
}

/** Until it says that it listens. */
async function listening(server: ChildProcess): Promise<void> {
  let output = '';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', (code) =>
      reject(new WorldError('HOST', `the iperf3 server ended with code ${code}`)),
    );
    server.stdout?.setEncoding('utf8').on('data', (part: string) => {
      output += part;
      if (output.includes('listening')) resolve();
    });
  });
}
