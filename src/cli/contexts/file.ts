/**
 * Contexts: the controllers that an operator calls, by names. In `~/.config/cabernet/contexts.yaml`, or where
 * CABERNET_CONTEXTS says.
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

import { CONTROLLER_RULE, isController } from './address.js';
import { type Entries, YamlSource } from '../../api/yaml-source.js';
import { nearest } from '../../api/spelling.js';
import { CommandError } from '../report.js';
import { LAYER_NAMES, type LayerName } from '../../resources/layer-name.js';
import { readTextFile } from '../text-file.js';

export interface Context {
  readonly name: string;
  readonly layer: LayerName;
  readonly address: string;
  /** Folder with certificate and key, for addresses that are no unix sockets. */
  readonly credentials?: string | undefined;
  /** Whom the server must prove to be. */
  readonly server?: string | undefined;
}

export interface Contexts {
  readonly file: string;
  readonly current: string | undefined;
  readonly contexts: readonly Context[];
}

export const CONTEXT_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
export const CONTEXT_NAME_RULE = '1 to 63 characters of [A-Za-z0-9_.-], beginning with a letter or digit';

export function contextsFile(): string {
  const given = process.env['CABERNET_CONTEXTS'];
  return given !== undefined && given !== ''
    ? given
    : join(homedir(), '.config', 'cabernet', 'contexts.yaml');
}

/**
 * None where there is no file.
 * @throws ManifestError
 */
export function readContexts(file = contextsFile()): Contexts {
  const text = readTextFile(file, true);
  if (text === undefined || text.trim() === '') return { file, current: undefined, contexts: [] };
  return new Reader(new YamlSource(text, file)).read();
}

class Reader {
  readonly #source: YamlSource;

  constructor(source: YamlSource) {
    this.#source = source;
  }

  read(): Contexts {
    return this.#source.read((root) => {
      const top = this.#mapping(root, '', ['current', 'contexts']);
      const contexts = this.#contexts(top);
      const current = this.#text(top, '', 'current', false);
      if (current !== undefined && !contexts.some(({ name }) => name === current))
        this.#source.report(
          top?.get('current')?.value,
          'current',
          `there is no context ${JSON.stringify(current)}`,
        );
      return { file: this.#source.file, current, contexts };
    });
  }

  #contexts(top: Entries | undefined): Context[] {
    const entry = top?.get('contexts');
    if (!entry) return [];
    const items = this.#source.list(entry.value, 'contexts', 'a list, each element a context');
    const seen = new Set<string>();
    return (items ?? []).flatMap((node, i): Context[] => {
      const path = `contexts[${i}]`;
      const fields = this.#mapping(node, path, ['name', 'layer', 'address', 'credentials', 'server']);
      if (!fields) return [];
      const report = (field: string, message: string): void =>
        this.#source.report(fields.get(field)?.value ?? node, `${path}.${field}`, message);
      const name = this.#text(fields, path, 'name', true, node) ?? '';
      const layer = this.#text(fields, path, 'layer', true, node) ?? '';
      const address = this.#text(fields, path, 'address', true, node) ?? '';
      if (name !== '' && !CONTEXT_NAME.test(name)) report('name', `must be ${CONTEXT_NAME_RULE}`);
      if (seen.has(name)) report('name', `${name} is given a second time`);
      seen.add(name);
      const known = LAYER_NAMES.find((one) => one === layer);
      if (layer !== '' && known === undefined) report('layer', `must be one of ${LAYER_NAMES.join(', ')}`);
      if (address !== '' && !isController(address)) report('address', `must be ${CONTROLLER_RULE}`);
      const credentials = this.#text(fields, path, 'credentials', false);
      const server = this.#text(fields, path, 'server', false);
      return [{ name, layer: known ?? 'infrastructure', address, credentials, server }];
    });
  }

  #mapping(
    node: Parameters<YamlSource['entries']>[0],
    path: string,
    known: readonly string[],
  ): Entries | undefined {
    const entries = this.#source.entries(node, path, `a mapping with ${known.join(', ')}`);
    for (const [key, { key: keyNode }] of entries ?? []) {
      if (known.includes(key)) continue;
      const near = nearest(key, known);
      const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`;
      this.#source.report(keyNode, path === '' ? key : `${path}.${key}`, `no such field; ${hint}`);
    }
    return entries;
  }

  #text(
    fields: Entries | undefined,
    path: string,
    field: string,
    required: boolean,
    around?: Parameters<YamlSource['entries']>[0],
  ): string | undefined {
    const where = path === '' ? field : `${path}.${field}`;
    const entry = fields?.get(field);
    if (!entry) {
      if (required) this.#source.report(around, where, 'missing');
      return undefined;
    }
    const scalar = this.#source.scalar(entry.value ?? entry.key, where, 'a text');
    if (!scalar) return undefined;
    if (entry.value && typeof scalar.value === 'string' && scalar.value !== '') return scalar.value;
    this.#source.report(entry.value ?? entry.key, where, 'expected a text, and not an empty one');
    return undefined;
  }
}

/** All or nothing for whoever reads it at any time; for its owner's eyes only. */
export async function writeContexts({ file, current, contexts }: Contexts): Promise<void> {
  const { stringify } = await import('yaml');
  const text = stringify({ ...(current === undefined ? {} : { current }), contexts }, { lineWidth: 0 });
  const path = target(file);
  const folder = dirname(path);
  const fresh = join(folder, `.contexts.${process.pid}.new`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    rmSync(fresh, { force: true });
    const descriptor = openSync(fresh, 'wx', 0o600);
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    chmodSync(fresh, 0o600); // whatever the umask
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw new CommandError(`${file} cannot be written: ${(error as Error).message}`);
  }
}

/** A link stays one. */
function target(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
