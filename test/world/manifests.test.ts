/** What each provider of a world file is to have: one manifest for each controller. */
import { describe, expect, it } from 'vitest';

import { type LayerName } from '../../src/resources/layer-name.js';
import { type AnyResource, APIS, bodyOf } from '../../src/resources/api.js';
import { layOut } from '../../src/world/layout.js';
import { manifestsOf } from '../../src/world/manifests.js';
import { exampleDraft, worldOf, type WorldDraft } from './worlds.js';

const places = {
  agent: (machine: string): string => `unix:/agents/${machine}`,
  controller: (provider: string): string => `unix:/controllers/${provider}`,
};

/** By provider; every resource is one of its layer's API. */
function manifests(
  draft: WorldDraft,
): Map<string, { layer: LayerName; resources: Map<string, AnyResource> }> {
  const world = worldOf(draft);
  return new Map(
    manifestsOf(world, layOut(world), places).map(({ layer, name, resources }) => {
      const whole = resources.map((one) => APIS[layer].type.complete(one) as AnyResource);
      return [name, { layer, resources: new Map(whole.map((one) => [bodyOf(one).name, one])) }];
    }),
  );
}

function body(of: ReturnType<typeof manifests>, provider: string, name: string): Record<string, unknown> {
  const found = of.get(provider)?.resources.get(name) ?? expect.fail(`${provider} has no ${name}`);
  return bodyOf(found) as unknown as Record<string, unknown>;
}

const namesOf = (of: ReturnType<typeof manifests>, provider: string): string[] => [
  ...(of.get(provider)?.resources.keys() ?? []),
];

describe('Figure 2', () => {
  const all = manifests(exampleDraft('figure2'));

  it('has six providers, the lower ones first', () => {
    expect([...all].map(([name, { layer }]) => `${layer}/${name}`)).toEqual([
      'infrastructure/one',
      'infrastructure/two',
      'infrastructure/three',
      'connectivity/conn',
      'service/iptv',
      'service/games',
    ]);
  });

  it('gives each infrastructure provider its machines and wires, and a peering for every wire to another', () => {
    expect(namesOf(all, 'one')).toEqual([
      ...['machines/P', 'machines/B', 'machines/X'],
      ...['wires/P-X', 'peerings/P-Y', 'peerings/P-Z', 'wires/X-B', 'peerings/X-Y', 'peerings/B-N'],
      ...['tariff', 'customers/conn'],
    ]);
    expect(body(all, 'one', 'machines/P')).toMatchObject({
      agent: 'unix:/agents/P',
      addresses: ['100.127.0.1', 'fd64:ffff::1'],
      ports: ['st-hp', 'st-gp'],
    });
    const ends = ['one', 'two'].map((provider) => body(all, provider, 'peerings/P-Y'));
    expect(ends).toMatchObject([
      {
        provider: 'two',
        controller: 'unix:/controllers/two',
        end: { machine: 'machines/P', interface: 'to-Y' },
      },
      {
        provider: 'one',
        controller: 'unix:/controllers/one',
        end: { machine: 'machines/Y', interface: 'to-P' },
      },
    ]);
  });

  it('lets the connectivity provider buy from all three, with room for the services over it', () => {
    expect(namesOf(all, 'conn').slice(0, 6)).toEqual([
      ...['suppliers/one', 'suppliers/three', 'suppliers/two', 'tariff', 'customers/iptv', 'customers/games'],
    ]);
    expect(body(all, 'conn', 'nodes/A')).toMatchObject({ supplier: 'suppliers/two', offer: 'offers/A' });
    expect(body(all, 'conn', 'links/P-A')).toMatchObject({
      ...{ a: 'nodes/P', b: 'nodes/A', vifA: 'to-A', vifB: 'to-P', mtu: 1504 },
      ...{
        addressesA: ['10.255.0.2/31', 'fd00:0:0:ffff::2/127'],
        addressesB: ['10.255.0.3/31', 'fd00:0:0:ffff::3/127'],
      },
    });
  });

  it('gives both services the same words', () => {
    expect(body(all, 'iptv', 'network')).toMatchObject({ supplier: 'conn', vn: 'iptv' });
    expect(body(all, 'games', 'links/P-M')).toMatchObject({ via: ['offers/Q'], mtu: 1500 });
    expect(body(all, 'games', 'stations/gp')).toMatchObject({
      ...{ node: 'nodes/P', port: 'st-gp', addresses: ['10.0.1.2/24', 'fd00:0:0:1::2/64'] },
    });
  });

  it('asks for links as they are to be protected', () => {
    const draft = exampleDraft('figure2');
    const networks = (draft.networks ?? []).map((network) =>
      network.over
        ? {
            ...network,
            links: (network.links ?? []).map((link) => ({ ...link, protection: 2, repairUs: 8000 })),
          }
        : network,
    );
    const made = manifests({ ...draft, networks });
    expect(body(made, 'games', 'links/P-M')).toMatchObject({ protection: 2, repairUs: 8000, weights: [] });
    expect(body(made, 'conn', 'links/P-A')).not.toHaveProperty('protection');
    expect(body(all, 'games', 'links/P-M')).toMatchObject({ protection: 0, repairUs: 0 });
  });

  it('comes out the same each time', () => {
    expect(manifests(exampleDraft('figure2'))).toEqual(all);
  });
});

describe('other worlds', () => {
  const three = exampleDraft('three');
  const [conn, iptv] = three.networks ?? [];

  it('ask for what the file asks: promises, kinds, shares, families, checksums, payloads', () => {
    const slo = { bitsPerSecond: 10_000_000n, delayUs: 5000 };
    const all = manifests({
      ...three,
      machines: [
        { name: 'P', provider: 'one', capacity: { cpuMillis: 400 } },
        ...(three.machines ?? []).slice(1),
      ],
      wires: [
        { a: 'P', b: 'Q', name: 'blue', bitsPerSecond: 7n, riskGroups: ['duct'] },
        { a: 'Q', b: 'M' },
      ],
      networks: [
        { ...conn, links: [{ a: 'P', b: 'Q', slo, kind: 1, tunnelFamily: 6, udpChecksum: true, mtu: 1400 }] },
        {
          ...iptv,
          nodes: [{ name: 'P', share: { routes: 9 } }, { name: 'M' }],
          links: [{ a: 'P', b: 'M', payload: 2, slo }],
          routeSource: 2,
        },
      ],
    });
    expect(body(all, 'one', 'machines/P')).toMatchObject({ capacity: { cpuMillis: 400 } });
    expect(body(all, 'one', 'wires/P-Q.blue')).toMatchObject({
      bitsPerSecond: 7n,
      delayUs: 1000,
      riskGroups: ['duct'],
    });
    expect(body(all, 'one', 'wires/Q-M')).toMatchObject({ bitsPerSecond: 100_000_000_000n });
    expect(body(all, 'conn', 'links/P-Q')).toMatchObject({
      slo,
      kind: 1,
      tunnelFamily: 6,
      udpChecksum: true,
      mtu: 1400,
    });
    expect(body(all, 'iptv', 'nodes/P')).toMatchObject({ share: { routes: 9 } });
    expect(body(all, 'iptv', 'links/P-M')).toMatchObject({ slo, payload: 2 });
    expect(body(all, 'iptv', 'network')).toMatchObject({ routeSource: 2 });
  });

  it('tell apart two links between the same nodes, and shorten names that are too long', () => {
    const long = 'a'.repeat(31);
    const all = manifests({
      ...three,
      machines: [
        ...(three.machines ?? []),
        { name: long, provider: 'one' },
        { name: 'b'.repeat(31), provider: 'one' },
      ],
      wires: [...(three.wires ?? []), { a: long, b: 'b'.repeat(31), name: 'wire' }],
      networks: [
        {
          ...conn,
          links: [
            { a: 'P', b: 'Q' },
            { a: 'P', b: 'Q', name: 'two' },
          ],
        },
        { ...iptv },
      ],
    });
    expect(namesOf(all, 'conn')).toContain('links/P-Q');
    expect(body(all, 'conn', 'links/P-Q.two')).toMatchObject({ vifA: 'two', vifB: 'two' });
    const wire = namesOf(all, 'one').find((name) => name.startsWith(`wires/${long}`)) ?? '';
    expect(wire.length - 'wires/'.length).toBe(63);
  });

  it('of jumbo frames ask for links as wide', () => {
    const jumbo: WorldDraft = {
      ...three,
      jumbo: true,
      networks: [{ ...conn }, { ...iptv, links: [{ a: 'P', b: 'M', mtu: 9000 }] }],
    };
    expect(body(manifests(jumbo), 'conn', 'links/Q-M')).toMatchObject({ mtu: 9004 });
  });

  it('refuse more links than a pool has subnets', () => {
    const small: WorldDraft = { ...three, networks: [{ ...conn, linkPools: ['10.9.0.0/31'] }, { ...iptv }] };
    expect(() => manifests(small)).toThrow(/more links than/);
  });
});
