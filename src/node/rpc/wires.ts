/** ListWires */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { wireMessage } from '../names.js';
import { bypassState, wireState } from '../states.js';
import { page } from './lists.js';

export async function listWires(
  agent: Agent,
  request: Message<cabernet.node.v1.ListWiresRequest>,
): Promise<Draft<cabernet.node.v1.ListWiresResponse>> {
  const { items, nextPageToken } = page('wires', [...agent.wires.all], (row) => row.intent.name, request);
  const paths = new Map(items.map(({ intent: { name } }) => [name, agent.bypasses.pathOf(name)]));
  const counts = await agent.plane.counters.paths(new Set([...paths.values()].filter(Boolean)));
  const wires = items.map((wire) => {
    const { intent, owner, mac, vif } = wire;
    return {
      wire: wireMessage(intent),
      owner,
      state: wireState(agent, intent.name),
      mac,
      vif: agent.vifs.byId(vif)?.name ?? '',
      bypassState: bypassState(agent, wire),
      bypassedPackets: counts.get(paths.get(intent.name) ?? 0)?.sentPackets ?? 0n,
    };
  });
  return { wires, nextPageToken };
}
