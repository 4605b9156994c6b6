/**
 * Collections and resources as people call them: `virtualnodes` is `customers/-/virtualNodes`, `machine/P` is
 * `machines/P`, `virtualnode/conn/P` is `customers/conn/virtualNodes/P`.
 */
import { nearest } from '../../api/spelling.js';
import { UsageError } from '../report.js';
import { type Layer, type ResourceKind } from './layer.js';

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

export interface Collection {
  readonly kind: ResourceKind;
  /** As the server wants it: `customers/-/virtualNodes`. */
  readonly text: string;
}

export interface Named {
  readonly kind: ResourceKind;
  readonly name: string;
}

const plain = (word: string): string => word.toLowerCase().replace(/[_-]/g, '');

/** `machines` is also `machine`, `Machine`; `customers` of a longer name `customer`. */
function means(segment: string, word: string): boolean {
  const [wanted, given] = [plain(segment), plain(word)];
  return given === wanted || given === wanted.replace(/s$/, '') || `${wanted}s` === given;
}

export function isSingle(kind: ResourceKind): boolean {
  return !kind.collection.includes('/') && kind.collection === kind.kind;
}

/** The collection's own word: `virtualNodes`. */
export function wordOf(kind: ResourceKind): string {
  return kind.collection.slice(kind.collection.lastIndexOf('/') + 1);
}

function fits(pattern: readonly string[], parts: readonly string[], anyId: boolean): boolean {
  return (
    pattern.length === parts.length &&
    pattern.every((segment, i) => {
      const part = parts[i] ?? '';
      return segment === '+' ? ID.test(part) || (anyId && part === '-') : means(segment, part);
    })
  );
}

const fill = (pattern: readonly string[], ids: readonly string[]): string => {
  let i = 0;
  return pattern.map((segment) => (segment === '+' ? (ids[i++] ?? '-') : segment)).join('/');
};

const idsOf = (parts: readonly string[]): readonly string[] => parts.filter((_, i) => i % 2 === 1);

/** Undefined: no collection of this API. */
export function findCollection(layer: Layer, text: string): Collection | undefined {
  const parts = text.split('/');
  for (const kind of layer.kinds) {
    const pattern = kind.collection.split('/');
    if (fits(pattern, parts, true)) return { kind, text: fill(pattern, idsOf(parts)) };
    if (parts.length === 1 && means(wordOf(kind), text)) return { kind, text: fill(pattern, []) };
  }
  return undefined;
}

/** Undefined: it names no resource of this API. */
export function findName(layer: Layer, text: string): Named | undefined {
  const parts = text.split('/');
  for (const kind of layer.kinds) {
    const single = isSingle(kind);
    const pattern = single ? [kind.collection] : [...kind.collection.split('/'), '+'];
    if (fits(pattern, parts, false)) return { kind, name: fill(pattern, idsOf(parts)) };
    const [word = '', ...ids] = parts;
    const wanted = pattern.filter((segment) => segment === '+').length;
    if (!single && means(wordOf(kind), word) && ids.length === wanted && ids.every((id) => ID.test(id)))
      return { kind, name: fill(pattern, ids) };
  }
  return undefined;
}

export function nameOf(layer: Layer, text: string): Named {
  const found = findName(layer, text);
  if (found) return found;
  const collection = findCollection(layer, text);
  if (collection) {
    const shape = isSingle(collection.kind) ? collection.kind.collection : `${collection.text}/ID`;
    throw new UsageError(`${text} is a collection; name one of it: ${shape.replaceAll('/-/', '/ID/')}.`);
  }
  throw new UsageError(
    `${text} is no resource of ${article(layer.name)} provider; a name is like ${examples(layer)}.`,
  );
}

export function collectionOf(layer: Layer, text: string): Collection {
  const found = findCollection(layer, text);
  if (found) return found;
  throw new UsageError(noCollection(layer, text));
}

export function noCollection(layer: Layer, text: string): string {
  const known = collectionWords(layer);
  const near = nearest(text, known);
  const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`;
  return `${text} is no collection of ${article(layer.name)} provider; ${hint}`;
}

/** `machines`, `virtualNodes`, … */
export function collectionWords(layer: Layer): readonly string[] {
  return layer.kinds.map(wordOf);
}

function examples(layer: Layer): string {
  return layer.kinds
    .filter((kind) => !isSingle(kind))
    .map((kind) => `${kind.collection.replaceAll('+', 'ID')}/ID`)
    .join(', ');
}

export const article = (name: string): string => (/^[aeiou]/.test(name) ? `an ${name}` : `a ${name}`);

/**
 * A name behind a collection: `P` or `machines/P` of `machines`; `conn/P` of `customers/-/virtualNodes`. A function where only
 * the last id is said and there may be several.
 */
export function nameIn(
  layer: Layer,
  collection: Collection,
  text: string,
): string | ((name: string) => boolean) {
  const full = findName(layer, text);
  if (full?.kind === collection.kind) return full.name;
  const ids = text.split('/');
  if (ids.every((id) => ID.test(id)) && !isSingle(collection.kind)) {
    const open = collection.text.split('/').filter((part) => part === '-').length;
    if (ids.length === open + 1) {
      let i = 0;
      const parent = collection.text
        .split('/')
        .map((part) => (part === '-' ? (ids[i++] ?? '') : part))
        .join('/');
      return `${parent}/${ids.at(-1) ?? ''}`;
    }
    if (ids.length === 1) return (name) => name.endsWith(`/${text}`);
  }
  throw new UsageError(`${text} is no name in ${collection.text}.`);
}
