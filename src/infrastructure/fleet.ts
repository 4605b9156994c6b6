/** The workers of all machines: one each, told of what concerns it. */
import { type Logger } from '../api/log.js';
import { type Clock } from '../controller/clock.js';
import { type Dialer } from '../controller/dial.js';
import { type Item } from '../controller/kind.js';
import { type Changed, type State } from '../controller/state.js';
import { type ContentStore } from './content-store.js';
import { type Bodies } from './kinds.js';
import { Progress } from './progress.js';
import { Worker, type WorkerOptions } from './worker.js';

export interface FleetOptions {
  readonly provider: string;
  readonly state: State<Bodies>;
  readonly contents: ContentStore;
  readonly dialer: Dialer;
  readonly clock: Clock;
  /** See {@link WorkerOptions}. */
  readonly onPaths: WorkerOptions['onPaths'];
  readonly log: Logger;
  /** See {@link SessionOptions}. */
  readonly term?: number | undefined;
  readonly backoff?: readonly [number, number] | undefined;
}

export class Fleet {
  readonly #options: FleetOptions;
  readonly #progress = new Progress();
  readonly #workers = new Map<string, Worker>();
  readonly #closing: Promise<void>[] = [];
  readonly #stop: () => void;

  constructor(options: FleetOptions) {
    this.#options = options;
    for (const { name } of options.state.all('machine')) this.#start(name);
    this.#stop = options.state.onChange((changes) => this.#changed(changes));
  }

  of(machine: string): Worker | undefined {
    return this.#workers.get(machine);
  }

  async close(): Promise<void> {
    this.#stop();
    await Promise.all([...this.#closing, ...[...this.#workers.values()].map((worker) => worker.close())]);
  }

  #start(machine: string): void {
    const { backoff = [200, 10_000], ...options } = this.#options;
    this.#workers.set(machine, new Worker({ ...options, machine, progress: this.#progress, backoff }));
  }

  #end(machine: string): void {
    const worker = this.#workers.get(machine);
    this.#workers.delete(machine);
    if (worker) this.#closing.push(worker.close());
  }

  #changed(changes: readonly Changed<Bodies>[]): void {
    let kick = false;
    for (const { name, before, after } of changes) {
      const [old, now] = [machineIn(before), machineIn(after)];
      if (old && (!now || now.agent !== old.agent)) this.#end(name);
      if (now && (!old || now.agent !== old.agent)) this.#start(name);
      kick ||= COMPOSED.has((after ?? before)?.kind ?? '') || toldOf(old) !== toldOf(now);
    }
    // who has nothing to do finds that out for itself: what it would send is what it has sent
    if (kick) for (const worker of this.#workers.values()) worker.kick();
  }
}

/** Kinds that what a machine is told is made of. */
const COMPOSED: ReadonlySet<string> = new Set([
  'virtualNode',
  'virtualLink',
  'label',
  'segment',
  'wire',
  'peering',
]);

/** Interfaces and their addresses, which wires to the machine are told with, and the routers that it is to watch. */
function toldOf(machine: Bodies['machine'] | undefined): string {
  const ports = (machine?.state?.interfaces ?? []).map(({ name, mac }) => `${name} ${mac}`);
  return JSON.stringify([ports, machine?.neighbours ?? []]);
}

function machineIn(item: Item<Bodies> | undefined): Bodies['machine'] | undefined {
  return item?.kind === 'machine' ? (item.body as Bodies['machine']) : undefined;
}
