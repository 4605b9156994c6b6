/** What becomes of leases: their suppliers tell, by Watch. Shown with the node or link; nothing is bought anew by itself. */
import { ApiError } from '../api/errors.js';
import { type VirtualLink, type VirtualNode } from '../api/infrastructure.js';
import { type Logger } from '../api/log.js';
import { type ResourceStatus, types } from '../api/types.js';
import { type Clock, sleep } from '../controller/clock.js';
import { type ConnectivityState, type Tx } from './kinds.js';
import { type Ledger } from './ledger.js';
import { idOf } from './names.js';
import { withStatus } from './status.js';
import { type Suppliers } from './suppliers.js';

export interface LeasesOptions {
  readonly self: string;
  readonly state: ConnectivityState;
  readonly ledger: Ledger;
  readonly suppliers: Suppliers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ending: AbortSignal;
}

const TOKENS = 'watches/';
const AGAIN = 1000;
const { EventType, LeaseState } = types;
/** Of a lease's status: nothing goes over it. */
const DOWN: ReadonlySet<string> = new Set(['down', 'refused']);

interface Watching {
  readonly address: string;
  readonly stop: AbortController;
  readonly run: Promise<void>;
}

/** A lease, or that it is gone. */
interface Told {
  readonly node?: VirtualNode | undefined;
  readonly link?: VirtualLink | undefined;
  readonly gone: boolean;
}

export class Leases {
  readonly #options: LeasesOptions;
  readonly #watching = new Map<string, Watching>();
  /** By lease: the last that was told of what we do not call ours yet. While there is any, no token is kept that is later. */
  readonly #early = new Map<string, Told>();

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** What is bought, or where a supplier answers, may have changed. */
  kick(): void {
    const { ledger, state, ending } = this.#options;
    if (ending.aborted) return;
    this.#takeEarly();
    const wanted = new Set([...ledger.nodes.values()].map(({ body }) => body.supplier));
    for (const supplier of wanted) {
      const address = state.get('supplier', supplier)?.address;
      const now = this.#watching.get(supplier);
      if (address === undefined || now?.address === address) continue;
      now?.stop.abort();
      const stop = new AbortController();
      const signal = AbortSignal.any([stop.signal, ending]);
      this.#watching.set(supplier, { address, stop, run: this.#watch(supplier, address, signal) });
    }
  }

  /** What became ours meanwhile. */
  #takeEarly(): void {
    const { state, log } = this.#options;
    const ours = [...this.#early].filter(([, told]) => this.#isOurs(told));
    if (ours.length === 0) return;
    for (const [lease] of ours) this.#early.delete(lease);
    state
      .transact((tx) => {
        for (const [, told] of ours) this.#take(tx, told);
      })
      .catch((error: unknown) => {
        for (const [lease, told] of ours) if (!this.#early.has(lease)) this.#early.set(lease, told);
        log.warn('what a supplier told is not taken yet', { error });
      });
  }

  #isOurs({ node, link }: Told): boolean {
    const { ledger } = this.#options;
    return (
      (node !== undefined && ledger.nodes.has(`nodes/${idOf(node.name)}`)) ||
      (link !== undefined && ledger.links.has(`links/${idOf(link.name)}`))
    );
  }

  async end(): Promise<void> {
    await Promise.all([...this.#watching.values()].map(({ run }) => run));
  }

  async #watch(supplier: string, address: string, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#follow(supplier, address, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.warn('a supplier’s leases are not watched', { supplier, error });
        if (error instanceof ApiError && error.reason === 'RESUME_TOKEN_EXPIRED')
          await this.#forget(supplier).catch(() => undefined);
      }
      await sleep(clock, AGAIN, signal);
    }
  }

  #forget(supplier: string): Promise<void> {
    return this.#options.state.transact((tx) => tx.deleteEntry(TOKENS + supplier));
  }

  async #follow(supplier: string, address: string, signal: AbortSignal): Promise<void> {
    const { self, state, suppliers } = this.#options;
    const entry = await state.store.get(TOKENS + supplier);
    const resumeToken = entry ? Buffer.from(entry.value).toString('utf8') : '';
    const request = {
      collections: [`customers/${self}/virtualNodes`, `customers/${self}/virtualLinks`],
      resumeToken,
      includeCurrent: resumeToken === '',
    };
    const seen = new Set<string>();
    for await (const event of suppliers.at(supplier, address).watch(request, { signal })) {
      const { resource, type } = event;
      const told: Told = {
        node: resource?.virtualNode,
        link: resource?.virtualLink,
        gone: type === EventType.EVENT_TYPE_DELETED,
      };
      const name = (told.node ?? told.link)?.name;
      if (name !== undefined) seen.add(name);
      // what is there before the end of it comes again if it is interrupted
      const token = type === EventType.EVENT_TYPE_CURRENT ? '' : event.resumeToken;
      await state.transact((tx) => {
        this.#take(tx, told);
        if (type === EventType.EVENT_TYPE_SYNCED) this.#loseAllBut(tx, supplier, seen);
        if (token !== '' && this.#early.size === 0) tx.putEntry(TOKENS + supplier, Buffer.from(token));
      });
    }
  }

  #take(tx: Tx, { node, link, gone }: Told): void {
    const { ledger } = this.#options;
    const lease = node ?? link;
    if (!lease || lease.lease === LeaseState.LEASE_STATE_RESERVED) return;
    if (gone || this.#isOurs({ node, link, gone })) this.#early.delete(lease.name);
    else this.#early.set(lease.name, { node, link, gone });
    const facts = {
      lease: gone ? LeaseState.LEASE_STATE_UNSPECIFIED : lease.lease,
      maintenance: !gone && lease.maintenance,
      ...(lease.price && { price: lease.price }),
    };
    const down = gone ? undefined : downOf(lease.status);
    const status =
      down === undefined ? statusOf(facts.lease, facts.maintenance) : { state: 'down', message: down };
    const expires = lease.term?.expireTime;
    if (node) {
      const name = `nodes/${idOf(node.name)}`;
      const bought = ledger.nodes.get(name);
      const now = tx.get('node', name);
      if (!bought || !now) return;
      ledger.putNode(tx, {
        body: { ...bought.body, ...facts },
        expireTime: expires ?? bought.expireTime,
        down,
      });
      tx.put('node', told({ ...now, ...facts }, status));
    } else if (link) {
      const name = `links/${idOf(link.name)}`;
      const bought = ledger.links.get(name);
      const now = tx.get('link', name);
      if (!bought || !now) return;
      const more = { ...facts, ...(link.achieved && { achieved: link.achieved }) };
      ledger.putLink(tx, {
        body: { ...bought.body, ...more },
        expireTime: expires ?? bought.expireTime,
        down,
      });
      const { violation: _, ...rest } = now;
      const { violation } = gone ? {} : link;
      tx.put('link', told({ ...rest, ...more, ...(violation && { violation }) }, status));
    }
  }

  /** What a supplier no longer has, though it was not told to let go of it. */
  #loseAllBut(tx: Tx, supplier: string, seen: ReadonlySet<string>): void {
    const { self, ledger } = this.#options;
    const there = (collection: string, name: string): boolean =>
      seen.has(`customers/${self}/${collection}/${idOf(name)}`);
    const lease = LeaseState.LEASE_STATE_UNSPECIFIED;
    for (const bought of ledger.nodes.values()) {
      const now = tx.get('node', bought.body.name);
      if (!now || bought.body.supplier !== supplier || there('virtualNodes', now.name)) continue;
      ledger.putNode(tx, { ...bought, body: { ...bought.body, lease } });
      tx.put('node', told({ ...now, lease }, statusOf(lease)));
    }
    for (const bought of ledger.links.values()) {
      const now = tx.get('link', bought.body.name);
      const of = ledger.nodes.get(bought.body.a)?.body.supplier;
      if (!now || of !== supplier || there('virtualLinks', now.name)) continue;
      ledger.putLink(tx, { ...bought, body: { ...bought.body, lease } });
      tx.put('link', told({ ...now, lease }, statusOf(lease)));
    }
  }
}

const MAINTENANCE = 'Its supplier announces maintenance: what can be is led another way until that is over.';

type Lease = VirtualNode['lease'];

/** What its supplier says of a lease that is there and carries nothing. */
function downOf(status: ResourceStatus | undefined): string | undefined {
  if (!status || !DOWN.has(status.state)) return undefined;
  return `Its supplier calls it ${status.state}${status.message === '' ? '.' : `: ${status.message}`}`;
}

function statusOf(lease: Lease, maintenance = false): Partial<ResourceStatus> {
  switch (lease) {
    case LeaseState.LEASE_STATE_GRACE:
      return { state: 'grace', message: 'The lease has expired; traffic goes on until its grace is over.' };
    case LeaseState.LEASE_STATE_SUSPENDED:
      return { state: 'suspended', message: 'The lease has expired and its grace is over: no traffic.' };
    case LeaseState.LEASE_STATE_UNSPECIFIED:
      return { state: 'lost', message: 'The supplier has it no longer; delete it, and make it anew.' };
    case LeaseState.LEASE_STATE_ACTIVE:
    case LeaseState.LEASE_STATE_RESERVED:
      return { state: 'ready', message: maintenance ? MAINTENANCE : '' };
  }
}

/** A deal that is under way or was refused has the word, unless the lease itself is in trouble. */
function told<B extends { readonly status?: ResourceStatus | undefined }>(
  body: B,
  status: Partial<ResourceStatus>,
): B {
  const { state = '', reconciling = false } = body.status ?? {};
  if (status.state === 'ready' && (reconciling || state === 'refused')) return body;
  return withStatus(body, status);
}
