import fc from 'fast-check';
import { expect, test } from 'vitest';

import { ApiError, Status } from '../../src/api/errors.js';
import { byKey, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PAGE_BYTES, paginate } from '../../src/api/page.js';

const key = (item: string): string => item;
const options = { key, list: 'routes vns/a/nodes/P' };

function all(
  items: readonly string[],
  pageSize: number,
  change: (items: readonly string[]) => readonly string[] = (same) => same,
): string[] {
  const seen: string[] = [];
  let list = items;
  let pageToken = '';
  do {
    const page = paginate(list, { pageSize, pageToken }, options);
    expect(page.items.length).toBeLessThanOrEqual(pageSize);
    seen.push(...page.items);
    pageToken = page.nextPageToken;
    list = change(list);
  } while (pageToken !== '');
  return seen;
}

const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' }), { maxLength: 60 });

test('the pages of a list are the list', () => {
  fc.assert(
    fc.property(names, fc.integer({ min: 1, max: 20 }), (list, size) => {
      const sorted = byKey(list, key);
      expect(all(sorted, size)).toEqual(sorted);
    }),
  );
});

test('rows that come and go between pages hide and repeat no other', () => {
  fc.assert(
    fc.property(names, names, fc.integer({ min: 1, max: 9 }), (stay, others, size) => {
      const keep = new Set(stay);
      const changing = others.filter((name) => !keep.has(name));
      let turn = 0;
      const change = (): readonly string[] =>
        byKey([...stay, ...changing.filter((_, i) => (i + turn++) % 2 === 0)], key);
      const seen = all(change(), size, change);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((name) => keep.has(name))).toEqual(byKey(stay, key));
    }),
  );
});

test('sizes', () => {
  const list = byKey(
    Array.from({ length: 25_000 }, (_, i) => `${i}`.padStart(6, '0')),
    key,
  );
  expect(paginate(list, { pageSize: 0, pageToken: '' }, options).items).toHaveLength(DEFAULT_PAGE_SIZE);
  expect(paginate(list, { pageSize: 4_000_000_000, pageToken: '' }, options).items).toHaveLength(
    MAX_PAGE_SIZE,
  );
  expect(paginate([], { pageSize: 0, pageToken: '' }, options)).toEqual({ items: [], nextPageToken: '' });
  const exact = paginate(list.slice(0, 10), { pageSize: 10, pageToken: '' }, options);
  expect(exact.nextPageToken).toBe('');
});

test('a page ends before it is too big to send, and holds a row at least', () => {
  const list = byKey(
    Array.from({ length: 100 }, (_, i) => `${i}`.padStart(3, '0')),
    key,
  );
  const page = paginate(list, { pageSize: 100, pageToken: '' }, { ...options, bytes: () => PAGE_BYTES / 10 });
  expect(page.items).toHaveLength(10);
  expect(page.nextPageToken).not.toBe('');
  expect(
    paginate(list, { pageSize: 100, pageToken: '' }, { ...options, bytes: () => PAGE_BYTES * 2 }).items,
  ).toHaveLength(1);
});

test('hostile tokens are refused', () => {
  const list = byKey(
    Array.from({ length: 50 }, (_, i) => `n${i}`),
    key,
  );
  const { nextPageToken: good } = paginate(list, { pageSize: 10, pageToken: '' }, options);
  expect(good).toMatch(/^[A-Za-z0-9_-]+$/);
  const refused = (pageToken: string, listName = options.list): void => {
    try {
      paginate(list, { pageSize: 10, pageToken }, { ...options, list: listName });
    } catch (error) {
      expect(error).toBeInstanceOf(ApiError);
      expect(error).toMatchObject({
        status: Status.INVALID_ARGUMENT,
        reason: 'PAGE_TOKEN_INVALID',
        field: 'page_token',
      });
      return;
    }
    expect.unreachable(`taken: ${pageToken}`);
  };
  refused(good, 'routes vns/b/nodes/P');
  refused(`${good}=`);
  refused(` ${good}`);
  refused(good.slice(0, -1));
  refused(good.slice(0, 20));
  refused('A'.repeat(10_000_000));
  refused('\0');
  refused('AQ');
  for (let i = 0; i < good.length; i++) {
    const other = good[i] === 'A' ? 'B' : 'A';
    refused(good.slice(0, i) + other + good.slice(i + 1));
  }
  fc.assert(
    fc.property(fc.oneof(fc.string({ minLength: 1 }), fc.base64String({ minLength: 4 })), (token) =>
      refused(token),
    ),
  );
});

test('the row that a token names may be gone', () => {
  const list = ['a', 'b', 'c', 'd'];
  const { nextPageToken } = paginate(list, { pageSize: 2, pageToken: '' }, options);
  expect(paginate(['a', 'c', 'd'], { pageSize: 2, pageToken: nextPageToken }, options).items).toEqual([
    'c',
    'd',
  ]);
  expect(paginate(['a'], { pageSize: 2, pageToken: nextPageToken }, options)).toEqual({
    items: [],
    nextPageToken: '',
  });
});
