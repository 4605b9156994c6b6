/** `cabernet drain` as a process: what it marks, what it says of what stays, how it ends. That traffic moves, test/worlds shows. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { connectivityController, infrastructureController, serviceController } from './servers.js';
import { Home } from './support.js';

let home: Home;
let one: ReturnType<typeof infrastructureController>;
let conn: ReturnType<typeof connectivityController>;
let iptv: ReturnType<typeof serviceController>;

const ready = { generation: 1n, observedGeneration: 1n, reconciling: false, state: 'ready', message: '' };
const VN = 'customers/iptv/serviceNetworks/iptv';

beforeEach(async () => {
  home = new Home();
  [one, conn, iptv] = [infrastructureController(), connectivityController(), serviceController()];
  await Promise.all([one.start(), conn.start(), iptv.start()]);
  const contexts = [
    ['one', 'infrastructure', one.socket],
    ['conn', 'connectivity', conn.socket],
    ['iptv', 'service', iptv.socket],
  ].map(([name, layer, socket]) => ({ name, layer, address: `unix:${socket}` }));
  home.file('contexts.yaml', JSON.stringify({ current: 'one', contexts }));
  await one.state.transact((tx) => {
    for (const name of ['P', 'Q']) tx.put('machine', { name: `machines/${name}`, status: ready } as never);
    const ends = {
      a: { machine: 'machines/P', interface: 'x' },
      b: { machine: 'machines/Q', interface: 'x' },
    };
    tx.put('wire', { name: 'wires/P-Q', ...ends, status: ready } as never);
    tx.put('peering', { name: 'peerings/P-X', end: { machine: 'machines/P' }, status: ready } as never);
  });
  await conn.state.transact((tx) => {
    for (const name of ['P', 'Q', 'M']) tx.put('node', { name: `nodes/${name}`, status: ready } as never);
    const link = (a: string, b: string): void =>
      tx.put('link', { name: `links/${a}-${b}`, a: `nodes/${a}`, b: `nodes/${b}`, status: ready } as never);
    link('P', 'Q');
    link('Q', 'M');
    link('P', 'M');
    const links = [{ name: 'P-M', a: 'P', b: 'M', path: ['links/P-Q', 'links/Q-M'], backup: ['links/P-M'] }];
    tx.put('serviceNetwork', {
      name: VN,
      nodes: [{ name: 'P' }, { name: 'M' }],
      links,
      status: ready,
    } as never);
  });
});
afterEach(async () => {
  await Promise.all([one.remove(), conn.remove(), iptv.remove()]);
  home.remove();
});

const drain = (context: string, ...words: string[]) =>
  home.run('--context', context, 'drain', ...words, '--timeout', '1');

test.each([
  ['link', 'P-Q', 'wires/P-Q'],
  ['link', 'P-X', 'peerings/P-X'],
  ['machine', 'machines/P', 'machines/P'],
])('%s %s: marked, shown, and taken back', async (what, name, full) => {
  const { stdout, status, stderr } = await drain('one', what, name);
  expect({ stdout, status, stderr }).toEqual({
    stdout: `${full} is drained; nothing crosses it\n`,
    status: 0,
    stderr: '',
  });
  expect((await home.run('get', full)).stdout).toMatch(/^NAME .* DRAINED[^]*\byes\b/);
  // the same again changes nothing
  const { revision } = one.state;
  expect(await drain('one', what, name)).toMatchObject({ status: 0 });
  expect(one.state.revision).toBe(revision);
  const back = await drain('one', what, name, '--undo', '-o', 'json');
  expect(JSON.parse(back.stdout)).toEqual({ name: full, drained: false, ok: true, items: [] });
  expect((await home.run('get', full)).stdout).not.toMatch(/DRAINED/);
});

test('what stays on a machine: leases by name, why, and status 1', async () => {
  await one.state.transact((tx) => {
    const own = 'customers/conn';
    const leased = { lease: 2, maintenance: true, status: ready };
    tx.put('virtualNode', {
      name: `${own}/virtualNodes/P`,
      offer: 'offers/P',
      node: 'vns/conn/nodes/P',
      ...leased,
    } as never);
    const a = { virtualNode: `${own}/virtualNodes/P`, vif: 'x' };
    const b = { virtualNode: `${own}/virtualNodes/Q`, vif: 'x' };
    tx.put('virtualLink', {
      name: `${own}/virtualLinks/l`,
      a,
      b,
      kind: 1,
      wires: ['wires/P-Q'],
      ...leased,
    } as never);
    tx.put('segment', {
      name: 'segments/s',
      upstream: 'two',
      wires: ['peerings/P-X'],
      status: ready,
    } as never);
  });
  const { stdout, stderr, status } = await drain('one', 'machine', 'P', '-o', 'json');
  expect(status).toBe(1);
  expect(stderr).toMatch(/^cabernet: machines\/P is drained, and 3 of what crosses it still does after 1 s/);
  const { ok, items } = JSON.parse(stdout) as {
    ok: boolean;
    items: { name: string; result: string; why: string }[];
  };
  expect(ok).toBe(false);
  expect(items.map(({ name, result }) => `${name} ${result}`)).toEqual([
    'customers/conn/virtualNodes/P stays',
    'customers/conn/virtualLinks/l stays',
    'segments/s stays',
  ]);
  expect(items[0]?.why).toMatch(/does not move to another machine, and the agent does not say/);
  expect(items[1]?.why).toMatch(/a tunnel goes where IP routing leads it; conn is told/);
  expect(items[2]?.why).toMatch(/begins at two/);
});

test('a bought link: what has no other way, and what only has it as its backup', async () => {
  const busy = await drain('conn', 'link', 'Q-M');
  expect(busy).toMatchObject({ status: 1 });
  expect(busy.stdout).toMatch(/links\/P-M +stays +No other way has what it was promised/);
  expect(conn.state.get('link', 'links/Q-M')?.drain).toBe(true);
  const { stdout, status } = await drain('conn', 'link', 'P-M');
  expect(status).toBe(0);
  expect(stdout).toMatch(/links\/P-M +backup +There is no third way/);
  expect(await drain('conn', 'machine', 'P')).toMatchObject({ status: 1 });
});

test('a path: its links, for that service link alone', async () => {
  expect(await drain('conn', 'path', 'iptv/P-M')).toMatchObject({ status: 1 });
  const avoid = () => conn.state.get('serviceNetwork', VN)?.links[0]?.avoid;
  expect(avoid()).toEqual(['links/P-Q', 'links/Q-M']);
  expect(conn.state.get('link', 'links/P-Q')?.drain).not.toBe(true);
  expect((await home.run('--context', 'conn', 'get', 'servicenetworks')).stdout).toMatch(/DRAINED[^]* P-M /);
  // nobody is here who would settle the network
  expect((await drain('conn', 'path', 'iptv/iptv/P-M', '--undo')).stdout).toMatch(/P-M +moving/);
  expect(avoid()).toEqual([]);
});

test.each([
  ['one', ['machine', 'R'], 1, 'there is no machines/R'],
  ['one', ['link', 'R'], 1, 'there is no wires/R and no peerings/R'],
  ['one', ['path', 'iptv/P-M'], 2, 'connectivity provider'],
  ['one', ['wire', 'P-Q'], 2, 'machine, link, path'],
  ['one', ['machine', 'wires/P-Q'], 2, 'machines/P-Q'],
  ['conn', ['machine', 'R'], 1, 'there is no nodes/R'],
  ['conn', ['path', 'P-M'], 2, 'NETWORK/LINK'],
  ['conn', ['path', 'iptv/Q-M'], 1, 'there is no service link iptv/Q-M'],
  ['iptv', ['machine', 'P'], 2, 'nothing to drain'],
] as const)('%s: drain %j ends with %i', async (context, words, status, sentence) => {
  const answer = await drain(context, ...words);
  expect(answer).toMatchObject({ status, stdout: '' });
  expect(answer.stderr).toContain(sentence);
});
