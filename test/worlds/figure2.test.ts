/*
 * The paper's Figure 2, as a whole: real agents, real programs on veth in native mode, two service networks at equal
 * addresses. What a newcomer would try, and what must not happen.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerOnce, ask, cabernet, example, until, World } from '../support/worlds.js';

let world: World;
beforeAll(() => {
  world = World.up(example('figure2'));
}, 120_000);
afterAll(() => {
  world?.down();
}, 60_000);

const stations = {
  hp: ['10.0.1.2', 'fd00:0:0:1::2'],
  hq: ['10.0.2.2', 'fd00:0:0:2::2'],
  hm: ['10.0.3.2', 'fd00:0:0:3::2'],
  ha: ['10.0.4.2', 'fd00:0:0:4::2'],
};
const pairs = Object.keys(stations).flatMap((from) =>
  Object.entries(stations)
    .filter(([to]) => to !== from)
    .flatMap(([, addresses]) => addresses.map((address) => ({ from, address }))),
);

describe('reachability', () => {
  test.each(pairs)('iptv/$from reaches $address', ({ from, address }) => {
    expect(world.ping(`iptv/${from}`, address).received).toBe(3);
  });

  test('games reaches its own, at the same addresses', () => {
    for (const [from, to] of [
      ['gp', '10.0.3.2'],
      ['gm', 'fd00:0:0:1::2'],
      ['ga', '10.0.2.2'],
    ] as const)
      expect(world.ping(`games/${from}`, to).received).toBe(3);
  });

  test('the virtual router answers on all its addresses', () => {
    for (const address of ['10.0.1.1', 'fd00:0:0:1::1', '10.0.3.1', 'fd00:0:0:3::1'])
      expect(world.ping('iptv/hp', address).received).toBe(3);
  });

  test('every interface of every machine runs the program in native mode', () => {
    interface Interface {
      ifname: string;
      xdp?: { mode: number };
    }
    const machines = world.get<{ machine: string }>('machines').map((m) => m.machine);
    expect(machines.sort()).toEqual(['A', 'B', 'M', 'N', 'P', 'Q', 'X', 'Y', 'Z']);
    for (const machine of machines) {
      const interfaces = JSON.parse(world.exec(machine, 'ip', '-j', 'link').stdout) as Interface[];
      // nothing arrives at the BFD sender's own end
      const others = interfaces
        .filter(({ ifname, xdp }) => !['lo', 'cbfd1'].includes(ifname) && xdp?.mode !== 1)
        .map(({ ifname }) => ifname);
      expect(others, machine).toEqual([]);
      expect(interfaces.length, machine).toBeGreaterThan(2);
    }
  });
});

describe('traceroute shows service routers only', () => {
  const hops = (output: string): string[] =>
    output
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/)[1] ?? '')
      .filter((hop) => hop !== '');

  const addressesOf = (node: string): string[] =>
    world
      .get<{ addresses: string }>('vifs', `iptv/${node}`)
      .flatMap((v) => v.addresses.split(' ').map((a) => a.split('/')[0] ?? ''));

  test.each([
    ['IPv4', '10.0.3.2', '-4'],
    ['IPv6', 'fd00:0:0:3::2', '-6'],
  ])('%s: P, M, hm, never Q', (_, to, family) => {
    const { stdout } = world.exec('iptv/hp', 'traceroute', family, '-n', '-q', '1', '-w', '2', to);
    const [first = '', second = '', third = '', ...more] = hops(stdout);
    expect(addressesOf('P'), stdout).toContain(first);
    expect(addressesOf('M'), stdout).toContain(second);
    expect([third, more], stdout).toEqual([to, []]);
    for (const hop of hops(stdout)) expect(addressesOf('Q')).not.toContain(hop);
  });
});

describe('equal addresses, two networks', () => {
  test('each network’s client gets its own network’s server', async () => {
    const servers = [
      world.start('iptv/hm', answerOnce('iptv', 8080, 4), 'listening'),
      world.start('games/gm', answerOnce('games', 8080, 4), 'listening'),
    ];
    try {
      await Promise.all(servers.map((s) => s.ready));
      expect(world.exec('iptv/hp', ...ask('10.0.3.2', 8080)).stdout).toBe('iptv');
      expect(world.exec('games/gp', ...ask('10.0.3.2', 8080)).stdout).toBe('games');
    } finally {
      for (const s of servers) s.child.kill();
    }
  });

  test('a server in one network is not there for the other', async () => {
    const server = world.start('iptv/hm', answerOnce('iptv', 8081, 6), 'listening');
    try {
      await server.ready;
      expect(world.exec('iptv/ha', ...ask('fd00:0:0:3::2', 8081)).stdout).toBe('iptv');
      expect(world.exec('games/ga', ...ask('fd00:0:0:3::2', 8081)).stdout.trim()).toBe('ECONNREFUSED');
    } finally {
      server.child.kill();
    }
  });
});

describe('transport', () => {
  const iperf = (
    from: string,
    ...args: string[]
  ): {
    end: { sum_received?: { bits_per_second: number }; sum?: { lost_packets: number; packets: number } };
  } => JSON.parse(world.exec(from, 'iperf3', '-J', '-t', '2', ...args).stdout) as ReturnType<typeof iperf>;

  test.each([
    ['TCP, IPv4', ['-c', '10.0.3.2']],
    ['TCP, IPv4, back', ['-c', '10.0.3.2', '-R']],
    ['TCP, IPv6', ['-c', 'fd00:0:0:3::2']],
  ])('%s', async (_, args) => {
    const server = world.start('iptv/hm', ['iperf3', '-s', '-1', '--forceflush'], 'listening');
    await server.ready;
    const { end } = iperf('iptv/hp', ...args);
    expect(end.sum_received?.bits_per_second ?? 0).toBeGreaterThan(1e6);
  });

  test('UDP at a modest rate', async () => {
    const server = world.start('iptv/hm', ['iperf3', '-s', '-1', '--forceflush'], 'listening');
    await server.ready;
    // room for whatever comes while the receiver waits for a processor: 0.4 s, by the kernel's own largest buffer
    const modest = ['-u', '-b', '5M', '-l', '1200', '-w', '208K'];
    const { end } = iperf('iptv/hp', ...modest, '-c', '10.0.3.2');
    expect(end.sum?.packets ?? 0).toBeGreaterThan(1000);
    expect(end.sum?.lost_packets).toBe(0);
  });

  test('a packet larger than the link is answered by the virtual node, with the link’s MTU', () => {
    const large = world.exec(
      'iptv/hp',
      'ping',
      '-n',
      '-c',
      '2',
      '-W',
      '1',
      '-M',
      'do',
      '-s',
      '1472',
      '10.0.3.2',
    );
    expect(large.stdout).toContain(' 2 received');
    expect(world.exec('iptv/hp', 'ip', 'link', 'set', 'eth0', 'mtu', '1600').status).toBe(0);
    try {
      for (const [option, size, to] of [
        ['-4', '1473', '10.0.3.2'],
        ['-6', '1453', 'fd00:0:0:3::2'],
      ] as const) {
        const larger = world.exec(
          'iptv/hp',
          'ping',
          option,
          '-n',
          '-c',
          '2',
          '-W',
          '1',
          '-M',
          'do',
          '-s',
          size,
          to,
        );
        expect(larger.stdout + larger.stderr).toMatch(/mtu.?=.?1500|Packet too big: mtu=1500/i);
      }
    } finally {
      world.exec('iptv/hp', 'ip', 'link', 'set', 'eth0', 'mtu', '1500');
    }
  });

  test('no route: the virtual node answers', () => {
    const { stdout } = world.exec('iptv/hp', 'ping', '-n', '-c', '1', '-W', '2', '198.51.100.1');
    expect(stdout).toMatch(/From 10\.0\.1\.1 .*Unreachable/);
  });
});

describe('what the commands show', () => {
  test('trace: every look-up of every layer on P, Q and M', () => {
    const result = world.run('trace', 'iptv/hp', '--to', '10.0.3.2');
    expect(result.status, result.stderr).toBe(0);
    const order = ['P', 'Q', 'M'].map((machine) => result.stdout.search(new RegExp(`\\b${machine}\\b`)));
    expect(
      order.every((at) => at >= 0),
      result.stdout,
    ).toBe(true);
    for (const word of ['tunnel', 'label', 'path', 'adjacency', 'next hop'])
      expect(result.stdout.toLowerCase(), result.stdout).toContain(word);
  });

  test('trace counts nothing', () => {
    /* what is to be forwarded: neighbours may be probed at any time, and their answers are for the kernel */
    const forwarded = (): number => {
      const rows = world.get<{ name: string; receivedPackets: number; puntedPackets: number }>(
        'counters',
        'games/P',
      );
      const port = rows.find((r) => r.name === 'games/P/gp');
      return (port?.receivedPackets ?? 0) - (port?.puntedPackets ?? 0);
    };
    const before = forwarded();
    for (let i = 0; i < 3; i++) expect(world.run('trace', 'games/gp', '--to', '10.0.2.2').status).toBe(0);
    expect(forwarded()).toBe(before);
  });

  test('counters rise by what was sent', () => {
    const received = (): number => {
      const rows = world.get<{ name: string; receivedPackets: string | number }>('counters', 'iptv/P');
      return Number(rows.find((r) => r.name === 'iptv/P/hp')?.receivedPackets ?? 0);
    };
    world.ping('iptv/hp', '10.0.3.2');
    const before = received();
    expect(world.exec('iptv/hp', 'ping', '-n', '-q', '-c', '20', '-i', '0.01', '10.0.3.2').stdout).toContain(
      '20 received',
    );
    expect(received() - before).toBeGreaterThanOrEqual(20);
  });

  test('capture: what tshark decodes down to the inner IP', async () => {
    const file = join(tmpdir(), `cabernet-${process.pid}.pcapng`);
    // of a network without protection: its way is always the same; among them is what watches links
    const pings = world.start('games/gp', ['ping', '-n', '-i', '0.02', '10.0.3.2'], 'icmp_seq');
    try {
      await pings.ready;
      const wire = world.get<{ vif: string; below: string }>('paths').find((p) => p.vif === 'conn/P/to-Q');
      const nic = wire?.below.split(' > ').at(-1) ?? '';
      const result = world.run('capture', `P:${nic}`, '-w', file, '--count', '80', '--duration', '10');
      expect(result.status, result.stderr).toBe(0);
      const { stdout } = spawnSync('tshark', ['-r', file, '-V'], { encoding: 'utf8' });
      expect(readFileSync(file).length).toBeGreaterThan(500);
      expect(stdout).toContain('MultiProtocol Label Switching Header');
      expect(stdout).toMatch(/Src: 10\.0\.1\.2, Dst: 10\.0\.3\.2/);
    } finally {
      pings.child.kill();
    }
  });

  test.each(['machines', 'nodes', 'links', 'vns', 'vifs', 'routes', 'paths', 'counters', 'drops'])(
    'get %s',
    (what) => {
      for (const format of ['table', 'yaml', 'json']) {
        const result = world.run('get', what, '-o', format);
        expect(result.status, result.stderr).toBe(0);
        expect(result.stdout.trim(), `${what} as ${format}`).not.toBe('');
      }
    },
  );

  test('doctor finds nothing wrong', () => {
    const result = world.run('doctor');
    expect(result.status, result.stdout + result.stderr).toBe(0);
  });
});

describe('changes below', () => {
  test('a wire is cut: the provider’s routing has no other way, heal brings it back', async () => {
    world.ping('iptv/hm', '10.0.4.2');
    expect(world.run('cut', 'A', 'M').status).toBe(0);
    expect(world.run('heal', 'A', 'M').status).toBe(0);
    await until(
      'reachable again',
      () => (world.ping('iptv/hm', '10.0.4.2', 1).received === 1 ? true : undefined),
      20,
    );
    expect(world.run('cut', 'A', 'Q').status).not.toBe(0);
  });

  test('up again changes nothing, and says so', () => {
    const result = world.again();
    expect(result.status, result.stderr).toBe(0);
    expect(world.ping('iptv/hp', '10.0.3.2').received).toBe(3);
  });
});

describe('bad input', () => {
  test.each([
    [['exec', 'iptv/nobody', '--', 'true'], /nobody/],
    [['exec', 'nowhere/hp', '--', 'true'], /nowhere/],
    [['trace', 'iptv/hp', '--to', 'not-an-address'], /not-an-address/],
    [['capture', 'P:eth99'], /eth99/],
    [['get', 'everything'], /everything/],
    [['--world', 'no-such-world', 'get', 'vifs'], /no-such-world/],
  ])('%j', (args, said) => {
    const result = args[0] === '--world' ? cabernet(...args) : world.run(...args);
    expect(result.status).not.toBe(0);
    expect(result.stderr).toMatch(said);
    expect(result.stderr).not.toMatch(/\n\s+at /);
  });

  test('the version is the package’s', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(cabernet('--version').stdout).toBe(`${version}\n`);
  });

  test('exec passes the exit status on', () => {
    expect(world.exec('iptv/hp', 'sh', '-c', 'exit 7').status).toBe(7);
  });
});
