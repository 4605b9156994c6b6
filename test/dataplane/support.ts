/*
 * Data planes for tests: each under a pin folder of its own, small unless a test wants more, and gone afterwards also
 * when the test failed.
 */
import { existsSync, rmSync } from 'node:fs';
import { afterEach } from 'vitest';
import { BpfMap } from '../../native/lib/index.js';
import { DataPlane, type OpenOptions, type RoutePrefix } from '../../src/dataplane/index.js';

const SMALL = {
  interfaces: 4096,
  nodes: 16,
  vifs: 64,
  paths: 64,
  tunnels: 32,
  wires: 16,
  underlayHops: 64,
  nextHops: 1024,
  labels: 256,
  chunks: 2048,
  flows4: 256,
  flows6: 256,
};

let made = 0;
const open = new Set<DataPlane>();
const folders = new Set<string>();

export function pinFolder(): string {
  const folder = `/sys/fs/bpf/cabernet-test-${process.pid}-${++made}`;
  folders.add(folder);
  return folder;
}

/** A plane that is closed and unpinned after the test. */
export async function openPlane(options: Partial<OpenOptions> = {}): Promise<DataPlane> {
  const pinDir = options.pinDir ?? pinFolder();
  const plane = await DataPlane.open({ ...options, pinDir, capacities: { ...SMALL, ...options.capacities } });
  open.add(plane);
  return plane;
}

/** A node's routes as a program reads them, by maps of its own. */
export class Memory {
  readonly #nodes: Uint32Array;
  readonly #tables: Uint32Array;
  readonly #chunks: Uint32Array;

  constructor(folder: string) {
    const words = (name: string): Uint32Array => {
      const map = BpfMap.openPinned(`${folder}/maps/${name}`);
      const memory = new Uint32Array(map.mmap());
      map.close();
      return memory;
    };
    this.#nodes = words('nodes');
    this.#tables = words('tables');
    this.#chunks = words('chunks');
  }

  generation(node: number): number {
    return this.#nodes[4 * node + 1] ?? 0;
  }

  /** trie_lookup() of bpf/routes.h. */
  lookup(node: number, bytes: Uint8Array): number {
    const record = this.#nodes[4 * node] ?? 0;
    let chunk = this.#tables[4 * record + (bytes.length === 4 ? 0 : 1)] ?? 0;
    for (const byte of bytes) {
      const entry = this.#chunks[256 * chunk + byte] ?? 0;
      if (entry >= 0x80000000) return entry - 0x80000000;
      if (entry === 0) return 0;
      chunk = entry;
    }
    return 0;
  }

  /** Chunks a reader may be led to. */
  chunks(node: number): Set<number> {
    const record = this.#nodes[4 * node] ?? 0;
    const found = new Set<number>();
    const queue = [this.#tables[4 * record] ?? 0, this.#tables[4 * record + 1] ?? 0];
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
      if (id === 0 || id >= 0x80000000 || found.has(id)) continue;
      found.add(id);
      queue.push(...this.#chunks.subarray(256 * id, 256 * (id + 1)));
    }
    return found;
  }

  /** Remembers every word a reader may come by; the answer says how many of them have changed. */
  watch(node: number): () => number {
    const record = this.#nodes[4 * node] ?? 0;
    const parts = [this.#nodes.subarray(4 * node, 4 * node + 1)];
    if (record !== 0) parts.push(this.#tables.subarray(4 * record, 4 * record + 2));
    for (const id of this.chunks(node)) parts.push(this.#chunks.subarray(256 * id, 256 * (id + 1)));
    const before = parts.map((part) => part.slice());
    return () => {
      let changed = 0;
      for (const [i, part] of parts.entries()) {
        for (const [at, word] of part.entries()) if (word !== before[i]?.[at]) changed++;
      }
      return changed;
    };
  }
}

afterEach(async () => {
  for (const plane of open) await plane.close();
  open.clear();
  for (const folder of folders) if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
  folders.clear();
});

/** `10.0.0.0/8`, `fd00::/8`. */
export function prefix(text: string): RoutePrefix {
  const [address = '', length = ''] = text.split('/');
  const bytes = address.includes(':') ? parse6(address) : Uint8Array.from(address.split('.').map(Number));
  return { family: bytes.length === 4 ? 4 : 6, bytes, length: Number(length) };
}

export function address(text: string): Uint8Array {
  return prefix(`${text}/0`).bytes;
}

function parse6(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => parseInt(group, 16));
  const [left, right] = [groups(head), groups(tail ?? '')];
  const words = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}
