/** Where the lab's things are: below build/lab of the package. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory of this package: compiled or not, the one above with its package.json. */
export const packageRoot: string = (() => {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    const above = dirname(directory);
    if (above === directory) throw new Error('there is no package.json above this file');
    directory = above;
  }
  return directory;
})();

export const labFolder: string = join(packageRoot, 'build', 'lab');
