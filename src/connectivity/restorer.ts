/**
 * Moves service links away from what is lost below them, at once, and back when that has been there for long enough. The
 * decision is one transaction for each network; the programmer then makes the new way before it lets go of the old one.
 */
import { type ServiceLink, type ServiceNetwork } from '../api/connectivity.js';
import { type Logger } from '../api/log.js';
import { type Clock } from '../controller/clock.js';
import { wantsBackup } from '../controller/protection.js';
import { Rounds } from '../controller/rounds.js';
import { writeSold } from './admit-network.js';
import { Drained } from './drained.js';
import { type Home, type Homes } from './homes.js';
import { type ConnectivityState, type Tx } from './kinds.js';
import { isUp, type Ledger } from './ledger.js';
import { backupFor } from './placement/place.js';
import { demandOf, placeLinks, pricesOf, withPlacement } from './placing.js';
import { withStatus } from './status.js';
import { supplyOf } from './supply-of.js';
import { bitsOf, linksOf, loadOf, Usage } from './usage.js';

export interface RestorerOptions {
  readonly state: ConnectivityState;
  readonly ledger: Ledger;
  readonly homes: Homes;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ending: AbortSignal;
}

/** The wait to restore of ITU-T G.808.1 and RFC 6378: what was lost is steady when it has been back for so long. */
export const WAIT_TO_RESTORE = 300_000;

export class Restorer {
  readonly #options: RestorerOptions;
  /** Links below that are there: since when, milliseconds. */
  readonly #since = new Map<string, number>();
  /** Links below that are bought and not there. */
  readonly #lost = new Set<string>();
  readonly #rounds: Rounds;
  #timer: (() => void) | undefined;

  constructor(options: RestorerOptions) {
    this.#options = options;
    this.#rounds = new Rounds({ ...options, trouble: 'restoring is interrupted' }, () => this.#round());
    const now = options.clock.now();
    for (const name of options.ledger.links.keys())
      if (isUp(options.ledger, name)) this.#since.set(name, now);
  }

  /** What is below, or what stands on it, has changed. */
  kick(): void {
    const { ledger, clock, ending } = this.#options;
    if (ending.aborted) return;
    for (const name of new Set([...ledger.links.keys(), ...this.#since.keys(), ...this.#lost])) {
      if (isUp(ledger, name)) {
        // what has just been bought is not under suspicion
        if (!this.#since.has(name)) this.#since.set(name, this.#lost.has(name) ? clock.now() : 0);
        this.#lost.delete(name);
      } else {
        this.#since.delete(name);
        if (ledger.links.has(name)) this.#lost.add(name);
        else this.#lost.delete(name);
      }
    }
    this.#rounds.kick();
  }

  async end(): Promise<void> {
    this.#timer?.();
    await this.#rounds.end();
  }

  async #round(): Promise<void> {
    const { state } = this.#options;
    const drained = new Drained(state);
    for (const network of state.all('serviceNetwork')) {
      const { name, links } = network;
      const wanting = links.some((link) => this.#isWanting(link, drained.of(link, network)));
      if (wanting || this.#due(name).length > 0) await state.transact((tx) => this.#restore(tx, name));
    }
    await this.#forget();
    this.#wait();
  }

  /** Its path is not there or is to be left, or its backup. */
  #isWanting(link: ServiceLink, off: ReadonlySet<string>): boolean {
    if (link.backup.length === 0 && wantsBackup(link)) return true;
    return !linksOf(link).every((name) => isUp(this.#options.ledger, name) && !off.has(name));
  }

  /** When all of them have been there for long enough; Infinity: some are not there. */
  #steadyAt(path: readonly string[]): number {
    return Math.max(...path.map((name) => (this.#since.get(name) ?? Infinity) + WAIT_TO_RESTORE));
  }

  /** What it waits for: the path of before, or once it is there again, the backup. */
  #backAt(home: Home): number {
    const body = this.#options.state.get('serviceNetwork', home.network);
    const link = body?.links.find(({ name }) => name === home.link);
    if (!body || !link || isSamePlace(link, home)) return Infinity;
    const way = isSame(link.path, home.path) ? home.backup : home.path;
    const off = new Drained(this.#options.state).of(link, body);
    // what was only drained is as steady as it was
    return way.some((name) => off.has(name)) ? Infinity : this.#steadyAt(way);
  }

  #due(network: string): readonly Home[] {
    const now = this.#options.clock.now();
    return this.#options.homes.of(network).filter((home) => this.#backAt(home) <= now);
  }

  #wait(): void {
    const { clock, homes } = this.#options;
    this.#timer?.();
    const now = clock.now();
    const times = homes.all().map((home) => this.#backAt(home));
    const next = Math.min(...times.filter((time) => time > now));
    this.#timer = next === Infinity ? undefined : clock.after(next - now, () => this.kick());
  }

  #restore(tx: Tx, name: string): void {
    const { ledger, clock } = this.#options;
    const before = tx.get('serviceNetwork', name);
    if (!before) return;
    const others = new Usage(tx.all('serviceNetwork').filter((one) => one.name !== name));
    const now = clock.now();
    const fresh = [...this.#since].flatMap(([link]) => (this.#steadyAt([link]) > now ? [link] : []));
    const again = (network: ServiceNetwork, avoid?: ReadonlySet<string>): ServiceNetwork => {
      const at = { tx, ledger, field: '', before: network, after: network, others };
      return { ...network, links: placeLinks({ ...at, avoid, leavesDrained: true }) };
    };
    // what has only just come back may go again: it is taken where there is nothing else
    const moved = this.#goBack(tx, again(again(before, new Set(fresh))), others);
    if (JSON.stringify(moved.links.map(placeOf)) === JSON.stringify(before.links.map(placeOf))) return;
    for (const [i, link] of before.links.entries()) {
      const then = moved.links[i];
      if (then && !isSamePlace(then, link)) this.#note(tx, before, link, then);
    }
    tx.put('serviceNetwork', withStatus(moved, { state: 'programming', reconciling: true }));
    writeSold(tx, ledger, before, moved);
  }

  /** Its home is remembered when it leaves, forgotten when it is there again. */
  #note(tx: Tx, before: ServiceNetwork, link: ServiceLink, moved: ServiceLink): void {
    const { homes, log } = this.#options;
    log.info('a service link is carried another way', {
      network: before.name,
      link: link.name,
      path: moved.path.join(' '),
      backup: moved.backup.join(' '),
    });
    const home = homes.of(before.name).find((one) => one.link === link.name);
    if (home && isSamePlace(home, moved)) homes.drop(tx, home);
    else homes.keep(tx, before, link);
  }

  /** Those whose home has been there for long enough, and has room for them. */
  #goBack(tx: Tx, network: ServiceNetwork, others: Usage): ServiceNetwork {
    const { ledger } = this.#options;
    let { links } = network;
    const drained = new Drained(tx);
    for (const home of this.#due(network.name)) {
      const i = links.findIndex(({ name }) => name === home.link);
      const link = links[i];
      const demand = link && demandOf(link, network);
      if (!demand || JSON.stringify(demand) !== home.demand) continue;
      const supply = supplyOf(ledger, others, (below) => tx.get('link', below));
      for (const one of links) if (one !== link) supply.take(loadOf(one, one), Number(bitsOf(one)));
      const load = loadOf(link, home);
      const off = drained.of(link, network);
      const fits = (below: string): boolean => {
        const edge = supply.edge(below);
        const bits = demand.bitsPerSecond * load.filter((name) => name === below).length;
        return isUp(ledger, below) && !off.has(below) && edge !== undefined && supply.free(edge) >= bits;
      };
      const { path, backup } = home;
      if (!path.every(fits)) continue;
      const whole = backup.every(fits);
      // only its backup is elsewhere
      if (!whole && isSame(path, link.path)) continue;
      const placement = whole
        ? home
        : (backupFor(supply, { ...demand, avoid: off }, pricesOf(tx, link), path) ?? home);
      links = links.with(i, withPlacement(link, placement, ledger));
    }
    return { ...network, links };
  }

  /** Homes of what is gone, or asks for something else by now. */
  async #forget(): Promise<void> {
    const { state, homes } = this.#options;
    const stale = homes.all().filter(({ network, link, demand }) => {
      const body = state.get('serviceNetwork', network);
      const now = body?.links.find(({ name }) => name === link);
      return !body || !now || JSON.stringify(demandOf(now, body)) !== demand;
    });
    if (stale.length === 0) return;
    await state.transact((tx) => {
      for (const home of stale) homes.drop(tx, home);
    });
  }
}

interface Place {
  readonly path: readonly string[];
  readonly backup: readonly string[];
}

function placeOf({ path, backup }: Place): readonly (readonly string[])[] {
  return [path, backup];
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.join() === other.join();
}

function isSamePlace(one: Place, other: Place): boolean {
  return isSame(one.path, other.path) && isSame(one.backup, other.backup);
}
