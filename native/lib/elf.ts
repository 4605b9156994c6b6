// Just enough ELF to find one section of a BPF object file, for tools that read
// types from an object without loading it (System V ABI, ELF-64).
import { readFileSync } from 'node:fs';
import { parseBtf, type Btf } from './btf.js';
import { BpfError } from './error.js';

/** The content of a section of a 64-bit ELF file, undefined when there is none of that name. */
export function elfSection(file: Uint8Array, name: string): Uint8Array | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0, false) !== 0x7f454c46 || file[4] !== 2) {
    throw new BpfError({
      code: 'ERR_ARGUMENT',
      operation: 'elf.read',
      detail: 'this is not a 64-bit ELF file',
    });
  }
  const little = file[5] === 1;
  const u32 = (at: number): number => view.getUint32(at, little);
  const u64 = (at: number): number => Number(view.getBigUint64(at, little));
  const tableAt = u64(0x28);
  const entrySize = view.getUint16(0x3a, little);
  const count = view.getUint16(0x3c, little);
  const header = (index: number): number => tableAt + index * entrySize;
  const content = (index: number): Uint8Array => {
    const at = u64(header(index) + 0x18);
    return file.subarray(at, at + u64(header(index) + 0x20));
  };
  const names = content(view.getUint16(0x3e, little));
  for (let index = 0; index < count; index++) {
    const from = u32(header(index));
    const end = names.indexOf(0, from);
    if (Buffer.from(names.subarray(from, end)).toString('latin1') === name) return content(index);
  }
  return undefined;
}

/** The type information of an object file, read without libbpf. `ERR_NOT_FOUND` when it has none. */
export function readBtf(path: string): Btf {
  try {
    const section = elfSection(readFileSync(path), '.BTF');
    if (section !== undefined) return parseBtf(section);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new BpfError({
      code: 'ERR_ARGUMENT',
      operation: 'elf.read',
      subject: path,
      detail: 'the file is cut off',
    });
  }
  throw new BpfError({
    code: 'ERR_NOT_FOUND',
    operation: 'elf.read',
    subject: path,
    detail: 'the object has no type information; compile it with -g',
  });
}
