/** ListVirtualNodes */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { nodeMessage } from '../names.js';
import { type VirtualNode } from '../nodes.js';
import { page } from './lists.js';

/** By the layer above, as the node's limits count it. */
function used(agent: Agent, { name }: VirtualNode): { labels: number; vifsAbove: number } {
  const counts = { labels: 0, vifsAbove: 0 };
  for (const vif of agent.registry.vifsOf(name)) {
    for (const { intent } of agent.registry.dependents(vif)) {
      if (intent.kind === 'vif') counts.vifsAbove++;
      else if (intent.context.name === vif) counts.labels++;
    }
  }
  return counts;
}

export function listVirtualNodes(
  agent: Agent,
  request: Message<cabernet.node.v1.ListVirtualNodesRequest>,
): Draft<cabernet.node.v1.ListVirtualNodesResponse> {
  const { items, nextPageToken } = page('virtual nodes', [...agent.nodes.all], (node) => node.name, request);
  const virtualNodes = items.map((node) => ({
    ...used(agent, node),
    virtualNode: nodeMessage(node.intent),
    owner: node.owner,
    namespace: node.namespace,
    vifs: [...agent.registry.vifsOf(node.name)].length,
    ipv4Routes: node.mirror.table.size(4),
    ipv6Routes: node.mirror.table.size(6),
    generation: agent.plane.nodes.read(node.id).generation,
    cgroup: agent.cgroupOf(node.name),
    neighbours: node.mirror.neighbours,
    routesLeftOut: node.mirror.leftOut.routes,
    neighboursLeftOut: node.mirror.leftOut.neighbours,
    addressesLeftOut: node.mirror.leftOut.addresses,
  }));
  return { virtualNodes, nextPageToken };
}
