/** ListVifs */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { vifMessage } from '../names.js';
import { addressText } from '../net-state.js';
import { vifState } from '../states.js';
import { type LiveVif, machineEndName } from '../vifs.js';
import { page } from './lists.js';

/** Addresses of a vif as its namespace has them. */
export function addressesOf(agent: Agent, vif: LiveVif): string[] {
  const index = vif.links?.inside;
  if (index === undefined) return [];
  const addresses = agent.nodes.get(vif.intent.node)?.net.addresses.get(index);
  return Array.from(addresses?.values() ?? [], addressText);
}

function deviceOf(agent: Agent, vif: LiveVif): string {
  const machineEnd = vif.links && (agent.net.links.get(vif.links.machine)?.name ?? machineEndName(vif.id));
  return [machineEnd, vif.port].filter(Boolean).join(' ');
}

export function listVifs(
  agent: Agent,
  request: Message<cabernet.node.v1.ListVifsRequest>,
): Draft<cabernet.node.v1.ListVifsResponse> {
  const { node } = request;
  const all = [...agent.vifs.all].filter((vif) => node === '' || vif.intent.node === node);
  const { items, nextPageToken } = page(`vifs ${node}`, all, (vif) => vif.name, request);
  const vifs = items.map((vif) => ({
    vif: vifMessage(vif.intent),
    owner: vif.owner,
    addresses: addressesOf(agent, vif),
    state: vifState(agent, vif),
    device: deviceOf(agent, vif),
  }));
  return { vifs, nextPageToken };
}
