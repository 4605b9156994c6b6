/**
 * Apply: all that one owner wants in one leased node. Read whole and checked, shown to the agent, stored, and answered
 * when the agent has it. What the agent would refuse is never stored.
 */
import { ApiError, failedPrecondition, invalidArgument } from '../api/errors.js';
import { type ApplyBegin, type ApplyRequest, type ApplyResponse } from '../api/infrastructure.js';
import { type Resource, type ResourceDraft } from '../api/node.js';
import { type Call } from '../api/server.js';
import { types } from '../api/types.js';
import { missing } from '../controller/access.js';
import { readStream } from '../controller/stream.js';
import { indexIn } from './agent.js';
import { checkPorts, checkTenant, ContentCheck, shareExceeded } from './content-check.js';
import { Chunks, type ContentFacts } from './content-store.js';
import { type Bodies } from './kinds.js';
import { machineOf } from './ledger.js';
import { type OwnerIntent } from './machine-intent.js';
import { errorUp } from './rename.js';
import { nodesOn } from './settle.js';
import { exceededBy, usedBy } from './sold.js';
import { type ServiceOptions } from './service.js';

/** Resources of one stream. */
const MOST = 1_000_000;

interface Candidate {
  readonly begin: ApplyBegin;
  readonly lease: Bodies['virtualNode'];
  readonly owner: string;
  readonly chunks: Chunks;
  readonly facts: ContentFacts;
}

type Options = Pick<ServiceOptions, 'state' | 'contents' | 'fleet'>;

/** @param customer who calls: a connectivity provider's name */
export async function applyContent(
  options: Options,
  customer: string,
  requests: AsyncIterable<ApplyRequest>,
  call: Call,
): Promise<ApplyResponse> {
  const candidate = await collect(options, customer, requests);
  call.signal.throwIfAborted();
  const { begin, lease, owner, chunks, facts } = candidate;
  check(options, candidate);
  const worker = options.fleet.of(machineOf(lease));
  if (!worker) throw missing(lease.name, 'begin.virtual_node');
  const count = { beside: 0 };
  let answer;
  try {
    const stream = (beside: OwnerIntent): AsyncIterable<ResourceDraft> => joined(beside, chunks, count);
    answer = await worker.validate(owner, lease.name, stream, call.signal);
  } catch (error) {
    throw told(customer, error, count.beside);
  }
  const { created, updated, deleted, unchanged } = answer;
  const response = { epoch: begin.epoch, created, updated, deleted, unchanged };
  if (begin.validateOnly) return response;
  const head = await options.contents.put(lease.name, owner, begin.epoch, chunks, facts, (tx) => {
    const now = tx.get('virtualNode', lease.name);
    if (!now) throw missing(lease.name, 'begin.virtual_node');
    // it may have been changed since the stream began
    checkPorts(facts, now);
    check(options, candidate);
  });
  worker.kick();
  try {
    await worker.delivered(
      head.generation,
      () => options.contents.headOf(lease.name, owner)?.generation === head.generation,
      call.signal,
    );
  } catch (error) {
    throw told(customer, error, 0);
  }
  return response;
}

async function collect(
  options: Options,
  customer: string,
  requests: AsyncIterable<ApplyRequest>,
): Promise<Candidate> {
  const { state, contents } = options;
  let begun: Pick<Candidate, 'begin' | 'lease' | 'owner'> | undefined;
  let content: ContentCheck | undefined;
  const chunks = new Chunks();
  await readStream(requests, {
    of: 'resource',
    step: ({ begin, resources, commit }) =>
      begin
        ? { begin }
        : resources
          ? { batch: resources.resources }
          : commit && { commit: commit.resourceCount },
    begin: (begin: ApplyBegin) => {
      const lease = state.get('virtualNode', begin.virtualNode);
      if (!lease?.name.startsWith(`customers/${customer}/`))
        throw missing(begin.virtualNode, 'begin.virtual_node');
      const owner = checkTenant(customer, begin.owner, 'begin.owner');
      begun = { begin, lease, owner };
      const heads = contents.headsOf(lease.name).filter((head) => head.owner !== owner);
      const others = heads.flatMap((head) => head.facts.nodes.map(({ name }) => name));
      content = new ContentCheck({ customer, lease, others, used: usedBy(heads.map(({ facts }) => facts)) });
    },
    batch: (resources: readonly Resource[]) => {
      for (const resource of resources) {
        if (chunks.count >= MOST)
          throw invalidArgument({
            reason: 'STREAM_TOO_LONG',
            field: 'resources',
            message: `More than ${MOST} resources in one stream.`,
          });
        if (content) chunks.add(content.add(resource, chunks.count));
      }
      return resources.length;
    },
  });
  if (!begun || !content) throw new Error('a stream was whole and had not begun');
  chunks.end();
  return { ...begun, chunks, facts: content.end() };
}

/** Against the state as it is: leases and contents of others. @throws ApiError */
function check({ state, contents }: Options, { begin, lease, owner, facts }: Candidate): void {
  const now = state.get('virtualNode', lease.name);
  if (now?.lease === types.LeaseState.LEASE_STATE_SUSPENDED)
    throw failedPrecondition({
      reason: 'LEASE_SUSPENDED',
      field: 'begin.virtual_node',
      message: `${lease.name} is suspended, for its term is over; renew it first.`,
    });
  const last = BigInt(contents.headOf(lease.name, owner)?.epoch ?? 0);
  if (begin.epoch < last)
    throw failedPrecondition({
      reason: 'EPOCH_STALE',
      field: 'begin.epoch',
      message: `Epoch ${begin.epoch} is before ${last}, the last one accepted; begin with a later one.`,
    });
  const beside = contents.headsOf(lease.name).filter((head) => head.owner !== owner);
  const { share } = now ?? lease;
  const count = exceededBy(usedBy([...beside.map((head) => head.facts), facts]), share);
  if (count) throw shareExceeded(count, share, 'resources');
  const machine = machineOf(lease);
  const made = new Set(facts.nodes.map(({ name }) => name));
  const ports = new Set(facts.ports);
  for (const other of nodesOn(state, machine)) {
    for (const head of contents.headsOf(other.name)) {
      if (other.name === lease.name && head.owner === owner) continue;
      if (head.facts.nodes.some(({ name }) => made.has(name)))
        throw failedPrecondition({
          reason: 'NAME_IN_USE',
          field: 'resources',
          message: `A virtual node of that name has been made in ${other.name} already; call this one otherwise.`,
        });
      if (other.name === lease.name && head.facts.ports.some((port) => ports.has(port)))
        throw failedPrecondition({
          reason: 'PORT_IN_USE',
          field: 'resources',
          message: 'A port is in use by another owner of this node.',
        });
    }
  }
}

/** What the same owner has in other nodes on that machine comes first, and is counted. */
async function* joined(
  beside: OwnerIntent,
  chunks: Chunks,
  count: { beside: number },
): AsyncGenerator<ResourceDraft> {
  for await (const resource of beside.resources()) {
    count.beside++;
    yield resource;
  }
  yield* chunks.resources();
}

/** The agent's error in the customer's words; `before`: resources of the stream that are not the customer's request's. */
function told(customer: string, error: unknown, before: number): unknown {
  if (!(error instanceof ApiError)) return error;
  const index = indexIn(error.field);
  const up = errorUp(customer, error);
  if (index === undefined || up.field === undefined) return up;
  const field =
    index < before ? 'resources' : up.field.replace(/^resources\[\d+\]/, `resources[${index - before}]`);
  return new ApiError(up.status, {
    reason: up.reason,
    operation: 'Apply',
    field,
    message: up.message,
    cause: error,
  });
}
