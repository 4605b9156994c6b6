/** `cabernet down`: no world is no error. */
import { down, knownWorlds, requireRoot, WorldError } from '../world/index.js';

export async function downCommand(name: string | undefined): Promise<void> {
  requireRoot('`cabernet down`');
  const worlds = knownWorlds();
  if (name === undefined && worlds.length > 1) {
    throw new WorldError('NAME', `several worlds are up: say which: ${worlds.join(', ')}`);
  }
  const world = name ?? worlds[0];
  if (world === undefined) {
    process.stdout.write('no world is up\n');
    return;
  }
  const begin = performance.now();
  const removed = await down(world);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  process.stdout.write(removed ? `world ${world} is gone after ${seconds} s\n` : `no world ${world} is up\n`);
}
