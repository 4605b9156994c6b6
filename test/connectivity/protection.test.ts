/** Links with backups in data planes: what machines are told, what becomes of it when something below is lost. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { resourceType } from '../../src/api/connectivity.js';
import { invalidArgument } from '../../src/api/errors.js';
import { types } from '../../src/api/types.js';
import { checkNetwork } from '../../src/connectivity/check-network.js';
import { type Caller } from '../../src/controller/access.js';
import { TestClock } from '../support/clock.js';
import { Harness, local, refusal, until } from './harness.js';
import { type TestSupplier } from './supplier.js';

let clock: TestClock;
let harness: Harness;
let one: TestSupplier;

const iptv: Caller = { role: 'service', name: 'iptv' };
const NETWORK = 'customers/iptv/serviceNetworks/iptv';
const WAIT = 300_000;
const {
  LINK_PROTECTION_NONE,
  LINK_PROTECTION_ONE_FOR_ONE,
  LINK_PROTECTION_ONE_PLUS_ONE,
  LINK_PROTECTION_WEIGHTED,
} = types.LinkProtection;
const node = (name: string) => ({ node: { name: `nodes/${name}`, supplier: 'suppliers/one' } });
const link = (a: string, b: string, more: object = {}) => ({
  link: {
    name: `links/${a}-${b}`,
    a: `nodes/${a}`,
    b: `nodes/${b}`,
    slo: { bitsPerSecond: 1000, availabilityPpm: 999_000 },
    ...more,
  },
});
const network = (more: object = {}) => ({
  serviceNetwork: {
    name: NETWORK,
    nodes: [{ name: 'P' }, { name: 'M' }],
    links: [
      {
        name: 'l',
        a: 'P',
        b: 'M',
        slo: { bitsPerSecond: 400 },
        protection: LINK_PROTECTION_ONE_FOR_ONE,
        repairUs: 8000,
        ...more,
      },
    ],
  },
});

const DIRECT = ['links/P-M'];
const BY_Q = ['links/P-Q', 'links/Q-M'];
const BY_R = ['links/P-R', 'links/R-S', 'links/S-M'];

beforeEach(async () => {
  clock = new TestClock();
  harness = new Harness({ clock });
  one = await harness.supplier('one');
  await harness.open();
  await harness.update(
    { supplier: { name: 'suppliers/one', address: one.address } },
    { customer: { name: 'customers/iptv' } },
    ...['P', 'Q', 'R', 'S', 'M'].map(node),
    link('P', 'M'),
    link('P', 'Q'),
    link('Q', 'M', { mtu: 1400 }),
    link('P', 'R'),
    link('R', 'S'),
    link('S', 'M'),
  );
  await harness.become('ready', 'links/P-M', 'links/Q-M', 'links/P-R', 'links/R-S', 'links/S-M');
  await until(async () => ((await harness.keys('watches/')).length === 1 ? undefined : 'not watched'));
});
afterEach(() => harness.end());

const theLink = async () => (await harness.get('serviceNetwork', NETWORK)).links[0];

/** Waits until the link is carried like this, and its backup is programmed. */
async function carried(path: readonly string[], backup: readonly string[], state = 'up'): Promise<void> {
  await until(async () => {
    const now = await theLink();
    const text = `${now?.path.join()} | ${now?.backup.join()} ${now?.state} ${now?.backupProgrammed}`;
    return text === `${path.join()} | ${backup.join()} ${state} ${backup.length > 0}` ? undefined : text;
  });
  await harness.become('ready', NETWORK);
}

const resourcesAt = (name: string) =>
  one.applied.get(`customers/conn/virtualNodes/${name} `)?.resources ?? [];
const ENDS = [
  ['P', 'M'],
  ['M', 'P'],
] as const;
type Ends = (typeof ENDS)[number];
const endAt = (...[name, other]: Ends) =>
  resourcesAt(name).find(({ vif }) => vif?.name === `vns/iptv/nodes/${name}/vifs/to-${other}`)?.vif;
const pathsAt = (...ends: Ends) => endAt(...ends)?.link?.paths ?? [];

/** Follows a path as data planes would: the nodes, and what arrives at the end. */
function followed(vif: string, label: number) {
  const nodes: string[] = [];
  let at = { vif, label };
  for (let hops = 0; hops < 9; hops++) {
    const [, , , here = '', , name = ''] = at.vif.split('/');
    const there = name.replace('to-', '');
    nodes.push(there);
    const into = `vns/conn/nodes/${there}/vifs/to-${here}`;
    const found = resourcesAt(there).filter((r) => r.label?.vif === into && r.label.label === at.label);
    const meaning = found[0]?.label;
    if (found.length !== 1 || !meaning) throw new Error(`${found.length} labels ${at.label} at ${into}`);
    if (meaning.deliver) return { nodes, into, label: at.label, deliver: meaning.deliver };
    at = { vif: meaning.swap?.vif ?? '', label: meaning.swap?.label ?? 0 };
  }
  throw new Error('round and round');
}

/** Both ends send by these, and each listens for the other where its packets arrive. */
function expectWays(...ways: readonly (readonly string[])[]): void {
  for (const ends of ENDS) {
    const [here, there] = ends;
    const paths = pathsAt(...ends);
    expect(paths.map(({ vif }) => vif?.split('to-')[1])).toEqual(
      ways.map((nodes) => (here === 'P' ? nodes[1] : nodes.at(-2))),
    );
    for (const [i, path] of paths.entries()) {
      const arrived = followed(path.vif ?? '', path.label);
      expect(arrived.deliver).toBe(`vns/iptv/nodes/${there}/vifs/to-${here}`);
      const far = (here === 'P' ? pathsAt('M', 'P') : pathsAt('P', 'M'))[i];
      expect(far?.vif).toBe(arrived.into);
      if (paths.length > 1) expect(far?.liveness?.label).toBe(arrived.label);
      else expect(far?.liveness).toBeUndefined();
    }
  }
}

const labelsAt = () => JSON.stringify(pathsAt('P', 'M').map(({ vif, label }) => [vif, label]));

async function lose(name: string): Promise<() => void> {
  const key = `customers/conn/virtualLinks/${name}`;
  const lease = one.links.get(key);
  if (!lease) throw new Error(`no ${key}`);
  one.tellLink({ ...lease, lease: types.LeaseState.LEASE_STATE_SUSPENDED }, false);
  await harness.become('suspended', `links/${name}`);
  return () => one.tellLink(lease, false);
}

describe('one for one', () => {
  test('path and backup are programmed, each watched at the rate that the repair needs, over the least MTU', async () => {
    await harness.update(network());
    await carried(DIRECT, BY_Q);
    expectWays(['P', 'M'], ['P', 'Q', 'M']);
    for (const ends of ENDS) {
      const end = endAt(...ends);
      // of the backup's narrowest link, less a label
      expect(end?.mtu).toBe(1396);
      expect(end?.link?.protection).toBe(1);
      for (const { liveness, measurement } of pathsAt(...ends)) {
        expect(liveness).toMatchObject({ minTxUs: 2000, minRxUs: 2000, multiplier: 3, restoreMs: 5000 });
        expect(measurement).toMatchObject({ intervalUs: 50_000, lossPpm: 0, delayUs: 0, holdMs: 3000 });
      }
    }
    expect(await theLink()).toMatchObject({ shared: [] });
    harness.caller = iptv;
    expect(await theLink()).toMatchObject({ path: [], backup: [], shared: [], backupProgrammed: false });
    expect((await theLink())?.protection).toBe(LINK_PROTECTION_ONE_FOR_ONE);
  });

  test('what is promised is what its paths have to keep to: of delay twice, for it is measured there and back', async () => {
    const slo = { delayUs: 50_000, lossPpm: 400 };
    await harness.update(network({ slo, variationUs: 700, degradedMs: 1500 }));
    await carried(DIRECT, BY_Q);
    const limits = { lossPpm: 400, delayUs: 100_000, variationUs: 700, holdMs: 1500 };
    for (const ends of ENDS)
      for (const { measurement } of pathsAt(...ends)) expect(measurement).toMatchObject(limits);
    await harness.update(network({ slo: { ...slo, delayUs: 4_000_000_000 } }));
    await until(async () =>
      pathsAt('P', 'M').every(({ measurement }) => measurement?.delayUs === 60_000_000)
        ? undefined
        : 'as before',
    );
  });

  test('another repair time changes the watching, and nothing else', async () => {
    await harness.update(network());
    await carried(DIRECT, BY_Q);
    const labels = labelsAt();
    await harness.update(network({ repairUs: 0 }));
    await until(() => {
      const intervals = pathsAt('P', 'M').map(({ liveness }) => liveness?.minTxUs);
      return intervals.join() === '50000,50000' ? undefined : intervals.join();
    });
    expect(labelsAt()).toBe(labels);
  });

  test('the path is lost: the backup is first with the labels it has, another is made, and all goes home', async () => {
    await harness.update(network());
    await carried(DIRECT, BY_Q);
    const backup = pathsAt('P', 'M')[1];
    const known = one.applies.length;
    const back = await lose('P-M');
    await carried(BY_Q, BY_R);
    expectWays(['P', 'Q', 'M'], ['P', 'R', 'S', 'M']);
    expect(pathsAt('P', 'M')[0]).toMatchObject({ vif: backup?.vif, label: backup?.label });
    // at no moment was there anything else to send over first
    const sent = one.applies
      .slice(known)
      .flatMap(({ resources }) => resources)
      .flatMap(({ vif }) => (vif?.name === 'vns/iptv/nodes/P/vifs/to-M' ? [vif.link?.paths[0]?.vif] : []));
    expect(new Set(sent)).toEqual(new Set([backup?.vif]));
    expect(await harness.get('link', 'links/P-M')).toMatchObject({ soldAToB: 0n });
    back();
    await harness.become('ready', 'links/P-M');
    clock.pass(WAIT - 1000);
    await harness.update({ customer: { name: 'customers/x' } });
    await carried(BY_Q, BY_R);
    clock.pass(1000);
    await carried(DIRECT, BY_Q);
    expectWays(['P', 'M'], ['P', 'Q', 'M']);
    await until(async () => {
      const left = [...(await harness.keys('homes/')), ...(await harness.keys('quarantine/'))];
      return left.length === 0 ? undefined : left.join();
    });
  });

  test('the backup is lost: another is made, and the first one comes back', async () => {
    await harness.update(network());
    await carried(DIRECT, BY_Q);
    const [path] = pathsAt('P', 'M');
    const back = await lose('Q-M');
    await carried(DIRECT, BY_R);
    expectWays(['P', 'M'], ['P', 'R', 'S', 'M']);
    expect(pathsAt('P', 'M')[0]).toMatchObject({ vif: path?.vif, label: path?.label });
    back();
    await harness.become('ready', 'links/Q-M');
    clock.pass(WAIT);
    await carried(DIRECT, BY_Q);
  });

  test('no other backup is there: the old one stays, and what is left of it is told', async () => {
    await harness.update(network());
    await carried(DIRECT, BY_Q);
    await lose('P-R');
    const back = await lose('P-M');
    await carried(BY_Q, DIRECT);
    // its vif is not there at P, nor at M
    for (const ends of ENDS) expect(pathsAt(...ends).map(({ vif }) => vif?.slice(-4))).toEqual(['to-Q']);
    back();
    await harness.become('ready', 'links/P-M');
    await until(() => (pathsAt('P', 'M').length === 2 ? undefined : 'one path'));
    clock.pass(WAIT);
    await carried(DIRECT, BY_Q);
    expectWays(['P', 'M'], ['P', 'Q', 'M']);
  });

  test('both are lost: the way that is left is taken, and a backup as soon as there is one', async () => {
    await harness.update(network());
    await carried(DIRECT, BY_Q);
    const backs = [await lose('Q-M'), await lose('P-R'), await lose('P-M')];
    await until(async () => ((await theLink())?.state === 'down' ? undefined : 'not down'));
    backs[1]?.();
    await until(async () => {
      const { path = [], state } = (await theLink()) ?? {};
      return path.join() === BY_R.join() && state === 'up' ? undefined : `${path.join()} ${state}`;
    });
    backs[0]?.();
    await carried(BY_R, BY_Q);
  });

  test('killed at any commit of the store while the path is lost, both ways are there after the next start', async () => {
    for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) {
      await harness.update(network());
      await carried(DIRECT, BY_Q);
      const first = harness.commits;
      let died = (): void => undefined;
      const dead = new Promise<void>((done) => (died = done));
      harness.beforeCommit = (number) => {
        if (number < first + n) return;
        died();
        throw new Error('killed');
      };
      const lease = one.links.get('customers/conn/virtualLinks/P-M');
      if (!lease) throw new Error('no lease');
      const suspended = { ...lease, lease: types.LeaseState.LEASE_STATE_SUSPENDED };
      one.tellLink(suspended, false);
      await Promise.race([dead, carried(BY_Q, BY_R)]);
      await harness.kill();
      harness.beforeCommit = () => undefined;
      await harness.open();
      await until(async () => {
        one.tellLink(suspended, false);
        const { status } = await harness.get('link', 'links/P-M');
        return status?.state === 'suspended' ? undefined : status?.state;
      });
      await carried(BY_Q, BY_R);
      expectWays(['P', 'Q', 'M'], ['P', 'R', 'S', 'M']);
      one.tellLink(lease, false);
      await harness.become('ready', 'links/P-M');
      await harness.remove(NETWORK);
      await until(async () => {
        const left = [...(await harness.keys('carried/')), ...(await harness.keys('homes/'))];
        return left.length === 0 ? undefined : left.join();
      });
    }
  });
});

test('weighted: both carry, by the weights of path and backup', async () => {
  await harness.update(network({ protection: LINK_PROTECTION_WEIGHTED, weights: [3, 1] }));
  await carried(DIRECT, BY_Q);
  expectWays(['P', 'M'], ['P', 'Q', 'M']);
  for (const ends of ENDS) {
    expect(endAt(...ends)?.link?.protection).toBe(2);
    expect(pathsAt(...ends).map(({ weight }) => weight)).toEqual([3, 1]);
  }
});

describe('1+1', () => {
  const both = { protection: LINK_PROTECTION_ONE_PLUS_ONE };

  test('both carry all of it, and cost and take as much; taken up and left where the link is', async () => {
    await harness.update(
      { tariff: { name: 'tariff', linkMicros: 5n, mbitLinkMicros: 1_000_000n, backupPermille: 500 } },
      network(),
    );
    await carried(DIRECT, BY_Q);
    // 400 bit/s at 1 000 000 a Mbit/s and link: 400 a link
    expect((await theLink())?.price?.microsPerHour).toBe(5n + 400n + 400n);
    const labels = labelsAt();
    await harness.update(network(both));
    await carried(DIRECT, BY_Q);
    expectWays(['P', 'M'], ['P', 'Q', 'M']);
    for (const ends of ENDS) {
      expect(endAt(...ends)?.link?.protection).toBe(3);
      for (const { weight } of pathsAt(...ends)) expect(weight).toBe(0);
    }
    expect(labelsAt()).toBe(labels);
    expect((await theLink())?.price?.microsPerHour).toBe(5n + 400n + 800n);
    for (const name of [...DIRECT, ...BY_Q])
      expect(await harness.get('link', name)).toMatchObject({ soldAToB: 400n, soldBToA: 400n });
    await harness.update(network());
    await carried(DIRECT, BY_Q);
    for (const ends of ENDS) expect(endAt(...ends)?.link?.protection).toBe(1);
    expect(labelsAt()).toBe(labels);
  });

  test('a path that is lost is replaced, and comes back', async () => {
    await harness.update(network(both));
    await carried(DIRECT, BY_Q);
    const found = await lose('P-M');
    await carried(BY_Q, BY_R);
    for (const ends of ENDS) expect(endAt(...ends)?.link?.protection).toBe(3);
    found();
    await harness.become('ready', 'links/P-M');
    clock.pass(WAIT);
    await carried(DIRECT, BY_Q);
    for (const ends of ENDS) expect(endAt(...ends)?.link?.protection).toBe(3);
  });

  test('of what both use the room is taken twice: refused where there is room for one', async () => {
    await harness.remove('links/P-M', 'links/P-R');
    await harness.update(link('Q', 'R'));
    await harness.become('ready', 'links/Q-R');
    expect(await refusal(harness.update(network({ ...both, slo: { bitsPerSecond: 600 } })))).toMatch(
      /^NO_DISJOINT_PATH /,
    );
    await harness.update(network({ ...both, slo: { bitsPerSecond: 400 } }));
    await carried(BY_Q, ['links/P-Q', 'links/Q-R', 'links/R-S', 'links/S-M']);
    expect(await harness.get('link', 'links/P-Q')).toMatchObject({ soldAToB: 800n, soldBToA: 800n });
    expect(await harness.get('link', 'links/Q-M')).toMatchObject({ soldAToB: 400n });
  });
});

test('what shares least, where nothing is apart; of what both use the room is taken once', async () => {
  await harness.remove('links/P-M', 'links/P-R');
  await harness.update(link('Q', 'R'));
  await harness.become('ready', 'links/Q-R');
  await harness.update(network({ slo: { bitsPerSecond: 800 } }));
  await carried(BY_Q, ['links/P-Q', 'links/Q-R', 'links/R-S', 'links/S-M']);
  expect((await theLink())?.shared).toEqual(['links/P-Q', 'nodes/Q']);
  expect(await harness.get('link', 'links/P-Q')).toMatchObject({ soldAToB: 800n });
});

test('by the SLO: a backup where the availability needs one; none where none is to be', async () => {
  const slo = { bitsPerSecond: 400, availabilityPpm: 999_900 };
  const [unsaid, none] = [0, LINK_PROTECTION_NONE].map((protection) => ({ slo, protection, repairUs: 0 }));
  expect(await refusal(harness.update(network(none)))).toBe('NO_PATH resources[0].service_network.links[0]');
  await harness.update(network(unsaid));
  await carried(DIRECT, BY_Q);
  expectWays(['P', 'M'], ['P', 'Q', 'M']);
  await harness.update(network({ ...none, slo: { bitsPerSecond: 400 } }));
  await carried(DIRECT, []);
  expectWays(['P', 'M']);
});

test('drained: service links leave it without being down, and it can be deleted', async () => {
  await harness.update(network());
  await carried(DIRECT, BY_Q);
  expect(await refusal(harness.remove('links/P-M'))).toBe('IN_USE names[0]');
  await harness.update(link('P', 'M', { drain: true }));
  await carried(BY_Q, BY_R);
  await until(async () => {
    const answer = await refusal(harness.remove('links/P-M'));
    return answer === 'no refusal' ? undefined : answer;
  });
});

test('drained for a while: they come back to it at once, for it was not lost', async () => {
  await harness.update(network());
  await carried(DIRECT, BY_Q);
  await harness.update(link('P', 'M', { drain: true }));
  await carried(BY_Q, BY_R);
  await harness.update(link('P', 'M'));
  await carried(DIRECT, BY_Q);
});

test.each([
  [
    'there is no second way',
    { b: 'T', repairUs: 0 },
    'NO_DISJOINT_PATH resources[0].service_network.links[0]',
  ],
  ['PAYLOAD_IP', { payload: 2 }, 'PROTECTION resources[0].service_network.links[0].protection'],
  ['too soon', { repairUs: 3999 }, 'RANGE resources[0].service_network.links[0].repair_us'],
  ['too late', { repairUs: 40_000_001 }, 'RANGE resources[0].service_network.links[0].repair_us'],
  ['no protection', { protection: 1 }, 'PROTECTION resources[0].service_network.links[0].repair_us'],
  ['weights of one', { weights: [1, 1] }, 'PROTECTION resources[0].service_network.links[0].weights'],
  ['one weight', { protection: 4, weights: [1] }, 'RANGE resources[0].service_network.links[0].weights'],
  ['no weight', { protection: 4, weights: [0, 1] }, 'RANGE resources[0].service_network.links[0].weights'],
  ['left too soon', { degradedMs: 999 }, 'RANGE resources[0].service_network.links[0].degraded_ms'],
  ['left too late', { degradedMs: 3_600_001 }, 'RANGE resources[0].service_network.links[0].degraded_ms'],
  ['unsteady', { variationUs: 60_000_001 }, 'RANGE resources[0].service_network.links[0].variation_us'],
  [
    'left without a backup',
    { protection: 1, repairUs: 0, degradedMs: 2000 },
    'PROTECTION resources[0].service_network.links[0].degraded_ms',
  ],
  ['heavy', { protection: 4, weights: [17, 1] }, 'RANGE resources[0].service_network.links[0].weights'],
] as const)('refused: %s', async (_, more, reason) => {
  await harness.update(node('T'), link('M', 'T'));
  await harness.become('ready', 'links/M-T');
  harness.caller = iptv;
  const { serviceNetwork } = network(more);
  const nodes = [...serviceNetwork.nodes, { name: 'T' }];
  // a way that passes M twice is none
  const links = serviceNetwork.links.map((one) => (one.b === 'T' ? { ...one, a: 'M' } : one));
  expect(await refusal(harness.update({ serviceNetwork: { ...serviceNetwork, nodes, links } }))).toBe(reason);
  harness.caller = local;
});

test('a kind of protection that this version does not know is refused, whoever let it pass', () => {
  const body = resourceType.complete(network()).serviceNetwork;
  if (!body) throw new Error('no network');
  const links = body.links.map((one) => ({ ...one, protection: 99 as typeof one.protection }));
  const wrong = (field: string, reason: string) =>
    invalidArgument({ reason, field, message: `${reason} ${field}` });
  expect(() => checkNetwork({ ...body, links }, wrong)).toThrow('PROTECTION links[0].protection');
  expect(() => checkNetwork(body, wrong)).not.toThrow();
});

test('no sooner than the customer may have it', async () => {
  await harness.update({ customer: { name: 'customers/iptv', leastRepairUs: 8001 } });
  expect(await refusal(harness.update(network()))).toBe(
    'QUOTA resources[0].service_network.links[0].repair_us',
  );
  await harness.update(network({ repairUs: 8001 }));
  await carried(DIRECT, BY_Q);
});
