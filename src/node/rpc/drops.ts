/** ListDrops */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { dropReasons } from '../../dataplane/index.js';
import { type Agent } from '../agent.js';
import { wallClock } from '../watch.js';
import { page } from './lists.js';

const MAX_SAMPLES = 1000;

/** The stable name of a reason: `label_unknown`. */
export function reasonName(reason: number): string {
  return dropReasons[reason]?.name.toLowerCase() ?? `reason_${reason}`;
}

export function interfaceName(agent: Agent, index: number): string {
  return agent.net.links.get(index)?.name ?? '';
}

export async function listDrops(
  agent: Agent,
  request: Message<cabernet.node.v1.ListDropsRequest>,
): Promise<Draft<cabernet.node.v1.ListDropsResponse>> {
  const nameOf = (id: number): string => agent.nodes.byId(id)?.name ?? '';
  const rows = (await agent.plane.counters.drops()).map(({ node, reason, packets }) => ({
    node: nameOf(node),
    reason: reasonName(reason),
    description: dropReasons[reason]?.sentence ?? '',
    packets,
  }));
  const { items, nextPageToken } = page('drops', rows, (row) => `${row.node} ${row.reason}`, request);
  const newest = agent.plane.samples.newest(Math.min(request.samples, MAX_SAMPLES));
  const samples = newest.map((sample) => ({
    timeNs: wallClock(sample.time),
    node: nameOf(sample.node),
    reason: reasonName(sample.reason),
    interface: interfaceName(agent, sample.ifindex),
    length: sample.length,
    frame: sample.frame,
  }));
  return { drops: items, samples, nextPageToken };
}
