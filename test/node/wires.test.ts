/*
 * Real kernels and real traffic over labels right on wires: P - X - Y - M in a row, an lsp from P to M through X and Y,
 * which have no virtual node, and a circuit on a wire of its own from P to M. The same connectivity and service networks
 * stand on either.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PcapngWriter } from '../../src/cli/pcapng.js';
import {
  addMachine,
  address,
  addStation,
  addWire,
  deliver,
  inside,
  ip,
  link,
  netns,
  node,
  port,
  type Resource,
  route,
  run,
  stream,
  swap,
  sweep,
  until,
  vifName,
  wire,
} from './machines.js';
import { applyTo, client, end, endAll, start } from './processes.js';

const ROW = ['P', 'X', 'Y', 'M'] as const;
type Machine = (typeof ROW)[number];
const LSP = 1;
const CIRCUIT = 2;

function macOf(machine: Machine, device: string): string {
  const [found] = JSON.parse(ip('-n', netns(machine), '-j', 'link', 'show', 'dev', device)) as {
    address: string;
  }[];
  return found?.address ?? '';
}

/** What the infrastructure provider wants, by machine; neighbours named in each of the ways there are. */
function lsp(): Record<Machine, Resource[]> {
  const to = (device: string, neighbour: object): object => ({ kind: LSP, interface: device, ...neighbour });
  return {
    P: [
      wire('x', to('to-X', { neighbourAddress: '100.64.0.1' })),
      node('conn', 'P', 'conn'),
      link('conn/P/m', { wire: 'x', label: 1001 }, { mtu: 1574 }),
      deliver({ wire: 'x', label: 2003 }, 'conn/P/m'),
    ],
    X: [
      wire('p', to('to-P', { neighbourMac: macOf('P', 'to-X') })),
      wire('y', to('to-Y', { neighbourAddress: 'fd64::3' })),
      swap({ wire: 'p', label: 1001 }, { wire: 'y', label: 1002 }),
      swap({ wire: 'y', label: 2002 }, { wire: 'p', label: 2003 }),
    ],
    Y: [
      wire('x', to('to-X', { neighbourAddress: '100.64.0.2' })),
      wire('m', to('to-M', { neighbourMac: macOf('M', 'to-Y').toUpperCase() })),
      swap({ wire: 'x', label: 1002 }, { wire: 'm', label: 1003 }),
      swap({ wire: 'm', label: 2001 }, { wire: 'x', label: 2002 }),
    ],
    M: [
      wire('y', to('to-Y', { neighbourAddress: '100.64.0.4' })),
      node('conn', 'M', 'conn'),
      link('conn/M/p', { wire: 'y', label: 2001 }, { mtu: 1574 }),
      deliver({ wire: 'y', label: 1003 }, 'conn/M/p'),
    ],
  };
}

function circuit(): Record<Machine, Resource[]> {
  const [p, m] = [
    { kind: CIRCUIT, interface: 'to-M', neighbourAddress: '100.64.0.7' },
    { kind: CIRCUIT, interface: 'to-P', neighbourAddress: 'fd64::6' },
  ];
  return {
    P: [wire('m', p), node('conn', 'P', 'conn'), link('conn/P/m', { wire: 'm' }, { mtu: 1578 })],
    X: [],
    Y: [],
    M: [wire('p', m), node('conn', 'M', 'conn'), link('conn/M/p', { wire: 'p' }, { mtu: 1578 })],
  };
}

/** Of a service packet: what fits the lsp, whose own labels and a bypass's take 12 bytes more. */
const MTU = 1570;

/** The layers above, the same over both. */
const above: Record<'P' | 'M', Record<'conn' | 'iptv', Resource[]>> = {
  P: {
    conn: [
      address('conn/P/m', '10.5.0.1/24'),
      node('iptv', 'P', 'iptv'),
      port('iptv/P/station', 'st-hp', { mtu: MTU }),
      link('iptv/P/p-m', { vif: 'conn/P/m', label: 5001 }, { mtu: MTU }),
      deliver({ vif: 'conn/P/m', label: 6001 }, 'iptv/P/p-m'),
    ],
    iptv: [
      address('iptv/P/station', '10.0.1.1/24'),
      address('iptv/P/station', 'fd00:0:0:1::1/64'),
      address('iptv/P/p-m', '10.1.0.0/31'),
      address('iptv/P/p-m', 'fd00:1::/127'),
      route('iptv/P', '10.0.3.0/24', ['p-m', '10.1.0.1']),
      route('iptv/P', 'fd00:0:0:3::/64', ['p-m', 'fd00:1::1']),
    ],
  },
  M: {
    conn: [
      address('conn/M/p', '10.5.0.2/24'),
      node('iptv', 'M', 'iptv'),
      port('iptv/M/station', 'st-hm', { mtu: MTU }),
      link('iptv/M/m-p', { vif: 'conn/M/p', label: 6001 }, { mtu: MTU }),
      deliver({ vif: 'conn/M/p', label: 5001 }, 'iptv/M/m-p'),
    ],
    iptv: [
      address('iptv/M/station', '10.0.3.1/24'),
      address('iptv/M/station', 'fd00:0:0:3::1/64'),
      address('iptv/M/m-p', '10.1.0.1/31'),
      address('iptv/M/m-p', 'fd00:1::1/127'),
      route('iptv/M', '10.0.1.0/24', ['m-p', '10.1.0.0']),
      route('iptv/M', 'fd00:0:0:1::/64', ['m-p', 'fd00:1::']),
    ],
  },
};

async function applyAll(infrastructure: Record<Machine, Resource[]>): Promise<number> {
  let changed = 0;
  const one = async (machine: Machine, owner: string, resources: readonly Resource[]): Promise<void> => {
    const { created, updated, deleted } = await applyTo(machine, owner, resources);
    changed += created + updated + deleted;
  };
  for (const machine of ROW) await one(machine, 'one', infrastructure[machine]);
  for (const owner of ['conn', 'iptv'] as const) {
    for (const machine of ['P', 'M'] as const) await one(machine, owner, above[machine][owner]);
  }
  return changed;
}

async function states(machine: Machine): Promise<string[]> {
  const { wires } = await client(machine).listWires({});
  return wires.map(({ wire: one, state }) => `${one?.name} ${state}`);
}

async function allUp(): Promise<void> {
  for (const machine of ROW) {
    await until(`the wires of ${machine} are up`, async () =>
      (await states(machine)).every((state) => state.endsWith(' up')),
    );
  }
}

function ping(target: string, ...more: string[]): void {
  const { status, output } = inside(
    netns('st.hp'),
    'ping',
    '-c',
    '3',
    '-i',
    '0.2',
    '-W',
    '2',
    ...more,
    target,
  );
  expect(status, output).toBe(0);
}

/** The layers above may have given up on their neighbours meanwhile, and ask again. */
async function answered(): Promise<void> {
  await until(
    'hm answers',
    () => inside(netns('st.hp'), 'ping', '-c', '1', '-W', '1', '10.0.3.2').status === 0,
  );
  ping('10.0.3.2');
}

/** Bytes that one second of TCP carried from hp to hm. */
async function tcp(target: string): Promise<number> {
  const server = spawn('nsenter', [
    `--net=/run/netns/${netns('st.hm')}`,
    '--',
    'iperf3',
    '-s',
    '-1',
    '--forceflush',
  ]);
  const ended = once(server, 'exit');
  await once(server.stdout, 'data');
  const { output } = inside(netns('st.hp'), 'iperf3', '-J', '-t', '1', '-c', target);
  await ended;
  const { end: sums } = JSON.parse(output) as { end: { sum_received: { bytes: number } } };
  return sums.sum_received.bytes;
}

async function dropped(machine: Machine, ...reasons: string[]): Promise<Record<string, bigint>> {
  const { drops } = await client(machine).listDrops({});
  return Object.fromEntries(
    drops.filter(({ reason }) => reasons.includes(reason)).map(({ reason, packets }) => [reason, packets]),
  );
}

beforeAll(async () => {
  sweep();
  ROW.forEach((name, i) => addMachine(name, `100.127.0.${i + 1}`, `fd64:ffff::${i + 1}`));
  addWire('P', 'X', 0);
  addWire('X', 'Y', 1);
  addWire('Y', 'M', 2);
  addWire('P', 'M', 3);
  addStation('P', 'hp', 'st-hp', ['10.0.1.2/24', 'fd00:0:0:1::2/64']);
  addStation('M', 'hm', 'st-hm', ['10.0.3.2/24', 'fd00:0:0:3::2/64']);
  for (const [ns, device] of [
    [netns('P'), 'st-hp'],
    [netns('st.hp'), 'eth0'],
    [netns('M'), 'st-hm'],
    [netns('st.hm'), 'eth0'],
  ] as const) {
    ip('-n', ns, 'link', 'set', device, 'mtu', String(MTU));
  }
  await Promise.all(ROW.map(start));
});

afterAll(async () => {
  await endAll();
  sweep();
});

describe.each([
  { kind: 'an lsp through two machines', infrastructure: lsp, largest: 1570 },
  { kind: 'a circuit', infrastructure: circuit, largest: 1574 },
])('over $kind', ({ infrastructure, largest }) => {
  beforeAll(async () => {
    await applyAll(infrastructure());
    await allUp();
  });

  test('stations reach each other, and the link carries its owner’s own packets', () => {
    for (const target of ['10.0.3.2', 'fd00:0:0:3::2']) ping(target);
    expect(inside(`${netns('P')}.conn.P`, 'ping', '-c', '2', '10.5.0.2').status).toBe(0);
    const { output } = inside(netns('st.hp'), 'traceroute', '-n', '-q', '1', '-w', '2', '10.0.3.2');
    const hops = output
      .split('\n')
      .slice(1)
      .flatMap((line) => /^ *\d+ +([\d.]+)/.exec(line)?.[1] ?? []);
    expect(hops).toEqual(['10.0.1.1', '10.1.0.1', '10.0.3.2']);
  });

  test('the longest packets, and those that do not fit', () => {
    ping('10.0.3.2', '-M', 'do', '-s', String(MTU - 28));
    ping('fd00:0:0:3::2', '-M', 'do', '-s', String(MTU - 48));
    // in fragments
    ping('10.0.3.2', '-s', '4000');
  });

  test('TCP, of both IP versions', async () => {
    for (const target of ['10.0.3.2', 'fd00:0:0:3::2']) expect(await tcp(target)).toBeGreaterThan(1_000_000);
  });

  test('the MTU of a vif is held against the interface', async () => {
    const conn = (mtu: number): Promise<unknown> =>
      applyTo(
        'P',
        'conn',
        above.P.conn.map((one) =>
          one.vif?.name === vifName('iptv/P/p-m') ? { vif: { ...one.vif, mtu } } : one,
        ),
        { validateOnly: true },
      );
    await conn(largest);
    await expect(conn(largest + 1)).rejects.toMatchObject({ reason: 'MTU_TOO_BIG' });
  });

  test('agents are killed and start again, and no packet is lost', async () => {
    let over = false;
    const streams = ['10.0.3.2', 'fd00:0:0:3::2', '10.0.3.2', 'fd00:0:0:3::2'].map(async (target, i) => {
      let [lost, sent] = [0, 0];
      while (!over) {
        const part = await stream('hp', target, i < 2 ? 150 : 190);
        lost += part.sent - part.received;
        sent += part.sent;
      }
      return { lost, enough: sent > 100 };
    });
    const before = await Promise.all(ROW.map((name) => client(name).listWires({})));
    await Promise.all(ROW.map((name) => end(name, 'SIGKILL')));
    await Promise.all(ROW.map(start));
    await allUp();
    expect(await Promise.all(ROW.map((name) => client(name).listWires({})))).toEqual(before);
    expect(await applyAll(infrastructure())).toBe(0);
    over = true;
    for (const one of await Promise.all(streams)) expect(one).toEqual({ lost: 0, enough: true });
  });

  test('a trace goes on at the machine whose interface the frame is for', async () => {
    const probe = {
      vif: vifName('iptv/P/station'),
      sourceAddress: '10.0.1.2',
      destinationAddress: '10.0.3.2',
    };
    let step = await client('P').trace({ start: 'probe', probe });
    const ways = [];
    for (const machine of step.wire === 'wires/m' ? (['M'] as const) : (['X', 'Y', 'M'] as const)) {
      ways.push(`${step.verdict} ${step.wire} ${step.egressInterface}`);
      step = await client(machine).trace({ start: 'frame', frame: { frame: step.egressFrame } });
      expect(step.steps.map(({ lookup }) => lookup)).toContain('wire');
    }
    expect(step).toMatchObject({ verdict: 'delivered', egressInterface: 'st-hm' });
    expect(step.egressFrame.length).toBe(98);
    const all = ['forwarded wires/x to-X', 'forwarded wires/y to-Y', 'forwarded wires/m to-M'];
    expect(ways).toEqual(ways.length === 1 ? ['forwarded wires/m to-M'] : all);
  });
});

/** What tshark makes of the frames at one of P's interfaces while `send` runs: protocols, labels and their S bits. */
async function decoded(device: string, send: () => void): Promise<string[]> {
  const stop = new AbortController();
  const frames: Buffer[] = [];
  const reading = (async (): Promise<void> => {
    const point = { point: 'interface', interface: device } as const;
    try {
      for await (const { packets } of client('P').capture(point, { signal: stop.signal }))
        for (const { frame } of packets) frames.push(Buffer.from(frame));
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  })();
  await until('something is captured', () => {
    send();
    return frames.length > 4;
  });
  stop.abort();
  await reading;
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-wires-'));
  try {
    const file = join(folder, 'wire.pcapng');
    const writer = new PcapngWriter(1514);
    const blocks = frames.map((frame) =>
      writer.packet({ timeNs: 0n, point: device, direction: 'in', length: frame.length, frame }),
    );
    writeFileSync(file, Buffer.concat([writer.header(), ...blocks]));
    // a circuit's own frames bear label 0, below which others expect IPv4
    const as = ['mpls.label==0', 'mpls.label==16-1048575'].flatMap((labels) => ['-d', `${labels},pwethcw`]);
    const fields = ['frame.protocols', 'mpls.label', 'mpls.bottom'].flatMap((field) => ['-e', field]);
    return run('tshark', '-r', file, ...as, '-T', 'fields', ...fields)
      .trim()
      .split('\n')
      .map((line) => line.replaceAll('\t', ' '));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('others read what is on the wires: tshark', async () => {
  const service = (): void => ping('10.0.3.2');
  const own = (): void => void inside(`${netns('P')}.conn.P`, 'ping', '-c', '2', '-i', '0.2', '10.5.0.2');
  const stack = 'eth:ethertype:mpls:eth:ethertype:ip:icmp:data';
  await applyAll(lsp());
  await allUp();
  await answered();
  expect(await decoded('to-X', service)).toEqual(
    expect.arrayContaining([`${stack} 1001,5001 0,1`, `${stack} 2003,6001 0,1`]),
  );
  expect(await decoded('to-X', own)).toEqual(expect.arrayContaining([`${stack} 1001 1`, `${stack} 2003 1`]));
  await applyAll(circuit());
  await allUp();
  await answered();
  expect(await decoded('to-M', service)).toEqual(
    expect.arrayContaining([`${stack} 5001 1`, `${stack} 6001 1`]),
  );
  expect(await decoded('to-M', own)).toEqual(expect.arrayContaining([`${stack} 0 1`]));
});

test('a circuit names its link; states follow interface and neighbour, and watchers are told', async () => {
  await applyAll(circuit());
  await allUp();
  const { wires } = await client('P').listWires({});
  expect(wires).toMatchObject([
    { owner: 'one', state: 'up', mac: macOf('M', 'to-P'), vif: vifName('conn/P/m') },
  ]);
  expect((await client('P').listPaths({})).paths[0]).toMatchObject({
    vif: vifName('conn/P/m'),
    path: { wire: 'wires/m', label: 0 },
    below: ['wires/m', 'to-M'],
    state: 'up',
  });
  const seen: string[] = [];
  const stop = new AbortController();
  const watching = (async (): Promise<void> => {
    try {
      for await (const { name, state } of client('P').watch(
        { includeCurrent: true },
        { signal: stop.signal },
      ))
        seen.push(`${name} ${state}`);
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  })();
  await until('the watch has begun', () => seen.includes('wires/m up'));
  ip('-n', netns('P'), 'link', 'set', 'to-M', 'down');
  await until('it is down', () => seen.includes('wires/m interface down'));
  await until('and what is above it', () =>
    seen.includes(`${vifName('iptv/P/p-m')} wires/m: interface down`),
  );
  seen.length = 0;
  ip('-n', netns('P'), 'link', 'set', 'to-M', 'up');
  // whose kernel takes the IPv6 addresses of a link that is set down away
  ip('-n', netns('P'), 'address', 'add', 'fd64::6/127', 'dev', 'to-M', 'nodad');
  await until('it is up again', () => seen.includes('wires/m up'));
  await allUp();
  await answered();

  // another card under the same name, with another MAC address; its far end too
  ip('-n', netns('P'), 'link', 'delete', 'to-M');
  await until('the wires are gone', async () => (await states('M')).includes('wires/p interface down'));
  addWire('P', 'M', 3);
  await allUp();
  await answered();
  stop.abort();
  await watching;
});

test('nobody there, or nobody the kernel could ask: unresolved, and counted', async () => {
  const [nobody, tagged] = [
    { kind: LSP, interface: 'to-P', neighbourAddress: '100.64.0.77' },
    { kind: CIRCUIT, interface: 'to-P', vlan: 7, neighbourAddress: '100.64.0.0' },
  ];
  await applyTo('X', 'one', [
    wire('nobody', nobody),
    wire('tagged', tagged),
    node('n', 'X', 'one'),
    link('n/X/a', { wire: 'nobody', label: 100 }),
    address('n/X/a', '10.9.0.1/24'),
  ]);
  expect(await states('X')).toEqual(['wires/nobody unresolved', 'wires/tagged unresolved']);
  const { findings } = await client('X').diagnose({});
  expect(findings.find(({ subject }) => subject === 'wires/tagged')?.text).toContain('no device of VLAN 7');
  inside(`${netns('X')}.n.X`, 'ping', '-c', '1', '-W', '1', '10.9.0.2');
  expect((await dropped('X', 'wire_unresolved'))['wire_unresolved']).toBeGreaterThan(0n);
});

test('frames from elsewhere on the wire are dropped by name', async () => {
  await applyAll(lsp());
  await allUp();
  const send = (from: string, to: string): void => {
    // label 1001, which P's link bears, at the bottom; then a control word
    const bytes = [
      ...from.split(':'),
      ...to.split(':'),
      '88',
      '47',
      '00',
      '3e',
      '91',
      '40',
      ...Array<string>(60).fill('00'),
    ];
    const text = bytes.map((byte) => `\\x${byte}`).join('');
    const command = `import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("to-X", 0)); s.send(b"${text}")`;
    expect(inside(netns('P'), 'python3', '-c', command).status).toBe(0);
  };
  const before = (await dropped('X', 'wire_address'))['wire_address'] ?? 0n;
  send('02:00:00:00:00:99', macOf('X', 'to-P'));
  send(macOf('P', 'to-X'), '02:00:00:00:00:98');
  await until(
    'both are counted',
    async () => (await dropped('X', 'wire_address'))['wire_address'] === before + 2n,
  );
});

test('only its owner uses a wire', async () => {
  await applyAll(lsp());
  const attempt = async (...resources: Resource[]): Promise<unknown> =>
    applyTo('X', 'two', resources).then(
      () => 'accepted',
      ({ reason, field }: { reason: string; field: string }) => `${reason} ${field}`,
    );
  const own = wire('z', { kind: LSP, interface: 'to-Y', vlan: 5, neighbourMac: '02:00:00:00:00:01' });
  const mine = { kind: LSP, interface: 'to-Y', vlan: 6, neighbourMac: '02:00:00:00:00:01' };
  const net = node('n', 'X', 'two');
  expect(await attempt(own, swap({ wire: 'z', label: 100 }, { wire: 'y', label: 1002 }))).toBe(
    'NOT_OWNER resources[1].label.swap.wire',
  );
  expect(await attempt(own, swap({ wire: 'p', label: 3000 }, { wire: 'z', label: 100 }))).toBe(
    'NOT_OWNER resources[1].label.wire',
  );
  expect(await attempt(net, link('n/X/a', { wire: 'y', label: 1002 }))).toBe(
    'NOT_OWNER resources[1].vif.link.paths[0].wire',
  );
  expect(await attempt(wire('y', mine))).toBe('NAME_IN_USE resources[0].wire.name');
  expect(await attempt(wire('other', { ...mine, vlan: 0 }))).toBe('WIRE_IN_USE resources[0].wire.interface');
  expect(await attempt(own, wire('other', { ...mine, vlan: 5 }))).toBe(
    'WIRE_IN_USE resources[1].wire.interface',
  );
  expect(await attempt(wire('other', { ...mine, interface: 'lo' }))).toBe(
    'NOT_UNDERLAY resources[0].wire.interface',
  );
  expect(await attempt(net, link('n/X/a', { wire: 'none', label: 100 }))).toBe(
    'WIRE_NOT_FOUND resources[1].vif.link.paths[0].wire',
  );
  expect(await attempt(own, net, link('n/X/a', { wire: 'z' }))).toBe(
    'LABEL_RANGE resources[2].vif.link.paths[0].label',
  );
  ping('10.0.3.2');
});

test('a circuit carries one link, and no labels', async () => {
  await applyAll(lsp());
  const leased = wire('c', { kind: CIRCUIT, interface: 'to-Y', vlan: 5, neighbourMac: '02:00:00:00:00:01' });
  const attempt = async (...resources: Resource[]): Promise<unknown> =>
    applyTo('X', 'two', [leased, node('n', 'X', 'two'), ...resources], { validateOnly: true }).then(
      () => 'accepted',
      ({ reason, field }: { reason: string; field: string }) => `${reason} ${field}`,
    );
  const a = link('n/X/a', { wire: 'c' });
  expect(await attempt(a)).toBe('accepted');
  expect(await attempt(link('n/X/a', { wire: 'c', label: 100 }))).toBe(
    'CIRCUIT_LABEL resources[2].vif.link.paths[0].label',
  );
  expect(await attempt(a, link('n/X/b', { wire: 'c' }))).toBe(
    'CIRCUIT_IN_USE resources[3].vif.link.paths[0].wire',
  );
  expect(await attempt(a, deliver({ wire: 'c', label: 100 }, 'n/X/a'))).toBe(
    'CIRCUIT_LABEL resources[3].label.wire',
  );
  expect(await attempt(a, swap({ vif: 'n/X/a', label: 100 }, { wire: 'c' }))).toBe(
    'CIRCUIT_LABEL resources[3].label.swap.wire',
  );
});

test('what was pinned is given back', async () => {
  for (const owner of ['iptv', 'conn', 'two', 'one']) for (const name of ROW) await applyTo(name, owner, []);
  for (const name of ROW) {
    expect(await states(name)).toEqual([]);
    await until('every id is given back', async () => {
      const { tables } = await client(name).getMachine({});
      return tables.every(({ table, used }) => used === 0n || table === 'names');
    });
  }
});
