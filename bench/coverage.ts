/*
 * Of the pairs of nodes that have disjoint ways, how many get them as path and backup where a connectivity provider sells a
 * protected link between them, the whole network bought link by link. What there is, an oracle says that knows nothing of ours: a
 * maximum flow (Ford and Fulkerson, 1956), each node split in two for node-disjoint ways.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { place } from '../src/connectivity/placement/place.js';
import { type Placement } from '../src/connectivity/placement/search.js';
import { Supply, type SupplyLink } from '../src/connectivity/placement/supply.js';
import { round, row, type Row } from './report.js';

interface Topology {
  readonly name: string;
  readonly nodes: readonly string[];
  readonly links: readonly (readonly [a: number, b: number])[];
}

/** Of larger networks so many pairs, drawn by a fixed sequence. */
const MOST_PAIRS = 1000;

function foldersOf(): readonly string[] {
  const own = fileURLToPath(new URL('../../test/graph/data', import.meta.url));
  const more = process.env['CABERNET_TOPOLOGIES'];
  if (more !== undefined && more !== '') return [own, more];
  process.stderr.write(
    '  more networks: CABERNET_TOPOLOGIES=FOLDER, of JSON files as in test/graph/data (see its README)\n',
  );
  return [own];
}

function read(file: string): Topology {
  const { nodes, links } = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly nodes: readonly { readonly id: string | number }[];
    readonly links: readonly { readonly a: string | number; readonly b: string | number }[];
  };
  const index = new Map(nodes.map(({ id }, i) => [id, i]));
  return {
    name: basename(file, '.json'),
    nodes: nodes.map((_, i) => `nodes/n${i}`),
    links: links.map(({ a, b }) => [index.get(a) ?? -1, index.get(b) ?? -1]),
  };
}

function topologies(): readonly Topology[] {
  const files = foldersOf().flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(folder, name)),
  );
  const byName = new Map(files.map((file) => [basename(file), file]));
  return [...byName.values()].map(read).toSorted((a, b) => a.nodes.length - b.nodes.length);
}

/** Unit capacities; asked again and again for two units at most. */
class Oracle {
  readonly #heads: number[] = [];
  readonly #room: number[] = [];
  readonly #whole: number[] = [];
  readonly #arcs: number[][];
  readonly #split: boolean;

  /** @param split whether nodes between the ends are not to be shared either */
  constructor({ nodes, links }: Topology, split: boolean) {
    this.#split = split;
    this.#arcs = Array.from({ length: nodes.length * 2 }, () => []);
    for (const node of nodes.keys()) this.#arc(this.#into(node), this.#out(node), split ? 1 : 2, 0);
    for (const [a, b] of links) {
      if (a === b) continue;
      if (split) {
        this.#arc(this.#out(a), this.#into(b), 1, 0);
        this.#arc(this.#out(b), this.#into(a), 1, 0);
      } else this.#arc(this.#out(a), this.#out(b), 1, 1);
    }
    this.#whole = [...this.#room];
  }

  #into(node: number): number {
    return 2 * node;
  }

  /** Without splitting a node is one. */
  #out(node: number): number {
    return 2 * node + 1;
  }

  #arc(from: number, to: number, there: number, back: number): void {
    for (const [at, head, room] of [
      [from, to, there],
      [to, from, back],
    ] as const) {
      this.#arcs[at]?.push(this.#heads.length);
      this.#heads.push(head);
      this.#room.push(room);
    }
  }

  /** Whether there are two such ways. */
  hasTwo(a: number, b: number): boolean {
    for (const [arc, room] of this.#whole.entries()) this.#room[arc] = room;
    const target = this.#split ? this.#into(b) : this.#out(b);
    return this.#augment(this.#out(a), target) && this.#augment(this.#out(a), target);
  }

  #augment(source: number, target: number): boolean {
    const by = new Map<number, number>([[source, -1]]);
    const queue = [source];
    for (const at of queue) {
      for (const arc of this.#arcs[at] ?? []) {
        const head = this.#heads[arc] ?? -1;
        if (by.has(head) || (this.#room[arc] ?? 0) === 0) continue;
        by.set(head, arc);
        if (head !== target) {
          queue.push(head);
          continue;
        }
        for (let node = target; node !== source;) {
          const back = by.get(node) ?? -1;
          this.#room[back] = (this.#room[back] ?? 0) - 1;
          this.#room[back ^ 1] = (this.#room[back ^ 1] ?? 0) + 1;
          node = this.#heads[back ^ 1] ?? source;
        }
        return true;
      }
    }
    return false;
  }
}

function supplyOf({ nodes, links }: Topology): Supply {
  const bought = links.flatMap(([a, b], i): SupplyLink[] => {
    const [nameA, nameB] = [nodes[a], nodes[b]];
    if (nameA === undefined || nameB === undefined || a === b) return [];
    const numbers = { freeAToB: 1e9, freeBToA: 1e9, delayUs: 0, lossPpm: 0, availabilityPpm: 999_000 };
    return [{ name: `links/l${i}`, a: nameA, b: nameB, ...numbers, mtu: 1600, riskGroups: [] }];
  });
  return new Supply(nodes, bought);
}

function* pairsOf(n: number): Generator<readonly [number, number]> {
  if ((n * (n - 1)) / 2 <= MOST_PAIRS) {
    for (let a = 0; a < n; a++) for (let b = a + 1; b < n; b++) yield [a, b];
    return;
  }
  let seed = 1;
  const next = (): number => (seed = (seed * 48271) % 2147483647) % n;
  for (let i = 0; i < MOST_PAIRS; i++) {
    const a = next();
    const b = (a + 1 + (next() % (n - 1))) % n;
    yield [a, b];
  }
}

/** Nodes of a way in order; undefined: it is none from there to there, or passes a node twice. */
function nodesAlong(
  { links }: Topology,
  from: number,
  to: number,
  way: readonly string[],
): number[] | undefined {
  const nodes = [from];
  for (const name of way) {
    const [a, b] = links[Number(name.slice('links/l'.length))] ?? [-1, -1];
    const at = nodes.at(-1) ?? -1;
    if (a !== at && b !== at) return undefined;
    nodes.push(a === at ? b : a);
  }
  return nodes.at(-1) === to && new Set(nodes).size === nodes.length ? nodes : undefined;
}

type Apart = 'nodes' | 'links' | 'shared';

function apartOf(topology: Topology, a: number, b: number, { path, backup }: Placement): Apart {
  const [one, other] = [path, backup].map((way) => nodesAlong(topology, a, b, way));
  if (!one || !other)
    throw new Error(`${topology.name}: what was placed from ${a} to ${b} is no pair of ways`);
  if (path.some((link) => backup.includes(link))) return 'shared';
  const between = new Set(one.slice(1, -1));
  return other.slice(1, -1).some((node) => between.has(node)) ? 'links' : 'nodes';
}

function measured(topology: Topology): Row[] {
  const supply = supplyOf(topology);
  const [byNodes, byLinks] = [new Oracle(topology, true), new Oracle(topology, false)];
  const counts = { nodes: { there: 0, got: 0 }, links: { there: 0, got: 0 } };
  let pairs = 0;
  const begin = performance.now();
  let placing = 0;
  for (const [a, b] of pairsOf(topology.nodes.length)) {
    pairs++;
    const ends = { a: topology.nodes[a] ?? '', b: topology.nodes[b] ?? '' };
    const none = { via: [], bitsPerSecond: 1000, delayUs: 0, lossPpm: 0, availabilityPpm: 0, mtu: 1500 };
    const start = performance.now();
    const answer = place(supply, { ...ends, ...none, protection: 'pair' }, { hop: 1, backupPermille: 500 });
    placing += performance.now() - start;
    const apart = 'reason' in answer ? 'shared' : apartOf(topology, a, b, answer);
    if (byNodes.hasTwo(a, b)) {
      counts.nodes.there++;
      if (apart === 'nodes') counts.nodes.got++;
    }
    if (byLinks.hasTwo(a, b)) {
      counts.links.there++;
      if (apart !== 'shared') counts.links.got++;
    }
  }
  process.stderr.write(
    `  ${topology.name}: ${pairs} pairs in ${round((performance.now() - begin) / 1000)} s, ${round(placing / pairs)} ms each to place\n`,
  );
  return (['nodes', 'links'] as const).map((what) => {
    const { there, got } = counts[what];
    return row({
      bench: 'coverage',
      case: `${topology.name}, ${topology.nodes.length} nodes: ${what === 'nodes' ? 'node' : 'link'}-disjoint ways for ${there} of ${pairs} pairs; got ${got}, missing ${there - got}`,
      unit: '% got',
      value: there === 0 ? 100 : round((100 * got) / there),
    });
  });
}

export function coverage(): Row[] {
  return topologies().flatMap(measured);
}
