// Generic netlink against this kernel: what drivers can do for XDP, and answers that make no sense.
import { release } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setFeatures } from '../../native/lib/ethtool.js';
import { Payload, Writer } from '../../native/lib/netlink/attributes.js';
import { GenericNetlink, readFamily, readXdpFeatures } from '../../native/lib/netlink/generic.js';
import { failure, Places, type Place } from './netlink-fixtures.js';

const places = new Places('generic');
let place: Place;
let generic: GenericNetlink;
let a: number;

beforeAll(async () => {
  place = await places.make('a');
  generic = await GenericNetlink.open({ netns: place.path });
  const made = await place.netlink.addLink({
    kind: 'veth',
    name: 'a0',
    numQueues: 2,
    peer: { name: 'b0', numRxQueues: 1, numTxQueues: 2 },
  });
  a = made.index;
});

afterAll(async () => {
  generic.close();
  await places.remove();
});

const [major = 0, minor = 0] = release().split('.').map(Number);
const tells = major > 6 || (major === 6 && minor >= 3);

describe('what an interface’s driver can do for XDP', () => {
  it('is told, as it is set up now, by kernels that know it', async () => {
    if (!tells) {
      expect(await generic.xdpFeatures(a)).toBeUndefined();
      return;
    }
    expect(await generic.xdpFeatures(1)).toMatchObject({ basic: false, redirect: false, ndoXmit: false });
    expect(await generic.xdpFeatures(a)).toMatchObject({
      basic: true,
      redirect: true,
      rxSg: true,
      ndoXmit: false,
    });
    const b = (await place.netlink.link('b0'))?.index ?? 0;
    // its peer has more transmit queues than it has receive queues
    expect(await generic.xdpFeatures(b)).toMatchObject({ basic: false });
    await setFeatures({ netns: place.path, name: 'b0' }, { gro: true });
    for (const index of [a, b]) await place.netlink.setLink(index, { up: true });
    expect(await generic.xdpFeatures(a)).toMatchObject({ ndoXmit: true, ndoXmitSg: true });
  });

  it('is not told of an interface that is not there, in this namespace or at all', async () => {
    expect(await generic.xdpFeatures(999_999)).toBeUndefined();
    const elsewhere = await GenericNetlink.open();
    expect(await elsewhere.xdpFeatures(a)).toBeUndefined();
    elsewhere.close();
  });

  it('is asked many times at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => generic.xdpFeatures(i % 2 ? 1 : a)),
    );
    expect(new Set(answers.map((answer) => answer?.basic)).size).toBe(tells ? 2 : 1);
  });

  it('is refused for what is no index, and after the end', async () => {
    for (const bad of [0, -1, 1.5, 2 ** 31, '1', undefined]) {
      expect(await failure(generic.xdpFeatures(bad as never))).toMatchObject({ code: 'ERR_ARGUMENT' });
    }
    const short = await GenericNetlink.open();
    const asked = failure(short.xdpFeatures(1));
    short.close();
    expect(await asked).toMatchObject({ code: 'ERR_CLOSED' });
    expect(await failure(short.xdpFeatures(1))).toMatchObject({ code: 'ERR_CLOSED' });
    expect(await failure(GenericNetlink.open({ netns: '/nowhere' }))).toMatchObject({ code: 'ENOENT' });
  });
});

function payload(write: (writer: Writer) => void): Payload {
  const writer = new Writer();
  write(writer);
  return Payload.of(Uint8Array.from(writer.bytes));
}

describe('an answer', () => {
  it('is read as the kernel’s headers say', () => {
    expect(readFamily(payload((w) => w.u8(1).u8(2).u16(0).attributeString(2, 'x').attributeU16(1, 35)))).toBe(
      35,
    );
    const features = (bits: number): Payload =>
      payload((w) => w.u8(1).u8(1).u16(0).attributeBytes(3, [bits, 0, 0, 0, 0, 0, 0, 0]).attributeU32(1, 7));
    const names = ['basic', 'redirect', 'ndoXmit', 'xskZerocopy', 'hwOffload', 'rxSg', 'ndoXmitSg'];
    for (const [bit, name] of names.entries()) {
      const said = Object.entries(readXdpFeatures(features(1 << bit), 7));
      expect(said.filter(([, value]) => value)).toEqual([[name, true]]);
    }
  });

  it('that is about something else, or leaves out what was asked, is an error', () => {
    const bad = { code: 'EBADMSG' };
    const wrong: Array<() => unknown> = [
      () => readFamily(payload((w) => w.u8(2).u8(1).u16(0).attributeU16(1, 35))),
      () => readFamily(payload((w) => w.u8(1).u8(1).u16(0))),
      () => readFamily(payload((w) => w.u8(1).u8(1).u16(0).attributeU16(1, 3))),
      () => readFamily(payload((w) => w.u8(1))),
      () =>
        readXdpFeatures(
          payload((w) => w.u8(1).u8(1).u16(0).attributeU32(1, 7)),
          7,
        ),
      () =>
        readXdpFeatures(
          payload((w) => w.u8(1).u8(1).u16(0).attributeU32(3, 7).attributeU32(1, 7)),
          7,
        ),
      () =>
        readXdpFeatures(
          payload((w) => w.u32(1).attributeU32(1, 8).attributeBytes(3, new Uint8Array(8))),
          7,
        ),
    ];
    for (const read of wrong) expect(read).toThrow(expect.objectContaining(bad));
  });
});
