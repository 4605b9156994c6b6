/** `cabernet service`: the controller of one service provider as a process. */
import { type ControllerOptions, runController } from '../controller/process.js';
import { makeService } from './controller.js';

export type ServiceProcessOptions = Omit<ControllerOptions, 'role'>;

/** Runs until SIGTERM or SIGINT. Throws ControllerStartError, ApiError or StoreError when it cannot begin. */
export async function runService(options: ServiceProcessOptions): Promise<void> {
  await runController({ ...options, role: 'service' }, (context) => makeService(context));
}
