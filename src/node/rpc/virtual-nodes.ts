/** ListVirtualNodes */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { nodeMessage } from '../names.js';
import { page } from './lists.js';

export function listVirtualNodes(
  agent: Agent,
  request: Message<cabernet.node.v1.ListVirtualNodesRequest>,
): Draft<cabernet.node.v1.ListVirtualNodesResponse> {
  const { items, nextPageToken } = page('virtual nodes', [...agent.nodes.all], (node) => node.name, request);
  const virtualNodes = items.map((node) => ({
    virtualNode: nodeMessage(node.intent),
    owner: node.owner,
    namespace: node.namespace,
    vifs: [...agent.registry.vifsOf(node.name)].length,
    ipv4Routes: node.mirror.table.size(4),
    ipv6Routes: node.mirror.table.size(6),
    generation: agent.plane.nodes.read(node.id).generation,
  }));
  return { virtualNodes, nextPageToken };
}
