/** What is lost below a service network: its links are carried another way, or it is told; and back again. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { types } from '../../src/api/types.js';
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
const node = (name: string) => ({
  node: { name: `nodes/${name}`, supplier: 'suppliers/one', ports: ['st'] },
});
const link = (a: string, b: string, bitsPerSecond = 1000) => ({
  link: { name: `links/${a}-${b}`, a: `nodes/${a}`, b: `nodes/${b}`, slo: { bitsPerSecond } },
});
const network = (bitsPerSecond: number, more: object = {}) => ({
  serviceNetwork: {
    name: NETWORK,
    nodes: [{ name: 'P', ports: [{ vif: 'hp', port: 'st' }] }, { name: 'M' }],
    links: [{ name: 'l', a: 'P', b: 'M', slo: { bitsPerSecond } }],
    ...more,
  },
});

beforeEach(async () => {
  clock = new TestClock();
  harness = new Harness({ clock });
  one = await harness.supplier('one');
  await harness.open();
  // of each, 60/68 can be sold: 882, 441 and 802
  await harness.update(
    { supplier: { name: 'suppliers/one', address: one.address } },
    { customer: { name: 'customers/iptv' } },
    ...['P', 'Q', 'R', 'M'].map(node),
    ...[link('P', 'Q'), link('Q', 'M'), link('P', 'R', 500), link('R', 'M', 500), link('P', 'M', 910)],
  );
  await harness.become('ready', 'links/P-Q', 'links/Q-M', 'links/P-R', 'links/R-M', 'links/P-M');
  await until(async () => ((await harness.keys('watches/')).length === 1 ? undefined : 'not watched'));
});
afterEach(() => harness.end());

const theLink = async () => (await harness.get('serviceNetwork', NETWORK)).links[0];

/** Waits until the network's link is carried like this, and says so. */
async function carried(path: readonly string[], state: string): Promise<void> {
  await until(async () => {
    const now = await theLink();
    const text = `${now?.path.join()} ${now?.state}`;
    return text === `${path.join()} ${state}` ? undefined : text;
  });
}

async function lose(name: string, how: 'gone' | 'suspended' | 'down'): Promise<() => void> {
  const key = `customers/conn/virtualLinks/${name}`;
  const lease = one.links.get(key);
  if (!lease) throw new Error(`no ${key}`);
  const status = { ...lease.status, state: 'down', message: 'wires/secret' } as NonNullable<
    typeof lease.status
  >;
  if (how === 'gone') one.tellLink(lease, true);
  else if (how === 'down') one.tellLink({ ...lease, status }, false);
  else one.tellLink({ ...lease, lease: types.LeaseState.LEASE_STATE_SUSPENDED }, false);
  await harness.become({ gone: 'lost', suspended: 'suspended', down: 'down' }[how], `links/${name}`);
  return () => one.tellLink(lease, false);
}

const DIRECT = ['links/P-M'];
const BY_Q = ['links/P-Q', 'links/Q-M'];
const BY_R = ['links/P-R', 'links/R-M'];

describe.each(['gone', 'suspended', 'down'] as const)('%s', (how) => {
  test('carried another way, and back when it has been there for five minutes', async () => {
    await harness.update(network(600));
    await carried(DIRECT, 'up');
    const known = one.applies.length;
    const back = await lose('P-M', how);
    await carried(BY_Q, 'up');
    expect(await harness.get('link', 'links/P-M')).toMatchObject({ soldAToB: 0n });
    expect(await harness.get('link', 'links/P-Q')).toMatchObject({ soldAToB: 600n });
    // who forwards was told before who sends
    const later = one.applies.slice(known);
    const swaps = later.findIndex(({ resources }) => resources.some((r) => r.label?.swap));
    const sends = later.findIndex(({ resources }) =>
      resources.some(({ vif }) => vif?.link?.paths[0]?.vif === 'vns/conn/nodes/P/vifs/to-Q'),
    );
    expect(swaps).toBeGreaterThanOrEqual(0);
    expect(swaps).toBeLessThan(sends);
    back();
    await harness.become('ready', 'links/P-M');
    clock.pass(WAIT - 1000);
    await harness.update({ customer: { name: 'customers/x' } });
    await carried(BY_Q, 'up');
    clock.pass(1000);
    await carried(DIRECT, 'up');
    await until(async () => {
      const left = await harness.keys('homes/');
      return left.length === 0 ? undefined : left.join();
    });
    expect((await theLink())?.achieved).toMatchObject({ bitsPerSecond: 600n });
  });
});

test('no other way has room: told so without naming what is below, and up again as soon as it is there', async () => {
  await harness.update(network(800));
  await carried(DIRECT, 'up');
  await lose('P-Q', 'down');
  const back = await lose('P-M', 'down');
  await carried(DIRECT, 'down');
  harness.caller = iptv;
  const shown = await harness.get('serviceNetwork', NETWORK);
  expect(shown.links[0]).toMatchObject({ state: 'down', path: [] });
  expect(
    JSON.stringify(shown.links[0], (_, value: unknown) => (typeof value === 'bigint' ? 0 : value)),
  ).not.toMatch(/links\/|nodes\/|wires\//);
  // a change of something else is not refused for that, nor is the network lost
  await harness.update(network(800, { nodes: [{ name: 'P' }, { name: 'M' }, { name: 'R' }] }));
  await harness.become('ready', NETWORK);
  harness.caller = local;
  await carried(DIRECT, 'down');
  back();
  await carried(DIRECT, 'up');
});

test('room that somebody gives back is taken', async () => {
  const other = {
    serviceNetwork: {
      name: 'customers/iptv/serviceNetworks/other',
      nodes: [{ name: 'P' }, { name: 'Q' }],
      links: [{ name: 'l', a: 'P', b: 'Q', slo: { bitsPerSecond: 500 } }],
    },
  };
  await harness.update(network(800), other);
  await carried(DIRECT, 'up');
  await lose('P-M', 'gone');
  await carried(DIRECT, 'down');
  await harness.remove('customers/iptv/serviceNetworks/other');
  await carried(BY_Q, 'up');
});

test('one that comes and goes is left alone where there is another; taken where there is none', async () => {
  await harness.update(network(400));
  await carried(DIRECT, 'up');
  const backQ = await lose('P-Q', 'suspended');
  backQ();
  await harness.become('ready', 'links/P-Q');
  await lose('P-M', 'suspended');
  await carried(BY_R, 'up');
  await lose('R-M', 'suspended');
  await carried(BY_Q, 'up');
});

test('a node that is lost: its links are carried around it', async () => {
  const other = { ...network(800).serviceNetwork, name: 'customers/iptv/serviceNetworks/other' };
  await harness.update({ serviceNetwork: { ...other, nodes: [{ name: 'P' }, { name: 'M' }] } });
  await harness.update(network(600));
  await carried(BY_Q, 'up');
  await harness.remove(other.name);
  const lease = one.nodes.get('customers/conn/virtualNodes/Q');
  if (!lease) throw new Error('no lease');
  one.tell({ ...lease, lease: types.LeaseState.LEASE_STATE_SUSPENDED }, false);
  await carried(DIRECT, 'up');
  await harness.become('ready', NETWORK);
});

test('the backup that was reserved is taken, also where everything else is sold', async () => {
  const slo = { bitsPerSecond: 500, availabilityPpm: 999_990 };
  await harness.update({
    serviceNetwork: {
      name: NETWORK,
      nodes: [{ name: 'P' }, { name: 'M' }],
      links: [{ name: 'l', a: 'P', b: 'M', slo }],
    },
  });
  await harness.become('ready', NETWORK);
  const { path = [], backup = [] } = (await theLink()) ?? {};
  expect(backup.length).toBeGreaterThan(0);
  await carried(path, 'up');
  await lose(path[0]?.replace('links/', '') ?? '', 'gone');
  await carried(backup, 'up');
  expect((await theLink())?.backup).toEqual(path);
});

test('killed at any commit of the store, it is carried after the next start', async () => {
  for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) {
    await harness.update(network(600));
    await carried(DIRECT, 'up');
    const first = harness.commits;
    let died = (): void => undefined;
    const dead = new Promise<void>((done) => (died = done));
    harness.beforeCommit = (number) => {
      if (number < first + n) return;
      died();
      throw new Error('killed');
    };
    const key = 'customers/conn/virtualLinks/P-M';
    const lease = one.links.get(key);
    if (!lease) throw new Error('no lease');
    const suspended = { ...lease, lease: types.LeaseState.LEASE_STATE_SUSPENDED };
    one.tellLink(suspended, false);
    await Promise.race([dead, carried(BY_Q, 'up')]);
    await harness.kill();
    harness.beforeCommit = () => undefined;
    await harness.open();
    // as a real supplier does by the resume token
    await until(async () => {
      one.tellLink(suspended, false);
      const { status } = await harness.get('link', 'links/P-M');
      return status?.state === 'suspended' ? undefined : status?.state;
    });
    await carried(BY_Q, 'up');
    one.tellLink(lease, false);
    await harness.become('ready', 'links/P-M');
    await harness.remove(NETWORK);
    await until(async () => {
      const left = [...(await harness.keys('carried/')), ...(await harness.keys('homes/'))];
      return left.length === 0 ? undefined : left.join();
    });
  }
});

test('nothing new is sold over what is down', async () => {
  await lose('P-M', 'down');
  await lose('P-Q', 'down');
  await lose('P-R', 'down');
  expect(await refusal(harness.update(network(1)))).toBe('NO_PATH resources[0].service_network.links[0]');
});
