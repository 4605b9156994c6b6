/** The program's version, as its package says. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function read(): string {
  // the same from the sources and from what was compiled of them
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== '/'; folder = dirname(folder)) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (name === 'cabernet') return version ?? '';
    } catch {
      continue;
    }
  }
  return '';
}

let known: string | undefined;

export function version(): string {
  return (known ??= read());
}
