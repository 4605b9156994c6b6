/** The methods of `cabernet.infrastructure.v1`. */
import {
  InfrastructureService,
  type RenewRequest,
  type ReserveRequest,
  type ReserveResponse,
  type Resource,
} from '../api/infrastructure.js';
import { type Call, implement, type Implementation } from '../api/server.js';
import { type Caller, mayNot, missing } from '../controller/access.js';
import { resourceMethods } from '../controller/methods.js';
import { listReports } from '../controller/reports.js';
import { shownResource } from '../controller/show.js';
import { accessOf, ownsAll } from './access.js';
import { admit } from './admit.js';
import { applyContent } from './apply.js';
import { type Clock } from '../controller/clock.js';
import { type ContentStore } from './content-store.js';
import { checkUse } from './content-check.js';
import { type Fleet } from './fleet.js';
import { type LinkHistories } from './histories.js';
import { type Bodies, catalogue, type Tx } from './kinds.js';
import { cancel, commit, renew } from './leases.js';
import { commitOnward, neighboursFor, type RemoteOptions, renewOnward, reserveOnward } from './remote.js';
import { shownViolation } from './shown-violation.js';
import { undo } from './undo.js';
import { type WatchedPaths } from './watched-paths.js';
import { checkReserve, digestOf, reservationName, reserve } from './reserve.js';
import { failedPrecondition, invalidArgument } from '../api/errors.js';
import { types } from '../api/types.js';

export interface ServiceOptions extends RemoteOptions {
  readonly contents: ContentStore;
  readonly fleet: Fleet;
  readonly histories: LinkHistories;
  readonly paths: WatchedPaths;
  readonly clock: Clock;
  readonly callerOf: (call: Call) => Caller;
}

type Reservation = Bodies['reservation'];
const { LeaseState } = types;

const MOST_NAMES = 200;

export class Leasing {
  readonly #options: ServiceOptions;
  readonly #access;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#access = accessOf(options.provider);
  }

  #mayLease(caller: Caller, customer: string, field: string): void {
    if (ownsAll(caller, this.#options.provider)) return;
    if (caller.role !== 'connectivity')
      throw mayNot(field, 'Only connectivity providers and operators lease.');
    if (caller.name !== customer) throw missing(`customers/${customer.slice(0, 80)}`, field);
  }

  #visible(call: Call, name: string): void {
    const caller = this.#options.callerOf(call);
    if (catalogue.kindOf(name) !== 'reservation' || !this.#access.sees(caller, 'reservation', name))
      throw missing(name, 'name');
  }

  #shown(call: Call, body: Reservation): { reservation: Reservation } {
    const { state, callerOf } = this.#options;
    const revision = state.held(body.name)?.revision ?? 0;
    const resource = shownResource(catalogue, this.#access, callerOf(call), 'reservation', body, revision);
    return { reservation: (resource as { reservation: Reservation }).reservation };
  }

  async reserve(request: ReserveRequest, call: Call): Promise<ReserveResponse> {
    const { state, provider, clock, callerOf } = this.#options;
    const customer = checkReserve(request);
    this.#mayLease(callerOf(call), customer, 'virtual_nodes');
    const name = reservationName(customer, request.requestId);
    const digest = digestOf(request);
    const key = `reserved/${name}`;
    const neighbours = await neighboursFor(this.#options, request, customer, call.signal);
    const work = (tx: Tx): Reservation => reserve(tx, request, name, provider, clock.now(), neighbours);
    if (request.validateOnly) return this.#shown(call, await state.tryOut(work));
    const reservation = await state.transact(async (tx): Promise<Reservation> => {
      const known = tx.get('reservation', name);
      if (!known) {
        tx.putEntry(key, Buffer.from(digest));
        return work(tx);
      }
      const asked = await state.store.get(key);
      if (asked && Buffer.from(asked.value).toString() === digest) return known;
      throw failedPrecondition({
        reason: 'REQUEST_ID_REUSED',
        field: 'request_id',
        message: `request_id ${request.requestId} was used for another request; take a new one.`,
      });
    });
    await reserveOnward(this.#options, reservation, request.holdSeconds, call.signal);
    return this.#shown(call, state.get('reservation', name) ?? reservation);
  }

  async commit({ name }: { readonly name: string }, call: Call): Promise<{ reservation: Reservation }> {
    this.#visible(call, name);
    const { state, clock } = this.#options;
    const held = state.get('reservation', name);
    if (held && !held.committed) await commitOnward(this.#options, held, call.signal);
    const { contents } = this.#options;
    const reservation = await state.transact((tx) =>
      commit(tx, name, clock.now(), (node) => checkUse(contents, node)),
    );
    return this.#shown(call, state.get('reservation', name) ?? reservation);
  }

  async cancel({ name }: { readonly name: string }, call: Call): Promise<Record<string, never>> {
    this.#visible(call, name);
    const { provider, clock, contents, state } = this.#options;
    await state.transact((tx) => {
      cancel(tx, name, (on, reservation) =>
        undo(on, reservation, provider, clock.now(), (node) => checkUse(contents, node)),
      );
      tx.deleteEntry(`reserved/${name}`);
    });
    return {};
  }

  async renew(request: RenewRequest, call: Call): Promise<{ resources: Resource[] }> {
    const { state, clock, callerOf } = this.#options;
    const caller = callerOf(call);
    const { names, expireTime } = request;
    if (names.length > MOST_NAMES)
      throw invalidArgument({
        reason: 'TOO_MANY',
        field: 'names',
        message: `${names.length} names; at most ${MOST_NAMES}.`,
      });
    for (const [i, name] of names.entries()) {
      const kind = catalogue.kindOf(name);
      const lease = kind === 'virtualNode' || kind === 'virtualLink';
      if (!lease || !this.#access.sees(caller, kind, name)) throw missing(name, `names[${i}]`);
    }
    await state.tryOut((tx) => renew(tx, names, expireTime, clock.now()));
    await renewOnward(this.#options, names, expireTime, call.signal);
    await state.transact((tx) => renew(tx, names, expireTime, clock.now()));
    return {
      resources: names.flatMap((name) => {
        const held = state.held(name);
        if (!held) return [];
        const { kind, body } = held.item;
        return [shownResource(catalogue, this.#access, caller, kind, body, held.revision) as Resource];
      }),
    };
  }
}

export function infrastructureService(options: ServiceOptions): Implementation {
  const { state, provider, callerOf, clock, histories, paths } = options;
  const access = accessOf(provider);
  const now = (): number => clock.now();
  const methods = resourceMethods<Bodies, Resource>({
    state,
    access,
    callerOf,
    admit: (tx, changes) => admit(tx, changes, provider),
  });
  const leasing = new Leasing(options);
  return implement(InfrastructureService, {
    ...methods,
    reserve: (request, call) => leasing.reserve(request, call),
    commit: (request, call) => leasing.commit(request, call),
    cancel: (request, call) => leasing.cancel(request, call),
    renew: (request, call) => leasing.renew(request, call),
    apply(requests, call) {
      const { role, name } = callerOf(call);
      if (role !== 'connectivity') throw mayNot('', 'Only the customer itself says what is in its nodes.');
      return applyContent(options, name, requests, call);
    },
    listPaths: (request, call) =>
      paths.list(request, {
        ...{ provider, caller: callerOf(call), now: now() },
        isCustomer: (name) => state.get('customer', name) !== undefined,
      }),
    listReports: (request, call) =>
      listReports(
        {
          ...{ recorder: histories.recorder, layer: 'infrastructure', provider, now },
          visible: (caller) =>
            state
              .all('virtualLink')
              .flatMap(({ name, lease }) =>
                lease !== LeaseState.LEASE_STATE_RESERVED && access.sees(caller, 'virtualLink', name)
                  ? [name]
                  : [],
              ),
          sloOf: (name) => state.get('virtualLink', name)?.slo,
          shown: (caller, violation) =>
            ownsAll(caller, provider) ? violation : shownViolation(violation, provider),
        },
        callerOf(call),
        request,
      ),
  });
}
