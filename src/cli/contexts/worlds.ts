/** Controllers of worlds of the testbed, as contexts: `WORLD/PROVIDER`, no one has to add them. */
import { controllerSocket, type Seat } from '../../world/controllers.js';
import { worldDirectory } from '../../world/place.js';
import { knownWorlds, readState } from '../../world/state.js';
import { type Context } from './file.js';

export function worldContexts(): readonly Context[] {
  return knownWorlds().flatMap((world) =>
    seatsOf(world).map(({ layer, name }) => ({
      name: `${world}/${name}`,
      layer,
      address: `unix:${controllerSocket(worldDirectory(world), name)}`,
    })),
  );
}

/** None where its state is another version's: that is `up`'s to complain of. */
function seatsOf(world: string): readonly Seat[] {
  try {
    return readState(world)?.seats ?? [];
  } catch {
    return [];
  }
}
