/** Which controller a command is for. */
import { CONTROLLER_RULE, isController } from './address.js';
import { nearest } from '../../api/spelling.js';
import { UsageError } from '../report.js';
import { LAYER_NAMES, type LayerName } from '../../resources/layer-name.js';
import { type Contexts, readContexts } from './file.js';
import { worldContexts } from './worlds.js';

/** As given on the command line. */
export interface TargetFlags {
  readonly context?: string | undefined;
  readonly address?: string | undefined;
  readonly layer?: string | undefined;
  readonly credentials?: string | undefined;
  readonly server?: string | undefined;
}

export interface Target {
  readonly layer: LayerName;
  readonly address: string;
  /** For an address that is no unix socket: the directory of who calls, and who has to be there. */
  readonly credentials: string | undefined;
  readonly server: string | undefined;
  /** Of the context; undefined: an address was given. */
  readonly context: string | undefined;
  /** `line`: this command line says so; `environment`: CABERNET_CONTEXT; `current`: `cabernet context use`. */
  readonly by: 'line' | 'environment' | 'current' | 'file';
}

/** Undefined: there is none. */
export function findContext(contexts: Contexts, name: string, by: Target['by']): Target | undefined {
  const all = name.includes('/') ? worldContexts() : contexts.contexts;
  const found = all.find((one) => one.name === name);
  if (!found) return undefined;
  const { layer, address, credentials, server } = found;
  return { layer, address, credentials, server, context: name, by };
}

export function contextNamed(contexts: Contexts, name: string, by: Target['by']): Target {
  const found = findContext(contexts, name, by);
  if (found) return found;
  throw new UsageError(noContext(contexts, name));
}

export function noContext({ contexts, file }: Contexts, name: string): string {
  const ofWorld = name.includes('/');
  const known = (ofWorld ? worldContexts() : contexts).map((one) => one.name);
  const near = nearest(name, known);
  const hint = near === undefined ? `there is ${known.join(', ') || 'none'}` : `did you mean ${near}?`;
  return `there is no context ${name} ${ofWorld ? 'among the worlds that are up' : `in ${file}`}; ${hint}`;
}

/** Undefined: nobody says. */
export function chooseTarget(flags: TargetFlags): Target | undefined {
  const { context, address, layer, credentials, server } = flags;
  if (address !== undefined) {
    if (context !== undefined) throw new UsageError('--context and --address are both given; give one');
    const known = LAYER_NAMES.find((one) => one === layer);
    if (known === undefined)
      throw new UsageError(`--address needs --layer, one of ${LAYER_NAMES.join(', ')}`);
    if (!isController(address))
      throw new UsageError(`--address ${address} is none; it is ${CONTROLLER_RULE}`);
    return { layer: known, address, credentials, server, context: undefined, by: 'line' };
  }
  if (layer !== undefined) throw new UsageError('--layer goes with --address; a context has its own');
  if (credentials !== undefined || server !== undefined)
    throw new UsageError('--credentials and --server go with --address; a context has its own');
  if (context !== undefined) return contextNamed(readContexts(), context, 'line');
  const environment = process.env['CABERNET_CONTEXT'];
  if (environment !== undefined && environment !== '')
    return contextNamed(readContexts(), environment, 'environment');
  const contexts = readContexts();
  return contexts.current === undefined ? undefined : contextNamed(contexts, contexts.current, 'current');
}

export function requireTarget(flags: TargetFlags): Target {
  const target = chooseTarget(flags);
  if (target) return target;
  throw new UsageError(
    'no controller is chosen: `cabernet context use NAME`, --context NAME, or --address unix:/PATH --layer LAYER',
  );
}
