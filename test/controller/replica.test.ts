/** A controller's process between elections, without etcd: who leads, what becomes of the controller, who may call whom. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { type Client, connect } from '../../src/api/client.js';
import { ApiError, unavailable } from '../../src/api/errors.js';
import { silentLogger } from '../../src/api/log.js';
import { NodeService } from '../../src/api/node.js';
import { type Handlers, implement } from '../../src/api/server.js';
import type { cabernet } from '../../gen/cabernet.js';
import { type Context, type Controller } from '../../src/controller/process.js';
import { Replica } from '../../src/controller/replica.js';
import { type Seat } from '../../src/controller/seat.js';
import { type Leadership } from '../../src/store/leader.js';
import { StoreError } from '../../src/store/index.js';
import { SqliteStore } from '../../src/store/sqlite.js';

type NodeHandlers = Handlers<cabernet.node.v1.NodeService>;

let folder: string;
let store: SqliteStore;
let client: Client<cabernet.node.v1.NodeService>;
let ending: AbortController;
let running: Promise<void>;
/** What happened, in order. */
let events: string[];
/** Of the last election. */
let losing: AbortController;
let contexts: Context[];
let wanted: { length: number; wake: () => void } | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cabernet-replica-'));
  store = await SqliteStore.open({ path: join(folder, 'state.db'), owner: 'connectivity/test' });
  client = connect(NodeService, { socketPath: join(folder, 'api.sock') });
  ending = new AbortController();
  [events, contexts, wanted] = [[], [], undefined];
});
afterEach(async () => {
  ending.abort('SIGTERM');
  await running.catch(() => undefined);
  client.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

function note(event: string): void {
  events.push(event);
  if (wanted && events.length >= wanted.length) wanted.wake();
}

function happened(length: number): Promise<void> {
  if (events.length >= length) return Promise.resolve();
  return new Promise((wake) => (wanted = { length, wake }));
}

/** Elected as often as it asks; `make` says what happens in each term. */
function run(
  shared: boolean,
  make: (term: number, context: Context) => Promise<void> = async () => {},
): void {
  let terms = 0;
  const seat: Seat = {
    shared,
    leader: () => ({
      campaign: async (): Promise<Leadership> => {
        losing = new AbortController();
        note('elected');
        return { term: ++terms, store, lost: losing.signal, resign: async () => note('resigned') };
      },
      current: async () => 'unix:/other',
    }),
    close: async () => {},
  };
  const options = {
    role: 'connectivity',
    name: 'test',
    socket: join(folder, 'api.sock'),
    state: { kind: 'sqlite', path: '' },
  } as const;
  const makeOne = async (context: Context): Promise<Controller> => {
    contexts.push(context);
    await make(terms, context);
    const none = (): never => {
      throw unavailable({ reason: 'NOT_HERE', message: 'Only what is asked for here is here.' });
    };
    const methods = Object.fromEntries([...NodeService.methods.keys()].map((key) => [key, none]));
    const term = terms;
    const own = {
      getMachine: () => ({ name: `term-${term}` }),
      async *watch() {
        yield {};
        await new Promise(() => {});
      },
    };
    note(`made ${term}`);
    return {
      services: [implement(NodeService, { ...methods, ...own } as unknown as NodeHandlers)],
      close: async () => note(`closed ${term}`),
    };
  };
  const kind = { services: [NodeService], rights: {}, make: makeOne };
  const parts = { options, kind, seat, log: silentLogger, credentials: undefined, ending: ending.signal };
  running = new Replica(parts).run();
  running.catch(() => undefined);
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  return (error as ApiError).reason;
}

/** As soon as that term serves. */
async function served(term: number): Promise<void> {
  const end = performance.now() + 10_000;
  for (;;) {
    const { name } = await client.getMachine({}).catch(() => ({ name: '' }));
    if (name === `term-${term}`) return;
    if (performance.now() > end) throw new Error(`term ${term} never serves`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

test('what has lost the lead is silent at once, closed, and made anew when it leads again', async () => {
  let letGo: (() => void) | undefined;
  run(true, (term) => (term === 2 ? new Promise((done) => (letGo = done)) : Promise.resolve()));
  await served(1);
  const watching = client.watch({})[Symbol.asyncIterator]();
  await watching.next();
  const dialer = contexts[0]?.dialer;
  const other = dialer?.dial(NodeService, `unix:${join(folder, 'api.sock')}`, {
    role: 'agent',
    name: 'test',
  });
  expect((await other?.getMachine({}))?.name).toBe('term-1');
  losing.abort(new StoreError('DEPOSED', 'over'));
  expect(() => dialer?.dial(NodeService, 'unix:/x', { role: 'agent', name: 'test' })).toThrow(
    expect.objectContaining({ reason: 'NOT_LEADER' }) as ApiError,
  );
  await expect(other?.getMachine({})).rejects.toThrow();
  expect(await reasonOf(watching.next())).toBe('NOT_LEADER');
  expect(contexts[0]?.ending.aborted).toBe(true);
  // elected, but not there yet
  await happened(5);
  expect(await reasonOf(client.getMachine({}))).toBe('NOT_LEADER');
  letGo?.();
  await served(2);
  expect(events).toEqual(['elected', 'made 1', 'closed 1', 'resigned', 'elected', 'made 2']);
  expect(contexts.map(({ term }) => term)).toEqual([1, 2]);
});

test('a stale memory gives the lead back, and the state is loaded anew', async () => {
  run(true);
  await served(1);
  contexts[0]?.onStale?.(new StoreError('CONFLICT', 'somebody wrote'));
  await served(2);
  expect(events).toEqual(['elected', 'made 1', 'closed 1', 'resigned', 'elected', 'made 2']);
});

test('a stale memory over a store of its own ends the process, with the reason', async () => {
  run(false);
  await served(1);
  const why = new StoreError('BROKEN', 'the disk');
  contexts[0]?.onStale?.(why);
  await expect(running).rejects.toBe(why);
  expect(events).toEqual(['elected', 'made 1', 'closed 1', 'resigned']);
});

test('the lead is lost while the state is loaded: what was made is never served', async () => {
  run(true, async (term) => {
    if (term === 1) losing.abort(new StoreError('DEPOSED', 'over'));
  });
  await served(2);
  expect(events).toEqual(['elected', 'made 1', 'closed 1', 'resigned', 'elected', 'made 2']);
});

test('etcd goes away while the state is loaded: it stands for election again; anything else ends the process', async () => {
  const broken = new StoreError('CORRUPT', 'no');
  run(true, async (term) => {
    if (term === 1) throw new StoreError('UNAVAILABLE', 'away');
    if (term === 2) throw unavailable({ reason: 'STORE_UNAVAILABLE', message: 'away' });
    if (term === 3) throw broken;
  });
  await expect(running).rejects.toBe(broken);
  expect(events).toEqual(['elected', 'resigned', 'elected', 'resigned', 'elected', 'resigned']);
});

test('the end of the process ends it, and gives the lead back', async () => {
  run(true);
  await served(1);
  ending.abort('SIGTERM');
  await running;
  expect(events).toEqual(['elected', 'made 1', 'closed 1', 'resigned']);
});
