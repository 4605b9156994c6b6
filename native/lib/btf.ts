// BTF, the type information in BPF objects, as plain data (kernel documentation:
// Documentation/bpf/btf.rst). A type's id is its index in `types`; 0 is void.
import { BpfError } from './error.js';

export interface BtfMember {
  /** Empty for an anonymous struct or union. */
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** Width of a bit field, 0 for an ordinary member. */
  readonly bitWidth: number;
}

export interface BtfEnumerator {
  readonly name: string;
  readonly value: bigint;
}

export type BtfType =
  | { readonly kind: 'void' }
  | {
      readonly kind: 'int';
      readonly name: string;
      readonly size: number;
      readonly bits: number;
      readonly signed: boolean;
      readonly char: boolean;
      readonly bool: boolean;
    }
  | { readonly kind: 'float'; readonly name: string; readonly size: number }
  | { readonly kind: 'ptr' | 'volatile' | 'const' | 'restrict'; readonly type: number }
  | { readonly kind: 'typedef' | 'type_tag' | 'func'; readonly name: string; readonly type: number }
  | { readonly kind: 'array'; readonly type: number; readonly length: number }
  | {
      readonly kind: 'struct' | 'union';
      readonly name: string;
      readonly size: number;
      readonly members: readonly BtfMember[];
    }
  | {
      readonly kind: 'enum';
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly values: readonly BtfEnumerator[];
    }
  | { readonly kind: 'fwd'; readonly name: string; readonly union: boolean }
  | {
      readonly kind: 'func_proto';
      readonly type: number;
      readonly parameters: ReadonlyArray<{ readonly name: string; readonly type: number }>;
    }
  | { readonly kind: 'var'; readonly name: string; readonly type: number; readonly linkage: number }
  | {
      readonly kind: 'datasec';
      readonly name: string;
      readonly size: number;
      readonly variables: ReadonlyArray<{
        readonly type: number;
        readonly offset: number;
        readonly size: number;
      }>;
    }
  | { readonly kind: 'decl_tag'; readonly name: string; readonly type: number; readonly component: number };

export interface Btf {
  readonly littleEndian: boolean;
  readonly types: readonly BtfType[];
}

const MAGIC = 0xeb9f;

function broken(detail: string): BpfError {
  return new BpfError({ code: 'ERR_ARGUMENT', operation: 'btf.parse', detail });
}

/** Parses the content of a `.BTF` section. `ERR_ARGUMENT` when it is not well-formed. */
export function parseBtf(bytes: Uint8Array): Btf {
  try {
    return new Parser(bytes).parse();
  } catch (error) {
    if (error instanceof RangeError) throw broken('the type information is cut off');
    throw error;
  }
}

class Parser {
  readonly #view: DataView;
  readonly #little: boolean;
  #at = 0;
  #strings: Uint8Array = new Uint8Array();

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#little = bytes.length > 1 && this.#view.getUint16(0, true) === MAGIC;
    if (bytes.length < 24 || this.#view.getUint16(0, this.#little) !== MAGIC) throw broken('this is not BTF');
  }

  parse(): Btf {
    const headerLength = this.#view.getUint32(4, this.#little);
    const typesAt = headerLength + this.#view.getUint32(8, this.#little);
    const typesEnd = typesAt + this.#view.getUint32(12, this.#little);
    const stringsAt = headerLength + this.#view.getUint32(16, this.#little);
    const stringsLength = this.#view.getUint32(20, this.#little);
    if (typesEnd > this.#view.byteLength || stringsAt + stringsLength > this.#view.byteLength) {
      throw broken('the type information is cut off');
    }
    this.#strings = new Uint8Array(this.#view.buffer, this.#view.byteOffset + stringsAt, stringsLength);
    const types: BtfType[] = [{ kind: 'void' }];
    this.#at = typesAt;
    while (this.#at < typesEnd) types.push(this.#type());
    return { littleEndian: this.#little, types };
  }

  #u32(): number {
    const value = this.#view.getUint32(this.#at, this.#little);
    this.#at += 4;
    return value;
  }

  #name(): string {
    const offset = this.#u32();
    const end = this.#strings.indexOf(0, offset);
    if (end < 0) throw broken('a name lies outside the strings');
    return Buffer.from(this.#strings.subarray(offset, end)).toString('utf8');
  }

  #list<T>(count: number, item: () => T): T[] {
    return Array.from({ length: count }, item);
  }

  #type(): BtfType {
    const name = this.#name();
    const info = this.#u32();
    const sizeOrType = this.#u32();
    const count = info & 0xffff;
    const flag = info >>> 31 === 1;
    switch ((info >>> 24) & 0x1f) {
      case 1: {
        const data = this.#u32();
        const encoding = (data >>> 24) & 0xf;
        const bits = data & 0xff;
        const [signed, char, bool] = [(encoding & 1) !== 0, (encoding & 2) !== 0, (encoding & 4) !== 0];
        return { kind: 'int', name, size: sizeOrType, bits, signed, char, bool };
      }
      case 2:
        return { kind: 'ptr', type: sizeOrType };
      case 3: {
        const type = this.#u32();
        this.#u32();
        return { kind: 'array', type, length: this.#u32() };
      }
      case 4:
        return { kind: 'struct', name, size: sizeOrType, members: this.#members(count, flag) };
      case 5:
        return { kind: 'union', name, size: sizeOrType, members: this.#members(count, flag) };
      case 6: {
        const values = this.#list(count, () => {
          const enumerator = this.#name();
          const value = this.#u32();
          return { name: enumerator, value: BigInt(flag ? value | 0 : value) };
        });
        return { kind: 'enum', name, size: sizeOrType, signed: flag, values };
      }
      case 7:
        return { kind: 'fwd', name, union: flag };
      case 8:
        return { kind: 'typedef', name, type: sizeOrType };
      case 9:
        return { kind: 'volatile', type: sizeOrType };
      case 10:
        return { kind: 'const', type: sizeOrType };
      case 11:
        return { kind: 'restrict', type: sizeOrType };
      case 12:
        return { kind: 'func', name, type: sizeOrType };
      case 13: {
        const parameters = this.#list(count, () => ({ name: this.#name(), type: this.#u32() }));
        return { kind: 'func_proto', type: sizeOrType, parameters };
      }
      case 14:
        return { kind: 'var', name, type: sizeOrType, linkage: this.#u32() };
      case 15: {
        const variables = this.#list(count, () => ({
          type: this.#u32(),
          offset: this.#u32(),
          size: this.#u32(),
        }));
        return { kind: 'datasec', name, size: sizeOrType, variables };
      }
      case 16:
        return { kind: 'float', name, size: sizeOrType };
      case 17:
        return { kind: 'decl_tag', name, type: sizeOrType, component: this.#u32() | 0 };
      case 18:
        return { kind: 'type_tag', name, type: sizeOrType };
      case 19: {
        const values = this.#list(count, () => {
          const enumerator = this.#name();
          const value = BigInt(this.#u32()) | (BigInt(this.#u32()) << 32n);
          return { name: enumerator, value: flag ? BigInt.asIntN(64, value) : value };
        });
        return { kind: 'enum', name, size: sizeOrType, signed: flag, values };
      }
      default:
        throw broken(`a type of unknown kind ${(info >>> 24) & 0x1f}`);
    }
  }

  #members(count: number, bitFields: boolean): BtfMember[] {
    return this.#list(count, () => {
      const name = this.#name();
      const type = this.#u32();
      const offset = this.#u32();
      if (!bitFields) return { name, type, bitOffset: offset, bitWidth: 0 };
      return { name, type, bitOffset: offset & 0xffffff, bitWidth: offset >>> 24 };
    });
  }
}

/** The type behind typedefs, qualifiers and tags. */
export function plainType(btf: Btf, id: number): { readonly id: number; readonly type: BtfType } {
  for (let depth = 0; depth < 64; depth++) {
    const type = btf.types[id];
    if (type === undefined) throw broken(`there is no type ${id}`);
    switch (type.kind) {
      case 'typedef':
      case 'type_tag':
      case 'const':
      case 'volatile':
      case 'restrict':
        id = type.type;
        break;
      default:
        return { id, type };
    }
  }
  throw broken(`type ${id} refers to itself`);
}

/** Bytes of a type; `ERR_ARGUMENT` for one without a size (a function, a forward declaration). */
export function sizeOfType(btf: Btf, id: number): number {
  const { type } = plainType(btf, id);
  switch (type.kind) {
    case 'int':
    case 'float':
    case 'struct':
    case 'union':
    case 'enum':
    case 'datasec':
      return type.size;
    case 'ptr':
      return 8;
    case 'array':
      return type.length * sizeOfType(btf, type.type);
    default:
      throw broken(`a ${type.kind} has no size`);
  }
}
