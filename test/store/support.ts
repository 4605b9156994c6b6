/** Places for stores, etcd servers, processes that write. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { Etcd3 } from 'etcd3';

import { EtcdStore } from '../../src/store/etcd.js';
import { connect } from '../../src/store/etcd-client.js';
import { SqliteStore } from '../../src/store/sqlite.js';
import { bytes, type Place } from './conformance.js';

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'cabernet-store.'));
}

// ---- SQLite ----

export const OWNER = 'connectivity/acme';

export async function sqlitePlace(): Promise<Place & { readonly path: string }> {
  const folder = temporaryFolder();
  const path = join(folder, 'store.db');
  const history = { changes: 5000 };
  return {
    path,
    open: () => SqliteStore.open({ path, owner: OWNER, history }),
    forget: async (store) => {
      const many = Array.from({ length: 1000 }, (_, index) => `forget/${index}`);
      for (let round = 0; round < 4; round++) {
        await store.commit({ changes: many.map((key) => ({ kind: 'put', key, value: bytes('') })) });
      }
      await store.commit({ changes: many.map((key) => ({ kind: 'delete', key })) });
    },
    dispose: async () => rmSync(folder, { recursive: true }),
  };
}

// ---- etcd ----

export const ETCD = ['/usr/bin/etcd', '/usr/local/bin/etcd'].find((path) => existsSync(path));

/** In the name of a test: what runs, or why it does not. */
export function needsEtcd(what: string): string {
  return ETCD ? what : `SKIP ${what}: etcd is not installed (Debian's etcd-server)`;
}

/** Ports of the loopback that nobody has now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer().once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export interface EtcdTls {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** An etcd of its own in a temporary folder, by itself or as a member of a cluster. */
export class EtcdServer {
  readonly url: string;
  readonly #arguments: readonly string[];
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(url: string, folder: string, parameters: readonly string[]) {
    this.url = url;
    this.#folder = folder;
    this.#arguments = parameters;
  }

  static async start(
    options: { readonly tls?: EtcdTls; readonly arguments?: readonly string[] } = {},
  ): Promise<EtcdServer> {
    const [server] = await EtcdServer.cluster(1, options);
    return server!;
  }

  static async cluster(
    count: number,
    options: { readonly tls?: EtcdTls; readonly arguments?: readonly string[] } = {},
  ): Promise<EtcdServer[]> {
    const ports = await freePorts(2 * count);
    const peers = ports.slice(count).map((port) => `http://127.0.0.1:${port}`);
    const members = peers.map((url, index) => `m${index}=${url}`).join(',');
    const servers = peers.map((peer, index) => {
      const folder = temporaryFolder();
      const url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${ports[index]}`;
      const tls = options.tls
        ? [
            '--cert-file',
            options.tls.certificate,
            '--key-file',
            options.tls.key,
            '--client-cert-auth',
            '--trusted-ca-file',
            options.tls.ca,
          ]
        : [];
      return new EtcdServer(url, folder, [
        '--name',
        `m${index}`,
        '--data-dir',
        folder,
        '--listen-client-urls',
        url,
        '--advertise-client-urls',
        url,
        '--listen-peer-urls',
        peer,
        '--initial-advertise-peer-urls',
        peer,
        '--initial-cluster',
        members,
        '--log-level',
        'error',
        ...tls,
        ...(options.arguments ?? []),
      ]);
    });
    for (const server of servers) server.run();
    return servers;
  }

  run(): void {
    if (!ETCD) throw new Error('etcd is not installed');
    this.#process = spawn(ETCD, this.#arguments, { stdio: ['ignore', 'ignore', 'ignore'] });
  }

  /** Without a warning, as a machine goes. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Tries until it succeeds; what failed last is thrown after the patience. */
export async function eventually<T>(look: () => Promise<T>, patience = 20_000): Promise<T> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > end) throw error;
      await pause(50);
    }
  }
}

let owners = 0;

/** An owner's empty prefix on that server. */
export function etcdPlace(server: EtcdServer): Place & { readonly owner: string } {
  const owner = `test/place-${owners++}`;
  return {
    owner,
    open: () => eventually(() => EtcdStore.open({ hosts: [server.url], owner })),
    forget: async (store) => {
      const { revision } = await store.list('', { limit: 1 });
      await withClient(server, (client) => client.kv.compact({ revision, physical: true }));
    },
    dispose: async () => {},
  };
}

export async function withClient<T>(server: EtcdServer, use: (client: Etcd3) => Promise<T>): Promise<T> {
  const client = connect({ hosts: [server.url], owner: 'test' });
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

// ---- processes that write ----

export interface Writer {
  readonly child: ChildProcess;
  /** Lines it has written: each was said after the commit was answered. */
  readonly lines: string[];
  /** Until it has said so many. */
  said(count: number): Promise<void>;
  ended: Promise<number | null>;
}

/** A process that runs a piece of JavaScript; `it` is that module of dist/src/store. */
export function startWriter(module: string, body: string, environment: NodeJS.ProcessEnv): Writer {
  const folder = fileURLToPath(new URL('../../dist/src/store/', import.meta.url));
  const code = `import * as it from ${JSON.stringify(join(folder, module))};\n${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, ...environment },
  });
  const lines: string[] = [];
  let rest = '';
  const waiting = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    for (const wake of waiting) wake();
  });
  let over = false;
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      over = true;
      for (const wake of waiting) wake();
      resolve(code);
    });
  });
  return {
    child,
    lines,
    ended,
    said: (count) =>
      new Promise((resolve, reject) => {
        const wake = (): void => {
          if (lines.length < count && !over) return;
          waiting.delete(wake);
          if (lines.length >= count) resolve();
          else reject(new Error(`the writer ended after ${lines.length} lines`));
        };
        waiting.add(wake);
        wake();
      }),
  };
}
