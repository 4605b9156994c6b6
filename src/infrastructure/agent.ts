/** Calls to one machine's agent: an owner's whole intent as a stream. */
import { type cabernet } from '../../gen/cabernet.js';
import { type Client } from '../api/client.js';
import { type ApplyRequestDraft, type ApplyResponse, type ResourceDraft } from '../api/node.js';

export type AgentClient = Client<cabernet.node.v1.NodeService>;

/** Resources of one message: far below its 4 MiB, also where each is as long as it may be. */
const BATCH = 2000;

export interface Intent {
  readonly owner: string;
  readonly epoch: bigint;
  readonly validateOnly?: boolean;
  /** How many there are is known at the end only: they may come from the store. */
  readonly resources: Iterable<ResourceDraft> | AsyncIterable<ResourceDraft>;
}

async function* messages({
  owner,
  epoch,
  validateOnly,
  resources,
}: Intent): AsyncGenerator<ApplyRequestDraft> {
  yield { begin: { owner, epoch, validateOnly: validateOnly ?? false } };
  let batch: ResourceDraft[] = [];
  let resourceCount = 0;
  for await (const resource of resources) {
    batch.push(resource);
    resourceCount++;
    if (batch.length < BATCH) continue;
    yield { resources: { resources: batch } };
    batch = [];
  }
  if (batch.length > 0) yield { resources: { resources: batch } };
  yield { commit: { resourceCount } };
}

/** @throws ApiError what the agent says, UNREACHABLE */
export function applyTo(client: AgentClient, intent: Intent, signal: AbortSignal): Promise<ApplyResponse> {
  return client.apply(messages(intent), { signal, deadlineMs: 300_000 });
}

/** `resources[3].vif.mtu`: 3. */
export function indexIn(field: string | undefined): number | undefined {
  const index = /^resources\[(\d+)\]/.exec(field ?? '')?.[1];
  return index === undefined ? undefined : Number(index);
}
