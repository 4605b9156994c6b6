/** The controller: what there is, and what keeps it so. */
import { ConnectivityService, type Resource } from '../api/connectivity.js';
import { unimplemented } from '../api/errors.js';
import { implement } from '../api/server.js';
import { type Caller } from '../controller/access.js';
import { type Admission, resourceMethods } from '../controller/methods.js';
import { type Context, type Controller } from '../controller/process.js';
import { State } from '../controller/state.js';
import { admit } from './admit.js';
import { buy } from './admit-purchase.js';
import { Buyer } from './buyer.js';
import { type Clock, systemClock } from './clock.js';
import { accessOf, type Bodies, catalogue, type Tx } from './kinds.js';
import { Ledger } from './ledger.js';
import { Releases } from './release.js';
import { Suppliers } from './suppliers.js';

export interface ConnectivityOptions {
  readonly clock?: Clock | undefined;
  /** See {@link Buyer}. */
  readonly patienceMs?: number | undefined;
}

export async function makeConnectivity(
  context: Context,
  { clock = systemClock, patienceMs }: ConnectivityOptions = {},
): Promise<Controller> {
  const { name: self, store, log, ending } = context;
  const state = await State.open(store, catalogue);
  const ledger = await Ledger.open(store);
  const suppliers = new Suppliers(context.dialer);
  const shared = { self, state, ledger, suppliers, clock, log, ending };
  const releases = new Releases(shared);
  const buyer = new Buyer({ ...shared, releases, patienceMs });
  const purchase = () => ({ self, ledger, now: clock.now() });
  const kick = (): void => {
    releases.kick();
    buyer.kick();
  };
  const methods = resourceMethods<Bodies, Resource>({
    state,
    access: accessOf(self),
    callerOf: context.callerOf,
    admit: (tx: Tx, changes: readonly Admission<Bodies>[], _caller: Caller) => {
      admit(purchase(), tx, changes);
      tx.onCommit(kick);
    },
  });
  kick();
  return {
    services: [
      implement(ConnectivityService, {
        ...methods,
        async update(request, call) {
          const refusedBefore = refusedAmong(request.resources.flatMap(named), state);
          const answer = await methods.update(request, call);
          if (refusedBefore.length === 0 || request.validateOnly) return answer;
          // the same again, of what was refused: it is asked for once more
          await state.transact((tx) => {
            buyAgain(tx, refusedBefore);
            tx.onCommit(kick);
          });
          return {
            resources: request.resources.flatMap(named).map((name) => methods.get({ name }, call).resource),
          };
        },
        apply() {
          throw unimplemented({ reason: 'UNIMPLEMENTED', message: 'Not yet.' });
        },
      }),
    ],
    async close() {
      await buyer.end();
      await releases.end();
      suppliers.close();
    },
  };

  function buyAgain(tx: Tx, names: readonly string[]): void {
    const still = new Set(names);
    const open = <
      B extends { readonly name: string; readonly status?: { readonly state: string } | undefined },
    >(
      body: B,
    ): boolean => still.has(body.name) && body.status?.state === 'refused';
    buy(purchase(), tx, tx.all('node').filter(open), tx.all('link').filter(open));
  }
}

function named(resource: Resource): string[] {
  const { kind } = resource;
  if (kind === undefined) return [];
  const body = resource[kind as 'node'];
  return body ? [body.name] : [];
}

function refusedAmong(names: readonly string[], state: State<Bodies>): string[] {
  return names.filter(
    (name) => (state.get('node', name) ?? state.get('link', name))?.status?.state === 'refused',
  );
}
