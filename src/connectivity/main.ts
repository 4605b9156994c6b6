/** `cabernet connectivity`: the controller of a connectivity provider as a process. */
import { type ControllerOptions, runController } from '../controller/process.js';
import { makeConnectivity } from './controller.js';

export async function runConnectivity(options: Omit<ControllerOptions, 'role'>): Promise<void> {
  await runController({ ...options, role: 'connectivity' }, (context) => makeConnectivity(context));
}
