/** ListCounters */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { page } from './lists.js';

type Row = Draft<cabernet.node.v1.Counters> & { readonly name: string };

const NOTHING = { sentPackets: 0n, sentBytes: 0n };

type Sent = typeof NOTHING;

function sum(counts: readonly Sent[]): Sent {
  return counts.reduce(
    (all, { sentPackets, sentBytes }) => ({
      sentPackets: all.sentPackets + sentPackets,
      sentBytes: all.sentBytes + sentBytes,
    }),
    NOTHING,
  );
}

export async function listCounters(
  agent: Agent,
  request: Message<cabernet.node.v1.ListCountersRequest>,
): Promise<Draft<cabernet.node.v1.ListCountersResponse>> {
  const { counters } = agent.plane;
  const vifs = [...agent.vifs.all];
  const ofVifs = await counters.vifs(vifs.map((vif) => vif.id));
  const pathsOf = vifs.map((vif) => agent.carriages.of(vif.id).map(({ path }) => path));
  const ofPaths = await counters.paths(pathsOf.flatMap((paths) => paths.filter((path) => path !== 0)));
  const rows: Row[] = [];
  for (const [i, vif] of vifs.entries()) {
    const count = ofVifs.get(vif.id);
    const carried = (pathsOf[i] ?? []).map((path) => ofPaths.get(path) ?? NOTHING);
    // a link's frames are counted where they are carried
    const { sentPackets, sentBytes } = vif.port === undefined ? sum(carried) : (count ?? NOTHING);
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
    for (const [index, sent] of carried.entries()) {
      const { sentPackets: packets, sentBytes: bytes } = sent;
      rows.push({ name: `${vif.name}/paths/${index}`, sentPackets: packets, sentBytes: bytes });
    }
  }
  const { items, nextPageToken } = page('counters', rows, (row) => row.name, request);
  return { counters: items, nextPageToken };
}
