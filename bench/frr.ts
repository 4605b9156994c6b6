/*
 * The alternative: bfdd of FRR at either end of a wire of the same make, its intervals the shortest that it takes. From
 * the cut until it says that the session is down; what a routing protocol or the kernel would do then comes on top.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createNetns } from '../native/lib/index.js';
import { until } from '../test/node/machines.js';
import { downsIn } from './frr-log.js';
import { ip } from './ip.js';
import { Middles } from './middles.js';
import { undoAtExit } from './undo.js';

const DAEMONS = '/usr/lib/frr';

/** Why it can't be measured; undefined: it can. */
export function frrMissing(): string | undefined {
  const missing = ['zebra', 'bfdd'].find((name) => !existsSync(join(DAEMONS, name)));
  return missing && `${join(DAEMONS, missing)} is not there (Debian's package frr)`;
}

/** CLOCK_REALTIME less CLOCK_MONOTONIC, ns: read where a millisecond begins. */
function realtimeOffset(): bigint {
  const start = Date.now();
  for (;;) {
    const now = Date.now();
    if (now !== start) return BigInt(now) * 1_000_000n - process.hrtime.bigint();
  }
}

export class FrrPair {
  readonly #folder: string;
  readonly #wires: Middles;
  readonly #children: readonly ChildProcess[];
  readonly #remove: () => void;

  private constructor(folder: string, wires: Middles, children: readonly ChildProcess[], remove: () => void) {
    this.#folder = folder;
    this.#wires = wires;
    this.#children = children;
    this.#remove = remove;
  }

  static async build(intervalMs: number, multiplier: number): Promise<FrrPair> {
    const folder = mkdtempSync(join(tmpdir(), 'cabernet-frr-'));
    const ends = [0, 1].map((i) => ({ namespace: `bench-frr-${process.pid}.${i}`, interface: 'wire' }));
    const children: ChildProcess[] = [];
    const remove = undoAtExit(() => {
      for (const child of children) child.kill('SIGKILL');
      for (const { namespace } of ends) spawnSync('ip', ['netns', 'delete', namespace]);
      rmSync(folder, { recursive: true, force: true });
    });
    for (const { namespace } of ends) await createNetns(namespace);
    const [a, b] = ends;
    if (!a || !b) throw new Error('no ends');
    const wires = await Middles.lay(`bench-frr-${process.pid}`, [[a, b]], 1500);
    for (const [i, { namespace }] of ends.entries()) {
      ip(namespace, 'link set lo up', `address add 192.0.2.${i}/31 dev wire`);
      const own = join(folder, String(i));
      mkdirSync(own);
      children.push(daemon(namespace, own, 'zebra', ['hostname bench']));
      await until('zebra answers', () => existsSync(join(own, 'zserv.api')), 10_000);
      const peer = `peer 192.0.2.${1 - i} local-address 192.0.2.${i} interface wire`;
      const wanted = [
        `detect-multiplier ${multiplier}`,
        `receive-interval ${intervalMs}`,
        `transmit-interval ${intervalMs}`,
        'no shutdown',
      ];
      children.push(
        daemon(namespace, own, 'bfdd', [
          'log timestamp precision 6',
          'debug bfd peer',
          'bfd',
          ` ${peer}`,
          ...wanted.map((line) => `  ${line}`),
          ' exit',
          'exit',
        ]),
      );
    }
    return new FrrPair(folder, wires, children, remove);
  }

  /** Of the first end's session, as vtysh says; undefined: it does not answer. */
  #status(): string | undefined {
    const own = join(this.#folder, '0');
    const { stdout } = spawnSync(
      'vtysh',
      ['--vty_socket', own, '--config_dir', own, '-d', 'bfdd', '-c', 'show bfd peers json'],
      { encoding: 'utf8' },
    );
    return /"status":\s*"(\w+)"/.exec(stdout)?.[1];
  }

  #log(): string {
    const file = join(this.#folder, '0', 'bfdd.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  async #up(): Promise<void> {
    await until("FRR's session is up", () => this.#status() === 'up');
    // the intervals asked for are in use after a Poll Sequence
    await delay(500);
  }

  /** ms from the cut of both directions until the first end's session is down. */
  async cuts(count: number): Promise<number[]> {
    const results: number[] = [];
    for (let spoiled = 0; results.length < count;) {
      await this.#up();
      await delay(Math.random() * 50);
      const before = downsIn(this.#log()).length;
      const offset = realtimeOffset();
      const at = this.#wires.cut(0, 'both') + offset;
      await delay(500);
      const down = downsIn(this.#log())[before];
      this.#wires.mend(0);
      if (down !== undefined && down >= at) results.push(Number(down - at) / 1e6);
      else spoiled++;
    }
    return results;
  }

  /** Times that the session ended although nothing was cut. */
  async falseDowns(seconds: number): Promise<number> {
    await this.#up();
    const before = downsIn(this.#log()).length;
    await delay(seconds * 1000);
    return downsIn(this.#log()).length - before;
  }

  async close(): Promise<void> {
    const ended = this.#children.map((child) => once(child, 'exit'));
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(ended);
    this.#wires.close();
    this.#remove();
  }
}

function daemon(namespace: string, folder: string, name: string, lines: readonly string[]): ChildProcess {
  const file = join(folder, `${name}.conf`);
  writeFileSync(file, [`log file ${join(folder, `${name}.log`)} debugging`, ...lines, ''].join('\n'));
  const places = ['-f', file, '-i', join(folder, `${name}.pid`), '-z', join(folder, 'zserv.api')];
  // as the package runs it: it insists on a user of its own group
  spawnSync('chown', ['-R', 'frr:frr', dirname(folder)]);
  const rights = ['-u', 'frr', '-g', 'frr', '--vty_socket', folder, '-P', '0'];
  const more = name === 'bfdd' ? ['--bfdctl', join(folder, 'bfdd.sock')] : [];
  const command = [join(DAEMONS, name), ...places, ...rights, ...more];
  return spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', ...command], { stdio: 'ignore' });
}
