/** ListWires */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { wireMessage } from '../names.js';
import { wireState } from '../states.js';
import { page } from './lists.js';

export function listWires(
  agent: Agent,
  request: Message<cabernet.node.v1.ListWiresRequest>,
): Draft<cabernet.node.v1.ListWiresResponse> {
  const { items, nextPageToken } = page('wires', [...agent.wires.all], (row) => row.intent.name, request);
  const wires = items.map(({ intent, owner, mac, vif }) => ({
    wire: wireMessage(intent),
    owner,
    state: wireState(agent, intent.name),
    mac,
    vif: agent.vifs.byId(vif)?.name ?? '',
  }));
  return { wires, nextPageToken };
}
