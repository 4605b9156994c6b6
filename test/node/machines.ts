/*
 * Machines for tests of the agent: network namespaces with wires between them, stations on cables, and one agent per
 * machine in this process. Names begin with this process's prefix; everything is taken away again, also what a process that is gone has left.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogger, createLogger } from '../../src/api/log.js';
import { type Draft } from '../../src/api/message.js';
import { Agent, type AgentOptions } from '../../src/node/agent.js';
import { machineHierarchy } from '../../src/node/cgroups.js';
import { Collection } from '../../src/node/collect.js';
import { type Counts } from '../../src/node/plan.js';
import { senderProcesses } from '../../src/node/sender-process.js';
import { type cabernet } from '../../gen/cabernet.js';

export const PREFIX = `cbnode${process.pid}-`;
const PINS = '/sys/fs/bpf';

export type Resource = Draft<cabernet.node.v1.Resource>;

export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export function ip(...args: string[]): string {
  return run('ip', ...args);
}

/** In a namespace; the exit status counts, not the output. */
export function inside(netns: string, ...command: string[]): { status: number; output: string } {
  const result = spawnSync('nsenter', [`--net=/run/netns/${netns}`, '--', ...command], { encoding: 'utf8' });
  return { status: result.status ?? -1, output: `${result.stdout}${result.stderr}` };
}

/** So many echo requests, one every 5 ms: how many were sent and answered. */
export async function stream(
  station: string,
  target: string,
  count: number,
): Promise<{ sent: number; received: number; doubled?: number }> {
  const command = ['ping', '-i', '0.005', '-c', String(count), '-q', '-W', '1', target];
  const child = spawn('nsenter', [`--net=/run/netns/${netns(`st.${station}`)}`, '--', ...command]);
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  await once(child, 'close');
  const match = /(\d+) packets transmitted, (\d+) received/.exec(output);
  const doubled = Number(/\+(\d+) duplicates/.exec(output)?.[1] ?? 0);
  return { sent: Number(match?.[1]), received: Number(match?.[2]), ...(doubled ? { doubled } : {}) };
}

export function netns(name: string): string {
  return `${PREFIX}${name}`;
}

/** Of this process, or of one that is gone. */
function isStale(name: string): boolean {
  const pid = /^cbnode(\d+)-/.exec(name)?.[1];
  return pid !== undefined && (Number(pid) === process.pid || !existsSync(`/proc/${pid}`));
}

/** A BFD sender goes on without its agent: that of a test that is over is ended here. */
function endSenders(): void {
  for (const { pid, maps } of senderProcesses()) {
    const [, name = ''] = /^\/sys\/fs\/bpf\/([^/]+)\/maps$/.exec(maps) ?? [];
    if (isStale(name)) process.kill(pid, 'SIGKILL');
  }
}

/** Takes away whatever bears the prefix. */
export function sweep(): void {
  endSenders();
  for (const name of existsSync('/run/netns') ? readdirSync('/run/netns') : []) {
    if (isStale(name)) spawnSync('ip', ['netns', 'delete', name]);
  }
  for (const name of readdirSync(PINS)) {
    if (isStale(name)) rmSync(`${PINS}/${name}`, { recursive: true, force: true });
  }
  const cgroups = join(machineHierarchy()?.mount ?? '', 'cabernet');
  for (const name of existsSync(cgroups) ? readdirSync(cgroups) : []) {
    // folders, the inner ones first; what is in them is the kernel's
    if (isStale(name))
      spawnSync('find', [join(cgroups, name), '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';']);
  }
}

export function addMachine(name: string, loopback: string, loopback6: string): void {
  const ns = netns(name);
  ip('netns', 'add', ns);
  ip('-n', ns, 'link', 'set', 'lo', 'up');
  ip('-n', ns, 'address', 'add', `${loopback}/32`, 'dev', 'lo');
  ip('-n', ns, 'address', 'add', `${loopback6}/128`, 'dev', 'lo');
  inside(
    ns,
    'sh',
    '-c',
    'cd /proc/sys/net; echo 1 > ipv4/ip_forward; echo 1 > ipv6/conf/all/forwarding; echo 0 > ipv6/conf/default/accept_dad',
  );
}

function offloads(ns: string, device: string): void {
  inside(ns, 'ethtool', '-K', device, 'gro', 'on', 'tx', 'off', 'txvlan', 'off', 'rxvlan', 'off');
}

/** `to-B` in A and `to-A` in B. */
export function addWire(a: string, b: string, number: number, mtu = 1600, suffix = ''): void {
  const [na, nb] = [netns(a), netns(b)];
  ip(
    'link',
    'add',
    `to-${b}${suffix}`,
    'netns',
    na,
    'mtu',
    String(mtu),
    'numtxqueues',
    '2',
    'numrxqueues',
    '2',
    'type',
    'veth',
    'peer',
    'name',
    `to-${a}${suffix}`,
    'netns',
    nb,
    'mtu',
    String(mtu),
    'numtxqueues',
    '2',
    'numrxqueues',
    '2',
  );
  const ends = [
    [na, `to-${b}${suffix}`, 2 * number],
    [nb, `to-${a}${suffix}`, 2 * number + 1],
  ] as const;
  for (const [ns, device, host] of ends) {
    offloads(ns, device);
    ip('-n', ns, 'address', 'add', `100.64.0.${host}/31`, 'dev', device);
    ip('-n', ns, 'address', 'add', `fd64::${host.toString(16)}/127`, 'dev', device, 'nodad');
    ip('-n', ns, 'link', 'set', device, 'up');
  }
}

/** A station's namespace, its `eth0`, and the machine's end of the cable. */
export function addStation(
  machine: string,
  station: string,
  port: string,
  addresses: readonly string[],
): void {
  const [nm, ns] = [netns(machine), netns(`st.${station}`)];
  ip('netns', 'add', ns);
  inside(ns, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad');
  ip('link', 'add', port, 'netns', nm, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns);
  offloads(nm, port);
  offloads(ns, 'eth0');
  ip('-n', ns, 'link', 'set', 'lo', 'up');
  ip('-n', ns, 'link', 'set', 'eth0', 'up');
  ip('-n', nm, 'link', 'set', port, 'up');
  for (const text of addresses) {
    const family = text.includes(':') ? '-6' : '-4';
    ip('-n', ns, family, 'address', 'add', text, 'dev', 'eth0', ...(family === '-6' ? ['nodad'] : []));
    const gateway = text.replace(/\d+\/\d+$/, '1');
    ip('-n', ns, family, 'route', 'add', 'default', 'via', gateway);
  }
}

export async function startAgent(machine: string, options: Partial<AgentOptions> = {}): Promise<Agent> {
  const ns = netns(machine);
  const wires = JSON.parse(ip('-n', ns, '-j', 'link')) as { ifname: string }[];
  return Agent.start({
    name: machine,
    pinDir: `${PINS}/${ns}`,
    netnsPrefix: `${ns}.`,
    interfaces: wires.map((link) => link.ifname).filter((name) => name.startsWith('to-')),
    ports: ['st-*'],
    netns: `/run/netns/${ns}`,
    log: process.env['CABERNET_TEST_LOG']
      ? createLogger({ component: machine, level: 'debug' })
      : silentLogger,
    ...options,
  });
}

let epochs = 0n;

export function collect(
  owner: string,
  resources: readonly Resource[],
  begin: { epoch?: bigint; validateOnly?: boolean } = {},
): Collection {
  const collection = new Collection({
    owner,
    epoch: begin.epoch ?? ++epochs,
    validateOnly: begin.validateOnly,
  });
  collection.add({ resources });
  collection.commit({ resourceCount: resources.length });
  return collection;
}

export function apply(agent: Agent, owner: string, resources: readonly Resource[]): Promise<Counts> {
  return agent.applier.apply(collect(owner, resources));
}

/** Asks until it is so; the test's own time limit ends it. */
export async function until(
  what: string,
  test: () => boolean | Promise<boolean>,
  limit = 60_000,
): Promise<void> {
  const end = Date.now() + limit;
  while (!(await test())) {
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function tunnel(name: string, local: string, remote: string, more: object = {}): Resource {
  return { tunnel: { name: `tunnels/${name}`, localAddress: local, remoteAddress: remote, ...more } };
}

export function node(vn: string, name: string, tenant: string, routeSource = 1): Resource {
  return { virtualNode: { name: `vns/${vn}/nodes/${name}`, tenant, routeSource } };
}

/** Of a wire `name`; `more`: its interface, kind and neighbour. */
export function wire(name: string, more: object): Resource {
  return { wire: { name: `wires/${name}`, ...more } };
}

interface Over {
  readonly tunnel?: string;
  readonly wire?: string;
  readonly vif?: string;
  /** None over a circuit. */
  readonly label?: number;
}

function path({ tunnel: below, wire: beside, vif: above, label = 0 }: Over): Draft<cabernet.node.v1.Path> {
  if (beside !== undefined) return { wire: `wires/${beside}`, label };
  return below === undefined ? { vif: `vns/${above ?? ''}`, label } : { tunnel: `tunnels/${below}`, label };
}

/** `conn/P/p6` for `vns/conn/nodes/P/vifs/p6`. */
export function vifName(short: string): string {
  const [vn, at, vif] = short.split('/');
  return `vns/${vn}/nodes/${at}/vifs/${vif}`;
}

function full(over: Over): Over {
  return over.vif === undefined ? over : { ...over, vif: vifName(over.vif).slice('vns/'.length) };
}

export function link(short: string, over: Over, more: object = {}): Resource {
  return { vif: { name: vifName(short), link: { paths: [path(full(over))] }, ...more } };
}

export function port(short: string, device: string, more: object = {}): Resource {
  return { vif: { name: vifName(short), port: { interface: device }, ...more } };
}

export function deliver(context: Over, to: string): Resource {
  const { label, ...below } = path(full(context));
  return { label: { ...below, label, deliver: vifName(to) } as Draft<cabernet.node.v1.Label> };
}

export function swap(context: Over, to: Over): Resource {
  const { label, ...below } = path(full(context));
  return { label: { ...below, label, swap: path(full(to)) } as Draft<cabernet.node.v1.Label> };
}

export function address(short: string, prefix: string): Resource {
  return { address: { vif: vifName(short), prefix } };
}

export function route(
  at: string,
  destination: string,
  ...hops: readonly (readonly [string, string])[]
): Resource {
  const [vn, name] = at.split('/');
  const nextHops = hops.map(([vif, gateway]) => ({ vif: vifName(`${at}/${vif}`), gateway }));
  return { route: { node: `vns/${vn}/nodes/${name}`, destination, nextHops } };
}
