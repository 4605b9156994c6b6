/** Apply: what customers write into the nodes of their service networks. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { notFound } from '../../src/api/errors.js';
import { type ResourceDraft } from '../../src/api/node.js';
import { type Harness, local, refusal, until } from './harness.js';
import { games, iptv, lease, lineOfThree, NETWORK, network, PM } from './line.js';
import { type TestSupplier } from './supplier.js';

let harness: Harness;
let one: TestSupplier;

beforeEach(async () => {
  ({ harness, one } = await lineOfThree());
});
afterEach(() => harness.end());

describe('a customer’s Apply', () => {
  const apply = (resources: readonly ResourceDraft[], more: object = {}, count = resources.length) =>
    harness.client.apply([
      { begin: { serviceNetwork: NETWORK, node: 'P', epoch: 1n, ...more } },
      { resources: { resources } },
      { commit: { resourceCount: count } },
    ]);
  const address = { address: { vif: 'vns/iptv/nodes/P/vifs/to-M', prefix: '10.0.0.1/31' } };
  const route = {
    route: {
      node: 'vns/iptv/nodes/P',
      destination: '10.1.0.0/16',
      nextHops: [{ vif: 'vns/iptv/nodes/P/vifs/to-M', gateway: '10.0.0.0' }],
    },
  };

  beforeEach(async () => {
    await harness.update(network([PM]));
    harness.caller = iptv;
  });

  test('is forwarded to whoever has the node, and answered when it is there', async () => {
    const answer = await apply([address, route], { epoch: 7n });
    expect(answer).toMatchObject({ epoch: 7n, created: 2 });
    expect(one.applied.get(`${lease('P')} iptv`)).toMatchObject({
      begin: { owner: 'iptv' },
      resources: [address, route],
    });
    expect(await refusal(apply([], { epoch: 6n }))).toBe('EPOCH_STALE begin.epoch');
    await harness.kill();
    await harness.open();
    expect(await refusal(apply([], { epoch: 6n }))).toBe('EPOCH_STALE begin.epoch');
    expect(await apply([], { epoch: 7n })).toMatchObject({ epoch: 7n });
    expect(one.applied.get(`${lease('P')} iptv`)?.resources).toEqual([]);
    expect(await harness.keys('chunks/')).toEqual([]);
  });

  test('is told of errors in its own words, and what was in force stays', async () => {
    harness.caller = local;
    const OTHER = 'customers/iptv/serviceNetworks/tv';
    await harness.update({ serviceNetwork: { name: OTHER, nodes: [{ name: 'P' }], links: [] } });
    await harness.become('ready', OTHER);
    harness.caller = iptv;
    const own = { serviceNetwork: OTHER };
    const mine = { route: { node: 'vns/tv/nodes/P', destination: '10.0.0.0/8', nextHops: [] } };
    await apply([address, route]);
    await apply([mine], own);
    one.before = (method, request) => {
      const resources = 'resources' in request ? (request.resources as readonly ResourceDraft[]) : [];
      const i = resources.findIndex((r) => r.route?.destination === '1.0.0.0/8');
      if (method === 'apply' && i >= 0)
        throw notFound({
          reason: 'VIF_NOT_FOUND',
          field: `resources[${i}].route`,
          message: 'vns/iptv_tv/nodes/P/vifs/x is not there.',
        });
    };
    const bad = { route: { ...mine.route, destination: '1.0.0.0/8' } };
    const refused = apply([mine, bad], { ...own, epoch: 2n });
    await expect(refused).rejects.toThrow('vns/tv/nodes/P/vifs/x is not there.');
    expect(await refusal(refused)).toBe('VIF_NOT_FOUND resources[1].route');
    await until(() => {
      const routes = one.applied
        .get(`${lease('P')} iptv`)
        ?.resources.flatMap((r) => r.route?.destination ?? []);
      return routes?.join() === '10.1.0.0/16,10.0.0.0/8' ? undefined : routes?.join();
    });
  });

  test('killed at any commit of the store: what was there, or all of the new, and no chunk is left over', async () => {
    await apply([address]);
    for (const n of [1, 2, 3, 4, 5]) {
      const first = harness.commits;
      harness.beforeCommit = (number) => {
        if (number === first + n) throw new Error('killed');
      };
      const asked = apply([address, route], { epoch: BigInt(n + 1) }).then(
        () => 'answered',
        () => 'failed',
      );
      await Promise.race([asked, until(() => (harness.commits >= first + n ? undefined : 'not yet'))]);
      await harness.kill();
      harness.beforeCommit = () => undefined;
      await harness.open();
      const outcome = await asked;
      await until(async () => {
        const chunks = await harness.keys('chunks/');
        return chunks.length === 1 ? undefined : `${n}: ${outcome}, ${chunks.length} chunks`;
      });
      await apply([address], { epoch: BigInt(n + 1) });
      expect(one.applied.get(`${lease('P')} iptv`)?.resources).toMatchObject([address]);
    }
  });

  test.each([
    [
      'another node’s',
      { address: { ...address.address, vif: 'vns/iptv/nodes/M/vifs/to-P' } },
      'PERMISSION_DENIED resources[0].address.vif',
    ],
    [
      'another network’s',
      { route: { ...route.route, node: 'vns/conn/nodes/P' } },
      'PERMISSION_DENIED resources[0].route.node',
    ],
    [
      'a name that begins alike',
      { route: { ...route.route, node: 'vns/iptv/nodes/P2' } },
      'PERMISSION_DENIED resources[0].route.node',
    ],
    [
      'a next hop elsewhere',
      { route: { ...route.route, nextHops: [{ vif: 'vns/conn/nodes/P/vifs/to-Q' }] } },
      'PERMISSION_DENIED resources[0].route.next_hops[0].vif',
    ],
    [
      'a label',
      { label: { vif: 'vns/iptv/nodes/P/vifs/to-M', label: 20, deliver: 'x' } },
      'PERMISSION_DENIED resources[0]',
    ],
    ['nothing', {}, 'RESOURCE_KIND resources[0]'],
  ])('%s is refused', async (_, resource, told) => {
    expect(await refusal(apply([resource as ResourceDraft]))).toBe(told);
    expect(await harness.keys('chunks/')).toEqual([]);
  });

  test('streams that are none', async () => {
    expect(await refusal(harness.client.apply([]))).toBe('STREAM_TRUNCATED commit');
    expect(await refusal(harness.client.apply([{ commit: { resourceCount: 0 } }]))).toBe(
      'STREAM_ORDER begin',
    );
    expect(await refusal(apply([address], {}, 2))).toBe('STREAM_TRUNCATED commit.resource_count');
    expect(await refusal(apply([address], { node: 'Q' }))).toBe('NOT_FOUND begin.node');
  });

  test('of a network that was deleted and made anew at once: the new one begins empty, and what it is told stays', async () => {
    harness.caller = local;
    const name = 'customers/iptv/serviceNetworks/tv';
    const nodes = Array.from({ length: 20 }, (_, i) => ({ name: `n${i}`, offer: 'offers/P' }));
    const routeOf = (n: string, destination: string) => ({
      route: { node: `vns/tv/nodes/${n}`, destination, nextHops: [] },
    });
    const tell = (n: string, destination: string, epoch: bigint) =>
      apply([routeOf(n, destination)], { serviceNetwork: name, node: n, epoch });
    for (const second of [0, 1]) {
      harness.caller = local;
      if (second) await harness.remove(name);
      await harness.update({ serviceNetwork: { name, nodes, links: [] } });
      await harness.become('ready', name);
      harness.caller = iptv;
      // one is told nothing the second time
      const told = nodes.slice(second);
      await Promise.all(told.map((n) => tell(n.name, `10.${second}.0.0/16`, BigInt(second + 1))));
    }
    const there = () => one.applied.get(`${lease('P')} iptv`)?.resources.map((r) => r.route?.destination);
    await until(() => (there()?.length === nodes.length - 1 ? undefined : `${there()?.length} are there`));
    expect(new Set(there())).toEqual(new Set(['10.1.0.0/16']));
    await until(async () => {
      const { length } = await harness.keys('chunks/');
      return length === nodes.length - 1 ? undefined : `${length} chunks`;
    });
    expect((await harness.keys('contents/')).length).toBe(nodes.length - 1);
  });

  test('is the customer’s alone', async () => {
    harness.caller = games;
    expect(await refusal(apply([address]))).toBe('NOT_FOUND begin.service_network');
    harness.caller = local;
    expect(await refusal(apply([address]))).toBe('PERMISSION_DENIED begin.service_network');
  });

  test('validate_only asks the machine and changes nothing', async () => {
    await apply([address]);
    await apply([address, route], { epoch: 2n, validateOnly: true });
    expect(one.applies.at(-1)).toMatchObject({ begin: { validateOnly: true }, resources: [address, route] });
    expect(one.applied.get(`${lease('P')} iptv`)?.resources).toHaveLength(1);
    expect(await apply([address], { epoch: 1n })).toMatchObject({ epoch: 1n });
  });

  test('100 000 routes', async () => {
    const routes = Array.from({ length: 100_000 }, (_, i) => ({
      route: { ...route.route, destination: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32` },
    }));
    const requests = [
      { begin: { serviceNetwork: NETWORK, node: 'P', epoch: 1n } },
      ...Array.from({ length: 100 }, (_, i) => ({
        resources: { resources: routes.slice(i * 1000, (i + 1) * 1000) },
      })),
      { commit: { resourceCount: routes.length } },
    ];
    expect(await harness.client.apply(requests)).toMatchObject({ created: 100_000 });
    expect(one.applied.get(`${lease('P')} iptv`)?.resources).toHaveLength(100_000);
  });
});
