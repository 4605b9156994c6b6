/*
 * The build for frames in several buffers: what is behind the first one is carried, counted and summed like the rest.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { controlWord, ethernet, frame, ipv4, label as entry, payload, udp } from '../support/frames.js';
import { Instance } from '../support/instance.js';
import { cableHp, label, mac, machineP, outer, theirs, wireA, wireQ } from '../support/machine-p.js';
import type { Tables } from '../support/tables.js';
import { fromQ, innerFromM, outcome, same, station, toQ } from './cases.js';

const SIZE = 8000;
const ports = udp({ from: 1, to: 2 });

/** Machine P with room for large frames, and a tunnel to Q that asks for checksums. */
function large(): Tables {
  const tables = machineP();
  for (const hop of tables.hops) hop.room = 9214;
  for (const vif of tables.vifs) vif.mtu = vif.port ? 9200 : 9000;
  tables.tunnels = tables.tunnels.map((tunnel) => (tunnel.id === 1 ? { ...tunnel, checksum: true } : tunnel));
  return tables;
}

let p: Instance;
beforeAll(async () => {
  p = await Instance.start(large(), { jumbo: true });
});
afterAll(() => p?.stop());

test('encapsulated: the outer checksum counts all buffers', async () => {
  const got = await outcome(p, { what: '', at: cableHp, in: station('10.0.3.2', {}, ports, payload(SIZE)) });
  expect(got).toMatchObject({ action: 'redirect', ifindex: wireQ });
  const wanted = frame(
    ...toQ,
    entry({ label: theirs.infrastructureQ }),
    entry({ label: theirs.iptvToM }),
    controlWord(),
    ethernet({ from: mac.vif3, to: mac.farM }),
    ipv4({ from: '10.0.1.2', to: '10.0.3.2', ttl: 63 }),
    ports,
    payload(SIZE),
  );
  // same() checks the sum, then sets it aside
  expect(same(got.frame, wanted)).toBe('');
  expect(got.frame?.readUInt16BE(14 + 20 + 6)).not.toBe(0);
});

describe('off the labels', () => {
  const arriving = (checksum: 'computed' | number): Buffer =>
    frame(
      ethernet(),
      ipv4({ from: outer.q, to: outer.p }),
      udp({ from: 51000, to: 6635, checksum }),
      entry({ label: label.fromQ }),
      entry({ label: label.iptvFromM }),
      controlWord(),
      ethernet({ from: mac.farM, to: mac.vif3 }),
      ipv4({ from: '10.0.3.2', to: '10.0.1.2', ttl: 63 }),
      ports,
      payload(SIZE),
    );

  test('to a station', async () => {
    const got = await outcome(p, { what: '', at: wireQ, in: arriving('computed') });
    expect(got).toMatchObject({ action: 'redirect', ifindex: cableHp });
    const wanted = [
      ethernet({ from: mac.vif1, to: mac.hp }),
      ipv4({ from: '10.0.3.2', to: '10.0.1.2', ttl: 62 }),
    ];
    expect(same(got.frame, frame(...wanted, ports, payload(SIZE)))).toBe('');
  });

  test('a wrong byte behind the first buffer is a wrong checksum', async () => {
    const bytes = arriving('computed');
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    expect(await outcome(p, { what: '', at: wireQ, in: bytes })).toEqual({
      action: 'drop',
      reason: 'outer_checksum',
    });
  });

  test('an end cut off in a later buffer is a wrong length', async () => {
    const bytes = arriving('computed').subarray(0, 6000);
    expect(await outcome(p, { what: '', at: wireQ, in: bytes })).toEqual({
      action: 'drop',
      reason: 'outer_length',
    });
  });
});

test('swapped in transit', async () => {
  const tables = large();
  tables.tunnels = machineP().tunnels;
  const transit = await Instance.start(tables, { jumbo: true });
  try {
    const bytes = fromQ(
      entry({ label: label.fromQ }),
      entry({ label: label.transitQtoA, ttl: 9 }),
      controlWord(),
      ...innerFromM(),
      payload(SIZE),
    );
    const got = await outcome(transit, { what: '', at: wireQ, in: bytes });
    expect(got).toMatchObject({ action: 'redirect', ifindex: wireA });
    // an IPv6 outer header instead of an IPv4 one
    expect(got.frame?.length).toBe(bytes.length + 20);
    expect(got.frame?.subarray(-SIZE).equals(bytes.subarray(-SIZE))).toBe(true);
  } finally {
    transit.stop();
  }
});

test('too big for the next vif, and for the wire', async () => {
  const big = await outcome(p, { what: '', at: cableHp, in: station('10.0.3.2', {}, ports, payload(9000)) });
  expect(big).toMatchObject({ action: 'redirect', punt: 'too_big' });
  const narrow = large();
  for (const hop of narrow.hops) hop.room = 8050;
  const other = await Instance.start(narrow, { jumbo: true });
  try {
    const got = await outcome(other, {
      what: '',
      at: cableHp,
      in: station('10.0.3.2', {}, ports, payload(SIZE)),
    });
    expect(got).toEqual({ action: 'drop', reason: 'too_big' });
  } finally {
    other.stop();
  }
});
