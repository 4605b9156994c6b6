/*
 * Routes as the programs find them, against a list of prefixes searched one by one and against the kernel's own
 * longest-prefix-match trie; and that every transaction is one store of one word to whoever reads meanwhile.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BpfMap, MapFlags } from '../../native/lib/index.js';
import {
  type DataPlane,
  Limit,
  NextHopKind,
  PortRole,
  type RoutePrefix,
  type RouteTable,
  TraceKind,
} from '../../src/dataplane/index.js';
import { addressText, ethernet, frame, ipv4, ipv6, payload, udp } from '../support/frames.js';
import { address, Memory, openPlane, pinFolder, prefix } from './support.js';

type Family = 4 | 6;

/** Searched from the longest prefix to the shortest. */
class Model {
  readonly routes = new Map<string, { prefix: RoutePrefix; nextHop: number }>();

  set(route: RoutePrefix, nextHop: number): void {
    this.routes.set(textOf(route), { prefix: route, nextHop });
  }
  delete(route: RoutePrefix): void {
    this.routes.delete(textOf(route));
  }
  lookup(bytes: Uint8Array): number {
    let best = { length: -1, nextHop: 0 };
    for (const { prefix: at, nextHop } of this.routes.values()) {
      if (at.bytes.length === bytes.length && at.length > best.length && covers(at, bytes)) {
        best = { length: at.length, nextHop };
      }
    }
    return best.nextHop;
  }
  count(family: Family): number {
    return [...this.routes.values()].filter((route) => route.prefix.family === family).length;
  }
}

function bit(bytes: Uint8Array, at: number): number {
  return ((bytes[at >> 3] ?? 0) >> (7 - (at & 7))) & 1;
}

function covers(route: RoutePrefix, bytes: Uint8Array): boolean {
  for (let i = 0; i < route.length; i++) if (bit(route.bytes, i) !== bit(bytes, i)) return false;
  return true;
}

function masked(route: RoutePrefix): Uint8Array {
  return route.bytes.map((byte, i) => byte & (0xff00 >> Math.max(0, Math.min(8, route.length - 8 * i))));
}

function textOf(route: RoutePrefix): string {
  return `${route.family} ${Buffer.from(masked(route)).toString('hex')}/${route.length}`;
}

/** The kernel's trie (BPF_MAP_TYPE_LPM_TRIE). */
class Oracle {
  readonly #maps: Record<Family, BpfMap>;
  constructor() {
    const make = (size: number): BpfMap =>
      BpfMap.create({
        type: 'lpm_trie',
        name: 'oracle',
        keySize: 4 + size,
        valueSize: 4,
        maxEntries: 4096,
        flags: MapFlags.NO_PREALLOC,
      });
    this.#maps = { 4: make(4), 6: make(16) };
  }
  set(route: RoutePrefix, nextHop: number): void {
    this.#maps[route.family].update(oracleKey(masked(route), route.length), word(nextHop));
  }
  delete(route: RoutePrefix): void {
    this.#maps[route.family].delete(oracleKey(masked(route), route.length));
  }
  lookup(bytes: Uint8Array): number {
    const map = this.#maps[bytes.length === 4 ? 4 : 6];
    return map.lookup(oracleKey(bytes, 8 * bytes.length))?.readUInt32LE(0) ?? 0;
  }
  close(): void {
    for (const map of Object.values(this.#maps)) map.close();
  }
}

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function oracleKey(bytes: Uint8Array, length: number): Uint8Array {
  return Buffer.concat([word(length), bytes]);
}

// Few values for each byte, so that prefixes nest, split and vanish under one another.
const byte = fc.constantFrom(0, 1, 2, 3, 10, 127, 128, 200, 254, 255);
const bytesOf = (family: Family): fc.Arbitrary<Uint8Array> => {
  const free = fc.array(byte, { minLength: 4, maxLength: 4 });
  if (family === 4) return free.map((bytes) => Uint8Array.from(bytes));
  const zeros = new Array<number>(10).fill(0);
  return fc
    .tuple(free, byte, byte)
    .map(([head, x, y]) => Uint8Array.from([0xfd, ...head.slice(1), ...zeros, x, y]));
};
const route = fc
  .constantFrom<Family>(4, 6)
  .chain((family) =>
    fc
      .tuple(
        bytesOf(family),
        fc.oneof(
          fc.integer({ min: 0, max: family === 4 ? 32 : 128 }),
          family === 4
            ? fc.constantFrom(0, 8, 9, 16, 23, 24, 25, 32)
            : fc.constantFrom(0, 8, 48, 63, 64, 65, 112, 128),
        ),
      )
      .map(([bytes, length]): RoutePrefix => ({ family, bytes, length })),
  );
const change = fc.record({ route, hop: fc.integer({ min: 0, max: 6 }), known: fc.boolean() });
const transactions = fc.array(fc.array(change, { minLength: 1, maxLength: 12 }), {
  minLength: 1,
  maxLength: 12,
});

interface Checked {
  readonly table: RouteTable;
  readonly model: Model;
  readonly oracle: Oracle;
  readonly memory: Memory;
}

/** Addresses at the edges of a prefix. */
function edges(route: RoutePrefix): Uint8Array[] {
  const first = masked(route);
  const last = first.map((value, i) => value | (0xff >> Math.max(0, Math.min(8, route.length - 8 * i))));
  const [before, after] = [first.slice(), last.slice()];
  const low = before.length - 1;
  before[low] = ((before[low] ?? 0) - 1) & 0xff;
  after[low] = ((after[low] ?? 0) + 1) & 0xff;
  return [first, last, before, after, route.bytes];
}

function agree({ table, model, oracle, memory }: Checked, routes: readonly RoutePrefix[]): void {
  for (const bytes of routes.flatMap(edges)) {
    const wanted = model.lookup(bytes);
    const where = Buffer.from(bytes).toString('hex');
    expect([where, memory.lookup(table.node, bytes)]).toEqual([where, wanted]);
    expect([where, oracle.lookup(bytes)]).toEqual([where, wanted]);
    expect([where, table.lookup(bytes)]).toEqual([where, wanted]);
  }
}

interface Change {
  readonly route: RoutePrefix;
  /** 0: delete. */
  readonly hop: number;
  /** Of a prefix seen before, if there is one. */
  readonly known: boolean;
}

/** Makes transactions of these changes and compares after each. */
async function follow(
  checked: Checked,
  hops: readonly number[],
  batches: ReadonlyArray<ReadonlyArray<Change>>,
): Promise<void> {
  const { table, model, oracle, memory } = checked;
  const seen: RoutePrefix[] = [];
  for (const batch of batches) {
    const transaction = table.transaction();
    for (const { route: fresh, hop, known } of batch) {
      const at = known ? (seen[hop % Math.max(1, seen.length)] ?? fresh) : fresh;
      seen.push(at);
      const nextHop = hops[hop - 1] ?? 0;
      if (nextHop === 0) {
        transaction.delete(at);
        model.delete(at);
        oracle.delete(at);
      } else {
        transaction.set(at, nextHop);
        model.set(at, nextHop);
        oracle.set(at, nextHop);
      }
    }
    const changed = memory.watch(table.node);
    const generation = memory.generation(table.node);
    const { published } = await transaction.commit();
    expect(changed()).toBe(published === 'nothing' ? 0 : 1);
    expect(memory.generation(table.node)).toBe(published === 'nothing' ? generation : generation + 1);
    agree(checked, seen);
    for (const family of [4, 6] as const) expect(table.size(family)).toBe(model.count(family));
  }
  const listed = [...table.entries(4), ...table.entries(6)].map(([at, hop]): [string, number] => [
    textOf(at),
    hop,
  ]);
  expect(new Map(listed)).toEqual(new Map([...model.routes].map(([text, { nextHop }]) => [text, nextHop])));
}

describe('routes', () => {
  it('are found as a search of all prefixes and the kernel’s trie find them, each commit one store', async () => {
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir });
    const memory = new Memory(pinDir);
    const hops = Array.from({ length: 6 }, () => plane.allocate('nextHop'));
    const run = async (batches: ReadonlyArray<ReadonlyArray<Change>>): Promise<void> => {
      const node = plane.allocate('node');
      const checked = { table: plane.routes(node), model: new Model(), oracle: new Oracle(), memory };
      try {
        await follow(checked, hops, batches);
        await plane.grace();
        expect(used(plane, 'chunks')).toBe(memory.chunks(node).size);
      } finally {
        plane.release('node', node);
        await plane.grace();
        checked.oracle.close();
      }
      expect(used(plane, 'chunks')).toBe(0);
      expect(used(plane, 'tables')).toBe(0);
    };
    await fc.assert(fc.asyncProperty(transactions, run), { numRuns: 60 });
  });

  it('are found by the programs', async () => {
    const plane = await openPlane();
    const [node, vif] = [plane.allocate('node'), plane.allocate('vif')];
    const hops = Array.from({ length: 6 }, () => plane.allocate('nextHop'));
    for (const hop of hops) plane.nextHops.write(hop, { kind: NextHopKind.NEXT_HOP_BLACKHOLE, node });
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
    plane.vifs.write(vif, { flags: Limit.LIMIT_VIF_UP, node, mtu: 1500, mac });
    plane.setPort(2, { role: PortRole.PORT_ACCESS, vif });
    const inside = route.map((at) => {
      const bytes = at.bytes.slice();
      bytes[0] = at.family === 4 ? 10 : 0xfd;
      return { ...at, bytes };
    });
    const table = plane.routes(node);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(inside, fc.integer({ min: 0, max: 5 })), { minLength: 1 }),
        async (routes) => {
          await table.rebuild(routes.map(([at, i]) => [at, hops[i] ?? 0]));
          for (const bytes of routes.flatMap(([at]) => edges(at))) {
            if (bytes[0] !== 10 && bytes[0] !== 0xfd) continue;
            const to = addressText(bytes);
            const inner = bytes.length === 4 ? ipv4({ from: '10.9.9.9', to }) : ipv6({ from: 'fd09::9', to });
            const sent = frame(
              ethernet({ to: '02:00:00:00:00:01' }),
              inner,
              udp({ from: 1, to: 2 }),
              payload(30),
            );
            const { events } = await plane.trace({ ifindex: 2, frame: sent });
            const found = events.find(({ kind }) => kind === TraceKind.TRACE_ROUTE)?.found;
            expect([to, found]).toEqual([to, table.lookup(bytes)]);
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  it('of one prefix change one word where that is all, and copy the touched chunks where it is not', async () => {
    const plane = await openPlane();
    const [a, b] = [plane.allocate('nextHop'), plane.allocate('nextHop')];
    const table = plane.routes(plane.allocate('node'));
    expect(await table.transaction().set(prefix('10.0.0.0/8'), a).commit()).toEqual({
      published: 'tables',
      chunks: 1,
    });
    expect(await table.transaction().set(prefix('10.1.2.0/24'), a).commit()).toEqual({
      published: 'word',
      chunks: 2,
    });
    expect(await table.transaction().set(prefix('10.1.2.0/24'), b).commit()).toEqual({
      published: 'word',
      chunks: 0,
    });
    expect(await table.transaction().set(prefix('10.1.2.9/32'), a).commit()).toEqual({
      published: 'word',
      chunks: 1,
    });
    // sixteen words of one chunk: a copy, and one word above it
    expect(await table.transaction().set(prefix('10.1.16.0/20'), b).commit()).toEqual({
      published: 'word',
      chunks: 1,
    });
    expect(await table.transaction().delete(prefix('10.9.0.0/16')).commit()).toEqual({
      published: 'nothing',
      chunks: 0,
    });
    expect(await table.transaction().delete(prefix('10.1.2.9/32')).commit()).toEqual({
      published: 'word',
      chunks: 0,
    });
    const both = table.transaction().set(prefix('fd00::/16'), a).set(prefix('11.0.0.0/8'), b);
    expect((await both.commit()).published).toBe('tables');
  });

  it('refuse what cannot be, and change nothing', async () => {
    const plane = await openPlane({ capacities: { chunks: 8 } });
    const hop = plane.allocate('nextHop');
    const table = plane.routes(plane.allocate('node'));
    expect(() => table.transaction().set(prefix('10.0.0.0/33'), hop)).toThrow(/ARGUMENT/);
    expect(() => table.transaction().set({ ...prefix('10.0.0.0/8'), family: 6 }, hop)).toThrow(/16 bytes/);
    expect(() => table.transaction().set(prefix('10.0.0.0/8'), hop + 1)).toThrow(/NOT_ALLOCATED/);
    await table.transaction().set(prefix('10.0.0.0/8'), hop).commit();
    const many = table.transaction();
    for (let i = 0; i < 7; i++) many.set(prefix(`10.${i}.1.0/24`), hop);
    await expect(many.commit()).rejects.toThrow(/TABLE_FULL/);
    await plane.grace();
    expect(used(plane, 'chunks')).toBe(1);
    expect(table.size(4)).toBe(1);
    expect(table.lookup(address('10.3.1.1'))).toBe(hop);
  });

  it('change address by address where there is no room for copies', async () => {
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir, capacities: { chunks: 40 } });
    const memory = new Memory(pinDir);
    const [a, b, c] = [plane.allocate('nextHop'), plane.allocate('nextHop'), plane.allocate('nextHop')];
    const node = plane.allocate('node');
    const table = plane.routes(node);
    const fill = table.transaction();
    for (let i = 0; i < 30; i++) fill.set(prefix(`10.${i}.1.0/24`), a);
    expect((await fill.commit()).chunks).toBe(32);
    const change = table.transaction().set(prefix('0.0.0.0/0'), b).delete(prefix('10.3.1.0/24'));
    change.set(prefix('10.0.1.64/26'), c).set(prefix('fd00::/8'), c);
    expect((await change.commit()).published).toBe('words');
    for (const [text, hop] of [
      ['9.1.1.1', b],
      ['10.1.1.1', a],
      ['10.1.2.1', b],
      ['10.3.1.1', b],
      ['10.0.1.65', c],
      ['10.0.1.1', a],
      ['fd12::1', c],
    ] as const) {
      expect([text, memory.lookup(node, address(text))]).toEqual([text, hop]);
      expect([text, table.lookup(address(text))]).toEqual([text, hop]);
    }
    await plane.grace();
    expect(used(plane, 'chunks')).toBe(memory.chunks(node).size);
    const tooMany = table.transaction();
    for (let i = 0; i < 9; i++) tooMany.set(prefix(`11.${i}.1.0/24`), a);
    await expect(tooMany.commit()).rejects.toThrow(/TABLE_FULL/);
    expect(used(plane, 'chunks')).toBe(memory.chunks(node).size);
    expect(table.lookup(address('11.1.1.1'))).toBe(b);
    expect((await table.rebuild([[prefix('0.0.0.0/0'), a]])).published).toBe('tables');
    await plane.grace();
    expect(used(plane, 'chunks')).toBe(1);
  });

  it('wait for chunks that are about to be free, in order', async () => {
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir, capacities: { chunks: 10 } });
    const memory = new Memory(pinDir);
    const [a, b] = [plane.allocate('nextHop'), plane.allocate('nextHop')];
    const node = plane.allocate('node');
    const table = plane.routes(node);
    // four chunks each time, of which nine there are
    const commits = Array.from({ length: 4 }, (_, i) => {
      const hop = i % 2 === 0 ? a : b;
      const at = ['10.0.0.0/24', '10.0.2.0/24', '11.0.0.0/8', '10.0.0.0/30', '10.0.0.4/30'];
      return table.rebuild(at.map((text) => [prefix(text), hop]));
    });
    await Promise.all(commits);
    expect(memory.lookup(node, address('10.0.0.1'))).toBe(b);
    await plane.grace();
    expect(used(plane, 'chunks')).toBe(4);
  });

  it('are rebuilt without a change where there is none', async () => {
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir });
    const hop = plane.allocate('nextHop');
    const node = plane.allocate('node');
    const routes = ['0.0.0.0/0', '10.0.0.0/8', '10.1.2.0/24', '10.1.2.128/25', 'fd00::/64', 'fd00::1/128'];
    const entries = routes.map((text) => [prefix(text), hop] as const);
    await plane.routes(node).rebuild(entries);
    const generation = new Memory(pinDir).generation(node);
    expect((await plane.routes(node).rebuild(entries)).published).toBe('nothing');
    const chunks = used(plane, 'chunks');
    await plane.close();

    const next = await openPlane({ pinDir });
    expect(next.adopted).toBe(true);
    expect(next.allocated('node')).toEqual([node]);
    expect(next.allocated('nextHop')).toEqual([hop]);
    expect(used(next, 'chunks')).toBe(chunks);
    const table = next.routes(node);
    expect(table.adopted).toBe(true);
    await expect(table.transaction().set(prefix('10.0.0.0/8'), hop).commit()).rejects.toThrow(/NOT_REBUILT/);
    expect(await table.rebuild(entries)).toMatchObject({ published: 'nothing' });
    expect(new Memory(pinDir).generation(node)).toBe(generation);
    expect(table.size(4)).toBe(4);
    await table.rebuild(entries.slice(1));
    expect(table.lookup(address('12.0.0.1'))).toBe(0);
    expect(table.lookup(address('10.1.2.129'))).toBe(hop);
    await next.grace();
    expect(used(next, 'chunks')).toBe(new Memory(pinDir).chunks(node).size);
    await table.clear();
    await next.grace();
    expect(used(next, 'chunks')).toBe(0);
  });
});

function used(plane: DataPlane, table: string): number {
  return plane.use().find((row) => row.table === table)?.used ?? -1;
}
