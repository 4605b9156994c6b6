import { describe, expect, test } from 'vitest';
import { type Link, type Neighbour, type Route } from '../../native/lib/index.js';
import { type Interfaces } from '../../src/node/interfaces.js';
import { type NetState, neighbourKey } from '../../src/node/net-state.js';
import { UnderlayWays, type Ways } from '../../src/node/underlay-ways.js';

function link(index: number, name: string, more: Partial<Link> = {}): Link {
  return {
    index,
    name,
    alternativeNames: [],
    ifType: 1,
    flags: 0,
    up: true,
    running: true,
    promiscuous: false,
    arp: true,
    promiscuity: 0,
    operationalState: 'up',
    mtu: 1500,
    address: `02:00:00:00:00:0${index}`,
    numRxQueues: 1,
    numTxQueues: 1,
    txQueueLength: 1000,
    ...more,
  };
}

const wire = link(2, 'eth0', { mtu: 1600 });
const tagged = link(5, 'eth0.100', { kind: 'vlan', peerIndex: 2, vlanId: 100 });
const other = link(7, 'eth7');

/** A machine with these routes' next hops and neighbours; only eth0 is a wire of ours. */
function find(nextHops: Route['nextHops'], neighbours: readonly [number, string, string][]): Promise<Ways> {
  const known = new Map<string, Partial<Neighbour>>();
  for (const [index, address, lladdr] of neighbours) {
    known.set(neighbourKey(index, address), { index, address, lladdr, state: 'reachable' });
  }
  const net = {
    links: new Map([wire, tagged, other].map((one) => [one.index, one])),
    addresses: new Map([[1, new Map([['192.0.2.1/32', { address: '192.0.2.1' }]])]]),
    neighbours: known,
    netlink: { lookupRoute: () => Promise.resolve({ type: 'unicast', nextHops }) },
  } as unknown as NetState;
  const interfaces = {
    underlayOf: ({ index, kind, peerIndex }: Link) =>
      (kind === 'vlan' ? peerIndex : index) === 2 ? 2 : undefined,
  } as unknown as Interfaces;
  return new UnderlayWays(net, interfaces).find('192.0.2.1', '192.0.2.2');
}

const hop = (index: number, gateway: string, flags = 0): Route['nextHops'][number] => ({
  index,
  gateway,
  weight: 1,
  flags,
});

describe('the ways of a tunnel', () => {
  test('by a VLAN device they leave by the interface below it, with its tag', async () => {
    const found = await find([hop(5, '10.0.0.1')], [[5, '10.0.0.1', '02:00:00:00:00:99']]);
    expect(found).toMatchObject({ condition: 'up', mtu: 1500 });
    expect(found.ways[0]).toMatchObject({
      interface: 'eth0.100',
      way: { ifindex: 2, vlanId: 100, mtu: 1500 },
    });
  });

  test('some resolved, some not, some dead, some not ours', async () => {
    const hops = [hop(2, '10.0.0.1'), hop(2, '10.0.0.2'), hop(2, '10.0.0.3', 1), hop(7, '10.0.0.4')];
    const found = await find(hops, [
      [2, '10.0.0.1', '02:00:00:00:00:99'],
      [2, '10.0.0.3', '02:00:00:00:00:98'],
      [7, '10.0.0.4', '02:00:00:00:00:97'],
    ]);
    expect(found.condition).toBe('up');
    expect(found.ways.map(({ gateway, mac }) => [gateway, mac])).toEqual([
      ['10.0.0.1', '02:00:00:00:00:99'],
      ['10.0.0.2', ''],
    ]);
  });

  test('none', async () => {
    expect(await find([hop(2, '10.0.0.1')], [])).toMatchObject({ condition: 'unresolved' });
    expect(await find([hop(2, '10.0.0.1', 16)], [])).toMatchObject({ condition: 'interface down' });
    expect(await find([hop(7, '10.0.0.1')], [])).toMatchObject({
      condition: 'no route',
      remark: expect.stringContaining('eth7') as string,
    });
  });
});
