/**
 * The command `cabernet`. Only the words are here; what a word does is loaded when it is said, so that the command
 * starts quickly.
 */
import { Command, InvalidArgumentError, Option } from 'commander';

import { version } from '../api/version.js';
import type { ControllerOptions } from './controller.js';
import type {
  CaFlags,
  CaInitFlags,
  CaIssueFlags,
  CaptureFlags,
  CaShowFlags,
  ControllerFlags,
  DoctorFlags,
  NodeFlags,
  RemoteFlags,
  TraceFlags,
} from './flags.js';
import { report } from './report.js';

function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('A whole number above zero.');
}

function duration(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('Seconds, such as 5 or 0.5.');
}

const worldOption = (): Option =>
  new Option('--world <name>', 'the world meant, where several are up').env('CABERNET_WORLD');

const outputOption = (): Option =>
  new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'yaml']).default('table');

/** For one agent over TCP, in place of those of a world. */
const remoteOptions = (): readonly Option[] => [
  new Option('--address <host:port>', "call one machine's agent over TCP, not a world's").env(
    'CABERNET_ADDRESS',
  ),
  new Option('--credentials <directory>', 'who you are to it: certificate.pem, key.pem, authorities.pem').env(
    'CABERNET_CREDENTIALS',
  ),
  new Option('--server <name>', 'who has to be there: agent/PROVIDER/MACHINE').env('CABERNET_SERVER'),
];

function withRemote(command: Command): Command {
  for (const option of remoteOptions()) command.addOption(option);
  return command;
}

/** Repeated options become a list. */
function collect(value: string, list: readonly string[]): readonly string[] {
  return [...list, value];
}

const program = new Command('cabernet')
  .description('Virtual networks in three layers, and the testbed they run in.')
  .version(version())
  .addOption(worldOption())
  .showSuggestionAfterError()
  .showHelpAfterError('(`cabernet help COMMAND` tells more)')
  .enablePositionalOptions();

/** With the world that was named before or after the command's word. */
function withWorld<T extends { world?: string }>(options: T): T {
  const { world } = program.opts<{ world?: string }>();
  return options.world === undefined && world !== undefined ? { ...options, world } : options;
}

program
  .command('up')
  .description('bring the world of a file up, or make the one that is up as the file says')
  .argument('<file>', 'a world file, such as examples/figure2.yaml')
  .option('--name <name>', 'call the world so, instead of by the name in the file')
  .option('-q, --quiet', 'print nothing unless something is wrong')
  .action(async (file: string, options: { name?: string; quiet?: true }) => {
    const { upCommand } = await import('./up.js');
    await upCommand(file, options);
  });

program
  .command('down')
  .description('remove a world, whatever state it is in')
  .argument('[name]', 'the world; may be left out where only one is up')
  .action(async (name: string | undefined) => {
    const { downCommand } = await import('./down.js');
    await downCommand(name ?? withWorld<{ world?: string }>({}).world);
  });

program
  .command('exec')
  .description('run a command inside: in a station or virtual node (iptv/hp, iptv/P) or on a machine (P)')
  .usage('[options] VN/NODE -- COMMAND…')
  .argument('<place>', 'VN/STATION, VN/NODE or MACHINE')
  .argument('<command...>', 'the command and its arguments')
  .addOption(worldOption())
  .passThroughOptions()
  .action(async (place: string, command: string[], options: { world?: string }) => {
    const { execCommand } = await import('./exec.js');
    // the separator comes through: options behind the place are the command's
    await execCommand(place, command[0] === '--' ? command.slice(1) : command, withWorld(options));
  });

withRemote(program.command('get'))
  .description('show what there is')
  .argument(
    '<what>',
    'machines, nodes, links, vns, vifs, routes, paths, tunnels, wires, labels, neighbours, counters or drops',
  )
  .argument('[name]', 'only of this network, node, vif or machine: iptv, iptv/P, iptv/P/to-M, P')
  .addOption(outputOption())
  .option('-w, --watch', 'show it again whenever it changes')
  .addOption(worldOption())
  .action(
    async (
      what: string,
      name: string | undefined,
      options: RemoteFlags & { output: string; watch?: true; world?: string },
    ) => {
      const { getCommand } = await import('./get.js');
      await getCommand(what, name, withWorld(options));
    },
  );

for (const [word, text] of [
  ['cut', 'take a wire down, at both ends'],
  ['heal', 'bring a wire up again'],
] as const) {
  program
    .command(word)
    .description(text)
    .argument('<a>', 'a machine')
    .argument('<b>', 'the machine at the other end')
    .addOption(worldOption())
    .action(async (a: string, b: string, options: { world?: string }) => {
      const { wireCommand } = await import('./wire.js');
      await wireCommand(word, a, b, withWorld(options));
    });
}

program
  .command('trace')
  .description('follow one packet through every look-up of every layer on every machine, without sending it')
  .argument('<place>', 'where it begins: VN/STATION or VN/NODE')
  .requiredOption('--to <address>', 'where it is for: an address, or a name in the network')
  .option('--from <address>', "its source; the station's own if left out")
  .option('--length <bytes>', 'of the IP packet', wholeNumber)
  .option('--ttl <hops>', 'its TTL or hop limit', wholeNumber)
  .addOption(outputOption())
  .addOption(worldOption())
  .action(async (place: string, options: TraceFlags) => {
    const { traceCommand } = await import('./trace.js');
    await traceCommand(place, withWorld(options));
  });

program
  .command('capture')
  .description('show packets as they enter and leave, and drops with their reasons')
  .argument('<point>', 'VN/NODE, VN/STATION, VN/NODE/VIF or MACHINE:INTERFACE')
  .option('-w, --write <file>', 'write them as pcapng instead; - is the standard output')
  .option('--count <n>', 'end after so many packets', wholeNumber)
  .option('--duration <seconds>', 'end after so long', duration)
  .addOption(worldOption())
  .action(async (point: string, options: CaptureFlags) => {
    const { captureCommand } = await import('./capture.js');
    await captureCommand(point, withWorld(options));
  });

withRemote(program.command('doctor'))
  .description('look for what stands in the way, on this host and at every agent')
  .argument('[interface...]', 'interfaces of this host that an agent is to have')
  .option('--jumbo', 'the agent is to be started with --jumbo', false)
  .addOption(worldOption())
  .action(async (interfaces: string[], options: DoctorFlags) => {
    const { doctorCommand } = await import('./doctor.js');
    await doctorCommand(interfaces, withWorld(options));
  });

program
  .command('demo')
  .description('bring Figure 2 of the paper up, show it at work, and take it down')
  .action(async () => {
    const { demoCommand } = await import('./demo.js');
    await demoCommand();
  });

program
  .command('node')
  .description("the agent of one machine; run it in the machine's network namespace")
  .requiredOption('--name <machine>', "the machine's name")
  .requiredOption('--socket <path>', 'the unix socket to serve its API on')
  .requiredOption(
    '--pin-dir <directory>',
    'in the BPF file system, where the data plane stays when the agent ends',
  )
  .option('--netns-prefix <prefix>', "of its virtual nodes' network namespaces", 'cabernet.')
  .option('--interface <name>', 'an underlay interface; may be repeated', collect, [])
  .option('--port <glob>', 'interfaces offered to stations; may be repeated', collect, [])
  .option('--jumbo', 'frames in several buffers: MTUs above 3500, where the drivers can', false)
  .option('--listen <address:port>', 'serve the API over TCP too, with mutual TLS')
  .option(
    '--credentials <directory>',
    "the agent's certificate agent/PROVIDER/MACHINE: see `cabernet ca issue`",
  )
  .option('--provider <name>', 'the infrastructure provider whose calls over TCP it answers')
  .option('--capacity <table=number>', "a table's size, such as chunks=8192; may be repeated", collect, [])
  .option('--metrics <address:port>', 'serve /metrics to Prometheus there, such as on 127.0.0.1:9464')
  .addOption(new Option('--log-level <level>').choices(['debug', 'info', 'warn', 'error']).default('info'))
  .action(async (options: NodeFlags) => {
    const { nodeCommand } = await import('./node.js');
    await nodeCommand(options);
  });

function controllerCommand(
  layer: string,
  description: string,
  load: () => Promise<(options: ControllerOptions) => Promise<void>>,
): void {
  program
    .command(layer)
    .description(description)
    .requiredOption('--name <provider>', 'its name')
    .requiredOption('--socket <path>', 'the unix socket to serve its API on, for its operator')
    .requiredOption('--state <file>', 'where it keeps its state: a SQLite file')
    .option('--listen <address:port>', 'serve the API over TCP as well, with mutual TLS')
    .option('--credentials <directory>', "the provider's own certificate: to serve and to call over TCP")
    .option('--metrics <address:port>', 'serve /metrics to Prometheus there, such as on 127.0.0.1:9464')
    .addOption(new Option('--log-level <level>').choices(['debug', 'info', 'warn', 'error']).default('info'))
    .action(async (flags: ControllerFlags) => {
      const { controllerOptions } = await import('./controller.js');
      const run = await load();
      await run(controllerOptions(flags));
    });
}

controllerCommand(
  'infrastructure',
  'the controller of one infrastructure provider',
  async () => (await import('../infrastructure/main.js')).runInfrastructure,
);

controllerCommand(
  'connectivity',
  'the controller of one connectivity provider',
  async () => (await import('../connectivity/main.js')).runConnectivity,
);

controllerCommand(
  'service',
  'the controller of one service provider',
  async () => (await import('../service/main.js')).runService,
);

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

// A reader that has seen enough (`cabernet get vifs | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

try {
  await program.parseAsync();
} catch (error) {
  await report(error);
}
