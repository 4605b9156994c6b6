/*
 * Every field of every request of every controller with what must not be in it, as bytes on the wire: each is answered with a
 * clear status, a reason and the field, never by a fault; nothing has changed, and the same process goes on.
 */
import { type Client as RawClient } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type ApiError, fromServiceError, Status } from '../../src/api/errors.js';
import { type MethodSchema, serviceSchema } from '../../src/api/schema.js';
import { rawCall } from '../api/raw.js';
import { Deployment, type Layer } from './deployment.js';
import { hostile, type Seen } from './hostile-values.js';
import { lax, type Loose } from './lax.js';
import { CONNECTIVITY, INFRASTRUCTURE, PATHS, type Right, SERVICE } from './requests.js';

const SUITES: readonly (readonly [service: string, layer: Layer, rights: readonly Right[]])[] = [
  ['cabernet.infrastructure.v1.InfrastructureService', 'infrastructure', INFRASTRUCTURE],
  ['cabernet.infrastructure.v1.PathService', 'infrastructure', PATHS],
  ['cabernet.connectivity.v1.ConnectivityService', 'connectivity', CONNECTIVITY],
  ['cabernet.service.v1.ServiceNetworkService', 'service', SERVICE],
];

const { INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION } = Status;
/** What may be said of a request; anything else is a fault, or a server that is not there. */
const CLEAR: ReadonlySet<Status> = new Set([
  ...[INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION],
  ...[Status.RESOURCE_EXHAUSTED, Status.ABORTED, Status.OUT_OF_RANGE],
]);
/** Of a message or a stream as a whole: there is no field to name. */
const WHOLE: ReadonlySet<string> = new Set(['MESSAGE_MALFORMED', 'MESSAGE_COUNT']);

/** Output only. */
const IGNORED =
  /(^|\.)(status|price|sold|lease|state|violation|achieved|wires|bypass|path|backup|shared|home|move|maintenance|backup_programmed|message|assigned_[ab]|sold_[a-z_]+)$/;
const WRITTEN: ReadonlySet<string> = new Set([
  ...['status', 'price', 'sold', 'lease', 'state', 'achieved', 'leased', 'free', 'soldAToB', 'soldBToA'],
  ...['soldOut', 'soldIn', 'term', 'violation'],
]);

/** What passes although nobody could mean it, and why that is right. */
const PASS: readonly (readonly [method: string, field: RegExp, why: string])[] = [
  ['Delete', /^(names|etags)/, 'with allow_missing, what is not there is no error'],
  ['ComputeTree', /^passed/, 'a request that has passed too many ends here, with no ways'],
  [
    'Apply',
    /\.(address\.prefix|route\.(destination|next_hops.*))$/,
    'what is wrong with it, the machine’s agent says, and ours only records',
  ],
];

const deployment = new Deployment();
const clients = new Map<string, RawClient>();

beforeAll(async () => {
  await deployment.begin();
  await deployment.populate();
}, 60_000);
afterAll(() => deployment.end(), 30_000);

async function clientFor(layer: Layer, caller: string | undefined): Promise<RawClient> {
  const key = `${layer} ${caller}`;
  let client = clients.get(key);
  if (!client) {
    client =
      caller === undefined
        ? deployment.rawLocal(layer)
        : deployment.rawRemote(deployment.address(layer), await deployment.issue(caller));
    clients.set(key, client);
  }
  return client;
}

/** Undefined: it was let pass. */
async function ask(
  client: RawClient,
  method: MethodSchema,
  requests: readonly Loose[],
): Promise<ApiError | undefined> {
  const bytes = requests.map((one) => lax(method.request, one));
  const answer = await rawCall(client, method.path, bytes);
  return answer instanceof Error ? fromServiceError(answer, '') : undefined;
}

/** Of all that callers have said; what the controllers write beside it changes when it likes. */
async function pictureOf(layer: Layer): Promise<string> {
  const { resources } = await deployment.picture(layer);
  return JSON.stringify(resources, (key, value: unknown) =>
    WRITTEN.has(key) ? undefined : typeof value === 'bigint' ? String(value) : value,
  );
}

function isClear(error: ApiError | undefined, method: string, never: boolean, field: string): boolean {
  if (!error) return !never || PASS.some(([of, which]) => of === method && which.test(field));
  if (!CLEAR.has(error.status) || !/^[A-Z][A-Z0-9_]+$/.test(error.reason) || error.operation !== method)
    return false;
  if (error.status !== Status.INVALID_ARGUMENT) return error.message !== '';
  return WHOLE.has(error.reason) || error.field !== undefined;
}

function titleOf({ method, requests, at = 0 }: Right, i: number): string {
  const { resources } = (requests[at] ?? {}) as { resources?: Loose | readonly Loose[] };
  const list = (Array.isArray(resources) ? resources : (resources as Loose | undefined)?.['resources']) as
    readonly Loose[] | undefined;
  return [`${i} ${method}`, ...Object.keys(list?.[0] ?? {})].join(' ');
}

describe.each(SUITES)('%s', (service, layer, rights) => {
  const { methods } = serviceSchema(service);
  const methodNamed = (name: string): MethodSchema => {
    const found = methods.find((method) => method.name === name);
    if (!found) throw new Error(`${service} has no ${name}`);
    return found;
  };

  const seen = new Map<string, Seen>(methods.map(({ name }) => [name, new Map()]));

  test('each method has a right request', () => {
    expect(new Set(rights.map(({ method }) => method))).toEqual(new Set(methods.map(({ name }) => name)));
  });

  test.each(rights.map((right, i) => [titleOf(right, i), right] as const))('%s', async (_, right) => {
    const method = methodNamed(right.method);
    const client = await clientFor(layer, right.caller);
    const at = right.at ?? 0;
    const undo = async (): Promise<void> => {
      if (!right.undo) return;
      const error = await ask(client, methodNamed(right.undo.method), [right.undo.request]);
      expect(error, JSON.stringify(right.undo)).toBeUndefined();
    };
    const base = await ask(client, method, right.requests);
    expect(base === undefined, `as it should be: ${base?.reason} ${base?.message}`).toBe(!right.refused);
    if (!base) await undo();
    const ignored = (path: string): boolean =>
      IGNORED.test(path) || (right.made === true && !/^resources(\[0\]\.\w+(\.name)?)?$/.test(path));
    const wrong: string[] = [];
    let before = await pictureOf(layer);
    let moment = await deployment.moment(layer);
    const all = hostile(
      method.request,
      right.requests[at] ?? {},
      ignored,
      seen.get(right.method) ?? new Map(),
    );
    for (const { field, what, body, never } of all) {
      const requests = right.requests.map((one, i) => (i === at ? body : one));
      const error = await ask(client, method, requests);
      const told = error
        ? `${Status[error.status]} ${error.reason} ${error.field}: ${error.message}`
        : 'let pass';
      if (!isClear(error, right.method, never, field)) wrong.push(`${field}, ${what}: ${told}`);
      if (!error) await undo();
      const now = await deployment.moment(layer);
      if (now === moment) continue;
      // something has been written since: by this call, or by the controller after an earlier one
      const after = await pictureOf(layer);
      if (error && after !== before) wrong.push(`${field}, ${what}: ${told}, and something has changed`);
      [before, moment] = [after, now];
    }
    expect(wrong).toEqual([]);
    expect(deployment.died(layer)).toBeUndefined();
  });
});
