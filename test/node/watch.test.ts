import { expect, test } from 'vitest';
import { WATCH_QUEUE, WatchHub } from '../../src/node/watch.js';

test('a reader that is too slow is told that it lost events, and goes on', async () => {
  const hub = new WatchHub();
  const watcher = hub.open([{ name: 'a', state: 'up' }]);
  for (let i = 0; i < WATCH_QUEUE + 5; i++) hub.tell([{ name: `n${i}`, state: 'up' }]);
  const events = await watcher.next();
  expect(events?.slice(0, 2).map(({ kind }) => kind)).toEqual(['current', 'synced']);
  expect(events).toHaveLength(2 + WATCH_QUEUE + 1);
  expect(events?.at(-1)?.kind).toBe('lost');
  hub.tell([{ name: 'b', state: undefined }]);
  expect(await watcher.next()).toMatchObject([{ kind: 'deleted', name: 'b' }]);
});

test('who waits is woken by an event, and by the end', async () => {
  const hub = new WatchHub();
  const watcher = hub.open();
  const first = watcher.next();
  hub.applied('one', 7n);
  expect(await first).toMatchObject([{ kind: 'applied', owner: 'one', epoch: 7n }]);
  const last = watcher.next();
  hub.close(watcher);
  expect(await last).toBeUndefined();
  expect(hub.size).toBe(0);
});
