// Multicast routes against this kernel: read, watched, and the kernel's questions to a multicast
// daemon, which a small script plays.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Link, NetlinkEvent } from '../../native/lib/netlink/index.js';
import { setSysctls } from '../../native/lib/netns.js';
import { until } from './fixtures.js';
import { Places, wire, type Place } from './netlink-fixtures.js';

const places = new Places('mroute');
let here: Place;
let first: Link;
let second: Link;
let daemon: ChildProcess | undefined;

beforeAll(async () => {
  here = await places.make('here');
  const there = await places.make('there');
  ({ a: first } = await wire(here, there));
  second = await here.netlink.addLink({
    kind: 'veth',
    name: 'a1',
    up: true,
    peer: { name: 'b1', netns: there.path, up: true },
  });
  await here.netlink.addAddress({ index: second.index, address: '10.0.1.1', prefixLength: 24 });
  await setSysctls(
    { netns: here.path },
    { 'net.ipv4.conf.all.rp_filter': 0, 'net.ipv4.conf.a0.rp_filter': 0 },
  );
});

afterEach(async () => {
  if (daemon === undefined) return;
  const ended = once(daemon, 'exit');
  daemon.stdin?.end();
  await ended;
  daemon = undefined;
});

afterAll(() => places.remove());

// Opens the kernel's multicast table (MRT_INIT, MRT_ADD_VIF), then obeys "add" and "delete" until its input ends.
const DAEMON = {
  4: `
    socket(my $s, 2, 3, 2) or die "socket $!";
    my $set = sub { setsockopt($s, 0, $_[0], $_[1]) or die "option $_[0]: $!" };
    $set->(200, pack 'i', 1);
    for my $i (0, 1) { $set->(202, pack 'SCCLia4', $i, 8, 1, 0, $ARGV[$i], '') }
    my $mfc = pack 'a4a4Sa32x2LLLi', pack('C4', 10, 0, 0, 2), pack('C4', 239, 1, 1, 1), 0, "\\0\\5", 0, 0, 0, 0;
    my %do = (add => 204, delete => 205);`,
  6: `
    socket(my $s, 10, 3, 58) or die "socket $!";
    my $set = sub { setsockopt($s, 41, $_[0], $_[1]) or die "option $_[0]: $!" };
    $set->(200, pack 'i', 1);
    for my $i (0, 1) { $set->(202, pack 'SCCSx2L', $i, 0, 1, $ARGV[$i], 0) }
    my $end = sub { pack 'SSLa16L', 10, 0, 0, pack('n8', @_), 0 };
    my $mfc = $end->(0xfd00, 0, 0, 0, 0, 0, 0, 2) . $end->(0xff0e, 0, 0, 0, 0, 0, 0, 0x77) . pack 'Sx2L8', 0, 2, (0) x 7;
    my %do = (add => 204, delete => 205);`,
} as const;

async function startDaemon(family: 4 | 6): Promise<(command: 'add' | 'delete') => Promise<void>> {
  const script = `$| = 1; ${DAEMON[family]} print "ready\\n";
    while (<STDIN>) { chomp; $set->($do{$_}, $mfc); print "done\\n" }`;
  const args = [`--net=${here.path}`, 'perl', '-e', script, String(first.index), String(second.index)];
  const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  daemon = child;
  await once(child.stdout, 'data');
  return async (command) => {
    const answered = once(child.stdout, 'data');
    child.stdin.write(`${command}\n`);
    await answered;
  };
}

describe.each([
  [4, '10.0.0.2', '239.1.1.1', 5],
  [6, 'fd00::2', 'ff0e::77', 1],
] as const)('multicast routes of IPv%i', (family, source, group, ttl) => {
  it('are dumped and told of, as they come and go', async () => {
    expect(await here.netlink.multicastRoutes(family)).toEqual([]);
    const events: NetlinkEvent[] = [];
    const subscription = await here.netlink.subscribe(['multicastRoute'], (seen) => events.push(...seen));
    const command = await startDaemon(family);
    await command('add');
    const route = {
      family,
      source,
      group,
      table: family === 4 ? 253 : 254,
      inputIndex: first.index,
      outputs: [{ index: second.index, ttl }],
      unresolved: false,
    };
    const [found] = await here.netlink.multicastRoutes(family);
    expect(found).toMatchObject({ ...route, packets: 0n, bytes: 0n, wrongInterface: 0n });
    await until(() => events.length > 0, 'the new route');
    expect(events).toEqual([{ type: 'new', what: 'multicastRoute', object: found }]);
    expect(await here.netlink.multicastRoutes(family, { table: found?.table ?? 0 })).toHaveLength(1);
    await command('delete');
    await until(() => events.length > 1, 'the route gone');
    expect(events[1]).toMatchObject({ type: 'del', what: 'multicastRoute', object: { source, group } });
    expect(await here.netlink.multicastRoutes(family)).toEqual([]);
    subscription.close();
  });
});

describe('a packet without a multicast route', () => {
  it('is an unresolved route, and a report', async () => {
    const events: NetlinkEvent[] = [];
    const groups = ['multicastRoute', 'multicastReport'] as const;
    const subscription = await here.netlink.subscribe(groups, (seen) => events.push(...seen));
    await startDaemon(4);
    const { path } = await there();
    const ping = ['ping', '-q', '-c', '1', '-W', '1', '-t', '9', '-I', 'b0', '239.7.7.7'];
    spawn('nsenter', [`--net=${path}`, ...ping], { stdio: 'ignore' });
    await until(
      () => events.some((event) => 'what' in event && event.what === 'multicastReport'),
      'a report',
    );
    const report = events.find((event) => 'what' in event && event.what === 'multicastReport');
    expect(report).toMatchObject({
      type: 'new',
      object: { family: 4, reason: 'nocache', vif: 0, source: '10.0.0.2', group: '239.7.7.7' },
    });
    const [waiting] = await here.netlink.multicastRoutes(4);
    expect(waiting).toMatchObject({ source: '10.0.0.2', group: '239.7.7.7', unresolved: true, outputs: [] });
    subscription.close();
  });
});

async function there(): Promise<{ path: string }> {
  await Promise.resolve();
  return { path: here.path.replace(/here$/, 'there') };
}
