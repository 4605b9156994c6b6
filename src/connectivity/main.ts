/** `cabernet connectivity`: the controller of a connectivity provider as a process. */
import { ConnectivityService } from '../api/connectivity.js';
import { type ControllerKind, type ControllerOptions, runController } from '../controller/process.js';
import { makeConnectivity } from './controller.js';

const kind: ControllerKind = {
  services: [ConnectivityService],
  rights: {
    'cabernet.connectivity.v1.ConnectivityService': {
      service: ['Get', 'List', 'Watch', 'Update', 'Delete', 'Apply', 'ListReports'],
    },
  },
  make: (context) => makeConnectivity(context),
};

export async function runConnectivity(options: Omit<ControllerOptions, 'role'>): Promise<void> {
  await runController({ ...options, role: 'connectivity' }, kind);
}
