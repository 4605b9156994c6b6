/** A world file, read, checked and laid out; what is wrong in it is told with its line. */
import { resolve } from 'node:path';

import { cabernet } from '../../gen/cabernet.js';
import { type Manifest, readManifest } from '../api/manifest.js';
import { messageType } from '../api/message.js';
import { checkWorld } from './check.js';
import { WorldError } from './errors.js';
import { layOut, type WorldPlan } from './layout.js';
import { readState } from './state.js';
import { type World } from './world.js';

export interface LoadedWorld {
  /** Absolute. */
  readonly file: string;
  readonly world: World;
  readonly plan: WorldPlan;
}

/**
 * `name`: instead of the one in the file, so that one file can be up twice.
 * Throws ManifestError for what is wrong at a line of the file, WorldError where there is no such file.
 */
export async function loadWorld(file: string, name?: string): Promise<LoadedWorld> {
  const manifest = await read(file);
  try {
    const message = name === undefined ? manifest.value : { ...manifest.value, name };
    const world = checkWorld(message);
    return { file: resolve(file), world, plan: layOut(world, readState(world.name)?.plan) };
  } catch (error) {
    if (!(error instanceof WorldError) || error.field === undefined) throw error;
    if (name !== undefined && error.field === 'name') throw new WorldError(error.code, error.message);
    throw manifest.problem(error.field, error.message);
  }
}

async function read(file: string): Promise<Manifest<cabernet.world.v1.World>> {
  try {
    return await readManifest(messageType(cabernet.world.v1.World), file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new WorldError('FILE', `there is no file ${file}`);
    if (code === 'EISDIR' || code === 'EACCES')
      throw new WorldError('FILE', `${file} cannot be read: ${code}`);
    throw error;
  }
}
