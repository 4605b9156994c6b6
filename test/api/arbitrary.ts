/** Random messages of any type, made from the descriptor. */
import fc from 'fast-check';

import { type Draft, type MessageType } from '../../src/api/message.js';
import { type Field, type FieldType, type MessageSchema } from '../../src/api/schema.js';

function ofType(type: FieldType): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'string':
      return fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc.string({ unit: 'binary' }),
        fc.constantFrom(
          'yes',
          'null',
          '0x10',
          '1e3',
          '~',
          '- a',
          '# no',
          'a: b',
          ' a',
          '\n',
          '...',
          '---',
          '%YAML 1.1',
          '<<',
        ),
      );
    case 'bool':
      return fc.boolean();
    case 'bytes':
      return fc.uint8Array({ maxLength: 20 });
    case 'float':
      return fc.double();
    case 'integer': {
      const any = fc.bigInt({ min: type.min, max: type.max });
      const edge = fc.constantFrom(type.min, type.max, 0n);
      return fc.oneof(any, edge).map((value) => (type.bits === 32 ? Number(value) : value));
    }
    case 'enum':
      return fc.constantFrom(...type.enumeration.names.keys());
    case 'message':
      return ofSchema(type.message);
  }
}

function ofField(field: Field): fc.Arbitrary<unknown> {
  return field.repeated ? fc.array(ofType(field.type), { maxLength: 3 }) : ofType(field.type);
}

function ofSchema(schema: MessageSchema): fc.Arbitrary<Record<string, unknown>> {
  const own = schema.fields.filter((field) => field.oneof === undefined);
  const plain = fc.record(Object.fromEntries(own.map((field) => [field.name, ofField(field)])), {
    requiredKeys: [],
  });
  const oneofs = [...schema.oneofs].map(([, members]) =>
    fc.oneof(
      fc.constant({}),
      ...members.map((member) => ofField(schema.byName.get(member)!).map((value) => ({ [member]: value }))),
    ),
  );
  return fc.tuple(plain, ...oneofs).map((parts) => Object.assign({}, ...parts) as Record<string, unknown>);
}

export function draftOf<P>(type: MessageType<P>): fc.Arbitrary<Draft<P>> {
  return ofSchema(type.schema).map((draft) => draft as unknown as Draft<P>);
}
