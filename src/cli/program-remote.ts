/** Options of commands that may call over TCP. What the environment says is read where it counts, behind what the line says. */
import { type Command, Option } from 'commander';

export const credentialsOption = (): Option =>
  new Option(
    '--credentials <directory>',
    'who you are to it: certificate.pem, key.pem, authorities.pem (env: CABERNET_CREDENTIALS)',
  );

export const serverOption = (whom: string): Option =>
  new Option('--server <name>', `who has to be there: ${whom}`);

/** For one agent over TCP, in place of those of a world. */
export function withRemote(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--address <host:port>',
        "call one machine's agent over TCP, not a world's (env: CABERNET_ADDRESS)",
      ),
    )
    .addOption(credentialsOption())
    .addOption(serverOption('agent/PROVIDER/MACHINE (env: CABERNET_SERVER)'));
}
