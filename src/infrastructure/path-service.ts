/** PathService: what neighbours ask of this provider, for links that cross peerings. */
import {
  alreadyExists,
  ApiError,
  failedPrecondition,
  invalidArgument,
  Status,
  unavailable,
} from '../api/errors.js';
import {
  type ComputeTreeRequest,
  type EntryPoint,
  PathService,
  type ReserveSegmentRequest,
  type ReserveSegmentResponse,
} from '../api/infrastructure.js';
import { type Call, implement, type Implementation } from '../api/server.js';
import { mayNot, missing } from '../controller/access.js';
import { achievedBy } from './carry.js';
import { parseTime } from '../controller/clock.js';
import { type Bodies, catalogue } from './kinds.js';
import { customerOf, machineOf } from './ledger.js';
import { askNeighbours, chooseOnward, entriesHere, NO_BOUNDS, type Target } from './onward.js';
import {
  checkFarEnd,
  commitSegment,
  holdEnd,
  holdTransit,
  onwardRequest,
  releaseSegment,
  type Segment,
} from './segments.js';
import { type ServiceOptions } from './service.js';

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const PROVIDER = /^[a-z][a-z0-9-]{0,19}$/;
/** Of Linux: a UUID. Empty from whoever has not heard from the machine yet. */
const BOOT_ID = /^[A-Za-z0-9_.-]{0,63}$/;
/** Providers that one link may pass. */
const MOST_PROVIDERS = 16;
const MARGIN = 60;
/** Milliseconds that a release is waited for before the caller is told to come again. */
const RELEASE_PATIENCE = 5000;

class Paths {
  readonly #options: ServiceOptions;

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  /** The peerings with whoever calls. @throws ApiError PERMISSION_DENIED: it is no neighbour */
  #peerings(call: Call): { name: string; peerings: readonly Bodies['peering'][] } {
    const { role, name } = this.#options.callerOf(call);
    const peerings = this.#options.state.all('peering').filter(({ provider }) => provider === name);
    if (role !== 'infrastructure' || peerings.length === 0)
      throw mayNot('', 'Only providers that peer with this one call this.');
    return { name, peerings };
  }

  async computeTree(request: ComputeTreeRequest, call: Call): Promise<{ entryPoints: EntryPoint[] }> {
    const { state, provider, dialer } = this.#options;
    const { name, peerings } = this.#peerings(call);
    checkTarget(request);
    if (request.passed.length > MOST_PROVIDERS || request.passed.includes(provider))
      return { entryPoints: [] };
    if (request.provider === provider) {
      const node = state.get('virtualNode', request.virtualNode);
      if (!node || customerOf(node.name) !== request.customer)
        throw missing(request.virtualNode, 'virtual_node');
      return { entryPoints: entriesHere(state, provider, peerings, machineOf(node), request) };
    }
    const target = this.#target(request, [...request.passed, name]);
    const neighbours = await askNeighbours(state, dialer, target, call.signal);
    let unknown: ApiError | undefined;
    const entryPoints = peerings.flatMap((peering): EntryPoint[] => {
      try {
        const from = peering.end?.machine ?? '';
        const { sums, price, providers } = chooseOnward(state, from, target, neighbours, '');
        const achieved = achievedBy(sums, target.bounds.bitsPerSecond);
        return [{ peering: peering.name, achieved, price, providers: [provider, ...providers] }];
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === Status.UNAVAILABLE) unknown = error;
        return [];
      }
    });
    if (unknown && entryPoints.length === 0) throw unknown;
    return { entryPoints };
  }

  #target(
    request: Pick<ComputeTreeRequest, 'customer' | 'provider' | 'virtualNode' | 'bounds' | 'mtu'>,
    passed: readonly string[],
  ): Target {
    const { customer, provider, virtualNode, bounds, mtu } = request;
    return {
      customer,
      provider,
      virtualNode,
      mtu,
      bounds: bounds ?? NO_BOUNDS,
      passed: [...new Set([...passed, this.#options.provider])],
    };
  }

  async reserveSegment(request: ReserveSegmentRequest, call: Call): Promise<ReserveSegmentResponse> {
    const { state, peers } = this.#options;
    const { name: upstream, peerings } = this.#peerings(call);
    check(request);
    if (!peerings.some(({ name }) => name === request.peering)) throw missing(request.peering, 'peering');
    checkFarEnd(state, request.tunnelAddress, 'tunnel_address');
    const name = `segments/${request.segment}`;
    const known = state.get('segment', name);
    if (known && (known.upstream !== upstream || known.releasing))
      throw alreadyExists({
        reason: 'SEGMENT_IN_USE',
        field: 'segment',
        message: 'This segment is known already, and is over or another’s; choose another id.',
      });
    if (known && request.term && known.committed)
      await state.transact((tx) => {
        const now = tx.get('segment', name);
        if (now && request.term) tx.put('segment', { ...now, term: request.term });
      });
    const segment = known ?? (await this.#hold(request, upstream, call));
    if (segment.outward === '') return answer(segment, segment.localAddress, segment.localLabel);
    const next = await peers
      .reserve(
        segment,
        onwardRequest(state, state.get('segment', name) ?? segment, request.holdSeconds + MARGIN),
        call.signal,
      )
      .catch(async (error: unknown) => {
        if (!segment.committed) await state.transact((tx) => releaseSegment(tx, name));
        throw error;
      });
    return { ...answer(segment, next.tunnelAddress, next.label) };
  }

  async #hold(request: ReserveSegmentRequest, upstream: string, call: Call): Promise<Segment> {
    const { state, provider, dialer, clock } = this.#options;
    if (request.provider === provider)
      return state.transact((tx) => holdEnd(tx, request, upstream, clock.now()));
    const target = this.#target(request, [upstream]);
    const from = state.get('peering', request.peering)?.end?.machine ?? '';
    const neighbours = await askNeighbours(state, dialer, target, call.signal);
    return state.transact((tx) =>
      holdTransit(tx, request, upstream, chooseOnward(tx, from, target, neighbours, 'bounds'), clock.now()),
    );
  }

  async commitSegment(
    { segment: id }: { readonly segment: string },
    call: Call,
  ): Promise<Record<string, never>> {
    const { state, peers } = this.#options;
    const { name: upstream } = this.#peerings(call);
    checkId(id);
    const name = `segments/${id}`;
    const segment = state.get('segment', name);
    if (segment?.upstream !== upstream) throw missing(name, 'segment');
    if (segment.outward !== '') await peers.commit(segment, call.signal);
    await state.transact((tx) => commitSegment(tx, name, upstream));
    return {};
  }

  async releaseSegment(
    { segment: id }: { readonly segment: string },
    call: Call,
  ): Promise<Record<string, never>> {
    const { state, peers } = this.#options;
    const { name: upstream } = this.#peerings(call);
    checkId(id);
    const name = `segments/${id}`;
    const segment = state.get('segment', name);
    if (!segment) return {};
    if (segment.upstream !== upstream) throw missing(name, 'segment');
    await state.transact((tx) => releaseSegment(tx, name));
    const patience = AbortSignal.timeout(RELEASE_PATIENCE);
    try {
      await peers.gone(name, AbortSignal.any([call.signal, patience]));
    } catch {
      call.signal.throwIfAborted();
      throw unavailable({ reason: 'RELEASE_PENDING', message: 'Not all have forgotten it yet; ask again.' });
    }
    return {};
  }
}

function answer(segment: Segment, tunnelAddress: string, label: number): ReserveSegmentResponse {
  const { achieved, price } = segment;
  return { tunnelAddress, label, ...(achieved && { achieved }), ...(price && { price }) };
}

function wrong(reason: string, field: string, message: string): ApiError {
  return invalidArgument({ reason, field, message });
}

function checkId(id: string): void {
  if (!ID.test(id))
    throw wrong('SEGMENT_ID', 'segment', 'segment must be 1 to 63 characters of [A-Za-z0-9_.-].');
}

/** What is asked of others in its turn. */
function checkTarget(request: Pick<ComputeTreeRequest, 'customer' | 'provider' | 'virtualNode'>): void {
  for (const field of ['customer', 'provider'] as const)
    if (!PROVIDER.test(request[field]))
      throw wrong(
        'PROVIDER_NAME',
        field,
        `${field} must be 1 to 20 characters of [a-z0-9-], beginning with a letter.`,
      );
  catalogue.checkName('virtualNode', request.virtualNode, 'virtual_node');
}

/** A term that cannot be read would never end. */
function checkTerm(term: ReserveSegmentRequest['term']): void {
  if (!term)
    throw failedPrecondition({
      reason: 'TERM',
      field: 'term',
      message: 'term is missing; a segment ends some day.',
    });
  const example = 'a time in UTC, such as 2026-12-01T08:00:00Z';
  if (parseTime(term.expireTime) === undefined)
    throw wrong('TERM', 'term.expire_time', `term.expire_time must be ${example}.`);
  if (term.startTime !== '' && parseTime(term.startTime) === undefined)
    throw wrong('TERM', 'term.start_time', `term.start_time must be empty, or ${example}.`);
}

function check(request: ReserveSegmentRequest): void {
  checkId(request.segment);
  checkTarget(request);
  if (!BOOT_ID.test(request.bootId))
    throw wrong('BOOT_ID', 'boot_id', 'boot_id must be at most 63 characters of [A-Za-z0-9_.-].');
  if (request.label < 16 || request.label > 0xfffff)
    throw invalidArgument({
      reason: 'LABEL_RANGE',
      field: 'label',
      message: 'label must be 16 to 1048575 (RFC 3032).',
    });
  checkTerm(request.term);
}

export function pathService(options: ServiceOptions): Implementation {
  const paths = new Paths(options);
  return implement(PathService, {
    computeTree: (request, call) => paths.computeTree(request, call),
    reserveSegment: (request, call) => paths.reserveSegment(request, call),
    commitSegment: (request, call) => paths.commitSegment(request, call),
    releaseSegment: (request, call) => paths.releaseSegment(request, call),
  });
}
