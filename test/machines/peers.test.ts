/*
 * The kernel's own MPLS in UDP (fou, an IPIP device in mode mplsip, mpls_router, mpls_iptunnel) as our peer: it ends our
 * links, swaps our labels, and we swap its. docs/interoperability.md says what an operator types for it.
 *
 * P has our agent; K and N are kernels. conn/P and conn/M are both P's, with K between them: M's tunnel is another.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../../lab/lab.js';
import {
  batch,
  cablesOf,
  GuestWorld,
  type InterfaceTraffic,
  type Place,
  placesOf,
  TRANSFER_BYTES,
} from '../../lab/namespaces.js';
import { type Intent, loadedOf } from '../../lab/plan.js';
import { type StationPlan } from '../../src/world/index.js';
import { missing, needed, titled } from './support.js';

const yaml = `
name: peers
machines: [{ name: P, provider: one }, { name: K, provider: two }, { name: N, provider: three }]
wires: [{ a: P, b: K }, { a: P, b: N }]
`;

const stations: readonly StationPlan[] = [
  { name: 'hp', subnet: 1, node: 'P' },
  { name: 'hm', subnet: 3, node: 'M' },
].map(({ name, subnet, node }) => ({
  ...{ name, node, network: 'iptv', machine: 'P', port: `st-${name}`, mtu: 1500 },
  addresses: [`10.0.${subnet}.2/24`, `fd00:0:0:${subnet}::2/64`],
  gateways: [`10.0.${subnet}.1`, `fd00:0:0:${subnet}::1`],
}));

/** No controller knows a kernel as a peer: P's agent is told by hand. */
const intents: readonly Intent[] = [
  {
    owner: 'one',
    yaml: `resources:
  - virtualNode: { name: vns/conn/nodes/P, tenant: conn, routeSource: ROUTE_SOURCE_CONTROLLER }
  - virtualNode: { name: vns/conn/nodes/M, tenant: conn, routeSource: ROUTE_SOURCE_CONTROLLER }
  - tunnel: { name: tunnels/P-K, localAddress: 100.127.0.1, remoteAddress: 100.127.0.2 }
  - tunnel: { name: tunnels/M-K, localAddress: 100.127.0.11, remoteAddress: 100.127.0.2 }
  - tunnel: { name: tunnels/P-N, localAddress: 100.127.0.1, remoteAddress: 100.127.0.3 }
  # a link that ends in K
  - vif: { name: vns/conn/nodes/P/vifs/to-K, link: { paths: [{ tunnel: tunnels/P-K, label: 1000 }], payload: PAYLOAD_IP } }
  - label: { tunnel: tunnels/P-K, label: 2000, deliver: vns/conn/nodes/P/vifs/to-K }
  # a link that K carries
  - vif: { name: vns/conn/nodes/P/vifs/to-M, link: { paths: [{ tunnel: tunnels/P-K, label: 3000 }] } }
  - label: { tunnel: tunnels/P-K, label: 3101, deliver: vns/conn/nodes/P/vifs/to-M }
  - vif: { name: vns/conn/nodes/M/vifs/to-P, link: { paths: [{ tunnel: tunnels/M-K, label: 3100 }] } }
  - label: { tunnel: tunnels/M-K, label: 3001, deliver: vns/conn/nodes/M/vifs/to-P }
  # a link of K and N that we carry
  - label: { tunnel: tunnels/P-K, label: 4000, swap: { tunnel: tunnels/P-N, label: 4001 } }
  - label: { tunnel: tunnels/P-N, label: 4100, swap: { tunnel: tunnels/P-K, label: 4101 } }
`,
  },
  {
    owner: 'conn',
    yaml: `resources:
  - virtualNode: { name: vns/iptv/nodes/P, tenant: iptv, routeSource: ROUTE_SOURCE_CONTROLLER }
  - virtualNode: { name: vns/iptv/nodes/M, tenant: iptv, routeSource: ROUTE_SOURCE_CONTROLLER }
  - vif: { name: vns/iptv/nodes/P/vifs/hp, mtu: 1500, port: { interface: st-hp } }
  - vif: { name: vns/iptv/nodes/M/vifs/hm, mtu: 1500, port: { interface: st-hm } }
  - address: { vif: vns/conn/nodes/P/vifs/to-K, prefix: 10.8.0.1/31 }
  - address: { vif: vns/conn/nodes/P/vifs/to-K, prefix: 'fd00:8::1/127' }
  - address: { vif: vns/conn/nodes/P/vifs/to-M, prefix: 10.8.1.0/31 }
  - address: { vif: vns/conn/nodes/M/vifs/to-P, prefix: 10.8.1.1/31 }
  - vif: { name: vns/iptv/nodes/P/vifs/to-K, mtu: 1400, link: { paths: [{ vif: vns/conn/nodes/P/vifs/to-K, label: 1001 }], payload: PAYLOAD_IP } }
  - label: { vif: vns/conn/nodes/P/vifs/to-K, label: 2001, deliver: vns/iptv/nodes/P/vifs/to-K }
  - vif: { name: vns/iptv/nodes/P/vifs/to-M, link: { paths: [{ vif: vns/conn/nodes/P/vifs/to-M, label: 3002 }] } }
  - label: { vif: vns/conn/nodes/P/vifs/to-M, label: 3102, deliver: vns/iptv/nodes/P/vifs/to-M }
  - vif: { name: vns/iptv/nodes/M/vifs/to-P, link: { paths: [{ vif: vns/conn/nodes/M/vifs/to-P, label: 3102 }] } }
  - label: { vif: vns/conn/nodes/M/vifs/to-P, label: 3002, deliver: vns/iptv/nodes/M/vifs/to-P }
`,
  },
  {
    owner: 'iptv',
    yaml: `resources:
  - address: { vif: vns/iptv/nodes/P/vifs/hp, prefix: 10.0.1.1/24 }
  - address: { vif: vns/iptv/nodes/P/vifs/hp, prefix: 'fd00:0:0:1::1/64' }
  - address: { vif: vns/iptv/nodes/M/vifs/hm, prefix: 10.0.3.1/24 }
  - address: { vif: vns/iptv/nodes/M/vifs/hm, prefix: 'fd00:0:0:3::1/64' }
  - address: { vif: vns/iptv/nodes/P/vifs/to-K, prefix: 10.9.0.1/31 }
  - address: { vif: vns/iptv/nodes/P/vifs/to-K, prefix: 'fd00:9::1/127' }
  - address: { vif: vns/iptv/nodes/P/vifs/to-M, prefix: 10.9.1.0/31 }
  - address: { vif: vns/iptv/nodes/P/vifs/to-M, prefix: 'fd00:9:1::/127' }
  - address: { vif: vns/iptv/nodes/M/vifs/to-P, prefix: 10.9.1.1/31 }
  - address: { vif: vns/iptv/nodes/M/vifs/to-P, prefix: 'fd00:9:1::1/127' }
  - route: { node: vns/iptv/nodes/P, destination: 10.200.0.0/16, nextHops: [{ vif: vns/iptv/nodes/P/vifs/to-K, gateway: 10.9.0.0 }] }
  - route: { node: vns/iptv/nodes/P, destination: 'fd00:200::/48', nextHops: [{ vif: vns/iptv/nodes/P/vifs/to-K, gateway: 'fd00:9::' }] }
  - route: { node: vns/iptv/nodes/P, destination: 10.0.3.0/24, nextHops: [{ vif: vns/iptv/nodes/P/vifs/to-M, gateway: 10.9.1.1 }] }
  - route: { node: vns/iptv/nodes/P, destination: 'fd00:0:0:3::/64', nextHops: [{ vif: vns/iptv/nodes/P/vifs/to-M, gateway: 'fd00:9:1::1' }] }
  - route: { node: vns/iptv/nodes/M, destination: 10.0.1.0/24, nextHops: [{ vif: vns/iptv/nodes/M/vifs/to-P, gateway: 10.9.1.0 }] }
  - route: { node: vns/iptv/nodes/M, destination: 'fd00:0:0:1::/64', nextHops: [{ vif: vns/iptv/nodes/M/vifs/to-P, gateway: 'fd00:9:1::' }] }
`,
  },
];

/** A kernel as a peer: its tunnels, its labels, and what else it is told. */
function peer(
  place: string,
  tunnels: readonly { name: string; local: string; remote: string }[],
  labels: readonly string[],
  ip: readonly string[],
): string {
  const names = tunnels.map(({ name }) => name);
  return `nsenter --net=/run/netns/${place} sh -e <<'HERE'
    sysctl -qw net.mpls.platform_labels=10000 net.mpls.conf.lo.input=1 net.mpls.ip_ttl_propagate=0 net.mpls.default_ttl=64
    ${batch('ip', [
      'fou add port 6635 ipproto 137',
      ...tunnels.flatMap(({ name, local, remote }) => [
        `link add ${name} type ipip mode mplsip local ${local} remote ${remote} ttl 64 encap fou encap-sport auto encap-dport 6635`,
        `link set ${name} mtu 1572 up`,
      ]),
      ...ip,
    ])}
    sysctl -qw ${names.map((name) => `net.mpls.conf.${name}.input=1`).join(' ')}
    ${batch(
      'ip -f mpls',
      labels.map((label) => `route add ${label}`),
    )}
HERE`;
}

const addressesOfK = [
  '10.8.0.0',
  'fd00:8::',
  '10.9.0.0',
  'fd00:9::',
  '10.200.0.1',
  'fd00:200::1',
  '10.210.0.2',
  'fd00:210::2',
];

const K = peer(
  'K',
  [
    { name: 'tun-p', local: '100.127.0.2', remote: '100.127.0.1' },
    { name: 'tun-m', local: '100.127.0.2', remote: '100.127.0.11' },
  ],
  [
    '1000 dev lo',
    '1001 dev lo',
    // on the way from P to M, and back
    '3000 as 3001 dev tun-m',
    '3100 as 3101 dev tun-p',
    '4101 dev lo',
  ],
  [
    ...addressesOfK.map((address) => `address add ${address} dev lo nodad`),
    'route add 10.8.0.1 encap mpls 2000 dev tun-p src 10.8.0.0',
    'route add fd00:8::1 encap mpls 2000 dev tun-p src fd00:8::',
    'route add 10.9.0.1 encap mpls 2000/2001 dev tun-p src 10.9.0.0',
    'route add fd00:9::1 encap mpls 2000/2001 dev tun-p src fd00:9::',
    // the link's 1400 bytes and two labels
    'route add 10.0.1.0/24 encap mpls 2000/2001 mtu 1408 dev tun-p src 10.200.0.1',
    'route add fd00:0:0:1::/64 encap mpls 2000/2001 mtu 1408 dev tun-p src fd00:200::1',
    // to N over P, by one label and by two
    'route add 10.210.0.3 encap mpls 4000 dev tun-p src 10.210.0.2',
    'route add fd00:210::3 encap mpls 4000/5000 dev tun-p src fd00:210::2',
  ],
);

const N = peer(
  'N',
  [{ name: 'tun-p', local: '100.127.0.3', remote: '100.127.0.1' }],
  ['4001 dev lo', '5000 dev lo'],
  [
    'address add 10.210.0.3 dev lo',
    'address add fd00:210::3 dev lo nodad',
    'route add 10.210.0.2 encap mpls 4100 dev tun-p src 10.210.0.3',
    'route add fd00:210::2 encap mpls 4100 dev tun-p src fd00:210::3',
  ],
);

/** An end host behind K. */
const F: Place = {
  name: 'F',
  router: false,
  ip: ['address add 10.200.1.2/24 dev eth0', 'route add default via 10.200.1.1'],
};

const prepare = `
  busybox modprobe -a mpls_router mpls_iptunnel mpls_gso fou ipip
  ip -n P address add 100.127.0.11/32 dev lo
  ip -n K route add 100.127.0.11 via 100.64.0.2
  ip -n K address add 10.200.1.1/24 dev to-F
  ${K}
  ${N}`;

describe.skipIf(missing !== undefined)(titled("the kernel's MPLS"), () => {
  let lab: Lab;
  let world: GuestWorld;
  beforeAll(async () => {
    lab = await Lab.open(needed());
    const guest = await lab.boot({ name: 'peers', cpus: 2, memory: 2048 });
    const loaded = await loadedOf(yaml);
    const plan = { ...loaded.plan, stations };
    world = await GuestWorld.up(guest, loaded, {
      agents: ['P'],
      intents: { P: intents },
      places: [...placesOf(plan), F],
      cables: [
        ...cablesOf(plan),
        {
          ends: [
            { place: 'K', name: 'to-F' },
            { place: 'F', name: 'eth0' },
          ],
          mtu: 1500,
        },
      ],
      prepare,
    });
    await world.awake('hp', '10.200.0.1', 'fd00:200::1', '10.0.3.2', 'fd00:0:0:3::2');
    await world.awake('P.conn.P', '10.8.1.1');
  });
  afterAll(async () => {
    await world?.close();
    await lab?.close();
  });

  /** Who answers, hop by hop. */
  async function hops(place: string, to: string): Promise<string[]> {
    const { stdout } = await world.sh(place, `traceroute -n -q 1 -w 2 ${to}`);
    return [...stdout.matchAll(/^ *\d+ +(\S+)/gm)].map(([, who = '']) => who);
  }

  /** One, in an IP packet of that size. */
  async function pingOnce(place: string, to: string, size: number): Promise<string> {
    const data = size - 8 - (to.includes(':') ? 40 : 20);
    return (await world.sh(place, `ping -n -c 1 -W 2 -M do -s ${data} ${to} 2>&1 || true`)).stdout;
  }

  /** Echo requests that have arrived. */
  async function echoes(place: string): Promise<number> {
    const { stdout } = await world.sh(place, 'nstat -asz IcmpInEchos Icmp6InEchos');
    const counts = [...stdout.matchAll(/InEchos +(\d+)/g)].map(([, count]) => Number(count));
    expect(counts.length, stdout).toBe(2);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** At least so much more than before. */
  function carried(
    before: InterfaceTraffic,
    now: InterfaceTraffic,
    least: Partial<Record<keyof InterfaceTraffic, number>>,
  ): void {
    for (const kind of ['received', 'receivedBytes', 'sent', 'sentBytes'] as const)
      expect(now[kind] - before[kind], kind).toBeGreaterThanOrEqual(least[kind] ?? 0);
  }

  /** Every address answers every packet. */
  async function reach(place: string, ...to: string[]): Promise<void> {
    expect(await world.ping(place, to), place).toEqual(Object.fromEntries(to.map((address) => [address, 3])));
  }

  test('one label: a link of the connectivity network ends in the kernel', async () => {
    const [kernel, vif] = [await world.interface('K', 'tun-p'), await world.vif('P', 'conn/P/to-K')];
    await reach('P.conn.P', '10.8.0.0', 'fd00:8::');
    await reach('K', '10.8.0.1', 'fd00:8::1');
    const [kernelNow, vifNow] = [await world.interface('K', 'tun-p'), await world.vif('P', 'conn/P/to-K')];
    for (const direction of ['received', 'sent'] as const) {
      expect(kernelNow[direction] - kernel[direction]).toBeGreaterThanOrEqual(12);
      expect(vifNow[direction] - vif[direction]).toBeGreaterThanOrEqual(12);
    }
  });

  test('two labels: a link of a service network over it, to and from a station', async () => {
    const before = await world.vif('P', 'iptv/P/to-K');
    await reach('P.iptv.P', '10.9.0.0', 'fd00:9::');
    await reach('hp', '10.200.0.1', 'fd00:200::1');
    await reach('K', '10.0.1.2', 'fd00:0:0:1::2');
    const now = await world.vif('P', 'iptv/P/to-K');
    expect(now.sent - before.sent).toBeGreaterThanOrEqual(18);
    expect(now.received - before.received).toBeGreaterThanOrEqual(18);
  });

  test('a station sees its service router and the peer, and nothing of the tunnel', async () => {
    expect(await hops('hp', '10.200.0.1')).toEqual(['10.0.1.1', '10.200.0.1']);
    expect(await hops('hp', 'fd00:200::1')).toEqual(['fd00:0:0:1::1', 'fd00:200::1']);
  });

  test('TCP arrives as it was sent, both ways', async () => {
    expect(await world.transfer('hp', 'K', '10.200.0.1')).toBe(true);
    // the kernel hands its tunnel device more than a segment, with the checksum left to be done
    expect(await world.transfer('K', 'hp', '10.0.1.2')).toBe(true);
    expect(await world.transfer('K', 'hp', 'fd00:0:0:1::2')).toBe(true);
  });

  test('a packet too big for the link is told, one that just fits passes', async () => {
    expect(await pingOnce('hp', '10.200.0.1', 1400)).toContain('1 received');
    expect(await pingOnce('hp', '10.200.0.1', 1401)).toMatch(/From 10\.0\.1\.1 .*\(mtu = 1400\)/);
    expect(await pingOnce('hp', 'fd00:200::1', 1401)).toMatch(/From fd00:0:0:1::1 .*mtu=1400/);
    // the kernel knows its own end of the link by its route: from that MTU it takes the labels
    for (const to of ['10.0.1.2', 'fd00:0:0:1::2']) {
      expect(await pingOnce('K', to, 1400)).toContain('1 received');
      // newer ones of iputils do not say the MTU here
      expect(await pingOnce('K', to, 1401)).toMatch(/message too long(, mtu[=:] ?1400)?$/im);
    }
  });

  test('behind the kernel: the TTL is of the network above', async () => {
    await reach('hp', '10.200.1.2');
    // the kernel counts it down where it pops, and again where it forwards
    expect(await hops('hp', '10.200.1.2')).toEqual(['10.0.1.1', '10.200.0.1', '10.200.0.1', '10.200.1.2']);
    expect(await hops('F', '10.0.1.2')).toEqual(['10.200.1.1', '10.9.0.1', '10.0.1.2']);
  });

  test('the kernel carries a link of ours: it swaps one label of one and one of two', async () => {
    const before = [await world.interface('K', 'tun-p'), await world.interface('K', 'tun-m')] as const;
    await reach('P.conn.P', '10.8.1.1');
    await reach('P.conn.M', '10.8.1.0');
    await reach('hp', '10.0.3.2', 'fd00:0:0:3::2');
    await reach('hm', '10.0.1.2', 'fd00:0:0:1::2');
    expect(await pingOnce('hp', '10.0.3.2', 1500)).toContain('1 received');
    expect(await hops('hp', '10.0.3.2')).toEqual(['10.0.1.1', '10.9.1.1', '10.0.3.2']);
    expect(await world.transfer('hp', 'hm', '10.0.3.2')).toBe(true);
    const now = [await world.interface('K', 'tun-p'), await world.interface('K', 'tun-m')] as const;
    // towards M the file and 15 pings, towards P acknowledgements and as many
    carried(before[0], now[0], { receivedBytes: TRANSFER_BYTES, sent: 30 });
    carried(before[1], now[1], { sentBytes: TRANSFER_BYTES, received: 30 });
  });

  test('we carry a link of two kernels: we swap one label of one and one of two', async () => {
    const before = await world.interface('N', 'tun-p');
    await reach('K', '10.210.0.3', 'fd00:210::3');
    await reach('N', '10.210.0.2', 'fd00:210::2');
    expect(await world.transfer('K', 'N', '10.210.0.3')).toBe(true);
    const now = await world.interface('N', 'tun-p');
    carried(before, now, { receivedBytes: TRANSFER_BYTES, sent: 12 + 5 });
  });

  test('what fits no grammar of ours is a counted drop each, and reaches no station', async () => {
    const before = await echoes('hp');
    const send = (labels: string, to = '10.0.1.2', size = 84) =>
      world.dropped('P', () =>
        world.sh(
          'K',
          `ip route add ${to} encap mpls ${labels} dev tun-p src ${to.includes(':') ? 'fd00:200::1' : '10.200.0.1'}
           ping -n -q -c 3 -i 0.05 -W 0.2 -s ${size - (to.includes(':') ? 48 : 28)} ${to} || true
           ip route del ${to} dev tun-p`,
        ),
      );
    // a label nobody gave, and one that was given for another tunnel
    expect(await send('2999')).toEqual({ 'machine label_unknown': 3 });
    expect(await send('3001')).toEqual({ 'machine label_unknown': 3 });
    // IP on a link of Ethernet frames
    expect(await send('3101')).toEqual({ 'conn/P control_word': 3 });
    expect(await send('3101', 'fd00:0:0:1::2')).toEqual({ 'conn/P control_word': 3 });
    // a label more than there are layers; one less: the connectivity network knows no such station
    expect(await send('2000/2001/2002')).toEqual({ 'iptv/P label_unknown': 3 });
    expect(await send('2000')).toEqual({ 'conn/P no_route': 3 });
    // by a route that names no MTU: longer than the link's, and too long for the station as well
    expect(await send('2000/2001', '10.0.1.2', 1501)).toEqual({ 'iptv/P too_big': 3 });
    expect(await send('2000/2001', 'fd00:0:0:1::2', 1501)).toEqual({ 'iptv/P too_big': 3 });
    // Ethernet frames on a link of IP
    await world.sh('K', 'ip -f mpls route replace 3100 as 2000 dev tun-p');
    const frames = (): Promise<unknown> =>
      world.sh('P.conn.M', 'ping -n -q -c 3 -i 0.05 -W 0.2 10.8.1.0 || true');
    // M's kernels may look after their neighbours meanwhile: the service's frame has a label below, which P never gave
    const { 'conn/P label_unknown': probes = 0, ...refused } = await world.dropped('P', frames);
    expect(probes).toBeLessThanOrEqual(3);
    expect(Object.keys(refused)).toEqual(['conn/P not_ip']);
    expect(refused['conn/P not_ip']).toBeGreaterThanOrEqual(3);
    await world.sh('K', 'ip -f mpls route replace 3100 as 3101 dev tun-p');
    expect(await echoes('hp')).toBe(before);
    await reach('K', '10.0.1.2');
    expect(await echoes('hp')).toBeGreaterThanOrEqual(before + 3);
    await reach('P.conn.M', '10.8.1.0');
  });
});
