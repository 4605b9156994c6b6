/** The words of `cabernet ca`. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import type { CaFlags, CaInitFlags, CaIssueFlags, CaShowFlags } from './flags.js';
import { outputOption } from './program.js';

const caCommand = (parent: Command, word: string, description: string): Command =>
  parent
    .command(word)
    .description(description)
    .addOption(new Option('--directory <path>', "the authority's").env('CABERNET_CA').makeOptionMandatory());

function days(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('Days, such as 90 or 0.5.');
}

export function addCaWords(program: Command): void {
  const ca = program
    .command('ca')
    .description('the certificate authority of a deployment: who is who between machines')
    .addHelpText(
      'after',
      `
  NAME is infrastructure/PROVIDER, connectivity/PROVIDER, service/PROVIDER, operator/PERSON or agent/PROVIDER/MACHINE.

    cabernet ca init --directory ca --deployment example.net
    cabernet ca issue agent/acme/P --directory ca --out credentials/P
    cabernet ca issue operator/alice --directory ca --out credentials/alice`,
    );

  caCommand(ca, 'init', 'make the authority of a deployment')
    .requiredOption('--deployment <name>', 'what all certificates are of, such as example.net')
    .option('--days <n>', 'how long it lives: 3650 if left out', days)
    .action(async (options: CaInitFlags) => {
      const { caInitCommand } = await import('./ca.js');
      await caInitCommand(options);
    });

  caCommand(ca, 'issue', 'issue a certificate and its key, or renew them')
    .argument('<name>', 'whose, such as agent/acme/P or operator/alice')
    .requiredOption('--out <directory>', 'the directory of credentials, made if it is missing')
    .option('--days <n>', 'how long it lives: 90 if left out', days)
    .action(async (name: string, options: CaIssueFlags) => {
      const { caIssueCommand } = await import('./ca.js');
      await caIssueCommand(name, options);
    });

  caCommand(ca, 'list', 'show what was issued')
    .addOption(outputOption())
    .action(async (options: CaShowFlags) => {
      const { caListCommand } = await import('./ca.js');
      await caListCommand(options);
    });

  caCommand(ca, 'revoke', 'take certificates back')
    .argument('<which>', 'a serial number, or a name for all that are valid')
    .action(async (which: string, options: CaFlags) => {
      const { caRevokeCommand } = await import('./ca.js');
      await caRevokeCommand(which, options);
    });

  caCommand(ca, 'status', 'show the authority, and how far a rotation is')
    .addOption(outputOption())
    .action(async (options: CaShowFlags) => {
      const { caStatusCommand } = await import('./ca.js');
      await caStatusCommand(options);
    });

  const rotate = ca.command('rotate').description('replace the authority by a new one, in three steps');

  caCommand(rotate, 'begin', 'first: a new authority is trusted beside the old one, which still issues')
    .option('--days <n>', 'how long the new one lives: 3650 if left out', days)
    .addOption(outputOption())
    .action(async (options: CaShowFlags & { days?: number }) => {
      const { caRotateCommand } = await import('./ca.js');
      await caRotateCommand('begin', options);
    });

  caCommand(rotate, 'switch', 'second: new certificates come from the new one; renew all with `ca issue`')
    .addOption(outputOption())
    .action(async (options: CaShowFlags) => {
      const { caRotateCommand } = await import('./ca.js');
      await caRotateCommand('switch', options);
    });

  caCommand(rotate, 'finish', 'last: the old one is no longer trusted, and its key deleted')
    .option('--anyway', 'also if some have certificates of the old one only')
    .addOption(outputOption())
    .action(async (options: CaShowFlags & { anyway?: true }) => {
      const { caRotateCommand } = await import('./ca.js');
      await caRotateCommand('finish', options);
    });
}
