/** `cabernet service`: the controller of one service provider as a process. */
import { ServiceNetworkService } from '../api/service.js';
import { type ControllerKind, type ControllerOptions, runController } from '../controller/process.js';
import { makeService } from './controller.js';

const kind: ControllerKind = {
  services: [ServiceNetworkService],
  // operators and the provider itself only
  rights: {},
  make: (context) => makeService(context),
};

export type ServiceProcessOptions = Omit<ControllerOptions, 'role'>;

/** Runs until SIGTERM or SIGINT. Throws ControllerStartError, ApiError or StoreError when it cannot begin. */
export async function runService(options: ServiceProcessOptions): Promise<void> {
  await runController({ ...options, role: 'service' }, kind);
}
