/**
 * What every List method shares: rows sorted by a key, a page at a time.
 */
import { type Page, type PageRequest, paginate } from '../../api/page.js';

export interface ListRequest extends PageRequest {}

/** One page of rows that are few enough to be sorted for each request. */
export function page<T>(
  list: string,
  rows: readonly T[],
  key: (row: T) => string,
  request: ListRequest,
): Page<T> {
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const { items, nextPageToken } = paginate(keyed, request, { key: (item) => item.key, list });
  return { items: items.map((item) => item.row), nextPageToken };
}
