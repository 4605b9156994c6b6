/** Nodes and links are bought from all suppliers or from none, also if the controller dies at any moment. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { failedPrecondition, resourceExhausted, unavailable } from '../../src/api/errors.js';
import { types } from '../../src/api/types.js';
import { Harness, refusal, until } from './harness.js';
import { type TestSupplier } from './supplier.js';

let harness: Harness;
let one: TestSupplier;
let two: TestSupplier;

beforeEach(async () => {
  harness = new Harness();
  one = await harness.supplier('one');
  two = await harness.supplier('two');
  await harness.open();
  await harness.update(
    { supplier: { name: 'suppliers/one', address: one.address } },
    { supplier: { name: 'suppliers/two', address: two.address } },
  );
});
afterEach(() => harness.end());

const P = { node: { name: 'nodes/P', supplier: 'suppliers/one', offer: 'offers/P', ports: ['st-1'] } };
const B = { node: { name: 'nodes/B', supplier: 'suppliers/one', offer: 'offers/B' } };
const A = { node: { name: 'nodes/A', supplier: 'suppliers/two', offer: 'offers/A' } };
const PB = { link: { name: 'links/P-B', a: 'nodes/P', b: 'nodes/B', slo: { bitsPerSecond: 1000 } } };
const PA = { link: { name: 'links/P-A', a: 'nodes/P', b: 'nodes/A', slo: { bitsPerSecond: 1000 } } };
const AB = { link: { name: 'links/A-B', a: 'nodes/A', b: 'nodes/B' } };
const all = ['nodes/P', 'nodes/B', 'nodes/A', 'links/P-B', 'links/P-A', 'links/A-B'];
const methods = (supplier: TestSupplier): string[] =>
  supplier.calls.map(({ method }) => method).filter((method) => method !== 'apply');

async function settled(): Promise<void> {
  await until(async () => {
    const open = [...(await harness.keys('deals/')), ...(await harness.keys('releases/'))];
    return open.length === 0 ? undefined : open.join(', ');
  });
}

describe('all of it', () => {
  test('is leased at both suppliers, by our names', async () => {
    await harness.update(P, B, A, PB, PA);
    await harness.become('ready', 'nodes/P', 'nodes/B', 'nodes/A', 'links/P-B', 'links/P-A');
    expect(one.held).toEqual([
      'customers/conn/virtualLinks/P-A',
      'customers/conn/virtualLinks/P-B',
      'customers/conn/virtualNodes/B',
      'customers/conn/virtualNodes/P',
    ]);
    expect(two.held).toEqual(['customers/conn/virtualNodes/A']);
    expect(one.nodes.get('customers/conn/virtualNodes/P')).toMatchObject({
      node: 'vns/conn/nodes/P',
      offer: 'offers/P',
      ports: ['st-1'],
    });
    expect(one.links.get('customers/conn/virtualLinks/P-A')).toMatchObject({
      a: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'to-A', provider: '' },
      b: { virtualNode: 'customers/conn/virtualNodes/A', vif: 'to-P', provider: 'two' },
    });
    expect(await harness.get('node', 'nodes/P')).toMatchObject({
      lease: types.LeaseState.LEASE_STATE_ACTIVE,
      price: { microsPerHour: 5n, currency: 'EUR' },
      status: { state: 'ready', reconciling: false, generation: 1n, observedGeneration: 1n },
    });
    expect(await harness.get('offer', 'offers/P')).toMatchObject({ ports: ['st-1'] });
    // the link that ends elsewhere comes when its far end is leased
    expect(methods(one)).toEqual(['reserve', 'commit', 'reserve', 'commit']);
    expect(methods(two)).toEqual(['reserve', 'commit']);
    await settled();
  });

  test('links both ways between suppliers; one more to nodes that are leased already is one round', async () => {
    await harness.update(P, B, A, PB, PA, AB);
    await harness.become('ready', ...all);
    expect(methods(one)).toEqual(['reserve', 'commit', 'reserve', 'commit']);
    expect(methods(two)).toEqual(['reserve', 'commit', 'reserve', 'commit']);
    expect(two.held).toEqual(['customers/conn/virtualLinks/A-B', 'customers/conn/virtualNodes/A']);
    await harness.update({ link: { ...PA.link, name: 'links/again', vifA: 'x', vifB: 'x' } });
    await harness.become('ready', 'links/again');
    expect(methods(one).slice(4)).toEqual(['reserve', 'commit']);
  });
});

describe('none of it', () => {
  test('where one supplier refuses, with its words', async () => {
    two.cpu.set('offers/A', 100);
    await harness.update(P, { node: { ...A.node, share: { cpuMillis: 200 } } }, PA);
    await harness.become('refused', 'nodes/P', 'nodes/A', 'links/P-A');
    expect((await harness.get('node', 'nodes/A')).status?.message).toBe('NO_CAPACITY: 100 would fit.');
    await settled();
    expect([...one.held, ...two.held]).toEqual([]);
    // the same again is asked for again
    two.cpu.set('offers/A', 200);
    await harness.update(P, { node: { ...A.node, share: { cpuMillis: 200 } } }, PA);
    await harness.become('ready', 'nodes/P', 'nodes/A', 'links/P-A');
  });

  test('where a commit fails after another one', async () => {
    two.before = (method) => {
      if (method === 'commit') throw resourceExhausted({ reason: 'TOO_LATE', message: 'It ran out.' });
    };
    await harness.update(P, A, PA);
    await harness.become('refused', 'nodes/P', 'nodes/A', 'links/P-A');
    await settled();
    expect(methods(one)).toEqual(['reserve', 'commit', 'cancel', 'cancel']);
    expect([...one.held, ...two.held]).toEqual([]);
  });

  test('where only the second round is refused: the first is let go of as well', async () => {
    one.before = (method, request) => {
      if (method === 'reserve' && 'virtualLinks' in request && (request.virtualLinks as unknown[]).length > 0)
        throw resourceExhausted({ reason: 'NO_PATH', message: 'No way there.' });
    };
    await harness.update(P, A, PA);
    await harness.become('refused', 'nodes/P', 'nodes/A', 'links/P-A');
    await settled();
    expect(methods(two)).toEqual(['reserve', 'commit', 'cancel']);
    expect([...one.held, ...two.held]).toEqual([]);
  });

  test('and what was in force stays', async () => {
    one.cpu.set('offers/P', 300);
    await harness.update({ node: { ...P.node, share: { cpuMillis: 200 } } });
    await harness.become('ready', 'nodes/P');
    await harness.update({ node: { ...P.node, share: { cpuMillis: 400 } } });
    await harness.become('refused', 'nodes/P');
    expect(one.nodes.get('customers/conn/virtualNodes/P')?.share?.cpuMillis).toBe(200);
    expect((await harness.get('offer', 'offers/P')).free?.cpuMillis).toBe(200);
    expect((await harness.get('node', 'nodes/P')).status).toMatchObject({
      generation: 2n,
      observedGeneration: 1n,
    });
  });

  test('a supplier that is away: put off, nothing held elsewhere', async () => {
    await one.stop();
    await harness.update(P, A, PA);
    await until(async () => {
      const { status } = await harness.get('node', 'nodes/P');
      return status?.message.startsWith('Put off') === true
        ? undefined
        : `${status?.state} ${status?.message}`;
    });
    await one.start();
    await until(() => (two.held.length === 0 ? undefined : two.held.join()));
  });
});

describe('killed', () => {
  const links = [PB, PA];

  /** Buys with a death, then again without: both suppliers have all of it, or none and nothing left over. */
  async function rebornAfter(): Promise<void> {
    await harness.kill();
    await harness.open();
    await settled();
    await until(async () => {
      const { status } = await harness.get('node', 'nodes/P');
      return status?.reconciling === false ? undefined : `${status?.state} ${status?.message}`;
    });
  }

  test.each(
    [1, 2, 3, 4, 5, 6, 7, 8].flatMap((n) => (['before', 'after'] as const).map((when) => [when, n] as const)),
  )('%s call %i to a supplier: the deal is done when it is started again', async (when, n) => {
    let seen = 0;
    let died = (): void => undefined;
    const dead = new Promise<void>((done) => (died = done));
    const die = async (): Promise<void> => {
      if (++seen !== n) return;
      died();
      await new Promise((done) => setTimeout(done, 0));
      throw unavailable({ reason: 'GONE', message: 'nobody hears this' });
    };
    one[when] = die;
    two[when] = die;
    await harness.update(P, B, A, ...links);
    await Promise.race([dead, harness.become('ready', 'nodes/P')]);
    await rebornAfter();
    expect((await harness.get('node', 'nodes/P')).status?.state).toBe('ready');
    expect(one.held).toHaveLength(4);
    expect(two.held).toEqual(['customers/conn/virtualNodes/A']);
  });

  test.each([1, 2, 3])('at commit %i of the store while a deal fails: nothing is left over', async (n) => {
    two.cpu.set('offers/A', 1);
    let died = (): void => undefined;
    const dead = new Promise<void>((done) => (died = done));
    const first = harness.commits;
    harness.beforeCommit = (number) => {
      if (number !== first + n) return;
      died();
      harness.beforeCommit = () => undefined;
      throw new Error('killed');
    };
    const asked = harness.update(P, B, { node: { ...A.node, share: { cpuMillis: 2 } } }, ...links);
    await Promise.race([dead, asked.then(() => harness.become('refused', 'nodes/P')).then(settled)]);
    await harness.kill();
    await asked.catch(() => undefined);
    expect(harness.commits).toBeGreaterThanOrEqual(first + n);
    await harness.open();
    await settled();
    expect([...one.held, ...two.held]).toEqual([]);
    const { resources } = await harness.client.list({ collection: 'nodes' });
    for (const { node } of resources) expect(node?.status?.state).toBe('refused');
    expect(resources).toHaveLength(n === 1 ? 0 : 3);
  });
});

describe('deleting', () => {
  beforeEach(async () => {
    await harness.update(P, B, A, PB, PA);
    await harness.become('ready', 'nodes/P', 'links/P-A');
  });

  test('lets go of the leases, of links before nodes, and retries until it is acknowledged', async () => {
    one.before = (method) => {
      if (method === 'delete' && methods(one).filter((m) => m === 'delete').length < 3)
        throw unavailable({ reason: 'BUSY', message: 'later' });
    };
    await harness.remove('links/P-A', 'links/P-B', 'nodes/P', 'nodes/A', 'nodes/B');
    await settled();
    expect([...one.held, ...two.held]).toEqual([]);
    expect((await harness.client.list({ collection: 'offers' })).resources).toEqual([]);
  });

  test('also after it was killed in between', async () => {
    one.before = (method) => {
      if (method === 'delete') throw unavailable({ reason: 'BUSY', message: 'later' });
    };
    await harness.remove('links/P-A', 'links/P-B', 'nodes/P');
    await until(() => (methods(one).includes('delete') ? undefined : 'not asked'));
    await harness.kill();
    one.before = () => undefined;
    await harness.open();
    await settled();
    expect(one.held).toEqual(['customers/conn/virtualNodes/B']);
  });

  test('is refused while something stands on it', async () => {
    expect(await refusal(harness.remove('nodes/P'))).toBe('IN_USE names[0]');
    expect(await refusal(harness.remove('suppliers/one'))).toBe('IN_USE names[0]');
  });
});

describe('changing what is bought', () => {
  const wide = { link: { ...PB.link, slo: { bitsPerSecond: 5000 } } };
  const share = (cpuMillis: number) => ({
    node: { ...A.node, share: { cpuMillis }, ports: ['st-1', 'st-2'] },
  });
  const leased = () => one.links.get('customers/conn/virtualLinks/P-B')?.slo?.bitsPerSecond;

  beforeEach(async () => {
    await harness.update(P, B, A, PB, PA);
    await harness.become('ready', ...all.slice(0, -1));
    await settled();
  });

  test('a wider link and a larger node: asked for under the same names', async () => {
    await harness.update(wide, share(700));
    await harness.become('ready', 'links/P-B', 'nodes/A');
    expect(leased()).toBe(5000n);
    expect(two.nodes.get('customers/conn/virtualNodes/A')).toMatchObject({
      share: { cpuMillis: 700 },
      ports: ['st-1', 'st-2'],
    });
    expect(await harness.get('offer', 'offers/A')).toMatchObject({
      free: { cpuMillis: 700 },
      ports: ['st-1', 'st-2'],
    });
    expect(one.held).toHaveLength(4);
    // the same again is no change
    const asked = methods(one).length;
    await harness.update(wide, share(700));
    expect(methods(one)).toHaveLength(asked);
  });

  test('refused by one supplier, nothing is another at any, also after commits', async () => {
    two.cpu.set('offers/A', 100);
    await harness.update(wide, share(200));
    await harness.become('refused', 'links/P-B', 'nodes/A');
    await settled();
    expect(leased()).toBe(1000n);
    two.cpu.delete('offers/A');
    two.before = (method) => {
      if (method === 'commit') throw resourceExhausted({ reason: 'TOO_LATE', message: 'It ran out.' });
    };
    await harness.update(wide, share(200));
    await settled();
    await harness.become('refused', 'links/P-B', 'nodes/A');
    expect(methods(one).slice(-3)).toEqual(['reserve', 'commit', 'cancel']);
    expect(leased()).toBe(1000n);
    expect(one.held).toHaveLength(4);
  });

  test('what cannot be changed back is what there is', async () => {
    two.before = (method) => {
      if (method === 'commit') throw resourceExhausted({ reason: 'TOO_LATE', message: 'It ran out.' });
    };
    one.before = (method) => {
      if (method === 'cancel') throw failedPrecondition({ reason: 'CHANGE_STANDS', message: 'No room.' });
    };
    await harness.update(wide, share(200));
    await settled();
    await harness.become('ready', 'links/P-B');
    await harness.become('refused', 'nodes/A');
    one.before = () => undefined;
    const asked = methods(one).length;
    await harness.update(wide);
    expect(methods(one)).toHaveLength(asked);
  });

  test('comes after what is new, where that takes two rounds', async () => {
    const C = { node: { name: 'nodes/C', supplier: 'suppliers/two' } };
    const PC = { link: { name: 'links/P-C', a: 'nodes/P', b: 'nodes/C' } };
    await harness.update(wide, C, PC);
    await harness.become('ready', 'links/P-B', 'nodes/C', 'links/P-C');
    const last = one.calls.findLast(({ method }) => method === 'reserve')?.request;
    expect(last).toMatchObject({
      virtualLinks: [
        { name: 'customers/conn/virtualLinks/P-B' },
        { name: 'customers/conn/virtualLinks/P-C' },
      ],
    });
  });

  test.each([1, 2, 3, 4].flatMap((n) => (['before', 'after'] as const).map((when) => [when, n] as const)))(
    'killed %s call %i to a supplier: it is done at the next start',
    async (when, n) => {
      let seen = 0;
      let died = (): void => undefined;
      const dead = new Promise<void>((done) => (died = done));
      const die = async (method: string): Promise<void> => {
        if (method === 'apply' || ++seen !== n) return;
        died();
        await new Promise((done) => setTimeout(done, 0));
        throw unavailable({ reason: 'GONE', message: 'nobody hears this' });
      };
      one[when] = die;
      two[when] = die;
      await harness.update(wide, share(700));
      await Promise.race([dead, harness.become('ready', 'links/P-B')]);
      await harness.kill();
      await harness.open();
      await settled();
      await harness.become('ready', 'links/P-B', 'nodes/A');
      expect(leased()).toBe(5000n);
      expect(two.nodes.get('customers/conn/virtualNodes/A')?.share?.cpuMillis).toBe(700);
      expect([...one.held, ...two.held]).toHaveLength(5);
    },
  );

  test('while less is asked for, no more is sold than that can carry', async () => {
    await harness.update({ customer: { name: 'customers/iptv' } });
    let go = (): void => undefined;
    const gate = new Promise<void>((done) => (go = done));
    one.before = (method) => (method === 'reserve' ? gate : undefined);
    await harness.update({ link: { ...PB.link, slo: { bitsPerSecond: 300 } } });
    const network = (bitsPerSecond: number) => ({
      serviceNetwork: {
        name: 'customers/iptv/serviceNetworks/iptv',
        nodes: [{ name: 'P' }, { name: 'B' }],
        links: [{ name: 'l', a: 'P', b: 'B', slo: { bitsPerSecond } }],
      },
    });
    // 60/68 of 300
    expect(await refusal(harness.update(network(265)))).toBe(
      'NO_CAPACITY resources[0].service_network.links[0]',
    );
    await harness.update(network(264));
    go();
    await harness.become('ready', 'links/P-B', 'customers/iptv/serviceNetworks/iptv');
    expect(leased()).toBe(300n);
    expect(await refusal(harness.update({ link: { ...PB.link, slo: { bitsPerSecond: 299 } } }))).toBe(
      'IN_USE resources[0].link.slo.bits_per_second',
    );
    expect(await refusal(harness.update({ link: { ...PB.link, mtu: 1400 } }))).toBe(
      'IN_USE resources[0].link.mtu',
    );
  });
});

describe('validate_only', () => {
  const dry = (...resources: readonly object[]) => harness.client.update({ resources, validateOnly: true });

  test('asks suppliers what it would cost, and changes nothing anywhere', async () => {
    const { resources } = await dry(P, B, A, PB, PA);
    expect(resources.map(({ node, link }) => (node ?? link)?.price?.microsPerHour)).toEqual([
      5n,
      5n,
      5n,
      5n,
      undefined,
    ]);
    expect(resources[3]?.link?.achieved).toMatchObject({ availabilityPpm: 999_000 });
    // its far node would have to be leased first
    expect(resources[4]?.link?.status?.message).toMatch(/when what it stands on/);
    expect([...one.held, ...two.held]).toEqual([]);
    expect(await harness.keys('deals/')).toEqual([]);
    expect((await harness.client.list({ collection: 'nodes' })).resources).toEqual([]);
  });

  test('what a supplier would refuse is refused, with our field', async () => {
    two.cpu.set('offers/A', 100);
    const work = dry(P, PB, B, { node: { ...A.node, share: { cpuMillis: 200 } } });
    expect(await refusal(work)).toBe('NO_CAPACITY resources[3].node.share.cpu_millis');
    await expect(work).rejects.toThrow('suppliers/two: 100 would fit.');
    await two.stop();
    expect(await refusal(dry(A))).toBe('SUPPLIER_AWAY');
  });

  test('of a change, and of an address that is only tried', async () => {
    await harness.update(P);
    await harness.become('ready', 'nodes/P');
    const wrong = { supplier: { name: 'suppliers/one', address: `${one.address}.wrong` } };
    expect(await refusal(dry(wrong, B))).toBe('SUPPLIER_AWAY');
    const { resources } = await dry({ node: { ...P.node, share: { cpuMillis: 7 } } });
    expect(resources[0]?.node?.price?.microsPerHour).toBe(5n);
    await harness.update(B);
    await harness.become('ready', 'nodes/B');
    expect(one.nodes.get('customers/conn/virtualNodes/P')?.share).toBeUndefined();
  });

  test('of what is there already nobody is asked', async () => {
    await harness.update(P);
    await harness.become('ready', 'nodes/P');
    const asked = methods(one).length;
    await dry(P);
    expect(methods(one)).toHaveLength(asked);
  });
});

test('a link between two nodes of one machine', async () => {
  const twin = { node: { ...P.node, name: 'nodes/P2', ports: [] } };
  const link = { link: { name: 'links/x', a: 'nodes/P', b: 'nodes/P2' } };
  expect(await refusal(harness.update(P, twin, link))).toBe('SAME_MACHINE resources[2].link.b');
});
