/** Routers of the underlay that machines watch by BFD: what agents are told, and what is refused. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { invalidArgument } from '../../src/api/errors.js';
import { conn, eventually, local, Provider, type ProviderClient, refusal, until } from './provider.js';

let one: Provider;
let operator: ProviderClient;

beforeEach(async () => {
  one = new Provider();
  await one.agent('P');
  await one.start();
  operator = one.as(local);
});
afterEach(() => one.end());

const R1 = { name: 'r1', interface: 'eth1', localAddress: '192.0.2.1', remoteAddress: '192.0.2.2' };
const R2 = {
  ...{ name: 'r2', interface: 'eth1', vlan: 7, detectionUs: 60_000 },
  ...{ localAddress: 'fe80::1', remoteAddress: 'fe80::2' },
};

const set = (...neighbours: object[]): Promise<unknown> =>
  operator.update({ resources: [one.machine('P', 1, { neighbours })] });

const watched = () =>
  (one.agents.get('P')?.resourcesOf('one') ?? []).flatMap(({ bfdPeer }) => (bfdPeer ? [bfdPeer] : []));
const names = (): string =>
  watched()
    .map(({ name }) => name.slice('bfdPeers/underlay.'.length))
    .join();

test('the agent is told of each, of a change, and of their end', async () => {
  await set(R1, R2);
  await eventually(() => names() === 'r1,r2', 'both are watched');
  const timing = { multiplier: 3, restoreMs: 1000 };
  expect(watched()).toMatchObject([
    {
      ...{ name: 'bfdPeers/underlay.r1', interface: 'eth1', vlan: 0 },
      minTxUs: 50_000,
      minRxUs: 50_000,
      ...timing,
    },
    {
      ...{ name: 'bfdPeers/underlay.r2', interface: 'eth1', vlan: 7 },
      minTxUs: 20_000,
      minRxUs: 20_000,
      ...timing,
    },
  ]);
  expect(watched()[1]).toMatchObject({ localAddress: 'fe80::1', remoteAddress: 'fe80::2' });
  await set({ ...R1, detectionUs: 3000 });
  await eventually(() => names() === 'r1' && watched()[0]?.minTxUs === 1000, 'sooner, and one is gone');
  await set();
  await eventually(() => names() === '', 'none is left');
});

test('one that the agent refuses is in nobody’s way', async () => {
  const agent = one.agents.get('P');
  if (!agent) throw new Error('no agent');
  agent.refuse = ({ resources }) => {
    const at = resources.findIndex(({ bfdPeer }) => bfdPeer?.name.endsWith('.r1'));
    return at < 0
      ? undefined
      : invalidArgument({ reason: 'BFD_PEER_PLACE', field: `resources[${at}].bfd_peer`, message: 'no' });
  };
  await set(R1, R2);
  await eventually(() => names() === 'r2', 'the other is watched');
});

const many = Array.from({ length: 65 }, (_, i) => ({
  ...R1,
  ...{ name: `r${i}`, remoteAddress: `192.0.2.${i + 100}` },
}));

test.each<[string, object[]]>([
  ['NAME neighbours[0].name', [{ ...R1, name: '' }]],
  ['NAME neighbours[0].name', [{ ...R1, name: 'a/b' }]],
  ['NAME neighbours[0].name', [{ ...R1, name: 'x'.repeat(32) }]],
  ['DUPLICATE neighbours[1].name', [R1, { ...R2, name: 'r1' }]],
  ['DUPLICATE neighbours[1]', [R1, { ...R1, name: 'other' }]],
  ['DUPLICATE neighbours[1]', [R2, { ...R2, name: 'other', remoteAddress: 'fe80:0::2' }]],
  ['INTERFACE_NAME neighbours[0].interface', [{ ...R1, interface: '' }]],
  ['INTERFACE_NAME neighbours[0].interface', [{ ...R1, interface: '../../x' }]],
  ['RANGE neighbours[0].vlan', [{ ...R1, vlan: 4095 }]],
  ['ADDRESS neighbours[0].local_address', [{ ...R1, localAddress: '' }]],
  ['ADDRESS neighbours[0].local_address', [{ ...R1, localAddress: '224.0.0.1' }]],
  ['ADDRESS neighbours[0].remote_address', [{ ...R1, remoteAddress: '127.0.0.1' }]],
  ['ADDRESS neighbours[0].remote_address', [{ ...R1, remoteAddress: '192.0.2.2/24' }]],
  ['ADDRESS neighbours[0].remote_address', [{ ...R1, remoteAddress: 'fe80::2' }]],
  ['ADDRESS neighbours[0].remote_address', [{ ...R1, remoteAddress: '192.0.2.1' }]],
  ['RANGE neighbours[0].detection_us', [{ ...R1, detectionUs: 2999 }]],
  ['RANGE neighbours[0].detection_us', [{ ...R1, detectionUs: 4_294_967_295 }]],
  ['TOO_MANY neighbours', many],
])('%s', async (expected, neighbours) => {
  const [reason, field] = expected.split(' ');
  expect(await refusal(set(...neighbours))).toBe(`${reason} resources[0].machine.${field}`);
});

test('customers are not told of them', async () => {
  await set(R1);
  await until(operator, 'machines/P', ({ machine }) => machine?.neighbours.length === 1);
  const asked = one.as(conn).get({ name: 'machines/P' });
  expect(await refusal(asked)).toMatch(/^(?:PERMISSION_DENIED|NOT_FOUND|NOT_YOURS|ROLE)/);
});
