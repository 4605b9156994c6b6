// The code generator: TypeScript interfaces and codecs for the structs, enums and
// maps of a BPF object, from its BTF. What it writes stands by itself (no imports).
import type { Btf } from './btf.js';
import { argumentError, BpfError } from './error.js';
import { LayoutModel, type Field, type MapModel, type Shape, type Struct } from './layout-model.js';
import { layoutRuntime } from './layout-runtime.js';
import { mapTypeName } from './map-types.js';

export interface LayoutOptions {
  /** Structs by tag (or typedef); those they contain come along. */
  readonly structs: readonly string[];
  /** Maps by name; the structs of their keys and values come along. */
  readonly maps: readonly string[];
  /** Enums by tag; those used by a field come along. */
  readonly enums?: readonly string[];
  /** A comment for the head of the file, one line. */
  readonly banner?: string;
}

/**
 * TypeScript source with, for `struct route_key`, an interface `RouteKey` and a codec of the same name
 * (`size`, `offsets`, `encode`, `encodeInto`, `decode`), and a constant `maps` describing the maps.
 *
 * Names become camel case. 64-bit integers are `bigint`, smaller ones `number`, arrays of bytes and named
 * unions `Uint8Array`, other integer arrays typed arrays. Fields of type `__be16`, `__be32` and `__be64` are
 * read and written in network order. Encoding refuses (`RangeError`) what does not fit; padding is zeroed.
 *
 * `ERR_NOT_FOUND` for a name the BTF does not have, `ERR_UNSUPPORTED` for a type without counterpart
 * (pointers, bit fields, anonymous unions).
 */
export function generateLayout(btf: Btf, options: LayoutOptions): string {
  if (!Array.isArray(options?.structs) || !Array.isArray(options.maps)) {
    throw argumentError('layout.generate', 'options', '{ structs: string[], maps: string[] }');
  }
  return new Generator(btf).generate(options);
}

const INTEGERS = { 1: 'int', 2: 'int', 4: 'int', 8: 'big' } as const;

class Generator {
  readonly #model: LayoutModel;
  readonly #structs = new Map<number, Struct>();
  readonly #enums = new Set<number>();
  readonly #names = new Map<string, string>();
  readonly #scalars = new Map<string, string>();
  readonly #uses = new Set<string>();

  constructor(btf: Btf) {
    this.#model = new LayoutModel(btf);
  }

  generate(options: LayoutOptions): string {
    for (const name of options.structs) this.#addStruct(this.#model.structNamed(name));
    for (const name of options.enums ?? []) this.#addEnum(this.#model.enumNamed(name));
    const maps = options.maps.map((name) => this.#model.map(name));
    for (const map of maps) this.#visitMap(map);
    const body = [
      ...[...this.#enums].map((id) => this.#enum(id)),
      ...[...this.#structs.values()].map((struct) => this.#struct(struct)),
      this.#maps(maps),
    ];
    const head = options.banner === undefined ? [] : [`// ${options.banner.replaceAll('\n', ' ')}\n`];
    return [...head, layoutRuntime(this.#uses), ...this.#scalars.values(), ...body].join('\n');
  }

  // Depth first, so that a codec stands after those it uses.
  #addStruct(id: number): void {
    if (this.#structs.has(id)) return;
    const struct = this.#model.struct(id);
    for (const field of struct.fields) this.#visit(field.shape);
    this.#structs.set(id, struct);
    this.#claim(pascal(struct.name), `struct ${struct.name}`);
  }

  #visitMap(map: MapModel): void {
    for (const shape of [map.key, map.value]) if (shape !== undefined) this.#visit(shape);
    if (map.inner !== undefined) this.#visitMap(map.inner);
  }

  #addEnum(id: number): void {
    if (this.#enums.has(id)) return;
    this.#enums.add(id);
    const { name } = this.#model.enumeration(id);
    if (name !== '') this.#claim(pascal(name), `enum ${name}`);
  }

  #visit(shape: Shape): void {
    if (shape.kind === 'struct') this.#addStruct(shape.id);
    else if (shape.kind === 'array') this.#visit(shape.element);
    else if (shape.kind === 'enum' && this.#model.enumeration(shape.id).name !== '') this.#addEnum(shape.id);
  }

  #claim(name: string, owner: string): void {
    const other = this.#names.get(name);
    if (other !== undefined && other !== owner) {
      const detail = `would be called ${name}, as ${other} is`;
      throw new BpfError({ code: 'ERR_UNSUPPORTED', operation: 'layout.generate', subject: owner, detail });
    }
    this.#names.set(name, owner);
  }

  #use<Name extends string>(name: Name): Name {
    this.#uses.add(name);
    return name;
  }

  #enum(id: number): string {
    const { name, values, size } = this.#model.enumeration(id);
    const type = pascal(name);
    const literal = (value: bigint): string => (size === 8 ? `${value}n` : `${value}`);
    return [
      `/** \`enum ${name}\`. */`,
      `export const ${type} = {`,
      ...values.map((entry) => `  ${entry.name}: ${literal(entry.value)},`),
      '} as const;',
      `export type ${type} = (typeof ${type})[keyof typeof ${type}];`,
      '',
    ].join('\n');
  }

  #struct(struct: Struct): string {
    const type = pascal(struct.name);
    const fields = struct.fields.map((field) => ({ ...field, property: camel(field.name) }));
    const seen = new Set<string>();
    for (const { property, name } of fields) {
      if (!seen.has(property)) seen.add(property);
      else {
        const detail = `two fields would be called ${property}`;
        throw new BpfError({
          code: 'ERR_UNSUPPORTED',
          operation: 'layout.generate',
          subject: `${struct.name}.${name}`,
          detail,
        });
      }
    }
    const zero = struct.padded ? [`    ${this.#use('zero')}(v, o, ${struct.size});`] : [];
    const offsets = fields.map(({ property, offset }) => `${property}: ${offset}`).join(', ');
    this.#use('codec');
    return [
      `/** \`struct ${struct.name}\`, ${struct.size} bytes. */`,
      `export interface ${type} {`,
      ...fields.map((field) => `  readonly ${field.property}: ${this.#typeOf(field.shape)};`),
      '}',
      '',
      `export const ${type} = codec(`,
      `  ${struct.size},`,
      `  { ${offsets} } as const,`,
      `  (v: DataView, o: number, value: ${type}): void => {`,
      ...zero,
      ...fields.flatMap((field) =>
        this.#write(field, `${type}.${field.property}`, `value.${field.property}`),
      ),
      '  },',
      `  (v: DataView, o: number): ${type} => ({`,
      ...fields.map((field) => `    ${field.property}: ${this.#read(field.shape, at(field.offset))},`),
      '  }),',
      ');',
      '',
    ].join('\n');
  }

  #typeOf(shape: Shape): string {
    switch (shape.kind) {
      case 'integer':
        return shape.size === 8 ? 'bigint' : 'number';
      case 'enum':
        return this.#enumType(shape);
      case 'boolean':
        return 'boolean';
      case 'bytes':
        return 'Uint8Array';
      case 'struct':
        return pascal(this.#model.struct(shape.id).name);
      case 'array': {
        const typed = typedArray(shape.element);
        if (typed !== undefined) return typed;
        return `ReadonlyArray<${this.#typeOf(shape.element)}>`;
      }
    }
  }

  // A field may hold a number the enum does not list: the kernel's side may be newer.
  #enumType(shape: Shape & { readonly kind: 'enum' }): string {
    return shape.size === 8 ? 'bigint' : 'number';
  }

  #write(field: Field, path: string, value: string): string[] {
    return this.#store(field.shape, at(field.offset), path, value).map((line) => `    ${line}`);
  }

  #store(shape: Shape, where: string, path: string, value: string): string[] {
    const little = this.#model.littleEndian;
    switch (shape.kind) {
      case 'integer':
      case 'enum': {
        const check = this.#use(INTEGERS[shape.size]);
        const order = shape.kind === 'integer' ? !shape.big : little;
        const [low, high] = range(shape);
        const suffix = shape.size === 1 ? '' : `, ${order}`;
        return [
          `v.set${accessor(shape)}(${where}, ${check}(${value}, ${low}, ${high}, '${path}')${suffix});`,
        ];
      }
      case 'boolean':
        return [`v.setUint8(${where}, ${value} ? 1 : 0);`];
      case 'bytes':
        return [`${this.#use('putBytes')}(v, ${where}, ${value}, ${shape.length}, '${path}');`];
      case 'struct':
        return [`${this.#typeOf(shape)}.encodeInto(v, ${where}, ${value});`];
      case 'array': {
        const index = loopVariable(where);
        const element = `${value}[${index}]`;
        const inner = this.#store(
          shape.element,
          `${where} + ${index} * ${shape.stride}`,
          path,
          `${this.#use('item')}(${element}, '${path}')`,
        );
        return [
          `${this.#use('count')}(${value}.length, ${shape.length}, '${path}');`,
          `for (let ${index} = 0; ${index} < ${shape.length}; ${index}++) {`,
          ...inner.map((line) => `  ${line}`),
          '}',
        ];
      }
    }
  }

  #read(shape: Shape, where: string): string {
    const little = this.#model.littleEndian;
    switch (shape.kind) {
      case 'integer':
      case 'enum': {
        const order = shape.kind === 'integer' ? !shape.big : little;
        return `v.get${accessor(shape)}(${where}${shape.size === 1 ? '' : `, ${order}`})`;
      }
      case 'boolean':
        return `v.getUint8(${where}) !== 0`;
      case 'bytes':
        return `${this.#use('getBytes')}(v, ${where}, ${shape.length})`;
      case 'struct':
        return `${this.#typeOf(shape)}.decode(v, ${where})`;
      case 'array': {
        const index = loopVariable(where);
        const element = this.#read(shape.element, `${where} + ${index} * ${shape.stride}`);
        const container = typedArray(shape.element) ?? 'Array';
        return `${container}.from({ length: ${shape.length} }, (_, ${index}) => ${element})`;
      }
    }
  }

  #maps(maps: readonly MapModel[]): string {
    if (maps.length === 0) return '';
    return [
      '/** The maps as the object declares them, with the codecs of their keys and values. */',
      'export const maps = {',
      ...maps.flatMap((map) => [`  ${map.name}: {`, ...this.#map(map, '    '), '  },']),
      '} as const;',
      '',
    ].join('\n');
  }

  #map(map: MapModel, indent: string): string[] {
    const parts = [
      `name: '${map.name}',`,
      `type: '${mapTypeName(map.type)}',`,
      `maxEntries: ${map.maxEntries},`,
      `flags: ${map.flags},`,
      ...(map.key === undefined ? [] : [`key: ${this.#codecOf(map.key)},`]),
      ...(map.value === undefined ? [] : [`value: ${this.#codecOf(map.value)},`]),
      ...(map.inner === undefined ? [] : ['inner: {', ...this.#map(map.inner, '  '), '},']),
    ];
    return parts.map((part) => indent + part);
  }

  // Keys and values that are not structs get a codec of their own, named after their shape.
  #codecOf(shape: Shape): string {
    if (shape.kind === 'struct') return this.#typeOf(shape);
    const name = scalarName(shape);
    if (!this.#scalars.has(name)) {
      this.#use('codec');
      const type = this.#typeOf(shape);
      const store = this.#store(shape, 'o', name, 'value').map((line) => `    ${line}`);
      const source = [
        `export const ${name} = codec(`,
        `  ${this.#model.sizeOf(shape)},`,
        '  {},',
        `  (v: DataView, o: number, value: ${type}): void => {`,
        ...store,
        '  },',
        `  (v: DataView, o: number): ${type} => ${this.#read(shape, 'o')},`,
        ');',
        '',
      ];
      this.#scalars.set(name, source.join('\n'));
    }
    return name;
  }
}

function at(offset: number): string {
  return offset === 0 ? 'o' : `o + ${offset}`;
}

// i, in a loop within a loop i2, and so on.
function loopVariable(where: string): string {
  const depth = where.match(/\bi\d*\b/g)?.length ?? 0;
  return depth === 0 ? 'i' : `i${depth + 1}`;
}

function camel(name: string): string {
  return name
    .replace(/(?<=[^_])_+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase())
    .replace(/^_+/, '');
}

function pascal(name: string): string {
  const text = camel(name);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

type Integer = { readonly size: 1 | 2 | 4 | 8; readonly signed: boolean };

function accessor({ size, signed }: Integer): string {
  return `${size === 8 ? 'Big' : ''}${signed ? 'Int' : 'Uint'}${size * 8}`;
}

function range({ size, signed }: Integer): [low: string, high: string] {
  const bits = BigInt(size * 8);
  const low = signed ? -(1n << (bits - 1n)) : 0n;
  const high = signed ? (1n << (bits - 1n)) - 1n : (1n << bits) - 1n;
  const suffix = size === 8 ? 'n' : '';
  return [`${low}${suffix}`, `${high}${suffix}`];
}

function typedArray(element: Shape): string | undefined {
  if (element.kind !== 'integer') return undefined;
  return `${accessor(element)}Array`;
}

function scalarName(shape: Shape): string {
  switch (shape.kind) {
    case 'integer':
      return `${shape.signed ? 'i' : 'u'}${shape.size * 8}${shape.big ? 'be' : ''}`;
    case 'enum':
      return `${shape.signed ? 'i' : 'u'}${shape.size * 8}`;
    case 'boolean':
      return 'bool';
    case 'bytes':
      return `bytes${shape.length}`;
    case 'array':
      return `${scalarName(shape.element)}x${shape.length}`;
    case 'struct':
      return `struct${shape.id}`;
  }
}
