/**
 * Tells the supplier what its machines are to hold: one stream for each node whose contents are others than those it was
 * told last. What is sent is written down first, by its digest, and again when it has been answered: a new process sends
 * what was not answered, and nothing else.
 */
import { ApiError, Status } from '../api/errors.js';
import { type Logger } from '../api/log.js';
import { type Draft } from '../api/message.js';
import { type cabernet } from '../../gen/cabernet.js';
import { type Clock } from '../controller/clock.js';
import { type Patience, waitOf } from './patience.js';
import { type Contents, type NodeResource } from './contents.js';
import { type Connectivity } from './deal.js';
import { type ServiceState, type Tx } from './model.js';
import { eachEntry } from '../store/index.js';

interface Sent {
  readonly epoch: number;
  readonly digest: string;
  readonly done: boolean;
}

interface Worker {
  contents: Contents;
  running: boolean;
  failures: number;
  problem: string | undefined;
  refused: boolean;
  cancel: (() => void) | undefined;
}

export interface ApplierOptions {
  readonly state: ServiceState;
  readonly log: Logger;
  readonly clock: Clock;
  readonly patience: Patience;
  /** The supplier and the network's name there; undefined: there is none. */
  readonly supplier: () => { readonly client: Connectivity; readonly network: string } | undefined;
  /** Of a node something is another now. */
  readonly changed: () => void;
}

const PREFIX = 'sent/';
/** Streams at the same time. */
const WIDTH = 8;
/** Of one message, which is at most 4 MiB encoded; what a resource takes at most, and each of its next hops. */
const BATCH_BYTES = 3_000_000;
const RESOURCE_BYTES = 256;
const HOP_BYTES = 160;
const STREAM_MS = 300_000;
/** After EPOCH_STALE: this store has been set back in time. */
const LEAP = 1_000_000;

export class Applier {
  readonly #options: ApplierOptions;
  readonly #sent = new Map<string, Sent>();
  readonly #workers = new Map<string, Worker>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  #waiting: string[] = [];

  private constructor(options: ApplierOptions) {
    this.#options = options;
  }

  static async open(options: ApplierOptions): Promise<Applier> {
    const applier = new Applier(options);
    for await (const { key, value } of eachEntry(options.state.store, PREFIX))
      applier.#sent.set(key.slice(PREFIX.length), JSON.parse(Buffer.from(value).toString('utf8')) as Sent);
    return applier;
  }

  /** What the node is to hold from now on; undefined: it is none of ours any more. */
  want(node: string, contents: Contents | undefined): void {
    const worker = this.#workers.get(node);
    if (!contents) {
      worker?.cancel?.();
      this.#workers.delete(node);
      return;
    }
    if (worker) {
      worker.contents = contents;
      worker.failures = 0;
    } else {
      const fresh = {
        contents,
        running: false,
        failures: 0,
        problem: undefined,
        refused: false,
        cancel: undefined,
      };
      this.#workers.set(node, fresh);
    }
    this.#start(node);
  }

  nodes(): readonly string[] {
    return [...this.#workers.keys()];
  }

  /** The node holds what it is to hold. */
  isCurrent(node: string): boolean {
    const worker = this.#workers.get(node);
    const sent = this.#sent.get(node);
    return worker !== undefined && sent?.done === true && sent.digest === worker.contents.digest();
  }

  /** Why the node does not hold it, if something is in the way. */
  problemOf(node: string): { readonly message: string; readonly refused: boolean } | undefined {
    const worker = this.#workers.get(node);
    return worker?.problem === undefined ? undefined : { message: worker.problem, refused: worker.refused };
  }

  /** In the transaction after which these nodes hold nothing of ours for certain. Epochs go on rising. */
  forget(tx: Tx, nodes: Iterable<string>): void {
    for (const node of nodes) {
      const sent = this.#sent.get(node);
      if (!sent || sent.digest === '') continue;
      // what is on its way now may be too early: it does not count either
      const now = { ...sent, digest: '', done: false };
      // if it cannot be written, something is sent again: no harm
      this.#sent.set(node, now);
      tx.putEntry(PREFIX + node, Buffer.from(JSON.stringify(now)));
    }
  }

  async close(): Promise<void> {
    this.#ending.abort();
    for (const worker of this.#workers.values()) worker.cancel?.();
    await Promise.all(this.#underWay);
  }

  /** Looks at all nodes again, but for those that wait for their next attempt: something was forgotten, the supplier is back. */
  wake(): void {
    for (const [node, { cancel }] of this.#workers) if (!cancel) this.#start(node);
  }

  #start(node: string): void {
    const worker = this.#workers.get(node);
    if (!worker || worker.running || this.#ending.signal.aborted) return;
    if (this.isCurrent(node)) {
      worker.problem = undefined;
      return;
    }
    if (!this.#options.supplier()) return;
    if (this.#underWay.size >= WIDTH) {
      if (!this.#waiting.includes(node)) this.#waiting.push(node);
      return;
    }
    worker.cancel?.();
    worker.cancel = undefined;
    worker.running = true;
    const work = this.#work(node, worker).finally(() => {
      this.#underWay.delete(work);
      const next = this.#waiting;
      this.#waiting = [];
      for (const one of next) this.#start(one);
      this.#options.changed();
    });
    this.#underWay.add(work);
  }

  async #work(node: string, worker: Worker): Promise<void> {
    const { log, clock, patience } = this.#options;
    try {
      while (!this.isCurrent(node) && this.#workers.get(node) === worker && !this.#ending.signal.aborted)
        await this.#send(node, worker.contents);
      worker.problem = undefined;
      worker.failures = 0;
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      const known = error instanceof ApiError ? error : undefined;
      const message = error instanceof Error ? error.message : String(error);
      worker.refused =
        known !== undefined && known.reason !== 'UNREACHABLE' && known.status !== Status.UNAVAILABLE;
      if (worker.problem !== message)
        log.warn('a node cannot be told', { node, reason: known?.reason, message });
      worker.problem = message;
      worker.failures++;
      worker.cancel = clock.after(waitOf(patience, worker.failures), () => {
        worker.cancel = undefined;
        this.#start(node);
      });
      if (known?.reason === 'EPOCH_STALE') await this.#leap(node).catch(() => undefined);
    } finally {
      worker.running = false;
    }
  }

  async #send(node: string, contents: Contents): Promise<void> {
    const supplier = this.#options.supplier();
    if (!supplier) throw new Error('there is no supplier');
    const before = this.#sent.get(node);
    const digest = contents.digest();
    const repeated = before?.digest === digest && !before.done;
    const epoch = repeated ? before.epoch : Math.max((before?.epoch ?? 0) + 1, this.#options.clock.now());
    if (!repeated) await this.#write(node, { epoch, digest, done: false });
    await supplier.client.apply(streamOf(supplier.network, contents, epoch), {
      signal: this.#ending.signal,
      deadlineMs: STREAM_MS,
    });
    // not if it was forgotten meanwhile: then it may be gone again
    const same = (now: Sent | undefined): boolean => now?.epoch === epoch && now.digest === digest;
    await this.#write(node, { epoch, digest, done: true }, same);
  }

  async #leap(node: string): Promise<void> {
    const sent = this.#sent.get(node);
    if (sent) await this.#write(node, { epoch: sent.epoch + LEAP, digest: '', done: false });
  }

  async #write(node: string, sent: Sent, onlyIf?: (now: Sent | undefined) => boolean): Promise<void> {
    const value = Buffer.from(JSON.stringify(sent));
    let written = false;
    await this.#options.state.transact((tx) => {
      written = onlyIf?.(this.#sent.get(node)) ?? true;
      if (written) tx.putEntry(PREFIX + node, value);
    });
    if (written) this.#sent.set(node, sent);
  }
}

function* streamOf(
  serviceNetwork: string,
  contents: Contents,
  epoch: number,
): Generator<Draft<cabernet.connectivity.v1.ApplyRequest>, void> {
  yield { begin: { serviceNetwork, node: contents.node, epoch } };
  let [count, bytes] = [0, 0];
  let resources: NodeResource[] = [];
  for (const resource of contents.resources()) {
    resources.push(resource);
    count++;
    bytes += RESOURCE_BYTES + HOP_BYTES * (resource.route?.nextHops?.length ?? 0);
    if (bytes < BATCH_BYTES) continue;
    yield { resources: { resources } };
    [resources, bytes] = [[], 0];
  }
  if (resources.length > 0) yield { resources: { resources } };
  yield { commit: { resourceCount: count } };
}
