/** The controller: what there is, and what keeps it so. */
import { ConnectivityService, type Resource, type UpdateRequest } from '../api/connectivity.js';
import { type Call, implement } from '../api/server.js';
import { type Caller } from '../controller/access.js';
import { type Admission, resourceMethods } from '../controller/methods.js';
import { type Context, type Controller } from '../controller/process.js';
import { listReports } from '../controller/reports.js';
import { State } from '../controller/state.js';
import { admit } from './admit.js';
import { buy, recheck } from './admit-purchase.js';
import { applyContents } from './apply.js';
import { askSuppliers } from './ask.js';
import { Buyer } from './buyer.js';
import { type Deal } from './deal.js';
import { type Clock, systemClock } from '../controller/clock.js';
import { accessOf, type Bodies, catalogue, type Tx } from './kinds.js';
import { Leases } from './leases.js';
import { Ledger } from './ledger.js';
import { Customers } from './customers.js';
import { Epochs } from './program/epochs.js';
import { Programmer } from './program/programmer.js';
import { Records } from './program/records.js';
import { Renewer } from './renewer.js';
import { Releases } from './release.js';
import { Restorer } from './restorer.js';
import { openHistories, reportsOf, takeUp } from './histories.js';
import { Homes } from './homes.js';
import { Expirer } from './expirer.js';
import { followChanges } from './follow.js';
import { againstNow, named, refusedAmong } from './given.js';
import { PathReader } from './path-reader.js';
import { networkReady } from './ready.js';
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
  const state = await State.open(store, catalogue, { onStale: context.onStale });
  const ledger = await Ledger.open(store);
  const suppliers = new Suppliers(context.dialer);
  const shared = { self, state, ledger, suppliers, clock, log, ending };
  const releases = new Releases(shared);
  const buyer = new Buyer({ ...shared, releases, patienceMs });
  const purchase = () => ({
    self,
    ledger,
    now: clock.now(),
    isSentOver: (link: string) => programmer.uses(link),
  });
  const kick = (): void => {
    releases.kick();
    buyer.kick();
  };
  const common = { state, access: accessOf(self), callerOf: context.callerOf, against: againstNow(self) };
  const methods = resourceMethods<Bodies, Resource>({
    ...common,
    admit: (tx: Tx, changes: readonly Admission<Bodies>[], _caller: Caller) => {
      admit(purchase(), tx, changes);
      tx.onCommit(kick);
    },
  });
  /** Says what suppliers say of what would be bought; changes nothing. */
  const tryOut = async (request: UpdateRequest, call: Call): Promise<{ resources: readonly Resource[] }> => {
    const deals: Deal[] = [];
    const { resources } = await resourceMethods<Bodies, Resource>({
      ...common,
      admit: (tx: Tx, changes: readonly Admission<Bodies>[]) =>
        admit({ ...purchase(), onDeal: (deal) => deals.push(deal) }, tx, changes),
    }).update(request, call);
    // addresses that are only tried are none of the others' business
    const asked = new Suppliers(context.dialer);
    try {
      const signal = AbortSignal.any([call.signal, ending]);
      return {
        resources: await askSuppliers({ self, state, ledger, suppliers: asked }, deals, resources, signal),
      };
    } finally {
      asked.close();
    }
  };
  const records = await Records.open(store);
  const epochs = await Epochs.open(state);
  const programmer = new Programmer({ ...shared, records, epochs });
  const customers = await Customers.open({ ...shared, epochs, target: (node) => programmer.target(node) });
  const leases = new Leases(shared);
  const renewer = new Renewer(shared);
  const expirer = new Expirer(shared);
  const restorer = new Restorer({ ...shared, homes: await Homes.open(store) });
  const histories = await openHistories(shared);
  const reader = new PathReader({
    ...shared,
    told: (supplier, paths) => takeUp(histories, supplier, paths),
  });
  const reports = reportsOf(shared, histories);
  const stop = followChanges(state, { programmer, customers, leases, renewer, restorer, expirer }, log);
  leases.kick();
  programmer.resume();
  restorer.kick();
  expirer.kick();
  kick();
  return {
    services: [
      implement(ConnectivityService, {
        ...methods,
        async update(request, call) {
          if (request.validateOnly) return tryOut(request, call);
          const refusedBefore = refusedAmong(request.resources.flatMap(named), state);
          const answer = await methods.update(request, call);
          if (refusedBefore.length === 0) return answer;
          // the same again, of what was refused: it is asked for once more
          await state.transact((tx) => {
            buyAgain(tx, refusedBefore);
            tx.onCommit(kick);
          });
          return {
            resources: request.resources.flatMap(named).map((name) => methods.get({ name }, call).resource),
          };
        },
        listReports: (request, call) => listReports(reports, context.callerOf(call), request),
        apply: (requests, call) =>
          applyContents(
            {
              state,
              customers,
              callerOf: context.callerOf,
              target: (node) => programmer.target(node),
              ready: (network, signal) => networkReady(state, network, clock, signal),
            },
            requests,
            call,
          ),
      }),
    ],
    async close() {
      stop();
      await buyer.end();
      await programmer.end();
      await customers.end();
      await leases.end();
      await renewer.end();
      await restorer.end();
      await expirer.end();
      await releases.end();
      await reader.end();
      await histories.close();
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
    const [nodes, links] = [tx.all('node').filter(open), tx.all('link').filter(open)];
    recheck(purchase(), tx, nodes, links);
    buy(purchase(), tx, nodes, links);
  }
}
