/**
 * `cabernet.node.v1`, method by method: each handler is a file of this folder.
 */
import { NodeService } from '../../api/node.js';
import { type Implementation, implement } from '../../api/server.js';
import { type Agent } from '../agent.js';
import { apply } from './apply.js';
import { listBfdPeers } from './bfd-peers.js';
import { capture } from './capture.js';
import { listCounters } from './counters.js';
import { diagnose } from './diagnose.js';
import { listDrops } from './drops.js';
import { listLabels } from './labels.js';
import { getMachine } from './machine.js';
import { listNeighbours } from './neighbours.js';
import { listPaths } from './paths.js';
import { listRoutes } from './routes.js';
import { trace } from './trace.js';
import { listTunnels } from './tunnels.js';
import { listVifs } from './vifs.js';
import { listVirtualNodes } from './virtual-nodes.js';
import { watch } from './watch.js';
import { listWires } from './wires.js';

export function nodeService(agent: Agent): Implementation {
  return implement(NodeService, {
    apply: (requests, call) => apply(agent, requests, call.signal),
    getMachine: () => getMachine(agent),
    listVirtualNodes: (request) => listVirtualNodes(agent, request),
    listVifs: (request) => listVifs(agent, request),
    listTunnels: (request) => listTunnels(agent, request),
    listWires: (request) => listWires(agent, request),
    listBfdPeers: (request) => listBfdPeers(agent, request),
    listPaths: (request) => listPaths(agent, request),
    listLabels: (request) => listLabels(agent, request),
    listRoutes: (request) => listRoutes(agent, request),
    listNeighbours: (request) => listNeighbours(agent, request),
    listCounters: (request) => listCounters(agent, request),
    listDrops: (request) => listDrops(agent, request),
    watch: (request, call) => watch(agent, request, call.signal),
    trace: (request) => trace(agent, request),
    capture: (request, call) => capture(agent, request, call.signal),
    diagnose: () => diagnose(agent),
  });
}
