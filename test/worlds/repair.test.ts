/*
 * Local repair in a world: an lsp P - M by Z or by Y, which have no virtual nodes. Each wire of its way is cut in turn, at both
 * ends, silently, and in one direction only, under a stream in each direction: all goes by the bypass, and neither layer above is
 * told anything.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { netnsNames } from '../../native/lib/index.js';
import { clientOf } from '../../src/world/agents.js';
import { impair } from '../../src/world/impair.js';
import { cabernet, World } from '../support/worlds.js';
import { Streams } from './streams.js';
import { ENDS } from './ways.js';

const YAML = `
name: repair
machines: [${['P', 'Z', 'Y', 'M'].map((name) => `{ name: ${name}, provider: one }`).join(', ')}]
wires: [{ a: P, b: Z }, { a: Z, b: M }, { a: P, b: Y }, { a: Y, b: M }]
networks:
  - name: conn
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M, kind: LINK_KIND_LSP }]
  - name: iptv
    over: conn
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M }]
stations:
  - { name: hp, network: iptv, node: P, addresses: ['10.0.1.2/24'] }
  - { name: hm, network: iptv, node: M, addresses: ['10.0.3.2/24'] }
`;

const SILENT = { delayUs: 0, jitterUs: 0, lossPpm: 1_000_000, bitsPerSecond: 0, seed: 7 };

type Wire = readonly [string, string];

let world: World;
let between: string;
let running: Streams | undefined;

beforeAll(async () => {
  world = World.up(YAML);
  const { stdout } = cabernet('--context', `${world.name}/one`, 'get', 'wires', '-o', 'json');
  const { resources } = JSON.parse(stdout) as { resources: { wire: { name: string; bypass?: string[] } }[] };
  const has = resources.flatMap(({ wire: { name, bypass = [] } }) => (bypass.length > 0 ? [name] : []));
  between = has.includes('wires/P-Z') ? 'Z' : 'Y';
  expect(has.toSorted()).toEqual([`wires/P-${between}`, `wires/${between}-M`].toSorted());
  for (const [a, b] of wires()) await bypass([a, b], 'ready', 'up');
}, 120_000);
afterEach(() => {
  running?.kill();
  running = undefined;
});
afterAll(async () => {
  world?.down();
  if (world) expect((await netnsNames()).filter((name) => name.startsWith(`${world.name}.`))).toEqual([]);
}, 60_000);

const wires = (): Wire[] => [
  ['P', between],
  [between, 'M'],
];

/** Of the wire's end at this machine: its state, and that of its bypass. */
async function stateAt(at: string, [a, b]: Wire): Promise<readonly [string, string]> {
  const client = clientOf(world.name, at);
  try {
    const { wires: found } = await client.listWires({ pageSize: 0, pageToken: '' }, { deadlineMs: 10_000 });
    const one = found.find(({ wire }) => wire?.name === `wires/${a}-${b}`);
    return [one?.state ?? '', one?.bypassState ?? ''];
  } finally {
    client.close();
  }
}

/** Until both ends have it so. */
async function bypass(wire: Wire, wanted: string, state?: string): Promise<void> {
  const late = Date.now() + 60_000;
  for (;;) {
    const found = await Promise.all(wire.map((at) => stateAt(at, wire)));
    if (found.every(([is, by]) => by === wanted && (state === undefined || is === state))) return;
    if (Date.now() > late) throw new Error(`${wire.join('-')} is not ${wanted}: ${JSON.stringify(found)}`);
    await delay(20);
  }
}

/** How often the link’s own watching, which is the provider's, has failed. */
async function failures(): Promise<number> {
  const counts = await Promise.all(
    ENDS.map(async (end) => {
      const client = clientOf(world.name, end);
      try {
        const { paths } = await client.listPaths({ pageSize: 0, pageToken: '' }, { deadlineMs: 10_000 });
        return paths.reduce((sum, { liveness }) => sum + (liveness?.failures ?? 0), 0);
      } finally {
        client.close();
      }
    }),
  );
  return counts.reduce((sum, one) => sum + one, 0);
}

function linkStates(): string[] {
  return ['conn', 'iptv'].map((provider) => {
    const { stdout } = cabernet('--context', `${world.name}/${provider}`, 'get', 'links', '-o', 'json');
    const { resources } = JSON.parse(stdout) as { resources: { link?: { status?: { state: string } } }[] };
    return resources.map(({ link }) => link?.status?.state ?? '').join();
  });
}

interface Cut {
  readonly how: string;
  readonly make: (wire: Wire) => unknown;
  readonly mend: (wire: Wire) => unknown;
}

const cuts: readonly Cut[] = [
  {
    how: 'at both ends',
    make: ([a, b]) => expect(world.run('cut', a, b).status).toBe(0),
    mend: ([a, b]) => expect(world.run('heal', a, b).status).toBe(0),
  },
  {
    how: 'silently',
    make: (wire) => impair(world.name, wire, SILENT, false),
    mend: (wire) => impair(world.name, wire, undefined, false),
  },
  {
    how: 'in one direction',
    make: (wire) => impair(world.name, wire, SILENT, true),
    mend: (wire) => impair(world.name, wire, undefined, true),
  },
];

test.each(cuts)(
  'a wire is cut $how: mended below, before it is seen above',
  { timeout: 180_000 },
  async (cut) => {
    const before = [await failures(), linkStates()];
    for (const wire of wires()) {
      const streams = await Streams.start(world.name, 'h', 'iptv', 1000);
      running = streams;
      await cut.make(wire);
      await bypass(wire, 'in use');
      await streams.bothArriving();
      await cut.mend(wire);
      await bypass(wire, 'ready', 'up');
      await streams.bothArriving();
      const seen = await streams.end();
      running = undefined;
      for (const end of ENDS) {
        const { losses, doubled, received } = seen[end].report;
        // one interruption, and none when it is mended
        expect(losses.length, JSON.stringify(losses)).toBeLessThanOrEqual(1);
        expect(doubled).toBe(0);
        expect(received).toBeGreaterThan(1000);
      }
    }
    expect([await failures(), linkStates()]).toEqual(before);
  },
);

test('both ways are cut: it is seen above, and comes back', { timeout: 120_000 }, async () => {
  const before = await failures();
  for (const other of ['Z', 'Y']) await impair(world.name, ['P', other], SILENT, false);
  const late = Date.now() + 20_000;
  while ((await failures()) < before + 2) expect(Date.now()).toBeLessThan(late);
  for (const other of ['Z', 'Y']) await impair(world.name, ['P', other], undefined, false);
  await bypass(['P', between], 'ready', 'up');
  // what was told to be down for long may take a while to be told up again
  const back = Date.now() + 60_000;
  while (world.ping('iptv/hp', '10.0.3.2').received < 3) {
    expect(Date.now()).toBeLessThan(back);
    await delay(100);
  }
});
