/*
 * Every RPC of every server with every certificate there is, over mutual TLS, at the processes that serve it in the field.
 * Whoever may not is refused before anything is read, with a stable reason, and nothing has changed; whoever may gets in.
 */
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { type Client as RawClient } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { fromServiceError, Status } from '../../src/api/errors.js';
import { type MethodSchema, serviceSchema } from '../../src/api/schema.js';
import { Authority } from '../../src/identity/authority.js';
import { ROLES } from '../../src/identity/principal.js';
import { rawCall } from '../api/raw.js';
import { type Running } from '../cli/support.js';
import { DEPLOYMENT, issue } from '../identity/support.js';
import { Deployment, LAYERS, type Picture } from './deployment.js';
import { lax } from './lax.js';
import { CALLERS, NOBODY, type Place, PLACES, STANDARD, STRANGERS } from './places.js';
import { type Way, WAYS } from './ways-in.js';

const deployment = new Deployment();
let agent: Running;
let agentAddress = '';
const pinDir = `/sys/fs/bpf/apis-${process.pid}`;
const directories = new Map<string, string>();
const clients = new Map<string, RawClient>();

const addressOf = (place: Place): string =>
  place.layer === 'agent' ? agentAddress : deployment.address(place.layer);

function clientOf(place: Place, caller: string): RawClient {
  const key = `${place.layer} ${caller}`;
  let client = clients.get(key);
  if (!client) {
    client = deployment.rawRemote(addressOf(place), directories.get(caller) ?? '');
    clients.set(key, client);
  }
  return client;
}

beforeAll(async () => {
  await deployment.begin();
  for (const caller of CALLERS) directories.set(caller, await deployment.issue(caller));
  const day = 86_400_000;
  const at = (days: number): Date => new Date(Date.now() + days * day);
  const twin = await Authority.init(deployment.path('twin'), DEPLOYMENT);
  const other = await Authority.init(deployment.path('other'), 'other.net');
  const into = (name: string): string => deployment.path(name);
  for (const [stranger, directory] of [
    ['expired', await deployment.issue('operator/eve', { at: at(-100), into: into('expired') })],
    ['not yet valid', await deployment.issue('operator/eve', { at: at(10), into: into('early') })],
    ['revoked', deployment.path('operator-revoked')],
    ['of another deployment', await issue(other, 'operator/alice', { into: into('foreign') })],
    ['of a twin authority', await issue(twin, 'operator/alice', { into: into('copied') })],
    [NOBODY, deployment.path('operator-alice')],
  ] as const) {
    directories.set(stranger, directory);
    // they believe whom the others believe, so that it is not they who hang up
    cpSync(deployment.path('ca', 'authorities.pem'), join(directory, 'authorities.pem'));
  }
  agent = deployment.home.start([
    ...['node', '--name', 'P', '--socket', deployment.path('agent.sock'), '--pin-dir', pinDir],
    ...[
      '--listen',
      '127.0.0.1:0',
      '--credentials',
      directories.get('agent/one/P') ?? '',
      '--provider',
      'one',
    ],
  ]);
  await deployment.populate();
  // what Commit and Cancel could do harm to
  await (
    await deployment.remote('infrastructure', 'connectivity/conn')
  ).reserve({
    virtualNodes: [{ name: 'customers/conn/virtualNodes/Q', offer: 'offers/Q', node: 'vns/conn/nodes/Q' }],
    requestId: 'held',
    holdSeconds: 3600,
  });
  await agent.until(({ stderr }) => {
    agentAddress = /serving .*address=(\S+)/.exec(stderr)?.[1] ?? '';
    return agentAddress !== '';
  });
}, 60_000);

afterAll(async () => {
  await agent?.stop();
  rmSync(pinDir, { recursive: true, force: true });
  await deployment.end();
}, 30_000);

/** `STATUS REASON`, of a refusal by the gate or by who is behind it; `in`: the handler has answered. */
async function outcome(
  client: RawClient,
  path: string,
  requests: readonly Uint8Array[],
): Promise<{ readonly told: string; readonly message: string }> {
  const answer = await rawCall(client, path, requests);
  if (!(answer instanceof Error)) return { told: 'in', message: '' };
  const { status, reason, message } = fromServiceError(answer, '');
  return { told: `${Status[status]} ${reason}`, message };
}

const encoded = (method: MethodSchema, requests: Way['harm']): readonly Uint8Array[] =>
  requests.map((request) => lax(method.request, request));

function mayCall(place: Place, way: Way, caller: string): boolean {
  if (caller === place.owner) return true;
  if (caller.startsWith('operator/')) return way.closedToOperators !== true;
  return way.open?.some((role) => caller.startsWith(`${role}/`)) === true;
}

const GATE = /^PERMISSION_DENIED (ROLE|OPERATORS_READ|NOT_OUR_PROVIDER|CERTIFICATE_.*)$/;

async function pictures(): Promise<readonly Picture[]> {
  return Promise.all(LAYERS.map((layer) => deployment.picture(layer)));
}

test('each RPC of the protos has a row, and each role is among the callers', () => {
  const found: string[] = [];
  const walk = (node: Record<string, unknown>, path: readonly string[]): void => {
    if (node['methods']) found.push(path.join('.'));
    for (const [key, child] of Object.entries((node['nested'] ?? {}) as Record<string, never>))
      walk(child, [...path, key]);
  };
  walk(JSON.parse(readFileSync('gen/cabernet.json', 'utf8')) as Record<string, unknown>, []);
  expect(found.toSorted()).toEqual(PLACES.flatMap(({ services }) => services).toSorted());
  expect(Object.keys(WAYS).toSorted()).toEqual(found.toSorted());
  for (const name of found)
    expect(Object.keys(WAYS[name] ?? {}), name).toEqual(serviceSchema(name).methods.map((one) => one.name));
  expect(new Set(CALLERS.map((name) => name.split('/')[0]))).toEqual(new Set(ROLES));
});

const methodsOf = ({ services }: Place): readonly { readonly method: MethodSchema; readonly way: Way }[] =>
  services.flatMap((service) =>
    serviceSchema(service).methods.map((method) => ({ method, way: WAYS[service]?.[method.name] as Way })),
  );

describe.each(PLACES)('at $owner, $layer', (place) => {
  test.each(CALLERS)('%s', async (caller) => {
    const before = await pictures();
    const client = clientOf(place, caller);
    const told: Record<string, string> = {};
    const wanted: Record<string, string> = {};
    const call = async ({
      method,
      way,
    }: {
      readonly method: MethodSchema;
      readonly way: Way;
    }): Promise<void> => {
      const refused = `PERMISSION_DENIED ${place.reason(caller)}`;
      const may = mayCall(place, way, caller);
      if (may) {
        const { told: answer } = await outcome(client, method.path, encoded(method, way.harmless ?? [{}]));
        told[method.path] = GATE.test(answer) ? answer : 'let in';
        wanted[method.path] = 'let in';
      }
      // whoever gets in may still not touch what is another's
      if (caller === place.owner || caller.startsWith('operator/') || caller === way.own) return;
      const answer = await outcome(client, method.path, encoded(method, way.harm));
      if (may) return;
      told[method.path] = answer.told;
      wanted[method.path] = refused;
      // who was refused, and nothing of what is there
      expect(answer.message).toContain(caller);
    };
    await Promise.all(methodsOf(place).map(call));
    const guest =
      caller === place.owner ||
      caller.startsWith('operator/') ||
      methodsOf(place).some(({ way }) => mayCall(place, way, caller));
    await Promise.all(
      STANDARD.map(async ([path, request]) => {
        told[path] = (await outcome(client, path, [request])).told;
        wanted[path] = guest ? 'in' : `PERMISSION_DENIED ${place.reason(caller)}`;
      }),
    );
    expect(told).toEqual(wanted);
    expect(await pictures()).toEqual(before);
  });

  test.each(STRANGERS)('%s: no connection', async (stranger) => {
    const before = await pictures();
    const directory = directories.get(stranger) ?? '';
    const client = deployment.rawRemote(addressOf(place), directory, { anonymous: stranger === NOBODY });
    const calls: readonly (readonly [path: string, requests: readonly Uint8Array[]])[] = [
      ...methodsOf(place).map(({ method, way }) => [method.path, encoded(method, way.harm)] as const),
      ...STANDARD.map(([path, request]) => [path, [request]] as const),
    ];
    await Promise.all(
      calls.map(async ([path, requests]) =>
        expect((await outcome(client, path, requests)).told, path).toMatch(/^UNAVAILABLE/),
      ),
    );
    expect(await pictures()).toEqual(before);
  });
});

test('what did no harm would have done it, by whoever may', async () => {
  for (const place of PLACES.toReversed())
    for (const { method, way } of methodsOf(place)) {
      if (way.idle) continue;
      const client = clientOf(place, way.own ?? place.owner);
      const { told, message } = await outcome(client, method.path, encoded(method, way.harm));
      expect(told, `${method.path} ${message}`).toBe('in');
    }
});

test('each server says in its log why a stranger found nobody', () => {
  const reasons = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'REVOKED', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'];
  for (const log of [...LAYERS.map((layer) => deployment.log(layer)), agent.output.stderr])
    for (const reason of reasons) expect(log).toMatch(new RegExp(`no connection .*reason=${reason}`));
});
