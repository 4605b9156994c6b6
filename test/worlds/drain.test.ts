/*
 * `cabernet drain` in a world, under two streams, one of which is protected: P - Q - M, where the lsp P - Q goes by Z or by Y,
 * which have no virtual nodes, and P - A - M beside it. Nothing is lost and nothing comes twice, neither when a machine, a wire, a
 * bought link or one link's way is drained, nor when that is over.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { netnsNames } from '../../native/lib/index.js';
import { World } from '../support/worlds.js';
import { Streams } from './streams.js';
import { ENDS } from './ways.js';

const YAML = `
name: drain
machines:
  - { name: P, provider: one }
  - { name: Z, provider: one }
  - { name: Y, provider: one }
  - { name: Q, provider: one }
  - { name: A, provider: one }
  - { name: M, provider: one }
wires:
  - { a: P, b: Z }
  - { a: Z, b: Q }
  - { a: P, b: Y }
  - { a: Y, b: Q }
  - { a: Q, b: M }
  - { a: P, b: A }
  - { a: A, b: M }
networks:
  - name: conn
    nodes: [{ name: P }, { name: Q }, { name: M }, { name: A }]
    links: [{ a: P, b: Q, kind: LINK_KIND_LSP }, { a: Q, b: M }, { a: P, b: A }, { a: A, b: M }]
  - name: iptv
    over: conn
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M, protection: LINK_PROTECTION_ONE_FOR_ONE, repair_us: 400000 }]
  - name: games
    over: conn
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M }]
stations:
  - { name: hp, network: iptv, node: P, addresses: ['10.0.1.2/24'] }
  - { name: hm, network: iptv, node: M, addresses: ['10.0.3.2/24'] }
  - { name: gp, network: games, node: P, addresses: ['10.0.1.2/24'] }
  - { name: gm, network: games, node: M, addresses: ['10.0.3.2/24'] }
`;

const command = fileURLToPath(new URL('../../bin/cabernet', import.meta.url));

interface Drained {
  readonly ok: boolean;
  readonly drained: boolean;
  readonly items: readonly { readonly name: string; readonly result: string; readonly why: string }[];
}

let world: World;
let running: Streams[] = [];

beforeAll(() => {
  world = World.up(YAML);
}, 120_000);
afterEach(() => {
  for (const streams of running) streams.kill();
  running = [];
});
afterAll(async () => {
  world?.down();
  if (world) expect((await netnsNames()).filter((name) => name.startsWith(`${world.name}.`))).toEqual([]);
}, 60_000);

/** Beside the streams, which this process reads. */
async function cabernet(
  provider: string,
  ...words: string[]
): Promise<{ status: number; text: string; errors: string }> {
  const child = spawn(command, ['--context', `${world.name}/${provider}`, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [text, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
  child.stderr.setEncoding('utf8').on('data', (more: string) => (errors += more));
  const [status] = (await once(child, 'close')) as [number];
  return { status, text, errors };
}

async function drain(provider: string, ...words: string[]): Promise<Drained> {
  const { status, text, errors } = await cabernet(provider, 'drain', ...words, '-o', 'json');
  expect({ status, errors, text }).toMatchObject({ status: 0, errors: '' });
  return JSON.parse(text) as Drained;
}

/** What a stream in each direction of both networks loses while the work goes on: nothing. */
async function lossless(work: () => Promise<void>): Promise<void> {
  const streams = [await Streams.start(world.name, 'h'), await Streams.start(world.name, 'g')];
  running = streams;
  await work();
  for (const each of streams) await each.bothArriving();
  for (const each of streams) {
    const seen = await each.end();
    for (const end of ENDS) {
      const { lost, doubled, losses, received } = seen[end].report;
      expect({ lost, doubled, losses }, `from ${end}`).toEqual({ lost: 0, doubled: 0, losses: [] });
      expect(received).toBeGreaterThan(100);
    }
  }
  running = [];
}

/** Last ids of what has that result. */
const those = ({ items }: Drained, result: string): string[] =>
  items.flatMap((item) => (item.result === result ? [item.name.split('/').at(-1) ?? ''] : [])).toSorted();

/** The links below that a network's link takes. */
async function pathOf(network: string): Promise<string> {
  const { text } = await cabernet('conn', 'get', `serviceNetworks/${network}/${network}`, '-o', 'json');
  const { resources } = JSON.parse(text) as {
    resources: { serviceNetwork: { links: { path: string[] }[] } }[];
  };
  return resources[0]?.serviceNetwork.links[0]?.path.join(' ') ?? '';
}

async function wiresOf(lease: string): Promise<string> {
  const { text } = await cabernet('one', 'get', `customers/conn/virtualLinks/${lease}`, '-o', 'json');
  const { resources } = JSON.parse(text) as { resources: { virtualLink: { wires?: string[] } }[] };
  return resources[0]?.virtualLink.wires?.join(' ') ?? '';
}

const BY_Q = 'links/P-Q links/Q-M';
const BY_A = 'links/P-A links/A-M';

/** Both networks’ links by Q; whatever was chosen first. */
async function allByQ(work: () => Promise<void>): Promise<void> {
  await drain('conn', 'machine', 'A');
  expect([await pathOf('iptv'), await pathOf('games')]).toEqual([BY_Q, BY_Q]);
  await work();
}

test('a machine that only forwards: the lsp goes by another, and comes back', async () => {
  await allByQ(async () => {
    const before = await wiresOf('P-Q');
    const [between, other] = before === 'wires/P-Z wires/Z-Q' ? ['Z', 'Y'] : ['Y', 'Z'];
    await lossless(async () => {
      const answer = await drain('one', 'machine', between);
      expect(those(answer, 'moved')).toEqual(['P-Q']);
      expect(await wiresOf('P-Q')).toBe(`wires/P-${other} wires/${other}-Q`);
      const { text } = await cabernet('one', 'get', 'machines');
      expect(text).toMatch(/^NAME .* DRAINED/);
      expect(text).toMatch(new RegExp(`^machines/${between} .* yes `, 'm'));
      expect(those(await drain('one', 'machine', between, '--undo'), 'back')).toEqual(['P-Q']);
      expect(await wiresOf('P-Q')).toBe(before);
    });
  });
}, 120_000);

test('a wire under a tunnel, and a machine with a leased node: the customer is told, and leaves by itself', async () => {
  await drain('conn', 'machine', 'A', '--undo');
  for (const [what, name] of [
    ['link', 'Q-M'],
    ['machine', 'A'],
  ] as const)
    await lossless(async () => {
      const answer = await drain('one', what, name);
      const way = name.includes('Q') ? BY_A : BY_Q;
      expect([await pathOf('iptv'), await pathOf('games')]).toEqual([way, way]);
      // bought as it was, and nothing is sent over it
      expect(those(answer, 'idle')).toContain(name);
      expect((await cabernet('conn', 'get', what === 'link' ? 'links' : 'nodes')).text).toMatch(
        /MAINTENANCE/,
      );
      await drain('one', what, name, '--undo');
    });
}, 180_000);

test('of the connectivity provider: a node, a link, and one service link’s way', async () => {
  await lossless(async () => {
    for (const node of ['Q', 'A']) {
      const answer = await drain('conn', 'machine', node);
      const way = node === 'Q' ? BY_A : BY_Q;
      expect([await pathOf('iptv'), await pathOf('games')]).toEqual([way, way]);
      expect(answer.items.length).toBeGreaterThan(0);
      // there are two ways only: what is protected has the drained one as its backup, and it says so
      expect(those(answer, 'backup')).toEqual(['P-M']);
      await drain('conn', 'machine', node, '--undo');
    }
    for (const [link, way] of [
      ['Q-M', BY_A],
      ['A-M', BY_Q],
    ] as const) {
      await drain('conn', 'link', link);
      expect([await pathOf('iptv'), await pathOf('games')]).toEqual([way, way]);
      await drain('conn', 'link', link, '--undo');
    }
    for (const network of ['iptv', 'games']) {
      const before = await pathOf(network);
      await drain('conn', 'path', `${network}/P-M`);
      expect(await pathOf(network)).toBe(before === BY_Q ? BY_A : BY_Q);
      await drain('conn', 'path', `${network}/P-M`, '--undo');
    }
  });
}, 180_000);

test('what cannot go is said, and the status is 1', async () => {
  const { status, text, errors } = await cabernet('conn', 'drain', 'machine', 'M', '-o', 'json');
  expect({ status, errors }).toMatchObject({ status: 1 });
  expect(errors).toMatch(/nodes\/M is drained, and 2 of what crosses it still does/);
  expect(those(JSON.parse(text) as Drained, 'stays')).toEqual(['P-M', 'P-M']);
  await drain('conn', 'machine', 'M', '--undo');
  expect(await cabernet('iptv', 'drain', 'machine', 'P')).toMatchObject({ status: 2 });
  expect(await cabernet('one', 'drain', 'path', 'iptv/P-M')).toMatchObject({ status: 2 });
  expect(await cabernet('one', 'drain', 'link', 'P-X')).toMatchObject({ status: 1 });
}, 60_000);
