/*
 * What one more service network costs, from the Update to the machines' acknowledgements, when it is alone and when there are 99
 * others; and the memory of all controllers and agents then. 30 machines, each network ten nodes in a row.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type AnyResource, APIS, bodyOf } from '../src/resources/api.js';
import { loadWorld } from '../src/world/load.js';
import { manifestsOf } from '../src/world/manifests.js';
import { readState } from '../src/world/state.js';
import { Desk } from './desk.js';
import { chainLinks, gridWithChain, winding } from './grid.js';
import { median, round, row, type Row } from './report.js';
import { Testbed } from './testbed.js';

const rounds = 5;
const grid = { columns: 6, rows: 5 };
const length = 10;
const others = 99;
const own = 'customers/iptv/serviceNetworks/iptv';

const secondsSince = (start: number): number => (performance.now() - start) / 1000;

/** What the world's service provider wants, as `up` told it. */
async function wantedOf(file: string, world: string): Promise<readonly AnyResource[]> {
  const loaded = await loadWorld(file, world);
  const seats = readState(world)?.seats ?? [];
  const manifests = manifestsOf(loaded.world, loaded.plan, {
    agent: (machine) => machine,
    controller: (name) => `127.0.0.1:${seats.find((seat) => seat.name === name)?.port}`,
  });
  const resources = manifests.find(({ layer }) => layer === 'service')?.resources ?? [];
  return resources.map((resource) => APIS.service.type.complete(resource) as AnyResource);
}

class Networks {
  readonly #service: Desk;
  readonly #conn: Desk;
  readonly #wanted: readonly AnyResource[];

  constructor(world: string, wanted: readonly AnyResource[]) {
    this.#service = new Desk(world, { layer: 'service', name: 'iptv' });
    this.#conn = new Desk(world, { layer: 'connectivity', name: 'conn' });
    this.#wanted = wanted;
  }

  /** Median of the seconds from the Update of ten nodes, nine links and two stations until every machine has its part. */
  async applied(): Promise<number> {
    const names = this.#wanted.map((resource) => bodyOf(resource).name);
    const times: number[] = [];
    for (let i = 0; i < rounds; i++) {
      for (const kind of ['stations/', 'links/', 'nodes/'])
        await this.#service.delete(names.filter((name) => name.startsWith(kind)));
      await this.#service.ready('network');
      await this.#conn.gone(own);
      const start = performance.now();
      const asked = await this.#service.update(this.#wanted);
      await this.#service.ready(...asked);
      times.push(secondsSince(start));
      process.stderr.write(`  ten nodes, nine links: ${round(times.at(-1) ?? 0)} s\n`);
    }
    return median(times);
  }

  /** Seconds for so many more networks, of as many customers, asked for one after the other. */
  async more(count: number): Promise<number> {
    const way = winding(grid);
    const start = performance.now();
    const asked: string[] = [];
    for (let i = 0; i < count; i++) {
      const chain = way.slice((i * 5) % (way.length - length + 1)).slice(0, length);
      const customer = `customers/c${i}`;
      const serviceNetwork = {
        name: `${customer}/serviceNetworks/net`,
        nodes: chain.map((name) => ({ name })),
        links: chainLinks(chain).map(({ a, b }) => ({ name: `${a}-${b}`, a, b })),
      };
      const drafts = [{ customer: { name: customer } }, { serviceNetwork }];
      const { type } = APIS.connectivity;
      asked.push(...(await this.#conn.update(drafts.map((draft) => type.complete(draft) as AnyResource))));
    }
    process.stderr.write(`  ${count} networks admitted: ${round(secondsSince(start))} s\n`);
    await this.#conn.ready(...asked);
    return secondsSince(start);
  }

  close(): void {
    this.#service.close();
    this.#conn.close();
  }
}

/** MiB that these processes have, what they share divided among those that share it (proc(5), smaps_rollup). */
function memoryOf(pids: readonly number[]): number {
  const kilobytes = pids.map((pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s*(\d+)/m.exec(text)?.[1] ?? Number.NaN);
  });
  return kilobytes.reduce((sum, one) => sum + one, 0) / 1024;
}

export async function networks(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-bench-'));
  const file = join(folder, 'grid.yaml');
  writeFileSync(file, gridWithChain(grid, length));
  const testbed = new Testbed('vns', file);
  const bench = 'control';
  try {
    testbed.up();
    const state = readState(testbed.name);
    const pids = (of: 'controllers' | 'agents'): number[] =>
      Object.values(state?.[of] ?? {}).map(({ pid }) => pid);
    const all = new Networks(testbed.name, await wantedOf(file, testbed.name));
    try {
      const memory = (of: 'controllers' | 'agents'): number => round(memoryOf(pids(of)));
      const alone = await all.applied();
      const before = { controllers: memory('controllers'), agents: memory('agents') };
      const rest = await all.more(others);
      const crowded = await all.applied();
      const peer = 'with 1 network';
      return [
        row({ bench, case: 'a network of 10 nodes, programmed', unit: 's', value: round(alone) }),
        row({ bench, case: '99 networks more, programmed', unit: 's', value: round(rest) }),
        row({
          ...{ bench, case: 'a network of 10 nodes beside 99 others', unit: 's', value: round(crowded) },
          ...{ peer: 'alone', peerValue: round(alone) },
        }),
        ...(['controllers', 'agents'] as const).map((of) =>
          row({
            ...{ bench, case: `100 networks: memory of all ${pids(of).length} ${of}`, unit: 'MiB' },
            ...{ value: memory(of), peer, peerValue: before[of] },
          }),
        ),
      ];
    } finally {
      all.close();
    }
  } finally {
    testbed.down();
    rmSync(folder, { recursive: true, force: true });
  }
}
