/** The method Apply: a customer's own contents of one node of its service network. */
import { randomBytes } from 'node:crypto';

import { type ApplyBegin, type ApplyRequest } from '../api/connectivity.js';
import {
  ApiError,
  failedPrecondition,
  invalidArgument,
  resourceExhausted,
  unavailable,
} from '../api/errors.js';
import { type ApplyResponse } from '../api/infrastructure.js';
import { type Resource, type ResourceDraft } from '../api/node.js';
import { type Call } from '../api/server.js';
import { type Caller, mayNot, missing } from '../controller/access.js';
import { readStream } from '../controller/stream.js';
import { chunkType, type Customers, type Upload } from './customers.js';
import { type ConnectivityState } from './kinds.js';
import { networkIds, renamed, renamedVn } from './names.js';
import { isSuspended } from './network-terms.js';
import { applyStream, type Target } from './program/sender.js';
import { nodeUnder } from './usage.js';

/** Of the 512 KiB of a value in the store. */
const CHUNK_BYTES = 400_000;
const MOST = 2_000_000;

export interface ApplyOptions {
  readonly state: ConnectivityState;
  readonly customers: Customers;
  readonly callerOf: (call: Call) => Caller;
  readonly target: (node: string) => Target | undefined;
  /** Resolves when the nodes have what we put into them for this network. */
  readonly ready: (network: string, signal: AbortSignal) => Promise<void>;
}

interface Place {
  readonly begin: ApplyBegin;
  readonly customer: string;
  readonly vn: string;
  /** `nodes/NODE` of ours. */
  readonly under: string;
}

export async function applyContents(
  options: ApplyOptions,
  requests: AsyncIterable<ApplyRequest>,
  call: Call,
): Promise<ApplyResponse> {
  const upload = new Uploading(options.customers);
  let place: Place | undefined;
  try {
    await readStream(requests, {
      of: 'resource',
      step: ({ begin, resources, commit }) =>
        begin
          ? { begin }
          : resources
            ? { batch: resources.resources }
            : commit && { commit: commit.resourceCount },
      begin: (begin: ApplyBegin) => {
        place = placeOf(options, begin, options.callerOf(call));
      },
      batch: async (resources: readonly Resource[]) => {
        if (place) await upload.add(place, resources);
        return resources.length;
      },
    });
    if (!place) throw new Error('a stream was whole and had not begun');
    await upload.flush();
    return await finish(options, place, upload, call);
  } catch (error) {
    await upload.drop();
    throw place ? told(error, place, upload) : error;
  }
}

async function finish(
  options: ApplyOptions,
  place: Place,
  upload: Uploading,
  call: Call,
): Promise<ApplyResponse> {
  const { begin, customer, under } = place;
  const { serviceNetwork: network, node } = begin;
  const { customers } = options;
  await options.ready(network, call.signal);
  const taken: Upload = {
    id: upload.id,
    epoch: String(begin.epoch),
    chunks: upload.chunks,
    resources: upload.count,
  };
  const answer = await customers.inTurn(under, customer, async () => {
    checkEpoch(options, begin);
    if (begin.validateOnly) return validate(options, place, taken, call.signal);
    upload.handedOver = true;
    upload.offset = customers.offsetOf(network, node);
    return customers.accept(network, node, taken, call.signal);
  });
  return { ...answer, epoch: begin.epoch };
}

async function validate(
  { target, customers }: ApplyOptions,
  { begin, customer, under }: Place,
  upload: Upload,
  signal: AbortSignal,
): Promise<ApplyResponse> {
  const to = target(under);
  if (!to)
    throw unavailable({ reason: 'NOT_READY', message: 'The node below is not there now; repeat later.' });
  const { serviceNetwork: network, node } = begin;
  // epochs of validation count for nothing: the largest there is
  return to.supply.apply(
    applyStream(
      { virtualNode: to.lease, owner: customer, epoch: 2n ** 63n, validateOnly: true },
      customers.contents(under, customer, { network, node, upload }),
    ),
    { signal },
  );
}

function checkEpoch({ customers }: ApplyOptions, { serviceNetwork, node, epoch }: ApplyBegin): void {
  const last = customers.epochOf(serviceNetwork, node);
  if (epoch >= last) return;
  throw failedPrecondition({
    reason: 'EPOCH_STALE',
    field: 'begin.epoch',
    message: `Epoch ${epoch} is older than ${last}, which was accepted; count on from there.`,
  });
}

function placeOf(options: ApplyOptions, begin: ApplyBegin, caller: Caller): Place {
  const network = options.state.get('serviceNetwork', begin.serviceNetwork);
  const { customer, vn } = networkIds(begin.serviceNetwork);
  const own = caller.role === 'service' && caller.name === customer;
  if (!own && caller.role === 'service') throw missing(begin.serviceNetwork, 'begin.service_network');
  if (!own) throw mayNot('begin.service_network', 'Only the customer itself writes into its nodes.');
  if (!network) throw missing(begin.serviceNetwork, 'begin.service_network');
  if (isSuspended(network))
    throw failedPrecondition({
      reason: 'LEASE_SUSPENDED',
      field: 'begin.service_network',
      message: `${network.name} is suspended, for its term is over; renew it first.`,
    });
  const node = network.nodes.find(({ name }) => name === begin.node);
  if (!node) throw missing(begin.node, 'begin.node');
  checkEpoch(options, begin);
  return { begin, customer, vn, under: nodeUnder(node) };
}

/** What comes in, renamed and kept chunk by chunk. */
class Uploading {
  readonly id = randomBytes(12).toString('hex');
  readonly #customers: Customers;
  #waiting: ResourceDraft[] = [];
  #bytes = 0;
  count = 0;
  chunks = 0;
  /** Where its resources begin among those that the supplier gets. */
  offset = 0;
  /** It belongs to the node's contents, whatever becomes of the call. */
  handedOver = false;

  constructor(customers: Customers) {
    this.#customers = customers;
  }

  async add(place: Place, resources: readonly Resource[]): Promise<void> {
    for (const resource of resources) {
      const own = ours(resource, place, `resources[${this.count}]`);
      if (++this.count > MOST)
        throw resourceExhausted({ reason: 'TOO_MANY', message: `A node takes at most ${MOST} resources.` });
      const bytes = chunkType.encode({ resources: [own] }).length;
      if (this.#bytes + bytes > CHUNK_BYTES) await this.flush();
      this.#waiting.push(own);
      this.#bytes += bytes;
    }
  }

  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    await this.#customers.keep(this.id, this.chunks++, this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
  }

  async drop(): Promise<void> {
    if (!this.handedOver) await this.#customers.forget(this.id, this.chunks);
  }
}

/** By our names; anything but addresses and routes of the node itself is refused. */
function ours(resource: Resource, { begin, customer, vn }: Place, field: string): ResourceDraft {
  const from = { vn, node: begin.node };
  const name = (text: string, at: string): string => {
    const changed = renamed(text, from, renamedVn(customer, vn));
    if (changed !== undefined) return changed;
    throw mayNot(
      `${field}.${at}`,
      `${at} must be of vns/${vn}/nodes/${begin.node}, the node that this Apply is of.`,
    );
  };
  if (resource.address) {
    const { vif, prefix } = resource.address;
    return { address: { vif: name(vif, 'address.vif'), prefix } };
  }
  if (resource.route) {
    const { route } = resource;
    return {
      route: {
        ...route,
        node: name(route.node, 'route.node'),
        nextHops: route.nextHops.map((hop, i) => ({
          ...hop,
          vif: name(hop.vif, `route.next_hops[${i}].vif`),
        })),
      },
    };
  }
  if (resource.kind === undefined) {
    throw invalidArgument({
      reason: 'RESOURCE_KIND',
      field,
      message: `${field} has no kind that this version knows; here it is address or route.`,
    });
  }
  throw mayNot(
    field,
    `${field}: a customer writes addresses and routes; the rest is made by its service network.`,
  );
}

/** What the supplier says, in the customer's words. */
function told(error: unknown, { begin, customer, vn }: Place, { offset, count }: Uploading): unknown {
  if (!(error instanceof ApiError)) return error;
  const back = (text: string): string =>
    text.replaceAll(`vns/${renamedVn(customer, vn)}/nodes/${begin.node}`, `vns/${vn}/nodes/${begin.node}`);
  const field = error.field?.replace(/^resources\[([0-9]+)\]/, (whole, digits: string) => {
    const index = Number(digits) - offset;
    return index >= 0 && index < count ? `resources[${index}]` : whole;
  });
  return new ApiError(error.status, {
    reason: error.reason,
    operation: 'Apply',
    field: field === undefined ? undefined : back(field),
    message: back(error.message),
    cause: error,
  });
}
