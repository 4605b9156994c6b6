/**
 * The messages, enums and services of `proto/`, reflected from the descriptor that is generated beside the code. The
 * generated code is fast but lax (a wrong type becomes a zero); whoever must be strict asks here what a field is.
 */
import { readFileSync } from 'node:fs';

import { cabernet } from '../../gen/cabernet.js';

export type FieldType =
  | { readonly kind: 'string' }
  | { readonly kind: 'bool' }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'integer'; readonly bits: 32 | 64; readonly min: bigint; readonly max: bigint }
  | { readonly kind: 'float'; readonly bits: 32 | 64 }
  | { readonly kind: 'enum'; readonly enumeration: EnumSchema }
  | { readonly kind: 'message'; readonly message: MessageSchema };

export interface Field {
  /** As in TypeScript and ProtoJSON: `nextHops`. */
  readonly name: string;
  /** As in the .proto: `next_hops`. */
  readonly protoName: string;
  readonly number: number;
  readonly repeated: boolean;
  /** The oneof that the field belongs to. */
  readonly oneof: string | undefined;
  readonly type: FieldType;
}

export interface EnumSchema {
  readonly name: string;
  readonly numbers: ReadonlyMap<string, number>;
  readonly names: ReadonlyMap<number, string>;
}

/** A class of `gen/`, as far as this room uses it. */
export interface GeneratedMessage {
  new (): object;
  decode(bytes: Uint8Array): object;
  encode(message: object): { finish(): Uint8Array };
  getTypeUrl(prefix?: string): string;
}

export interface MessageSchema {
  /** `cabernet.node.v1.Vif` */
  readonly name: string;
  readonly fields: readonly Field[];
  /** By `name`; no inherited keys, so that `constructor` is no field. */
  readonly byName: ReadonlyMap<string, Field>;
  /** Name of the oneof to names of its fields. */
  readonly oneofs: ReadonlyMap<string, readonly string[]>;
  readonly generated: GeneratedMessage;
}

export interface MethodSchema {
  /** As in the .proto: `ListVifs`. */
  readonly name: string;
  /** As in TypeScript: `listVifs`. */
  readonly key: string;
  /** `/cabernet.node.v1.NodeService/ListVifs` */
  readonly path: string;
  readonly request: MessageSchema;
  readonly response: MessageSchema;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

export interface ServiceSchema {
  readonly name: string;
  readonly methods: readonly MethodSchema[];
}

/** What pbjs writes with `-t json`: a tree of namespaces, types, enums and services. */
interface DescriptorNode {
  readonly nested?: Readonly<Record<string, DescriptorNode>>;
  readonly fields?: Readonly<Record<string, DescriptorField>>;
  readonly oneofs?: Readonly<Record<string, { readonly oneof: readonly string[] }>>;
  readonly values?: Readonly<Record<string, number>>;
  readonly methods?: Readonly<Record<string, DescriptorMethod>>;
}

interface DescriptorField {
  readonly type: string;
  readonly id: number;
  readonly rule?: string;
  readonly protoName?: string;
  readonly keyType?: string;
}

interface DescriptorMethod {
  readonly requestType: string;
  readonly responseType: string;
  readonly requestStream?: boolean;
  readonly responseStream?: boolean;
}

const INT32: FieldType = { kind: 'integer', bits: 32, min: -(2n ** 31n), max: 2n ** 31n - 1n };
const UINT32: FieldType = { kind: 'integer', bits: 32, min: 0n, max: 2n ** 32n - 1n };
const INT64: FieldType = { kind: 'integer', bits: 64, min: -(2n ** 63n), max: 2n ** 63n - 1n };
const UINT64: FieldType = { kind: 'integer', bits: 64, min: 0n, max: 2n ** 64n - 1n };

const SCALARS: ReadonlyMap<string, FieldType> = new Map<string, FieldType>([
  ['string', { kind: 'string' }],
  ['bool', { kind: 'bool' }],
  ['bytes', { kind: 'bytes' }],
  ['float', { kind: 'float', bits: 32 }],
  ['double', { kind: 'float', bits: 64 }],
  ...['int32', 'sint32', 'sfixed32'].map((name): [string, FieldType] => [name, INT32]),
  ...['uint32', 'fixed32'].map((name): [string, FieldType] => [name, UINT32]),
  ...['int64', 'sint64', 'sfixed64'].map((name): [string, FieldType] => [name, INT64]),
  ...['uint64', 'fixed64'].map((name): [string, FieldType] => [name, UINT64]),
]);

const descriptor = JSON.parse(
  readFileSync(new URL('../../gen/cabernet.json', import.meta.url), 'utf8'),
) as DescriptorNode;

const messages = new Map<string, MessageSchema>();
const enums = new Map<string, EnumSchema>();
const services = new Map<string, ServiceSchema>();

function nodeAt(path: readonly string[]): DescriptorNode | undefined {
  let node: DescriptorNode | undefined = descriptor;
  for (const part of path) {
    if (!node?.nested || !Object.hasOwn(node.nested, part)) return undefined;
    node = node.nested[part];
  }
  return node;
}

/** A name as written in the .proto is looked for in its own scope, then in each one around it. */
function resolve(name: string, scope: readonly string[]): { path: readonly string[]; node: DescriptorNode } {
  const parts = name.replace(/^\./, '').split('.');
  for (let depth = name.startsWith('.') ? 0 : scope.length; depth >= 0; depth--) {
    const path = [...scope.slice(0, depth), ...parts];
    const node = nodeAt(path);
    if (node && (node.fields || node.values)) return { path, node };
  }
  throw new Error(
    `gen/cabernet.json names ${name} in ${scope.join('.')} but does not define it; generate it again`,
  );
}

function generatedClass(path: readonly string[]): GeneratedMessage {
  let value: unknown = { cabernet };
  for (const part of path) value = (value as Record<string, unknown> | undefined)?.[part];
  if (typeof value !== 'function') {
    throw new Error(
      `gen/cabernet.js lacks ${path.join('.')}, which gen/cabernet.json has; generate both again`,
    );
  }
  return value as unknown as GeneratedMessage;
}

function enumAt(path: readonly string[], values: Readonly<Record<string, number>>): EnumSchema {
  const name = path.join('.');
  const known = enums.get(name);
  if (known) return known;
  const entries = Object.entries(values);
  const schema: EnumSchema = {
    name,
    numbers: new Map(entries),
    // Reversed: of two names for one number the first is the name.
    names: new Map(entries.map(([key, value]): [number, string] => [value, key]).toReversed()),
  };
  enums.set(name, schema);
  return schema;
}

function fieldTypeOf(field: DescriptorField, scope: readonly string[]): FieldType {
  const scalar = SCALARS.get(field.type);
  if (scalar) return scalar;
  const { path, node } = resolve(field.type, scope);
  if (node.values) return { kind: 'enum', enumeration: enumAt(path, node.values) };
  return { kind: 'message', message: messageAt(path, node) };
}

function messageAt(path: readonly string[], node: DescriptorNode): MessageSchema {
  const name = path.join('.');
  const known = messages.get(name);
  if (known) return known;
  const oneofs = new Map(Object.entries(node.oneofs ?? {}).map(([key, value]) => [key, value.oneof]));
  const fields: Field[] = [];
  const byName = new Map<string, Field>();
  const schema: MessageSchema = { name, fields, byName, oneofs, generated: generatedClass(path) };
  messages.set(name, schema); // before its fields: messages may contain themselves
  for (const [key, field] of Object.entries(node.fields ?? {})) {
    if (field.keyType !== undefined) throw new Error(`${name}.${key}: map fields are not used in this API`);
    const oneof = [...oneofs].find(([, members]) => members.includes(key))?.[0];
    fields.push({
      name: key,
      protoName: field.protoName ?? key,
      number: field.id,
      repeated: field.rule === 'repeated',
      oneof,
      type: fieldTypeOf(field, path),
    });
  }
  for (const field of fields) byName.set(field.name, field);
  return schema;
}

/** Throws if the descriptor has no message of this full name. */
export function messageSchema(name: string): MessageSchema {
  const path = name.split('.');
  const node = nodeAt(path);
  if (!node?.fields) throw new Error(`gen/cabernet.json has no message ${name}`);
  return messageAt(path, node);
}

/** Throws if the descriptor has no service of this full name. */
export function serviceSchema(name: string): ServiceSchema {
  const known = services.get(name);
  if (known) return known;
  const path = name.split('.');
  const node = nodeAt(path);
  if (!node?.methods) throw new Error(`gen/cabernet.json has no service ${name}`);
  const scope = path.slice(0, -1);
  const messageNamed = (type: string): MessageSchema => {
    const found = resolve(type, scope);
    return messageAt(found.path, found.node);
  };
  const methods = Object.entries(node.methods).map(([key, method]): MethodSchema => ({
    name: key,
    key: key.charAt(0).toLowerCase() + key.slice(1),
    path: `/${name}/${key}`,
    request: messageNamed(method.requestType),
    response: messageNamed(method.responseType),
    requestStream: method.requestStream === true,
    responseStream: method.responseStream === true,
  }));
  const schema: ServiceSchema = { name, methods };
  services.set(name, schema);
  return schema;
}
