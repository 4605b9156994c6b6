/* IPsec below the tunnels: ESP in tunnel mode between the security gateways of two machines (ipsec-world.ts). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../../lab/lab.js';
import {
  addState,
  deleteState,
  ESP,
  FULL,
  inbound,
  type Key,
  type Keys,
  M,
  newKey,
  outbound,
  outPolicy,
  OUTSIDE,
  P,
  protect,
  TUNNELLED,
  upIpsecWorld,
} from './ipsec-world.js';
import { batch, type GuestWorld } from '../../lab/namespaces.js';
import { missing, needed, titled } from './support.js';

// ---- what crosses between the gateways, by kind

/** In the order in which they are looked for. */
const KINDS = ['fragment', 'mpls', 'esp', 'other'] as const;
type Kind = (typeof KINDS)[number];

const FILTERS: Readonly<Record<Kind, string>> = {
  fragment: 'flower ip_flags frag',
  mpls: 'flower ip_proto udp dst_port 6635',
  // 50, in hexadecimal
  esp: 'flower ip_proto 32',
  other: 'flower',
};

interface Crossed {
  readonly packets: number;
  readonly bytes: number;
}
type Wire = Readonly<Record<Kind, Crossed>>;

/** From what tc says. */
function wireOf(text = '[]'): Wire {
  const rows = JSON.parse(text) as { pref: number; options?: { actions?: { stats: Crossed }[] } }[];
  const of = (kind: Kind): Crossed => {
    const row = rows.find((one) => one.pref === prefOf(kind) && one.options?.actions);
    const stats = row?.options?.actions?.[0]?.stats;
    if (stats === undefined) throw new Error(`tc counts no ${kind}: ${text}`);
    return { packets: stats.packets, bytes: stats.bytes };
  };
  return { fragment: of('fragment'), mpls: of('mpls'), esp: of('esp'), other: of('other') };
}

function prefOf(kind: Kind): number {
  return KINDS.indexOf(kind) + 1;
}

/** Counts what leaves a gateway towards the other. */
function countersScript(gateway: string): string {
  return batch(`tc -n ${gateway}`, [
    'qdisc add dev out clsact',
    ...KINDS.map(
      (kind) =>
        `filter add dev out egress pref ${prefOf(kind)} protocol ip ${FILTERS[kind]} action gact pass`,
    ),
  ]);
}

describe.skipIf(missing !== undefined)(titled('IPsec below the tunnels'), () => {
  let lab: Lab;
  let world: GuestWorld;
  let keys: Keys = { there: newKey(0x101), back: newKey(0x102) };

  beforeAll(async () => {
    lab = await Lab.open(needed());
    const guest = await lab.boot({ name: 'ipsec', cpus: 2, memory: 2048 });
    world = await upIpsecWorld(guest, ['X', 'Y'].map(countersScript).join('\n'));
  });
  afterAll(async () => {
    await world?.close();
    await lab?.close();
  });

  /**
   * What X has sent to Y, and Y to X. What they receive is not looked at: it would be seen there twice, decrypted too.
   */
  async function sent(): Promise<readonly [Wire, Wire]> {
    const show = (gateway: string): string => `tc -n ${gateway} -s -j filter show dev out egress`;
    const { stdout } = await world.guest.sh(`${show('X')}; ${show('Y')}`);
    const [x, y] = stdout.trim().split(/(?<=\])\s*\n(?=\[)/);
    return [wireOf(x), wireOf(y)];
  }

  /** What crossed while this went on, in both directions together; only of kinds of which there was any. */
  async function crossing(during: () => Promise<unknown>): Promise<Partial<Record<Kind, Crossed>>> {
    const before = await sent();
    await during();
    const now = await sent();
    const sum = (wires: readonly Wire[], kind: Kind, what: keyof Crossed): number =>
      wires.reduce((all, one) => all + one[kind][what], 0);
    const counts = KINDS.map((kind) => {
      const packets = sum(now, kind, 'packets') - sum(before, kind, 'packets');
      return [kind, { packets, bytes: sum(now, kind, 'bytes') - sum(before, kind, 'bytes') }] as const;
    });
    return Object.fromEntries(counts.filter(([, { packets }]) => packets > 0));
  }

  /**
   * The same of so many packets, when nothing else crosses meanwhile: the virtual nodes at both ends look after their
   * neighbours every few seconds.
   */
  async function alone(
    packets: number,
    during: () => Promise<unknown>,
  ): Promise<Partial<Record<Kind, Crossed>>> {
    for (let tries = 1; ; tries++) {
      const crossed = await crossing(during);
      const all = Object.values(crossed).reduce((sum, one) => sum + one.packets, 0);
      if (all === packets || tries === 8) return crossed;
    }
  }

  /** In an IP packet of that size, DF set: how many of three were answered. */
  async function pings(place: string, to: string, size = 84): Promise<number> {
    const answers = await world.ping(place, [to], { size: size - (to.includes(':') ? 48 : 28) });
    return answers[to] ?? 0;
  }

  async function xfrm(place: string, counter: string): Promise<number> {
    const { stdout } = await world.sh(place, 'cat /proc/net/xfrm_stat');
    const [, count] = new RegExp(`^${counter}\\s+(\\d+)$`, 'm').exec(stdout) ?? [];
    if (count === undefined) throw new Error(`no ${counter}: ${stdout}`);
    return Number(count);
  }

  /** Packets that a state of this gateway has done. */
  async function used(place: string, { spi }: Key): Promise<number> {
    const { stdout } = await world.sh(place, `ip -s xfrm state list spi ${spi}`);
    const [, packets] = /lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)/.exec(stdout) ?? [];
    if (packets === undefined) throw new Error(`no state ${spi}: ${stdout}`);
    return Number(packets);
  }

  /** Of the kernel's counters by their names in nstat(8). */
  async function counter(place: string, name: string): Promise<number> {
    const { stdout } = await world.sh(place, `nstat -asz ${name}`);
    return Number(new RegExp(`^${name} +(\\d+)`, 'm').exec(stdout)?.[1]);
  }

  /** Three pings, which nobody answers. */
  async function silence(place: string, to: string, size = 84): Promise<void> {
    const ping = `ping -n -q -c 3 -i 0.05 -W 0.5 -M dont -s ${size - 28} ${to} || true`;
    expect((await world.sh(place, ping)).stdout).toContain('3 packets transmitted, 0 received');
  }

  const ip = (place: string, ...lines: string[]): Promise<unknown> =>
    world.guest.sh(batch(`ip -n ${place}`, lines));

  test('without it, what crosses between the gateways is MPLS in UDP', async () => {
    expect(await alone(6, () => pings('hp', '10.0.3.2', FULL))).toEqual({
      mpls: { packets: 6, bytes: 6 * (14 + TUNNELLED) },
    });
  });

  test('pings and TCP cross, in both families; the states count them, and only ESP is between the gateways', async () => {
    await protect(world, keys);
    const crossed = await crossing(async () => {
      for (const to of ['10.0.3.2', 'fd00:0:0:3::2']) expect(await pings('hp', to), to).toBe(3);
      for (const to of ['10.0.1.2', 'fd00:0:0:1::2']) expect(await pings('hm', to), to).toBe(3);
      expect(await world.transfer('hp', 'hm', '10.0.3.2')).toBe(true);
      expect(await world.transfer('hm', 'hp', 'fd00:0:0:1::2')).toBe(true);
    });
    expect(Object.keys(crossed)).toEqual(['esp']);
    const counted = await Promise.all([used('Y', keys.there), used('X', keys.back)]);
    // each way a file, its acknowledgements and 12 pings
    for (const packets of counted) expect(packets).toBeGreaterThan(200);
    expect(counted[0] + counted[1]).toBeGreaterThanOrEqual(crossed.esp?.packets ?? 0);
  });

  test('a full-size packet crosses in one piece, by the MTUs of the page; what it costs is 54 to 57 bytes', async () => {
    for (const size of [FULL, FULL - 3]) {
      expect(await alone(6, () => pings('hp', '10.0.3.2', size)), `${size}`).toEqual({
        esp: { packets: 6, bytes: 6 * (14 + ESP(size + 54)) },
      });
    }
  });

  test('a byte narrower between the gateways, and none does, not even in pieces', async () => {
    const before = await counter('X', 'IpFragFails');
    await ip('X', `link set out mtu ${OUTSIDE - 1}`);
    try {
      const crossed = await crossing(() => silence('hp', '10.0.3.2', FULL));
      // neighbours only
      expect(crossed.esp?.bytes ?? 0).toBeLessThan(FULL);
      expect(Object.keys(crossed).filter((kind) => kind !== 'esp')).toEqual([]);
      expect(await counter('X', 'IpFragFails')).toBe(before + 3);
    } finally {
      await ip('X', `link set out mtu ${OUTSIDE}`);
    }
    expect(await pings('hp', '10.0.3.2', FULL)).toBe(3);
  });

  test('packets with the right addresses and labels, not encrypted, are refused and reach no station', async () => {
    const [refused, arrived] = [await xfrm('X', 'XfrmInTmplMismatch'), await counter('hp', 'IcmpInEchos')];
    await ip('Y', `xfrm policy delete src ${M} dst ${P} dir out`);
    try {
      const crossed = await crossing(() => silence('hm', '10.0.1.2'));
      expect(crossed.mpls?.packets).toBeGreaterThanOrEqual(3);
      expect((await xfrm('X', 'XfrmInTmplMismatch')) - refused).toBeGreaterThanOrEqual(3);
      expect(await counter('hp', 'IcmpInEchos')).toBe(arrived);
    } finally {
      await ip('Y', outPolicy('add', inbound, keys.back));
    }
    expect(await pings('hm', '10.0.1.2')).toBe(3);
    expect(await counter('hp', 'IcmpInEchos')).toBe(arrived + 3);
  });

  test('without keys nothing leaves, least of all in the clear', async () => {
    await ip('X', deleteState(outbound, keys.there));
    try {
      const [before] = await sent();
      await silence('hp', '10.0.3.2');
      expect((await sent())[0]).toEqual(before);
    } finally {
      // with what the kernel has put there to ask for keys
      await ip('X', 'xfrm state flush', addState(outbound, keys.there), addState(inbound, keys.back));
    }
    expect(await pings('hp', '10.0.3.2')).toBe(3);
  });

  test('new keys while a ping runs: nothing is lost', async () => {
    const next = { there: newKey(0x201), back: newKey(0x202) };
    const ping = world.start('hp', ['ping', '-i', '0.02', '-W', '5', '10.0.3.2']);
    await ping.prints('icmp_seq=10 ');
    for (const place of ['X', 'Y'])
      await ip(place, addState(outbound, next.there), addState(inbound, next.back));
    await ip('X', outPolicy('update', outbound, next.there));
    await ip('Y', outPolicy('update', inbound, next.back));
    // packets stay in order: when the new keys are used, nothing is under way with the old ones
    for (const [place, key] of [
      ['Y', next.there],
      ['X', next.back],
    ] as const) {
      await expect.poll(() => used(place, key), { timeout: 30_000 }).toBeGreaterThan(5);
    }
    expect(await used('X', keys.back)).toBeGreaterThan(10);
    for (const place of ['X', 'Y'])
      await ip(place, deleteState(outbound, keys.there), deleteState(inbound, keys.back));
    const done = await used('X', next.back);
    await expect.poll(() => used('X', next.back), { timeout: 30_000 }).toBeGreaterThan(done + 20);
    ping.kill('SIGINT');
    const { stdout } = await ping.ended;
    const [, sent = 0, received = 0] =
      /(\d+) packets transmitted, (\d+) received/.exec(stdout)?.map(Number) ?? [];
    expect(sent).toBeGreaterThan(30);
    expect(received, stdout.slice(-500)).toBe(sent);
    keys = next;
    expect(await pings('hm', '10.0.1.2')).toBe(3);
  });
});
