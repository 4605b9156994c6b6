/** Ends the terms of service networks when their time comes; at the start, whatever has come meanwhile. */
import { type ServiceNetwork } from '../api/connectivity.js';
import { type Logger } from '../api/log.js';
import { type LeaseState, types } from '../api/types.js';
import { type Clock } from '../controller/clock.js';
import { leaseAt, nextMoment } from '../controller/terms.js';
import { Rounds } from '../controller/rounds.js';
import { writeSold } from './admit-network.js';
import { type ConnectivityState, type Tx } from './kinds.js';
import { type Ledger } from './ledger.js';
import { TERM_IS_OVER } from './network-terms.js';
import { withStatus } from './status.js';

export interface ExpirerOptions {
  readonly state: ConnectivityState;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ending: AbortSignal;
}

export class Expirer {
  readonly #options: ExpirerOptions;
  readonly #rounds: Rounds;
  #timer: (() => void) | undefined;

  constructor(options: ExpirerOptions) {
    this.#options = options;
    this.#rounds = new Rounds({ ...options, trouble: 'terms cannot be kept' }, () => this.#round());
  }

  /** Networks, or the time, have changed. */
  kick(): void {
    this.#rounds.kick();
  }

  async end(): Promise<void> {
    this.#timer?.();
    await this.#rounds.end();
  }

  async #round(): Promise<void> {
    const { state, clock } = this.#options;
    this.#timer?.();
    for (const { name, term, lease } of state.all('serviceNetwork'))
      if (leaseAt(term, clock.now()) !== lease) await state.transact((tx) => this.#turn(tx, name));
    const now = clock.now();
    const next = Math.min(...state.all('serviceNetwork').map(({ term }) => nextMoment(term, now)));
    if (next < Infinity) this.#timer = clock.after(next - now, () => this.kick());
  }

  /** As its term has it now: it may have been renewed since it was looked at. */
  #turn(tx: Tx, name: string): void {
    const { ledger, clock, log } = this.#options;
    const network = tx.get('serviceNetwork', name);
    const lease = network && leaseAt(network.term, clock.now());
    if (!network || lease === network.lease) return;
    if (lease !== undefined) {
      tx.put('serviceNetwork', turned(network, lease));
      return;
    }
    log.info('a service network has ended', { name });
    tx.delete(name);
    writeSold(tx, ledger, network, undefined);
  }
}

function turned(network: ServiceNetwork, lease: LeaseState): ServiceNetwork {
  if (lease !== types.LeaseState.LEASE_STATE_SUSPENDED) return { ...network, lease };
  return withStatus({ ...network, lease }, { state: 'suspended', message: TERM_IS_OVER, reconciling: true });
}
