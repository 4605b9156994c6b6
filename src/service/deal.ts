/**
 * The deal with the connectivity provider: asks it for the network as a whole, again when its term is two thirds over, and
 * keeps what was granted when something else is refused. What is said is in the store first.
 */
import { randomUUID } from 'node:crypto';

import { type cabernet } from '../../gen/cabernet.js';
import { type Client } from '../api/client.js';
import { ConnectivityService, type ServiceNetwork } from '../api/connectivity.js';
import { ApiError, Status } from '../api/errors.js';
import { type Logger } from '../api/log.js';
import { type Dialer } from '../controller/dial.js';
import { type Clock } from '../controller/clock.js';
import { type Patience, waitOf } from './patience.js';
import {
  askAgain,
  compose,
  digestOf,
  nameAtSupplier,
  type NetworkDraft,
  resourceOfField,
  withWords,
} from './compose.js';
import { NETWORK, type ServiceState, type Tx } from './model.js';
import { loadRecord, putGranted, putRecord, type Record } from './record.js';

export type Connectivity = Client<cabernet.connectivity.v1.ConnectivityService>;

export interface DealOptions {
  readonly self: string;
  readonly state: ServiceState;
  readonly dialer: Dialer;
  readonly log: Logger;
  readonly clock: Clock;
  readonly patience: Patience;
  /** In the transaction that changes what is granted. */
  readonly onGranted: (tx: Tx, before: ServiceNetwork | undefined, after: ServiceNetwork | undefined) => void;
  /** Something of what can be read here is another now. */
  readonly changed: () => void;
}

export type Phase = 'idle' | 'asking' | 'granted' | 'refused' | 'unreachable';

const DAY = 86_400;

export class Deal {
  readonly #options: DealOptions;
  #record: Record | undefined;
  #granted: ServiceNetwork | undefined;
  #problem: string | undefined;
  #failures = 0;
  #client: { readonly to: string; readonly client: Connectivity } | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #turn: Promise<void> = Promise.resolve();
  #stopTimer: (() => void) | undefined;
  readonly #ending = new AbortController();

  private constructor(options: DealOptions) {
    this.#options = options;
  }

  static async open(options: DealOptions): Promise<Deal> {
    const deal = new Deal(options);
    ({ record: deal.#record, granted: deal.#granted } = await loadRecord(options.state.store));
    return deal;
  }

  /** What was granted, with what the supplier says of it. */
  get granted(): ServiceNetwork | undefined {
    return this.#granted;
  }

  get record(): Record | undefined {
    return this.#record;
  }

  get phase(): Phase {
    if (this.#problem !== undefined) return 'unreachable';
    const wanted = this.#wanted();
    if (!wanted) return this.#record ? 'asking' : 'idle';
    const digest = digestOf(wanted);
    if (this.#record?.refusal?.digest === digest) return 'refused';
    return this.#record?.digest === digest ? 'granted' : 'asking';
  }

  /** Why the phase is what it is; empty where all is well. */
  get message(): string {
    return this.#problem ?? (this.phase === 'refused' ? (this.#record?.refusal?.message ?? '') : '');
  }

  /** Where the supplier answers, for calls about what was granted; undefined: nothing was. */
  client(): Connectivity | undefined {
    return this.#granted && this.#record ? this.#dial(this.#record) : undefined;
  }

  /** Looks whether there is something to say. */
  wake(): void {
    if (this.#ending.signal.aborted) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again) this.wake();
    });
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#stopTimer?.();
    this.#client?.client.close();
    await this.#running;
  }

  #wanted(): NetworkDraft | undefined {
    return compose(this.#options.state, this.#options.self);
  }

  #dial({ supplier, address }: Pick<Record, 'supplier' | 'address'>): Connectivity {
    const to = `${supplier} ${address}`;
    if (this.#client?.to !== to) {
      this.#client?.client.close();
      const expected = { role: 'connectivity', name: supplier } as const;
      this.#client = { to, client: this.#options.dialer.dial(ConnectivityService, address, expected) };
    }
    return this.#client.client;
  }

  async #run(): Promise<void> {
    const { clock, patience, log, changed } = this.#options;
    while (this.#again && !this.#ending.signal.aborted) {
      this.#again = false;
      this.#stopTimer?.();
      try {
        const wait = await this.#step();
        if (this.#problem !== undefined) changed();
        this.#problem = undefined;
        this.#failures = 0;
        if (wait !== undefined) this.#stopTimer = clock.after(wait, () => this.wake());
      } catch (error) {
        if (this.#ending.signal.aborted) return;
        const message = error instanceof Error ? error.message : String(error);
        if (this.#problem !== message) log.warn('the supplier cannot be asked', { error });
        this.#problem = message;
        this.#stopTimer = clock.after(waitOf(patience, ++this.#failures), () => this.wake());
        changed();
      }
    }
  }

  /** One thing to say, if there is one. Gives the milliseconds after which to look again. */
  async #step(): Promise<number | undefined> {
    const { state, self, clock } = this.#options;
    const network = state.get('network', NETWORK);
    const wanted = this.#wanted();
    const record = this.#record;
    const other =
      record &&
      network &&
      (record.supplier !== network.supplier || record.name !== nameAtSupplier(self, network.vn));
    if (record && (!wanted || other)) {
      const address = other === true ? record.address : (network?.supplierAddress ?? record.address);
      await this.#leave(record, address);
      this.#again = true;
      return undefined;
    }
    if (!network || !wanted) return undefined;
    const digest = digestOf(wanted);
    const now = clock.now();
    const [from, until] = [record?.from ?? 0, record?.until ?? 0];
    const renewAt = from + ((until - from) * 2) / 3;
    const due = this.#granted !== undefined && now >= renewAt;
    const refused = record?.refusal?.digest === digest && now < record.refusal.until;
    if (record?.digest === digest && !due) {
      if (record.address === network.supplierAddress) return Math.max(0, renewAt - now);
    } else if (refused && !due) {
      return Math.min(record.refusal?.until ?? 0, this.#granted ? renewAt : Infinity) - now;
    }
    // what was refused is not asked for again with a renewal: that renews what is in force
    await this.#ask(refused && this.#granted ? askAgain(this.#granted) : wanted, network);
    this.#again = true;
    return undefined;
  }

  async #ask(
    wanted: NetworkDraft,
    network: { readonly supplier: string; readonly supplierAddress: string; readonly termSeconds: number },
  ): Promise<void> {
    const { self, clock, patience, log } = this.#options;
    const term = (network.termSeconds === 0 ? DAY : network.termSeconds) * 1000;
    const digest = digestOf(wanted);
    const now = clock.now();
    let ask = this.#record?.ask;
    if (ask?.digest !== digest || Date.parse(ask.expireTime) < now + (term * 2) / 3) {
      const expireTime = new Date(now + term).toISOString().replace(/\.\d+Z$/, 'Z');
      ask = { id: `${self}-${randomUUID()}`, digest, expireTime };
    }
    const place = { supplier: network.supplier, address: network.supplierAddress };
    const said = ask;
    await this.#change((record) => ({ record: { name: wanted.name ?? '', ...record, ...place, ask: said } }));
    try {
      const answer = await this.#dial(place).update(
        {
          resources: [{ serviceNetwork: { ...wanted, term: { expireTime: ask.expireTime } } }],
          requestId: ask.id,
        },
        { signal: this.#ending.signal },
      );
      await this.#grant(wanted, digest, now, ask.expireTime, answer.resources[0]?.serviceNetwork);
    } catch (error) {
      if (!(error instanceof ApiError) || isPassing(error)) throw error;
      const { message, field } = error;
      log.warn('refused by the supplier', { reason: error.reason, field, message });
      const [first, most] = patience.refusedMs;
      const known = this.#record?.refusal;
      const wait = known?.digest === digest ? Math.min(most, 2 * (known.wait ?? most)) : first;
      const resource = resourceOfField(field, wanted);
      const refusal = { digest, message, resource, until: now + wait, wait };
      // a refused renewal is tried again like any other failure: the lease goes on meanwhile
      const renewal = this.#record?.digest === digest;
      await this.#change(
        (record) => record && { record: { ...record, ask: undefined, ...(renewal ? {} : { refusal }) } },
      );
      if (renewal) throw error;
    }
  }

  async #grant(
    wanted: NetworkDraft,
    digest: string,
    from: number,
    asked: string,
    said: ServiceNetwork | undefined,
  ): Promise<void> {
    if (!said) throw new Error('the supplier answered without the network');
    const expire = Date.parse(said.term?.expireTime ?? '');
    const until = Number.isNaN(expire) ? Date.parse(asked) : expire;
    await this.#change((record) => {
      if (!record) return undefined;
      const refusal = record.refusal?.digest === digest ? undefined : record.refusal;
      return {
        record: { ...record, ask: undefined, refusal, digest, from, until },
        granted: withWords(wanted, said),
      };
    });
  }

  /** Gives everything back. */
  async #leave(record: Record, address: string): Promise<void> {
    try {
      const client = this.#dial({ supplier: record.supplier, address });
      await client.delete({ names: [record.name], allowMissing: true }, { signal: this.#ending.signal });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== Status.NOT_FOUND) throw error;
    }
    await this.#change(() => ({ record: undefined, granted: undefined }));
  }

  /** What the supplier says of the network; undefined: it has none. `token`: of its watch. */
  async hear(name: string, said: ServiceNetwork | undefined, token: string): Promise<void> {
    await this.#change((record, granted) => {
      if (record?.name !== name) return undefined;
      if (!said) {
        this.#options.log.warn('the supplier has lost the network; it is asked for anew', { name });
        const blank = { digest: undefined, ask: undefined, refusal: undefined };
        return { record: { ...record, token, ...blank }, granted: undefined };
      }
      // what was said before the last answer is old
      const old = (said.status?.generation ?? 0n) < (granted?.status?.generation ?? 0n);
      if (!granted || old) return { record: { ...record, token } };
      const expire = Date.parse(said.term?.expireTime ?? '');
      const until = Number.isNaN(expire) ? record.until : expire;
      return { record: { ...record, token, until }, granted: withWords(askAgain(granted), said) };
    });
    this.wake();
  }

  /** Remembers how far the watch has come; empty: it has to begin anew. */
  async heardUpTo(name: string, token: string): Promise<void> {
    await this.#change((record) => (record?.name === name ? { record: { ...record, token } } : undefined));
  }

  /** One change after the other, in memory when it is in the store. */
  async #change(decide: Decide): Promise<void> {
    const run = this.#turn.then(() => this.#write(decide));
    this.#turn = run.catch(() => undefined);
    await run;
  }

  async #write(decide: Decide): Promise<void> {
    const { state, onGranted, changed } = this.#options;
    const before = this.#granted;
    const after = decide(this.#record, before);
    if (!after) return;
    const granted = 'granted' in after ? after.granted : before;
    await state.transact((tx) => {
      putRecord(tx, after.record);
      if (granted === before) return;
      putGranted(tx, granted);
      onGranted(tx, before, granted);
    });
    this.#record = after.record;
    this.#granted = granted;
    changed();
  }
}

interface Next {
  readonly record: Record | undefined;
  /** Not there: as it was. */
  readonly granted?: ServiceNetwork | undefined;
}

type Decide = (record: Record | undefined, granted: ServiceNetwork | undefined) => Next | undefined;

/** Nobody can say now whether it will be granted. */
function isPassing({ status }: ApiError): boolean {
  return (
    status === Status.UNAVAILABLE ||
    status === Status.DEADLINE_EXCEEDED ||
    status === Status.CANCELLED ||
    status === Status.ABORTED ||
    status === Status.INTERNAL ||
    status === Status.UNKNOWN
  );
}
