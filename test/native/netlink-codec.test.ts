// The bytes of netlink, without a kernel: text and bytes of addresses, messages written and
// read back, and whatever a hostile or broken sender might write.
import { isIPv6 } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BpfError } from '../../native/lib/error.js';
import { readAddress, writeAddress } from '../../native/lib/netlink/address.js';
import { eachMessage, Payload, Writer, type Message } from '../../native/lib/netlink/attributes.js';
import { refusal } from '../../native/lib/netlink/answers.js';
import { Descriptors } from '../../native/lib/netlink/check.js';
import { readFamily, readXdpFeatures } from '../../native/lib/netlink/generic.js';
import { readEvent } from '../../native/lib/netlink/events.js';
import { writeLinkSpec } from '../../native/lib/netlink/link-create.js';
import { readLink } from '../../native/lib/netlink/link.js';
import { readMulticastReport, readMulticastRoute } from '../../native/lib/netlink/multicast-route.js';
import { readNeighbour, writeNeighbour } from '../../native/lib/netlink/neighbour.js';
import { readRoute, writeRoute } from '../../native/lib/netlink/route.js';
import type { RouteSpec } from '../../native/lib/netlink/route-types.js';
import {
  formatAddress,
  formatLinkAddress,
  parseAddress,
  parseLinkAddress,
  parsePrefix,
} from '../../native/lib/netlink/text.js';

const bytesOf = (text: string): number[] => Array.from(parseAddress(text, 'test', 'address').bytes);

const byteArray = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const sparse = (length: number): fc.Arbitrary<Uint8Array> =>
  fc
    .array(fc.oneof(fc.constant(0), fc.constant(0), fc.nat(255)), { minLength: length, maxLength: length })
    .map((list) => Uint8Array.from(list));

describe('addresses as text', () => {
  it.each([
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['0:0:0:1::', '0:0:0:1::'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::192.0.2.1', '::c000:201'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is written %s (RFC 5952)', (text, written) => {
    expect(formatAddress(Uint8Array.from(bytesOf(text)))).toBe(written);
  });

  it('are read back as they were written', () => {
    fc.assert(
      fc.property(fc.oneof(byteArray(4), byteArray(16), sparse(16)), (bytes) => {
        const text = formatAddress(bytes) ?? '';
        expect(bytesOf(text)).toEqual(Array.from(bytes));
        expect(isIPv6(text)).toBe(bytes.length === 16);
      }),
    );
  });

  it.each(['', '1.2.3', '1.2.3.4.5', '256.1.1.1', 'fe80::1%lo', ':::', '1::2::3', 'x', null, 7, undefined])(
    '%j is none',
    (text) => {
      expect(() => parseAddress(text, 'addRoute', 'gateway')).toThrow(
        expect.objectContaining({ code: 'ERR_ARGUMENT', operation: 'addRoute' }),
      );
    },
  );

  it.each(['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '/8', '10.0.0.0/-1', '10.0.0.0/8 ', 8])(
    '%j is no prefix',
    (text) => {
      expect(() => parsePrefix(text, 'addRoute', 'destination')).toThrow(
        expect.objectContaining({ code: 'ERR_ARGUMENT' }),
      );
    },
  );

  it('of the link layer are read back as they were written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 32 }), (bytes) => {
        expect(Array.from(parseLinkAddress(formatLinkAddress(bytes), 'test', 'lladdr'))).toEqual(
          Array.from(bytes),
        );
      }),
    );
    for (const bad of ['', '0:1', '02-00-00-00-00-01', '02:00:00:00:00:0g', `${'00:'.repeat(32)}00`]) {
      expect(() => parseLinkAddress(bad, 'test', 'lladdr')).toThrow(
        expect.objectContaining({ code: 'ERR_ARGUMENT' }),
      );
    }
  });
});

/** One message as bytes, and read again. */
function message(type: number, write: (writer: Writer) => void, flags = 0): Buffer {
  const writer = new Writer(16);
  write(writer.begin(type, flags));
  writer.end(1);
  return Buffer.from(writer.bytes);
}

function bodyOf(bytes: Uint8Array): Payload {
  let found: Payload | undefined;
  eachMessage(bytes, (read) => {
    found = read.payload;
  });
  if (found === undefined) throw new Error('no message');
  return found;
}

const address4 = byteArray(4).map((bytes) => formatAddress(bytes) ?? '');
const address6 = fc.oneof(byteArray(16), sparse(16)).map((bytes) => formatAddress(bytes) ?? '');
const index = fc.integer({ min: 1, max: 0x7fffffff });

function routeSpec(
  family: 4 | 6,
): fc.Arbitrary<Required<Pick<RouteSpec, 'destination' | 'nextHops'>> & RouteSpec> {
  const hop = fc.record(
    {
      index,
      gateway: family === 4 ? fc.oneof(address4, address6) : address6,
      weight: fc.integer({ min: 1, max: 256 }),
      onlink: fc.boolean(),
    },
    { requiredKeys: ['index', 'weight'] },
  );
  return fc.record(
    {
      destination: fc
        .tuple(family === 4 ? address4 : address6, fc.integer({ min: 1, max: family === 4 ? 32 : 128 }))
        .map(([text, length]) => `${text}/${length}`),
      table: fc.integer({ min: 1, max: 0xffffffff }),
      protocol: fc.nat(255),
      metric: fc.nat(0xffffffff),
      source: family === 4 ? address4 : address6,
      nextHops: fc.array(hop, { maxLength: 5 }),
      metrics: fc.record({ mtu: fc.nat(0xffffffff), hopLimit: fc.nat(255) }, { requiredKeys: [] }),
    },
    { requiredKeys: ['destination', 'nextHops'] },
  ) as never;
}

describe('messages', () => {
  it('about routes are read back as they were written', () => {
    fc.assert(
      fc.property(fc.oneof(routeSpec(4), routeSpec(6)), (spec) => {
        const route = readRoute(bodyOf(message(24, (writer) => writeRoute(writer, spec, 'addRoute'))));
        expect(route).toMatchObject({
          destination: spec.destination,
          table: spec.table ?? 254,
          protocol: spec.protocol ?? 4,
          metric: spec.metric ?? 0,
          type: 'unicast',
        });
        expect(route?.source).toBe(spec.source);
        expect(route?.metrics ?? {}).toEqual(spec.metrics ?? {});
        expect(route?.nextHops.map(({ index, gateway, weight }) => ({ index, gateway, weight }))).toEqual(
          spec.nextHops.map(({ index, gateway, weight }) => ({ index, gateway, weight })),
        );
        expect(route?.nextHops.map(({ flags }) => flags)).toEqual(
          spec.nextHops.map(({ onlink }) => (onlink === true ? 4 : 0)),
        );
      }),
    );
  });

  it('about addresses and neighbours are read back as they were written', () => {
    fc.assert(
      fc.property(fc.oneof(address4, address6), index, fc.nat(32), (address, at, prefixLength) => {
        const spec = { index: at, address, prefixLength, noDad: true };
        const read = readAddress(bodyOf(message(20, (writer) => writeAddress(writer, spec, 'addAddress'))));
        expect(read).toMatchObject({ index: at, address, prefixLength, flags: 2 });
        const near = { index: at, address, lladdr: '02:00:00:00:00:07', managed: true, externLearned: true };
        expect(
          readNeighbour(bodyOf(message(28, (writer) => writeNeighbour(writer, near, 'replaceNeighbour')))),
        ).toMatchObject({ ...near, state: 'permanent' });
      }),
    );
  });

  it('about links are read with what is nested in them', () => {
    expect(
      genuine.map((bytes) => readLink(bodyOf(bytes))).find((link) => link?.kind === 'vlan'),
    ).toMatchObject({
      name: 'a0',
      kind: 'vlan',
      vlanId: 5,
      xdp: { mode: 'native', programId: 9 },
      alternativeNames: ['other'],
    });
  });

  it('stand one behind the other, each in its place', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), (bodies) => {
        const writer = new Writer(16);
        bodies.forEach((body, i) => {
          writer.begin(100 + i, 0).attributeBytes(7, body);
          writer.end(i);
        });
        const read: Array<[number, number, number[]]> = [];
        eachMessage(writer.bytes, ({ type, sequence, payload }) => {
          payload.attributes(0, (attribute, value) => {
            expect(attribute).toBe(7);
            read.push([type, sequence, Array.from(value.bytes())]);
          });
        });
        expect(read).toEqual(bodies.map((body, i) => [100 + i, i, Array.from(body)]));
      }),
    );
  });

  it('too long for an attribute are refused before they are sent', () => {
    const write = (): Writer => new Writer().begin(1, 0).attributeBytes(1, new Uint8Array(70_000));
    expect(write).toThrow(expect.objectContaining({ code: 'EBADMSG' }));
    const nextHops = Array.from({ length: 5000 }, () => ({ index: 1, gateway: '10.0.0.1' }));
    expect(() =>
      message(24, (writer) => writeRoute(writer, { destination: '10.0.0.0/8', nextHops }, 'addRoute')),
    ).toThrow(expect.objectContaining({ code: 'EBADMSG' }));
  });
});

const readers: Record<string, (payload: Payload) => unknown> = {
  link: (payload) => readLink(payload, true),
  address: readAddress,
  neighbour: readNeighbour,
  route: (payload) => readRoute(payload, true),
  multicastRoute: readMulticastRoute,
  multicastReport: readMulticastReport,
  family: readFamily,
  xdpFeatures: (payload) => readXdpFeatures(payload, 7),
};

/** It may understand or refuse, but not fail in any other way. */
function harmless(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(BpfError);
    expect((error as BpfError).code).toBe('EBADMSG');
  }
}

// A message of each kind with as much in it as the writers can put there.
const genuine: Buffer[] = [
  message(16, (writer) => {
    writer.u8(1).u8(2).u16(0).attributeU16(1, 35).attributeString(2, 'netdev').attributeU32(3, 1);
  }),
  message(35, (writer) => {
    writer.u8(1).u8(1).u16(0).attributeU32(1, 7).attributeBytes(3, [0x67, 0, 0, 0, 0, 0, 0, 0]);
  }),
  message(24, (writer) =>
    writeRoute(
      writer,
      {
        destination: '10.1.0.0/16',
        table: 1000,
        metrics: { mtu: 1400 },
        nextHops: [
          { index: 1, gateway: '10.0.0.1' },
          { index: 2, gateway: 'fd00::1', weight: 7 },
        ],
      },
      'addRoute',
    ),
  ),
  message(24, (writer) => {
    writer.u8(128).u8(32).u8(32).u8(0).u8(254).u8(17).u8(0).u8(5).u32(0);
    writer.attributeBytes(2, bytesOf('10.0.0.1')).attributeBytes(1, bytesOf('239.1.1.1')).attributeU32(3, 2);
    writer.nest(9, () => writer.element(() => writer.u8(0).u8(1).u32(3)));
    writer.attributeBytes(17, new Uint8Array(24));
  }),
  message(96, (writer) => {
    writer.u32(128).attributeU8(1, 1).attributeU32(2, 3).attributeBytes(3, bytesOf('10.0.0.1'));
    writer.attributeBytes(4, bytesOf('239.1.1.1')).attributeBytes(5, new Uint8Array(28)).attributeU32(6, 254);
  }),
  message(20, (writer) =>
    writeAddress(writer, { index: 1, address: '10.0.0.1', prefixLength: 24, label: 'x' }, 'addAddress'),
  ),
  message(28, (writer) =>
    writeNeighbour(
      writer,
      { index: 1, address: 'fd00::1', lladdr: '02:00:00:00:00:01', managed: true },
      'addNeighbour',
    ),
  ),
  message(16, (writer) =>
    writeLinkSpec(
      writer,
      { kind: 'veth', name: 'a0', mtu: 1600, peer: { name: 'b0' } },
      'addLink',
      new Descriptors(),
    ),
  ),
  message(16, (writer) => {
    writer.zeros(16).attributeString(3, 'a0').attributeBytes(23, new Uint8Array(200));
    writer.nest(43, () => writer.attributeU8(2, 1).attributeU32(4, 9).attributeU32(5, 9));
    writer.nest(18, () => writer.attributeString(1, 'vlan').nest(2, () => writer.attributeU16(1, 5)));
    writer.nest(52, () => writer.attributeString(53, 'other'));
  }),
  message(
    2,
    (writer) =>
      writer
        .u32(-22 >>> 0)
        .zeros(16)
        .attributeString(1, 'no'),
    0x300,
  ),
];

function readAll(bytes: Uint8Array): void {
  const seen: Message[] = [];
  harmless(() => eachMessage(bytes, (read) => seen.push(read)));
  for (const read of seen) {
    harmless(() => readEvent(read));
    harmless(() => refusal('test', '', read));
    for (const reader of Object.values(readers)) harmless(() => reader(read.payload));
  }
}

describe('what makes no sense', () => {
  it('is a typed error, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(255), (bytes, family) => {
        for (const reader of Object.values(readers)) {
          harmless(() => reader(Payload.of(bytes)));
          const known = Uint8Array.from(bytes);
          if (known.length > 0) known[0] = [0, 2, 10, 128, 129][family % 5] ?? 0;
          harmless(() => reader(Payload.of(known)));
        }
        readAll(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it('is a typed error, wherever a genuine message is cut off', () => {
    for (const bytes of genuine) {
      for (let length = 0; length <= bytes.length; length++) {
        readAll(bytes.subarray(0, length));
        // Cut off, with a header that says so.
        const shorter = Buffer.from(bytes.subarray(0, Math.max(length, 16)));
        shorter.writeUInt32LE(shorter.length, 0);
        readAll(shorter);
      }
    }
  });

  it('is a typed error, whatever length, type or byte is changed', () => {
    const change = fc.record({
      at: fc.nat(4000),
      value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 3, 4, 255)),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...genuine),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (bytes, changes) => {
          const changed = Buffer.from(bytes);
          for (const { at, value } of changes) changed[at % changed.length] = value;
          readAll(changed);
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('is not believed about its length: nothing behind the message is read', () => {
    const bytes = Buffer.concat([message(24, (writer) => writer.zeros(12)), Buffer.alloc(64, 0xff)]);
    const inside = bodyOf(bytes.subarray(0, 28));
    expect(inside.length).toBe(12);
    expect(() => inside.u32(12)).toThrow(expect.objectContaining({ code: 'EBADMSG' }));
    expect(() => inside.bytes(8, 5)).toThrow(expect.objectContaining({ code: 'EBADMSG' }));
    expect(() => inside.slice(13)).toThrow(expect.objectContaining({ code: 'EBADMSG' }));
    expect(() => inside.u8(-1)).toThrow(expect.objectContaining({ code: 'EBADMSG' }));
  });
});
