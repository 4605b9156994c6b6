/** All entries below a prefix, page by page. */
import { type Entry, type Revision, type Store } from './store.js';

/** All of one moment. Whoever takes so long with them that the history is cut gets `COMPACTED`. */
export async function* eachEntry(store: Store, prefix: string): AsyncGenerator<Entry, void> {
  let after: string | undefined;
  let revision: Revision | undefined;
  do {
    const page = await store.list(prefix, { after, revision, limit: 1000 });
    yield* page.entries;
    after = page.next;
    revision = page.revision;
  } while (after !== undefined);
}

/** The same at once: for entries that are few and small. */
export async function listAll(store: Store, prefix: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of eachEntry(store, prefix)) entries.push(entry);
  return entries;
}
