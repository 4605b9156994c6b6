/*
 * Every RPC of every server: whom it is open to, beside the operators and the provider whose server it is; a call that would
 * change something if it were let in, or tell something; and one that does no harm, to see that whoever may does get in.
 */
import { type Role } from '../../src/identity/principal.js';
import { type Loose } from './lax.js';

type Requests = readonly Loose[];

export interface Way {
  /** Roles. */
  readonly open?: readonly Role[];
  /** Whoever of them may do the harm, for it is the caller's own. */
  readonly own?: string;
  /** Operators may not: agents only read for them. */
  readonly closedToOperators?: true;
  /** There is nothing for it at an agent without a network. */
  readonly idle?: true;
  readonly harm: Requests;
  /** Default: one empty message. */
  readonly harmless?: Requests;
}

/** The one provider with a peering. */
const NEIGHBOUR = { open: ['infrastructure'], own: 'infrastructure/two' } as const;
const BUYERS = { open: ['connectivity'] } as const;
const BUYER = { ...BUYERS, own: 'connectivity/conn' } as const;
const TENANTS = { open: ['service'] } as const;
const TENANT = { ...TENANTS, own: 'service/iptv' } as const;

const current: Requests = [{ includeCurrent: true }];
const nothing: Requests = [{ validateOnly: true }];
/** In a month: no longer than terms are sold. */
const LATER = `${new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 19)}Z`;
const reads = (harm: Loose = {}): Way => ({ harm: [harm], harmless: [harm] });

const INFRASTRUCTURE: Readonly<Record<string, Way>> = {
  Get: { ...BUYERS, harm: [{ name: 'tariff' }] },
  List: { ...BUYERS, harm: [{ collection: 'machines' }], harmless: [{ collection: 'offers' }] },
  Update: { harm: [{ resources: [{ customer: { name: 'customers/evil' } }] }], harmless: nothing },
  Delete: { ...BUYERS, harm: [{ names: ['tariff'] }], harmless: nothing },
  Watch: { ...BUYERS, harm: current, harmless: current },
  Reserve: {
    ...BUYER,
    harm: [
      {
        virtualNodes: [
          { name: 'customers/conn/virtualNodes/X', offer: 'offers/Q', node: 'vns/conn/nodes/X' },
        ],
      },
    ],
  },
  Commit: { ...BUYER, harm: [{ name: 'customers/conn/reservations/held' }] },
  Cancel: { ...BUYER, harm: [{ name: 'customers/conn/reservations/held' }] },
  Renew: {
    ...BUYER,
    harm: [{ names: ['customers/conn/virtualNodes/P'], expireTime: LATER }],
  },
  Apply: {
    ...BUYER,
    harm: [
      { begin: { virtualNode: 'customers/conn/virtualNodes/P', epoch: 2n ** 50n } },
      { commit: { resourceCount: 0 } },
    ],
  },
  ListPaths: {
    ...BUYER,
    harm: [{ customer: 'customers/conn' }],
    harmless: [{}],
  },
  ListReports: {
    ...BUYER,
    harm: [{ lease: 'customers/conn/virtualLinks/p-m' }],
    harmless: [{}],
  },
};

const PATHS: Readonly<Record<string, Way>> = {
  ComputeTree: {
    ...NEIGHBOUR,
    harm: [{ customer: 'conn', provider: 'one', virtualNode: 'customers/conn/virtualNodes/P' }],
  },
  ReserveSegment: {
    ...NEIGHBOUR,
    harm: [
      {
        segment: 'evil',
        customer: 'conn',
        peering: 'peerings/to-two',
        provider: 'one',
        virtualNode: 'customers/conn/virtualNodes/P',
        vif: 'evil',
        mtu: 1400,
        tunnelAddress: '192.0.2.9',
        label: 99,
        term: { expireTime: LATER },
      },
    ],
  },
  CommitSegment: { ...NEIGHBOUR, harm: [{ segment: 'evil' }] },
  ReleaseSegment: { ...NEIGHBOUR, harm: [{ segment: 'evil' }], harmless: [{ segment: 'nothing' }] },
};

const CONNECTIVITY: Readonly<Record<string, Way>> = {
  Get: { ...TENANTS, harm: [{ name: 'nodes/P' }] },
  List: { ...TENANTS, harm: [{ collection: 'links' }], harmless: [{ collection: 'offers' }] },
  Update: {
    ...TENANTS,
    harm: [{ resources: [{ customer: { name: 'customers/evil' } }] }],
    harmless: nothing,
  },
  Delete: { ...TENANTS, harm: [{ names: ['tariff'] }], harmless: nothing },
  Watch: { ...TENANTS, harm: current, harmless: current },
  Apply: {
    ...TENANT,
    harm: [
      { begin: { serviceNetwork: 'customers/iptv/serviceNetworks/iptv', node: 'P', epoch: 2n ** 50n } },
      { commit: { resourceCount: 0 } },
    ],
  },
  ListReports: {
    ...TENANTS,
    harm: [{ lease: 'links/p-m' }],
    harmless: [{}],
  },
};

const SERVICE: Readonly<Record<string, Way>> = {
  Get: reads({ name: 'network' }),
  List: reads({ collection: 'stations' }),
  Update: { harm: [{ resources: [{ node: { name: 'nodes/evil' } }] }], harmless: nothing },
  Delete: { harm: [{ names: ['stations/hp'] }], harmless: nothing },
  Watch: { harm: current, harmless: current },
  ListRoutes: reads({ node: 'nodes/P' }),
  SetRoutes: { harm: [{ begin: { node: 'nodes/P' } }, { commit: { routeCount: 0 } }] },
};

const NODE: Readonly<Record<string, Way>> = {
  Apply: {
    closedToOperators: true,
    harm: [{ begin: { owner: 'evil', epoch: 1 } }, { commit: { resourceCount: 0 } }],
  },
  GetMachine: reads(),
  ListVirtualNodes: reads(),
  ListVifs: reads(),
  ListTunnels: reads(),
  ListWires: reads(),
  ListBfdPeers: reads(),
  ListPaths: reads(),
  ListLabels: reads(),
  ListRoutes: { ...reads(), idle: true },
  ListNeighbours: { ...reads(), idle: true },
  ListCounters: reads(),
  ListDrops: reads(),
  Watch: { harm: current, harmless: current },
  Trace: { ...reads(), idle: true },
  Capture: { closedToOperators: true, idle: true, harm: [{}] },
  Diagnose: reads(),
};

/** By the full name of the service, then of the method. */
export const WAYS: Readonly<Record<string, Readonly<Record<string, Way>>>> = {
  'cabernet.infrastructure.v1.InfrastructureService': INFRASTRUCTURE,
  'cabernet.infrastructure.v1.PathService': PATHS,
  'cabernet.connectivity.v1.ConnectivityService': CONNECTIVITY,
  'cabernet.service.v1.ServiceNetworkService': SERVICE,
  'cabernet.node.v1.NodeService': NODE,
};
