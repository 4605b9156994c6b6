/*
 * A tenant tries, through the agent's own socket, to write what is not its own, and to write what is nobody's in every
 * field there is. Each stream is refused as a whole, with a status, a stable reason and the field; nothing has changed.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { Status } from '../../src/api/errors.js';
import { CONN, EVE, GAMES, Hostile, IPTV, type Picture, refusal, type Resource, TUNNEL } from './tenant.js';

const { ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, PERMISSION_DENIED } = Status;

let hostile: Hostile;
let before: Picture;

beforeAll(async () => {
  hostile = new Hostile();
  before = await hostile.picture();
}, 120_000);
afterEach(async () => {
  expect(await hostile.picture()).toEqual(before);
});
afterAll(() => {
  expect(hostile.reaches('iptv')).toBe(true);
  expect(hostile.reaches('games')).toBe(true);
  hostile.close();
}, 60_000);

// ---- eve's own

const OWN = `${GAMES}/vifs/to-M`;
/** A node that eve makes, as anybody may; what she puts into it decides. */
const NEST = 'vns/nest/nodes/P';
const nest: Resource = { virtualNode: { name: NEST, tenant: EVE } };

const link = (vif: string, over: { tunnel?: string; vif?: string }, label = 16, mtu = 1000): Resource => ({
  vif: { name: vif, mtu, link: { paths: [{ ...over, label }] } },
});
const port = (name: string): Resource => ({ vif: { name: `${NEST}/vifs/p`, port: { interface: name } } });
const address = (vif: string, prefix = '10.66.0.1/24'): Resource => ({ address: { vif, prefix } });
const route = (node: string, ...vifs: string[]): Resource => ({
  route: { node, destination: '10.66.0.0/16', nextHops: vifs.map((vif) => ({ vif, gateway: '10.66.0.9' })) },
});

/** A label that somebody has, and one that nobody has. */
async function labelsOf(context: string): Promise<readonly number[]> {
  const { labels } = await hostile.client.listLabels({});
  const taken = labels.flatMap(({ label }) =>
    label && (label.tunnel === context || label.vif === context) ? [label.label] : [],
  );
  return [...taken, 99];
}

describe('what is another’s', () => {
  const last = (resources: readonly Resource[], field: string): string =>
    `resources[${resources.length - 1}].${field}`;

  test.each<[string, number, string, string, Resource[]]>([
    [
      'an address in a neighbour’s node',
      PERMISSION_DENIED,
      'NOT_TENANT',
      'address.vif',
      [address(`${IPTV}/vifs/hp`)],
    ],
    [
      'an address in the layer below',
      PERMISSION_DENIED,
      'NOT_TENANT',
      'address.vif',
      [address(`${CONN}/vifs/to-Q`)],
    ],
    [
      'a route in a neighbour’s node',
      PERMISSION_DENIED,
      'NOT_TENANT',
      'route.node',
      [route(IPTV, `${IPTV}/vifs/to-M`)],
    ],
    [
      'a route in the layer below',
      PERMISSION_DENIED,
      'NOT_TENANT',
      'route.node',
      [route(CONN, `${CONN}/vifs/to-Q`)],
    ],
    [
      'a next hop on a neighbour’s vif',
      INVALID_ARGUMENT,
      'NEXT_HOP_NODE',
      'route.next_hops[1].vif',
      [route(GAMES, OWN, `${IPTV}/vifs/to-M`)],
    ],
    [
      'a next hop on the vif below',
      INVALID_ARGUMENT,
      'NEXT_HOP_NODE',
      'route.next_hops[0].vif',
      [route(GAMES, `${CONN}/vifs/to-Q`)],
    ],
    [
      'a neighbour’s node',
      PERMISSION_DENIED,
      'NAME_IN_USE',
      'virtual_node.name',
      [{ virtualNode: { name: IPTV, tenant: EVE } }],
    ],
    [
      'the node she was leased',
      PERMISSION_DENIED,
      'NAME_IN_USE',
      'virtual_node.name',
      [{ virtualNode: { name: GAMES, tenant: EVE, routeSource: 2 } }],
    ],
    ['a vif’s name', PERMISSION_DENIED, 'NAME_IN_USE', 'vif.name', [link(`${IPTV}/vifs/hp`, { vif: OWN })]],
    ['a vif that she was leased', PERMISSION_DENIED, 'NAME_IN_USE', 'vif.name', [link(OWN, { vif: OWN })]],
    [
      'a new vif in a neighbour’s node',
      PERMISSION_DENIED,
      'NOT_OWNER',
      'vif.name',
      [link(`${IPTV}/vifs/new`, { vif: OWN })],
    ],
    [
      'a new vif in the node she was leased',
      PERMISSION_DENIED,
      'NOT_OWNER',
      'vif.name',
      [link(`${GAMES}/vifs/new`, { vif: OWN })],
    ],
    [
      'a tunnel’s name',
      PERMISSION_DENIED,
      'NAME_IN_USE',
      'tunnel.name',
      [{ tunnel: { name: TUNNEL, localAddress: '10.9.9.1', remoteAddress: '10.9.9.2' } }],
    ],
    [
      'a tunnel’s addresses',
      FAILED_PRECONDITION,
      'TUNNEL_IN_USE',
      'tunnel.remote_address',
      [{ tunnel: { name: 'tunnels/e', localAddress: '100.127.0.1', remoteAddress: '100.127.0.2' } }],
    ],
    [
      'a link over a tunnel',
      PERMISSION_DENIED,
      'NOT_OWNER',
      'vif.link.paths[0].tunnel',
      [nest, link(`${NEST}/vifs/a`, { tunnel: TUNNEL })],
    ],
    [
      'a link over the vif below',
      PERMISSION_DENIED,
      'NOT_TENANT',
      'vif.link.paths[0].vif',
      [nest, link(`${NEST}/vifs/a`, { vif: `${CONN}/vifs/to-Q` })],
    ],
    [
      'a link over a neighbour’s vif',
      PERMISSION_DENIED,
      'NOT_TENANT',
      'vif.link.paths[0].vif',
      [nest, link(`${NEST}/vifs/a`, { vif: `${IPTV}/vifs/to-M` })],
    ],
    [
      'a label swapped onto a neighbour’s vif',
      PERMISSION_DENIED,
      'NOT_TENANT',
      'label.swap.vif',
      [{ label: { vif: OWN, label: 99, swap: { vif: `${IPTV}/vifs/to-M`, label: 99 } } }],
    ],
    [
      'a label swapped onto the vif below',
      PERMISSION_DENIED,
      'NOT_TENANT',
      'label.swap.vif',
      [{ label: { vif: OWN, label: 99, swap: { vif: `${CONN}/vifs/to-Q`, label: 99 } } }],
    ],
    [
      'a label swapped onto a tunnel',
      PERMISSION_DENIED,
      'NOT_OWNER',
      'label.swap.tunnel',
      [{ label: { vif: OWN, label: 99, swap: { tunnel: TUNNEL, label: 99 } } }],
    ],
    [
      'a label that leads into a neighbour’s node',
      PERMISSION_DENIED,
      'NOT_OWNER',
      'label.deliver',
      [{ label: { vif: OWN, label: 99, deliver: `${IPTV}/vifs/to-M` } }],
    ],
    [
      'a label that leads into the node she was leased',
      PERMISSION_DENIED,
      'NOT_OWNER',
      'label.deliver',
      [{ label: { vif: OWN, label: 99, deliver: OWN } }],
    ],
    [
      'the machine’s wire as a port',
      PERMISSION_DENIED,
      'PORT_NOT_OFFERED',
      'vif.port.interface',
      [nest, port('to-Q')],
    ],
    [
      'the machine’s loopback as a port',
      PERMISSION_DENIED,
      'PORT_NOT_OFFERED',
      'vif.port.interface',
      [nest, port('lo')],
    ],
    [
      'a vif’s own device as a port',
      PERMISSION_DENIED,
      'PORT_NOT_OFFERED',
      'vif.port.interface',
      [nest, port('cv1')],
    ],
    [
      'an interface that is not offered',
      PERMISSION_DENIED,
      'PORT_NOT_OFFERED',
      'vif.port.interface',
      [nest, port('eth0')],
    ],
    ['a neighbour’s port', FAILED_PRECONDITION, 'PORT_IN_USE', 'vif.port.interface', [nest, port('st-hp')]],
  ])('%s', async (_, status, reason, field, resources) => {
    expect(refusal(await hostile.apply(EVE, resources))).toEqual({
      status,
      reason,
      field: last(resources, field),
    });
  });

  test.each([
    ['tunnel', TUNNEL, 'NOT_OWNER'],
    ['vif', `${CONN}/vifs/to-Q`, 'NOT_TENANT'],
    ['vif', `${IPTV}/vifs/to-M`, 'NOT_TENANT'],
    ['vif', `${IPTV}/vifs/hp`, 'NOT_TENANT'],
  ] as const)('labels that arrive by %s %s, taken and free', async (kind, name, reason) => {
    for (const label of await labelsOf(name)) {
      const given: Resource = { label: { [kind]: name, label, swap: { vif: OWN, label: 99 } } };
      expect(refusal(await hostile.apply(EVE, [given]))).toEqual({
        status: PERMISSION_DENIED,
        reason,
        field: `resources[0].label.${kind}`,
      });
    }
  });
});

describe('what cannot work', () => {
  const nested = (n: number): string => `vns/nest${n}/nodes/P`;
  const tower = (storeys: number): Resource[] =>
    Array.from({ length: storeys }, (_, n): Resource[] => [
      { virtualNode: { name: nested(n), tenant: EVE } },
      link(`${nested(n)}/vifs/a`, { vif: n === 0 ? OWN : `${nested(n - 1)}/vifs/a` }, 16, 600),
    ]).flat();

  test.each<[string, string, string, Resource[]]>([
    ['an address on nothing', 'VIF_NOT_FOUND', 'resources[0].address.vif', [address(`${GAMES}/vifs/none`)]],
    [
      'an address in nothing',
      'NODE_NOT_FOUND',
      'resources[0].address.vif',
      [address('vns/none/nodes/P/vifs/x')],
    ],
    [
      'a route in nothing',
      'NODE_NOT_FOUND',
      'resources[0].route.node',
      [route('vns/none/nodes/P', 'vns/none/nodes/P/vifs/x')],
    ],
    [
      'a next hop on nothing',
      'VIF_NOT_FOUND',
      'resources[0].route.next_hops[0].vif',
      [route(GAMES, `${GAMES}/vifs/none`)],
    ],
    [
      'a next hop that is the node itself',
      'GATEWAY',
      'resources[1].route.next_hops[0].gateway',
      [address(OWN, '10.66.0.9/24'), route(GAMES, OWN)],
    ],
    ['a vif in nothing', 'NODE_NOT_FOUND', 'resources[0].vif.name', [link(`${NEST}/vifs/a`, { vif: OWN })]],
    [
      'a link over nothing',
      'VIF_NOT_FOUND',
      'resources[1].vif.link.paths[0].vif',
      [nest, link(`${NEST}/vifs/a`, { vif: `${GAMES}/vifs/none` })],
    ],
    [
      'a link over no tunnel',
      'TUNNEL_NOT_FOUND',
      'resources[1].vif.link.paths[0].tunnel',
      [nest, link(`${NEST}/vifs/a`, { tunnel: 'tunnels/none' })],
    ],
    [
      'a link over a station’s cable',
      'PATH_DEPTH',
      'resources[1].vif.link.paths[0]',
      [nest, link(`${NEST}/vifs/a`, { vif: `${GAMES}/vifs/gp` })],
    ],
    [
      'a link over itself',
      'PATH_DEPTH',
      'resources[1].vif.link.paths[0]',
      [nest, link(`${NEST}/vifs/a`, { vif: `${NEST}/vifs/a` })],
    ],
    ['a fifth layer', 'PATH_DEPTH', 'resources[5].vif.link.paths[0]', tower(3)],
    [
      'a label to nothing',
      'VIF_NOT_FOUND',
      'resources[0].label.deliver',
      [{ label: { vif: OWN, label: 99, deliver: `${NEST}/vifs/a` } }],
    ],
    [
      'a label to a station’s port',
      'NOT_A_LINK',
      'resources[2].label.deliver',
      [nest, port('st-x'), { label: { vif: OWN, label: 99, deliver: `${NEST}/vifs/p` } }],
    ],
    [
      'more than the wire takes',
      'MTU_TOO_BIG',
      'resources[1].vif.mtu',
      [nest, link(`${NEST}/vifs/a`, { vif: OWN }, 16, 1519)],
    ],
    [
      'a port for two',
      'PORT_IN_USE',
      'resources[2].vif.port.interface',
      [nest, port('st-x'), { vif: { name: `${NEST}/vifs/q`, port: { interface: 'st-x' } } }],
    ],
  ])('%s', async (_, reason, field, resources) => {
    expect(refusal(await hostile.apply(EVE, resources))).toEqual({
      status: FAILED_PRECONDITION,
      reason,
      field,
    });
  });

  test.each<[string, Resource]>([
    ['virtual_node', nest],
    ['tunnel', { tunnel: { name: 'tunnels/e', localAddress: '10.9.9.1', remoteAddress: '10.9.9.2' } }],
    [
      'wire',
      { wire: { name: 'wires/e', kind: 2, interface: 'to-Q', vlan: 9, neighbourMac: '02:00:00:00:00:01' } },
    ],
    ['vif', port('st-x')],
    ['label', { label: { vif: OWN, label: 99, swap: { vif: OWN, label: 99 } } }],
    ['address', address(OWN)],
    ['route', route(GAMES, OWN)],
  ])('a %s twice', async (kind, resource) => {
    expect(refusal(await hostile.apply(EVE, [resource, resource]))).toEqual({
      status: ALREADY_EXISTS,
      reason: 'DUPLICATE',
      field: `resources[1].${kind}`,
    });
  });
});
