/** What the controllers' commands have in common: their options, checked. */
import { parseAddressOfServer, ADDRESS_RULE } from '../api/address.js';
import {
  type ControllerOptions as ProcessOptions,
  isSecure,
  parsePlace,
  PLACE_RULE,
} from '../controller/process.js';
import type { ControllerFlags } from './flags.js';
import { UsageError } from './report.js';

export type ControllerOptions = Omit<ProcessOptions, 'role'>;

export function controllerOptions(flags: ControllerFlags): ControllerOptions {
  const { name, socket, listen, credentials, metrics, logLevel } = flags;
  if (listen !== undefined && credentials === undefined)
    throw new UsageError('--listen wants --credentials: over TCP everybody has a certificate');
  return {
    name,
    socket,
    ...storeOptions(flags),
    logLevel,
    ...(credentials !== undefined && { remote: { listen, credentials } }),
    ...(metrics !== undefined && { metrics }),
  };
}

type StoreOptions = Pick<ProcessOptions, 'state' | 'stateCredentials' | 'replica'>;

function storeOptions({
  state,
  stateCredentials,
  advertise,
  failover,
  listen,
}: ControllerFlags): StoreOptions {
  const place = parsePlace(state);
  if (!place) throw new UsageError(`--state ${state} is none; it is ${PLACE_RULE}`);
  const needed = isSecure(place);
  if (needed && stateCredentials === undefined)
    throw new UsageError(
      '--state etcd:https:… wants --state-credentials DIRECTORY: whom to believe to be etcd',
    );
  if (!needed && stateCredentials !== undefined)
    throw new UsageError('--state-credentials go with --state etcd:https:…; nothing else asks for them');
  if (place.kind === 'sqlite') {
    if (advertise !== undefined || failover !== undefined)
      throw new UsageError('--advertise and --failover are for replicas: they go with --state etcd:…');
    return { state: place };
  }
  if (advertise !== undefined && !parseAddressOfServer(advertise))
    throw new UsageError(`--advertise ${advertise} is no address; it is ${ADDRESS_RULE}`);
  if (advertise === undefined && listen !== undefined && /^(0\.0\.0\.0|\[::\]):/.test(listen))
    throw new UsageError('--listen on every address wants --advertise: the one that clients are to call');
  if (failover !== undefined && !(Number.isInteger(failover) && failover >= 2 && failover <= 60))
    throw new UsageError('--failover is 2 to 60 seconds, in whole numbers');
  return { state: place, stateCredentials, replica: { advertise, failover } };
}
