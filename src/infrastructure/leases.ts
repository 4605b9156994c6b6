/** From a reservation to leases, and to their end. Everything here is one transaction. */
import { failedPrecondition } from '../api/errors.js';
import { types } from '../api/types.js';
import { missing } from '../controller/access.js';
import { parseTime } from '../controller/clock.js';
import { type Bodies, type Tx } from './kinds.js';
import { releaseLabels } from './labels.js';
import { releaseSegmentOf } from './segments.js';
import { settle } from './settle.js';
import { settled, wanted } from './status.js';
import { checkExpiry, leaseAt } from '../controller/terms.js';
import { tariffOf } from './price.js';

type Reservation = Bodies['reservation'];

const States = types.LeaseState;

/**
 * @param checkUse throws where a node as it is to be has no room for what is in it
 * @throws ApiError NOT_FOUND: it never was, or was not committed in time; LEASE_ENDED, NODE_ENDED
 */
export function commit(
  tx: Tx,
  name: string,
  now: number,
  checkUse: (node: Bodies['virtualNode']) => void,
): Reservation {
  const reservation = tx.get('reservation', name);
  if (!reservation) throw missing(name, 'name');
  if (reservation.committed) return reservation;
  if (isOver(reservation, now)) throw missing(name, 'name');
  checkEnds(tx, reservation);
  checkChanged(tx, reservation);
  const lease = States.LEASE_STATE_ACTIVE;
  const virtualNodes = reservation.virtualNodes.map((node) => ({ ...node, lease }));
  const virtualLinks = reservation.virtualLinks.map((link) => ({ ...link, lease }));
  for (const node of virtualNodes) {
    const before = tx.get('virtualNode', node.name);
    if (before) checkUse(node);
    tx.put('virtualNode', { ...node, status: wanted(before?.status) });
  }
  for (const link of virtualLinks)
    tx.put('virtualLink', { ...link, status: wanted(tx.get('virtualLink', link.name)?.status) });
  for (const segment of tx.all('segment'))
    if (reservation.virtualLinks.some((link) => link.name === segment.link) && !segment.releasing)
      tx.put('segment', { ...segment, committed: true, status: settled(segment.status, 'committed') });
  // as they are leased now: the customer may sell on what it is answered
  const committed = {
    ...reservation,
    virtualNodes,
    virtualLinks,
    committed: true,
    status: settled(reservation.status, 'committed'),
  };
  tx.put('reservation', committed);
  forgetChangesBefore(tx, committed);
  settle(tx);
  return committed;
}

/** Leases that are to be changed may have ended meanwhile. */
function checkChanged(tx: Tx, { changedNodes, changedLinks }: Reservation): void {
  const ended =
    changedNodes.find(({ name }) => !tx.get('virtualNode', name)) ??
    changedLinks.find(({ name }) => !tx.get('virtualLink', name));
  if (ended)
    throw failedPrecondition({
      reason: 'LEASE_ENDED',
      field: 'name',
      message: `${ended.name}, which was to be changed, is leased no longer; cancel, and reserve it anew.`,
    });
}

/** Changes of the same, and of nothing else, are history: nothing goes back to before them. */
function forgetChangesBefore(tx: Tx, last: Reservation): void {
  const changed = new Set([...last.changedNodes, ...last.changedLinks].map(({ name }) => name));
  if (changed.size === 0) return;
  for (const { name, committed, virtualNodes, virtualLinks, changedNodes, changedLinks } of tx.all(
    'reservation',
  )) {
    const made = virtualNodes.length + virtualLinks.length;
    const all = [...changedNodes, ...changedLinks];
    if (name === last.name || !committed || all.length < made) continue;
    if (all.every((one) => changed.has(one.name))) tx.delete(name);
  }
}

/** Nodes that its links were to end at may have ended meanwhile. */
function checkEnds(tx: Tx, { virtualNodes, virtualLinks }: Reservation): void {
  const own = new Set(virtualNodes.map(({ name }) => name));
  for (const link of virtualLinks)
    for (const end of [link.a, link.b])
      if (end && end.provider === '' && !own.has(end.virtualNode) && !tx.get('virtualNode', end.virtualNode))
        throw failedPrecondition({
          reason: 'NODE_ENDED',
          field: 'name',
          message: `${end.virtualNode}, where ${link.name} was to end, is leased no longer; cancel, and reserve anew.`,
        });
}

/**
 * Lets go of it, or of what it became; what it changed goes back to what it was. What is not there is no error.
 * @throws ApiError CHANGE_STANDS: there is no room to go back
 */
export function cancel(tx: Tx, name: string, undo: (tx: Tx, reservation: Reservation) => void): void {
  const reservation = tx.get('reservation', name);
  if (!reservation) return;
  const changed = new Set([...reservation.changedNodes, ...reservation.changedLinks].map((one) => one.name));
  const made = (all: readonly { readonly name: string }[]): string[] =>
    all.flatMap((one) => (changed.has(one.name) ? [] : [one.name]));
  const links = made(reservation.virtualLinks);
  if (reservation.committed) {
    endLeases(tx, [...links, ...made(reservation.virtualNodes)]);
    undo(tx, reservation);
  } else {
    for (const link of links) {
      releaseLabels(tx, link, false);
      releaseSegmentOf(tx, link);
    }
  }
  tx.delete(name);
  settle(tx);
}

export function isOver(reservation: Reservation, now: number): boolean {
  return !reservation.committed && (parseTime(reservation.holdUntil) ?? 0) <= now;
}

/** With a node end the links at it. */
export function endLeases(tx: Tx, names: readonly string[]): void {
  const ending = new Set(names);
  for (const link of tx.all('virtualLink')) {
    const atEnd = [link.a, link.b].some((end) => end && ending.has(end.virtualNode));
    if (!atEnd && !ending.has(link.name)) continue;
    tx.delete(link.name);
    releaseLabels(tx, link.name, true);
    releaseSegmentOf(tx, link.name);
  }
  for (const name of ending) if (tx.get('virtualNode', name)) tx.delete(name);
}

/** Moves the end of leases. @throws ApiError NOT_FOUND, TERM, TERM_TOO_LONG */
export function renew(tx: Tx, names: readonly string[], expireTime: string, now: number): void {
  checkExpiry(expireTime, tariffOf(tx), now, 'expire_time');
  for (const [i, name] of names.entries()) {
    const node = tx.get('virtualNode', name);
    const link = tx.get('virtualLink', name);
    const lease = node ?? link;
    const term = lease?.term;
    if (!lease || !term || leaseAt(term, now) === undefined) throw missing(name, `names[${i}]`);
    const resumed = lease.lease === States.LEASE_STATE_SUSPENDED;
    const changes = {
      term: { ...term, expireTime },
      lease: States.LEASE_STATE_ACTIVE,
      ...(resumed && { status: wanted(lease.status) }),
    };
    if (node) tx.put('virtualNode', { ...node, ...changes });
    if (link) tx.put('virtualLink', { ...link, ...changes });
  }
}

/** @throws ApiError IN_USE: links would lose an end */
export function checkEnding(tx: Tx, names: ReadonlySet<string>, fieldOf: (name: string) => string): void {
  for (const { upstream, outward, virtualNode, releasing } of tx.all('segment'))
    if (upstream !== '' && outward === '' && !releasing && names.has(virtualNode))
      throw failedPrecondition({
        reason: 'IN_USE',
        field: fieldOf(virtualNode),
        message: `A link that begins at ${upstream} or beyond ends at ${virtualNode}; end it there first.`,
      });
  for (const link of tx.all('virtualLink')) {
    const end = [link.a, link.b].find((one) => one && names.has(one.virtualNode));
    if (!end || names.has(link.name)) continue;
    throw failedPrecondition({
      reason: 'IN_USE',
      field: fieldOf(end.virtualNode),
      message: `${link.name} ends at ${end.virtualNode}; end it first, or with it.`,
    });
  }
}
