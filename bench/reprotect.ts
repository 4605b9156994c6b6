/*
 * `npm run bench -- reprotect`: a protected link has lost its way for good and goes by its backup; how long it is without
 * another one. Five machines, three ways between two of them, all controllers, a wire of the way in use cut at both ends.
 *
 * CABERNET_BENCH_CUTS (10) cuts, half a minute each.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LASTING } from '../src/infrastructure/outages.js';
import { bodyOf } from '../src/resources/api.js';
import { clientOf } from '../src/world/agents.js';
import { readState, type WorldState } from '../src/world/state.js';
import { findWires, setWire } from '../src/world/wires.js';
import { until } from '../test/node/machines.js';
import { Desk } from './desk.js';
import { CUTS, setting } from './loads.js';
import { type Row, spreadRow, tell } from './report.js';
import { Testbed } from './testbed.js';

const bench = 'reprotect';
const BETWEEN = ['A', 'B', 'C'] as const;
type Between = (typeof BETWEEN)[number];
const LOOK_MS = 10;

const links = BETWEEN.flatMap((name) => [`{ a: P, b: ${name} }`, `{ a: ${name}, b: M }`]).join(', ');
const nodes = ['P', ...BETWEEN, 'M'];
const YAML = `
name: reprotect
machines: [${nodes.map((name) => `{ name: ${name}, provider: one }`).join(', ')}]
wires: [${links}]
networks:
  - name: conn
    nodes: [${nodes.map((name) => `{ name: ${name} }`).join(', ')}]
    links: [${links}]
  - name: iptv
    over: conn
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M, protection: LINK_PROTECTION_ONE_FOR_ONE, repair_us: 40000 }]
`;

interface Way {
  readonly by: Between;
  readonly isUp: boolean;
  readonly inUse: boolean;
}

/** Of the service link, as an end has it. */
async function waysAt(world: string, end: 'P' | 'M'): Promise<Way[]> {
  const client = clientOf(world, end);
  try {
    const { paths } = await client.listPaths({ pageSize: 0, pageToken: '' }, { deadlineMs: 10_000 });
    return paths
      .filter(({ vif }) => vif.startsWith('vns/conn_iptv/'))
      .flatMap(({ below, state, inUse }) => {
        const by = BETWEEN.find((name) => below[0]?.endsWith(`/to-${name}`));
        return by ? [{ by, isUp: state === 'up', inUse }] : [];
      });
  } finally {
    client.close();
  }
}

/** Two ways that are up at either end, neither by `but`. */
async function isProtected(world: string, but?: Between): Promise<boolean> {
  for (const end of ['P', 'M'] as const) {
    const up = (await waysAt(world, end)).filter(({ by, isUp }) => isUp && by !== but);
    if (up.length < 2) return false;
  }
  return true;
}

async function wireOf(state: WorldState, by: Between, up: boolean): Promise<void> {
  for (const wire of findWires(state, 'P', by)) await setWire(state, wire, up);
}

/** When the supplier has told of a link what it is `state`; monotonic ms. */
async function told(desk: Desk, by: Between, signal: AbortSignal): Promise<number> {
  const request = { collections: ['customers/-/virtualLinks'], resumeToken: '', includeCurrent: false };
  for await (const { resource } of desk.client.watch(request, { signal })) {
    const body = resource && bodyOf(resource);
    if (body?.name.includes(`P-${by}`) && body.status?.state === 'down') return performance.now();
  }
  throw new Error(`nobody said that the link to ${by} is down`);
}

interface Times {
  /** ms from the cut until the link below is called down, and until there is another backup. */
  readonly told: number;
  readonly backup: number;
}

async function once(world: string, state: WorldState, desk: Desk): Promise<Times> {
  await until('two ways are up', () => isProtected(world));
  const used = (await waysAt(world, 'P')).find(({ inUse }) => inUse);
  if (!used) throw new Error('no way is in use');
  const ending = new AbortController();
  const telling = told(desk, used.by, ending.signal);
  try {
    const at = performance.now();
    await wireOf(state, used.by, false);
    const down = await telling;
    while (!(await isProtected(world, used.by))) await delay(LOOK_MS);
    return { told: down - at, backup: performance.now() - at };
  } finally {
    ending.abort();
    await telling.catch(() => undefined);
    await wireOf(state, used.by, true);
  }
}

export async function reprotect(): Promise<Row[]> {
  const count = setting(CUTS, 10);
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-bench-'));
  const file = join(folder, 'reprotect.yaml');
  writeFileSync(file, YAML);
  const testbed = new Testbed('back', file);
  testbed.up();
  const state = readState(testbed.name);
  if (!state) throw new Error('the world is not up');
  const desk = new Desk(testbed.name, { layer: 'infrastructure', name: 'one' });
  try {
    const all: Times[] = [];
    for (let i = 0; i < count; i++) all.push(await once(testbed.name, state, desk));
    const of = (name: string, values: readonly number[]): Row =>
      spreadRow({ bench, case: name, unit: 'ms' }, values);
    return [
      ...tell([
        of(
          `cut to the link below called down, which is after ${LASTING / 1000} s`,
          all.map((times) => times.told),
        ),
        of(
          '… from there to another backup, up at both ends',
          all.map((times) => times.backup - times.told),
        ),
      ]),
    ];
  } finally {
    desk.close();
    testbed.down();
    rmSync(folder, { recursive: true, force: true });
  }
}
