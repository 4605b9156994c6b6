/** Contexts, worlds, collections and resources that a word may be. */
import type { ServiceNetwork } from '../../api/connectivity.js';
import { chooseTarget, type Target, type TargetFlags } from '../contexts/choose.js';
import { readContexts } from '../contexts/file.js';
import { WORLD_WORDS } from '../get/words.js';

/** How long a server may take to say its names, milliseconds. */
const DEADLINE = 1000;
const MOST_NAMES = 1000;

interface Where {
  readonly target: TargetFlags;
  /** As `--world` gives it. */
  readonly world: string | undefined;
}

export function contexts(): readonly string[] {
  return readContexts().contexts.map(({ name }) => name);
}

/** Also those that nobody added. */
export async function usableContexts(): Promise<readonly string[]> {
  const { worldContexts } = await import('../contexts/worlds.js');
  return [...contexts(), ...worldContexts().map(({ name }) => name)];
}

export async function worlds(): Promise<readonly string[]> {
  const { knownWorlds } = await import('../../world/state.js');
  return knownWorlds();
}

/** Those of the world; behind one of them, those at the other ends of its wires. */
async function machines([one]: readonly string[], world: string | undefined): Promise<readonly string[]> {
  const { chooseWorld } = await import('../../world/target.js');
  const { plan } = chooseWorld(world);
  if (one === undefined) return plan.machines.map(({ name }) => name);
  return plan.wires.flatMap(({ ends }) => {
    const names = ends.map(({ machine }) => machine);
    return names.includes(one) ? names.filter((name) => name !== one) : [];
  });
}

/** `path`: of the command, `context use`; `words`: its words before the one being typed. */
export async function candidatesOf(
  path: string,
  words: readonly string[],
  typed: string,
  where: Where,
): Promise<readonly string[]> {
  switch (path) {
    case 'context use':
    case 'context remove':
    case 'context show':
      return contexts();
    case 'down':
      return worlds();
    case 'cut':
    case 'heal':
    case 'impair':
      return machines(words, where.world);
    case 'get':
      return things(words, typed, where);
    case 'drain':
      return drainable(chooseTarget(where.target), words);
    case 'watch':
      return collections(chooseTarget(where.target));
    case 'report':
      return leases(chooseTarget(where.target));
    case 'describe':
    case 'delete':
      return resources(chooseTarget(where.target), typed);
    default:
      return []; // files
  }
}

/** Behind the word for what it is: names of that. */
async function drainable(target: Target | undefined, [what]: readonly string[]): Promise<readonly string[]> {
  if (!target || target.layer === 'service') return [];
  const short = (name: string): string => name.slice(name.lastIndexOf('/') + 1);
  const below = target.layer === 'connectivity';
  if (what === 'machine') return (await ask(target, below ? 'nodes' : 'machines')).map(short);
  if (what === 'link' && below) return (await ask(target, 'links')).map(short);
  if (what === 'link')
    return [...(await ask(target, 'wires')), ...(await ask(target, 'peerings'))].map(short);
  return what === 'path' && below ? serviceLinks(target) : [];
}

/** `iptv/P-M` */
async function serviceLinks(target: Target): Promise<readonly string[]> {
  const { withServer } = await import('../resources/server.js');
  return withServer(target, async ({ client }) => {
    const request = { collection: 'customers/-/serviceNetworks', pageSize: MOST_NAMES };
    const { resources } = await client.list(request, { deadlineMs: DEADLINE });
    return resources.flatMap((one) => {
      const { name, links } = one['serviceNetwork'] as ServiceNetwork;
      return links.map((link) => `${name.slice(name.lastIndexOf('/') + 1)}/${link.name}`);
    });
  });
}

async function things(words: readonly string[], typed: string, where: Where): Promise<readonly string[]> {
  const target = where.world !== undefined ? undefined : chosen(where.target);
  const [what] = words;
  if (what === undefined) {
    if (typed.includes('/')) return resources(target, typed);
    const { context, address, layer } = where.target;
    const ofTestbed = (context ?? layer) === undefined && address?.startsWith('unix:') !== true;
    return [...(target ? await collections(target) : []), ...(ofTestbed ? WORLD_WORDS : [])];
  }
  if (!target) return [];
  const { LAYERS } = await import('../resources/layer.js');
  const { findCollection, isSingle } = await import('../resources/naming.js');
  const collection = findCollection(LAYERS[target.layer], what);
  if (!collection || isSingle(collection.kind)) return [];
  const names = await ask(target, collection.text);
  // as they are said behind the collection: what the collection leaves open, and the id
  const given = collection.text.split('/');
  return names.map((name) =>
    name
      .split('/')
      .filter((_, i) => i >= given.length || given[i] === '-')
      .join('/'),
  );
}

function chosen(flags: TargetFlags): Target | undefined {
  try {
    return chooseTarget(flags);
  } catch {
    return undefined; // the testbed's words are there without any
  }
}

async function collections(target: Target | undefined): Promise<readonly string[]> {
  if (!target) return [];
  const { LAYERS } = await import('../resources/layer.js');
  const { collectionWords } = await import('../resources/naming.js');
  return collectionWords(LAYERS[target.layer]);
}

/** Full names: `machines/`, then `machines/P`. */
async function resources(target: Target | undefined, typed: string): Promise<readonly string[]> {
  if (!target) return [];
  const { LAYERS } = await import('../resources/layer.js');
  const { findCollection, isSingle } = await import('../resources/naming.js');
  const { kinds } = LAYERS[target.layer];
  const prefixes = kinds.map((kind) =>
    isSingle(kind) ? kind.collection : `${kind.collection.split('/')[0] ?? ''}/`,
  );
  if (!typed.includes('/')) {
    const own = [...new Set(prefixes)].filter((one) => one.startsWith(typed));
    // one that is the only one would end the word: what is in it is better
    if (own.length !== 1 || own[0] === undefined || !own[0].endsWith('/')) return own;
    return resources(target, own[0]);
  }
  const found = kinds.filter(
    (kind) => !isSingle(kind) && kind.collection.startsWith(typed.split('/')[0] ?? ''),
  );
  const lists = await Promise.all(
    found.map(async (kind) => {
      const collection = findCollection(LAYERS[target.layer], kind.collection.replaceAll('+', '-'));
      return collection ? ask(target, collection.text) : [];
    }),
  );
  return lists.flat();
}

/** Those that there are reports of. */
async function leases(target: Target | undefined): Promise<readonly string[]> {
  if (!target || target.layer === 'service') return [];
  const { withServer } = await import('../resources/server.js');
  return withServer(target, async ({ client }) => {
    const asked = { lease: '', startTime: '', resolution: 0, summary: true, pageToken: '' };
    const { reports } = await client.listReports(asked, { deadlineMs: DEADLINE });
    return reports.map(({ lease }) => lease).filter((name) => /^[A-Za-z0-9]/.test(name));
  });
}

/** What the server says at once. */
async function ask(target: Target, collection: string): Promise<readonly string[]> {
  const { withServer } = await import('../resources/server.js');
  const { bodyOf } = await import('../resources/layer.js');
  return withServer(target, async ({ client }) => {
    const { resources } = await client.list({ collection, pageSize: MOST_NAMES }, { deadlineMs: DEADLINE });
    // one that begins as an option does would become one
    return resources.map((one) => bodyOf(one).name).filter((name) => /^[A-Za-z0-9]/.test(name));
  });
}
