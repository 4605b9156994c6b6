/**
 * Manifests: the ProtoJSON of a message, as YAML or JSON text. Reading is strict, against the descriptor: an unknown field, a
 * wrong type, a number out of range, an unknown enum name, two members of a oneof, a key twice or left empty are problems
 * with file, line, column and path. Both spellings of a field are read (`nextHops`, `next_hops`), the first is written.
 */
import { readFile } from 'node:fs/promises';

import { type Node, type Scalar, stringify } from 'yaml';

import { type Draft, type Message, type MessageType } from './message.js';
import { type EnumSchema, type Field, type FieldType, type MessageSchema } from './schema.js';
import { nearest } from './spelling.js';
import { describe, join, ManifestError, type Place, YamlSource } from './yaml-source.js';

export { ManifestError, type Place, type Problem } from './yaml-source.js';

export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

export interface Manifest<P> {
  readonly value: Message<P>;
  readonly file: string;
  /** Where `networks[1].links[0].mtu` stands in the file, or the nearest thing around it. */
  locate(path: string): Place;
  /** A problem found later, told as the reader tells its own. */
  problem(path: string, message: string): ManifestError;
}

// ---------------------------------------------------------------- reading

/** `; did you mean X?` or what there is. */
function suggestion(given: string, known: readonly string[]): string {
  const near = nearest(given, known);
  if (near !== undefined) return `; did you mean ${near}?`;
  return known.length === 0 ? '; it has none' : `; it has ${known.join(', ')}`;
}

function shortName(fullName: string): string {
  return fullName.slice(fullName.lastIndexOf('.') + 1);
}

class Reader {
  readonly #source: YamlSource;

  constructor(source: YamlSource) {
    this.#source = source;
  }

  message(schema: MessageSchema, node: Node | undefined, path: string): Record<string, unknown> {
    const draft: Record<string, unknown> = {};
    const entries = this.#source.entries(
      node,
      path,
      `a mapping with the fields of ${shortName(schema.name)}`,
    );
    if (!entries) return draft;
    for (const [key, { key: keyNode, value }] of entries) {
      const field = fieldCalled(schema, key);
      const here = join(path, field?.name ?? key);
      if (!field) {
        const known = schema.fields.map((known) => known.name);
        this.#source.report(
          keyNode,
          here,
          `${shortName(schema.name)} has no field ${key}${suggestion(key, known)}`,
        );
      } else if (Object.hasOwn(draft, field.name)) {
        this.#source.report(keyNode, here, `given a second time, as ${field.name} and ${field.protoName}`);
      } else if (this.#isAlone(schema, field, draft, keyNode, here)) {
        draft[field.name] = this.#field(field, value ?? keyNode, value, here);
      }
    }
    return draft;
  }

  #isAlone(
    schema: MessageSchema,
    field: Field,
    draft: Record<string, unknown>,
    node: Node,
    path: string,
  ): boolean {
    const members = field.oneof === undefined ? [] : (schema.oneofs.get(field.oneof) ?? []);
    const other = members.find((member) => Object.hasOwn(draft, member));
    if (other === undefined) return true;
    this.#source.report(node, path, `${other} is given too; give one of ${members.join(', ')}`);
    return false;
  }

  #field(field: Field, place: Node, node: Node | undefined, path: string): unknown {
    if (node === undefined || (isEmpty(node) && !field.repeated)) {
      this.#source.report(
        place,
        path,
        `empty; leave ${field.name} out, or give it ${expectation(field.type)}`,
      );
      return undefined;
    }
    if (!field.repeated) return this.#value(field.type, node, path);
    const items = this.#source.list(node, path, `a list, each element ${expectation(field.type)}`);
    return items?.map((item, index) => this.#value(field.type, item, `${path}[${index}]`)) ?? [];
  }

  #value(type: FieldType, node: Node, path: string): unknown {
    if (type.kind === 'message') return this.message(type.message, node, path);
    const scalar = this.#source.scalar(node, path, expectation(type));
    return scalar && this.#scalar(type, scalar, path);
  }

  #scalar(type: Exclude<FieldType, { kind: 'message' }>, node: Scalar, path: string): unknown {
    const { value } = node;
    switch (type.kind) {
      case 'string':
        if (typeof value === 'string') return this.#text(value, node, path);
        return this.#wrong(type, node, path, `; write ${JSON.stringify(node.source ?? String(value))}`);
      case 'bool':
        return typeof value === 'boolean' ? value : this.#wrong(type, node, path);
      case 'bytes':
        return this.#bytes(type, node, path);
      case 'float':
        if (typeof value === 'number' || typeof value === 'bigint') return Number(value);
        if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
        return this.#wrong(type, node, path);
      case 'enum':
        return this.#enumValue(type.enumeration, node, path);
      case 'integer':
        return this.#integer(type, node, path);
    }
  }

  #wrong(type: FieldType, node: Scalar, path: string, hint = ''): undefined {
    this.#source.report(node, path, `expected ${expectation(type)}, but this is ${describe(node)}${hint}`);
    return undefined;
  }

  #text(value: string, node: Scalar, path: string): string | undefined {
    if (!/\p{Surrogate}/u.test(value)) return value;
    this.#source.report(node, path, 'half of a UTF-16 pair stands alone; write the whole character');
    return undefined;
  }

  // ProtoJSON: any integer may be a number or a decimal string, as JSON's numbers are exact to 53 bits only.
  #integer(type: FieldType & { kind: 'integer' }, node: Scalar, path: string): bigint | undefined {
    const { value } = node;
    let exact: bigint;
    if (typeof value === 'bigint') exact = value;
    else if (typeof value === 'string' && /^-?(0|[1-9][0-9]{0,19})$/.test(value)) exact = BigInt(value);
    else return this.#wrong(type, node, path);
    if (exact >= type.min && exact <= type.max) return exact;
    return this.#wrong(type, node, path);
  }

  #bytes(type: FieldType, node: Scalar, path: string): Uint8Array | undefined {
    const { value } = node;
    // Standard or URL-safe alphabet, padded or not.
    if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value))
      return this.#wrong(type, node, path);
    const digits = value.replace(/=+$/, '').replace(/-/g, '+').replace(/_/g, '/');
    const padding = value.length - digits.length;
    const bytes = Buffer.from(digits, 'base64');
    if ((padding > 0 && value.length % 4 !== 0) || bytes.toString('base64').replace(/=+$/, '') !== digits) {
      return this.#wrong(type, node, path);
    }
    return bytes;
  }

  #enumValue(enumeration: EnumSchema, node: Scalar, path: string): number | undefined {
    const { value } = node;
    if (typeof value === 'bigint' && enumeration.names.has(Number(value))) return Number(value);
    const known = typeof value === 'string' ? enumeration.numbers.get(value) : undefined;
    if (known !== undefined) return known;
    const names = [...enumeration.numbers.keys()];
    const hint = suggestion(typeof value === 'string' ? value : '', names);
    this.#source.report(node, path, `${describe(node)} is no ${shortName(enumeration.name)}${hint}`);
    return undefined;
  }
}

function isEmpty(node: Node): boolean {
  return 'value' in node && node.value === null && node.tag === undefined;
}

function fieldCalled(schema: MessageSchema, key: string): Field | undefined {
  return schema.byName.get(key) ?? schema.fields.find((field) => field.protoName === key);
}

function expectation(type: FieldType): string {
  switch (type.kind) {
    case 'string':
      return 'a text';
    case 'bool':
      return 'true or false';
    case 'bytes':
      return 'bytes in base64';
    case 'float':
      return 'a number';
    case 'integer':
      return `a whole number from ${type.min} to ${type.max}`;
    case 'enum':
      return `one of ${[...type.enumeration.numbers.keys()].join(', ')}`;
    case 'message':
      return `a mapping with the fields of ${shortName(type.message.name)}`;
  }
}

/**
 * The message at a node of a larger document, as a draft whose 64-bit numbers are exact; problems are noted in `source`,
 * under `path`.
 */
export function readMessage(
  source: YamlSource,
  schema: MessageSchema,
  node: Node | undefined,
  path: string,
): Record<string, unknown> {
  return new Reader(source).message(schema, node, path);
}

/** Names of a path are ProtoJSON's or the .proto's; a file may use either. */
export function spellings(name: string): readonly string[] {
  const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return [name, camel, snake];
}

/**
 * Reads one message. `file` is for the problems only.
 * @throws ManifestError
 */
export function parseManifest<P>(type: MessageType<P>, text: string, file: string): Manifest<P> {
  const source = new YamlSource(text, file);
  const reader = new Reader(source);
  const draft = source.read((root) => reader.message(type.schema, root, ''));
  const locate = (path: string): Place => source.locate(path, spellings);
  return {
    value: type.complete(draft as unknown as Draft<P>),
    file,
    locate,
    problem: (path, message) => new ManifestError([{ file, ...locate(path), path, message }]),
  };
}

/**
 * The same from a file in UTF-8.
 * @throws ManifestError, and what the file system throws
 */
export async function readManifest<P>(type: MessageType<P>, file: string): Promise<Manifest<P>> {
  const bytes = await readFile(file);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ManifestError([{ file, line: 1, column: 1, path: '', message: 'the file is not UTF-8 text' }]);
  }
  return parseManifest(type, text, file);
}

// ---------------------------------------------------------------- writing

type Fields = Readonly<Record<string, unknown>>;

function jsonValue(type: FieldType, value: unknown, defaults: boolean): JsonValue {
  switch (type.kind) {
    case 'message':
      return jsonMessage(type.message, value as Fields, defaults);
    case 'integer':
      return type.bits === 64 ? String(value) : (value as number);
    case 'float':
      return Number.isFinite(value) ? (value as number) : String(value);
    case 'bytes':
      return Buffer.from(value as Uint8Array).toString('base64');
    case 'enum':
      return type.enumeration.names.get(value as number) ?? (value as number);
    case 'string':
    case 'bool':
      return value as string | boolean;
  }
}

function isDefault(field: Field, value: unknown): boolean {
  if (field.repeated) return (value as readonly unknown[]).length === 0;
  if (field.oneof !== undefined || field.type.kind === 'message') return false;
  if (field.type.kind === 'bytes') return (value as Uint8Array).length === 0;
  return value === '' || value === 0 || value === 0n || value === false;
}

function jsonMessage(schema: MessageSchema, value: Fields, defaults: boolean): JsonObject {
  const object: JsonObject = {};
  for (const field of schema.fields) {
    const given = value[field.name];
    if (given === undefined || (!defaults && isDefault(field, given))) continue;
    object[field.name] = field.repeated
      ? (given as readonly unknown[]).map((item) => jsonValue(field.type, item, defaults))
      : jsonValue(field.type, given, defaults);
  }
  return object;
}

export interface JsonOptions {
  /** Write fields that have their default value, too. Default: false. */
  readonly defaults?: boolean;
}

/**
 * ProtoJSON: lowerCamelCase, enum names, 64-bit numbers as strings, bytes in base64.
 * @throws MessageError if the draft holds what its fields cannot carry
 */
export function toJson<P>(type: MessageType<P>, draft: Draft<P>, options: JsonOptions = {}): JsonObject {
  return jsonMessage(type.schema, type.complete(draft), options.defaults === true);
}

/** `toJson` as YAML text that `parseManifest` reads back to the same message. */
export function formatManifest<P>(type: MessageType<P>, draft: Draft<P>, options: JsonOptions = {}): string {
  return stringify(toJson(type, draft, options), {
    aliasDuplicateObjects: false,
    lineWidth: 0,
    schema: 'core',
    version: '1.2',
  });
}
