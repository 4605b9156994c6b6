/** Leases are renewed in time, and what becomes of them is shown. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { unavailable } from '../../src/api/errors.js';
import { statusType, types } from '../../src/api/types.js';
import { TestClock } from '../support/clock.js';
import { Harness, refusal, until } from './harness.js';
import { type TestSupplier } from './supplier.js';

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
    { node: { name: 'nodes/P', supplier: 'suppliers/one', termSeconds: 3600 } },
    { node: { name: 'nodes/Q', supplier: 'suppliers/one', termSeconds: 3600 } },
    { link: { name: 'links/P-Q', a: 'nodes/P', b: 'nodes/Q', termSeconds: 7200 } },
  );
  await harness.become('ready', 'nodes/P', 'nodes/Q', 'links/P-Q');
});
afterEach(() => harness.end());

const renewals = () => one.calls.flatMap(({ method, request }) => (method === 'renew' ? [request] : []));
const P = 'customers/conn/virtualNodes/P';
const Q = 'customers/conn/virtualNodes/Q';
const LINK = 'customers/conn/virtualLinks/P-Q';

test('renewed at two thirds of the term, those of one term together, also after a restart', async () => {
  expect(one.nodes.get(P)?.term?.expireTime).toBe('2026-12-01T09:00:00Z');
  clock.pass(2_399_000);
  await harness.update({ customer: { name: 'customers/x' } });
  expect(renewals()).toEqual([]);
  clock.pass(1000);
  await until(() => (renewals().length === 1 ? undefined : 'not renewed'));
  expect(renewals()).toEqual([{ names: [P, Q], expireTime: '2026-12-01T09:40:00Z' }]);
  await until(async () => {
    const written = await harness.value('bought/nodes/Q');
    return written.includes('2026-12-01T09:40:00Z') ? undefined : written;
  });
  await harness.kill();
  await harness.open();
  clock.pass(2_400_000);
  await until(() => (renewals().length === 3 ? undefined : `${renewals().length} renewals`));
  expect(renewals().slice(1)).toEqual([
    { names: [P, Q], expireTime: '2026-12-01T10:20:00Z' },
    { names: [LINK], expireTime: '2026-12-01T11:20:00Z' },
  ]);
});

test('a renewal that fails is shown, and tried again', async () => {
  one.before = (method) => {
    if (method === 'renew') throw unavailable({ reason: 'BUSY', message: 'not now' });
  };
  clock.pass(2_400_000);
  await until(async () => {
    const { status } = await harness.get('node', 'nodes/P');
    return status?.message === 'Not renewed: not now' ? undefined : (status?.message ?? '');
  });
  one.before = () => undefined;
  clock.pass(120_000);
  await until(async () => {
    const { status } = await harness.get('node', 'nodes/P');
    return status?.message === '' ? undefined : (status?.message ?? '');
  });
  expect(one.nodes.get(P)?.term?.expireTime).toBe('2026-12-01T09:42:00Z');
});

test('what becomes of a lease before its deal is done counts', async () => {
  one.after = async (method) => {
    const link = one.links.get('customers/conn/virtualLinks/second');
    const node = one.nodes.get(Q);
    if (method !== 'commit' || !link || !node) return;
    one.after = () => undefined;
    one.tellLink({ ...link, status: statusType.complete({ state: 'down', message: 'cut' }) }, false);
    // the one after the other
    one.tell({ ...node, lease: types.LeaseState.LEASE_STATE_SUSPENDED }, false);
    await harness.become('suspended', 'nodes/Q');
  };
  await harness.update({
    link: { name: 'links/second', a: 'nodes/P', b: 'nodes/Q', vifA: 'x', vifB: 'y', termSeconds: 7200 },
  });
  await harness.become('down', 'links/second');
});

test('expired, back, and lost: shown, and nothing more is sold of it', async () => {
  await until(async () => ((await harness.keys('watches/')).length === 1 ? undefined : 'not watched'));
  const lease = one.nodes.get(P);
  if (!lease) throw new Error('no lease');
  one.tell({ ...lease, lease: types.LeaseState.LEASE_STATE_SUSPENDED }, false);
  await harness.become('suspended', 'nodes/P');
  await harness.update({ customer: { name: 'customers/iptv' } });
  const network = { serviceNetwork: { name: 'customers/iptv/serviceNetworks/iptv', nodes: [{ name: 'P' }] } };
  expect(await refusal(harness.update(network))).toBe(
    'UNKNOWN_OFFER resources[0].service_network.nodes[0].offer',
  );
  one.tell(lease, false);
  await harness.become('ready', 'nodes/P');
  one.tell(lease, true);
  await harness.become('lost', 'nodes/P');
  expect((await harness.get('node', 'nodes/P')).lease).toBe(types.LeaseState.LEASE_STATE_UNSPECIFIED);
});

test('a link that is lost takes down what stands on it, and nothing else', async () => {
  await harness.update(
    { customer: { name: 'customers/iptv' } },
    {
      serviceNetwork: {
        name: 'customers/iptv/serviceNetworks/iptv',
        nodes: [{ name: 'P' }, { name: 'Q' }],
        links: [{ name: 'l', a: 'P', b: 'Q' }],
      },
    },
  );
  await harness.become('ready', 'customers/iptv/serviceNetworks/iptv');
  const kinds = () => one.applied.get(`${P} `)?.resources.map(({ kind }) => kind);
  expect(kinds()).toEqual(['virtualNode', 'label', 'vif']);
  expect(await refusal(harness.remove('links/P-Q'))).toBe('IN_USE names[0]');
  await until(async () => ((await harness.keys('watches/')).length === 1 ? undefined : 'not watched'));
  const link = one.links.get(LINK);
  if (!link) throw new Error('no link');
  one.tellLink(link, true);
  await harness.become('lost', 'links/P-Q');
  await until(() => (kinds()?.join() === 'virtualNode' ? undefined : kinds()?.join()));
});
