/**
 * What the providers of a world want, brought to their controllers: new things from the bottom up, since each layer buys of
 * the one below; what nobody wants any more from the top down.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { ApiError } from '../api/errors.js';
import { type LayerName } from '../resources/layer-name.js';
import { type AnyResource, APIS, bodyOf, type ResourceClient } from '../resources/api.js';
import { ResourceError } from '../resources/errors.js';
import { listResources } from '../resources/lists.js';
import { type Goal, waitUntilGone, waitUntilReady } from '../resources/wait.js';
import { WorldError } from './errors.js';
import { type Manifest, type Provider } from './manifests.js';

/** What was done, summed over all controllers. */
export interface Applied {
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  readonly unchanged: number;
}

/** How long a provider may take for what it is asked, seconds. */
const PATIENCE = 60;
/** Of one Update or Delete. */
const MOST = 1000;

/**
 * What a manifest is the whole of, in the order in which it can be given back. A node's static routes are not among them: they are
 * whoever's that set them, and go with the node.
 */
const COLLECTIONS: Readonly<Record<LayerName, readonly (readonly string[])[]>> = {
  infrastructure: [['customers', 'wires', 'peerings', 'machines']],
  connectivity: [
    ['links', 'nodes'],
    ['suppliers', 'customers'],
  ],
  service: [['stations', 'links', 'nodes']],
};

const LAYERS: readonly LayerName[] = ['infrastructure', 'connectivity', 'service'];

/** One controller, what it is to have, and what it has. */
interface Desk extends Provider {
  readonly client: ResourceClient;
  readonly wanted: readonly AnyResource[];
  /** By name. */
  readonly had: ReadonlyMap<string, AnyResource>;
  /** What is as wanted now. */
  readonly done: Set<AnyResource>;
  /** By name, what has been asked for. */
  readonly has: Map<string, Goal>;
}

/** `patience`: seconds for what a layer is asked. Throws WorldError PROVIDER: who refuses what, and why. */
export async function bring(
  manifests: readonly Manifest[],
  clientOf: (manifest: Manifest) => ResourceClient,
  patience = PATIENCE,
): Promise<Applied> {
  const desks = await Promise.all(
    manifests.map(async (manifest): Promise<Desk> => {
      const { layer, name, resources } = manifest;
      const client = clientOf(manifest);
      const wanted = resources.map((one) => APIS[layer].type.complete(one) as AnyResource);
      const had = await telling(manifest, () => everything(layer, client));
      return { layer, name, client, wanted, had, done: new Set(), has: new Map() };
    }),
  );
  const of = (layer: LayerName): readonly Desk[] => desks.filter((desk) => desk.layer === layer);
  const each = <T>(layer: LayerName, work: (desk: Desk) => Promise<T>): Promise<readonly T[]> =>
    Promise.all(of(layer).map(work));
  for (const layer of LAYERS) {
    // a station's port, say, goes from one service to another
    if (layer === 'service') await each(layer, (desk) => giveBack(desk, patience));
    await each(layer, (desk) => enlarge(desk, patience));
  }
  for (const layer of ['connectivity', 'infrastructure'] as const) {
    await each(layer, (desk) => giveBack(desk, patience));
    await each(layer, (desk) =>
      update(
        desk,
        desk.wanted.filter((one) => !desk.done.has(one)),
        patience,
      ),
    );
  }
  return desks.map(counted).reduce(sum);
}

function sum(a: Applied, b: Applied): Applied {
  return {
    created: a.created + b.created,
    updated: a.updated + b.updated,
    deleted: a.deleted + b.deleted,
    unchanged: a.unchanged + b.unchanged,
  };
}

function counted({ had, has, wanted }: Desk): Applied {
  const counts = { created: 0, updated: 0, unchanged: 0 };
  for (const { name, generation } of wanted.flatMap((one) => has.get(bodyOf(one).name) ?? [])) {
    const before = had.get(name);
    const same = before !== undefined && (bodyOf(before).status?.generation ?? 0n) === generation;
    counts[before === undefined ? 'created' : same ? 'unchanged' : 'updated']++;
  }
  const kept = new Set(wanted.map((one) => bodyOf(one).name));
  return { ...counts, deleted: [...had.keys()].filter((name) => !kept.has(name) && !isSingle(name)).length };
}

/** `tariff`, `network`: not deleted with its provider's other things. */
const isSingle = (name: string): boolean => !name.includes('/');

async function everything(
  layer: LayerName,
  client: ResourceClient,
): Promise<ReadonlyMap<string, AnyResource>> {
  const lists = await Promise.all(
    [...COLLECTIONS[layer].flat(), layer === 'service' ? 'network' : 'tariff'].map((one) =>
      listResources(client, one),
    ),
  );
  return new Map(lists.flat().map((resource) => [bodyOf(resource).name, resource]));
}

/**
 * Everything that is wanted, but nothing smaller yet while something may stand on it: ports stay, and what the provider will not
 * change because it is used is left for later.
 */
async function enlarge(desk: Desk, patience: number): Promise<void> {
  const left = new Set<AnyResource>();
  for (;;) {
    const now = desk.wanted.filter((one) => !left.has(one));
    try {
      await update(desk, now, patience, (one) => widened(one, desk.had));
      return;
    } catch (error) {
      const cause = error instanceof WorldError ? error.cause : undefined;
      const index = cause instanceof ApiError && cause.reason === 'IN_USE' ? indexOf(cause) : undefined;
      const used = index === undefined ? undefined : now[index];
      if (desk.layer === 'service' || !used || !desk.had.has(bodyOf(used).name)) throw error;
      left.add(used);
    }
  }
}

/** With the ports that it had. */
function widened(resource: AnyResource, had: Desk['had']): AnyResource {
  const { kind = '' } = resource;
  const body = bodyOf(resource) as Ported;
  const { ports: before } = bodyOf(had.get(body.name)) as Ported;
  if (!body.ports || !before || before.every((port) => body.ports?.includes(port))) return resource;
  return { ...resource, [kind]: { ...body, ports: [...new Set([...body.ports, ...before])] } };
}

interface Ported {
  readonly name: string;
  readonly ports?: readonly string[];
}

/** Of the resource in the request that an error is about. */
function indexOf({ field = '' }: ApiError): number | undefined {
  const index = /^resources\[(\d+)\]/.exec(field)?.[1];
  return index === undefined ? undefined : Number(index);
}

async function update(
  desk: Desk,
  resources: readonly AnyResource[],
  patience: number,
  as: (resource: AnyResource) => AnyResource = (one) => one,
): Promise<void> {
  const { client, done, has } = desk;
  const goals: Goal[] = [];
  for (let i = 0; i < resources.length; i += MOST) {
    const part = resources.slice(i, i + MOST);
    const sent = part.map(as);
    const answer = await telling(
      desk,
      () => client.update({ resources: sent, validateOnly: false, requestId: '' }),
      part,
    );
    for (const [k, resource] of answer.resources.entries()) {
      const { name, status } = bodyOf(resource);
      const generation = status?.generation ?? 0n;
      const before = bodyOf(desk.had.get(name)).status?.generation;
      const goal = { name, generation, etag: status?.etag ?? '', unchanged: before === generation };
      const one = part[k];
      if (one && sent[k] === one) done.add(one);
      has.set(name, goal);
      goals.push(goal);
    }
  }
  await telling(desk, () =>
    waitUntilReady(client, goals, { timeoutSeconds: patience, onReady: () => Promise.resolve() }),
  );
}

async function giveBack(desk: Desk, patience: number): Promise<void> {
  const { layer, client, wanted, had } = desk;
  const kept = new Set(wanted.map((resource) => bodyOf(resource).name));
  for (const collections of COLLECTIONS[layer]) {
    const gone = collections.flatMap((collection) =>
      [...had.keys()].filter((name) => name.startsWith(`${collection}/`) && !kept.has(name)),
    );
    for (let i = 0; i < gone.length; i += MOST) {
      const names = gone.slice(i, i + MOST);
      await telling(desk, () => deleteWhenFree(client, names, patience));
    }
    if (gone.length > 0) await telling(desk, () => waitUntilGone(client, gone, patience));
  }
  if (layer !== 'service' || kept.has('network') || !had.has('network')) return;
  await telling(desk, () => client.delete({ names: ['network'], allowMissing: true, validateOnly: false }));
  await telling(desk, () => waitUntilGone(client, ['network'], patience));
}

/** How soon what is used is tried again, milliseconds. */
const AGAIN = 200;

/** Whoever used it has given it back, and the news is still on its way. */
async function deleteWhenFree(
  client: ResourceClient,
  names: readonly string[],
  patience: number,
): Promise<void> {
  const deadline = Date.now() + patience * 1000;
  for (;;) {
    try {
      await client.delete({ names, allowMissing: true, validateOnly: false });
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== 'IN_USE' || Date.now() > deadline) throw error;
      await delay(AGAIN);
    }
  }
}

/** What a provider says against it, with its name. `asked`: what the error's index is of. */
async function telling<T>(
  { layer, name }: Provider,
  work: () => Promise<T>,
  asked: readonly AnyResource[] = [],
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof ResourceError)
      throw new WorldError('PROVIDER', `${name}, the ${layer} provider, does not have it all`, {
        detail: cause.message,
        cause,
      });
    if (!(cause instanceof ApiError)) throw cause;
    const resource = asked[indexOf(cause) ?? -1];
    const about = resource ? ` ${bodyOf(resource).name}` : '';
    throw new WorldError('PROVIDER', `${name}, the ${layer} provider, refuses${about}: ${cause.message}`, {
      cause,
    });
  }
}
