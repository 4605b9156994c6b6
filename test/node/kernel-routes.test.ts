import { describe, expect, test } from 'vitest';
import { type NetlinkEvent, type Route } from '../../native/lib/index.js';
import { KernelRoutes, RESYNC, targetOf } from '../../src/node/kernel-routes.js';
import { targetKey } from '../../src/node/rib.js';

function route(destination: string, more: Partial<Route> = {}): Route {
  return {
    family: destination.includes(':') ? 6 : 4,
    destination,
    table: 254,
    protocol: 11,
    type: 'unicast',
    scope: 'universe',
    metric: 20,
    typeOfService: 0,
    nextHops: [{ index: 2, gateway: '10.1.0.1', weight: 1, flags: 0 }],
    flags: 0,
    ...more,
  };
}

function event(type: 'new' | 'del', object: Route): NetlinkEvent {
  return { type, what: 'route', object, replaced: false };
}

const deviceOf = (index: number): string => (index === 2 ? 'a' : index === 3 ? 'b' : '');

function key(object: Route): string {
  const target = targetOf(object, deviceOf);
  return target ? targetKey(target) : 'none';
}

describe('a kernel’s route in the tables', () => {
  test.each<[string, Partial<Route>]>([
    ['hop a 10.1.0.1', {}],
    ['glean a', { nextHops: [{ index: 2, weight: 1, flags: 0 }] }],
    ['glean ', { nextHops: [{ index: 9, gateway: '10.1.0.1', weight: 1, flags: 0 }] }],
    ['hop a fe80::1', { nextHops: [{ index: 2, gateway: 'fe80::1', weight: 1, flags: 0 }] }],
    [
      'group 1*hop a 10.1.0.1 3*hop b 10.2.0.1',
      {
        nextHops: [
          { index: 2, gateway: '10.1.0.1', weight: 1, flags: 0 },
          { index: 3, gateway: '10.2.0.1', weight: 3, flags: 0 },
        ],
      },
    ],
    [
      'hop b 10.2.0.1',
      {
        nextHops: [
          { index: 2, gateway: '10.1.0.1', weight: 1, flags: 16 },
          { index: 3, gateway: '10.2.0.1', weight: 3, flags: 0 },
        ],
      },
    ],
    ['glean ', { nextHops: [{ index: 2, gateway: '10.1.0.1', weight: 1, flags: 1 }] }],
    ['blackhole', { type: 'blackhole', nextHops: [] }],
    ['unreachable', { type: 'prohibit', nextHops: [] }],
    ['unreachable', { type: 'unreachable', nextHops: [] }],
    ['none', { type: 'throw', nextHops: [] }],
    ['none', { type: 'multicast', nextHops: [] }],
  ])('%s', (expected, more) => {
    expect(key(route('10.0.0.0/8', more))).toBe(expected);
  });
});

describe('the kernel’s main table', () => {
  test('the smallest metric counts, and what comes back after it went', () => {
    const routes = new KernelRoutes();
    expect(routes.apply(event('new', route('10.0.0.0/8')))).toBe('10.0.0.0/8');
    routes.apply(event('new', route('10.0.0.0/8', { metric: 5, type: 'blackhole', nextHops: [] })));
    expect(routes.best('10.0.0.0/8')?.metric).toBe(5);
    routes.apply(event('del', route('10.0.0.0/8', { metric: 5, type: 'blackhole', nextHops: [] })));
    expect(routes.best('10.0.0.0/8')?.metric).toBe(20);
    expect(routes.apply(event('del', route('10.0.0.0/8')))).toBe('10.0.0.0/8');
    expect(routes.view('10.0.0.0/8', deviceOf)).toBeUndefined();
  });

  test('other tables, and what the agent itself installed, are not looked at', () => {
    const routes = new KernelRoutes();
    expect(routes.apply(event('new', route('10.0.0.0/8', { table: 255 })))).toBeUndefined();
    expect(routes.apply(event('new', route('10.0.0.0/8', { protocol: 202 })))).toBeUndefined();
    expect(routes.reset([route('10.0.0.0/8', { table: 100 })]).size).toBe(0);
  });

  test('one way of several that goes is not all of them: read again', () => {
    const routes = new KernelRoutes();
    const hops = [
      { index: 2, gateway: 'fd00::1', weight: 1, flags: 0 },
      { index: 3, gateway: 'fd00::2', weight: 1, flags: 0 },
    ];
    routes.apply(event('new', route('fd01::/64', { nextHops: hops })));
    expect(routes.apply(event('del', route('fd01::/64', { nextHops: hops.slice(1) })))).toBe(RESYNC);
    expect(routes.apply({ type: 'resync' })).toBe(RESYNC);
  });

  test('a link’s prefix is connected; link-local and multicast prefixes are the kernel’s', () => {
    const routes = new KernelRoutes();
    const onLink = { protocol: 2, nextHops: [{ index: 2, weight: 1, flags: 0 }] };
    routes.reset([route('10.0.1.0/24', onLink), route('fe80::/64', onLink), route('ff00::/8', onLink)]);
    expect(routes.view('10.0.1.0/24', deviceOf)).toMatchObject({ layer: 'connected' });
    expect(routes.view('fe80::/64', deviceOf)).toBeUndefined();
    expect(routes.view('ff00::/8', deviceOf)).toBeUndefined();
  });
});
