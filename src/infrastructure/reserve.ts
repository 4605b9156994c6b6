/** Reserve: room for nodes and links, all or nothing. */
import { createHash, randomBytes } from 'node:crypto';

import { invalidArgument, permissionDenied, resourceExhausted } from '../api/errors.js';
import { type ReserveRequest } from '../api/infrastructure.js';
import { formatTime } from '../controller/clock.js';
import { byWire } from './compose-wires.js';
import { changeLink, changeNode, leasedLink, leasedNode } from './change.js';
import { type Bodies, catalogue, type Tx } from './kinds.js';
import { customerOf } from './ledger.js';
import { type Neighbourhood, NOBODY } from './onward.js';
import { planLink } from './plan-link.js';
import { planNode } from './plan-node.js';
import { isRemote, planRemote } from './plan-remote.js';
import { type Planning, planningOf } from './planning.js';
import { sum } from './price.js';
import { settle } from './settle.js';
import { settled } from './status.js';

type Reservation = Bodies['reservation'];

/** A commit of the store takes 1000 changes; a link comes with labels and wires, a node with an offer and a machine. */
const MOST_NODES = 100;
const MOST_LINKS = 150;
/** Of wires: one each way on every wire of every lsp. */
const MOST_LABELS = 300;
const DEFAULT_HOLD = 60;
const LONGEST_HOLD = 3600;
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/** The customer whom all of it is for, and what else is wrong whatever the state. @throws ApiError */
export function checkReserve(request: ReserveRequest): string {
  const { virtualNodes, virtualLinks } = request;
  const first = virtualNodes[0]?.name ?? virtualLinks[0]?.name;
  if (first === undefined)
    throw invalidArgument({
      reason: 'EMPTY',
      field: 'virtual_nodes',
      message: 'The request asks for nothing; give nodes or links.',
    });
  for (const [field, count, most] of [
    ['virtual_nodes', virtualNodes.length, MOST_NODES],
    ['virtual_links', virtualLinks.length, MOST_LINKS],
  ] as const)
    if (count > most)
      throw invalidArgument({
        reason: 'TOO_MANY',
        field,
        message: `${count} ${field} in one request; at most ${most}.`,
      });
  if (request.holdSeconds > LONGEST_HOLD)
    throw invalidArgument({
      reason: 'RANGE',
      field: 'hold_seconds',
      message: `hold_seconds must be at most ${LONGEST_HOLD}.`,
    });
  if (request.requestId !== '' && !ID.test(request.requestId))
    throw invalidArgument({
      reason: 'REQUEST_ID',
      field: 'request_id',
      message: 'request_id must be 1 to 63 characters of [A-Za-z0-9_.-], beginning with a letter or digit.',
    });
  catalogue.checkName(
    virtualNodes.length > 0 ? 'virtualNode' : 'virtualLink',
    first,
    virtualNodes.length > 0 ? 'virtual_nodes[0].name' : 'virtual_links[0].name',
  );
  return customerOf(first);
}

export function reservationName(customer: string, requestId: string): string {
  return `customers/${customer}/reservations/${requestId === '' ? `r-${randomBytes(8).toString('hex')}` : requestId}`;
}

/** Of what was asked for, so that the same request is known again. */
export function digestOf(request: ReserveRequest): string {
  const hash = createHash('sha256');
  for (const body of request.virtualNodes)
    hash.update(catalogue.encode({ kind: 'virtualNode', body: catalogue.spec('virtualNode', body) }));
  for (const body of request.virtualLinks)
    hash.update(catalogue.encode({ kind: 'virtualLink', body: catalogue.spec('virtualLink', body) }));
  return hash.digest('hex');
}

/** Plans and holds all of it in the transaction. @throws ApiError for the first thing that does not fit */
export function reserve(
  tx: Tx,
  request: ReserveRequest,
  name: string,
  provider: string,
  now: number,
  neighbours: ReadonlyMap<string, Neighbourhood> = new Map(),
): Reservation {
  const customer = customerOf(name);
  const planning = planningOf(tx, customer, provider, now);
  const account = tx.get('customer', `customers/${customer}`);
  if (!account)
    throw permissionDenied({
      reason: 'NOT_A_CUSTOMER',
      message: `${customer} is no customer of ${provider}; its operator makes customers/${customer} first.`,
    });
  const changedNodes = request.virtualNodes.flatMap(({ name: of }) => leasedNode(planning, of) ?? []);
  const changedLinks = request.virtualLinks.flatMap(({ name: of }) => leasedLink(planning, of) ?? []);
  const virtualNodes = request.virtualNodes.map((asked, i) => {
    const field = `virtual_nodes[${i}]`;
    const leased = leasedNode(planning, asked.name);
    if (leased) return changeNode(planning, leased, asked, field);
    const node = planNode(planning, asked, field);
    planning.ledger.addNode(node);
    planning.fresh.add(node.name);
    return node;
  });
  const holdUntil = now + (request.holdSeconds || DEFAULT_HOLD) * 1000;
  const virtualLinks = request.virtualLinks.map((asked, i) => {
    const field = `virtual_links[${i}]`;
    const leased = leasedLink(planning, asked.name);
    if (leased) return changeLink(planning, leased, asked, field);
    if (!isRemote(asked, provider)) return planLink(planning, asked, field);
    return planRemote(planning, asked, neighbours.get(asked.name) ?? NOBODY, holdUntil, field);
  });
  checkQuota(planning, account);
  checkLabels(virtualLinks);
  const price = sum(
    [...virtualNodes, ...virtualLinks].map((one) => one.price),
    planning.tariff.currency,
  );
  const reservation: Reservation = {
    name,
    virtualNodes,
    virtualLinks,
    price,
    holdUntil: formatTime(holdUntil),
    committed: false,
    changedNodes,
    changedLinks,
    status: settled(undefined, 'reserved'),
  };
  tx.put('reservation', reservation);
  settle(tx);
  return reservation;
}

function checkLabels(links: readonly Bodies['virtualLink'][]): void {
  const labels = links.reduce((sum, link) => sum + (byWire(link) ? 2 * link.wires.length : 0), 0);
  if (labels > MOST_LABELS)
    throw invalidArgument({
      reason: 'TOO_MANY',
      field: 'virtual_links',
      message: `The lsps of this request take ${labels} labels on their wires; at most ${MOST_LABELS} in one request: ask for fewer links at once.`,
    });
}

function checkQuota({ ledger, customer }: Planning, account: Bodies['customer']): void {
  const { nodes, links, bits } = ledger.totals(customer);
  for (const [field, used, most] of [
    ['virtual_nodes', BigInt(nodes), BigInt(account.virtualNodes)],
    ['virtual_links', BigInt(links), BigInt(account.virtualLinks)],
    ['bits_per_second', bits, account.bitsPerSecond],
  ] as const)
    if (most !== 0n && used > most)
      throw resourceExhausted({
        reason: 'QUOTA',
        field: field === 'virtual_nodes' ? 'virtual_nodes' : 'virtual_links',
        message: `${customer} would have ${used} of ${field}, and may have ${most}; end leases, or ask for more.`,
      });
}
