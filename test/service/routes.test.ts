/** SetRoutes and ListRoutes: streams, pages, a hundred thousand routes, what is refused. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { cabernet } from '../../gen/cabernet.js';
import { ApiError } from '../../src/api/errors.js';
import { type Draft } from '../../src/api/message.js';
import { exampleNetwork, networkOf } from './networks.js';
import { Provider } from './provider.js';
import { RecordingSupplier } from './recording.js';

type Request = Draft<cabernet.service.v1.SetRoutesRequest>;
type RouteDraft = Draft<cabernet.service.v1.Route>;

let supplier: RecordingSupplier;
let provider: Provider;

beforeEach(async () => {
  supplier = new RecordingSupplier();
  provider = new Provider();
  await supplier.start();
  await provider.start();
  await provider.update(networkOf(supplier.address), ...exampleNetwork('figure2', 'iptv'));
  await provider.ready();
});
afterEach(async () => {
  await provider.dispose();
  await supplier.dispose();
});

function* stream(node: string, routes: readonly RouteDraft[], more: object = {}): Generator<Request, void> {
  yield { begin: { node, ...more } };
  for (let i = 0; i < routes.length; i += 5000) yield { routes: { routes: routes.slice(i, i + 5000) } };
  yield { commit: { routeCount: routes.length } };
}

const set = (routes: readonly RouteDraft[], more: object = {}): Promise<{ routes: number }> =>
  provider.client.setRoutes(stream('nodes/P', routes, more));

async function reasonOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  const { reason, field } = error as ApiError;
  return `${reason} ${field ?? ''}`;
}

async function listAll(node: string, pageSize = 0): Promise<Draft<cabernet.service.v1.ComputedRoute>[]> {
  const routes: Draft<cabernet.service.v1.ComputedRoute>[] = [];
  let pageToken = '';
  do {
    const page = await provider.client.listRoutes({ node, pageSize, pageToken });
    routes.push(...page.routes);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return routes;
}

const sourceOf = async (node: string, destination: string): Promise<string | undefined> =>
  (await listAll(node)).find((one) => one.destination === destination)?.source;

test('connected, shortest and static, with distances, by pages', async () => {
  await set([{ destination: '10.9.0.0/16', nextHops: [{ vif: 'to-Q', gateway: '10.255.0.3' }] }]);
  const routes = await listAll('nodes/P', 3);
  expect(routes.map(({ destination }) => destination)).toEqual(
    routes.map(({ destination }) => destination).sort(),
  );
  expect(new Set(routes.map(({ destination }) => destination)).size).toBe(routes.length);
  const of = (destination: string): object | undefined =>
    routes.find((one) => one.destination === destination);
  expect(of('10.0.1.0/24')).toMatchObject({ source: 'connected', nextHops: [{ vif: 'hp', gateway: '' }] });
  expect(of('10.0.4.0/24')).toMatchObject({ source: 'shortest', distance: 2n, nextHops: [{ vif: 'to-M' }] });
  expect(of('10.9.0.0/16')).toMatchObject({
    source: 'static',
    nextHops: [{ vif: 'to-Q', gateway: '10.255.0.3' }],
  });
  expect(await reasonOf(provider.client.listRoutes({ node: 'nodes/X' }))).toBe('NOT_FOUND node');
  expect(await reasonOf(provider.client.listRoutes({ node: 'nodes/P', pageToken: 'x' }))).toBe(
    'PAGE_TOKEN_INVALID page_token',
  );
});

test('static before shortest; announced to all others; replaced as a whole, resources too', async () => {
  await provider.update({
    route: {
      name: 'nodes/P/routes/own',
      destination: '10.0.4.0/24',
      nextHops: [{ vif: 'to-Q', gateway: '10.255.0.3' }],
    },
  });
  expect(await sourceOf('nodes/P', '10.0.4.0/24')).toBe('static');
  await set([{ destination: '10.8.0.0/16', type: 2, announce: true }]);
  expect(await sourceOf('nodes/P', '10.0.4.0/24')).toBe('shortest');
  expect((await provider.client.list({ collection: 'nodes/-/routes' })).resources).toEqual([]);
  expect((await listAll('nodes/A')).find((one) => one.destination === '10.8.0.0/16')).toMatchObject({
    source: 'shortest',
    distance: 2n,
  });
  await provider.ready();
  expect(supplier.contents.get('A')?.some((one) => one.startsWith('10.8.0.0/16 1 '))).toBe(true);
  expect(supplier.contents.get('P')).toContain('10.8.0.0/16 2 ');
  await set([]);
  await provider.ready();
  expect(await sourceOf('nodes/A', '10.8.0.0/16')).toBeUndefined();
  expect(supplier.contents.get('A')?.some((one) => one.startsWith('10.8.'))).toBe(false);
});

test('validate_only changes nothing', async () => {
  expect(await set([{ destination: '10.8.0.0/16', type: 2 }], { validateOnly: true })).toEqual({ routes: 1 });
  expect(await sourceOf('nodes/P', '10.8.0.0/16')).toBeUndefined();
});

test('a hundred thousand: at the supplier, in pages, after a restart, and away again', async () => {
  const routes = Array.from({ length: 100_000 }, (_, i): RouteDraft => ({
    destination: `${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`,
    nextHops: [{ vif: i % 2 === 0 ? 'to-Q' : 'to-M', gateway: i % 2 === 0 ? '10.255.0.3' : '10.255.0.5' }],
  }));
  expect(await set(routes)).toEqual({ routes: 100_000 });
  await provider.ready();
  expect(supplier.contents.get('P')?.filter((one) => one.includes('/24')).length).toBeGreaterThan(100_000);
  const applied = supplier.applied.length;
  await provider.restart();
  await provider.ready();
  expect(await listAll('nodes/P', 10_000)).toHaveLength(100_000 + 14);
  expect(supplier.applied).toHaveLength(applied);
  const over = await reasonOf(set([...routes, { destination: '9.0.0.0/8', type: 2 }]));
  expect(over).toBe('TOO_MANY_ROUTES routes[100000]');
  await set([]);
  await provider.ready();
  expect(supplier.contents.get('P')?.some((one) => one.startsWith('20.'))).toBe(false);
}, 120_000);

describe('refused', () => {
  const good: RouteDraft = { destination: '10.9.0.0/16', nextHops: [{ vif: 'to-Q', gateway: '10.255.0.3' }] };

  test.each<[string, RouteDraft, string]>([
    ['no prefix', { destination: '10.9.0.0' }, 'ADDRESS routes[1].destination'],
    ['host bits', { destination: '10.8.0.1/16', type: 2 }, 'HOST_BITS routes[1].destination'],
    [
      'a destination again, spelt otherwise',
      { destination: '10.9.0.0/16', type: 2 },
      'DUPLICATE routes[1].destination',
    ],
    ['a type that is only read', { destination: '10.8.0.0/16', type: 4 }, 'ROUTE_TYPE routes[1].type'],
    [
      'next hops of a blackhole',
      { ...good, destination: '10.8.0.0/16', type: 2 },
      'NEXT_HOPS routes[1].next_hops',
    ],
    ['no next hops', { destination: '10.8.0.0/16' }, 'NEXT_HOPS routes[1].next_hops'],
    [
      'nine next hops',
      { destination: '10.8.0.0/16', nextHops: Array.from({ length: 9 }, () => ({ vif: 'to-Q' })) },
      'NEXT_HOPS routes[1].next_hops',
    ],
    [
      'the same next hop twice',
      { destination: '10.8.0.0/16', nextHops: [{ vif: 'to-Q' }, { vif: 'to-Q' }] },
      'DUPLICATE routes[1].next_hops[1]',
    ],
    [
      'a weight of 256',
      { destination: '10.8.0.0/16', nextHops: [{ vif: 'to-Q', weight: 256 }] },
      'WEIGHT_RANGE routes[1].next_hops[0].weight',
    ],
    [
      'another family’s gateway',
      { destination: 'fd01::/64', nextHops: [{ vif: 'to-Q', gateway: '10.255.0.3' }] },
      'GATEWAY routes[1].next_hops[0].gateway',
    ],
    [
      'a vif of another node',
      { destination: '10.8.0.0/16', nextHops: [{ vif: 'to-P' }] },
      'VIF_NOT_FOUND routes[1].next_hops[0].vif',
    ],
    [
      'a vif that climbs',
      { destination: '10.8.0.0/16', nextHops: [{ vif: '../../M/vifs/to-P' }] },
      'VIF_NOT_FOUND routes[1].next_hops[0].vif',
    ],
    [
      'a gateway elsewhere',
      { destination: '10.8.0.0/16', nextHops: [{ vif: 'to-Q', gateway: '10.255.0.5' }] },
      'GATEWAY_NOT_CONNECTED routes[1].next_hops[0].gateway',
    ],
    [
      'itself as gateway',
      { destination: '10.8.0.0/16', nextHops: [{ vif: 'to-Q', gateway: '10.255.0.2' }] },
      'GATEWAY_IS_SELF routes[1].next_hops[0].gateway',
    ],
    ['a name', { ...good, name: 'nodes/P/routes/r', destination: '10.8.0.0/16' }, 'NAME routes[1].name'],
  ])('%s', async (_, route, told) => {
    expect(await reasonOf(set([good, route]))).toBe(told);
    expect(await sourceOf('nodes/P', '10.9.0.0/16')).toBeUndefined();
  });

  test.each<[string, readonly Request[], string]>([
    ['nothing', [], 'STREAM_TRUNCATED commit'],
    ['no begin', [{ commit: { routeCount: 0 } }], 'STREAM_ORDER begin'],
    ['no commit', [{ begin: { node: 'nodes/P' } }], 'STREAM_TRUNCATED commit'],
    ['an empty message', [{ begin: { node: 'nodes/P' } }, {}], 'STREAM_ORDER message'],
    ['two begins', [{ begin: { node: 'nodes/P' } }, { begin: { node: 'nodes/P' } }], 'STREAM_ORDER begin'],
    [
      'another count',
      [{ begin: { node: 'nodes/P' } }, { commit: { routeCount: 1 } }],
      'STREAM_TRUNCATED commit.route_count',
    ],
    [
      'something after the commit',
      [{ begin: { node: 'nodes/P' } }, { commit: { routeCount: 0 } }, { commit: { routeCount: 0 } }],
      'STREAM_ORDER commit',
    ],
    ['a node that is not there', [{ begin: { node: 'nodes/X' } }], 'NOT_FOUND begin.node'],
    ['no node', [{ begin: { node: 'links/P-Q' } }], 'NOT_FOUND begin.node'],
  ])('a stream with %s', async (_, requests, told) => {
    expect(await reasonOf(provider.client.setRoutes(requests))).toBe(told);
  });

  test('strangers: there is nothing', async () => {
    provider.caller = { role: 'service', name: 'games' };
    expect(await reasonOf(set([]))).toBe('NOT_FOUND begin.node');
    expect(await reasonOf(provider.client.listRoutes({ node: 'nodes/P' }))).toBe('NOT_FOUND node');
  });

  test('what routes of SetRoutes use is not taken away, nor said twice', async () => {
    await set([{ destination: '10.9.0.0/16', nextHops: [{ vif: 'to-Q', gateway: '10.255.0.3' }] }]);
    expect(await reasonOf(provider.client.delete({ names: ['links/P-Q'] }))).toBe('IN_USE names[0]');
    const again = provider.update({
      route: { name: 'nodes/P/routes/r', destination: '10.9.0.0/16', type: 2 },
    });
    expect(await reasonOf(again)).toBe('DUPLICATE resources[0].route.destination');
  });
});

test('two at once: one of them is in force as a whole, and nothing of the other is left', async () => {
  const many = (second: number): RouteDraft[] =>
    Array.from({ length: 12_000 }, (_, i) => ({
      destination: `${second}.${i >> 8}.${i & 255}.0/24`,
      type: 2,
    }));
  await Promise.all([set(many(30)), set(many(40))]);
  await provider.restart();
  const firsts = (await listAll('nodes/P', 10_000)).map(({ destination }) => destination?.split('.')[0]);
  const [thirty, forty] = ['30', '40'].map((one) => firsts.filter((first) => first === one).length);
  expect([thirty, forty].sort()).toEqual([0, 12_000]);
});
