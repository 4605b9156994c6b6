// What the tests of the netlink part stand on: namespaces of their own with sockets in
// them, and the library compiled for child processes and workers.
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Netlink, type Link } from '../../native/lib/netlink/index.js';
import { createNetns, deleteNetns, netnsNames, netnsPath } from '../../native/lib/netns.js';
import { buildFolder, root } from './fixtures.js';

export interface Place {
  readonly name: string;
  readonly path: string;
  readonly netlink: Netlink;
}

/** Namespaces made for one test file; `remove()` takes away all of them, also after a failure. */
export class Places {
  readonly #prefix: string;
  readonly #made = new Map<string, Netlink>();

  constructor(prefix: string) {
    this.#prefix = `cabernet-test-${process.pid}-${prefix}`;
  }

  async make(suffix: string): Promise<Place> {
    const name = `${this.#prefix}-${suffix}`;
    await createNetns(name);
    const path = netnsPath(name);
    const netlink = await Netlink.open({ netns: path });
    this.#made.set(name, netlink);
    await netlink.setLink(1, { up: true });
    return { name, path, netlink };
  }

  async remove(): Promise<void> {
    for (const netlink of this.#made.values()) netlink.close();
    this.#made.clear();
    for (const name of await netnsNames()) {
      if (name.startsWith(`${this.#prefix}-`)) await deleteNetns(name);
    }
  }
}

/** A veth between two places, `a0` here and `b0` there, both up, with 10.0.0.1/24 and .2, fd00::1/64 and ::2. */
export async function wire(here: Place, there: Place): Promise<{ a: Link; b: Link }> {
  const a = await here.netlink.addLink({
    kind: 'veth',
    name: 'a0',
    up: true,
    peer: { name: 'b0', netns: there.path, up: true },
  });
  const b = await there.netlink.link('b0');
  if (b === undefined) throw new Error('no b0');
  for (const [place, index, host] of [[here, a.index, 1] as const, [there, b.index, 2] as const]) {
    await place.netlink.addAddress({ index, address: `10.0.0.${host}`, prefixLength: 24 });
    await place.netlink.addAddress({ index, address: `fd00::${host}`, prefixLength: 64, noDad: true });
  }
  return { a, b };
}

/** What iproute2 has to say, as data. */
export function ipJson<T>(...args: string[]): T {
  return JSON.parse(execFileSync('ip', ['-j', ...args], { encoding: 'utf8', stdio: 'pipe' })) as T;
}

/** Resolves with the error a promise must reject with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

let compiled = false;

/** The folder of the library as JavaScript, for code that no test runner transforms. */
export function compiledNetlink(): string {
  const out = join(buildFolder, 'netlink');
  if (!compiled) {
    const files = ['netlink/index.ts', 'netns.ts', 'ethtool.ts'].map((file) =>
      join(root, 'native', 'lib', file),
    );
    const options =
      '--ignoreConfig --module nodenext --target es2023 --skipLibCheck --types node --strict'.split(' ');
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    execFileSync(tsc, [...options, '--rootDir', root, '--outDir', out, ...files], {
      stdio: 'pipe',
      cwd: root,
    });
    compiled = true;
  }
  return join(out, 'native', 'lib');
}

export interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly output: string;
}

/** Runs a script in a process of its own. */
export function runScript(script: string, ...options: string[]): Ended {
  const args = [...options, '--input-type=module', '-e', script];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000, cwd: root });
  return { status: child.status, signal: child.signal, output: child.stdout + child.stderr };
}
