/*
 * Meters: what is admitted of a stream, to the byte and the nanosecond, by a clock of the tests' own; where a frame is
 * charged on its way up and down, and for how many bytes; and what one tenant's flood leaves the others.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { possibleCpus, XdpAction } from '../../native/lib/index.js';
import {
  arpRequest,
  controlWord,
  ethernet,
  frame,
  ipv4,
  ipv6,
  label as entry,
  payload,
  udp,
} from '../support/frames.js';
import { byteCost, Instance } from '../support/instance.js';
import { cableGp, cableHp, label, mac, wireQ } from '../support/machine-p.js';
import type { Rate } from '../support/tables.js';
import { extended, fromQ, innerFromM, iptvFromM, station, station6 } from './cases.js';

const second = 1_000_000_000n;
const metered = [1, 3, 5, 6, 11, 12, 51];
const unlimited: Rate = {};

let p: Instance;
beforeAll(async () => {
  const tables = extended();
  for (const vif of tables.vifs.filter(({ id }) => metered.includes(id))) {
    vif.sent = unlimited;
    vif.received = unlimited;
  }
  p = await Instance.start(tables, { puntLimit: 100_000_000 });
});
afterAll(() => p?.stop());
beforeEach(() => {
  for (const vif of metered) {
    p.writeMeter(vif, 'sent', unlimited);
    p.writeMeter(vif, 'received', unlimited);
  }
  p.setClock(1000n * second);
});

/** True if a frame was not dropped. */
async function passes(at: number, bytes: Buffer, fromKernel = false): Promise<boolean> {
  const program = p.object.program(fromKernel ? 'cabernet_vif' : 'cabernet_port');
  const run = { data: bytes, netns: p.netns, xdp: { ingressIfindex: at } };
  return (await program.testRun(run)).retval === XdpAction.REDIRECT;
}

/** Through vif 1, to vif 3. */
const sixtyEight = station('10.0.3.2');
const sized = (bytes: number): Buffer =>
  station('10.0.3.2', {}, udp({ from: 1, to: 2 }), payload(bytes - 42));
const arrive = (bytes = sixtyEight): Promise<boolean> => passes(cableHp, bytes);

/** At each time, in ns after the first: whether the frame passes. */
async function at(times: Record<number, boolean>, bytes = sixtyEight): Promise<void> {
  const start = 1000n * second;
  for (const [time, wanted] of Object.entries(times)) {
    p.setClock(start + BigInt(time));
    expect(await arrive(bytes), `at ${time} ns`).toBe(wanted);
  }
}

/** A token bucket by its textbook: tokens, which time adds. In ticks of 1/64 ns. */
class Bucket {
  private tokens: bigint;
  private last: bigint;
  private readonly depth: bigint;

  constructor(depth: bigint, now: bigint) {
    this.depth = depth;
    this.tokens = depth;
    this.last = now;
  }

  fits(now: bigint, cost: bigint): boolean {
    this.tokens += (now - this.last) * 64n;
    this.last = now;
    if (this.tokens > this.depth) this.tokens = this.depth;
    return this.tokens >= cost;
  }

  take(cost: bigint): void {
    this.tokens -= cost;
  }
}

const ticks = (bits: number, bytes: number): bigint => {
  const word = byteCost(bits);
  return (BigInt(bytes) * (word & 0xffffffffn)) >> (word >> 32n);
};

describe('conformance', () => {
  test('bytes: a burst, then the rate, to the nanosecond', async () => {
    p.writeMeter(1, 'received', { bits: 8_000_000, burstBytes: 200 });
    /* 64 bytes are left after two, a byte comes every microsecond */
    for (const wanted of [true, true, false, false]) expect(await arrive()).toBe(wanted);
    await at({ 3999: false, 4000: true, 4001: false, 71_999: false, 72_000: true });
    /* an idle time fills the bucket, and no more */
    p.setClock(2000n * second);
    for (const wanted of [true, true, false]) expect(await arrive()).toBe(wanted);
    expect(await arrive(sized(64))).toBe(true);
    expect(await arrive(sized(60))).toBe(false);
  });

  test('packets: likewise, whatever their length', async () => {
    p.writeMeter(1, 'received', { packets: 1000, burstPackets: 2 });
    for (const wanted of [true, true, false]) expect(await arrive(sized(1000))).toBe(wanted);
    await at({ 999_999: false, 1_000_000: true, 1_000_001: false, 3_000_000: true });
  });

  test('both: what one refuses is not charged to the other', async () => {
    p.writeMeter(1, 'received', { bits: 8_000_000, burstBytes: 200, packets: 1000, burstPackets: 3 });
    for (let i = 0; i < 20; i++) expect(await arrive(sized(201))).toBe(false);
    for (let i = 0; i < 3; i++) expect(await arrive(sized(60))).toBe(true);
    const { bytes } = p.due(1, 'received');
    for (let i = 0; i < 20; i++) expect(await arrive(sized(60))).toBe(false);
    expect(p.due(1, 'received').bytes).toBe(bytes);
  });

  test('the rates at either end', async () => {
    p.writeMeter(1, 'received', { bits: 1000, burstBytes: 68 });
    expect(await arrive()).toBe(true);
    await at({ 543_999_999: false, 544_000_000: true });
    /* 68 bytes are 1.36 ns */
    p.writeMeter(1, 'received', { bits: 400_000_000_000, burstBytes: 68 });
    p.setClock(1000n * second);
    expect(await arrive()).toBe(true);
    await at({ 1: false, 2: true });
    /* the longest burst: two to the 46 ticks, 18 minutes */
    p.writeMeter(1, 'received', { bits: 1000, burstBytes: 137_438 });
    for (let i = 0; i < 94; i++) expect(await arrive(sized(1462))).toBe(true);
    expect(await arrive(sized(70))).toBe(false);
    p.writeMeter(1, 'received', { packets: 1, burstPackets: 1 });
    p.setClock(1000n * second);
    expect(await arrive()).toBe(true);
    await at({ 999_999_999: false, 1_000_000_000: true });
    p.writeMeter(1, 'received', { packets: 1_000_000_000, burstPackets: 1 });
    p.setClock(1000n * second);
    expect(await arrive()).toBe(true);
    await at({ 1: true });
  });

  test.each([1000, 1_000_001, 10_000_000_000, 399_999_999_999])(
    'a random stream at %d bit/s passes as a textbook’s bucket has it',
    async (bits) => {
      const [burstBytes, packets, burstPackets] = [3000, Math.ceil(bits / 3000), 9];
      p.writeMeter(1, 'received', { bits, packets, burstBytes, burstPackets });
      let now = 1000n * second;
      const bytes = new Bucket(ticks(bits, burstBytes), now);
      const each = 64_000_000_000n / BigInt(packets);
      const frames = new Bucket(each * BigInt(burstPackets), now);
      let seed = bits;
      const random = (limit: number): number => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
        return Math.floor((seed / 2 ** 32) * limit);
      };
      let admitted = 0;
      for (let i = 0; i < 60; i++) {
        const size = 60 + random(1400);
        now += ticks(bits, random(900)) / 64n;
        p.setClock(now);
        const cost = ticks(bits, size);
        const wanted = frames.fits(now, each) && bytes.fits(now, cost);
        expect(await arrive(sized(size)), `frame ${i} of ${size} bytes`).toBe(wanted);
        if (!wanted) {
          bytes.fits(now, 0n);
          continue;
        }
        frames.take(each);
        bytes.take(cost);
        admitted++;
      }
      expect(admitted).toBeGreaterThan(10);
      expect(admitted).toBeLessThan(50);
    },
  );

  test('the clock turns over, and a meter may sleep for half its circle', async () => {
    const rate = { bits: 8_000_000, burstBytes: 136 };
    const turn = 2n ** 58n;
    p.writeMeter(1, 'received', rate, (turn - 20_000n) << 6n);
    p.setClock(turn - 10_000n);
    for (const wanted of [true, true, false]) expect(await arrive()).toBe(wanted);
    p.setClock(turn + 57_999n);
    expect(await arrive()).toBe(false);
    p.setClock(turn + 58_000n);
    expect(await arrive()).toBe(true);
    for (const idle of [2n ** 57n, 2n ** 57n - 1n, 2n ** 57n + 1n, 2n ** 58n - 2n ** 51n]) {
      p.writeMeter(1, 'received', rate, (5000n * second) << 6n);
      p.setClock(5000n * second + idle);
      for (const wanted of [true, true, false]) expect(await arrive(), `${idle}`).toBe(wanted);
    }
  });

  test('a bucket in debt by an earlier rate is empty, and no worse', async () => {
    const now = 1000n * second;
    p.writeMeter(1, 'received', { bits: 8_000_000, burstBytes: 136 }, (now + 600n * second) << 6n);
    expect(await arrive()).toBe(false);
    await at({ 67_999: false, 68_000: true, 136_000: true, 136_001: false });
  });

  test('several CPUs together are admitted no more, and no fewer', async () => {
    const [burstPackets, repeat, runs] = [2000, 10_000, 4];
    const flood = (): Promise<unknown> =>
      Promise.all(
        Array.from({ length: runs }, () =>
          p.object.program('cabernet_port').testRun({
            data: sixtyEight,
            netns: p.netns,
            repeat,
            xdp: { ingressIfindex: cableHp },
          }),
        ),
      );
    for (const rate of [
      { packets: 1000, burstPackets },
      { bits: 8_000_000, burstBytes: 68 * burstPackets },
      { bits: 8_000_000, burstBytes: 68 * burstPackets, packets: 1000, burstPackets: 2 * burstPackets },
    ]) {
      p.writeMeter(1, 'received', rate);
      const before = p.received(1);
      await flood();
      const after = p.received(1);
      const admitted = after.admitted - before.admitted;
      expect(admitted).toBeGreaterThanOrEqual(burstPackets);
      expect(admitted).toBeLessThanOrEqual(burstPackets + possibleCpus());
      expect(after.refused - before.refused).toBe(runs * repeat - admitted);
    }
  });

  test('by the kernel’s clock: no more than the time that went by allows', async () => {
    p.setClock(0n);
    const [packets, burstPackets] = [100_000, 1000];
    p.writeMeter(1, 'received', { packets, burstPackets });
    const before = p.received(1).admitted;
    const start = process.hrtime.bigint();
    for (let i = 0; i < 5; i++) {
      const run = { data: sixtyEight, netns: p.netns, repeat: 20_000, xdp: { ingressIfindex: cableHp } };
      await p.object.program('cabernet_port').testRun(run);
    }
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const admitted = p.received(1).admitted - before;
    expect(admitted).toBeGreaterThanOrEqual(burstPackets);
    expect(admitted).toBeLessThanOrEqual(burstPackets + 1 + packets * seconds);
  });

  test('a vif without the flag does not look at its meter', async () => {
    p.writeMeter(2, 'sent', { bits: 1000, burstBytes: 1 });
    const before = p.due(2, 'sent');
    expect(await arrive(station('10.0.2.2'))).toBe(true);
    expect(p.due(2, 'sent')).toEqual(before);
  });
});

describe('where a frame is charged, and for how much', () => {
  /* a tick a byte is as good as any: 64 ns */
  const scale = { bits: 125_000_000, burstBytes: 1_000_000, packets: 1_000_000_000, burstPackets: 1000 };
  const now = 1000n * second;
  const charged = (): Record<string, number> => {
    const found: Record<string, number> = {};
    for (const vif of metered) {
      for (const direction of ['sent', 'received'] as const) {
        const { bytes, packets } = p.due(vif, direction);
        if (bytes === 0n && packets === 0n) continue;
        expect(packets - (now << 6n)).toBe(64n);
        found[`${vif} ${direction}`] = Number(bytes - (now << 6n)) / 4096;
      }
    }
    return found;
  };
  const inner = innerFromM();
  const arp = frame(
    ethernet({ from: mac.hp, to: 'ff:ff:ff:ff:ff:ff' }),
    arpRequest('10.0.1.2', mac.hp, '10.0.1.1'),
  );
  const bare = [ipv4({ from: '10.0.9.9', to: '10.0.1.2' }), udp({ from: 2, to: 1 }), payload(26)];
  const cases: Array<{
    what: string;
    at: number;
    in: Buffer;
    fromKernel?: boolean;
    charged: Record<string, number>;
  }> = [
    {
      what: 'a station’s, routed to a link over another',
      at: cableHp,
      in: sixtyEight,
      charged: { '1 received': 68, '3 sent': 68, '11 sent': 76 },
    },
    {
      what: 'IPv6',
      at: cableHp,
      in: station6('fd00:0:0:3::2'),
      charged: { '1 received': 88, '3 sent': 88, '11 sent': 96 },
    },
    { what: 'ARP, to the kernel', at: cableHp, in: arp, charged: { '1 received': arp.length } },
    {
      what: 'neither IP nor ARP, to the kernel',
      at: cableHp,
      in: frame(ethernet({ from: mac.hp, to: mac.vif1, type: 0x88cc }), payload(100)),
      charged: { '1 received': 114 },
    },
    {
      what: 'from the kernel by a link, not IP',
      at: 8,
      fromKernel: true,
      in: frame(ethernet({ from: mac.vif3, to: mac.farM, type: 0x88cc }), payload(50)),
      charged: { '3 sent': 64, '11 sent': 72 },
    },
    {
      what: 'from the kernel to its station',
      at: 6,
      fromKernel: true,
      in: frame(ethernet({ from: mac.vif1, to: mac.hp, type: 0x88cc }), payload(50)),
      charged: { '1 sent': 64 },
    },
    {
      what: 'up two layers and out to a station',
      at: wireQ,
      in: iptvFromM(...inner),
      charged: { '11 received': 76, '3 received': 68, '1 sent': 68 },
    },
    {
      what: 'in transit',
      at: wireQ,
      in: fromQ(entry({ label: label.fromQ }), entry({ label: label.transitQtoA }), controlWord(), ...inner),
      charged: { '11 received': 76, '12 sent': 76 },
    },
    {
      what: 'a frame of the connectivity layer itself, to its kernel',
      at: wireQ,
      in: fromQ(
        entry({ label: label.fromQ }),
        controlWord(),
        ethernet({ from: mac.farQ, to: mac.vif11, type: 0x88cc }),
        payload(50),
      ),
      charged: { '11 received': 64 },
    },
    {
      what: 'up a link of IP packets: with the Ethernet header that another link would have brought',
      at: wireQ,
      in: fromQ(entry({ label: label.fromQ }), entry({ label: label.ip }), ...bare),
      charged: { '11 received': 58, '51 received': 68, '1 sent': 68 },
    },
    {
      what: 'down a link of IP packets',
      at: cableHp,
      in: station('10.2.0.1'),
      charged: { '1 received': 68, '51 sent': 68, '11 sent': 58 },
    },
  ];

  test.each(cases)('$what', async (c) => {
    for (const vif of metered) {
      p.writeMeter(vif, 'sent', scale);
      p.writeMeter(vif, 'received', scale);
    }
    expect(await passes(c.at, c.in, c.fromKernel)).toBe(true);
    expect(charged()).toEqual(c.charged);
  });

  test('refused at the top: nothing below is charged', async () => {
    p.writeMeter(3, 'sent', { bits: 8_000_000, burstBytes: 60 });
    p.writeMeter(11, 'sent', scale);
    const drops = await p.drops();
    expect(await arrive()).toBe(false);
    expect(p.due(11, 'sent')).toEqual({ bytes: 0n, packets: 0n });
    expect((await p.drops()).get('1 sent_rate')).toBe((drops.get('1 sent_rate') ?? 0) + 1);
  });

  test('refused below: counted there, and charged at the top all the same', async () => {
    p.writeMeter(3, 'sent', scale);
    p.writeMeter(11, 'sent', { bits: 8_000_000, burstBytes: 75 });
    const [drops, refused] = [await p.drops(), p.received(11).sentRefused];
    expect(await arrive()).toBe(false);
    expect(charged()).toEqual({ '3 sent': 68 });
    expect((await p.drops()).get('3 sent_rate')).toBe((drops.get('3 sent_rate') ?? 0) + 1);
    expect(p.received(11).sentRefused).toBe(refused + 1);
  });

  test('refused on the way up: on the account of the node whose vif it is', async () => {
    p.writeMeter(11, 'received', { packets: 1, burstPackets: 1 });
    p.writeMeter(3, 'received', { bits: 8_000_000, burstBytes: 60 });
    const drops = await p.drops();
    const more = async (key: string): Promise<number> =>
      ((await p.drops()).get(key) ?? 0) - (drops.get(key) ?? 0);
    expect(await passes(wireQ, iptvFromM(...inner))).toBe(false);
    expect([await more('1 received_rate'), await more('3 received_rate')]).toEqual([1, 0]);
    expect(await passes(wireQ, iptvFromM(...inner))).toBe(false);
    expect([await more('1 received_rate'), await more('3 received_rate')]).toEqual([1, 1]);
  });
});

describe('one tenant’s flood', () => {
  const game = (): Promise<boolean> =>
    passes(cableGp, frame(ethernet({ from: mac.gp, to: mac.vif5 }), ...ipOf('10.9.9.9')));
  const ipOf = (to: string) => [ipv4({ from: '10.0.1.2', to }), udp({ from: 1, to: 2 }), payload(26)];

  test('leaves another’s meters at the same layer alone', async () => {
    for (const vif of [3, 6]) p.writeMeter(vif, 'sent', { packets: 1, burstPackets: 3 });
    for (let i = 0; i < 50; i++) expect(await arrive()).toBe(i < 3);
    for (const wanted of [true, true, true, false]) expect(await game()).toBe(wanted);
  });

  test('is held by its own meter before the link that both share', async () => {
    for (const vif of [3, 6]) p.writeMeter(vif, 'sent', { packets: 1, burstPackets: 2 });
    p.writeMeter(11, 'sent', { packets: 1, burstPackets: 4 });
    for (let i = 0; i < 50; i++) await arrive();
    expect([await game(), await game()]).toEqual([true, true]);
  });

  test('of IPv6 as of IPv4, of frames from a kernel as of those from a station', async () => {
    p.writeMeter(3, 'sent', { packets: 1, burstPackets: 2 });
    expect(await arrive(station6('fd00:0:0:3::2'))).toBe(true);
    const own = frame(ethernet({ from: mac.vif3, to: mac.farM }), ipv6({ from: 'fe80::1', to: 'fe80::2' }));
    expect(await passes(8, own, true)).toBe(true);
    expect([await arrive(), await passes(8, own, true)]).toEqual([false, false]);
  });
});

test('a node whose frames to its kernel are at their limit leaves another node’s alone', async () => {
  const limited = await Instance.start(extended(), { puntLimit: 20 });
  try {
    const expired = (from: string, to: string): Buffer =>
      frame(ethernet({ from, to }), ipv4({ from: '10.0.1.2', to: '10.0.1.1', ttl: 1 }), payload(26));
    const flood = limited.object.program('cabernet_port').testRun({
      data: expired(mac.hp, mac.vif1),
      netns: limited.netns,
      repeat: 50_000,
      xdp: { ingressIfindex: cableHp },
    });
    const other = frame(ethernet({ from: mac.gp, to: mac.vif5, type: 0x88cc }), payload(50));
    expect((await limited.run(cableGp, other)).punt).toContain('other');
    await flood;
    const drops = await limited.drops();
    expect(drops.get('1 punt_limit')).toBeGreaterThan(1000);
    expect(drops.get('2 punt_limit')).toBeUndefined();
  } finally {
    limited.stop();
  }
});
