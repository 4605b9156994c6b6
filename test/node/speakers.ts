/*
 * Other BFD speakers in namespaces of their own: bfdd of FRR (with its zebra) and BIRD, as Debian packages them.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { netns, until } from './machines.js';

const DAEMONS = '/usr/lib/frr';
const BIRD = '/usr/sbin/bird';

/** Why there is none; undefined: there is one. */
export function missing(speaker: 'frr' | 'bird'): string | undefined {
  const files = speaker === 'frr' ? ['zebra', 'bfdd', 'staticd'].map((name) => join(DAEMONS, name)) : [BIRD];
  const absent = files.find((file) => !existsSync(file));
  return absent && `${absent} is not there (Debian's package ${speaker === 'frr' ? 'frr' : 'bird2'})`;
}

export function titled(what: string, absent: string | undefined): string {
  return absent === undefined ? what : `SKIP ${what}: ${absent}`;
}

function start(machine: string, command: readonly string[]): ChildProcess {
  const namespace = `--net=/run/netns/${netns(machine)}`;
  return spawn('nsenter', [namespace, '--', ...command], { stdio: 'ignore' });
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Of a session, as bfdd tells it. */
export interface FrrPeer {
  readonly peer: string;
  readonly status: string;
  readonly diagnostic: string;
  readonly 'remote-diagnostic': string;
  readonly 'remote-receive-interval': number;
  readonly 'remote-transmit-interval': number;
  readonly 'transmit-interval': number;
}

/** One daemon of FRR beside its zebra. */
export class Frr {
  readonly #machine: string;
  readonly #name: 'bfdd' | 'staticd';
  readonly #folder = mkdtempSync(join(tmpdir(), 'cabernet-frr-'));
  readonly #config: readonly string[];
  #zebra: ChildProcess | undefined;
  #daemon: ChildProcess | undefined;

  /** `config`: lines of the daemon's. */
  constructor(machine: string, config: readonly string[], name: 'bfdd' | 'staticd' = 'bfdd') {
    this.#machine = machine;
    this.#name = name;
    this.#config = config;
    spawnSync('chmod', ['755', this.#folder]);
    mkdirSync(join(this.#folder, 'run'));
  }

  #start(name: string, config: readonly string[]): ChildProcess {
    const run = join(this.#folder, 'run');
    const file = join(run, `${name}.conf`);
    writeFileSync(file, `${config.join('\n')}\n`);
    // as the package runs it: it insists on a user of its own group
    spawnSync('chown', ['-R', 'frr:frr', this.#folder]);
    const places = ['-f', file, '-i', join(run, `${name}.pid`), '-z', join(run, 'zserv.api')];
    const rights = ['-u', 'frr', '-g', 'frr', '--vty_socket', run, '-P', '0'];
    const more = name === 'bfdd' ? ['--bfdctl', join(run, 'bfdd.sock')] : [];
    return start(this.#machine, [join(DAEMONS, name), ...places, ...rights, ...more]);
  }

  async start(): Promise<void> {
    if (!this.#zebra) {
      this.#zebra = this.#start('zebra', ['hostname test']);
      await until('zebra answers', () => existsSync(join(this.#folder, 'run', 'zserv.api')));
    }
    this.#daemon = this.#start(this.#name, this.#config);
    await until(`${this.#name} answers`, () => this.#vtysh('show version').includes('FRRouting'));
  }

  /** Without a word to anybody. */
  kill(): Promise<void> {
    return end(this.#daemon);
  }

  #vtysh(...commands: readonly string[]): string {
    const run = join(this.#folder, 'run');
    const places = ['--vty_socket', run, '--config_dir', run, '-d', this.#name];
    const words = commands.flatMap((command) => ['-c', command]);
    return spawnSync('vtysh', [...places, ...words], { encoding: 'utf8' }).stdout;
  }

  /** What is to be otherwise, of a peer. */
  change(peer: string, ...lines: readonly string[]): void {
    this.#vtysh('configure terminal', 'bfd', peer, ...lines);
  }

  /** Undefined: it does not answer. */
  peers(): readonly FrrPeer[] | undefined {
    try {
      return JSON.parse(this.#vtysh('show bfd peers json')) as readonly FrrPeer[];
    } catch {
      return undefined;
    }
  }

  peer(address: string): FrrPeer | undefined {
    return this.peers()?.find(({ peer }) => peer === address);
  }

  async close(): Promise<void> {
    await end(this.#daemon);
    await end(this.#zebra);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export class Bird {
  readonly #machine: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'cabernet-bird-'));
  #child: ChildProcess | undefined;

  /** `config`: lines of its protocol bfd. */
  constructor(machine: string, config: readonly string[]) {
    this.#machine = machine;
    const lines = ['router id 10.0.0.1;', 'protocol device { }', 'protocol bfd {', ...config, '}', ''];
    writeFileSync(join(this.#folder, 'bird.conf'), lines.join('\n'));
  }

  async start(): Promise<void> {
    const places = ['-f', '-c', join(this.#folder, 'bird.conf'), '-s', join(this.#folder, 'ctl')];
    this.#child = start(this.#machine, [BIRD, ...places]);
    await until('bird answers', () => this.#birdc('show status').includes('up and running'));
  }

  #birdc(...words: readonly string[]): string {
    return spawnSync('birdc', ['-s', join(this.#folder, 'ctl'), ...words], { encoding: 'utf8' }).stdout;
  }

  /** Of a neighbour: `Up`, `Down` …; undefined: it has no session. */
  state(address: string): string | undefined {
    const line = this.#birdc('show', 'bfd', 'sessions')
      .split('\n')
      .find((one) => one.startsWith(`${address} `));
    return line?.trim().split(/\s+/)[2];
  }

  kill(): Promise<void> {
    return end(this.#child);
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
