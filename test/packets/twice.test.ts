/*
 * 1+1, the sending end: each frame by both paths of its link under one number, and what becomes of it when one of the
 * copies cannot go.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Copies, Limit, Vif } from '../../gen/layout.js';
import {
  controlWord,
  difference,
  ethernet,
  frame,
  ipv4,
  ipv6,
  payload,
  udp,
  type Layer,
} from '../support/frames.js';
import { Instance } from '../support/instance.js';
import type { LinkTable } from '../support/tables.js';
import { trace } from '../support/tracing.js';
import { drawn, machineT, send } from './twice.js';
import { bfd, channel, leaving, mac, pathPort, senderFrame, session } from './watched.js';

let l: Instance;
beforeAll(async () => {
  l = await Instance.start(machineT());
  for (const [a, b] of [
    [2, 4],
    [2, 2],
    [2, 5],
    [3, 4],
  ] as const)
    l.pairDevices(a, b);
});
afterAll(() => l?.stop());
beforeEach(() => {
  l.sessions.reset();
  for (const one of machineT().links ?? []) l.sessions.writeLink(one);
});

const rest: Layer[] = [udp({ from: 1, to: 9 }), payload(26)];
const to = '10.0.3.1';
const data = frame(ethernet({ from: mac.station, to: mac.vif1 }), ipv4({ from: '10.0.1.2', to }), ...rest);
/** As it leaves vif 2, below its labels. */
const below = (number: number): Buffer =>
  frame(
    controlWord({ rest: number }),
    ethernet({ from: mac.vif2, to: mac.farVif }),
    ipv4({ from: '10.0.1.2', to, ttl: 63 }),
    ...rest,
  );
const twice = (more: Partial<LinkTable> = {}): void =>
  l.sessions.writeLink({ vif: 2, kind: 'twice', paths: [1, 2], ...more });

const byTunnel = (number: number): Buffer => leaving(11, [3001, 4001], below(number));
const byWire = (number: number): Buffer => leaving(13, [3003, 4002], below(number));

function same(got: Buffer | undefined, wanted: Buffer): void {
  expect(difference(got ?? Buffer.alloc(0), wanted)).toBe('');
}

describe('both copies', () => {
  test('each by its own labels and hop, with one number; the next one has the next', async () => {
    twice({ number: 41 });
    for (const number of [42, 43]) {
      const { to: devices, copies, drops } = await send(l, 6, data);
      expect([devices, drops]).toEqual([[2, 4], []]);
      same(copies[0], byTunnel(number));
      same(copies[1], byWire(number));
    }
    expect(drawn(l, 2)).toBe(43);
  });

  test('IPv6, and a frame of the virtual node’s kernel', async () => {
    const six = frame(
      ethernet({ from: mac.station, to: mac.vif1 }),
      ipv6({ from: 'fd00:0:0:1::2', to: 'fd00:0:0:3::9' }),
      ...rest,
    );
    const own = frame(ethernet({ type: 0x88cc }), payload(60));
    expect(await send(l, 6, six)).toMatchObject({ to: [2, 4], drops: [] });
    const { to: devices, copies } = await send(l, 9, own, 'vif');
    expect(devices).toEqual([2, 4]);
    same(copies[0], leaving(11, [3001, 4001], frame(controlWord({ rest: 2 }), payload(own))));
    same(copies[1], leaving(13, [3003, 4002], frame(controlWord({ rest: 2 }), payload(own))));
  });

  test('after the last number the first, never 0', async () => {
    twice({ number: Limit.LIMIT_SEQUENCE_MASK - 1 });
    same((await send(l, 6, data)).copies[1], byWire(Limit.LIMIT_SEQUENCE_MASK));
    same((await send(l, 6, data)).copies[1], byWire(1));
    /* the counter has more bits than the number */
    twice({ number: 0xffffffff });
    same((await send(l, 6, data)).copies[1], byWire(1));
  });

  test('also when both leave by one interface, and the first is down or to be avoided', async () => {
    l.sessions.writeLink({ vif: 12, kind: 'first', paths: [11, 14] });
    twice({ down: [0], avoid: [1], used: 1 });
    const { to: devices, copies, drops } = await send(l, 6, data);
    expect([devices, drops]).toEqual([[2, 2], []]);
    same(copies[0], byTunnel(1));
    same(copies[1], leaving(11, [3001, 4002], below(1)));
  });

  test('the layer below is protected by itself', async () => {
    l.sessions.writeLink({ vif: 12, kind: 'first', paths: [13, 14], down: [0], used: 1 });
    const { to: devices, copies } = await send(l, 6, data);
    expect(devices).toEqual([2, 5]);
    same(copies[1], leaving(14, [4002], below(1)));
  });

  test('a third time the record has nothing, and so has one of another frame', async () => {
    const { tagged } = await send(l, 6, data);
    if (!tagged) throw new Error('it was not redirected');
    const stray = async (): Promise<number> => {
      const before = (await l.drops()).get('0 stray_copy') ?? 0;
      expect((await l.egress(tagged.frame, tagged.meta)).retval).toBe(1);
      return ((await l.drops()).get('0 stray_copy') ?? 0) - before;
    };
    expect(await stray()).toBe(1);
    const place = Buffer.from(tagged.meta.subarray(8, 12));
    const record = l.map('copies').lookup(place);
    if (!record) throw new Error('no record');
    const fields = Copies.decode(record);
    l.map('copies').update(place, Copies.encode({ ...fields, left: 3, serial: fields.serial + 512 }));
    expect(await stray()).toBe(1);
    place.writeUInt32LE(0xffffffff);
    place.copy(tagged.meta, 8);
    expect(await stray()).toBe(1);
  });
});

describe('one copy', () => {
  test('the other’s path is gone: its reason is counted', async () => {
    for (const [paths, wanted] of [
      [[99, 2], byWire],
      [[1, 99], byTunnel],
    ] as const) {
      twice({ paths: [...paths] });
      const { copies, drops } = await send(l, 6, data);
      expect([copies.length, drops]).toEqual([1, ['1 no_path']]);
      same(copies[0], wanted(1));
    }
  });

  test('the vif below is down', async () => {
    const id = Buffer.from([12, 0, 0, 0]);
    const record = l.map('vifs').lookup(id);
    if (!record) throw new Error('no vif 12');
    try {
      const fields = Vif.decode(record);
      l.map('vifs').update(id, Vif.encode({ ...fields, flags: fields.flags & ~Limit.LIMIT_VIF_UP }));
      const { to: devices, copies, drops } = await send(l, 6, data);
      expect([devices, copies.length, drops]).toEqual([[2], 1, ['1 vif_down']]);
      same(copies[0], byTunnel(1));
    } finally {
      l.map('vifs').update(id, record);
    }
  });

  test('no pair of these interfaces: by the first', async () => {
    l.sessions.writeLink({ vif: 11, kind: 'first', paths: [12, 11] });
    l.sessions.writeLink({ vif: 12, kind: 'first', paths: [14, 13] });
    const { to: devices, copies, drops } = await send(l, 6, data);
    expect([devices, copies.length, drops]).toEqual([[3], 1, ['1 no_device']]);
    same(copies[0], leaving(12, [3002, 4001], below(1)));
  });

  test('neither: nothing leaves, and both reasons are counted', async () => {
    twice({ paths: [99, 98] });
    expect(await send(l, 6, data)).toMatchObject({ to: [], drops: ['1 no_path'] });
    expect(drawn(l, 2)).toBe(0);
  });
});

describe('never copied', () => {
  test('what watches a path', async () => {
    const packet = frame(channel(), payload(bfd({ state: 'Up', my: 1 })));
    const { to: devices, copies } = await send(
      l,
      15,
      senderFrame(5, session(5).discriminator, packet),
      'channel',
    );
    expect(devices).toEqual([2]);
    same(copies[0], leaving(11, [3001, 4001], packet));
    expect(drawn(l, 2)).toBe(0);
  });

  test('what a layer above sends by the link: once, by the path in use', async () => {
    const tables = machineT();
    tables.links = (tables.links ?? []).map((link) => (link.vif === 11 ? { ...link, kind: 'twice' } : link));
    const other = await Instance.start(tables);
    try {
      other.sessions.writeLink({ vif: 2, kind: 'first', paths: [1, 2] });
      const id = Buffer.from([2, 0, 0, 0]);
      const fields = Vif.decode(other.map('vifs').lookup(id) ?? Buffer.alloc(0));
      other.map('vifs').update(id, Vif.encode({ ...fields, flags: fields.flags & ~Limit.LIMIT_VIF_TWICE }));
      other.sessions.writeLink({ vif: 11, kind: 'twice', paths: [11, 12], down: [0], used: 1 });
      const { to: devices, copies } = await send(other, 6, data);
      expect(devices).toEqual([3]);
      same(copies[0], leaving(12, [3002, 4001], below(0)));
    } finally {
      other.stop();
    }
  });
});

test('traced: both ways down, the one last that the trace goes on with; and no number is used up', async () => {
  const { events, redirected } = await trace(l, 6, data);
  expect(redirected).toBe(true);
  expect(events.filter(({ kind }) => kind === 'path').map(({ found }) => found)).toEqual([2, 13, 1, 11]);
  expect(events.filter(({ kind }) => kind === 'link')).toMatchObject([
    { found: 2, words: [0, 2, 1, 0] },
    { found: 13 },
    { found: 1, words: [0, 2, 0, 0] },
    { found: 11 },
  ]);
  expect(drawn(l, 2)).toBe(0);
  expect(pathPort(1)).not.toBe(pathPort(2));
});
