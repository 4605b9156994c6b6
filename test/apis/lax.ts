/** An encoder that lets everything pass: what is wrong is to be found by the other side. */
import { type FieldType, type MessageSchema } from '../../src/api/schema.js';

/** Bytes that stand for a whole value of a string or message. */
export class Raw {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

export type Loose = Readonly<Record<string, unknown>>;

function varint(value: bigint): Buffer {
  if (value >= 0n && value < 128n) return Buffer.of(Number(value));
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

function delimited(number: number, bytes: Uint8Array): Buffer {
  if (number >= 16 || bytes.length >= 128)
    return Buffer.concat([varint(BigInt(number << 3) | 2n), varint(BigInt(bytes.length)), bytes]);
  // of which there may be a hundred thousand
  const short = Buffer.allocUnsafe(2 + bytes.length);
  short[0] = (number << 3) | 2;
  short[1] = bytes.length;
  short.set(bytes, 2);
  return short;
}

function one(number: number, type: FieldType, value: unknown): Buffer {
  if (value instanceof Raw) return delimited(number, value.bytes);
  switch (type.kind) {
    case 'string':
      return delimited(number, Buffer.from(value as string, 'utf8'));
    case 'bytes':
      return delimited(number, value as Uint8Array);
    case 'message':
      return delimited(number, lax(type.message, value as Loose));
    case 'bool':
    case 'enum':
    case 'integer':
      return Buffer.concat([varint(BigInt(number << 3)), varint(BigInt(value as number | bigint | boolean))]);
    case 'float':
      throw new Error('no field of this API is a float');
  }
}

/** `value` by names of TypeScript, as {@link Raw} where it says so. */
export function lax(schema: MessageSchema, value: Loose): Buffer {
  const parts = Object.entries(value).flatMap(([key, given]) => {
    const field = schema.byName.get(key);
    if (!field) throw new Error(`${schema.name} has no field ${key}`);
    if (given === undefined) return [];
    const values: readonly unknown[] = Array.isArray(given) ? given : [given];
    // the same a hundred thousand times is encoded once
    let last: { readonly value: unknown; readonly bytes: Buffer } | undefined;
    return values.map((value) => {
      if (value !== last?.value || !last) last = { value, bytes: one(field.number, field.type, value) };
      return last.bytes;
    });
  });
  return Buffer.concat(parts);
}
