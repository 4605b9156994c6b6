/** `cabernet node`: the agent's own options, checked, and the agent. */
import { isOwner, NAME_RULES } from '../api/names.js';
import { type NodeOptions, runNode } from '../node/main.js';
import type { NodeFlags } from './flags.js';
import { UsageError } from './report.js';

type Capacities = NonNullable<NodeOptions['capacities']>;

const TABLES: Readonly<Record<keyof Capacities, true>> = {
  interfaces: true,
  nodes: true,
  vifs: true,
  paths: true,
  sessions: true,
  tunnels: true,
  wires: true,
  underlayHops: true,
  nextHops: true,
  labels: true,
  chunks: true,
  flows4: true,
  flows6: true,
};

function capacitiesOf(texts: readonly string[]): Capacities {
  const capacities: Record<string, number> = {};
  for (const text of texts) {
    const [, table = '', digits] = /^([A-Za-z0-9]+)=(\d{1,9})$/.exec(text) ?? [];
    if (!Object.hasOwn(TABLES, table)) {
      throw new UsageError(
        `--capacity ${text}: TABLE=NUMBER, where TABLE is ${Object.keys(TABLES).join(', ')}`,
      );
    }
    capacities[table] = Number(digits);
  }
  return capacities;
}

/** TCP is for all three or none. */
function remoteOf({ listen, credentials, provider }: NodeFlags): Pick<NodeOptions, 'remote'> {
  if (listen === undefined && credentials === undefined && provider === undefined) return {};
  if (listen === undefined || credentials === undefined || provider === undefined) {
    throw new UsageError(
      '--listen, --credentials and --provider go together: where, who this is, who may call',
    );
  }
  if (!isOwner(provider)) throw new UsageError(`--provider ${provider}: ${NAME_RULES.owner}`);
  return { remote: { listen, credentials, provider } };
}

export async function nodeCommand(flags: NodeFlags): Promise<void> {
  await runNode({
    name: flags.name,
    socket: flags.socket,
    pinDir: flags.pinDir,
    netnsPrefix: flags.netnsPrefix,
    interfaces: flags.interface,
    ports: flags.port,
    jumbo: flags.jumbo,
    logLevel: flags.logLevel,
    capacities: capacitiesOf(flags.capacity),
    ...(flags.metrics !== undefined && { metrics: flags.metrics }),
    ...remoteOf(flags),
  });
}
