/*
 * An agent that records: the real API on a unix socket, with the agent's own rules about epochs, and what it has been
 * told. It can refuse, and it can be stopped and started, as the same boot or another.
 */
import { type cabernet } from '../../gen/cabernet.js';
import { invalidArgument, type ApiError } from '../../src/api/errors.js';
import { silentLogger } from '../../src/api/log.js';
import { type ApplyRequest, NodeService, type Resource } from '../../src/api/node.js';
import { type ApiServer, type Call, type Handlers, implement, startServer } from '../../src/api/server.js';

export interface Told {
  readonly owner: string;
  readonly epoch: bigint;
  readonly resources: readonly Resource[];
}

export class RecordingAgent {
  readonly socket: string;
  bootId = 'boot-1';
  /** As it tells of them; labels go over those with a MAC address only. */
  interfaces: readonly { name: string; role: string; mac?: string }[] = [{ name: 'eth1', role: 'underlay' }];
  readonly holdings = new Map<string, Told>();
  /** Every Apply that it accepted, in order. */
  readonly applies: Told[] = [];
  validations = 0;
  /** Watches under way. */
  watching = 0;
  /** What it says of its paths, and by which clock; and how often it was asked. */
  paths: () => { readonly paths: readonly object[]; readonly clockNs: bigint } = () => ({
    paths: [],
    clockNs: 0n,
  });
  pathsRead = 0;
  readonly #watchers = new Set<(name: string) => void>();
  /** Throws to refuse. */
  refuse: (told: Told) => ApiError | undefined = () => undefined;
  /** Waited for before an Apply is taken. */
  gate: Promise<void> = Promise.resolve();
  #server: ApiServer | undefined;

  constructor(socket: string) {
    this.socket = socket;
  }

  async start(): Promise<void> {
    const none = (): never => {
      throw invalidArgument({ reason: 'NOT_RECORDED', message: 'This agent only records.' });
    };
    const methods = Object.fromEntries([...NodeService.methods.keys()].map((key) => [key, none]));
    const service = implement(NodeService, {
      ...methods,
      apply: (requests: AsyncIterable<never>, call: Call) => this.#apply(requests, call),
      getMachine: () => ({
        name: 'recorder',
        version: '0',
        bootId: this.bootId,
        kernel: '6.1',
        interfaces: this.interfaces,
        owners: [...this.holdings.values()].map(({ owner, epoch, resources }) => ({
          owner,
          epoch,
          resources: resources.length,
        })),
      }),
      listPaths: () => {
        this.pathsRead++;
        return this.paths();
      },
      watch: async function* (this: RecordingAgent, _: unknown, call: Call) {
        this.watching++;
        const names: string[] = [];
        let wake = (): void => undefined;
        const tell = (name: string): void => {
          names.push(name);
          wake();
        };
        this.#watchers.add(tell);
        while (!call.signal.aborted) {
          const name = names.shift();
          if (name !== undefined) yield { type: 3, name, state: 'x' };
          else
            await new Promise<void>((done) => {
              wake = done;
              call.signal.addEventListener('abort', () => done(), { once: true });
            });
        }
        this.#watchers.delete(tell);
        this.watching--;
      }.bind(this),
    } as unknown as Handlers<cabernet.node.v1.NodeService>);
    this.#server = await startServer({ socketPath: this.socket, services: [service], log: silentLogger });
  }

  /** Whoever watches is told that this has another state. */
  changed(name: string): void {
    for (const tell of this.#watchers) tell(name);
  }

  async stop(): Promise<void> {
    await this.#server?.stop(100);
    this.#server = undefined;
  }

  /** As after a power failure: it knows nothing, and says so. */
  async reboot(): Promise<void> {
    await this.stop();
    this.holdings.clear();
    this.bootId = `boot-${Number(this.bootId.slice(5)) + 1}`;
    await this.start();
  }

  async #apply(requests: AsyncIterable<never>, call: Call): Promise<object> {
    let owner = '';
    let epoch = 0n;
    let validateOnly = false;
    const resources: Resource[] = [];
    let announced = -1;
    for await (const request of requests as AsyncIterable<ApplyRequest>) {
      if (request.begin) ({ owner, epoch, validateOnly } = request.begin);
      if (request.resources) resources.push(...request.resources.resources);
      if (request.commit) announced = request.commit.resourceCount;
    }
    if (announced !== resources.length)
      throw invalidArgument({
        reason: 'STREAM_TRUNCATED',
        field: 'commit.resource_count',
        message: 'truncated',
      });
    if (epoch < (this.holdings.get(owner)?.epoch ?? 0n))
      throw invalidArgument({ reason: 'EPOCH_STALE', field: 'begin.epoch', message: 'stale' });
    const told = { owner, epoch, resources };
    const refusal = this.refuse(told);
    if (refusal) throw refusal;
    if (validateOnly) {
      this.validations++;
      return { epoch, created: resources.length };
    }
    await this.gate;
    call.signal.throwIfAborted();
    this.holdings.set(owner, told);
    this.applies.push(told);
    return { epoch, created: resources.length };
  }

  resourcesOf(owner: string): readonly Resource[] {
    return this.holdings.get(owner)?.resources ?? [];
  }
}
