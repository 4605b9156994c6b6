/** ListCounters */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { page } from './lists.js';

type Row = Draft<cabernet.node.v1.Counters> & { readonly name: string };

const NOTHING = { sentPackets: 0n, sentBytes: 0n };

export async function listCounters(
  agent: Agent,
  request: Message<cabernet.node.v1.ListCountersRequest>,
): Promise<Draft<cabernet.node.v1.ListCountersResponse>> {
  const { counters } = agent.plane;
  const vifs = [...agent.vifs.all];
  const ofVifs = await counters.vifs(vifs.map((vif) => vif.id));
  const ofPaths = await counters.paths(vifs.flatMap((vif) => (vif.path ? [vif.path] : [])));
  const rows: Row[] = [];
  for (const vif of vifs) {
    const count = ofVifs.get(vif.id);
    // a link's frames are counted where they are carried
    const sent = (vif.intent.path ? ofPaths.get(vif.path) : count) ?? NOTHING;
    const { sentPackets, sentBytes } = sent;
    rows.push({
      name: vif.name,
      receivedPackets: count?.receivedPackets ?? 0n,
      receivedBytes: count?.receivedBytes ?? 0n,
      sentPackets,
      sentBytes,
      puntedPackets: count?.puntedPackets ?? 0n,
      receivedRefused: count?.receivedRefused ?? 0n,
      sentRefused: count?.sentRefused ?? 0n,
    });
    if (vif.intent.path) rows.push({ name: `${vif.name}/paths/0`, sentPackets, sentBytes });
  }
  const { items, nextPageToken } = page('counters', rows, (row) => row.name, request);
  return { counters: items, nextPageToken };
}
