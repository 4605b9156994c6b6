/**
 * A connectivity provider that keeps what it is told: service networks, and what is applied to their nodes. A real server
 * on a unix socket. It can refuse, answer nothing, die and come back; what it keeps outlives its deaths.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cabernet } from '../../gen/cabernet.js';
import { ConnectivityService, resourceType, type ServiceNetwork } from '../../src/api/connectivity.js';
import { type ApiError, failedPrecondition, invalidArgument, notFound } from '../../src/api/errors.js';
import { createLogger } from '../../src/api/log.js';
import { type Draft, type Message, messageType } from '../../src/api/message.js';
import { type ApiServer, implement, startServer } from '../../src/api/server.js';
import { types } from '../../src/api/types.js';
import { type BodiesOf, Catalogue } from '../../src/controller/kind.js';
import { type ResourceMethods, resourceMethods } from '../../src/controller/methods.js';
import { State } from '../../src/controller/state.js';
import { SqliteStore } from '../../src/store/sqlite.js';

type Resource = Message<cabernet.connectivity.v1.Resource>;
type Bodies = BodiesOf<Resource>;
type NodeResource = Message<cabernet.node.v1.Resource>;

const nothing = { collection: 'nothing', writable: false, outputs: [] } as const;
const catalogue = new Catalogue<Bodies>(resourceType, {
  supplier: { ...nothing, collection: 'suppliers' },
  node: { ...nothing, collection: 'nodes' },
  link: { ...nothing, collection: 'links' },
  customer: { ...nothing, collection: 'customers' },
  tariff: { ...nothing, collection: 'tariff' },
  offer: { ...nothing, collection: 'offers' },
  serviceNetwork: {
    collection: 'customers/+/serviceNetworks',
    writable: true,
    outputs: ['price', 'lease'],
  },
});

const nodeResourceType = messageType(cabernet.node.v1.Resource);

export interface Applied {
  readonly node: string;
  readonly epoch: bigint;
  readonly resources: readonly NodeResource[];
}

export class RecordingSupplier {
  readonly folder = mkdtempSync(join(tmpdir(), 'cabernet-supplier-'));
  readonly socket = join(this.folder, 'api.sock');
  /** Every Apply that was accepted, in order. */
  readonly applied: Applied[] = [];
  /** Every Update of a service network that was accepted, in order. */
  readonly asked: ServiceNetwork[] = [];
  /** Request ids of all Updates, refused ones too. */
  readonly ids: string[] = [];
  /** By node: what it holds, as text, sorted. */
  readonly contents = new Map<string, readonly string[]>();
  readonly #epochs = new Map<string, bigint>();
  /** Throws to refuse. */
  admit: (network: ServiceNetwork) => void = () => undefined;
  admitWatch: (resumeToken: string) => void = () => undefined;
  admitApply: (applied: Applied) => void = () => undefined;
  /** Called after it was done and before it is answered. */
  beforeAnswer: (what: 'update' | 'apply') => void | Promise<void> = () => undefined;
  #server: ApiServer | undefined;
  #store: SqliteStore | undefined;
  #state: State<Bodies> | undefined;

  get address(): string {
    return `unix:${this.socket}`;
  }

  get state(): State<Bodies> {
    if (!this.#state) throw new Error('the supplier is down');
    return this.#state;
  }

  async start(): Promise<void> {
    this.#store = await SqliteStore.open({ path: join(this.folder, 'state.db'), owner: 'connectivity/conn' });
    const state = (this.#state = await State.open<Bodies>(this.#store, catalogue));
    const methods: ResourceMethods<Resource> = resourceMethods<Bodies, Resource>({
      state,
      access: { sees: () => true, mayChange: () => true, shown: (_, __, body) => body },
      callerOf: () => ({ role: 'service', name: 'iptv' }),
      admit: (tx, changes) => {
        for (const { after } of changes) {
          if (!after) continue;
          const network = after as ServiceNetwork;
          this.admit(network);
          // what a real one adds: a price and what was achieved
          const links = network.links.map((link, i) => ({
            ...link,
            achieved: { bitsPerSecond: 0n, delayUs: 100 + i, lossPpm: 0, availabilityPpm: 0 },
            price: { microsPerHour: BigInt(1000 * (i + 1)), currency: 'EUR' },
          }));
          const price = { microsPerHour: 5000n, currency: 'EUR' };
          const lease = types.LeaseState.LEASE_STATE_ACTIVE;
          tx.put('serviceNetwork', { ...network, links, price, lease });
        }
      },
    });
    this.#server = await startServer({
      socketPath: this.socket,
      log: createLogger({ component: 'supplier', write: () => undefined }),
      services: [
        implement(ConnectivityService, {
          ...methods,
          listReports: () => ({}),
          update: async (request, call) => {
            this.ids.push(request.requestId);
            const answer = await methods.update(request, call);
            for (const { serviceNetwork } of answer.resources)
              if (serviceNetwork) this.asked.push(serviceNetwork);
            await this.beforeAnswer('update');
            return answer;
          },
          watch: (request, call) => {
            this.admitWatch(request.resumeToken);
            return methods.watch(request, call);
          },
          apply: async (requests) => {
            const applied = await collect(requests);
            await this.#apply(applied);
            await this.beforeAnswer('apply');
            return { epoch: applied.epoch };
          },
        }),
      ],
    });
  }

  async #apply(applied: Applied & { readonly network: string }): Promise<void> {
    const network = this.state.get('serviceNetwork', applied.network);
    if (!network) throw notFound({ reason: 'NOT_FOUND', message: `There is no ${applied.network}.` });
    const vn = applied.network.split('/')[3] ?? '';
    const prefix = `vns/${vn}/nodes/${applied.node}`;
    const vifs = new Set([
      ...(network.nodes.find(({ name }) => name === applied.node)?.ports.map(({ vif }) => vif) ?? []),
      ...network.links.flatMap(({ a, b, vifA, vifB }) => [
        ...(a === applied.node ? [vifA] : []),
        ...(b === applied.node ? [vifB] : []),
      ]),
    ]);
    if (!network.nodes.some(({ name }) => name === applied.node))
      throw refused('NODE_NOT_FOUND', applied.node);
    if (applied.epoch < (this.#epochs.get(applied.node) ?? 0n))
      throw refused('EPOCH_STALE', `${applied.epoch}`);
    const seen = new Set<string>();
    for (const { address, route } of applied.resources) {
      const named = address ? [address.vif] : (route?.nextHops.map(({ vif }) => vif) ?? []);
      if (route && route.node !== prefix) throw refused('NODE_NAME', route.node);
      for (const vif of named) {
        const short = vif.slice(`${prefix}/vifs/`.length);
        if (vif !== `${prefix}/vifs/${short}` || !vifs.has(short)) throw refused('VIF_NOT_FOUND', vif);
      }
      const key = route?.destination ?? `${address?.vif} ${address?.prefix}`;
      if (seen.has(key)) throw refused('DUPLICATE', key);
      seen.add(key);
    }
    this.admitApply(applied);
    this.#epochs.set(applied.node, applied.epoch);
    this.applied.push(applied);
    this.contents.set(applied.node, applied.resources.map(textOf).sort());
  }

  /** Gone without a word: calls under way fail, the socket does not answer. */
  async die(): Promise<void> {
    await this.#server?.stop(0);
    await this.#store?.close();
    this.#server = undefined;
    this.#state = undefined;
  }

  async dispose(): Promise<void> {
    await this.die();
    rmSync(this.folder, { recursive: true });
  }
}

function refused(reason: string, what: string): ApiError {
  return failedPrecondition({ reason, message: `${reason}: ${what}` });
}

export function textOf(resource: Draft<cabernet.node.v1.Resource>): string {
  const { address, route } = nodeResourceType.complete(resource);
  if (address) return `${address.vif} ${address.prefix}`;
  const hops = route?.nextHops.map(
    ({ vif, gateway, weight }) => `${gateway}@${vif.split('/').at(-1)}*${weight}`,
  );
  return `${route?.destination} ${route?.type} ${hops?.sort().join(' ')}`;
}

async function collect(
  requests: AsyncIterable<Message<cabernet.connectivity.v1.ApplyRequest>>,
): Promise<Applied & { readonly network: string }> {
  let begin: { serviceNetwork: string; node: string; epoch: bigint } | undefined;
  const resources: NodeResource[] = [];
  let committed: number | undefined;
  for await (const request of requests) {
    if (request.message === 'begin') ({ begin } = request);
    else if (request.message === 'resources') resources.push(...request.resources.resources);
    else if (request.message === 'commit') committed = request.commit.resourceCount;
  }
  if (!begin || committed !== resources.length)
    throw invalidArgument({ reason: 'STREAM_TRUNCATED', message: `${committed} of ${resources.length}` });
  return { network: begin.serviceNetwork, node: begin.node, epoch: begin.epoch, resources };
}
