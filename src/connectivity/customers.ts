/**
 * What customers write into their nodes: kept in the store in chunks, and forwarded to whoever has the node below. A customer
 * may have several nodes in one of ours: for the supplier they are one owner's contents.
 */
import { ApiError } from '../api/errors.js';
import { messageType } from '../api/message.js';
import { type Resource, type ResourceDraft, v1 as nodeV1 } from '../api/node.js';
import { type ApplyResponse } from '../api/infrastructure.js';
import { type Logger } from '../api/log.js';
import { missing } from '../controller/access.js';
import { type Clock } from '../controller/clock.js';
import { type ConnectivityState, type Tx } from './kinds.js';
import { networkIds } from './names.js';
import { type Epochs } from './program/epochs.js';
import { Sender, type Target } from './program/sender.js';
import { isPassing } from './suppliers.js';
import { nodeUnder } from './usage.js';
import { listAll } from '../store/index.js';

const HEADERS = 'contents/';
const CHUNKS = 'chunks/';
export const chunkType = messageType(nodeV1.ApplyResources);

/** What one Apply brought. */
export interface Upload {
  readonly id: string;
  readonly epoch: string;
  readonly chunks: number;
  readonly resources: number;
}

/** Of one node of a service network. */
interface Header {
  readonly network: string;
  readonly node: string;
  /** In force. */
  readonly current?: Upload | undefined;
  /** Not yet acknowledged. */
  readonly next?: Upload | undefined;
}

export interface CustomersOptions {
  readonly state: ConnectivityState;
  readonly epochs: Epochs;
  readonly target: (node: string) => Target | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ending: AbortSignal;
}

interface Outcome {
  readonly done: (answer: ApplyResponse) => void;
  readonly fail: (error: unknown) => void;
}

function keyOf(network: string, node: string): string {
  return `${network}/${node}`;
}

export class Customers {
  readonly #options: CustomersOptions;
  readonly #headers = new Map<string, Header>();
  readonly #senders = new Map<string, Sender>();
  /** By upload: who waits for it. */
  readonly #outcomes = new Map<string, Outcome>();
  /** One at a time for each node of ours and customer, so that an error is told to whom it belongs. */
  readonly #turns = new Map<string, Promise<unknown>>();

  private constructor(options: CustomersOptions) {
    this.#options = options;
  }

  static async open(options: CustomersOptions): Promise<Customers> {
    const customers = new Customers(options);
    for (const { value } of await listAll(options.state.store, HEADERS)) {
      const header = JSON.parse(Buffer.from(value).toString('utf8')) as Header;
      customers.#headers.set(keyOf(header.network, header.node), header);
    }
    await customers.#sweep();
    for (const header of customers.#headers.values()) customers.#touch(header);
    return customers;
  }

  /** Chunks of uploads that the process did not live to take, or to forget. */
  async #sweep(): Promise<void> {
    const { state } = this.#options;
    const known = new Set(
      [...this.#headers.values()].flatMap(({ current, next }) => [current?.id, next?.id]),
    );
    const left = (await listAll(state.store, CHUNKS))
      .map(({ key }) => key)
      .filter((key) => !known.has(key.slice(CHUNKS.length).split('/')[0]));
    for (let i = 0; i < left.length; i += 500) {
      await state.transact((tx) => {
        for (const key of left.slice(i, i + 500)) tx.deleteEntry(key);
      });
    }
  }

  /** The largest epoch that was taken for this node, or that waits. */
  epochOf(network: string, node: string): bigint {
    const header = this.#headers.get(keyOf(network, node));
    return BigInt((header?.next ?? header?.current)?.epoch ?? 0);
  }

  /** There may be somebody to send to now. */
  kick(): void {
    for (const sender of this.#senders.values()) sender.kick();
  }

  async end(): Promise<void> {
    await Promise.all([...this.#senders.values()].map((sender) => sender.end()));
  }

  /** `work` runs when nothing else of this customer is under way at that node of ours. */
  async inTurn<T>(under: string, customer: string, work: () => Promise<T>): Promise<T> {
    const key = `${under} ${customer}`;
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(work, work);
    const settled = turn.catch(() => undefined);
    this.#turns.set(key, settled);
    void settled.then(() => this.#turns.get(key) === settled && this.#turns.delete(key));
    return turn;
  }

  /** Keeps a chunk of an upload; nothing is made of it before `accept`. Under 512 KiB encoded. */
  async keep(id: string, index: number, resources: readonly ResourceDraft[]): Promise<void> {
    const value = chunkType.encode({ resources });
    await this.#options.state.transact((tx) => tx.putEntry(chunkKey(id, index), value));
  }

  async forget(id: string, chunks: number): Promise<void> {
    for (let i = 0; i < chunks; i += 500) {
      await this.#options.state.transact((tx) => {
        for (let k = i; k < Math.min(chunks, i + 500); k++) tx.deleteEntry(chunkKey(id, k));
      });
    }
  }

  /** Makes an upload the node's contents. Resolves when the machine has it; what the supplier refuses is thrown, and undone. */
  async accept(network: string, node: string, upload: Upload, signal: AbortSignal): Promise<ApplyResponse> {
    const key = keyOf(network, node);
    const outcome = new Promise<ApplyResponse>((done, fail) => this.#outcomes.set(upload.id, { done, fail }));
    outcome.catch(() => undefined);
    let replaced: Upload | undefined;
    await this.#options.state.transact((tx) => {
      const before = this.#headers.get(key);
      replaced = before?.next;
      this.#put(tx, { network, node, current: before?.current, next: upload });
    });
    if (replaced) await this.forget(replaced.id, replaced.chunks);
    this.#touch({ network, node });
    const gone = new Promise<never>((_, fail) => {
      const stop = (): void => fail(signal.reason as Error);
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
    try {
      return await Promise.race([outcome, gone]);
    } finally {
      this.#outcomes.delete(upload.id);
    }
  }

  /** How many resources of this customer come before those of this node, at the supplier. */
  offsetOf(network: string, node: string): number {
    const under = this.#under({ network, node });
    if (under === undefined) return 0;
    let offset = 0;
    for (const header of this.#at(under, networkIds(network).customer)) {
      if (keyOf(header.network, header.node) >= keyOf(network, node)) break;
      offset += (header.next ?? header.current)?.resources ?? 0;
    }
    return offset;
  }

  /** A network changed or is gone: contents of nodes that are not there go too. */
  async network(name: string): Promise<void> {
    const { state } = this.#options;
    const nodes = new Set(state.get('serviceNetwork', name)?.nodes.map((node) => node.name));
    const gone: Header[] = [];
    for (const header of this.#headers.values()) {
      if (header.network !== name) continue;
      if (nodes.has(header.node)) this.#touch(header);
      else gone.push(header);
    }
    // at once, for a network of the same name may be made at any moment: it begins empty, and what it is told stays
    for (const { network, node } of gone) this.#headers.delete(keyOf(network, node));
    for (const { network, node, current, next } of gone) {
      const key = keyOf(network, node);
      await state.transact((tx) => {
        if (!this.#headers.has(key)) tx.deleteEntry(HEADERS + key);
      });
      if (next) this.#outcomes.get(next.id)?.fail(missing(node, 'begin.node'));
      for (const upload of [current, next]) if (upload) await this.forget(upload.id, upload.chunks);
    }
    if (gone.length > 0) for (const sender of this.#senders.values()) sender.touch();
  }

  #put(tx: Tx, header: Header): void {
    const key = keyOf(header.network, header.node);
    tx.putEntry(HEADERS + key, Buffer.from(JSON.stringify(header)));
    tx.onCommit(() => this.#headers.set(key, header));
  }

  /** Neither replaced meanwhile nor gone with its network. */
  #stands(header: Header): boolean {
    return this.#headers.get(keyOf(header.network, header.node)) === header;
  }

  #under({ network, node }: Pick<Header, 'network' | 'node'>): string | undefined {
    const body = this.#options.state.get('serviceNetwork', network);
    const own = body?.nodes.find(({ name }) => name === node);
    return own && nodeUnder(own);
  }

  #at(under: string, customer: string): Header[] {
    return [...this.#headers.values()]
      .filter((one) => networkIds(one.network).customer === customer && this.#under(one) === under)
      .sort((a, b) => (keyOf(a.network, a.node) < keyOf(b.network, b.node) ? -1 : 1));
  }

  #touch(header: Pick<Header, 'network' | 'node'>): void {
    const under = this.#under(header);
    if (under !== undefined) this.#sender(under, networkIds(header.network).customer).touch();
  }

  #sender(under: string, customer: string): Sender {
    const key = `${under} ${customer}`;
    let sender = this.#senders.get(key);
    if (!sender) {
      const { epochs, clock, ending, target } = this.#options;
      sender = new Sender({
        owner: customer,
        target: () => target(under),
        contents: () => this.contents(under, customer),
        nextEpoch: () => epochs.next(under, customer),
        acknowledged: (_, answer) => this.#acknowledged(under, customer, answer),
        failed: (_, error) => this.#failed(under, customer, error),
        clock,
        ending,
      });
      this.#senders.set(key, sender);
    }
    return sender;
  }

  /** All that the customer wants in that node of ours. `instead`: an upload in place of what its node has. */
  async *contents(
    under: string,
    customer: string,
    instead?: { readonly network: string; readonly node: string; readonly upload: Upload },
  ): AsyncGenerator<readonly Resource[]> {
    const headers = this.#at(under, customer);
    const given = instead && keyOf(instead.network, instead.node);
    const uploads = headers
      .filter((header) => keyOf(header.network, header.node) !== given)
      .map((header) => header.next ?? header.current);
    for (const upload of instead ? [instead.upload, ...uploads] : uploads) {
      for (let i = 0; i < (upload?.chunks ?? 0); i++) {
        const entry = await this.#options.state.store.get(chunkKey(upload?.id ?? '', i));
        if (!entry) throw new Error(`chunk ${i} of ${upload?.id} is gone`);
        yield chunkType.decode(entry.value).resources;
      }
    }
  }

  async #acknowledged(under: string, customer: string, answer: ApplyResponse): Promise<void> {
    for (const header of this.#at(under, customer)) {
      const { next, current } = header;
      if (!next) continue;
      let stands = false;
      await this.#options.state.transact((tx) => {
        stands = this.#stands(header);
        if (stands) this.#put(tx, { ...header, current: next, next: undefined });
      });
      if (!stands) continue;
      if (current) await this.forget(current.id, current.chunks);
      this.#outcomes.get(next.id)?.done(answer);
    }
  }

  /** What is refused is as if it had never been sent; what may pass is tried again. */
  async #failed(under: string, customer: string, error: unknown): Promise<void> {
    const { log, state } = this.#options;
    log.warn('contents of a customer are not taken', { node: under, customer, error });
    if (isPassing(error) || isNotYet(error)) return;
    for (const header of this.#at(under, customer)) {
      const { next, current } = header;
      if (!next) continue;
      let stands = false;
      await state.transact((tx) => {
        stands = this.#stands(header);
        if (!stands) return;
        if (current) this.#put(tx, { ...header, next: undefined });
        else {
          const key = keyOf(header.network, header.node);
          tx.deleteEntry(HEADERS + key);
          tx.onCommit(() => this.#headers.delete(key));
        }
      });
      if (!stands) continue;
      this.#outcomes.get(next.id)?.fail(error);
      await this.forget(next.id, next.chunks);
      this.#touch(header);
    }
  }
}

/** The node is on its way to the machine. */
function isNotYet(error: unknown): boolean {
  return error instanceof ApiError && error.reason === 'NODE_NOT_FOUND';
}

function chunkKey(id: string, index: number): string {
  return `${CHUNKS}${id}/${String(index).padStart(6, '0')}`;
}
