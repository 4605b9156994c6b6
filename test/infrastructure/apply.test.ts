/** Contents of leased nodes: what a customer may say, and what the agent is told. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { failedPrecondition } from '../../src/api/errors.js';
import { type ResourceDraft } from '../../src/api/node.js';
import {
  conn,
  eventually,
  lineOfThree,
  link,
  local,
  node,
  Provider,
  type ProviderClient,
  refusal,
  until,
} from './provider.js';

let one: Provider;
let customer: ProviderClient;
const lease = 'customers/conn/virtualNodes/P';

beforeEach(async () => {
  one = new Provider();
  await lineOfThree(one);
  customer = one.as(conn);
  await customer.reserve({
    virtualNodes: [node('P', { ports: ['st-P0'], share: { routes: 200_000 } }), node('M')],
    virtualLinks: [link('P', 'M')],
    requestId: 'r',
  });
  await customer.commit({ name: 'customers/conn/reservations/r' });
  await until(
    customer,
    'customers/conn/virtualLinks/P-M',
    (resource) => resource.virtualLink?.status?.state === 'ready',
  );
});
afterEach(() => one.end());

let epochs = 0n;
function apply(
  resources: readonly ResourceDraft[],
  begin: object = {},
  client = customer,
): ReturnType<ProviderClient['apply']> {
  return client.apply([
    { begin: { virtualNode: lease, epoch: ++epochs, ...begin } },
    { resources: { resources } },
    { commit: { resourceCount: resources.length } },
  ]);
}

const service: ResourceDraft[] = [
  { virtualNode: { name: 'vns/iptv/nodes/P', tenant: 'iptv' } },
  {
    vif: {
      name: 'vns/iptv/nodes/P/vifs/toM',
      link: { paths: [{ vif: 'vns/conn/nodes/P/vifs/toM', label: 5001 }] },
    },
  },
  { vif: { name: 'vns/iptv/nodes/P/vifs/st', port: { interface: 'st-P0' } } },
  { label: { vif: 'vns/conn/nodes/P/vifs/toM', label: 6001, deliver: 'vns/iptv/nodes/P/vifs/toM' } },
  { address: { vif: 'vns/conn/nodes/P/vifs/toM', prefix: '10.9.0.0/31' } },
];
const inside: ResourceDraft[] = [
  { address: { vif: 'vns/iptv/nodes/P/vifs/st', prefix: '10.0.1.1/24' } },
  {
    route: {
      node: 'vns/iptv/nodes/P',
      destination: '10.0.3.0/24',
      nextHops: [{ vif: 'vns/iptv/nodes/P/vifs/toM', gateway: '10.1.0.1' }],
    },
  },
];

test('a customer’s content and its tenant’s, under the agent’s names', async () => {
  expect(await apply(service)).toMatchObject({ created: 5 });
  expect(await apply(inside, { owner: 'iptv' })).toMatchObject({ created: 2 });
  const agent = one.agents.get('P');
  expect(
    agent
      ?.resourcesOf('conn')
      .map(
        (resource) =>
          resource.virtualNode ?? resource.vif?.name ?? resource.label?.deliver ?? resource.address?.vif,
      ),
  ).toMatchObject([
    { name: 'vns/conn_iptv/nodes/P', tenant: 'conn.iptv' },
    'vns/conn_iptv/nodes/P/vifs/toM',
    'vns/conn_iptv/nodes/P/vifs/st',
    'vns/conn_iptv/nodes/P/vifs/toM',
    'vns/conn/nodes/P/vifs/toM',
  ]);
  expect(agent?.resourcesOf('conn.iptv')[1]?.route).toMatchObject({ node: 'vns/conn_iptv/nodes/P' });
  // the same owner's next stream replaces the last
  await apply(service.slice(0, 1));
  expect(agent?.resourcesOf('conn')).toHaveLength(1);
});

test('said of a lease that was committed a moment ago: it waits until the machine has that', async () => {
  await customer.reserve({ virtualNodes: [node('Q')], requestId: 'q' });
  const q = one.agents.get('Q');
  if (q)
    q.refuse = ({ owner }) =>
      owner === 'conn' && q.resourcesOf('one').length === 0
        ? failedPrecondition({
            reason: 'NODE_NOT_FOUND',
            field: 'resources[0].route.node',
            message: 'no node',
          })
        : undefined;
  await customer.commit({ name: 'customers/conn/reservations/q' });
  const route: ResourceDraft = { route: { node: 'vns/conn/nodes/Q', destination: '10.0.0.0/8', type: 2 } };
  await apply([route], { virtualNode: 'customers/conn/virtualNodes/Q' });
  expect(q?.resourcesOf('conn')).toHaveLength(1);
});

test('what was answered is there after the controller died; the content ends with its lease', async () => {
  await apply(service);
  await one.stop();
  const agent = one.agents.get('P');
  await agent?.reboot();
  await one.start();
  await eventually(() => agent?.resourcesOf('conn').length === 5, 'the content is back');
  customer = one.as(conn);
  await customer.delete({ names: ['customers/conn/virtualLinks/P-M', lease] });
  await eventually(() => agent?.resourcesOf('conn').length === 0, 'the content is gone');
  expect(await refusal(apply([], {}, customer))).toBe('NOT_FOUND begin.virtual_node');
});

test('while a link is suspended or gone, what stands on it is left out, and only that', async () => {
  await apply(service);
  await customer.delete({ names: ['customers/conn/virtualLinks/P-M'] });
  const agent = one.agents.get('P');
  await eventually(() => agent?.resourcesOf('conn').length === 2, 'only the node and its port are left');
  expect(agent?.resourcesOf('conn').map(({ kind }) => kind)).toEqual(['virtualNode', 'vif']);
});

test('two nodes of one machine, both of which have an address on a vif that is gone', async () => {
  await customer.reserve({ virtualNodes: [node('P2', { offer: 'offers/P' })], requestId: 'p2' });
  await customer.commit({ name: 'customers/conn/reservations/p2' });
  const p2 = 'customers/conn/virtualNodes/P2';
  const [P, P2] = ['P', 'P2'].map((one): ResourceDraft[] => {
    const [vn, own] = [`vns/iptv/nodes/${one}`, `vns/conn/nodes/${one}`];
    return [
      { virtualNode: { name: vn, tenant: 'iptv' } },
      { vif: { name: `${vn}/vifs/x`, link: { paths: [{ vif: `${own}/vifs/toM`, label: 5001 }] } } },
    ];
  });
  const address = (one: string): ResourceDraft[] => [
    { address: { vif: `vns/iptv/nodes/${one}/vifs/x`, prefix: '10.9.9.0/31' } },
  ];
  if (!P || !P2) throw new Error('two nodes');
  const second = link('P2', 'M', { b: { virtualNode: 'customers/conn/virtualNodes/M', vif: 'toP2' } });
  await customer.reserve({ virtualLinks: [second], requestId: 'l' });
  await customer.commit({ name: 'customers/conn/reservations/l' });
  await apply(P);
  await apply(P2, { virtualNode: p2 });
  await apply(address('P'), { owner: 'iptv' });
  await apply(address('P2'), { owner: 'iptv', virtualNode: p2 });
  const agent = one.agents.get('P');
  expect(agent?.resourcesOf('conn.iptv')).toHaveLength(2);
  // as the agent does
  if (agent)
    agent.refuse = ({ owner, resources }) => {
      const vifs = new Set(agent.resourcesOf('conn').map(({ vif }) => vif?.name));
      const i = resources.findIndex((one) => one.address && !vifs.has(one.address.vif));
      if (owner !== 'conn.iptv' || i < 0) return undefined;
      const message = `there is no ${resources[i]?.address?.vif ?? ''} on this machine`;
      return failedPrecondition({ reason: 'VIF_NOT_FOUND', field: `resources[${i}].address.vif`, message });
    };
  await apply(P.slice(0, 1));
  await apply(P2.slice(0, 1), { virtualNode: p2 });
  // its own is refused, with its own index; what the other has on the same machine keeps neither from being told
  expect(await refusal(apply([...address('P'), ...address('P')], { owner: 'iptv' }))).toBe(
    'VIF_NOT_FOUND resources[0].address.vif',
  );
  await apply([], { owner: 'iptv' });
  await apply([], { owner: 'iptv', virtualNode: p2 });
  expect(agent?.resourcesOf('conn.iptv')).toEqual([]);
});

test('100 000 routes', { timeout: 120_000 }, async () => {
  await apply(service);
  const routes = Array.from({ length: 100_000 }, (_, i): ResourceDraft => ({
    route: {
      node: 'vns/iptv/nodes/P',
      destination: `10.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`,
      nextHops: [{ vif: 'vns/iptv/nodes/P/vifs/toM', gateway: '10.1.0.1' }],
    },
  }));
  function* stream(): Generator<object> {
    yield { begin: { virtualNode: lease, owner: 'iptv', epoch: ++epochs } };
    for (let i = 0; i < routes.length; i += 5000)
      yield { resources: { resources: routes.slice(i, i + 5000) } };
    yield { commit: { resourceCount: routes.length } };
  }
  await customer.apply(stream());
  const there = one.agents.get('P')?.resourcesOf('conn.iptv') ?? [];
  expect(there).toHaveLength(100_000);
  expect(there.at(-1)?.route?.destination).toBe('10.2.134.159/32');
});

describe('refused, with nothing changed', () => {
  const vif = (more: object): ResourceDraft => ({ vif: { name: 'vns/iptv/nodes/P/vifs/x', ...more } });
  const made: ResourceDraft = { virtualNode: { name: 'vns/iptv/nodes/P', tenant: 'iptv' } };
  test.each<[string, ResourceDraft[], object, string]>([
    [
      'another’s lease',
      [],
      { virtualNode: 'customers/other/virtualNodes/P' },
      'NOT_FOUND begin.virtual_node',
    ],
    ['no lease', [], { virtualNode: 'machines/P' }, 'NOT_FOUND begin.virtual_node'],
    ['a tenant with a dot', [], { owner: 'a.b' }, 'TENANT_NAME begin.owner'],
    ['a tenant with a newline', [], { owner: 'a\n' }, 'TENANT_NAME begin.owner'],
    ['a tunnel', [{ tunnel: { name: 'tunnels/x' } }], {}, 'NOT_YOURS resources[0]'],
    ['a BFD peer', [{ bfdPeer: { name: 'bfdPeers/x' } }], {}, 'NOT_YOURS resources[0]'],
    ['nothing', [{}], {}, 'NOT_YOURS resources[0]'],
    [
      'the leased node itself',
      [{ virtualNode: { name: 'vns/conn/nodes/P', tenant: 'x' } }],
      {},
      'NOT_YOURS resources[0].virtual_node.name',
    ],
    [
      'a node with a name too long',
      [{ virtualNode: { name: `vns/${'v'.repeat(27)}/nodes/P`, tenant: 'x' } }],
      {},
      'NODE_NAME resources[0].virtual_node.name',
    ],
    [
      'a node that climbs',
      [{ virtualNode: { name: 'vns/../nodes/P', tenant: 'x' } }],
      {},
      'NODE_NAME resources[0].virtual_node.name',
    ],
    [
      'a tenant of a node that is none',
      [{ virtualNode: { name: 'vns/iptv/nodes/P', tenant: 'one!' } }],
      {},
      'TENANT_NAME resources[0].virtual_node.tenant',
    ],
    [
      'a vif of a node elsewhere',
      [vif({ link: { paths: [{ vif: 'vns/conn/nodes/M/vifs/toP', label: 20 }] } }), made],
      {},
      'NOT_YOURS resources[0].vif',
    ],
    [
      'another’s names',
      [{ address: { vif: 'vns/other/nodes/P/vifs/x', prefix: '10.0.0.1/24' } }],
      {},
      'NOT_YOURS resources[0].address',
    ],
    [
      'a path over a tunnel',
      [made, vif({ link: { paths: [{ tunnel: 'tunnels/to-100.127.0.3', label: 20 }] } })],
      {},
      'NOT_YOURS resources[1].vif',
    ],
    [
      'a label in a tunnel',
      [{ label: { tunnel: 'tunnels/to-100.127.0.3', label: 20, deliver: 'vns/conn/nodes/P/vifs/toM' } }],
      {},
      'NOT_YOURS resources[0].label',
    ],
    [
      'a swap into a tunnel',
      [{ label: { vif: 'vns/conn/nodes/P/vifs/toM', label: 20, swap: { tunnel: 'tunnels/x', label: 30 } } }],
      {},
      'NOT_YOURS resources[0].label',
    ],
    [
      'a port that is not leased',
      [made, vif({ port: { interface: 'st-P1' } })],
      {},
      'PORT_NOT_LEASED resources[1].vif.port.interface',
    ],
    [
      'a wire of the machine as port',
      [made, vif({ port: { interface: 'to-Q' } })],
      {},
      'PORT_NOT_LEASED resources[1].vif.port.interface',
    ],
    [
      'names that are none',
      [{ route: { node: 'tunnels/x', destination: '10.0.0.0/8' } }],
      {},
      'VIF_NAME resources[0].route',
    ],
    ['an epoch that is over', [made], { epoch: 0n }, 'EPOCH_STALE begin.epoch'],
  ])('%s', async (_, resources, begin, told) => {
    await apply([]);
    const applies = one.agents.get('P')?.applies.length;
    expect(await refusal(apply(resources, begin))).toBe(told);
    expect(one.agents.get('P')?.applies.length).toBe(applies);
  });

  test('what the agent refuses, in the customer’s words and with the customer’s index', async () => {
    const agent = one.agents.get('P');
    if (agent)
      agent.refuse = ({ owner, resources }) =>
        owner === 'conn' && resources.length > 0
          ? failedPrecondition({
              reason: 'MTU_TOO_BIG',
              field: 'resources[1].vif.mtu',
              message: 'vns/conn_iptv/nodes/P/vifs/toM: too big',
            })
          : undefined;
    const work = apply(service);
    await expect(work).rejects.toMatchObject({
      reason: 'MTU_TOO_BIG',
      field: 'resources[1].vif.mtu',
      message: 'vns/iptv/nodes/P/vifs/toM: too big',
    });
    expect(agent?.resourcesOf('conn')).toEqual([]);
  });

  test('a stream cut short, out of order, or by somebody else', async () => {
    const begin = { begin: { virtualNode: lease, epoch: ++epochs } };
    expect(await refusal(customer.apply([begin]))).toBe('STREAM_TRUNCATED commit');
    expect(await refusal(customer.apply([begin, { commit: { resourceCount: 1 } }]))).toBe(
      'STREAM_TRUNCATED commit.resource_count',
    );
    expect(await refusal(customer.apply([{ commit: {} }]))).toBe('STREAM_ORDER begin');
    expect(await refusal(customer.apply([begin, begin]))).toBe('STREAM_ORDER begin');
    expect(await refusal(customer.apply([begin, { commit: {} }, { commit: {} }]))).toBe(
      'STREAM_ORDER commit',
    );
    expect(await refusal(customer.apply([begin, {}]))).toBe('STREAM_ORDER message');
    expect(await refusal(apply([], {}, one.as({ role: 'local', name: '' })))).toBe('PERMISSION_DENIED');
    expect(await refusal(apply([], {}, one.as({ role: 'connectivity', name: 'other' })))).toBe(
      'NOT_FOUND begin.virtual_node',
    );
  });

  test('more than the share', async () => {
    await customer.reserve({ virtualNodes: [node('Q', { share: { routes: 2 } })], requestId: 'small' });
    await customer.commit({ name: 'customers/conn/reservations/small' });
    const routes = [1, 2, 3].map((i): ResourceDraft => ({
      route: { node: 'vns/conn/nodes/Q', destination: `10.${i}.0.0/16`, type: 2 },
    }));
    expect(await refusal(apply(routes, { virtualNode: 'customers/conn/virtualNodes/Q' }))).toBe(
      'SHARE_EXCEEDED resources[2].route',
    );
  });

  describe('shares of a share of 100 routes, 50 neighbours, 3 vifs and 2 labels', () => {
    const begin = { virtualNode: 'customers/conn/virtualNodes/Q' };
    const over = (vn: string, limits?: object): ResourceDraft => ({
      virtualNode: { name: `vns/${vn}/nodes/Q`, tenant: vn, ...(limits && { limits }) },
    });
    const blackhole = (of: string, i: number): ResourceDraft => ({
      route: { node: `vns/${of}/nodes/Q`, destination: `10.${i}.0.0/16`, type: 2 },
    });
    const limitsAtAgent = (owner: string): unknown[] =>
      (one.agents.get('Q')?.resourcesOf(owner) ?? []).flatMap(({ virtualNode }) =>
        virtualNode ? [virtualNode.limits] : [],
      );
    beforeEach(async () => {
      const share = { routes: 100, neighbours: 50, vifs: 3, labels: 2 };
      await customer.reserve({ virtualNodes: [node('Q', { share })], requestId: 'shares' });
      await customer.commit({ name: 'customers/conn/reservations/shares' });
    });

    test('limits are filled in, and taken from those of the leased node', async () => {
      await apply([over('iptv', { routes: 60 }), over('games'), blackhole('conn', 1)], begin);
      expect(limitsAtAgent('conn')).toMatchObject([
        { routes: 60, neighbours: 5 },
        { routes: 10, neighbours: 5 },
      ]);
      await eventually(
        () => JSON.stringify(limitsAtAgent('one')).includes('"routes":30,"neighbours":40'),
        'the leased node has what is left',
      );
      expect(limitsAtAgent('one')).toMatchObject([{ labels: 2, vifsAbove: 3 }]);
      // another owner’s content stands on the same share, also after a new start
      await one.stop();
      await one.start();
      customer = one.as(conn);
      const tenant = { ...begin, owner: 'iptv' };
      await until(one.as(local), 'machines/Q', (resource) => resource.machine?.status?.state === 'ready');
      expect(await refusal(apply([over('nested', { routes: 30 })], tenant, customer))).toBe(
        'SHARE_EXCEEDED resources[0].virtual_node.limits.routes',
      );
      await apply([over('nested', { routes: 29 })], tenant, customer);
      await apply([], tenant, customer);
      await apply([], begin, customer);
      await eventually(
        () => JSON.stringify(limitsAtAgent('one')).includes('"routes":100,"neighbours":50'),
        'it has all of it again',
      );
    });

    test.each<[string, ResourceDraft[], string]>([
      ['routes', [over('iptv', { routes: 101 })], 'virtual_node.limits.routes'],
      ['as many as fit a number', [over('iptv', { routes: 4294967295 })], 'virtual_node.limits.routes'],
      ['routes, in sum', [over('games'), over('iptv', { routes: 91 })], 'virtual_node.limits.routes'],
      ['neighbours', [over('iptv', { neighbours: 51 })], 'virtual_node.limits.neighbours'],
      ['routes of its own', [over('iptv', { routes: 100 }), blackhole('conn', 1)], 'route'],
      [
        'vifs',
        [over('iptv'), ...[1, 2, 3, 4].map((i) => ({ vif: { name: `vns/iptv/nodes/Q/vifs/v${i}` } }))],
        'vif',
      ],
      [
        'labels',
        [16, 17, 18].map((label) => ({
          label: { vif: 'vns/conn/nodes/Q/vifs/x', label, deliver: 'vns/conn/nodes/Q/vifs/x' },
        })),
        'label',
      ],
    ])('too many: %s', async (_, resources, field) => {
      expect(await refusal(apply(resources, begin))).toBe(
        `SHARE_EXCEEDED resources[${resources.length - 1}].${field}`,
      );
      expect(one.agents.get('Q')?.resourcesOf('conn')).toEqual([]);
    });

    test('two owners at once: what both would take together, one of them takes', async () => {
      const streams = ['', 'iptv', 'games'].map((owner, i) =>
        refusal(apply([over(`vn${i}`, { routes: 60 })], { ...begin, owner })),
      );
      expect((await Promise.all(streams)).filter((told) => told === 'not refused')).toHaveLength(1);
    });
  });

  test('while the machine is away', async () => {
    await one.agents.get('P')?.stop();
    await until(
      one.as({ role: 'local', name: '' }),
      'machines/P',
      (resource) => resource.machine?.status?.state === 'unreachable',
    );
    expect(await refusal(apply(service))).toBe('MACHINE_UNREACHABLE');
  });
});
