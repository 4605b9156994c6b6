/** Apply */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { Collection } from '../collect.js';
import { invalid } from '../refusal.js';

type Request = Message<cabernet.node.v1.ApplyRequest>;

/** Reads one stream to its commit: begin, resources, commit, and nothing after it. `hold`: told of what is kept. */
async function collect(
  agent: Agent,
  requests: AsyncIterable<Request>,
  hold: (resources: number) => void,
): Promise<Collection> {
  let collection: Collection | undefined;
  let committed = false;
  for await (const request of requests) {
    if (committed) throw invalid('STREAM_ORDER', 'commit', 'the commit is the last message of the stream');
    if (request.message === 'begin') {
      if (collection) throw invalid('STREAM_ORDER', 'begin', 'a stream begins once');
      collection = new Collection(request.begin, (owner) => agent.registry.holdings.get(owner));
      continue;
    }
    if (!collection) throw invalid('STREAM_ORDER', 'begin', 'the first message of the stream is begin');
    if (request.message === 'resources') {
      collection.add(request.resources);
      hold(request.resources.resources.length);
    } else if (request.message === 'commit') {
      collection.commit(request.commit);
      committed = true;
    } else throw invalid('STREAM_ORDER', 'message', 'each message is begin, resources or commit');
  }
  if (!collection || !committed)
    throw invalid('STREAM_TRUNCATED', 'commit', 'the stream ended without a commit');
  return collection;
}

/** `signal`: aborted when the caller has gone; an Apply whose turn has not come then changes nothing. */
export async function apply(
  agent: Agent,
  requests: AsyncIterable<Request>,
  signal: AbortSignal,
): Promise<Draft<cabernet.node.v1.ApplyResponse>> {
  const { underWay } = agent.applier;
  let held = 0;
  const hold = (resources: number): void => {
    underWay.take(resources);
    held += resources;
  };
  try {
    const collection = await collect(agent, requests, hold);
    const counts = await agent.applier.apply(collection, signal);
    return { epoch: collection.holding.epoch, ...counts };
  } finally {
    underWay.leave(held);
  }
}
