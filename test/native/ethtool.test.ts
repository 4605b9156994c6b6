// Offloads, driver and channels of a veth in another namespace.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  getChannels,
  getDriver,
  getFeatures,
  getOffloads,
  getRings,
  setChannels,
  setFeatures,
  setOffloads,
  type InterfacePlace,
} from '../../native/lib/ethtool.js';
import { failure, Places } from './netlink-fixtures.js';

const places = new Places('ethtool');
let veth: InterfacePlace;

beforeAll(async () => {
  const { path, netlink } = await places.make('a');
  await netlink.addLink({ kind: 'veth', name: 'a0', numQueues: 2, peer: { name: 'b0', numQueues: 2 } });
  veth = { netns: path, name: 'a0' };
});

afterAll(() => places.remove());

describe('features', () => {
  it('are switched together, and told as they are afterwards', async () => {
    const before = await getFeatures(veth);
    expect(before).toMatchObject({ gro: false, tx: true, txvlan: true, rxvlan: true, tso: true });
    const wanted = { gro: true, tx: false, txvlan: false, rxvlan: false, tso: false };
    expect(await setFeatures(veth, wanted)).toMatchObject(wanted);
    expect(await getFeatures(veth)).toMatchObject(wanted);
    expect(await setFeatures(veth, wanted)).toMatchObject(wanted);
    await setFeatures(veth, { gro: false, tx: true, txvlan: true, rxvlan: true, tso: true });
    expect(await getFeatures(veth)).toEqual(before);
  });

  it('that depend on one that is off are an error, not silence', async () => {
    expect(await failure(setFeatures(veth, { tx: false, tso: true }))).toMatchObject({
      name: 'BpfError',
      code: 'ERR_STATE',
      operation: 'ethtool.setFeatures',
      subject: 'a0',
    });
    await setFeatures(veth, { tx: true, tso: true });
  });

  it('that an interface has not are an error only when they shall change', async () => {
    const loopback = { ...veth, name: 'lo' };
    const { txvlan } = await getFeatures(loopback);
    await setFeatures(loopback, { txvlan });
    expect(await failure(setFeatures(loopback, { txvlan: !txvlan }))).toMatchObject({
      code: expect.stringMatching(/^(EOPNOTSUPP|ERR_STATE)$/) as unknown,
    });
  });

  it('by unknown names or of other types are refused', async () => {
    expect(await failure(setFeatures(veth, { turbo: true } as never))).toMatchObject({
      code: 'ERR_ARGUMENT',
    });
    expect(await failure(setFeatures(veth, { gro: 1 } as never))).toMatchObject({ code: 'ERR_ARGUMENT' });
    expect(await failure(getFeatures({ name: 'x'.repeat(16) }))).toMatchObject({ code: 'ERR_ARGUMENT' });
    expect(await failure(getFeatures({ name: 7 } as never))).toMatchObject({ code: 'ERR_ARGUMENT' });
  });
});

describe('offloads', () => {
  it('are told under the kernel’s names, with those that are fixed', async () => {
    const offloads = await getOffloads(veth);
    expect(offloads.get('rx-vlan-hw-parse')).toEqual({ on: true, changeable: true });
    expect(offloads.get('rx-gro-hw')).toEqual({ on: false, changeable: false });
    // ethtool says the same of every one
    const said = execFileSync('nsenter', [`--net=${veth.netns}`, 'ethtool', '-k', 'a0'], {
      encoding: 'utf8',
    });
    const lines = new Map(
      [...said.matchAll(/^\s*([\w-]+): (on|off)( \[fixed\])?/gm)].map(
        ([, name = '', state, fixed]) => [name, `${state}${fixed ?? ''}`] as const,
      ),
    );
    const compared = [...offloads].filter(([name]) => lines.has(name));
    expect(compared.length).toBeGreaterThan(30);
    for (const [name, { on, changeable }] of compared) {
      expect(`${name} ${on ? 'on' : 'off'}${changeable ? '' : ' [fixed]'}`).toBe(
        `${name} ${lines.get(name)}`,
      );
    }
  });

  it('are switched together, and told as they are afterwards', async () => {
    const wanted = { 'rx-vlan-hw-parse': false, 'rx-vlan-stag-hw-parse': false };
    const after = await setOffloads(veth, wanted);
    expect([after.get('rx-vlan-hw-parse')?.on, after.get('rx-vlan-stag-hw-parse')?.on]).toEqual([
      false,
      false,
    ]);
    expect(await getFeatures(veth)).toMatchObject({ rxvlan: false });
    expect(await setOffloads(veth, wanted)).toEqual(after);
    await setOffloads(veth, { 'rx-vlan-hw-parse': true, 'rx-vlan-stag-hw-parse': true });
    expect(await getFeatures(veth)).toMatchObject({ rxvlan: true });
    expect(await setOffloads(veth, {})).toEqual(await getOffloads(veth));
  });

  it('that are fixed, unknown or hindered are errors, each its own', async () => {
    const operation = 'ethtool.setOffloads';
    expect(await failure(setOffloads(veth, { 'rx-gro-hw': true }))).toMatchObject({
      code: 'EOPNOTSUPP',
      operation,
      subject: 'a0',
      message: expect.stringContaining('rx-gro-hw is fixed') as unknown,
    });
    await setOffloads(veth, { 'rx-gro-hw': false });
    expect(await failure(setOffloads(veth, { turbo: true }))).toMatchObject({
      code: 'ERR_ARGUMENT',
      operation,
    });
    expect(await failure(setOffloads(veth, { '': true }))).toMatchObject({ code: 'ERR_ARGUMENT' });
    expect(await failure(setOffloads(veth, { 'rx-gro': 1 } as never))).toMatchObject({
      code: 'ERR_ARGUMENT',
    });
    expect(await failure(setOffloads(veth, null as never))).toMatchObject({ code: 'ERR_ARGUMENT' });
    expect(
      await failure(setOffloads(veth, { 'tx-checksum-ip-generic': false, 'tx-tcp-segmentation': true })),
    ).toMatchObject({ code: 'ERR_STATE' });
    await setOffloads(veth, { 'tx-checksum-ip-generic': true, 'tx-tcp-segmentation': true });
    expect(await failure(getOffloads({ ...veth, name: 'nope' }))).toMatchObject({ code: 'ENODEV' });
  });
});

describe('an interface', () => {
  it('names its driver', async () => {
    expect(await getDriver(veth)).toEqual({ driver: 'veth', version: '1.0', firmware: '', bus: '' });
  });

  it('counts its channels, and changes them', async () => {
    expect(await getChannels(veth)).toMatchObject({ receive: 2, transmit: 2, maxReceive: 2, maxTransmit: 2 });
    expect(await setChannels(veth, { receive: 1 })).toMatchObject({ receive: 1, transmit: 2 });
    expect(await getChannels(veth)).toMatchObject({ receive: 1, transmit: 2 });
    expect(await failure(setChannels(veth, { receive: 9 }))).toMatchObject({
      code: 'EINVAL',
      operation: 'ethtool.setChannels',
      subject: 'a0',
    });
  });

  it('without rings says so', async () => {
    expect(await failure(getRings(veth))).toMatchObject({
      code: 'EOPNOTSUPP',
      operation: 'ethtool.getRings',
    });
  });

  it('that is not there, or in a namespace that is not there, is an error', async () => {
    expect(await failure(getDriver({ ...veth, name: 'nope' }))).toMatchObject({
      code: 'ENODEV',
      subject: 'nope',
    });
    expect(await failure(getDriver({ netns: '/run/netns/nope-nope', name: 'lo' }))).toMatchObject({
      code: 'ENOENT',
      subject: '/run/netns/nope-nope',
    });
  });
});
