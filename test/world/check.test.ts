/** What is refused in a world file, with the field that is wrong. */
import { describe, expect, it } from 'vitest';

import { WorldError } from '../../src/world/errors.js';
import { fullGrid, gridWithChain } from '../../bench/grid.js';
import { exampleDraft, planOf, type WorldDraft } from './worlds.js';

const three = exampleDraft('three');
const [conn = {}, iptv = {}] = three.networks ?? [];
const [hp = {}, hm = {}] = three.stations ?? [];
const [p = {}, , m = {}] = three.machines ?? [];

const cases: readonly [string, WorldDraft, string, RegExp][] = [
  ['a name with a dot', { name: 'a.b' }, 'name', /A-Za-z0-9-/],
  ['no machines', { machines: [], wires: [], networks: [], stations: [] }, 'machines', /at least one/],
  ['two machines of one name', { machines: [p, p, m] }, 'machines[1].name', /two machines called P/],
  ['a machine called station', { machines: [{ ...p, name: 'station' }] }, 'machines[0].name', /stations/],
  ['a machine without provider', { machines: [{ name: 'P' }] }, 'machines[0].provider', /""/],
  [
    'a wire to nowhere',
    { wires: [{ a: 'P', b: 'R' }] },
    'wires[0].b',
    /no machine "R". Did you mean P\?|There is P, Q, M/,
  ],
  ['a wire to itself', { wires: [{ a: 'P', b: 'P' }] }, 'wires[0]', /itself/],
  [
    'two wires of one name',
    {
      wires: [
        { a: 'P', b: 'Q' },
        { a: 'Q', b: 'P' },
      ],
    },
    'wires[1]',
    /two interfaces called to-P of Q/,
  ],
  [
    'a wire called as a port',
    { wires: [{ a: 'P', b: 'Q', name: 'st-hp' }] },
    'wires[0].name',
    /something else/,
  ],
  [
    'too large a wire',
    { wires: [{ a: 'P', b: 'Q', mtu: 9000 }] },
    'wires[0].mtu',
    /9000: 576 to 3506 .* jumbo: true/,
  ],
  [
    'too large a wire for jumbo frames too',
    { jumbo: true, wires: [{ a: 'P', b: 'Q', mtu: 9801 }] },
    'wires[0].mtu',
    /9801: 576 to 9800 bytes$/,
  ],
  [
    'too long a delay',
    { wires: [{ a: 'P', b: 'Q', impairment: { delayUs: 10_000_001 } }] },
    'wires[0].impairment.delay_us',
    /10000001: at most 10 s$/,
  ],
  [
    'too long a jitter',
    { wires: [{ a: 'P', b: 'Q', impairment: { jitterUs: 4_294_967_295 } }] },
    'wires[0].impairment.jitter_us',
    /at most 10 s$/,
  ],
  [
    'more than all frames lost',
    { wires: [{ a: 'P', b: 'Q', impairment: { lossPpm: 1_000_001 } }] },
    'wires[0].impairment.loss_ppm',
    /at most 100 %/,
  ],
  [
    'too low a rate',
    { wires: [{ a: 'P', b: 'Q', impairment: { bitsPerSecond: 999n } }] },
    'wires[0].impairment.bits_per_second',
    /999: 1 kbit\/s to 100 Gbit\/s$/,
  ],
  [
    'a rate beyond all numbers',
    { wires: [{ a: 'P', b: 'Q', impairment: { bitsPerSecond: 2n ** 64n - 1n } }] },
    'wires[0].impairment.bits_per_second',
    /1 kbit\/s to 100 Gbit\/s$/,
  ],
  [
    'a direct wire with an impairment',
    { wires: [{ a: 'P', b: 'Q', direct: true, impairment: { lossPpm: 1 } }] },
    'wires[0].direct',
    /cannot be impaired/,
  ],
  [
    'a wire with a host as subnet',
    { wires: [{ a: 'P', b: 'Q', subnets: ['1.2.3.4/32'] }] },
    'wires[0].subnets',
    /two addresses/,
  ],
  [
    'a wire with two IPv4 subnets',
    { wires: [{ a: 'P', b: 'Q', subnets: ['1.0.0.0/31', '1.0.0.2/31'] }] },
    'wires[0].subnets',
    /at most one IPv4/,
  ],
  [
    'a network over none',
    { networks: [conn, { ...iptv, over: 'con' }] },
    'networks[1].over',
    /Did you mean conn\?/,
  ],
  ['a network over a later one', { networks: [iptv, conn] }, 'networks[0].over', /no network "conn"/],
  [
    'a node on no machine',
    { networks: [{ ...conn, nodes: [{ name: 'R' }] }] },
    'networks[0].nodes[0]',
    /no machine "R"/,
  ],
  [
    'a link to no node',
    { networks: [conn, { ...iptv, links: [{ a: 'P', b: 'Q' }] }] },
    'networks[1].links[0].b',
    /no node of iptv "Q"/,
  ],
  [
    'via no node',
    { networks: [conn, { ...iptv, links: [{ a: 'P', b: 'M', via: ['R'] }] }] },
    'networks[1].links[0].via[0]',
    /no node "R" in conn/,
  ],
  [
    'via in the infrastructure',
    { networks: [{ ...conn, links: [{ a: 'P', b: 'M', via: ['Q'] }] }] },
    'networks[0].links[0].via',
    /by itself/,
  ],
  [
    'protection in the infrastructure',
    { networks: [{ ...conn, links: [{ a: 'P', b: 'M', protection: 2 }] }] },
    'networks[0].links[0].protection',
    /backups/,
  ],
  [
    'a tunnel for a service link',
    { networks: [conn, { ...iptv, links: [{ a: 'P', b: 'M', tunnelFamily: 6 }] }] },
    'networks[1].links[0].tunnel_family',
    /conn carries/,
  ],
  [
    'IP version 5',
    { networks: [{ ...conn, links: [{ a: 'P', b: 'M', tunnelFamily: 5 }] }] },
    'networks[0].links[0].tunnel_family',
    /4 or 6/,
  ],
  ['a station of no node', { stations: [{ ...hp, node: 'Q' }] }, 'stations[0].node', /no node of iptv "Q"/],
  [
    'a station called as a node',
    { stations: [{ ...hp, name: 'M' }] },
    'stations[0].name',
    /iptv\/M is a node or a station already/,
  ],
  [
    'a station called as a vif',
    { stations: [{ ...hp, name: 'to-M' }] },
    'stations[0]',
    /something else in iptv\/P/,
  ],
  [
    'a station that is the router',
    { stations: [{ ...hp, addresses: ['10.0.1.1/24'] }] },
    'stations[0].addresses[0]',
    /the router's own, 10.0.1.1\/24/,
  ],
  [
    'a station without a subnet',
    { stations: [{ ...hp, addresses: ['10.0.1.2'] }] },
    'stations[0].addresses[0]',
    /no prefix/,
  ],
  [
    'a network over a service network',
    { networks: [conn, iptv, { ...iptv, name: 'inner', over: 'iptv' }] },
    'networks[2].over',
    /iptv is a service network/,
  ],
  [
    'a service node where its supplier has none',
    { networks: [{ ...conn, nodes: [{ name: 'P' }, { name: 'Q' }], links: [] }, iptv] },
    'networks[1].nodes[1]',
    /M has no node of conn to carry M/,
  ],
  [
    'a service node where its supplier has two',
    { networks: [{ ...conn, nodes: [...(conn.nodes ?? []), { name: 'P2', machine: 'P' }] }, iptv] },
    'networks[1].nodes[0]',
    /P has several nodes of conn/,
  ],
  [
    'a station on a connectivity network',
    { stations: [{ ...hp, network: 'conn' }] },
    'stations[0].network',
    /attached to service networks/,
  ],
  [
    'a provider of two businesses',
    { networks: [{ ...conn, owner: 'one' }, iptv] },
    'networks[0].owner',
    /one is the infrastructure provider of machines already/,
  ],
  [
    'a provider of two networks',
    { networks: [conn, iptv, { ...iptv, name: 'games', owner: 'iptv' }] },
    'networks[2].owner',
    /iptv is the owner of iptv already/,
  ],
  [
    'names that are too long together',
    {
      networks: [
        { ...conn, owner: 'a-provider-of-much' },
        { ...iptv, name: 'television-more' },
      ],
    },
    'networks[1].name',
    /characters of at most 31/,
  ],
  [
    'a kind of link in a service network',
    { networks: [conn, { ...iptv, links: [{ a: 'P', b: 'M', kind: 2 }] }] },
    'networks[1].links[0].kind',
    /only infrastructure providers/,
  ],
];

describe('a world with', () => {
  it.each(cases)('%s is refused', (_, change, field, message) => {
    let thrown: unknown;
    try {
      planOf({ ...three, ...change });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(WorldError);
    expect(thrown).toMatchObject({ field, message: expect.stringMatching(message) as string });
  });

  it('station names that are long or taken gets other port names', () => {
    const games = { ...iptv, name: 'games' };
    const stations = [
      { ...hp, name: 'h' },
      { ...hp, name: 'h', network: 'games' },
      { ...hm, name: 'a-longer-name-1' },
    ];
    const ports = planOf({ ...three, networks: [conn, iptv, games], stations }).stations.map(
      (one) => one.port,
    );
    expect(new Set(ports).size).toBe(3);
    expect(ports[0]).toBe('st-h');
    for (const port of ports) expect(port).toMatch(/^st-.{1,12}$/);
  });
});

it.each([
  ['30 machines', fullGrid({ columns: 6, rows: 5 }), 30],
  ['100 machines', fullGrid({ columns: 10, rows: 10 }), 100],
  ['a service on 10 of 30', gridWithChain({ columns: 6, rows: 5 }, 10), 30],
])('the benchmarks’ worlds are worlds: %s', (_, json, machines) => {
  expect(planOf(JSON.parse(json) as WorldDraft).machines).toHaveLength(machines);
});
