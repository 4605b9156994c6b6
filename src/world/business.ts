/**
 * What the providers of a world want, brought to their controllers: new things from the bottom up, since each layer buys of
 * the one below; what nobody wants any more from the top down.
 */
import { ApiError } from '../api/errors.js';
import { type LayerName } from '../resources/layer-name.js';
import { type AnyResource, APIS, bodyOf, type ResourceClient } from '../resources/api.js';
import { ResourceError } from '../resources/errors.js';
import { listResources } from '../resources/lists.js';
import { type Goal, waitUntilGone, waitUntilReady } from '../resources/wait.js';
import { WorldError } from './errors.js';
import { type Manifest } from './manifests.js';

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
interface Desk {
  readonly layer: LayerName;
  readonly name: string;
  readonly client: ResourceClient;
  readonly wanted: readonly AnyResource[];
  /** By name. */
  readonly had: ReadonlyMap<string, AnyResource>;
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
      return { layer, name, client, wanted, had: await telling(manifest, () => everything(layer, client)) };
    }),
  );
  const of = (layer: LayerName): readonly Desk[] => desks.filter((desk) => desk.layer === layer);
  const sum = { created: 0, updated: 0, deleted: 0, unchanged: 0 };
  for (const layer of LAYERS) {
    // a station's port, say, goes from one service to another
    if (layer === 'service') sum.deleted += await giveBackAll(of(layer), patience);
    for (const done of await Promise.all(of(layer).map((desk) => update(desk, patience)))) {
      sum.created += done.created;
      sum.updated += done.updated;
      sum.unchanged += done.unchanged;
    }
  }
  for (const layer of ['connectivity', 'infrastructure'] as const)
    sum.deleted += await giveBackAll(of(layer), patience);
  return sum;
}

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

async function update(desk: Desk, patience: number): Promise<Omit<Applied, 'deleted'>> {
  const { client, wanted, had } = desk;
  const counts = { created: 0, updated: 0, unchanged: 0 };
  const goals: Goal[] = [];
  for (let i = 0; i < wanted.length; i += MOST) {
    const part = wanted.slice(i, i + MOST);
    const { resources } = await telling(desk, () =>
      client.update({ resources: part, validateOnly: false, requestId: '' }),
    );
    for (const resource of resources) {
      const { name, status } = bodyOf(resource);
      const before = had.get(name);
      const generation = status?.generation ?? 0n;
      const unchanged = before !== undefined && bodyOf(before).status?.generation === generation;
      counts[before === undefined ? 'created' : unchanged ? 'unchanged' : 'updated']++;
      goals.push({ name, generation, etag: status?.etag ?? '', unchanged });
    }
  }
  await telling(desk, () =>
    waitUntilReady(client, goals, { timeoutSeconds: patience, onReady: () => Promise.resolve() }),
  );
  return counts;
}

async function giveBackAll(desks: readonly Desk[], patience: number): Promise<number> {
  const counts = await Promise.all(desks.map((desk) => giveBack(desk, patience)));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function giveBack(desk: Desk, patience: number): Promise<number> {
  const { layer, client, wanted, had } = desk;
  const kept = new Set(wanted.map((resource) => bodyOf(resource).name));
  let count = 0;
  for (const collections of COLLECTIONS[layer]) {
    const gone = collections.flatMap((collection) =>
      [...had.keys()].filter((name) => name.startsWith(`${collection}/`) && !kept.has(name)),
    );
    for (let i = 0; i < gone.length; i += MOST) {
      const names = gone.slice(i, i + MOST);
      await telling(desk, () => client.delete({ names, allowMissing: true, validateOnly: false }));
    }
    if (gone.length > 0) await telling(desk, () => waitUntilGone(client, gone, patience));
    count += gone.length;
  }
  if (layer !== 'service' || kept.has('network') || !had.has('network')) return count;
  await telling(desk, () => client.delete({ names: ['network'], allowMissing: true, validateOnly: false }));
  await telling(desk, () => waitUntilGone(client, ['network'], patience));
  return count + 1;
}

/** What a provider says against it, with its name. */
async function telling<T>(
  { layer, name, ...rest }: { readonly layer: LayerName; readonly name: string },
  work: () => Promise<T>,
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
    const { wanted } = rest as Partial<Desk>;
    const index = /^resources\[(\d+)\]/.exec(cause.field ?? '')?.[1];
    const about = index === undefined ? '' : ` ${bodyOf(wanted?.[Number(index)]).name}`;
    throw new WorldError('PROVIDER', `${name}, the ${layer} provider, refuses${about}: ${cause.message}`, {
      cause,
    });
  }
}
