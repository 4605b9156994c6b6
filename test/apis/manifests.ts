/** What there is in a deployment of `deployment.ts`: a line P - Q - M, a network over it, two customers at each layer. */
export const MACHINES = ['P', 'Q', 'M'];

interface Where {
  path(file: string): string;
  /** Of the layer's controller. */
  address(layer: 'infrastructure' | 'connectivity'): string;
}

/** A lease of the customer that is nobody's friend. */
export const OTHER = {
  name: 'customers/other/virtualNodes/P',
  offer: 'offers/P',
  node: 'vns/other/nodes/P',
  share: { cpuMillis: 10 },
};
export const GAMES = 'customers/games/serviceNetworks/games';

const wire = (a: string, b: string): object => ({
  wire: {
    name: `wires/${a}-${b}`,
    a: { machine: `machines/${a}`, interface: `to-${b}` },
    b: { machine: `machines/${b}`, interface: `to-${a}` },
    bitsPerSecond: 1_000_000_000,
    delayUs: 1000,
    mtu: 1600,
  },
});

type Resources = readonly object[];

export function manifests(
  deployment: Where,
): Record<'infrastructure' | 'connectivity' | 'games' | 'service', Resources> {
  const machine = (name: string, i: number): object => ({
    machine: {
      name: `machines/${name}`,
      agent: `unix:${deployment.path(`${name}.sock`)}`,
      addresses: [`100.127.0.${i + 1}`, `fd64:ffff::${i + 1}`],
      ports: [`st-${name}0`, `st-${name}1`],
      capacity: { cpuMillis: 1000 },
    },
  });
  return {
    infrastructure: [
      ...MACHINES.map(machine),
      wire('P', 'Q'),
      wire('Q', 'M'),
      {
        peering: {
          name: 'peerings/to-two',
          provider: 'two',
          controller: '127.0.0.1:1',
          end: { machine: 'machines/P', interface: 'to-two' },
          bitsPerSecond: 1_000_000_000,
        },
      },
      { tariff: { name: 'tariff', currency: 'EUR', nodeMicros: 1000, linkMicros: 500 } },
      { customer: { name: 'customers/conn' } },
      { customer: { name: 'customers/other' } },
    ],
    connectivity: [
      { supplier: { name: 'suppliers/one', address: deployment.address('infrastructure') } },
      { tariff: { name: 'tariff', currency: 'EUR', nodeMicros: 3000 } },
      { customer: { name: 'customers/iptv' } },
      { customer: { name: 'customers/games' } },
      ...['P', 'M'].map((name) => ({
        node: {
          name: `nodes/${name}`,
          supplier: 'suppliers/one',
          offer: `offers/${name}`,
          ports: [`st-${name}0`],
          share: { cpuMillis: 600 },
        },
      })),
      {
        link: {
          name: 'links/p-m',
          a: 'nodes/P',
          b: 'nodes/M',
          slo: { bitsPerSecond: 100_000_000 },
          addressesA: ['10.8.0.0/31'],
          addressesB: ['10.8.0.1/31'],
        },
      },
    ],
    games: [{ serviceNetwork: { name: GAMES, nodes: [{ name: 'P', share: { cpuMillis: 10 } }] } }],
    service: [
      { network: { name: 'network', supplier: 'conn', supplierAddress: deployment.address('connectivity') } },
      { node: { name: 'nodes/P', offer: 'offers/P', share: { cpuMillis: 100 } } },
      { node: { name: 'nodes/M', offer: 'offers/M', share: { cpuMillis: 100 } } },
      { link: { name: 'links/p-m', a: 'nodes/P', b: 'nodes/M', slo: { bitsPerSecond: 10_000_000 } } },
      {
        station: { name: 'stations/hp', node: 'nodes/P', port: 'st-P0', addresses: ['10.0.1.2/24'] },
      },
      { route: { name: 'nodes/P/routes/r', destination: '10.66.0.0/16', nextHops: [{ vif: 'to-M' }] } },
    ],
  };
}
