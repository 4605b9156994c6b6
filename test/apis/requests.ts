/*
 * One right request of each kind for every RPC of the controllers, with every field given that a caller may give: what is
 * wrong is put into it field by field. Names in them are of a deployment as `manifests.ts` makes it.
 */
import { type Loose } from './lax.js';

export interface Right {
  readonly method: string;
  /** Who calls; default: the provider's operator. */
  readonly caller?: string;
  readonly requests: readonly Loose[];
  /** What is called when it was let pass, so that it may be once more. */
  readonly undo?: { readonly method: string; readonly request: Loose };
  /** A kind that callers do not write: nothing of it but its name is looked at. */
  readonly made?: true;
  /** Refused as it is: it is about what is not there, or made by the controller. */
  readonly refused?: true;
  /** The message of the stream that is made wrong. Default: 0. */
  readonly at?: number;
}

const LATER = `${new Date(Date.now() + 20 * 86_400_000).toISOString().slice(0, 19)}Z`;
const share = { cpuMillis: 5, vifs: 1, routes: 10, labels: 2, neighbours: 10 };
const slo = { bitsPerSecond: 1_000_000, delayUs: 500_000, lossPpm: 1000, availabilityPpm: 1 };
const term = { expireTime: LATER, graceSeconds: 60 };

const update = (resource: Loose, name?: string): Right => ({
  method: 'Update',
  requests: [{ resources: [resource], requestId: '' }],
  ...(name === undefined
    ? { refused: true, made: true }
    : { undo: { method: 'Delete', request: { names: [name], allowMissing: true } } }),
});

const reads = (collection: string, name: string): readonly Right[] => [
  { method: 'Get', requests: [{ name }] },
  { method: 'List', requests: [{ collection }] },
  { method: 'Delete', requests: [{ names: [`${collection}/none`], etags: ['x'] }], refused: true },
  { method: 'Delete', requests: [{ names: [`${collection}/none`], allowMissing: true }] },
  { method: 'Watch', requests: [{ collections: [collection], includeCurrent: true }] },
  { method: 'Update', requests: [{ validateOnly: true, requestId: 'some' }] },
];

/** Without validation only: what is let pass is not kept, so that the next one finds all as it was. */
const content = (begin: Loose, resource: Loose, caller: string, at = 1): Right => ({
  method: 'Apply',
  caller,
  at,
  requests: [
    { begin: { ...begin, epoch: 2n ** 50n, validateOnly: true } },
    { resources: { resources: [resource] } },
    { commit: { resourceCount: 1 } },
  ],
});

const reports = (lease: string): Right => ({
  method: 'ListReports',
  requests: [
    { lease, startTime: `${new Date(Date.now() - 3_600_000).toISOString().slice(0, 19)}Z`, resolution: 1 },
  ],
});

const P = 'vns/conn/nodes/P';
const own = { virtualNode: 'customers/conn/virtualNodes/P', owner: 'h' };
const infraContent = (resource: Loose, at = 1): Right => content(own, resource, 'connectivity/conn', at);

export const INFRASTRUCTURE: readonly Right[] = [
  ...reads('machines', 'machines/P'),
  update(
    {
      machine: {
        name: 'machines/H',
        agent: 'unix:/run/nobody.sock',
        addresses: ['100.127.9.9'],
        capacity: share,
        ports: ['st-h'],
        site: 'Aalen',
      },
    },
    'machines/H',
  ),
  update(
    {
      wire: {
        name: 'wires/H',
        a: { machine: 'machines/P', interface: 'h0' },
        b: { machine: 'machines/Q', interface: 'h0' },
        bitsPerSecond: 1_000_000_000,
        mtu: 1600,
        metric: 1000,
        riskGroups: ['duct'],
      },
    },
    'wires/H',
  ),
  update(
    {
      peering: {
        name: 'peerings/H',
        provider: 'four',
        controller: '127.0.0.1:1',
        end: { machine: 'machines/P', interface: 'h1' },
        riskGroups: ['duct'],
      },
    },
    'peerings/H',
  ),
  update({ customer: { name: 'customers/hh' } }, 'customers/hh'),
  {
    method: 'Update',
    requests: [
      { resources: [{ tariff: { name: 'tariff', currency: 'EUR', nodeMicros: 1000, linkMicros: 500 } }] },
    ],
  },
  ...['offer', 'virtualNode', 'virtualLink', 'reservation', 'label', 'segment'].map((kind) =>
    update({ [kind]: { name: `${kind}s/H` } }),
  ),
  {
    method: 'Reserve',
    requests: [
      {
        virtualNodes: [
          {
            name: 'customers/conn/virtualNodes/H',
            offer: 'offers/Q',
            node: 'vns/conn/nodes/H',
            share,
            ports: ['st-Q1'],
            term,
          },
        ],
        virtualLinks: [
          {
            name: 'customers/conn/virtualLinks/H',
            a: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'h0' },
            b: { virtualNode: 'customers/conn/virtualNodes/M', vif: 'h0' },
            slo,
            mtu: 1000,
            diverseFrom: ['customers/conn/virtualLinks/p-m'],
            term,
          },
        ],
        validateOnly: true,
      },
    ],
  },
  { method: 'Commit', requests: [{ name: 'customers/conn/reservations/none' }], refused: true },
  { method: 'Cancel', requests: [{ name: 'customers/conn/reservations/none' }] },
  { method: 'Renew', requests: [{ names: ['customers/conn/virtualNodes/P'], expireTime: LATER }] },
  { method: 'ListPaths', requests: [{ customer: 'customers/conn' }] },
  reports('customers/conn/virtualLinks/p-m'),
  infraContent({ address: { vif: `${P}/vifs/to-M`, prefix: '10.66.0.1/24' } }, 0),
  infraContent({ address: { vif: `${P}/vifs/to-M`, prefix: '10.66.0.1/24' } }),
  infraContent({
    route: {
      node: P,
      destination: '10.66.0.0/16',
      nextHops: [{ vif: `${P}/vifs/to-M`, gateway: '10.8.0.1' }],
    },
  }),
  infraContent({ label: { vif: `${P}/vifs/to-M`, label: 99, deliver: `${P}/vifs/to-M` } }),
  infraContent({ label: { vif: `${P}/vifs/to-M`, label: 99, swap: { vif: `${P}/vifs/to-M`, label: 99 } } }),
];

const segment = {
  segment: 'h',
  customer: 'conn',
  peering: 'peerings/to-two',
  provider: 'one',
  virtualNode: 'customers/conn/virtualNodes/P',
  vif: 'h9',
  bounds: slo,
  mtu: 1400,
  tunnelAddress: '192.0.2.9',
  label: 99,
  term,
  bootId: 'b',
};
const byTwo = (method: string, request: Loose): Right => ({
  method,
  caller: 'infrastructure/two',
  requests: [request],
});
export const PATHS: readonly Right[] = [
  byTwo('ComputeTree', {
    customer: 'conn',
    provider: 'one',
    virtualNode: 'customers/conn/virtualNodes/P',
    bounds: slo,
    mtu: 1400,
    passed: ['three'],
  }),
  {
    ...byTwo('ReserveSegment', segment),
    undo: { method: 'ReleaseSegment', request: { segment: 'h' } },
  },
  { ...byTwo('CommitSegment', { segment: 'none' }), refused: true },
  byTwo('ReleaseSegment', { segment: 'none' }),
];

const NETWORK = 'customers/iptv/serviceNetworks/iptv';
const iptv = (resource: Loose, at = 1): Right =>
  content({ serviceNetwork: NETWORK, node: 'P' }, resource, 'service/iptv', at);
const IP = 'vns/iptv/nodes/P';

export const CONNECTIVITY: readonly Right[] = [
  ...reads('nodes', 'nodes/P'),
  update({ supplier: { name: 'suppliers/hh', address: 'unix:/run/nobody.sock' } }, 'suppliers/hh'),
  update(
    {
      node: {
        name: 'nodes/H',
        supplier: 'suppliers/one',
        offer: 'offers/Q',
        site: '',
        share,
        ports: ['st-Q0'],
        termSeconds: 3600,
      },
    },
    'nodes/H',
  ),
  update(
    {
      link: {
        name: 'links/H',
        a: 'nodes/P',
        b: 'nodes/M',
        vifA: 'h0',
        vifB: 'h0',
        slo,
        mtu: 1000,
        diverseFrom: ['links/p-m'],
        termSeconds: 3600,
        riskGroups: ['duct'],
        addressesA: ['10.8.9.0/31'],
        addressesB: ['10.8.9.1/31'],
      },
    },
    'links/H',
  ),
  update({ customer: { name: 'customers/hh' } }, 'customers/hh'),
  {
    method: 'Update',
    requests: [{ resources: [{ tariff: { name: 'tariff', currency: 'EUR', nodeMicros: 3000 } }] }],
  },
  update({ offer: { name: 'offers/H' } }),
  update(
    {
      serviceNetwork: {
        name: 'customers/games/serviceNetworks/H',
        nodes: [
          { name: 'M', offer: 'offers/M', share, ports: [{ vif: 'st', port: 'st-M0', mtu: 1000 }] },
          { name: 'P', offer: 'offers/P', share },
        ],
        links: [{ name: 'l', a: 'P', b: 'M', vifA: 'x', vifB: 'x', slo, mtu: 1000, via: [] }],
        term,
      },
    },
    'customers/games/serviceNetworks/H',
  ),
  reports('links/p-m'),
  iptv({ address: { vif: `${IP}/vifs/to-M`, prefix: '10.66.0.1/24' } }, 0),
  iptv({ address: { vif: `${IP}/vifs/to-M`, prefix: '10.66.0.1/24' } }),
  iptv({
    route: {
      node: IP,
      destination: '10.66.0.0/16',
      nextHops: [{ vif: `${IP}/vifs/to-M`, gateway: '10.66.0.9' }],
    },
  }),
];

export const SERVICE: readonly Right[] = [
  ...reads('nodes', 'nodes/P'),
  update({ node: { name: 'nodes/H', offer: 'offers/P', share } }, 'nodes/H'),
  update(
    {
      link: {
        name: 'links/H',
        a: 'nodes/P',
        b: 'nodes/M',
        vifA: 'h',
        vifB: 'h',
        slo,
        mtu: 1000,
        metric: 2,
        addressesA: ['10.77.0.1/30'],
        addressesB: ['10.77.0.2/30'],
        via: ['offers/P'],
      },
    },
    'links/H',
  ),
  update(
    {
      station: { name: 'stations/hh', node: 'nodes/P', port: 'st-H', addresses: ['10.0.7.2/24'], mtu: 1000 },
    },
    'stations/hh',
  ),
  update(
    {
      route: {
        name: 'nodes/P/routes/H',
        destination: '10.67.0.0/16',
        nextHops: [{ vif: 'hp', gateway: '10.0.1.9', weight: 2 }],
      },
    },
    'nodes/P/routes/H',
  ),
  { method: 'ListRoutes', requests: [{ node: 'nodes/P' }] },
  ...[0, 1].map((at): Right => ({
    method: 'SetRoutes',
    at,
    requests: [
      { begin: { node: 'nodes/M', validateOnly: true } },
      { routes: { routes: [{ destination: '10.68.0.0/16', nextHops: [{ vif: 'to-P' }] }] } },
      { commit: { routeCount: 1 } },
    ],
  })),
];
