/** ListPaths */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { pathMessage } from '../names.js';
import { pathBelow, pathState } from '../states.js';
import { page } from './lists.js';

export function listPaths(
  agent: Agent,
  request: Message<cabernet.node.v1.ListPathsRequest>,
): Draft<cabernet.node.v1.ListPathsResponse> {
  const carried = [...agent.vifs.all].flatMap((vif) =>
    vif.intent.path ? [{ vif, path: vif.intent.path }] : [],
  );
  const { items, nextPageToken } = page('paths', carried, ({ vif }) => vif.name, request);
  const paths = items.map(({ vif, path }) => ({
    vif: vif.name,
    index: 0,
    path: pathMessage(path),
    owner: vif.owner,
    below: pathBelow(agent, path),
    state: pathState(agent, path),
  }));
  return { paths, nextPageToken };
}
