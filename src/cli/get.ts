/**
 * `cabernet get`: of a controller, of one agent over TCP, or of a world. What the command line says decides: --context, or
 * --address with --layer, is a controller; --address alone an agent; --world a world. Otherwise what is nearest:
 * CABERNET_CONTEXT, then CABERNET_ADDRESS (an agent), then CABERNET_WORLD, then the current context; and a word that is no
 * collection of that controller is the testbed's.
 */
import { chooseTarget, type Target, type TargetFlags } from './contexts/choose.js';
import { WORLD_WORDS, worldWord } from './get/words.js';
import { environment } from './peer.js';
import { UsageError } from './report.js';

export interface GetFlags extends TargetFlags {
  readonly output: string;
  readonly watch?: true;
  readonly world?: string;
  readonly worldBy: 'line' | 'environment' | undefined;
}

export async function getCommand(what: string, names: readonly string[], flags: GetFlags): Promise<void> {
  const target = await chosen(what, flags);
  if (target) {
    const { getResourcesCommand } = await import('./resources/get.js');
    return getResourcesCommand(what, names, target, flags);
  }
  const { output } = flags;
  if (output === 'wide' || output === 'name')
    throw new UsageError(
      `-o ${output} is for resources of a controller; of the testbed: table, json or yaml`,
    );
  const [name, ...more] = names;
  if (more.length > 0) throw new UsageError('of the testbed one name at a time');
  const { getWorldCommand } = await import('./get-testbed.js');
  return getWorldCommand(what, name, { ...flags, address: agentAddress(flags) });
}

/** Undefined: those of a world. */
function agentAddress({ address, worldBy }: GetFlags): string | undefined {
  return address ?? (worldBy === 'line' ? undefined : environment('CABERNET_ADDRESS'));
}

/** Undefined: the testbed, or one agent. */
async function chosen(what: string, flags: GetFlags): Promise<Target | undefined> {
  if (ofTestbedByLine(what, flags) || ofTestbedByEnvironment(flags)) return undefined;
  const { context, address, layer } = flags;
  const byLine = context !== undefined || address !== undefined || layer !== undefined;
  const target = chooseTarget(flags);
  if (target && byLine) return target;
  const ofTestbed = worldWord(what) !== undefined;
  if (!target) {
    if (ofTestbed || !what.includes('/')) return undefined;
    throw new UsageError(
      `${what} is nothing of the testbed, and no controller is chosen: \`cabernet context use NAME\`, --context NAME, or --address unix:/PATH --layer LAYER`,
    );
  }
  const [{ LAYERS }, { findCollection, findName, noCollection }] = await Promise.all([
    import('./resources/layer.js'),
    import('./resources/naming.js'),
  ]);
  const known = LAYERS[target.layer];
  if (findCollection(known, what) ?? findName(known, what)) return target;
  if (ofTestbed) return undefined;
  throw new UsageError(noCollection(known, what));
}

function ofTestbedByLine(what: string, { context, address, layer, worldBy }: GetFlags): boolean {
  if (worldBy === 'line') {
    if (context ?? address ?? layer)
      throw new UsageError(
        '--world is of the testbed, --context and --address are of a controller or an agent; give one',
      );
    return true;
  }
  if (address === undefined || layer !== undefined || address.startsWith('unix:')) return false;
  if (context !== undefined) throw new UsageError('--context and --address are both given; give one');
  if (worldWord(what) === undefined)
    throw new UsageError(
      `${what} is nothing that an agent knows: ${WORLD_WORDS.join(', ')}; for the controller at ${address} give --layer as well`,
    );
  return true;
}

function ofTestbedByEnvironment(flags: GetFlags): boolean {
  const { context, address, layer, credentials, server, worldBy } = flags;
  if (context ?? address ?? layer) return false;
  const agent = environment('CABERNET_ADDRESS') !== undefined;
  // who is to be called there, and by whom, are said of it
  if (agent && (credentials ?? server)) return true;
  return environment('CABERNET_CONTEXT') === undefined && (agent || worldBy === 'environment');
}
