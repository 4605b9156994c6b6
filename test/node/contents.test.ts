/*
 * What a tenant wants, and what the virtual node's kernel makes of it: the tables say what is in the namespace, also
 * when an Apply was refused half way.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { NextHopKind } from '../../gen/layout.js';
import { ApiError } from '../../src/api/errors.js';
import { type Agent } from '../../src/node/agent.js';
import { type VirtualNode } from '../../src/node/nodes.js';
import { targetHops } from '../../src/node/rpc/routes.js';
import {
  addMachine,
  addStation,
  address,
  apply,
  inside,
  ip,
  netns,
  node,
  port,
  type Resource,
  route,
  startAgent,
  sweep,
  until,
} from './machines.js';

let agent: Agent;

const C = `${netns('R')}.c.R`;
const NODE = 'vns/c/nodes/R';

const below = (source = 1): Resource[] => [
  node('c', 'R', 'tenant', source),
  port('c/R/x', 'st-x'),
  port('c/R/y', 'st-y'),
];

const addresses = [
  address('c/R/x', '10.0.1.1/24'),
  address('c/R/x', 'fd00:0:0:1::1/64'),
  address('c/R/y', '10.0.2.1/24'),
  address('c/R/y', 'fd00:0:0:2::1/64'),
];
const byX = route('c/R', '10.9.0.0/16', ['x', '10.0.1.2']);
const byY = route('c/R', '10.9.0.0/16', ['y', '10.0.2.2']);
const old = route('c/R', '10.8.0.0/16', ['x', '10.0.1.2']);
const unreachable6: Resource = { route: { node: NODE, destination: 'fd09::/64', type: 3 } };
/** No kernel takes a subnet's broadcast address for a gateway. */
const refused = route('c/R', '10.7.0.0/16', ['x', '10.0.1.255']);
/** Nor one that is on another link. */
const refused6 = route('c/R', 'fd09::/64', ['y', 'fd00:0:0:1::2']);

beforeAll(async () => {
  sweep();
  addMachine('R', '100.127.0.1', 'fd64:ffff::1');
  addStation('R', 'x', 'st-x', ['10.0.1.2/24', 'fd00:0:0:1::2/64']);
  addStation('R', 'y', 'st-y', ['10.0.2.2/24', 'fd00:0:0:2::2/64']);
  agent = await startAgent('R');
  await apply(agent, 'below', below());
});
beforeEach(() => apply(agent, 'tenant', addresses).then(() => undefined));
afterAll(async () => {
  await agent.close();
  sweep();
});

function virtualNode(): VirtualNode {
  const found = agent.nodes.get(NODE);
  if (!found) throw new Error(NODE);
  return found;
}

function hasAddress(device: string, text: string): boolean {
  const { mirror, net } = virtualNode();
  return net.addresses.get(mirror.deviceIndex(device) ?? 0)?.has(text) ?? false;
}

interface KernelHop {
  readonly dev?: string;
  readonly gateway?: string;
}

interface KernelRoute extends KernelHop {
  readonly dst: string;
  readonly type?: string;
  readonly nexthops?: readonly KernelHop[];
}

const hopText = (device = '', gateway = ''): string => `${device} ${gateway}`.trim();

/** `10.9.0.0/16 x 10.0.1.2`: what the tenant has in the namespace. */
function inKernel(): string[] {
  const lines: string[] = [];
  for (const family of ['-4', '-6'] as const) {
    const routes = JSON.parse(ip('-n', C, '-j', family, 'route', 'show', 'proto', '202')) as KernelRoute[];
    for (const { dst, type, nexthops, ...only } of routes) {
      const kind = type === 'blackhole' || type === 'unreachable' ? type : undefined;
      const hops = (nexthops ?? [only]).map(({ dev, gateway }) => hopText(dev, gateway));
      lines.push(`${dst} ${kind ?? hops.join(', ')}`);
    }
  }
  return lines.toSorted();
}

const KINDS = new Map<number, string>(
  Object.entries(NextHopKind).map(([name, kind]) => [kind, name.replace('NEXT_HOP_', '').toLowerCase()]),
);

/** The same of the tables; the programs find for each what it says. */
function inTables(): string[] {
  const lines: string[] = [];
  const { id, mirror } = virtualNode();
  for (const { prefix, target, source } of mirror.entries()) {
    if (source !== 'route' && source !== 'kernel') continue;
    const hops = targetHops(target).map(({ to }) => hopText(to.vif, to.kind === 'hop' ? to.gateway : ''));
    const line = `${prefix.text} ${hops.length === 0 ? target.kind : hops.join(', ')}`;
    const found = agent.plane.nextHops.read(agent.plane.routes(id).lookup(prefix.bytes));
    const group = found.kind === NextHopKind.NEXT_HOP_GROUP;
    const ways = group ? [...new Set(found.ways)].map((way) => agent.plane.nextHops.read(way)) : [found];
    const devices = ways.map(({ vif }) => agent.vifs.byId(vif)?.intent.device);
    if (hops.length === 0) expect(KINDS.get(found.kind), line).toBe(target.kind);
    else expect(devices.toSorted(), line).toEqual(targetHops(target).map(({ to }) => to.vif));
    lines.push(line);
  }
  return lines.toSorted();
}

/** The namespace and the tables say this and nothing else. */
function expectBoth(...lines: readonly string[]): void {
  expect(inKernel()).toEqual(lines);
  expect(inTables()).toEqual(lines);
}

async function refusal(...routes: readonly Resource[]): Promise<string> {
  const error: unknown = await apply(agent, 'tenant', [...addresses, ...routes]).catch(
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApiError)) throw new Error('it was not refused');
  expect(error).toMatchObject({ reason: 'STEP_FAILED', field: NODE });
  return error.message;
}

test('the kernel refuses one route of several: the tables have the others, as it has', async () => {
  await apply(agent, 'tenant', [...addresses, byX, old]);
  expectBoth('10.8.0.0/16 x 10.0.1.2', '10.9.0.0/16 x 10.0.1.2');
  expect(await refusal(byY, refused)).toContain('10.7.0.0/16');
  expectBoth('10.9.0.0/16 y 10.0.2.2');
  await apply(agent, 'tenant', [...addresses, byY]);
  expectBoth('10.9.0.0/16 y 10.0.2.2');
  expect(await refusal(refused, byX)).toContain('10.7.0.0/16');
  await apply(agent, 'tenant', addresses);
  expectBoth();
});

test('a route that had to make way for one that is refused is in neither', async () => {
  await apply(agent, 'tenant', [...addresses, unreachable6]);
  expectBoth('fd09::/64 unreachable');
  expect(await refusal(refused6)).toContain('fd09::/64');
  expectBoth();
  await apply(agent, 'tenant', [...addresses, unreachable6]);
  expectBoth('fd09::/64 unreachable');
});

test('where an address is refused, the tables have the routes that the kernel still has', async () => {
  const ipv6 = (off: number): unknown =>
    inside(C, 'sh', '-c', `echo ${off} > /proc/sys/net/ipv6/conf/x/disable_ipv6`);
  const byX6 = route('c/R', 'fd09::/64', ['x', 'fd00:0:0:1::2']);
  await apply(agent, 'tenant', [...addresses, byX, byX6]);
  ipv6(1);
  try {
    await until('its address is gone', () => !hasAddress('x', 'fd00:0:0:1::1/64'));
    await expect(apply(agent, 'tenant', [...addresses, byY, byX6])).rejects.toThrow('fd00:0:0:1::1/64');
    expectBoth('10.9.0.0/16 x 10.0.1.2');
  } finally {
    ipv6(0);
  }
  await apply(agent, 'tenant', [...addresses, byY, byX6]);
  expectBoth('10.9.0.0/16 y 10.0.2.2', 'fd09::/64 x fd00:0:0:1::2');
});

test('what is no longer wanted is in nobody’s way', async () => {
  const there = route('c/R', 'fd08::/64', ['x', 'fd00:0:0:1::2']);
  await apply(agent, 'tenant', [...addresses, there]);
  // its gateway was on the other link, by the route before
  await apply(agent, 'tenant', [...addresses, route('c/R', 'fd07::/64', ['y', 'fd08::1'])]);
  expectBoth('fd07::/64 y fd08::1');
  // and this one's was the node's own
  await apply(agent, 'tenant', [...addresses, address('c/R/x', '10.0.3.1/24')]);
  await apply(agent, 'tenant', [...addresses, route('c/R', '10.6.0.0/16', ['y', '10.0.3.1'])]);
  expectBoth('10.6.0.0/16 y 10.0.3.1');
});

test('a link’s last IPv4 address goes, its routes stay', async () => {
  const both = route('c/R', '10.8.0.0/16', ['x', '10.0.1.2'], ['y', '10.0.2.2']);
  await apply(agent, 'tenant', [...addresses, byX, both]);
  await apply(agent, 'tenant', [...addresses.slice(1), byX, both]);
  expectBoth('10.8.0.0/16 x 10.0.1.2, y 10.0.2.2', '10.9.0.0/16 x 10.0.1.2');
  await apply(agent, 'tenant', [...addresses.slice(1), byY]);
  expectBoth('10.9.0.0/16 y 10.0.2.2');
});

test('a vif that is made again gets its routes, or they are in neither', async () => {
  await apply(agent, 'tenant', [...addresses, byX, old]);
  const machine = [...agent.vifs.all].find((vif) => vif.name === `${NODE}/vifs/x`);
  const before = machine?.links?.inside;
  // its kernel takes no route by a link whose gateway is its own
  ip('-n', C, 'address', 'add', '10.0.1.2/32', 'dev', 'y');
  ip('-n', C, 'link', 'delete', 'x');
  await until('it is there again', () => {
    const after = agent.vifs.get(`${NODE}/vifs/x`)?.links?.inside;
    return after !== undefined && after !== before;
  });
  await agent.applier.idle();
  expectBoth();
  ip('-n', C, 'address', 'delete', '10.0.1.2/32', 'dev', 'y');
  await apply(agent, 'tenant', [...addresses, byX]);
  expectBoth('10.9.0.0/16 x 10.0.1.2');
});

test('routes that the kernel forgot with an MTU too small for IPv6 are there again', async () => {
  const byX6 = route('c/R', 'fd09::/64', ['x', 'fd00:0:0:1::2']);
  await apply(agent, 'tenant', [...addresses, byX, byX6]);
  await apply(agent, 'below', [
    ...below().slice(0, 1),
    port('c/R/x', 'st-x', { mtu: 1000 }),
    ...below().slice(2),
  ]);
  expectBoth('10.9.0.0/16 x 10.0.1.2');
  await apply(agent, 'below', below());
  expectBoth('10.9.0.0/16 x 10.0.1.2', 'fd09::/64 x fd00:0:0:1::2');
});

test('a link that is down keeps its routes in the tables, and gets them back', async () => {
  await apply(agent, 'tenant', [...addresses, byX, old]);
  ip('-n', C, 'link', 'set', 'x', 'down');
  await until('the vif is down', () => agent.vifs.get(`${NODE}/vifs/x`)?.up === false);
  expect(inKernel()).toEqual([]);
  await apply(agent, 'tenant', [...addresses, byX]);
  expect(inTables()).toEqual(['10.9.0.0/16 x 10.0.1.2']);
  ip('-n', C, 'link', 'set', 'x', 'up');
  await until('its kernel has it again', () => inKernel().length > 0);
  expectBoth('10.9.0.0/16 x 10.0.1.2');
});

test('a route of the kernel’s own is not lost with the tenant’s', async () => {
  await apply(agent, 'tenant', [...addresses, byX]);
  ip('-n', C, 'route', 'add', '10.9.0.0/16', 'via', '10.0.2.2', 'metric', '5');
  // the tenant's routes can't be there with its kernel's
  await apply(agent, 'below', below(2));
  expect(inKernel()).toEqual([]);
  expect(inTables()).toEqual(['10.9.0.0/16 y 10.0.2.2']);
  ip('-n', C, 'route', 'delete', '10.9.0.0/16', 'metric', '5');
  await apply(agent, 'below', below());
  await apply(agent, 'tenant', [...addresses, byX]);
  expectBoth('10.9.0.0/16 x 10.0.1.2');
});

test('a node that was to turn to its kernel’s routes, and back, still has the tenant’s', async () => {
  const link = route('c/R', '10.0.2.0/24', ['x', '10.0.1.2']);
  const routes = ['10.0.2.0/24 x 10.0.1.2', '10.9.0.0/16 x 10.0.1.2'];
  await apply(agent, 'tenant', [...addresses, byX, link]);
  ip('-n', C, 'route', 'add', '10.9.0.0/16', 'via', '10.0.2.2', 'metric', '5');
  // another has the vif's name: this Apply ends before the tenant's routes are looked at
  ip('-n', C, 'link', 'property', 'add', 'dev', 'lo', 'altname', 'z');
  try {
    await expect(apply(agent, 'below', [...below(2), port('c/R/z', 'st-z')])).rejects.toMatchObject({
      reason: 'STEP_FAILED',
      field: `${NODE}/vifs/z`,
    });
    expect(inKernel()).toEqual(routes);
  } finally {
    ip('-n', C, 'link', 'property', 'del', 'dev', 'lo', 'altname', 'z');
    ip('-n', C, 'route', 'delete', '10.9.0.0/16', 'metric', '5');
  }
  await apply(agent, 'below', below());
  // without the address that hides one of them
  await apply(agent, 'tenant', [...addresses.slice(0, 2), byX, link]);
  expectBoth(...routes);
});
