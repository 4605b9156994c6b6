/** All entries below a prefix: over several pages, of one moment, however the store goes on meanwhile. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { eachEntry, listAll } from '../../src/store/index.js';
import { SqliteStore } from '../../src/store/sqlite.js';

test('2500 entries, all of the moment of the first', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-store-'));
  const store = await SqliteStore.open({ path: join(folder, 's.db'), owner: 'test/all' });
  try {
    const keys = Array.from({ length: 2500 }, (_, i) => `a/${String(i).padStart(4, '0')}`);
    for (let i = 0; i < keys.length; i += 500)
      await store.commit({
        changes: keys.slice(i, i + 500).map((key) => ({ kind: 'put', key, value: Buffer.from(key) })),
      });
    await store.commit({ changes: [{ kind: 'put', key: 'b', value: Buffer.alloc(1) }] });
    const seen: string[] = [];
    for await (const { key } of eachEntry(store, 'a/')) {
      if (seen.length === 0) {
        await store.commit({
          changes: [
            { kind: 'delete', key: 'a/2000' },
            { kind: 'put', key: 'a/9999', value: Buffer.alloc(1) },
          ],
        });
      }
      seen.push(key);
    }
    expect(seen).toEqual(keys);
    expect((await listAll(store, 'a/')).map(({ key }) => key)).toEqual([
      ...keys.filter((key) => key !== 'a/2000'),
      'a/9999',
    ]);
    expect(await listAll(store, 'c')).toEqual([]);
  } finally {
    await store.close();
    rmSync(folder, { recursive: true });
  }
});
