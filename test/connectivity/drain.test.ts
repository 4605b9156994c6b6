/** Before maintenance: by an operator's word or a supplier's, service links leave what is drained, and come back after it. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { types } from '../../src/api/types.js';
import { type Caller } from '../../src/controller/access.js';
import { TestClock } from '../support/clock.js';
import { Harness, local, refusal, until } from './harness.js';
import { type TestSupplier } from './supplier.js';

const iptv: Caller = { role: 'service', name: 'iptv' };
const NETWORK = 'customers/iptv/serviceNetworks/iptv';
const { LINK_PROTECTION_NONE, LINK_PROTECTION_ONE_FOR_ONE, LINK_PROTECTION_WEIGHTED } = types.LinkProtection;
const node = (name: string, more: object = {}) => ({
  node: { name: `nodes/${name}`, supplier: 'suppliers/one', ...more },
});
const link = (a: string, b: string, more: object = {}) => ({
  link: { name: `links/${a}-${b}`, a: `nodes/${a}`, b: `nodes/${b}`, slo: { bitsPerSecond: 1000 }, ...more },
});
const network = (more: object = {}) => ({
  serviceNetwork: {
    name: NETWORK,
    nodes: [{ name: 'P' }, { name: 'M' }],
    links: [{ name: 'l', a: 'P', b: 'M', slo: { bitsPerSecond: 400 }, ...more }],
  },
});

const DIRECT = ['links/P-M'];
const BY_Q = ['links/P-Q', 'links/Q-M'];
const BY_R = ['links/P-R', 'links/R-M'];
const protectedLink = { protection: LINK_PROTECTION_ONE_FOR_ONE };

let clock: TestClock;
let harness: Harness;
let one: TestSupplier;

beforeEach(async () => {
  clock = new TestClock();
  harness = new Harness({ clock });
  one = await harness.supplier('one');
  await harness.open();
  await harness.update(
    { supplier: { name: 'suppliers/one', address: one.address } },
    { customer: { name: 'customers/iptv' } },
    ...['P', 'Q', 'R', 'M'].map((name) => node(name)),
    ...[link('P', 'M'), link('P', 'Q'), link('Q', 'M'), link('P', 'R'), link('R', 'M')],
  );
  await harness.become('ready', 'links/P-M', 'links/P-Q', 'links/Q-M', 'links/P-R', 'links/R-M');
  await until(async () => ((await harness.keys('watches/')).length === 1 ? undefined : 'not watched'));
});
afterEach(() => harness.end());

const theLink = async () => (await harness.get('serviceNetwork', NETWORK)).links[0];

/** Waits until the link is carried so, and was up for as long as it was looked at. */
async function carried(path: readonly string[], backup: readonly string[] = []): Promise<void> {
  await until(async () => {
    const now = await theLink();
    const text = `${now?.path.join()} | ${now?.backup.join()} ${now?.backupProgrammed}`;
    const wanted = `${path.join()} | ${backup.join()} ${backup.length > 0}`;
    return text === wanted && now?.state === 'up' ? undefined : `${text} ${now?.state}`;
  });
  await harness.become('ready', NETWORK);
}

function announce(name: string, maintenance: boolean): void {
  const [leasedLink, leasedNode] = [
    one.links.get(`customers/conn/virtualLinks/${name}`),
    one.nodes.get(`customers/conn/virtualNodes/${name}`),
  ];
  if (leasedLink) one.tellLink({ ...leasedLink, maintenance }, false);
  if (leasedNode) one.tell({ ...leasedNode, maintenance }, false);
}

const vifAt = (name: string) => {
  const contents = one.applied.get(`customers/conn/virtualNodes/${name} `)?.resources ?? [];
  return contents.find(({ vif }) => vif?.name.startsWith(`vns/iptv/nodes/${name}/vifs/`))?.vif;
};
const avoided = () => vifAt('P')?.link?.paths.map(({ vif, avoid }) => `${vif?.split('to-')[1]} ${avoid}`);

test('a supplier announces maintenance of a link: they leave it without being down, and are back when it is over', async () => {
  await harness.update(network());
  await carried(DIRECT);
  announce('P-M', true);
  await carried(BY_Q);
  const { maintenance, status } = await harness.get('link', 'links/P-M');
  expect({ maintenance, ...status }).toMatchObject({
    maintenance: true,
    state: 'ready',
    message: expect.stringMatching(/maintenance/) as string,
  });
  announce('P-M', false);
  await carried(DIRECT);
  expect(await harness.get('link', 'links/P-M')).toMatchObject({
    maintenance: false,
    status: { message: '' },
  });
  expect(await harness.keys('homes/')).toEqual([]);
});

test('what was sent by the way that is left still arrives: for twice its delay, as far as that is known', async () => {
  await harness.update(link('P', 'M', { slo: { bitsPerSecond: 1000, delayUs: 7000 } }));
  await until(async () => {
    const { achieved } = await harness.get('link', 'links/P-M');
    return achieved?.delayUs === 7000 ? undefined : `${achieved?.delayUs}`;
  });
  await harness.update(network());
  await carried(DIRECT);
  const taken = (): boolean =>
    (one.applied.get('customers/conn/virtualNodes/M ')?.resources ?? []).some(
      ({ label }) => label?.vif === 'vns/conn/nodes/M/vifs/to-P' && label.deliver !== undefined,
    );
  await harness.update(link('P', 'M', { slo: { bitsPerSecond: 1000, delayUs: 7000 }, drain: true }));
  await carried(BY_Q);
  expect(taken()).toBe(true);
  await until(() => {
    const sent = vifAt('P')
      ?.link?.paths.map(({ vif }) => vif?.split('to-')[1])
      .join();
    return sent === 'Q' ? undefined : sent;
  });
  clock.pass(13);
  await harness.update({ customer: { name: 'customers/x' } });
  expect(taken()).toBe(true);
  await until(() => {
    // it begins to wait when both ends have told that they have left it
    clock.pass(1);
    return taken() ? 'still taken' : undefined;
  });
});

test('a supplier announces it of a node: links that pass it leave it, those that end there stay', async () => {
  const { serviceNetwork } = network();
  const nodes = [...serviceNetwork.nodes, { name: 'Q' }];
  const links = [...serviceNetwork.links, { name: 'q', a: 'P', b: 'Q' }];
  await harness.update(link('P', 'M', { drain: true }));
  await harness.update({ serviceNetwork: { ...serviceNetwork, nodes, links } });
  await carried(BY_Q);
  announce('Q', true);
  await carried(BY_R);
  expect((await harness.get('serviceNetwork', NETWORK)).links[1]).toMatchObject({
    path: ['links/P-Q'],
    state: 'up',
  });
  expect(await harness.get('node', 'nodes/Q')).toMatchObject({ maintenance: true });
  announce('Q', false);
  await carried(BY_Q);
});

test('a node is drained by an operator; a new link takes no drained one', async () => {
  await harness.update(node('Q', { drain: true }), link('P', 'M', { drain: true }));
  await harness.update(network());
  await carried(BY_R);
  await harness.update(node('R', { drain: true }));
  // nothing else is there: it stays
  await harness.update({ customer: { name: 'customers/x' } });
  await carried(BY_R);
  await harness.update(node('Q'));
  await carried(BY_Q);
  expect(await refusal(harness.update(network({ via: ['offers/R'] })))).toMatch(/^NO_/);
});

test('only two ways: the drained one stays the backup, left alone while there is the other one', async () => {
  await harness.remove('links/P-R');
  await harness.update(network({ protection: LINK_PROTECTION_WEIGHTED }));
  await carried(DIRECT, BY_Q);
  expect(avoided()).toEqual(['M false', 'Q false']);
  await harness.update(link('P', 'M', { drain: true }));
  await carried(BY_Q, DIRECT);
  await until(() => (avoided()?.join() === 'Q false,M true' ? undefined : avoided()?.join()));
  await harness.update(link('P', 'M'));
  await carried(DIRECT, BY_Q);
  await until(() => (avoided()?.join() === 'M false,Q false' ? undefined : avoided()?.join()));
});

test('one service link’s way: written and seen by operators only, and kept when the customer changes it', async () => {
  await harness.update(network(protectedLink));
  await carried(DIRECT, BY_Q);
  await harness.update(network({ ...protectedLink, avoid: DIRECT }));
  await carried(BY_Q, BY_R);
  harness.caller = iptv;
  expect((await theLink())?.avoid).toEqual([]);
  await harness.update(network({ ...protectedLink, avoid: BY_Q, repairUs: 100_000 }));
  harness.caller = local;
  await carried(BY_Q, BY_R);
  expect(await theLink()).toMatchObject({ avoid: DIRECT, repairUs: 100_000 });
  await harness.update(network({ ...protectedLink, repairUs: 100_000 }));
  await carried(DIRECT, BY_Q);
  expect(await refusal(harness.update(network({ avoid: ['nodes/P'] })))).toBe(
    'LINK resources[0].service_network.links[0].avoid',
  );
  const many = Array.from({ length: 65 }, (_, i) => `links/${i}`);
  expect(await refusal(harness.update(network({ avoid: many })))).toMatch(/^LINK /);
});

test('killed at any commit while it is announced: the next process moves them', async () => {
  for (const n of [1, 2, 3, 4]) {
    await harness.update(network({ protection: LINK_PROTECTION_NONE }));
    await carried(DIRECT);
    const first = harness.commits;
    let died = (): void => undefined;
    const dead = new Promise<void>((done) => (died = done));
    harness.beforeCommit = (number) => {
      if (number < first + n) return;
      died();
      throw new Error('killed');
    };
    announce('P-M', true);
    await Promise.race([dead, carried(BY_Q)]);
    await harness.kill();
    harness.beforeCommit = () => undefined;
    await harness.open();
    const announced = (maintenance: boolean): Promise<void> =>
      until(async () => {
        // again, for the new process may not have watched yet
        announce('P-M', maintenance);
        const body = await harness.get('link', 'links/P-M');
        return body.maintenance === maintenance ? undefined : `${body.maintenance}`;
      });
    await announced(true);
    await carried(BY_Q);
    await announced(false);
    // after a restart nobody knows how steady it was
    clock.pass(300_000);
    await carried(DIRECT);
    await harness.remove(NETWORK);
  }
});
