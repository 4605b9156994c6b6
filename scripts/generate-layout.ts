/**
 * Generates gen/layout.ts (structs and enums) and gen/reasons.ts (the lists of bpf/reasons.h) from build/bpf/shared.o.
 * Usage: generate-layout [OBJECT [FOLDER]]. Files that would not change are not touched.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Btf, type BtfType } from '../native/lib/btf.js';
import { elfSection, readBtf } from '../native/lib/elf.js';
import { generateLayout } from '../native/lib/layout.js';

/** Not for user space: what the object needs to have all types in it. */
const SKIPPED = new Set(['shared_types', 'reason_text', 'grace_inner']);

const [object = 'build/bpf/shared.o', folder = 'gen'] = process.argv.slice(2);
const btf = readBtf(object);
mkdirSync(folder, { recursive: true });
write('layout.ts', layout(btf));
write('reasons.ts', reasons(readFileSync(object), btf));

function write(name: string, text: string): void {
  const path = join(folder, name);
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
}

function named<Kind extends 'struct' | 'enum'>(types: readonly BtfType[], kind: Kind): string[] {
  const names = types.flatMap((type) => (type.kind === kind && type.name !== '' ? [type.name] : []));
  return [...new Set(names)].filter((name) => !SKIPPED.has(name) && !/^bpf_|^xdp_/.test(name));
}

function layout(types: Btf): string {
  return generateLayout(types, {
    banner: 'Generated from the BTF of bpf/shared.bpf.c: do not edit.',
    structs: named(types.types, 'struct'),
    enums: named(types.types, 'enum'),
    maps: [],
  });
}

interface Text {
  readonly name: string;
  readonly sentence: string;
  readonly rate: number;
}

function reasons(file: Uint8Array, types: Btf): string {
  const list = (name: string, declaration: string, fields: ReadonlyArray<keyof Text>): string => {
    const entries = texts(file, types, name).map((text) => {
      const parts = fields.map((field) => `${field}: ${JSON.stringify(text[field])}`);
      return `  { ${parts.join(', ')} },`;
    });
    return [`export const ${declaration} = [`, ...entries, '];', ''].join('\n');
  };
  return [
    '// Generated from the lists of bpf/reasons.h: do not edit.',
    '',
    '/** A name as in the programs, without its prefix, and the sentence for operators. */',
    'export interface ReasonText {',
    '  readonly name: string;',
    '  readonly sentence: string;',
    '}',
    '',
    '/** `rate`: packets a second and virtual node. */',
    'export interface PuntText extends ReasonText {',
    '  readonly rate: number;',
    '}',
    '',
    '/** Why a packet was dropped; the index is `enum drop_reason`, 0 is none. */',
    list('drop_texts', 'dropReasons: readonly ReasonText[]', ['name', 'sentence']),
    "/** Why a packet went to the virtual node's kernel; the index is `enum punt_kind`. */",
    list('punt_texts', 'puntKinds: readonly PuntText[]', ['name', 'sentence', 'rate']),
    '/** What a trace event is about; the index is `enum trace_kind`, 0 is none. */',
    `export const traceKinds: readonly string[] = [`,
    ...texts(file, types, 'trace_texts').map(({ name }) => `  ${JSON.stringify(name)},`),
    '];',
    '',
  ].join('\n');
}

/** An array of struct reason_text in .rodata. */
function texts(file: Uint8Array, types: Btf, name: string): Text[] {
  const place = symbol(file, name);
  const data = elfSection(file, '.rodata');
  const struct = types.types.find((type) => type.kind === 'struct' && type.name === 'reason_text');
  if (place === undefined || data === undefined || struct?.kind !== 'struct') {
    throw new Error(`generate-layout: ${object} has no array ${name} of struct reason_text`);
  }
  const field = (wanted: string): number => {
    const member = struct.members.find((candidate) => candidate.name === wanted);
    if (member === undefined) throw new Error(`generate-layout: struct reason_text has no field ${wanted}`);
    return member.bitOffset / 8;
  };
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const text = (at: number): string => Buffer.from(data.subarray(at, data.indexOf(0, at))).toString('utf8');
  return Array.from({ length: place.size / struct.size }, (_, i) => {
    const at = place.at + i * struct.size;
    return {
      name: text(at + field('name')),
      sentence: text(at + field('sentence')),
      rate: view.getUint32(at + field('rate'), types.littleEndian),
    };
  });
}

/** Where a variable lies in its section (System V ABI: a symbol is 24 bytes). */
function symbol(
  file: Uint8Array,
  wanted: string,
): { readonly at: number; readonly size: number } | undefined {
  const symbols = elfSection(file, '.symtab');
  const names = elfSection(file, '.strtab');
  if (symbols === undefined || names === undefined) return undefined;
  const little = file[5] === 1;
  const view = new DataView(symbols.buffer, symbols.byteOffset, symbols.byteLength);
  for (let at = 0; at < symbols.length; at += 24) {
    const from = view.getUint32(at, little);
    const name = Buffer.from(names.subarray(from, names.indexOf(0, from))).toString('latin1');
    if (name !== wanted) continue;
    return {
      at: Number(view.getBigUint64(at + 8, little)),
      size: Number(view.getBigUint64(at + 16, little)),
    };
  }
  return undefined;
}
