/*
 * Two customers of one provider, over mutual TLS: whatever one of them asks of what is the other's, the answer is word for
 * word the one about what is not there, and a watch shows nothing of it, also with a resume token that is the other's.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type Client as RawClient } from '@grpc/grpc-js';

import { fromServiceError, Status } from '../../src/api/errors.js';
import { serviceSchema } from '../../src/api/schema.js';
import { rawCall } from '../api/raw.js';
import { bodyOf, Deployment, type Layer } from './deployment.js';
import { lax, type Loose } from './lax.js';

const deployment = new Deployment();
const raw = new Map<Layer, RawClient>();

const PLACES = [
  {
    layer: 'infrastructure',
    service: 'cabernet.infrastructure.v1.InfrastructureService',
    thief: 'connectivity/other',
    victim: 'connectivity/conn',
    own: 'customers/other/',
    things: {
      own: 'customers/other/virtualNodes/P',
      theirs: 'customers/conn/virtualNodes/P',
      collections: ['machines', 'customers', 'customers/-/virtualNodes', 'customers/conn/virtualNodes'],
    },
  },
  {
    layer: 'connectivity',
    service: 'cabernet.connectivity.v1.ConnectivityService',
    thief: 'service/games',
    victim: 'service/iptv',
    own: 'customers/games/',
    things: {
      own: 'customers/games/serviceNetworks/games',
      theirs: 'customers/iptv/serviceNetworks/iptv',
      collections: ['nodes', 'customers', 'customers/-/serviceNetworks', 'customers/iptv/serviceNetworks'],
    },
  },
] as const;

beforeAll(async () => {
  await deployment.begin();
  await deployment.populate();
  const conn = await deployment.remote('infrastructure', 'connectivity/conn');
  await conn.reserve({
    virtualNodes: [{ name: 'customers/conn/virtualNodes/Q', offer: 'offers/Q', node: 'vns/conn/nodes/Q' }],
    requestId: 'held',
    holdSeconds: 3600,
  });
  for (const { layer, thief } of PLACES)
    raw.set(layer, deployment.rawRemote(deployment.address(layer), await deployment.issue(thief)));
}, 60_000);
afterAll(() => deployment.end(), 30_000);

/** The answer as the thief has it: the name itself, which both answers repeat, is taken out. */
async function told(
  layer: Layer,
  service: string,
  name: string,
  thing: string,
  requests: readonly Loose[],
): Promise<string> {
  const method = serviceSchema(service).methods.find((one) => one.name === name);
  const client = raw.get(layer);
  if (!method || !client) throw new Error(`no ${name}`);
  const answer = await rawCall(
    client,
    method.path,
    requests.map((one) => lax(method.request, one)),
  );
  if (!(answer instanceof Error)) return `let pass: ${answer?.toString('hex')}`;
  const { status, reason, field, message } = fromServiceError(answer, '');
  return `${Status[status]} ${reason} ${field}: ${message.replaceAll(thing, 'IT')}`;
}

const LATER = `${new Date(Date.now() + 20 * 86_400_000).toISOString().slice(0, 19)}Z`;
const stream = (begin: Loose): Loose[] => [
  { begin: { ...begin, epoch: 2n ** 50n } },
  { commit: { resourceCount: 0 } },
];
const common = (thing: string): readonly (readonly [string, readonly Loose[]])[] => [
  ['Get', [{ name: thing }]],
  ['Delete', [{ names: [thing] }]],
  ['Delete', [{ names: [thing], allowMissing: true }]],
  ['Delete', [{ names: [thing], validateOnly: true }]],
  ['List', [{ collection: thing.slice(0, thing.lastIndexOf('/')) }]],
];

/** What is the victim's, and its like that is nobody's. */
const THINGS: Record<
  string,
  readonly (readonly [
    theirs: string,
    nobodys: string,
    more: (thing: string) => readonly (readonly [string, readonly Loose[]])[],
  ])[]
> = {
  infrastructure: [
    [
      'customers/conn/virtualNodes/P',
      'customers/none/virtualNodes/P',
      (thing) => [
        ['Renew', [{ names: [thing], expireTime: LATER }]],
        ['Apply', stream({ virtualNode: thing })],
      ],
    ],
    [
      'customers/conn/virtualLinks/p-m',
      'customers/conn/virtualLinks/none',
      (thing) => [
        ['Renew', [{ names: [thing], expireTime: LATER }]],
        ['ListReports', [{ lease: thing }]],
      ],
    ],
    [
      'customers/conn/reservations/held',
      'customers/conn/reservations/none',
      (thing) => [
        ['Commit', [{ name: thing }]],
        ['Cancel', [{ name: thing }]],
      ],
    ],
    ['customers/conn', 'customers/none', (thing) => [['ListPaths', [{ customer: thing }]]]],
    ['machines/P', 'machines/none', () => []],
    ['peerings/to-two', 'peerings/none', () => []],
  ],
  connectivity: [
    [
      'customers/iptv/serviceNetworks/iptv',
      'customers/iptv/serviceNetworks/none',
      (thing) => [
        ['Update', [{ resources: [{ serviceNetwork: { name: thing } }] }]],
        ['Update', [{ resources: [{ serviceNetwork: { name: thing } }], validateOnly: true }]],
        ['Apply', stream({ serviceNetwork: thing, node: 'P' })],
      ],
    ],
    [
      'customers/iptv',
      'customers/none',
      (thing) => [['Update', [{ resources: [{ customer: { name: thing } }] }]]],
    ],
    ['nodes/P', 'nodes/none', (thing) => [['Update', [{ resources: [{ node: { name: thing } }] }]]]],
    [
      'links/p-m',
      'links/none',
      (thing) => [
        ['Update', [{ resources: [{ link: { name: thing } }] }]],
        ['ListReports', [{ lease: thing }]],
      ],
    ],
    [
      'customers/iptv/serviceNetworks/iptv/links/P-M',
      'customers/iptv/serviceNetworks/iptv/links/none',
      (thing) => [['ListReports', [{ lease: thing }]]],
    ],
    ['suppliers/one', 'suppliers/none', () => []],
  ],
};

describe.each(PLACES)('$thief at $layer', ({ layer, service, thief, victim, own, things }) => {
  test('what is another’s is answered as what is not there', async () => {
    const before = await deployment.picture(layer);
    for (const [theirs, nobodys, more] of THINGS[layer] ?? []) {
      const [real, unreal] = [
        [...common(theirs), ...more(theirs)],
        [...common(nobodys), ...more(nobodys)],
      ];
      for (const [i, [method, requests]] of real.entries()) {
        const answer = await told(layer, service, method, theirs, requests);
        const [, others = []] = unreal[i] ?? [];
        expect.soft(answer, `${method} ${theirs}`).toBe(await told(layer, service, method, nobodys, others));
        if (method !== 'List' && !('allowMissing' in (requests[0] ?? {})))
          expect.soft(answer).toMatch(/^NOT_FOUND NOT_FOUND /);
      }
    }
    expect(await deployment.picture(layer)).toEqual(before);
  });

  test('a watch shows its own and offers, also from another’s token and from the beginning', async () => {
    const mine = (await deployment.remote(layer, thief)) as unknown as Customer;
    const theirs = (await deployment.remote(layer, victim)) as unknown as Customer;
    let stolen = '';
    for await (const { resource, resumeToken } of theirs.watch({ includeCurrent: true }))
      if (!resource) {
        stolen = resumeToken;
        break;
      }
    await change(theirs, things.theirs, 21);
    await change(mine, things.own, 22);
    const genesis = Buffer.from('v1.0.all').toString('base64url');
    for (const resumeToken of [stolen, genesis])
      for (const collections of [[], things.collections]) {
        // what each changed is in what it sees; the thief changed last, so all that came before has come
        const request = { resumeToken, collections };
        expect(await seenUntil(theirs, request, things.theirs)).toContain(things.theirs);
        const seen = await seenUntil(mine, request, things.own);
        const strange = seen.filter((name) => !name.startsWith(own) && !name.startsWith('offers/'));
        expect(strange.filter((name) => `${name}/` !== own)).toEqual([]);
      }
  });
});

interface Customer {
  watch(request: object): AsyncIterable<{ readonly resource?: object; readonly resumeToken: string }>;
  get(request: { readonly name: string }): Promise<{ readonly resource?: object }>;
  renew(request: object): Promise<unknown>;
  update(request: object): Promise<unknown>;
}

async function change(customer: Customer, name: string, days: number): Promise<void> {
  if (name.includes('/virtualNodes/')) {
    const expireTime = `${new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 19)}Z`;
    await customer.renew({ names: [name], expireTime });
    return;
  }
  const { resource } = await customer.get({ name });
  const { serviceNetwork } = resource as { serviceNetwork: { nodes: readonly { share: object }[] } };
  const nodes = serviceNetwork.nodes.map((node) => ({ ...node, share: { ...node.share, cpuMillis: days } }));
  await customer.update({ resources: [{ serviceNetwork: { ...serviceNetwork, nodes, status: undefined } }] });
}

/** Names of all that is told, up to this resource as it is now. */
async function seenUntil(customer: Customer, request: object, name: string): Promise<readonly string[]> {
  const { etag } = statusOf((await customer.get({ name })).resource);
  const seen: string[] = [];
  for await (const { resource } of customer.watch(request)) {
    seen.push(bodyOf(resource).name);
    if (bodyOf(resource).name === name && statusOf(resource).etag === etag) return seen;
  }
  throw new Error('the watch ended');
}

function statusOf(resource: object | undefined): { readonly etag: string } {
  return bodyOf(resource).status as unknown as { etag: string };
}
