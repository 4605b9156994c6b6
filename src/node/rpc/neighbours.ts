/** ListNeighbours */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { isUnicast, parseAddress } from '../address.js';
import { type VirtualNode } from '../nodes.js';
import { page } from './lists.js';

interface Row {
  readonly vif: string;
  readonly address: string;
  readonly mac: string;
  readonly state: string;
}

function rowsOf(node: VirtualNode): Row[] {
  const rows: Row[] = [];
  for (const { index, address, lladdr, state } of node.net.neighbours.values()) {
    const device = node.mirror.deviceOf(index);
    const parsed = parseAddress(address);
    if (device === '' || !parsed || !isUnicast(parsed)) continue;
    // of a link of IP packets: the kernel's own way of saying that there is none
    if (state === 'noarp') continue;
    rows.push({ vif: `${node.name}/vifs/${device}`, address, mac: lladdr ?? '', state });
  }
  return rows;
}

export function listNeighbours(
  agent: Agent,
  request: Message<cabernet.node.v1.ListNeighboursRequest>,
): Draft<cabernet.node.v1.ListNeighboursResponse> {
  const { node } = request;
  const rows = [...agent.nodes.all].filter(({ name }) => node === '' || name === node).flatMap(rowsOf);
  const { items, nextPageToken } = page(
    `neighbours ${node}`,
    rows,
    (row) => `${row.vif} ${row.address}`,
    request,
  );
  return { neighbours: items, nextPageToken };
}
