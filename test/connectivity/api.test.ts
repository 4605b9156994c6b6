/** Who may do what, and what is refused of hostile fields. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { type Resource } from '../../src/api/connectivity.js';
import { types } from '../../src/api/types.js';
import { type Caller } from '../../src/controller/access.js';
import { Harness, local, refusal } from './harness.js';

const harness = new Harness();
const customer: Caller = { role: 'service', name: 'iptv' };

beforeAll(async () => {
  const one = await harness.supplier('one');
  await harness.open();
  await harness.update(
    { supplier: { name: 'suppliers/one', address: one.address } },
    { node: { name: 'nodes/P', supplier: 'suppliers/one' } },
    { customer: { name: 'customers/iptv' } },
    { customer: { name: 'customers/games' } },
  );
  await harness.become('ready', 'nodes/P');
  await harness.update(
    { serviceNetwork: { name: 'customers/iptv/serviceNetworks/iptv', nodes: [{ name: 'P' }] } },
    { serviceNetwork: { name: 'customers/games/serviceNetworks/games', nodes: [{ name: 'P' }] } },
  );
});
afterAll(() => harness.end());
afterEach(() => {
  harness.caller = local;
});

const nameOf = (resource: Resource | undefined): string =>
  (resource as unknown as Record<string, { name: string }> | undefined)?.[resource?.kind ?? '']?.name ?? '';
const list = async (collection: string): Promise<string[]> =>
  (await harness.client.list({ collection })).resources.map(nameOf);

describe('a customer', () => {
  test('sees offers and what is its own, also when it watches', async () => {
    harness.caller = customer;
    expect(await list('offers')).toEqual(['offers/P']);
    expect(await list('customers/-/serviceNetworks')).toEqual(['customers/iptv/serviceNetworks/iptv']);
    for (const collection of ['suppliers', 'nodes', 'links', 'customers', 'tariff'])
      expect(await list(collection)).toEqual([]);
    const seen: string[] = [];
    for await (const event of harness.client.watch({ includeCurrent: true })) {
      if (event.type === types.EventType.EVENT_TYPE_SYNCED) break;
      seen.push(nameOf(event.resource));
    }
    expect(seen).toEqual(['offers/P', 'customers/iptv/serviceNetworks/iptv']);
  });

  test.each([
    'suppliers/one',
    'nodes/P',
    'customers/iptv',
    'customers/games',
    'customers/games/serviceNetworks/games',
    'tariff',
    '../nodes/P',
    '',
  ])('finds no %s, and cannot delete it', async (name) => {
    harness.caller = customer;
    expect(await refusal(harness.client.get({ name }))).toBe('NOT_FOUND name');
    expect(await refusal(harness.remove(name))).toBe('NOT_FOUND names[0]');
  });

  test('changes nothing but its own networks', async () => {
    harness.caller = customer;
    for (const [resource, kind] of [
      [{ node: { name: 'nodes/P', supplier: 'suppliers/one' } }, 'node'],
      [{ tariff: { name: 'tariff' } }, 'tariff'],
      [{ customer: { name: 'customers/iptv' } }, 'customer'],
      [{ serviceNetwork: { name: 'customers/games/serviceNetworks/games' } }, 'service_network'],
    ] as const)
      expect(await refusal(harness.update(resource))).toBe(`NOT_FOUND resources[0].${kind}.name`);
    expect(await refusal(harness.update({ offer: { name: 'offers/P' } }))).toBe(
      'PERMISSION_DENIED resources[0].offer',
    );
  });

  test('of another role, or of no name, sees nothing at all', async () => {
    for (const caller of [
      { role: 'infrastructure', name: 'one' },
      { role: 'agent', name: 'one' },
      { role: 'connectivity', name: 'other' },
      { role: 'service', name: '' },
    ] as const) {
      harness.caller = caller;
      expect(await list('customers/-/serviceNetworks')).toEqual([]);
      expect(await list('nodes')).toEqual([]);
    }
    harness.caller = { role: 'connectivity', name: 'conn' };
    expect(await list('nodes')).toEqual(['nodes/P']);
  });
});

const node = (more: object) => ({ node: { name: 'nodes/X', supplier: 'suppliers/one', ...more } });
const link = (more: object) => ({ link: { name: 'links/x', a: 'nodes/P', b: 'nodes/X', ...more } });

test.each([
  [
    'a supplier without an address',
    { supplier: { name: 'suppliers/x' } },
    'ADDRESS resources[0].supplier.address',
  ],
  [
    'an address that is none',
    { supplier: { name: 'suppliers/x', address: 'unix:../x' } },
    'ADDRESS resources[0].supplier.address',
  ],
  [
    'a supplier’s name',
    { supplier: { name: 'suppliers/X', address: 'unix:/x' } },
    'NAME resources[0].supplier.name',
  ],
  ['a node’s name', { node: { name: 'nodes/a.b' } }, 'NAME resources[0].node.name'],
  ['a node of 32 characters', { node: { name: `nodes/${'a'.repeat(32)}` } }, 'NAME resources[0].node.name'],
  ['no supplier', node({ supplier: '' }), 'SUPPLIER resources[0].node.supplier'],
  [
    'a supplier that is not there',
    node({ supplier: 'suppliers/x' }),
    'UNKNOWN_SUPPLIER resources[0].node.supplier',
  ],
  ['an offer', node({ offer: 'offers/a/b' }), 'OFFER resources[0].node.offer'],
  ['a port', node({ ports: ['a/b'] }), 'PORT resources[0].node.ports[0]'],
  ['a port twice', node({ ports: ['a', 'a'] }), 'PORT resources[0].node.ports[1]'],
  ['a short term', node({ termSeconds: 1 }), 'TERM resources[0].node.term_seconds'],
  [
    'a node moved to another supplier',
    { node: { name: 'nodes/P', supplier: 'suppliers/two' } },
    'UNKNOWN_SUPPLIER resources[0].node.supplier',
  ],
  ['a link to nowhere', link({}), 'UNKNOWN_NODE resources[0].link.b'],
  ['a link to itself', link({ b: 'nodes/P' }), 'NODE resources[0].link.b'],
  ['a vif', link({ vifA: 'lo' }), 'VIF resources[0].link.vif_a'],
  ['an MTU', link({ mtu: 100 }), 'MTU_RANGE resources[0].link.mtu'],
  ['a family', link({ tunnelFamily: 5 }), 'FAMILY resources[0].link.tunnel_family'],
  ['an address', link({ addressesA: ['10.0.0.1'] }), 'ADDRESS resources[0].link.addresses_a[0]'],
  [
    'two of a family',
    link({ addressesB: ['10.0.0.1/31', '10.0.0.2/31'] }),
    'ADDRESS resources[0].link.addresses_b[1]',
  ],
  ['loss of more than all', link({ slo: { lossPpm: 1_000_001 } }), 'SLO resources[0].link.slo.loss_ppm'],
  ['diverse from itself', link({ diverseFrom: ['links/x'] }), 'LINK resources[0].link.diverse_from[0]'],
  [
    'a customer called as we are',
    { customer: { name: 'customers/conn' } },
    'NAME_TAKEN resources[0].customer.name',
  ],
  ['a currency', { tariff: { name: 'tariff', currency: 'euro' } }, 'CURRENCY resources[0].tariff.currency'],
  ['a price', { tariff: { name: 'tariff', nodeMicros: 2n ** 63n } }, 'RANGE resources[0].tariff.node_micros'],
  [
    'a network of nobody',
    { serviceNetwork: { name: 'customers/nobody/serviceNetworks/x' } },
    'UNKNOWN_CUSTOMER resources[0].service_network.name',
  ],
])('%s is refused', async (_, resource, told) => {
  expect(await refusal(harness.update(resource))).toBe(told);
});

test('what is in use cannot go', async () => {
  expect(await refusal(harness.remove('customers/iptv'))).toBe('IN_USE names[0]');
  expect(await refusal(harness.remove('nodes/P'))).toBe('IN_USE names[0]');
  expect(await refusal(harness.remove('offers/P'))).toBe('PERMISSION_DENIED names[0]');
});
