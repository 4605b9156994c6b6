/** `cabernet context …`: which controllers there are, and which is meant. */
import { resolve } from 'node:path';

import { CONTROLLER_RULE, isController } from './address.js';
import { formatRows, type Row } from '../output.js';
import { printable, printableJson, printableLines } from '../printable.js';
import { CommandError, UsageError } from '../report.js';
import { LAYER_NAMES } from '../../resources/layer-name.js';
import { contextNamed, noContext } from './choose.js';
import {
  type Context,
  CONTEXT_NAME,
  CONTEXT_NAME_RULE,
  type Contexts,
  readContexts,
  writeContexts,
} from './file.js';

export interface AddFlags {
  readonly layer: string;
  readonly address: string;
  readonly credentials?: string;
  readonly server?: string;
  readonly use?: true;
}

const COLUMNS = [
  { key: 'current', title: 'CURRENT' },
  { key: 'name', title: 'NAME' },
  { key: 'layer', title: 'LAYER' },
  { key: 'address', title: 'ADDRESS' },
  { key: 'credentials', title: 'CREDENTIALS' },
  { key: 'server', title: 'SERVER' },
];

const inForce = ({ current }: Contexts): string | undefined => process.env['CABERNET_CONTEXT'] || current;

export async function listContexts(output: string): Promise<void> {
  const all = readContexts();
  const current = inForce(all);
  if (output === 'name') return say(all.contexts.map(({ name }) => name).join('\n'));
  const rows = all.contexts.map((one): Row => ({
    current: output === 'table' ? (one.name === current ? '*' : ' ') : one.name === current,
    name: one.name,
    layer: one.layer,
    address: printable(one.address),
    credentials: printable(one.credentials ?? ''),
    server: printable(one.server ?? ''),
  }));
  const shown = rows.some((row) => row['credentials'] !== '' || row['server'] !== '')
    ? COLUMNS
    : COLUMNS.slice(0, 4);
  return say(await formatRows(output, shown, rows));
}

export async function useContext(name: string): Promise<void> {
  const all = readContexts();
  contextNamed(all, name, 'line');
  await writeContexts({ ...all, current: name });
  say(`${name} is the current context`);
}

export async function addContext(name: string, flags: AddFlags): Promise<void> {
  const { address, credentials, server } = flags;
  if (!CONTEXT_NAME.test(name)) throw new UsageError(`a context's name is ${CONTEXT_NAME_RULE}`);
  const layer = LAYER_NAMES.find((one) => one === flags.layer);
  if (!layer) throw new UsageError(`--layer is one of ${LAYER_NAMES.join(', ')}`);
  if (!isController(address)) throw new UsageError(`--address ${address} is none; it is ${CONTROLLER_RULE}`);
  for (const [option, value] of Object.entries({ credentials, server }))
    if (value === '') throw new UsageError(`--${option} needs a value`);
  const all = readContexts();
  if (all.contexts.some((one) => one.name === name))
    throw new CommandError(`there is a context ${name} already; \`cabernet context remove ${name}\` first`);
  const fresh: Context = {
    name,
    layer,
    address,
    ...(credentials && { credentials: resolve(credentials) }),
    ...(server && { server }),
  };
  const current = flags.use || all.contexts.length === 0 ? name : all.current;
  await writeContexts({ ...all, current, contexts: [...all.contexts, fresh] });
  say(current === name ? `${name} added, and current` : `${name} added`);
}

export async function removeContext(name: string): Promise<void> {
  const all = readContexts();
  if (!all.contexts.some((one) => one.name === name)) throw new CommandError(noContext(all, name));
  const contexts = all.contexts.filter((one) => one.name !== name);
  await writeContexts({ ...all, current: all.current === name ? undefined : all.current, contexts });
  say(`${name} removed`);
}

export async function showContext(name: string | undefined, output: string): Promise<void> {
  const all = readContexts();
  const wanted = name ?? inForce(all);
  if (wanted === undefined)
    throw new CommandError('no context is current; `cabernet context use NAME` chooses one');
  const found = all.contexts.find((one) => one.name === wanted);
  if (!found) throw new UsageError(noContext(all, wanted));
  const { layer, address, credentials = '', server = '' } = found;
  const facts = {
    name: wanted,
    layer,
    address,
    ...(credentials && { credentials }),
    ...(server && { server }),
  };
  if (output === 'json') return say(printableJson(JSON.stringify(facts, undefined, 2)));
  return say(
    Object.entries(facts)
      .map(([key, value]) => `${key}: ${value}`)
      .join('\n'),
  );
}

function say(text: string): void {
  process.stdout.write(text === '' ? '' : `${printableLines(text)}\n`);
}
