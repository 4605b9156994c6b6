// Links and sockets against this kernel, next to what iproute2 says of them.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Netlink } from '../../native/lib/netlink/index.js';
import { BpfObject } from '../../native/lib/object.js';
import { fixture, until } from './fixtures.js';
import { failure, ipJson, Places, wire, type Place } from './netlink-fixtures.js';

const places = new Places('link');
let here: Place;
let there: Place;

beforeAll(async () => {
  [here, there] = await Promise.all([places.make('here'), places.make('there')]);
});

afterAll(() => places.remove());

interface IpLink {
  ifindex: number;
  ifname: string;
  mtu: number;
  address: string;
  ifalias?: string;
  master?: string;
  operstate: string;
  num_rx_queues: number;
  num_tx_queues: number;
  linkinfo?: { info_kind: string; info_data?: Record<string, unknown> };
}

function ipLink(place: Place, name: string): IpLink {
  const [link] = ipJson<IpLink[]>('-d', '-n', place.name, 'link', 'show', 'dev', name);
  if (link === undefined) throw new Error(`no ${name}`);
  return link;
}

describe('a veth', () => {
  it('is made with both ends as described, in two namespaces', async () => {
    const made = await here.netlink.addLink({
      kind: 'veth',
      name: 'a1',
      index: 501,
      mtu: 1600,
      address: '02:00:00:00:05:01',
      numQueues: 2,
      up: true,
      peer: {
        name: 'b1',
        netns: there.path,
        index: 502,
        mtu: 1500,
        address: '02:00:00:00:05:02',
        numQueues: 2,
        up: true,
      },
    });
    expect(made).toMatchObject({
      index: 501,
      name: 'a1',
      kind: 'veth',
      mtu: 1600,
      address: '02:00:00:00:05:01',
      up: true,
      running: true,
      peerIndex: 502,
      numRxQueues: 2,
      numTxQueues: 2,
      ifType: 1,
    });
    expect(made.peerNetnsId).toBeDefined();
    expect(await there.netlink.link('b1')).toMatchObject({
      index: 502,
      mtu: 1500,
      address: '02:00:00:00:05:02',
      up: true,
      peerIndex: 501,
    });
    expect(ipLink(there, 'b1')).toMatchObject({ ifindex: 502, num_rx_queues: 2, num_tx_queues: 2 });
    await here.netlink.deleteLink(501);
    expect(await here.netlink.link(501)).toBeUndefined();
    expect(await there.netlink.link('b1')).toBeUndefined();
  });

  it('is made promiscuous by hand, which is told from what others want of it', async () => {
    const { index } = await here.netlink.addLink({ kind: 'veth', name: 'a4', peer: { name: 'b4' } });
    const { index: bridge } = await here.netlink.addLink({ kind: 'bridge', name: 'br4' });
    expect(await here.netlink.link(index)).toMatchObject({ promiscuous: false, promiscuity: 0 });
    await here.netlink.setLink(index, { masterIndex: bridge });
    expect(await here.netlink.link(index)).toMatchObject({ promiscuous: false, promiscuity: 1 });
    await here.netlink.setLink(index, { promiscuous: true });
    await here.netlink.setLink(index, { promiscuous: true, up: true });
    expect(await here.netlink.link(index)).toMatchObject({ promiscuous: true, promiscuity: 2, up: true });
    await here.netlink.setLink(index, { masterIndex: 0, up: false });
    expect(await here.netlink.link(index)).toMatchObject({ promiscuous: true, promiscuity: 1, up: false });
    await here.netlink.setLink(index, { promiscuous: false });
    expect(await here.netlink.link(index)).toMatchObject({ promiscuous: false, promiscuity: 0 });
    for (const change of [
      { promiscuous: 1 },
      { xdp: {} },
      { xdp: { attach: -1 } },
      { xdp: { detach: 'x' } },
    ]) {
      expect(await failure(here.netlink.setLink(index, change as never))).toMatchObject({
        code: 'ERR_ARGUMENT',
      });
    }
    await here.netlink.deleteLink(index);
    await here.netlink.deleteLink(bridge);
  });

  it('asks for no neighbours, and asks for them again', async () => {
    const { index } = await here.netlink.addLink({ kind: 'veth', name: 'a5', peer: { name: 'b5' } });
    expect(await here.netlink.link(index)).toMatchObject({ arp: true });
    await here.netlink.setLink(index, { arp: false, up: true });
    expect(await here.netlink.link(index)).toMatchObject({ arp: false, up: true });
    await here.netlink.setLink(index, { arp: true });
    expect(await here.netlink.link(index)).toMatchObject({ arp: true, up: true });
    expect(await failure(here.netlink.setLink(index, { arp: 'no' } as never))).toMatchObject({
      code: 'ERR_ARGUMENT',
    });
    await here.netlink.deleteLink(index);
  });

  it('takes its peer’s namespace as a descriptor too, or keeps both here', async () => {
    const fd = openSync(there.path, 'r');
    const made = await here.netlink.addLink({
      kind: 'veth',
      name: 'a2',
      peer: { name: 'b2', netns: fd, up: true },
    });
    closeSync(fd);
    expect(await there.netlink.link('b2')).toMatchObject({ up: true });
    await here.netlink.deleteLink(made.index);
    const both = await here.netlink.addLink({
      kind: 'veth',
      name: 'a2',
      up: true,
      peer: { name: 'b2', up: true },
    });
    expect(both).toMatchObject({ running: true });
    expect(await here.netlink.link('b2')).toMatchObject({ index: both.peerIndex, up: true });
    await here.netlink.deleteLink(both.index);
  });

  it('is refused where the kernel would do something else, or fail in the middle', async () => {
    const base = { kind: 'veth', name: 'a3' } as const;
    const refused: Array<[object, string]> = [
      [{ ...base, peer: { name: 'b3', index: 700 } }, 'index'],
      [{ ...base, peer: { name: 'a-name-that-is-too-long' } }, 'name'],
      [{ ...base, peer: { name: 'b3', netns: '' } }, 'peer.netns'],
      [{ ...base, peer: null }, 'peer'],
      [{ ...base, name: 'a/3', peer: { name: 'b3' } }, 'name'],
      [{ ...base, mtu: -1, peer: { name: 'b3' } }, 'mtu'],
      [{ ...base, address: 'xx', peer: { name: 'b3' } }, 'address'],
      [{ ...base, kind: '', peer: { name: 'b3' } }, 'kind'],
    ];
    for (const [spec, field] of refused) {
      const error = (await failure(here.netlink.addLink(spec as never))) as Error;
      expect(error).toMatchObject({ code: 'ERR_ARGUMENT', operation: 'addLink' });
      expect(error.message).toContain(field);
    }
    const lost = here.netlink.addLink({ ...base, peer: { name: 'b3', netns: '/run/netns/nope-nope' } });
    expect(await failure(lost)).toMatchObject({ code: 'ENOENT', subject: '/run/netns/nope-nope' });
    expect(await here.netlink.link('a3')).toBeUndefined();
  });
});

describe('a link', () => {
  it('changes its name, MTU, address, alias and state, and moves', async () => {
    const { index } = await here.netlink.addLink({ kind: 'veth', name: 'c0', peer: { name: 'c1' } });
    await here.netlink.setLink(index, {
      name: 'c9',
      mtu: 9000,
      address: '02:00:00:00:00:99',
      alias: 'the ninth — ☕',
      txQueueLength: 77,
    });
    await here.netlink.setLink(index, { up: true });
    expect(await here.netlink.link('c9')).toMatchObject({
      index,
      mtu: 9000,
      address: '02:00:00:00:00:99',
      alias: 'the ninth — ☕',
      txQueueLength: 77,
      up: true,
      running: false,
    });
    expect(ipLink(here, 'c9')).toMatchObject({
      mtu: 9000,
      ifalias: 'the ninth — ☕',
      operstate: 'LOWERLAYERDOWN',
    });
    await here.netlink.setLink(index, { alias: '' });
    expect((await here.netlink.link('c9'))?.alias).toBeUndefined();
    await here.netlink.setLink(index, { netns: there.path, name: 'c8' });
    expect(await here.netlink.link(index)).toBeUndefined();
    const moved = await there.netlink.link('c8');
    expect(moved).toMatchObject({ kind: 'veth', up: false });
    await there.netlink.deleteLink(moved?.index ?? 0);
  });

  it('makes no link-local address when told so before it goes up', async () => {
    const { index } = await here.netlink.addLink({
      kind: 'veth',
      name: 'g0',
      peer: { name: 'g1', up: true },
    });
    await here.netlink.setLink(index, { addressGeneration: 'none' });
    await here.netlink.setLink(index, { up: true });
    expect(await here.netlink.addresses({ index })).toEqual([]);
    await here.netlink.deleteLink(index);
  });

  it('waits in the dormant state, also when its carrier returns', async () => {
    const { netlink } = here;
    const made = await netlink.addLink({
      kind: 'veth',
      name: 'q0',
      up: true,
      peer: { name: 'q1', up: true },
    });
    const { index, peerIndex = 0 } = made;
    expect(made).toMatchObject({ operationalState: 'up', running: true });
    await netlink.setLink(index, { operationalState: 'dormant', linkMode: 'dormant' });
    expect(await netlink.link(index)).toMatchObject({ operationalState: 'dormant', running: true });
    const states: string[] = [];
    const subscription = await netlink.subscribe(['link'], (events) => {
      for (const event of events) {
        if (event.type !== 'resync' && event.what === 'link' && event.object.index === index) {
          states.push(event.object.operationalState);
        }
      }
    });
    await netlink.setLink(peerIndex, { up: false });
    await until(() => states.at(-1) === 'lower-layer-down', 'carrier lost');
    await netlink.setLink(peerIndex, { up: true });
    await until(() => states.at(-1) === 'dormant', 'carrier back');
    subscription.close();
    await netlink.setLink(index, { operationalState: 'up', linkMode: 'default' });
    expect(await netlink.link(index)).toMatchObject({ operationalState: 'up' });
    await netlink.deleteLink(index);
  });

  it('tells which XDP program runs on it', async () => {
    const { index } = await here.netlink.addLink({ kind: 'veth', name: 'x0', peer: { name: 'x1' } });
    expect((await here.netlink.link(index))?.xdp).toBeUndefined();
    const object = BpfObject.open(fixture('maps'));
    await object.load();
    const program = object.program('constant_verdict');
    const link = program.attachXdp(index, { mode: 'native', netns: here.path });
    expect((await here.netlink.link(index))?.xdp).toEqual({ mode: 'native', programId: program.id });
    link.close();
    expect((await here.netlink.link(index))?.xdp).toBeUndefined();
    object.close();
    await here.netlink.deleteLink(index);
  });

  it('is a port of a bridge, and says so', async () => {
    const bridge = await here.netlink.addLink({
      kind: 'bridge',
      name: 'br0',
      up: true,
      multicastSnooping: false,
      ageing: 60,
    });
    const port = await here.netlink.addLink({
      kind: 'veth',
      name: 'p0',
      masterIndex: bridge.index,
      peer: { name: 'p1' },
    });
    expect(port.masterIndex).toBe(bridge.index);
    expect(ipLink(here, 'p0').master).toBe('br0');
    expect(ipLink(here, 'br0').linkinfo).toMatchObject({
      info_kind: 'bridge',
      info_data: { mcast_snooping: 0, ageing_time: 6000 },
    });
    await here.netlink.setLink(port.index, { masterIndex: 0 });
    expect((await here.netlink.link('p0'))?.masterIndex).toBeUndefined();
    await here.netlink.deleteLink(port.index);
    await here.netlink.deleteLink(bridge.index);
  });

  it('is a VXLAN tunnel, of either family', async () => {
    const { a } = await wire(here, there);
    const v4 = await here.netlink.addLink({
      kind: 'vxlan',
      name: 'vx4',
      id: 77,
      local: '10.0.0.1',
      remote: '10.0.0.2',
      belowIndex: a.index,
      learning: false,
      ttl: 9,
      up: true,
    });
    expect(ipLink(here, 'vx4').linkinfo?.info_data).toMatchObject({
      id: 77,
      local: '10.0.0.1',
      remote: '10.0.0.2',
      port: 4789,
      learning: false,
      ttl: 9,
      link: 'a0',
    });
    expect(v4).toMatchObject({ kind: 'vxlan', up: true });
    const v6 = await here.netlink.addLink({
      kind: 'vxlan',
      name: 'vx6',
      id: 78,
      local: 'fd00::1',
      remote: 'fd00::2',
      port: 8472,
      udpZeroChecksum6: true,
    });
    expect(ipLink(here, 'vx6').linkinfo?.info_data).toMatchObject({
      id: 78,
      local6: 'fd00::1',
      remote6: 'fd00::2',
      port: 8472,
      udp_zero_csum6_rx: true,
      udp_zero_csum6_tx: true,
    });
    for (const { index } of [v4, v6, a]) await here.netlink.deleteLink(index);
  });

  it('counts packets', async () => {
    const before = (await here.netlink.link('lo', { statistics: true }))?.statistics;
    execFileSync('ip', ['netns', 'exec', here.name, 'ping', '-q', '-c', '3', '-i', '0.01', '127.0.0.1'], {
      stdio: 'pipe',
    });
    const after = (await here.netlink.links({ statistics: true })).find(
      ({ name }) => name === 'lo',
    )?.statistics;
    expect((after?.rxPackets ?? 0n) - (before?.rxPackets ?? 0n)).toBe(6n);
    expect((await here.netlink.link(1))?.statistics).toBeUndefined();
  });

  it('has the alternative names it was given', async () => {
    const { index } = await here.netlink.addLink({ kind: 'veth', name: 'n0', peer: { name: 'n1' } });
    const names = ['another-name-which-is-longer-than-fifteen', 'third'];
    for (const name of names) {
      execFileSync('ip', ['-n', here.name, 'link', 'property', 'add', 'dev', 'n0', 'altname', name]);
    }
    expect((await here.netlink.link(index))?.alternativeNames).toEqual(names);
    await here.netlink.deleteLink(index);
  });

  it('that is not there, or cannot be so, is an error with the kernel’s words', async () => {
    expect(await failure(here.netlink.setLink(4242, { up: true }))).toMatchObject({
      name: 'BpfError',
      code: 'ENODEV',
      errno: 19,
      operation: 'setLink',
      subject: 'interface 4242',
    });
    expect(await failure(here.netlink.addLink({ kind: 'nonsense', name: 'x' }))).toMatchObject({
      code: 'EOPNOTSUPP',
      subject: 'x',
      message: expect.stringContaining('Unknown device type') as unknown,
    });
    expect(await failure(here.netlink.deleteLink(0))).toMatchObject({ code: 'ERR_ARGUMENT' });
    await expect(here.netlink.link('x'.repeat(16))).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
  });

  it('of a hundred is found in one dump', async () => {
    const ops = Array.from({ length: 50 }, (_, i) => ({
      op: 'addLink' as const,
      link: { kind: 'veth' as const, name: `m${i}`, peer: { name: `w${i}` } },
    }));
    expect(await there.netlink.batch(ops)).toEqual(Array.from({ length: 50 }));
    const names = new Set((await there.netlink.links()).map(({ name }) => name));
    for (let i = 0; i < 50; i++) expect(names.has(`m${i}`) && names.has(`w${i}`)).toBe(true);
    const made = (await there.netlink.links()).filter(({ name }) => /^m\d+$/.test(name));
    const gone = await there.netlink.batch(made.map(({ index }) => ({ op: 'deleteLink' as const, index })));
    expect(gone).toEqual(Array.from({ length: 50 }));
    expect((await there.netlink.links()).map(({ name }) => name)).toEqual(['lo']);
  });
});

describe('a socket', () => {
  it('belongs to its namespace, whatever becomes of the name', async () => {
    const gone = await places.make('gone');
    await gone.netlink.addLink({ kind: 'veth', name: 'only-there', peer: { name: 'peer' } });
    execFileSync('ip', ['netns', 'delete', gone.name]);
    const events: unknown[] = [];
    const subscription = await gone.netlink.subscribe(['link'], (seen) => events.push(...seen));
    const link = await gone.netlink.link('only-there');
    await gone.netlink.setLink(link?.index ?? 0, { alias: 'still here', up: true });
    await until(() => events.length > 0, 'an event');
    expect(events[0]).toMatchObject({ what: 'link', object: { alias: 'still here' } });
    subscription.close();
    gone.netlink.close();
  });

  it('is the process’s own namespace when none is named', async () => {
    const own = await Netlink.open();
    const names = (await own.links()).map(({ name }) => name).sort();
    expect(names).toEqual(
      ipJson<IpLink[]>('link')
        .map(({ ifname }) => ifname)
        .sort(),
    );
    own.close();
  });

  it('refuses everything once it is closed, and ends what is under way', async () => {
    const netlink = await Netlink.open({ netns: here.path });
    const subscription = await netlink.subscribe(['link'], () => undefined);
    const underWay = Promise.all([failure(netlink.links()), failure(netlink.setLink(1, { mtu: 65536 }))]);
    netlink.close();
    netlink.close();
    for (const error of await underWay) expect(error).toMatchObject({ name: 'BpfError', code: 'ERR_CLOSED' });
    expect(await failure(netlink.links())).toMatchObject({ code: 'ERR_CLOSED', operation: 'links' });
    expect(await failure(netlink.batch([{ op: 'deleteLink', index: 9 }]))).toMatchObject({
      code: 'ERR_CLOSED',
    });
    expect(await failure(netlink.subscribe(['link'], () => undefined))).toMatchObject({ code: 'ERR_CLOSED' });
    expect(() => subscription.unref()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    subscription.close();
  });

  it('refuses arguments of other types', async () => {
    const { netlink } = here;
    expect(await failure(Netlink.open({ netns: 7 as never }))).toMatchObject({ code: 'ERR_ARGUMENT' });
    expect(await failure(Netlink.open({ netns: '/etc/hostname' }))).toMatchObject({ code: 'EINVAL' });
    expect(await failure(netlink.batch('x' as never))).toMatchObject({
      code: 'ERR_ARGUMENT',
      operation: 'batch',
    });
    expect((await netlink.batch([null, { op: 'fly' }, {}] as never)).map((error) => error?.code)).toEqual([
      'ERR_ARGUMENT',
      'ERR_ARGUMENT',
      'ERR_ARGUMENT',
    ]);
    expect(await netlink.batch([])).toEqual([]);
    expect(await failure(netlink.subscribe([], () => undefined))).toMatchObject({ code: 'ERR_ARGUMENT' });
    expect(await failure(netlink.subscribe(['weather' as never], () => undefined))).toMatchObject({
      code: 'ERR_ARGUMENT',
    });
    expect(await failure(netlink.subscribe(['link'], undefined as never))).toMatchObject({
      code: 'ERR_ARGUMENT',
    });
    expect(await failure(netlink.subscribe(['link'], () => undefined, { receiveBuffer: 0 }))).toMatchObject({
      code: 'ERR_ARGUMENT',
    });
  });
});
