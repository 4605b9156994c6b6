// Object files: opening, what may be changed before loading, loading, pins.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { BpfError } from '../../native/lib/error.js';
import { BpfMap } from '../../native/lib/map.js';
import { BpfObject } from '../../native/lib/object.js';
import { buildFolder, fixture, pinFolder, u32, u64 } from './fixtures.js';

const frame = Buffer.alloc(64);
const closers: Array<() => void> = [];

function open(name = 'maps'): BpfObject {
  const object = BpfObject.open(fixture(name));
  closers.push(() => object.close());
  return object;
}

async function loaded(): Promise<BpfObject> {
  const object = open();
  await object.load();
  return object;
}

async function failure(promise: Promise<unknown>): Promise<BpfError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BpfError);
  return error as BpfError;
}

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

describe('opening', () => {
  it('lists maps and programs without touching the kernel', () => {
    const object = open();
    expect(object.mapNames).toEqual(expect.arrayContaining(['counters', 'outer', '.rodata', '.bss']));
    expect(object.programNames).toContain('on_leaving');
    expect(object.describeMaps()).toContainEqual({
      name: 'routes',
      type: 'lpm_trie',
      keySize: 8,
      valueSize: 4,
      maxEntries: 1024,
      flags: 1,
      internal: false,
    });
    expect(object.describePrograms()).toContainEqual(
      expect.objectContaining({ name: 'on_leaving', section: 'xdp/devmap', autoload: true }),
    );
  });

  it.each([
    ['a path that is not there', '/nowhere/x.o', 'ENOENT'],
    ['a file that is no ELF', join(buildFolder, 'no-elf.o'), 'LIBBPF_FORMAT'],
    ['a path with NUL', 'a\0b', 'ERR_ARGUMENT'],
    ['an empty path', '', 'ERR_ARGUMENT'],
  ])('refuses %s', (_, path, code) => {
    fixture('maps');
    writeFileSync(join(buildFolder, 'no-elf.o'), 'x'.repeat(1000));
    expect(() => BpfObject.open(path)).toThrow(expect.objectContaining({ code, operation: 'object.open' }));
  });
});

describe('loading', () => {
  it('puts the verifier’s log into the error, and its last word into the message', async () => {
    const error = await failure(open('refused').load());
    expect(error).toMatchObject({ code: 'EACCES', operation: 'object.load', errno: 13 });
    expect(error.log).toContain('BEGIN PROG LOAD LOG');
    expect(error.log).toContain('invalid access to packet');
    expect(error.message).toMatch(/program out_of_bounds: R\d offset is outside of the packet/);
  });

  it('keeps the logs of concurrent loads apart', async () => {
    const objects = Array.from({ length: 8 }, (_, i) =>
      BpfObject.open(fixture(i % 2 === 0 ? 'refused' : 'maps')),
    );
    const results = await Promise.allSettled(objects.map((object) => object.load()));
    results.forEach((result, i) => {
      if (i % 2 === 1) expect(result.status).toBe('fulfilled');
      else {
        expect(result.status).toBe('rejected');
        const { log } = (result as PromiseRejectedResult).reason as BpfError;
        expect(log?.match(/BEGIN PROG LOAD LOG/g)).toHaveLength(1);
      }
    });
    for (const object of objects) object.close();
  });

  it('keeps the log of a success when asked to', async () => {
    const object = BpfObject.open(fixture('maps'), { logLevel: 1 });
    await object.load();
    expect(object.log).toMatch(/processed \d+ insns/);
    object.close();
  });

  it('allows nothing that belongs before it afterwards, and nothing that belongs after it before', async () => {
    const object = open();
    const state: unknown = expect.objectContaining({ code: 'ERR_STATE' });
    expect(() => object.map('counters')).toThrow(state);
    expect(() => object.program('redirect')).toThrow(state);
    const loading = object.load();
    expect(() => object.map('counters')).toThrow(state);
    expect(() => object.btf()).toThrow(state);
    expect((await failure(object.load())).code).toBe('ERR_STATE');
    await loading;
    expect(() => object.setMaxEntries('counters', 1)).toThrow(state);
    expect(() => object.setPinned('counters', '/sys/fs/bpf/x')).toThrow(state);
    expect(() => object.setConstants({ verdict: 1 })).toThrow(state);
    expect(() => object.setAutoload('redirect', false)).toThrow(state);
    expect((await failure(object.load())).code).toBe('ERR_STATE');
  });

  it('cannot be repeated after a failure', async () => {
    const object = open('refused');
    await failure(object.load());
    expect(await failure(object.load())).toMatchObject({ code: 'ERR_STATE' });
    expect(() => object.program('out_of_bounds')).toThrow(/open it again/);
  });

  it('survives being closed while it runs', async () => {
    const object = open();
    const loading = object.load();
    object.close();
    expect(await failure(loading)).toMatchObject({ code: 'ERR_CLOSED' });
    expect(() => object.map('counters')).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });

  it('leaves handles good when the object is closed', async () => {
    const object = await loaded();
    const counters = object.map('counters');
    const program = object.program('constant_verdict');
    object.close();
    counters.update(u32(1), u64(5n));
    expect(counters.lookup(u32(1))).toEqual(u64(5n));
    expect((await program.testRun({ data: frame })).retval).toBe(2);
    expect(() => object.map('counters')).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    object.close();
  });

  it('names what is not there', async () => {
    const object = await loaded();
    expect(() => object.map('nope')).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_FOUND', subject: 'nope' }),
    );
    expect(() => object.program('nope')).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }));
  });
});

describe('before loading', () => {
  it('sets constants by name, in every width', async () => {
    const object = open();
    object.setConstants({
      verdict: 3,
      wide: 0xfedcba9876543210n,
      enabled: true,
      name: Uint8Array.of(4, 3, 2, 1),
    });
    await object.load();
    const { retval } = await object.program('constant_verdict').testRun({ data: frame });
    expect(retval).toBe(3);
    expect(object.map('counters').lookup(u32(1))).toEqual(u64(0xfedcba9876543210n));
  });

  it.each<[string, Record<string, number | bigint | boolean | Uint8Array>, string]>([
    ['a name that is no constant', { runs: 1 }, 'ERR_NOT_FOUND'],
    ['a number too large', { verdict: 2 ** 32 }, 'ERR_ARGUMENT'],
    ['a negative number', { verdict: -1 }, 'ERR_ARGUMENT'],
    ['a fraction', { verdict: 0.5 }, 'ERR_ARGUMENT'],
    ['a bigint too large', { wide: 2n ** 64n }, 'ERR_ARGUMENT'],
    ['bytes of a wrong length', { name: Uint8Array.of(1) }, 'ERR_SIZE'],
    ['a number for an array', { name: 1 }, 'ERR_ARGUMENT'],
  ])('refuses %s, changing none', async (_, values, code) => {
    const object = open();
    expect(() => object.setConstants({ verdict: 1, ...values })).toThrow(expect.objectContaining({ code }));
    await object.load();
    expect((await object.program('constant_verdict').testRun({ data: frame })).retval).toBe(2);
  });

  it('says where variables lie, for access after loading', async () => {
    const object = open();
    const { section, offset, size } = object.variable('runs');
    expect([section, size]).toEqual(['.bss', 8]);
    expect(() => object.variable('nope')).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }));
    await object.load();
    const runs = new DataView(object.map(section).mmap());
    await object.program('constant_verdict').testRun({ data: frame, repeat: 5 });
    expect(runs.getBigUint64(offset, true)).toBe(5n);
  });

  it('resizes maps and leaves programs and maps out', async () => {
    const object = open();
    object.setMaxEntries('counters', 17);
    object.setAutoload('metadata', false);
    object.setAutocreate('things', false);
    await object.load();
    expect(object.map('counters').maxEntries).toBe(17);
    expect(() => object.program('metadata')).toThrow(expect.objectContaining({ code: 'ERR_STATE' }));
    expect(() => object.map('things')).toThrow(expect.objectContaining({ code: 'ERR_STATE' }));
  });

  it('takes the shape of inner maps from a map, and existing maps instead of new ones', async () => {
    const inner = BpfMap.create({ type: 'array', name: 'shape', keySize: 4, valueSize: 8, maxEntries: 3 });
    const object = open();
    object.setInnerMap('outer', inner);
    const counters = BpfMap.create({
      type: 'hash',
      name: 'mine',
      keySize: 4,
      valueSize: 8,
      maxEntries: 4096,
    });
    object.reuseMap('counters', counters);
    inner.close();
    await object.load();
    expect(object.map('counters').id).toBe(counters.id);
    const other = open();
    const small = BpfMap.create({ type: 'hash', name: 'small', keySize: 4, valueSize: 8, maxEntries: 1 });
    expect(() => other.reuseMap('counters', small)).toThrow(expect.objectContaining({ code: 'ERR_SHAPE' }));
    expect(() => other.setInnerMap('counters', counters)).toThrow(
      expect.objectContaining({ code: 'ERR_ARGUMENT' }),
    );
    for (const map of [counters, small]) map.close();
  });
});

describe('pins', () => {
  const folder = pinFolder('object');
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('are made on the first load and adopted on the next', async () => {
    const pins = {
      counters: join(folder, 'deep', 'counters'),
      ports: join(folder, 'ports'),
      events: join(folder, 'events'),
    };
    const make = async (): Promise<BpfObject> => {
      const object = open();
      for (const [map, path] of Object.entries(pins)) object.setPinned(map, path);
      await object.load();
      return object;
    };
    const first = await make();
    first.map('counters').update(u32(9), u64(99n));
    const ids = Object.keys(pins).map((map) => first.map(map).id);
    first.close();
    const second = await make();
    expect(Object.keys(pins).map((map) => second.map(map).id)).toEqual(ids);
    expect(second.map('counters').lookup(u32(9))).toEqual(u64(99n));
    expect(BpfMap.openPinned(pins.counters).id).toBe(ids[0]);
  });

  it('of another shape are refused, and nothing is pinned then', async () => {
    const path = join(folder, 'counters');
    const other = BpfMap.create({ type: 'hash', name: 'other', keySize: 4, valueSize: 16, maxEntries: 4096 });
    other.pin(path);
    const object = open();
    object.setPinned('counters', path);
    object.setPinned('routes', join(folder, 'routes'));
    const error = await failure(object.load());
    expect(error).toMatchObject({ code: 'ERR_SHAPE', subject: path });
    expect(error.message).toContain('value size 16, the object declares 8');
    expect(existsSync(join(folder, 'routes'))).toBe(false);
    other.close();
  });

  it('outside a BPF file system are refused with a reason', async () => {
    const object = open();
    const elsewhere = mkdtempSync(join(tmpdir(), 'cabernet-not-bpffs-'));
    object.setPinned('counters', join(elsewhere, 'counters'));
    expect((await failure(object.load())).message).toContain('BPF file system');
    const program = open();
    await program.load();
    expect(() => program.map('counters').pin(join(elsewhere, 'x'))).toThrow(
      expect.objectContaining({ code: 'EPERM' }),
    );
    rmSync(elsewhere, { recursive: true, force: true });
  });

  it('of another kind are refused', async () => {
    const object = await loaded();
    const path = join(folder, 'program');
    object.program('redirect').pin(path);
    expect(() => BpfMap.openPinned(path)).toThrow(expect.objectContaining({ code: 'ERR_FOREIGN' }));
    const other = open();
    other.setPinned('counters', path);
    expect(await failure(other.load())).toMatchObject({ code: 'ERR_FOREIGN', subject: path });
    expect(() => object.map('counters').pin(path)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
  });
});
