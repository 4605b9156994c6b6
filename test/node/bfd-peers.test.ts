/*
 * BFD on the underlay between two agents, A and B, with two wires between them: sessions in both families, what becomes
 * of tunnels, wires and links whose neighbour falls silent, and who goes on when an agent, a sender or an interface ends.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type cabernet } from '../../gen/cabernet.js';
import { type Draft } from '../../src/api/message.js';
import { type Agent } from '../../src/node/agent.js';
import { listBfdPeers } from '../../src/node/rpc/bfd-peers.js';
import { diagnose } from '../../src/node/rpc/diagnose.js';
import { listTunnels } from '../../src/node/rpc/tunnels.js';
import { listPaths } from '../../src/node/rpc/paths.js';
import { wireState as stateOf } from '../../src/node/states.js';
import { senderOf } from '../../src/node/sender-process.js';
import {
  addMachine,
  address,
  addWire,
  apply,
  deliver,
  inside,
  ip,
  netns,
  node,
  type Resource,
  startAgent,
  sweep,
  tunnel,
  until,
  vifName,
  wire,
} from './machines.js';

let a: Agent;
let b: Agent;

const ALL = { pageSize: 0, pageToken: '' };
const LOOPBACKS = { A: '100.127.0.1', B: '100.127.0.2' };
const BESIDE = { A: '100.127.1.1', B: '100.127.1.2' };

type At = 'A' | 'B';

interface Watched {
  readonly intervalUs?: number;
  readonly adminDown?: boolean;
}

const PLACES = {
  one: { wire: '', v6: false, hosts: ['100.64.0.0', '100.64.0.1'] },
  two: { wire: '2', v6: false, hosts: ['100.64.0.2', '100.64.0.3'] },
  local: { wire: '', v6: true, hosts: ['fe80::a', 'fe80::b'] },
} as const;

type Place = keyof typeof PLACES;

type BfdPeer = Draft<cabernet.node.v1.BfdPeer>;

function wanted(at: At, name: Place, { intervalUs = 30_000, adminDown }: Watched = {}): BfdPeer {
  const { wire: suffix, hosts } = PLACES[name];
  const [local, remote] = at === 'A' ? hosts : ([hosts[1], hosts[0]] as const);
  return {
    name: `bfdPeers/${name}`,
    interface: `to-${at === 'A' ? 'B' : 'A'}${suffix}`,
    localAddress: local,
    remoteAddress: remote,
    minTxUs: intervalUs,
    minRxUs: intervalUs,
    multiplier: 3,
    restoreMs: 0,
    ...(adminDown ? { adminDown } : {}),
  };
}

/** `more`: what is to be otherwise. */
function peer(at: At, name: Place, watched: Watched = {}, more: BfdPeer = {}): Resource {
  return { bfdPeer: { ...wanted(at, name, watched), ...more } };
}

/** A tunnel by both wires; a link of two paths, each by a tunnel by one of them; an lsp. */
function carried(at: At): Resource[] {
  const other = at === 'A' ? 'B' : 'A';
  const paths = [1, 2].map((i) => ({ tunnel: `tunnels/by-${i}`, label: 1000 + i }));
  const near = at === 'A' ? ['100.64.0.0', '100.64.0.2'] : ['100.64.0.1', '100.64.0.3'];
  const far = at === 'A' ? ['100.64.0.1', '100.64.0.3'] : ['100.64.0.0', '100.64.0.2'];
  return [
    tunnel('both', LOOPBACKS[at], LOOPBACKS[other]),
    tunnel('by-1', near[0] ?? '', far[0] ?? ''),
    tunnel('by-2', near[1] ?? '', far[1] ?? ''),
    wire('lsp', { kind: 1, interface: `to-${other}`, neighbourAddress: far[0] ?? '' }),
    node('conn', at, 'one'),
    { vif: { name: vifName(`conn/${at}/x`), link: { paths } } },
    ...[1, 2].map((i) => deliver({ tunnel: `by-${i}`, label: 1000 + i }, `conn/${at}/x`)),
    address(`conn/${at}/x`, at === 'A' ? '10.5.0.1/24' : '10.5.0.2/24'),
  ];
}

async function want(at: At, watched: Partial<Record<Place, Watched>>): Promise<void> {
  const peers = (Object.keys(watched) as Place[]).map((name) => peer(at, name, watched[name]));
  await apply(at === 'A' ? a : b, 'one', [...carried(at), ...peers]);
}

const both = async (watched: Partial<Record<Place, Watched>>): Promise<void> => {
  await want('A', watched);
  await want('B', watched);
};

function peers(agent: Agent) {
  return new Map((listBfdPeers(agent, ALL).bfdPeers ?? []).map((one) => [one.bfdPeer?.name ?? '', one]));
}

/** `one up, two down failed` */
function states(agent: Agent): string {
  return [...peers(agent)]
    .map(
      ([name, { state, failed }]) => `${name.slice('bfdPeers/'.length)} ${state}${failed ? ' failed' : ''}`,
    )
    .join(', ');
}

const idOf = (agent: Agent, name: Place): number => agent.bfdPeers.get(`bfdPeers/${name}`)?.id ?? 0;
/** Nothing is sent by it any more, as if it had been cut off, and nobody says so. */
const silence = (agent: Agent, name: Place): void => agent.plane.sessions.end(idOf(agent, name));

function tunnelState(name: string): string {
  return (
    (listTunnels(a, ALL).tunnels ?? []).find((one) => one.tunnel?.name === `tunnels/${name}`)?.state ?? ''
  );
}
const wireState = (): string => Array.from(a.wires.all, ({ intent }) => stateOf(a, intent.name))[0] ?? '';
/** Of the link's paths: `0 up, 1 up in use` */
function paths(): string {
  return (listPaths(a, ALL).paths ?? [])
    .map(({ index, state, inUse }) => `${index ?? 0} ${state}${inUse ? ' in use' : ''}`)
    .join(', ');
}
const reaches = (): boolean =>
  inside(`${netns('A')}.conn.A`, 'ping', '-c', '1', '-W', '1', '10.5.0.2').status === 0;

beforeAll(async () => {
  sweep();
  addMachine('A', LOOPBACKS.A, 'fd64:ffff::1');
  addMachine('B', LOOPBACKS.B, 'fd64:ffff::2');
  addWire('A', 'B', 0);
  addWire('A', 'B', 1, 1600, '2');
  localAddresses();
  for (const [at, other, host] of [
    ['A', 'B', 1],
    ['B', 'A', 0],
  ] as const) {
    ip('-n', netns(at), 'address', 'add', `${BESIDE[at]}/32`, 'dev', 'lo');
    const hops = [`via 100.64.0.${host} dev to-${other}`, `via 100.64.0.${host + 2} dev to-${other}2`];
    const ways = hops.flatMap((hop) => ['nexthop', ...hop.split(' ')]);
    ip('-n', netns(at), 'route', 'replace', `${LOOPBACKS[other]}/32`, ...ways);
  }
  [a, b] = await Promise.all([startAgent('A'), startAgent('B')]);
});

function localAddresses(): void {
  ip('-n', netns('A'), '-6', 'address', 'replace', 'fe80::a/64', 'dev', 'to-B', 'nodad');
  ip('-n', netns('B'), '-6', 'address', 'replace', 'fe80::b/64', 'dev', 'to-A', 'nodad');
}

afterAll(async () => {
  await a.close();
  await b.close();
  sweep();
});

beforeEach(async () => {
  await both({});
  await until('the underlay is up', () => tunnelState('both') === 'up' && wireState() === 'up');
});

afterEach(() => {
  expect([a.applier.leftover, b.applier.leftover]).toEqual([0, 0]);
});

test('sessions in both families come up, and say how', async () => {
  await both({ one: {}, local: { intervalUs: 50_000 } });
  for (const agent of [a, b]) await until('both are up', () => states(agent) === 'local up, one up');
  const one = peers(a).get('bfdPeers/one');
  expect(one).toMatchObject({ owner: 'one', failed: false });
  expect(one?.liveness).toMatchObject({ state: 4, remoteState: 4, diagnostic: '', failures: 0 });
  expect(one?.liveness?.remoteDiscriminator).toBe(peers(b).get('bfdPeers/one')?.liveness?.discriminator);
  await until(
    'the intervals asked for are in use',
    () => peers(a).get('bfdPeers/local')?.liveness?.detectionUs === 150_000n,
  );
  const findings = (await diagnose(a)).findings ?? [];
  expect(findings.find(({ subject }) => subject === 'bfdPeers/one')?.text).toMatch(/^up, to 100\.64\.0\.1/);
  // the tunnel's way by the neighbour looks at its session: of several with this MAC address, the one with its address
  const hops = a.plane.tunnels.read(a.underlay.get('tunnels/by-1')?.id ?? 0).hops;
  expect(a.plane.underlayHops.read(hops[0] ?? 0).peer).toBe(idOf(a, 'one'));
});

test('on a VLAN of which there is no device, nobody can be asked for', async () => {
  await apply(a, 'one', [...carried('A'), peer('A', 'one', {}, { vlan: 9 })]);
  await until('it is looked at', () => states(a) === 'one unresolved');
  const findings = (await diagnose(a)).findings ?? [];
  expect(findings.find(({ subject }) => subject === 'bfdPeers/one')?.text).toMatch(/no device of VLAN 9/);
});

test('switched on at one end only, nobody is cut off', async () => {
  await want('A', { one: {}, two: {} });
  await until('it asks', () => (peers(a).get('bfdPeers/two')?.liveness?.sentPackets ?? 0n) > 1n);
  expect(states(a)).toBe('one down, two down');
  expect([tunnelState('both'), paths(), reaches()]).toEqual(['up', '0 up in use, 1 up', true]);
});

test('a neighbour that falls silent: ways, wires and links by it, and back', async () => {
  await both({ one: {}, two: {} });
  for (const agent of [a, b]) await until('both are up', () => states(agent) === 'one up, two up');
  expect(paths()).toBe('0 up in use, 1 up');

  silence(b, 'one');
  await until('it is found gone', () => states(a) === 'one down failed, two up');
  expect(peers(a).get('bfdPeers/one')?.liveness).toMatchObject({
    diagnostic: 'DETECTION_TIME_EXPIRED',
    failures: 1,
  });
  await until('the link is told', () => paths() === '0 tunnels/by-1: neighbour down, 1 up in use');
  // a way is left
  expect([tunnelState('both'), tunnelState('by-1'), wireState()]).toEqual([
    'up',
    'neighbour down',
    'neighbour down',
  ]);
  expect(reaches()).toBe(true);

  silence(b, 'two');
  await until('none is left', () => tunnelState('both') === 'neighbour down');
  // it may be the watching that has failed
  expect(reaches()).toBe(true);

  await want('B', {});
  await want('B', { one: {}, two: {} });
  await until('they are back', () => states(a) === 'one up, two up');
  await until('so is the link', () => paths() === '0 up in use, 1 up');
  expect([tunnelState('both'), wireState()]).toEqual(['up', 'up']);
});

test('AdminDown of either end is no failure', async () => {
  await both({ one: {} });
  await until('it is up', () => states(a) === 'one up' && states(b) === 'one up');
  await want('B', { one: { adminDown: true } });
  await until('A has heard it', () => states(a) === 'one down' && states(b) === 'one admin down');
  expect(peers(a).get('bfdPeers/one')?.liveness).toMatchObject({
    diagnostic: 'NEIGHBOUR_SIGNALED_DOWN',
    remoteDiagnostic: 'ADMINISTRATIVELY_DOWN',
  });
  expect(tunnelState('by-1')).toBe('up');
  await want('B', { one: {} });
  await until('it is up again', () => states(a) === 'one up' && states(b) === 'one up');
  // ended on purpose: the same
  await want('B', {});
  await until('A has heard it', () => states(a) === 'one down');
  expect(peers(a).get('bfdPeers/one')?.failed).toBe(false);
});

test('other intervals take hold without a break', async () => {
  await both({ one: {} });
  await until('it is up', () => states(a) === 'one up' && states(b) === 'one up');
  const { changes } = a.plane.sessions.status(idOf(a, 'one')).state;
  await want('B', { one: { intervalUs: 200_000 } });
  await until('A expects them', () => peers(a).get('bfdPeers/one')?.liveness?.detectionUs === 600_000n);
  await want('A', { one: { intervalUs: 10_000 } });
  await want('B', { one: { intervalUs: 10_000 } });
  await until('faster ones', () => peers(b).get('bfdPeers/one')?.liveness?.detectionUs === 30_000n);
  await until('faster ones', () => peers(a).get('bfdPeers/one')?.liveness?.intervalUs === 10_000);
  expect(a.plane.sessions.status(idOf(a, 'one')).state.changes).toBe(changes);
});

test('the next agent finds the sessions as they are; a failure in between is none to wait for it', async () => {
  await both({ one: {}, two: {} });
  await until('they are up', () => states(a) === 'one up, two up' && states(b) === 'one up, two up');
  const { discriminator } = peers(a).get('bfdPeers/one')?.liveness ?? {};
  await a.close();
  silence(b, 'two');
  await until('B misses nobody', () => states(b) === 'one up, two up');
  a = await startAgent('A');
  expect(peers(a).get('bfdPeers/one')?.liveness?.discriminator).toBe(discriminator);
  await until('what failed is found', () => states(a) === 'one up, two down failed');
  expect(peers(a).get('bfdPeers/one')?.liveness?.failures).toBe(0);
  await until('the link is told', () => paths() === '0 up in use, 1 tunnels/by-2: neighbour down');
  expect(await apply(a, 'one', [...carried('A'), peer('A', 'one'), peer('A', 'two')])).toMatchObject({
    updated: 0,
    deleted: 0,
    created: 0,
  });
});

test('a sender that is killed is missed by the neighbour, and started again', async () => {
  await both({ one: { intervalUs: 20_000 } });
  await until('it is up', () => states(a) === 'one up' && states(b) === 'one up');
  const pid = senderOf(`${b.options.pinDir}/maps`);
  if (pid === undefined) throw new Error('B has no sender');
  process.kill(pid, 'SIGKILL');
  await until('A misses it', () => (peers(a).get('bfdPeers/one')?.liveness?.failures ?? 0) > 0);
  await until('it is up again', () => states(a) === 'one up' && states(b) === 'one up');
});

test('an interface that goes and comes: another session, and no ways by the old one', async () => {
  await both({ one: {} });
  await until('it is up', () => states(a) === 'one up');
  const before = idOf(a, 'one');
  ip('-n', netns('A'), 'link', 'delete', 'to-B');
  await until('there is none', () => states(a) === 'one interface down');
  expect(peers(a).get('bfdPeers/one')?.liveness).toBeUndefined();
  addWire('A', 'B', 0);
  localAddresses();
  await until('it is up again', () => states(a) === 'one up' && states(b) === 'one up', 20_000);
  expect(idOf(a, 'one')).not.toBe(before);
  const hops = [`via 100.64.0.1 dev to-B`, `via 100.64.0.3 dev to-B2`].flatMap((hop) => [
    'nexthop',
    ...hop.split(' '),
  ]);
  ip('-n', netns('A'), 'route', 'replace', `${LOOPBACKS.B}/32`, ...hops);
  const back = [`via 100.64.0.0 dev to-A`, `via 100.64.0.2 dev to-A2`].flatMap((hop) => [
    'nexthop',
    ...hop.split(' '),
  ]);
  ip('-n', netns('B'), 'route', 'replace', `${LOOPBACKS.A}/32`, ...back);
});

test('nothing is left of a peer that is not wanted any more', async () => {
  await both({ one: {}, two: {}, local: {} });
  await until('they are up', () => states(a) === 'local up, one up, two up');
  const used = (): number[] =>
    a.plane.use().flatMap(({ table, used: count }) => (table === 'sessions' ? [count] : []));
  expect(used()).toEqual([3]);
  await want('A', {});
  await a.plane.grace();
  expect(used()).toEqual([0]);
  expect([...a.plane.names.entries('bfdPeer')]).toEqual([]);
  const hops = a.plane.allocated('underlayHop').map((id) => a.plane.underlayHops.read(id).peer);
  expect(new Set(hops)).toEqual(new Set([0]));
});

const wrong: ReadonlyArray<{ what: string; fields: BfdPeer; reason: string; field: string }> = [
  { what: 'no name', fields: { name: '' }, reason: 'BFD_PEER_NAME', field: 'name' },
  {
    what: 'a name that leads elsewhere',
    fields: { name: 'bfdPeers/../x' },
    reason: 'BFD_PEER_NAME',
    field: 'name',
  },
  {
    what: 'a name of 64 characters',
    fields: { name: `bfdPeers/${'x'.repeat(64)}` },
    reason: 'BFD_PEER_NAME',
    field: 'name',
  },
  { what: 'a tunnel’s name', fields: { name: 'tunnels/one' }, reason: 'BFD_PEER_NAME', field: 'name' },
  { what: 'no interface', fields: { interface: '' }, reason: 'INTERFACE_NAME', field: 'interface' },
  {
    what: 'an interface that is none',
    fields: { interface: 'a/b' },
    reason: 'INTERFACE_NAME',
    field: 'interface',
  },
  {
    what: 'an interface that is not the underlay’s',
    fields: { interface: 'lo' },
    reason: 'NOT_UNDERLAY',
    field: 'interface',
  },
  { what: 'a VLAN beyond', fields: { vlan: 4095 }, reason: 'VLAN_RANGE', field: 'vlan' },
  { what: 'no address', fields: { localAddress: '' }, reason: 'BFD_PEER_ADDRESS', field: 'local_address' },
  {
    what: 'a group’s address',
    fields: { remoteAddress: '224.0.0.1' },
    reason: 'BFD_PEER_ADDRESS',
    field: 'remote_address',
  },
  {
    what: 'an address with a zone',
    fields: { remoteAddress: 'fe80::1%to-B' },
    reason: 'BFD_PEER_ADDRESS',
    field: 'remote_address',
  },
  {
    what: 'two families',
    fields: { remoteAddress: 'fe80::b' },
    reason: 'BFD_PEER_FAMILY',
    field: 'remote_address',
  },
  {
    what: 'itself',
    fields: { remoteAddress: '100.64.0.0' },
    reason: 'BFD_PEER_ADDRESS',
    field: 'remote_address',
  },
  { what: 'an interval of nothing', fields: { minTxUs: 0 }, reason: 'LIVENESS', field: 'min_tx_us' },
  {
    what: 'an interval below what is kept',
    fields: { minRxUs: 999 },
    reason: 'LIVENESS',
    field: 'min_rx_us',
  },
  {
    what: 'an interval of all bits',
    fields: { minTxUs: 0xffffffff },
    reason: 'LIVENESS',
    field: 'min_tx_us',
  },
  { what: 'a multiplier of 1', fields: { multiplier: 1 }, reason: 'LIVENESS', field: 'multiplier' },
  { what: 'a multiplier of 256', fields: { multiplier: 256 }, reason: 'LIVENESS', field: 'multiplier' },
  { what: 'a restore of years', fields: { restoreMs: 0xffffffff }, reason: 'LIVENESS', field: 'restore_ms' },
];
test.each(wrong)('refused: $what', async ({ fields, reason, field }) => {
  const given = peer('A', 'one', {}, fields);
  await expect((async () => apply(a, 'one', [given]))()).rejects.toMatchObject({
    reason,
    field: `resources[0].bfd_peer.${field}`,
  });
  expect(states(a)).toBe('');
});

test('a name and a place are one owner’s', async () => {
  await want('A', { one: {} });
  const own = peer('A', 'one');
  const same = peer('A', 'one', {}, { name: 'bfdPeers/other' });
  for (const [given, reason] of [
    [own, 'NAME_IN_USE'],
    [same, 'BFD_PEER_IN_USE'],
  ] as const)
    await expect(apply(a, 'two', [given])).rejects.toMatchObject({ reason });
  await expect(apply(a, 'one', [own, same])).rejects.toMatchObject({ reason: 'BFD_PEER_IN_USE' });
  // the same neighbour from another address of ours is another session
  const beside = peer('A', 'one', {}, { name: 'bfdPeers/other', localAddress: BESIDE.A });
  await apply(a, 'one', [...carried('A'), own, beside]);
});
