/** `cabernet infrastructure`: the controller of one infrastructure provider. */
import { InfrastructureService, PathService } from '../api/infrastructure.js';
import {
  type Context,
  type Controller,
  type ControllerKind,
  type ControllerOptions,
  runController,
} from '../controller/process.js';
import { State } from '../controller/state.js';
import { type Clock, systemClock } from '../controller/clock.js';
import { ContentStore } from './content-store.js';
import { Fleet } from './fleet.js';
import { openHistories, takeUp } from './histories.js';
import { catalogue } from './kinds.js';
import { machineOf } from './ledger.js';
import { Mover } from './mover.js';
import { Outages } from './outages.js';
import { pathService } from './path-service.js';
import { Peers } from './peers.js';
import { Repairer } from './repairer.js';
import { infrastructureService } from './service.js';
import { catchUp, Timer } from './timer.js';
import { WatchedPaths } from './watched-paths.js';

export interface Tuning {
  readonly clock?: Clock;
  /** Milliseconds before an agent is called again: at first, and at most. */
  readonly backoff?: readonly [number, number];
}

/** From the store, to where it was. */
export async function makeInfrastructure(context: Context, tuning: Tuning = {}): Promise<Controller> {
  const { name: provider, store, log, dialer, callerOf } = context;
  const clock = tuning.clock ?? systemClock;
  const state = await State.open(store, catalogue, { onStale: context.onStale });
  await catchUp(state, clock);
  const contents = await ContentStore.open(state);
  const timer = new Timer(state, clock, log);
  const histories = await openHistories({ provider, state, clock, log });
  const outages = new Outages({
    ...{ state, recorder: histories.recorder, clock, log },
    ask(link) {
      for (const end of [link.a, link.b]) {
        const node = state.get('virtualNode', end?.virtualNode ?? '');
        if (node) fleet.of(machineOf(node))?.readPaths();
      }
    },
  });
  const paths = new WatchedPaths();
  const fleet = new Fleet({
    ...{ provider, state, contents, dialer, clock, log },
    onPaths(machine, read) {
      if (!read) return paths.forget(machine);
      paths.set(machine, read);
      takeUp(histories, machine, read);
      outages.settle();
    },
    backoff: tuning.backoff,
    term: context.term,
  });
  const peers = new Peers({ state, dialer, log, backoff: tuning.backoff ?? [500, 30_000] });
  const mover = new Mover({ state, clock, log });
  const repairer = new Repairer({ state, clock, log });
  const options = { provider, state, contents, fleet, peers, dialer, clock, callerOf, histories, paths };
  return {
    services: [infrastructureService(options), pathService(options)],
    async close() {
      await timer.close();
      await mover.close();
      await repairer.close();
      await peers.close();
      await fleet.close();
      await outages.close();
      await histories.close();
      contents.close();
    },
  };
}

const kind: ControllerKind = {
  services: [InfrastructureService, PathService],
  rights: {
    'cabernet.infrastructure.v1.InfrastructureService': {
      connectivity: [
        'Get',
        'List',
        'Watch',
        'Reserve',
        'Commit',
        'Cancel',
        'Renew',
        'Delete',
        'Apply',
        'ListPaths',
        'ListReports',
      ],
    },
    'cabernet.infrastructure.v1.PathService': {
      infrastructure: ['ComputeTree', 'ReserveSegment', 'CommitSegment', 'ReleaseSegment'],
    },
  },
  make: (context) => makeInfrastructure(context),
};

export async function runInfrastructure(options: Omit<ControllerOptions, 'role'>): Promise<void> {
  await runController({ ...options, role: 'infrastructure' }, kind);
}
