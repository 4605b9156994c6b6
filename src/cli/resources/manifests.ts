/**
 * Manifests of resources: files of one or more YAML documents, each `{context?: NAME, resources: […]}` or one resource,
 * in the ProtoJSON of the layer's API. Everything is read and checked before anything is sent.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { readMessage, spellings } from '../../api/manifest.js';
import {
  type Entries,
  ManifestError,
  type Place,
  type Problem,
  yamlDocuments,
  type YamlSource,
} from '../../api/yaml-source.js';
import { readContexts } from '../contexts/file.js';
import { chooseTarget, findContext, noContext, type Target, type TargetFlags } from '../contexts/choose.js';
import { isPrintable } from '../printable.js';
import { CommandError, UsageError } from '../report.js';
import { readTextFile } from '../text-file.js';
import { type AnyResource, bodyOf, type Layer, LAYERS } from './layer.js';

/** One resource of a file. */
export interface Given {
  readonly resource: AnyResource;
  readonly name: string;
  readonly file: string;
  /** In its document: `resources[3]`; empty: it is the document. */
  readonly path: string;
  /** Of a field of it: `wire.a`. */
  readonly locate: (field: string) => Place;
}

/** What goes to one controller, in the order of the files. */
export interface Group {
  readonly target: Target;
  readonly given: Given[];
}

const ENDINGS = /\.(ya?ml|json)$/;

/** Files of folders too, by name; `-` stays. */
function filesOf(paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => {
    if (path === '-' || !isFolder(path)) return [path];
    const files = readdirSync(path)
      .filter((name) => ENDINGS.test(name))
      .toSorted()
      .map((name) => join(path, name));
    if (files.length === 0) throw new CommandError(`in ${path} is no file that ends in .yaml, .yml or .json`);
    return files;
  });
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // told when it is read
  }
}

/** @throws ManifestError, CommandError, UsageError */
export function readResources(paths: readonly string[], flags: TargetFlags): readonly Group[] {
  if (paths.filter((path) => path === '-').length > 1) throw new UsageError('-f - is given twice');
  const reader = new Reader(flags);
  for (const path of filesOf(paths)) {
    const text = readTextFile(path, false) ?? '';
    const file = path === '-' ? '(standard input)' : path;
    const documents = yamlDocuments(text, file);
    if (documents.length === 0) reader.note(emptyFile(file));
    for (const source of documents) reader.document(source);
  }
  return reader.groups();
}

function emptyFile(file: string): ManifestError {
  return new ManifestError([{ file, line: 1, column: 1, path: '', message: 'the file has no resources' }]);
}

class Reader {
  readonly #flags: TargetFlags;
  readonly #problems: Problem[] = [];
  readonly #groups = new Map<string, Group>();
  readonly #seen = new Map<string, Given>();
  /** From the command line, or current; looked up when a document needs it. */
  #chosen: { readonly target: Target | undefined } | undefined;

  constructor(flags: TargetFlags) {
    this.#flags = flags;
  }

  groups(): readonly Group[] {
    if (this.#problems.length > 0) throw new ManifestError(this.#problems);
    return [...this.#groups.values()];
  }

  note(error: ManifestError): void {
    this.#problems.push(...error.problems);
  }

  document(source: YamlSource): void {
    try {
      const read = source.read((root) => this.#content(source, root));
      for (const given of read.given) this.#add(read.target, given);
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      this.note(error);
    }
  }

  #content(source: YamlSource, root: YamlSource['root']): { target: Target; given: readonly Given[] } {
    const expected = 'a mapping: `resources` with a list, or one resource';
    const entries = source.entries(root, '', expected);
    if (!entries) return { target: NOWHERE, given: [] };
    if (!entries.has('resources') && !entries.has('context')) {
      const target = this.#targetOf(source, undefined);
      return { target, given: this.#resource(source, LAYERS[target.layer], root, '') };
    }
    for (const [key, { key: node }] of entries) {
      if (key !== 'resources' && key !== 'context')
        source.report(node, key, 'a document has `context` and `resources`, or is one resource');
    }
    const target = this.#targetOf(source, entries.get('context'));
    if (target === NOWHERE) return { target, given: [] };
    const items = source.list(
      entries.get('resources')?.value ?? undefined,
      'resources',
      'a list of resources',
    );
    const layer = LAYERS[target.layer];
    const given = (items ?? []).flatMap((item, i) => this.#resource(source, layer, item, `resources[${i}]`));
    return { target, given };
  }

  #targetOf(source: YamlSource, said: ReturnType<Entries['get']>): Target {
    const { context, address } = this.#flags;
    if (said) {
      const scalar = source.scalar(said.value ?? said.key, 'context', 'the name of a context');
      const name = scalar?.value;
      if (!scalar || !said.value || typeof name !== 'string' || !isPrintable(name) || name === '') {
        if (scalar) source.report(said.value ?? said.key, 'context', 'expected the name of a context');
        return NOWHERE;
      }
      const other = address === undefined ? context : address;
      if (other !== undefined && other !== name) {
        const option = address === undefined ? '--context' : '--address';
        source.report(said.value, 'context', `the document is for ${name}, but ${option} says ${other}`);
        return NOWHERE;
      }
      const contexts = readContexts();
      const found = findContext(contexts, name, 'file');
      if (found) return found;
      source.report(said.value, 'context', noContext(contexts, name));
      return NOWHERE;
    }
    this.#chosen ??= { target: chooseTarget(this.#flags) };
    if (this.#chosen.target) return this.#chosen.target;
    source.report(
      source.root,
      '',
      'for which controller? give the document a `context`, or the command --context NAME or --address and --layer',
    );
    return NOWHERE;
  }

  #resource(source: YamlSource, layer: Layer, node: YamlSource['root'], path: string): readonly Given[] {
    const draft = readMessage(source, layer.type.schema, node, path);
    const [kind] = Object.keys(draft);
    if (kind === undefined) {
      const kinds = layer.kinds.map((one) => one.kind).join(', ');
      if (node && 'items' in node && node.items.length === 0)
        source.report(node, path, `empty; a resource is one of ${kinds}`);
      return [];
    }
    const body = draft[kind] as { readonly name?: unknown } | undefined;
    const name = body?.name;
    if (typeof name !== 'string' || name === '') {
      // anything else has been noted already
      if (body && (name === '' || !Object.hasOwn(body, 'name')))
        source.report(node, `${path === '' ? '' : `${path}.`}${kind}.name`, 'missing');
      return [];
    }
    const prefix = path === '' ? '' : `${path}.`;
    const locate = (field: string): Place => source.locate(`${prefix}${field}`, spellings);
    // completed when the document turned out to be right
    return [{ resource: draft, name, file: source.file, path, locate }];
  }

  #add(target: Target, given: Given): void {
    const key = target.context ?? target.address;
    const first = this.#seen.get(`${key} ${given.name}`);
    const [kind = ''] = Object.keys(given.resource);
    if (first) {
      const at = first.locate(`${Object.keys(first.resource).find((one) => one !== 'kind') ?? ''}.name`);
      this.note(
        problemOf(given, `${kind}.name`, `${given.name} is given already, at ${first.file}:${at.line}`),
      );
      return;
    }
    const resource = LAYERS[target.layer].type.complete(given.resource) as AnyResource;
    const whole: Given = { ...given, resource, name: bodyOf(resource).name };
    this.#seen.set(`${key} ${given.name}`, whole);
    const group = this.#groups.get(key);
    if (group) group.given.push(whole);
    else this.#groups.set(key, { target, given: [whole] });
  }
}

/** Of a document that has problems. */
const NOWHERE: Target = {
  layer: 'infrastructure',
  address: '',
  credentials: undefined,
  server: undefined,
  context: undefined,
  by: 'file',
};

/** A problem with a field of a resource, `wire.a`, told with its place in the file. */
export function problemOf(given: Given, field: string, message: string): ManifestError {
  const path = [given.path, field].filter((part) => part !== '').join('.');
  return new ManifestError([{ file: given.file, ...given.locate(field), path, message }]);
}
