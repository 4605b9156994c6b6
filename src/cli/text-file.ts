/** Files and the standard input as text: of bounded size, UTF-8 or refused. */
import { closeSync, openSync, readSync } from 'node:fs';

import { LARGEST_TEXT, ManifestError } from '../api/yaml-source.js';
import { CommandError } from './report.js';

const CHUNK = 1 << 16;

/**
 * `-`: the standard input. Undefined: there is no such file, and `mayBeMissing`.
 * @throws CommandError, ManifestError
 */
export function readTextFile(file: string, mayBeMissing: boolean): string | undefined {
  const shown = file === '-' ? '(standard input)' : file;
  let bytes: Buffer;
  try {
    bytes = readAll(file, shown);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    if (code === 'ENOENT' && mayBeMissing) return undefined;
    throw new CommandError(
      code === 'ENOENT' ? `there is no file ${shown}` : `${shown} cannot be read: ${code}`,
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw problem(shown, 'the file is not UTF-8 text');
  }
}

function problem(file: string, message: string): ManifestError {
  return new ManifestError([{ file, line: 1, column: 1, path: '', message }]);
}

function readAll(file: string, shown: string): Buffer {
  const descriptor = file === '-' ? 0 : openSync(file, 'r');
  try {
    const chunks: Buffer[] = [];
    let total = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK);
      const count = read(descriptor, chunk);
      if (count === 0) return Buffer.concat(chunks);
      chunks.push(chunk.subarray(0, count));
      total += count;
      if (total > LARGEST_TEXT) throw problem(shown, `the file has more than ${LARGEST_TEXT} bytes`);
    }
  } finally {
    if (descriptor !== 0) closeSync(descriptor);
  }
}

/** 0: the end. A standard input that somebody made non-blocking is waited for. */
function read(descriptor: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(descriptor, chunk);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}
