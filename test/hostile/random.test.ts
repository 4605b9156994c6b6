/*
 * Random resources by the thousand, from nonsense to what just might be right: each stream is done or refused with a reason,
 * never by a fault of the agent, and nobody else notices. Then the world is brought up again, and all is as it was.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { ApiError, Status } from '../../src/api/errors.js';
import { agentsOf } from '../../src/world/agents.js';
import { CONN, GAMES, Hostile, IPTV, type Picture, type Resource, TUNNEL } from './tenant.js';

let hostile: Hostile;
let before: Picture;
let agent: number | undefined;

beforeAll(async () => {
  hostile = new Hostile();
  before = await hostile.picture();
  agent = agentsOf(hostile.world.name, 'P')[0]?.pid;
}, 120_000);
beforeEach(() => () => restored(), 60_000);
afterAll(() => {
  hostile.close();
}, 60_000);

/** After eve has had her way: the same agent, the others undisturbed, and her own world put back by `up`. */
async function restored(): Promise<void> {
  expect(agentsOf(hostile.world.name, 'P')[0]?.pid).toBe(agent);
  expect(hostile.reaches('iptv')).toBe(true);
  expect(hostile.world.again()).toMatchObject({ status: 0 });
  const { owners } = before;
  // ids are free again a grace period after their last use
  await expect
    .poll(async () => ({ ...(await hostile.picture()), owners }), { timeout: 10_000 })
    .toEqual(before);
  expect(hostile.reaches('games')).toBe(true);
}

const told: ReadonlySet<Status> = new Set([
  Status.INVALID_ARGUMENT,
  Status.FAILED_PRECONDITION,
  Status.RESOURCE_EXHAUSTED,
  Status.PERMISSION_DENIED,
  Status.ALREADY_EXISTS,
]);

/** True if it was done. */
async function take(resources: readonly Resource[], validateOnly: boolean): Promise<boolean> {
  const answer = await hostile.apply('eve', resources, { validateOnly });
  if (!(answer instanceof ApiError)) return true;
  expect(told, `${answer.reason}: ${answer.message}`).toContain(answer.status);
  expect(answer.reason).toMatch(/^[A-Z][A-Z_]+$/);
  expect(answer.field).toBeTruthy();
  return false;
}

const OWN = `${GAMES}/vifs/to-M`;
const labels = [16, 17, 2 ** 20 - 1];

test('nonsense', async () => {
  const name = fc.constantFrom(
    OWN,
    `${GAMES}/vifs/gp`,
    `${IPTV}/vifs/hp`,
    `${CONN}/vifs/to-Q`,
    'vns/e/nodes/P/vifs/a',
    '',
  );
  const node = fc.constantFrom(GAMES, IPTV, 'vns/e/nodes/P', '');
  const tunnel = fc.constantFrom(TUNNEL, 'tunnels/e', '');
  const address = fc.constantFrom(
    '10.66.0.1',
    '10.255.0.3',
    '100.127.0.1',
    '100.127.0.9',
    'fd00:66::1',
    '10.66.0.0',
    '',
  );
  const length = fc.constantFrom(0, 8, 24, 31, 32, 64, 128);
  const label = fc.constantFrom(...labels, 15, 2 ** 20);
  const path = fc.oneof(fc.record({ vif: name, label }), fc.record({ tunnel, label }), fc.record({ label }));
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const prefix = fc.tuple(address, length).map(([at, bits]) => `${at}/${bits}`);
  const number = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const resource: fc.Arbitrary<Resource> = fc.oneof(
    fc.record({
      virtualNode: fc.record({
        name: fc.oneof(node, text),
        tenant: fc.oneof(fc.constantFrom('eve', 'iptv'), text),
        routeSource: fc.integer({ min: -1, max: 3 }),
      }),
    }),
    fc.record({
      tunnel: fc.record({
        name: tunnel,
        localAddress: address,
        remoteAddress: fc.oneof(address, text),
        dscp: fc.nat(70),
        arrivalInterface: fc.oneof(fc.constant(''), text),
      }),
    }),
    fc.record({
      vif: fc.record({
        name,
        mtu: fc.oneof(fc.constant(0), number),
        mac: fc.oneof(fc.constant(''), text),
        link: fc.record({ paths: fc.array(path, { maxLength: 2 }) }),
      }),
    }),
    fc.record({
      vif: fc.record({
        name,
        port: fc.record({ interface: fc.oneof(fc.constantFrom('st-x', 'st-hp', 'to-Q'), text) }),
      }),
    }),
    fc.record({ label: fc.record({ vif: name, label, swap: path }) }),
    fc.record({
      label: fc.record({ tunnel, label: fc.oneof(label, number), deliver: fc.oneof(name, text) }),
    }),
    fc.record({ address: fc.record({ vif: name, prefix: fc.oneof(prefix, text) }) }),
    fc.record({
      route: fc.record({
        node,
        destination: fc.oneof(prefix, text),
        type: fc.integer({ min: -1, max: 5 }),
        nextHops: fc.array(fc.record({ vif: name, gateway: fc.oneof(address, text), weight: fc.nat(300) }), {
          maxLength: 10,
        }),
      }),
    }),
  );
  const stream = fc.array(resource, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(stream, fc.boolean(), async (resources, validateOnly) => {
      await take(resources, validateOnly);
    }),
    { numRuns: 500 },
  );
}, 120_000);

test('what might be right', async () => {
  const NODES = ['vns/e/nodes/P', 'vns/f/nodes/P'];
  const VIFS = ['vns/e/nodes/P/vifs/a', 'vns/e/nodes/P/vifs/b', 'vns/f/nodes/P/vifs/a'];
  const HERS = [OWN, `${GAMES}/vifs/gp`];
  const any = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
  const sometimes = (resource: fc.Arbitrary<Resource>, weight = 3): fc.Arbitrary<Resource[]> => {
    const none: Resource[] = [];
    return fc.oneof({ arbitrary: fc.tuple(resource), weight }, { arbitrary: fc.constant(none), weight: 1 });
  };
  const label = any(...labels);
  const over = fc.oneof(
    fc.record({ vif: any(OWN, ...VIFS), label }),
    fc.record({ tunnel: any('tunnels/e'), label }),
  );
  const up = fc.oneof(
    { arbitrary: fc.record({ vif: any(OWN), label }), weight: 4 },
    { arbitrary: over, weight: 1 },
  );

  const node = (name: string): fc.Arbitrary<Resource> =>
    fc.record({
      virtualNode: fc.record({
        name: fc.constant(name),
        tenant: any('eve', 'eve', 'mallory'),
        routeSource: any(0, 1, 2),
      }),
    });
  const vif = (name: string): fc.Arbitrary<Resource> => {
    const common = { name: fc.constant(name), mtu: any(0, 576, 1000), mac: any('', '02:00:00:00:00:01') };
    return fc.oneof(
      fc.record({ vif: fc.record({ ...common, link: fc.record({ paths: fc.tuple(up) }) }) }),
      fc.record({ vif: fc.record({ ...common, port: fc.record({ interface: any('st-x', 'st-y') }) }) }),
    );
  };
  const tunnel: fc.Arbitrary<Resource> = fc.record({
    tunnel: fc.record({
      name: any('tunnels/e'),
      localAddress: any('100.127.0.1', '10.9.9.1'),
      remoteAddress: any('100.127.0.3', '10.9.9.2'),
      udpChecksum: fc.boolean(),
      dscp: any(0, 46),
      arrivalInterface: any('', 'to-Q'),
    }),
  });
  const contexts = fc.record({ vif: any(OWN, ...VIFS), label, swap: over });
  const delivered = fc.record({ vif: any(OWN, ...VIFS), label, deliver: any(...VIFS) });
  const prefixes = [
    '10.66.0.1/24',
    '10.66.0.2/24',
    '10.66.0.1/16',
    '10.67.0.1/31',
    '10.68.0.1/32',
    'fd66::1/64',
    'fd66::1/80',
    'fd67::1/127',
    '169.254.0.1/16',
    'fe80::1/64',
  ];
  const address = fc.record({ address: fc.record({ vif: any(...HERS, ...VIFS), prefix: any(...prefixes) }) });
  const hop4 = (vif: string): fc.Arbitrary<object> =>
    fc.record({
      vif: fc.constant(vif),
      gateway: any('10.66.0.9', '10.255.0.3', '192.0.2.1'),
      weight: any(0, 1, 255),
    });
  const hop6 = (vif: string): fc.Arbitrary<object> =>
    fc.record({
      vif: fc.constant(vif),
      gateway: any('fd66::9', 'fe80::9', '2001:db8::1'),
      weight: any(0, 1, 255),
    });
  const route = (node: string, vif: string): fc.Arbitrary<Resource> =>
    fc.oneof(
      fc.record({
        route: fc.record({
          node: fc.constant(node),
          destination: any('0.0.0.0/0', '10.70.0.0/16', '10.66.0.0/24', '10.71.0.1/32'),
          nextHops: fc.array(hop4(vif), { minLength: 1, maxLength: 3 }),
        }),
      }),
      fc.record({
        route: fc.record({
          node: fc.constant(node),
          destination: any('::/0', 'fd70::/16', 'fd66::/64', 'fd71::1/128'),
          nextHops: fc.array(hop6(vif), { minLength: 1, maxLength: 3 }),
        }),
      }),
      fc.record({
        route: fc.record({
          node: fc.constant(node),
          destination: any('10.72.0.0/16', 'fd72::/16', '0.0.0.0/0', '::/0'),
          type: any(2, 3),
        }),
      }),
      fc.record({
        route: fc.record({
          node: fc.constant(node),
          destination: any('10.73.0.0/16', 'fd73::/16'),
          nextHops: fc.tuple(fc.record({ vif: fc.constant(vif) })),
        }),
      }),
    );
  const unique = (resource: fc.Arbitrary<Resource>, maxLength: number): fc.Arbitrary<Resource[]> =>
    fc.uniqueArray(resource, {
      maxLength,
      selector: (one) =>
        JSON.stringify([
          one.address,
          one.label?.vif,
          one.label?.label,
          one.route?.destination,
          one.route?.node,
        ]),
    });
  const stream = fc
    .tuple(
      ...NODES.map((name) => sometimes(node(name), 5)),
      ...VIFS.map((name) => sometimes(vif(name))),
      sometimes(tunnel),
      unique(
        fc.oneof(contexts, delivered).map((one) => ({ label: one })),
        2,
      ),
      unique(address, 4),
      unique(
        fc.oneof(
          route(GAMES, OWN),
          route(GAMES, `${GAMES}/vifs/gp`),
          route('vns/e/nodes/P', 'vns/e/nodes/P/vifs/a'),
        ),
        4,
      ),
    )
    .map((parts) => parts.flat());
  let runs = 0;
  let done = 0;
  await fc.assert(
    fc.asyncProperty(stream, async (resources) => {
      runs++;
      if (await take(resources, false)) done++;
    }),
    { numRuns: 300 },
  );
  expect(done / runs).toBeGreaterThan(0.05);
}, 300_000);
