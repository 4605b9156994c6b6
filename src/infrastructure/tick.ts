/** What time brings about: holds that run out, leases in another state, leases at their end. */
import { type LeaseState, types } from '../api/types.js';
import { parseTime } from '../controller/clock.js';
import { leaseAt, nextMoment } from '../controller/terms.js';
import { type Bodies, type Tx, type View } from './kinds.js';
import { cancel, endLeases, isOver } from './leases.js';
import { isSegmentOver, releaseSegment } from './segments.js';
import { settle } from './settle.js';
import { wanted } from './status.js';

type Reservation = Bodies['reservation'];

const States = types.LeaseState;

/** Changes of one transaction, about: a commit of the store takes 1000. A link that ends takes its labels and wires along. */
const BATCH = 400;
const OF_A_NODE = 4;

function changesOf({ wires }: Bodies['virtualLink']): number {
  return OF_A_NODE + 3 * wires.length;
}

/**
 * Whatever time has brought about: holds that ran out, leases in another state, leases at their end.
 * @returns whether there is more of it, for the next transaction
 */
export function tick(tx: Tx, now: number): boolean {
  const held = tx.all('reservation').some((reservation) => isOver(reservation, now));
  const steps = [...dueSteps(tx, now)];
  let changes = 0;
  let done = 0;
  for (const step of steps) {
    changes += step.changes;
    if (done > 0 && changes > BATCH) break;
    step.run();
    done++;
  }
  settle(tx);
  return done < steps.length || held;
}

interface Step {
  readonly changes: number;
  run(): void;
}

function* dueSteps(tx: Tx, now: number): Generator<Step> {
  for (const reservation of tx.all('reservation')) {
    if (isOver(reservation, now)) {
      // never committed: there is nothing to undo
      yield { changes: BATCH, run: () => cancel(tx, reservation.name, () => undefined) };
      return; // it may be as large as a transaction: the rest comes next
    }
    if (reservation.committed && isForgotten(tx, reservation)) yield step(() => tx.delete(reservation.name));
  }
  for (const segment of tx.all('segment'))
    if (isSegmentOver(segment, now)) yield step(() => releaseSegment(tx, segment.name));
  const ending = tx.all('virtualNode').filter(({ term }) => leaseAt(term, now) === undefined);
  const nodes = new Set(ending.map(({ name }) => name));
  for (const link of tx.all('virtualLink')) {
    const lease = leaseAt(link.term, now);
    const atEnd = [link.a, link.b].some((end) => end && nodes.has(end.virtualNode));
    if (lease === undefined || atEnd) yield step(() => endLeases(tx, [link.name]), changesOf(link));
    else if (lease !== link.lease) yield step(() => change(tx, 'virtualLink', link.name, lease));
  }
  // the links first, so that no node takes more than itself along
  for (const { name } of ending) yield step(() => endLeases(tx, [name]));
  for (const node of tx.all('virtualNode')) {
    const lease = leaseAt(node.term, now);
    if (lease !== undefined && lease !== node.lease)
      yield step(() => change(tx, 'virtualNode', node.name, lease));
  }
}

function step(run: () => void, changes = OF_A_NODE): Step {
  return { changes, run };
}

function change(tx: Tx, kind: 'virtualNode' | 'virtualLink', name: string, lease: LeaseState): void {
  const turns = lease === States.LEASE_STATE_SUSPENDED;
  const message = 'The term is over, and its grace: no traffic passes until it is renewed.';
  const node = kind === 'virtualNode' ? tx.get(kind, name) : undefined;
  const link = kind === 'virtualLink' ? tx.get(kind, name) : undefined;
  const status = turns && { status: wanted((node ?? link)?.status, 'suspended', message) };
  if (node) tx.put('virtualNode', { ...node, lease, ...status });
  if (link) tx.put('virtualLink', { ...link, lease, ...status });
}

/** None of what it became is left: nothing to cancel. */
function isForgotten(view: View, { virtualNodes, virtualLinks }: Reservation): boolean {
  return (
    virtualNodes.every(({ name }) => !view.get('virtualNode', name)) &&
    virtualLinks.every(({ name }) => !view.get('virtualLink', name))
  );
}

/** When `tick` has something to do next; Infinity: never. */
export function nextTick(view: View, now: number): number {
  let next = Infinity;
  for (const reservation of view.all('reservation'))
    if (!reservation.committed) next = Math.min(next, parseTime(reservation.holdUntil) ?? now);
  for (const segment of view.all('segment')) {
    if (segment.releasing || segment.upstream === '') continue;
    const time = segment.committed ? nextMoment(segment.term, now) : (parseTime(segment.holdUntil) ?? now);
    next = Math.min(next, time);
  }
  for (const kind of ['virtualNode', 'virtualLink'] as const)
    for (const { term } of view.all(kind)) next = Math.min(next, nextMoment(term, now));
  return next;
}
