/** The resource methods over a real SQLite store, with the kinds of the connectivity API. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { cabernet } from '../../gen/cabernet.js';
import { ApiError } from '../../src/api/errors.js';
import { type Message } from '../../src/api/message.js';
import { type Call } from '../../src/api/server.js';
import { resourceType, v1 } from '../../src/api/connectivity.js';
import { types } from '../../src/api/types.js';
import { messageType } from '../../src/api/message.js';
import { type Access, type Caller } from '../../src/controller/access.js';
import { type BodiesOf, Catalogue } from '../../src/controller/kind.js';
import { type ResourceMethods, resourceMethods } from '../../src/controller/methods.js';
import { forgetRequests } from '../../src/controller/repeat.js';
import { State } from '../../src/controller/state.js';
import { SqliteStore } from '../../src/store/sqlite.js';

type Resource = Message<cabernet.connectivity.v1.Resource>;
type Bodies = BodiesOf<Resource>;

const catalogue = new Catalogue<Bodies>(resourceType, {
  supplier: { collection: 'suppliers', writable: true, outputs: [] },
  node: { collection: 'nodes', writable: true, reconciles: true, outputs: ['price', 'sold', 'lease'] },
  link: { collection: 'links', writable: true, reconciles: true, outputs: ['price', 'achieved', 'lease'] },
  customer: {
    collection: 'customers',
    writable: true,
    outputs: [],
    id: /^[a-z][a-z0-9-]{0,19}$/,
    idRule: '1 to 20 characters of [a-z0-9-], beginning with a letter',
    check: (body, wrong) => {
      if (body.virtualNodes > 1000)
        throw wrong('virtual_nodes', 'TOO_BIG', 'virtual_nodes must be at most 1000.');
    },
  },
  tariff: { collection: 'tariff', writable: true, outputs: [] },
  offer: { collection: 'offers', writable: false, outputs: [] },
  serviceNetwork: {
    collection: 'customers/+/serviceNetworks',
    writable: true,
    reconciles: true,
    outputs: ['price', 'lease'],
  },
});

const access: Access<Bodies> = {
  sees: (caller, kind, name) =>
    caller.role === 'local' || name.startsWith(`customers/${caller.name}/`) || kind === 'offer',
  mayChange: (caller, kind) => caller.role === 'local' || kind === 'serviceNetwork',
  shown: (_, __, body) => body,
};

const local: Caller = { role: 'local', name: '' };
const iptv: Caller = { role: 'service', name: 'iptv' };

let folder: string;
let store: SqliteStore;
let state: State<Bodies>;
let caller: Caller;
let methods: ResourceMethods<Resource>;
let refusal: ApiError | undefined;

const request = messageType(v1.UpdateRequest);
const update = (resources: readonly object[], more: object = {}): Promise<{ resources: Resource[] }> =>
  methods.update(request.complete({ resources, ...more }), call());
const first = (iterable: AsyncIterable<unknown>): Promise<unknown> => iterable[Symbol.asyncIterator]().next();
const watchAll = { collections: [], resumeToken: '', includeCurrent: true };
const names = (resources: readonly Resource[]): string[] =>
  resources.map((one) => (one.kind === undefined ? '' : (one[one.kind as 'node']?.name ?? '')));

function call(signal = new AbortController().signal): Call {
  return { operation: 'Test', requestId: '1', signal, deadline: undefined } as unknown as Call;
}

async function open(): Promise<void> {
  store = await SqliteStore.open({ path: join(folder, 'state.db'), owner: 'connectivity/test' });
  state = await State.open(store, catalogue);
  methods = resourceMethods<Bodies, Resource>({
    state,
    access,
    callerOf: () => caller,
    admit: () => {
      if (refusal) throw refusal;
    },
  });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cabernet-controller-'));
  caller = local;
  refusal = undefined;
  await open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

async function reasonOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  const { reason, field } = error as ApiError;
  return `${reason} ${field ?? ''}`;
}

describe('update', () => {
  test('creates, answers with generation, times and etag; the same again changes nothing', async () => {
    const { resources } = await update([{ supplier: { name: 'suppliers/one', address: 'unix:/a' } }]);
    const status = resources[0]?.supplier?.status;
    expect(status).toMatchObject({
      generation: 1n,
      observedGeneration: 1n,
      reconciling: false,
      state: 'ready',
    });
    const revision = state.revision;
    expect((await update([{ supplier: { name: 'suppliers/one', address: 'unix:/a' } }])).resources).toEqual(
      resources,
    );
    expect(state.revision).toBe(revision);
    const changed = await update([{ supplier: { name: 'suppliers/one', address: 'unix:/b' } }]);
    expect(changed.resources[0]?.supplier?.status).toMatchObject({
      generation: 2n,
      createTime: status?.createTime,
    });
    expect(changed.resources[0]?.supplier?.status?.etag).not.toBe(status?.etag);
  });

  test('what the controller writes is not the caller’s to say', async () => {
    await update([{ node: { name: 'nodes/P', price: { microsPerHour: 7 }, status: { state: 'mine' } } }]);
    expect(state.get('node', 'nodes/P')?.price).toBeUndefined();
    expect(state.get('node', 'nodes/P')?.status).toMatchObject({ state: 'pending', reconciling: true });
    await state.transact((tx) => {
      const node = tx.get('node', 'nodes/P');
      if (node) tx.put('node', { ...node, price: { microsPerHour: 9n, currency: 'EUR' } });
    });
    await update([{ node: { name: 'nodes/P', site: 'Aalen' } }]);
    expect(state.get('node', 'nodes/P')).toMatchObject({ site: 'Aalen', price: { microsPerHour: 9n } });
  });

  test('all or none', async () => {
    const bad = update([{ customer: { name: 'customers/a' } }, { customer: { name: 'customers/A' } }]);
    expect(await reasonOf(bad)).toBe('NAME resources[1].customer.name');
    refusal = new ApiError(9, { reason: 'NO', message: 'no' });
    expect(await reasonOf(update([{ customer: { name: 'customers/a' } }]))).toBe('NO ');
    expect(state.all('customer')).toEqual([]);
    expect(state.revision).toBe((await store.list('')).revision);
  });

  test.each([
    ['a kind that is not there', [{}], 'RESOURCE_KIND resources[0]'],
    ['a name of another kind', [{ node: { name: 'links/x' } }], 'NAME resources[0].node.name'],
    ['no name', [{ node: {} }], 'NAME resources[0].node.name'],
    ['a name too deep', [{ node: { name: 'nodes/x/y/z' } }], 'NAME resources[0].node.name'],
    ['an id that climbs', [{ node: { name: 'nodes/..' } }], 'NAME resources[0].node.name'],
    ['a name with a newline', [{ node: { name: 'nodes/a\n' } }], 'NAME resources[0].node.name'],
    ['a long name', [{ node: { name: `nodes/${'a'.repeat(64)}` } }], 'NAME resources[0].node.name'],
    ['a single one with an id', [{ tariff: { name: 'tariff/x' } }], 'NAME resources[0].tariff.name'],
    [
      'twice',
      [{ node: { name: 'nodes/a' } }, { node: { name: 'nodes/a' } }],
      'DUPLICATE resources[1].node.name',
    ],
    ['what the controller makes', [{ offer: { name: 'offers/a' } }], 'PERMISSION_DENIED resources[0].offer'],
    [
      'what its check refuses',
      [{ customer: { name: 'customers/a', virtualNodes: 1001 } }],
      'TOO_BIG resources[0].customer.virtual_nodes',
    ],
  ])('%s is refused', async (_, resources, told) => {
    expect(await reasonOf(update(resources))).toBe(told);
  });

  test('validate_only changes nothing', async () => {
    const { resources } = await update([{ node: { name: 'nodes/P' } }], { validateOnly: true });
    expect(names(resources)).toEqual(['nodes/P']);
    expect(state.all('node')).toEqual([]);
  });

  test('an etag that is no longer right is refused', async () => {
    const { resources } = await update([{ node: { name: 'nodes/P' } }]);
    const status = { etag: resources[0]?.node?.status?.etag };
    await update([{ node: { name: 'nodes/P', site: 'a', status } }]);
    const late = update([{ node: { name: 'nodes/P', site: 'b', status } }]);
    expect(await reasonOf(late)).toBe('ETAG_MISMATCH resources[0].node.status.etag');
    const gone = methods.delete(
      { names: ['nodes/P'], etags: [status.etag ?? ''], allowMissing: false, validateOnly: false },
      call(),
    );
    expect(await reasonOf(gone)).toBe('ETAG_MISMATCH etags[0]');
  });

  test('a request id: the same again changes nothing, another is refused, also after a restart', async () => {
    await update([{ node: { name: 'nodes/P', site: 'a' } }], { requestId: 'r1' });
    await update([{ node: { name: 'nodes/P', site: 'b' } }]);
    await store.close();
    await open();
    const again = await update([{ node: { name: 'nodes/P', site: 'a' } }], { requestId: 'r1' });
    expect(again.resources[0]?.node?.site).toBe('b');
    const other = update([{ node: { name: 'nodes/P', site: 'c' } }], { requestId: 'r1' });
    expect(await reasonOf(other)).toBe('REQUEST_ID_REUSED request_id');
    expect(await reasonOf(update([], { requestId: 'a b' }))).toBe('REQUEST_ID request_id');
  });

  test('request ids are forgotten after an hour, those of the last hour are not', async () => {
    for (let i = 0; i < 250; i++)
      await update([{ node: { name: 'nodes/P', site: `${i}` } }], { requestId: `r${i}` });
    const entries = async (): Promise<number> =>
      (await store.list('requests/', { limit: 1000 })).entries.length;
    expect(await forgetRequests(store)).toBe(0);
    expect(await entries()).toBe(250);
    expect(await forgetRequests(store, Date.now() + 3_700_000)).toBe(250);
    expect(await entries()).toBe(0);
  });
});

describe('isolation', () => {
  test('what is another’s is not there', async () => {
    await update([
      { serviceNetwork: { name: 'customers/games/serviceNetworks/g' } },
      { node: { name: 'nodes/P' } },
    ]);
    caller = iptv;
    expect(() => methods.get({ name: 'customers/games/serviceNetworks/g' }, call())).toThrow(/There is no/);
    expect(() => methods.get({ name: 'nodes/P' }, call())).toThrow(/There is no/);
    expect(
      methods.list({ collection: 'customers/-/serviceNetworks', pageSize: 0, pageToken: '' }, call())
        .resources,
    ).toEqual([]);
    const theirs = update([{ serviceNetwork: { name: 'customers/games/serviceNetworks/g' } }]);
    expect(await reasonOf(theirs)).toBe('NOT_FOUND resources[0].service_network.name');
    const none = methods.delete(
      { names: ['nodes/P'], etags: [], allowMissing: true, validateOnly: false },
      call(),
    );
    expect(await none).toEqual({});
    expect(state.get('node', 'nodes/P')).toBeDefined();
    await update([{ serviceNetwork: { name: 'customers/iptv/serviceNetworks/i' } }]);
    expect(
      names(
        methods.list({ collection: 'customers/-/serviceNetworks', pageSize: 0, pageToken: '' }, call())
          .resources,
      ),
    ).toEqual(['customers/iptv/serviceNetworks/i']);
  });
});

describe('watch', () => {
  test('what there is, then every change once and in order', async () => {
    await update([{ node: { name: 'nodes/A' } }, { link: { name: 'links/l' } }]);
    const stop = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const event of methods.watch({ ...watchAll, collections: ['nodes'] }, call(stop.signal))) {
        seen.push(
          `${types.EventType[event.type]?.slice(11) ?? ''} ${event.resource ? names([event.resource])[0] : ''}`,
        );
        if (event.type === types.EventType.EVENT_TYPE_SYNCED)
          await update([{ node: { name: 'nodes/B' } }, { link: { name: 'links/m' } }]);
        if (seen.length === 3)
          await methods.delete(
            { names: ['nodes/A'], etags: [], allowMissing: false, validateOnly: false },
            call(),
          );
        if (seen.length === 4) stop.abort();
      }
    })();
    await watching;
    expect(seen).toEqual(['CURRENT nodes/A', 'SYNCED ', 'CHANGED nodes/B', 'DELETED nodes/A']);
  });

  test('whoever leaves before all that was there has been sent cannot resume, and so misses nothing', async () => {
    await update([{ node: { name: 'nodes/A' } }, { node: { name: 'nodes/B' } }]);
    const tokens: string[] = [];
    for await (const event of methods.watch(watchAll, call())) {
      tokens.push(event.resumeToken);
      if (event.type === types.EventType.EVENT_TYPE_SYNCED) break;
    }
    expect(tokens.map((token) => token === '')).toEqual([true, true, false]);
  });

  test('a client that leaves after every event and comes back misses and repeats nothing', async () => {
    let resumeToken = '';
    for await (const event of methods.watch(watchAll, call())) {
      ({ resumeToken } = event);
      break;
    }
    const wanted: string[] = [];
    for (let i = 0; i < 50; i++) {
      const batch = Array.from({ length: (i % 4) + 1 }, (_, k) => ({
        node: { name: `nodes/n${k}`, site: `${i}` },
      }));
      await update(batch);
      wanted.push(...batch.map(({ node }) => `${node.name} ${node.site}`));
    }
    const seen: string[] = [];
    while (seen.length < wanted.length) {
      for await (const event of methods.watch(
        { collections: [], includeCurrent: false, resumeToken },
        call(),
      )) {
        ({ resumeToken } = event);
        const node = event.resource?.kind === 'node' ? event.resource.node : undefined;
        seen.push(`${node?.name} ${node?.site}`);
        break;
      }
    }
    expect(seen).toEqual(wanted);
  });

  test.each(['x', 'djEueg', Buffer.from('v1.zzzzzzzzzzzz.1').toString('base64url')])(
    'a token %s is refused',
    async (resumeToken) => {
      const watching = methods.watch({ collections: [], includeCurrent: false, resumeToken }, call());
      expect(await reasonOf(first(watching))).toBe('RESUME_TOKEN resume_token');
    },
  );

  test('a token from a revision that is not there yet is told to begin anew', async () => {
    const resumeToken = Buffer.from('v1.zzzz.all').toString('base64url');
    const watching = methods.watch({ collections: [], includeCurrent: false, resumeToken }, call());
    expect(await reasonOf(first(watching))).toBe('RESUME_TOKEN_EXPIRED resume_token');
  });
});

test('a collection that is not there is told, with those that are', () => {
  expect(() => methods.list({ collection: 'vifs', pageSize: 0, pageToken: '' }, call())).toThrow(
    /there are suppliers, nodes, links/,
  );
});

test('after a restart all is as it was', async () => {
  await update([{ node: { name: 'nodes/P' } }, { customer: { name: 'customers/iptv' } }]);
  const before = [...state.all('node'), ...state.all('customer')];
  const etag = methods.get({ name: 'nodes/P' }, call()).resource;
  await store.close();
  await open();
  expect([...state.all('node'), ...state.all('customer')]).toEqual(before);
  expect(methods.get({ name: 'nodes/P' }, call()).resource).toEqual(etag);
});
