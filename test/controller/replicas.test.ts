/** Two processes of one controller over one etcd: one leads, is killed, sleeps, is cut off; the other goes on where it was. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type Client } from '../../src/api/client.js';
import { ConnectivityService } from '../../src/api/connectivity.js';
import { ApiError } from '../../src/api/errors.js';
import { InfrastructureService } from '../../src/api/infrastructure.js';
import { type ServiceType } from '../../src/api/message.js';
import { ServiceNetworkService } from '../../src/api/service.js';
import { types } from '../../src/api/types.js';
import { dialerWith } from '../../src/controller/dial.js';
import { RecordingAgent } from '../infrastructure/agent.js';
import { node } from '../infrastructure/provider.js';
import { ETCD, EtcdServer, needsEtcd } from '../store/support.js';
import { eventually, persist, type ReplicaProcess, Replicas } from './replicas.js';

let server: EtcdServer;
let replicas: Replicas;
const closing: { close(): void }[] = [];

/** As other controllers call a pair. */
function clientOf<S>(service: ServiceType<S>, ...of: readonly ReplicaProcess[]): Client<S> {
  const addresses = of.map(({ address }) => address).join(',');
  const client = dialerWith(undefined).dial(service, addresses, { role: 'infrastructure', name: 'one' });
  closing.push(client);
  return client;
}

async function refusal(work: Promise<unknown>): Promise<ApiError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

const first = (answers: AsyncIterable<unknown>): Promise<unknown> => answers[Symbol.asyncIterator]().next();
const counter = (n: number): object => ({ customer: { name: 'customers/counter', virtualNodes: n } });

describe.skipIf(!ETCD)(needsEtcd('replicas over etcd'), { timeout: 120_000 }, () => {
  beforeEach(async () => {
    server = await EtcdServer.start();
  });
  afterEach(async () => {
    for (const one of closing.splice(0)) one.close();
    await replicas.dispose();
    await server.dispose();
  });

  /** The counter's values as a watch gives them, resumed wherever it ends. */
  function follow(...of: readonly ReplicaProcess[]): {
    readonly seen: readonly number[];
    readonly resumed: () => number;
    readonly until: (n: number) => Promise<void>;
  } {
    const client = clientOf(InfrastructureService, ...of);
    const seen: number[] = [];
    let resumed = 0;
    const until = (n: number): Promise<void> => {
      let resumeToken = '';
      return persist(async () => {
        if (resumeToken !== '') resumed++;
        const request = { collections: ['customers'], resumeToken, includeCurrent: resumeToken === '' };
        for await (const event of client.watch(request)) {
          if (event.resumeToken !== '') ({ resumeToken } = event);
          if (event.type === types.EventType.EVENT_TYPE_CHANGED)
            seen.push(event.resource?.customer?.virtualNodes ?? -1);
          if (seen.at(-1) === n) return;
        }
        throw new Error('a watch does not end by itself');
      });
    };
    return { seen, resumed: () => resumed, until };
  }

  test('killed in the middle of a series: nothing acknowledged is lost, nothing is doubled', async () => {
    replicas = new Replicas('infrastructure', server);
    const [a, b] = await replicas.start();
    const client = clientOf(InfrastructureService, a, b);
    const watching = follow(a, b);
    const LAST = 300;
    const watched = watching.until(LAST);
    await persist(async () => client.update({ resources: [{ customer: { name: 'customers/counter' } }] }));
    let killed: Promise<unknown> | undefined;
    for (let n = 1; n <= LAST; n++) {
      const request = { resources: [counter(n)], requestId: `update-${n}` };
      const updating = persist(() => client.update(request));
      // while it is under way
      if (n === 100) killed = a.end('SIGKILL');
      const { resources } = await updating;
      expect(resources[0]?.customer?.virtualNodes).toBe(n);
      // and again, as one does whose answer was lost
      if (n % 50 === 0) await persist(() => client.update(request));
    }
    await killed;
    await watched;
    expect(await b.health()).toBe(1);
    const { resource } = await client.get({ name: 'customers/counter' });
    expect(resource?.customer?.status?.generation).toBe(BigInt(LAST + 1));
    const start = watching.seen[0] ?? -1;
    // the watch began at the first or before it; from there on it has each once
    expect(start).toBeLessThanOrEqual(1);
    expect(watching.seen).toEqual(Array.from({ length: LAST + 1 - start }, (_, i) => start + i));
    expect(watching.resumed()).toBeGreaterThan(0);
    // the one that was killed comes back, and stands by
    a.start();
    await a.until(2);
    expect(await b.health()).toBe(1);
  });

  test('who stands by says who leads, and leads at once when that one resigns', async () => {
    replicas = new Replicas('infrastructure', server);
    const [a, b] = await replicas.start();
    const standby = clientOf(InfrastructureService, b);
    for (const work of [
      standby.get({ name: 'customers/counter' }),
      standby.update({ resources: [counter(1)] }),
      first(standby.watch({ collections: [], resumeToken: '', includeCurrent: true })),
    ]) {
      const { reason, message } = await refusal(work);
      expect(reason).toBe('NOT_LEADER');
      expect(message).toContain(a.address);
    }
    const leading = clientOf(InfrastructureService, a);
    await leading.update({ resources: [counter(1)] });
    expect(await a.end('SIGTERM')).toBe(0);
    await b.until(1);
    expect((await standby.get({ name: 'customers/counter' })).resource?.customer?.virtualNodes).toBe(1);
    // the last one ends as well as any
    expect(await b.end('SIGTERM')).toBe(0);
  });

  test('one that slept through its lease writes nothing, ends its watches, tells agents nothing, and can lead again', async () => {
    replicas = new Replicas('infrastructure', server);
    const [a, b] = await replicas.start();
    const agent = new RecordingAgent(`${replicas.folder}/P.sock`);
    await agent.start();
    try {
      const [old, fresh] = [clientOf(InfrastructureService, a), clientOf(InfrastructureService, b)];
      const machine = { name: 'machines/P', agent: `unix:${agent.socket}`, addresses: ['100.127.0.1'] };
      await old.update({ resources: [{ machine }, counter(1)] });
      const isReady = (client: typeof old) => async () =>
        (await client.get({ name: 'machines/P' })).resource?.machine?.status?.state === 'ready';
      await eventually(isReady(old), 'the machine is ready');
      await old.update({ resources: [{ customer: { name: 'customers/conn' } }] });
      await old.reserve({ requestId: 'r', virtualNodes: [node('P')], holdSeconds: 3600 });
      await old.commit({ name: 'customers/conn/reservations/r' });
      const epoch = (): bigint => agent.holdings.get('one')?.epoch ?? 0n;
      await eventually(() => agent.resourcesOf('one').length > 0, 'the agent has the node');
      const before = epoch();
      const watching = first(
        old.watch({ collections: ['customers'], resumeToken: '', includeCurrent: false }),
      );
      watching.catch(() => undefined);
      a.signal('SIGSTOP');
      // sent to one that does not hear it yet
      const late = refusal(old.update({ resources: [counter(99)] }, { deadlineMs: 60_000 }));
      await b.until(1);
      await fresh.update({ resources: [counter(2)] });
      // the stopped one's connection is there still
      await eventually(() => agent.watching === 2, 'both listen to the agent');
      a.signal('SIGCONT');
      expect((await late).reason).toMatch(/^(NOT_LEADER|OUTCOME_UNKNOWN|STATE_STALE)$/);
      expect((await refusal(watching)).reason).toBe('NOT_LEADER');
      await a.until(2);
      expect((await refusal(old.get({ name: 'customers/counter' }))).message).toContain(b.address);
      const { resource } = await fresh.get({ name: 'customers/counter' });
      expect(resource?.customer?.virtualNodes).toBe(2);
      await eventually(isReady(fresh), 'the machine is the new one’s');
      await eventually(() => agent.watching === 1, 'the old one has left the agent');
      // whatever the old one had sent to the agent later than that would be stale, by far
      await eventually(() => epoch() > before + 60_000n, 'the new one has applied');
      expect(agent.applies.map((told) => told.epoch)).toEqual(
        agent.applies.map((told) => told.epoch).toSorted((x, y) => Number(x - y)),
      );
      await b.end('SIGKILL');
      await a.until(1);
      expect((await old.get({ name: 'customers/counter' })).resource?.customer?.virtualNodes).toBe(2);
      await old.update({ resources: [counter(3)] });
    } finally {
      await agent.stop();
    }
  });

  test('etcd is killed and comes back in the middle of a series, several times', async () => {
    replicas = new Replicas('infrastructure', server);
    const [a, b] = await replicas.start();
    const client = clientOf(InfrastructureService, a, b);
    const LAST = 200;
    let reached = 0;
    const outages = (async () => {
      for (const at of [30, 80, 130]) {
        await eventually(() => reached >= at, `update ${at}`);
        await server.kill();
        server.run();
      }
    })();
    for (let n = 1; n <= LAST; n++) {
      const request = { resources: [counter(n)], requestId: `update-${n}` };
      const { resources } = await persist(() => client.update(request));
      expect(resources[0]?.customer?.virtualNodes).toBe(n);
      reached = n;
    }
    await outages;
    const { resource } = await persist(() => client.get({ name: 'customers/counter' }));
    expect(resource?.customer?.status?.generation).toBe(BigInt(LAST));
    // what memory says is what the next one finds
    const [leading, standing] = (await a.health()) === 1 ? [a, b] : [b, a];
    await leading.end('SIGKILL');
    await standing.until(1);
    const after = await clientOf(InfrastructureService, standing).get({ name: 'customers/counter' });
    expect(after.resource).toEqual(resource);
  });

  for (const [layer, service, resource] of [
    ['connectivity', ConnectivityService, counter(7)],
    ['service', ServiceNetworkService, { node: { name: 'nodes/P' } }],
  ] as const) {
    test(`a ${layer} provider's controller is followed by its replica`, async () => {
      replicas = new Replicas(layer, server);
      const [a, b] = await replicas.start();
      const client = clientOf(service as typeof ConnectivityService, a, b);
      const { resources } = await client.update({ resources: [resource] });
      // what the controller itself makes of it may change its state, but not these
      const lasting = (one: (typeof resources)[0] | undefined): unknown => {
        const { name, status } = one?.customer ?? one?.node ?? {};
        return { name, generation: status?.generation, createTime: status?.createTime };
      };
      await a.end('SIGKILL');
      await b.until(1);
      const name = layer === 'connectivity' ? 'customers/counter' : 'nodes/P';
      expect(lasting((await client.get({ name })).resource)).toEqual({
        ...(lasting(resources[0]) as object),
        name,
        generation: 1n,
      });
    });
  }
});
