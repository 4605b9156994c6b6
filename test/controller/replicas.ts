/** Replicas of one controller as processes over one etcd, and a client that goes round among them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { Client as GrpcClient, credentials } from '@grpc/grpc-js';

import { ApiError, Status } from '../../src/api/errors.js';
import { type EtcdServer } from '../store/support.js';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

export type Layer = 'infrastructure' | 'connectivity' | 'service';

/** Seconds: short, and long enough for a leader on a busy machine to keep its lease. */
export const FAILOVER = 4;

export class ReplicaProcess {
  readonly socket: string;
  readonly #options: readonly string[];
  #child: ChildProcess | undefined;

  constructor(layer: Layer, name: string, socket: string, state: string) {
    this.socket = socket;
    this.#options = [layer, '--name', name, '--socket', socket, '--state', state, '--log-level', 'error'];
    if (state.startsWith('etcd:')) this.#options = [...this.#options, '--failover', String(FAILOVER)];
  }

  get address(): string {
    return `unix:${this.socket}`;
  }

  start(): void {
    this.#child = spawn(process.execPath, [MAIN, ...this.#options], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Its exit code; null when the signal ended it. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    return child.exitCode;
  }

  /** Of grpc.health.v1: 1 serving, 2 not serving; 0: nobody answers. */
  async health(): Promise<number> {
    const client = new GrpcClient(`unix:${this.socket}`, credentials.createInsecure());
    try {
      return await new Promise((done) => {
        client.makeUnaryRequest(
          '/grpc.health.v1.Health/Check',
          (bytes: Buffer) => bytes,
          // HealthCheckResponse: the status is its first field, a varint
          (bytes: Buffer) => bytes[1] ?? 0,
          Buffer.alloc(0),
          { deadline: Date.now() + 2000 },
          (error, status) => done(error ? 0 : (status ?? 0)),
        );
      });
    } finally {
      client.close();
    }
  }

  async until(health: number): Promise<void> {
    await eventually(async () => (await this.health()) === health, `${this.socket} with health ${health}`);
  }
}

export class Replicas {
  readonly folder = mkdtempSync(join(tmpdir(), 'cabernet-replicas-'));
  readonly all: readonly ReplicaProcess[];

  constructor(layer: Layer, server: EtcdServer, name = 'one') {
    this.all = ['a', 'b'].map(
      (id) => new ReplicaProcess(layer, name, join(this.folder, `${id}.sock`), `etcd:${server.url}`),
    );
  }

  /** The first one leads, the second one stands by. */
  async start(): Promise<readonly [ReplicaProcess, ReplicaProcess]> {
    const [a, b] = this.all;
    if (!a || !b) throw new Error('there are two');
    a.start();
    await a.until(1);
    b.start();
    await b.until(2);
    return [a, b];
  }

  async dispose(): Promise<void> {
    await Promise.all(this.all.map((one) => one.end('SIGKILL')));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function eventually(test: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await pause(20);
  }
}

/** Repeats while nobody answers, as a client has to. */
export async function persist<T>(work: () => Promise<T>): Promise<T> {
  const end = performance.now() + 30_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== Status.UNAVAILABLE) throw error;
      if (performance.now() > end) throw error;
    }
    await pause(20);
  }
}
