/** Values of enums that this version does not know: proto3 lets them pass a decoder, and nothing behind it can mean them. */
import { type EnumSchema, type Field, type MessageSchema } from './schema.js';

export interface UnknownValue {
  /** As in the .proto: `resources[3].link.kind`. */
  readonly field: string;
  readonly value: number;
  readonly enumeration: EnumSchema;
}

/** Fields with an enum in them, however deep; most messages have few, and long lists often none. */
const leading = new Map<MessageSchema, readonly Field[]>();

function fieldsToEnums(schema: MessageSchema): readonly Field[] {
  let found = leading.get(schema);
  if (!found) {
    leading.set(schema, []); // while it is looked at: messages may contain themselves
    found = schema.fields.filter(
      ({ type }) =>
        type.kind === 'enum' || (type.kind === 'message' && fieldsToEnums(type.message).length > 0),
    );
    leading.set(schema, found);
  }
  return found;
}

/** The first one in a message as it was decoded. */
export function findUnknownEnum(schema: MessageSchema, message: unknown): UnknownValue | undefined {
  for (const field of fieldsToEnums(schema)) {
    const given = (message as Readonly<Record<string, unknown>>)[field.name];
    if (given === undefined) continue;
    const values: readonly unknown[] = field.repeated ? (given as readonly unknown[]) : [given];
    for (const [i, value] of values.entries()) {
      const found = unknownIn(field, value);
      if (!found) continue;
      const here = field.repeated ? `${field.protoName}[${i}]` : field.protoName;
      return { ...found, field: found.field === '' ? here : `${here}.${found.field}` };
    }
  }
  return undefined;
}

function unknownIn({ type }: Field, value: unknown): UnknownValue | undefined {
  if (type.kind === 'message') return findUnknownEnum(type.message, value);
  if (type.kind !== 'enum' || type.enumeration.names.has(value as number)) return undefined;
  return { field: '', value: value as number, enumeration: type.enumeration };
}
