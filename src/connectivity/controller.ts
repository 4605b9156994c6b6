/** The controller: what there is, and what keeps it so. */
import { ConnectivityService, type Resource } from '../api/connectivity.js';
import { unavailable } from '../api/errors.js';
import { type Logger } from '../api/log.js';
import { implement } from '../api/server.js';
import { type Caller } from '../controller/access.js';
import { type Admission, resourceMethods } from '../controller/methods.js';
import { type Context, type Controller } from '../controller/process.js';
import { State } from '../controller/state.js';
import { admit } from './admit.js';
import { buy } from './admit-purchase.js';
import { applyContents } from './apply.js';
import { Buyer } from './buyer.js';
import { type Clock, systemClock, sleep } from '../controller/clock.js';
import { accessOf, type Bodies, catalogue, type Tx } from './kinds.js';
import { Leases } from './leases.js';
import { Ledger } from './ledger.js';
import { Customers } from './customers.js';
import { Epochs } from './program/epochs.js';
import { Programmer } from './program/programmer.js';
import { Records } from './program/records.js';
import { Renewer } from './renewer.js';
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
  const methods = resourceMethods<Bodies, Resource>({
    state,
    access: accessOf(self),
    callerOf: context.callerOf,
    admit: (tx: Tx, changes: readonly Admission<Bodies>[], _caller: Caller) => {
      admit(purchase(), tx, changes);
      tx.onCommit(kick);
    },
  });
  const records = await Records.open(store);
  const epochs = await Epochs.open(state);
  const programmer = new Programmer({ ...shared, records, epochs });
  const customers = await Customers.open({ ...shared, epochs, target: (node) => programmer.target(node) });
  const leases = new Leases(shared);
  const renewer = new Renewer(shared);
  const stop = followChanges(state, { programmer, customers, leases, renewer }, log);
  leases.kick();
  programmer.resume();
  kick();
  return {
    services: [
      implement(ConnectivityService, {
        ...methods,
        async update(given, call) {
          const request = { ...given, resources: given.resources.map((one) => withPlacement(one, state)) };
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

interface Followers {
  readonly programmer: Programmer;
  readonly customers: Customers;
  readonly leases: Leases;
  readonly renewer: Renewer;
}

/** What is made of changes of resources, whoever made them. */
function followChanges(
  state: State<Bodies>,
  { programmer, customers, leases, renewer }: Followers,
  log: Logger,
): () => void {
  return state.onChange((changes) => {
    if (
      changes.some(({ before, after }) =>
        ['node', 'link', 'supplier'].includes((after ?? before)?.kind ?? ''),
      )
    ) {
      programmer.ownLinks();
      customers.kick();
      leases.kick();
      renewer.kick();
    }
    for (const { name, before, after } of changes) {
      if ((after ?? before)?.kind !== 'serviceNetwork') continue;
      const asked = (item: typeof before): string =>
        item
          ? catalogue.encode({ ...item, body: catalogue.spec(item.kind, item.body) }).toString('base64')
          : '';
      if (asked(before) === asked(after)) continue;
      programmer.network(name);
      customers.network(name).catch((error: unknown) => log.warn('contents are left over', { name, error }));
    }
  });
}

const READY_WITHIN = 20_000;

/** Resolves when all machines have what the network is made of. */
async function networkReady(
  state: State<Bodies>,
  name: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const isReady = (): boolean => state.get('serviceNetwork', name)?.status?.reconciling === false;
  if (isReady()) return;
  const woken = new AbortController();
  const stop = state.onChange(() => {
    if (isReady()) woken.abort();
  });
  try {
    await sleep(clock, READY_WITHIN, AbortSignal.any([signal, woken.signal]));
  } finally {
    stop();
  }
  signal.throwIfAborted();
  if (isReady()) return;
  throw unavailable({
    reason: 'NOT_READY',
    field: 'begin.service_network',
    message: `${name} is not yet on its machines; repeat later.`,
  });
}

function named(resource: Resource): string[] {
  const { kind } = resource;
  if (kind === undefined) return [];
  const body = resource[kind as 'node'];
  return body ? [body.name] : [];
}

/** What we write into the links of a network is as it was, whatever the caller gives: else every repetition is a change. */
function withPlacement(resource: Resource, state: State<Bodies>): Resource {
  if (resource.kind !== 'serviceNetwork') return resource;
  const { serviceNetwork } = resource;
  const known = new Map(
    state.get('serviceNetwork', serviceNetwork.name)?.links.map((link) => [link.name, link]),
  );
  const links = serviceNetwork.links.map((given) => {
    const old = known.get(given.name);
    const { name, a, b, vifA, vifB, slo, mtu, payload, via } = given;
    return {
      ...{ name, a, b, vifA, vifB, mtu, payload, via },
      ...(slo && { slo }),
      path: old?.path ?? [],
      backup: old?.backup ?? [],
      // nobody watches links yet: they are taken for up
      state: '',
      message: '',
      ...(old?.achieved && { achieved: old.achieved }),
      ...(old?.price && { price: old.price }),
    };
  });
  return { kind: 'serviceNetwork', serviceNetwork: { ...serviceNetwork, links } };
}

function refusedAmong(names: readonly string[], state: State<Bodies>): string[] {
  return names.filter(
    (name) => (state.get('node', name) ?? state.get('link', name))?.status?.state === 'refused',
  );
}
