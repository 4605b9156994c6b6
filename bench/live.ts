/*
 * Live frames of 64 bytes over veth, all on one core: a generator, one machine that forwards, a sink. What forwards is
 * in turn the data plane (three look-ups, full encapsulation), the kernel by VXLAN, the kernel by plain IPv4, and the
 * least an XDP program can do. The generator is in all four figures.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type XdpLink } from '../native/lib/index.js';
import { LinkKind } from '../gen/layout.js';
import { Instance } from '../test/support/instance.js';
import { cableHp, mac, wireQ } from '../test/support/machine-p.js';
import { countInstructions } from './instructions.js';
import { readCounter, setBytes, stationFrame, withRoutes } from './machine.js';
import { protect } from './protect.js';
import { median, round, row, type Row } from './report.js';

const packets = 1_000_000;
const rounds = 5;
/* the veth ends: the machine's two, and what is plugged into them */
const generator = cableHp + 1;
const sink = wireQ + 1;

interface Way {
  name: string;
  /** Of each packet that is sent; else one. */
  copies?: number;
  prepare(instance: Instance): () => void;
}

function ip(instance: Instance, ...args: string[]): void {
  execFileSync('nsenter', [`--net=${instance.netns}`, 'ip', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

function kernelForwarding(instance: Instance, device: string): void {
  ip(instance, 'address', 'add', '10.0.1.1/24', 'dev', `e${cableHp}`);
  ip(instance, 'link', 'set', `e${cableHp}`, 'address', mac.vif1);
  ip(instance, 'route', 'replace', '10.0.3.0/24', 'via', '192.0.3.2', 'dev', device, 'onlink');
  ip(instance, 'neighbour', 'replace', '192.0.3.2', 'lladdr', mac.farM, 'dev', device);
}

const ways: Way[] = [
  {
    name: 'data plane',
    prepare(instance) {
      const program = instance.object.program('cabernet_port');
      const link = program.attachXdp(cableHp, { mode: 'native', netns: instance.netns });
      return () => link.close();
    },
  },
  {
    name: 'kernel VXLAN',
    prepare(instance) {
      ip(instance, 'address', 'add', '192.0.2.1/24', 'dev', `e${wireQ}`);
      ip(instance, 'neighbour', 'replace', '192.0.2.2', 'lladdr', mac.wireQ, 'dev', `e${wireQ}`);
      const vxlan = [
        'type',
        'vxlan',
        'id',
        '7',
        'local',
        '192.0.2.1',
        'remote',
        '192.0.2.2',
        'dstport',
        '4789',
      ];
      ip(instance, 'link', 'add', 'vx7', ...vxlan, 'dev', `e${wireQ}`);
      ip(instance, 'link', 'set', 'vx7', 'up');
      ip(instance, 'address', 'add', '192.0.3.1/24', 'dev', 'vx7');
      kernelForwarding(instance, 'vx7');
      return () => {
        ip(instance, 'link', 'delete', 'vx7');
        ip(instance, 'address', 'flush', 'dev', `e${cableHp}`);
        ip(instance, 'address', 'flush', 'dev', `e${wireQ}`);
      };
    },
  },
  {
    name: 'kernel IPv4',
    prepare(instance) {
      ip(instance, 'address', 'add', '192.0.3.1/24', 'dev', `e${wireQ}`);
      kernelForwarding(instance, `e${wireQ}`);
      return () => {
        ip(instance, 'address', 'flush', 'dev', `e${cableHp}`);
        ip(instance, 'address', 'flush', 'dev', `e${wireQ}`);
      };
    },
  },
  {
    name: 'data plane, 1+1: two copies by one wire',
    copies: 2,
    prepare(instance) {
      const undo = protect(instance, LinkKind.LINK_TWICE);
      const program = instance.object.program('cabernet_port');
      const link = program.attachXdp(cableHp, { mode: 'native', netns: instance.netns });
      return () => {
        link.close();
        undo();
      };
    },
  },
  {
    name: 'bare XDP redirect',
    prepare(instance) {
      instance.map('bench_devices').setDevice(0, { ifindex: wireQ }, { netns: instance.netns });
      const link = instance.object
        .program('bench_redirect')
        .attachXdp(cableHp, { mode: 'native', netns: instance.netns });
      return () => link.close();
    },
  },
];

const sunk = (instance: Instance): number => readCounter(instance, 'bench_sunk');

async function send(instance: Instance, count: number): Promise<void> {
  await instance.object.program('bench_generate').testRun({
    data: stationFrame('10.0.3.2'),
    netns: instance.netns,
    repeat: count,
    liveFrames: true,
    batchSize: 64,
    xdp: { ingressIfindex: generator },
  });
}

/** A ring of 256 overflows where something else holds the core for a while: such a run measures that. */
async function measure(instance: Instance, way: Way): Promise<{ rate: number; instructions?: number }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await measureOnce(instance, way);
    } catch (error) {
      if (attempt === 5 || !(error instanceof Lossy)) throw error;
    }
  }
}

class Lossy extends Error {}

/** Packets a second through the machine, and instructions each. */
async function measureOnce(instance: Instance, way: Way): Promise<{ rate: number; instructions?: number }> {
  const undo = way.prepare(instance);
  try {
    await send(instance, 2000);
    const before = sunk(instance);
    const start = process.hrtime.bigint();
    const { instructions } = await countInstructions(() => send(instance, packets));
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const arrived = (sunk(instance) - before) / (way.copies ?? 1);
    if (arrived < packets * 0.99)
      throw new Lossy(`${way.name}: only ${arrived} of ${packets} packets arrived`);
    return {
      rate: arrived / seconds,
      ...(instructions === undefined ? {} : { instructions: instructions / arrived }),
    };
  } finally {
    undo();
  }
}

async function run(): Promise<Row[]> {
  const { tables } = withRoutes(1000);
  const instance = await Instance.start(tables, { benchmarks: true });
  const links: XdpLink[] = [];
  try {
    for (const index of [cableHp, generator, wireQ, sink]) {
      execFileSync('nsenter', [
        `--net=${instance.netns}`,
        'ethtool',
        '-K',
        `e${index}`,
        'gro',
        'on',
        'tx',
        'off',
      ]);
      ip(instance, 'link', 'set', `e${index}`, 'mtu', '1600');
      ip(instance, 'link', 'set', `e${index}`, 'up');
    }
    const settings = [
      'net.ipv4.ip_forward=1',
      'net.ipv4.conf.all.rp_filter=0',
      'net.ipv4.conf.default.rp_filter=0',
    ];
    execFileSync('nsenter', [`--net=${instance.netns}`, 'sysctl', '-qw', ...settings]);
    ip(instance, 'neighbour', 'replace', '10.0.1.2', 'lladdr', mac.hp, 'dev', `e${cableHp}`);
    const program = instance.object.program('bench_sink');
    links.push(program.attachXdp(sink, { mode: 'native', netns: instance.netns }));
    setBytes(instance, 'bench_head', stationFrame('10.0.3.2').subarray(0, 48));

    const rates = ways.map((): number[] => []);
    const instructions = ways.map((): number | undefined => undefined);
    for (let i = 0; i < rounds; i++) {
      for (const [k, way] of ways.entries()) {
        const result = await measure(instance, way);
        rates[k]?.push(result.rate);
        instructions[k] = result.instructions;
      }
    }
    const mpps = (k: number): number => round(median(rates[k] ?? []) / 1e6);
    const counted = instructions[0];
    return [1, 2, 3, 4].map((k) =>
      row({
        bench: 'forward',
        case: 'live, 64 bytes, one core',
        unit: 'Mpps',
        value: mpps(0),
        peer: ways[k]?.name ?? '',
        peerValue: mpps(k),
        ...(counted === undefined ? {} : { instructionsPerPacket: Math.round(counted) }),
      }),
    );
  } finally {
    for (const link of links) link.close();
    instance.stop();
  }
}

/** In a process of its own, held on one core: the softirqs run where the generator runs. */
export async function live(): Promise<Row[]> {
  const script = fileURLToPath(import.meta.url);
  const child = spawnSync('taskset', ['-c', '1', process.execPath, script, '--rows'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.status !== 0) throw new Error('the live benchmark failed: see above');
  return JSON.parse(child.stdout) as Row[];
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv.includes('--rows')) {
  process.stdout.write(JSON.stringify(await run()));
}
