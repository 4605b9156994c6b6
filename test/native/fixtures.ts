// What the tests of the binding stand on: BPF objects compiled from fixtures/, the
// library compiled for child processes and workers, and network namespaces.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
export const root = dirname(dirname(here));
export const buildFolder = join(root, 'build', 'test');

export function isOnPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, command)));
}

export const clang = ['clang-19', 'clang-14'].find(isOnPath) ?? 'clang';

/** The object of fixtures/`name`.bpf.c, compiled when it is missing or older than its source. */
export function fixture(name: string, compiler = clang): string {
  const source = join(here, 'fixtures', `${name}.bpf.c`);
  const object = join(buildFolder, `${name}.${compiler}.o`);
  if (!existsSync(object) || statSync(object).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(buildFolder, { recursive: true });
    const triplet = execFileSync('gcc', ['-print-multiarch'], { encoding: 'utf8' }).trim();
    const flags = ['-O2', '-g', '-Wall', '-target', 'bpf', '-mcpu=v3', `-I/usr/include/${triplet}`];
    execFileSync(compiler, [...flags, '-c', source, '-o', object], { stdio: 'pipe' });
  }
  return object;
}

let compiled = false;

/** The folder of the library as JavaScript, for code that no test runner transforms. */
export function compiledLibrary(): string {
  const out = join(buildFolder, 'library');
  if (!compiled) {
    const files = ['object.ts', 'map.ts', 'ring.ts'].map((file) => join(root, 'native', 'lib', file));
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    const options = [
      '--ignoreConfig',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--skipLibCheck',
      '--types',
      'node',
    ];
    execFileSync(tsc, [...options, '--strict', '--rootDir', root, '--outDir', out, ...files], {
      stdio: 'pipe',
      cwd: root,
    });
    compiled = true;
  }
  return join(out, 'native', 'lib');
}

export const addonFile = join(root, 'native', 'build', 'Release', 'libbpf_ts.node');

export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });
}

export interface Wire {
  readonly netns: string;
  readonly path: string;
  /** Index of `a0`, whose peer is `b0` in the same namespace. */
  readonly a: number;
  readonly b: number;
  remove(): void;
}

/** A network namespace with a veth pair, both ends up and able to receive redirected frames. */
export function makeWire(name: string): Wire {
  const netns = `cabernet-test-${process.pid}-${name}`;
  ip('netns', 'add', netns);
  const remove = (): void => {
    if (existsSync(`/run/netns/${netns}`)) ip('netns', 'delete', netns);
  };
  try {
    ip('-n', netns, 'link', 'add', 'a0', 'type', 'veth', 'peer', 'name', 'b0');
    for (const end of ['a0', 'b0']) {
      execFileSync('nsenter', [`--net=/run/netns/${netns}`, 'ethtool', '-K', end, 'gro', 'on'], {
        stdio: 'pipe',
      });
      ip('-n', netns, 'link', 'set', end, 'up');
    }
    const index = (end: string): number =>
      Number(/^(\d+):/.exec(ip('-n', netns, '-o', 'link', 'show', end))?.[1]);
    return { netns, path: `/run/netns/${netns}`, a: index('a0'), b: index('b0'), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** A folder of its own in the BPF file system, made on first pin. */
export function pinFolder(name: string): string {
  return `/sys/fs/bpf/cabernet-test-${process.pid}-${name}`;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

/** Waits until a condition holds, a turn of the event loop at a time. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
