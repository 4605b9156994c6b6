// Routes against this kernel: both families, several next hops, tables, look-ups, next-hop
// objects, and a hundred thousand at once.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NextHopFlags, RouteTable, type Link, type Op, type Route } from '../../native/lib/netlink/index.js';
import { failure, ipJson, Places, wire, type Place } from './netlink-fixtures.js';

const places = new Places('route');
let here: Place;
let a: Link;

beforeAll(async () => {
  here = await places.make('here');
  ({ a } = await wire(here, await places.make('there')));
});

afterAll(() => places.remove());

async function route(destination: string, table: number = RouteTable.main): Promise<Route | undefined> {
  return (await here.netlink.routes({ table })).find((found) => found.destination === destination);
}

const ways = (found: Route | undefined): unknown =>
  found?.nextHops.map(({ index, gateway, weight }) => ({ index, gateway, weight }));

describe('a route', () => {
  it.each([
    ['10.1.0.0/16', '10.0.0.2'],
    ['0.0.0.0/0', '10.0.0.2'],
    ['fd01::/48', 'fd00::2'],
    ['::/0', 'fd00::2'],
  ])('to %s via %s is made, replaced and deleted', async (destination, gateway) => {
    const { netlink } = here;
    await netlink.addRoute({ destination, nextHops: [{ gateway }] });
    expect(await route(destination)).toMatchObject({ type: 'unicast', protocol: 4, table: 254 });
    expect(ways(await route(destination))).toEqual([{ index: a.index, gateway, weight: 1 }]);
    expect(await failure(netlink.addRoute({ destination, nextHops: [{ gateway }] }))).toMatchObject({
      code: 'EEXIST',
      operation: 'addRoute',
      subject: destination,
    });
    await netlink.replaceRoute({
      destination,
      nextHops: [
        { index: a.index, gateway },
        { gateway: gateway.replace(/2$/, '3'), weight: 5 },
      ],
    });
    expect(ways(await route(destination))).toEqual([
      { index: a.index, gateway, weight: 1 },
      { index: a.index, gateway: gateway.replace(/2$/, '3'), weight: 5 },
    ]);
    await netlink.deleteRoute({ destination });
    expect(await route(destination)).toBeUndefined();
    expect(await failure(netlink.deleteRoute({ destination }))).toMatchObject({
      code: expect.stringMatching(/^(ESRCH|ENOENT)$/) as unknown,
      operation: 'deleteRoute',
    });
  });

  it('that was read can be written, and deleted by what was read', async () => {
    const { netlink } = here;
    const spec = {
      destination: '10.2.0.0/16',
      table: 100_000,
      protocol: 186,
      metric: 77,
      source: '10.0.0.1',
      metrics: { mtu: 1400, hopLimit: 9, advertisedMss: 1000 },
      nextHops: [
        { gateway: '10.0.0.2', weight: 3 },
        { gateway: '10.0.0.3', weight: 256 },
      ],
    };
    await netlink.addRoute(spec);
    const read = await route('10.2.0.0/16', 100_000);
    expect(read).toMatchObject({ ...spec, nextHops: [{ weight: 3 }, { weight: 256 }] });
    if (read === undefined) throw new Error('no route');
    await netlink.deleteRoute(read);
    expect(await netlink.routes({ table: 100_000 })).toEqual([]);
    await netlink.replaceRoute(read);
    expect(await route('10.2.0.0/16', 100_000)).toEqual(read);
    for (const all of await netlink.routes({ table: RouteTable.local })) await netlink.replaceRoute(all);
    await netlink.deleteRoute({ destination: '10.2.0.0/16', table: 100_000 });
  });

  it('may be of every type that leads nowhere', async () => {
    const types = ['blackhole', 'unreachable', 'prohibit', 'throw'] as const;
    for (const [i, type] of types.entries()) {
      await here.netlink.addRoute({ destination: `10.3.${i}.0/24`, type });
      expect(await route(`10.3.${i}.0/24`)).toMatchObject({ type, nextHops: [] });
      await here.netlink.deleteRoute({ destination: `10.3.${i}.0/24`, type });
      await here.netlink.addRoute({ destination: `fd03:${i + 1}::/32`, type });
      expect(await route(`fd03:${i + 1}::/32`)).toMatchObject({ type });
      await here.netlink.deleteRoute({ destination: `fd03:${i + 1}::/32` });
    }
  });

  it('of IPv4 may lead through an IPv6 gateway', async () => {
    const nextHops = [
      { index: a.index, gateway: 'fd00::2' },
      { index: a.index, gateway: '10.0.0.2', weight: 2 },
    ];
    await here.netlink.addRoute({ destination: '10.4.0.0/16', nextHops: nextHops.slice(0, 1) });
    await here.netlink.addRoute({ destination: '10.5.0.0/16', nextHops });
    expect(ways(await route('10.4.0.0/16'))).toEqual([{ index: a.index, gateway: 'fd00::2', weight: 1 }]);
    expect(ways(await route('10.5.0.0/16'))).toEqual([
      { index: a.index, gateway: 'fd00::2', weight: 1 },
      { index: a.index, gateway: '10.0.0.2', weight: 2 },
    ]);
    const told = ipJson<Array<{ via?: unknown }>>('-n', here.name, 'route', 'show', '10.4.0.0/16');
    expect(told[0]?.via).toEqual({ family: 'inet6', host: 'fd00::2' });
    await here.netlink.deleteRoute({ destination: '10.4.0.0/16' });
    await here.netlink.deleteRoute({ destination: '10.5.0.0/16' });
  });

  it('may be told that its gateway is on the link', async () => {
    const destination = '10.6.0.0/16';
    await here.netlink.addRoute({
      destination,
      nextHops: [{ index: a.index, gateway: '203.0.113.1', onlink: true }],
    });
    const found = await route(destination);
    expect((found?.nextHops[0]?.flags ?? 0) & NextHopFlags.onlink).toBe(NextHopFlags.onlink);
    if (found === undefined) throw new Error('no route');
    await here.netlink.deleteRoute({ destination });
    await here.netlink.addRoute(found);
    expect(await route(destination)).toEqual(found);
    await here.netlink.deleteRoute({ destination });
  });

  it('of IPv6 may be for some sources only, and gets more next hops by appending', async () => {
    const { netlink } = here;
    await netlink.addRoute({ destination: 'fd06::/32', nextHops: [{ gateway: 'fd00::2' }] });
    await netlink.appendRoute({ destination: 'fd06::/32', nextHops: [{ gateway: 'fd00::3' }] });
    expect((await route('fd06::/32'))?.nextHops.map(({ gateway }) => gateway).sort()).toEqual([
      'fd00::2',
      'fd00::3',
    ]);
    await netlink.deleteRoute({ destination: 'fd06::/32', nextHops: [{ gateway: 'fd00::2' }] });
    expect(ways(await route('fd06::/32'))).toEqual([{ index: a.index, gateway: 'fd00::3', weight: 1 }]);
    await netlink.deleteRoute({ destination: 'fd06::/32' });
  });

  it('refers to next-hop objects, and is told with what they are', async () => {
    const nexthop = (...args: string[]): unknown => execFileSync('ip', ['-n', here.name, 'nexthop', ...args]);
    nexthop('add', 'id', '5', 'via', '10.0.0.5', 'dev', 'a0');
    nexthop('add', 'id', '6', 'via', '10.0.0.6', 'dev', 'a0');
    nexthop('add', 'id', '10', 'group', '5/6,3');
    await here.netlink.addRoute({ destination: '10.7.0.0/16', nextHopId: 10 });
    await here.netlink.addRoute({ destination: '10.8.0.0/16', nextHopId: 5 });
    expect(await route('10.7.0.0/16')).toMatchObject({ nextHopId: 10 });
    expect(ways(await route('10.7.0.0/16'))).toEqual([
      { index: a.index, gateway: '10.0.0.5', weight: 1 },
      { index: a.index, gateway: '10.0.0.6', weight: 3 },
    ]);
    expect(ways(await route('10.8.0.0/16'))).toEqual([{ index: a.index, gateway: '10.0.0.5', weight: 1 }]);
    nexthop('flush');
    expect(await route('10.7.0.0/16')).toBeUndefined();
  });

  it('that makes no sense is an error with the kernel’s words', async () => {
    const { netlink } = here;
    expect(
      await failure(netlink.addRoute({ destination: '10.9.0.0/16', nextHops: [{ gateway: '203.0.113.1' }] })),
    ).toMatchObject({
      code: 'ENETUNREACH',
      errno: 101,
      operation: 'addRoute',
      subject: '10.9.0.0/16',
      message: expect.stringContaining('Nexthop has invalid gateway') as unknown,
    });
    expect(await failure(netlink.addRoute({ destination: '10.9.1.1/16', type: 'blackhole' }))).toMatchObject({
      code: 'EINVAL',
      message: expect.stringContaining('Invalid prefix') as unknown,
    });
    const wrong: object[] = [
      { destination: '10.0.0.0' },
      { destination: 7 },
      { destination: '10.9.0.0/16', nextHops: [{ gateway: 'x' }] },
      { destination: '10.9.0.0/16', nextHops: [{ index: 0.5 }] },
      { destination: 'fd09::/16', nextHops: [{ gateway: '10.0.0.1' }] },
      { destination: '10.9.0.0/16', table: 0 },
      { destination: '10.9.0.0/16', type: 'scenic' },
      { destination: '10.9.0.0/16', scope: 'village' },
      { destination: '10.9.0.0/16', metrics: { beauty: 3 } },
      { destination: '10.9.0.0/16', nextHops: [{ gateway: '10.0.0.2', weight: 257 }] },
    ];
    for (const spec of wrong) {
      expect(await failure(netlink.addRoute(spec as never))).toMatchObject({
        code: 'ERR_ARGUMENT',
        operation: 'addRoute',
      });
    }
  });
});

describe('a look-up', () => {
  it('finds the way of one packet, or the whole route', async () => {
    const { netlink } = here;
    for (const [destination, first, address] of [
      ['10.1.0.0/16', '10.0.0.', '10.1.2.3'],
      ['fd01::/48', 'fd00::', 'fd01::9'],
    ] as const) {
      await netlink.addRoute({
        destination,
        nextHops: [{ gateway: `${first}2` }, { gateway: `${first}3`, weight: 2 }],
      });
      const one = await netlink.lookupRoute(address);
      expect(one?.nextHops).toHaveLength(1);
      expect(one).toMatchObject({ table: 254, type: 'unicast', source: `${first}1` });
      expect(one?.from).toBeUndefined();
      const whole = await netlink.lookupRoute(address, { fibMatch: true });
      expect(whole).toMatchObject({ destination });
      expect(new Set(whole?.nextHops.map(({ gateway }) => gateway))).toEqual(
        new Set([`${first}2`, `${first}3`]),
      );
      await netlink.deleteRoute({ destination });
    }
  });

  it('may say where from, which ports, and which interface', async () => {
    const { netlink } = here;
    const found = await netlink.lookupRoute('10.0.0.2', {
      from: '10.0.0.1',
      outIndex: a.index,
      protocol: 17,
      sourcePort: 1,
      destinationPort: 2,
      mark: 3,
    });
    expect(found?.nextHops[0]).toMatchObject({ index: a.index });
    expect((await netlink.lookupRoute('10.0.0.1'))?.type).toBe('local');
    await netlink.addRoute({ destination: 'fd02::/48', nextHops: [{ gateway: 'fd00::2' }] });
    expect((await netlink.lookupRoute('fd02::1', { from: 'fd00::1' }))?.nextHops[0]?.gateway).toBe('fd00::2');
    await netlink.deleteRoute({ destination: 'fd02::/48' });
    expect(await failure(netlink.lookupRoute('10.0.0.2', { from: 'fd00::1' }))).toMatchObject({
      code: 'ERR_ARGUMENT',
    });
    expect(await failure(netlink.lookupRoute('nowhere'))).toMatchObject({ code: 'ERR_ARGUMENT' });
  });

  it('that finds nothing is undefined, and one that is refused says how', async () => {
    const { netlink } = here;
    expect(await netlink.lookupRoute('203.0.113.9')).toBeUndefined();
    expect(await netlink.lookupRoute('fd77::1')).toBeUndefined();
    await netlink.addRoute({ destination: '10.3.0.0/16', type: 'unreachable' });
    expect(await failure(netlink.lookupRoute('10.3.0.1'))).toMatchObject({
      code: 'EHOSTUNREACH',
      subject: '10.3.0.1',
    });
    await netlink.deleteRoute({ destination: '10.3.0.0/16' });
  });
});

describe('a hundred thousand routes', () => {
  const count = 100_000;
  const destination = {
    4: (i: number): string => `20.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`,
    6: (i: number): string => `fd20:0:${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}::/64`,
  } as const;

  it.each([4, 6] as const)('of IPv%i are written, read and deleted in a few seconds', async (family) => {
    const gateway = family === 4 ? '10.0.0.2' : 'fd00::2';
    const nextHops = [{ index: a.index, gateway }];
    const ops = (op: 'replaceRoute' | 'deleteRoute'): Op[] =>
      Array.from({ length: count }, (_, i) => ({
        op,
        route: { destination: destination[family](i), nextHops },
      }));
    const start = performance.now();
    const errors = await here.netlink.batch(ops('replaceRoute'));
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(errors.filter((error) => error !== undefined)).toEqual([]);
    const found = (await here.netlink.routes({ family, protocol: 4 })).filter((each) =>
      each.destination.includes('20'),
    );
    expect(found).toHaveLength(count);
    const gone = await here.netlink.batch(ops('deleteRoute'));
    expect(gone.filter((error) => error !== undefined)).toEqual([]);
    expect(await here.netlink.routes({ family, protocol: 4 })).toEqual([]);
  });

  it('with some wrong among them are each told what happened', async () => {
    const ops: Op[] = Array.from({ length: 5000 }, (_, i) => ({
      op: 'addRoute' as const,
      route: {
        destination: i % 1000 === 7 ? 'wrong' : destination[4](i % 1000 === 9 ? 0 : i),
        nextHops: [{ index: a.index }],
      },
    }));
    const errors = await here.netlink.batch(ops);
    const codes = new Map<string, number[]>();
    errors.forEach((error, i) => {
      if (error !== undefined) codes.set(error.code, [...(codes.get(error.code) ?? []), i]);
    });
    expect(Object.fromEntries(codes)).toEqual({
      ERR_ARGUMENT: [7, 1007, 2007, 3007, 4007],
      EEXIST: [9, 1009, 2009, 3009, 4009],
    });
    const right = ops.filter((_, i) => errors[i] === undefined);
    const gone = await here.netlink.batch(right.map((op) => ({ ...op, op: 'deleteRoute' }) as Op));
    expect(gone.filter((error) => error !== undefined)).toEqual([]);
  });
});
