/** ListPaths */
import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { isInUse, livenessState, mergeState } from '../liveness.js';
import { measurementState } from '../measurement.js';
import { linkPathFields } from '../names.js';
import { livePathState, pathBelow } from '../states.js';
import { page } from './lists.js';

export function listPaths(
  agent: Agent,
  request: Message<cabernet.node.v1.ListPathsRequest>,
): Draft<cabernet.node.v1.ListPathsResponse> {
  const carried = [...agent.vifs.all].flatMap((vif) =>
    agent.carriages.of(vif.id).map((path, index) => ({ vif, path, index })),
  );
  const { items, nextPageToken } = page(
    'paths',
    carried,
    ({ vif, index }) => `${vif.name}/paths/${index}`,
    request,
  );
  const paths = items.map(({ vif, path, index }) => {
    const liveness = livenessState(agent, path.session);
    const measurement = measurementState(agent, path.session);
    const merge = mergeState(agent, vif);
    return {
      vif: vif.name,
      index,
      path: linkPathFields(path.intent),
      owner: vif.owner,
      below: pathBelow(agent, path.intent),
      state: livePathState(agent, path),
      inUse: isInUse(agent, vif, index),
      ...(liveness ? { liveness } : {}),
      ...(measurement ? { measurement } : {}),
      ...(merge ? { merge } : {}),
    };
  });
  // after all of them: none has a time that is later
  return { paths, nextPageToken, clockNs: process.hrtime.bigint() };
}
