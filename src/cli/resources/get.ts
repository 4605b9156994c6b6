/** `cabernet get` of a controller's resources: once, or again whenever something changes. */
import { type Target } from '../contexts/choose.js';
import { CommandError, UsageError } from '../report.js';
import { follow } from '../../resources/follow.js';
import { type AnyResource, bodyOf, type Layer, LAYERS } from './layer.js';
import { type Collection, collectionOf, findName, nameIn } from './naming.js';
import { listResources, parentOf } from '../../resources/lists.js';
import { type Server, withServer } from './server.js';
import { type Format, FORMATS, formatResources, print } from './show.js';

export interface GetResourcesFlags {
  readonly output: string;
  readonly watch?: true;
}

/** What is asked for: names that are known whole, and collections with what is wanted of them. */
interface Wanted {
  readonly names: readonly string[];
  readonly collection: Collection | undefined;
  readonly tests: readonly { readonly text: string; readonly has: (name: string) => boolean }[];
}

export async function getResourcesCommand(
  what: string,
  names: readonly string[],
  target: Target,
  flags: GetResourcesFlags,
): Promise<void> {
  const format = FORMATS.find((one) => one === flags.output) ?? 'table';
  const wanted = wantedOf(LAYERS[target.layer], what, names);
  await withServer(target, async (server) => {
    if (flags.watch) await watch(server, wanted, format);
    else await print(await rendered(server, await read(server, wanted), format));
  });
}

function wantedOf(layer: Layer, what: string, texts: readonly string[]): Wanted {
  const single = findName(layer, what);
  if (single && single.kind.collection !== single.name) {
    const more = texts.map((text) => findName(layer, text)?.name ?? noName(text));
    return { names: [single.name, ...more], collection: undefined, tests: [] };
  }
  const collection = collectionOf(layer, what);
  const found = texts.map((text) => ({ text, found: nameIn(layer, collection, text) }));
  return {
    names: found.flatMap((one) => (typeof one.found === 'string' ? [one.found] : [])),
    collection:
      texts.length === 0 || found.some((one) => typeof one.found !== 'string') ? collection : undefined,
    tests: found.flatMap(({ text, found }) => (typeof found === 'string' ? [] : [{ text, has: found }])),
  };
}

function noName(text: string): never {
  throw new UsageError(`${text} is no resource's name; behind a name come other names in full`);
}

async function read({ client }: Server, wanted: Wanted): Promise<readonly AnyResource[]> {
  const found: AnyResource[] = [];
  for (const name of wanted.names) {
    const { resource } = await client.get({ name });
    if (resource) found.push(resource);
  }
  if (!wanted.collection) return found;
  const all = await listResources(client, wanted.collection.text);
  if (wanted.tests.length === 0) return all;
  for (const { text, has } of wanted.tests) {
    const own = all.filter((one) => has(bodyOf(one).name));
    if (own.length === 0) throw new CommandError(`there is no ${text} in ${wanted.collection.text}`);
    found.push(...own);
  }
  return found;
}

function rendered(
  { layer, target }: Server,
  resources: readonly AnyResource[],
  format: Format,
): Promise<string> {
  return formatResources(format, layer, target.context, resources);
}

/** How soon after an event the table is printed again, milliseconds. */
const SETTLE = 100;

/** A terminal shows the newest table, anything else gets every table that differs. */
async function watch(server: Server, wanted: Wanted, format: Format): Promise<void> {
  await read(server, wanted); // what is not there is told at once
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const parents = [...(wanted.collection ? [wanted.collection.text] : []), ...wanted.names.map(parentOf)];
  const names = new Set(wanted.names);
  const { collection } = wanted;
  const inCollection = collection ? matcher(collection) : undefined;
  const isWanted = (name: string): boolean =>
    names.has(name) ||
    (inCollection?.(name) === true &&
      (wanted.tests.length === 0 || wanted.tests.some(({ has }) => has(name))));
  const there = new Map<string, AnyResource>();
  let shown: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let synced = false;
  let last: Promise<void> = Promise.resolve();
  const show = async (): Promise<void> => {
    const rows = [...there.values()].sort((a, b) => (bodyOf(a).name < bodyOf(b).name ? -1 : 1));
    const text = await rendered(server, rows, format);
    if (text !== shown) await print(process.stdout.isTTY ? `\x1b[H\x1b[2J${text}` : text);
    shown = text;
  };
  const soon = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      last = last.then(show);
    }, SETTLE);
  };
  const events = follow(server.client, {
    collections: [...new Set(parents)],
    resumeToken: '',
    signal: stop.signal,
    catchUp: true,
    onAway: tellAway(server.target),
  });
  for await (const { type, resource } of events) {
    const { name } = bodyOf(resource);
    if (type === 'synced') synced = true;
    else if (resource && isWanted(name)) {
      if (type === 'deleted') there.delete(name);
      else there.set(name, resource);
    }
    if (synced) soon();
  }
  clearTimeout(timer);
  await last;
}

function matcher(collection: Collection): (name: string) => boolean {
  const parts = collection.text.split('/');
  return (name) => {
    if (name === collection.text) return true;
    const own = name.split('/');
    return own.length === parts.length + 1 && parts.every((part, i) => part === '-' || part === own[i]);
  };
}

/** Says once that the server has gone, until it has been there again. */
export function tellAway(target: Target): () => void {
  let said = 0;
  return () => {
    const now = Date.now();
    if (now - said > 10_000)
      process.stderr.write(`cabernet: ${target.context ?? target.address} does not answer; trying again\n`);
    said = now;
  };
}
