/** The machines' agents: how each is started, and the wait until what it holds is up. */
import type { cabernet } from '../../gen/cabernet.js';
import { type Client, connect } from '../api/client.js';
import { NodeService, v1 } from '../api/node.js';
import { PORT_PREFIX } from './check.js';
import { type Daemon, servingAt, tailOf } from './daemons.js';
import { WorldError } from './errors.js';
import { type MachinePlan } from './layout.js';
import { logPath, machineNamespace, nodeNamespacePrefix, pinDirectory, socketPath } from './place.js';
import { type ProcessId } from './processes.js';

export type NodeClient = Client<cabernet.node.v1.NodeService>;

export function agentDaemon(world: string, machine: MachinePlan): Daemon {
  const { name } = machine;
  const socket = socketPath(world, name);
  return {
    what: `the agent of ${name}`,
    namespace: machineNamespace(world, name),
    socket,
    log: logPath(world, name),
    args: [
      'node',
      ...['--name', name],
      ...['--socket', socket],
      ...['--pin-dir', pinDirectory(world, name)],
      ...['--netns-prefix', nodeNamespacePrefix(world, name)],
      // in the machine's own namespace
      ...['--metrics', '127.0.0.1:9464'],
      ...machine.interfaces.flatMap((one) => ['--interface', one.name]),
      ...['--port', `${PORT_PREFIX}*`],
      ...(machine.jumbo ? ['--jumbo'] : []),
    ],
  };
}

/** A client for one machine's agent; it connects when it is first used. */
export function clientOf(world: string, machine: string): NodeClient {
  return connect(NodeService, { socketPath: socketPath(world, machine) });
}

/** The agents of this machine, whoever started them: there is one at most. */
export function agentsOf(world: string, machine: string): readonly ProcessId[] {
  return servingAt(socketPath(world, machine));
}

/** The last lines of an agent's log. */
export function logTail(world: string, machine: string, lines?: number): string {
  return tailOf(logPath(world, machine), lines);
}

/** Until every tunnel, wire and vif that the agent holds is up. Throws WorldError with what is not, after `deadline` ms. */
export async function waitUntilUp(client: NodeClient, machine: string, deadline: number): Promise<void> {
  const waiting = new Map<string, string>();
  const signal = AbortSignal.timeout(deadline);
  let synced = false;
  try {
    for await (const event of client.watch({ includeCurrent: true }, { signal })) {
      if (event.type === v1.EventType.EVENT_TYPE_LOST) return await waitUntilUp(client, machine, deadline);
      if (event.type === v1.EventType.EVENT_TYPE_SYNCED) synced = true;
      if (event.type === v1.EventType.EVENT_TYPE_DELETED || event.state === 'up') waiting.delete(event.name);
      else if (/^(?:tunnels|wires)\/[^/]+$|\/vifs\/[^/]+$/.test(event.name))
        waiting.set(event.name, event.state);
      if (synced && waiting.size === 0) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  const all = [...waiting].map(([name, state]) => `${name}: ${state}`);
  const text = `on ${machine} ${all.length} of its tunnels and vifs did not come up within ${deadline / 1000} s`;
  throw new WorldError('TIMEOUT', text, { detail: all.slice(0, 10).join('\n') });
}
