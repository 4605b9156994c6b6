/** `cabernet doctor`: what this host has, and what each agent finds on its machine. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, release, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';

import { Agents, bpfFsMounted, chooseWorld, type Finding, knownWorlds, packageRoot } from '../world/index.js';
import type { DoctorFlags } from './flags.js';
import { environment } from './peer.js';
import { remoteAgents } from './remote.js';
import { CommandError } from './report.js';

type Check = Pick<Finding, 'severity' | 'subject' | 'text'>;

const ok = (subject: string, text: string): Check => ({ severity: 'ok', subject, text });
const warning = (subject: string, text: string): Check => ({ severity: 'warning', subject, text });
const error = (subject: string, text: string): Check => ({ severity: 'error', subject, text });

function kernel(): Check {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major > 6 || (major === 6 && minor >= 1)) return ok('kernel', `Linux ${release()}`);
  return error('kernel', `Linux ${release()}: the data plane needs 6.1 or newer`);
}

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return ok('node', `Node.js ${process.versions.node}`);
  return error('node', `Node.js ${process.versions.node}: 20.19 or newer is needed`);
}

function root(): Check {
  return process.getuid?.() === 0 ? ok('rights', 'root') : error('rights', 'not root: run it with sudo');
}

function bpf(): readonly Check[] {
  const jit = '/proc/sys/net/core/bpf_jit_enable';
  const jitOn = existsSync(jit) && readFileSync(jit, 'utf8').trim() !== '0';
  return [
    existsSync('/sys/kernel/btf/vmlinux')
      ? ok('BPF', 'the kernel has BTF')
      : error('BPF', 'the kernel has no BTF: CONFIG_DEBUG_INFO_BTF is needed'),
    bpfFsMounted()
      ? ok('BPF', 'its file system is mounted')
      : warning('BPF', 'its file system is not mounted: `up` and the agent mount it'),
    jitOn
      ? ok('BPF', 'programs are compiled')
      : warning('BPF', `programs are interpreted, and slow: write 1 to ${jit}`),
  ];
}

function built(): readonly Check[] {
  const parts = {
    'the addon': 'native/build/Release/libbpf_ts.node',
    'the data plane': 'build/bpf/cabernet.o',
    'the tracing build': 'build/bpf/cabernet-trace.o',
    "the middle of a world's wires": 'build/bpf/relay.o',
    'the process of those wires': 'build/native-tools/wire-relay',
    'the BFD sender': 'build/native-tools/bfd-sender',
  };
  return Object.entries(parts).map(([what, path]) =>
    existsSync(join(packageRoot(), path))
      ? ok('build', `${what} is built`)
      : error('build', `${what} is not built: \`npm run setup\` builds it`),
  );
}

function tools(): readonly Check[] {
  const needed = { ip: 'iproute2', nsenter: 'util-linux', unshare: 'util-linux', mount: 'mount' };
  const useful = { ping: 'iputils-ping', traceroute: 'traceroute', iperf3: 'iperf3' };
  const missing = (names: Readonly<Record<string, string>>): [string, string][] =>
    Object.entries(names).filter(([name]) => !onPath(name));
  const found = [...missing(needed), ...missing(useful)].length === 0;
  return [
    ...missing(needed).map(([name, origin]) => error('tools', `${name} is missing: install ${origin}`)),
    ...missing(useful).map(([name, origin]) =>
      warning('tools', `${name} is missing, which the demo uses: install ${origin}`),
    ),
    ...(found ? [ok('tools', [...Object.keys(needed), ...Object.keys(useful)].join(', '))] : []),
  ];
}

function onPath(name: string): boolean {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return directories.some((directory) => existsSync(join(directory, name)));
}

function size(): Check {
  return ok(
    'host',
    `${availableParallelism()} processors, ${(totalmem() / 2 ** 30).toFixed(1)} GB of memory`,
  );
}

const MARKS: Readonly<Record<string, string>> = { ok: 'ok', warning: 'warning', error: 'ERROR' };

function print(where: string, findings: readonly Check[]): void {
  process.stdout.write(`${where}\n`);
  for (const { severity, subject, text } of findings) {
    process.stdout.write(`  ${(MARKS[severity] ?? severity).padEnd(8)}${subject}: ${text}\n`);
    if (severity === 'error') process.exitCode = 1;
  }
}

/** Interfaces that no agent has yet: what would stand in its way. */
async function examine(names: readonly string[], jumbo: boolean): Promise<readonly Check[]> {
  // the addon is loaded only now: `doctor` is also to say that it is not built
  const [{ Netlink }, nic] = await Promise.all([
    import('../../native/lib/index.js'),
    import('../nic/index.js'),
  ]);
  const netlink = await Netlink.open();
  try {
    const links = await netlink.links();
    const chosen = names.map((name) => {
      const link = links.find((one) => one.name === name);
      if (link) return link;
      throw new CommandError(
        `there is no interface ${name} here: ${links.map((one) => one.name).join(', ')}`,
      );
    });
    const situation = nic.situationHere({ jumbo, taken: false, problem: '' });
    return (await nic.readFacts(chosen)).flatMap((facts) => nic.findingsOf(facts, situation));
  } finally {
    netlink.close();
  }
}

export async function doctorCommand(interfaces: readonly string[], options: DoctorFlags): Promise<void> {
  const remote = await remoteAgents({
    ...options,
    address: options.address ?? environment('CABERNET_ADDRESS'),
  });
  if (remote) {
    await printAgents(remote);
    return;
  }
  const examined = interfaces.length === 0 ? [] : await examine([...new Set(interfaces)], options.jumbo);
  print('this host', [root(), kernel(), node(), size(), ...bpf(), ...tools(), ...built(), ...examined]);
  if (process.getuid?.() !== 0 || (options.world === undefined && knownWorlds().length === 0)) return;
  await printAgents(new Agents(chooseWorld(options.world)));
}

/** What each agent says of its machine. */
async function printAgents(agents: Agents): Promise<void> {
  try {
    const { answers, silent } = await agents.ask((agent) => agent.diagnose());
    for (const { machine, value } of answers) print(machine, value);
    for (const { machine, value } of silent) print(machine, [error('agent', value)]);
  } finally {
    agents.close();
  }
}
