/*
 * An interface whose card takes VLAN tags off and cannot be told not to: no veth is one, so that only this answer of
 * ethtool's is made up here.
 */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type * as Library from '../../native/lib/index.js';
import { DataPlane } from '../../src/dataplane/index.js';
import { Interfaces } from '../../src/node/interfaces.js';
import { NetState } from '../../src/node/net-state.js';
import { addMachine, addStation, addWire, ip, netns, sweep, until } from './machines.js';

const { fixed } = vi.hoisted(() => ({ fixed: new Set<string>() }));

vi.mock('../../native/lib/index.js', async (load) => {
  const library = await load<typeof Library>();
  const getOffloads = async (place: Library.InterfacePlace): Promise<Library.Offloads> => {
    const offloads = new Map(await library.getOffloads(place));
    if (fixed.has(place.name)) offloads.set('rx-vlan-hw-parse', { on: true, changeable: false });
    return offloads;
  };
  return { ...library, getOffloads };
});

const pinDir = `/sys/fs/bpf/${netns('U')}`;
const failures: string[] = [];
let plane: DataPlane;
let net: NetState;
let interfaces: Interfaces;

beforeAll(async () => {
  sweep();
  addMachine('U', '100.127.0.1', 'fd64:ffff::1');
  addMachine('V', '100.127.0.2', 'fd64:ffff::2');
  addWire('U', 'V', 0);
  addStation('U', 'a', 'st-a', ['10.0.1.2/24']);
  addStation('U', 'b', 'st-b', ['10.0.2.2/24']);
  fixed.add('st-a').add('to-V');
  const place = `/run/netns/${netns('U')}`;
  const failed = (error: unknown): void => void failures.push(String(error));
  plane = await DataPlane.open({ pinDir, netns: place });
  net = await NetState.open({ netns: place, failed });
  interfaces = new Interfaces({
    plane,
    net,
    underlay: ['to-V'],
    ports: ['st-*'],
    isMachineEnd: () => false,
    portChanged: () => undefined,
    underlayChanged: () => undefined,
    changed: () => undefined,
    failed,
  });
  await interfaces.start();
});

afterAll(async () => {
  net.close();
  await plane.destroy();
  sweep();
});

function shown(name: string): string {
  return spawnSync('ip', ['-n', netns('U'), '-d', 'link', 'show', name], { encoding: 'utf8' }).stdout;
}

test('it is a wire all the same', () => {
  const [wire] = interfaces.all();
  expect(wire).toMatchObject({ name: 'to-V', problem: '' });
  expect(failures).toEqual([]);
});

test('it is no station’s port, and told so once', async () => {
  const { problem } = await interfaces.claimPort('st-a', 0);
  expect(problem).toMatch(
    /^the card takes VLAN tags off before XDP sees them, .*other VLANs.*rxvlan.*use another card$/,
  );
  expect(failures).toEqual([expect.stringContaining('VLAN tags')]);
  ip('-n', netns('U'), 'link', 'set', 'st-b', 'down');
  await until('that is known', () => net.linkByName('st-b')?.up === false);
  await interfaces.claimPort('st-a', 0);
  expect(failures).toHaveLength(1);
  expect(shown('st-a')).not.toMatch(/prog\/xdp|PROMISC/);
});

test('one that becomes so loses its program', async () => {
  await interfaces.claimPort('st-b', 0);
  expect(shown('st-b')).toMatch(/PROMISC/);
  expect(shown('st-b')).toMatch(/prog\/xdp/);
  fixed.add('st-b');
  ip('-n', netns('U'), 'link', 'set', 'st-b', 'up');
  await until('it is refused', () => interfaces.port('st-b')?.problem !== '');
  await until('nothing of ours is there', () => !/prog\/xdp|PROMISC/.test(shown('st-b')));
  expect(plane.devices()).not.toContain(interfaces.port('st-b')?.index);
  fixed.delete('st-b');
  ip('-n', netns('U'), 'link', 'set', 'st-b', 'mtu', '1400');
  await until('it is taken again', () => interfaces.port('st-b')?.problem === '');
  expect(shown('st-b')).toMatch(/PROMISC/);
});
