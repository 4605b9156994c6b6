/** What one decision about a reservation is taken from; it grows while the parts of the reservation are planned. */
import { type Bodies, type Tx } from './kinds.js';
import { Ledger } from './ledger.js';
import { tariffOf } from './price.js';
import { Routing } from './routing.js';

export interface Planning {
  readonly view: Tx;
  readonly ledger: Ledger;
  readonly routing: Routing;
  readonly tariff: Bodies['tariff'];
  readonly customer: string;
  /** Nodes of this reservation: others that are only held may never come to be. */
  readonly fresh: Set<string>;
  /** Leases that this reservation changes. */
  readonly changed: Set<string>;
  /** This provider's name. */
  readonly provider: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export function planningOf(view: Tx, customer: string, provider: string, now: number): Planning {
  return {
    view,
    ledger: new Ledger(view),
    routing: new Routing(view),
    tariff: tariffOf(view),
    customer,
    fresh: new Set(),
    changed: new Set(),
    provider,
    now,
  };
}
