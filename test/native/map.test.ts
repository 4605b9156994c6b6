// Maps of every kind: single elements, memory, sizes, closed handles.
import { describe, expect, it } from 'vitest';
import { BpfMap, possibleCpus } from '../../native/lib/map.js';
import { MapFlags } from '../../native/lib/map-types.js';
import { BpfObject } from '../../native/lib/object.js';
import { fixture, makeWire, u32, u64 } from './fixtures.js';
import { make, rejects, throws, u32s } from './made-maps.js';

describe('an element', () => {
  it('comes, is found, and goes', () => {
    const map = make({ type: 'hash' });
    expect(map.lookup(u32(1))).toBeUndefined();
    map.update(u32(1), u64(10n));
    expect(map.lookup(u32(1))).toEqual(u64(10n));
    const into = Buffer.alloc(8);
    expect(map.lookupInto(u32(1), into)).toBe(true);
    expect(into).toEqual(u64(10n));
    expect(map.lookupInto(u32(2), into)).toBe(false);
    expect(map.delete(u32(1))).toBe(true);
    expect(map.delete(u32(1))).toBe(false);
    map.update(u32(1), u64(11n));
    expect(map.lookupAndDelete(u32(1))).toEqual(u64(11n));
    expect(map.lookupAndDelete(u32(1))).toBeUndefined();
  });

  it('obeys the mode of an update', () => {
    const map = make({ type: 'hash', maxEntries: 2 });
    throws('ENOENT', () => map.update(u32(1), u64(1n), 'exist'));
    map.update(u32(1), u64(1n), 'create');
    throws('EEXIST', () => map.update(u32(1), u64(2n), { mode: 'create' }));
    map.update(u32(1), u64(2n), 'exist');
    map.update(u32(2), u64(2n));
    throws('E2BIG', () => map.update(u32(3), u64(3n)));
    throws('ERR_ARGUMENT', () => map.update(u32(3), u64(3n), 'sometimes' as 'any'));
  });

  it('is iterated, and may be deleted meanwhile', () => {
    const map = make({ type: 'hash' });
    for (let i = 0; i < 50; i++) map.update(u32(i), u64(BigInt(i)));
    expect([...map.keys()].map((key) => key.readUInt32LE()).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, i) => i),
    );
    let count = 0;
    for (const [key, value] of map.entries()) {
      expect(value.readBigUInt64LE()).toBe(BigInt(key.readUInt32LE()));
      expect(map.delete(key)).toBe(true);
      count++;
    }
    expect(count).toBe(50);
    expect(map.nextKey()).toBeUndefined();
  });

  it('needs keys and values of the map’s sizes', () => {
    const map = make({ type: 'hash' });
    for (const size of [0, 3, 5, 400]) {
      throws('ERR_SIZE', () => map.lookup(Buffer.alloc(size)));
      throws('ERR_SIZE', () => map.update(Buffer.alloc(size), u64(1n)));
      throws('ERR_SIZE', () => map.update(u32(1), Buffer.alloc(size)));
      throws('ERR_SIZE', () => map.delete(Buffer.alloc(size)));
      throws('ERR_SIZE', () => map.nextKey(Buffer.alloc(size)));
      throws('ERR_SIZE', () => map.lookupInto(u32(1), Buffer.alloc(size)));
      throws('ERR_SIZE', () => map.lookupAndDelete(Buffer.alloc(size)));
    }
  });

  it('takes no bytes from a detached or resized buffer', () => {
    const map = make({ type: 'hash' });
    const key = new Uint8Array(4);
    structuredClone(key.buffer, { transfer: [key.buffer] });
    throws('ERR_SIZE', () => map.lookup(key));
    throws('ERR_SIZE', () => map.update(u32(1), key));
    throws('ERR_ARGUMENT', () => map.lookup(new Uint32Array(1) as unknown as Uint8Array));
    throws('ERR_ARGUMENT', () => map.lookup(new ArrayBuffer(4) as unknown as Uint8Array));
    throws('ERR_ARGUMENT', () => map.lookup([1, 2, 3, 4] as unknown as Uint8Array));
    const shared = new Uint8Array(new SharedArrayBuffer(4));
    map.update(shared, u64(1n));
    expect(map.lookup(shared)).toEqual(u64(1n));
  });
});

describe('kinds of maps', () => {
  it('array: elements exist, are zero and stay', () => {
    const map = make({ type: 'array' });
    expect(map.lookup(u32(63))).toEqual(u64(0n));
    expect(map.lookup(u32(64))).toBeUndefined();
    throws('E2BIG', () => map.update(u32(64), u64(1n)));
    throws('EINVAL', () => map.delete(u32(1)));
  });

  it('lru_hash: forgets instead of being full', () => {
    const map = make({ type: 'lru_hash', maxEntries: 16 });
    for (let i = 0; i < 1000; i++) map.update(u32(i), u64(BigInt(i)));
    expect([...map.keys()].length).toBeLessThanOrEqual(16 + 128 * possibleCpus());
  });

  it.each(['percpu_array', 'percpu_hash', 'lru_percpu_hash'] as const)(
    '%s: a value per CPU, on 8-byte strides',
    (type) => {
      const map = make({ type, valueSize: 4 });
      expect(map.stride).toBe(8);
      expect(map.transferSize).toBe(8 * possibleCpus());
      const value = Buffer.alloc(map.transferSize);
      for (let cpu = 0; cpu < possibleCpus(); cpu++) value.writeUInt32LE(100 + cpu, cpu * map.stride);
      map.update(u32(1), value);
      expect(map.lookup(u32(1))).toEqual(value);
      throws('ERR_SIZE', () => map.update(u32(1), u32(1)));
    },
  );

  it('lpm_trie: the longest prefix wins', () => {
    const map = make({ type: 'lpm_trie', keySize: 8, valueSize: 4, flags: MapFlags.NO_PREALLOC });
    const prefix = (length: number, ...bytes: number[]): Buffer =>
      Buffer.concat([u32(length), Buffer.from(bytes)]);
    map.update(prefix(8, 10, 0, 0, 0), u32(8));
    map.update(prefix(24, 10, 1, 2, 0), u32(24));
    expect(map.lookup(prefix(32, 10, 1, 2, 3))).toEqual(u32(24));
    expect(map.lookup(prefix(32, 10, 1, 3, 3))).toEqual(u32(8));
    expect(map.lookup(prefix(32, 11, 1, 3, 3))).toBeUndefined();
  });

  it('queue: takes an empty key', () => {
    const map = make({ type: 'queue', keySize: 0 });
    map.update(Buffer.alloc(0), u64(1n));
    map.update(Buffer.alloc(0), u64(2n));
    expect(map.lookup(Buffer.alloc(0))).toEqual(u64(1n));
    expect(map.lookupAndDelete(Buffer.alloc(0))).toEqual(u64(1n));
    expect(map.lookupAndDelete(Buffer.alloc(0))).toEqual(u64(2n));
    expect(map.lookupAndDelete(Buffer.alloc(0))).toBeUndefined();
  });

  it.each(['array_of_maps', 'hash_of_maps'] as const)(
    '%s: holds maps, in one go or one by one',
    async (type) => {
      const inners = [1n, 2n, 3n].map((value) => {
        const inner = make({ type: 'array', maxEntries: 4 });
        inner.update(u32(0), u64(value));
        return inner;
      });
      const outer = make({ type, valueSize: 4, maxEntries: 4, innerMap: inners[0]! });
      outer.update(u32(0), inners[0]!);
      await outer.updateAsync(u32(1), inners[1]!);
      expect(outer.lookup(u32(1))?.readUInt32LE()).toBe(inners[1]!.id);
      await outer.updateBatch(
        u32s(3, (i) => i),
        [inners[2]!, inners[1]!, inners[0]!],
      );
      expect(outer.lookup(u32(0))?.readUInt32LE()).toBe(inners[2]!.id);
      const found = BpfMap.openId(outer.lookup(u32(0))!.readUInt32LE());
      expect(found.lookup(u32(0))).toEqual(u64(3n));
      found.close();
      await rejects('EINVAL', outer.updateAsync(u32(0), make({ type: 'hash' })));
      await rejects(
        'ERR_SIZE',
        outer.updateBatch(
          u32s(3, (i) => i),
          [inners[0]!],
        ),
      );
      inners[0]!.close();
      throws('ERR_CLOSED', () => outer.update(u32(0), inners[0]!));
    },
  );

  it('an inner map may be closed while its update is under way', async () => {
    const inner = make({ type: 'array' });
    const outer = make({ type: 'array_of_maps', valueSize: 4, innerMap: inner });
    const { id } = inner;
    const updates = Array.from({ length: 8 }, (_, i) => outer.updateAsync(u32(i), inner));
    inner.close();
    outer.close();
    const again = BpfMap.openId(outer.id);
    await Promise.all(updates);
    for (let i = 0; i < 8; i++) expect(again.lookup(u32(i))?.readUInt32LE()).toBe(id);
    again.close();
  });

  it('devmap and devmap_hash: interfaces of the namespace asked for, with a program', async () => {
    const wire = makeWire('devmap');
    const object = BpfObject.open(fixture('maps'));
    try {
      await object.load();
      for (const map of [object.map('ports'), make({ type: 'devmap_hash' })]) {
        const program = object.program('on_leaving');
        map.setDevice(3, { ifindex: wire.a, program }, { netns: wire.path });
        const value = map.lookup(u32(3))!;
        expect([value.readUInt32LE(0), value.readUInt32LE(4)]).toEqual([wire.a, program.id]);
        map.setDevice(3, { ifindex: wire.b }, { netns: wire.path });
        throws('EINVAL', () => map.setDevice(3, { ifindex: 0x7fffffff }, { netns: wire.path }));
        throws('ENOENT', () => map.setDevice(3, { ifindex: wire.a }, { netns: '/run/netns/nowhere' }));
        throws('EINVAL', () => map.setDevice(3, { ifindex: wire.a }, { netns: '/dev/null' }));
        throws('ERR_ARGUMENT', () => map.setDevice(-1, { ifindex: wire.a }));
        throws('ERR_FOREIGN', () => map.setDevice(3, { ifindex: 1, program: {} as typeof program }));
        expect(map.delete(u32(3))).toBe(true);
        map.close();
      }
      throws('ERR_STATE', () => make({ type: 'hash' }).setDevice(1, { ifindex: 1 }));
    } finally {
      object.close();
      wire.remove();
    }
  });

  it('prog_array: takes programs', async () => {
    const object = BpfObject.open(fixture('maps'));
    await object.load();
    const calls = object.map('calls');
    const data = Buffer.alloc(64);
    expect((await object.program('caller').testRun({ data })).retval).toBe(0);
    calls.update(u32(0), object.program('constant_verdict'));
    expect((await object.program('caller').testRun({ data })).retval).toBe(2);
    throws('ERR_FOREIGN', () => calls.update(u32(0), {} as BpfMap));
    object.close();
  });

  it('is refused when its options do not fit, or are not there', () => {
    throws('EINVAL', () => make({ type: 'array', keySize: 8 }));
    throws('ERR_ARGUMENT', () => make({ type: 'unknown' }));
    throws('ERR_ARGUMENT', () => make({ type: 'no_such_kind' as 'hash' }));
    throws('ERR_ARGUMENT', () => make({ type: 'hash', keySize: -1 }));
    throws('ERR_ARGUMENT', () => make({ type: 'hash', maxEntries: 2 ** 32 }));
    throws('ERR_FOREIGN', () => make({ type: 'array_of_maps', valueSize: 4, innerMap: {} as BpfMap }));
    throws('ENOENT', () => BpfMap.openId(0xfffffff0));
  });
});

describe('memory', () => {
  it('of an array is shared with the kernel, on 8-byte strides', () => {
    const map = make({ type: 'array', valueSize: 4, flags: MapFlags.MMAPABLE });
    expect(map.stride).toBe(8);
    const memory = new DataView(map.mmap());
    expect(memory.byteLength).toBe(64 * 8);
    memory.setUint32(5 * map.stride, 55, true);
    expect(map.lookup(u32(5))).toEqual(u32(55));
    map.update(u32(6), u32(66));
    expect(memory.getUint32(6 * map.stride, true)).toBe(66);
    Atomics.add(new Uint32Array(map.mmap()), 12, 1);
    expect(memory.getUint32(6 * map.stride, true)).toBe(67);
  });

  it('survives the handle', () => {
    const map = make({ type: 'array', valueSize: 4, flags: MapFlags.MMAPABLE });
    const [one, two] = [new Uint32Array(map.mmap()), new Uint32Array(map.mmap())];
    map.close();
    one[0] = 7;
    expect(two[0]).toBe(7);
    throws('ERR_CLOSED', () => map.mmap());
  });

  it('can neither be transferred away nor mapped where it must not be', () => {
    const map = make({ type: 'array', flags: MapFlags.MMAPABLE });
    const memory = map.mmap();
    try {
      structuredClone(memory, { transfer: [memory] });
    } catch {
      // Newer Node refuses, older Node copies.
    }
    expect(memory.byteLength).toBe(64 * 8);
    throws('ERR_STATE', () => make({ type: 'array' }).mmap());
    throws('ERR_STATE', () => make({ type: 'hash' }).mmap());
    const frozen = make({ type: 'array', flags: MapFlags.MMAPABLE });
    frozen.freeze();
    throws('EPERM', () => frozen.mmap());
    throws('EPERM', () => frozen.update(u32(0), u64(1n)));
    throws('EBUSY', () => map.freeze());
  });

  it('held by the kernel is told', () => {
    expect(make({ type: 'array', maxEntries: 10_000 }).memory()).toBeGreaterThanOrEqual(80_000);
  });
});

describe('a closed handle', () => {
  it('refuses everything but what it knows by heart', async () => {
    const map = make({ type: 'hash' });
    map.close();
    map.close();
    expect([map.name, map.keySize, map.type]).toEqual(['test', 4, 'hash']);
    for (const action of [
      () => map.fd,
      () => map.lookup(u32(1)),
      () => map.update(u32(1), u64(1n)),
      () => map.delete(u32(1)),
      () => map.nextKey(),
      () => [...map.entries()],
      () => map.pin('/sys/fs/bpf/cabernet-test-never'),
      () => map.freeze(),
      () => map.memory(),
    ]) {
      throws('ERR_CLOSED', action);
    }
    await rejects('ERR_CLOSED', map.lookupBatch());
    await rejects('ERR_CLOSED', map.updateAsync(u32(1), u64(1n)));
  });

  it('does not disturb what is under way on it', async () => {
    const map = make({ type: 'hash', maxEntries: 50_000 });
    const working = Promise.all([
      map.updateBatch(
        u32s(50_000, (i) => i),
        Buffer.alloc(400_000),
      ),
      map.lookupBatch(),
      map.deleteBatch(u32s(10, (i) => i)),
    ]);
    map.close();
    await working;
  });
});
