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

/** How often each field of each message has come in one RPC's requests. */
export type Seen = Map<string, number>;

/** Where a field comes again, in another request of the RPC or beside itself, it has two of them, others each time. */
function stringsFor(times: number): typeof STRINGS {
  if (times === 0) return STRINGS;
  return STRINGS.filter(
    (_, i) => i === (2 * times) % STRINGS.length || i === (2 * times + 1) % STRINGS.length,
  );
}

function alone(
  field: Field,
  times: number,
): readonly (readonly [what: string, value: unknown, never: boolean])[] {
  const { type } = field;
  switch (type.kind) {
    case 'string':
      return stringsFor(times);
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

/**
 * `base`: where it is read from as it should be; what is not in it is empty. `ignored`: fields that nobody reads. `seen` is
 * of all requests of one RPC: what takes long comes once for each field, whatever the message with it is in.
 */
export function* hostile(
  schema: MessageSchema,
  base: Loose,
  ignored: (path: string) => boolean,
  seen: Seen,
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
    const key = `${schema.name}.${field.protoName}`;
    const times = seen.get(key) ?? 0;
    seen.set(key, times + 1);
    for (const [what, value, never] of alone(field, times))
      yield { field: path, what, never, body: put(value) };
    if (field.repeated && times === 0) {
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
    for (const inner of hostile(field.type.message, (first ?? {}) as Loose, ignored, seen, path))
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
