/*
 * How well a path does (bpf/measurement.h): what is sent bears its block's colour and is counted by it, messages say how
 * much was sent and when, and a path that breaks its limits for long enough is left while there is a better one.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Limit } from '../../gen/layout.js';
import { ethernet, frame, ipv4, label as entry, payload, tunnelled, udp } from '../support/frames.js';
import { Instance } from '../support/instance.js';
import type { Outcome, SessionTable, Tables } from '../support/tables.js';
import {
  type Arrival,
  arrivalOf,
  arriving,
  channel,
  heard,
  mac,
  machineL,
  outer,
  senderFrame,
  session,
} from './watched.js';
import { type Message, MESSAGE_BYTES, parse, write } from './measure-message.js';

const start = 1_000_000_000_000n;
const ms = 1_000_000n;
const second = 1000n * ms;
const senderPort = 14;
/** Of the two paths of vif 11, and of a link over that. */
const measuredSessions = [1, 2, 5] as const;
const limits = { measureInterval: 50_000, maxLoss: 10_000, maxDelay: 20_000, maxVariation: 5_000 };

function measuredL(): Tables {
  const tables = machineL();
  for (const id of measuredSessions) {
    const { path, label } = session(id);
    for (const p of tables.paths) if (p.id === path) p.marking = id;
    for (const l of tables.labels) if (l.label === label) l.session = id;
  }
  tables.sessions = (tables.sessions ?? []).map((s) =>
    measuredSessions.some((id) => id === s.id) ? { ...s, ...limits } : s,
  );
  return tables;
}

let l: Instance;
let now = start;
beforeAll(async () => {
  l = await Instance.start(measuredL());
});
afterAll(() => l?.stop());
beforeEach(() => {
  for (const one of machineL().links ?? []) l.sessions.writeLink(one);
  for (const one of measuredL().sessions ?? []) l.sessions.write(one);
  l.sessions.reset();
  for (const path of measuredL().paths) l.writePath(path);
  at(0n);
  for (const s of measuredL().sessions ?? []) {
    l.sessions.setState(s.id, 'Up', 0, { since: now });
    l.sessions.setHeard(s.id, {
      at: now + 1000n * second,
      discriminator: s.discriminator + 1,
      multiplier: 3,
    });
  }
});

/** Ns after the start. */
function at(time: bigint): void {
  now = start + time;
  l.setClock(now);
}

// ---- what leaves

const data = frame(
  ethernet({ from: mac.station, to: mac.vif1 }),
  ipv4({ from: '10.0.1.2', to: '10.0.3.1' }),
  udp({ from: 1, to: 9 }),
  payload(26),
);

/** The entries' traffic classes, from the first on, of what goes out by tunnel 1. */
async function classesOf(ingress: Promise<Outcome>): Promise<number[]> {
  const { frame: out } = await ingress;
  const classes: number[] = [];
  for (let place = 14 + 20 + 8, bottom = false; out && !bottom; place += 4) {
    const word = out.readUInt32BE(place);
    classes.push((word >>> 9) & 7);
    bottom = (word & 0x100) !== 0;
  }
  return classes;
}

/** As the sender says that it is time; what the programs have written. */
async function leaves(id: number): Promise<Message> {
  const body = Buffer.alloc(MESSAGE_BYTES, 0xee);
  const given = frame(channel(Limit.LIMIT_CHANNEL_MEASURE), payload(body));
  const { frame: out, action } = await l.run(senderPort, senderFrame(id, id * 100, given), {
    fromSender: true,
  });
  expect(action).toBe('redirect');
  return parse((out ?? body).subarray(-MESSAGE_BYTES));
}

describe('what a measured path sends', () => {
  test('bears the colour of its block, at each layer its own, and is counted by it', async () => {
    const sent = (): number[][] => measuredSessions.map((id) => l.sessions.marked(id, 'sent'));
    const before = sent();
    expect(await classesOf(l.run(6, data))).toEqual([0, 0]);
    await leaves(1);
    expect(await classesOf(l.run(6, data))).toEqual([0, 0]);
    /* every other message begins a block */
    await leaves(1);
    expect(await classesOf(l.run(6, data))).toEqual([1, 0]);
    await leaves(5);
    await leaves(5);
    expect(await classesOf(l.run(6, data))).toEqual([1, 1]);
    await leaves(1);
    await leaves(1);
    expect(await classesOf(l.run(6, data))).toEqual([0, 1]);
    /* what watches the link above is data to the one below, not to its own */
    const more = sent().map((counts, i) => counts.map((count, colour) => count - (before[i]?.[colour] ?? 0)));
    expect(more).toEqual([
      [3, 4],
      [0, 0],
      [3, 2],
    ]);
  });

  test('is not marked where nobody measures', async () => {
    const other = frame(
      ethernet({ from: mac.other, to: mac.vif5 }),
      ipv4({ from: '10.0.1.2', to: '10.0.3.1' }),
      udp({ from: 1, to: 9 }),
      payload(26),
    );
    await leaves(1);
    await leaves(1);
    /* the link below is measured */
    expect(await classesOf(l.run(7, other))).toEqual([1, 0]);
  });

  test('keeps the class of what goes on by a swap', async () => {
    for (let bits = 0; bits < 8; bits++) {
      const arrived = frame(
        ...tunnelled({ source: outer.q, destination: outer.l }),
        entry({ label: 1009, class: bits }),
        payload(Buffer.alloc(40)),
      );
      const { frame: out } = await l.run(2, arrived);
      expect(((out ?? arrived).readUInt32BE(14) >>> 9) & 7).toBe(bits);
    }
  });
});

describe('a message that leaves', () => {
  test('says the time, what came the other way, and every second one a count', async () => {
    const idle = { echoed: 0n, held: 0n, received: 0n, lost: 0n, loss: 0, variation: 0, broken: 0 };
    const fixed = { version: 1, length: MESSAGE_BYTES, my: 100, your: 101 };
    at(3n * ms);
    expect(await leaves(1)).toMatchObject({ ...fixed, ...idle, sequence: 1, sent: start + 3n * ms });
    const zero = l.sessions.marked(1, 'sent')[0];
    expect(await leaves(1)).toMatchObject({ sequence: 2, flags: 0, packets: 0n });
    for (let i = 0; i < 5; i++) await l.run(6, data);
    /* the block that is counted ended before those */
    expect(await leaves(1)).toMatchObject({ sequence: 3, flags: 1, packets: BigInt(zero) });
    expect(await leaves(1)).toMatchObject({ sequence: 4, flags: 0 });
    const counted = await leaves(1);
    expect(counted).toMatchObject({ sequence: 5, flags: 1 });
    expect(counted.packets).toBe(BigInt(l.sessions.marked(1, 'sent')[counted.block & 1] ?? 0));
    expect(l.sessions.marked(1, 'sent')[counted.block & 1]).toBeGreaterThanOrEqual(5);
  });

  test('over a circuit it has no count, and all the rest', async () => {
    l.sessions.write({ ...session(4), ...limits });
    for (let sequence = 1; sequence < 5; sequence++)
      expect(await leaves(4)).toMatchObject({ sequence, flags: 0, packets: 0n, my: 400 });
  });

  test('is nobody’s of a session that has gone, or too short', async () => {
    const message = frame(channel(Limit.LIMIT_CHANNEL_MEASURE), payload(Buffer.alloc(MESSAGE_BYTES)));
    const short = message.subarray(0, MESSAGE_BYTES);
    const drop = { action: 'drop', reason: 'channel_frame' };
    expect(await l.run(senderPort, senderFrame(1, 4711, message), { fromSender: true })).toEqual(drop);
    expect(await l.run(senderPort, senderFrame(1, 100, short), { fromSender: true })).toEqual(drop);
  });
});

// ---- what arrives

/** The other end of a session's path: it sends, and its clock is another. */
class Peer {
  readonly #arrival: Arrival;
  readonly #id: number;
  readonly #clock: bigint;
  #sequence = 0;
  #block = 0;
  readonly #packets = [0n, 0n];

  constructor(id: number, clock = 777_777n * second) {
    this.#id = id;
    this.#arrival = arrivalOf(id);
    this.#clock = clock;
  }

  /** Packets in the colour of the block; of each, whether it arrives. */
  async data(...arrives: boolean[]): Promise<void> {
    const colour = this.#block & 1;
    for (const one of arrives) {
      this.#packets[colour] = (this.#packets[colour] ?? 0n) + 1n;
      if (!one) continue;
      const labels = this.#arrival.labels.map((label, i, all) =>
        entry({ label, class: i === all.length - 1 ? colour : 0 }),
      );
      const below = frame(
        payload(Buffer.alloc(4)),
        ethernet({ from: mac.farVif, to: mac.vif2 }),
        payload(60),
      );
      await l.feed(this.#arrival.at, frame(...this.#arrival.headers, ...labels, payload(below)));
    }
  }

  /** The next message, right but for what is given; `delay` of it, ns. */
  next(fields: Partial<Message> = {}, delay = 0n): Message {
    this.#sequence++;
    const begins = this.#sequence % 2 === 0;
    if (begins) this.#block++;
    const closed = this.#block - 1;
    return {
      ...{ version: 1, flags: begins ? 0 : 1, length: MESSAGE_BYTES },
      ...{ my: this.#id * 100 + 1, your: this.#id * 100, sequence: this.#sequence },
      ...{ sent: now + this.#clock - delay, echoed: 0n, held: 0n },
      packets: begins ? 0n : (this.#packets[closed & 1] ?? 0n),
      ...{ received: 0n, lost: 0n, block: closed, loss: 0, variation: 0, broken: 0 },
      ...fields,
    };
  }

  /** It arrives. */
  async tell(message: Message | Buffer = this.next()): Promise<Outcome> {
    const body = Buffer.isBuffer(message) ? message : write(message);
    const below = frame(channel(Limit.LIMIT_CHANNEL_MEASURE), payload(body));
    return l.run(this.#arrival.at, arriving(this.#arrival, below));
  }

  /** A second of messages 50 ms apart from `from` on, each after `each`. */
  async second(from: bigint, each: (i: number) => Promise<void> | void = () => undefined): Promise<void> {
    for (let i = 0; i < 20; i++) {
      at(from + BigInt(i) * 50n * ms);
      await each(i);
      expect(await this.tell()).toEqual(heard);
    }
  }
}

const link = (vif = 11): { degraded: number[]; used: number } => {
  const { degraded, used } = l.sessions.link(vif);
  return { degraded, used };
};

describe('loss', () => {
  test('of what the path carries is counted to the packet, in its block', async () => {
    const peer = new Peer(1);
    await peer.tell();
    let lost = 0;
    for (let i = 1; i <= 30; i++) {
      at(BigInt(i) * 20n * ms);
      const gone = i % 7 === 0;
      if (gone) lost++;
      await peer.data(true, !gone, true, true);
      await peer.tell();
    }
    /* the last blocks have not been told yet */
    for (let i = 31; i <= 36; i++) {
      at(BigInt(i) * 20n * ms);
      await peer.tell();
    }
    const { sent, lost: found } = l.sessions.measured(1);
    expect(Number(found)).toBe(lost);
    /* the packets, but of the first block, which counting begins with; and the messages */
    expect(Number(sent)).toBe(29 * 4 + 36);
  });

  test('of messages is loss too; one that comes late, or twice, is none', async () => {
    const peer = new Peer(1);
    await peer.tell();
    peer.next();
    const late = peer.next();
    await peer.tell();
    expect(l.sessions.measured(1)).toMatchObject({ lost: 2n, sent: 3n });
    await peer.tell(late);
    const twice = peer.next();
    await peer.tell(twice);
    await peer.tell(twice);
    expect(l.sessions.measured(1)).toMatchObject({ lost: 1n, sent: 4n });
  });

  test('a sender that began anew, or a path that was down, is not taken for loss', async () => {
    const peer = new Peer(1);
    for (let i = 0; i < 5; i++) await peer.tell();
    const other = new Peer(1, 5n);
    for (let i = 0; i < 4; i++) await other.tell(other.next({ sequence: 3_000_000 + i, packets: 99n }));
    expect(l.sessions.measured(1)).toMatchObject({ lost: 0n });
    at(10n * ms);
    l.sessions.setState(1, 'Up', 0, { since: now });
    at(11n * ms);
    for (let i = 0; i < 40; i++) other.next();
    await other.tell(other.next({ sequence: 3_000_100 }));
    expect(l.sessions.measured(1)).toMatchObject({ lost: 0n });
  });

  test('that lasts is left, and comes back after the hold, twice as long the next time', async () => {
    l.sessions.write({ ...session(1), ...limits, hold: 1500, restore: 2000 });
    const peer = new Peer(1);
    let time = 0n;
    const seconds = async (count: number, lossy: boolean): Promise<void> => {
      for (let i = 0; i < count; i++, time += second)
        await peer.second(time, () => peer.data(true, true, !lossy, true, true, true));
    };
    const until = async (lossy: boolean, degraded: number[]): Promise<number> => {
      for (let count = 0; count < 30; count++) {
        if (link().degraded.join() === degraded.join()) return count;
        await seconds(1, lossy);
      }
      throw new Error('it never came to that');
    };
    await seconds(2, false);
    expect(link()).toEqual({ degraded: [], used: 0 });
    l.sessions.events();
    /* a window is a second: the second bad one is as long as was asked for */
    expect(await until(true, [0])).toBe(3);
    expect(link().used).toBe(1);
    expect(l.sessions.measured(1)).toMatchObject({ degraded: 1, times: 1, breaks: Limit.LIMIT_BREAKS_LOSS });
    expect(l.sessions.events()).toMatchObject([
      { session: 1, before: { state: 'Up' }, after: { state: 'Up' }, link: 0x110 },
    ]);
    const first = await until(false, []);
    expect(link().used).toBe(0);
    await until(true, [0]);
    const next = await until(false, []);
    expect(next - 1).toBeGreaterThan(first);
  });

  test('of one packet in a few is an accident; of a hundredth of many it is not', async () => {
    const peer = new Peer(1);
    await peer.second(0n, async (i) => peer.data(i !== 3));
    for (let i = 1; i < 11; i++) await peer.second(BigInt(i) * second);
    expect(l.sessions.measured(1).broken).toBe(0);
    expect(link().degraded).toEqual([]);
  });
});

describe('delay', () => {
  test('is our message’s way and the answer’s, without the time between, also by another clock', async () => {
    const peer = new Peer(1);
    await peer.tell();
    for (const [i, delay] of [3, 4, 5, 11, 1000, 59_000_000].entries()) {
      at(BigInt(i + 1) * 100n * ms + 60n * second);
      await peer.tell(peer.next({ echoed: now - BigInt(delay) * 1000n - 5n * ms, held: 5n * ms }));
    }
    const delays = l.sessions.delays(1);
    const wanted = Array<number>(80).fill(0);
    for (const delay of [3, 4, 5, 11, 1000, 59_000_000])
      wanted[bucketOf(delay)] = (wanted[bucketOf(delay)] ?? 0) + 1;
    expect(delays).toEqual(wanted);
  });

  test('longer than may be, in the mean of a window: left at once where no hold is asked for', async () => {
    const peer = new Peer(1);
    const run = async (from: bigint, delay: bigint): Promise<void> => {
      for (let i = 0; i < 42; i++) {
        at(from + BigInt(i) * 50n * ms);
        await peer.tell(peer.next({ echoed: now - delay }));
      }
    };
    await run(0n, 19n * ms);
    expect(link()).toEqual({ degraded: [], used: 0 });
    expect(l.sessions.measured(1)).toMatchObject({ mean: 19_000, least: 19_000, most: 19_000 });
    await run(3n * second, 21n * ms);
    expect(link()).toEqual({ degraded: [0], used: 1 });
    /* good again it is only well below */
    await run(6n * second, 19n * ms);
    expect(link()).toEqual({ degraded: [0], used: 1 });
    await run(9n * second, 14n * ms);
    expect(link()).toEqual({ degraded: [], used: 0 });
  });

  test('that varies, whatever the clocks say', async () => {
    const peer = new Peer(1, -5n * second);
    const run = async (from: bigint, jitter: bigint): Promise<void> => {
      for (let i = 0; i < 42; i++) {
        at(from + BigInt(i) * 50n * ms);
        await peer.tell(peer.next({}, 40n * ms + (i % 2 === 0 ? jitter : 0n)));
      }
    };
    await run(0n, 4n * ms);
    expect(link().degraded).toEqual([]);
    expect(l.sessions.measured(1).variation).toBe(4000);
    await run(3n * second, 6n * ms);
    expect(link().degraded).toEqual([0]);
    expect(l.sessions.measured(1).breaks).toBe(Limit.LIMIT_BREAKS_VARIATION);
  });
});

/** As the API says: bucket 4 o + q counts from (4 + q) 2^o µs on. */
function bucketOf(delay: number): number {
  let bucket = 0;
  for (let i = 0; i < 80; i++) if (delay >= (4 + (i % 4)) * 2 ** Math.floor(i / 4)) bucket = i;
  return bucket;
}

describe('both directions', () => {
  test('the other end’s loss and variation are ours, its delay is ours already', async () => {
    for (const [broken, degraded] of [
      [Limit.LIMIT_BREAKS_LOSS, [0]],
      [Limit.LIMIT_BREAKS_VARIATION, [0]],
      [Limit.LIMIT_BREAKS_DELAY, []],
    ] as const) {
      l.sessions.reset();
      l.sessions.setState(1, 'Up', 0, { since: start });
      l.sessions.setHeard(1, { at: now, discriminator: 101, multiplier: 3 });
      const peer = new Peer(1);
      for (let i = 0; i < 25; i++) {
        at(BigInt(i) * 50n * ms);
        await peer.tell(peer.next({ broken, loss: 77, variation: 88, received: 1000n, lost: 5n }));
      }
      for (let i = 25; i < 250; i++) {
        at(BigInt(i) * 50n * ms);
        await peer.tell(peer.next({ broken, loss: 77, variation: 88, received: 1000n, lost: 5n }));
      }
      expect(link().degraded).toEqual(degraded);
      expect(l.sessions.measured(1)).toMatchObject({
        farSent: 1000n,
        farLost: 5n,
        farLoss: 77,
        farVariation: 88,
      });
    }
  });

  test('and it is told what is seen here', async () => {
    const peer = new Peer(1);
    await peer.tell();
    at(7n * ms);
    peer.next();
    await peer.tell();
    at(10n * ms);
    expect(await leaves(1)).toMatchObject({
      ...{ echoed: start + 7n * ms + 777_777n * second, held: 3n * ms },
      ...{ received: 2n, lost: 1n },
    });
  });
});

describe('which path is used', () => {
  const bad = async (id: number, from: bigint): Promise<void> => {
    const peer = new Peer(id);
    for (let i = 0; i < 42; i++) {
      at(from + BigInt(i) * 50n * ms);
      await peer.tell(peer.next({ echoed: now - 30n * ms }));
    }
  };

  test('all bad: the one in use stays in use', async () => {
    await bad(1, 0n);
    expect(link()).toEqual({ degraded: [0], used: 1 });
    await bad(2, 5n * second);
    expect(link()).toEqual({ degraded: [0, 1], used: 1 });
    const { switches } = l.sessions.link(11);
    for (let i = 0; i < 5; i++) {
      await bad(1 + (i % 2), BigInt(10 + 5 * i) * second);
      await l.sweep();
    }
    expect(l.sessions.link(11).switches).toBe(switches);
  });

  test('one that is bad is better than one that is down, or to be avoided', async () => {
    await bad(1, 0n);
    expect(link().used).toBe(1);
    l.sessions.avoid(11, [1]);
    await l.sweep();
    expect(link()).toEqual({ degraded: [0], used: 0 });
    l.sessions.avoid(11, []);
    await l.sweep();
    expect(link().used).toBe(1);
    l.sessions.setState(2, 'Down');
    l.sessions.writeLink({ vif: 11, kind: 'first', paths: [11, 12], down: [1], used: 1 });
    await bad(1, 5n * second);
    l.sessions.setState(2, 'Down', 0, { pathDown: 1 });
    await l.sweep();
    expect(link().used).toBe(0);
  });

  test('of a weighted link: none that is bad, unless all are', async () => {
    const ways = [0, 1];
    l.sessions.writeLink({ vif: 11, kind: 'weighted', paths: [11, 12], ways });
    const used = async (): Promise<Set<number>> => {
      const found = new Set<number>();
      for (let flow = 1; flow < 40; flow++) {
        const sent = frame(
          ethernet({ from: mac.station, to: mac.vif1 }),
          ipv4({ from: '10.0.1.2', to: `10.0.3.${flow}` }),
          udp({ from: flow, to: 9 }),
          payload(26),
        );
        const { ifindex } = await l.run(6, sent);
        if (ifindex !== undefined) found.add(ifindex);
      }
      return found;
    };
    l.sessions.writeLink({ vif: 2, kind: 'weighted', paths: [1, 2], ways });
    const both = await used();
    await bad(5, 0n);
    expect(l.sessions.link(2).degraded).toEqual([0]);
    const one = await used();
    expect(both.size).toBeGreaterThan(one.size);
    l.sessions.writeLink({ vif: 2, kind: 'weighted', paths: [1, 2], ways, degraded: [0, 1] });
    expect(await used()).toEqual(both);
  });

  test('what is not measured any more is not bad any more', async () => {
    await bad(1, 0n);
    expect(link().degraded).toEqual([0]);
    at(20n * second);
    await l.sweep();
    expect(link().degraded).toEqual([0]);
    at(40n * second);
    await l.sweep();
    expect(link()).toEqual({ degraded: [], used: 0 });
    await bad(1, 50n * second);
    expect(link().degraded).toEqual([0]);
    l.sessions.write({ ...session(1), ...({ measureInterval: 0 } satisfies Partial<SessionTable>) });
    await l.sweep();
    expect(link().degraded).toEqual([]);
    l.sessions.write({ ...session(1), ...limits });
  });
});

describe('nothing changes by a message that is', () => {
  const wrong: Array<{ what: string; fields: Partial<Message>; cut?: number }> = [
    { what: 'of another version', fields: { version: 2 } },
    { what: 'of another length', fields: { length: MESSAGE_BYTES + 4 } },
    { what: 'of no length', fields: { length: 0 } },
    { what: 'without a number', fields: { sequence: 0 } },
    { what: 'for nobody', fields: { your: 0 } },
    { what: 'for another session', fields: { your: 700 } },
    { what: 'from another session', fields: { my: 102 } },
    { what: 'cut off', fields: {}, cut: MESSAGE_BYTES - 1 },
    { what: 'empty', fields: {}, cut: 0 },
  ];
  test.each(wrong)('$what', async ({ fields, cut }) => {
    const peer = new Peer(1);
    for (let i = 0; i < 4; i++) await peer.tell();
    const before = l.sessions.snapshot();
    const { refused } = l.sessions.heard(1);
    const message = write(peer.next({ broken: 7, ...fields })).subarray(0, cut ?? MESSAGE_BYTES);
    /* Ethernet pads what is short: the packet must not */
    expect(await peer.tell(Buffer.from(message))).toEqual({ action: 'drop', reason: 'session_packet' });
    expect(l.sessions.snapshot()).toBe(before);
    expect(l.sessions.heard(1).refused).toBe(refused + 1);
  });

  test('of a session that is not up, or not measured', async () => {
    const peer = new Peer(1);
    for (const state of ['AdminDown', 'Down', 'Init'] as const) {
      l.sessions.setState(1, state);
      const before = l.sessions.snapshot();
      expect(await peer.tell()).toEqual(heard);
      expect(l.sessions.snapshot()).toBe(before);
    }
    const unmeasured = new Peer(7);
    l.sessions.setState(7, 'Up');
    const before = l.sessions.snapshot();
    expect(await unmeasured.tell()).toEqual(heard);
    expect(l.sessions.snapshot()).toBe(before);
  });

  test('right, whatever its numbers are: figures, no more', async () => {
    const most = (1n << 64n) - 1n;
    for (const value of [0n, 1n, most, 1n << 63n, (1n << 63n) - 1n, start]) {
      l.sessions.reset();
      l.sessions.setState(1, 'Up', 0, { since: start });
      l.sessions.setHeard(1, { at: now, discriminator: 101, multiplier: 3 });
      const peer = new Peer(1);
      for (let i = 0; i < 45; i++) {
        at(BigInt(i) * 50n * ms);
        const times = { sent: value, echoed: value, held: value };
        const counts = { packets: value, received: value, lost: value };
        expect(await peer.tell(peer.next({ ...times, ...counts, block: i * 0x10001 }))).toEqual(heard);
      }
      const { loss, mean, degraded } = l.sessions.measured(1);
      expect(loss).toBeLessThanOrEqual(1_000_000);
      expect(mean).toBeLessThanOrEqual(60_000_000);
      /* other tenants' links are as they were */
      expect([l.sessions.link(6).degraded, l.sessions.link(2).degraded]).toEqual([[], []]);
      expect(degraded).toBeLessThanOrEqual(1);
    }
  });
});
