/*
 * 1+1 as user space has it: by which interfaces copies may leave, and what is known of those that arrive.
 */
import { spawnSync } from 'node:child_process';
import { afterEach, expect, it } from 'vitest';
import { DevicePairKey, Merge } from '../../gen/layout.js';
import { BpfMap } from '../../native/lib/index.js';
import { PortRole } from '../../src/dataplane/index.js';
import { openPlane, pinFolder } from './support.js';

function run(...args: string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

const name = `cabernet-test-copies-${process.pid}`;
afterEach(() => {
  spawnSync('ip', ['netns', 'delete', name]);
});

/** Interfaces 10 to 13, in pairs. */
function namespace(): string {
  run('netns', 'add', name);
  for (const [a, b] of [
    [10, 11],
    [12, 13],
  ] as const) {
    const peer = ['peer', 'name', `v${b}`, 'index', String(b)];
    run('-n', name, 'link', 'add', `v${a}`, 'index', String(a), 'type', 'veth', ...peer);
  }
  return `/run/netns/${name}`;
}

const key = (id: number): Buffer => Buffer.from(Uint32Array.of(id).buffer);

/** `low-high` of each, with the interfaces of its entries and the egress program that they carry. */
function pairs(pinDir: string): { names: string[]; programs: number[] } {
  const map = BpfMap.openPinned(`${pinDir}/maps/device_pairs`);
  try {
    const found: { name: string; programs: number[] }[] = [];
    for (const [of, inner] of map.entries()) {
      const { low, high } = DevicePairKey.decode(of);
      const devices = BpfMap.openId(inner.readUInt32LE());
      const entries = [0, 1].map((i) => devices.lookup(key(i)) ?? Buffer.alloc(8));
      devices.close();
      expect(entries.map((entry) => entry.readUInt32LE(0))).toEqual([low, high]);
      found.push({ name: `${low}-${high}`, programs: entries.map((entry) => entry.readUInt32LE(4)) });
    }
    return {
      names: found.map((one) => one.name).toSorted(),
      programs: [...new Set(found.flatMap(({ programs }) => programs))],
    };
  } finally {
    map.close();
  }
}

it('copies leave by any two wires, by this start’s egress program, and by no other interface', async () => {
  const netns = namespace();
  const pinDir = pinFolder();
  const plane = await openPlane({ pinDir, netns });
  for (const wire of [10, 12]) {
    plane.setPort(wire, { role: PortRole.PORT_UNDERLAY });
    await plane.setDevice(wire);
  }
  plane.setPort(13, { role: PortRole.PORT_ACCESS });
  await plane.setDevice(13);
  const first = pairs(pinDir);
  expect(first.names).toEqual(['10-10', '10-12', '12-12']);
  expect(first.programs).toHaveLength(1);
  await plane.close();

  const next = await openPlane({ pinDir, netns });
  expect(next.adopted).toBe(true);
  const adopted = pairs(pinDir);
  expect(adopted.names).toEqual(first.names);
  expect(adopted.programs).toHaveLength(1);
  expect(adopted.programs).not.toEqual(first.programs);
  // one that was not there at the earlier start pairs with those that were
  next.setPort(11, { role: PortRole.PORT_UNDERLAY });
  await next.setDevice(11);
  expect(pairs(pinDir).names).toEqual(['10-10', '10-11', '10-12', '11-11', '11-12', '12-12']);
  await next.clearDevice(10);
  expect(pairs(pinDir).names).toEqual(['11-11', '11-12', '12-12']);
});

it('a window is opened once, keeps what it knows, and goes with its vif', async () => {
  const pinDir = pinFolder();
  const plane = await openPlane({ pinDir });
  const vif = plane.allocate('vif');
  const windows = BpfMap.openPinned(`${pinDir}/maps/merges`);
  try {
    expect(plane.merges.isOpen(vif)).toBe(false);
    plane.merges.open(vif);
    const known = Buffer.alloc(Merge.size, 7);
    windows.update(key(vif), known);
    plane.merges.open(vif);
    expect(windows.lookup(key(vif))).toEqual(known);
    expect(plane.merges.count(vif)).toEqual({ merged: 0n, duplicates: 0n, late: 0n, resets: 0n });
    plane.release('vif', vif);
    await plane.grace();
    expect(plane.merges.isOpen(vif)).toBe(false);
  } finally {
    windows.close();
  }
});

it('what the programs have drawn is not written back by whoever writes a link', async () => {
  const pinDir = pinFolder();
  const plane = await openPlane({ pinDir });
  const vif = plane.allocate('vif');
  expect(plane.links.exchange(vif, 'number', 0, 77)).toBe(0);
  expect(plane.links.exchange(vif, 'number', 0, 99)).toBe(77);
  plane.links.increment(vif, 'number');
  plane.links.write(vif, { kind: 2, avoid: 1, number: 5 });
  expect(plane.links.read(vif)).toMatchObject({ kind: 2, avoid: 1, number: 78 });
  // another vif's numbers begin elsewhere
  plane.release('vif', vif);
  await plane.grace();
  const again = plane.allocate('vif');
  expect(plane.links.read(again).number).toBe(0);
});
