/** What can be wrong with the fields of resources, whatever else there is. */
import * as names from '../api/names.js';
import { type Slo } from '../api/types.js';
import { type Wrong } from '../controller/kind.js';
import { checkProtection } from '../controller/protection.js';
import { type Bodies, vifToward } from './model.js';
import { bitsOf, type Family, parsePrefix, type Prefix, subnetOf, unusable } from '../api/prefix.js';

export const NODE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$/;
export const OFFER = /^offers\/[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const VIF = /^[A-Za-z0-9_-]{1,15}$/;
/** What a network namespace has already: its loopback, and two names that net.ipv4.conf gives a meaning to. */
const TAKEN: ReadonlySet<string> = new Set(['lo', 'all', 'default']);
const MTU = { least: 576, most: 9600 };
const MOST_VIA = 16;
const MILLION = 1_000_000;

export function checkPools(pools: readonly string[], wrong: Wrong): void {
  const seen = new Set<Family>();
  for (const [i, text] of pools.entries()) {
    const field = `link_pools[${i}]`;
    const pool = parsePrefix(text);
    if (!pool || pool.address !== subnetOf(pool).address) {
      const rule = 'a prefix with host bits zero, such as 10.255.0.0/16 or fd00:0:0:ffff::/64';
      throw wrong(field, 'ADDRESS', `${field} must be ${rule}.`);
    }
    const least = bitsOf(pool.family) - 2;
    if (pool.length > least)
      throw wrong(field, 'POOL_TOO_SMALL', `${field} has no room for links; give a /${least} or larger.`);
    const problem = unusable({ ...pool, address: pool.address + 1n });
    if (problem !== undefined) throw wrong(field, 'ADDRESS', `${field} is no pool for links: ${problem}.`);
    if (seen.has(pool.family))
      throw wrong(
        field,
        'DUPLICATE',
        `${field} is the second pool of IPv${pool.family}; one of each is taken.`,
      );
    seen.add(pool.family);
  }
}

export function checkLink(body: Bodies['link'], wrong: Wrong): void {
  for (const side of ['a', 'b'] as const) checkNode(body[side], side, wrong);
  if (body.a === body.b) throw wrong('b', 'SAME_NODE', `A link joins two nodes; a and b are both ${body.a}.`);
  for (const [field, vif] of [
    ['vif_a', vifToward(body.vifA, body.b)],
    ['vif_b', vifToward(body.vifB, body.a)],
  ] as const) {
    if (VIF.test(vif) && !TAKEN.has(vif)) continue;
    const rule = '1 to 15 characters of [A-Za-z0-9_-], and not lo, all or default';
    throw wrong(field, 'VIF_NAME', `${field} must be ${rule}; ${JSON.stringify(vif)} is not.`);
  }
  checkSlo(body.slo, wrong);
  checkMtu(body.mtu, wrong);
  checkProtection(body, '', wrong);
  const a = checkAddresses(body.addressesA, 'addresses_a', wrong);
  const b = checkAddresses(body.addressesB, 'addresses_b', wrong);
  for (const [here, there, field, other] of [
    [a, b, 'addresses_a', 'addresses_b'],
    [b, a, 'addresses_b', 'addresses_a'],
  ] as const) {
    for (const [i, one] of here.entries()) {
      const far = there.find(({ family }) => family === one.family);
      const where = `${field}[${i}]`;
      if (!far) {
        const text = `${where} has none of IPv${one.family} in ${other} to answer it; give both ends or neither.`;
        throw wrong(where, 'ADDRESS_ALONE', text);
      }
      if (far.length !== one.length || subnetOf(far).address !== subnetOf(one).address)
        throw wrong(where, 'SUBNET', `${where} and the other end's address must be in one subnet.`);
      if (far.address === one.address)
        throw wrong(where, 'DUPLICATE', `${where} is the other end's address too; each end has its own.`);
    }
  }
  if (body.via.length > MOST_VIA)
    throw wrong('via', 'TOO_MANY', `via names ${body.via.length} offers; at most ${MOST_VIA}.`);
  for (const [i, offer] of body.via.entries()) {
    if (!OFFER.test(offer)) throw wrong(`via[${i}]`, 'OFFER_NAME', `via[${i}] must be \`offers/NODE\`.`);
    if (body.via.indexOf(offer) < i)
      throw wrong(`via[${i}]`, 'DUPLICATE', `via[${i}] is named before; a link passes each once.`);
  }
}

export function checkNode(name: string, field: string, wrong: Wrong): void {
  const [nodes, id, ...rest] = name.split('/', 3);
  if (nodes !== 'nodes' || rest.length > 0 || !NODE.test(id ?? ''))
    throw wrong(field, 'NODE_NAME', `${field} must be \`nodes/NODE\`.`);
}

export function checkMtu(mtu: number, wrong: Wrong): void {
  if (mtu === 0 || (mtu >= MTU.least && mtu <= MTU.most)) return;
  throw wrong(
    'mtu',
    'MTU_RANGE',
    `mtu must be ${MTU.least} to ${MTU.most}, or 0 for the default; not ${mtu}.`,
  );
}

function checkSlo(slo: Slo | undefined, wrong: Wrong): void {
  for (const [field, value] of [
    ['loss_ppm', slo?.lossPpm ?? 0],
    ['availability_ppm', slo?.availabilityPpm ?? 0],
  ] as const) {
    if (value <= MILLION) continue;
    throw wrong(
      `slo.${field}`,
      'SLO_RANGE',
      `slo.${field} is of a million: at most ${MILLION}, not ${value}.`,
    );
  }
}

export function checkAddresses(texts: readonly string[], field: string, wrong: Wrong): readonly Prefix[] {
  const seen = new Set<Family>();
  return texts.map((text, i) => {
    const where = `${field}[${i}]`;
    const prefix = parsePrefix(text);
    if (!prefix) {
      const rule = 'an address and its prefix length, such as 10.0.1.2/24 or fd00:0:0:1::2/64';
      throw wrong(where, 'ADDRESS', `${where} must be ${rule}.`);
    }
    const problem = unusable(prefix);
    if (problem !== undefined) throw wrong(where, 'ADDRESS', `${where} cannot be used: ${problem}.`);
    if (seen.has(prefix.family))
      throw wrong(where, 'DUPLICATE', `${where} is the second of IPv${prefix.family}; one of each is taken.`);
    seen.add(prefix.family);
    return prefix;
  });
}

/**
 * Throws where it is no prefix or has host bits. By bytes, without numbers: there are a hundred thousand of these in one
 * stream.
 */
export function checkDestination(text: string, wrong: Wrong): names.IpPrefix {
  const prefix = names.parseInterfaceAddress(text);
  if (!prefix) {
    const rule = 'a prefix such as 10.9.0.0/16 or fd00:9::/32';
    throw wrong('destination', 'ADDRESS', `destination must be ${rule}.`);
  }
  if (!names.hostBitsZero(prefix))
    throw wrong('destination', 'HOST_BITS', 'destination must have zeros behind its prefix length.');
  return prefix;
}
