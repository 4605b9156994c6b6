/*
 * BFD of one hop over UDP (RFC 5881): a neighbour on the underlay comes up, fails, is told so; what is for another BFD
 * speaker of this machine is that one's; and a tunnel leaves the way by a neighbour that is gone in the same run.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { difference, ethernet, frame, ipv4, payload, udp } from '../support/frames.js';
import { Instance } from '../support/instance.js';
import type { Outcome } from '../support/tables.js';
import { carried, headers, leaving, mac, machineU, peering, peerings, said, type Wrong } from './peering.js';
import { bfd, control, heard, senderFrame, type Bfd } from './watched.js';

const start = 1_000_000_000_000n;
const ms = 1_000_000n;
const refused: Outcome = { action: 'drop', reason: 'session_packet' };
const senderPort = 14;

let u: Instance;
let now = start;
beforeAll(async () => {
  u = await Instance.start(machineU());
  for (const { id, peer } of peerings) u.writeHeaders(10 + id, peer.ifindex, headers(id));
});
afterAll(() => u?.stop());
beforeEach(() => {
  for (const one of peerings) u.sessions.write(one);
  u.sessions.reset();
  at(0n);
});

function at(time: bigint): void {
  now = start + time;
  u.setClock(now);
}

const hear = (id: number, b: Bfd, wrong?: Wrong): Promise<Outcome> =>
  u.run(peering(id).peer.ifindex, said(id, b, wrong));

async function bringUp(...ids: number[]): Promise<void> {
  await u.sweep();
  for (const id of ids) {
    expect(await hear(id, { state: 'Down', your: 0 })).toEqual(heard);
    expect(await hear(id, { state: 'Up' })).toEqual(heard);
    expect(u.sessions.state(id)).toMatchObject({ state: 'Up', diagnostic: 0 });
  }
  await u.sweep();
  u.sessions.events();
}

describe.each(peerings)('$peer.remote by e$peer.ifindex, VLAN $peer.vlan', ({ id, peer }) => {
  test('from nothing to Up, silent for the detection time, and back', async () => {
    await u.sweep();
    expect(u.sessions.state(id).state).toBe('Down');
    /* nobody is cut off because BFD was switched on */
    expect(u.sessions.peerDown(id)).toBe(false);
    await bringUp(id);
    for (const other of peerings.filter((one) => one.id !== id)) {
      expect(u.sessions.heard(other.id).packets).toBe(0n);
    }
    at(30n * ms);
    await u.sweep();
    expect(u.sessions.peerDown(id)).toBe(false);
    at(30n * ms + 1n);
    await u.sweep();
    expect(u.sessions.state(id)).toMatchObject({ state: 'Down', diagnostic: 1, failures: 1 });
    expect(u.sessions.peerDown(id)).toBe(true);
    const told = u.sessions.events();
    expect(told).toContainEqual(expect.objectContaining({ session: id, vif: 0, link: 1 }));
    /* Down and Init are not Up */
    await hear(id, { state: 'Down', your: 0 });
    await u.sweep();
    expect(u.sessions.peerDown(id)).toBe(true);
    await hear(id, { state: 'Init' });
    expect(u.sessions.state(id).state).toBe('Up');
    await u.sweep();
    expect(u.sessions.peerDown(id)).toBe(false);
    expect(u.sessions.events()).toContainEqual(expect.objectContaining({ session: id, vif: 0, link: 0 }));
  });

  test('its word Down is failure in the same run; AdminDown is none', async () => {
    await bringUp(id);
    expect(await hear(id, { state: 'AdminDown', diagnostic: 7 })).toEqual(heard);
    expect(u.sessions.state(id)).toMatchObject({ state: 'Down', diagnostic: 3 });
    await u.sweep();
    expect(u.sessions.peerDown(id)).toBe(false);
    await bringUp(id);
    expect(await hear(id, { state: 'Down', diagnostic: 1 })).toEqual(heard);
    expect(u.sessions.peerDown(id)).toBe(true);
  });

  test('ours held down: nothing is heard, and nothing is failed', async () => {
    await bringUp(id);
    u.sessions.write({ ...peering(id), adminDown: true });
    await u.sweep();
    expect(u.sessions.state(id)).toMatchObject({ state: 'AdminDown', diagnostic: 7 });
    expect(await hear(id, { state: 'Up' })).toEqual(refused);
    expect(u.sessions.peerDown(id)).toBe(false);
    u.sessions.write(peering(id));
    await bringUp(id);
    expect(u.sessions.peerDown(id)).toBe(false);
  });

  test('a packet of ours, byte for byte', async () => {
    const packet = bfd({ state: 'Up', my: id * 100, your: id * 100 + 1 });
    const handed = senderFrame(
      id,
      id * 100,
      Buffer.concat([control({ state: 'Up' }).subarray(0, 4), packet]),
    );
    const { frame: out, ...facts } = await u.run(senderPort, handed, { fromSender: true });
    expect(facts).toEqual({ action: 'redirect', ifindex: peer.ifindex });
    expect(difference(out ?? handed, leaving(id, packet))).toBe('');
  });

  test('the checksum of IPv4 may be left out, of IPv6 not', async () => {
    const four = peer.local.includes('.');
    await u.sweep();
    expect(await hear(id, { state: 'Down', your: 0 }, { checksum: 0 })).toEqual(four ? heard : refused);
  });

  test('any source port', async () => {
    await u.sweep();
    for (const source of [1, 3784, 32768, 49151, 49152, 65535])
      expect(await hear(id, { state: 'Down', your: 0 }, { source })).toEqual(heard);
  });

  test('with a priority and no VLAN: as without a tag', async () => {
    await u.sweep();
    const untagged = peer.vlan === undefined;
    const before = u.sessions.heard(id).packets;
    await hear(id, { state: 'Down', your: 0 }, { vlans: [{ id: 0xe000 }] });
    expect(u.sessions.heard(id).packets - before).toBe(untagged ? 1n : 0n);
  });

  test('padded to the shortest frame of Ethernet, and beyond', async () => {
    const whole = said(id, { state: 'Down', your: 0 });
    await u.sweep();
    const padded = Buffer.concat([whole, Buffer.alloc(20, 0xff)]);
    expect(await u.run(peer.ifindex, padded)).toEqual(heard);
    /* which makes no packet longer */
    const longer = carried(id, bfd({ state: 'Down', my: 1, length: 28 }));
    expect(await u.run(peer.ifindex, Buffer.concat([longer, Buffer.alloc(20)]))).toEqual(refused);
  });
});

describe('frames of the sender that are none', () => {
  const up = control({ state: 'Up', my: 100, your: 101 });
  test.each([0, 4, 27, 29, 60, 1400])('%i bytes behind the header', async (size) => {
    const handed = senderFrame(1, 100, Buffer.concat([up, Buffer.alloc(1400)]).subarray(0, size));
    expect(await u.run(senderPort, handed, { fromSender: true })).toEqual({
      action: 'drop',
      reason: 'channel_frame',
    });
  });

  test('for a neighbour whose MAC address is not known', async () => {
    u.sessions.write({ ...peering(1), peer: { ...peering(1).peer, hop: 0 } });
    expect(await u.run(senderPort, senderFrame(1, 100, up), { fromSender: true })).toEqual({
      action: 'drop',
      reason: 'wire_unresolved',
    });
  });

  test('for a session that watches neither a path nor a neighbour', async () => {
    u.sessions.write({ ...peering(1), peer: { ...peering(1).peer, ifindex: 0 } });
    expect(await u.run(senderPort, senderFrame(1, 100, up), { fromSender: true })).toEqual({
      action: 'drop',
      reason: 'channel_frame',
    });
  });
});

describe('the ways of a tunnel', () => {
  const flows = Array.from({ length: 48 }, (_, i) => i + 1);
  const data = (flow: number): Buffer =>
    frame(
      ethernet({ from: mac.station, to: mac.vif1 }),
      ipv4({ from: '10.0.1.2', to: `10.0.3.${flow}` }),
      udp({ from: flow, to: 9 }),
      payload(26),
    );
  /** By which interface each leaves. */
  async function spread(): Promise<number[]> {
    const found: number[] = [];
    for (const flow of flows) {
      const { action, ifindex } = await u.run(6, data(flow));
      expect(action).toBe('redirect');
      found.push(ifindex ?? 0);
    }
    return found;
  }

  test('by a neighbour that is gone are left in the run that notices, and taken again', async () => {
    await bringUp(1, 5);
    const before = await spread();
    expect(new Set(before)).toEqual(new Set([2, 3]));
    await hear(1, { state: 'Down' });
    expect(new Set(await spread())).toEqual(new Set([3]));
    await bringUp(1);
    expect(await spread()).toEqual(before);
    await hear(5, { state: 'Down' });
    expect(new Set(await spread())).toEqual(new Set([2]));
    /* with none left, it may be the watching that has failed */
    await hear(1, { state: 'Down' });
    expect(await spread()).toEqual(before);
  });

  test('by a neighbour that was never heard are as good as any', async () => {
    await bringUp(5);
    expect(u.sessions.state(1).state).toBe('Down');
    const before = await spread();
    expect(new Set(before)).toEqual(new Set([2, 3]));
    await hear(1, { state: 'Down', your: 0 });
    expect(u.sessions.state(1).state).toBe('Init');
    at(10_000n * ms);
    await hear(5, { state: 'Up' });
    await u.sweep();
    expect(u.sessions.state(1)).toMatchObject({ state: 'Down', diagnostic: 1 });
    expect(await spread()).toEqual(before);
  });
});
