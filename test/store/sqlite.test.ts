/** What only a file can do: be killed, torn, copied, foreign, damaged, full. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';

import { SqliteLeader } from '../../src/store/leader.js';
import { SqliteStore } from '../../src/store/sqlite.js';
import { APPLICATION_ID, migrate, MIGRATIONS } from '../../src/store/sqlite-file.js';
import { type Batch, LIMITS, type Revision } from '../../src/store/store.js';
import { bytes, codeOf, del, faultOf, listAll, put, said, take, text } from './conformance.js';
import { OWNER, startWriter, temporaryFolder, type Writer } from './support.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder, 'store.db');
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (history?: { changes?: number; bytes?: number }): Promise<SqliteStore> =>
  SqliteStore.open({ path, owner: OWNER, history });

/** Each commit puts five keys with its own number; eight are under way at any time. */
const KEYS = 5;
const WRITER = `
  const store = await it.SqliteStore.open({ path: process.env.STORE, owner: process.env.OWNER });
  let number = (await store.list('', { limit: 1 })).revision * 100_000;
  async function write() {
    for (;;) {
      const n = number++;
      const changes = [0, 1, 2, 3, 4].map((k) => ({ kind: 'put', key: n + '/' + k, value: Buffer.alloc(300, n) }));
      const revision = await store.commit({ changes });
      process.stdout.write(n + ' ' + revision + '\\n');
    }
  }
  await Promise.all(Array.from({ length: 8 }, write));
`;

function startSqliteWriter(): Writer {
  return startWriter('sqlite.js', WRITER, { STORE: path, OWNER });
}

/** The commits that are there: number to revision. Fails for half a one. */
async function wholeCommits(store: SqliteStore): Promise<Map<number, Revision>> {
  const found = new Map<number, Revision[]>();
  for (const { key, modified } of (await listAll(store, '', LIMITS.page)).entries) {
    const number = Number(key.split('/')[0]);
    found.set(number, [...(found.get(number) ?? []), modified]);
  }
  for (const [number, revisions] of found) {
    expect(revisions, `commit ${number}`).toEqual(Array.from({ length: KEYS }, () => revisions[0]));
  }
  return new Map([...found].map(([number, [revision]]) => [number, revision!]));
}

describe('a process that is killed', () => {
  test(
    'lost no commit it was answered, and left no half one; the history is whole too',
    { timeout: 60_000 },
    async () => {
      const answered = new Map<number, Revision>();
      for (let round = 0; round < 5; round++) {
        const writer = startSqliteWriter();
        await writer.said(50 + 37 * round);
        writer.child.kill('SIGKILL');
        await writer.ended;
        for (const line of writer.lines) {
          const [number, revision] = line.split(' ').map(Number);
          answered.set(number!, revision!);
        }
        const store = await open();
        const there = await wholeCommits(store);
        for (const [number, revision] of answered)
          expect(there.get(number), `commit ${number}`).toBe(revision);
        const batches = await take(store.watch('', 0), there.size);
        expect(batches.map((batch) => [batch.revision, batch.events.length])).toEqual(
          [...there.values()].sort((a, b) => a - b).map((revision) => [revision, KEYS]),
        );
        await store.close();
      }
      expect(answered.size).toBeGreaterThan(500);
    },
  );

  test(
    'and whose last writes were torn: what is left is a beginning, of whole commits',
    { timeout: 60_000 },
    async () => {
      const writer = startSqliteWriter();
      await writer.said(100);
      writer.child.kill('SIGKILL');
      await writer.ended;
      const main = join(folder, 'main');
      const log = join(folder, 'log');
      copyFileSync(path, main);
      copyFileSync(`${path}-wal`, log);
      const { size } = statSync(log);
      const counts: number[] = [];
      const torn: number[] = [];
      for (let cut = 0; cut <= 20; cut++) {
        rmSync(path);
        copyFileSync(main, path);
        copyFileSync(log, `${path}-wal`);
        const at = Math.floor((size * cut) / 20);
        if (cut % 2 === 0) truncateSync(`${path}-wal`, at);
        else {
          // a block that never reached the disk, with later ones that did
          const content = readFileSync(log);
          content.fill(0, at, at + 512);
          writeFileSync(`${path}-wal`, content);
        }
        const store = await open();
        const revisions = [...(await wholeCommits(store)).values()].sort((a, b) => a - b);
        expect(revisions).toEqual(revisions.map((_, index) => index + 2));
        (cut % 2 === 0 ? counts : torn).push(revisions.length);
        await store.close();
      }
      expect(counts.at(-1)).toBeGreaterThanOrEqual(100);
      expect(counts.toSorted((a, b) => a - b)).toEqual(counts);
      expect(new Set(counts).size).toBeGreaterThan(5);
      expect(Math.min(...torn)).toBeLessThan(50);
    },
  );
});

describe('one file, one process', () => {
  test('a second store of the same process is refused, and takes nothing from the first', async () => {
    const store = await open();
    expect(await codeOf(open())).toBe('IN_USE');
    await store.commit({ changes: [put('a')] });
    const writer = startSqliteWriter();
    expect(await writer.ended).not.toBe(0);
    expect(writer.lines).toEqual([]);
    await store.close();
    await (await open()).close();
  });

  test('a second process is refused until the first is gone, however it went', async () => {
    const writer = startSqliteWriter();
    await writer.said(1);
    expect(await codeOf(open())).toBe('IN_USE');
    const opening = (async () => {
      for (;;) {
        try {
          return await open();
        } catch {
          // as a supervisor does
        }
      }
    })();
    writer.child.kill('SIGKILL');
    await (await opening).close();
  });

  test('of ten that open a new file at once one gets it', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => open()));
    const opened = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(opened).toHaveLength(1);
    await opened[0]!.close();
  });

  test('a reader from outside is refused too', async () => {
    const store = await open();
    const reader = new Sqlite(path, { readonly: true, timeout: 0 });
    expect(() => reader.prepare('SELECT * FROM entry').all()).toThrow(/locked/);
    reader.close();
    await store.close();
  });

  test('its files are for its owner alone, also if they were not', async () => {
    const before = process.umask(0);
    onTestFinished(() => void process.umask(before));
    const modes = (): number[] => [path, `${path}-wal`].map((name) => statSync(name).mode & 0o777);
    const store = await open();
    await store.commit({ changes: [put('a')] });
    expect(modes()).toEqual([0o600, 0o600]);
    await store.close();
    execFileSync('chmod', ['666', path]);
    const again = await open();
    await again.commit({ changes: [put('a')] });
    expect(modes()).toEqual([0o600, 0o600]);
    await again.close();
  });

  test('whoever has it open leads', async () => {
    const store = await open();
    const leader = new SqliteLeader(store, 'me');
    const { store: led, lost, resign } = await leader.campaign();
    await led.commit({ changes: [put('a')] });
    await resign();
    expect([lost.aborted, await leader.current()]).toEqual([false, 'me']);
    await store.close();
  });
});

describe('what is no store of ours is left as it is', () => {
  const digest = (): string => createHash('sha256').update(readFileSync(path)).digest('hex');

  async function refused(): Promise<string> {
    const before = digest();
    const { mode } = statSync(path);
    const fault = await faultOf(open());
    expect(digest()).toBe(before);
    expect(statSync(path).mode).toBe(mode);
    expect(existsSync(`${path}-wal`)).toBe(false);
    expect(fault?.message).toContain(path);
    return fault?.code ?? 'no error';
  }

  test('a text', async () => {
    writeFileSync(path, 'no database at all. '.repeat(500), { mode: 0o644 });
    expect(await refused()).toBe('FOREIGN');
  });

  test("another program's database", async () => {
    const other = new Sqlite(path);
    other.exec('CREATE TABLE entry (key, value)');
    other.close();
    expect(await refused()).toBe('FOREIGN');
  });

  test("another controller's store", async () => {
    await (await SqliteStore.open({ path, owner: 'service/iptv' })).close();
    expect(await refused()).toBe('FOREIGN');
  });

  test('a newer one', async () => {
    await (await open()).close();
    const newer = new Sqlite(path);
    newer.pragma(`user_version = ${MIGRATIONS.length + 1}`);
    newer.close();
    rmSync(`${path}-wal`, { force: true });
    rmSync(`${path}-shm`, { force: true });
    expect(await refused()).toBe('NEWER');
  });

  test('a folder, and a folder that is not there', async () => {
    mkdirSync(path);
    expect(await codeOf(open())).toBe('INVALID');
    expect(await codeOf(SqliteStore.open({ path: join(folder, 'none', 'x'), owner: OWNER }))).toBe('INVALID');
  });

  test('a damaged one, wherever the damage is', { timeout: 60_000 }, async () => {
    const store = await open();
    for (let index = 0; index < 60; index++) {
      const changes = Array.from({ length: 20 }, (_, key) => put(`k${key}/${index}`, 'v'.repeat(200)));
      await store.commit({ changes });
    }
    await store.close();
    const whole = readFileSync(path);
    const page = 4096;
    const codes = new Map<string, number>();
    for (let damaged = 0; damaged < whole.length / page; damaged += 3) {
      const content = Buffer.from(whole);
      // the head of a page: its kind and how many cells it has
      content.fill(0xa5, damaged * page, damaged * page + 8);
      writeFileSync(path, content);
      const code = await codeOf(open().then((opened) => opened.close()));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect([...codes.keys()].sort()).toEqual(['CORRUPT', 'FOREIGN']);
    // of the first page the name of the format is lost
    expect(codes.get('FOREIGN')).toBe(1);
    writeFileSync(path, whole.subarray(0, whole.length / 2));
    expect(await codeOf(open())).toBe('CORRUPT');
  });
});

test('migrations go on from where a file is, all of them or none', () => {
  const db = new Sqlite(path);
  migrate(db, [...MIGRATIONS, 'CREATE TABLE one (a)']);
  migrate(db, [...MIGRATIONS, 'CREATE TABLE one (a)', 'ALTER TABLE one ADD COLUMN b']);
  expect(db.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length + 2);
  expect(db.pragma('application_id', { simple: true })).toBe(APPLICATION_ID);
  db.exec('INSERT INTO one (a, b) VALUES (1, 2)');
  const wrong = [...MIGRATIONS, '', '', 'CREATE TABLE two (a)', 'CREATE TABLE one (a)'];
  expect(() => migrate(db, wrong)).toThrow(/already exists/);
  expect(db.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length + 2);
  expect(db.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'two'").pluck().get()).toBe(0);
  db.close();
});

describe('backup', () => {
  test('of a store that is written to: whole commits up to some moment', { timeout: 60_000 }, async () => {
    const store = await open();
    let number = 0;
    const write = async (): Promise<void> => {
      const n = number++;
      await store.commit({
        changes: Array.from({ length: KEYS }, (_, key) => put(`${n}/${key}`, 'v'.repeat(2000))),
      });
    };
    while (number < 300) await write();
    const copy = join(folder, 'copy.db');
    let copied = false;
    const copying = store.backup(copy).finally(() => (copied = true));
    while (!copied) await write();
    await copying;
    expect(number).toBeGreaterThan(300);
    expect(await codeOf(store.backup(copy))).toBe('INVALID');
    await write();
    const { revision } = await store.list('');
    const [last] = (await store.list(`${number - 1}/`)).entries;
    await store.close();
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    expect(existsSync(`${copy}.partial`)).toBe(false);
    const restored = await SqliteStore.open({ path: copy, owner: OWNER });
    const there = await wholeCommits(restored);
    // what the original said after the copy means nothing here, and is not mistaken for something
    expect(await codeOf(restored.watch('', revision).next())).toBe('COMPACTED');
    expect(
      await codeOf(restored.commit({ changes: [], preconditions: [{ key: last!.key, revision }] })),
    ).toBe('CONFLICT');
    expect(await restored.commit({ changes: [put('0/0', 'again')] })).toBeGreaterThan(revision);
    const { revision: now } = await restored.list('');
    expect(await codeOf(restored.watch('', now - 1).next())).toBe('no error');
    expect(there.size).toBeGreaterThanOrEqual(300);
    expect(there.size).toBeLessThan(number);
    expect([...there.keys()].sort((a, b) => a - b)).toEqual(
      Array.from({ length: there.size }, (_, index) => index),
    );
    await restored.close();
  });

  test('that fails leaves nothing behind', async () => {
    const store = await open();
    expect(await codeOf(store.backup(join(folder, 'none', 'copy')))).toBe('INVALID');
    writeFileSync(join(folder, 'there.partial'), 'precious');
    expect(await codeOf(store.backup(join(folder, 'there')))).toBe('INVALID');
    expect(existsSync(join(folder, 'there'))).toBe(false);
    expect(readFileSync(join(folder, 'there.partial'), 'utf8')).toBe('precious');
    await store.close();
    expect(await codeOf(store.backup(join(folder, 'copy')))).toBe('CLOSED');
    expect(existsSync(join(folder, 'copy'))).toBe(false);
  });
});

describe('history', () => {
  test('is bounded; a slow watcher is told, a quick one sees all, the state stays', async () => {
    const store = await open({ changes: 50 });
    const start = (await store.commit({ changes: [put('k0', 'first')] })) - 1;
    const slow = store.watch('', start);
    expect(said((await slow.next()).value as Batch)).toEqual(['k0=first was absent']);
    const quick = take(store.watch('', start), 201);
    for (let index = 1; index <= 200; index++)
      await store.commit({ changes: [put(`k${index}`, String(index))] });
    expect(await quick).toHaveLength(201);
    expect(await codeOf(slow.next())).toBe('COMPACTED');
    const { revision } = await store.list('');
    expect(await take(store.watch('', revision - 50), 50)).toHaveLength(50);
    expect(await codeOf(store.watch('', revision - 51).next())).toBe('COMPACTED');
    expect(await codeOf(store.list('', { revision: revision - 51 }))).toBe('COMPACTED');
    expect((await listAll(store)).entries).toHaveLength(201);
    await store.close();
    const db = new Sqlite(path, { readonly: true });
    expect(db.prepare('SELECT count(*) FROM history').pluck().get()).toBe(50);
    db.close();
  });

  test('is bounded by bytes too, and the file does not grow by what is replaced', async () => {
    const store = await open({ bytes: 200_000 });
    const value = 'x'.repeat(10_000);
    for (let index = 0; index < 200; index++)
      await store.commit({ changes: [put('a', value), put('b', value)] });
    await store.close();
    expect(statSync(path).size).toBeLessThan(1_000_000);
  });

  test('a commit larger than all of it is still an event', async () => {
    const store = await open({ changes: 10 });
    const { revision } = await store.list('');
    await store.commit({ changes: Array.from({ length: 100 }, (_, index) => put(`k${index}`)) });
    expect((await take(store.watch('', revision), 1))[0]?.events).toHaveLength(100);
    await store.close();
  });
});

test('commits of one turn share their writes to the disk', async () => {
  const writes = (): number => Number(/syscw: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
  const store = await open();
  const commit = (index: number): Promise<Revision> => store.commit({ changes: [put(`k${index}`, 'value')] });
  for (let index = 0; index < 100; index++) await commit(index);
  const before = writes();
  for (let index = 0; index < 100; index++) await commit(index);
  const between = writes();
  await Promise.all(Array.from({ length: 100 }, (_, index) => commit(index)));
  const after = writes();
  expect(between - before).toBeGreaterThanOrEqual(200);
  expect(after - between).toBeLessThan((between - before) / 4);
  await store.close();
});

const small = ((): string | undefined => {
  if (process.getuid?.() !== 0) return 'it takes root to mount a small disk';
  const place = temporaryFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'cabernet', place], { stdio: 'ignore' });
    execFileSync('umount', [place]);
    return undefined;
  } catch {
    return 'no file system can be mounted here';
  } finally {
    rmSync(place, { recursive: true });
  }
})();

test.skipIf(small)(
  `${small ? 'SKIP ' : ''}a full disk refuses commits and keeps what is there; with room it goes on${small ? `: ${small}` : ''}`,
  async () => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'cabernet', disk]);
    try {
      path = join(disk, 'store.db');
      const ballast = join(disk, 'ballast');
      writeFileSync(ballast, Buffer.alloc(700_000));
      const store = await open();
      const big = 'x'.repeat(50_000);
      let count = 0;
      let code: string;
      do code = await codeOf(store.commit({ changes: [put(`k${count++}`, big)] }));
      while (code === 'no error');
      expect(code).toBe('FULL');
      expect((await listAll(store)).entries).toHaveLength(count - 1);
      rmSync(ballast);
      await store.commit({ changes: [put('more', 'room')] });
      await store.close();
      const again = await open();
      expect(text((await again.get('more'))?.value)).toBe('room');
      expect((await listAll(again)).entries).toHaveLength(count);
      await again.close();
    } finally {
      execFileSync('umount', [disk]);
    }
  },
);

test('a thousand large commits at once leave the loop its turns', async () => {
  const store = await open();
  let turns = 0;
  let done = false;
  const tick = (): void => {
    turns++;
    if (!done) setImmediate(tick);
  };
  tick();
  const value = 'x'.repeat(20_000);
  await Promise.all(
    Array.from({ length: 1000 }, (_, index) => store.commit({ changes: [put(`k${index}`, value)] })),
  );
  done = true;
  expect(turns).toBeGreaterThanOrEqual(4);
  await store.commit({ changes: [del('k0'), { kind: 'put', key: 'k1', value: bytes('small') }] });
  await store.close();
});
