/** Waiting for a service network to be on its machines. */
import { unavailable } from '../api/errors.js';
import { type Clock, sleep } from '../controller/clock.js';
import { type ConnectivityState } from './kinds.js';

const READY_WITHIN = 20_000;

/** Resolves when all machines have what the network is made of. */
export async function networkReady(
  state: ConnectivityState,
  name: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const isReady = (): boolean => state.get('serviceNetwork', name)?.status?.reconciling === false;
  if (isReady()) return;
  const woken = new AbortController();
  const stop = state.onChange(() => {
    if (isReady()) woken.abort();
  });
  try {
    await sleep(clock, READY_WITHIN, AbortSignal.any([signal, woken.signal]));
  } finally {
    stop();
  }
  signal.throwIfAborted();
  if (isReady()) return;
  throw unavailable({
    reason: 'NOT_READY',
    field: 'begin.service_network',
    message: `${name} is not yet on its machines; repeat later.`,
  });
}
