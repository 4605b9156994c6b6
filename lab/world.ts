/**
 * A world over guests: each machine of the file is one, its wires join their virtio NICs, its agent runs in the
 * guest's own root namespace. A station is a namespace in its machine's guest, or, asked for, a guest of its own on a
 * NIC of the machine: that one filters MAC addresses, as cables of veth do not.
 */
import { join } from 'node:path';
import { connect } from '../src/api/client.js';
import { NodeService } from '../src/api/node.js';
import { waitUntilUp } from '../src/world/agents.js';
import {
  type LoadedWorld,
  type MachinePlan,
  type NodeClient,
  type StationPlan,
  type WirePlan,
} from '../src/world/index.js';
import { LabControllers } from './controllers.js';
import { type ExecOptions, type Guest, type Nic, type Output, type Running } from './guest.js';
import { type Kernel } from './kernels.js';
import { Lab } from './lab.js';
import { packageRoot } from './paths.js';
import { loadedOf } from './plan.js';

/** Emulated processors, and others who want the host's, ms. */
const PATIENCE = 150_000;

export interface LabWorldOptions {
  /** Stations that are guests of their own. */
  readonly apart?: readonly string[];
  /** Of each machine's guest. */
  readonly cpus?: number;
  readonly memory?: number;
  /** More of QEMU's `virtio-net-pci`, for every wire. */
  readonly nic?: Readonly<Record<string, string>>;
}

interface Machine {
  readonly plan: MachinePlan;
  readonly guest: Guest;
  agent: Running | undefined;
  /** Of the agent, on this host. */
  socket: string | undefined;
  client: NodeClient | undefined;
}

interface Station {
  readonly plan: StationPlan;
  readonly guest: Guest;
  /** Of a namespace in the guest; undefined: the guest's own. */
  readonly namespace: string | undefined;
}

export class LabWorld {
  readonly lab: Lab;
  readonly #loaded: LoadedWorld;
  #controllers: LabControllers | undefined;
  readonly #machines = new Map<string, Machine>();
  readonly #stations = new Map<string, Station>();

  private constructor(lab: Lab, loaded: LoadedWorld) {
    this.lab = lab;
    this.#loaded = loaded;
  }

  /** A world file's text, up when the promise is kept. */
  static async up(kernel: Kernel, yaml: string, options: LabWorldOptions = {}): Promise<LabWorld> {
    const world = new LabWorld(await Lab.open(kernel), await loadedOf(yaml));
    try {
      await world.#up(options);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  machine(name: string): Guest {
    return this.#machine(name).guest;
  }

  client(name: string): NodeClient {
    const { client } = this.#machine(name);
    if (client === undefined) throw new Error(`no agent runs on ${name}`);
    return client;
  }

  /** In a station. */
  exec(station: string, argv: readonly string[], options?: ExecOptions): Promise<Output> {
    const { guest, command } = this.#in(station, argv);
    return guest.exec(command, options);
  }

  start(station: string, argv: readonly string[], options?: ExecOptions): Running {
    const { guest, command } = this.#in(station, argv);
    return guest.start(command, options);
  }

  /** Pings until one answer comes, for what is being resolved; then `count` in a row: how many were answered. */
  async ping(station: string, to: string, { count = 3, size = 56, interval = 0.05 } = {}): Promise<number> {
    const ping = ['ping', '-n', '-i', String(interval), '-W', '2', '-M', 'do', '-s', String(size)];
    // with a deadline, `-c` counts answers
    await this.exec(station, [...ping, '-c', '1', '-w', '10', to], { mayFail: true });
    const { stdout } = await this.exec(station, [...ping, '-c', String(count), to], { mayFail: true });
    return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
  }

  /** Of kill -9: what it leaves is what is pinned. */
  async killAgent(name: string): Promise<void> {
    const machine = this.#machine(name);
    machine.client?.close();
    machine.client = undefined;
    machine.agent?.kill('SIGKILL');
    await machine.agent?.ended;
    machine.agent = undefined;
  }

  async startAgent(name: string): Promise<void> {
    const machine = this.#machine(name);
    const { guest, plan } = machine;
    const socket = `/run/cabernet-${name}.sock`;
    machine.agent = guest.start([
      process.execPath,
      join(packageRoot, 'bin', 'cabernet'),
      'node',
      ...['--name', name, '--socket', socket, '--pin-dir', `/sys/fs/bpf/cabernet/${name}`],
      ...['--netns-prefix', 'v.', '--port', 'st-*'],
      ...plan.interfaces.flatMap((one) => ['--interface', one.name]),
      ...(plan.jumbo ? ['--jumbo'] : []),
    ]);
    await machine.agent.prints(' forwarding ', PATIENCE);
    machine.socket ??= await guest.forward(socket);
    machine.client = connect(NodeService, { socketPath: machine.socket });
    await machine.client.ready(PATIENCE);
  }

  async close(): Promise<void> {
    for (const { client } of this.#machines.values()) client?.close();
    await this.#controllers?.close();
    await this.lab.close();
  }

  #machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (machine === undefined) throw new Error(`no machine is called ${name}`);
    return machine;
  }

  #in(name: string, argv: readonly string[]): { guest: Guest; command: readonly string[] } {
    const station = this.#stations.get(name);
    if (station === undefined) throw new Error(`no station is called ${name}`);
    const { guest, namespace } = station;
    const enter = namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${namespace}`, '--'];
    return { guest, command: [...enter, ...argv] };
  }

  async #up({ apart = [], cpus = 1, memory = 1024, nic = {} }: LabWorldOptions): Promise<void> {
    const { machines, stations, wires } = this.#loaded.plan;
    const away = stations.filter((station) => apart.includes(station.name));
    await Promise.all([
      ...machines.map(async (plan) => {
        const ports = away.filter((station) => station.machine === plan.name);
        const nics = [...nicsOf(plan, wires), ...ports.map((port) => portNic(port))].map((one) => ({
          ...one,
          queues: 2 * cpus,
          properties: nic,
        }));
        const guest = await this.lab.boot({ name: plan.name, cpus, memory, nics });
        await guest.sh(machineScript(plan, nics, wires, ports));
        this.#machines.set(plan.name, {
          plan,
          guest,
          agent: undefined,
          socket: undefined,
          client: undefined,
        });
      }),
      ...away.map(async (plan) => {
        const cable: Nic = { wire: cableOf(plan), mac: '02:00:00:ff:00:01' };
        const guest = await this.lab.boot({ name: `station-${plan.name}`, memory: 512, nics: [cable] });
        await guest.sh([...HOST, ...addressLines(plan, '')].join('\n'));
        this.#stations.set(plan.name, { plan, guest, namespace: undefined });
      }),
    ]);
    for (const plan of stations) {
      if (away.includes(plan)) continue;
      const { guest } = this.#machine(plan.machine);
      await guest.sh(stationScript(plan));
      this.#stations.set(plan.name, { plan, guest, namespace: plan.name });
    }
    await Promise.all(machines.map(({ name }) => this.startAgent(name)));
    const sockets = new Map([...this.#machines].map(([name, { socket = '' }]) => [name, socket]));
    this.#controllers = await LabControllers.open(this.#loaded, sockets, PATIENCE / 1000);
    await Promise.all(machines.map(({ name }) => waitUntilUp(this.client(name), name, PATIENCE)));
  }
}

// ---- what a machine's guest is told

/** An interface of a machine by its NIC. */
interface NamedNic extends Nic {
  readonly device: string;
}

function wireName(wire: WirePlan): string {
  return wire.ends.map((end) => `${end.machine}:${end.interface}`).join(' ');
}

function cableOf(station: StationPlan): string {
  return `${station.network}/${station.name}`;
}

let nics = 0;

function mac(): string {
  nics++;
  return `02:00:00:00:${(nics >> 8).toString(16).padStart(2, '0')}:${(nics & 0xff).toString(16).padStart(2, '0')}`;
}

function nicsOf(plan: MachinePlan, wires: readonly WirePlan[]): NamedNic[] {
  return wires.flatMap((wire) =>
    wire.ends
      .filter((end) => end.machine === plan.name)
      .map((end) => ({ wire: wireName(wire), mac: mac(), device: end.interface })),
  );
}

function portNic(station: StationPlan): NamedNic {
  return { wire: cableOf(station), mac: mac(), device: station.port };
}

/** As for the namespaces of a world on one host. */
const HOST = [
  'cd /proc/sys/net',
  'for scope in all default; do',
  '  echo 0 >ipv4/conf/$scope/rp_filter',
  '  echo 0 >ipv4/conf/$scope/send_redirects',
  '  echo 0 >ipv6/conf/$scope/accept_ra',
  '  echo 0 >ipv6/conf/$scope/accept_dad',
  '  echo 0 >ipv6/conf/$scope/dad_transmits',
  'done',
];

function machineScript(
  plan: MachinePlan,
  devices: readonly NamedNic[],
  wires: readonly WirePlan[],
  ports: readonly StationPlan[],
): string {
  const mtus = new Map(
    wires.flatMap((wire) => wire.ends.map((end) => [`${end.machine} ${end.interface}`, wire.mtu])),
  );
  return [
    ...HOST,
    'echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding; echo 1 >ipv6/conf/default/forwarding',
    ...devices.map(
      ({ mac: address, device }) =>
        `for d in /sys/class/net/eth*; do [ "$(cat $d/address)" != ${address} ] || ip link set \${d##*/} name ${device}; done`,
    ),
    ...plan.addresses.map((address) => `ip address add ${address} dev lo`),
    ...plan.interfaces.flatMap(({ name, addresses }) => [
      `ip link set ${name} mtu ${mtus.get(`${plan.name} ${name}`)} up`,
      ...addresses.map((address) => `ip address add ${address} dev ${name}`),
    ]),
    ...ports.map((port) => `ip link set ${port.port} mtu ${port.mtu} up`),
    ...plan.routes.map(({ destination, source, nextHops }) => {
      const ways = nextHops.map((hop) => `nexthop via ${hop.gateway} dev ${hop.interface}`).join(' ');
      return `ip route add ${destination} src ${source} ${ways}`;
    }),
  ].join('\n');
}

/** `inside`: what enters its namespace. */
function addressLines(plan: StationPlan, inside: string): string[] {
  return [
    `ip ${inside} link set eth0 mtu ${plan.mtu} up`,
    ...plan.addresses.map((address) => `ip ${inside} address add ${address} dev eth0 nodad`),
    ...plan.gateways.map((gateway) => `ip ${inside} route add default via ${gateway}`),
  ];
}

/** A cable of veth as src/world/cables.ts makes it: XDP sees frames before any device would finish them. */
function stationScript(plan: StationPlan): string {
  const { name, port, mtu } = plan;
  return [
    `ip netns add ${name}`,
    `ip link add ${port} mtu ${mtu} type veth peer name eth0 netns ${name} mtu ${mtu}`,
    `ethtool -K ${port} gro on tx off txvlan off rxvlan off >/dev/null`,
    `nsenter --net=/run/netns/${name} ethtool -K eth0 gro on tx off txvlan off rxvlan off >/dev/null`,
    `ip -n ${name} link set lo up`,
    `ip link set ${port} up`,
    ...addressLines(plan, `-n ${name}`),
  ].join('\n');
}
