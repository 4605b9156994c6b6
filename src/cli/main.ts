/** The command `cabernet`. */
import { CommanderError } from 'commander';

import { program } from './program.js';
import { addCaWords } from './program-ca.js';
import { addProcessWords } from './program-processes.js';
import { addResourceWords } from './program-resources.js';
import { report } from './report.js';

addResourceWords(program);
addProcessWords(program);
addCaWords(program);

// A reader that has seen enough (`cabernet get vifs | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

try {
  await program.parseAsync();
} catch (error) {
  // its message has been printed; help that was asked for is no error
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else await report(error);
}
