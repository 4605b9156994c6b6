/** The kinds of resources of `cabernet.infrastructure.v1`, and what is wrong with one by itself. */
import { type Resource, resourceType } from '../api/infrastructure.js';
import { formatAddress, isUnicast, parseAddress } from '../api/names.js';
import { ADDRESSES_RULE, parseAddressOfServer, splitAddresses } from '../controller/dial.js';
import { type BodiesOf, Catalogue, type Wrong } from '../controller/kind.js';
import { type Transaction, type View as AnyView } from '../controller/state.js';
import { WHOLE_CPU } from './shares.js';

export type Bodies = BodiesOf<Resource>;
export type Tx = Transaction<Bodies>;
export type View = AnyView<Bodies>;

const MACHINE = {
  id: /^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$/,
  idRule: '1 to 31 characters of [A-Za-z0-9_-], beginning with a letter or digit',
};
/** Of Linux: dev_valid_name(). */
const INTERFACE = /^(?!\.{1,2}$)[^\s/:\p{Cc}]{1,15}$/u;
const SITE = /^[^\p{Cc}]{0,63}$/u;
/** Of a machine, and so of a node. */
export const MOST_PORTS = 1000;
const MILLION = 1_000_000;
/** Three intervals, of which the shortest is a millisecond. */
const LEAST_DETECTION_US = 3000;
const MOST_DETECTION_US = 1_000_000;
/** Sums of prices have 64 bits. */
const MOST_MICROS = 1_000_000_000_000n;

function checkInterface(name: string, field: string, wrong: Wrong): void {
  if (!INTERFACE.test(name))
    throw wrong(field, 'INTERFACE_NAME', `${field} must be an interface's name: 1 to 15 characters.`);
}

function checkMachine(body: Bodies['machine'], wrong: Wrong): void {
  if (!parseAddressOfServer(body.agent)) {
    const right = 'unix:/run/cabernet/node.sock, 192.0.2.1:7100 or [2001:db8::1]:7100';
    throw wrong('agent', 'ADDRESS_OF_SERVER', `agent must be where the machine's agent answers: ${right}.`);
  }
  const families = new Set<number>();
  for (const [i, text] of body.addresses.entries()) {
    const address = parseAddress(text);
    if (!address)
      throw wrong(`addresses[${i}]`, 'ADDRESS', `addresses[${i}] must be an IPv4 or IPv6 address.`);
    if (families.has(address.family))
      throw wrong(
        `addresses[${i}]`,
        'ADDRESS',
        `addresses must hold at most one IPv${address.family} address.`,
      );
    families.add(address.family);
  }
  if (body.ports.length > MOST_PORTS)
    throw wrong('ports', 'TOO_MANY', `${body.ports.length} ports; a machine has at most ${MOST_PORTS}.`);
  for (const [i, port] of body.ports.entries()) {
    checkInterface(port, `ports[${i}]`, wrong);
    if (body.ports.indexOf(port) < i)
      throw wrong(`ports[${i}]`, 'DUPLICATE', `${port} is among the ports twice.`);
  }
  if ((body.capacity?.cpuMillis ?? 0) > WHOLE_CPU)
    throw wrong(
      'capacity.cpu_millis',
      'RANGE',
      `capacity.cpu_millis must be at most ${WHOLE_CPU}: thousandths of all processors of the machine.`,
    );
  if (!SITE.test(body.site))
    throw wrong('site', 'SITE', 'site must be at most 63 characters, none of them a control character.');
  checkNeighbours(body, wrong);
}

/** A millisecond to ten seconds, three times: RFC 5880's intervals as agents take them. */
const LEAST_SILENCE_US = 3000;
const MOST_SILENCE_US = 30_000_000;
const MOST_NEIGHBOURS = 64;
const MOST_VLAN = 4094;

function checkNeighbours({ neighbours }: Bodies['machine'], wrong: Wrong): void {
  if (neighbours.length > MOST_NEIGHBOURS) {
    const right = `a machine has at most ${MOST_NEIGHBOURS}.`;
    throw wrong('neighbours', 'TOO_MANY', `${neighbours.length} neighbours; ${right}`);
  }
  const [names, pairs] = [new Set<string>(), new Set<string>()];
  for (const [i, neighbour] of neighbours.entries()) {
    const at = `neighbours[${i}]`;
    if (!MACHINE.id.test(neighbour.name))
      throw wrong(`${at}.name`, 'NAME', `${at}.name must be ${MACHINE.idRule}.`);
    if (names.has(neighbour.name))
      throw wrong(`${at}.name`, 'DUPLICATE', `${neighbour.name} is among the neighbours twice.`);
    names.add(neighbour.name);
    const pair = checkNeighbour(neighbour, at, wrong);
    if (pairs.has(pair))
      throw wrong(at, 'DUPLICATE', `${at} has the addresses of another neighbour at the same place.`);
    pairs.add(pair);
  }
}

function checkHost(text: string, field: string, wrong: Wrong): { family: number; text: string } {
  const address = parseAddress(text);
  if (!address || !isUnicast(address))
    throw wrong(field, 'ADDRESS', `${field} must be a unicast IPv4 or IPv6 address.`);
  return { family: address.family, text: formatAddress(address.bytes) };
}

type Neighbour = Bodies['machine']['neighbours'][number];

/** Returns what is one neighbour's. */
function checkNeighbour(
  { interface: device, vlan, localAddress, remoteAddress, detectionUs }: Neighbour,
  at: string,
  wrong: Wrong,
): string {
  checkInterface(device, `${at}.interface`, wrong);
  if (vlan > MOST_VLAN) throw wrong(`${at}.vlan`, 'RANGE', `${at}.vlan must be 1 to ${MOST_VLAN}, or 0.`);
  const local = checkHost(localAddress, `${at}.local_address`, wrong);
  const remote = checkHost(remoteAddress, `${at}.remote_address`, wrong);
  if (local.family !== remote.family || local.text === remote.text)
    throw wrong(
      `${at}.remote_address`,
      'ADDRESS',
      `${at}.remote_address must be another address of the family of local_address.`,
    );
  if (detectionUs !== 0 && (detectionUs < LEAST_SILENCE_US || detectionUs > MOST_SILENCE_US))
    throw wrong(
      `${at}.detection_us`,
      'RANGE',
      `${at}.detection_us must be ${LEAST_SILENCE_US} to ${MOST_SILENCE_US}, or 0 for 150000.`,
    );
  return [device, vlan, local.text, remote.text].join(' ');
}

interface LinkLike {
  readonly lossPpm: number;
  readonly availabilityPpm: number;
  readonly mtu: number;
  readonly riskGroups: readonly string[];
}

/** What wires and peerings have in common. */
function checkLink(body: LinkLike, wrong: Wrong): void {
  if (body.lossPpm > MILLION) throw wrong('loss_ppm', 'RANGE', 'loss_ppm must be at most 1000000.');
  if (body.availabilityPpm > MILLION)
    throw wrong('availability_ppm', 'RANGE', 'availability_ppm must be at most 1000000; 0 counts as that.');
  if (body.mtu !== 0 && (body.mtu < 1280 || body.mtu > 65535))
    throw wrong('mtu', 'RANGE', 'mtu must be 1280 to 65535, or 0 for 1500.');
  if (body.riskGroups.length > 64) throw wrong('risk_groups', 'TOO_MANY', 'at most 64 risk groups.');
  for (const [i, group] of body.riskGroups.entries())
    if (group === '' || !SITE.test(group))
      throw wrong(`risk_groups[${i}]`, 'RISK_GROUP', `risk_groups[${i}] must be 1 to 63 characters.`);
}

function checkEnd(
  end: { readonly machine: string; readonly interface: string } | undefined,
  field: string,
  wrong: Wrong,
): void {
  if (!end || !/^machines\/[^/]+$/.test(end.machine))
    throw wrong(`${field}.machine`, 'MACHINE_NAME', `${field}.machine must be machines/NAME.`);
  checkInterface(end.interface, `${field}.interface`, wrong);
}

export const catalogue = new Catalogue<Bodies>(resourceType, {
  machine: { collection: 'machines', ...MACHINE, writable: true, outputs: ['state'], check: checkMachine },
  wire: {
    collection: 'wires',
    writable: true,
    outputs: ['soldAToB', 'soldBToA', 'bypass'],
    check(body, wrong) {
      checkEnd(body.a, 'a', wrong);
      checkEnd(body.b, 'b', wrong);
      if (body.a?.machine === body.b?.machine)
        throw wrong('b.machine', 'SAME_MACHINE', 'a wire joins two machines; b is the machine of a.');
      checkLink(body, wrong);
      const { detectionUs: us } = body;
      if (us !== 0 && (us < LEAST_DETECTION_US || us > MOST_DETECTION_US))
        throw wrong(
          'detection_us',
          'RANGE',
          `detection_us must be ${LEAST_DETECTION_US} to ${MOST_DETECTION_US}, or 0 for 30000.`,
        );
    },
  },
  peering: {
    collection: 'peerings',
    writable: true,
    outputs: ['soldOut', 'soldIn'],
    check(body, wrong) {
      checkEnd(body.end, 'end', wrong);
      if (!/^[a-z][a-z0-9-]{0,19}$/.test(body.provider))
        throw wrong(
          'provider',
          'PROVIDER_NAME',
          'provider must be 1 to 20 characters of [a-z0-9-], beginning with a letter.',
        );
      if (!splitAddresses(body.controller))
        throw wrong(
          'controller',
          'ADDRESS_OF_SERVER',
          `controller must be where its controller answers: ${ADDRESSES_RULE}.`,
        );
      checkLink(body, wrong);
    },
  },
  customer: {
    collection: 'customers',
    id: /^[a-z][a-z0-9-]{0,19}$/,
    idRule: '1 to 20 characters of [a-z0-9-], beginning with a letter',
    writable: true,
    outputs: [],
  },
  tariff: {
    collection: 'tariff',
    writable: true,
    outputs: [],
    check(body, wrong) {
      if (!/^[A-Z]{3}$/.test(body.currency))
        throw wrong('currency', 'CURRENCY', 'currency must be a code of ISO 4217, such as EUR.');
      for (const [field, value] of [
        ['node_micros', body.nodeMicros],
        ['cpu_milli_micros', body.cpuMilliMicros],
        ['link_micros', body.linkMicros],
        ['mbit_wire_micros', body.mbitWireMicros],
      ] as const)
        if (value > MOST_MICROS) throw wrong(field, 'RANGE', `${field} must be at most 10^12.`);
    },
  },
  offer: { collection: 'offers', id: MACHINE.id, writable: false, outputs: [] },
  virtualNode: {
    collection: 'customers/+/virtualNodes',
    writable: false,
    deletable: true,
    reconciles: true,
    outputs: ['price', 'lease', 'maintenance'],
  },
  virtualLink: {
    collection: 'customers/+/virtualLinks',
    writable: false,
    deletable: true,
    reconciles: true,
    outputs: ['price', 'lease', 'achieved', 'wires', 'shared', 'maintenance', 'move', 'home', 'violation'],
  },
  reservation: { collection: 'customers/+/reservations', writable: false, outputs: [] },
  label: { collection: 'machines/+/labels', writable: false, outputs: [] },
  segment: { collection: 'segments', writable: false, outputs: [] },
});
