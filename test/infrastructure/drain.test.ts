/** Machines and wires before maintenance: what is led elsewhere without a break, and who is told of what stays. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { failedPrecondition } from '../../src/api/errors.js';
import { v1, type VirtualLink } from '../../src/api/infrastructure.js';
import {
  agentOf,
  between,
  CIRCUIT,
  clientsAnew,
  customer,
  labels,
  lease,
  leaseNodes,
  linkName,
  LSP,
  MACHINES,
  MBIT,
  one,
  openMesh,
  operator,
  soldOf,
  toldTo,
  TUNNEL,
  vifOf,
  walk,
  wire,
} from './mesh.js';
import { eventually, node, refusal, until } from './provider.js';

beforeEach(() => openMesh());
afterEach(() => one.end());

const { MOVE_STAGE_MAKING, MOVE_STAGE_LEAVING } = v1.MoveStage;
const BY_A = ['wires/p-a', 'wires/a-m'];
const BY_Q = ['wires/p-q', 'wires/q-m'];

const machine = (name: string, drain: boolean): object =>
  one.machine(name, MACHINES.findIndex((each) => each === name) + 1, { transitOnly: name === 'A', drain });
const slowWire = (drain: boolean): object => wire('P', 'A', { delayUs: 5000, drain });

const drain = (...resources: object[]): Promise<unknown> => operator.update({ resources });

/** Waits until the link is carried so, and nothing of it is being moved. */
async function carried(id: string, wires: readonly string[], maintenance = false): Promise<VirtualLink> {
  let known: VirtualLink | undefined;
  const rest = setInterval(() => one.clock.pass(2000), 20);
  try {
    await until(operator, linkName(id), ({ virtualLink }) => {
      known = virtualLink;
      return (
        virtualLink?.wires.join() === wires.join() &&
        virtualLink.move === undefined &&
        virtualLink.maintenance === maintenance &&
        virtualLink.status?.reconciling === false
      );
    });
  } finally {
    clearInterval(rest);
  }
  if (!known) throw new Error(`no ${id}`);
  return known;
}

const reaches = (id: string): string[] =>
  ['P', 'M'].flatMap((from) => walk(from, vifOf(from, id)).at(-1) ?? []);
const arrived = (id: string): string[] => [`M ${vifOf('M', id)}`, `P ${vifOf('P', id)}`];

/** Whatever machine is told something next: both ends reach each other as all have been told until then. */
function neverLost(id: string): string[][] {
  const seen: string[][] = [];
  for (const name of MACHINES)
    agentOf(name).refuse = () => {
      seen.push(reaches(id));
      return undefined;
    };
  return seen;
}

test('a machine between: an lsp is led around it at no moment’s loss, and back when that is over', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP, slo: { bitsPerSecond: 400n * MBIT } }));
  await carried('l', BY_A);
  const seen = neverLost('l');
  await drain(machine('A', true));
  const moved = await carried('l', BY_Q);
  expect(moved).toMatchObject({ achieved: { delayUs: 2000 }, home: BY_A });
  expect(walk('P', vifOf('P', 'l'))).toEqual([...BY_Q, `M ${vifOf('M', 'l')}`]);
  expect([await soldOf('p-a'), await soldOf('p-q')]).toEqual([0n, 400n * MBIT]);
  await eventually(() => toldTo('A').length === 0, 'A has nothing of it');
  for (let left = await labels(); left.length > 4; left = await labels());
  await drain(machine('A', false));
  expect(await carried('l', BY_A)).toMatchObject({ home: [], achieved: { delayUs: 10_000 } });
  expect(seen.length).toBeGreaterThan(8);
  expect(new Set(seen.map((ends) => ends.join()))).toEqual(new Set([arrived('l').join()]));
  expect([await soldOf('p-a'), await soldOf('p-q')]).toEqual([400n * MBIT, 0n]);
});

test('what was sent before still arrives: labels of before are there until it had the time', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  const path = toldTo('P').find((each) => each.vif?.name === vifOf('P', 'l'))?.vif?.link?.paths[0];
  await drain(slowWire(true));
  await until(operator, linkName('l'), ({ virtualLink }) => {
    const { move, status } = virtualLink ?? {};
    return move?.stage === MOVE_STAGE_LEAVING && status?.reconciling === false;
  });
  const takes = (): boolean =>
    toldTo('A').some(({ label }) => label?.wire === path?.wire && label?.label === path?.label);
  expect(takes()).toBe(true);
  one.clock.pass(1009);
  await operator.update({ resources: [{ customer: { name: 'customers/x' } }] });
  expect(takes()).toBe(true);
  one.clock.pass(1);
  await carried('l', BY_Q);
  await eventually(() => !takes(), 'A has forgotten it');
});

test('customers are told of what stays, and of nothing inside: tunnels, circuits, nodes', async () => {
  await leaseNodes();
  await lease(
    between('t', 'P', 'M', { kind: TUNNEL }),
    between('c', 'P', 'Q', { kind: CIRCUIT }),
    between('l', 'P', 'M', { kind: LSP, slo: { delayUs: 10_000 } }),
  );
  const told = async (): Promise<Record<string, boolean>> => {
    const { resources } = await customer.list({ collection: 'customers/conn/virtualLinks' });
    const nodes = await customer.list({ collection: 'customers/conn/virtualNodes' });
    return Object.fromEntries(
      [...resources, ...nodes.resources].flatMap(({ virtualLink, virtualNode }) => {
        const each = virtualLink ?? virtualNode;
        return each ? [[each.name.split('/').at(-1) ?? '', each.maintenance]] : [];
      }),
    );
  };
  const become = (id: string, maintenance: boolean): Promise<unknown> =>
    until(customer, linkName(id), ({ virtualLink }) => virtualLink?.maintenance === maintenance);
  // the lsp's other way is the circuit's
  await drain(slowWire(true));
  await become('l', true);
  await become('t', true);
  expect(await told()).toEqual({ t: true, c: false, l: true, P: false, Q: false, M: false });
  const { resource } = await customer.get({ name: linkName('l') });
  expect(resource?.virtualLink).toMatchObject({ wires: [], home: [] });
  expect(resource?.virtualLink?.move).toBeUndefined();
  await drain(slowWire(false));
  await become('t', false);
  await become('l', false);
  await drain(machine('Q', true));
  await until(
    customer,
    'customers/conn/virtualNodes/Q',
    ({ virtualNode }) => virtualNode?.maintenance === true,
  );
  // a link's end is told with the node
  expect(await told()).toEqual({ t: false, c: false, l: false, P: false, Q: true, M: false });
  expect((await customer.get({ name: 'offers/Q' })).resource?.offer?.status?.state).toBe('maintenance');
});

test('nothing new is leased on it or led over it', async () => {
  await leaseNodes();
  await drain(machine('M', true), slowWire(true));
  const other = (offer: string): object =>
    node('N', { name: 'customers/conn/virtualNodes/N', node: 'vns/conn/nodes/N', offer });
  expect(await refusal(customer.reserve({ virtualNodes: [other('offers/M')] }))).toBe(
    'DRAINED virtual_nodes[0].offer',
  );
  const asked = (more: object): object => ({
    virtualLinks: [between('x', 'P', 'M', more)],
    validateOnly: true,
  });
  expect(await refusal(customer.reserve(asked({ kind: TUNNEL })))).toBe('DRAINED virtual_links[0].kind');
  const { reservation } = await customer.reserve(asked({}));
  expect(reservation?.virtualLinks[0]).toMatchObject({ kind: LSP, achieved: { delayUs: 2000 } });
});

test('no other way has room: it stays, the customer is told; room comes, and it goes', async () => {
  await leaseNodes();
  await lease(
    between('l', 'P', 'M', { kind: LSP, slo: { bitsPerSecond: 400n * MBIT } }),
    between('k', 'P', 'M', { kind: LSP, slo: { bitsPerSecond: 700n * MBIT } }),
  );
  await drain(slowWire(true));
  await carried('l', BY_A, true);
  expect(walk('P', vifOf('P', 'l'))).toEqual([...BY_A, `M ${vifOf('M', 'l')}`]);
  await customer.delete({ names: [linkName('k')] });
  await carried('l', BY_Q);
});

test('a machine of the way to come refuses: it stays where it is, and the customer is told', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  agentOf('Q').refuse = ({ resources }) => {
    const i = resources.findIndex(({ kind }) => kind === 'label');
    if (i < 0) return undefined;
    return failedPrecondition({ reason: 'NO_ROOM', field: `resources[${i}]`, message: 'No.' });
  };
  await drain(slowWire(true));
  await carried('l', BY_A, true);
  expect(reaches('l')).toEqual(arrived('l'));
  for (let left = await labels(); left.length > 4; left = await labels());
});

test.each([1, 2])('the controller dies in stage %i of a move: the next one ends it', async (stage) => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  let open = (): void => undefined;
  const gate = new Promise<void>((done) => (open = done));
  // in the second stage the ends are told something that they do not take yet
  if (stage === 1) agentOf('Q').gate = gate;
  await drain(slowWire(true));
  if (stage === 2)
    await until(operator, linkName('l'), ({ virtualLink }) => {
      if (virtualLink?.move?.stage === MOVE_STAGE_MAKING) agentOf('P').gate = gate;
      return virtualLink?.move?.stage === MOVE_STAGE_LEAVING;
    });
  else
    await until(
      operator,
      linkName('l'),
      ({ virtualLink }) => virtualLink?.move?.stage === MOVE_STAGE_MAKING && virtualLink.home.length > 0,
    );
  expect(reaches('l')).toEqual(arrived('l'));
  await one.stop();
  open();
  await one.start();
  clientsAnew();
  expect(reaches('l')).toEqual(arrived('l'));
  await carried('l', BY_Q);
  expect(reaches('l')).toEqual(arrived('l'));
  await drain(slowWire(false));
  await carried('l', BY_A);
  for (let left = await labels(); left.length > 4; left = await labels());
});

test('a customer drains nothing', async () => {
  expect(await refusal(customer.update({ resources: [slowWire(true)] }))).toMatch(
    /^(NOT_FOUND|PERMISSION|RIGHTS)/,
  );
});
