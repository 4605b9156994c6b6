/** One gate before all handlers: every role at every method, streams, health and reflection included. */
import { type Client as RawClient, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ERROR_METADATA, fromServiceError, Status } from '../../src/api/errors.js';
import { NodeService } from '../../src/api/node.js';
import {
  type ApiServer,
  type Attempt,
  type Caller,
  formatCaller,
  type Handlers,
} from '../../src/api/server.js';
import { ROLES } from '../../src/identity/principal.js';
import { rightsAt } from '../../src/node/rights.js';
import { DEPLOYMENT } from '../identity/support.js';
import { rawCall, rawRemote } from './raw.js';
import { failure, type Service, startBench } from './support.js';
import { TlsBench } from './tls-support.js';

const METHODS = NodeService.schema.methods;
const PATHS = [
  ...METHODS.map((method) => method.path),
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
  '/grpc.health.v1.Health/List',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
];

/** One certificate of each role, our provider's first. */
const CALLERS = [
  'infrastructure/acme',
  'infrastructure/evil',
  'connectivity/acme',
  'service/acme',
  'operator/alice',
  'operator/acme',
  'agent/acme/P',
  'agent/acme/Q',
  'agent/evil/P',
] as const;

const begun: string[] = [];

/** Every method notes that it was begun, and ends well. */
function noting(): Handlers<Service> {
  const entries = METHODS.map(({ key, name, requestStream, responseStream }) => {
    const plain = async (requests: unknown): Promise<object> => {
      begun.push(name);
      if (requestStream) for await (const _ of requests as AsyncIterable<unknown>);
      return {};
    };
    const streaming = async function* (): AsyncGenerator<object> {
      begun.push(name);
      yield {};
    };
    return [key, responseStream ? streaming : plain];
  });
  return Object.fromEntries(entries) as Handlers<Service>;
}

let bench: TlsBench;
const raw = new Map<string, RawClient>();

/** Calls with an empty message and takes the first answer; the error if there is none. */
async function attempt(client: RawClient, path: string): Promise<ServiceError | undefined> {
  const answer = await rawCall(client, path, [Buffer.alloc(0)]);
  return answer instanceof Error ? answer : undefined;
}

let agent: ApiServer;

beforeAll(async () => {
  bench = await new TlsBench().begin();
  agent = await bench.serve(noting(), rightsAt('acme'));
  for (const name of CALLERS) raw.set(name, rawRemote(agent.address, await bench.issue(name)));
});

afterAll(async () => {
  for (const client of raw.values()) client.close();
  await bench.close();
});

/** What docs/security.md says of an agent of acme. */
function isAllowed(caller: string, path: string): boolean {
  if (caller === 'infrastructure/acme') return true;
  return caller.startsWith('operator/') && !/NodeService\/(Apply|Capture)$/.test(path);
}

test('each role is among the callers', () => {
  expect(new Set(CALLERS.map((name) => name.split('/')[0]))).toEqual(new Set(ROLES));
});

describe.each(CALLERS)('an agent of acme and %s', (caller) => {
  test.each(PATHS)('%s', async (path) => {
    begun.length = 0;
    const error = await attempt(raw.get(caller)!, path);
    const method = path.split('/')[2]!;
    if (isAllowed(caller, path)) {
      expect(error).toBeUndefined();
      expect(begun).toEqual(path.includes('NodeService') ? [method] : []);
      return;
    }
    expect(begun).toEqual([]);
    expect(error?.code).toBe(Status.PERMISSION_DENIED);
    expect(error?.metadata.get(ERROR_METADATA)).toHaveLength(1);
    expect(fromServiceError(error, '')).toMatchObject({
      reason: caller.startsWith('operator/') ? 'OPERATORS_READ' : 'NOT_OUR_PROVIDER',
      operation: method,
      message: expect.stringContaining(`spiffe://${DEPLOYMENT}/${caller}`) as string,
    });
  });
});

test('what was refused is in the log, with who it was', () => {
  const refused = bench.lines.filter((line) => line.includes('api refused'));
  expect(refused.some((line) => line.includes('NOT_OUR_PROVIDER') && line.includes('agent/evil/P'))).toBe(
    true,
  );
});

test('the agent’s rules know nobody by accident', () => {
  const rights = rightsAt('acme');
  const service = 'cabernet.node.v1.NodeService';
  const ask = (principal: Caller, method = 'GetMachine'): boolean =>
    rights({ principal, service, method }) === undefined;
  expect(ask({ role: 'local' }, 'Apply')).toBe(true);
  const deployment = DEPLOYMENT;
  expect(ask({ role: 'operator', deployment, name: 'a' }, 'ApplyLater')).toBe(false);
  expect(ask({ role: 'operator', deployment, name: 'a' }, 'constructor')).toBe(false);
  expect(ask({ role: 'infrastructure', deployment, name: 'Acme' })).toBe(false);
  expect(
    rights({ principal: { role: 'operator', deployment, name: 'a' }, service: 'other', method: 'Watch' }),
  ).toEqual(expect.objectContaining({ reason: 'OPERATORS_READ' }));
});

test('the gate hears who asks for what, before anything of the request is read', async () => {
  const attempts: Attempt[] = [];
  const server = await bench.serve(
    noting(),
    (asked) => {
      attempts.push(asked);
      return { reason: 'NO', message: 'No.' };
    },
    await bench.open(bench.path('agent-acme-P')),
  );
  const client = bench.client(server, await bench.open(bench.path('service-acme')));
  const denied = { status: Status.PERMISSION_DENIED, reason: 'NO', message: 'No.' };
  let asked = 0;
  async function* requests(): AsyncGenerator<object> {
    asked++;
    yield { resources: { resources: [] } };
    await new Promise(() => undefined);
  }
  begun.length = 0;
  expect(await failure(client.getMachine({}))).toMatchObject({ ...denied, operation: 'GetMachine' });
  expect(await failure(client.watch({}))).toMatchObject({ ...denied, operation: 'Watch' });
  expect(await failure(client.apply(requests()))).toMatchObject({ ...denied, operation: 'Apply' });
  expect(asked).toBe(1);
  expect(begun).toEqual([]);
  expect(
    attempts.map(({ principal, service, method }) => [formatCaller(principal), service, method]),
  ).toEqual(
    ['GetMachine', 'Watch', 'Apply'].map((method) => [
      `spiffe://${DEPLOYMENT}/service/acme`,
      'cabernet.node.v1.NodeService',
      method,
    ]),
  );
});

test('a gate that fails lets nobody in, and tells nobody why', async () => {
  const server = await bench.serve(
    noting(),
    () => {
      throw new Error('secret');
    },
    await bench.open(bench.path('agent-acme-P')),
  );
  const client = bench.client(server, await bench.open(bench.path('infrastructure-acme')));
  begun.length = 0;
  const error = await failure(client.getMachine({}));
  expect(error).toMatchObject({ status: Status.INTERNAL, reason: 'INTERNAL', operation: 'GetMachine' });
  expect(JSON.stringify(error)).not.toContain('secret');
  expect((error as Error).message).not.toContain('secret');
  expect(bench.lines.join('\n')).toContain('secret');
  expect(begun).toEqual([]);
});

test('on the unix socket the caller is local, and passes the gate as well', async () => {
  const callers: string[] = [];
  const local = await startBench({
    getMachine: (_, call) => {
      callers.push(formatCaller(call.principal));
      return {};
    },
  });
  await local.client.getMachine({});
  expect(callers).toEqual(['local']);
  await local.close();
});
