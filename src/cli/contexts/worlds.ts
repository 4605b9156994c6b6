/** Controllers of worlds of the testbed, as contexts: `WORLD/PROVIDER`, no one has to add them. */
import { controllerSocket } from '../../world/controllers.js';
import { worldDirectory } from '../../world/place.js';
import { knownWorlds, readState } from '../../world/state.js';
import { type Context } from './file.js';

export function worldContexts(): readonly Context[] {
  return knownWorlds().flatMap((world) =>
    (readState(world)?.seats ?? []).map(({ layer, name }) => ({
      name: `${world}/${name}`,
      layer,
      address: `unix:${controllerSocket(worldDirectory(world), name)}`,
    })),
  );
}
