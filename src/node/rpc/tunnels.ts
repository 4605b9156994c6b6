/** ListTunnels */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { tunnelMessage } from '../names.js';
import { tunnelState } from '../states.js';
import { page } from './lists.js';

export function listTunnels(
  agent: Agent,
  request: Message<cabernet.node.v1.ListTunnelsRequest>,
): Draft<cabernet.node.v1.ListTunnelsResponse> {
  const { items, nextPageToken } = page(
    'tunnels',
    [...agent.underlay.all],
    (row) => row.intent.name,
    request,
  );
  const tunnels = items.map(({ intent, owner, ways }) => ({
    tunnel: tunnelMessage(intent),
    owner,
    state: tunnelState(agent, intent.name),
    hops: ways,
  }));
  return { tunnels, nextPageToken };
}
