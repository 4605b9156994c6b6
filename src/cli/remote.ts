/** `--address`, `--credentials`, `--server`: one agent over TCP in place of those of a world. */
import { connect } from '../api/client.js';
import { NodeService } from '../api/node.js';
import { Agent, Agents } from '../world/index.js';
import type { RemoteFlags } from './flags.js';
import { environment, peerTarget } from './peer.js';
import { UsageError } from './report.js';

/**
 * Undefined if there is no address. What else the command line leaves open, the environment says.
 * @throws UsageError, IdentityError, ApiError ADDRESS
 */
export async function remoteAgents(flags: RemoteFlags): Promise<Agents | undefined> {
  const { address } = flags;
  if (address === undefined) return undefined;
  const directory = flags.credentials ?? environment('CABERNET_CREDENTIALS');
  const server = flags.server ?? environment('CABERNET_SERVER');
  if (directory === undefined || server === undefined) {
    throw new UsageError(
      '--address needs --credentials DIRECTORY, who you are, and --server agent/PROVIDER/MACHINE, who has to be there; for a controller also --layer',
    );
  }
  const target = await peerTarget(address, directory, server);
  const { server: expected } = target;
  if (expected.role !== 'agent')
    throw new UsageError(
      `--server ${server}: an agent, such as agent/acme/P; a controller is called with --layer`,
    );
  return new Agents([new Agent(expected.machine, connect(NodeService, target))]);
}
