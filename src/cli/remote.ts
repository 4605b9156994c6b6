/** `--address`, `--credentials`, `--server`: one agent over TCP in place of those of a world. */
import { connect } from '../api/client.js';
import { NodeService } from '../api/node.js';
import { Agent, Agents } from '../world/index.js';
import type { RemoteFlags } from './flags.js';
import { UsageError } from './report.js';

/**
 * Undefined if none is asked for.
 * @throws UsageError, IdentityError, ApiError ADDRESS
 */
export async function remoteAgents(flags: RemoteFlags): Promise<Agents | undefined> {
  const { address, credentials: directory, server } = flags;
  if (address === undefined) return undefined;
  if (directory === undefined || server === undefined) {
    throw new UsageError(
      '--address needs --credentials DIRECTORY, who you are, and --server agent/PROVIDER/MACHINE, who has to be there',
    );
  }
  const [{ Credentials }, { namedBy }] = await Promise.all([
    import('../identity/credentials.js'),
    import('../identity/principal.js'),
  ]);
  // a command ends before its certificate does
  const credentials = await Credentials.open(directory, { watch: false });
  const expected = namedBy(server, credentials.principal.deployment, 'server');
  if (expected.role !== 'agent') throw new UsageError(`--server ${server}: an agent, such as agent/acme/P`);
  const client = connect(NodeService, { address, credentials, server: expected });
  return new Agents([new Agent(expected.machine, client)]);
}
