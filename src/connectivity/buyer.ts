/**
 * Buys: drives deals from wherever their records say they are. One after the other; only what is to be cancelled does not
 * keep others waiting.
 */
import { ApiError } from '../api/errors.js';
import { type Link, type Node } from '../api/connectivity.js';
import { type Reservation } from '../api/infrastructure.js';
import { type Logger } from '../api/log.js';
import { type Clock, formatTime, sleep } from '../controller/clock.js';
import { type Deal, DEALS, decodeDeal, encodeDeal, type Party } from './deal.js';
import { type ConnectivityState, type Tx } from './kinds.js';
import { type Ledger } from './ledger.js';
import { reserveRequest, termMs } from './lease.js';
import { leaseOfLink, leaseOfNode } from './names.js';
import { refreshOffer } from './offers.js';
import { putRelease, type Releases } from './release.js';
import { repeated } from './retry.js';
import { generationOf, withStatus } from './status.js';
import { isGone, isPassing, said, type Suppliers, type Supply } from './suppliers.js';
import { listAll } from '../store/index.js';

export interface BuyerOptions {
  readonly self: string;
  readonly state: ConnectivityState;
  readonly ledger: Ledger;
  readonly suppliers: Suppliers;
  readonly releases: Releases;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ending: AbortSignal;
  /** Milliseconds that a supplier may be away before the deal is given up for now. Default: 20 000. */
  readonly patienceMs?: number | undefined;
}

const PATIENCE = 20_000;
/** Of a reservation, seconds: longer than the patience with all suppliers together. */
const HOLD = 300;
const AGAIN = 30_000;
const CALL = 15_000;
const INTERRUPTED = 1000;

export class Buyer {
  readonly #options: BuyerOptions;
  readonly #tasks = new Set<Promise<void>>();
  readonly #cancelling = new Set<string>();
  /** Deals put off. */
  readonly #waiting = new Set<string>();
  #running = false;
  #again = false;

  constructor(options: BuyerOptions) {
    this.#options = options;
  }

  /** There is a deal, perhaps. */
  kick(): void {
    this.#again = true;
    if (this.#running || this.#options.ending.aborted) return;
    this.#running = true;
    this.#spawn(async () => {
      try {
        while (this.#again) {
          this.#again = false;
          await this.#pass();
        }
      } finally {
        this.#running = false;
      }
    });
  }

  /** Resolves when nothing of it runs any more; the signal must be aborted. */
  async end(): Promise<void> {
    await Promise.all(this.#tasks);
  }

  #spawn(work: () => Promise<void>): void {
    const { clock, log, ending } = this.#options;
    const task = work().catch(async (error: unknown) => {
      if (ending.aborted) return;
      // the store, most likely: the records are there, and say where to go on
      log.error('buying is interrupted', { error });
      await sleep(clock, INTERRUPTED, ending);
      this.kick();
    });
    this.#tasks.add(task);
    void task.then(() => this.#tasks.delete(task));
  }

  async #pass(): Promise<void> {
    const { state, clock, ending } = this.#options;
    for (const { value } of await listAll(state.store, DEALS)) {
      ending.throwIfAborted();
      const deal = decodeDeal(value);
      const wait = deal.notBefore - clock.now();
      if (deal.stage === 'cancel') this.#cancelApart(deal);
      else if (wait > 0) this.#wait(deal.id, wait);
      else await this.#drive(deal);
    }
  }

  /** However often it is looked at meanwhile, one wakes. */
  #wait(deal: string, ms: number): void {
    if (this.#waiting.has(deal)) return;
    this.#waiting.add(deal);
    this.#spawn(async () => {
      await sleep(this.#options.clock, ms, this.#options.ending);
      this.#waiting.delete(deal);
      this.kick();
    });
  }

  async #drive(start: Deal): Promise<void> {
    let deal = start;
    try {
      const names = [...deal.nodes, ...deal.links].map(({ name }) => name);
      await this.#options.releases.done(names, this.#patience());
      const made: Reservation[] = [];
      for (const [i, parties] of deal.rounds.entries()) {
        // rounds before the one under way are repeated for their answers, which were not kept
        if (i > deal.round || (i === deal.round && deal.stage === 'reserve')) {
          for (const party of parties) await this.#reserve(deal, party);
          deal = await this.#committing(start, i);
        }
        for (const party of parties) made.push(await this.#commit(party));
      }
      await this.#settle(deal, made);
    } catch (error) {
      this.#options.ending.throwIfAborted();
      await this.#giveUp(deal, error);
    }
  }

  /** All of a round is reserved: from here on it is committed. */
  async #committing(deal: Deal, round: number): Promise<Deal> {
    const next: Deal = { ...deal, round, stage: 'commit' };
    await this.#options.state.transact((tx) => tx.putEntry(DEALS + deal.id, encodeDeal(next)));
    return next;
  }

  #patience() {
    const { clock, ending, patienceMs = PATIENCE } = this.#options;
    return { clock, signal: ending, forMs: patienceMs };
  }

  #call<T>(party: Party, forMs: number, work: (supply: Supply) => Promise<T>): Promise<T> {
    const { log, suppliers } = this.#options;
    return repeated(() => work(suppliers.at(party.supplier, party.address)), {
      ...this.#patience(),
      forMs,
      onFailure: (error) => log.warn('a supplier does not answer', { supplier: party.supplier, error }),
    });
  }

  async #reserve(deal: Deal, party: Party): Promise<void> {
    const { ending, patienceMs = PATIENCE } = this.#options;
    const request = {
      ...reserveRequest(this.#options, deal, party),
      holdSeconds: HOLD,
      requestId: party.reservation,
    };
    await this.#call(party, patienceMs, (supply) =>
      supply.reserve(request, { signal: ending, deadlineMs: CALL }),
    );
  }

  async #commit(party: Party): Promise<Reservation> {
    const { self, ending, patienceMs = PATIENCE } = this.#options;
    const name = `customers/${self}/reservations/${party.reservation}`;
    const { reservation } = await this.#call(party, patienceMs, (supply) =>
      supply.commit({ name }, { signal: ending, deadlineMs: CALL }),
    );
    if (reservation) return reservation;
    throw new Error(`${party.supplier} committed ${name} and did not say to what`);
  }

  /** All of it is leased. */
  async #settle(deal: Deal, made: readonly Reservation[]): Promise<void> {
    const { self, state, ledger } = this.#options;
    const nodes = new Map(made.flatMap((one) => one.virtualNodes.map((node) => [node.name, node])));
    const links = new Map(made.flatMap((one) => one.virtualLinks.map((link) => [link.name, link])));
    await state.transact((tx) => {
      for (const asked of deal.nodes) {
        const lease = nodes.get(leaseOfNode(self, asked.name));
        const now = tx.get('node', asked.name);
        const facts = {
          ...(lease?.price && { price: lease.price }),
          lease: lease?.lease ?? 0,
          maintenance: lease?.maintenance ?? false,
        };
        const site = lease?.site || asked.site;
        const expireTime = lease?.term?.expireTime || formatTime(deal.created + termMs(asked));
        // with the supplier's numbers where none were asked for: what is sold on is counted against them
        const share = lease?.share ?? asked.share;
        const body: Node = { ...asked, site, ...facts, ...(share && { share }) };
        if (!now) putRelease(tx, self, body, partyOf(deal, body.name));
        else {
          ledger.putNode(tx, { body, expireTime, down: ledger.nodes.get(body.name)?.down });
          const node = { ...now, ...facts };
          tx.put('node', generationOf(now) === generationOf(asked) ? settled(node) : node);
          refreshOffer(tx, body);
        }
      }
      for (const asked of deal.links) {
        const lease = links.get(leaseOfLink(self, asked.name));
        const now = tx.get('link', asked.name);
        const facts = {
          ...(lease?.price && { price: lease.price }),
          ...(lease?.achieved && { achieved: lease.achieved }),
          lease: lease?.lease ?? 0,
          maintenance: lease?.maintenance ?? false,
        };
        const expireTime = lease?.term?.expireTime || formatTime(deal.created + termMs(asked));
        const body: Link = { ...asked, ...facts };
        if (!now) putRelease(tx, self, body, partyOf(deal, body.name));
        else {
          ledger.putLink(tx, { body, expireTime, down: ledger.links.get(body.name)?.down });
          const link = { ...now, ...facts };
          tx.put('link', generationOf(now) === generationOf(asked) ? settled(link) : link);
        }
      }
      tx.deleteEntry(DEALS + deal.id);
    });
    this.#options.releases.kick();
  }

  /** Says so, and lets go of it everywhere; for want of an answer it is tried again later. */
  async #giveUp(deal: Deal, error: unknown): Promise<void> {
    const { state, clock, log } = this.#options;
    const passing = isPassing(error);
    log.warn(passing ? 'a deal is put off' : 'a deal was refused', { deal: deal.id, error });
    const cancel: Deal = { ...deal, stage: 'cancel' };
    const reason = error instanceof ApiError ? `${error.reason}: ` : '';
    const status = passing
      ? { state: 'pending', message: `Put off: ${said(error)}` }
      : { state: 'refused', message: `${reason}${said(error)}`, reconciling: false };
    await state.transact((tx) => {
      tx.putEntry(DEALS + deal.id, encodeDeal(cancel));
      const same = <B extends Node | Link>(asked: B, now: Node | Link | undefined): boolean =>
        now !== undefined && generationOf(now) === generationOf(asked);
      const nodes = deal.nodes.filter((node) => same(node, tx.get('node', node.name)));
      const links = deal.links.filter((link) => same(link, tx.get('link', link.name)));
      for (const { name } of nodes) {
        const now = tx.get('node', name);
        if (now) tx.put('node', withStatus(now, status));
      }
      for (const { name } of links) {
        const now = tx.get('link', name);
        if (now) tx.put('link', withStatus(now, status));
      }
      if (!passing || nodes.length + links.length === 0) return;
      const next = again(deal, nodes, links, clock.now());
      tx.putEntry(DEALS + next.id, encodeDeal(next));
    });
    this.kick();
  }

  #cancelApart(deal: Deal): void {
    if (this.#cancelling.has(deal.id)) return;
    this.#cancelling.add(deal.id);
    this.#spawn(async () => {
      await this.#cancel(deal).finally(() => this.#cancelling.delete(deal.id));
    });
  }

  /** Until every supplier has acknowledged it: also those that were never heard of, for they may have heard. */
  async #cancel(deal: Deal): Promise<void> {
    const { self, state, ending } = this.#options;
    const parties = deal.rounds.flat().toReversed();
    const standing = new Set<Party>();
    await Promise.all(
      parties.map(async (party) => {
        const name = `customers/${self}/reservations/${party.reservation}`;
        try {
          await this.#call(party, Infinity, (supply) =>
            supply.cancel({ name }, { signal: ending, deadlineMs: CALL }),
          );
        } catch (error) {
          if (error instanceof ApiError && error.reason === 'CHANGE_STANDS') standing.add(party);
          else if (!isGone(error)) throw error;
        }
      }),
    );
    await state.transact((tx) => {
      for (const party of standing) this.#adopt(tx, deal, party);
      tx.deleteEntry(DEALS + deal.id);
    });
  }

  /** What was changed and cannot be changed back is what we have. */
  #adopt(tx: Tx, deal: Deal, party: Party): void {
    const { ledger, log } = this.#options;
    log.warn('changes stand, though the deal is off', { deal: deal.id, supplier: party.supplier });
    for (const asked of deal.nodes) {
      const bought = party.nodes.includes(asked.name) ? ledger.nodes.get(asked.name) : undefined;
      if (!bought) continue;
      const { site, lease } = bought.body;
      const body: Node = { ...bought.body, ...asked, site, lease };
      ledger.putNode(tx, { ...bought, body });
      const now = tx.get('node', body.name);
      if (now && generationOf(now) === generationOf(asked)) tx.put('node', settled(now));
      if (now) refreshOffer(tx, body);
    }
    for (const asked of deal.links) {
      const bought = party.links.includes(asked.name) ? ledger.links.get(asked.name) : undefined;
      if (!bought) continue;
      ledger.putLink(tx, { ...bought, body: { ...bought.body, ...asked, lease: bought.body.lease } });
      const now = tx.get('link', asked.name);
      if (now && generationOf(now) === generationOf(asked)) tx.put('link', settled(now));
    }
  }
}

function partyOf(deal: Deal, name: string): Party {
  const party = deal.rounds.flat().find(({ nodes, links }) => nodes.includes(name) || links.includes(name));
  if (party) return party;
  throw new Error(`deal ${deal.id} asks nobody for ${name}`);
}

function settled<B extends Node | Link>(body: B): B {
  return withStatus(body, {
    state: 'ready',
    message: '',
    reconciling: false,
    observedGeneration: generationOf(body),
  });
}

/** The same, under another id: what was cancelled stays so. */
function again(deal: Deal, nodes: readonly Node[], links: readonly Link[], now: number): Deal {
  const [, base = deal.id, count = '0'] = /^(.+)-r([0-9]+)$/.exec(deal.id) ?? [];
  const id = `${base}-r${Number(count) + 1}`;
  const kept = new Set([...nodes, ...links].map(({ name }) => name));
  return {
    ...deal,
    id,
    created: now,
    notBefore: now + AGAIN,
    stage: 'reserve',
    round: 0,
    nodes,
    links,
    rounds: deal.rounds
      .map((parties, i) =>
        parties
          .map((party) => ({
            ...party,
            reservation: `${id}.${i}`,
            nodes: party.nodes.filter((name) => kept.has(name)),
            links: party.links.filter((name) => kept.has(name)),
          }))
          .filter((party) => party.nodes.length + party.links.length > 0),
      )
      .filter((parties) => parties.length > 0),
  };
}
