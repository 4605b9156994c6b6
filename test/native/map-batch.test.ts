// Many elements of a map at once: whole maps, batches, map kinds that have none.
import { describe, expect, it } from 'vitest';
import type { MapOptions } from '../../native/lib/map.js';
import { MapFlags } from '../../native/lib/map-types.js';
import { u32 } from './fixtures.js';
import { make, rejects, u32s } from './made-maps.js';

describe('many elements', () => {
  it.each<[string, Partial<MapOptions> & Pick<MapOptions, 'type'>]>([
    ['a hash', { type: 'hash' }],
    ['a hash without preallocation', { type: 'hash', flags: MapFlags.NO_PREALLOC }],
    ['an lru hash', { type: 'lru_hash', maxEntries: 100_000 }],
    ['a per-CPU hash', { type: 'percpu_hash' }],
  ])('are set, read and deleted in %s', async (_, options) => {
    const count = 5000;
    const map = make({ maxEntries: count, ...options });
    const keys = u32s(count, (i) => i * 7);
    const values = Buffer.alloc(count * map.transferSize);
    for (let i = 0; i < count; i++) values.writeUInt32LE(i, i * map.transferSize);
    await map.updateBatch(keys, values);
    const all = await map.lookupBatch();
    expect(all.keys.length).toBe(count * 4);
    expect(all.values.length).toBe(count * map.transferSize);
    const seen = new Set<number>();
    for (let i = 0; i < count; i++) {
      const key = all.keys.readUInt32LE(i * 4);
      expect(all.values.readUInt32LE(i * map.transferSize) * 7).toBe(key);
      seen.add(key);
    }
    expect(seen.size).toBe(count);
    expect(await map.deleteBatch(u32s(count * 2, (i) => i * 7))).toBe(count);
    expect((await map.lookupBatch()).keys.length).toBe(0);
  });

  it('are read from arrays, tries and map kinds without batch operations alike', async () => {
    const array = make({ type: 'array', maxEntries: 3000 });
    expect((await array.lookupBatch()).values.length).toBe(24_000);
    const trie = make({ type: 'lpm_trie', keySize: 8, flags: MapFlags.NO_PREALLOC, maxEntries: 5000 });
    const keys = Buffer.concat(Array.from({ length: 3000 }, (_, i) => Buffer.concat([u32(32), u32(i)])));
    await trie.updateBatch(keys, Buffer.alloc(24_000));
    expect((await trie.lookupBatch()).keys.length).toBe(24_000);
    expect(await trie.deleteBatch(keys)).toBe(3000);
    const devices = make({ type: 'devmap_hash', maxEntries: 8 });
    await devices.updateBatch(
      u32s(3, (i) => i),
      Buffer.concat([0, 1, 2].map(() => Buffer.concat([u32(1), u32(0)]))),
    );
    expect((await devices.lookupBatch()).keys.length).toBe(12);
    expect(await devices.deleteBatch(u32s(5, (i) => i))).toBe(3);
  });

  it('crowded into one bucket are read although they exceed a chunk (ENOSPC)', async () => {
    const map = make({ type: 'hash', maxEntries: 1000 });
    await map.updateBatch(
      u32s(1000, (i) => i),
      Buffer.alloc(8000),
    );
    const { keys } = await map.lookupBatch({ chunk: 1 });
    expect(keys.length).toBe(4000);
    expect(new Set(Array.from({ length: 1000 }, (_, i) => keys.readUInt32LE(i * 4))).size).toBe(1000);
    await rejects('ERR_ARGUMENT', map.lookupBatch({ chunk: 0 }));
  });

  it('that do not fit are reported with how many were done', async () => {
    const map = make({ type: 'hash', maxEntries: 10 });
    await expect(
      map.updateBatch(
        u32s(20, (i) => i),
        Buffer.alloc(160),
      ),
    ).rejects.toThrow(expect.objectContaining({ code: 'E2BIG', completed: 10 }));
    expect((await map.lookupBatch()).keys.length).toBe(40);
    await expect(
      map.updateBatch(
        u32s(3, (i) => i + 8),
        Buffer.alloc(24),
        'exist',
      ),
    ).rejects.toThrow(expect.objectContaining({ code: 'ENOENT', completed: 2 }));
  });

  it('need whole keys and as many values', async () => {
    const map = make({ type: 'hash' });
    await rejects('ERR_SIZE', map.updateBatch(Buffer.alloc(7), Buffer.alloc(8)));
    await rejects('ERR_SIZE', map.updateBatch(Buffer.alloc(8), Buffer.alloc(8)));
    await rejects('ERR_SIZE', map.deleteBatch(Buffer.alloc(7)));
    await rejects('ERR_SIZE', map.updateBatch(u32(1), [make({ type: 'array' })]));
    await map.updateBatch(Buffer.alloc(0), Buffer.alloc(0));
    expect(await map.deleteBatch(Buffer.alloc(0))).toBe(0);
    await rejects('ERR_STATE', make({ type: 'queue', keySize: 0 }).lookupBatch());
  });

  it('are copied at once: the buffers may be changed while the work goes on', async () => {
    const map = make({ type: 'hash', maxEntries: 1000 });
    const keys = u32s(1000, (i) => i);
    const working = map.updateBatch(keys, Buffer.alloc(8000, 1));
    keys.fill(255);
    await working;
    expect(map.lookup(u32(999))).toEqual(Buffer.alloc(8, 1));
  });

  it('stay right while the map changes under the reader', async () => {
    const map = make({ type: 'hash', maxEntries: 20_000 });
    await map.updateBatch(
      u32s(5000, (i) => i),
      Buffer.alloc(40_000),
    );
    const churn = Array.from({ length: 20 }, (_, n) =>
      n % 2 === 0
        ? map.updateBatch(
            u32s(2000, (i) => 10_000 + i),
            Buffer.alloc(16_000),
          )
        : map.deleteBatch(u32s(2000, (i) => 10_000 + i)),
    );
    const { keys } = await map.lookupBatch();
    const stable = new Set<number>();
    for (let at = 0; at < keys.length; at += 4)
      if (keys.readUInt32LE(at) < 5000) stable.add(keys.readUInt32LE(at));
    expect(stable.size).toBe(5000);
    await Promise.all(churn);
  });
});
