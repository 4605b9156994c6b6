/** The planner: what it tells the agents, followed packet by packet, for the examples and for random worlds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type MachinePlan, type WorldPlan } from '../../src/world/plan.js';
import { resourcesOf, walk } from './walk.js';
import { exampleDraft, examplePlan, planOf, type WorldDraft } from './worlds.js';

const bare = (prefix: string): string => prefix.replace(/\/\d+$/, '');

function machineOf(plan: WorldPlan, name: string): MachinePlan {
  return plan.machines.find((machine) => machine.name === name) ?? expect.fail(`no machine ${name}`);
}

/** Every pair of stations of every network reaches each other, and nobody else, in both families. */
function everyStationReachesItsOwn(plan: WorldPlan): void {
  for (const from of plan.stations) {
    for (const to of plan.stations) {
      if (from === to || from.network !== to.network) continue;
      for (const address of to.addresses) {
        const way = walk(plan, from.network, from.name, bare(address));
        expect(way.end, `${from.network}: ${from.name} to ${bare(address)}`).toBe(to.name);
        expect(way.nodes.every((node) => node.startsWith(`${from.network}/`))).toBe(true);
      }
    }
  }
}

describe('three machines in a row', () => {
  const plan = examplePlan('three');

  it('carry the service link past Q, which swaps one label', () => {
    const way = walk(plan, 'iptv', 'hp', '10.0.3.2');
    expect(way).toMatchObject({ nodes: ['iptv/P', 'iptv/M'], machines: ['P', 'Q', 'M'], end: 'hm' });
    expect(way.stacks.map((stack) => stack.length)).toEqual([2, 2]);
    expect(resourcesOf(machineOf(plan, 'Q'), 'virtualNode').map((node) => node.name)).toEqual([
      'vns/conn/nodes/Q',
    ]);
  });

  it('are told in the order of the layers', () => {
    expect(machineOf(plan, 'P').intents.map((intent) => intent.owner)).toEqual(['one', 'conn', 'iptv']);
    expect(machineOf(plan, 'Q').intents.map((intent) => intent.owner)).toEqual(['one', 'conn']);
  });

  it('give the stations their router', () => {
    expect(plan.stations[0]).toMatchObject({
      port: 'st-hp',
      mtu: 1500,
      addresses: ['10.0.1.2/24', 'fd00:0:0:1::2/64'],
      gateways: ['10.0.1.1', 'fd00:0:0:1::1'],
    });
  });
});

describe('Figure 2', () => {
  const plan = examplePlan('figure2');

  it('lets every station reach its own network, both families', () => {
    everyStationReachesItsOwn(plan);
  });

  it('takes hp to hm by P and M only, over Q', () => {
    const way = walk(plan, 'iptv', 'hp', '10.0.3.2');
    expect(way.nodes).toEqual(['iptv/P', 'iptv/M']);
    expect(way.machines).toEqual(['P', 'Q', 'M']);
  });

  it('takes hp to ha by M, since P and A share no service link', () => {
    expect(walk(plan, 'iptv', 'hp', 'fd00:0:0:4::2').nodes).toEqual(['iptv/P', 'iptv/M', 'iptv/A']);
  });

  it('gives both services the same addresses', () => {
    for (const machine of plan.machines) {
      const addresses = (network: string): string[] =>
        resourcesOf(machine, 'address')
          .filter((address) => address.vif?.startsWith(`vns/${network}/`))
          .map((address) => address.prefix ?? '');
      expect(addresses('games')).toEqual(addresses('iptv'));
    }
  });

  it('names vifs after the other end, and stations by their own name', () => {
    const vifs = resourcesOf(machineOf(plan, 'P'), 'vif').map((vif) => vif.name);
    expect(vifs).toContain('vns/iptv/nodes/P/vifs/to-M');
    expect(vifs).toContain('vns/iptv/nodes/P/vifs/hp');
    expect(vifs).toContain('vns/conn/nodes/P/vifs/to-A');
  });

  it('lets each provider write what is its own', () => {
    const { intents } = machineOf(plan, 'M');
    expect(intents.map((intent) => intent.owner)).toEqual(['three', 'conn', 'iptv', 'games']);
    const kinds = intents.map(({ resources }) =>
      [...new Set(resources.flatMap((one) => Object.keys(one)))].sort(),
    );
    expect(kinds).toEqual([
      ['label', 'tunnel', 'vif', 'virtualNode'],
      ['address', 'label', 'route', 'vif', 'virtualNode'],
      ['address', 'route'],
      ['address', 'route'],
    ]);
  });

  it('only routes IP on X, Y and Z, by all equal ways', () => {
    for (const name of ['X', 'Y', 'Z']) expect(machineOf(plan, name).intents).toEqual([]);
    const toA = machineOf(plan, 'B').routes.find((route) => route.destination === '100.127.0.4/32');
    expect(toA?.nextHops.map((hop) => hop.interface)).toEqual(['to-X', 'to-N']);
  });

  it('comes out the same each time, and labels differ from world to world', () => {
    expect(examplePlan('figure2')).toEqual(plan);
    const labels = (of: WorldPlan): number[] =>
      of.machines.flatMap((machine) => resourcesOf(machine, 'label').map((label) => label.label ?? 0));
    const other = labels(planOf({ ...exampleDraft('figure2'), name: 'other' }));
    expect(other).toHaveLength(labels(plan).length);
    expect(other.filter((label) => labels(plan).includes(label)).length).toBeLessThan(3);
    expect(labels(plan).every((label) => label >= 16 && label <= 0xfffff)).toBe(true);
  });
});

describe('other worlds', () => {
  const three = exampleDraft('three');

  it('nest a network in a network in a network', () => {
    const nested: WorldDraft = {
      ...three,
      networks: [
        ...(three.networks ?? []),
        { name: 'inner', over: 'iptv', nodes: [{ name: 'P' }, { name: 'M' }], links: [{ a: 'M', b: 'P' }] },
      ],
      stations: [
        { name: 'ip', network: 'inner', node: 'P', addresses: ['10.0.1.2/24'] },
        { name: 'im', network: 'inner', node: 'M', addresses: ['10.0.3.2/24'] },
      ],
    };
    const way = walk(planOf(nested), 'inner', 'ip', '10.0.3.2');
    expect(way).toMatchObject({ nodes: ['inner/P', 'inner/M'], end: 'im' });
    expect(way.stacks.map((stack) => stack.length)).toEqual([3, 3]);
  });

  it('use tunnels of both IP versions between the same machines', () => {
    const [conn, iptv] = three.networks ?? [];
    const plan = planOf({
      ...three,
      networks: [
        { ...conn, links: [...(conn?.links ?? []), { a: 'P', b: 'Q', name: 'v6', tunnelFamily: 6 }] },
        { ...iptv },
      ],
    });
    expect(resourcesOf(machineOf(plan, 'P'), 'tunnel').map((tunnel) => tunnel.name)).toEqual([
      'tunnels/P-Q',
      'tunnels/P-Q.ipv6',
    ]);
    everyStationReachesItsOwn(plan);
  });

  it('leave the tables to the kernel where the file says so', () => {
    const [conn, iptv] = three.networks ?? [];
    const plan = planOf({ ...three, networks: [{ ...conn }, { ...iptv, routeSource: 2 }] });
    const machine = machineOf(plan, 'P');
    expect(resourcesOf(machine, 'route').some((route) => route.node?.startsWith('vns/iptv/'))).toBe(false);
    expect(resourcesOf(machine, 'virtualNode').map((node) => node.routeSource)).toEqual([1, 2]);
  });

  it('send manifests beside the plan', () => {
    const route = { node: 'vns/iptv/nodes/P', destination: '10.9.0.0/16', type: 2 } as const;
    const manifests = [{ machine: 'P', owner: 'iptv', resources: [{ route }] }];
    const iptv = machineOf(planOf({ ...three, manifests }), 'P').intents.at(-1);
    expect(iptv).toMatchObject({ owner: 'iptv' });
    expect(iptv?.resources.at(-1)?.route?.destination).toBe('10.9.0.0/16');
  });

  it('connect all stations whatever the topology', () => {
    const count = 6;
    const name = (i: number): string => `m${i}`;
    const tree = fc.tuple(...Array.from({ length: count - 1 }, (_, i) => fc.nat(i)));
    const pair = fc.tuple(fc.nat(count - 1), fc.nat(count - 1)).filter(([a, b]) => a !== b);
    /** A tree over all, and some more edges; no two between the same nodes. */
    const edges = fc.tuple(tree, fc.array(pair, { maxLength: 5 })).map(([parents, more]) => {
      const all = [...parents.map((parent, i) => [i + 1, parent] as const), ...more];
      const seen = new Map(
        all.map(([a, b]) => [`${Math.min(a, b)} ${Math.max(a, b)}`, { a: name(a), b: name(b) }]),
      );
      return [...seen.values()];
    });
    const nodes = Array.from({ length: count }, (_, i) => ({ name: name(i) }));
    fc.assert(
      fc.property(edges, edges, edges, (wires, lower, upper) => {
        everyStationReachesItsOwn(
          planOf({
            name: 'random',
            machines: nodes.map((node) => ({ ...node, provider: 'one' })),
            wires,
            networks: [
              { name: 'conn', nodes, links: lower },
              { name: 'service', over: 'conn', nodes, links: upper },
            ],
            stations: nodes.map((node, i) => ({
              name: `h${i}`,
              network: 'service',
              node: node.name,
              addresses: [`10.0.${i}.2/24`, `fd00:0:0:${i + 1}::2/64`],
            })),
          }),
        );
      }),
      { numRuns: 20 },
    );
  });
});
