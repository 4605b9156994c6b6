// Offloads, driver and channels of a veth in another namespace.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  getChannels,
  getDriver,
  getFeatures,
  getRings,
  setChannels,
  setFeatures,
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
