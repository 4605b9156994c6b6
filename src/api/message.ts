/**
 * Encoding and decoding of plain messages. Generated instances never leave this file: their defaults sit on prototypes,
 * where a spread loses them, their 64-bit fields are sometimes a number and sometimes an object, and their encoder writes a
 * bigint as 0 and a wrong type as something else.
 */
import {
  type Field,
  type FieldType,
  type GeneratedMessage,
  type MessageSchema,
  messageSchema,
  type MethodSchema,
  type ServiceSchema,
  serviceSchema,
} from './schema.js';
import { type Draft, type Long, type Message, type MethodKey } from './shape.js';

export {
  type Draft,
  type Message,
  type MethodKey,
  type RequestOf,
  type ResponseOf,
  type StreamsOf,
} from './shape.js';

/** A value that its field cannot carry: a mistake of the program, not of its user. */
export class MessageError extends TypeError {
  override readonly name = 'MessageError';
  /** In the message, e.g. `resources[3].vif.mtu`. */
  readonly field: string;

  constructor(field: string, problem: string) {
    super(field === '' ? problem : `${field}: ${problem}`);
    this.field = field;
  }
}

type Plain = Record<string, unknown>;

const LONE_SURROGATE = /\p{Surrogate}/u;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return String(value);
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return value instanceof Uint8Array ? 'bytes' : `an ${typeof value}`;
}

function integer(type: FieldType & { kind: 'integer' }, value: unknown, field: string): unknown {
  if (typeof value === 'number' ? !Number.isSafeInteger(value) : typeof value !== 'bigint') {
    throw new MessageError(field, `${describe(value)} is no integer; give a bigint or a safe whole number`);
  }
  const exact = BigInt(value as number | bigint);
  if (exact < type.min || exact > type.max) {
    throw new MessageError(field, `${describe(value)} is not within ${type.min} to ${type.max}`);
  }
  if (exact <= SAFE && exact >= -SAFE) return Number(exact);
  return {
    low: Number(BigInt.asIntN(32, exact)),
    high: Number(BigInt.asIntN(32, exact >> 32n)),
    unsigned: type.min === 0n,
  };
}

function scalarIn(type: FieldType, value: unknown, field: string): unknown {
  switch (type.kind) {
    case 'string':
      if (typeof value !== 'string') throw new MessageError(field, `${describe(value)} is no string`);
      if (LONE_SURROGATE.test(value)) throw new MessageError(field, 'half of a UTF-16 pair stands alone');
      return value;
    case 'bool':
      if (typeof value !== 'boolean') throw new MessageError(field, `${describe(value)} is no boolean`);
      return value;
    case 'bytes':
      if (!(value instanceof Uint8Array))
        throw new MessageError(field, `${describe(value)} is no Uint8Array`);
      return value;
    case 'float':
      if (typeof value !== 'number') throw new MessageError(field, `${describe(value)} is no number`);
      return value;
    case 'enum':
      if (typeof value !== 'number' || !type.enumeration.names.has(value)) {
        throw new MessageError(field, `${describe(value)} is no value of ${type.enumeration.name}`);
      }
      return value;
    case 'integer':
      return integer(type, value, field);
    case 'message':
      return instanceOf(type.message, value, field);
  }
}

/** Checks a draft and turns it into what the generated encoder expects. */
function instanceOf(schema: MessageSchema, value: unknown, where: string): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MessageError(where, `${describe(value)} is no ${schema.name}`);
  }
  const draft = value as Plain;
  const instance = new schema.generated() as Plain;
  for (const key of Object.keys(draft)) {
    const given = draft[key];
    if (given === undefined) continue;
    const field = schema.byName.get(key);
    const path = where === '' ? key : `${where}.${key}`;
    if (!field) {
      checkDiscriminator(schema, draft, key, path);
    } else if (field.repeated) {
      if (!Array.isArray(given)) throw new MessageError(path, `${describe(given)} is no list`);
      instance[key] = given.map((element, index) => scalarIn(field.type, element, `${path}[${index}]`));
    } else {
      checkAlone(schema, draft, field, path);
      instance[key] = scalarIn(field.type, given, path);
    }
  }
  return instance;
}

function checkDiscriminator(schema: MessageSchema, draft: Plain, key: string, path: string): void {
  const members = schema.oneofs.get(key);
  if (!members) throw new MessageError(path, `${schema.name} has no field ${key}`);
  const member = draft[key];
  if (typeof member !== 'string' || !members.includes(member) || draft[member] === undefined) {
    throw new MessageError(path, `says ${describe(member)}, which is not the member given`);
  }
}

function checkAlone(schema: MessageSchema, draft: Plain, field: Field, path: string): void {
  if (field.oneof === undefined) return;
  for (const member of schema.oneofs.get(field.oneof) ?? []) {
    if (member !== field.name && draft[member] !== undefined) {
      throw new MessageError(path, `${field.name} and ${member} are both given; ${field.oneof} takes one`);
    }
  }
}

function wide(value: unknown, signed: boolean): bigint {
  if (typeof value === 'number') return BigInt(value);
  const { low, high } = value as Long;
  if (high === 0) return BigInt(low >>> 0);
  const bits = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  return signed ? BigInt.asIntN(64, bits) : bits;
}

function scalarOut(type: FieldType, value: unknown): unknown {
  if (type.kind === 'message') return plain(type.message, value as Plain);
  if (type.kind === 'integer' && type.bits === 64) return wide(value, type.min < 0n);
  return value;
}

/** Takes a decoded instance apart into a complete plain object. */
function plain(schema: MessageSchema, instance: Plain): Plain {
  const out: Plain = {};
  for (const field of schema.fields) {
    const value = instance[field.name];
    if (field.repeated) {
      const list = value as readonly unknown[];
      const direct =
        field.type.kind !== 'message' && !(field.type.kind === 'integer' && field.type.bits === 64);
      out[field.name] = direct ? [...list] : list.map((element) => scalarOut(field.type, element));
    } else if (field.oneof !== undefined) {
      if (value === null || value === undefined || instance[field.oneof] !== field.name) continue;
      out[field.oneof] = field.name;
      out[field.name] = scalarOut(field.type, value);
    } else if (value !== null && value !== undefined) {
      out[field.name] = scalarOut(field.type, value);
    }
  }
  return out;
}

/** A type of message at run time: its codec and its reflection. */
export class MessageType<P> {
  readonly name: string;
  readonly schema: MessageSchema;

  constructor(schema: MessageSchema) {
    this.name = schema.name;
    this.schema = schema;
  }

  /** Throws MessageError for what TypeScript could not check: ranges, unknown fields, two members of a oneof. */
  encode(draft: Draft<P>): Buffer {
    const { generated } = this.schema;
    const bytes = generated.encode(instanceOf(this.schema, draft, '')).finish();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /**
   * Throws what the decoder throws for bytes that are no such message. Fields that this version does not know are
   * ignored; `bytes` fields are views of the input.
   */
  decode(bytes: Uint8Array): Message<P> {
    return plain(this.schema, this.schema.generated.decode(bytes) as Plain) as unknown as Message<P>;
  }

  /** The same, checked as `encode` does, with every default filled in. */
  complete(draft: Draft<P>): Message<P> {
    return plain(this.schema, instanceOf(this.schema, draft, '') as Plain) as unknown as Message<P>;
  }
}

const types = new Map<MessageSchema, MessageType<unknown>>();

function typeOfSchema<P>(schema: MessageSchema): MessageType<P> {
  let type = types.get(schema);
  if (!type) types.set(schema, (type = new MessageType<unknown>(schema)));
  return type as unknown as MessageType<P>;
}

/** `messageType(cabernet.node.v1.Vif)` */
export function messageType<
  C extends Pick<GeneratedMessage, 'getTypeUrl'> & (abstract new (...args: never[]) => object),
>(generated: C): MessageType<InstanceType<C>> {
  return typeOfSchema(messageSchema(generated.getTypeUrl('').replace(/^\//, '')));
}

/** A method at run time. */
export interface MethodType {
  readonly schema: MethodSchema;
  readonly request: MessageType<unknown>;
  readonly response: MessageType<unknown>;
}

/** A service at run time. S is the generated class, for types only. */
export interface ServiceType<S> {
  readonly schema: ServiceSchema;
  readonly methods: ReadonlyMap<MethodKey<S>, MethodType>;
}

/** `serviceType(cabernet.node.v1.NodeService)` */
export function serviceType<S extends object>(
  generated: abstract new (...args: never[]) => S,
): ServiceType<S> {
  const prototype = generated.prototype as Readonly<Record<string, unknown>>;
  for (const key of Object.getOwnPropertyNames(prototype)) {
    const path = (prototype[key] as { readonly path?: unknown }).path;
    if (typeof path !== 'string') continue;
    const schema = serviceSchema(path.split('/')[1] ?? '');
    const methods = schema.methods.map((method): [MethodKey<S>, MethodType] => [
      method.key as MethodKey<S>,
      { schema: method, request: typeOfSchema(method.request), response: typeOfSchema(method.response) },
    ]);
    return { schema, methods: new Map(methods) };
  }
  throw new TypeError('the class given is no generated service with methods');
}
