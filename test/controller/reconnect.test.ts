/*
 * A watch that is cut off a thousand times, at any point, each time with its connection; now and then the server and its
 * store end and begin again, while another client creates, changes and deletes. It misses nothing and repeats nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { connect } from '../../src/api/client.js';
import { ConnectivityService, type Resource } from '../../src/api/connectivity.js';
import { unimplemented } from '../../src/api/errors.js';
import { silentLogger } from '../../src/api/log.js';
import { type ApiServer, implement, startServer } from '../../src/api/server.js';
import { types } from '../../src/api/types.js';
import { catalogue, type Bodies } from '../../src/connectivity/kinds.js';
import { resourceMethods } from '../../src/controller/methods.js';
import { State } from '../../src/controller/state.js';
import { SqliteStore } from '../../src/store/sqlite.js';

const RECONNECTS = 1000;
const RESTART_EVERY = 100;

const folder = mkdtempSync(join(tmpdir(), 'cabernet-reconnect-'));
const socketPath = join(folder, 'one.sock');
let store: SqliteStore;
let server: ApiServer;

async function start(): Promise<void> {
  store = await SqliteStore.open({ path: join(folder, 'state.db'), owner: 'connectivity/test' });
  const state = await State.open<Bodies>(store, catalogue);
  const methods = resourceMethods<Bodies, Resource>({
    state,
    access: { sees: () => true, mayChange: () => true, shown: (_, __, body) => body },
    callerOf: () => ({ role: 'local', name: '' }),
    admit: () => undefined,
  });
  const none = (): never => {
    throw unimplemented({ reason: 'NOT_TESTED', message: 'This test has no such method.' });
  };
  const services = [implement(ConnectivityService, { ...methods, apply: none, listReports: none })];
  server = await startServer({ socketPath, services, log: silentLogger });
}

async function stop(): Promise<void> {
  await server.stop(0);
  await store.close();
}

beforeAll(start);
afterAll(async () => {
  await stop();
  rmSync(folder, { recursive: true });
});

/** The same each time, and without a pattern. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * sides);
  };
}

test('a thousand times', { timeout: 120_000 }, async () => {
  const roll = dice(20261130);
  const wanted: string[] = [];
  const there = new Set<string>();
  let changes = 0;

  let writer = connect(ConnectivityService, { socketPath });
  /** One request, of several resources: what it does is told in the order of their names. */
  async function write(): Promise<void> {
    {
      const names = [
        ...new Set(Array.from({ length: 1 + roll(4) }, () => `customers/c${roll(8)}`)),
      ].toSorted();
      if (roll(3) === 0 && names.every((name) => there.has(name))) {
        await writer.delete({ names });
        for (const name of names) {
          there.delete(name);
          wanted.push(`deleted ${name}`);
        }
        return;
      }
      const resources = names.map((name) => ({ customer: { name, virtualNodes: ++changes } }));
      await writer.update({ resources });
      for (const { customer } of resources) {
        there.add(customer.name);
        wanted.push(`${customer.name} ${customer.virtualNodes}`);
      }
    }
  }

  const seen: string[] = [];
  let resumeToken = '';
  for (let i = 0; i < RECONNECTS; i++) {
    if (i % RESTART_EVERY === RESTART_EVERY - 1) {
      writer.close();
      await stop();
      await start();
      writer = connect(ConnectivityService, { socketPath });
    }
    const client = connect(ConnectivityService, { socketPath });
    const cut = new AbortController();
    const first = resumeToken === '';
    // while it is connected, or while it is not
    const early = first || roll(2) === 0;
    if (!first && early) await write();
    let left = first ? 1 : roll(5);
    const late = early ? undefined : write();
    try {
      if (left > 0)
        for await (const event of client.watch(
          { resumeToken, includeCurrent: first },
          { signal: cut.signal },
        )) {
          ({ resumeToken } = event);
          const customer = event.resource?.kind === 'customer' ? event.resource.customer : undefined;
          if (customer)
            seen.push(
              event.type === types.EventType.EVENT_TYPE_DELETED
                ? `deleted ${customer.name}`
                : `${customer.name} ${customer.virtualNodes}`,
            );
          // what is to come is not known: only what was written for sure is waited for
          if (--left <= 0 || seen.length >= wanted.length) cut.abort();
        }
    } catch (error) {
      expect(error).toMatchObject({ reason: expect.stringMatching(/^(UNAVAILABLE|CANCELLED)$/) as string });
    } finally {
      client.close();
      await late;
    }
  }
  const client = connect(ConnectivityService, { socketPath });
  while (seen.length < wanted.length)
    for await (const event of client.watch({ resumeToken })) {
      ({ resumeToken } = event);
      const { customer } = event.resource as { customer: { name: string; virtualNodes: number } };
      seen.push(
        event.type === types.EventType.EVENT_TYPE_DELETED
          ? `deleted ${customer.name}`
          : `${customer.name} ${customer.virtualNodes}`,
      );
      if (seen.length >= wanted.length) break;
    }
  client.close();
  writer.close();
  expect(seen).toEqual(wanted);
  expect(wanted.length).toBeGreaterThan(RECONNECTS);
});
