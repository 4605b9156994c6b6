/** Local repair of lsps: around which wires there is a bypass, by which way, and what machines are told of it. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { failedPrecondition } from '../../src/api/errors.js';
import {
  agentOf,
  between,
  clientsAnew,
  customer,
  labels,
  lease,
  leased,
  leaseNodes,
  linkName,
  LSP,
  noLabels,
  one,
  openMesh,
  operator,
  toldTo,
  vifOf,
  walk,
  wire,
} from './mesh.js';
import { eventually, refusal, until } from './provider.js';

beforeEach(() => openMesh(false));
afterEach(() => one.end());

const protectedWire = (a: string, b: string, more: object = {}): object =>
  wire(a, b, { unprotected: false, ...more });
/** As the mesh has it. */
const PA = { delayUs: 5000 };
const AQ = { metric: 10, mtu: 9000 };
const AROUND_PA = ['wires/p-q', 'wires/q-m', 'wires/a-m'];
const AROUND_AM = ['wires/p-a', 'wires/p-q', 'wires/q-m'];

const update = (...resources: object[]): Promise<unknown> => operator.update({ resources });

async function bypassOf(id: string): Promise<readonly string[]> {
  return (await operator.get({ name: `wires/${id}` })).resource?.wire?.bypass ?? [];
}

const has = (id: string, ...wires: string[]): Promise<unknown> =>
  until(operator, `wires/${id}`, (resource) => resource.wire?.bypass.join() === wires.join());

/** From the machine that finds the wire cut, as all have been told: by which wires, and what it goes on as if on there. */
function around(id: string, from: string): string[] {
  let at = from;
  let next = toldTo(at).find((one) => one.wire?.name === `wires/${id}`)?.wire?.bypass;
  const steps: string[] = [];
  while (next) {
    const { wire: by, label: number }: { wire: string; label: number } = next;
    at =
      toldTo(at)
        .find((one) => one.wire?.name === by)
        ?.wire?.interface.slice('to-'.length) ?? '';
    steps.push(by);
    const arrives = toldTo(at).find((one) => one.label?.wire === by && one.label.label === number)?.label;
    if (arrives?.continueOn) return [...steps, `${at} ${arrives.continueOn}`];
    const swap = arrives?.swap;
    next = swap?.wire === undefined ? undefined : { wire: swap.wire, label: swap.label };
  }
  return [...steps, `${at}: lost`];
}

const watched = (at: string): string[] =>
  toldTo(at)
    .flatMap(({ bfdPeer }) => bfdPeer?.wire ?? [])
    .toSorted();

test('around each wire of an lsp, both ways, over machines that have no other part in it', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  expect((await leased('l')).wires).toEqual(['wires/p-a', 'wires/a-m']);
  await has('p-a', ...AROUND_PA);
  await has('a-m', ...AROUND_AM);
  expect([await bypassOf('p-q'), await bypassOf('q-m'), await bypassOf('a-q')]).toEqual([[], [], []]);
  await eventually(
    () =>
      [around('p-a', 'P'), around('p-a', 'A'), around('a-m', 'A'), around('a-m', 'M')].every(
        (steps) => !steps.at(-1)?.endsWith('lost'),
      ),
    'all are told',
  );
  expect(around('p-a', 'P')).toEqual([...AROUND_PA, 'A wires/p-a']);
  expect(around('p-a', 'A')).toEqual([...AROUND_PA.toReversed(), 'P wires/p-a']);
  expect(around('a-m', 'A')).toEqual([...AROUND_AM, 'M wires/a-m']);
  expect(around('a-m', 'M')).toEqual([...AROUND_AM.toReversed(), 'A wires/a-m']);
  // the lsp goes as before
  expect(walk('P', vifOf('P', 'l'))).toEqual(['wires/p-a', 'wires/a-m', `M ${vifOf('M', 'l')}`]);
  // what is watched: the wires of the lsp, and those of the ways around
  expect(['P', 'Q', 'M', 'A'].map(watched)).toEqual([
    ['wires/p-a', 'wires/p-q'],
    ['wires/p-q', 'wires/q-m'],
    ['wires/a-m', 'wires/q-m'],
    ['wires/a-m', 'wires/p-a'],
  ]);
  const [peer] = toldTo('P').flatMap(({ bfdPeer }) => bfdPeer ?? []);
  expect(peer).toMatchObject({ minTxUs: 10_000, minRxUs: 10_000, multiplier: 3, restoreMs: 1000 });
  // what only passes a bypass is not led around anything again
  const swaps = toldTo('Q').flatMap(({ label }) => label?.swap ?? []);
  expect(swaps).toHaveLength(4);
  for (const swap of swaps) expect(swap.unrepaired).toBe(true);
  // every resource that another names comes after it
  for (const name of ['P', 'Q', 'M', 'A']) {
    const names = toldTo(name).map((resource) => resource.wire?.name ?? '');
    for (const [i, { bfdPeer, label }] of toldTo(name).entries())
      for (const needed of [bfdPeer?.wire, label?.wire, label?.continueOn])
        if (needed) expect(names.indexOf(needed)).toBeLessThan(i);
  }
});

test('one is shared by all lsps of a wire, and ends with the last of them; labels come back when nobody has them', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }), between('k', 'P', 'M', { kind: LSP }));
  await has('p-a', ...AROUND_PA);
  const count = async (): Promise<number> =>
    (await labels()).filter(({ link }) => link === 'wires/p-a').length;
  expect(await count()).toBe(6);
  await customer.delete({ names: [linkName('l')] });
  await until(operator, linkName('k'), ({ virtualLink }) => virtualLink?.status?.state === 'ready');
  expect(await bypassOf('p-a')).toEqual(AROUND_PA);
  // the machine that passes it on does not answer
  await agentOf('Q').stop();
  await customer.delete({ names: [linkName('k')] });
  await has('p-a');
  await eventually(() => watched('A').length === 0, 'A has forgotten it');
  const left = (await labels()).filter(({ name }) => name.startsWith('machines/Q/'));
  expect(left.length).toBeGreaterThan(0);
  await agentOf('Q').start();
  await noLabels();
});

test('past risks that the wire has, as far as there is a way; past what is drained; none for an unprotected wire', async () => {
  await leaseNodes();
  await update(protectedWire('P', 'Q', { metric: 2, riskGroups: ['duct'] }));
  await lease(between('l', 'P', 'Q', { kind: LSP }));
  expect((await leased('l')).wires).toEqual(['wires/p-q']);
  // by A and M one wire shares the duct, by A and Q none does
  await has('p-q', 'wires/p-a', 'wires/a-q');
  await update(protectedWire('A', 'Q', { ...AQ, drain: true }));
  await has('p-q', 'wires/p-a', 'wires/a-m', 'wires/q-m');
  await update(protectedWire('P', 'A', { ...PA, drain: true }));
  await has('p-q');
  await update(protectedWire('P', 'A', PA), protectedWire('A', 'Q', AQ));
  await has('p-q', 'wires/p-a', 'wires/a-q');
  // it stays where it is, though there were shorter ones
  await update(protectedWire('A', 'Q', { ...AQ, metric: 1000 }));
  expect(await bypassOf('p-q')).toEqual(['wires/p-a', 'wires/a-q']);
  await update(wire('P', 'Q', { metric: 2 }));
  await has('p-q');
});

test('a wire of it goes only when it has been drained', async () => {
  await leaseNodes();
  await update(protectedWire('P', 'Q', { metric: 2, riskGroups: ['duct'] }));
  await lease(between('l', 'P', 'Q', { kind: LSP }));
  await has('p-q', 'wires/p-a', 'wires/a-q');
  await expect(operator.delete({ names: ['wires/a-q'] })).rejects.toThrow(
    /The bypass of wires\/p-q leads over wires\/a-q; drain it first/,
  );
  await update(protectedWire('A', 'Q', { ...AQ, drain: true }));
  await has('p-q', 'wires/p-a', 'wires/a-m', 'wires/q-m');
  await eventually(
    () => !toldTo('Q').some((one) => one.wire?.name === 'wires/a-q'),
    'nobody has the old labels',
  );
  let refused = '';
  do refused = await refusal(operator.delete({ names: ['wires/a-q'] })).catch(() => '');
  while (refused.startsWith('IN_USE'));
  expect((await operator.list({ collection: 'wires' })).resources).toHaveLength(4);
  expect(around('p-q', 'P')).toEqual(['wires/p-a', 'wires/a-m', 'wires/q-m', 'Q wires/p-q']);
});

test('only by wires wide enough for a label more', async () => {
  await update(
    protectedWire('P', 'Q', { metric: 2, mtu: 9000 }),
    protectedWire('P', 'A', { ...PA, mtu: 2030 }),
  );
  await leaseNodes();
  await lease(between('small', 'P', 'Q', { kind: LSP, mtu: 2000 }));
  await has('p-q', 'wires/p-a', 'wires/a-q');
  await lease(between('large', 'P', 'Q', { kind: LSP, mtu: 2001 }));
  await has('p-q');
  await customer.delete({ names: [linkName('large')] });
  await has('p-q', 'wires/p-a', 'wires/a-q');
});

test('a machine that refuses what belongs to it keeps the lsp', async () => {
  await leaseNodes();
  agentOf('Q').refuse = ({ resources }) => {
    const at = resources.findIndex(({ label }) => label?.swap !== undefined);
    return at < 0
      ? undefined
      : failedPrecondition({ reason: 'LABELS', field: `resources[${at}].label`, message: 'No room.' });
  };
  await lease(between('l', 'P', 'M', { kind: LSP }));
  await has('p-a', ...AROUND_PA);
  expect(walk('P', vifOf('P', 'l'))).toEqual(['wires/p-a', 'wires/a-m', `M ${vifOf('M', 'l')}`]);
  expect(await leased('l')).toMatchObject({ status: { state: 'ready' } });
  expect(around('p-a', 'P').at(-1)).toBe('Q: lost');
  // it is tried again
  agentOf('Q').refuse = () => undefined;
  await eventually(() => !around('p-a', 'P').at(-1)?.endsWith('lost'), 'Q takes it');
});

test('a controller that starts again has what it had, and nobody is told anything', async () => {
  await leaseNodes();
  await lease(between('l', 'P', 'M', { kind: LSP }));
  await has('p-a', ...AROUND_PA);
  await has('a-m', ...AROUND_AM);
  await eventually(() => !around('a-m', 'M').at(-1)?.endsWith('lost'), 'all are told');
  await eventually(() => !around('p-a', 'P').at(-1)?.endsWith('lost'), 'both ways');
  const before = await labels();
  const told = ['P', 'Q', 'M', 'A'].map((name) => toldTo(name));
  await one.stop();
  await one.start();
  clientsAnew();
  for (const name of ['P', 'Q', 'M', 'A'])
    await until(operator, `machines/${name}`, (resource) => resource.machine?.status?.state === 'ready');
  expect(await labels()).toEqual(before);
  expect(['P', 'Q', 'M', 'A'].map((name) => toldTo(name))).toEqual(told);
});

test('how soon a cut is seen is asked for by the wire', async () => {
  for (const detectionUs of [1, 2999, 1_000_001, 4_294_967_295])
    expect(await refusal(update(protectedWire('P', 'Q', { metric: 2, detectionUs })))).toBe(
      'RANGE resources[0].wire.detection_us',
    );
  await update(protectedWire('P', 'Q', { metric: 2, detectionUs: 3000 }));
  await leaseNodes();
  await lease(between('l', 'P', 'Q', { kind: LSP }));
  await eventually(() => watched('P').length === 2, 'it is watched');
  const peers = new Map(toldTo('P').flatMap(({ bfdPeer }) => (bfdPeer ? [[bfdPeer.wire, bfdPeer]] : [])));
  expect(peers.get('wires/p-q')).toMatchObject({ minTxUs: 1000, minRxUs: 1000, multiplier: 3 });
  expect(peers.get('wires/p-a')).toMatchObject({ minTxUs: 10_000 });
});
