// From BTF to what the code generator needs: structs as flat lists of fields at
// byte offsets, each of a shape that has a TypeScript counterpart; everything
// without one is refused by name.
import { plainType, sizeOfType, type Btf, type BtfMember, type BtfType } from './btf.js';
import { BpfError } from './error.js';

export type Shape =
  | {
      readonly kind: 'integer';
      readonly size: 1 | 2 | 4 | 8;
      readonly signed: boolean;
      readonly big: boolean;
    }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'enum'; readonly id: number; readonly size: 1 | 2 | 4 | 8; readonly signed: boolean }
  | { readonly kind: 'bytes'; readonly length: number }
  | { readonly kind: 'array'; readonly length: number; readonly element: Shape; readonly stride: number }
  | { readonly kind: 'struct'; readonly id: number };

export interface Field {
  /** As in C. */
  readonly name: string;
  readonly offset: number;
  readonly shape: Shape;
}

export interface Struct {
  readonly id: number;
  /** As in C, without `struct`. */
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
  /** Has bytes that belong to no field. */
  readonly padded: boolean;
}

export interface MapModel {
  readonly name: string;
  readonly type: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly key?: Shape;
  readonly value?: Shape;
  /** What a map of maps holds, where the object says it. */
  readonly inner?: MapModel;
}

// The kernel keeps its own data in these; user space neither reads nor writes them.
const OPAQUE = new Set([
  'bpf_spin_lock',
  'bpf_timer',
  'bpf_wq',
  'bpf_list_head',
  'bpf_list_node',
  'bpf_rb_root',
  'bpf_rb_node',
  'bpf_refcount',
]);

function unsupported(subject: string, detail: string): BpfError {
  return new BpfError({ code: 'ERR_UNSUPPORTED', operation: 'layout.generate', subject, detail });
}

function notFound(subject: string, detail: string): BpfError {
  return new BpfError({ code: 'ERR_NOT_FOUND', operation: 'layout.generate', subject, detail });
}

/** Reads structs, enums and map definitions out of an object's BTF. */
export class LayoutModel {
  readonly #btf: Btf;
  readonly #names = new Map<number, string>();

  constructor(btf: Btf) {
    this.#btf = btf;
  }

  get littleEndian(): boolean {
    return this.#btf.littleEndian;
  }

  /** A struct by its tag, or by the typedef of a struct without one. */
  structNamed(name: string): number {
    const found = this.#find((type, id) => {
      if (type.kind === 'struct' && type.name === name) return id;
      if (type.kind !== 'typedef' || type.name !== name) return undefined;
      const behind = plainType(this.#btf, type.type);
      if (behind.type.kind !== 'struct' || behind.type.name !== '') return undefined;
      this.nameAnonymous(behind.id, name);
      return behind.id;
    });
    if (found === undefined) throw notFound(name, 'no struct of this name in the type information');
    return found;
  }

  enumNamed(name: string): number {
    const found = this.#find((type, id) => (type.kind === 'enum' && type.name === name ? id : undefined));
    if (found === undefined) throw notFound(name, 'no enum of this name in the type information');
    return found;
  }

  /** Names a struct that has no tag, unless it has a name by now. */
  nameAnonymous(id: number, name: string): void {
    if (!this.#names.has(id)) this.#names.set(id, name);
  }

  #find(match: (type: BtfType, id: number) => number | undefined): number | undefined {
    for (const [id, type] of this.#btf.types.entries()) {
      const found = match(type, id);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  enumeration(id: number): BtfType & { readonly kind: 'enum' } {
    const type = this.#btf.types[id];
    if (type?.kind !== 'enum') throw notFound(`type ${id}`, 'not an enum');
    return type;
  }

  struct(id: number): Struct {
    const type = this.#btf.types[id];
    if (type?.kind !== 'struct') throw notFound(`type ${id}`, 'not a struct');
    const name = type.name === '' ? this.#names.get(id) : type.name;
    if (name === undefined)
      throw unsupported(`type ${id}`, 'a struct without a name; give it a tag or a typedef');
    const fields = this.#fields(type.members, name, 0);
    const covered = new Uint8Array(type.size);
    for (const field of fields) covered.fill(1, field.offset, field.offset + this.sizeOf(field.shape));
    return { id, name, size: type.size, fields, padded: covered.includes(0) };
  }

  // Members of an anonymous struct are the outer struct's own, as in C.
  #fields(members: readonly BtfMember[], struct: string, base: number): Field[] {
    return members.flatMap((member): Field[] => {
      const subject = `${struct}.${member.name === '' ? '(anonymous)' : member.name}`;
      if (member.bitWidth !== 0) throw unsupported(subject, 'a bit field; use a whole integer');
      const offset = base + member.bitOffset / 8;
      const { id, type } = plainType(this.#btf, member.type);
      if (type.kind === 'struct' && OPAQUE.has(type.name)) return [];
      if (member.name === '') {
        if (type.kind === 'struct') return this.#fields(type.members, struct, offset);
        throw unsupported(subject, 'an anonymous union; name it, and it becomes its bytes');
      }
      if (type.kind === 'struct' && type.name === '') this.nameAnonymous(id, `${struct}_${member.name}`);
      return [{ name: member.name, offset, shape: this.#shape(member.type, subject) }];
    });
  }

  sizeOf(shape: Shape): number {
    switch (shape.kind) {
      case 'integer':
      case 'enum':
        return shape.size;
      case 'boolean':
        return 1;
      case 'bytes':
        return shape.length;
      case 'array':
        return shape.length * shape.stride;
      case 'struct':
        return sizeOfType(this.#btf, shape.id);
    }
  }

  #shape(id: number, subject: string): Shape {
    const networkOrder = this.#isNetworkOrder(id);
    const { id: plain, type } = plainType(this.#btf, id);
    switch (type.kind) {
      case 'int':
        if (type.bool) return { kind: 'boolean' };
        if (type.bits !== type.size * 8) throw unsupported(subject, 'an integer with unused bits');
        return {
          kind: 'integer',
          size: this.#integerSize(type.size, subject),
          signed: type.signed,
          big: networkOrder || !this.littleEndian,
        };
      case 'enum':
        return { kind: 'enum', id: plain, size: this.#integerSize(type.size, subject), signed: type.signed };
      case 'struct':
        return { kind: 'struct', id: plain };
      case 'union':
        return { kind: 'bytes', length: type.size };
      case 'array': {
        const element = this.#shape(type.type, subject);
        if (element.kind === 'integer' && element.size === 1) return { kind: 'bytes', length: type.length };
        if (element.kind === 'struct') {
          const { type: inner } = plainType(this.#btf, type.type);
          if (inner.kind === 'struct' && inner.name === '')
            this.nameAnonymous(element.id, subject.replace('.', '_'));
        }
        return { kind: 'array', length: type.length, element, stride: this.sizeOf(element) };
      }
      case 'ptr':
        throw unsupported(subject, 'a pointer, which means nothing outside the kernel');
      default:
        throw unsupported(subject, `a ${type.kind} has no counterpart in TypeScript`);
    }
  }

  #integerSize(size: number, subject: string): 1 | 2 | 4 | 8 {
    if (size === 1 || size === 2 || size === 4 || size === 8) return size;
    throw unsupported(subject, `an integer of ${size} bytes`);
  }

  // __be16, __be32 and __be64 (linux/types.h) say that a field is in network order.
  #isNetworkOrder(id: number): boolean {
    for (let type = this.#btf.types[id]; type !== undefined;) {
      if (type.kind === 'typedef' && /^__be(16|32|64)$/.test(type.name)) return true;
      if (
        type.kind === 'typedef' ||
        type.kind === 'const' ||
        type.kind === 'volatile' ||
        type.kind === 'type_tag'
      ) {
        type = this.#btf.types[type.type];
      } else {
        return false;
      }
    }
    return false;
  }

  /** A map defined in `SEC(".maps")`, with the shapes of its key and value where it declares types. */
  map(name: string): MapModel {
    const variable = this.#btf.types
      .flatMap((type) => (type.kind === 'datasec' && type.name === '.maps' ? type.variables : []))
      .map(({ type }) => this.#btf.types[type])
      .find((type) => type?.kind === 'var' && type.name === name);
    if (variable?.kind !== 'var') throw notFound(name, 'no map of this name in the type information');
    return this.#mapDefinition(name, variable.type);
  }

  #mapDefinition(name: string, id: number): MapModel {
    const { type } = plainType(this.#btf, id);
    if (type.kind !== 'struct') throw unsupported(name, 'its definition is not a struct');
    const member = (wanted: string): number | undefined => {
      const found = type.members.find((candidate) => candidate.name === wanted);
      if (found === undefined) return undefined;
      const pointer = plainType(this.#btf, found.type).type;
      return pointer.kind === 'ptr' ? pointer.type : undefined;
    };
    // __uint(name, value) is a pointer to an array of that length.
    const uint = (wanted: string): number => {
      const pointed = member(wanted);
      const array = pointed === undefined ? undefined : plainType(this.#btf, pointed).type;
      return array?.kind === 'array' ? array.length : 0;
    };
    const part = (wanted: 'key' | 'value'): Shape | undefined => {
      const pointed = member(wanted);
      if (pointed !== undefined) {
        const plain = plainType(this.#btf, pointed);
        if (plain.type.kind === 'struct' && plain.type.name === '')
          this.nameAnonymous(plain.id, `${name}_${wanted}`);
        return this.#shape(pointed, `${name}.${wanted}`);
      }
      const size = uint(`${wanted}_size`);
      if (size === 0) return undefined;
      if (size === 4) return { kind: 'integer', size: 4, signed: false, big: !this.littleEndian };
      return { kind: 'bytes', length: size };
    };
    const [key, value] = [part('key'), part('value')];
    const inner = this.#innerMap(name, type.members);
    return {
      name,
      type: uint('type'),
      maxEntries: uint('max_entries'),
      flags: uint('map_flags'),
      ...(key === undefined ? {} : { key }),
      ...(value === undefined ? {} : { value }),
      ...(inner === undefined ? {} : { inner }),
    };
  }

  // __array(values, struct inner) is an array of pointers to the inner map's definition.
  #innerMap(name: string, members: readonly BtfMember[]): MapModel | undefined {
    const values = members.find((candidate) => candidate.name === 'values');
    const array = values === undefined ? undefined : plainType(this.#btf, values.type).type;
    const pointer = array?.kind === 'array' ? plainType(this.#btf, array.type).type : undefined;
    if (pointer?.kind !== 'ptr' || plainType(this.#btf, pointer.type).type.kind !== 'struct')
      return undefined;
    return this.#mapDefinition(`${name}_inner`, pointer.type);
  }
}
