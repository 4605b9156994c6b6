import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ApiError } from '../../src/api/errors.js';
import { Collection } from '../../src/node/collect.js';
import { checkResource, deriveMac } from '../../src/node/intent.js';
import { type Intent } from '../../src/node/model.js';
import { readLabel, readNode, readTunnel, readVif } from '../../src/node/names.js';
import {
  address,
  deliver,
  link,
  node,
  port,
  type Resource,
  route,
  swap,
  tunnel,
  vifName,
} from './machines.js';

function refusal(resource: Resource): string {
  try {
    checkResource(resource, 3);
  } catch (error) {
    if (error instanceof ApiError) return `${error.reason} ${error.field}`;
    throw error;
  }
  return 'accepted';
}

const rate = (sent: object): Resource => port('a/P/b', 'st-a', { sent });

const good = {
  node: node('iptv', 'P', 'iptv'),
  tunnel: tunnel('p-q', '192.0.2.1', '192.0.2.2', { dscp: 46, arrivalInterface: 'eth1' }),
  link: link('iptv/P/p-m', { vif: 'conn/P/p6', label: 16 }),
  port: port('iptv/P/station', 'st-hp', { mac: '02:00:00:00:00:01', mtu: 1400 }),
  deliver: deliver({ tunnel: 'p-q', label: 1048575 }, 'conn/P/p6'),
  swap: swap({ vif: 'conn/P/p6', label: 16 }, { vif: 'conn/P/p7', label: 17 }),
  address: address('iptv/P/station', 'fd00::1/64'),
  route: route('iptv/P', '10.0.0.0/8', ['p-m', '10.1.0.1'], ['p-q', '10.1.0.3']),
};

const WAY = { tunnel: 'tunnels/a', label: 16 };
const LIVENESS = { label: 17, minTxUs: 1000, minRxUs: 1000, multiplier: 3 };

/** A way whose row is as long as any. */
const LONGEST_PATH = (vif: string): object => ({
  vif,
  label: 0xfffff,
  weight: 16,
  avoid: true,
  liveness: {
    wire: `wires/${'w'.repeat(63)}`,
    label: 0xfffff,
    minTxUs: 10_000_000,
    minRxUs: 10_000_000,
    multiplier: 50,
    restoreMs: 3_600_000,
    adminDown: true,
  },
});

function several(...paths: readonly object[]): Resource {
  return { vif: { name: vifName('a/P/b'), link: { paths: [...paths] } } };
}

function watched(changes: object): Resource {
  return several({ ...WAY, liveness: { ...LIVENESS, ...changes } });
}

function measured(changes: object): Resource {
  return several({ ...WAY, liveness: LIVENESS, measurement: { intervalUs: 50_000, ...changes } });
}

describe('what an owner may send', () => {
  test.each(Object.entries(good))('a right %s', (_, resource) => {
    expect(refusal(resource)).toBe('accepted');
  });

  const wrong: [string, Resource][] = [
    ['RESOURCE_KIND resources[3]', {}],
    ['NODE_NAME resources[3].virtual_node.name', { virtualNode: { name: 'vns/a/nodes/', tenant: 'x' } }],
    ['NODE_NAME resources[3].virtual_node.name', { virtualNode: { name: '../../etc', tenant: 'x' } }],
    ['NODE_NAME resources[3].virtual_node.name', node('a'.repeat(32), 'P', 'x')],
    ['NODE_NAME resources[3].virtual_node.name', node('a', 'P/vifs/b', 'x')],
    ['OWNER_NAME resources[3].virtual_node.tenant', node('a', 'P', 'Iptv')],
    ['OWNER_NAME resources[3].virtual_node.tenant', node('a', 'P', '')],
    ['ROUTE_SOURCE resources[3].virtual_node.route_source', node('a', 'P', 'x', 9)],
    [
      'CPU_SHARE resources[3].virtual_node.cpu.share',
      { virtualNode: { name: 'vns/a/nodes/P', tenant: 'x', cpu: { share: 1001 } } },
    ],
    ['TUNNEL_NAME resources[3].tunnel.name', tunnel('a/b', '192.0.2.1', '192.0.2.2')],
    ['TUNNEL_ADDRESS resources[3].tunnel.local_address', tunnel('a', 'host', '192.0.2.2')],
    ['TUNNEL_ADDRESS resources[3].tunnel.local_address', tunnel('a', 'fe80::1', 'fe80::2')],
    ['TUNNEL_ADDRESS resources[3].tunnel.local_address', tunnel('a', '192.0.2.01', '192.0.2.2')],
    ['TUNNEL_ADDRESS resources[3].tunnel.remote_address', tunnel('a', '192.0.2.1', '224.0.0.1')],
    ['TUNNEL_ADDRESS resources[3].tunnel.remote_address', tunnel('a', 'fd00::1', 'fd00:0::1')],
    ['TUNNEL_FAMILY resources[3].tunnel.remote_address', tunnel('a', '192.0.2.1', 'fd00::2')],
    ['DSCP_RANGE resources[3].tunnel.dscp', tunnel('a', '192.0.2.1', '192.0.2.2', { dscp: 64 })],
    [
      'INTERFACE_NAME resources[3].tunnel.arrival_interface',
      tunnel('a', '192.0.2.1', '192.0.2.2', { arrivalInterface: '../x' }),
    ],
    ['VIF_NAME resources[3].vif.name', port('a/P/lo', 'st-a')],
    ['VIF_NAME resources[3].vif.name', port('a/P/all', 'st-a')],
    ['VIF_NAME resources[3].vif.name', port('a/P/sixteenbyteslong', 'st-a')],
    ['MTU_RANGE resources[3].vif.mtu', port('a/P/b', 'st-a', { mtu: 575 })],
    ['MTU_RANGE resources[3].vif.mtu', port('a/P/b', 'st-a', { mtu: 9601 })],
    ['RATE_RANGE resources[3].vif.sent.bits_per_second', rate({ bitsPerSecond: 999 })],
    ['RATE_RANGE resources[3].vif.sent.bits_per_second', rate({ bitsPerSecond: 400_000_000_001n })],
    ['RATE_RANGE resources[3].vif.sent.bits_per_second', rate({ bitsPerSecond: 2n ** 64n - 1n })],
    ['RATE_RANGE resources[3].vif.sent.packets_per_second', rate({ packetsPerSecond: 1_000_000_001 })],
    ['RATE_RANGE resources[3].vif.sent.packets_per_second', rate({ packetsPerSecond: 2n ** 63n })],
    ['BURST_WITHOUT_RATE resources[3].vif.sent.burst_bytes', rate({ packetsPerSecond: 1, burstBytes: 1 })],
    [
      'BURST_WITHOUT_RATE resources[3].vif.sent.burst_packets',
      rate({ bitsPerSecond: 1000, burstPackets: 1 }),
    ],
    ['BURST_WITHOUT_RATE resources[3].vif.sent.burst_packets', rate({ burstPackets: 2 ** 32 - 1 })],
    ['BURST_RANGE resources[3].vif.sent.burst_bytes', rate({ bitsPerSecond: 1000, burstBytes: 1517 })],
    ['BURST_RANGE resources[3].vif.sent.burst_bytes', rate({ bitsPerSecond: 1000, burstBytes: 125_001 })],
    ['BURST_RANGE resources[3].vif.sent.burst_packets', rate({ packetsPerSecond: 1, burstPackets: 1001 })],
    [
      'RATE_RANGE resources[3].vif.received.bits_per_second',
      port('a/P/b', 'st-a', { received: { bitsPerSecond: 1 } }),
    ],
    [
      'PAYLOAD resources[3].vif.link.payload',
      {
        vif: {
          name: 'vns/a/nodes/P/vifs/b',
          link: { paths: [{ tunnel: 'tunnels/x', label: 16 }], payload: 3 as 2 },
        },
      },
    ],
    ['MAC_ADDRESS resources[3].vif.mac', port('a/P/b', 'st-a', { mac: '01:00:00:00:00:01' })],
    ['MAC_ADDRESS resources[3].vif.mac', port('a/P/b', 'st-a', { mac: '00:00:00:00:00:00' })],
    ['MAC_ADDRESS resources[3].vif.mac', port('a/P/b', 'st-a', { mac: '02:00:00:00:00' })],
    ['ATTACHMENT resources[3].vif', { vif: { name: vifName('a/P/b') } }],
    ['INTERFACE_NAME resources[3].vif.port.interface', port('a/P/b', 'a b')],
    ['INTERFACE_NAME resources[3].vif.port.interface', port('a/P/b', '..')],
    ['PATH_MISSING resources[3].vif.link.paths', { vif: { name: vifName('a/P/b'), link: {} } }],
    ['PATH_COUNT resources[3].vif.link.paths', several(WAY, WAY, WAY, WAY, WAY)],
    ['BELOW_MISSING resources[3].vif.link.paths[1]', several(WAY, {})],
    [
      'PROTECTION resources[3].vif.link.protection',
      { vif: { name: vifName('a/P/b'), link: { paths: [WAY], protection: 4 as 2 } } },
    ],
    ['WEIGHT resources[3].vif.link.paths[1].weight', several(WAY, { ...WAY, weight: 2 })],
    [
      'WEIGHT resources[3].vif.link.paths[0].weight',
      { vif: { name: vifName('a/P/b'), link: { paths: [{ ...WAY, weight: 17 }], protection: 2 } } },
    ],
    ['LIVENESS resources[3].vif.link.paths[0].liveness.min_tx_us', watched({ minTxUs: 999 })],
    ['LIVENESS resources[3].vif.link.paths[0].liveness.min_tx_us', watched({ minTxUs: 2 ** 32 - 1 })],
    ['LIVENESS resources[3].vif.link.paths[0].liveness.min_rx_us', watched({ minRxUs: 0 })],
    ['LIVENESS resources[3].vif.link.paths[0].liveness.min_rx_us', watched({ minRxUs: 10_000_001 })],
    ['LIVENESS resources[3].vif.link.paths[0].liveness.multiplier', watched({ multiplier: 1 })],
    ['LIVENESS resources[3].vif.link.paths[0].liveness.multiplier', watched({ multiplier: 51 })],
    ['LIVENESS resources[3].vif.link.paths[0].liveness.restore_ms', watched({ restoreMs: 3_600_001 })],
    ['MEASUREMENT resources[3].vif.link.paths[0].measurement.interval_us', measured({ intervalUs: 0 })],
    ['MEASUREMENT resources[3].vif.link.paths[0].measurement.interval_us', measured({ intervalUs: 9999 })],
    [
      'MEASUREMENT resources[3].vif.link.paths[0].measurement.interval_us',
      measured({ intervalUs: 1_000_001 }),
    ],
    ['MEASUREMENT resources[3].vif.link.paths[0].measurement.loss_ppm', measured({ lossPpm: 1_000_001 })],
    ['MEASUREMENT resources[3].vif.link.paths[0].measurement.delay_us', measured({ delayUs: 60_000_001 })],
    [
      'MEASUREMENT resources[3].vif.link.paths[0].measurement.variation_us',
      measured({ variationUs: 2 ** 32 - 1 }),
    ],
    ['MEASUREMENT resources[3].vif.link.paths[0].measurement.hold_ms', measured({ holdMs: 3_600_001 })],
    [
      'MEASUREMENT resources[3].vif.link.paths[0].measurement',
      several({ ...WAY, measurement: { intervalUs: 50_000 } }),
    ],
    ['LABEL_RANGE resources[3].vif.link.paths[0].liveness.label', watched({ label: 15 })],
    ['LABEL_RANGE resources[3].vif.link.paths[0].liveness.label', watched({ label: 0 })],
    ['TUNNEL_NAME resources[3].vif.link.paths[0].liveness.tunnel', watched({ tunnel: '../x' })],
    [
      'BELOW_AMBIGUOUS resources[3].vif.link.paths[0].liveness',
      watched({ tunnel: 'tunnels/a', wire: 'wires/a' }),
    ],
    [
      'LIVENESS resources[3].vif.link.paths[0].liveness',
      { vif: { name: vifName('a/P/b'), link: { paths: [{ ...WAY, liveness: LIVENESS }], payload: 2 } } },
    ],
    [
      'SWAP resources[3].label.swap.measurement',
      { label: { tunnel: 'tunnels/a', label: 16, swap: { ...WAY, measurement: { intervalUs: 50_000 } } } },
    ],
    [
      'SWAP resources[3].label.swap.liveness',
      { label: { tunnel: 'tunnels/a', label: 16, swap: { ...WAY, liveness: LIVENESS } } },
    ],
    [
      'SWAP resources[3].label.swap.avoid',
      { label: { tunnel: 'tunnels/a', label: 16, swap: { ...WAY, avoid: true } } },
    ],
    [
      'SWAP resources[3].label.swap.weight',
      { label: { tunnel: 'tunnels/a', label: 16, swap: { ...WAY, weight: 1 } } },
    ],
    ['LABEL_RANGE resources[3].vif.link.paths[0].label', link('a/P/b', { tunnel: 'a', label: 15 })],
    ['LABEL_RANGE resources[3].vif.link.paths[0].label', link('a/P/b', { tunnel: 'a', label: 1 << 20 })],
    [
      'BELOW_MISSING resources[3].vif.link.paths[0]',
      { vif: { name: vifName('a/P/b'), link: { paths: [{}] } } },
    ],
    ['LABEL_ACTION resources[3].label', { label: { tunnel: 'tunnels/a', label: 16 } }],
    ['BELOW_MISSING resources[3].label', { label: { label: 16, deliver: vifName('a/P/b') } }],
    ['ADDRESS resources[3].address.prefix', address('a/P/b', '10.0.0.1')],
    ['ADDRESS resources[3].address.prefix', address('a/P/b', '10.0.0.1/0')],
    ['ADDRESS resources[3].address.prefix', address('a/P/b', '10.0.0.1/33')],
    ['ADDRESS resources[3].address.prefix', address('a/P/b', '10.0.0.0/24')],
    ['ADDRESS resources[3].address.prefix', address('a/P/b', '10.0.0.255/24')],
    ['ADDRESS resources[3].address.prefix', address('a/P/b', '127.0.0.1/8')],
    ['ADDRESS resources[3].address.prefix', address('a/P/b', 'fd00::/64')],
    ['DESTINATION resources[3].route.destination', route('a/P', '10.0.0.1/24', ['b', ''])],
    ['DESTINATION resources[3].route.destination', route('a/P', '224.0.0.0/4', ['b', ''])],
    ['DESTINATION resources[3].route.destination', route('a/P', 'fe80::/64', ['b', ''])],
    ['DESTINATION resources[3].route.destination', route('a/P', 'ff00::/8', ['b', ''])],
    ['DESTINATION resources[3].route.destination', route('a/P', '10.0.0.0/024', ['b', ''])],
    ['NEXT_HOPS resources[3].route.next_hops', route('a/P', '10.0.0.0/8')],
    [
      'NEXT_HOP_NODE resources[3].route.next_hops[0].vif',
      {
        route: { node: 'vns/a/nodes/P', destination: '10.0.0.0/8', nextHops: [{ vif: vifName('a/Q/b') }] },
      },
    ],
    ['GATEWAY resources[3].route.next_hops[0].gateway', route('a/P', '10.0.0.0/8', ['b', 'fd00::1'])],
    ['GATEWAY resources[3].route.next_hops[0].gateway', route('a/P', '10.0.0.0/8', ['b', '224.0.0.5'])],
    [
      'GATEWAY_MISSING resources[3].route.next_hops[0].gateway',
      route('a/P', '10.0.0.0/8', ['b', ''], ['c', '10.0.0.1']),
    ],
    [
      'NEXT_HOPS resources[3].route.next_hops',
      route('a/P', '10.0.0.0/8', ['b', '10.9.0.1'], ['b', '10.9.0.1']),
    ],
    [
      'NEXT_HOPS resources[3].route.next_hops',
      { route: { node: 'vns/a/nodes/P', destination: '10.0.0.0/8', type: 2, nextHops: [{}] } },
    ],
    [
      'ROUTE_TYPE resources[3].route.type',
      { route: { node: 'vns/a/nodes/P', destination: '10.0.0.0/8', type: 4 } },
    ],
    [
      'WEIGHT_RANGE resources[3].route.next_hops[0].weight',
      {
        route: {
          node: 'vns/a/nodes/P',
          destination: '10.0.0.0/8',
          nextHops: [{ vif: vifName('a/P/b'), weight: 256 }],
        },
      },
    ],
  ];
  test.each(wrong)('%s', (expected, resource) => {
    expect(refusal(resource)).toBe(expected);
  });

  test('whatever is sent is refused by name or is an intent, and nothing else is thrown', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constantFrom(
        'vns/a/nodes/P',
        'vns/a/nodes/P/vifs/b',
        'tunnels/t',
        '10.0.0.0/8',
        '10.0.0.1',
        '::1',
        '\0',
      ),
    );
    const number = fc.oneof(fc.nat(), fc.constantFrom(0, 1, 15, 16, 0xfffff, 0xffffffff));
    const rates = fc.record(
      {
        bitsPerSecond: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        packetsPerSecond: number,
        burstBytes: number,
        burstPackets: number,
      },
      { requiredKeys: [] },
    );
    const path = fc.record({ tunnel: text, vif: text, label: number }, { requiredKeys: [] });
    const resource = fc.record(
      {
        virtualNode: fc.record({ name: text, tenant: text, routeSource: number }, { requiredKeys: [] }),
        tunnel: fc.record(
          { name: text, localAddress: text, remoteAddress: text, dscp: number, arrivalInterface: text },
          { requiredKeys: [] },
        ),
        vif: fc.record(
          {
            name: text,
            mac: text,
            mtu: number,
            link: fc.record({ paths: fc.array(path) }, { requiredKeys: [] }),
            port: fc.record({ interface: text }),
            sent: rates,
            received: rates,
          },
          { requiredKeys: [] },
        ),
        label: fc.record(
          { tunnel: text, vif: text, label: number, deliver: text, swap: path },
          { requiredKeys: [] },
        ),
        address: fc.record({ vif: text, prefix: text }, { requiredKeys: [] }),
        route: fc.record(
          {
            node: text,
            destination: text,
            type: number,
            nextHops: fc.array(fc.record({ vif: text, gateway: text, weight: number })),
          },
          { requiredKeys: [] },
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(resource, (one) => {
        expect(refusal(one as unknown as Resource)).toMatch(/^(accepted|[A-Z_]+ resources\[3\])/);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('a stream', () => {
  test('is refused when it names one thing twice, or is not whole', () => {
    const collection = new Collection({ owner: 'one', epoch: 1n });
    collection.add({ resources: [good.node] });
    expect(() => collection.add({ resources: [good.node] })).toThrow(
      expect.objectContaining({ reason: 'DUPLICATE' }),
    );
    expect(() => collection.commit({ resourceCount: 7 })).toThrow(
      expect.objectContaining({ reason: 'STREAM_TRUNCATED' }),
    );
  });
});

describe('what the agent writes down', () => {
  const longest = {
    vn: 'v'.repeat(31),
    at: 'n'.repeat(31),
    vif: 'i'.repeat(15),
    owner: `o${'w'.repeat(62)}`,
  };

  test('fits, and is read back as it was', async () => {
    const { writeLabel, writeNode, writePath, writeTunnel, writeVif } =
      await import('../../src/node/names.js');
    const name = `${longest.vn}/${longest.at}/${longest.vif}`;
    const texts = new Map<string, string>();
    const plane = {
      names: {
        set: (table: string, _: number, text: string) => {
          expect(Buffer.byteLength(text)).toBeLessThanOrEqual(508);
          texts.set(table, text);
        },
      },
    } as unknown as Parameters<typeof writeNode>[0];
    const most = {
      bitsPerSecond: 400_000_000_000n,
      packetsPerSecond: 1_000_000_000n,
      burstBytes: 0xffff_ffff,
      burstPackets: 0xffff_ffff,
    };
    const intents: Intent[] = [
      checkResource(
        {
          virtualNode: {
            ...node(longest.vn, longest.at, longest.owner, 2).virtualNode,
            cpu: { share: 1000 },
            limits: {
              routes: 0xffff_ffff,
              neighbours: 0xffff_ffff,
              addresses: 0xffff_ffff,
              labels: 0xffff_ffff,
              vifsAbove: 0xffff_ffff,
            },
          },
        },
        0,
      ),
      checkResource(
        tunnel(
          't'.repeat(63),
          'fd00:1111:2222:3333:4444:5555:6666:7777',
          'fd00:1111:2222:3333:4444:5555:6666:8888',
          {
            arrivalInterface: 'e'.repeat(15),
            dscp: 63,
            udpChecksum: true,
          },
        ),
        0,
      ),
      checkResource(
        link(
          name,
          { vif: name, label: 0xfffff },
          { mac: '02:11:22:33:44:55', mtu: 9600, sent: most, received: most },
        ),
        0,
      ),
      checkResource(
        {
          vif: {
            name: vifName(name),
            mac: '02:11:22:33:44:55',
            mtu: 9600,
            link: { protection: 2, paths: [LONGEST_PATH(vifName(name)), LONGEST_PATH(vifName(name))] },
            sent: most,
            received: most,
          },
        },
        0,
      ),
      checkResource(swap({ vif: name, label: 0xfffff }, { vif: name, label: 0xfffff }), 0),
    ];
    for (const intent of intents) {
      if (intent.kind === 'node') {
        writeNode(plane, 1, longest.owner, intent);
        expect(readNode(texts.get('node'))).toEqual({ owner: longest.owner, intent });
      } else if (intent.kind === 'tunnel') {
        writeTunnel(plane, 1, longest.owner, intent);
        expect(readTunnel(texts.get('tunnel'))).toEqual({ owner: longest.owner, intent });
      } else if (intent.kind === 'vif') {
        writeVif(plane, 1, longest.owner, intent);
        const rows = intent.paths.map((path) => {
          writePath(plane, 1, longest.owner, path);
          return texts.get('path');
        });
        expect(readVif(texts.get('vif'), rows)).toEqual({ owner: longest.owner, intent });
      } else if (intent.kind === 'label') {
        writeLabel(plane, 1, longest.owner, intent);
        expect(readLabel(texts.get('label'))).toEqual({ owner: longest.owner, intent });
      }
    }
  });

  test.each(['', '{}', '{"o":"one"}', '{"o":"one","i":{"name":"x"}}', 'null', '[1]', '{"o":7,"i":7}'])(
    'what is no such thing is nobody’s: %s',
    (text) => {
      expect([readNode(text), readTunnel(text), readVif(text, []), readLabel(text)]).toEqual([
        undefined,
        undefined,
        undefined,
        undefined,
      ]);
    },
  );

  test('a derived MAC address is local, unicast and the same each time', () => {
    expect(deriveMac('vns/a/nodes/P/vifs/b')).toMatch(/^02(:[0-9a-f]{2}){5}$/);
    expect(deriveMac('a')).toBe(deriveMac('a'));
    expect(deriveMac('a')).not.toBe(deriveMac('b'));
  });
});
