// Global variables of an object: where they lie in their section, and their values as bytes.
import { plainType, sizeOfType, type Btf } from './btf.js';
import { BpfError } from './error.js';

export interface BtfVariable {
  readonly name: string;
  readonly type: number;
  /** `.rodata`, `.data`, `.bss` or one of their named kin. */
  readonly section: string;
  /** Bytes from the section's begin. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** The variable of this name in one of the sections chosen. */
export function findVariable(
  btf: Btf,
  name: string,
  inSection: (section: string) => boolean,
): BtfVariable | undefined {
  for (const section of btf.types) {
    if (section.kind !== 'datasec' || section.name === '.maps' || !inSection(section.name)) continue;
    for (const { type, offset } of section.variables) {
      const variable = btf.types[type];
      if (variable?.kind === 'var' && variable.name === name) {
        const size = sizeOfType(btf, variable.type);
        return { name, type: variable.type, section: section.name, offset, size };
      }
    }
  }
  return undefined;
}

/** A variable's value as the bytes a program will see. `ERR_SIZE` or `ERR_ARGUMENT` when it does not fit. */
export function encodeVariable(
  btf: Btf,
  variable: BtfVariable,
  value: number | bigint | boolean | Uint8Array,
  operation: string,
): Uint8Array {
  const wrong = (code: string, detail: string): BpfError =>
    new BpfError({ code, operation, subject: variable.name, detail });
  if (value instanceof Uint8Array) {
    if (value.length !== variable.size) {
      throw wrong('ERR_SIZE', `the variable has ${variable.size} bytes, the value ${value.length}`);
    }
    return value;
  }
  const { type } = plainType(btf, variable.type);
  if (type.kind !== 'int' && type.kind !== 'enum') throw wrong('ERR_ARGUMENT', 'the value must be bytes');
  if (typeof value !== 'bigint' && typeof value !== 'boolean' && !Number.isSafeInteger(value)) {
    throw wrong('ERR_ARGUMENT', 'the value must be an integer or bytes');
  }
  const bits = type.size * 8;
  const integer = BigInt(value);
  const low = type.signed ? -(1n << BigInt(bits - 1)) : 0n;
  const high = type.signed ? (1n << BigInt(bits - 1)) - 1n : (1n << BigInt(bits)) - 1n;
  if (integer < low || integer > high)
    throw wrong('ERR_ARGUMENT', `the value must lie between ${low} and ${high}`);
  const bytes = new Uint8Array(type.size);
  let rest = BigInt.asUintN(bits, integer);
  for (let i = 0; i < type.size; i++) {
    bytes[btf.littleEndian ? i : type.size - 1 - i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}
