/*
 * BFD over UDP that nobody should send. From a neighbour's address to ours, on its interface: refused, counted, and
 * nothing else. From or to any other: the machine's kernel's, as if we watched nobody.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Instance } from '../support/instance.js';
import type { StateName } from '../support/sessions.js';
import type { Outcome } from '../support/tables.js';
import { carried, machineU, peering, peerings, said, type Wrong } from './peering.js';
import { bfd, heard, type Bfd } from './watched.js';

const refused: Outcome = { action: 'drop', reason: 'session_packet' };
const passed: Outcome = { action: 'pass' };

let u: Instance;
beforeAll(async () => {
  u = await Instance.start(machineU());
});
afterAll(() => u?.stop());
beforeEach(() => everyone('Up'));

function everyone(state: StateName): void {
  for (const one of peerings) u.sessions.write(one);
  u.sessions.reset();
  u.setClock(1_000_000_000_000n);
  for (const { id } of peerings) u.sessions.setState(id, state);
}

/** Arrives, comes to nothing, and leaves everything as it was. */
async function nothing(id: number, bytes: Buffer, wanted: Outcome, by?: number): Promise<void> {
  const before = u.sessions.snapshot();
  const counts = peerings.map((one) => u.sessions.heard(one.id).refused);
  expect(await u.run(by ?? peering(id).peer.ifindex, bytes), bytes.toString('hex')).toEqual(wanted);
  expect(u.sessions.snapshot()).toBe(before);
  expect(u.sessions.events()).toEqual([]);
  const own = wanted === refused ? id : 0;
  expect(peerings.map((one, i) => u.sessions.heard(one.id).refused - (counts[i] ?? 0))).toEqual(
    peerings.map((one) => (one.id === own ? 1 : 0)),
  );
}

describe.each(peerings)('$peer.remote by e$peer.ifindex, VLAN $peer.vlan', ({ id, peer }) => {
  const four = peer.local.includes('.');

  test('a router has passed it on: any TTL but 255', async () => {
    for (let ttl = 0; ttl < 255; ttl += ttl < 250 ? 17 : 1)
      await nothing(id, said(id, { state: 'Down' }, { ttl }), refused);
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
    { what: 'one bit off', fields: { your: (id * 100) ^ 1 } },
    { what: 'all ones', fields: { your: 0xffffffff } },
    { what: 'its own discriminator', fields: { your: id * 100 + 1 } },
    ...peerings
      .filter((one) => one.id !== id)
      .map((one) => ({
        what: `the discriminator of session ${one.id}`,
        fields: { your: one.discriminator },
      })),
  ];
  test.each(wrong)('$what', async ({ fields }) => {
    for (const state of ['Up', 'Init', 'Down', 'AdminDown'] as const) {
      everyone(state);
      await nothing(id, said(id, { state: 'Down', ...fields }), refused);
      await nothing(id, said(id, { state: 'Up', ...fields }), refused);
    }
  });

  test('a length that is not the packet’s', async () => {
    for (let length = 0; length < 256; length += length < 40 ? 1 : 27) {
      if (length !== 24) await nothing(id, said(id, { state: 'Down', length }), refused);
    }
  });

  test('more or less than a packet in UDP', async () => {
    const worst = bfd({ state: 'Down', my: 4711, your: id * 100 });
    for (let size = 0; size < 40; size++) {
      if (size === 24) continue;
      const content = Buffer.concat([worst, Buffer.alloc(16)]).subarray(0, size);
      await nothing(id, carried(id, content), refused);
    }
  });

  test('lengths of UDP and IP that contradict each other', async () => {
    for (const length of [0, 7, 8, 31, 33, 52, 0xffff])
      await nothing(id, said(id, { state: 'Down' }, { length }), refused);
  });

  test('a wrong checksum', async () => {
    await nothing(id, said(id, { state: 'Down' }, { checksum: 0x1234 }), refused);
    if (four) await nothing(id, said(id, { state: 'Down' }, { headerChecksum: 0x1234 }), refused);
    const bytes = said(id, { state: 'Down' });
    for (let at = bytes.length - 24; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      await nothing(id, flipped, refused);
    }
  });

  test('options, and the first of several fragments', async () => {
    if (!four) return;
    await nothing(id, said(id, { state: 'Down' }, { options: '94040000' }), refused);
    await nothing(id, said(id, { state: 'Down' }, { options: '01'.repeat(40) }), refused);
    await nothing(id, said(id, { state: 'Down' }, { fragment: 0x2000 }), refused);
  });

  test('cut off anywhere', async () => {
    const bytes = said(id, { state: 'Down' });
    for (let length = 14; length < bytes.length; length++) {
      const before = u.sessions.snapshot();
      const { action } = await u.run(peer.ifindex, bytes.subarray(0, length));
      expect(['drop', 'pass']).toContain(action);
      expect(u.sessions.snapshot()).toBe(before);
    }
  });

  const strangers: Array<{ what: string; wrong: Wrong; by?: number }> = [
    { what: 'another neighbour', wrong: { from: four ? '192.0.2.3' : 'fe80::3' } },
    { what: 'one bit of its address', wrong: { from: four ? '192.0.2.130' : '2001:db8::8000:2' } },
    { what: 'another address of ours', wrong: { to: four ? '192.0.2.9' : 'fe80::9' } },
    {
      what: 'of the other family',
      wrong: four ? { from: 'fe80::77', to: 'fe80::78' } : { from: '192.0.2.77', to: '192.0.2.78' },
    },
    { what: 'the addresses exchanged', wrong: { from: peer.local, to: peer.remote } },
    { what: 'another interface', wrong: {}, by: 4 },
    { what: 'another VLAN', wrong: { vlans: [{ id: 10 }] } },
    { what: 'VLAN 4095, which is none', wrong: { vlans: [{ id: 4095 }] } },
    { what: 'a provider’s tag', wrong: { vlans: [{ id: peer.vlan ?? 9, type: 0x88a8 }] } },
    { what: 'two tags', wrong: { vlans: [{ id: 9 }, { id: peer.vlan ?? 0 }] } },
    { what: 'echo (RFC 5881)', wrong: { port: 3785 } },
    { what: 'several hops (RFC 5883)', wrong: { port: 4784 } },
    { what: 'its own port only', wrong: { port: 9, source: 3784 } },
  ];
  test.each(strangers)('$what: the kernel’s', async ({ wrong: fields, by }) => {
    for (const ttl of [255, 1])
      await nothing(id, said(id, { state: 'Down' }, { ttl, ...fields }), passed, by);
  });

  test('a later fragment: the kernel’s', async () => {
    if (four) await nothing(id, said(id, { state: 'Down' }, { fragment: 1 }), passed);
  });

  test('a session that has ended: the kernel’s', async () => {
    u.sessions.write({ ...peering(id), discriminator: 0 });
    await nothing(id, said(id, { state: 'Down' }), passed);
  });

  test('a session in whose place is another’s: the kernel’s', async () => {
    const other = peerings.find((one) => one.id !== id) ?? peering(1);
    u.sessions.write({ ...peering(id), peer: { ...other.peer, ifindex: 4 } });
    await nothing(id, said(id, { state: 'Down' }), passed);
  });

  test('any change of any packet: heard, refused or passed, and others are left alone', async () => {
    const bytes = said(id, { state: 'Up' });
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 15), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
        everyone('Up');
        const changed = Buffer.from(bytes);
        changed[14 + at] = (changed[14 + at] ?? 0) ^ bits;
        const { action, reason } = await u.run(peer.ifindex, changed);
        expect([undefined, 'session_packet', heard.reason]).toContain(action === 'pass' ? undefined : reason);
        for (const one of peerings) {
          expect(u.sessions.state(one.id).state).toBe('Up');
          if (one.id !== id) expect(u.sessions.heard(one.id).packets).toBe(0n);
        }
      }),
      { numRuns: 60 },
    );
  });
});
