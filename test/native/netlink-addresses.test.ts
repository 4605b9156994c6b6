// Addresses and neighbours against this kernel, next to what iproute2 says of them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Link } from '../../native/lib/netlink/index.js';
import { failure, ipJson, Places, wire, type Place } from './netlink-fixtures.js';

const places = new Places('address');
let here: Place;
let a: Link;
let b: Link;

beforeAll(async () => {
  const [left, right] = await Promise.all([places.make('here'), places.make('there')]);
  here = left;
  ({ a, b } = await wire(left, right));
});

afterAll(() => places.remove());

describe('addresses', () => {
  it('are those that were added, as iproute2 sees them', async () => {
    const { netlink } = here;
    await netlink.addAddress({
      index: a.index,
      address: '192.0.2.1',
      prefixLength: 32,
      peer: '192.0.2.2',
      scope: 'link',
    });
    await netlink.addAddress({
      index: a.index,
      address: '198.51.100.1',
      prefixLength: 24,
      broadcast: '198.51.100.255',
      label: 'a0:x',
      noPrefixRoute: true,
      protocol: 99,
    });
    const found = await netlink.addresses({ index: a.index });
    expect(found.every(({ index }) => index === a.index)).toBe(true);
    const by = new Map(found.map((address) => [address.address, address]));
    expect(by.get('10.0.0.1')).toMatchObject({
      family: 4,
      prefixLength: 24,
      permanent: true,
      scope: 'universe',
    });
    expect(by.get('192.0.2.1')).toMatchObject({ peer: '192.0.2.2', prefixLength: 32, scope: 'link' });
    expect(by.get('198.51.100.1')).toMatchObject({
      broadcast: '198.51.100.255',
      label: 'a0:x',
      protocol: 99,
    });
    expect(by.get('fd00::1')).toMatchObject({ family: 6, tentative: false, prefixLength: 64 });
    expect((await netlink.addresses({ family: 6 })).every(({ family }) => family === 6)).toBe(true);
    const routes = await netlink.routes({ family: 4, table: 254 });
    expect(routes.some(({ destination }) => destination === '198.51.100.0/24')).toBe(false);
    const told = ipJson<Array<{ addr_info: Array<{ local: string; address?: string }> }>>(
      '-n',
      here.name,
      'address',
      'show',
      'dev',
      'a0',
    );
    expect(told[0]?.addr_info.map(({ local }) => local).sort()).toEqual([...by.keys()].sort());
  });

  it('are replaced, deleted, and refused twice', async () => {
    const { netlink } = here;
    const spec = { index: a.index, address: 'fd00::77', prefixLength: 64, noDad: true };
    await netlink.addAddress(spec);
    expect(await failure(netlink.addAddress(spec))).toMatchObject({ code: 'EEXIST', subject: 'fd00::77/64' });
    await netlink.replaceAddress(spec);
    await netlink.deleteAddress(spec);
    expect(await failure(netlink.deleteAddress(spec))).toMatchObject({
      code: 'EADDRNOTAVAIL',
      operation: 'deleteAddress',
    });
    expect(await failure(netlink.addAddress({ ...spec, prefixLength: 129 }))).toMatchObject({
      code: 'ERR_ARGUMENT',
    });
    expect(await failure(netlink.addAddress({ ...spec, peer: '10.0.0.1' }))).toMatchObject({
      code: 'ERR_ARGUMENT',
    });
  });

  it('of neighbours are resolved and kept by the kernel when managed', async () => {
    const { netlink } = here;
    await netlink.replaceNeighbour({ index: a.index, address: '10.0.0.2', managed: true });
    await netlink.replaceNeighbour({
      index: a.index,
      address: 'fd00::2',
      managed: true,
      externLearned: true,
    });
    let ready = 0;
    const deadline = Date.now() + 10_000;
    while (ready < 2 && Date.now() < deadline) {
      const near = await netlink.neighbours({ index: a.index });
      ready = near.filter(({ managed, lladdr }) => managed && lladdr === b.address).length;
    }
    const near = new Map(
      (await netlink.neighbours({ index: a.index })).map((found) => [found.address, found]),
    );
    expect(near.get('10.0.0.2')).toMatchObject({
      managed: true,
      externLearned: false,
      lladdr: b.address,
      family: 4,
    });
    expect(near.get('fd00::2')).toMatchObject({
      managed: true,
      externLearned: true,
      lladdr: b.address,
      family: 6,
    });
    for (const address of ['10.0.0.2', 'fd00::2']) await netlink.deleteNeighbour({ index: a.index, address });
  });

  it('of neighbours are permanent when written with a link-layer address', async () => {
    const { netlink } = here;
    const key = { index: a.index, address: '10.0.0.9' };
    await netlink.replaceNeighbour({ ...key, lladdr: '02:00:00:00:00:09' });
    expect(await failure(netlink.addNeighbour({ ...key, lladdr: '02:00:00:00:00:0a' }))).toMatchObject({
      code: 'EEXIST',
      subject: '10.0.0.9',
    });
    await netlink.replaceNeighbour({ ...key, lladdr: '02:00:00:00:00:0b', state: 'stale', router: true });
    const find = async (): Promise<unknown> =>
      (await netlink.neighbours({ family: 4 })).find(({ address }) => address === '10.0.0.9');
    expect(await find()).toMatchObject({ state: 'stale', lladdr: '02:00:00:00:00:0b', router: true });
    await netlink.deleteNeighbour(key);
    expect(await find()).toBeUndefined();
    expect(await failure(netlink.deleteNeighbour(key))).toMatchObject({ code: 'ENOENT' });
    expect(await failure(netlink.replaceNeighbour({ ...key, state: 'happy' as never }))).toMatchObject({
      code: 'ERR_ARGUMENT',
    });
  });
});
