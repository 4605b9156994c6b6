/**
 * Get, List, Update, Delete and Watch, the same for every controller: names, etags, pages, repeated requests. What a
 * change means is the controller's own: `admit`.
 */
import { aborted, type ApiError, invalidArgument } from '../api/errors.js';
import { paginate } from '../api/page.js';
import { type Call } from '../api/server.js';
import { type Access, type Caller, mayNot, missing } from './access.js';
import { type Item, type Shape } from './kind.js';
import { repeatOf } from './repeat.js';
import { formatToken } from './resume.js';
import { etagOf, shownResource } from './show.js';
import { type State, type Transaction } from './state.js';
import { watchResources, type WatchRequest, type WatchResponse } from './watch.js';

/** One resource of an Update or Delete that is changed by it. */
export interface Admission<Bodies, K extends keyof Bodies & string = keyof Bodies & string> {
  readonly kind: K;
  readonly name: string;
  /** In the request: `resources[3].machine`, `names[2]`. */
  readonly field: string;
  readonly before: Bodies[K] | undefined;
  /** Undefined: it is deleted. */
  readonly after: Bodies[K] | undefined;
}

export interface MethodOptions<Bodies extends Shape<Bodies>> {
  readonly state: State<Bodies>;
  readonly access: Access<Bodies>;
  /** Who calls, from what the connection has proven. */
  readonly callerOf: (call: Call) => Caller;
  /**
   * What a caller gives, seen against what there is: for fields inside of fields that are the controller's to write.
   * Whether a request is a repeated one is told by what was given.
   */
  readonly against?: <K extends keyof Bodies & string>(
    kind: K,
    given: Bodies[K],
    before: Bodies[K] | undefined,
    caller: Caller,
  ) => Bodies[K];
  /**
   * Decides about changes, which are in the transaction already; may write more. Throws ApiErrors to refuse all of it.
   * Also called to validate only: no effects but through `tx`.
   */
  readonly admit: (
    tx: Transaction<Bodies>,
    changes: readonly Admission<Bodies>[],
    caller: Caller,
  ) => void | Promise<void>;
}

interface UpdateRequest<R> {
  readonly resources: readonly R[];
  readonly validateOnly: boolean;
  readonly requestId: string;
}

interface DeleteRequest {
  readonly names: readonly string[];
  readonly etags: readonly string[];
  readonly allowMissing: boolean;
  readonly validateOnly: boolean;
}

interface ListRequest {
  readonly collection: string;
  readonly pageSize: number;
  readonly pageToken: string;
}

/** R: the package's `Resource`. */
export interface ResourceMethods<R> {
  get(request: { readonly name: string }, call: Call): { resource: R };
  list(request: ListRequest, call: Call): { resources: R[]; nextPageToken: string; resumeToken: string };
  update(request: UpdateRequest<R>, call: Call): Promise<{ resources: R[] }>;
  delete(request: DeleteRequest, call: Call): Promise<Record<string, never>>;
  watch(request: WatchRequest, call: Call): AsyncIterable<WatchResponse<R>>;
}

const MOST = 1000;

export function resourceMethods<Bodies extends Shape<Bodies>, R extends object>(
  options: MethodOptions<Bodies>,
): ResourceMethods<R> {
  const methods = new Methods<Bodies, R>(options);
  return {
    get: (request, call) => methods.get(request, call),
    list: (request, call) => methods.list(request, call),
    update: (request, call) => methods.update(request, call),
    delete: (request, call) => methods.delete(request, call),
    watch: (request, call) =>
      watchResources(options.state, options.access, options.callerOf(call), request, call.signal),
  };
}

class Methods<Bodies extends Shape<Bodies>, R extends object> {
  readonly #options: MethodOptions<Bodies>;

  constructor(options: MethodOptions<Bodies>) {
    this.#options = options;
  }

  #show(caller: Caller, { kind, body }: Item<Bodies>): R {
    const { state, access } = this.#options;
    const revision = state.held(body.name)?.revision ?? 0;
    return shownResource(state.catalogue, access, caller, kind, body, revision) as R;
  }

  get({ name }: { readonly name: string }, call: Call): { resource: R } {
    const { state, access } = this.#options;
    const caller = this.#options.callerOf(call);
    const held = state.held(name);
    if (!held || !access.sees(caller, held.item.kind, name)) throw missing(name, 'name');
    return { resource: this.#show(caller, held.item) };
  }

  list(request: ListRequest, call: Call): { resources: R[]; nextPageToken: string; resumeToken: string } {
    const { state, access } = this.#options;
    const caller = this.#options.callerOf(call);
    const { kind, has } = state.catalogue.collection(request.collection, 'collection');
    const rows = state.all(kind).filter(({ name }) => has(name) && access.sees(caller, kind, name));
    const page = paginate(rows, request, {
      key: ({ name }) => name,
      list: `${kind} ${request.collection} of ${caller.role} ${caller.name}`,
      bytes: (body) => state.catalogue.encode({ kind, body }).length + 64,
    });
    return {
      resources: page.items.map((body) => this.#show(caller, { kind, body })),
      nextPageToken: page.nextPageToken,
      resumeToken: formatToken({ revision: state.revision, events: undefined }),
    };
  }

  async update(request: UpdateRequest<R>, call: Call): Promise<{ resources: R[] }> {
    const { state, admit } = this.#options;
    const caller = this.#options.callerOf(call);
    const given = this.#given(request.resources, caller);
    const repeat = repeatOf(request.requestId, caller, given, state);
    const work = async (tx: Transaction<Bodies>): Promise<Item<Bodies>[]> => {
      if (await repeat?.isDone()) return [];
      const changes = given.flatMap((one) => this.#put(tx, one, caller));
      if (changes.length > 0) await admit(tx, changes, caller);
      repeat?.remember(tx);
      return given.map(({ kind, name, field }) => {
        const body = tx.get(kind, name);
        if (!body) throw new Error(`${field} was refused without an error`);
        return { kind, body };
      });
    };
    if (request.validateOnly) {
      const items = await state.tryOut(work);
      return { resources: items.map((item) => this.#show(caller, item)) };
    }
    await state.transact(work);
    // as they are now: also those of a request that was answered before
    return {
      resources: given.flatMap(({ name }) => {
        const held = state.held(name);
        return held ? [this.#show(caller, held.item)] : [];
      }),
    };
  }

  /** What a request says, as far as it can be checked by itself. */
  #given(resources: readonly R[], caller: Caller): Given<Bodies>[] {
    const { state, access } = this.#options;
    const { catalogue } = state;
    if (resources.length > MOST) throw tooMany('resources', resources.length);
    const seen = new Map<string, number>();
    return resources.map((resource, i) => {
      const { kind: member } = resource as { readonly kind?: string };
      if (member === undefined || !Object.hasOwn(catalogue.kinds, member)) {
        throw invalidArgument({
          reason: 'RESOURCE_KIND',
          field: `resources[${i}]`,
          message: `resources[${i}] has no kind that this version knows; it is one of ${catalogue.kindNames().join(', ')}.`,
        });
      }
      const kind = member as keyof Bodies & string;
      const field = `resources[${i}].${snake(member)}`;
      const body = (resource as Record<string, unknown>)[member] as Bodies[typeof kind];
      catalogue.checkName(kind, body.name, `${field}.name`);
      const { writable, check } = catalogue.kinds[kind];
      if (!access.sees(caller, kind, body.name)) throw missing(body.name, `${field}.name`);
      if (!writable) throw mayNot(field, `${body.name} is made by the controller and cannot be written.`);
      if (!access.mayChange(caller, kind, body.name))
        throw mayNot(`${field}.name`, `${body.name} is not yours to change.`);
      const other = seen.get(body.name);
      if (other !== undefined) {
        throw invalidArgument({
          reason: 'DUPLICATE',
          field: `${field}.name`,
          message: `${body.name} is also resources[${other}]; give each once.`,
        });
      }
      seen.set(body.name, i);
      const spec = catalogue.spec(kind, body);
      check?.(spec, (where, reason, message) =>
        invalidArgument({ reason, field: where === '' ? field : `${field}.${where}`, message }),
      );
      return { kind, name: body.name, field, spec, etag: body.status?.etag ?? '' };
    });
  }

  #put(
    tx: Transaction<Bodies>,
    { kind, name, field, spec: given, etag }: Given<Bodies>,
    caller: Caller,
  ): Admission<Bodies>[] {
    const { state, against } = this.#options;
    const { catalogue } = state;
    const before = tx.get(kind, name);
    this.#checkEtag(name, etag, `${field}.status.etag`);
    const spec = against?.(kind, given, before, caller) ?? given;
    if (before && catalogue.sameSpec(kind, spec, before)) return [];
    const generation = (before?.status?.generation ?? 0n) + 1n;
    const settled = catalogue.kinds[kind].reconciles !== true;
    const merged = catalogue.merged(kind, spec, before);
    const after = {
      ...merged,
      status: {
        etag: '',
        createTime: '',
        updateTime: '',
        message: '',
        observedGeneration: 0n,
        state: settled ? 'ready' : 'pending',
        ...before?.status,
        generation,
        ...(settled ? { observedGeneration: generation, reconciling: false } : { reconciling: true }),
      },
    };
    tx.put(kind, after);
    return [{ kind, name, field, before, after }];
  }

  #checkEtag(name: string, etag: string, field: string): void {
    const held = this.#options.state.held(name);
    if (etag === '' || (held && etag === etagOf(held.revision))) return;
    throw aborted({
      reason: 'ETAG_MISMATCH',
      field,
      message: held
        ? `${name} has changed meanwhile; read it again and repeat.`
        : `${name} is gone; leave the etag empty to create it.`,
    });
  }

  async delete(request: DeleteRequest, call: Call): Promise<Record<string, never>> {
    const { state, access, admit } = this.#options;
    const caller = this.#options.callerOf(call);
    const { names, etags } = request;
    if (names.length > MOST) throw tooMany('names', names.length);
    if (etags.length > 0 && etags.length !== names.length) {
      throw invalidArgument({
        reason: 'ETAG_COUNT',
        field: 'etags',
        message: `There are ${etags.length} etags for ${names.length} names; give one for each, or none.`,
      });
    }
    const work = async (tx: Transaction<Bodies>): Promise<void> => {
      const changes = [...new Set(names)].flatMap((name): Admission<Bodies>[] => {
        const i = names.indexOf(name);
        const field = `names[${i}]`;
        const held = state.held(name);
        const kind = held?.item.kind;
        if (!held || kind === undefined || !access.sees(caller, kind, name)) {
          if (request.allowMissing) return [];
          throw missing(name, field);
        }
        const { writable, deletable } = state.catalogue.kinds[kind];
        if (!(deletable ?? writable)) throw mayNot(field, `${name} cannot be deleted.`);
        if (!access.mayChange(caller, kind, name)) throw mayNot(field, `${name} is not yours to delete.`);
        this.#checkEtag(name, etags[i] ?? '', `etags[${i}]`);
        tx.delete(name);
        return [{ kind, name, field, before: held.item.body, after: undefined }];
      });
      if (changes.length > 0) await admit(tx, changes, caller);
    };
    await (request.validateOnly ? state.tryOut(work) : state.transact(work));
    return {};
  }
}

interface Given<Bodies, K extends keyof Bodies & string = keyof Bodies & string> {
  readonly kind: K;
  readonly name: string;
  readonly field: string;
  readonly spec: Bodies[K];
  readonly etag: string;
}

function snake(camel: string): string {
  return camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function tooMany(field: string, count: number): ApiError {
  return invalidArgument({
    reason: 'TOO_MANY',
    field,
    message: `${count} ${field} in one request; at most ${MOST}. Send them in parts.`,
  });
}
