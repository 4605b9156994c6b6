/*
 * One deployment as it is in the field: an infrastructure, a connectivity and a service provider, each a controller process
 * that others reach by mutual TLS, and customers of both who are strangers to each other. Only the machines' agents are
 * recorders: what they would do to packets is tested elsewhere.
 */
import { join } from 'node:path';

import { type Client as RawClient } from '@grpc/grpc-js';

import { type Client, connect } from '../../src/api/client.js';
import { ConnectivityService } from '../../src/api/connectivity.js';
import { InfrastructureService } from '../../src/api/infrastructure.js';
import { type ServiceType } from '../../src/api/message.js';
import { ServiceNetworkService } from '../../src/api/service.js';
import { type EventType, types } from '../../src/api/types.js';
import { Authority, type IssueOptions } from '../../src/identity/authority.js';
import { Credentials } from '../../src/identity/credentials.js';
import { rawLocal, rawRemote } from '../api/raw.js';
import { Home, type Running } from '../cli/support.js';
import { DEPLOYMENT, issue, principal } from '../identity/support.js';
import { RecordingAgent } from '../infrastructure/agent.js';
import { GAMES, MACHINES, manifests, OTHER } from './manifests.js';

export type Layer = 'infrastructure' | 'connectivity' | 'service';
export const LAYERS: readonly Layer[] = ['infrastructure', 'connectivity', 'service'];
export const PROVIDERS: Record<Layer, string> = {
  infrastructure: 'one',
  connectivity: 'conn',
  service: 'iptv',
};
const SERVICES = {
  infrastructure: InfrastructureService,
  connectivity: ConnectivityService,
  service: ServiceNetworkService,
};

type ClientOf<L extends Layer> = (typeof SERVICES)[L] extends ServiceType<infer S> ? Client<S> : never;

interface Status {
  readonly state: string;
  readonly message: string;
  readonly reconciling: boolean;
}
interface Event {
  readonly type: EventType;
  readonly resource?: { readonly kind?: string | undefined } | undefined;
  readonly resumeToken: string;
}

interface Watching {
  watch(request: object, options?: object): AsyncIterable<Event>;
}

interface Listing {
  list(request: object): Promise<{ readonly resumeToken: string }>;
}

/** All that there is, and the moment of the last change. */
export interface Picture {
  readonly resources: readonly unknown[];
  readonly resumeToken: string;
}

export class Deployment {
  readonly home = new Home();
  readonly addresses = new Map<Layer, string>();
  readonly #controllers = new Map<Layer, Running>();
  readonly #agents: RecordingAgent[] = [];
  readonly #ends: (() => void)[] = [];
  readonly #lists = new Map<Layer, Listing>();
  readonly #watchers = new Map<Layer, Watching>();
  #authority: Authority | undefined;

  path(...parts: string[]): string {
    return join(this.home.folder, ...parts);
  }

  get authority(): Authority {
    if (!this.#authority) throw new Error('begin() first');
    return this.#authority;
  }

  /** A directory of credentials. */
  issue(name: string, options: IssueOptions & { into?: string } = {}): Promise<string> {
    return issue(this.authority, name, options);
  }

  async begin(): Promise<void> {
    this.#authority = await Authority.init(this.path('ca'), DEPLOYMENT);
    // revoked before anybody looks: the list is carried with each directory
    await this.issue('operator/revoked');
    await this.authority.revoke('operator/revoked');
    for (const name of MACHINES) {
      const agent = new RecordingAgent(this.path(`${name}.sock`));
      this.#agents.push(agent);
      await agent.start();
    }
    await Promise.all(LAYERS.map((layer) => this.start(layer)));
  }

  async start(layer: Layer): Promise<void> {
    const name = PROVIDERS[layer];
    const directory = await this.issue(`${layer}/${name}`);
    const controller = this.home.start([
      ...[layer, '--name', name, '--socket', this.socket(layer), '--state', this.path(`${name}.db`)],
      ...['--listen', this.addresses.get(layer) ?? '127.0.0.1:0', '--credentials', directory],
    ]);
    this.#controllers.set(layer, controller);
    await controller.until(({ stderr }) => {
      const address = /serving .*address=(\S+)/.exec(stderr)?.[1];
      if (address !== undefined) this.addresses.set(layer, address);
      return address !== undefined && stderr.includes(' ready');
    });
  }

  /** The world of `manifests.ts`, bought and on its machines. */
  async populate(): Promise<void> {
    const { infrastructure, connectivity, games, service } = manifests(this);
    await this.local('infrastructure').update({ resources: infrastructure });
    await this.become('infrastructure', 'ready', ...MACHINES.map((name) => `machines/${name}`));
    const other = await this.remote('infrastructure', 'connectivity/other');
    await other.reserve({ virtualNodes: [OTHER], requestId: 'theirs' });
    await other.commit({ name: 'customers/other/reservations/theirs' });
    await this.local('connectivity').update({ resources: connectivity });
    await this.become('connectivity', 'ready', 'nodes/P', 'nodes/M', 'links/p-m');
    await (await this.remote('connectivity', 'service/games')).update({ resources: games });
    await this.local('service').update({ resources: service });
    await this.become('connectivity', 'ready', GAMES, 'customers/iptv/serviceNetworks/iptv');
    await this.become('service', 'ready', 'network', 'stations/hp');
    for (const layer of LAYERS) await this.calm(layer);
  }

  socket(layer: Layer): string {
    return this.path(`${PROVIDERS[layer]}.sock`);
  }

  address(layer: Layer): string {
    return this.addresses.get(layer) ?? '';
  }

  #kept<T extends { close(): void }>(client: T): T {
    this.#ends.push(() => client.close());
    return client;
  }

  /** As the provider's own operator. */
  local<L extends Layer>(layer: L): ClientOf<L> {
    const client = connect(SERVICES[layer] as (typeof SERVICES)['service'], {
      socketPath: this.socket(layer),
    });
    return this.#kept(client) as unknown as ClientOf<L>;
  }

  async remote<L extends Layer>(layer: L, name: string): Promise<ClientOf<L>> {
    const credentials = await Credentials.open(await this.issue(name), { watch: false });
    this.#ends.push(() => credentials.close());
    const client = connect(SERVICES[layer] as (typeof SERVICES)['service'], {
      address: this.address(layer),
      credentials,
      server: principal(`${layer}/${PROVIDERS[layer]}`),
    });
    return this.#kept(client) as unknown as ClientOf<L>;
  }

  rawLocal(layer: Layer): RawClient {
    return this.#kept(rawLocal(this.socket(layer)));
  }

  rawRemote(address: string, directory: string, options: { anonymous?: boolean } = {}): RawClient {
    return this.#kept(rawRemote(address, directory, options));
  }

  async picture(layer: Layer): Promise<Picture> {
    const resources: unknown[] = [];
    const client = this.#watching(layer);
    for await (const { type, resource, resumeToken } of client.watch({ includeCurrent: true })) {
      if (type === types.EventType.EVENT_TYPE_SYNCED) return { resources, resumeToken };
      resources.push(resource);
    }
    throw new Error('the watch ended');
  }

  /** Of the last change: another one after every commit of the state. */
  async moment(layer: Layer): Promise<string> {
    let client = this.#lists.get(layer);
    if (!client) this.#lists.set(layer, (client = this.local(layer) as unknown as Listing));
    const collection = layer === 'service' ? 'network' : 'tariff';
    return (await client.list({ collection })).resumeToken;
  }

  #watching(layer: Layer): Watching {
    let found = this.#watchers.get(layer);
    if (!found) this.#watchers.set(layer, (found = this.local(layer) as unknown as Watching));
    return found;
  }

  /** Waits, by a watch, until all these are of that state. */
  async become(layer: Layer, state: string, ...names: readonly string[]): Promise<void> {
    const left = new Map(names.map((name) => [name, 'not there']));
    const signal = AbortSignal.timeout(20_000);
    try {
      for await (const { resource } of this.#watching(layer).watch({ includeCurrent: true }, { signal })) {
        const { name, status } = bodyOf(resource);
        if (!names.includes(name)) continue;
        if (status?.state === state && !status.reconciling) left.delete(name);
        else left.set(name, `${status?.state} ${status?.message}`);
        if (left.size === 0) return;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    const said = this.#controllers.get(layer)?.output.stderr.split('\n').slice(-20).join('\n');
    throw new Error(`not ${state}: ${JSON.stringify([...left])}\n${said}`);
  }

  /** Nothing is on its way any more. */
  async calm(layer: Layer): Promise<Picture> {
    for (;;) {
      const { resources, resumeToken } = await this.picture(layer);
      const signal = AbortSignal.timeout(150);
      let changed = resources.some((one) => bodyOf(one as Event['resource']).status?.reconciling);
      try {
        for await (const _ of this.#watching(layer).watch({ resumeToken }, { signal })) {
          changed = true;
          break;
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      if (!changed) return { resources, resumeToken };
    }
  }

  /** Undefined: it runs. Otherwise what it said last. */
  died(layer: Layer): string | undefined {
    const controller = this.#controllers.get(layer);
    return controller?.child.exitCode === null && controller.child.signalCode === null
      ? undefined
      : controller?.output.stderr;
  }

  log(layer: Layer): string {
    return this.#controllers.get(layer)?.output.stderr ?? '';
  }

  async stop(layer: Layer, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#controllers.get(layer)?.stop(signal);
  }

  async end(): Promise<void> {
    for (const end of this.#ends.toReversed()) end();
    for (const layer of LAYERS.toReversed()) await this.stop(layer);
    for (const agent of this.#agents) await agent.stop();
    this.home.remove();
  }
}

export function bodyOf(resource: Event['resource']): {
  readonly name: string;
  readonly status?: Status | undefined;
} {
  const body = (resource as Record<string, unknown> | undefined)?.[resource?.kind ?? ''];
  return (body ?? { name: '' }) as { name: string; status?: Status };
}
