/*
 * BFD that nobody should send: what is not for a session as RFC 5880 §6.8.6 has it changes nothing, of no session and of
 * no path, and is counted. The label context chooses the session, and its discriminator must match too.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Limit } from '../../gen/layout.js';
import { frame, payload } from '../support/frames.js';
import { Instance } from '../support/instance.js';
import type { StateName } from '../support/sessions.js';
import type { Outcome } from '../support/tables.js';
import {
  arrivalOf,
  arrivals,
  arriving,
  bfd,
  channel,
  control,
  heard,
  machineL,
  session,
  sessions,
  type Arrival,
  type Bfd,
} from './watched.js';

const refused: Outcome = { action: 'drop', reason: 'session_packet' };
const unknown: Outcome = { action: 'drop', reason: 'channel_unknown' };

let l: Instance;
beforeAll(async () => {
  l = await Instance.start(machineL());
});
afterAll(() => l?.stop());
beforeEach(() => everyone('Up'));

function everyone(state: StateName): void {
  l.sessions.reset();
  l.setClock(1_000_000_000_000n);
  for (const { id } of sessions) l.sessions.setState(id, state);
}

/** Arrives, comes to nothing, and leaves everything as it was. */
async function nothing(a: Arrival, below: Buffer, wanted: Outcome, ttl?: number): Promise<void> {
  const before = l.sessions.snapshot();
  const counts = sessions.map(({ id }) => l.sessions.heard(id).refused);
  expect(await l.run(a.at, arriving(a, below, ttl)), below.toString('hex')).toEqual(wanted);
  expect(l.sessions.snapshot()).toBe(before);
  expect(l.sessions.events()).toEqual([]);
  /* of the session itself, if it came that far */
  const own = wanted === refused ? a.session : 0;
  expect(sessions.map(({ id }, i) => l.sessions.heard(id).refused - (counts[i] ?? 0))).toEqual(
    sessions.map(({ id }) => (id === own ? 1 : 0)),
  );
}

/** It would take the path away, but for what is given. */
const worst = (id: number, b: Partial<Bfd> = {}): Buffer =>
  bfd({ state: 'Down', my: 4711, your: session(id).discriminator, ...b });
const inChannel = (bytes: Buffer, type = 7): Buffer => frame(channel(type), payload(bytes));

describe.each(arrivals)('by $what', (a) => {
  const id = a.session;

  test('a packet of any length', async () => {
    for (let length = 0; length <= 60; length++) {
      const below = Buffer.concat([worst(id), Buffer.alloc(40, 0xff)]).subarray(0, length);
      if (length < 24) await nothing(a, inChannel(below), refused);
      else {
        everyone('Up');
        expect(await l.run(a.at, arriving(a, inChannel(below)))).toEqual(heard);
        expect(l.sessions.state(id).state).toBe('Down');
        everyone('Up');
      }
    }
    /* not even all of the channel's header */
    for (let length = 0; length < 4; length++) {
      const { action, reason } = await l.run(a.at, arriving(a, inChannel(worst(id)).subarray(0, length)));
      expect([action, reason]).toEqual(['drop', 'truncated']);
    }
  });

  test('a length that is not the packet’s', async () => {
    for (let length = 0; length < 256; length++) {
      const below = Buffer.concat([worst(id, { length }), Buffer.alloc(8)]);
      if (length < 24 || length > 32) await nothing(a, inChannel(below), refused);
    }
  });

  const wrong: Array<{ what: string; fields: Partial<Bfd> }> = [
    ...[0, 2, 3, 4, 5, 6, 7].map((version) => ({ what: `version ${version}`, fields: { version } })),
    { what: 'multiplier 0', fields: { multiplier: 0 } },
    { what: 'no discriminator of its own', fields: { my: 0 } },
    { what: 'authentication, which no session uses', fields: { flags: 0x04 } },
    { what: 'multipoint', fields: { flags: 0x01 } },
    { what: 'all flags', fields: { flags: 0x3f } },
    { what: 'to no discriminator, in Init', fields: { state: 'Init', your: 0 } },
    { what: 'to no discriminator, in Up', fields: { state: 'Up', your: 0 } },
    { what: 'one bit off', fields: { your: (session(id).discriminator ^ 0x80000000) >>> 0 } },
    { what: 'bytes turned', fields: { your: (session(id).discriminator << 16) >>> 0 } },
    { what: 'all ones', fields: { your: 0xffffffff } },
    {
      what: 'the peer’s own discriminator',
      fields: { my: session(id).discriminator + 1, your: session(id).discriminator + 1 },
    },
    ...sessions
      .filter((s) => s.id !== id)
      .map((s) => ({ what: `the discriminator of session ${s.id}`, fields: { your: s.discriminator } })),
  ];
  test.each(wrong)('$what', async ({ fields }) => {
    for (const state of ['Up', 'Init', 'Down', 'AdminDown'] as const) {
      everyone(state);
      await nothing(a, inChannel(worst(id, fields)), refused);
      await nothing(a, inChannel(worst(id, { state: 'Up', ...fields })), refused);
    }
  });

  test('TTL 0', async () => {
    await nothing(a, inChannel(worst(id)), { action: 'drop', reason: 'label_ttl' }, 0);
  });

  test('any other channel', async () => {
    const types = new Set([0xffff, 0x7ff8, 0x7fff, 0x21, 0x57, 0x0700, 0x0807, 0x8007]);
    for (let type = 0; type < 40; type++) types.add(type);
    for (let bit = 0; bit < 16; bit++)
      types
        .add(1 << bit)
        .add(7 | (1 << bit))
        .add(7 ^ (1 << bit));
    types.delete(7);
    types.delete(Limit.LIMIT_CHANNEL_MEASURE);
    for (const type of types) await nothing(a, inChannel(worst(id), type), unknown);
  });

  test('the right packet right below the label, or with another first nibble', async () => {
    for (let nibble = 2; nibble < 16; nibble++) {
      const below = inChannel(worst(id));
      below[0] = nibble << 4;
      await nothing(a, below, { action: 'drop', reason: 'control_word' });
    }
    const { action } = await l.run(a.at, arriving(a, worst(id)));
    expect(action).toBe('drop');
  });

  test('random bytes: a session moves only by a packet that is one, and is its own', async () => {
    const { discriminator } = session(id);
    const byte = fc.nat(255);
    const near = fc.record({
      version: fc.constantFrom(1, 1, 1, 1, 0, 2, 7),
      state: fc.constantFrom<StateName>('AdminDown', 'Down', 'Init', 'Up'),
      flags: fc.constantFrom(0, 0, 0, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01),
      multiplier: fc.constantFrom(0, 1, 3, 255),
      length: fc.constantFrom(24, 24, 24, 23, 25, 0, 255),
      my: fc.constantFrom(0, 1, 0xffffffff),
      your: fc.constantFrom(0, discriminator, discriminator, session((id % 7) + 1).discriminator),
      diagnostic: fc.nat(31),
    });
    const noise = fc.uint8Array({ minLength: 0, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          { weight: 3, arbitrary: near.map(bfd) },
          noise.map((bytes) => Buffer.from(bytes)),
        ),
        fc.option(fc.tuple(fc.nat(23), byte), { nil: undefined }),
        fc.constantFrom<StateName>('AdminDown', 'Down', 'Init', 'Up'),
        async (bytes, turn, own) => {
          everyone(own);
          if (turn && turn[0] < bytes.length) bytes[turn[0]] = turn[1];
          if (!acceptable(bytes, discriminator) || own === 'AdminDown')
            return nothing(a, inChannel(bytes), refused);
          const others = sessions.filter((s) => s.id !== id);
          const before = others.map((s) =>
            JSON.stringify([l.sessions.state(s.id).word, l.sessions.link(s.vif).lost]),
          );
          expect(await l.run(a.at, arriving(a, inChannel(bytes)))).toEqual(heard);
          expect(l.sessions.heard(id)).toMatchObject({ packets: 1n, refused: 0, multiplier: bytes[2] });
          const after = others.map((s) =>
            JSON.stringify([l.sessions.state(s.id).word, l.sessions.link(s.vif).lost]),
          );
          expect(after).toEqual(before);
        },
      ),
      { numRuns: 60, endOnFailure: true },
    );
  });
});

/** RFC 5880 §6.8.6, up to where the session is found; no session here has authentication. */
function acceptable(bytes: Buffer, discriminator: number): boolean {
  if (bytes.length < 24) return false;
  const [first = 0, second = 0, multiplier = 0, length = 0] = bytes;
  if (first >> 5 !== 1 || length < 24 || length > bytes.length || multiplier === 0) return false;
  if (second & 0x05 || bytes.readUInt32BE(4) === 0) return false;
  const your = bytes.readUInt32BE(8);
  return your === discriminator || (your === 0 && second >> 6 < 2);
}

test('the right packet in any other context is not the session’s', async () => {
  for (const { id } of sessions) {
    for (const a of arrivals.filter((other) => other.session !== id)) {
      everyone('Up');
      await nothing(a, inChannel(worst(id)), refused);
    }
  }
});

test('to a link that nobody watches, and to one that was watched', async () => {
  const tables = machineL();
  const bare = await Instance.start({ ...tables, sessions: [] });
  try {
    for (const a of arrivals)
      expect(await bare.run(a.at, arriving(a, inChannel(worst(a.session))))).toEqual(unknown);
  } finally {
    bare.stop();
  }
  /* its label still leads to an element, but that serves another by now */
  l.sessions.write({ ...session(7), label: 2999 });
  await nothing(arrivalOf(7), inChannel(worst(7)), unknown);
  l.sessions.write(session(7));
  expect(await l.run(2, arriving(arrivalOf(7), inChannel(worst(7))))).toEqual(heard);
});

test('a control packet without a channel reaches its session by no port', async () => {
  const before = l.sessions.snapshot();
  for (const at of [2, 3, 4, 5, 6, 7, 14]) await l.run(at, control({ state: 'Down', my: 1, your: 100 }));
  for (const at of [9, 11, 12, 13])
    await l.run(at, control({ state: 'Down', my: 1, your: 100 }), { fromKernel: true });
  expect(l.sessions.snapshot()).toBe(before);
});
