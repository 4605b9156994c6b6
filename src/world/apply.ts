/**
 * Intents into an agent: one Apply stream per owner, in the order of the layers; and the wait until what was asked for
 * is up.
 */
import { type ApplyRequestDraft, v1 } from '../api/node.js';
import { type NodeClient } from './agents.js';
import { WorldError } from './errors.js';
import { type Resource } from './messages.js';
import { type Intent } from './plan.js';

/** Resources in one message of a stream, far below its 4 MiB. */
const BATCH = 5000;

/** What was done to one machine. */
export interface Applied {
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  readonly unchanged: number;
}

function* stream(owner: string, epoch: bigint, resources: readonly Resource[]): Generator<ApplyRequestDraft> {
  yield { begin: { owner, epoch } };
  for (let i = 0; i < resources.length; i += BATCH)
    yield { resources: { resources: resources.slice(i, i + BATCH) } };
  yield { commit: { resourceCount: resources.length } };
}

/** Everything of every owner, and nothing of owners that the plan does not know. */
export async function applyIntents(client: NodeClient, intents: readonly Intent[]): Promise<Applied> {
  const { owners } = await client.getMachine({});
  const epochs = new Map(owners.map((owner) => [owner.owner, owner.epoch]));
  const planned = new Set(intents.map((intent) => intent.owner));
  const gone = owners.filter((owner) => !planned.has(owner.owner) && owner.resources > 0);
  const sum = { created: 0, updated: 0, deleted: 0, unchanged: 0 };
  for (const { owner, resources } of [
    ...gone.map((one) => ({ owner: one.owner, resources: [] })),
    ...intents,
  ]) {
    const epoch = (epochs.get(owner) ?? 0n) + 1n;
    const answer = await client.apply(stream(owner, epoch, resources));
    sum.created += answer.created;
    sum.updated += answer.updated;
    sum.deleted += answer.deleted;
    sum.unchanged += answer.unchanged;
  }
  return sum;
}

/** Until every tunnel and vif among the intents is up. Throws WorldError with what is not, after `deadline` ms. */
export async function waitUntilUp(
  client: NodeClient,
  machine: string,
  intents: readonly Intent[],
  deadline: number,
): Promise<void> {
  const waiting = new Map<string, string>();
  for (const { resources } of intents) {
    for (const resource of resources) {
      const name = resource.tunnel?.name ?? resource.vif?.name;
      if (name) waiting.set(name, 'not there');
    }
  }
  if (waiting.size === 0) return;
  const signal = AbortSignal.timeout(deadline);
  try {
    for await (const event of client.watch({ includeCurrent: true }, { signal })) {
      if (event.type === v1.EventType.EVENT_TYPE_LOST)
        return await waitUntilUp(client, machine, intents, deadline);
      if (waiting.has(event.name)) {
        if (event.state === 'up') waiting.delete(event.name);
        else waiting.set(event.name, event.state);
      }
      if (waiting.size === 0) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  const all = [...waiting].map(([name, state]) => `${name}: ${state}`);
  const text = `on ${machine} ${all.length} of its tunnels and vifs did not come up within ${deadline / 1000} s`;
  throw new WorldError('TIMEOUT', text, { detail: all.slice(0, 10).join('\n') });
}
