/** The state over a store that loses its answers: what memory holds afterwards is what the store holds, or nothing is changed any more. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { ApiError } from '../../src/api/errors.js';
import { catalogue, type Bodies } from '../../src/connectivity/kinds.js';
import { type Changed, State, type Transaction } from '../../src/controller/state.js';
import { listAll, type Revision, type Store, StoreError, type Commit } from '../../src/store/index.js';
import { SqliteStore } from '../../src/store/sqlite.js';

/** What becomes of a commit: said to be so; or its answer is lost. */
type Fate =
  | 'answered'
  /** Written; the answer is lost. */
  | 'written'
  /** It never arrived, and whoever sent it cannot know. */
  | 'gone'
  /** It arrives after the next commit that arrives. */
  | 'late'
  | 'refused';

const lost = (): StoreError => new StoreError('UNAVAILABLE', 'the line is dead', { maybeCommitted: true });
const away = (): StoreError => new StoreError('UNAVAILABLE', 'nobody there');

/** SQLite behind a line that fails as told; an answer is the default. */
class LossyStore implements Store {
  readonly inner: SqliteStore;
  readonly fates: Fate[] = [];
  /** So many reads fail. */
  deafFor = 0;
  /** Thrown by every commit. */
  ended: StoreError | undefined;
  /** What became of those that were late. */
  readonly arrivals: string[] = [];
  #late: Commit[] = [];

  constructor(inner: SqliteStore) {
    this.inner = inner;
  }

  get: Store['get'] = async (key) => {
    if (this.deafFor > 0) {
      this.deafFor--;
      throw away();
    }
    return this.inner.get(key);
  };
  list: Store['list'] = (prefix, options) => this.inner.list(prefix, options);
  watch: Store['watch'] = (prefix, after, options) => this.inner.watch(prefix, after, options);
  close: Store['close'] = () => this.inner.close();

  async commit(commit: Commit): Promise<Revision> {
    if (this.ended) throw this.ended;
    const fate = this.fates.shift() ?? 'answered';
    if (fate === 'refused') throw away();
    if (fate === 'gone') throw lost();
    if (fate === 'late') {
      this.#late.push(commit);
      throw lost();
    }
    const answer = this.inner.commit(commit);
    await answer.catch(() => undefined);
    for (const one of this.#late.splice(0))
      this.arrivals.push(
        await this.inner.commit(one).then(
          () => 'written',
          (error: unknown) => (error as StoreError).code,
        ),
      );
    if (fate === 'written') {
      await answer;
      throw lost();
    }
    return answer;
  }
}

let folder: string;
let store: LossyStore;
let state: State<Bodies>;
let told: (readonly Changed<Bodies>[])[];
let stale: unknown[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cabernet-outcome-'));
  store = new LossyStore(
    await SqliteStore.open({ path: join(folder, 'state.db'), owner: 'connectivity/test' }),
  );
  stale = [];
  state = await State.open(store, catalogue, { onStale: (why) => stale.push(why) });
  told = [];
  state.onChange((changes) => told.push(changes));
  await state.transact((tx) => {
    put(tx, 'first', 1);
    tx.putEntry('own/kept', Buffer.from('kept'));
  });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

function put(tx: Transaction<Bodies>, id: string, virtualNodes: number): void {
  tx.put('customer', catalogue.spec('customer', { ...EMPTY, name: `customers/${id}`, virtualNodes }));
}
const EMPTY = catalogue.decode(catalogue.encode({ kind: 'customer', body: {} as never }))
  .body as Bodies['customer'];

const sizes = (of: State<Bodies>): string[] =>
  of.all('customer').map(({ name, virtualNodes }) => `${name.slice('customers/'.length)}=${virtualNodes}`);

/** Memory is what whoever opens the store now finds there, with the same revisions. */
async function expectSame(): Promise<void> {
  const fresh = await State.open<Bodies>(store.inner, catalogue);
  expect(sizes(state)).toEqual(sizes(fresh));
  for (const { name } of fresh.all('customer'))
    expect(state.held(name)?.revision).toBe(fresh.held(name)?.revision);
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  return (error as ApiError).reason;
}

describe('the answer to a commit is lost', () => {
  test('it had been written: it is done, told once, and changed again afterwards', async () => {
    store.fates.push('written');
    await state.transact((tx) => put(tx, 'second', 2));
    expect(sizes(state)).toEqual(['first=1', 'second=2']);
    expect(told).toHaveLength(2);
    await expectSame();
    await state.transact((tx) => put(tx, 'second', 3));
    await expectSame();
    expect(stale).toEqual([]);
  });

  test('it had not: that is said, and it may be repeated', async () => {
    store.fates.push('gone');
    expect(await reasonOf(state.transact((tx) => put(tx, 'second', 2)))).toBe('STORE_UNAVAILABLE');
    expect(sizes(state)).toEqual(['first=1']);
    expect(told).toHaveLength(1);
    await expectSame();
    await state.transact((tx) => put(tx, 'second', 2));
    expect(sizes(state)).toEqual(['first=1', 'second=2']);
    await expectSame();
  });

  test('it was on its way still: it never arrives', async () => {
    store.fates.push('late');
    expect(await reasonOf(state.transact((tx) => put(tx, 'first', 2)))).toBe('STORE_UNAVAILABLE');
    expect(store.arrivals).toEqual(['CONFLICT']);
    expect(sizes(state)).toEqual(['first=1']);
    await expectSame();
  });

  test('the store stays away, and loses the answers to the questions too', async () => {
    for (const own of ['written', 'gone', 'late'] as const) {
      const before = sizes(state);
      store.fates.push(own, 'refused', 'written', 'gone', 'late', 'refused');
      store.deafFor = 2;
      const done = await state
        .transact((tx) => put(tx, 'first', 10 + before.length))
        .then(
          () => true,
          () => false,
        );
      expect(done).toBe(own === 'written');
      await expectSame();
      store.fates.length = 0;
      await state.transact((tx) => put(tx, `after-${own}`, 1));
      await expectSame();
    }
    expect(stale).toEqual([]);
  });

  test('entries of the controller’s own, and deletions, are told apart as well', async () => {
    for (const fate of ['written', 'gone', 'late'] as const) {
      const works: ((tx: Transaction<Bodies>) => void)[] = [
        (tx) => tx.putEntry('own/kept', Buffer.from('kept')),
        (tx) => tx.putEntry(`own/${fate}`, Buffer.from('new')),
        (tx) => {
          tx.deleteEntry(`own/${fate}`);
          tx.deleteEntry('own/never-was');
        },
        (tx) => put(tx, fate, 1),
        (tx) => tx.delete(`customers/${fate}`),
      ];
      for (const work of works) {
        let committed = false;
        const before = await listAll(store.inner, '');
        store.fates.push(fate);
        const done = await state
          .transact((tx) => {
            work(tx);
            tx.onCommit(() => (committed = true));
          })
          .then(
            () => true,
            () => false,
          );
        expect(done, fate).toBe(fate === 'written');
        expect(committed).toBe(done);
        const [then, now] = [before, await listAll(store.inner, '')].map((entries) =>
          entries.filter(({ key }) => key !== 'barrier').map(({ key, modified }) => `${key} ${modified}`),
        );
        if (done) expect(now).not.toEqual(then);
        else expect(now).toEqual(then);
        await expectSame();
        store.fates.length = 0;
        await state.transact(work);
        await expectSame();
      }
    }
  });

  test('those that wait behind it see what became of it', async () => {
    store.fates.push('written', 'answered', 'gone');
    const add = (): Promise<void> =>
      state.transact((tx) =>
        put(tx, 'first', (tx.get('customer', 'customers/first')?.virtualNodes ?? 0) + 1),
      );
    const done = await Promise.allSettled([add(), add(), add()]);
    expect(done.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(sizes(state)).toEqual(['first=3']);
    await expectSame();
  });

  test('a watch gives each change once, and nothing of the looking', async () => {
    const seen: string[] = [];
    const leaving = new AbortController();
    const start = state.revision;
    store.fates.push('written', 'answered', 'gone', 'answered', 'answered');
    for (const n of [2, 3, 4]) await state.transact((tx) => put(tx, 'first', n)).catch(() => undefined);
    for await (const { events } of store.watch('r/', start, { signal: leaving.signal })) {
      for (const event of events) {
        if (event.kind !== 'put') throw new Error('nothing was deleted');
        const body = catalogue.decode(event.entry.value).body as Bodies['customer'];
        seen.push(String(body.virtualNodes));
      }
      if (seen.includes('4')) break;
    }
    expect(seen).toEqual(['2', '4']);
  });
});

describe('nobody here will ever know', () => {
  for (const code of ['DEPOSED', 'BROKEN', 'CLOSED'] as const) {
    test(`${code} while asking: nothing is changed any more, and the owner is told, once`, async () => {
      const why = new StoreError(code, 'over', { maybeCommitted: code === 'BROKEN' });
      store.fates.push('written');
      const commit = store.inner.commit.bind(store.inner);
      store.inner.commit = async (given) => {
        const revision = await commit(given);
        store.ended = why;
        return revision;
      };
      expect(await reasonOf(state.transact((tx) => put(tx, 'first', 2)))).toBe('OUTCOME_UNKNOWN');
      expect(stale).toEqual([why]);
      expect(sizes(state)).toEqual(['first=1']);
      store.ended = undefined;
      const { revision } = await store.inner.list('', { limit: 1 });
      expect(await reasonOf(state.transact((tx) => put(tx, 'third', 3)))).toBe('STATE_STALE');
      expect((await store.inner.list('', { limit: 1 })).revision).toBe(revision);
      expect(stale).toEqual([why]);
      // whoever begins anew finds it
      expect(sizes(await State.open<Bodies>(store.inner, catalogue))).toEqual(['first=2']);
    });
  }

  test('somebody else has written: the same', async () => {
    const other = await State.open<Bodies>(store.inner, catalogue);
    await other.transact((tx) => put(tx, 'first', 7));
    expect(await reasonOf(state.transact((tx) => put(tx, 'first', 2)))).toBe('CONFLICT');
    expect(stale).toHaveLength(1);
    expect(await reasonOf(state.transact((tx) => put(tx, 'second', 2)))).toBe('STATE_STALE');
  });
});
