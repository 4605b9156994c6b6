/** What a reservation with links to other providers needs of the neighbours, before and after it is written here. */
import { aborted, ApiError, failedPrecondition, Status } from '../api/errors.js';
import { type ReserveRequest } from '../api/infrastructure.js';
import { type Dialer } from '../controller/dial.js';
import { type State } from '../controller/state.js';
import { type Bodies } from './kinds.js';
import { cancel } from './leases.js';
import { askNeighbours, type Neighbourhood } from './onward.js';
import { type Peers } from './peers.js';
import { completeSegment, isRemote, segmentsOf, targetOf } from './plan-remote.js';
import { onwardRequest } from './segments.js';

type Reservation = Bodies['reservation'];

/** Seconds that neighbours hold longer than this provider does. */
const MARGIN = 120;

export interface RemoteOptions {
  readonly provider: string;
  readonly state: State<Bodies>;
  readonly dialer: Dialer;
  readonly peers: Peers;
}

/** By link: what neighbours say of the way there. */
export async function neighboursFor(
  { provider, state, dialer }: RemoteOptions,
  request: ReserveRequest,
  customer: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Neighbourhood>> {
  const neighbours = new Map<string, Neighbourhood>();
  for (const [i, link] of request.virtualLinks.entries()) {
    if (!isRemote(link, provider)) continue;
    const target = targetOf(link, customer, provider, `virtual_links[${i}]`);
    neighbours.set(link.name, await askNeighbours(state, dialer, target, signal));
  }
  return neighbours;
}

/** All of them, or the reservation is let go of. */
export async function reserveOnward(
  { state, peers }: RemoteOptions,
  reservation: Reservation,
  holdSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (const segment of segmentsOf(state, reservation, true)) {
      const { tunnelAddress, label } = await peers.reserve(
        segment,
        onwardRequest(state, segment, (holdSeconds || 60) + MARGIN),
        signal,
      );
      await state.transact((tx) => completeSegment(tx, segment.name, tunnelAddress, label));
    }
  } catch (error) {
    await state.transact((tx) => cancel(tx, reservation.name, () => undefined));
    throw error;
  }
}

/** Before it is committed here. @throws ApiError SEGMENT_LOST: it cannot be any more, and is let go of */
export async function commitOnward(
  { state, peers }: RemoteOptions,
  reservation: Reservation,
  signal: AbortSignal,
): Promise<void> {
  if (segmentsOf(state, reservation, true).length > 0)
    throw aborted({
      reason: 'RESERVATION_INCOMPLETE',
      message: 'Another provider has not confirmed its part; repeat Reserve with the same request_id.',
    });
  for (const segment of segmentsOf(state, reservation, false)) {
    try {
      await peers.commit(segment, signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== Status.NOT_FOUND) throw error;
      await state.transact((tx) => cancel(tx, reservation.name, () => undefined));
      throw failedPrecondition({
        reason: 'SEGMENT_LOST',
        message: 'Another provider no longer holds its part; reserve anew.',
        cause: error,
      });
    }
  }
}

/** The new end of terms, told to the neighbours first. */
export async function renewOnward(
  { state, peers }: RemoteOptions,
  names: readonly string[],
  expireTime: string,
  signal: AbortSignal,
): Promise<void> {
  for (const segment of state.all('segment')) {
    if (!names.includes(segment.link) || segment.releasing || !segment.term) continue;
    const renewed = { ...segment, term: { ...segment.term, expireTime } };
    await peers.reserve(renewed, onwardRequest(state, renewed, 60), signal);
    await state.transact((tx) => {
      const now = tx.get('segment', segment.name);
      if (now) tx.put('segment', { ...now, term: renewed.term });
    });
  }
}
