/*
 * What the BFD sender hands over: down the path that the session watches, as the data on it goes, to the byte; neither
 * counted nor charged; and nothing else gets out that way.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PathCounters } from '../../gen/layout.js';
import { difference, ethernet, frame, ipv4, payload, udp } from '../support/frames.js';
import { Instance, withoutEntropy } from '../support/instance.js';
import { emptyTables, type Outcome, type Tables } from '../support/tables.js';
import {
  arrivalOf,
  arriving,
  control,
  heard,
  leaving,
  mac,
  machineL,
  pathPort,
  senderFrame,
  session,
  sessions,
} from './watched.js';

let l: Instance;
beforeAll(async () => {
  l = await Instance.start(machineL());
});
afterAll(() => l?.stop());
beforeEach(() => l.sessions.reset());

/** Where the sender's frames come from; no interface of the tables has it. */
const senderPort = 14;
const up = control({ state: 'Up', my: 100, your: 101 });
const send = (bytes: Buffer): Promise<Outcome> => l.run(senderPort, bytes, { fromSender: true });

const ways: Array<{ id: number; ifindex: number; path: 11 | 12 | 13 | 14; labels: number[] }> = [
  { id: 1, ifindex: 2, path: 11, labels: [3001] },
  { id: 2, ifindex: 3, path: 12, labels: [3002] },
  { id: 3, ifindex: 4, path: 13, labels: [3003] },
  { id: 4, ifindex: 5, path: 14, labels: [0] },
  { id: 5, ifindex: 2, path: 11, labels: [3001, 4001] },
  { id: 6, ifindex: 4, path: 13, labels: [3003, 4002] },
  { id: 7, ifindex: 2, path: 11, labels: [3001, 4003] },
];

/** Of all paths. */
function counted(): number {
  let sum = 0;
  for (const { id } of machineL().paths) {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(id);
    const found = l.map('path_counters').lookup(key) ?? Buffer.alloc(0);
    for (let at = 0; at < found.length; at += PathCounters.size)
      sum += Number(PathCounters.decode(found, at).sentPackets);
  }
  return sum;
}

describe('a frame of the sender', () => {
  test.each(ways)(
    'of session $id goes down path $path, byte for byte',
    async ({ id, ifindex, path, labels }) => {
      const before = counted();
      const { frame: out, ...facts } = await send(senderFrame(id, id * 100, up));
      expect(facts).toEqual({ action: 'redirect', ifindex });
      expect(difference(out ?? up, leaving(path, labels, up))).toBe('');
      expect(counted()).toBe(before);
    },
  );

  test('goes by its own path also while that is down, and above by the one in use', async () => {
    l.sessions.writeLink({ vif: 11, kind: 'first', paths: [11, 12], down: [0], used: 1 });
    const first = await send(senderFrame(1, 100, up));
    expect(difference(first.frame ?? up, leaving(11, [3001], up))).toBe('');
    const above = await send(senderFrame(5, 500, up));
    expect(above.ifindex).toBe(3);
    expect(difference(above.frame ?? up, leaving(12, [3002, 4001], up))).toBe('');
    l.sessions.writeLink({ vif: 11, kind: 'first', paths: [11, 12] });
  });

  test('has the source port of all data on the path', async () => {
    const ports = new Set<number | undefined>();
    for (let flow = 1; flow <= 32; flow++) {
      const data = frame(
        ethernet({ from: mac.station, to: mac.vif1 }),
        ipv4({ from: '10.0.1.2', to: `10.0.3.${flow}` }),
        udp({ from: flow, to: 2 }),
        payload(26),
      );
      ports.add(withoutEntropy((await l.run(6, data)).frame ?? data).port);
    }
    const sent = await send(senderFrame(5, 500, up));
    expect([...ports]).toEqual([withoutEntropy(sent.frame ?? up).port]);
    expect([...ports]).toEqual([pathPort(11)]);
  });

  test('is not charged by the meters below, which hold back all else', async () => {
    const tables = machineL();
    for (const vif of tables.vifs) {
      vif.sent = { packets: 1, burstPackets: 0 };
      vif.received = { packets: 1, burstPackets: 0 };
    }
    const metered = await Instance.start(tables);
    try {
      for (const { id, ifindex } of ways) {
        const got = await metered.run(senderPort, senderFrame(id, id * 100, up), { fromSender: true });
        expect(got).toMatchObject({ action: 'redirect', ifindex });
      }
      const own = frame(ethernet({ type: 0x88cc }), payload(60));
      expect(await metered.run(9, own, { fromKernel: true })).toEqual({
        action: 'drop',
        reason: 'sent_rate',
      });
    } finally {
      metered.stop();
    }
  });

  test('hands over whatever the sender wrote, long as it is', async () => {
    for (const size of [20, 60, 1400]) {
      const below = Buffer.concat([up.subarray(0, 4), Buffer.alloc(size, 0xa5)]);
      const got = await send(senderFrame(5, 500, below));
      expect(difference(got.frame ?? up, leaving(11, [3001, 4001], below))).toBe('');
    }
    expect(await send(senderFrame(1, 100, Buffer.alloc(1700)))).toEqual({
      action: 'drop',
      reason: 'too_big',
    });
  });
});

describe('channel_frame', () => {
  const dropped = { action: 'drop', reason: 'channel_frame' };
  const cases: Array<{ what: string; bytes: Buffer }> = [
    { what: 'no such session', bytes: senderFrame(9, 900, up) },
    { what: 'session 0', bytes: senderFrame(0, 0, up) },
    { what: 'a free session, with its discriminator', bytes: senderFrame(9, 0, up) },
    { what: 'an id beyond the table', bytes: senderFrame(4096, 100, up) },
    { what: 'the largest id', bytes: senderFrame(0xffffffff, 100, up) },
    { what: 'another session’s discriminator', bytes: senderFrame(1, 200, up) },
    { what: 'the peer’s discriminator', bytes: senderFrame(1, 101, up) },
    { what: 'no discriminator', bytes: senderFrame(1, 0, up) },
    { what: 'IPv4', bytes: senderFrame(1, 100, up, 0x0800) },
    { what: 'IPv6, as a kernel sends it by any interface', bytes: senderFrame(1, 100, up, 0x86dd) },
    { what: 'the type’s bytes the other way round', bytes: senderFrame(1, 100, up, 0xb588) },
    { what: 'labels', bytes: senderFrame(1, 100, up, 0x8847) },
  ];
  test.each(cases)('$what', async ({ bytes }) => {
    expect(await send(bytes)).toEqual(dropped);
  });

  test('shorter than its header', async () => {
    const whole = senderFrame(1, 100, up);
    for (let length = 14; length < 24; length++)
      expect(await send(whole.subarray(0, length))).toEqual(dropped);
    /* nothing, or too little, below it */
    for (let length = 24; length < 40; length++)
      expect((await send(whole.subarray(0, length))).action, `${length} bytes`).toBe('drop');
  });

  test('a session that has ended, and one that has its place now', async () => {
    l.sessions.remove(7);
    expect(await send(senderFrame(7, 700, up))).toEqual(dropped);
    l.sessions.write({ ...session(7), discriminator: 701 });
    expect(await send(senderFrame(7, 700, up))).toEqual(dropped);
    expect((await send(senderFrame(7, 701, up))).action).toBe('redirect');
    l.sessions.write(session(7));
  });
});

describe('of what goes between sender and peer', () => {
  test('nothing from a wire, a station or a virtual node’s kernel is taken for the sender’s', async () => {
    const bytes = senderFrame(1, 100, up);
    expect(await l.run(2, bytes)).toEqual({ action: 'pass' });
    expect((await l.run(6, bytes)).action).toBe('drop');
    /* a frame like any other: it stays in its link */
    const own = await l.run(9, bytes, { fromKernel: true });
    expect(own).toMatchObject({ action: 'redirect', ifindex: 2 });
    expect(own.frame?.subarray(-bytes.length)).toEqual(bytes);
  });

  test('nothing reaches a station or a virtual node’s kernel', async () => {
    for (const { id, discriminator } of sessions) {
      l.sessions.setState(id, 'Up');
      for (const state of ['AdminDown', 'Down', 'Init', 'Up'] as const) {
        const packet = control({ state, my: discriminator + 1, your: discriminator });
        expect(await l.run(arrivalOf(id).at, arriving(arrivalOf(id), packet))).toEqual(heard);
      }
    }
  });

  test('somebody else’s goes through a swap as it is, and is none of ours', async () => {
    const before = l.sessions.snapshot();
    const packet = control({ state: 'Down', my: 101, your: 100 });
    const onto = await l.run(2, arriving({ ...arrivalOf(1), labels: [1009] }, packet));
    expect(onto).toMatchObject({ action: 'redirect', ifindex: 4 });
    const [word, rest] = [onto.frame?.readUInt32BE(14) ?? 0, onto.frame?.subarray(18)];
    expect([word >>> 12, word & 0x100, word & 0xff]).toEqual([3009, 0x100, 63]);
    expect(rest).toEqual(packet);
    /* the same one layer up, onto a link of two paths */
    const above = await l.run(2, arriving({ ...arrivalOf(5), labels: [1001, 2101] }, packet));
    expect(above).toMatchObject({ action: 'redirect', ifindex: 4 });
    expect(above.frame?.subarray(22)).toEqual(packet);
    expect(l.sessions.snapshot()).toBe(before);
  });
});

test('two machines and a third between them, which switches labels: up from nothing, each by the other’s word', async () => {
  const addresses = ['a0', 'b0', 'b1', 'c0'].map((last) => `02:00:00:00:00:${last}`);
  const [a0 = '', b0 = '', b1 = '', c0 = ''] = addresses;
  const end = (here: string, far: string, send: number, receive: number): Tables => ({
    ...emptyTables(),
    ports: [{ ifindex: 2, role: 'underlay' }],
    hops: [{ id: 1, ifindex: 2, room: 1614, source: here, destination: far }],
    wires: [{ id: 1, kind: 'lsp', ifindex: 2, hop: 1 }],
    nodes: [{ id: 1, routes: [] }],
    vifs: [{ id: 1, node: 1, veth: 4, mtu: 1500, mac: mac.vif1 }],
    links: [{ vif: 1, kind: 'first', paths: [1] }],
    paths: [{ id: 1, label: send, wire: 1 }],
    labels: [{ context: { wire: 1 }, label: receive, action: 'deliver', target: 1 }],
    sessions: [
      { ...session(1), discriminator: send, context: { wire: 1 }, label: receive, path: 1, vif: 1, index: 0 },
    ],
  });
  const middle: Tables = {
    ...emptyTables(),
    ports: [2, 3].map((ifindex) => ({ ifindex, role: 'underlay' })),
    hops: [
      { id: 1, ifindex: 2, room: 1614, source: b0, destination: a0 },
      { id: 2, ifindex: 3, room: 1614, source: b1, destination: c0 },
    ],
    wires: [
      { id: 1, kind: 'lsp', ifindex: 2, hop: 1 },
      { id: 2, kind: 'lsp', ifindex: 3, hop: 2 },
    ],
    labels: [
      { context: { wire: 1 }, label: 501, action: 'swap', target: 1 },
      { context: { wire: 2 }, label: 503, action: 'swap', target: 2 },
    ],
    paths: [
      { id: 1, label: 502, wire: 2 },
      { id: 2, label: 504, wire: 1 },
    ],
  };
  const machines = await Promise.all(
    [end(a0, b0, 501, 504), middle, end(c0, b1, 503, 502)].map((t) => Instance.start(t)),
  );
  try {
    const [a, b, c] = machines;
    if (!a || !b || !c) throw new Error('three machines');
    /* what a sender does: says what the data plane has made of the session */
    const say = async (from: Instance, to: Instance, port: number, my: number): Promise<void> => {
      const { state, diagnostic } = from.sessions.state(1);
      const your = from.sessions.heard(1).discriminator;
      const packet = control({ state, diagnostic, my, your });
      const out = await from.run(senderPort, senderFrame(1, my, packet), { fromSender: true });
      const between = await b.run(port, out.frame ?? packet);
      expect(between).toMatchObject({ action: 'redirect', ifindex: port === 2 ? 3 : 2 });
      expect(await to.run(2, between.frame ?? packet)).toEqual(heard);
    };
    /* however long this takes, nobody has been silent */
    for (const machine of machines) machine.setClock(1_000_000_000n);
    await a.sweep();
    await c.sweep();
    const seen: string[][] = [];
    for (let i = 0; i < 2; i++) {
      await say(a, c, 2, 501);
      await say(c, a, 3, 503);
      seen.push([a, c].map((one) => one.sessions.state(1).state));
    }
    expect(seen).toEqual([
      ['Up', 'Init'],
      ['Up', 'Up'],
    ]);
    await a.sweep();
    await c.sweep();
    expect([a, c].map((one) => one.sessions.link(1).down)).toEqual([[], []]);
  } finally {
    for (const machine of machines) machine.stop();
  }
});
