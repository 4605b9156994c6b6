/** A change of leases that was committed, and is cancelled: back to what they were, all or nothing. */
import { ApiError, failedPrecondition } from '../api/errors.js';
import { types } from '../api/types.js';
import { changeLink, changeNode } from './change.js';
import { type Bodies, catalogue, type Tx } from './kinds.js';
import { customerOf } from './ledger.js';
import { type Planning, planningOf } from './planning.js';
import { wanted } from './status.js';

type Node = Bodies['virtualNode'];
type Link = Bodies['virtualLink'];

/** @throws ApiError CHANGE_STANDS: what they were has no room any more */
export function undo(
  tx: Tx,
  reservation: Bodies['reservation'],
  provider: string,
  now: number,
  checkUse: (node: Node) => void,
): void {
  const { name, virtualNodes, virtualLinks, changedNodes, changedLinks } = reservation;
  // one after the other: what goes back to less makes room for what goes back to more
  const planning = (): Planning => planningOf(tx, customerOf(name), provider, now);
  try {
    for (const before of changedNodes) {
      const leased = tx.get('virtualNode', before.name);
      // ended, or changed again since: the last word is another's
      if (leased && isAs('virtualNode', leased, virtualNodes))
        goBack(tx, 'virtualNode', leased, changeNode(planning(), leased, untimed(before), 'name'), checkUse);
    }
    const growth = (link: Link): bigint =>
      bitsOf(link) - bitsOf(virtualLinks.find((one) => one.name === link.name));
    for (const before of changedLinks.toSorted((x, y) => Number(growth(x) - growth(y)))) {
      const leased = tx.get('virtualLink', before.name);
      if (leased && isAs('virtualLink', leased, virtualLinks))
        goBack(tx, 'virtualLink', leased, changeLink(planning(), leased, untimed(before), 'name'));
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw failedPrecondition({
      reason: 'CHANGE_STANDS',
      field: 'name',
      message: `${error.message} What was changed stays as it is.`,
      cause: error,
    });
  }
}

function bitsOf(link: Link | undefined): bigint {
  return link?.slo?.bitsPerSecond ?? 0n;
}

/** Its term was then; and may be over. */
function untimed<B extends Node | Link>(body: B): B {
  const { term: _, ...rest } = body;
  return rest as B;
}

/** With the term that it has by now. */
function goBack<K extends 'virtualNode' | 'virtualLink'>(
  tx: Tx,
  kind: K,
  leased: Bodies[K],
  planned: Bodies[K],
  check: (body: Bodies[K]) => void = () => undefined,
): void {
  check(planned);
  const { term, lease, status } = leased;
  const back = { ...untimed(planned), ...(term && { term }), lease, status: wanted(status) };
  if (lease === types.LeaseState.LEASE_STATE_SUSPENDED && status) back.status = status;
  tx.put(kind, back);
}

/** Whether the lease is as this reservation made it. */
function isAs<K extends 'virtualNode' | 'virtualLink'>(
  kind: K,
  leased: Bodies[K],
  made: readonly Bodies[K][],
): boolean {
  const body = made.find(({ name }) => name === leased.name);
  const spec = (one: Bodies[K]): Buffer =>
    catalogue.encode({ kind, body: catalogue.spec(kind, untimed(one)) });
  return body !== undefined && spec(body).equals(spec(leased));
}
