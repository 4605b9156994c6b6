/*
 * What service networks are tried on: P and Q of one supplier and M of another in a row, bought by `conn`, and a customer's network
 * over them.
 */
import { type Caller } from '../../src/controller/access.js';
import { Harness } from './harness.js';
import { type TestSupplier } from './supplier.js';

export const iptv: Caller = { role: 'service', name: 'iptv' };
export const games: Caller = { role: 'service', name: 'games' };
export const NETWORK = 'customers/iptv/serviceNetworks/iptv';
export const node = (name: string, supplier: string) => ({
  node: {
    name: `nodes/${name}`,
    supplier: `suppliers/${supplier}`,
    offer: `offers/${name}`,
    ports: ['st-1', 'st-2'],
    share: { cpuMillis: 800 },
  },
});
export const link = (a: string, b: string, more: object = {}) => ({
  link: {
    name: `links/${a}-${b}`,
    a: `nodes/${a}`,
    b: `nodes/${b}`,
    slo: { bitsPerSecond: 20_000 },
    ...more,
  },
});
export const network = (links: readonly object[], more: object = {}) => ({
  serviceNetwork: {
    name: NETWORK,
    nodes: [
      { name: 'P', ports: [{ vif: 'hp', port: 'st-1' }] },
      { name: 'M', share: { cpuMillis: 400 } },
    ],
    links,
    ...more,
  },
});
export const PM = { name: 'P-M', a: 'P', b: 'M', slo: { bitsPerSecond: 10_000 } };

export const lease = (name: string): string => `customers/conn/virtualNodes/${name}`;

export interface Line {
  readonly harness: Harness;
  readonly one: TestSupplier;
  readonly two: TestSupplier;
}

/** All of it ready. */
export async function lineOfThree(): Promise<Line> {
  const harness = new Harness();
  const one = await harness.supplier('one');
  const two = await harness.supplier('two');
  await harness.open();
  await harness.update(
    { supplier: { name: 'suppliers/one', address: one.address } },
    { supplier: { name: 'suppliers/two', address: two.address } },
    { customer: { name: 'customers/iptv' } },
    { customer: { name: 'customers/games' } },
    node('P', 'one'),
    node('Q', 'one'),
    node('M', 'two'),
    link('P', 'Q', { addressesA: ['10.8.0.0/31'], addressesB: ['10.8.0.1/31'] }),
    link('Q', 'M'),
  );
  await harness.become('ready', 'nodes/P', 'nodes/Q', 'nodes/M', 'links/P-Q', 'links/Q-M');
  return { harness, one, two };
}
