/**
 * The controller of a service provider. One circle: what is wanted or granted has changed → what is in force, every node's
 * contents, what is said to the supplier, what is written into the resources' status.
 */
import { ServiceNetworkService } from '../api/service.js';
import { type Call, implement } from '../api/server.js';
import { missing } from '../controller/access.js';
import { resourceMethods } from '../controller/methods.js';
import { type Context, type Controller } from '../controller/process.js';
import { State } from '../controller/state.js';
import { admitChanges } from './admit.js';
import { Applier } from './applier.js';
import { type Clock, systemClock } from '../controller/clock.js';
import { type Patience, PATIENCE, waitOf } from './patience.js';
import { vifsByNode } from './compose.js';
import { Deal } from './deal.js';
import { accessOf, catalogue } from './kinds.js';
import { layoutOf } from './layout.js';
import { Listener } from './listener.js';
import { listRoutes } from './list-routes.js';
import { type Bodies, idOf, type Resource } from './model.js';
import { SetRoutes } from './set-routes.js';
import { Standing } from './standing.js';
import { StaticRoutes } from './static-routes.js';
import { Tables } from './tables.js';

export interface ServiceOptions {
  readonly clock?: Clock | undefined;
  readonly patience?: Patience | undefined;
}

export interface ServiceController extends Controller {
  /** All that follows from what has been written so far is computed and written; what others are told is on its way. */
  settled(): Promise<void>;
  readonly tables: Tables;
}

export async function makeService(
  context: Context,
  options: ServiceOptions = {},
): Promise<ServiceController> {
  const { name: self, store, log, dialer } = context;
  const clock = options.clock ?? systemClock;
  const patience = options.patience ?? PATIENCE;
  const state = await State.open<Bodies>(store, catalogue, { onStale: context.onStale });
  const statics = await StaticRoutes.open(state);
  const tables = new Tables();
  const circle = new Circle(async () => {
    const layout = layoutOf(state, deal.granted);
    for (const node of tables.follow(layout, state, statics)) applier.want(node, tables.of(node));
    for (const node of applier.nodes()) if (!tables.of(node)) applier.want(node, undefined);
    applier.wake();
    deal.wake();
    listener.follow();
    await standing.write(() => circle.isStale);
  });
  const turn = (): void => circle.turn();
  const applier = await Applier.open({
    state,
    log: log.child('apply'),
    clock,
    patience,
    supplier: () => {
      const client = deal.client();
      return client && deal.record ? { client, network: deal.record.name } : undefined;
    },
    changed: turn,
  });
  const deal = await Deal.open({
    self,
    state,
    dialer,
    log: log.child('deal'),
    clock,
    patience,
    onGranted: (tx, before, after) => {
      // a vif that was made anew is empty, whatever its node was told
      const [old, now] = [vifsByNode(before), vifsByNode(after)];
      applier.forget(
        tx,
        [...old.keys()].filter((node) => old.get(node) !== now.get(node)),
      );
    },
    changed: turn,
  });
  const listener = new Listener(deal, log.child('listen'), clock, patience);
  const standing = new Standing(state, self, deal, applier, tables);
  circle.failed = (error, failures) => {
    log.error('the state cannot be followed', { error });
    return clock.after(waitOf(patience, failures), turn);
  };
  state.onChange(turn);
  circle.turn();

  const access = accessOf(self);
  const { callerOf } = context;
  const methods = resourceMethods<Bodies, Resource>({
    state,
    access,
    callerOf,
    admit: (tx, changes) => admitChanges(tx, changes, statics),
  });
  const setRoutes = new SetRoutes(state, statics);
  /** Whoever may not see it is told that it is not there. */
  const checkCaller = (call: Call, node: string, field: string): void => {
    if (!access.sees(callerOf(call), 'node', node)) throw missing(node, field);
  };
  const service = implement(ServiceNetworkService, {
    ...methods,
    listRoutes: async (request, call) => {
      checkCaller(call, request.node, 'node');
      if (!state.get('node', request.node)) throw missing(request.node, 'node');
      await circle.settled();
      return listRoutes(request, tables.of(idOf(request.node)));
    },
    setRoutes: (requests, call) => {
      checkCaller(call, 'nodes', 'begin.node');
      return setRoutes.run(requests, call.signal);
    },
  });
  return {
    services: [service],
    tables,
    settled: () => circle.settled(),
    close: async () => {
      circle.end();
      await listener.close();
      await deal.close();
      await applier.close();
      await circle.settled();
    },
  };
}

/** Runs the work again whenever something has turned since it began; one at a time. */
class Circle {
  readonly #work: () => Promise<void>;
  failed: ((error: unknown, failures: number) => () => void) | undefined;
  #again = false;
  #ended = false;
  #failures = 0;
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** There will be another turn. */
  get isStale(): boolean {
    return this.#again;
  }

  turn(): void {
    if (this.#ended) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again && !this.#cancel) this.turn();
    });
  }

  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  end(): void {
    this.#ended = true;
    this.#again = false;
    this.#cancel?.();
  }

  async #run(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    // what is said in one go is followed in one go
    await new Promise((done) => setImmediate(done));
    while (this.#again && !this.#ended) {
      this.#again = false;
      try {
        await this.#work();
        this.#failures = 0;
      } catch (error) {
        if (this.#ended) return;
        this.#cancel = this.failed?.(error, ++this.#failures);
        this.#again = false;
        return;
      }
    }
  }
}
