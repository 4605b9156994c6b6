/** ListBfdPeers */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { bfdPeerMessage } from '../bfd-peer-intent.js';
import { livenessState } from '../liveness.js';
import { bfdPeerState } from '../states.js';
import { page } from './lists.js';

export function listBfdPeers(
  agent: Agent,
  request: Message<cabernet.node.v1.ListBfdPeersRequest>,
): Draft<cabernet.node.v1.ListBfdPeersResponse> {
  const all = [...agent.bfdPeers.all];
  const { items, nextPageToken } = page('bfdPeers', all, (row) => row.intent.name, request);
  const bfdPeers = items.map((peer) => {
    const { intent, owner, mac, id, watched } = peer;
    const liveness = watched ? livenessState(agent, id) : undefined;
    return {
      bfdPeer: bfdPeerMessage(intent),
      owner,
      state: bfdPeerState(agent, peer),
      mac,
      failed: agent.plane.peers.isDown(id),
      ...(liveness ? { liveness } : {}),
    };
  });
  return { bfdPeers, nextPageToken };
}
