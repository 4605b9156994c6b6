/*
 * A world with IPsec below its tunnels, in one guest: X and Y are put into the wire between P and M, as the namespaces
 * that own the machines' cards and the policies; docs/interoperability.md tells operators to arrange it so.
 */
import { randomBytes } from 'node:crypto';
import { type Guest } from '../../lab/guest.js';
import { batch, type Cable, cablesOf, GuestWorld, type Place, placesOf } from '../../lab/namespaces.js';
import { loadedOf } from '../../lab/plan.js';

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

/** Up, without protection yet. `prepare`: of GuestWorld.up. */
export async function upIpsecWorld(guest: Guest, prepare = ''): Promise<GuestWorld> {
  const loaded = await loadedOf(yaml);
  const { plan } = loaded;
  const stations = cablesOf(plan).filter(({ ends }) => ends[1].name === 'eth0');
  const world = await GuestWorld.up(guest, loaded, {
    agents: ['P', 'M'],
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
