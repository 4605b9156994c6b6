import { describe, expect, test } from 'vitest';
import { ApiError } from '../../src/api/errors.js';
import { checkAuthority, type Grants, labelsOf, waysDown } from '../../src/node/authority.js';
import { type Collection } from '../../src/node/collect.js';
import { difference, orderSteps, type Step, touchedBy, widen } from '../../src/node/plan.js';
import { Registry } from '../../src/node/registry.js';
import {
  address,
  collect,
  deliver,
  link,
  node,
  port,
  type Resource,
  route,
  swap,
  tunnel,
} from './machines.js';

const grants: Grants = {
  offersPort: (name) => name.startsWith('st-'),
  isUnderlay: (name) => name.startsWith('eth'),
  isNamedUnderlay: (name) => name.startsWith('eth'),
};

const one = [
  tunnel('p-q', '192.0.2.1', '192.0.2.2'),
  node('conn', 'P', 'conn'),
  link('conn/P/p6', { tunnel: 'p-q', label: 1001 }),
  deliver({ tunnel: 'p-q', label: 2001 }, 'conn/P/p6'),
];
const conn = [
  node('iptv', 'P', 'iptv'),
  port('iptv/P/station', 'st-hp'),
  link('iptv/P/p-m', { vif: 'conn/P/p6', label: 5001 }),
  deliver({ vif: 'conn/P/p6', label: 6001 }, 'iptv/P/p-m'),
  swap({ vif: 'conn/P/p6', label: 7001 }, { vif: 'conn/P/p6', label: 7002 }),
];
const iptv = [address('iptv/P/station', '10.0.1.1/24'), route('iptv/P', '10.0.3.0/24', ['p-m', '10.1.0.1'])];

function accept(registry: Registry, collection: Collection): void {
  checkAuthority(registry, collection.holding, grants, (intent) => collection.fieldOf(intent));
  registry.replace(collection.holding);
}

function world(): Registry {
  const registry = new Registry();
  accept(registry, collect('one', one));
  accept(registry, collect('conn', conn));
  accept(registry, collect('iptv', iptv));
  return registry;
}

function refusal(registry: Registry, owner: string, resources: readonly Resource[]): string {
  try {
    accept(registry, collect(owner, resources));
  } catch (error) {
    if (error instanceof ApiError) return `${error.reason} ${error.field}`;
    throw error;
  }
  return 'accepted';
}

describe('who may write what', () => {
  const cases: [string, string, Resource[]][] = [
    // names of others
    ['NAME_IN_USE resources[0].virtual_node.name', 'evil', [node('iptv', 'P', 'evil')]],
    ['NAME_IN_USE resources[0].tunnel.name', 'evil', [tunnel('p-q', '192.0.2.1', '192.0.2.9')]],
    ['TUNNEL_IN_USE resources[0].tunnel.remote_address', 'evil', [tunnel('x', '192.0.2.1', '192.0.2.2')]],
    [
      'NOT_UNDERLAY resources[0].tunnel.arrival_interface',
      'evil',
      [tunnel('x', '192.0.2.1', '192.0.2.9', { arrivalInterface: 'st-hp' })],
    ],
    // vifs in others' nodes
    ['NOT_OWNER resources[0].vif.name', 'iptv', [port('iptv/P/mine', 'st-x')]],
    ['NODE_NOT_FOUND resources[0].vif.name', 'evil', [port('evil/P/mine', 'st-x')]],
    // below: tunnels and vifs of others
    [
      'NOT_OWNER resources[1].vif.link.paths[0].tunnel',
      'evil',
      [node('evil', 'P', 'evil'), link('evil/P/a', { tunnel: 'p-q', label: 16 })],
    ],
    [
      'NOT_TENANT resources[1].vif.link.paths[0].vif',
      'evil',
      [node('evil', 'P', 'evil'), link('evil/P/a', { vif: 'conn/P/p6', label: 16 })],
    ],
    [
      'NOT_TENANT resources[1].vif.link.paths[0].vif',
      'evil',
      [node('evil', 'P', 'evil'), link('evil/P/a', { vif: 'iptv/P/p-m', label: 16 })],
    ],
    [
      'TUNNEL_NOT_FOUND resources[1].vif.link.paths[0].tunnel',
      'evil',
      [node('evil', 'P', 'evil'), link('evil/P/a', { tunnel: 'none', label: 16 })],
    ],
    [
      'VIF_NOT_FOUND resources[1].vif.link.paths[0].vif',
      'evil',
      [node('evil', 'P', 'evil'), link('evil/P/a', { vif: 'x/P/none', label: 16 })],
    ],
    // labels in others' contexts, to others' vifs
    ['NOT_OWNER resources[0].label.tunnel', 'conn', [deliver({ tunnel: 'p-q', label: 16 }, 'iptv/P/p-m')]],
    [
      'NOT_TENANT resources[4].label.vif',
      'one',
      [...one, deliver({ vif: 'conn/P/p6', label: 16 }, 'conn/P/p6')],
    ],
    ['NOT_TENANT resources[0].label.vif', 'evil', [deliver({ vif: 'conn/P/p6', label: 6001 }, 'iptv/P/p-m')]],
    ['NOT_OWNER resources[0].label.deliver', 'conn', [deliver({ vif: 'conn/P/p6', label: 16 }, 'conn/P/p6')]],
    [
      'NOT_OWNER resources[0].label.swap.tunnel',
      'conn',
      [swap({ vif: 'conn/P/p6', label: 16 }, { tunnel: 'p-q', label: 17 })],
    ],
    [
      'NOT_A_LINK resources[2].label.deliver',
      'conn',
      [
        node('iptv', 'P', 'iptv'),
        port('iptv/P/station', 'st-hp'),
        deliver({ vif: 'conn/P/p6', label: 16 }, 'iptv/P/station'),
      ],
    ],
    // addresses and routes of others' nodes
    ['NOT_TENANT resources[5].address.vif', 'conn', [...conn, address('iptv/P/station', '10.0.9.1/24')]],
    ['NOT_TENANT resources[0].address.vif', 'iptv', [address('conn/P/p6', '10.0.9.1/24')]],
    ['VIF_NOT_FOUND resources[0].address.vif', 'iptv', [address('iptv/P/none', '10.0.9.1/24')]],
    ['NOT_TENANT resources[0].route.node', 'one', [route('iptv/P', '10.0.0.0/8', ['p-m', '10.1.0.1'])]],
    ['NODE_NOT_FOUND resources[0].route.node', 'iptv', [route('none/P', '10.0.0.0/8', ['p-m', '10.1.0.1'])]],
    [
      'VIF_NOT_FOUND resources[0].route.next_hops[0].vif',
      'iptv',
      [route('iptv/P', '10.0.0.0/8', ['none', '10.1.0.1'])],
    ],
    [
      'GATEWAY resources[1].route.next_hops[0].gateway',
      'iptv',
      [address('iptv/P/station', '10.0.1.1/24'), route('iptv/P', '10.0.0.0/8', ['station', '10.0.1.1'])],
    ],
    // ports
    [
      'PORT_NOT_OFFERED resources[1].vif.port.interface',
      'evil',
      [node('evil', 'P', 'evil'), port('evil/P/a', 'eth0')],
    ],
    [
      'PORT_NOT_OFFERED resources[1].vif.port.interface',
      'evil',
      [node('evil', 'P', 'evil'), port('evil/P/a', 'lo')],
    ],
    [
      'PORT_IN_USE resources[1].vif.port.interface',
      'evil',
      [node('evil', 'P', 'evil'), port('evil/P/a', 'st-hp')],
    ],
  ];
  test.each(cases)('%s: %s', (expected, owner, resources) => {
    expect(refusal(world(), owner, resources)).toBe(expected);
  });

  test('a port twice in one stream, too many layers, a circle', () => {
    expect(refusal(world(), 'x', [node('x', 'P', 'x'), port('x/P/a', 'st-x'), port('x/P/b', 'st-x')])).toBe(
      'PORT_IN_USE resources[2].vif.port.interface',
    );
    const deep = [
      tunnel('x', '192.0.2.1', '192.0.2.7'),
      node('x', 'P', 'x'),
      link('x/P/l1', { tunnel: 'x', label: 16 }),
      link('x/P/l2', { vif: 'x/P/l1', label: 16 }),
      link('x/P/l3', { vif: 'x/P/l2', label: 16 }),
      link('x/P/l4', { vif: 'x/P/l3', label: 16 }),
    ];
    expect(refusal(world(), 'x', deep)).toBe('accepted');
    expect(refusal(world(), 'x', [...deep, link('x/P/l5', { vif: 'x/P/l4', label: 16 })])).toBe(
      'PATH_DEPTH resources[6].vif.link.paths[0]',
    );
    expect(
      refusal(world(), 'x', [
        node('x', 'P', 'x'),
        link('x/P/a', { vif: 'x/P/b', label: 16 }),
        link('x/P/b', { vif: 'x/P/a', label: 16 }),
      ]),
    ).toBe('PATH_DEPTH resources[1].vif.link.paths[0]');
    expect(
      refusal(world(), 'x', [
        node('x', 'P', 'x'),
        port('x/P/a', 'st-x'),
        link('x/P/b', { vif: 'x/P/a', label: 16 }),
      ]),
    ).toBe('PATH_DEPTH resources[2].vif.link.paths[0]');
  });

  test('routes of a node that its kernel fills are not the tenant’s', () => {
    const registry = new Registry();
    accept(registry, collect('one', [node('x', 'P', 'x', 2), port('x/P/a', 'st-x')]));
    expect(refusal(registry, 'x', [route('x/P', '10.0.0.0/8', ['a', '10.1.0.1'])])).toBe(
      'ROUTE_SOURCE resources[0].route.node',
    );
    expect(refusal(registry, 'x', [address('x/P/a', '10.0.0.1/8')])).toBe('accepted');
  });

  test('labels and tunnel of a path', () => {
    const registry = world();
    const path = registry.vif('vns/iptv/nodes/P/vifs/p-m')?.intent.paths[0];
    expect(path && labelsOf(registry, path)).toBe(2);
    expect(path && waysDown(registry, path)).toEqual([
      { labels: 2, lowest: { kind: 'tunnel', name: 'tunnels/p-q' } },
    ]);
  });
});

function show(step: Step): string {
  const what = step.kind === 'label' ? `${step.place.context.name} ${step.place.label}` : step.name;
  return `${step.remove ? '-' : '+'} ${step.kind} ${what.replaceAll('vns/', '').replaceAll('/nodes', '').replaceAll('/vifs', '')}`;
}

function stepsTo(registry: Registry, owner: string, resources: readonly Resource[]): string[] {
  const before = registry.holdings.get(owner);
  const collection = collect(owner, resources);
  const { touched } = difference(before, collection.holding);
  registry.replace(collection.holding);
  widen(touched, registry);
  return orderSteps(touched, registry).map(show);
}

describe('the steps of an Apply', () => {
  test('from the bottom up', () => {
    const registry = new Registry();
    expect(stepsTo(registry, 'one', one)).toEqual([
      '+ node conn/P',
      '+ tunnel tunnels/p-q',
      '+ vif conn/P/p6',
      '+ label tunnels/p-q 2001',
      '+ contents conn/P',
    ]);
  });

  test('nothing where nothing changed', () => {
    const registry = world();
    expect(stepsTo(registry, 'one', one)).toEqual([]);
    expect(stepsTo(registry, 'iptv', iptv)).toEqual([]);
  });

  test('only the node whose routes changed', () => {
    expect(stepsTo(world(), 'iptv', iptv.slice(0, 1))).toEqual(['+ contents iptv/P']);
  });

  test('from the top down what is no longer wanted, what others stood on it included', () => {
    expect(stepsTo(world(), 'conn', [])).toEqual([
      '- label conn/P/p6 6001',
      '- label conn/P/p6 7001',
      '- vif iptv/P/station',
      '- vif iptv/P/p-m',
      '- node iptv/P',
    ]);
    expect(stepsTo(world(), 'one', [])).toEqual(
      [
        // the layer above loses its ways first
        '+ vif iptv/P/p-m',
        '- label tunnels/p-q 2001',
        '- label conn/P/p6 6001',
        '- label conn/P/p6 7001',
        '- vif conn/P/p6',
        '- tunnel tunnels/p-q',
        '- node conn/P',
      ].toSorted((a, b) => Number(a.startsWith('-')) - Number(b.startsWith('-'))),
    );
  });

  test('a lease given to another takes effect on what the first built upon it', () => {
    const registry = world();
    const leased = one.map((resource) => (resource.virtualNode ? node('conn', 'P', 'other') : resource));
    expect(stepsTo(registry, 'one', leased)).toEqual([
      '+ node conn/P',
      '+ vif iptv/P/p-m',
      '+ label tunnels/p-q 2001',
      '+ contents conn/P',
      '+ contents iptv/P',
      '- label conn/P/p6 6001',
      '- label conn/P/p6 7001',
    ]);
    expect(refusal(registry, 'conn', conn)).toBe('NOT_TENANT resources[2].vif.link.paths[0].vif');
  });

  test('counts', () => {
    const registry = world();
    const changed = [
      ...iptv.slice(0, 1),
      route('iptv/P', '10.0.3.0/24', ['p-m', '10.1.0.9']),
      route('iptv/P', '0.0.0.0/0', ['p-m', '10.1.0.1']),
    ];
    const { counts } = difference(registry.holdings.get('iptv'), collect('iptv', changed).holding);
    expect(counts).toEqual({ created: 1, updated: 1, deleted: 0, unchanged: 1 });
  });

  test('what was not reached is looked at again', () => {
    const registry = new Registry();
    const { touched } = difference(undefined, collect('one', one).holding);
    registry.replace(collect('one', one).holding);
    const steps = orderSteps(touched, registry);
    expect(orderSteps(touchedBy(steps.slice(2)), registry).map(show)).toEqual(steps.slice(2).map(show));
  });
});
