/** What is wrong with a supplier, node, link, customer or tariff by itself. */
import { type Customer, type Link, type Node, type Supplier, type Tariff } from '../api/connectivity.js';
import { parseInterfaceAddress, parseVifName } from '../api/names.js';
import { type Slo } from '../api/types.js';
import { ADDRESSES_RULE, splitAddresses } from '../controller/dial.js';
import { type Wrong } from '../controller/kind.js';
import { idOf } from './names.js';

const SUPPLIER = /^suppliers\/[a-z][a-z0-9-]{0,19}$/;
const NODE = /^nodes\/[A-Za-z0-9][A-Za-z0-9_-]{0,30}$/;
const LINK = /^links\/[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const OFFER = /^offers\/[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const INTERFACE = /^[^\s/\0]{1,15}$/;
const SITE = /^[^\p{Cc}]{0,63}$/u;
const RISK_GROUP = /^[^\s\p{Cc}]{1,63}$/u;
const YEAR = 31_622_400;
const SHORTEST_TERM = 60;
const MOST_PORTS = 1000;
const MOST_GROUPS = 64;

export function isVif(text: string): boolean {
  return parseVifName(`vns/x/nodes/x/vifs/${text}`) !== undefined;
}

/** What a link's end is called where nothing else is said. */
export function vifOf(given: string, otherNode: string): string {
  return given === '' ? `to-${idOf(otherNode)}` : given;
}

export function checkSupplier(body: Supplier, wrong: Wrong): void {
  if (splitAddresses(body.address)) return;
  throw wrong('address', 'ADDRESS', `address must be where its controller answers: ${ADDRESSES_RULE}.`);
}

export function checkNode(body: Node, wrong: Wrong): void {
  if (!SUPPLIER.test(body.supplier))
    throw wrong('supplier', 'SUPPLIER', 'supplier must be suppliers/PROVIDER.');
  if (body.offer !== '' && !OFFER.test(body.offer))
    throw wrong('offer', 'OFFER', 'offer must be offers/NAME, or empty for any that fits.');
  if (!SITE.test(body.site))
    throw wrong('site', 'SITE', 'site must be at most 63 characters, none of them a control character.');
  if (body.ports.length > MOST_PORTS)
    throw wrong('ports', 'TOO_MANY', `A node has at most ${MOST_PORTS} ports.`);
  for (const [i, port] of body.ports.entries()) {
    if (!INTERFACE.test(port) || body.ports.indexOf(port) !== i)
      throw wrong(`ports[${i}]`, 'PORT', 'ports are names of interfaces, 1 to 15 characters, each once.');
  }
  checkTerm(body.termSeconds, wrong);
}

export function checkLink(body: Link, wrong: Wrong): void {
  for (const end of ['a', 'b'] as const) {
    if (!NODE.test(body[end])) throw wrong(end, 'NODE', `${end} must be nodes/NODE.`);
  }
  if (body.a === body.b) throw wrong('b', 'NODE', 'a and b must be different nodes.');
  if (!isVif(vifOf(body.vifA, body.b))) throw wrongVif('vif_a', body.vifA, wrong);
  if (!isVif(vifOf(body.vifB, body.a))) throw wrongVif('vif_b', body.vifB, wrong);
  checkSlo(body.slo, 'slo', wrong);
  checkMtu(body.mtu, 'mtu', wrong);
  if (![0, 4, 6].includes(body.tunnelFamily))
    throw wrong('tunnel_family', 'FAMILY', 'tunnel_family must be 4 or 6, or 0 for 4.');
  for (const [i, other] of body.diverseFrom.entries()) {
    if (!LINK.test(other) || other === body.name)
      throw wrong(`diverse_from[${i}]`, 'LINK', 'diverse_from names other links: links/LINK.');
  }
  if (body.riskGroups.length > MOST_GROUPS || body.riskGroups.some((group) => !RISK_GROUP.test(group)))
    throw wrong('risk_groups', 'RISK_GROUP', `At most ${MOST_GROUPS} risk groups of 1 to 63 characters.`);
  checkAddresses(body.addressesA, 'addresses_a', wrong);
  checkAddresses(body.addressesB, 'addresses_b', wrong);
  checkTerm(body.termSeconds, wrong);
}

export function wrongVif(field: string, given: string, wrong: Wrong): Error {
  const how = given === '' ? 'to-NODE is too long; give a name of ' : `${field} must have `;
  return wrong(field, 'VIF', `${how}1 to 15 characters of [A-Za-z0-9_-], not lo, all or default.`);
}

export function checkSlo(slo: Slo | undefined, field: string, wrong: Wrong): void {
  if (!slo) return;
  if (slo.bitsPerSecond > 1_000_000_000_000_000n)
    throw wrong(`${field}.bits_per_second`, 'SLO', 'bits_per_second must be at most 10^15.');
  for (const [name, value] of [
    ['loss_ppm', slo.lossPpm],
    ['availability_ppm', slo.availabilityPpm],
  ] as const) {
    if (value > 1_000_000)
      throw wrong(`${field}.${name}`, 'SLO', `${name} is of a million: at most 1000000.`);
  }
}

export function checkMtu(mtu: number, field: string, wrong: Wrong): void {
  if (mtu === 0 || (mtu >= 576 && mtu <= 9600)) return;
  throw wrong(field, 'MTU_RANGE', 'mtu must be 576 to 9600, or 0.');
}

function checkAddresses(addresses: readonly string[], field: string, wrong: Wrong): void {
  const families = new Set<number>();
  for (const [i, text] of addresses.entries()) {
    const address = parseInterfaceAddress(text);
    if (!address || families.has(address.family))
      throw wrong(
        `${field}[${i}]`,
        'ADDRESS',
        `${field} has at most one IPv4 and one IPv6 address with prefix length, such as 10.8.0.0/31.`,
      );
    families.add(address.family);
  }
}

function checkTerm(seconds: number, wrong: Wrong): void {
  if (seconds === 0 || (seconds >= SHORTEST_TERM && seconds <= YEAR)) return;
  throw wrong('term_seconds', 'TERM', `term_seconds must be ${SHORTEST_TERM} to ${YEAR}, or 0 for a day.`);
}

export function checkCustomer(_body: Customer, _wrong: Wrong): void {
  // its name says it all; whether it is ours is asked on admission
}

export function checkTariff(body: Tariff, wrong: Wrong): void {
  if (body.currency !== '' && !/^[A-Z]{3}$/.test(body.currency))
    throw wrong('currency', 'CURRENCY', 'currency must be of ISO 4217, such as EUR.');
  if (body.backupPermille > 1000)
    throw wrong('backup_permille', 'RANGE', 'backup_permille must be at most 1000.');
  for (const [field, value] of [
    ['node_micros', body.nodeMicros],
    ['cpu_milli_micros', body.cpuMilliMicros],
    ['link_micros', body.linkMicros],
    ['mbit_link_micros', body.mbitLinkMicros],
  ] as const) {
    if (value > 1_000_000_000_000n) throw wrong(field, 'RANGE', `${field} must be at most 10^12.`);
  }
}
