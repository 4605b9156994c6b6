/** Renews leases when two thirds of their term are over. */
import { type Logger } from '../api/log.js';
import { type Clock, formatTime, sleep } from '../controller/clock.js';
import { type ConnectivityState } from './kinds.js';
import { inForce, type Ledger } from './ledger.js';
import { leaseOfLink, leaseOfNode } from './names.js';
import { termMs } from './lease.js';
import { withStatus } from './status.js';
import { said, type Suppliers } from './suppliers.js';

export interface RenewerOptions {
  readonly self: string;
  readonly state: ConnectivityState;
  readonly ledger: Ledger;
  readonly suppliers: Suppliers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ending: AbortSignal;
}

const LONGEST_SLEEP = 3_600_000;
const CALL = 15_000;

/** A lease that is to be renewed at some time. */
interface Due {
  /** `nodes/NODE`, `links/LINK` */
  readonly name: string;
  readonly lease: string;
  readonly supplier: string;
  readonly termMs: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export class Renewer {
  readonly #options: RenewerOptions;
  /** Of leases whose renewal failed: not before. */
  readonly #notBefore = new Map<string, number>();
  #wake = new AbortController();
  readonly #run: Promise<void>;

  constructor(options: RenewerOptions) {
    this.#options = options;
    this.#run = this.#loop();
  }

  /** What is bought has changed. */
  kick(): void {
    this.#wake.abort();
  }

  async end(): Promise<void> {
    await this.#run;
  }

  async #loop(): Promise<void> {
    const { clock, ending, log } = this.#options;
    while (!ending.aborted) {
      this.#wake = new AbortController();
      const { signal } = this.#wake;
      const all = this.#all();
      const due = all.filter(({ at }) => at <= clock.now());
      try {
        await this.#renewAll(due);
      } catch (error) {
        if (!ending.aborted) log.error('renewing is interrupted', { error });
      }
      if (due.length > 0 && !ending.aborted) {
        const failed = due.some(({ name }) => this.#notBefore.has(name));
        if (!failed) continue;
      }
      const next = Math.min(...this.#all().map(({ at }) => at), clock.now() + LONGEST_SLEEP);
      await sleep(clock, Math.max(1, next - clock.now()), AbortSignal.any([signal, ending]));
    }
  }

  #all(): Due[] {
    const { self, ledger } = this.#options;
    const at = (name: string, expireTime: string, term: number): number =>
      Math.max(Date.parse(expireTime) - term / 3, this.#notBefore.get(name) ?? 0);
    const due: Due[] = [];
    for (const { body, expireTime } of ledger.nodes.values()) {
      if (expireTime === '' || !inForce(body)) continue;
      const { name, supplier } = body;
      const term = termMs(body);
      due.push({
        name,
        lease: leaseOfNode(self, name),
        supplier,
        termMs: term,
        at: at(name, expireTime, term),
      });
    }
    for (const { body, expireTime } of ledger.links.values()) {
      const supplier = ledger.nodes.get(body.a)?.body.supplier;
      if (expireTime === '' || !inForce(body) || supplier === undefined) continue;
      const { name } = body;
      const term = termMs(body);
      due.push({
        name,
        lease: leaseOfLink(self, name),
        supplier,
        termMs: term,
        at: at(name, expireTime, term),
      });
    }
    return due;
  }

  /** Those of one supplier and term together. */
  async #renewAll(due: readonly Due[]): Promise<void> {
    const groups = new Map<string, Due[]>();
    for (const one of due) {
      const key = `${one.supplier} ${one.termMs}`;
      groups.set(key, [...(groups.get(key) ?? []), one]);
    }
    await Promise.all([...groups.values()].map((group) => this.#renew(group)));
  }

  async #renew(group: readonly Due[]): Promise<void> {
    const { state, suppliers, clock, ending, log } = this.#options;
    const [first] = group;
    const address = first && state.get('supplier', first.supplier)?.address;
    if (!first || address === undefined) return;
    const expireTime = formatTime(clock.now() + first.termMs);
    try {
      await suppliers
        .at(first.supplier, address)
        .renew({ names: group.map(({ lease }) => lease), expireTime }, { signal: ending, deadlineMs: CALL });
      for (const { name } of group) this.#notBefore.delete(name);
      await this.#note(group, expireTime, '');
    } catch (error) {
      if (ending.aborted) return;
      log.warn('leases are not renewed', { supplier: first.supplier, error });
      // often enough that some tries are left before they expire
      const again = clock.now() + Math.max(1000, first.termMs / 30);
      for (const { name } of group) this.#notBefore.set(name, again);
      await this.#note(group, undefined, `Not renewed: ${said(error)}`);
    }
  }

  #note(group: readonly Due[], expireTime: string | undefined, message: string): Promise<void> {
    const { state, ledger } = this.#options;
    return state.transact((tx) => {
      for (const { name } of group) {
        const node = ledger.nodes.get(name);
        const link = ledger.links.get(name);
        if (node && expireTime !== undefined) ledger.putNode(tx, { ...node, expireTime });
        if (link && expireTime !== undefined) ledger.putLink(tx, { ...link, expireTime });
        const shownNode = tx.get('node', name);
        const shownLink = tx.get('link', name);
        // only what is ours to say
        const ours = (text: string | undefined): boolean =>
          text !== undefined && text !== message && (text === '' || text.startsWith('Not renewed'));
        if (shownNode && ours(shownNode.status?.message)) tx.put('node', withStatus(shownNode, { message }));
        if (shownLink && ours(shownLink.status?.message)) tx.put('link', withStatus(shownLink, { message }));
      }
    });
  }
}
