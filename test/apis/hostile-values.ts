/** Whatever a field could be given that it must not have, made from the descriptors: a field that is added is in it. */
import { type Field, type MessageSchema } from '../../src/api/schema.js';
import { type Loose, Raw } from './lax.js';

export interface Hostile {
  /** In the message: `virtual_nodes[0].term.expire_time`. */
  readonly field: string;
  readonly what: string;
  /** The message with it. */
  readonly body: Loose;
  /** Nobody could mean it: to be refused wherever it is read. */
  readonly never: boolean;
}

const MANY = 100_000;

const STRINGS: readonly (readonly [what: string, value: unknown, never: boolean])[] = [
  ['too long', 'a'.repeat(10_000), true],
  ['empty', '', false],
  ['NUL', 'a\0b', true],
  ['no UTF-8', new Raw(Buffer.of(0x61, 0xc3, 0x28)), true],
  ['slashes', 'a/b//c', false],
  ['climbing', '../../etc/passwd', false],
  ['unicode', 'ä💥\u202e', false],
];

function alone(field: Field): readonly (readonly [what: string, value: unknown, never: boolean])[] {
  const { type } = field;
  switch (type.kind) {
    case 'string':
      return STRINGS;
    case 'integer':
      return [['the largest', type.max, false]];
    case 'enum':
      return [
        ['unknown', 99, true],
        ['negative', -1, true],
      ];
    case 'message':
    case 'bool':
    case 'bytes':
    case 'float':
      return [];
  }
}

/** `base`: where it is read from as it should be; what is not in it is empty. `ignored`: fields that nobody reads. */
export function* hostile(
  schema: MessageSchema,
  base: Loose,
  ignored: (path: string) => boolean,
  at = '',
): Generator<Hostile> {
  for (const field of schema.fields) {
    const here = at === '' ? field.protoName : `${at}.${field.protoName}`;
    const path = field.repeated ? `${here}[0]` : here;
    // another member of a oneof: a request of its own has it
    if (field.oneof !== undefined && base[field.name] === undefined) continue;
    const given = base[field.name];
    const first: unknown = Array.isArray(given) ? given[0] : given;
    const rest: readonly unknown[] = Array.isArray(given) ? given.slice(1) : [];
    const put = (value: unknown): Loose => ({
      ...base,
      [field.name]: field.repeated ? [value, ...rest] : value,
    });
    if (ignored(here)) {
      yield { field: here, what: 'given', never: false, body: put(defaultOf(field)) };
      continue;
    }
    for (const [what, value, never] of alone(field)) yield { field: path, what, never, body: put(value) };
    if (field.repeated) {
      const value = field.type.kind === 'string' ? (first ?? 'x') : defaultOf(field);
      yield {
        field: here,
        what: 'a hundred thousand',
        never: true,
        // texts that differ: whoever looks for repetitions looks at all of them
        body: {
          ...base,
          [field.name]: Array.from({ length: MANY }, (_, i) =>
            typeof value === 'string' ? `${value}${i}` : value,
          ),
        },
      };
    }
    if (field.type.kind !== 'message') continue;
    if (given !== undefined)
      yield { field: here, what: 'absent', never: false, body: without(base, field.name) };
    for (const inner of hostile(field.type.message, (first ?? {}) as Loose, ignored, path))
      yield { ...inner, body: put(inner.body) };
  }
}

function without(base: Loose, name: string): Loose {
  return Object.fromEntries(Object.entries(base).filter(([key]) => key !== name));
}

function defaultOf({ type }: Field): unknown {
  if (type.kind === 'message') return {};
  return type.kind === 'string' ? 'x' : 1;
}
