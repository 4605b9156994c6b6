/*
 * A world on namespaces inside one guest: the plan of a world file, with a real agent on those machines that are to have
 * one; the others are their kernels alone. An agent's start is what costs most under emulation, so nothing else in the
 * guest is a process of node: what `cabernet up` does is done here, from outside.
 */
import { join } from 'node:path';
import { LabControllers } from './controllers.js';
import { type ExecOptions, type Guest, type Output, type Running } from './guest.js';
import { packageRoot } from './paths.js';
import { applyIntents, type Intent } from './plan.js';
import { connect } from '../src/api/client.js';
import { NodeService } from '../src/api/node.js';
import { waitUntilUp } from '../src/world/agents.js';
import { type LoadedWorld, type MachinePlan, type NodeClient, type WorldPlan } from '../src/world/index.js';

/** Emulated processors, and others who want the host's, ms. */
const PATIENCE = 120_000;

/** Of one transfer. */
export const TRANSFER_BYTES = 256 * 1024;

interface Options {
  /** The machines that have one. */
  readonly agents: readonly string[];
  /** What those are told, by machine, instead of what controllers would. */
  readonly intents?: Readonly<Record<string, readonly Intent[]>>;
  /** Default: as planned. */
  readonly places?: readonly Place[];
  readonly cables?: readonly Cable[];
  readonly prepare?: string;
}

/** In both directions. */
export interface Traffic {
  readonly received: number;
  readonly sent: number;
}

export interface InterfaceTraffic extends Traffic {
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export class GuestWorld {
  readonly guest: Guest;
  readonly #clients = new Map<string, NodeClient>();
  readonly #sockets = new Map<string, string>();
  #controllers: LabControllers | undefined;

  private constructor(guest: Guest) {
    this.guest = guest;
  }

  /**
   * Namespaces are named as the machines and the stations are, virtual nodes MACHINE.VN.NODE. `prepare`: a script in
   * the guest when all cables are there, and no agent yet.
   */
  static async up(
    guest: Guest,
    loaded: LoadedWorld,
    {
      agents,
      intents,
      places = placesOf(loaded.plan),
      cables = cablesOf(loaded.plan),
      prepare = '',
    }: Options,
  ): Promise<GuestWorld> {
    const world = new GuestWorld(guest);
    await guest.sh(`${fabricScript(places, cables)}\n${prepare}`);
    const machines = loaded.plan.machines.filter(({ name }) => agents.includes(name));
    await Promise.all(machines.map((machine) => world.#startAgent(machine)));
    if (intents === undefined)
      world.#controllers = await LabControllers.open(loaded, world.#sockets, PATIENCE / 1000);
    await Promise.all(
      machines.map(async ({ name }) => {
        const client = world.client(name);
        await applyIntents(client, intents?.[name] ?? []);
        await waitUntilUp(client, name, PATIENCE);
      }),
    );
    return world;
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.close();
    await this.#controllers?.close();
  }

  /** A script of the shell, in this namespace. */
  sh(place: string, script: string, options?: ExecOptions): Promise<Output> {
    return this.guest.exec([...enter(place), 'sh', '-euc', script], options);
  }

  start(place: string, argv: readonly string[]): Running {
    return this.guest.start([...enter(place), ...argv]);
  }

  client(machine: string): NodeClient {
    const client = this.#clients.get(machine);
    if (client === undefined) throw new Error(`no agent runs on ${machine}`);
    return client;
  }

  /** Until each has answered once: what is to be resolved is. Throws if one does not. */
  async awake(place: string, ...to: string[]): Promise<void> {
    await this.sh(place, to.map((address) => `ping -q -c 1 -i 0.1 -w 30 ${address} >/dev/null`).join('; '));
  }

  /** How many of `count` were answered by each. */
  async ping(
    place: string,
    to: readonly string[],
    { count = 3, size = 56 } = {},
  ): Promise<Record<string, number>> {
    const { stdout } = await this.sh(
      place,
      `for a in ${to.join(' ')}; do ping -n -q -i 0.05 -W 2 -M do -s ${size} -c ${count} $a || true; done`,
    );
    const counts = [...stdout.matchAll(/(\d+) received/g)].map(([, received]) => Number(received));
    return Object.fromEntries(to.map((address, i) => [address, counts[i] ?? 0]));
  }

  /** What an interface has seen. */
  async interface(place: string, name: string): Promise<InterfaceTraffic> {
    const { stdout } = await this.sh(place, `ip -s -j link show ${name}`);
    const [link] = JSON.parse(stdout) as {
      stats64: Record<'rx' | 'tx', { packets: number; bytes: number }>;
    }[];
    if (link === undefined) throw new Error(`${place} has no ${name}`);
    const { rx, tx } = link.stats64;
    return { received: rx.packets, receivedBytes: rx.bytes, sent: tx.packets, sentBytes: tx.bytes };
  }

  /** Packets that the agent has counted for the vif `VN/NODE/VIF`. */
  async vif(machine: string, name: string): Promise<Traffic> {
    const [vn, node, vif] = name.split('/');
    const { counters } = await this.client(machine).listCounters({});
    const row = counters.find((one) => one.name === `vns/${vn}/nodes/${node}/vifs/${vif}`);
    if (row === undefined) throw new Error(`${machine} counts nothing for ${name}`);
    return { received: Number(row.receivedPackets), sent: Number(row.sentPackets) };
  }

  /** By `VN/NODE REASON`, or `machine REASON`. */
  async drops(machine: string): Promise<ReadonlyMap<string, number>> {
    const { drops } = await this.client(machine).listDrops({});
    return new Map(
      drops.map((row) => {
        const [, vn, node] = /^vns\/(.*)\/nodes\/(.*)$/.exec(row.node) ?? [];
        return [`${vn === undefined ? 'machine' : `${vn}/${node}`} ${row.reason}`, Number(row.packets)];
      }),
    );
  }

  /** What was dropped anew while `send` ran. */
  async dropped(machine: string, send: () => Promise<unknown>): Promise<Record<string, number>> {
    const before = await this.drops(machine);
    await send();
    const rows = [...(await this.drops(machine))].map(
      ([row, packets]) => [row, packets - (before.get(row) ?? 0)] as const,
    );
    return Object.fromEntries(rows.filter(([, packets]) => packets > 0));
  }

  /**
   * A file of that many random bytes over TCP from one namespace to a server in another; whether it is there
   * what it was.
   */
  async transfer(from: string, to: string, address: string): Promise<boolean> {
    const [client, server] = [from, to].map((place) => enter(place).join(' '));
    const { status } = await this.guest.exec(
      [
        'sh',
        '-euc',
        `cd "$(mktemp -d)"; mkfifo open; head -c ${TRANSFER_BYTES} /dev/urandom >sent
         # it would end the connection where its own input ends
         ${server} timeout 60 busybox nc -l -p 5000 <>open >got & server=$!
         until ${server} ss -Hltn 'sport = :5000' | grep -q .; do kill -0 $server; done
         ${client} timeout 60 busybox nc ${address} 5000 <sent
         wait $server; cmp sent got`,
      ],
      { mayFail: true },
    );
    return status === 0;
  }

  async #startAgent({ name, interfaces }: MachinePlan): Promise<void> {
    const socket = `/run/cabernet-${name}.sock`;
    const agent = this.start(name, [
      process.execPath,
      join(packageRoot, 'bin', 'cabernet'),
      'node',
      ...['--name', name, '--socket', socket, '--pin-dir', `/sys/fs/bpf/cabernet/${name}`],
      ...['--netns-prefix', `${name}.`, '--port', 'st-*'],
      ...interfaces.flatMap((one) => ['--interface', one.name]),
    ]);
    await agent.prints(' forwarding ', PATIENCE);
    const socketPath = await this.guest.forward(socket);
    this.#sockets.set(name, socketPath);
    const client = connect(NodeService, { socketPath });
    this.#clients.set(name, client);
    await client.ready(PATIENCE);
  }
}

export function enter(place: string): readonly string[] {
  return ['nsenter', `--net=/run/netns/${place}`, '--'];
}

// ---- namespaces and cables, as src/world/fabric.ts makes them, by few processes: each costs a tenth of a second

export interface Place {
  readonly name: string;
  readonly router: boolean;
  /** More of `sysctl`. */
  readonly settings?: readonly string[];
  /** Commands of `ip` in it, when its cables are there. */
  readonly ip?: readonly string[];
}

export interface Cable {
  readonly ends: readonly [CableEnd, CableEnd];
  readonly mtu: number;
}

export interface CableEnd {
  readonly place: string;
  readonly name: string;
}

/**
 * For XDP at both ends of a cable: GRO on, no checksum and no tag left for a device to add, a queue per processor.
 */
function fabricScript(places: readonly Place[], cables: readonly Cable[]): string {
  const half = ({ place, name }: CableEnd, mtu: number): string =>
    `name ${name} netns ${place} mtu ${mtu} numtxqueues 2 numrxqueues 2`;
  return [
    batch('ip', [
      ...places.map(({ name }) => `netns add ${name}`),
      ...cables.map(({ ends: [a, b], mtu }) => `link add ${half(a, mtu)} type veth peer ${half(b, mtu)}`),
    ]),
    ...places.map((place) => {
      const own = cables.flatMap(({ ends }) => ends.filter((end) => end.place === place.name));
      const features = own.map(({ name }) => `ethtool -K ${name} gro on tx off txvlan off rxvlan off`);
      return [
        `${enter(place.name).join(' ')} sh -ec '${[settings(place), ...features].join('; ')}' >/dev/null`,
        batch(`ip -n ${place.name}`, [
          ...['lo', ...own.map(({ name }) => name)].map((name) => `link set ${name} up`),
          ...(place.ip ?? []),
        ]),
      ].join('\n');
    }),
  ].join('\n');
}

/** Lines of `ip` by one process. */
export function batch(ip: string, lines: readonly string[]): string {
  return `${ip} -batch - <<END\n${lines.join('\n')}\nEND`;
}

function settings({ router, settings: more = [] }: Place): string {
  const all = [
    ...['all', 'default'].flatMap((scope) => [
      `net.ipv4.conf.${scope}.rp_filter=0`,
      `net.ipv4.conf.${scope}.send_redirects=0`,
      `net.ipv6.conf.${scope}.accept_ra=0`,
      `net.ipv6.conf.${scope}.accept_dad=0`,
      `net.ipv6.conf.${scope}.forwarding=${Number(router)}`,
    ]),
    `net.ipv4.ip_forward=${Number(router)}`,
    // answers are counted: none may be held back
    'net.ipv4.icmp_ratelimit=0',
    'net.ipv6.icmp.ratelimit=0',
  ];
  return `sysctl -qw ${[...all, ...more].join(' ')}`;
}

/** The machines and stations of a world, without its agents. */
export function placesOf(plan: WorldPlan): Place[] {
  return [
    ...plan.machines.map(({ name, addresses, interfaces, routes }) => ({
      name,
      router: true,
      ip: [
        ...addresses.map((address) => `address add ${address} dev lo nodad`),
        ...interfaces.flatMap((one) =>
          one.addresses.map((address) => `address add ${address} dev ${one.name} nodad`),
        ),
        ...routes.map(({ destination, source, nextHops }) => {
          const ways = nextHops.map((hop) => `nexthop via ${hop.gateway} dev ${hop.interface}`).join(' ');
          return `route add ${destination} src ${source} ${ways}`;
        }),
      ],
    })),
    ...plan.stations.map(({ name, addresses, gateways }) => ({
      name,
      router: false,
      ip: [
        ...addresses.map((address) => `address add ${address} dev eth0 nodad`),
        ...gateways.map((gateway) => `route add default via ${gateway}`),
      ],
    })),
  ];
}

export function cablesOf(plan: WorldPlan): Cable[] {
  return [
    ...plan.wires.map(({ ends: [a, b], mtu }) => ({
      ends: [
        { place: a.machine, name: a.interface },
        { place: b.machine, name: b.interface },
      ] as const,
      mtu,
    })),
    ...plan.stations.map(({ name, machine, port, mtu }) => ({
      ends: [
        { place: machine, name: port },
        { place: name, name: 'eth0' },
      ] as const,
      mtu,
    })),
  ];
}
