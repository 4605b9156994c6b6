// Type information and the codecs generated from it: offsets as the compiler put
// them, values as C programs see them, and what has no counterpart is refused.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseBtf, sizeOfType } from '../../native/lib/btf.js';
import { readBtf } from '../../native/lib/elf.js';
import { BpfError } from '../../native/lib/error.js';
import { generateLayout } from '../../native/lib/layout.js';
import { BpfObject } from '../../native/lib/object.js';
import { TypedMap, type Codec } from '../../native/lib/typed-map.js';
import { buildFolder, clang, fixture, isOnPath, root, u32 } from './fixtures.js';

interface Everything {
  tiny: number;
  tinySigned: number;
  word: number;
  port: number;
  number: number;
  numberSigned: number;
  address: number;
  counter: bigint;
  counterSigned: bigint;
  flag: boolean;
  color: number;
  mac: Uint8Array;
  list: Uint32Array;
  longs: BigUint64Array;
  point: { x: number; y: number };
  points: Array<{ x: number; y: number }>;
  any: Uint8Array;
  hidden: number;
}
interface Layout {
  Everything: Codec<Everything> & { offsets: Record<string, number> };
  RouteKey: Codec<{ prefixlen: number; address: number }>;
  Color: Record<string, number>;
  u32: Codec<number>;
  u64: Codec<bigint>;
  maps: Record<
    string,
    { name: string; type: string; maxEntries: number; key?: Codec<unknown>; value?: Codec<unknown> }
  >;
}

const options = {
  structs: ['everything'],
  maps: ['counters', 'things', 'routes', 'table', 'outer', 'ports', 'events', 'per_cpu'],
  enums: ['color'],
  banner: 'A test.',
};
let layout: Layout;
let object: BpfObject;

beforeAll(async () => {
  object = BpfObject.open(fixture('maps'));
  await object.load();
  mkdirSync(buildFolder, { recursive: true });
  const file = join(buildFolder, 'layout.ts');
  writeFileSync(file, generateLayout(readBtf(fixture('maps')), options));
  layout = (await import(pathToFileURL(file).href)) as Layout;
});
afterAll(() => object.close());

const integer = (bits: number, signed: boolean): fc.Arbitrary<number> =>
  fc.integer(signed ? { min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 } : { min: 0, max: 2 ** bits - 1 });
const point = fc.record({ x: integer(16, false), y: integer(16, true) });
const everything: fc.Arbitrary<Everything> = fc.record({
  tiny: integer(8, false),
  tinySigned: integer(8, true),
  word: integer(16, false),
  port: integer(16, false),
  number: integer(32, false),
  numberSigned: integer(32, true),
  address: integer(32, false),
  counter: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  counterSigned: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  flag: fc.boolean(),
  color: integer(32, false),
  mac: fc.uint8Array({ minLength: 6, maxLength: 6 }),
  list: fc.uint32Array({ minLength: 3, maxLength: 3 }),
  longs: fc.bigUint64Array({ minLength: 2, maxLength: 2 }),
  point,
  points: fc.array(point, { minLength: 2, maxLength: 2 }),
  any: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  hidden: integer(32, false),
});

describe('type information', () => {
  it('is the same from libbpf and from the file, but for variables’ places', () => {
    const [ours, theirs] = [readBtf(fixture('maps')), object.btf()];
    const names = (btf: typeof ours): string[] =>
      btf.types.map((type) => ('name' in type ? type.name : type.kind));
    expect(names(ours)).toEqual(names(theirs));
    const rodata = theirs.types.find((type) => type.kind === 'datasec' && type.name === '.rodata');
    expect(rodata?.kind === 'datasec' && rodata.variables.length).toBe(4);
  });

  it('describes every field of a struct', () => {
    const btf = object.btf();
    const id = btf.types.findIndex((type) => type.kind === 'struct' && type.name === 'everything');
    expect(sizeOfType(btf, id)).toBe(120);
    const color = btf.types.find((type) => type.kind === 'enum' && type.name === 'color');
    expect(color).toMatchObject({
      values: [{ name: 'RED' }, { name: 'GREEN', value: 7n }, { name: 'BLUE', value: 8n }],
    });
    const bits = btf.types.find((type) => type.kind === 'struct' && type.name === 'with_bits');
    expect(bits).toMatchObject({
      members: [
        { bitWidth: 4, bitOffset: 0 },
        { bitWidth: 28, bitOffset: 4 },
      ],
    });
  });

  it('that is cut off or garbled is refused, and never read beyond', () => {
    const object2 = BpfObject.open(fixture('maps'));
    const bytes = Buffer.from('9feb0100', 'hex');
    expect(() => parseBtf(bytes)).toThrow(BpfError);
    expect(() => parseBtf(Buffer.alloc(100))).toThrow(/not BTF/);
    object2.close();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 200 }), (noise) => {
        const header = Buffer.from(noise);
        header.writeUInt32LE(0x0001eb9f, 0);
        header.writeUInt32LE(24, 4);
        try {
          parseBtf(header);
        } catch (error) {
          expect(error).toBeInstanceOf(BpfError);
        }
      }),
    );
  });

  it('that is missing is said to be', () => {
    expect(() => readBtf('/bin/true')).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }));
    expect(() => readBtf('/etc/hostname')).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }));
  });
});

describe('a generated layout', { timeout: 60_000 }, () => {
  it('passes the strict compiler', () => {
    const flags = [
      '--strict',
      '--exactOptionalPropertyTypes',
      '--noUncheckedIndexedAccess',
      '--noUnusedLocals',
    ];
    const more = [
      '--noEmit',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      'node',
      '--ignoreConfig',
    ];
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    execFileSync(tsc, [...flags, ...more, join(buildFolder, 'layout.ts')], { cwd: root, stdio: 'pipe' });
  });

  it('is the same from every compiler', ({ skip }) => {
    skip(clang === 'clang-14' || !isOnPath('clang-14'), 'clang-14 is not here beside another one');
    const other = generateLayout(readBtf(fixture('maps', 'clang-14')), options);
    expect(generateLayout(readBtf(fixture('maps')), options)).toBe(other);
  });

  it('has the compiler’s sizes and offsets', () => {
    expect(layout.Everything.size).toBe(120);
    expect(layout.Everything.offsets).toMatchObject({
      port: 4,
      number: 8,
      counter: 24,
      mac: 48,
      points: 92,
      any: 100,
    });
    expect(layout.Color).toEqual({ RED: 0, GREEN: 7, BLUE: 8 });
    expect(layout.maps['routes']).toMatchObject({ name: 'routes', type: 'lpm_trie', maxEntries: 1024 });
    expect(layout.maps['events']).not.toHaveProperty('key');
    expect(layout.maps['outer']).toMatchObject({
      type: 'array_of_maps',
      inner: { type: 'array', maxEntries: 8, key: { size: 4 }, value: { size: 8 } },
    });
  });

  it('encodes and decodes every value to itself, with padding zero', () => {
    fc.assert(
      fc.property(everything, fc.nat(7), (value, at) => {
        const bytes = layout.Everything.encode(value);
        expect(layout.Everything.decode(bytes)).toEqual(value);
        const dirty = Buffer.alloc(140, 0xff);
        layout.Everything.encodeInto(dirty, at, value);
        expect(dirty.subarray(at, at + 120)).toEqual(bytes);
        expect(layout.Everything.decode(new DataView(dirty.buffer, dirty.byteOffset, 140), at)).toEqual(
          value,
        );
        expect(dirty.subarray(at + 120)).toEqual(Buffer.alloc(20 - at, 0xff));
      }),
    );
  });

  it('puts network-order fields into network order', () => {
    const bytes = layout.RouteKey.encode({ prefixlen: 24, address: 0x0a000100 });
    expect(bytes.toString('hex')).toBe('180000000a000100');
  });

  it.each<[string, Partial<Record<keyof Everything, unknown>>]>([
    ['a number too large', { tiny: 256 }],
    ['a negative number', { number: -1 }],
    ['a fraction', { word: 0.5 }],
    ['a bigint too large', { counter: 2n ** 64n }],
    ['a number for a bigint', { counter: 1 }],
    ['bytes too short', { mac: new Uint8Array(5) }],
    ['a list too long', { list: new Uint32Array(4) }],
    ['a list with a hole', { points: [{ x: 1, y: 1 }, undefined] }],
  ])('refuses %s', (_, wrong) => {
    const [sample] = fc.sample(everything, 1);
    expect(() => layout.Everything.encode({ ...sample!, ...wrong } as Everything)).toThrow(RangeError);
  });

  it('refuses to write or read beyond the end', () => {
    const [sample] = fc.sample(everything, 1);
    expect(() => layout.Everything.decode(Buffer.alloc(119))).toThrow(RangeError);
    expect(() => layout.Everything.decode(Buffer.alloc(200), 81)).toThrow(RangeError);
    expect(() => layout.Everything.decode(Buffer.alloc(200), -1)).toThrow(RangeError);
    expect(() => layout.Everything.encodeInto(Buffer.alloc(119), 0, sample!)).toThrow(RangeError);
  });

  it.each([
    ['with_pointer', 'with_pointer.pointer', 'pointer'],
    ['with_bits', 'with_bits.low', 'bit field'],
    ['with_union', 'with_union.(anonymous)', 'anonymous union'],
  ])('is refused for struct %s', (name, subject, reason) => {
    const make = (): string => generateLayout(object.btf(), { structs: [name], maps: [] });
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED', subject }));
    expect(make).toThrow(reason);
  });

  it('is refused for what is not there', () => {
    const make = (names: Partial<typeof options>): string =>
      generateLayout(object.btf(), { structs: [], maps: [], ...names });
    const missing: unknown = expect.objectContaining({ code: 'ERR_NOT_FOUND', subject: 'nope' });
    expect(() => make({ structs: ['nope'] })).toThrow(missing);
    expect(() => make({ maps: ['nope'] })).toThrow(missing);
    expect(() => make({ enums: ['nope'] })).toThrow(missing);
  });
});

describe('a typed map', () => {
  it('reads and writes values, one or many', async () => {
    const things = new TypedMap(object.map('things'), layout.u32, layout.Everything);
    const samples = fc.sample(everything, 10);
    things.set(1, samples[0]!);
    expect(things.get(1)).toEqual(samples[0]);
    expect(things.get(2)).toBeUndefined();
    await things.setAll(samples.map((value, key) => [key, value] as const));
    const all = new Map(await things.all());
    expect(all.size).toBe(10);
    samples.forEach((value, key) => expect(all.get(key)).toEqual(value));
    expect(things.delete(3)).toBe(true);
    expect(await things.deleteAll([3, 4, 5])).toBe(2);
    const perCpu = new TypedMap(object.map('per_cpu'), layout.u32, layout.u32);
    const value = Buffer.alloc(perCpu.map.transferSize);
    value.writeUInt32LE(5, 0);
    perCpu.map.update(u32(2), value);
    expect(perCpu.getPerCpu(2)?.[0]).toBe(5);
    expect((await perCpu.allPerCpu()).find(([key]) => key === 2)?.[1][0]).toBe(5);
  });

  it('needs codecs of the map’s sizes', () => {
    expect(() => new TypedMap(object.map('things'), layout.u32, layout.u64)).toThrow(
      expect.objectContaining({ code: 'ERR_SIZE' }),
    );
  });
});
