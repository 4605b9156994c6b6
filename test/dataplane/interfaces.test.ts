/*
 * A data plane on real interfaces: links and the device table, samples and captures of what passes, and an agent that
 * dies and comes back while they are in use.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { BpfMap, XdpLink } from '../../native/lib/index.js';
import {
  type CapturedFrame,
  DataPlane,
  dropReasons,
  PortRole,
  traceKinds,
  vifContext,
} from '../../src/dataplane/index.js';
import { ethernet, frame, ipv4, payload, udp } from '../support/frames.js';
import { openPlane, pinFolder, prefix } from './support.js';

function run(command: string, ...args: string[]): void {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`);
}

let made = 0;
const namespaces = new Set<string>();

afterEach(() => {
  for (const name of namespaces) run('ip', 'netns', 'delete', name);
  namespaces.clear();
});

/** A namespace in which interfaces 10 and 11 are two ends of one veth. */
function namespace(): { name: string; path: string } {
  const name = `cabernet-test-${process.pid}-${++made}`;
  run('ip', 'netns', 'add', name);
  namespaces.add(name);
  run(
    'ip',
    '-n',
    name,
    'link',
    'add',
    'va',
    'index',
    '10',
    'type',
    'veth',
    'peer',
    'name',
    'vb',
    'index',
    '11',
  );
  for (const device of ['va', 'vb']) {
    run('ip', 'netns', 'exec', name, 'sysctl', '-qw', `net.ipv6.conf.${device}.disable_ipv6=1`);
    run('ip', '-n', name, 'link', 'set', device, 'up', 'mtu', '1500');
  }
  run('ip', '-n', name, 'address', 'add', '198.51.100.1/24', 'dev', 'va');
  return { name, path: `/run/netns/${name}` };
}

/** One ARP request leaves by interface 10 and arrives at 11. */
function sendOne(name: string): void {
  spawnSync('ip', ['netns', 'exec', name, 'ping', '-c', '1', '-W', '0.1', '198.51.100.9']);
}

async function until(what: string, look: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!look()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('programs', () => {
  it('run in native mode, pinned, or are refused with the reason', async () => {
    const { name, path } = namespace();
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir, netns: path });
    await plane.attach(11, 'port');
    await plane.attach(11, 'port');
    const port = plane.attached().get(11);
    expect(port?.program).toBe('port');
    await plane.attach(11, 'vif');
    expect(plane.attached().get(11)).toMatchObject({ program: 'vif', linkId: port?.linkId });
    expect(plane.attached().get(11)?.programId).not.toBe(port?.programId);
    expect(readdirSync(`${pinDir}/links`)).toEqual(['11']);
    await expect(plane.attach(1, 'port')).rejects.toMatchObject({
      code: 'NOT_NATIVE',
      subject: 'interface 1',
    });
    await expect(plane.attach(99, 'port')).rejects.toMatchObject({ code: 'INTERFACE_MISSING' });
    await expect(plane.attach(5000, 'port')).rejects.toThrow(/capacities.interfaces/);
    await expect(plane.setDevice(99)).rejects.toMatchObject({ code: 'INTERFACE_MISSING' });
    const other = await openPlane({ netns: path });
    await expect(other.attach(11, 'port')).rejects.toMatchObject({ code: 'INTERFACE_BUSY' });
    await plane.setDevice(10);
    await plane.setDevice(11);
    expect(plane.devices()).toEqual([10, 11]);
    await plane.clearDevice(11);
    await plane.detach(11);
    await plane.detach(11);
    expect(plane.attached().size).toBe(0);
    await other.attach(11, 'port');
    run('ip', '-n', name, 'link', 'delete', 'vb');
    await until('the link to go', () => other.attached().size === 0);
    await other.detach(11);
    expect(plane.devices()).toEqual([]);
  });

  it('are refused in the driver’s own words, with what to type', async () => {
    const { name, path } = namespace();
    const plane = await openPlane({ netns: path });
    run('ip', '-n', name, 'link', 'set', 'vb', 'mtu', '9000');
    const long = await plane.attach(10, 'port').catch((error: unknown) => error);
    expect(long).toMatchObject({ code: 'NOT_NATIVE', operation: 'attach', subject: 'interface 10' });
    expect((long as Error).message).toMatch(
      /its MTU is larger .*\(“veth: .*MTU.*”\): ip link set dev va mtu 3498, and at its other end; or start the agent with --jumbo \(NOT_NATIVE\)$/,
    );
    run('ip', '-n', name, 'link', 'set', 'vb', 'mtu', '1500');
    await plane.attach(10, 'port');
    const link = ['-n', name, 'link', 'add', 'vc', 'index', '12', 'numrxqueues', '1', 'type', 'veth'];
    run('ip', ...link, 'peer', 'name', 'vd', 'numtxqueues', '2');
    run('ip', 'netns', 'exec', name, 'ethtool', '-L', 'vd', 'tx', '2');
    const few = await plane.attach(12, 'port').catch((error: unknown) => error);
    expect(few).toMatchObject({ code: 'NOT_NATIVE', subject: 'interface 12' });
    expect((few as Error).message).toMatch(
      /more transmit queues .*\(“veth: .*queues.*”\): ethtool -L vc rx N/,
    );
    run('ip', '-n', name, 'link', 'add', 'name', 'bridge0', 'index', '13', 'type', 'bridge');
    const never = await plane.attach(13, 'port').catch((error: unknown) => error);
    expect((never as Error).message).toMatch(/its driver has no native XDP.*NOT_NATIVE/);
    // what only asked left nothing behind
    expect([...plane.attached().keys()]).toEqual([10]);
    for (const device of ['vc', 'bridge0']) {
      const shown = spawnSync('ip', ['-n', name, '-d', 'link', 'show', device], { encoding: 'utf8' });
      expect(shown.stdout).not.toContain('prog/xdp');
    }
  });

  it('leave nothing behind when the plane is destroyed', async () => {
    const { path } = namespace();
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir, netns: path });
    await plane.attach(11, 'port');
    const link = XdpLink.openPinned(`${pinDir}/links/11`);
    await plane.destroy();
    expect(existsSync(pinDir)).toBe(false);
    expect(link.info().ifindex).toBe(0);
    link.close();
    await expect(plane.attach(11, 'port')).rejects.toMatchObject({ code: 'CLOSED' });
    expect(() => plane.allocate('vif')).toThrow(/CLOSED/);
  });
});

describe('records of frames', () => {
  it('sample what is dropped, and count it', async () => {
    const { name, path } = namespace();
    const plane = await openPlane({ netns: path });
    const seen: number[] = [];
    const stop = plane.samples.watch((samples) => seen.push(...samples.map(({ reason }) => reason)));
    await plane.attach(11, 'port');
    sendOne(name);
    await until('a sample', () => plane.samples.newest().length > 0);
    stop();
    const [sample] = plane.samples.newest(1);
    expect(dropReasons[sample?.reason ?? 0]?.name).toBe('NOT_A_CABLE');
    expect(sample).toMatchObject({ ifindex: 11, node: 0, vif: 0, length: 42 });
    expect(sample?.frame.subarray(12, 14).toString('hex')).toBe('0806');
    expect(seen.length).toBeGreaterThan(0);
    const [drop] = await plane.counters.drops();
    expect(dropReasons[drop?.reason ?? 0]?.name).toBe('NOT_A_CABLE');
    expect(drop?.packets).toBeGreaterThan(0n);
  });

  it('capture only while somebody listens', async () => {
    const { name, path } = namespace();
    const plane = await openPlane({ netns: path });
    await plane.attach(11, 'port');
    const vif = plane.allocate('vif');
    plane.vifs.write(vif, { flags: 1, node: plane.allocate('node'), mtu: 1500, port: 11 });
    plane.setPort(11, { role: PortRole.PORT_ACCESS, vif });
    const [atPort, atVif]: [CapturedFrame[], CapturedFrame[]] = [[], []];
    const first = plane.captures.subscribe({ ifindex: 11 }, (frames) => atPort.push(...frames));
    const second = plane.captures.subscribe({ vif }, (frames) => atVif.push(...frames));
    // whoever writes flags leaves the capture's alone
    plane.setPort(11, { role: PortRole.PORT_ACCESS, vif });
    plane.vifs.set(vif, 'flags', 1);
    expect(plane.vifs.read(vif).flags).toBe(3);
    sendOne(name);
    await until('captured frames', () => atPort.length > 0 && atVif.length > 0);
    expect(atPort[0]).toMatchObject({ kind: 'in', ifindex: 11, vif: 0, length: 42 });
    expect(atVif.every((captured) => captured.vif === vif)).toBe(true);
    second.stop();
    expect(plane.vifs.read(vif).flags).toBe(1);
    expect(plane.ports.read(11).flags).toBe(1);
    first.stop();
    first.stop();
    expect(plane.ports.read(11).flags).toBe(0);
    atPort.length = 0;
    sendOne(name);
    await plane.grace();
    expect(atPort).toEqual([]);
  });

  it('trace a frame without counting it', async () => {
    const { path } = namespace();
    const plane = await openPlane({ netns: path });
    const [node, vif, hop] = [plane.allocate('node'), plane.allocate('vif'), plane.allocate('nextHop')];
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
    plane.nextHops.write(hop, { kind: 5, node });
    await plane.routes(node).transaction().set(prefix('10.0.0.0/8'), hop).commit();
    plane.vifs.write(vif, { flags: 1, node, mtu: 1500, port: 11, mac });
    plane.setPort(11, { role: PortRole.PORT_ACCESS, vif });
    const sent = frame(
      ethernet({ to: '02:00:00:00:00:01', from: '02:00:00:00:00:02' }),
      ipv4({ from: '10.0.1.2', to: '10.0.3.2' }),
      udp({ from: 5000, to: 5001 }),
      payload(20),
    );
    const runs = await Promise.all(
      Array.from({ length: 5 }, () => plane.trace({ ifindex: 11, frame: sent })),
    );
    for (const { events, verdict, egressIfindex } of runs) {
      expect(events.map(({ kind }) => traceKinds[kind])).toEqual(
        expect.arrayContaining(['PORT', 'ROUTE', 'DROP']),
      );
      const route = events.find(({ kind }) => traceKinds[kind] === 'ROUTE');
      expect([route?.found, route?.node, [...(route?.address.subarray(0, 4) ?? [])]]).toEqual([
        hop,
        node,
        [10, 0, 3, 2],
      ]);
      const drop = events.find(({ kind }) => traceKinds[kind] === 'DROP');
      expect(dropReasons[drop?.found ?? 0]?.name).toBe('BLACKHOLE');
      expect([verdict, egressIfindex]).toEqual(['drop', 0]);
    }
    expect(await plane.counters.drops()).toEqual([]);
    expect((await plane.counters.vifs([vif])).get(vif)?.receivedPackets).toBe(0n);
    await expect(plane.trace({ ifindex: 11, frame: Buffer.alloc(5) })).rejects.toMatchObject({
      code: 'TRACE_REFUSED',
    });
  });
});

describe('adoption', () => {
  it('goes on with links, devices, ids and labels, under new programs', async () => {
    const { path } = namespace();
    const pinDir = pinFolder();
    const first = await openPlane({ pinDir, netns: path });
    await first.attach(10, 'vif');
    await first.attach(11, 'port');
    await first.setDevice(10);
    const before = first.attached();
    const [vif, port, tunnel] = [first.allocate('vif'), first.allocate('vif'), first.allocate('tunnel')];
    first.vifs.write(vif, { flags: 1, mtu: 1400 });
    first.names.set('vif', port, 'cable');
    first.setPort(10, { role: PortRole.PORT_VIF, vif });
    first.setPort(11, { role: PortRole.PORT_ACCESS, vif: port });
    const [hop, spare] = [first.allocate('underlayHop'), first.allocate('underlayHop')];
    first.underlayHops.write(hop, { ifindex: 10 });
    first.underlayHops.write(spare, { ifindex: 10 });
    first.tunnels.write(tunnel, { family: 4, hops: new Array<number>(8).fill(hop) });
    first.labels.insert({ context: vifContext(vif), label: 100, action: 'deliver', target: port });
    first.ports.setBits(11, 'flags', 1, true);
    first.vifs.setBits(vif, 'flags', 2, true);
    const devices = BpfMap.openPinned(`${pinDir}/maps/devices`);
    const entry = (): number | undefined =>
      devices.lookup(new Uint8Array(Uint32Array.of(10).buffer))?.readUInt32LE(4);
    const egress = entry();
    await expect(openPlane({ pinDir })).rejects.toMatchObject({ code: 'IN_USE' });
    await first.close();
    const log: string[] = [];
    const second = await openPlane({
      pinDir,
      netns: path,
      capacities: { chunks: 99 },
      log: (line) => log.push(line),
    });
    expect(second.adopted).toBe(true);
    expect(second.capacities.chunks).toBe(2048);
    expect(log).toEqual(['capacity of chunks stays 2048, not 99: it is chosen when a data plane is made']);
    const after = second.attached();
    for (const ifindex of [10, 11]) {
      expect(after.get(ifindex)?.linkId).toBe(before.get(ifindex)?.linkId);
      expect(after.get(ifindex)?.program).toBe(before.get(ifindex)?.program);
      expect(after.get(ifindex)?.programId).not.toBe(before.get(ifindex)?.programId);
    }
    expect(entry()).not.toBe(egress);
    devices.close();
    expect(second.allocated('vif')).toEqual([vif, port].toSorted());
    expect(second.allocated('underlayHop')).toEqual([hop]);
    expect(second.underlayHops.isSet(spare)).toBe(false);
    expect(second.vifs.read(vif)).toMatchObject({ flags: 1, mtu: 1400 });
    expect(second.labels.get({ context: vifContext(vif), label: 100 })).toMatchObject({
      action: 'deliver',
      target: port,
    });
    expect(second.ports.read(11)).toMatchObject({ role: PortRole.PORT_ACCESS, vif: port });
    expect(second.ports.read(11).flags).toBe(0);
    await second.destroy();
  });

  it('begins anew where none was completed, and refuses another release’s', async () => {
    const pinDir = pinFolder();
    mkdirSync(`${pinDir}/maps`, { recursive: true });
    BpfMap.create({ type: 'array', name: 'stray', keySize: 4, valueSize: 4, maxEntries: 1 }).pin(
      `${pinDir}/maps/nodes`,
    );
    const log: string[] = [];
    const plane = await openPlane({ pinDir, log: (line) => log.push(line) });
    expect(plane.adopted).toBe(false);
    expect(log[0]).toMatch(/no complete data plane/);
    const instance = JSON.parse(plane.names.get('instance', 0) ?? '') as object;
    plane.names.set('instance', 0, JSON.stringify({ ...instance, layoutVersion: 999 }));
    await plane.close();
    await expect(openPlane({ pinDir })).rejects.toMatchObject({ code: 'LAYOUT_MISMATCH', subject: pinDir });
  });

  it('says what is missing', async () => {
    await expect(DataPlane.open({ pinDir: pinFolder(), objects: '/nowhere' })).rejects.toMatchObject({
      code: 'OBJECT_MISSING',
    });
    await expect(openPlane({ capacities: { flows4: 1000 } })).rejects.toThrow(
      /flows4: must be a power of two/,
    );
    await expect(openPlane({ capacities: { labels: 100 } })).rejects.toThrow(/4 times a power of two/);
  });
});
