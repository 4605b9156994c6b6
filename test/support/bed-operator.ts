/*
 * The operators of all providers of a world: they ask until they are answered, with the same request id, and know what was
 * acknowledged.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { ApiError, Status } from '../../src/api/errors.js';
import { type cabernet } from '../../gen/cabernet.js';
import { type Client } from '../../src/api/client.js';
import { type ResourceDraft as RouteResource } from '../../src/api/service.js';
import { type AnyResource, APIS, bodyOf, type ResourceClient } from '../../src/resources/api.js';
import { type LayerName } from '../../src/resources/layer-name.js';
import { listResources } from '../../src/resources/lists.js';
import { type Manifest } from '../../src/world/manifests.js';
import { type Bed } from './bed.js';

export type Draft = Manifest['resources'][number];
export type RouteDraft = NonNullable<RouteResource['route']>;
type Service = Client<cabernet.service.v1.ServiceNetworkService>;

/** Of a deployment in which something may be dead for a while, milliseconds. */
const PATIENCE = 60_000;

/** What its operator has been acknowledged by one provider. */
export interface Wanted {
  readonly layer: LayerName;
  readonly name: string;
  /** By name. */
  readonly resources: Map<string, Draft>;
  /** By node, what SetRoutes said last. */
  readonly routes: Map<string, readonly RouteDraft[]>;
}

export const nameOf = (draft: Draft): string =>
  Object.values(draft).flatMap((body) => (body ? [(body as { name: string }).name] : []))[0] ?? '';

export const LISTED: Readonly<Record<LayerName, readonly string[]>> = {
  infrastructure: ['machines', 'wires', 'peerings', 'customers', 'tariff'],
  connectivity: ['suppliers', 'nodes', 'links', 'customers', 'tariff'],
  service: ['network', 'nodes', 'links', 'stations', 'nodes/-/routes'],
};

/** Also what they make themselves. */
export const MADE: Readonly<Record<LayerName, readonly string[]>> = {
  infrastructure: [
    ...['customers/-/virtualNodes', 'customers/-/virtualLinks', 'customers/-/reservations'],
    ...['machines/-/labels', 'segments', 'offers'],
  ],
  connectivity: ['customers/-/serviceNetworks', 'offers'],
  service: [],
};

export class Operators {
  readonly bed: Bed;
  readonly wanted: ReadonlyMap<string, Wanted>;
  /** How often something had to be asked again. */
  repeated = 0;
  #requests = 0;

  constructor(bed: Bed) {
    this.bed = bed;
    this.wanted = new Map(
      bed.seats.map(({ name, layer }) => [name, { layer, name, resources: new Map(), routes: new Map() }]),
    );
  }

  of(provider: string): Wanted {
    const wanted = this.wanted.get(provider);
    if (!wanted) throw new Error(`there is no ${provider}`);
    return wanted;
  }

  /** False: it is used (IN_USE), and nothing is changed. Throws whatever else it is refused for. */
  async update(provider: string, ...drafts: readonly Draft[]): Promise<boolean> {
    const { layer, resources } = this.of(provider);
    const sent = drafts.map((draft) => APIS[layer].type.complete(draft) as AnyResource);
    const requestId = `r${this.#requests++}`;
    const client = this.bed.desk(provider);
    return this.#answered(
      () => client.update({ resources: sent, validateOnly: false, requestId }),
      () => {
        for (const draft of drafts) resources.set(nameOf(draft), draft);
      },
    );
  }

  async delete(provider: string, ...names: readonly string[]): Promise<boolean> {
    const { resources, routes } = this.of(provider);
    const client = this.bed.desk(provider);
    return this.#answered(
      // what an earlier try deleted is not there
      () => client.delete({ names, allowMissing: true, validateOnly: false }),
      () => {
        for (const name of names) {
          resources.delete(name);
          routes.delete(name);
          // a node's routes go with it
          for (const other of resources.keys())
            if (other.startsWith(`${name}/routes/`)) resources.delete(other);
        }
      },
    );
  }

  async setRoutes(provider: string, node: string, drafts: readonly RouteDraft[]): Promise<boolean> {
    const { resources, routes } = this.of(provider);
    const client = this.bed.desk(provider) as ResourceClient & Pick<Service, 'setRoutes'>;
    return this.#answered(
      () =>
        client.setRoutes([
          { begin: { node } },
          { routes: { routes: [...drafts] } },
          { commit: { routeCount: drafts.length } },
        ]),
      () => {
        for (const other of resources.keys())
          if (other.startsWith(`${node}/routes/`)) resources.delete(other);
        routes.set(node, drafts);
      },
    );
  }

  /** Asks until there is an answer, whoever is dead meanwhile. */
  async #answered(ask: () => Promise<unknown>, done: () => void): Promise<boolean> {
    const end = Date.now() + PATIENCE;
    for (;;) {
      try {
        await ask();
        done();
        return true;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === Status.FAILED_PRECONDITION && error.reason === 'IN_USE') return false;
        if (!isAway(error)) throw error;
        if (Date.now() > end) throw error;
        this.repeated++;
        await delay(20);
      }
    }
  }

  /** Everything that one has, by name. */
  async lists(provider: string, collections: readonly string[]): Promise<Map<string, AnyResource>> {
    const client = this.bed.desk(provider);
    const all = await Promise.all(collections.map((collection) => listResources(client, collection)));
    return new Map(all.flat().map((resource) => [bodyOf(resource).name, resource]));
  }

  /** Why it is not at rest yet; nothing: it is. */
  async unrest(provider: string): Promise<readonly string[]> {
    const { layer } = this.of(provider);
    const all = await this.lists(provider, [...LISTED[layer], ...MADE[layer]]);
    return [...all].flatMap(([name, resource]) => {
      const { status } = bodyOf(resource);
      const { link, releasing } = bodyOf(resource) as { link?: string; releasing?: boolean };
      if (/^machines\/[^/]+\/labels\//.test(name) && link === '')
        return [`${provider}: ${name} waits for its upstream`];
      if (releasing === true) return [`${provider}: ${name} is being released`];
      if (status?.reconciling !== true && status?.state !== 'refused' && status?.state !== 'unreachable')
        return [];
      return [`${provider}: ${name} ${status.state} ${status.message}`];
    });
  }

  /** Until all are at rest: asked again and again. Throws with what is not. */
  async rest(providers: readonly string[] = [...this.wanted.keys()], patience = PATIENCE): Promise<void> {
    const end = Date.now() + patience;
    for (;;) {
      let left: readonly string[];
      try {
        left = (await Promise.all(providers.map((one) => this.unrest(one)))).flat();
      } catch (error) {
        if (!(error instanceof ApiError) || !isAway(error)) throw error;
        left = [error.message];
      }
      if (left.length === 0) return;
      if (Date.now() > end) throw new Error(`not at rest:\n${left.join('\n')}`);
      await delay(100);
    }
  }
}

/** The server, not what it was asked. */
function isAway({ status }: ApiError): boolean {
  return [Status.UNAVAILABLE, Status.ABORTED, Status.CANCELLED, Status.UNKNOWN].includes(status);
}
