/** What validate_only of nodes and links asks suppliers: whether they would lease them, and for how much. */
import { type Link, type Node, type Resource } from '../api/connectivity.js';
import { ApiError, unavailable } from '../api/errors.js';
import { type Reservation } from '../api/infrastructure.js';
import { type Deal, type Party } from './deal.js';
import { type Asking, reserveRequest } from './lease.js';
import { leaseOfLink, leaseOfNode } from './names.js';
import { isPassing, said, type Suppliers } from './suppliers.js';
import { withStatus } from './status.js';

const CALL = 15_000;

export interface AskOptions extends Asking {
  readonly suppliers: Suppliers;
}

/**
 * The same resources with prices and what links would keep. What is asked for only when something else has been leased
 * cannot be answered before: it says so in its status.
 * @throws ApiError the supplier's refusal, with the field of the resource; SUPPLIER_AWAY
 */
export async function askSuppliers(
  options: AskOptions,
  deals: readonly Deal[],
  resources: readonly Resource[],
  signal: AbortSignal,
): Promise<readonly Resource[]> {
  const answers: Reservation[] = [];
  const later = new Set<string>();
  for (const deal of deals)
    for (const [i, parties] of deal.rounds.entries())
      for (const party of parties)
        if (i === 0) answers.push(...(await ask(options, deal, party, resources, signal)));
        else for (const name of [...party.nodes, ...party.links]) later.add(name);
  const nodes = new Map(answers.flatMap((one) => one.virtualNodes.map((node) => [node.name, node])));
  const links = new Map(answers.flatMap((one) => one.virtualLinks.map((link) => [link.name, link])));
  const { self } = options;
  return resources.map((resource): Resource => {
    if (resource.kind === 'node') {
      const { node } = resource;
      const price = nodes.get(leaseOfNode(self, node.name))?.price;
      return { kind: 'node', node: noted({ ...node, ...(price && { price }) }, later) };
    }
    if (resource.kind === 'link') {
      const { link } = resource;
      const { price, achieved } = links.get(leaseOfLink(self, link.name)) ?? {};
      const body = { ...link, ...(price && { price }), ...(achieved && { achieved }) };
      return { kind: 'link', link: noted(body, later) };
    }
    return resource;
  });
}

function noted<B extends Node | Link>(body: B, later: ReadonlySet<string>): B {
  if (!later.has(body.name)) return body;
  const message = 'Its supplier is asked when what it stands on has been leased; the price is told then.';
  return withStatus(body, { message });
}

async function ask(
  options: AskOptions,
  deal: Deal,
  party: Party,
  resources: readonly Resource[],
  signal: AbortSignal,
): Promise<Reservation[]> {
  const request = { ...reserveRequest(options, deal, party), requestId: '', validateOnly: true };
  try {
    const { reservation } = await options.suppliers
      .at(party.supplier, party.address)
      .reserve(request, { signal, deadlineMs: CALL });
    return reservation ? [reservation] : [];
  } catch (error) {
    signal.throwIfAborted();
    if (isPassing(error))
      throw unavailable({
        reason: 'SUPPLIER_AWAY',
        message: `${party.supplier} cannot say now whether it would lease it: ${said(error)}`,
        cause: error,
      });
    throw error instanceof ApiError ? inOurs(error, deal, party, resources) : error;
  }
}

/** The supplier's `virtual_links[1].slo` is `resources[4].link.slo` here. */
function inOurs(error: ApiError, deal: Deal, party: Party, resources: readonly Resource[]): ApiError {
  const [, kind = '', index = '', rest = ''] =
    /^virtual_(node|link)s\[(\d+)\](.*)$/.exec(error.field ?? '') ?? [];
  const asked = kind === 'node' ? deal.nodes : deal.links;
  const ours = kind === 'node' ? party.nodes : party.links;
  const name = asked.filter((body) => ours.includes(body.name))[Number(index)]?.name;
  const i = resources.findIndex((one) => bodyOf(one)?.name === name);
  const field = kind === '' || i < 0 ? undefined : `resources[${i}].${kind}${rest}`;
  return new ApiError(error.status, {
    reason: error.reason,
    operation: 'Update',
    field,
    message: `${party.supplier}: ${error.message}`,
    cause: error,
  });
}

function bodyOf(resource: Resource): { readonly name: string } | undefined {
  return resource.kind === 'node' ? resource.node : resource.kind === 'link' ? resource.link : undefined;
}
