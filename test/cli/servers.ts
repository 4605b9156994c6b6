/*
 * Controllers for the tests of the command line: the real methods over a real SQLite store on a unix socket, with the
 * kinds of each API, in a process of their own or in this one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { cabernet } from '../../gen/cabernet.js';
import { ConnectivityService, resourceType as connectivityResource } from '../../src/api/connectivity.js';
import { unimplemented } from '../../src/api/errors.js';
import {
  InfrastructureService,
  resourceType as infrastructureResource,
} from '../../src/api/infrastructure.js';
import { createLogger } from '../../src/api/log.js';
import { type Message, type ServiceType } from '../../src/api/message.js';
import { type ApiServer, type Implementation, implement, startServer } from '../../src/api/server.js';
import { resourceType as serviceResource, ServiceNetworkService } from '../../src/api/service.js';
import { type Access } from '../../src/controller/access.js';
import { type BodiesOf, Catalogue, type Shape } from '../../src/controller/kind.js';
import { type Admission, resourceMethods } from '../../src/controller/methods.js';
import { type ReportsRequest } from '../../src/controller/reports.js';
import { State, type Transaction } from '../../src/controller/state.js';
import { SqliteStore } from '../../src/store/sqlite.js';

type Infrastructure = BodiesOf<Message<cabernet.infrastructure.v1.Resource>>;
type Connectivity = BodiesOf<Message<cabernet.connectivity.v1.Resource>>;
type Service = BodiesOf<Message<cabernet.service.v1.Resource>>;

const made = { writable: false, outputs: [] } as const;
const written = { writable: true, outputs: [] } as const;

const infrastructure = new Catalogue<Infrastructure>(infrastructureResource, {
  machine: { collection: 'machines', writable: true, outputs: ['state'] },
  wire: {
    collection: 'wires',
    writable: true,
    outputs: ['soldAToB', 'soldBToA'],
    check: ({ a, mtu }, wrong) => {
      if (a?.interface === '')
        throw wrong('a.interface', 'INTERFACE', 'a.interface must be 1 to 15 characters.');
      if (mtu > 9800) throw wrong('mtu', 'MTU', 'mtu must be at most 9800.');
    },
  },
  peering: { collection: 'peerings', writable: true, outputs: ['soldOut', 'soldIn'] },
  customer: { collection: 'customers', ...written },
  tariff: { collection: 'tariff', ...written },
  offer: { collection: 'offers', ...made },
  virtualNode: { collection: 'customers/+/virtualNodes', writable: true, outputs: ['price', 'lease'] },
  virtualLink: {
    collection: 'customers/+/virtualLinks',
    writable: true,
    outputs: ['price', 'lease', 'achieved', 'wires'],
  },
  reservation: { collection: 'customers/+/reservations', ...made },
  label: { collection: 'machines/+/labels', ...made },
  segment: { collection: 'segments', ...made },
});

const connectivity = new Catalogue<Connectivity>(connectivityResource, {
  supplier: { collection: 'suppliers', ...written },
  node: { collection: 'nodes', writable: true, reconciles: true, outputs: ['price', 'sold', 'lease'] },
  link: {
    collection: 'links',
    writable: true,
    reconciles: true,
    outputs: ['price', 'achieved', 'lease', 'soldAToB', 'soldBToA'],
  },
  customer: { collection: 'customers', ...written },
  tariff: { collection: 'tariff', ...written },
  offer: { collection: 'offers', ...made },
  serviceNetwork: {
    collection: 'customers/+/serviceNetworks',
    writable: true,
    reconciles: true,
    outputs: ['price', 'lease'],
  },
});

const service = new Catalogue<Service>(serviceResource, {
  network: { collection: 'network', writable: true, reconciles: true, outputs: ['price', 'lease'] },
  node: { collection: 'nodes', ...written },
  link: { collection: 'links', writable: true, outputs: ['achieved', 'price'] },
  station: { collection: 'stations', ...written },
  route: { collection: 'nodes/+/routes', ...written },
});

/** What a test's controller does about changes. */
export type Admit<Bodies extends Shape<Bodies>> = (
  tx: Transaction<Bodies>,
  changes: readonly Admission<Bodies>[],
) => void;

export class Controller<Bodies extends Shape<Bodies>> {
  readonly socket: string;
  readonly #folder: string;
  readonly #catalogue: Catalogue<Bodies>;
  readonly #service: ServiceType<never>;
  #store: SqliteStore | undefined;
  #state: State<Bodies> | undefined;
  #server: ApiServer | undefined;
  /** Throws to refuse. */
  admit: Admit<Bodies> = () => undefined;
  /** What ListReports answers; undefined: there is no such method. */
  reports: ((request: ReportsRequest) => object) | undefined;
  /** Requests seen, by method. */
  readonly calls: { method: string; request: unknown }[] = [];

  constructor(catalogue: Catalogue<Bodies>, service: ServiceType<never>) {
    this.#catalogue = catalogue;
    this.#service = service;
    this.#folder = mkdtempSync(join(tmpdir(), 'cabernet-cli-'));
    this.socket = join(this.#folder, 'api.sock');
  }

  get state(): State<Bodies> {
    if (!this.#state) throw new Error('not started');
    return this.#state;
  }

  async start(): Promise<void> {
    this.#store = await SqliteStore.open({ path: join(this.#folder, 'state.db'), owner: 'test/test' });
    this.#state = await State.open(this.#store, this.#catalogue);
    const access: Access<Bodies> = { sees: () => true, mayChange: () => true, shown: (_, __, body) => body };
    const methods = resourceMethods<Bodies, object>({
      state: this.#state,
      access,
      callerOf: () => ({ role: 'local', name: '' }),
      admit: (tx, changes) => this.admit(tx, changes),
    });
    const log = createLogger({ component: 'test', level: 'error' });
    this.#server = await startServer({
      socketPath: this.socket,
      services: [implementation(this.#service, { ...methods, listReports: this.reports }, this.calls)],
      log,
    });
  }

  async stop(): Promise<void> {
    await this.#server?.stop(100);
    await this.#store?.close();
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function implementation(
  type: ServiceType<never>,
  methods: object,
  calls: { method: string; request: unknown }[],
): Implementation {
  const handlers = Object.fromEntries(
    [...type.methods.keys()].map((key: string) => {
      const method = (methods as Record<string, ((...args: unknown[]) => unknown) | undefined>)[key];
      const missing = (): never => {
        throw unimplemented({ reason: 'UNIMPLEMENTED', message: `${key} is not in this test.` });
      };
      const handler = (request: unknown, call: unknown): unknown => {
        calls.push({ method: key, request });
        return method ? method(request, call) : missing();
      };
      return [key, handler];
    }),
  );
  return implement(type, handlers as never);
}

const of = (service: unknown): ServiceType<never> => service as ServiceType<never>;

export const infrastructureController = (): Controller<Infrastructure> =>
  new Controller(infrastructure, of(InfrastructureService));
export const connectivityController = (): Controller<Connectivity> =>
  new Controller(connectivity, of(ConnectivityService));
export const serviceController = (): Controller<Service> =>
  new Controller(service, of(ServiceNetworkService));
