/**
 * Static routes that came by SetRoutes: too many to be resources. In the store they are chunks of one generation for each
 * node, and a head that says which generation is in force: it is written last, in one commit, so a process that is killed
 * leaves the old ones or the new ones. What no head names is removed at the next start.
 */
import { messageType } from '../api/message.js';
import { v1 } from '../api/service.js';
import { eachEntry, type Store } from '../store/index.js';
import { type ServiceState, type Tx } from './model.js';
import { type Hop, sameHops, type StaticRoute } from './routes.js';

const HEADS = 'static/';
const CHUNKS = 'chunks/';
/** Below the store's bound for a value, with room for one more route. */
const CHUNK_BYTES = 400_000;
const batchType = messageType(v1.RouteBatch);
/** Chunks deleted in one commit. */
const SWEEP = 500;

interface Head {
  readonly generation: string;
  readonly chunks: number;
}

/** All of one node. */
export interface NodeStatics {
  /** By canonical destination, in the order of `<`. */
  readonly routes: ReadonlyMap<string, StaticRoute>;
  /** The ways that they go, each once. */
  readonly uses: readonly Hop[];
}

const NONE: NodeStatics = { routes: new Map(), uses: [] };

export class StaticRoutes {
  readonly #byNode = new Map<string, NodeStatics>();
  #staged: { readonly node: string; readonly statics: NodeStatics } | undefined;
  #state: ServiceState | undefined;
  #turn: Promise<void> = Promise.resolve();

  /** Reads all there is, and removes what no head names. */
  static async open(state: ServiceState): Promise<StaticRoutes> {
    const statics = new StaticRoutes();
    statics.#state = state;
    const { store } = state;
    const live = new Set<string>();
    for await (const { key, value } of eachEntry(store, HEADS)) {
      const node = key.slice(HEADS.length);
      const head = JSON.parse(Buffer.from(value).toString('utf8')) as Head;
      live.add(`${node}/${head.generation}`);
      statics.#byNode.set(node, await load(store, node, head));
    }
    await statics.#sweep((key) => !live.has(ofChunk(key)));
    state.onChange((changes) => {
      for (const { name, after } of changes) if (!after) statics.#byNode.delete(name);
      if (statics.#staged) statics.#byNode.set(statics.#staged.node, statics.#staged.statics);
    });
    return statics;
  }

  of(node: string): NodeStatics {
    return this.#byNode.get(node) ?? NONE;
  }

  has(node: string, destination: string): boolean {
    return this.of(node).routes.has(destination);
  }

  usesOf(node: string): readonly Hop[] {
    return this.of(node).uses;
  }

  /** Forgets those of a node that is deleted in this transaction. */
  drop(tx: Tx, node: string): void {
    if (this.#byNode.has(node)) tx.deleteEntry(HEADS + node);
  }

  /**
   * Puts these in the place of all that the node has from SetRoutes. `generation`: never used before. `last` runs in the
   * transaction that puts them in force; what it throws leaves everything as it was. One after the other: what is swept
   * is nobody's.
   */
  async replace(
    node: string,
    statics: NodeStatics,
    generation: string,
    last: (tx: Tx) => void,
  ): Promise<void> {
    const run = this.#turn.then(() => this.#replace(node, statics, generation, last));
    this.#turn = run.catch(() => undefined);
    await run;
  }

  async #replace(
    node: string,
    statics: NodeStatics,
    generation: string,
    last: (tx: Tx) => void,
  ): Promise<void> {
    const state = this.#state;
    if (!state) throw new Error('not open');
    let chunks = 0;
    try {
      for (const value of encodeChunks(statics.routes.values())) {
        const key = chunkKey(node, generation, chunks++);
        await state.transact((tx) => tx.putEntry(key, value));
      }
      try {
        await state.transact((tx) => {
          last(tx);
          const head: Head = { generation, chunks };
          if (chunks === 0) tx.deleteEntry(HEADS + node);
          else tx.putEntry(HEADS + node, Buffer.from(JSON.stringify(head)));
          this.#staged = { node, statics };
        });
      } finally {
        this.#staged = undefined;
      }
    } catch (error) {
      await this.#sweep((key) => ofChunk(key) === `${node}/${generation}`).catch(() => undefined);
      throw error;
    }
    await this.#sweep((key) => {
      const one = ofChunk(key);
      return one.startsWith(`${node}/`) && one !== `${node}/${generation}`;
    }, node).catch(() => undefined);
  }

  /** Removes chunks; one that is left after an error goes at the next start. */
  async #sweep(dead: (key: string) => boolean, node = ''): Promise<void> {
    const state = this.#state;
    if (!state) return;
    const prefix = node === '' ? CHUNKS : `${CHUNKS}${node}/`;
    const keys: string[] = [];
    for await (const { key } of eachEntry(state.store, prefix)) if (dead(key)) keys.push(key);
    for (let i = 0; i < keys.length; i += SWEEP) {
      await state.transact((tx) => {
        for (const key of keys.slice(i, i + SWEEP)) tx.deleteEntry(key);
      });
    }
  }
}

/** `nodes/P/GENERATION` of a chunk's key. */
function ofChunk(key: string): string {
  return key.slice(CHUNKS.length, key.lastIndexOf('/'));
}

function chunkKey(node: string, generation: string, chunk: number): string {
  return `${CHUNKS}${node}/${generation}/${String(chunk).padStart(4, '0')}`;
}

function* encodeChunks(routes: Iterable<StaticRoute>): Generator<Buffer, void> {
  let batch: object[] = [];
  let bytes = 0;
  for (const { destination, type, hops, announce } of routes) {
    batch.push({ destination, type, nextHops: hops, announce });
    bytes += 64 + hops.length * 80; // at most
    if (bytes <= CHUNK_BYTES) continue;
    yield batchType.encode({ routes: batch });
    [batch, bytes] = [[], 0];
  }
  if (batch.length > 0) yield batchType.encode({ routes: batch });
}

async function load(store: Store, node: string, head: Head): Promise<NodeStatics> {
  const collector = new Collector();
  for (let i = 0; i < head.chunks; i++) {
    const entry = await store.get(chunkKey(node, head.generation, i));
    if (!entry) throw new Error(`chunk ${i} of the routes of ${node} is missing`);
    for (const { destination, type, nextHops, announce } of batchType.decode(entry.value).routes)
      collector.add(destination, { destination, type, hops: nextHops, announce });
  }
  return collector.done();
}

/** Routes of one node as they come in; equal next hops are kept once. */
export class Collector {
  readonly #routes = new Map<string, StaticRoute>();
  readonly #hops = new Map<string, readonly Hop[]>();

  get size(): number {
    return this.#routes.size;
  }

  /** False: the destination is there already. */
  add(destination: string, route: StaticRoute): boolean {
    if (this.#routes.has(destination)) return false;
    const key = route.hops.map(({ vif, gateway, weight }) => `${vif} ${gateway} ${weight}`).join('|');
    const known = this.#hops.get(key);
    if (!known) this.#hops.set(key, route.hops);
    this.#routes.set(destination, known && sameHops(known, route.hops) ? { ...route, hops: known } : route);
    return true;
  }

  /** As they were added. */
  inOrder(): Iterable<StaticRoute> {
    return this.#routes.values();
  }

  done(): NodeStatics {
    const sorted = [...this.#routes].sort(([a], [b]) => (a < b ? -1 : 1));
    const uses = new Map<string, Hop>();
    for (const hops of this.#hops.values())
      for (const hop of hops) uses.set(`${hop.vif} ${hop.gateway}`, hop);
    return { routes: new Map(sorted), uses: [...uses.values()] };
  }
}
