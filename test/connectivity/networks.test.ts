/** Service networks: admitted as a whole, made on the leased nodes. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type Harness, local, refusal, until } from './harness.js';
import { games, iptv, lease, lineOfThree, link, NETWORK, network, node, PM } from './line.js';
import { type TestSupplier } from './supplier.js';

let harness: Harness;
let one: TestSupplier;
let two: TestSupplier;

beforeEach(async () => {
  ({ harness, one, two } = await lineOfThree());
});
afterEach(() => harness.end());

interface Label {
  readonly vif: string;
  readonly label: number;
  readonly deliver?: string;
  readonly swap?: { readonly vif: string; readonly label: number };
}

/** Follows a frame from a vif over everything that is applied, as data planes would; gives the vif where it arrives. */
function arrival(vif: string): { readonly at: string; readonly nodes: readonly string[] } | string {
  const all = [...one.applied, ...two.applied].flatMap(([, { resources }]) => resources);
  const path = all.find((r) => r.vif?.name === vif)?.vif?.link?.paths[0];
  if (!path) return `${vif} sends nowhere`;
  const nodes: string[] = [];
  let { label } = path;
  let out = path.vif ?? '';
  for (let hops = 0; hops < 20; hops++) {
    // our link's other end
    const [, , , at = '', , name = ''] = out.split('/');
    const other = name.replace('to-', '');
    const into = `vns/conn/nodes/${other}/vifs/to-${at}`;
    nodes.push(other);
    const found = all
      .filter((r) => r.label?.vif === into && r.label.label === label)
      .map((r) => r.label as unknown as Label);
    if (found.length !== 1) return `${found.length} labels ${label} at ${into}`;
    const [meaning] = found;
    if (meaning?.deliver !== undefined && meaning.deliver !== '') return { at: meaning.deliver, nodes };
    out = meaning?.swap?.vif ?? '';
    label = meaning?.swap?.label ?? 0;
  }
  return 'round and round';
}

test('our own addresses are on our own links', async () => {
  await until(() => (one.applied.has(`${lease('Q')} `) ? undefined : 'nothing applied'));
  await until(() => {
    const resources = one.applied.get(`${lease('Q')} `)?.resources ?? [];
    return resources.some(
      ({ address }) => address?.vif === 'vns/conn/nodes/Q/vifs/to-P' && address.prefix === '10.8.0.1/31',
    )
      ? undefined
      : 'no address';
  });
});

describe('admitted', () => {
  test('nodes, ports, and a link by a transit node that does not see it', async () => {
    harness.caller = iptv;
    await harness.update(network([PM]));
    await harness.become('ready', NETWORK);
    expect(arrival('vns/iptv/nodes/P/vifs/to-M')).toEqual({
      at: 'vns/iptv/nodes/M/vifs/to-P',
      nodes: ['Q', 'M'],
    });
    expect(arrival('vns/iptv/nodes/M/vifs/to-P')).toEqual({
      at: 'vns/iptv/nodes/P/vifs/to-M',
      nodes: ['Q', 'P'],
    });
    const atP = one.applied.get(`${lease('P')} `)?.resources ?? [];
    expect(atP.find((r) => r.virtualNode)?.virtualNode).toMatchObject({
      name: 'vns/iptv/nodes/P',
      tenant: 'iptv',
    });
    expect(atP.find((r) => r.vif?.port)?.vif).toMatchObject({
      name: 'vns/iptv/nodes/P/vifs/hp',
      port: { interface: 'st-1' },
    });
    // what is sold is held: 1 and 400 thousandths of machines, each of what is bought there
    expect(atP.find((r) => r.virtualNode)?.virtualNode).toMatchObject({
      limits: { routes: 1000, neighbours: 100 },
      cpu: { share: 1 },
    });
    const atM = two.applied.get(`${lease('M')} `)?.resources ?? [];
    expect(atM.find((r) => r.virtualNode)?.virtualNode).toMatchObject({ cpu: { share: 500 } });
    for (const at of [atP, atM])
      expect(at.find((r) => r.vif?.link)?.vif).toMatchObject({
        sent: { bitsPerSecond: 10_000n, packetsPerSecond: 21n },
        received: { bitsPerSecond: 10_010n },
      });
    expect(atP.find((r) => r.vif?.port)?.vif?.sent).toBeUndefined();
    expect((one.applied.get(`${lease('Q')} `)?.resources ?? []).filter((r) => r.virtualNode)).toEqual([]);
    const mine = await harness.get('serviceNetwork', NETWORK);
    expect(mine.links[0]).toMatchObject({ path: [], backup: [], achieved: { bitsPerSecond: 10_000n } });
    harness.caller = local;
    expect((await harness.get('serviceNetwork', NETWORK)).links[0]?.path).toEqual(['links/P-Q', 'links/Q-M']);
    expect(await harness.get('link', 'links/P-Q')).toMatchObject({ soldAToB: 10_000n, soldBToA: 10_000n });
    expect((await harness.get('offer', 'offers/M')).free?.cpuMillis).toBe(400);
  });

  test('the same again changes nothing', async () => {
    await harness.update(network([PM]));
    await harness.become('ready', NETWORK);
    const before = await harness.get('serviceNetwork', NETWORK);
    await harness.update(network([{ ...PM, path: ['links/x'], price: { microsPerHour: 1 } }]));
    expect(await harness.get('serviceNetwork', NETWORK)).toEqual(before);
  });

  test('asked for again under the same request id, when it has been placed long since', async () => {
    const again = { resources: [network([PM])], requestId: 'once' };
    await harness.client.update(again);
    await harness.become('ready', NETWORK);
    const before = await harness.get('serviceNetwork', NETWORK);
    expect(before.links[0]?.path).toHaveLength(2);
    await harness.client.update(again);
    expect(await harness.get('serviceNetwork', NETWORK)).toEqual(before);
    expect(await refusal(harness.client.update({ ...again, resources: [network([])] }))).toBe(
      'REQUEST_ID_REUSED request_id',
    );
  });

  test('two customers with networks of one name do not meet', async () => {
    await harness.update(network([PM]));
    const other = {
      serviceNetwork: {
        name: 'customers/games/serviceNetworks/iptv',
        nodes: [{ name: 'P' }, { name: 'M' }],
        links: [{ name: 'x', a: 'P', b: 'M' }],
      },
    };
    await harness.update(other);
    await harness.become('ready', NETWORK, other.serviceNetwork.name);
    expect(arrival('vns/games_iptv/nodes/P/vifs/to-M')).toMatchObject({
      at: 'vns/games_iptv/nodes/M/vifs/to-P',
    });
    expect(arrival('vns/iptv/nodes/P/vifs/to-M')).toMatchObject({ at: 'vns/iptv/nodes/M/vifs/to-P' });
  });

  test('receivers were told before senders', async () => {
    await harness.update(network([PM]));
    await harness.become('ready', NETWORK);
    const swaps = one.applies.findIndex(({ resources }) => resources.some((r) => r.label?.swap));
    const sends = one.applies.findIndex(({ resources }) => resources.some((r) => r.vif?.link));
    expect(swaps).toBeGreaterThanOrEqual(0);
    expect(swaps).toBeLessThan(sends);
  });

  test('killed at any commit of the store, it is ready after the next start', async () => {
    for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
      const first = harness.commits;
      let died = (): void => undefined;
      const dead = new Promise<void>((done) => (died = done));
      harness.beforeCommit = (number) => {
        if (number !== first + n) return;
        died();
        throw new Error('killed');
      };
      const asked = harness.update(network([PM]));
      asked.catch(() => undefined);
      await Promise.race([dead, asked.then(() => harness.become('ready', NETWORK))]);
      await harness.kill();
      harness.beforeCommit = () => undefined;
      await harness.open();
      await harness.update(network([PM]));
      await harness.become('ready', NETWORK);
      expect(arrival('vns/iptv/nodes/P/vifs/to-M')).toMatchObject({ at: 'vns/iptv/nodes/M/vifs/to-P' });
      await harness.remove(NETWORK);
      await until(async () => {
        const left = [...(await harness.keys('carried/')), ...(await harness.keys('quarantine/'))];
        return left.length === 0 ? undefined : `${n}: ${left.join()}`;
      });
    }
  });

  test('another path: made before the old one is let go of, and labels only after nobody sends with them', async () => {
    await harness.update(link('P', 'M', { slo: { bitsPerSecond: 20_000 } }));
    await harness.become('ready', 'links/P-M');
    await harness.update(network([PM]));
    await harness.become('ready', NETWORK);
    expect(arrival('vns/iptv/nodes/P/vifs/to-M')).toMatchObject({ nodes: ['M'] });
    const known = one.applies.length;
    await harness.update(network([{ ...PM, via: ['offers/Q'] }]));
    await harness.become('ready', NETWORK);
    expect(arrival('vns/iptv/nodes/P/vifs/to-M')).toMatchObject({ nodes: ['Q', 'M'] });
    // at no time was the vif gone
    for (const { begin, resources } of one.applies.slice(known)) {
      if (begin.virtualNode !== lease('P') || begin.owner !== '') continue;
      expect(resources.filter((r) => r.vif?.name === 'vns/iptv/nodes/P/vifs/to-M')).toHaveLength(1);
    }
    await until(async () => {
      const left = await harness.keys('quarantine/');
      return left.length === 0 ? undefined : left.join();
    });
    expect(await harness.get('link', 'links/P-M')).toMatchObject({ soldAToB: 0n });
  });

  test('a node whose ports and share change: nothing else of the network is touched, nor of another customer', async () => {
    await harness.update(network([PM]), {
      serviceNetwork: { name: 'customers/games/serviceNetworks/games', nodes: [{ name: 'P' }], links: [] },
    });
    await harness.become('ready', NETWORK, 'customers/games/serviceNetworks/games');
    harness.caller = iptv;
    const address = { address: { vif: 'vns/iptv/nodes/P/vifs/to-M', prefix: '10.0.0.1/31' } };
    await harness.client.apply([
      { begin: { serviceNetwork: NETWORK, node: 'P', epoch: 1n } },
      { resources: { resources: [address] } },
      { commit: { resourceCount: 1 } },
    ]);
    const contents = () =>
      [[one, 'P'] as const, [two, 'M'] as const].map(
        ([at, name]) => at.applied.get(`${lease(name)} `)?.resources ?? [],
      );
    const before = contents();
    const known = [one, two].map(({ applies }) => applies.length);
    const ports = [
      { vif: 'hp', port: 'st-1' },
      { vif: 'hq', port: 'st-2' },
    ];
    const changed = [
      { name: 'P', share: { cpuMillis: 300 }, ports },
      { name: 'M', share: { cpuMillis: 100 } },
    ];
    await harness.update(network([PM], { nodes: changed }));
    await harness.become('ready', NETWORK);
    const after = contents();
    const text = (all: readonly object[]): string[] =>
      all.map((r) =>
        JSON.stringify(r, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
      );
    const others = (some: readonly object[], than: readonly object[]): object[] => {
      const known = text(than);
      return some.filter((r) => !known.includes(text([r])[0] ?? ''));
    };
    const [P = [], M = []] = after;
    const [formerP = [], formerM = []] = before;
    // the vif that is new, and thousandths of the 800 that the nodes below were bought with
    expect(others(P, formerP)).toMatchObject([
      { virtualNode: { name: 'vns/iptv/nodes/P', cpu: { share: 375 } } },
      { vif: { name: 'vns/iptv/nodes/P/vifs/hq' } },
    ]);
    expect(others(formerP, P)).toMatchObject([
      { virtualNode: { name: 'vns/iptv/nodes/P', cpu: { share: 1 } } },
    ]);
    expect(others(M, formerM)).toMatchObject([
      { virtualNode: { name: 'vns/iptv/nodes/M', cpu: { share: 125 } } },
    ]);
    expect(others(formerM, M)).toMatchObject([
      { virtualNode: { name: 'vns/iptv/nodes/M', cpu: { share: 500 } } },
    ]);
    // one Apply of ours to each machine where something is another
    for (const [i, at] of [one, two].entries()) {
      const told = at.applies.slice(known[i]).filter(({ begin }) => begin.owner === '');
      expect(told.map(({ begin }) => begin.virtualNode)).toEqual([lease(i === 0 ? 'P' : 'M')]);
    }
    expect(one.applied.get(`${lease('P')} iptv`)?.resources).toMatchObject([address]);
    // a port in use by the customer's own may go, and another's may not be taken
    await harness.update(network([PM], { nodes: [{ name: 'P', ports: [ports[1]] }, { name: 'M' }] }));
    await harness.become('ready', NETWORK);
    const vifs = one.applied.get(`${lease('P')} `)?.resources.flatMap((r) => r.vif?.name ?? []);
    expect(vifs).toContain('vns/iptv/nodes/P/vifs/hq');
    expect(vifs).toContain('vns/iptv/nodes/P/vifs/to-M');
    expect(vifs).not.toContain('vns/iptv/nodes/P/vifs/hp');
    harness.caller = games;
    const taken = { name: 'P', ports: [ports[1]] };
    const theirs = { name: 'customers/games/serviceNetworks/games', nodes: [taken], links: [] };
    expect(await refusal(harness.update({ serviceNetwork: theirs }))).toBe(
      'NO_CAPACITY resources[0].service_network.nodes[0].ports[0].port',
    );
  });

  test('deleted, nothing of it is left', async () => {
    await harness.update(network([PM]));
    await harness.become('ready', NETWORK);
    await harness.remove(NETWORK);
    await until(() => {
      const left = [...one.applied.values(), ...two.applied.values()]
        .flatMap(({ resources }) => resources)
        .filter((r) => !r.address);
      return left.length === 0 ? undefined : JSON.stringify(left[0]);
    });
    expect(await harness.get('link', 'links/P-Q')).toMatchObject({ soldAToB: 0n });
    await until(async () => ((await harness.keys('quarantine/')).length === 0 ? undefined : 'labels wait'));
  });
});

describe('refused', () => {
  test.each([
    [
      'too much bandwidth',
      network([{ ...PM, slo: { bitsPerSecond: 17_648 } }]),
      'NO_CAPACITY resources[0].service_network.links[0]',
    ],
    [
      'too far',
      network([{ ...PM, slo: { availabilityPpm: 999_999 } }]),
      'NO_PATH resources[0].service_network.links[0]',
    ],
    [
      'no such offer',
      network([], { nodes: [{ name: 'X' }] }),
      'UNKNOWN_OFFER resources[0].service_network.nodes[0].offer',
    ],
    [
      'too much of a processor',
      network([], { nodes: [{ name: 'P', share: { cpuMillis: 801 } }] }),
      'NO_CAPACITY resources[0].service_network.nodes[0].share.cpu_millis',
    ],
    [
      'a port that is not there',
      network([], { nodes: [{ name: 'P', ports: [{ vif: 'x', port: 'eth0' }] }] }),
      'UNKNOWN_PORT resources[0].service_network.nodes[0].ports[0].port',
    ],
    [
      'a port twice',
      network([], {
        nodes: [
          { name: 'a', offer: 'offers/P', ports: [{ vif: 'x', port: 'st-1' }] },
          { name: 'b', offer: 'offers/P', ports: [{ vif: 'x', port: 'st-1' }] },
        ],
      }),
      'NO_CAPACITY resources[0].service_network.nodes[1].ports[0].port',
    ],
    [
      'a long name',
      { serviceNetwork: { name: 'customers/iptv/serviceNetworks/abcdefghijklmnopqrst' } },
      'no refusal',
    ],
    [
      'a node that is not its own',
      network([{ ...PM, b: 'Z' }]),
      'NODE resources[0].service_network.links[0].b',
    ],
    [
      'two vifs of a name',
      network([PM, { ...PM, name: 'again' }]),
      'DUPLICATE resources[0].service_network.links[1].vif_a',
    ],
    ['a hostile vif', network([{ ...PM, vifA: '../x' }]), 'VIF resources[0].service_network.links[0].vif_a'],
    [
      'past what is not there',
      network([{ ...PM, via: ['offers/Z'] }]),
      'NO_PATH resources[0].service_network.links[0]',
    ],
    ['a frame too large', network([{ ...PM, mtu: 1500 }]), 'NO_PATH resources[0].service_network.links[0]'],
  ])('%s', async (_, resource, told) => {
    expect(await refusal(harness.update(resource))).toBe(told);
  });

  test('over the quota, and a name too long for machines', async () => {
    await harness.update({ customer: { name: 'customers/iptv', virtualLinks: 1, bitsPerSecond: 500 } });
    expect(await refusal(harness.update(network([PM])))).toBe('QUOTA resources[0].service_network.links');
    await harness.update({ customer: { name: 'customers/aaaaaaaaaaaaaaaaaaaa' } });
    const long = { serviceNetwork: { name: 'customers/aaaaaaaaaaaaaaaaaaaa/serviceNetworks/bbbbbbb' } };
    expect(await refusal(harness.update(long))).toBe('VN_NAME_TOO_LONG resources[0].service_network.name');
  });

  test('says what would fit', async () => {
    const asked = harness.update(network([{ ...PM, slo: { bitsPerSecond: 17_648 } }]));
    await expect(asked).rejects.toThrow(/would fit: bits_per_second 17647/);
    const late = harness.update(network([{ ...PM, slo: { availabilityPpm: 999_999 } }]));
    await expect(late).rejects.toThrow(/availability_ppm 998001.*no second path/);
  });

  test('validate_only gives price and placement, and changes nothing', async () => {
    await harness.update({
      tariff: { name: 'tariff', currency: 'EUR', nodeMicros: 10, linkMicros: 3, mbitLinkMicros: 1_000_000 },
    });
    const { resources } = await harness.client.update({ resources: [network([PM])], validateOnly: true });
    expect(resources[0]?.serviceNetwork).toMatchObject({
      price: { microsPerHour: 20n + 3n + 2n * 10_000n, currency: 'EUR' },
      links: [{ path: ['links/P-Q', 'links/Q-M'] }],
    });
    expect((await harness.client.list({ collection: 'customers/-/serviceNetworks' })).resources).toEqual([]);
    expect((await harness.get('link', 'links/P-Q')).soldAToB).toBe(0n);
  });

  test('nodes and links that it stands on cannot go', async () => {
    await harness.update(network([PM]));
    expect(await refusal(harness.remove('links/P-Q'))).toBe('IN_USE names[0]');
    expect(await refusal(harness.remove('nodes/M', 'links/Q-M'))).toBe('IN_USE names[0]');
    expect(await refusal(harness.update(link('P', 'Q', { slo: { bitsPerSecond: 11_333 } })))).toBe(
      'IN_USE resources[0].link.slo.bits_per_second',
    );
    expect(await refusal(harness.update({ node: { ...node('P', 'one').node, ports: ['st-2'] } }))).toBe(
      'IN_USE resources[0].node.ports',
    );
  });
});
