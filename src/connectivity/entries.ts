/** Entries of the store that are no resources. */
import { type Entry, type Store } from '../store/index.js';

/** All of one moment. */
export async function listAll(store: Store, prefix: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  let after: string | undefined;
  let revision: number | undefined;
  do {
    const page = await store.list(prefix, { after, revision, limit: 1000 });
    entries.push(...page.entries);
    after = page.next;
    revision = page.revision;
  } while (after !== undefined);
  return entries;
}
