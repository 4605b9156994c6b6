/** What every form of the store has to do, the same for all. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { StoreError, type StoreErrorCode } from '../../src/store/errors.js';
import {
  type Batch,
  type Change,
  type Entry,
  LIMITS,
  type Precondition,
  type Revision,
  type Store,
} from '../../src/store/store.js';

/** One place for one store's data, empty at first. */
export interface Place {
  /** Opens what is there. */
  open(): Promise<Store>;
  /** The history before the present revision is no more. */
  forget(store: Store): Promise<void>;
  dispose(): Promise<void>;
}

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
export const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();
export const put = (key: string, value = ''): Change => ({ kind: 'put', key, value: bytes(value) });
export const del = (key: string): Change => ({ kind: 'delete', key });

export async function codeOf(promise: Promise<unknown>): Promise<StoreErrorCode | 'no error'> {
  return (await faultOf(promise))?.code ?? 'no error';
}

export async function faultOf(promise: Promise<unknown>): Promise<StoreError | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}

/** The next so many batches; leaves the watch. */
export async function take(watch: AsyncIterableIterator<Batch>, count: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  while (batches.length < count) {
    const result = await watch.next();
    if (result.done === true) break;
    batches.push(result.value);
  }
  await watch.return?.();
  return batches;
}

/** Every page, all at the revision of the first. */
export async function listAll(
  store: Store,
  prefix = '',
  limit = 100,
): Promise<{ entries: Entry[]; revision: Revision }> {
  const first = await store.list(prefix, { limit });
  const entries = [...first.entries];
  for (let { next } = first; next !== undefined;) {
    const page = await store.list(prefix, { limit, after: next, revision: first.revision });
    entries.push(...page.entries);
    ({ next } = page);
  }
  return { entries, revision: first.revision };
}

const plain = ({ key, value, created, modified }: Entry) => ({ key, value: text(value), created, modified });
export function said(batch: Batch): string[] {
  return batch.events.map((event) =>
    event.kind === 'put'
      ? `${event.entry.key}=${text(event.entry.value)} was ${event.previous ? text(event.previous.value) : 'absent'}`
      : `${event.key} gone, was ${text(event.previous?.value)}`,
  );
}

/** Order of UTF-8. */
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

export function conformance(makePlace: () => Promise<Place>): void {
  let place: Place;
  let store: Store;

  beforeEach(async () => {
    place = await makePlace();
    store = await place.open();
  });
  afterEach(async () => {
    await store.close();
    await place.dispose();
  });

  const commit = (...changes: Change[]): Promise<Revision> => store.commit({ changes });
  const commitIf = (preconditions: Precondition[], ...changes: Change[]): Promise<Revision> =>
    store.commit({ changes, preconditions });

  describe('commits', () => {
    test('what was put is read, with the revisions it was created and modified by', async () => {
      const first = await commit(put('a', '1'), put('b', '2'));
      const second = await commit(put('a', '3'));
      expect(second).toBeGreaterThan(first);
      expect(plain((await store.get('a'))!)).toEqual({
        key: 'a',
        value: '3',
        created: first,
        modified: second,
      });
      expect(plain((await store.get('b'))!)).toEqual({
        key: 'b',
        value: '2',
        created: first,
        modified: first,
      });
      expect(await store.get('c')).toBeUndefined();
    });

    test('a key that was deleted and put again is a new one', async () => {
      await commit(put('a', '1'));
      await commit(del('a'));
      expect(await store.get('a')).toBeUndefined();
      const again = await commit(put('a', '2'));
      expect((await store.get('a'))?.created).toBe(again);
    });

    test('one that changes nothing makes no revision', async () => {
      const first = await commit(put('a'));
      expect(await commit()).toBe(first);
      expect(await commit(del('never there'))).toBe(first);
      expect(await commit(put('a'))).toBeGreaterThan(first);
    });

    test('preconditions: absent, or at this revision; all of it or nothing', async () => {
      const first = await commitIf([{ key: 'a', revision: 0 }], put('a', '1'), put('b', '1'));
      const fault = await faultOf(
        commitIf(
          [
            { key: 'a', revision: 0 },
            { key: 'b', revision: first },
            { key: 'c', revision: first },
          ],
          put('b', '2'),
        ),
      );
      expect(fault?.code).toBe('CONFLICT');
      expect(fault?.conflicts).toEqual([
        { key: 'a', expected: 0, actual: first },
        { key: 'c', expected: first, actual: 0 },
      ]);
      expect(text((await store.get('b'))?.value)).toBe('1');
      const second = await commitIf([{ key: 'a', revision: first }], put('a', '2'), del('b'));
      expect(await codeOf(commitIf([{ key: 'a', revision: first }], put('a', '3')))).toBe('CONFLICT');
      expect((await store.get('a'))?.modified).toBe(second);
      expect(await store.get('b')).toBeUndefined();
    });

    test('preconditions alone are checked too', async () => {
      const revision = await commit(put('a'));
      expect(await commitIf([{ key: 'a', revision }])).toBe(revision);
      expect(await codeOf(commitIf([{ key: 'a', revision: 0 }]))).toBe('CONFLICT');
    });

    test('of many at once with the same precondition one wins', async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          codeOf(commitIf([{ key: 'a', revision: 0 }], put('a', String(index)))),
        ),
      );
      expect(outcomes.filter((code) => code === 'no error')).toHaveLength(1);
      expect(outcomes.filter((code) => code === 'CONFLICT')).toHaveLength(49);
    });

    test('of many at once each has its own revision', async () => {
      const revisions = await Promise.all(Array.from({ length: 50 }, (_, index) => commit(put(`k${index}`))));
      expect(new Set(revisions).size).toBe(50);
      for (const [index, revision] of revisions.entries()) {
        expect((await store.get(`k${index}`))?.modified).toBe(revision);
      }
    });

    test('the caller may reuse its bytes at once', async () => {
      const value = bytes('before');
      const committed = store.commit({ changes: [{ kind: 'put', key: 'a', value }] });
      value.fill(0);
      await committed;
      expect(text((await store.get('a'))?.value)).toBe('before');
    });

    test('the largest is one revision, one batch, and gone whole', async () => {
      const keys = Array.from(
        { length: LIMITS.changes },
        (_, index) => `key${String(index).padStart(4, '0')}`,
      );
      const preconditions = keys.slice(0, LIMITS.preconditions).map((key) => ({ key, revision: 0 }));
      const revision = await commitIf(preconditions, ...keys.map((key) => put(key, key)));
      const { entries } = await listAll(store, '', LIMITS.page);
      expect(entries.map(({ key }) => key)).toEqual(keys);
      expect(new Set(entries.map(({ modified }) => modified))).toEqual(new Set([revision]));
      const after = await commitIf(
        preconditions.map(({ key }) => ({ key, revision })),
        ...keys.map((key) => del(key)),
      );
      const [one, two] = await take(store.watch('', revision - 1), 2);
      expect([one?.revision, one?.events.length]).toEqual([revision, keys.length]);
      expect([two?.revision, two?.events.length]).toEqual([after, keys.length]);
      expect(one?.events.map((event) => event.kind === 'put' && event.entry.key)).toEqual(keys);
      expect((await store.list('')).entries).toEqual([]);
    });

    test('one failed precondition of the most there can be writes nothing', async () => {
      await commit(put('p99'));
      const preconditions = Array.from({ length: LIMITS.preconditions }, (_, index) => ({
        key: `p${index}`,
        revision: 0,
      }));
      const changes = Array.from({ length: LIMITS.changes }, (_, index) => put(`k${index}`));
      const fault = await faultOf(commitIf(preconditions, ...changes));
      expect(fault?.conflicts.map(({ key }) => key)).toEqual(['p99']);
      expect((await store.list('k')).entries).toEqual([]);
    });
  });

  describe('limits', () => {
    test('the largest value and the largest commit are taken, one byte more is not', async () => {
      const half = Buffer.alloc(LIMITS.value, 7);
      await store.commit({ changes: [{ kind: 'put', key: 'v', value: half }] });
      expect(Buffer.compare((await store.get('v'))!.value, half)).toBe(0);
      const over = store.commit({
        changes: [{ kind: 'put', key: 'v', value: Buffer.alloc(LIMITS.value + 1) }],
      });
      expect(await codeOf(over)).toBe('TOO_LARGE');
      const two = (extra: number): Promise<Revision> =>
        store.commit({
          changes: [
            { kind: 'put', key: 'a', value: half },
            { kind: 'put', key: 'b', value: half.subarray(2) },
            { kind: 'delete', key: 'c'.repeat(1 + extra) },
          ].slice(0, 2 + extra) as Change[],
        });
      expect(await codeOf(two(0))).toBe('no error');
      expect(await codeOf(two(1))).toBe('TOO_LARGE');
    });

    test('the longest key, by its bytes', async () => {
      const longest = 'é'.repeat(LIMITS.key / 2);
      await commit(put(longest, 'here'));
      expect(text((await store.get(longest))?.value)).toBe('here');
      expect((await store.list(longest)).entries).toHaveLength(1);
      expect((await store.list('', { after: longest })).entries).toHaveLength(0);
      expect(await codeOf(commit(put(`${longest}x`)))).toBe('TOO_LARGE');
    });

    test('counts', async () => {
      const many = Array.from({ length: LIMITS.changes + 1 }, (_, index) => put(`k${index}`));
      expect(await codeOf(commit(...many))).toBe('TOO_LARGE');
      const conditions = Array.from({ length: LIMITS.preconditions + 1 }, (_, index) => ({
        key: `k${index}`,
        revision: 0,
      }));
      expect(await codeOf(commitIf(conditions))).toBe('TOO_LARGE');
      for (const limit of [0, -1, 1.5, LIMITS.page + 1, Number.NaN]) {
        expect(await codeOf(store.list('', { limit })), String(limit)).toBe('INVALID');
      }
      expect((await store.list('')).entries).toEqual([]);
    });

    test('what is no key, no bytes, no revision', async () => {
      expect(await codeOf(store.get(''))).toBe('INVALID');
      expect(await codeOf(store.get('\ud800'))).toBe('INVALID');
      expect(await codeOf(commit(put('a\udc00b')))).toBe('INVALID');
      expect(await codeOf(commit(put('a'), del('a')))).toBe('INVALID');
      expect(
        await codeOf(
          commitIf([
            { key: 'a', revision: 0 },
            { key: 'a', revision: 0 },
          ]),
        ),
      ).toBe('INVALID');
      for (const revision of [-1, 0.5, Number.NaN, 2 ** 53]) {
        expect(await codeOf(commitIf([{ key: 'a', revision }])), String(revision)).toBe('INVALID');
        expect(() => store.watch('', revision), String(revision)).toThrow(StoreError);
      }
      expect(await codeOf(store.list('', { revision: 0 }))).toBe('INVALID');
      expect(
        await codeOf(store.commit({ changes: [{ kind: 'put', key: 'a', value: 'text' as never }] })),
      ).toBe('INVALID');
    });

    test('hostile keys are keys like others, in the order of their bytes', async () => {
      const keys = [
        '\0',
        '\0\0',
        'a\0',
        'a\0b',
        'a',
        'a/',
        'a/../b',
        '../x',
        '/',
        '//',
        '%',
        "'; DROP TABLE entry; --",
        '"',
        '\\',
        ' ',
        '\n',
        '\u007f',
        'é',
        'e\u0301',
        '\uffff',
        '\u{10ffff}',
        '\u{1f600}',
        '￿',
        'ﬀ',
        '=leader',
        '=/',
        '__proto__',
      ];
      const distinct = [...new Set(keys)].sort(byBytes);
      await commit(...distinct.map((key) => put(key, `<${key}>`)));
      const { entries } = await listAll(store, '', 3);
      expect(entries.map(({ key }) => key)).toEqual(distinct);
      for (const key of distinct) {
        expect(text((await store.get(key))?.value)).toBe(`<${key}>`);
        const under = distinct.filter((other) => Buffer.from(other).indexOf(Buffer.from(key)) === 0);
        expect(
          (await store.list(key)).entries.map((entry) => entry.key),
          JSON.stringify(key),
        ).toEqual(under);
      }
    });
  });

  describe('pages', () => {
    test('in the order of keys, beginning after a key whether it is there or not', async () => {
      await commit(...['a/1', 'a/2', 'a/3', 'b/1', 'a'].map((key) => put(key)));
      const keys = async (prefix: string, after?: string): Promise<string[]> =>
        (await store.list(prefix, { after })).entries.map(({ key }) => key);
      expect(await keys('a/')).toEqual(['a/1', 'a/2', 'a/3']);
      expect(await keys('a/', 'a/1')).toEqual(['a/2', 'a/3']);
      expect(await keys('a/', 'a/1x')).toEqual(['a/2', 'a/3']);
      expect(await keys('a/', '')).toEqual(['a/1', 'a/2', 'a/3']);
      expect(await keys('a/', 'b')).toEqual([]);
      expect(await keys('c')).toEqual([]);
    });

    test('a last page that is full says that it is the last', async () => {
      await commit(put('a'), put('b'));
      const { next } = await store.list('', { limit: 1 });
      expect(next).toBe('a');
      expect((await store.list('', { limit: 1, after: next })).next).toBeUndefined();
    });

    test('pages at the revision of the first show nothing of later commits', async () => {
      await commit(put('a', '1'), put('b', '1'), put('c', '1'), put('d', '1'));
      const first = await store.list('', { limit: 1 });
      await commit(put('b', '2'), del('c'), put('bb', '2'));
      await commit(put('c', '3'), del('d'), del('bb'));
      await commit(put('b', '4'));
      const rest = await store.list('', { after: first.next, revision: first.revision });
      expect(rest.entries.map(({ key, value }) => `${key}${text(value)}`)).toEqual(['b1', 'c1', 'd1']);
      expect(rest.revision).toBe(first.revision);
      expect(new Set(rest.entries.map(({ modified }) => modified))).toEqual(new Set([first.revision]));
      const now = await store.list('', { after: first.next });
      expect(now.entries.map(({ key, value }) => `${key}${text(value)}`)).toEqual(['b4', 'c3']);
    });

    test('of large values they end early', async () => {
      const value = Buffer.alloc(LIMITS.value);
      const keys = Array.from({ length: 20 }, (_, index) => `k${String(index).padStart(2, '0')}`);
      for (const key of keys) await store.commit({ changes: [{ kind: 'put', key, value }] });
      const page = await store.list('', { limit: LIMITS.page });
      expect(page.next).toBeDefined();
      expect(page.entries.length * LIMITS.value).toBeGreaterThanOrEqual(LIMITS.pageBytes);
      expect(page.entries.length).toBeLessThan(keys.length);
      expect((await listAll(store, '', LIMITS.page)).entries.map(({ key }) => key)).toEqual(keys);
    });

    test('a revision that is not reached yet, and one that is forgotten', async () => {
      const old = await commit(put('a', '1'));
      const now = await commit(put('a', '2'));
      expect(await codeOf(store.list('', { revision: now + 1000 }))).toBe('AHEAD');
      await place.forget(store);
      expect(await codeOf(store.list('', { revision: old }))).toBe('COMPACTED');
    });
  });

  describe('watches', () => {
    test('what is past, then what comes, each commit once with what it replaced', async () => {
      const start = await commit(put('a', '1'));
      await commit(put('b', '2'), put('a', '2'));
      const watch = store.watch('', start);
      const past = await watch.next();
      expect(said(past.value as Batch)).toEqual(['a=2 was 1', 'b=2 was absent']);
      const coming = watch.next();
      await commit(del('a'), put('c', '3'));
      expect(said((await coming).value as Batch)).toEqual(['a gone, was 2', 'c=3 was absent']);
      await commit(put('a', '4'));
      const last = (await watch.next()).value as Batch;
      expect(said(last)).toEqual(['a=4 was absent']);
      expect(last.revision).toBe((await store.get('a'))?.modified);
      await watch.return?.();
    });

    test('shows the prefix and nothing else', async () => {
      const start = await commit(put('x'));
      await commit(put('a/1', 'one'), put('b/1'));
      await commit(put('b/2'));
      await commit(put('a/2', 'two'), put('a', 'no'));
      const batches = await take(store.watch('a/', start), 2);
      expect(batches.flatMap(said)).toEqual(['a/1=one was absent', 'a/2=two was absent']);
    });

    test('from a page on: nothing is lost or repeated between the two', async () => {
      let stop = false;
      const writing = (async () => {
        for (let index = 0; !stop; index++) await commit(put(`k${index % 7}`, String(index)));
      })();
      for (let round = 0; round < 5; round++) {
        const { entries, revision } = await listAll(store, '', 2);
        const state = new Map(entries.map(({ key, value }) => [key, text(value)]));
        const batches = await take(store.watch('', revision), 10);
        let before = revision;
        for (const batch of batches) {
          expect(batch.revision).toBeGreaterThan(before);
          before = batch.revision;
          for (const event of batch.events) {
            if (event.kind !== 'put') throw new Error('nothing is deleted here');
            expect(text(event.previous?.value)).toBe(state.get(event.entry.key) ?? '');
            state.set(event.entry.key, text(event.entry.value));
          }
        }
      }
      stop = true;
      await writing;
    });

    test('resumes at every revision, also in a store that was closed and opened', async () => {
      const start = await commit(put('a', '0'));
      for (let index = 1; index <= 10; index++)
        await commit(put('a', String(index)), put(`b${index}`), del(`b${index - 1}`));
      const all = await take(store.watch('', start), 10);
      await store.close();
      store = await place.open();
      for (const [index, { revision }] of all.entries()) {
        if (index === 9) break;
        expect((await take(store.watch('', revision), 1))[0]).toEqual(all[index + 1]);
      }
      await commit(put('a', 'after'));
      const [next] = await take(store.watch('', all[9]!.revision), 1);
      expect(said(next!)).toEqual(['a=after was 10']);
    });

    test('too far back is COMPACTED, too far ahead is AHEAD', async () => {
      const old = await commit(put('a', '1'));
      await commit(put('a', '2'));
      await commit(put('a', '3'));
      expect(await codeOf(store.watch('', old + 100_000).next())).toBe('AHEAD');
      await place.forget(store);
      expect(await codeOf(store.watch('', old).next())).toBe('COMPACTED');
      const { revision } = await store.list('');
      const coming = store.watch('', revision);
      const next = coming.next();
      await commit(put('a', 'again'));
      expect(said((await next).value as Batch)[0]).toMatch(/^a=again/);
      await coming.return?.();
    });

    test('commits of the largest values are whole, one batch each', async () => {
      const start = await commit(put('a'));
      const value = (fill: number): Uint8Array => new Uint8Array(LIMITS.value - 100).fill(fill);
      const changes = (fill: number): Change[] =>
        ['a', 'b'].map((key) => ({ kind: 'put', key, value: value(fill) }));
      const small = Array.from({ length: 5 }, (_, index) => put(`c${index}`));
      for (let fill = 1; fill <= 6; fill++) await commit(...changes(fill), ...small);
      const batches = await take(store.watch('', start), 6);
      for (const [index, { events }] of batches.entries()) {
        expect(events).toHaveLength(7);
        const [, b] = events;
        if (b?.kind !== 'put') throw new Error('b was put');
        expect([b.entry.key, b.entry.value[0], b.entry.value.length]).toEqual([
          'b',
          index + 1,
          LIMITS.value - 100,
        ]);
        expect(b.previous?.value[0]).toBe(index === 0 ? undefined : index);
      }
    });

    test('many readers at their own pace see the same', async () => {
      const { revision } = await store.list('');
      const readers = Array.from({ length: 10 }, () => take(store.watch('', revision), 30));
      for (let index = 0; index < 30; index++) await commit(put(`k${index}`));
      const late = await take(store.watch('', revision), 30);
      for (const batches of await Promise.all(readers)) expect(batches).toEqual(late);
    });

    test('a signal and leaving end one that waits', async () => {
      const { revision } = await store.list('');
      const controller = new AbortController();
      const watch = store.watch('', revision, { signal: controller.signal });
      const waiting = watch.next();
      controller.abort();
      expect(await waiting).toEqual({ done: true, value: undefined });
      const other = store.watch('', revision);
      const never = other.next();
      await other.return?.();
      expect((await never).done).toBe(true);
      const aborted = store.watch('', revision, { signal: AbortSignal.abort() });
      expect((await aborted.next()).done).toBe(true);
    });

    test('closing the store ends them with CLOSED, and everything else; what was asked for before is written', async () => {
      const revision = await commit(put('a'));
      const waiting = codeOf(store.watch('none', revision).next());
      const asked = Promise.all([commit(put('b')), commit(put('c'))]);
      await store.close();
      expect(await asked).toHaveLength(2);
      expect(await waiting).toBe('CLOSED');
      expect(await codeOf(store.get('a'))).toBe('CLOSED');
      expect(await codeOf(store.list(''))).toBe('CLOSED');
      expect(await codeOf(commit(put('c')))).toBe('CLOSED');
      expect(await codeOf(store.watch('', revision).next())).toBe('CLOSED');
      await store.close();
      store = await place.open();
      expect((await store.list('')).entries.map((entry) => entry.key)).toEqual(['a', 'b', 'c']);
    });
  });

  test('what was committed is there in a store that is opened again', async () => {
    const first = await commit(put('a', '1'), put('b', '1'));
    const second = await commit(put('a', '2'));
    await store.close();
    store = await place.open();
    const { entries, revision } = await listAll(store);
    expect(entries.map(plain)).toEqual([
      { key: 'a', value: '2', created: first, modified: second },
      { key: 'b', value: '1', created: first, modified: first },
    ]);
    expect(revision).toBeGreaterThanOrEqual(second);
    expect(await commit(put('c'))).toBeGreaterThan(second);
  });

  test('random operations do what a map does', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 40 }), async (operations) => {
        await againstModel(store, operations);
      }),
      { numRuns: 40, seed: 20_261_127 },
    );
  });
}

// ---- random operations ----

const keys = ['a', 'a/', 'a/b', 'ab', 'b', 'b\0', 'é', '\u{1f600}', '\uffff'];
const key = fc.constantFrom(...keys);
const change = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), key, value: fc.uint8Array({ maxLength: 8 }) }),
  fc.record({ kind: fc.constant('delete' as const), key }),
);
/** Which revision a precondition names: absent, what is there, something else. */
const precondition = fc.record({ key, names: fc.constantFrom('absent', 'present', 'other') });
const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      changes: fc.uniqueArray(change, { maxLength: 5, selector: (one) => one.key }),
      preconditions: fc.uniqueArray(precondition, { maxLength: 2, selector: (one) => one.key }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('list' as const),
      prefix: fc.constantFrom('', ...keys),
      after: fc.option(key, { nil: undefined }),
      limit: fc.integer({ min: 1, max: 4 }),
      /** So many commits ago. */
      ago: fc.nat({ max: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('get' as const), key }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;
type State = ReadonlyMap<string, Entry>;

async function againstModel(store: Store, operations: readonly Operation[]): Promise<void> {
  // an empty store, whatever the last run left in it
  const left = await listAll(store);
  const start = await store.commit({ changes: left.entries.map((entry) => del(entry.key)) });
  const states: { revision: Revision; state: State }[] = [{ revision: start, state: new Map() }];
  const expected: { revision: Revision; events: string[] }[] = [];
  for (const step of operations) {
    const { state, revision: now } = states.at(-1)!;
    if (step.kind === 'get') {
      expect(await store.get(step.key)).toEqual(state.get(step.key));
    } else if (step.kind === 'list') {
      const at = states.at(-1 - Math.min(step.ago, states.length - 1))!;
      const all = [...at.state.values()]
        .filter((entry) => Buffer.from(entry.key).indexOf(step.prefix) === 0)
        .filter((entry) => step.after === undefined || byBytes(entry.key, step.after) > 0)
        .sort((a, b) => byBytes(a.key, b.key));
      const page = await store.list(step.prefix, {
        after: step.after,
        limit: step.limit,
        revision: at.revision,
      });
      expect(page.entries).toEqual(all.slice(0, step.limit));
      expect(page.next).toBe(all.length > step.limit ? all[step.limit - 1]?.key : undefined);
    } else {
      const preconditions = step.preconditions.map((one) => {
        const present = state.get(one.key)?.modified ?? 0;
        return { key: one.key, revision: { absent: 0, present, other: present + 1 }[one.names] ?? 0 };
      });
      const holds = preconditions.every((one) => one.revision === (state.get(one.key)?.modified ?? 0));
      const committed = store.commit({ changes: step.changes, preconditions });
      if (!holds) {
        expect(await codeOf(committed)).toBe('CONFLICT');
        continue;
      }
      const revision = await committed;
      const next = new Map(state);
      const events: string[] = [];
      for (const one of step.changes.toSorted((a, b) => byBytes(a.key, b.key))) {
        const old = state.get(one.key);
        if (one.kind === 'put') {
          next.set(one.key, {
            key: one.key,
            value: one.value,
            created: old?.created ?? revision,
            modified: revision,
          });
          events.push(`${one.key}=${text(one.value)} was ${old ? text(old.value) : 'absent'}`);
        } else if (old) {
          next.delete(one.key);
          events.push(`${one.key} gone, was ${text(old.value)}`);
        }
      }
      if (events.length === 0) expect(revision).toBe(now);
      else {
        expect(revision).toBeGreaterThan(now);
        states.push({ revision, state: next });
        expected.push({ revision, events });
      }
    }
  }
  const batches = await take(store.watch('', start), expected.length);
  expect(batches.map((batch) => ({ revision: batch.revision, events: said(batch) }))).toEqual(expected);
  const { entries } = await listAll(store, '', 2);
  expect(entries).toEqual([...states.at(-1)!.state.values()].sort((a, b) => byBytes(a.key, b.key)));
}
