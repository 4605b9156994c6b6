/**
 * What customers and their tenants want in leased nodes, in the store: chunks of resources as the agent is to have them,
 * and a head that names them. The head is one commit: readers see the old content or the new one.
 */
import { randomBytes } from 'node:crypto';

import { aborted } from '../api/errors.js';
import { v1 as node, type Resource } from '../api/node.js';
import { messageType } from '../api/message.js';
import { type State } from '../controller/state.js';
import { type Change, eachEntry } from '../store/index.js';
import { type Bodies, type Tx } from './kinds.js';

const resourcesType = messageType(node.ApplyResources);
const resourceType = messageType(node.Resource);

const HEADS = 'content-heads/';
const CHUNKS = 'contents/';
/** Bytes of one chunk; the store takes 512 KiB, and 1 MiB in one commit. */
const CHUNK = 200 * 1024;
const COMMIT = 900 * 1024;

/** Of one leased node and one owner. */
export interface ContentHead {
  readonly lease: string;
  /** As the agent calls it. */
  readonly owner: string;
  /** Of the customer's stream, decimal. */
  readonly epoch: string;
  /** Of the chunks; never used again. */
  readonly generation: string;
  readonly chunks: number;
  readonly resources: number;
  readonly facts: ContentFacts;
}

/** What others need to know of it without reading it. Names are the agent's. */
export interface ContentFacts {
  readonly nodes: readonly MadeNode[];
  /** Vifs made by it, and the vif that carries each. */
  /** `below`: what its paths leave by; of a port none. One text where an earlier release has stored it. */
  readonly vifs: readonly { readonly name: string; readonly below: string | readonly string[] }[];
  readonly ports: readonly string[];
  /** Vifs that it names. */
  readonly uses: readonly string[];
  readonly routes: number;
  /** Of those, in the leased node itself; missing in what was stored before it was counted. */
  readonly ownRoutes?: number;
  readonly labels: number;
}

/** A virtual node that a content makes, with its tenant and its limits; those are missing in what is older than they. */
export interface MadeNode {
  readonly name: string;
  readonly tenant: string;
  readonly routes?: number;
  readonly neighbours?: number;
}

export class Chunks {
  readonly list: Buffer[] = [];
  count = 0;
  #batch: Resource[] = [];
  #bytes = 0;

  add(resource: Resource): void {
    this.#batch.push(resource);
    this.#bytes += resourceType.encode(resource).length + 8;
    this.count++;
    if (this.#bytes >= CHUNK) this.end();
  }

  end(): void {
    if (this.#batch.length > 0) this.list.push(resourcesType.encode({ resources: this.#batch }));
    this.#batch = [];
    this.#bytes = 0;
  }

  *resources(): Generator<Resource> {
    for (const chunk of this.list) yield* resourcesType.decode(chunk).resources;
  }
}

export class ContentStore {
  readonly #state: State<Bodies>;
  readonly #heads = new Map<string, ContentHead>();
  readonly #stop: () => void;

  private constructor(state: State<Bodies>) {
    this.#state = state;
    this.#stop = state.onChange((changes) => {
      for (const { name, before, after } of changes)
        if (before?.kind === 'virtualNode' && !after) this.#drop(name);
    });
  }

  /** Reads the heads, and removes what nothing refers to: of leases that ended, of streams that were cut off. */
  static async open(state: State<Bodies>): Promise<ContentStore> {
    const contents = new ContentStore(state);
    const stale: string[] = [];
    for await (const { key, value } of eachEntry(state.store, HEADS)) {
      const head = JSON.parse(Buffer.from(value).toString('utf8')) as ContentHead;
      if (state.get('virtualNode', head.lease)) contents.#heads.set(key, head);
      else stale.push(key);
    }
    const used = new Set([...contents.#heads.values()].map(({ generation }) => generation));
    for await (const { key } of eachEntry(state.store, CHUNKS))
      if (!used.has(key.split('/')[1] ?? '')) stale.push(key);
    await remove(state, stale);
    return contents;
  }

  close(): void {
    this.#stop();
  }

  headOf(lease: string, owner: string): ContentHead | undefined {
    return this.#heads.get(headKey(lease, owner));
  }

  /** Of one node, by all owners. */
  headsOf(lease: string): readonly ContentHead[] {
    return [...this.#heads.values()].filter((head) => head.lease === lease);
  }

  /** Stored, and from then on what is wanted. `check` throws to refuse it. */
  async put(
    lease: string,
    owner: string,
    epoch: bigint,
    chunks: Chunks,
    facts: ContentFacts,
    check: (tx: Tx) => void,
  ): Promise<ContentHead> {
    const key = headKey(lease, owner);
    const generation = randomBytes(12).toString('hex');
    const { count: resources, list } = chunks;
    const head = { lease, owner, epoch: String(epoch), generation, chunks: list.length, resources, facts };
    await write(this.#state, generation, list);
    let before: ContentHead | undefined;
    try {
      await this.#state.transact((tx) => {
        check(tx);
        tx.putEntry(key, Buffer.from(JSON.stringify(head)));
        before = this.#heads.get(key);
        // before the next transaction, which may ask what is in use
        tx.onCommit(() => this.#heads.set(key, head));
      });
    } catch (error) {
      await this.#removeChunks(head);
      throw error;
    }
    if (before) await this.#removeChunks(before);
    if (!this.#state.get('virtualNode', lease)) this.#drop(lease);
    return head;
  }

  async *resources(head: ContentHead): AsyncGenerator<Resource, void> {
    for (let i = 0; i < head.chunks; i++) {
      const entry = await this.#state.store.get(chunkKey(head.generation, i));
      if (!entry)
        throw aborted({
          reason: 'CONTENT_REPLACED',
          message: `The content of ${head.lease} has been replaced meanwhile.`,
        });
      yield* resourcesType.decode(entry.value).resources;
    }
  }

  #drop(lease: string): void {
    for (const [key, head] of this.#heads) {
      if (head.lease !== lease) continue;
      this.#heads.delete(key);
      void this.#remove(key, head).catch(() => undefined); // what is left is removed at the next start
    }
  }

  async #remove(key: string, head: ContentHead): Promise<void> {
    const entry = await this.#state.store.get(key);
    const generation =
      entry && (JSON.parse(Buffer.from(entry.value).toString('utf8')) as ContentHead).generation;
    if (entry && generation === head.generation)
      await this.#state.store.commit({
        changes: [{ kind: 'delete', key }],
        preconditions: [{ key, revision: entry.modified }],
      });
    await this.#removeChunks(head);
  }

  #removeChunks({ generation, chunks }: ContentHead): Promise<void> {
    return remove(
      this.#state,
      Array.from({ length: chunks }, (_, i) => chunkKey(generation, i)),
    );
  }
}

function headKey(lease: string, owner: string): string {
  return `${HEADS}${lease}/${owner}`;
}

function chunkKey(generation: string, i: number): string {
  return `${CHUNKS}${generation}/${i}`;
}

async function write(state: State<Bodies>, generation: string, list: readonly Buffer[]): Promise<void> {
  let changes: Change[] = [];
  let bytes = 0;
  for (const [i, value] of list.entries()) {
    if (bytes + value.length > COMMIT) {
      await state.store.commit({ changes });
      [changes, bytes] = [[], 0];
    }
    changes.push({ kind: 'put', key: chunkKey(generation, i), value });
    bytes += value.length + 100;
  }
  if (changes.length > 0) await state.store.commit({ changes });
}

async function remove(state: State<Bodies>, keys: readonly string[]): Promise<void> {
  for (let i = 0; i < keys.length; i += 500)
    await state.store.commit({ changes: keys.slice(i, i + 500).map((key) => ({ kind: 'delete', key })) });
}
