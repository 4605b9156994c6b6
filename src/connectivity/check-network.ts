/** What is wrong with a service network by itself. */
import { type ServiceLink, type ServiceNetwork, type ServiceNode } from '../api/connectivity.js';
import { parseTime } from '../controller/clock.js';
import { type Wrong } from '../controller/kind.js';
import { checkProtection } from '../controller/protection.js';
import { checkMtu, checkSlo, isVif, vifOf, wrongVif } from './check.js';
import { isServiceNodeName } from './names.js';

const OFFER = /^offers\/[A-Za-z0-9][A-Za-z0-9_-]{0,30}$/;
const LINK_NAME = /^[A-Za-z0-9_.-]{1,63}$/;
const INTERFACE = /^[^\s/\0]{1,15}$/;
/** What one change of the store holds with room to spare: labels are written link by link. */
const MOST = 500;
const LINK = /^links\/[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const MOST_VIA = 16;
const MOST_AVOIDED = 64;
/** Of each count; what is sold of a node, the sum, has 32 bits. */
const MOST_SHARE = 10_000_000;

export function checkNetwork(body: ServiceNetwork, wrong: Wrong): void {
  for (const [field, list] of [
    ['nodes', body.nodes],
    ['links', body.links],
  ] as const) {
    if (list.length > MOST) throw wrong(field, 'TOO_MANY', `A service network has at most ${MOST} ${field}.`);
  }
  for (const [field, time] of [
    ['start_time', body.term?.startTime ?? ''],
    ['expire_time', body.term?.expireTime ?? ''],
  ] as const)
    if (time !== '' && parseTime(time) === undefined)
      throw wrong(`term.${field}`, 'TERM', `term.${field} must be a time in UTC: 2026-12-01T08:00:00Z.`);
  const vifs = new Map<string, Set<string>>();
  for (const [i, node] of body.nodes.entries()) checkServiceNode(node, `nodes[${i}]`, vifs, wrong);
  const names = new Set<string>();
  for (const [i, link] of body.links.entries()) {
    const field = `links[${i}]`;
    if (!LINK_NAME.test(link.name) || names.has(link.name))
      throw wrong(
        `${field}.name`,
        names.has(link.name) ? 'DUPLICATE' : 'NAME',
        'Each link has a name of its own: 1 to 63 characters of [A-Za-z0-9_.-].',
      );
    names.add(link.name);
    checkServiceLink(link, field, vifs, wrong);
  }
}

function checkServiceNode(
  node: ServiceNode,
  field: string,
  vifs: Map<string, Set<string>>,
  wrong: Wrong,
): void {
  if (!isServiceNodeName('x', node.name))
    throw wrong(`${field}.name`, 'NAME', 'A node’s name has 1 to 31 characters of [A-Za-z0-9_-].');
  if (vifs.has(node.name))
    throw wrong(`${field}.name`, 'DUPLICATE', `There are two nodes called ${node.name}.`);
  const own = new Set<string>();
  vifs.set(node.name, own);
  if (node.offer !== '' && !OFFER.test(node.offer))
    throw wrong(
      `${field}.offer`,
      'OFFER',
      'offer must be offers/NODE, or empty for the one called as the node.',
    );
  for (const [count, value] of Object.entries(node.share ?? {}))
    if (value > MOST_SHARE) {
      const where = count.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      throw wrong(`${field}.share.${where}`, 'RANGE', `${where} must be at most ${MOST_SHARE}.`);
    }
  for (const [i, port] of node.ports.entries()) {
    const at = `${field}.ports[${i}]`;
    if (!isVif(port.vif)) throw wrongVif(`${at}.vif`, port.vif, wrong);
    takeVif(own, port.vif, `${at}.vif`, node.name, wrong);
    if (!INTERFACE.test(port.port))
      throw wrong(`${at}.port`, 'PORT', 'port must be the name of an interface among the offer’s.');
    checkMtu(port.mtu, `${at}.mtu`, wrong);
  }
}

function checkServiceLink(
  link: ServiceLink,
  field: string,
  vifs: Map<string, Set<string>>,
  wrong: Wrong,
): void {
  for (const end of ['a', 'b'] as const) {
    if (!vifs.has(link[end]))
      throw wrong(`${field}.${end}`, 'NODE', `${end} must be the name of a node of this network.`);
  }
  if (link.a === link.b) throw wrong(`${field}.b`, 'NODE', 'a and b must be different nodes.');
  const ends = [
    ['vif_a', link.vifA, link.a, link.b],
    ['vif_b', link.vifB, link.b, link.a],
  ] as const;
  for (const [where, given, own, other] of ends) {
    const vif = vifOf(given, other);
    if (!isVif(vif)) throw wrongVif(`${field}.${where}`, given, wrong);
    takeVif(vifs.get(own) ?? new Set(), vif, `${field}.${where}`, own, wrong);
  }
  checkSlo(link.slo, `${field}.slo`, wrong);
  checkMtu(link.mtu, `${field}.mtu`, wrong);
  checkProtection(link, `${field}.`, wrong);
  if (link.via.length > MOST_VIA)
    throw wrong(`${field}.via`, 'TOO_MANY', `A link passes at most ${MOST_VIA} offers.`);
  if (link.avoid.length > MOST_AVOIDED || link.avoid.some((below) => !LINK.test(below)))
    throw wrong(`${field}.avoid`, 'LINK', `avoid names links below, links/LINK: at most ${MOST_AVOIDED}.`);
  for (const [i, offer] of link.via.entries()) {
    if (!OFFER.test(offer) || link.via.indexOf(offer) !== i)
      throw wrong(`${field}.via[${i}]`, 'OFFER', 'via names offers, offers/NODE, each once.');
  }
}

function takeVif(taken: Set<string>, vif: string, field: string, node: string, wrong: Wrong): void {
  if (taken.has(vif))
    throw wrong(field, 'DUPLICATE', `${node} has two interfaces called ${vif}; give each a name of its own.`);
  taken.add(vif);
}
