/**
 * From the World message to a checked world: every name exists once, every reference leads somewhere, every default
 * is filled in. What is wrong is refused with the field's path, e.g. `networks[1].links[0].via[0]`.
 */
import { type Protected, protectedFields } from '../api/protected.js';
import { createHash } from 'node:crypto';

import { suggestion, WorldError } from './errors.js';
import { doesAnything, outOfBounds } from './impairment.js';
import type {
  LinkMessage,
  MachineMessage,
  NetworkMessage,
  StationMessage,
  WireMessage,
  WorldMessage,
} from './messages.js';
import { bitsOf, formatPrefix, nthHost, parseAddress, parsePrefix, type Prefix } from '../api/prefix.js';
import {
  type Link,
  type Machine,
  type Network,
  type Node,
  type Station,
  vnOf,
  type Wire,
  type World,
} from './world.js';

export const DEFAULT_WIRE_MTU = 1600;
export const DEFAULT_MTU = 1500;
/** Of a wire: bit/s, and microseconds one way. */
const DEFAULT_RATE = 100_000_000_000n;
const DEFAULT_DELAY = 1000;
const DEFAULT: Mtus = { wire: DEFAULT_WIRE_MTU, link: DEFAULT_MTU };
/** RFC 791: every IPv4 host takes 576 bytes. */
const SMALLEST_MTU = 576;
interface Mtus {
  readonly wire: number;
  /** Of links and stations. */
  readonly link: number;
}

/** What a native XDP program for frames in one buffer leaves of a page (veth: maxmtu 3506), and of that without our headers. */
const LARGEST: Mtus = { wire: 3506, link: 3498 };
const LARGEST_JUMBO: Mtus = { wire: 9800, link: 9600 };
/** Of the names that virtual networks have on machines. */
const LONGEST_VN = 31;
/** cabernet.node.v1.Payload */
const PAYLOAD_IP = 2;
/** Interfaces with this prefix are stations' ports: the agents' option --port is `st-*`. */
export const PORT_PREFIX = 'st-';

const NAMES = {
  world: {
    pattern: /^[A-Za-z][A-Za-z0-9-]{0,19}$/,
    rule: '1 to 20 characters of [A-Za-z0-9-], beginning with a letter',
  },
  owner: {
    pattern: /^[a-z][a-z0-9-]{0,19}$/,
    rule: '1 to 20 characters of [a-z0-9-], beginning with a letter',
  },
  network: { pattern: /^[A-Za-z0-9_-]{1,20}$/, rule: '1 to 20 characters of [A-Za-z0-9_-]' },
  name: {
    pattern: /^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$/,
    rule: '1 to 31 characters of [A-Za-z0-9_-], beginning with a letter or digit',
  },
  device: { pattern: /^[A-Za-z0-9_-]{1,15}$/, rule: '1 to 15 characters of [A-Za-z0-9_-]' },
} as const;

export function isWorldName(name: string): boolean {
  return NAMES.world.pattern.test(name);
}

/** What is found under a name, and what to call it in an error. */
class Names<T> {
  readonly #what: string;
  readonly #items = new Map<string, T>();

  constructor(what: string) {
    this.#what = what;
  }

  add(name: string, item: T, field: string): void {
    if (this.#items.has(name))
      throw new WorldError('NAME', `there are two ${this.#what}s called ${name}`, { field });
    this.#items.set(name, item);
  }

  get(name: string, field: string): T {
    const item = this.#items.get(name);
    if (item !== undefined) return item;
    const hint = suggestion(name, this.#items.keys());
    throw new WorldError('NAME', `there is no ${this.#what} ${JSON.stringify(name)}.${hint}`, {
      field,
    });
  }
}

function named(kind: keyof typeof NAMES, name: string, field: string): string {
  if (NAMES[kind].pattern.test(name)) return name;
  throw new WorldError('NAME', `${JSON.stringify(name)}: ${NAMES[kind].rule}`, { field });
}

function checkMtu(value: number, kind: keyof Mtus, mtus: Mtus, field: string): number {
  const mtu = value || DEFAULT[kind];
  const most = mtus[kind];
  if (Number.isInteger(mtu) && mtu >= SMALLEST_MTU && mtu <= most) return mtu;
  const more = mtus === LARGEST ? `; up to ${LARGEST_JUMBO[kind]} in a world with jumbo: true` : '';
  throw new WorldError('MTU', `${mtu}: ${SMALLEST_MTU} to ${most} bytes${more}`, { field });
}

/** At most one of each family. */
function checkFamilies(prefixes: readonly Prefix[], field: string): readonly Prefix[] {
  for (const family of [4, 6] as const) {
    if (prefixes.filter((prefix) => prefix.family === family).length > 1) {
      throw new WorldError('ADDRESS', `at most one IPv${family} prefix`, { field });
    }
  }
  return prefixes;
}

function checkPrefixes(texts: readonly string[], field: string): readonly Prefix[] {
  const prefixes = texts.map((text, i) => {
    const prefix = parsePrefix(text);
    if (prefix) return prefix;
    const example = 'such as 10.0.1.2/24 or fd00:0:0:1::2/64';
    throw new WorldError('ADDRESS', `${JSON.stringify(text)} is no prefix ${example}`, {
      field: `${field}[${i}]`,
    });
  });
  return checkFamilies(prefixes, field);
}

function checkMachine(message: MachineMessage, field: string): Machine {
  const name = named('name', message.name, `${field}.name`);
  if (name === 'station')
    throw new WorldError('NAME', '"station" is what stations are called', { field: `${field}.name` });
  const addresses = message.addresses.map((text, i): Prefix => {
    const address = parseAddress(text);
    if (address) return { ...address, length: bitsOf(address.family) };
    const where = `${field}.addresses[${i}]`;
    throw new WorldError('ADDRESS', `${JSON.stringify(text)} is no IPv4 or IPv6 address`, { field: where });
  });
  return {
    name,
    provider: named('owner', message.provider, `${field}.provider`),
    addresses: checkFamilies(addresses, `${field}.addresses`),
    capacity: message.capacity,
  };
}

function checkWire(
  message: WireMessage,
  { machines, mtus }: Places,
  interfaces: Names<true>,
  field: string,
): Wire {
  const a = machines.get(message.a, `${field}.a`).name;
  const b = machines.get(message.b, `${field}.b`).name;
  if (a === b) throw new WorldError('NAME', `a wire joins two machines, not ${a} with itself`, { field });
  const end = (machine: string, other: string): { machine: string; interface: string } => {
    const name = deviceName(message.name, other, field);
    if (name.startsWith(PORT_PREFIX) || name === 'lo') {
      throw new WorldError('NAME', `${name} means something else on a machine`, { field: `${field}.name` });
    }
    interfaces.add(`${name} of ${machine}`, true, field);
    return { machine, interface: name };
  };
  const subnets = checkPrefixes(message.subnets, `${field}.subnets`);
  for (const subnet of subnets) {
    if (subnet.length >= bitsOf(subnet.family)) {
      throw new WorldError('ADDRESS', `${formatPrefix(subnet)}: a wire's subnet has two addresses or more`, {
        field: `${field}.subnets`,
      });
    }
  }
  return {
    ends: [end(a, b), end(b, a)],
    mtu: checkMtu(message.mtu, 'wire', mtus, `${field}.mtu`),
    direct: message.direct,
    impairments: checkImpairment(message, field),
    subnets,
    promise: {
      bitsPerSecond: message.bitsPerSecond || DEFAULT_RATE,
      delayUs: message.delayUs || DEFAULT_DELAY,
      lossPpm: message.lossPpm,
      availabilityPpm: message.availabilityPpm,
      riskGroups: message.riskGroups,
    },
    repair: { unprotected: message.unprotected, detectionUs: checkDetection(message.detectionUs, field) },
  };
}

/** Three intervals of BFD, as the infrastructure API bounds it. */
function checkDetection(us: number, field: string): number {
  if (us === 0 || (us >= 3000 && us <= 1_000_000)) return us;
  throw new WorldError('DETECTION', `${us}: 3000 to 1000000 microseconds, or 0 for 30000`, {
    field: `${field}.detection_us`,
  });
}

/** By the end that frames leave. */
function checkImpairment({ impairment: message, direct }: WireMessage, field: string): Wire['impairments'] {
  if (!message) return [null, null];
  if (direct) {
    const text = 'a direct wire cannot be impaired: leave `direct` or `impairment` out';
    throw new WorldError('IMPAIRMENT', text, { field: `${field}.direct` });
  }
  const { delayUs, jitterUs, lossPpm, seed, oneWay } = message;
  const impairment = { delayUs, jitterUs, lossPpm, bitsPerSecond: Number(message.bitsPerSecond), seed };
  const wrong = outOfBounds(impairment);
  if (wrong) {
    const name = wrong.field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const text = `${impairment[wrong.field]}: ${wrong.bounds}`;
    throw new WorldError('IMPAIRMENT', text, { field: `${field}.impairment.${name}` });
  }
  const set = doesAnything(impairment) ? impairment : null;
  return [set, oneWay ? null : set];
}

/** The interface at one end: its own name, or `to-` and the other end's. */
function deviceName(name: string, other: string, field: string): string {
  if (name) return named('device', name, `${field}.name`);
  const made = `to-${other}`;
  if (made.length <= 15) return made;
  throw new WorldError('NAME', `${made} is longer than 15 characters: give it a name`, { field });
}

interface Places {
  readonly machines: Names<Machine>;
  readonly networks: Names<Network>;
  readonly mtus: Mtus;
}

function checkNetwork(message: NetworkMessage, places: Places, field: string): Network {
  const name = named('network', message.name, `${field}.name`);
  const nodes = new Names<Node>(`node of ${name}`);
  const list = message.nodes.map((node, i): Node => {
    const where = `${field}.nodes[${i}]`;
    const nodeName = named('name', node.name, `${where}.name`);
    const machine = places.machines.get(
      node.machine || nodeName,
      node.machine ? `${where}.machine` : where,
    ).name;
    const checked = { name: nodeName, machine, share: node.share };
    nodes.add(nodeName, checked, where);
    return checked;
  });
  const over = message.over ? places.networks.get(message.over, `${field}.over`) : undefined;
  if (over?.over) {
    const text = `${over.name} is a service network: nobody sells networks over it`;
    throw new WorldError('PATH', text, { field: `${field}.over` });
  }
  const vifs = new Names<true>('vif');
  const links = message.links.map((link, i) =>
    checkLink(link, { name, over, nodes, vifs, mtus: places.mtus }, `${field}.links[${i}]`),
  );
  const source: number = message.routeSource;
  const network = {
    name,
    owner: named('owner', message.owner || name, `${field}.${message.owner ? 'owner' : 'name'}`),
    over,
    nodes: list,
    links,
    pools: checkPrefixes(message.linkPools, `${field}.link_pools`),
    kernelRoutes: source === 2,
    field,
  };
  const vn = vnOf(network);
  if (vn.length > LONGEST_VN) {
    const text = `on machines it is called ${vn}, ${vn.length} characters of at most ${LONGEST_VN}: give it or its owners shorter names`;
    throw new WorldError('NAME', text, { field: `${field}.name` });
  }
  if (over) for (const [i, node] of list.entries()) carrierOf(over, node, `${field}.nodes[${i}]`);
  return network;
}

/** The node of the network below that a service node is on. Throws WorldError where there is not exactly one. */
export function carrierOf(below: Network, node: Node, field: string): Node {
  const [found, ...more] = below.nodes.filter((one) => one.machine === node.machine);
  if (found && more.length === 0) return found;
  const text = `${node.machine} has ${found ? 'several nodes' : 'no node'} of ${below.name} to carry ${node.name}`;
  throw new WorldError('PATH', text, { field });
}

interface LinkScope {
  readonly name: string;
  readonly over: Network | undefined;
  readonly nodes: Names<Node>;
  readonly vifs: Names<true>;
  readonly mtus: Mtus;
}

function checkLink(message: LinkMessage, scope: LinkScope, field: string): Link {
  const a = scope.nodes.get(message.a, `${field}.a`);
  const b = scope.nodes.get(message.b, `${field}.b`);
  if (a.machine === b.machine) {
    throw new WorldError('NAME', `${a.name} and ${b.name} are on one machine: a link joins two`, { field });
  }
  const end = (node: Node, other: Node): { node: Node; vif: string } => {
    const vif = deviceName(message.name, other.name, field);
    scope.vifs.add(`${scope.name}/${node.name}/${vif}`, true, field);
    return { node, vif };
  };
  const family = message.tunnelFamily || 4;
  if (family !== 4 && family !== 6) {
    throw new WorldError('ADDRESS', `${family}: 4 or 6, an IP version`, { field: `${field}.tunnel_family` });
  }
  if (scope.over && (message.tunnelFamily || message.udpChecksum)) {
    throw new WorldError('PATH', `${scope.over.name} carries this link, not a tunnel of the infrastructure`, {
      field: `${field}.${message.tunnelFamily ? 'tunnel_family' : 'udp_checksum'}`,
    });
  }
  const payload: number = message.payload;
  if (payload < 0 || payload > PAYLOAD_IP) {
    const text = `${payload}: PAYLOAD_ETHERNET or PAYLOAD_IP`;
    throw new WorldError('PATH', text, { field: `${field}.payload` });
  }
  const via = message.via;
  if (via.length > 0 && !scope.over) {
    const text = 'the infrastructure routes tunnels by itself: only a network over another has `via`';
    throw new WorldError('PATH', text, { field: `${field}.via` });
  }
  for (const [i, name] of via.entries()) {
    const known = scope.over?.nodes.map((node) => node.name) ?? [];
    if (known.includes(name)) continue;
    const text = `there is no node ${JSON.stringify(name)} in ${scope.over?.name}.${suggestion(name, known)}`;
    throw new WorldError('NAME', text, { field: `${field}.via[${i}]` });
  }
  return {
    name: message.name ? `${a.name}-${b.name} (${message.name})` : `${a.name}-${b.name}`,
    ends: [end(a, b), end(b, a)],
    via,
    mtu: message.mtu === 0 && !scope.over ? 0 : checkMtu(message.mtu, 'link', scope.mtus, `${field}.mtu`),
    tunnelFamily: family,
    udpChecksum: message.udpChecksum,
    carriesIp: payload === PAYLOAD_IP,
    slo: message.slo,
    kind: checkKind(message.kind, scope.over, `${field}.kind`),
    protected: checkProtected(message, scope.over, field),
    field,
  };
}

function checkKind(kind: number, over: Network | undefined, field: string): number {
  if (kind === 0 || !over) return kind;
  throw new WorldError('PATH', `${over.name} carries this link: only infrastructure providers sell kinds`, {
    field,
  });
}

function checkProtected(message: LinkMessage, over: Network | undefined, field: string): Protected<number> {
  const { protection, repairUs, weights, variationUs, degradedMs } = message;
  const fields = [
    ['protection', protection],
    ['repair_us', repairUs],
    ['weights', weights.length],
    ['variation_us', variationUs],
    ['degraded_ms', degradedMs],
  ] as const;
  const [given] = fields.find(([, value]) => value > 0) ?? [];
  if (over || given === undefined) return protectedFields(message);
  throw new WorldError('PATH', 'only links of service networks are protected by backups', {
    field: `${field}.${given}`,
  });
}

interface StationScope {
  readonly networks: Names<Network>;
  /** Networks' nodes and stations: `VN/NAME`. */
  readonly names: Set<string>;
  /** `PORT of MACHINE` that is taken. */
  readonly ports: Set<string>;
  readonly mtus: Mtus;
}

function checkStation(message: StationMessage, scope: StationScope, field: string): Station {
  const name = named('device', message.name, `${field}.name`);
  const network = scope.networks.get(message.network, `${field}.network`);
  if (!network.over) {
    const text = `${network.name} is a connectivity network: stations are attached to service networks`;
    throw new WorldError('NAME', text, { field: `${field}.network` });
  }
  const nodes = new Names<Node>(`node of ${network.name}`);
  for (const node of network.nodes) nodes.add(node.name, node, field);
  const node = nodes.get(message.node, `${field}.node`);
  const full = `${network.name}/${name}`;
  if (scope.names.has(full)) {
    throw new WorldError('NAME', `${full} is a node or a station already`, { field: `${field}.name` });
  }
  scope.names.add(full);
  const taken = network.links.some((link) => link.ends.some((end) => end.node === node && end.vif === name));
  if (taken || name === 'lo' || name === 'all' || name === 'default') {
    throw new WorldError('NAME', `${name} means something else in ${network.name}/${node.name}`, { field });
  }
  const addresses = checkPrefixes(message.addresses, `${field}.addresses`);
  for (const [i, address] of addresses.entries()) {
    if (bitsOf(address.family) - address.length >= 2 && address.address !== nthHost(address, 1).address)
      continue;
    const router = formatPrefix(nthHost(address, 1));
    const text = `${formatPrefix(address)}: a subnet of four addresses or more, and not the router's own, ${router}`;
    throw new WorldError('ADDRESS', text, { field: `${field}.addresses[${i}]` });
  }
  return {
    name,
    network,
    node,
    addresses,
    mtu: checkMtu(message.mtu, 'link', scope.mtus, `${field}.mtu`),
    port: portName(network.name, name, node.machine, scope.ports),
    field,
  };
}

/** `st-hp`; where that is too long or taken on this machine, a name made of the network's too. */
function portName(network: string, station: string, machine: string, taken: Set<string>): string {
  let name = `${PORT_PREFIX}${station}`;
  if (name.length > 15 || taken.has(`${name} of ${machine}`)) {
    const digest = createHash('sha256').update(`${network}/${station}`).digest('hex');
    name = `${PORT_PREFIX}${digest.slice(0, 12)}`;
  }
  taken.add(`${name} of ${machine}`);
  return name;
}

/** Throws WorldError for the first thing that is wrong. */
export function checkWorld(message: WorldMessage): World {
  const name = named('world', message.name, 'name');
  const mtus = message.jumbo ? LARGEST_JUMBO : LARGEST;
  const places = { machines: new Names<Machine>('machine'), networks: new Names<Network>('network'), mtus };
  const machines = message.machines.map((item, i) => {
    const machine = checkMachine(item, `machines[${i}]`);
    places.machines.add(machine.name, machine, `machines[${i}].name`);
    return machine;
  });
  if (machines.length === 0)
    throw new WorldError('FILE', 'a world has at least one machine', { field: 'machines' });
  const interfaces = new Names<true>('interface');
  const wires = message.wires.map((item, i) => checkWire(item, places, interfaces, `wires[${i}]`));
  const networks = message.networks.map((item, i) => {
    const network = checkNetwork(item, places, `networks[${i}]`);
    places.networks.add(network.name, network, `networks[${i}].name`);
    return network;
  });
  const scope: StationScope = { networks: places.networks, names: new Set(), ports: new Set(), mtus };
  for (const network of networks) {
    for (const node of network.nodes) scope.names.add(`${network.name}/${node.name}`);
  }
  const stations = message.stations.map((item, i) => checkStation(item, scope, `stations[${i}]`));
  checkBusinesses(machines, networks);
  return { name, jumbo: message.jumbo, machines, wires, networks, stations };
}

/** A provider is one of a kind: it has one controller, and what is applied in its name is told apart by that name. */
function checkBusinesses(machines: readonly Machine[], networks: readonly Network[]): void {
  const known = new Map(
    machines.map(({ provider }) => [provider, 'the infrastructure provider of machines']),
  );
  for (const { owner, name, field } of networks) {
    const other = known.get(owner);
    if (other !== undefined) {
      const text = `${owner} is ${other} already: a provider has one business, and one network`;
      throw new WorldError('OWNER', text, { field: `${field}.${owner === name ? 'name' : 'owner'}` });
    }
    known.set(owner, `the owner of ${name}`);
  }
}
