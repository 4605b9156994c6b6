/** The words of what runs until it is stopped: the agent of a machine, the controllers of providers. */
import { type Command, Option } from 'commander';

import type { ControllerOptions } from './controller.js';
import type { ControllerFlags, NodeFlags } from './flags.js';
import { collect } from './program.js';

export function addProcessWords(program: Command): void {
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

  controllerCommand(
    program,
    'infrastructure',
    'the controller of one infrastructure provider',
    async () => (await import('../infrastructure/main.js')).runInfrastructure,
  );

  controllerCommand(
    program,
    'connectivity',
    'the controller of one connectivity provider',
    async () => (await import('../connectivity/main.js')).runConnectivity,
  );

  controllerCommand(
    program,
    'service',
    'the controller of one service provider',
    async () => (await import('../service/main.js')).runService,
  );
}

function controllerCommand(
  program: Command,
  layer: string,
  description: string,
  load: () => Promise<(options: ControllerOptions) => Promise<void>>,
): void {
  program
    .command(layer)
    .description(description)
    .requiredOption('--name <provider>', 'its name')
    .requiredOption('--socket <path>', 'the unix socket to serve its API on, for its operator')
    .requiredOption(
      '--state <place>',
      'where it keeps its state: a SQLite file, or etcd:https://HOST:2379,… for replicas',
    )
    .option(
      '--state-credentials <directory>',
      'for etcd: authorities.pem, and the certificate.pem and key.pem it asks for',
    )
    .option(
      '--advertise <address>',
      'with etcd: where clients find this replica, as callers of the others are told',
    )
    .option(
      '--failover <seconds>',
      'with etcd: how long a leader may be silent before another leads, 2 to 60 (default: 10)',
      Number,
    )
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
