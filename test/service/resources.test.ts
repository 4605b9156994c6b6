/** Resources as operators write them: what is refused, and why; addresses of links; who may call. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { ApiError } from '../../src/api/errors.js';
import { type Link } from '../../src/api/service.js';
import { type Caller } from '../../src/controller/access.js';
import { networkOf } from './networks.js';
import { Provider, type ServiceDraft } from './provider.js';

const NOWHERE = 'unix:/nonexistent/conn.sock';

async function reasonOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error === undefined) return 'OK';
  expect(error).toBeInstanceOf(ApiError);
  const { reason, field } = error as ApiError;
  return `${reason} ${field ?? ''}`;
}

const node = (name: string): ServiceDraft => ({ node: { name: `nodes/${name}` } });
const link = (a: string, b: string, more: object = {}): ServiceDraft => ({
  link: { name: `links/${a}-${b}`, a: `nodes/${a}`, b: `nodes/${b}`, ...more },
});
const station = (
  name: string,
  at: string,
  addresses: readonly string[],
  more: object = {},
): ServiceDraft => ({
  station: { name: `stations/${name}`, node: `nodes/${at}`, port: 'eth1', addresses, ...more },
});
const route = (name: string, destination: string, more: object = {}): ServiceDraft => ({
  route: { name: `nodes/P/routes/${name}`, destination, ...more },
});

let provider: Provider;

/** P-Q, P-M and a station at P; the supplier does not answer. */
async function begin(): Promise<void> {
  provider = new Provider();
  await provider.start();
  await provider.update(
    networkOf(NOWHERE),
    node('P'),
    node('Q'),
    node('M'),
    link('P', 'Q'),
    link('P', 'M'),
    station('hp', 'P', ['10.0.1.2/24', 'fd00:0:0:1::2/64']),
  );
}

async function linkNamed(name: string): Promise<Link> {
  const { resource } = await provider.client.get({ name: `links/${name}` });
  return resource!.link!;
}

describe('refused', () => {
  beforeAll(begin);
  afterAll(() => provider.dispose());

  const long = 'x'.repeat(300);
  test.each<[string, ServiceDraft, string]>([
    ['network: another name', { network: { name: 'networks/a' } }, 'NAME network.name'],
    ['network: no supplier', networkOf(NOWHERE, { supplier: '' }), 'PROVIDER_NAME network.supplier'],
    ['network: an address with a newline', networkOf('unix:/a\n'), 'ADDRESS network.supplier_address'],
    ['network: an address without a port', networkOf('192.0.2.1'), 'ADDRESS network.supplier_address'],
    ['network: a vn that climbs', networkOf(NOWHERE, { vn: '../x' }), 'VN_NAME network.vn'],
    ['network: a long vn', networkOf(NOWHERE, { vn: 'x'.repeat(21) }), 'VN_NAME network.vn'],
    ['network: another vn', networkOf(NOWHERE, { vn: 'other' }), 'FIXED network.vn'],
    ['network: another supplier', networkOf(NOWHERE, { supplier: 'other' }), 'FIXED network.supplier'],
    ['network: a term too short', networkOf(NOWHERE, { termSeconds: 59 }), 'TERM network.term_seconds'],
    [
      'network: host bits',
      networkOf(NOWHERE, { linkPools: ['10.1.0.1/16'] }),
      'ADDRESS network.link_pools[0]',
    ],
    [
      'network: a pool too small',
      networkOf(NOWHERE, { linkPools: ['10.1.0.0/31'] }),
      'POOL_TOO_SMALL network.link_pools[0]',
    ],
    [
      'network: two pools of a family',
      networkOf(NOWHERE, { linkPools: ['10.1.0.0/16', '10.2.0.0/16'] }),
      'DUPLICATE network.link_pools[1]',
    ],
    [
      'network: a multicast pool',
      networkOf(NOWHERE, { linkPools: ['239.0.0.0/8'] }),
      'ADDRESS network.link_pools[0]',
    ],
    ['network: a pool used up', networkOf(NOWHERE, { linkPools: ['10.1.0.0/30'] }), 'POOL_USED_UP network'],
    [
      'network: a pool where a station is',
      networkOf(NOWHERE, { linkPools: ['10.0.1.0/29'] }),
      'POOL_USED_UP network',
    ],
    ['node: a long name', node('x'.repeat(32)), 'NAME node.name'],
    ['node: a dot', node('a.b'), 'NAME node.name'],
    ['node: an emoji', node('🌍'), 'NAME node.name'],
    [
      'node: an offer of another kind',
      { node: { name: 'nodes/Z', offer: 'nodes/Z' } },
      'OFFER_NAME node.offer',
    ],
    ['link: no ends', { link: { name: 'links/l' } }, 'NODE_NAME link.a'],
    ['link: an end that climbs', link('P', 'Q/../M', { name: 'links/l' }), 'NODE_NAME link.b'],
    ['link: an end that is not there', link('P', 'X'), 'NODE_NOT_FOUND link.b'],
    ['link: both ends the same', link('P', 'P'), 'SAME_NODE link.b'],
    ['link: a vif that exists', link('P', 'Q', { name: 'links/second' }), 'VIF_IN_USE link'],
    ['link: a vif of the namespace', link('P', 'Q', { vifA: 'lo' }), 'VIF_NAME link.vif_a'],
    ['link: a vif with a slash', link('P', 'Q', { vifB: 'a/b' }), 'VIF_NAME link.vif_b'],
    ['link: a small mtu', link('P', 'Q', { mtu: 575 }), 'MTU_RANGE link.mtu'],
    [
      'link: more than all of the time',
      link('P', 'Q', { slo: { availabilityPpm: 1_000_001 } }),
      'SLO_RANGE link.slo.availability_ppm',
    ],
    ['link: no address', link('P', 'Q', { addressesA: [long] }), 'ADDRESS link.addresses_a[0]'],
    [
      'link: an address at one end',
      link('P', 'Q', { addressesA: ['10.8.0.0/31'] }),
      'ADDRESS_ALONE link.addresses_a[0]',
    ],
    [
      'link: ends in two subnets',
      link('P', 'Q', { addressesA: ['10.8.0.0/31'], addressesB: ['10.8.0.2/31'] }),
      'SUBNET link.addresses_a[0]',
    ],
    [
      'link: the same address twice',
      link('P', 'Q', { addressesA: ['10.8.0.1/31'], addressesB: ['10.8.0.1/31'] }),
      'DUPLICATE link.addresses_a[0]',
    ],
    [
      'link: the subnet of a station',
      link('P', 'Q', { addressesA: ['10.0.1.8/31'], addressesB: ['10.0.1.9/31'] }),
      'ADDRESS_OVERLAP link',
    ],
    ['link: watched too fast', link('P', 'Q', { protection: 2, repairUs: 1000 }), 'RANGE link.repair_us'],
    ['link: weights of nothing', link('P', 'Q', { weights: [1, 2] }), 'PROTECTION link.weights'],
    [
      'link: protected without a channel',
      link('P', 'Q', { protection: 4, payload: 2 }),
      'PROTECTION link.protection',
    ],
    ['link: an offer twice', link('P', 'Q', { via: ['offers/M', 'offers/M'] }), 'DUPLICATE link.via[1]'],
    ['station: a long name', station('x'.repeat(16), 'P', []), 'NAME station.name'],
    ['station: a vif of the namespace', station('lo', 'P', []), 'NAME station.name'],
    ['station: no port', station('s', 'P', [], { port: '' }), 'PORT station.port'],
    ['station: a port that climbs', station('s', 'P', [], { port: '../eth0' }), 'PORT station.port'],
    ['station: a node that is not there', station('s', 'X', []), 'NODE_NOT_FOUND station.node'],
    ['station: the vif of a link', station('to-Q', 'P', []), 'VIF_IN_USE station'],
    [
      'station: the router’s address',
      station('s', 'P', ['10.0.2.1/24']),
      'ADDRESS_OF_ROUTER station.addresses[0]',
    ],
    ['station: the subnet’s own', station('s', 'P', ['10.0.2.0/24']), 'ADDRESS station.addresses[0]'],
    ['station: the broadcast address', station('s', 'P', ['10.0.2.255/24']), 'ADDRESS station.addresses[0]'],
    ['station: link-local', station('s', 'P', ['fe80::2/64']), 'ADDRESS station.addresses[0]'],
    ['station: alone', station('s', 'P', ['10.0.2.2/32']), 'ADDRESS station.addresses[0]'],
    [
      'station: two of a family',
      station('s', 'P', ['10.0.2.2/24', '10.0.3.2/24']),
      'DUPLICATE station.addresses[1]',
    ],
    ['station: another’s subnet', station('s', 'Q', ['10.0.1.66/26']), 'ADDRESS_OVERLAP station'],
    ['station: a link’s subnet', station('s', 'Q', ['10.255.0.130/24']), 'ADDRESS_OVERLAP station'],
    [
      'route: of a node that is not there',
      { route: { name: 'nodes/X/routes/r', destination: '10.9.0.0/16', type: 2 } },
      'NODE_NOT_FOUND route.name',
    ],
    ['route: host bits', route('r', '10.9.0.1/16', { type: 2 }), 'HOST_BITS route.destination'],
    [
      'route: a vif that is not there',
      route('r', '10.9.0.0/16', { nextHops: [{ vif: 'hq' }] }),
      'VIF_NOT_FOUND route.next_hops[0].vif',
    ],
    [
      'route: a gateway elsewhere',
      route('r', '10.9.0.0/16', { nextHops: [{ vif: 'hp', gateway: '10.0.2.2' }] }),
      'GATEWAY_NOT_CONNECTED route.next_hops[0].gateway',
    ],
  ])('%s', async (_, resource, told) => {
    const [reason, field = ''] = told.split(' ');
    const where = field === '' ? '' : `resources[0].${field}`;
    expect(await reasonOf(provider.client.update({ resources: [resource] }))).toBe(`${reason} ${where}`);
    expect(await reasonOf(provider.client.update({ resources: [resource], validateOnly: true }))).toBe(
      `${reason} ${where}`,
    );
  });

  test('an overlap is told with both names', async () => {
    const work = provider.client.update({ resources: [station('s', 'Q', ['10.0.1.66/26'])] });
    await expect(work).rejects.toThrow(/10\.0\.1\.0\/24 of stations\/hp and 10\.0\.1\.64\/26 of stations\/s/);
  });

  test.each([
    ['a node with links', ['nodes/Q'], 'IN_USE names[0]'],
    ['a node with a station only', ['links/P-Q', 'links/P-M', 'nodes/P'], 'IN_USE names[2]'],
    ['the network with nodes', ['network'], 'IN_USE names[0]'],
    ['what is not there', ['nodes/X'], 'NOT_FOUND names[0]'],
  ])('deleting %s', async (_, names, told) => {
    expect(await reasonOf(provider.client.delete({ names, validateOnly: true }))).toBe(told);
    expect(await reasonOf(provider.client.delete({ names }))).toBe(told);
  });

  test.each<Caller>([
    { role: 'service', name: 'games' },
    { role: 'connectivity', name: 'iptv' },
    { role: 'infrastructure', name: 'one' },
    { role: 'agent', name: 'iptv' },
  ])('$role $name: there is nothing', async (caller) => {
    provider.caller = caller;
    try {
      expect(await reasonOf(provider.client.get({ name: 'nodes/P' }))).toBe('NOT_FOUND name');
      expect((await provider.client.list({ collection: 'nodes' })).resources).toEqual([]);
      expect(await reasonOf(provider.client.update({ resources: [node('P')] }))).toBe(
        'NOT_FOUND resources[0].node.name',
      );
      expect(await reasonOf(provider.client.delete({ names: ['links/P-Q'] }))).toBe('NOT_FOUND names[0]');
    } finally {
      provider.caller = { role: 'local', name: '' };
    }
  });

  test.each<Caller>([
    { role: 'service', name: 'iptv' },
    { role: 'operator', name: 'ann' },
  ])('$role $name: everything', async (caller) => {
    provider.caller = caller;
    try {
      expect((await provider.client.list({ collection: 'nodes' })).resources).toHaveLength(3);
      expect(await reasonOf(provider.client.update({ resources: [node('P')] }))).toBe('OK');
    } finally {
      provider.caller = { role: 'local', name: '' };
    }
  });
});

describe('addresses of links', () => {
  beforeEach(begin);
  afterEach(() => provider.dispose());

  const ends = async (name: string): Promise<readonly (readonly string[])[]> => {
    const { assignedA, assignedB } = await linkNamed(name);
    return [assignedA, assignedB];
  };

  test('from the pools in the order of the request, not the first subnet', async () => {
    expect(await ends('P-Q')).toEqual([
      ['10.255.0.2/31', 'fd00:0:0:ffff::2/127'],
      ['10.255.0.3/31', 'fd00:0:0:ffff::3/127'],
    ]);
    expect((await ends('P-M'))[0]).toEqual(['10.255.0.4/31', 'fd00:0:0:ffff::4/127']);
  });

  test('stay where they are when others come and go, also after a restart', async () => {
    const before = await ends('P-M');
    await provider.client.delete({ names: ['links/P-Q'] });
    await provider.restart();
    await provider.update(link('Q', 'M'), link('P', 'M', { metric: 5 }));
    expect(await ends('P-M')).toEqual(before);
    expect((await ends('Q-M'))[0]?.[0]).toBe('10.255.0.2/31');
  });

  test('given ones are taken, also of one family only; what is given back is assigned', async () => {
    await provider.update(link('P', 'Q', { addressesA: ['10.8.0.1/30'], addressesB: ['10.8.0.2/30'] }));
    expect(await ends('P-Q')).toEqual([
      ['10.8.0.1/30', 'fd00:0:0:ffff::2/127'],
      ['10.8.0.2/30', 'fd00:0:0:ffff::3/127'],
    ]);
    await provider.update(link('P', 'Q'));
    expect((await ends('P-Q'))[0]?.[0]).toBe('10.255.0.2/31');
  });

  test('another pool moves those that are not of it, past what is taken', async () => {
    await provider.update(station('hq', 'Q', ['10.99.0.2/30']));
    await provider.update(networkOf(NOWHERE, { linkPools: ['10.99.0.0/16'] }));
    expect((await ends('P-M'))[0]).toEqual(['10.99.0.4/31', 'fd00:0:0:ffff::4/127']);
    expect((await ends('P-Q'))[0]).toEqual(['10.99.0.6/31', 'fd00:0:0:ffff::2/127']);
  });

  test('the subnet that a route’s gateway is in does not go', async () => {
    await provider.update(route('r', '10.9.0.0/16', { nextHops: [{ vif: 'to-Q', gateway: '10.255.0.3' }] }));
    const pool = provider.client.update({ resources: [networkOf(NOWHERE, { linkPools: ['10.99.0.0/16'] })] });
    expect(await reasonOf(pool)).toBe('IN_USE resources[0].network');
    expect(await reasonOf(provider.client.delete({ names: ['links/P-Q'] }))).toBe('IN_USE names[0]');
    await provider.client.delete({ names: ['links/P-Q', 'nodes/P/routes/r'] });
  });
});
