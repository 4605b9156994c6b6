/** Admits a service network as a whole: nodes against what is bought of them, ports, quotas, and links onto paths. */
import { type ApiError, failedPrecondition, resourceExhausted } from '../api/errors.js';
import { type ServiceNetwork } from '../api/connectivity.js';
import { types } from '../api/types.js';
import { type Admission } from '../controller/methods.js';
import { USUAL_REPAIR_US, wantsBackup } from '../controller/protection.js';
import { leaseAt } from '../controller/terms.js';
import { type Bodies, catalogue, type Tx } from './kinds.js';
import { inForce, type Ledger } from './ledger.js';
import { checkVnFits, networkIds } from './names.js';
import { NO_SHARE, refreshOffer, SHARES } from './offers.js';
import { placeLinks } from './placing.js';
import { networkPrice } from './price.js';
import { grantedTerm, rulesOf } from './network-terms.js';
import { generationOf, withStatus } from './status.js';
import { bitsOf, nodeUnder, shareOf, Usage } from './usage.js';

const FIELDS = {
  cpuMillis: 'cpu_millis',
  vifs: 'vifs',
  routes: 'routes',
  labels: 'labels',
  neighbours: 'neighbours',
} as const;

interface Request {
  readonly self: string;
  readonly tx: Tx;
  readonly ledger: Ledger;
  readonly now: number;
  readonly field: string;
  readonly before: ServiceNetwork | undefined;
  readonly after: ServiceNetwork;
  /** Of all other networks. */
  readonly others: Usage;
}

export function admitNetwork(
  self: string,
  tx: Tx,
  ledger: Ledger,
  now: number,
  { name, field, before, after }: Admission<Bodies, 'serviceNetwork'>,
): void {
  const others = new Usage(tx.all('serviceNetwork').filter((one) => one.name !== name));
  if (after) {
    const request = { self, tx, ledger, now, field, before, after, others };
    checkVnFits(self, name, `${field}.name`);
    // who only renews keeps what there is
    if (!before || textOf(before) !== textOf(after)) checkQuota(request);
    checkNodes(request);
    tx.put('serviceNetwork', placed(request));
  }
  writeSold(tx, ledger, before, after && tx.get('serviceNetwork', name));
}

/** What is asked for, but for the term. */
function textOf(network: ServiceNetwork): string {
  const { term: _, ...rest } = network;
  const body = catalogue.spec('serviceNetwork', rest);
  return catalogue.encode({ kind: 'serviceNetwork', body }).toString('base64');
}

function refused(reason: string, field: string, message: string): ApiError {
  return (reason === 'NO_CAPACITY' || reason === 'QUOTA' ? resourceExhausted : failedPrecondition)({
    reason,
    field,
    message,
  });
}

function checkQuota({ tx, field, after, others }: Request): void {
  const { customer } = networkIds(after.name);
  const quota = tx.get('customer', `customers/${customer}`);
  if (!quota) {
    throw refused(
      'UNKNOWN_CUSTOMER',
      `${field}.name`,
      `There is no customers/${customer}; an operator makes it first.`,
    );
  }
  const sold = others.customers.get(customer) ?? { nodes: 0, links: 0, bitsPerSecond: 0n };
  const wanted = after.links.reduce((sum, link) => sum + bitsOf(link), 0n);
  for (const [what, where, limit, used, more] of [
    ['nodes', 'nodes', quota.virtualNodes, sold.nodes, after.nodes.length],
    ['links', 'links', quota.virtualLinks, sold.links, after.links.length],
    ['bits per second', 'links', quota.bitsPerSecond, sold.bitsPerSecond, wanted],
  ] as const) {
    const left = BigInt(limit) - BigInt(used);
    if (limit > 0 && BigInt(more) > left) {
      throw refused(
        'QUOTA',
        `${field}.${where}`,
        `${customer} may have ${limit} ${what} altogether: ${left > 0n ? left : 0n} more, not ${more}.`,
      );
    }
  }
  // watching is work for machines that others have a part of
  const eager = after.links.findIndex(
    (link) => wantsBackup(link) && (link.repairUs || USUAL_REPAIR_US) < quota.leastRepairUs,
  );
  if (eager >= 0)
    throw refused(
      'QUOTA',
      `${field}.links[${eager}].repair_us`,
      `${customer} may have repair_us of ${quota.leastRepairUs} or more.`,
    );
}

function checkNodes({ tx, ledger, field, before, after, others }: Request): void {
  const sold = new Map([...others.nodes].map(([name, share]) => [name, { ...share }]));
  const ports = new Map(others.ports);
  for (const [i, node] of after.nodes.entries()) {
    const at = `${field}.nodes[${i}]`;
    const under = nodeUnder(node);
    const bought = ledger.nodes.get(under)?.body;
    // where it stands already it may stay, also while what is below has trouble
    const stands = before?.nodes.some((one) => one.name === node.name && nodeUnder(one) === under) === true;
    if (!bought || (!inForce(bought) && !stands)) {
      const offer = under.replace('nodes/', 'offers/');
      throw refused('UNKNOWN_OFFER', `${at}.offer`, `There is no ${offer}; \`offers\` lists what there is.`);
    }
    const asked = tx.get('node', under);
    const leaving = asked?.status?.reconciling === true ? asked : bought;
    const shares = [bought.share, leaving.share];
    const offered = bought.ports.filter((port) => leaving.ports.includes(port));
    const used = sold.get(under) ?? { ...NO_SHARE };
    sold.set(under, used);
    const wanted = shareOf(node, after);
    for (const of of SHARES) {
      // where it is to become less, no more than that
      const whole = Math.min(...shares.map((share) => share?.[of] ?? 0).filter((one) => one > 0), Infinity);
      if (used[of] + wanted[of] > whole) {
        throw refused(
          'NO_CAPACITY',
          `${at}.share.${FIELDS[of]}`,
          `${wanted[of]} ${FIELDS[of]} are asked for; ${Math.max(0, whole - used[of])} would fit.`,
        );
      }
      used[of] += wanted[of];
    }
    for (const [k, { port }] of node.ports.entries()) {
      const where = `${at}.ports[${k}].port`;
      if (!offered.includes(port)) {
        const free = offered.filter((one) => !ports.has(`${under} ${one}`)).join(', ') || 'none';
        throw refused('UNKNOWN_PORT', where, `The offer has no port ${port}; free are ${free}.`);
      }
      if (ports.has(`${under} ${port}`)) {
        const free = offered.filter((one) => !ports.has(`${under} ${one}`)).join(', ') || 'none';
        throw refused('NO_CAPACITY', where, `Port ${port} is sold already; free are ${free}.`);
      }
      ports.set(`${under} ${port}`, after.name);
    }
  }
}

function placed(request: Request): ServiceNetwork {
  const { tx, after, before, field, now } = request;
  const links = placeLinks(request);
  const term = grantedTerm(after.term, before?.term, rulesOf(tx), now, `${field}.term`);
  return withStatus(
    {
      ...after,
      links,
      term,
      price: networkPrice(tx.get('tariff', 'tariff'), after.nodes, links),
      // its time may have come without anybody having noticed yet
      lease: leaseAt(term, now) ?? types.LeaseState.LEASE_STATE_SUSPENDED,
    },
    { state: 'programming', message: '', reconciling: true, generation: generationOf(after) },
  );
}

/** What is sold of the nodes and links that the network stood on, or stands on now. */
export function writeSold(
  tx: Tx,
  ledger: Ledger,
  before: ServiceNetwork | undefined,
  after: ServiceNetwork | undefined,
): void {
  const usage = new Usage(tx.all('serviceNetwork'));
  const both = [before, after].filter((network) => network !== undefined);
  for (const name of new Set(both.flatMap(({ nodes }) => nodes.map(nodeUnder)))) {
    const node = tx.get('node', name);
    if (!node) continue;
    tx.put('node', { ...node, sold: usage.nodes.get(name) ?? NO_SHARE });
    const bought = ledger.nodes.get(name);
    if (bought) refreshOffer(tx, bought.body);
  }
  const links = both.flatMap((network) => network.links.flatMap(({ path, backup }) => [...path, ...backup]));
  for (const name of new Set(links)) {
    const link = tx.get('link', name);
    const bits = usage.bits.get(name) ?? 0n;
    if (link) tx.put('link', { ...link, soldAToB: bits, soldBToA: bits });
  }
}
