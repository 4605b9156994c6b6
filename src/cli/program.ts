/**
 * The words of the command `cabernet`. What a word does is loaded when it is said, so that the command starts quickly.
 */
import { Command, InvalidArgumentError, Option } from 'commander';

import { version } from '../api/version.js';
import type {
  CaptureFlags,
  DemoFlags,
  DoctorFlags,
  ImpairFlags,
  RemoteFlags,
  StreamFlags,
  TraceFlags,
} from './flags.js';
import { withRemote } from './program-remote.js';

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('A whole number above zero.');
}

export function duration(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('Seconds, such as 5 or 0.5.');
}

export const worldOption = (): Option =>
  new Option('--world <name>', 'the world meant, where several are up').env('CABERNET_WORLD');

export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'yaml']).default('table');

/** Repeated options become a list. */
export function collect(value: string, list: readonly string[]): readonly string[] {
  return [...list, value];
}

export const program = new Command('cabernet')
  .description('Virtual networks in three layers, and the testbed they run in.')
  .version(version())
  .addOption(worldOption())
  .exitOverride() // main.ts gives wrong usage its exit status
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
  .command('impair')
  .description('delay, lose or slow down what a wire carries; without options: show what wires do')
  .argument('[a]', 'a machine')
  .argument('[b]', 'the machine at the other end')
  .option('--delay <time>', 'every frame comes so much later, such as 20ms; at most 10s')
  .option('--jitter <time>', 'and so much more at most, by chance; frames stay in order')
  .option('--loss <share>', 'so many frames are lost by chance, such as 1%')
  .option('--rate <rate>', 'what comes faster waits, such as 10mbit')
  .option('--seed <n>', 'the same one gives the same chances to the n-th frames (default: 0)')
  .option('--one-way', 'only what a sends to b')
  .option('--clear', 'the wire does nothing to frames any more')
  .addOption(outputOption())
  .addOption(worldOption())
  .action(async (a: string | undefined, b: string | undefined, options: ImpairFlags) => {
    const { impairCommand } = await import('./impair.js');
    await impairCommand(a, b, withWorld(options));
  });

program
  .command('stream')
  .description(
    'send a constant stream of numbered packets, and say which were lost, doubled, late or out of order',
  )
  .argument('<from>', 'VN/STATION or VN/NODE')
  .argument('<to>', 'VN/STATION or VN/NODE')
  .option('--interval <time>', 'between two packets, 10us to 10s', '1ms')
  .option('--duration <time>', 'how long to send', '10s')
  .option('--bytes <n>', 'of UDP payload', wholeNumber, 64)
  .option('-6, --ipv6', 'to its IPv6 address')
  .addOption(new Option('--json', 'the report and a time series').conflicts('csv'))
  .option('--csv', 'the time series: a line for each tenth of a second')
  .addOption(worldOption())
  .action(async (from: string, to: string, options: StreamFlags) => {
    const { streamCommand } = await import('./stream.js');
    await streamCommand(from, to, withWorld(options));
  });

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
    await doctorCommand(interfaces, { ...program.opts<RemoteFlags>(), ...withWorld(options) });
  });

program
  .command('demo')
  .description('bring Figure 2 of the paper up, show it at work, and take it down')
  .option('--json <file>', 'write what became of the streams under the cut: reports and time series')
  .option('--csv <file>', 'write their time series: a line for each tenth of a second')
  .action(async (options: DemoFlags) => {
    const { demoCommand } = await import('./demo.js');
    await demoCommand(options);
  });
