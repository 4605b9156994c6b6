/** A network's life with its supplier: refused, away, restarted, killed, renewed, given back. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { failedPrecondition, outOfRange, resourceExhausted } from '../../src/api/errors.js';
import { TestClock } from '../support/clock.js';
import { Mortal } from './death.js';
import { exampleNetwork, networkOf } from './networks.js';
import { Provider, type ServiceDraft } from './provider.js';
import { RecordingSupplier } from './recording.js';

let supplier: RecordingSupplier;
let provider: Provider;

beforeEach(async () => {
  supplier = new RecordingSupplier();
  provider = new Provider();
  await supplier.start();
});
afterEach(async () => {
  await provider.dispose();
  await supplier.dispose();
});

const P_Q: ServiceDraft = { link: { name: 'links/P-Q', a: 'nodes/P', b: 'nodes/Q' } };

/** Figure 2's IPTV network, in force. */
async function figure2(): Promise<void> {
  await provider.update(networkOf(supplier.address), ...exampleNetwork('figure2', 'iptv'));
  await provider.ready();
}

async function statusOf(name: string): Promise<{ state: string; message: string; reconciling: boolean }> {
  const { resource } = await provider.client.get({ name });
  const body = resource?.link ?? resource?.node ?? resource?.station ?? resource?.network ?? resource?.route;
  const { state = '', message = '', reconciling = false } = body?.status ?? {};
  return { state, message, reconciling };
}

/** Nodes told since the last time. */
function told(): () => string[] {
  let seen = supplier.applied.length;
  return () => {
    const nodes = supplier.applied.slice(seen).map(({ node }) => node);
    seen = supplier.applied.length;
    return nodes.sort();
  };
}

describe('in force', () => {
  beforeEach(() => provider.start());

  test('prices and what was achieved come back', async () => {
    await figure2();
    const { resource } = await provider.client.get({ name: 'links/P-Q' });
    expect(resource?.link).toMatchObject({
      achieved: { delayUs: expect.any(Number) as number },
      price: { currency: 'EUR' },
      status: { state: 'ready', observedGeneration: 1n },
    });
    const network = await provider.network();
    expect(network.price).toEqual({ microsPerHour: 5000n, currency: 'EUR' });
    expect(network.status?.observedGeneration).toBe(network.status?.generation);
  });

  test('a metric tells those whose routes it changes, and asks the supplier for nothing', async () => {
    await figure2();
    await provider.update({ link: { name: 'links/Q-M', a: 'nodes/Q', b: 'nodes/M', metric: 9 } });
    await provider.ready();
    const since = told();
    await provider.update({ link: { name: 'links/A-M', a: 'nodes/A', b: 'nodes/M', metric: 7 } });
    await provider.ready();
    // every distance over A-M changes, and no way: contents are the same
    expect(since()).toEqual([]);
    expect(supplier.asked).toHaveLength(2);
    await provider.update({
      link: { name: 'links/P-M', a: 'nodes/P', b: 'nodes/M', via: ['offers/Q'], metric: 20 },
    });
    await provider.ready();
    const over = (node: string, vif: string): boolean =>
      supplier.contents
        .get(node)
        ?.some((one) => one.startsWith('10.0.4.0/24') && one.includes(`@${vif}*`)) === true;
    await provider.until('P goes over Q', () => over('P', 'to-Q') && over('Q', 'to-M'));
    expect(since()).toEqual(expect.arrayContaining(['P', 'Q']));
    expect(supplier.asked).toHaveLength(2);
  });

  test('how a link is protected is asked of the supplier, and asked again when it is another', async () => {
    await figure2();
    const protectedBy = () => {
      const { protection, repairUs, weights } =
        supplier.asked.at(-1)?.links.find(({ name }) => name === 'P-M') ?? {};
      return { protection, repairUs, weights };
    };
    expect(protectedBy()).toEqual({ protection: 0, repairUs: 0, weights: [] });
    const link = { name: 'links/P-M', a: 'nodes/P', b: 'nodes/M', via: ['offers/Q'] };
    await provider.update({ link: { ...link, protection: 4, repairUs: 20_000, weights: [3, 1] } });
    await provider.ready();
    expect(protectedBy()).toEqual({ protection: 4, repairUs: 20_000, weights: [3, 1] });
    await provider.update({ link: { ...link, protection: 4, repairUs: 20_000, weights: [1, 1] } });
    await provider.ready();
    expect(protectedBy().weights).toEqual([1, 1]);
  });

  test('a station more: it is told to all; a station’s own address: to one', async () => {
    await figure2();
    const since = told();
    const station = { name: 'stations/new', node: 'nodes/Q', port: 'eth9' };
    await provider.update({ station: { ...station, addresses: ['10.0.9.2/24'] } });
    await provider.ready();
    await provider.until(
      'all are told',
      () => supplier.contents.get('A')?.some((one) => one.startsWith('10.0.9.0/24')) === true,
    );
    await provider.ready();
    expect(new Set(since())).toEqual(new Set(['A', 'M', 'P', 'Q']));
    await provider.update({ station: { ...station, addresses: ['10.0.9.3/24'] } });
    await provider.ready();
    expect(since()).toEqual([]);
  });

  test('a link that is down at the supplier carries no routes, and does again', async () => {
    await figure2();
    const before = new Map(supplier.contents);
    const say = async (state: string): Promise<void> => {
      await supplier.state.transact((tx) => {
        const network = tx.get('serviceNetwork', 'customers/iptv/serviceNetworks/iptv')!;
        const links = network.links.map((link) =>
          link.name === 'P-Q' ? { ...link, state, message: 'cut' } : link,
        );
        tx.put('serviceNetwork', { ...network, links });
      });
    };
    await say('down');
    await provider.until('P goes the other way', () => !sameMap(before, supplier.contents));
    await provider.until('the link says so', async () => (await statusOf('links/P-Q')).state === 'down');
    const routes = supplier.contents.get('P')?.filter((one) => one.includes('@'));
    expect(routes?.filter((one) => one.includes('@to-Q'))).toEqual([]);
    await say('up');
    await provider.until('all is as it was', () => sameMap(before, supplier.contents));
    await provider.until('the link is ready', async () => (await statusOf('links/P-Q')).state === 'ready');
  });

  test('the kernel routes: addresses only', async () => {
    await provider.update(
      networkOf(supplier.address, { routeSource: 2 }),
      ...exampleNetwork('three', 'iptv'),
    );
    await provider.ready();
    expect(supplier.contents.get('P')?.every((one) => one.startsWith('vns/'))).toBe(true);
    expect(supplier.contents.get('P')).toHaveLength(4);
  });

  test('nothing is left at the supplier of a network that is deleted', async () => {
    await figure2();
    const names: string[] = [];
    for (const collection of ['stations', 'links', 'nodes', 'network'])
      for (const { kind, ...one } of (await provider.client.list({ collection })).resources)
        names.push((one as Record<string, { name: string }>)[kind!]!.name);
    await provider.client.delete({ names });
    await provider.until('it is given back', () => supplier.state.all('serviceNetwork').length === 0);
    await figure2();
    expect(supplier.state.all('serviceNetwork')).toHaveLength(1);
    await provider.until('all are told again', () => supplier.applied.length >= 8);
  });

  test('what the supplier has lost is asked for again', async () => {
    await figure2();
    await supplier.state.transact((tx) => tx.delete('customers/iptv/serviceNetworks/iptv'));
    await provider.until('it is there again', () => supplier.state.all('serviceNetwork').length === 1);
    await provider.until('all are told again', () => supplier.applied.length >= 8);
    await provider.ready();
  });
});

function sameMap(
  a: ReadonlyMap<string, readonly string[]>,
  b: ReadonlyMap<string, readonly string[]>,
): boolean {
  return [...a].every(([key, value]) => value.join() === b.get(key)?.join());
}

test('refused, it is asked for again later and later', async () => {
  const clock = new TestClock();
  provider.clock = clock;
  provider.patience = { firstMs: 5, mostMs: 40, refusedMs: [10_000, 30_000] };
  await provider.start();
  let asked = 0;
  supplier.admit = () => {
    asked++;
    throw failedPrecondition({ reason: 'NO', message: 'Not today.' });
  };
  await provider.update(networkOf(supplier.address), ...exampleNetwork('three', 'iptv'));
  const times = async (count: number): Promise<void> => {
    await provider.until(`it was asked for ${count} times`, () => asked === count);
    const known = (): number => provider.log.filter((line) => line.includes('refused by')).length;
    await provider.until('that is known', () => known() === count);
  };
  await times(1);
  for (const [i, wait] of [10_000, 20_000, 30_000, 30_000].entries()) {
    clock.pass(wait - 1);
    // whatever is due comes before the answer to this
    await provider.network();
    expect(asked).toBe(i + 1);
    clock.pass(1);
    await times(i + 2);
  }
});

describe('refused', () => {
  beforeEach(() => provider.start());

  test('what was in force stays; the resource that was named says why; what fits later is granted', async () => {
    await figure2();
    const before = new Map(supplier.contents);
    supplier.admit = ({ links }) => {
      const i = links.findIndex(({ slo }) => slo && slo.bitsPerSecond > 1000n);
      if (i < 0) return;
      const field = `resources[0].service_network.links[${i}].slo.bits_per_second`;
      throw resourceExhausted({ reason: 'NO_ROOM', field, message: 'There is room for 1000 bit/s.' });
    };
    await provider.update({ link: { ...P_Q.link, slo: { bitsPerSecond: 2000 } } });
    await provider.until('it is refused', async () => (await statusOf('network')).state === 'refused');
    expect(await statusOf('network')).toMatchObject({ message: 'There is room for 1000 bit/s.' });
    await provider.until('the link says so', async () => (await statusOf('links/P-Q')).state === 'refused');
    expect(await statusOf('links/A-M')).toMatchObject({ state: 'ready' });
    expect(sameMap(before, supplier.contents)).toBe(true);
    // a route still goes over the link as it was
    await provider.update({
      route: { name: 'nodes/P/routes/r', destination: '10.9.0.0/16', nextHops: [{ vif: 'to-Q' }] },
    });
    await provider.until(
      'the route is there',
      () => supplier.contents.get('P')?.includes('10.9.0.0/16 0 @to-Q*0') === true,
    );
    supplier.admit = () => undefined;
    await provider.ready();
    expect(await statusOf('links/P-Q')).toMatchObject({ state: 'ready', message: '' });
  });

  test('a vif’s new name is used when it is granted, the old one until then', async () => {
    await figure2();
    supplier.admit = () => {
      throw failedPrecondition({ reason: 'NO', message: 'Not today.' });
    };
    await provider.update({ link: { ...P_Q.link, vifA: 'east' } });
    await provider.until('it is refused', async () => (await statusOf('network')).state === 'refused');
    expect(supplier.contents.get('P')?.some((one) => one.includes('@to-Q'))).toBe(true);
    supplier.admit = () => undefined;
    await provider.ready();
    await provider.until(
      'it is used',
      () => supplier.contents.get('P')?.some((one) => one.includes('@east')) === true,
    );
  });

  test('contents that are refused are told, and sent again', async () => {
    let refuse = true;
    supplier.admitApply = ({ node }) => {
      if (refuse && node === 'M') throw failedPrecondition({ reason: 'NO_TABLE', message: 'M is full.' });
    };
    await provider.update(networkOf(supplier.address), ...exampleNetwork('figure2', 'iptv'));
    await provider.until('M says so', async () => (await statusOf('nodes/M')).state === 'refused');
    expect(await statusOf('nodes/M')).toMatchObject({ message: 'M is full.', reconciling: true });
    expect(await statusOf('network')).toMatchObject({ reconciling: true });
    refuse = false;
    await provider.ready();
    await provider.until('M is well', async () => (await statusOf('nodes/M')).state === 'ready');
  });
});

describe('away', () => {
  beforeEach(() => provider.start());

  test('a supplier that is down is said, and asked when it is back', async () => {
    await supplier.die();
    await provider.update(networkOf(supplier.address), ...exampleNetwork('figure2', 'iptv'));
    await provider.until('it is said', async () => (await statusOf('network')).state === 'unreachable');
    await supplier.start();
    await provider.ready();
    expect(supplier.asked).toHaveLength(1);
    await supplier.die();
    await provider.update({
      station: { name: 'stations/z', node: 'nodes/Q', port: 'eth9', addresses: ['10.0.9.2/24'] },
    });
    await supplier.start();
    await provider.ready();
    expect(supplier.contents.get('P')?.some((one) => one.startsWith('10.0.9.0/24'))).toBe(true);
  });
});

describe('restarted', () => {
  test('nothing is asked and nobody is told when nothing has changed', async () => {
    await provider.start();
    await figure2();
    const [asked, applied] = [supplier.asked.length, supplier.applied.length];
    const before = await provider.client.listRoutes({ node: 'nodes/P' });
    for (let i = 0; i < 3; i++) {
      await provider.restart();
      await provider.controller.settled();
      expect(await provider.client.listRoutes({ node: 'nodes/P' })).toEqual(before);
      await provider.ready();
    }
    // one change afterwards shows that all was followed: one more each
    await provider.update({ route: { name: 'nodes/P/routes/r', destination: '10.9.0.0/16', type: 2 } });
    await provider.until('P is told', () => supplier.contents.get('P')?.includes('10.9.0.0/16 2 ') === true);
    expect([supplier.asked.length, supplier.applied.length]).toEqual([asked, applied + 1]);
  });
});

describe('what the supplier said while nobody listened', () => {
  const say = (state: string): Promise<void> =>
    supplier.state.transact((tx) => {
      const network = tx.get('serviceNetwork', 'customers/iptv/serviceNetworks/iptv')!;
      const links = network.links.map((link) => (link.name === 'P-Q' ? { ...link, state } : link));
      tx.put('serviceNetwork', { ...network, links });
    });

  test.each(['resumed', 'begun anew'])('is heard after a restart, the watch %s', async (how) => {
    await provider.start();
    await figure2();
    // then there is a token to resume from
    await say('down');
    await provider.until('it is heard', async () => (await statusOf('links/P-Q')).state === 'down');
    await say('up');
    await provider.until('it is heard', async () => (await statusOf('links/P-Q')).state === 'ready');
    const tokens: string[] = [];
    supplier.admitWatch = (token) => {
      tokens.push(token);
      if (how === 'begun anew' && token !== '')
        throw outOfRange({ reason: 'RESUME_TOKEN_EXPIRED', field: 'resume_token', message: 'Too old.' });
    };
    await provider.stop();
    await say('down');
    await provider.start();
    await provider.until('the link is down', async () => (await statusOf('links/P-Q')).state === 'down');
    expect(tokens[0]).not.toBe('');
    expect(tokens.slice(1)).toEqual(how === 'resumed' ? [] : ['']);
  });
});

describe('renewed', () => {
  test('at two thirds of the term, not before; also after a restart; what is refused is not asked for with it', async () => {
    const clock = new TestClock();
    provider.clock = clock;
    await provider.start();
    await provider.update(
      networkOf(supplier.address, { termSeconds: 900 }),
      ...exampleNetwork('three', 'iptv'),
    );
    await provider.ready();
    const terms = (): (string | undefined)[] => supplier.asked.map(({ term }) => term?.expireTime);
    expect(terms()).toEqual(['2026-12-01T08:15:00Z']);
    clock.pass(599_000);
    await provider.controller.settled();
    await provider.restart();
    await provider.ready();
    expect(terms()).toHaveLength(1);
    clock.pass(1000);
    await provider.until('it is renewed', () => supplier.asked.length === 2);
    expect(terms()[1]).toBe('2026-12-01T08:25:00Z');
    supplier.admit = ({ nodes }) => {
      if (nodes.length > 2) throw failedPrecondition({ reason: 'NO', message: 'Two nodes.' });
    };
    await provider.update({ node: { name: 'nodes/Z' } });
    await provider.until('it is refused', async () => (await statusOf('network')).state === 'refused');
    clock.pass(600_000);
    await provider.until('what is in force is renewed', () => supplier.asked.length === 3);
    expect(supplier.asked[2]?.nodes.map(({ name }) => name)).toEqual(['M', 'P']);
    expect(terms()[2]).toBe('2026-12-01T08:35:00Z');
  });
});

describe('killed', () => {
  const steps: readonly (() => Promise<void>)[] = [
    () => provider.update(networkOf(supplier.address), ...exampleNetwork('three', 'iptv')),
    () =>
      provider.update(
        { node: { name: 'nodes/N' } },
        { link: { name: 'links/M-N', a: 'nodes/M', b: 'nodes/N', metric: 3 } },
        { route: { name: 'nodes/N/routes/r', destination: '10.9.0.0/16', type: 2, announce: true } },
      ),
    async () => {
      const names = ['stations/hm'];
      await provider.client.delete({ names, allowMissing: true });
    },
  ];

  /** All steps, with deaths as `mortal` has it at first. Gives what is in force in the end. */
  async function live(first: Mortal): Promise<{ contents: object; deaths: number }> {
    let mortal = first;
    let deaths = 0;
    const start = async (): Promise<void> => {
      provider.wrap = (store) => mortal.store(store);
      provider.dialer = mortal.dialer;
      await provider.start();
    };
    const again = async (): Promise<void> => {
      deaths++;
      await provider.stop();
      mortal = new Mortal(Infinity, false);
      await start();
    };
    await start();
    for (const step of steps) {
      // whoever gets no answer repeats what was said
      const done = await step().then(
        () => true,
        () => false,
      );
      if (!done || mortal.isDead) {
        await again();
        await step();
      }
      while (!(await Promise.race([provider.ready().then(() => true), mortal.died.then(() => false)])))
        await again();
    }
    return { contents: Object.fromEntries([...supplier.contents].sort()), deaths };
  }

  test('at every commit, before and after what follows it is said: the end is the same, and nothing is doubled', async () => {
    const calm = new Mortal(Infinity, false);
    const wanted = await live(calm);
    const [asked, applied] = [supplier.asked.length, supplier.applied.length];
    expect(calm.commits).toBeGreaterThan(15);
    for (const silent of [true, false]) {
      for (let commits = 1; commits <= calm.commits; commits++) {
        await provider.dispose();
        await supplier.dispose();
        [supplier, provider] = [new RecordingSupplier(), new Provider()];
        await supplier.start();
        const one = await live(new Mortal(commits, silent)).catch((error: unknown) => {
          throw new Error(`after ${commits} commits, ${silent ? 'silent' : 'speaking'}`, { cause: error });
        });
        expect(one.contents).toEqual(wanted.contents);
        expect(supplier.state.all('serviceNetwork')).toHaveLength(1);
        // what was asked and not answered is asked with the same id, and is no change for the supplier
        expect(new Set(supplier.ids).size).toBeLessThanOrEqual(asked + one.deaths);
        expect(supplier.applied.length).toBeLessThanOrEqual(applied + 3 * one.deaths + 3);
        const byEpoch = new Map<string, string>();
        for (const { node, epoch, resources } of supplier.applied) {
          const text = JSON.stringify(resources);
          expect(byEpoch.get(`${node} ${epoch}`) ?? text).toBe(text);
          byEpoch.set(`${node} ${epoch}`, text);
        }
      }
    }
  }, 240_000);
});
