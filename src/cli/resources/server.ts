/** A controller that was chosen, as one calls it. */
import { parseAddressOfServer } from '../../api/address.js';
import { type TlsTarget, type UnixTarget } from '../../api/connection.js';
import { ApiError, Status } from '../../api/errors.js';
import { type Target } from '../contexts/choose.js';
import { environment, peerTarget } from '../peer.js';
import { type ResourceClient } from '../../resources/api.js';
import { CommandError, UsageError } from '../report.js';
import { type Layer, LAYERS } from './layer.js';
import { article } from './naming.js';

export interface Server {
  readonly target: Target;
  readonly layer: Layer;
  readonly client: ResourceClient;
}

/** Runs `work` with a client, which is closed afterwards. */
export async function withServer<T>(target: Target, work: (server: Server) => Promise<T>): Promise<T> {
  const layer = LAYERS[target.layer];
  const client = layer.connect(await called(target));
  try {
    return await work({ target, layer, client });
  } catch (error) {
    throw explained(error, target);
  } finally {
    client.close();
  }
}

async function called(target: Target): Promise<UnixTarget | TlsTarget> {
  const address = parseAddressOfServer(target.address);
  if (address?.kind === 'unix') return { socketPath: address.path };
  const { context, layer, server } = target;
  const credentials = target.credentials ?? environment('CABERNET_CREDENTIALS');
  if (credentials === undefined || server === undefined) {
    const who =
      context === undefined ? '' : `; the context ${context} lacks what \`cabernet context add\` takes so`;
    throw new UsageError(
      `${target.address} is not a unix socket: to call it takes --credentials DIRECTORY, who you are, and --server ${layer}/PROVIDER, who has to be there${who}`,
    );
  }
  const found = await peerTarget(target.address, credentials, server);
  if (found.server.role === layer) return found;
  const whose = context === undefined ? '--server' : `the server of the context ${context},`;
  throw new UsageError(`${whose} ${server}: ${article(layer)} provider, such as ${layer}/acme`);
}

function explained(error: unknown, target: Target): unknown {
  if (!(error instanceof ApiError) || error.status !== Status.UNIMPLEMENTED) return error;
  const rule = target.context === undefined ? '--layer' : `the layer of the context ${target.context}`;
  return new CommandError(
    `who answers at ${target.address} is no controller of ${article(target.layer)} provider; is ${rule} right?`,
  );
}
