/** Admits a service network as a whole: nodes against what is bought of them, ports, quotas, and links onto paths. */
import { type ApiError, failedPrecondition, resourceExhausted } from '../api/errors.js';
import { type ServiceLink, type ServiceNetwork } from '../api/connectivity.js';
import { types } from '../api/types.js';
import { type Admission } from '../controller/methods.js';
import { type Bodies, type Tx } from './kinds.js';
import { inForce, type Ledger } from './ledger.js';
import { checkVnFits, networkIds } from './names.js';
import { NO_SHARE, refreshOffer, SHARES } from './offers.js';
import { type Placement, place } from './placement/place.js';
import { type Demand, type Supply } from './placement/supply.js';
import { hopMicros, linkPrice, networkPrice } from './price.js';
import { generationOf, withStatus } from './status.js';
import { supplyOf } from './supply-of.js';
import { bitsOf, nodeUnder, shareOf, Usage } from './usage.js';

/** How often other orders of placing are tried before a network is refused. */
const ORDERS = 8;

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
  { name, field, before, after }: Admission<Bodies, 'serviceNetwork'>,
): void {
  const others = new Usage(tx.all('serviceNetwork').filter((one) => one.name !== name));
  if (after) {
    const request = { self, tx, ledger, field, before, after, others };
    checkVnFits(self, name, `${field}.name`);
    checkQuota(request);
    checkNodes(request);
    tx.put('serviceNetwork', placed(request));
  }
  writeSold(tx, ledger, before, after && tx.get('serviceNetwork', name));
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
}

function checkNodes({ ledger, field, after, others }: Request): void {
  const sold = new Map([...others.nodes].map(([name, share]) => [name, { ...share }]));
  const ports = new Map(others.ports);
  for (const [i, node] of after.nodes.entries()) {
    const at = `${field}.nodes[${i}]`;
    const under = nodeUnder(node);
    const bought = ledger.nodes.get(under)?.body;
    if (!bought || !inForce(bought)) {
      const offer = under.replace('nodes/', 'offers/');
      throw refused('UNKNOWN_OFFER', `${at}.offer`, `There is no ${offer}; \`offers\` lists what there is.`);
    }
    const used = sold.get(under) ?? { ...NO_SHARE };
    sold.set(under, used);
    const wanted = shareOf(node, after);
    for (const of of SHARES) {
      const whole = bought.share?.[of] ?? 0;
      if (whole > 0 && used[of] + wanted[of] > whole) {
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
      if (!bought.ports.includes(port)) {
        const free = bought.ports.filter((one) => !ports.has(`${under} ${one}`)).join(', ') || 'none';
        throw refused('UNKNOWN_PORT', where, `The offer has no port ${port}; free are ${free}.`);
      }
      if (ports.has(`${under} ${port}`)) {
        const free = bought.ports.filter((one) => !ports.has(`${under} ${one}`)).join(', ') || 'none';
        throw refused('NO_CAPACITY', where, `Port ${port} is sold already; free are ${free}.`);
      }
      ports.set(`${under} ${port}`, after.name);
    }
  }
}

/** With paths and prices: those of links that did not change are kept. */
function placed(request: Request): ServiceNetwork {
  const { tx, ledger, field, before, after, others } = request;
  const tariff = tx.get('tariff', 'tariff');
  const supply = supplyOf(ledger, others);
  const demands = after.links.map((link) => demandOf(link, after));
  const placements = new Map<number, Placement>();
  for (const [i, link] of after.links.entries()) {
    const old = before && kept(link, after, before, supply);
    if (!old) continue;
    placements.set(i, old);
    supply.take([...old.path, ...old.backup], Number(bitsOf(link)));
  }
  const prices = (i: number) => ({
    hop: Number(hopMicros(tariff, bitsOf(after.links[i] as ServiceLink))),
    backupPermille: tariff?.backupPermille ?? 0,
  });
  // the largest first; one that finds no room is given a better place
  let order = [...after.links.keys()]
    .filter((i) => !placements.has(i))
    .sort((x, y) => (demands[y]?.bitsPerSecond ?? 0) - (demands[x]?.bitsPerSecond ?? 0) || x - y);
  for (let attempt = 0; ; attempt++) {
    const done: number[] = [];
    let failed: { readonly i: number; readonly error: ApiError } | undefined;
    for (const i of order) {
      const answer = place(supply, demands[i] as Demand, prices(i));
      if ('reason' in answer) {
        failed = { i, error: refused(answer.reason, `${field}.links[${i}]`, answer.message) };
        break;
      }
      placements.set(i, answer);
      supply.take([...answer.path, ...answer.backup], demands[i]?.bitsPerSecond ?? 0);
      done.push(i);
    }
    if (!failed) break;
    const { i: first, error } = failed;
    if (attempt === ORDERS || order[0] === first) throw error;
    for (const i of done) {
      const { path, backup } = placements.get(i) as Placement;
      supply.take([...path, ...backup], -(demands[i]?.bitsPerSecond ?? 0));
      placements.delete(i);
    }
    order = [first, ...order.filter((i) => i !== first)];
  }
  const links = after.links.map((link, i): ServiceLink => {
    const { path, backup, kept } = placements.get(i) as Placement;
    return {
      ...link,
      path,
      backup,
      achieved: { bitsPerSecond: bitsOf(link), ...kept },
      price: linkPrice(tariff, bitsOf(link), path.length, backup.length),
    };
  });
  return withStatus(
    {
      ...after,
      links,
      price: networkPrice(tariff, after.nodes, links),
      lease: types.LeaseState.LEASE_STATE_ACTIVE,
    },
    { state: 'programming', message: '', reconciling: true, generation: generationOf(after) },
  );
}

function demandOf(link: ServiceLink, network: ServiceNetwork): Demand {
  const under = (name: string): string => {
    const node = network.nodes.find((one) => one.name === name);
    return node ? nodeUnder(node) : '';
  };
  return {
    a: under(link.a),
    b: under(link.b),
    via: link.via.map((offer) => offer.replace('offers/', 'nodes/')),
    bitsPerSecond: Number(bitsOf(link)),
    delayUs: link.slo?.delayUs ?? 0,
    lossPpm: link.slo?.lossPpm ?? 0,
    availabilityPpm: link.slo?.availabilityPpm ?? 0,
    mtu: link.mtu,
  };
}

/** The placement that a link has already, if it asks for the same and that is still there. */
function kept(
  link: ServiceLink,
  after: ServiceNetwork,
  before: ServiceNetwork,
  supply: Supply,
): Placement | undefined {
  const old = before.links.find(({ name }) => name === link.name);
  if (!old?.achieved) return undefined;
  if (JSON.stringify(demandOf(old, before)) !== JSON.stringify(demandOf(link, after))) return undefined;
  if (![...old.path, ...old.backup].every((name) => supply.edge(name) !== undefined)) return undefined;
  const { delayUs, lossPpm, availabilityPpm } = old.achieved;
  return { path: old.path, backup: old.backup, kept: { delayUs, lossPpm, availabilityPpm } };
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
