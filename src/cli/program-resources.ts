/** The words for controllers: `apply`, `get`, `describe`, `delete`, `watch`, `report`, `context`, `completion`. */
import { Argument, type Command, Option } from 'commander';

import type { AddFlags } from './contexts/command.js';
import type { TargetFlags } from './contexts/choose.js';
import { collect, duration, worldOption } from './program.js';
import { credentialsOption, serverOption } from './program-remote.js';
import { LAYER_NAMES } from '../resources/layer-name.js';
import type { ApplyFlags } from './resources/apply.js';
import type { Drainable, DrainFlags } from './drain.js';
import type { DeleteFlags } from './resources/delete.js';
import type { ReportFlags } from './resources/report.js';
import type { WatchFlags } from './resources/watch.js';

const contextOption = (): Option => new Option('--context <name>', 'the controller meant, by its context');
const addressOption = (): Option =>
  new Option(
    '--address <address>',
    'the controller meant, by its address: unix:/PATH or ADDRESS:PORT, with --layer',
  );
const layerOption = (): Option =>
  new Option('--layer <layer>', 'of the controller at --address').choices(LAYER_NAMES);
const fileOption = (): Option =>
  new Option('-f, --file <file>', 'a file, a folder of files, or - for the standard input; may be repeated')
    .argParser(collect)
    .default([], 'none');
const timeoutOption = (wait = '--wait waits', seconds = 300): Option =>
  new Option('--timeout <seconds>', `how long ${wait}`).argParser(duration).default(seconds);

function withTarget(command: Command): Command {
  return command
    .addOption(contextOption())
    .addOption(addressOption())
    .addOption(layerOption())
    .addOption(credentialsOption())
    .addOption(serverOption('LAYER/PROVIDER'));
}

/** With what stands before the command's word. */
function merged<T extends TargetFlags>(program: Command, options: T): T {
  const { context, address, layer, credentials, server } = program.opts<TargetFlags>();
  const own = options.context !== undefined || options.address !== undefined;
  const before = { layer, credentials, server, ...(!own && { context, address }) };
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...before, ...Object.fromEntries(given) } as T;
}

export function addResourceWords(program: Command): void {
  withTarget(program);
  addApply(program);
  addGet(program);
  addDescribe(program);
  addDelete(program);
  addWatch(program);
  addReport(program);
  addDrain(program);
  addContext(program);
  addCompletion(program);
}

function addApply(program: Command): void {
  withTarget(program.command('apply'))
    .description('make what files say: all resources of one controller, or none')
    .addOption(fileOption())
    .option('--dry-run', 'only say what would change, and what it would cost')
    .option('--wait', 'until all of it is in force')
    .addOption(timeoutOption())
    .option('--request-id <id>', 'the same request again within an hour is done once')
    .action(async (options: ApplyFlags) => {
      const { applyCommand } = await import('./resources/apply.js');
      await applyCommand(merged(program, options));
    });
}

function addGet(program: Command): void {
  withTarget(program.command('get'))
    .description('show what there is: resources of a controller, of a world of the testbed, or of one agent')
    .argument(
      '<what>',
      'a collection of the controller: machines, customers/conn/virtualNodes …; of the testbed: machines, nodes, links, vns, vifs, routes, paths, tunnels, wires, bfdPeers, labels, neighbours, counters or drops',
    )
    .argument('[name...]', 'only these; of the testbed one network, node, vif or machine')
    .addOption(
      new Option('-o, --output <format>', 'how to print')
        .choices(['table', 'wide', 'json', 'yaml', 'name'])
        .default('table'),
    )
    .option('-w, --watch', 'show it again whenever it changes')
    .addOption(worldOption())
    .addHelpText(
      'after',
      `
--address is a controller's with --layer, and without it that of one machine's agent over TCP, in place of a world's:

  cabernet get machines --address unix:/run/cabernet/acme.sock --layer infrastructure
  cabernet get vifs --address 192.0.2.1:7200 --credentials credentials/alice --server agent/acme/P

CABERNET_ADDRESS and CABERNET_SERVER are always an agent's.`,
    )
    .action(async (what: string, names: string[], options: GetWords, command: Command) => {
      const sources = new Set([command, program].map((one) => one.getOptionValueSource('world')));
      const worldBy = sources.has('cli') ? 'line' : sources.has('env') ? 'environment' : undefined;
      const world = options.world ?? program.opts<GetWords>().world;
      const { getCommand } = await import('./get.js');
      await getCommand(what, names, { ...merged(program, options), worldBy, ...(world && { world }) });
    });
}

interface GetWords extends TargetFlags {
  readonly output: string;
  readonly watch?: true;
  readonly world?: string;
}

function addDescribe(program: Command): void {
  withTarget(program.command('describe'))
    .description('everything of resources of a controller, in words')
    .argument('<name...>', 'machines/P, customers/conn/virtualNodes/P …')
    .action(async (names: string[], options: TargetFlags) => {
      const { describeCommand } = await import('./resources/describe.js');
      await describeCommand(names, merged(program, options));
    });
}

function addDelete(program: Command): void {
  withTarget(program.command('delete'))
    .description('delete resources of a controller: all of them, or none')
    .argument('[name...]', 'machines/P, customers/conn/virtualNodes/P …')
    .addOption(fileOption())
    .option('--ignore-missing', 'what is not there is no error')
    .option('--dry-run', 'only say what would be deleted')
    .option('--wait', 'until all of it is gone')
    .addOption(timeoutOption())
    .action(async (names: string[], options: DeleteFlags) => {
      const { deleteCommand } = await import('./resources/delete.js');
      await deleteCommand(names, merged(program, options));
    });
}

function addWatch(program: Command): void {
  withTarget(program.command('watch'))
    .description('one line for what there is and for each change, until interrupted')
    .argument('[collection...]', 'only these; all, if none is given')
    .addOption(
      new Option('-o, --output <format>', 'how to print').choices(['lines', 'json']).default('lines'),
    )
    .option('--changes', 'only what changes from now on')
    .option('--resume <token>', 'go on behind the event that had this token')
    .action(async (collections: string[], options: WatchFlags) => {
      const { watchCommand } = await import('./resources/watch.js');
      await watchCommand(collections, merged(program, options));
    });
}

function addReport(program: Command): void {
  withTarget(program.command('report'))
    .description(
      'what became of leased links: promised and measured, what was not kept, and whose fault it was',
    )
    .argument('[lease]', 'only this one: its name, or the last part of it')
    .option('--since <time>', 'from how long ago on: 30min, 1h, 1d, 4w; a year at most', '1h')
    .addOption(new Option('--by <step>', 'step by step as well').choices(['minute', 'hour', 'day']))
    .addOption(
      new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'yaml']).default('table'),
    )
    .action(async (lease: string | undefined, options: ReportFlags) => {
      const { reportCommand } = await import('./resources/report.js');
      await reportCommand(lease, merged(program, options));
    });
}

function addDrain(program: Command): void {
  withTarget(program.command('drain'))
    .description('lead traffic away before maintenance, and wait until none crosses it')
    .addArgument(
      new Argument('<what>', "machine, link (a wire or peering), or path: a service link's way").choices([
        'machine',
        'link',
        'path',
      ]),
    )
    .argument('<name>', 'P, P-Q; of a path NETWORK/LINK')
    .option('--undo', 'it is over: back')
    .addOption(timeoutOption('to wait', 60))
    .addOption(
      new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table'),
    )
    .action(async (what: Drainable, name: string, options: DrainFlags) => {
      const { drainCommand } = await import('./drain.js');
      await drainCommand(what, name, merged(program, options));
    });
}

function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print what makes a shell complete words: `source <(cabernet completion bash)`')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: string) => {
      const { completionScript } = await import('./completion/scripts.js');
      process.stdout.write(completionScript(shell));
    });
  program
    .command('__complete', { hidden: true })
    .description('what the last of these words may become')
    .argument('[word...]')
    .passThroughOptions()
    .action(async (words: string[]) => {
      const { completeCommand } = await import('./completion/complete.js');
      await completeCommand(program, words);
    });
}

function addContext(program: Command): void {
  const context = program.command('context').description('the controllers that can be called, by names');
  context
    .command('list')
    .description('all there are')
    .addOption(
      new Option('-o, --output <format>', 'how to print')
        .choices(['table', 'json', 'yaml', 'name'])
        .default('table'),
    )
    .action(async ({ output }: { output: string }) => {
      const { listContexts } = await import('./contexts/command.js');
      await listContexts(output);
    });
  context
    .command('use')
    .description('make one the current one')
    .argument('<context>')
    .action(async (name: string) => {
      const { useContext } = await import('./contexts/command.js');
      await useContext(name);
    });
  context
    .command('add')
    .description('add one; the first is current at once')
    .argument('<name>')
    .addOption(layerOption().makeOptionMandatory())
    .requiredOption('--address <address>', 'unix:/PATH, 192.0.2.1:7200 or [2001:db8::1]:7200')
    .option(
      '--credentials <directory>',
      'where certificate and key are, for addresses that are no unix sockets',
    )
    .option('--server <name>', 'whom the server must prove to be')
    .option('--use', 'make it the current one')
    .action(async (name: string, options: AddFlags) => {
      const { addContext } = await import('./contexts/command.js');
      await addContext(name, options);
    });
  context
    .command('remove')
    .description('forget one; nothing of the controller changes')
    .argument('<context>')
    .action(async (name: string) => {
      const { removeContext } = await import('./contexts/command.js');
      await removeContext(name);
    });
  context
    .command('show')
    .description('one of them, or the one in force')
    .argument('[context]')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['yaml', 'json']).default('yaml'))
    .action(async (name: string | undefined, { output }: { output: string }) => {
      const { showContext } = await import('./contexts/command.js');
      await showContext(name, output);
    });
}
