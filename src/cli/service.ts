/** `cabernet service`: the controller of a service provider. */
import { runService } from '../service/main.js';
import type { ServiceFlags } from './flags.js';

export async function serviceCommand(flags: ServiceFlags): Promise<void> {
  await runService(flags);
}
