/*
 * One agent, `cabernet node`, in a machine of its own: a network namespace with nothing in it. What a virtual node needs
 * there, and what the agent takes of memory.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNetns, netnsNames } from '../native/lib/index.js';
import { connect } from '../src/api/client.js';
import {
  NodeService,
  type ApplyRequestDraft,
  type ApplyResponse,
  type ResourceDraft,
} from '../src/api/node.js';
import type { NodeClient } from '../src/world/agents.js';
import { removeNamespaces } from '../src/world/down.js';
import { ensureBpfFs } from '../src/world/host.js';
import { BPF_FS, namespacePath, packageRoot } from '../src/world/place.js';
import { undoAtExit } from './undo.js';

/** Resources in one message of a stream, far below its 4 MiB. */
const batch = 5000;
const deadlineMs = 600_000;

/** Bytes of memory, as the kernel accounts them. */
export interface Memory {
  /** All maps the agent holds. */
  readonly maps: number;
  /** Resident, without what of the maps is mapped. */
  readonly process: number;
}

function* stream(
  owner: string,
  epoch: number,
  resources: readonly ResourceDraft[],
): Generator<ApplyRequestDraft> {
  yield { begin: { owner, epoch } };
  for (let i = 0; i < resources.length; i += batch)
    yield { resources: { resources: resources.slice(i, i + batch) } };
  yield { commit: { resourceCount: resources.length } };
}

export class Agent {
  readonly client: NodeClient;
  /** The machine's namespace; its virtual nodes' begin with it and a dot. */
  readonly namespace: string;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #remove: () => void;
  #epoch = 0;

  private constructor(label: string, capacities: Readonly<Record<string, number>>) {
    this.namespace = `bench-${label}-${process.pid}`;
    this.#folder = mkdtempSync(join(tmpdir(), 'cabernet-bench-'));
    const socket = join(this.#folder, 'agent.sock');
    const pins = join(BPF_FS, 'cabernet', this.namespace);
    const options = ['--name', 'bench', '--socket', socket, '--pin-dir', pins, '--log-level', 'error'];
    const sizes = Object.entries(capacities).flatMap(([table, size]) => ['--capacity', `${table}=${size}`]);
    const node = [join(packageRoot(), 'bin', 'cabernet'), 'node', '--netns-prefix', `${this.namespace}.`];
    const command = [process.execPath, ...node, ...options, ...sizes];
    this.#child = spawn('nsenter', [`--net=${namespacePath(this.namespace)}`, '--', ...command], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    this.client = connect(NodeService, { socketPath: socket });
    this.#remove = undoAtExit(() => {
      this.#child.kill('SIGKILL');
      const names = readdirSync('/run/netns').filter((name) => this.#owns(name));
      spawnSync('ip', ['-batch', '-', '-force'], {
        input: names.map((name) => `netns delete ${name}\n`).join(''),
      });
      rmSync(pins, { recursive: true, force: true });
      rmSync(this.#folder, { recursive: true, force: true });
    });
  }

  static async start(label: string, capacities: Readonly<Record<string, number>>): Promise<Agent> {
    await ensureBpfFs();
    await createNetns(`bench-${label}-${process.pid}`);
    const agent = new Agent(label, capacities);
    try {
      const ended = once(agent.#child, 'exit').then(() =>
        Promise.reject(new Error('the agent ended at once')),
      );
      ended.catch(() => undefined);
      await Promise.race([agent.client.ready(60_000), ended]);
      return agent;
    } catch (error) {
      await agent.stop();
      throw error;
    }
  }

  /** One more epoch of an owner: all it wants. Seconds, and the answer. */
  async apply(
    owner: string,
    resources: readonly ResourceDraft[],
  ): Promise<{ seconds: number; answer: ApplyResponse }> {
    const requests = stream(owner, ++this.#epoch, resources);
    const start = process.hrtime.bigint();
    const answer = await this.client.apply(requests, { deadlineMs });
    return { seconds: Number(process.hrtime.bigint() - start) / 1e9, answer };
  }

  memory(): Memory {
    const proc = `/proc/${this.#child.pid}`;
    const maps = new Map<string, number>();
    for (const fd of readdirSync(`${proc}/fdinfo`)) {
      const info = readFileSync(`${proc}/fdinfo/${fd}`, 'utf8');
      const id = /^map_id:\s*(\d+)/m.exec(info)?.[1];
      if (id !== undefined) maps.set(id, Number(/^memlock:\s*(\d+)/m.exec(info)?.[1] ?? 0));
    }
    let resident = 0;
    let isMap = false;
    for (const text of readFileSync(`${proc}/smaps`, 'utf8').split('\n')) {
      if (/^[0-9a-f]+-[0-9a-f]+ /.test(text)) isMap = text.includes('bpf-map');
      else if (text.startsWith('Rss:') && !isMap) resident += Number(/\d+/.exec(text)?.[0] ?? 0) * 1024;
    }
    return { maps: [...maps.values()].reduce((sum, bytes) => sum + bytes, 0), process: resident };
  }

  /** With everything it made; resolves when the kernel has let go of it. */
  async stop(): Promise<void> {
    this.client.close();
    try {
      if (this.#child.exitCode === null && this.#child.signalCode === null) {
        const ended = once(this.#child, 'exit');
        this.#child.kill();
        await ended;
      }
      await removeNamespaces(
        this.namespace,
        (await netnsNames()).filter((name) => this.#owns(name)),
      );
    } finally {
      this.#remove();
    }
  }

  #owns(name: string): boolean {
    return name === this.namespace || name.startsWith(`${this.namespace}.`);
  }
}
