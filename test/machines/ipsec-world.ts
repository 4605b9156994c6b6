/*
 * A world with IPsec below its tunnels, in one guest: X and Y are put into the wire between P and M, as the namespaces
 * that own the machines' cards and the policies; docs/interoperability.md tells operators to arrange it so. The agents are
 * told by hand, and of no watching: every packet between the gateways is one that a test has sent.
 */
import { randomBytes } from 'node:crypto';
import { type Guest } from '../../lab/guest.js';
import { batch, type Cable, cablesOf, GuestWorld, type Place, placesOf } from '../../lab/namespaces.js';
import { type Intent, loadedOf } from '../../lab/plan.js';

/** On the plan there is one wire from P to M; X and Y are put into it and have its addresses on their inner sides. */
const yaml = `
name: ipsec
machines: [{ name: P, provider: one }, { name: M, provider: one }]
wires: [{ a: P, b: M, subnets: [100.64.0.0/31] }]
networks:
  - { name: conn, nodes: [{ name: P }, { name: M }], links: [{ a: P, b: M }] }
  - { name: iptv, over: conn, nodes: [{ name: P }, { name: M }], links: [{ a: P, b: M }] }
stations:
  - { name: hp, network: iptv, node: P, addresses: ['10.0.1.2/24', 'fd00:0:0:1::2/64'] }
  - { name: hm, network: iptv, node: M, addresses: ['10.0.3.2/24', 'fd00:0:0:3::2/64'] }
`;

export const [P, M] = ['100.127.0.1', '100.127.0.2'];
const [X, Y] = ['192.0.2.1', '192.0.2.2'];

/** What a full-size packet of the service comes to: 14 + 4 + 8 + 8 + 20, and ESP's 54 to a multiple of four. */
export const FULL = 1500;
export const TUNNELLED = FULL + 54;
export const ESP = (length: number): number => length + 54 + ((4 - ((length + 2) % 4)) % 4);

const gateways: readonly Place[] = [
  {
    name: 'X',
    router: true,
    ip: [
      'address add 100.64.0.1/31 dev in',
      `address add ${X}/30 dev out`,
      `route add ${P} via 100.64.0.0`,
      `route add ${M} via ${Y}`,
    ],
  },
  {
    name: 'Y',
    router: true,
    ip: [
      'address add 100.64.0.0/31 dev in',
      `address add ${Y}/30 dev out`,
      `route add ${M} via 100.64.0.1`,
      `route add ${P} via ${X}`,
    ],
  },
];

/** Just wide enough. */
export const OUTSIDE = ESP(TUNNELLED);

function cable(a: string, b: string, mtu: number): Cable {
  const [end, other] = [a, b].map((text) => {
    const [place = '', name = ''] = text.split(' ');
    return { place, name };
  });
  if (end === undefined || other === undefined) throw new Error('a cable has two ends');
  return { ends: [end, other], mtu };
}

// ---- states and policies, as they would be typed

interface Direction {
  readonly from: string;
  readonly to: string;
  readonly near: string;
  readonly far: string;
  readonly reqid: number;
}

export const outbound: Direction = { from: P, to: M, near: X, far: Y, reqid: 1 };
export const inbound: Direction = { from: M, to: P, near: Y, far: X, reqid: 2 };

export interface Key {
  readonly spi: number;
  readonly secret: string;
}

/** 16 bytes of AES and 4 of salt. */
export function newKey(spi: number): Key {
  return { spi, secret: `0x${randomBytes(20).toString('hex')}` };
}

export function addState({ near, far, reqid }: Direction, { spi, secret }: Key): string {
  return `xfrm state add src ${near} dst ${far} proto esp spi ${spi} reqid ${reqid} mode tunnel aead rfc4106(gcm(aes)) ${secret} 128`;
}

export function deleteState({ near, far }: Direction, { spi }: Key): string {
  return `xfrm state delete src ${near} dst ${far} proto esp spi ${spi}`;
}

/** What leaves is encrypted by this state, and no other. */
export function outPolicy(
  verb: 'add' | 'update',
  { from, to, near, far, reqid }: Direction,
  { spi }: Key,
): string {
  return `xfrm policy ${verb} src ${from} dst ${to} dir out tmpl src ${near} dst ${far} proto esp spi ${spi} reqid ${reqid} mode tunnel`;
}

/** What arrives has come encrypted, or does not arrive. */
export function inPolicies({ from, to, near, far, reqid }: Direction): string[] {
  return ['fwd', 'in'].map(
    (direction) =>
      `xfrm policy add src ${from} dst ${to} dir ${direction} tmpl src ${near} dst ${far} proto esp reqid ${reqid} mode tunnel`,
  );
}

interface End {
  readonly at: 'P' | 'M';
  readonly far: 'P' | 'M';
  readonly local: string;
  readonly remote: string;
  /** Of its station's subnets, and its own address in those of the link. */
  readonly subnet: number;
  readonly host: number;
  /** Of both layers: what arrives here. */
  readonly label: number;
}

const ends: readonly [End, End] = [
  { at: 'P', far: 'M', local: P, remote: M, subnet: 1, host: 0, label: 1001 },
  { at: 'M', far: 'P', local: M, remote: P, subnet: 3, host: 1, label: 1003 },
];

/** What a machine's agent is told, layer by layer. */
function intentsOf(here: End, there: End): Intent[] {
  const { at, far, local, remote } = here;
  const [below, node] = [`vns/conn/nodes/${at}/vifs/to-${far}`, `vns/iptv/nodes/${at}`];
  const [link, port] = [`${node}/vifs/to-${far}`, `${node}/vifs/h${at.toLowerCase()}`];
  const tunnel = `tunnels/to-${far}`;
  return [
    {
      owner: 'one',
      yaml: `resources:
  - tunnel: { name: ${tunnel}, localAddress: ${local}, remoteAddress: ${remote} }
  - virtualNode: { name: vns/conn/nodes/${at}, tenant: conn, routeSource: ROUTE_SOURCE_CONTROLLER }
  - vif: { name: ${below}, link: { paths: [{ tunnel: ${tunnel}, label: ${there.label} }] } }
  - label: { tunnel: ${tunnel}, label: ${here.label}, deliver: ${below} }
`,
    },
    {
      owner: 'conn',
      yaml: `resources:
  - virtualNode: { name: ${node}, tenant: iptv, routeSource: ROUTE_SOURCE_CONTROLLER }
  - vif: { name: ${port}, port: { interface: st-h${at.toLowerCase()} } }
  - vif: { name: ${link}, link: { paths: [{ vif: ${below}, label: ${there.label} }] } }
  - label: { vif: ${below}, label: ${here.label}, deliver: ${link} }
`,
    },
    {
      owner: 'iptv',
      yaml: `resources:
  - address: { vif: ${port}, prefix: 10.0.${here.subnet}.1/24 }
  - address: { vif: ${port}, prefix: 'fd00:0:0:${here.subnet}::1/64' }
  - address: { vif: ${link}, prefix: 10.9.0.${here.host}/31 }
  - address: { vif: ${link}, prefix: 'fd00:9::${here.host}/127' }
  - route: { node: ${node}, destination: 10.0.${there.subnet}.0/24, nextHops: [{ vif: ${link}, gateway: 10.9.0.${there.host} }] }
  - route: { node: ${node}, destination: 'fd00:0:0:${there.subnet}::/64', nextHops: [{ vif: ${link}, gateway: 'fd00:9::${there.host}' }] }
`,
    },
  ];
}

/** Up, without protection yet. `prepare`: of GuestWorld.up. */
export async function upIpsecWorld(guest: Guest, prepare = ''): Promise<GuestWorld> {
  const loaded = await loadedOf(yaml);
  const { plan } = loaded;
  const stations = cablesOf(plan).filter(({ ends }) => ends[1].name === 'eth0');
  const world = await GuestWorld.up(guest, loaded, {
    agents: ['P', 'M'],
    intents: { P: intentsOf(...ends), M: intentsOf(ends[1], ends[0]) },
    places: [...placesOf(plan), ...gateways],
    cables: [
      ...stations,
      cable('P to-M', 'X in', 1600),
      cable('X out', 'Y out', OUTSIDE),
      cable('Y in', 'M to-P', 1600),
    ],
    prepare,
  });
  await world.awake('hp', '10.0.3.2', 'fd00:0:0:3::2');
  return world;
}

export interface Keys {
  readonly there: Key;
  readonly back: Key;
}

/** States and policies at both gateways. */
export async function protect({ guest }: GuestWorld, { there, back }: Keys): Promise<void> {
  const states = [addState(outbound, there), addState(inbound, back)];
  const x = [...states, outPolicy('add', outbound, there), ...inPolicies(inbound)];
  const y = [...states, outPolicy('add', inbound, back), ...inPolicies(outbound)];
  await guest.sh([batch('ip -n X', x), batch('ip -n Y', y)].join('\n'));
}
