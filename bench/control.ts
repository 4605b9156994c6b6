/*
 * Controllers: what 100 000 static routes of one node take from the first message of SetRoutes until they are in force in
 * the service provider's store, and until its supplier has received them. The supplier here counts and forgets.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { cabernet } from '../gen/cabernet.js';
import { connect } from '../src/api/client.js';
import { ConnectivityService, type ServiceNetwork } from '../src/api/connectivity.js';
import { createLogger } from '../src/api/log.js';
import { type Draft } from '../src/api/message.js';
import { type Implementation, implement, startServer } from '../src/api/server.js';
import { ServiceNetworkService } from '../src/api/service.js';
import { types } from '../src/api/types.js';
import { dialerWith } from '../src/controller/dial.js';
import { makeService } from '../src/service/controller.js';
import { SqliteStore } from '../src/store/sqlite.js';
import { median, round, row, type Row } from './report.js';

const rounds = 5;
const routes = 100_000;

class Counting {
  network: ServiceNetwork | undefined;
  received: ((resources: number) => void) | undefined;

  service(): Implementation {
    const none = (): never => {
      throw new Error('nobody asks for that here');
    };
    return implement(ConnectivityService, {
      get: none,
      list: none,
      delete: none,
      listReports: none,
      update: ({ resources }) => {
        this.network = resources[0]?.serviceNetwork;
        return { resources };
      },
      watch: async function* watch(this: Counting, _: unknown, call: { readonly signal: AbortSignal }) {
        const { EventType } = types;
        if (this.network) {
          const resource = { serviceNetwork: this.network };
          yield { type: EventType.EVENT_TYPE_CURRENT, resource, resumeToken: '' };
        }
        yield { type: EventType.EVENT_TYPE_SYNCED, resumeToken: 'now' };
        await new Promise<void>((done) =>
          call.signal.addEventListener('abort', () => done(), { once: true }),
        );
      }.bind(this),
      apply: async (requests) => {
        let count = 0;
        for await (const request of requests)
          if (request.message === 'resources') count += request.resources.resources.length;
        this.received?.(count);
        return {};
      },
    });
  }
}

function* stream(second: number): Generator<Draft<cabernet.service.v1.SetRoutesRequest>, void> {
  yield { begin: { node: 'nodes/P' } };
  for (let i = 0; i < routes; i += 5000) {
    const batch = Array.from({ length: 5000 }, (_, k) => {
      const n = i + k;
      const destination = `${second + (n >> 16)}.${(n >> 8) & 255}.${n & 255}.0/24`;
      return { destination, nextHops: [{ vif: 'to-Q', gateway: '10.255.0.3' }] };
    });
    yield { routes: { routes: batch } };
  }
  yield { commit: { routeCount: routes } };
}

export async function control(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-bench-'));
  const log = createLogger({ component: 'bench', level: 'error' });
  const counting = new Counting();
  const [below, own] = [join(folder, 'below.sock'), join(folder, 'own.sock')];
  const supplier = await startServer({ socketPath: below, services: [counting.service()], log });
  const store = await SqliteStore.open({ path: join(folder, 'state.db'), owner: 'service/bench' });
  const controller = await makeService({
    role: 'service',
    name: 'bench',
    store,
    log,
    dialer: dialerWith(undefined),
    callerOf: () => ({ role: 'local', name: '' }),
    ending: new AbortController().signal,
  });
  const server = await startServer({ socketPath: own, services: controller.services, log });
  const client = connect(ServiceNetworkService, { socketPath: own, deadlineMs: 300_000 });
  try {
    await client.update({
      resources: [
        { network: { name: 'network', supplier: 'conn', supplierAddress: `unix:${below}` } },
        { node: { name: 'nodes/P' } },
        { node: { name: 'nodes/Q' } },
        { link: { name: 'links/l', a: 'nodes/P', b: 'nodes/Q' } },
      ],
    });
    const [stored, told]: [number[], number[]] = [[], []];
    for (let i = 0; i < rounds; i++) {
      const arrived = new Promise<void>((done) => {
        counting.received = (count) => count > routes && done();
      });
      const begun = performance.now();
      await client.setRoutes(stream(20 + 4 * i));
      stored.push(performance.now() - begun);
      await arrived;
      told.push(performance.now() - begun);
    }
    const bench = 'control';
    return [
      row({ bench, case: '100 000 routes by SetRoutes: in force', unit: 'ms', value: round(median(stored)) }),
      row({ bench, case: '… received by the supplier', unit: 'ms', value: round(median(told)) }),
    ];
  } finally {
    client.close();
    await server.stop();
    await controller.close();
    await store.close();
    await supplier.stop();
    rmSync(folder, { recursive: true });
  }
}
