// What the kernel tells unasked, against this kernel: every kind of notice, and what happens
// when more come than can be kept.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Link, NetlinkEvent, NetlinkGroup, Op, Subscription } from '../../native/lib/netlink/index.js';
import { until } from './fixtures.js';
import { Places, wire, type Place } from './netlink-fixtures.js';

const places = new Places('event');
let here: Place;
let there: Place;
let a: Link;

beforeAll(async () => {
  [here, there] = await Promise.all([places.make('here'), places.make('there')]);
  ({ a } = await wire(here, there));
});

afterAll(() => places.remove());

/** Events of some groups, kept until asked for. */
class Ears {
  readonly events: NetlinkEvent[] = [];
  readonly calls: number[] = [];
  subscription: Subscription | undefined;

  static async open(place: Place, groups: NetlinkGroup[], receiveBuffer?: number): Promise<Ears> {
    const ears = new Ears();
    const options = receiveBuffer === undefined ? {} : { receiveBuffer };
    ears.subscription = await place.netlink.subscribe(
      groups,
      (events) => {
        ears.calls.push(events.length);
        ears.events.push(...events);
      },
      options,
    );
    return ears;
  }

  /** The first event like this one, waited for. */
  async hear(like: object): Promise<NetlinkEvent> {
    let found: NetlinkEvent | undefined;
    await until(() => {
      found = this.events.find((event) => {
        try {
          expect(event).toMatchObject(like);
          return true;
        } catch {
          return false;
        }
      });
      return found !== undefined;
    }, JSON.stringify(like));
    if (found === undefined) throw new Error('no event');
    return found;
  }

  close(): void {
    this.subscription?.close();
  }
}

const bulk = (op: 'replaceRoute' | 'deleteRoute', count: number): Op[] =>
  Array.from({ length: count }, (_, i) => ({
    op,
    route: { destination: `20.0.${i >> 8}.${i & 255}/32`, nextHops: [{ index: a.index }] },
  }));

describe('a subscription', () => {
  let ears: Ears;

  beforeEach(() => {
    ears?.close();
  });

  it('tells of links made, renamed, changed and gone', async () => {
    ears = await Ears.open(here, ['link']);
    const { index } = await here.netlink.addLink({ kind: 'veth', name: 'e0', peer: { name: 'e1' } });
    await ears.hear({ type: 'new', what: 'link', object: { index, name: 'e0', up: false, kind: 'veth' } });
    await here.netlink.setLink(index, { name: 'e9' });
    await ears.hear({ type: 'new', what: 'link', object: { index, name: 'e9' } });
    await here.netlink.setLink(index, { up: true, mtu: 1400 });
    await ears.hear({ type: 'new', what: 'link', object: { index, up: true, running: false, mtu: 1400 } });
    await here.netlink.deleteLink(index);
    await ears.hear({ type: 'del', what: 'link', object: { index, name: 'e9' } });
    ears.close();
  });

  it('tells of carrier lost and found', async () => {
    ears = await Ears.open(here, ['link']);
    const peer = (await there.netlink.link('b0'))?.index ?? 0;
    await there.netlink.setLink(peer, { up: false });
    await ears.hear({ type: 'new', what: 'link', object: { index: a.index, up: true, running: false } });
    await there.netlink.setLink(peer, { up: true });
    await ears.hear({ type: 'new', what: 'link', object: { index: a.index, up: true, running: true } });
    await there.netlink
      .addAddress({ index: peer, address: 'fd00::2', prefixLength: 64, noDad: true })
      .catch(() => undefined);
    ears.close();
  });

  it('does not take a port leaving its bridge for an interface that is gone', async () => {
    const bridge = await here.netlink.addLink({ kind: 'bridge', name: 'br0', up: true });
    const port = await here.netlink.addLink({
      kind: 'veth',
      name: 'p0',
      up: true,
      peer: { name: 'p1', up: true },
    });
    ears = await Ears.open(here, ['link']);
    await here.netlink.setLink(port.index, { masterIndex: bridge.index });
    await ears.hear({ type: 'new', what: 'link', object: { index: port.index, masterIndex: bridge.index } });
    await here.netlink.setLink(port.index, { masterIndex: 0, alias: 'free' });
    await ears.hear({ type: 'new', what: 'link', object: { index: port.index, alias: 'free' } });
    expect(ears.events.filter(({ type }) => type === 'del')).toEqual([]);
    ears.close();
    await here.netlink.batch([port.index, bridge.index].map((index) => ({ op: 'deleteLink', index })));
  });

  it('tells of addresses, neighbours and routes come and gone', async () => {
    ears = await Ears.open(here, ['address', 'neighbour', 'route']);
    const { netlink } = here;
    const address = { index: a.index, address: '192.0.2.1', prefixLength: 32 };
    const neighbour = { index: a.index, address: '10.0.0.9', lladdr: '02:00:00:00:00:09' };
    await netlink.addAddress(address);
    await netlink.replaceNeighbour(neighbour);
    await netlink.addRoute({ destination: '10.1.0.0/16', table: 1000, nextHops: [{ gateway: '10.0.0.9' }] });
    await netlink.replaceRoute({ destination: '10.1.0.0/16', table: 1000, type: 'blackhole' });
    await netlink.addRoute({
      destination: 'fd01::/48',
      nextHops: [{ gateway: 'fd00::8' }, { gateway: 'fd00::9' }],
    });
    await netlink.deleteRoute({ destination: 'fd01::/48', nextHops: [{ gateway: 'fd00::8' }] });
    await netlink.deleteRoute({ destination: '10.1.0.0/16', table: 1000 });
    await netlink.deleteNeighbour(neighbour);
    await netlink.deleteAddress(address);
    await ears.hear({ type: 'del', what: 'address', object: { address: '192.0.2.1' } });
    const seen = (like: object): boolean =>
      ears.events.some((event) => {
        try {
          expect(event).toMatchObject(like);
          return true;
        } catch {
          return false;
        }
      });
    const destination = '10.1.0.0/16';
    expect(seen({ type: 'new', what: 'address', object: { address: '192.0.2.1', permanent: true } })).toBe(
      true,
    );
    expect(seen({ type: 'new', what: 'neighbour', object: { ...neighbour, state: 'permanent' } })).toBe(true);
    expect(seen({ type: 'del', what: 'neighbour', object: { address: '10.0.0.9' } })).toBe(true);
    expect(seen({ type: 'new', what: 'route', replaced: false, object: { destination, table: 1000 } })).toBe(
      true,
    );
    expect(
      seen({ type: 'new', what: 'route', replaced: true, object: { destination, type: 'blackhole' } }),
    ).toBe(true);
    expect(seen({ type: 'del', what: 'route', object: { destination, table: 1000 } })).toBe(true);
    const both = [{ gateway: 'fd00::8' }, { gateway: 'fd00::9' }];
    expect(seen({ type: 'new', what: 'route', object: { destination: 'fd01::/48', nextHops: both } })).toBe(
      true,
    );
    // Of an IPv6 route with several next hops, only what went.
    const part = {
      type: 'del',
      what: 'route',
      object: { destination: 'fd01::/48', nextHops: [{ gateway: 'fd00::8' }] },
    };
    expect(seen(part)).toBe(true);
    await netlink.deleteRoute({ destination: 'fd01::/48' });
    ears.close();
  });

  it('is told nothing of routes that go with their interface, but of the interface', async () => {
    const { index } = await here.netlink.addLink({
      kind: 'veth',
      name: 'd0',
      up: true,
      peer: { name: 'd1', up: true },
    });
    await here.netlink.addRoute({ destination: '10.9.0.0/16', nextHops: [{ index }] });
    ears = await Ears.open(here, ['link', 'route']);
    await here.netlink.setLink(index, { up: false });
    await ears.hear({ type: 'new', what: 'link', object: { index, up: false } });
    expect((await here.netlink.routes()).some(({ destination }) => destination === '10.9.0.0/16')).toBe(
      false,
    );
    expect(
      ears.events.some(
        (event) => event.type === 'del' && event.what === 'route' && event.object.family === 4,
      ),
    ).toBe(false);
    ears.close();
    await here.netlink.deleteLink(index);
  });

  it('hears nothing after it was closed, also from within', async () => {
    let calls = 0;
    const own = await here.netlink.subscribe(['route'], () => {
      calls++;
      own.close();
    });
    await here.netlink.batch(bulk('replaceRoute', 3000));
    await here.netlink.batch(bulk('deleteRoute', 3000));
    expect(calls).toBe(1);
  });

  it('gets many notices in few calls', async () => {
    ears = await Ears.open(here, ['route']);
    await here.netlink.batch(bulk('replaceRoute', 5000));
    await until(() => ears.events.length === 5000, '5000 events');
    // a busy machine makes the batches smaller, but they are batches
    expect(ears.calls.length).toBeLessThan(2500);
    expect(ears.subscription?.overruns).toBe(0);
    const order = ears.events.map((event) =>
      event.type !== 'resync' && event.what === 'route' ? event.object.destination : '',
    );
    expect(order).toEqual(
      bulk('replaceRoute', 5000).map((op) => ('route' in op ? op.route.destination : '')),
    );
    await here.netlink.batch(bulk('deleteRoute', 5000));
    ears.close();
  });
});

describe('an overrun', () => {
  it('is told by resync, after which a dump and later notices give the truth again', async () => {
    const ears = await Ears.open(here, ['route'], 4096);
    const table = new Map<string, string>();
    for (let round = 0; round < 3; round++) {
      ears.events.length = 0;
      // Nothing is read while the thread is busy: the buffer of a few notices is full at once.
      const changes = here.netlink.batch(bulk(round % 2 === 0 ? 'replaceRoute' : 'deleteRoute', 5000));
      await ears.hear({ type: 'resync' });
      await changes;
      await until(() => ears.events.at(-1) !== undefined, 'events');
      const lost = ears.events.filter(({ type }) => type === 'resync').length;
      expect(lost).toBeGreaterThan(0);
      expect(ears.events.length).toBeLessThan(5000);
    }
    expect(ears.subscription?.overruns).toBeGreaterThanOrEqual(3);
    // Quiet again: the socket works as before, and the dump has everything.
    const found = await here.netlink.routes({ family: 4, protocol: 4 });
    for (const { destination, type } of found) table.set(destination, type);
    expect(table.size).toBe(5000);
    ears.events.length = 0;
    await here.netlink.deleteRoute({ destination: '20.0.0.7/32' });
    await ears.hear({ type: 'del', what: 'route', object: { destination: '20.0.0.7/32' } });
    expect(ears.events).toHaveLength(1);
    ears.close();
    await here.netlink.batch(bulk('deleteRoute', 5000));
  });

  it('leaves a mirror that dumps again at resync with the truth', async () => {
    const mirror = new Set<string>();
    let stale = false;
    let overruns = 0;
    const subscription = await here.netlink.subscribe(
      ['route'],
      (events) => {
        for (const event of events) {
          if (event.type === 'resync') {
            stale = true;
            overruns++;
          } else if (event.what === 'route' && event.object.family === 4) {
            if (event.type === 'new') mirror.add(event.object.destination);
            else mirror.delete(event.object.destination);
          }
        }
      },
      { receiveBuffer: 4096 },
    );
    let changing = true;
    const changes = here.netlink
      .batch([...bulk('replaceRoute', 3000), ...bulk('deleteRoute', 2000)])
      .finally(() => {
        changing = false;
      });
    while (changing || stale) {
      stale = false;
      const found = await here.netlink.routes({ family: 4 });
      if (stale) continue;
      mirror.clear();
      for (const { destination } of found) mirror.add(destination);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await changes;
    const truth = new Set((await here.netlink.routes({ family: 4 })).map(({ destination }) => destination));
    expect(overruns).toBeGreaterThan(0);
    expect(subscription.overruns).toBe(overruns);
    expect(mirror).toEqual(truth);
    subscription.close();
    await here.netlink.batch(bulk('deleteRoute', 3000));
  });
});
