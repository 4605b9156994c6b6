/** What the host must offer before a world can be on it. */
import { execFile } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

import { WorldError } from './errors.js';
import { BPF_FS } from './place.js';

/** linux/magic.h */
const BPF_FS_MAGIC = 0xcafe4a11;

/** Throws WorldError ROOT: one plain sentence. `what`: what needs it. */
export function requireRoot(what: string): void {
  if (process.getuid?.() === 0) return;
  throw new WorldError('ROOT', `${what} needs root: run it with sudo`);
}

export function bpfFsMounted(): boolean {
  try {
    return statfsSync(BPF_FS).type === BPF_FS_MAGIC;
  } catch {
    return false;
  }
}

export async function ensureBpfFs(): Promise<void> {
  if (bpfFsMounted()) return;
  try {
    await mkdir(BPF_FS, { recursive: true });
    await promisify(execFile)('mount', ['-t', 'bpf', 'bpf', BPF_FS]);
  } catch (cause) {
    throw new WorldError(
      'HOST',
      `the BPF file system cannot be mounted at ${BPF_FS}: does this kernel allow BPF?`,
      { cause },
    );
  }
}
