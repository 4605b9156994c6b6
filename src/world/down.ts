/**
 * `down`: everything of a world removed, whatever `up` came to. It goes by names, not by what the state file says:
 * processes by the sockets they serve and the namespaces they are in, namespaces and pins by the world's prefix.
 */
import { existsSync, statSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { createNetns, deleteNetns, Netlink, netnsNames } from '../../native/lib/index.js';
import { requireRoot } from './host.js';
import { lockWorld } from './lock.js';
import { namespacesWith } from './namespaces.js';
import { namespacePath, namespacePrefix, pinsOf, sentinelNamespace, worldDirectory } from './place.js';
import { ancestors, commandOf, endAll, processesIn, processesWith } from './processes.js';
import { checkWorldName, removeState } from './state.js';

/** False if there was nothing of that name. */
export async function down(world: string): Promise<boolean> {
  requireRoot('`cabernet down`');
  checkWorldName(world);
  const lock = await lockWorld(world, 'down');
  try {
    // first what could still make something, then all that is made
    const agents = agentsOfWorld(world);
    await endAll(agents);
    const namespaces = await namespacesWith(namespacePrefix(world));
    await removeNamespaces(world, namespaces);
    // an agent that was just being started when `up` was killed
    await endAll(agentsOfWorld(world));
    const pins = await pinnedDirectories(world);
    for (const directory of pins) await rm(directory, { recursive: true, force: true });
    const found = agents.length + namespaces.length + pins.length > 0 || existsSync(worldDirectory(world));
    removeState(world);
    return found;
  } finally {
    await lock.release();
  }
}

/** All that serve a socket in the world's directory. */
function agentsOfWorld(world: string): ReturnType<typeof processesWith> {
  const directory = `${worldDirectory(world)}/`;
  return processesWith(['--socket']).filter(({ pid }) => {
    const command = commandOf(pid);
    return command[command.indexOf('--socket') + 1]?.startsWith(directory) ?? false;
  });
}

async function pinnedDirectories(world: string): Promise<readonly string[]> {
  const { parent, prefix } = pinsOf(world);
  try {
    return (await readdir(parent))
      .filter((name) => name.startsWith(prefix))
      .map((name) => join(parent, name));
  } catch {
    return [];
  }
}

export async function removePins(world: string, machine: string): Promise<void> {
  const { parent, prefix } = pinsOf(world);
  await rm(join(parent, `${prefix}${machine}`), { recursive: true, force: true });
}

/**
 * With the processes in them, and waits until their interfaces are gone, which the kernel sees to a little later, all
 * together: until then their names could not be used again.
 */
export async function removeNamespaces(world: string, names: readonly string[]): Promise<void> {
  // `down` may be typed in a shell inside the world
  const spared = ancestors();
  const guests = processesIn(inodesOf(names));
  await endAll(guests.filter(({ pid }) => !spared.has(pid)));
  await deleteAndWait(sentinelNamespace(world), names);
}

/** How long the kernel may take, milliseconds; longer only where somebody keeps a namespace. */
const REMOVAL_DEADLINE = 5000;

/** An interface in each namespace, with its other end here, tells when it has gone. */
async function deleteAndWait(here: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  if ((await netnsNames()).includes(here)) await deleteNetns(here);
  await createNetns(here);
  const netlink = await Netlink.open({ netns: namespacePath(here) });
  try {
    const live = names.filter((name) => name !== here && inodesOf([name]).size > 0);
    const errors = await netlink.batch(
      live.map((name, i) => ({
        op: 'addLink',
        link: { kind: 'veth', name: `s${i}`, peer: { name: 'cabernet-gone', netns: namespacePath(name) } },
      })),
    );
    let waiting = errors.filter((error) => !error).length;
    let gone = (): void => undefined;
    const all = new Promise<void>((resolve) => (gone = resolve));
    await netlink.subscribe(['link'], (events) => {
      for (const event of events) if (event.type === 'del') waiting--;
      if (waiting <= 0) gone();
    });
    if (waiting === 0) gone();
    for (const name of names) if (name !== here) await deleteNetns(name);
    await Promise.race([all, delay(REMOVAL_DEADLINE, undefined, { ref: false })]);
  } finally {
    netlink.close();
    await deleteNetns(here);
  }
}

/** Of those that are namespaces and not just files left behind. */
function inodesOf(names: readonly string[]): ReadonlySet<bigint> {
  const proc = statSync('/proc/self/ns/net', { bigint: true });
  return new Set(
    names.flatMap((name) => {
      try {
        const { dev, ino } = statSync(namespacePath(name), { bigint: true });
        return dev === proc.dev ? [ino] : [];
      } catch {
        return [];
      }
    }),
  );
}
