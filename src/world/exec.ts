/**
 * A command inside the world: in a machine's, a virtual node's or a station's namespace, with a hosts file in which
 * the network's nodes and stations have their names.
 */
import { existsSync } from 'node:fs';

import { WorldError } from './errors.js';
import { hostsPath, namespacePath } from './place.js';
import { type WorldState } from './state.js';
import { type Target } from './target.js';

/** Where no hosts file can be laid over the host's, names are missing and all else works. */
const WITH_HOSTS = 'mount --bind "$0" /etc/hosts 2>/dev/null; exec "$@"';

/** The program and its arguments; throws WorldError where the place does not exist now. */
export function commandIn(
  state: WorldState,
  target: Target,
  command: readonly string[],
): [string, ...string[]] {
  const path = namespacePath(target.namespace);
  if (!existsSync(path)) {
    throw new WorldError(
      'NOT_UP',
      `${target.namespace} does not exist: \`cabernet up ${state.file}\` makes it`,
    );
  }
  // `ip netns exec` gives its own /sys, and hides the BPF file system with it: not wanted on a machine
  const enter =
    target.kind === 'machine'
      ? ['nsenter', `--net=${path}`, '--']
      : ['ip', 'netns', 'exec', target.namespace];
  const hosts = hostsPath(state.plan.name, target.network);
  return ['unshare', '--mount', '--', 'sh', '-c', WITH_HOSTS, hosts, ...enter, ...command];
}
