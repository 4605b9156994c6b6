/** Worlds for these tests: from YAML text, an example file, or a plain object. */
import { readFileSync } from 'node:fs';

import { cabernet } from '../../gen/cabernet.js';
import { type Draft, messageType } from '../../src/api/message.js';
import { parseManifest } from '../../src/api/manifest.js';
import { checkWorld } from '../../src/world/check.js';
import { layOut, type WorldPlan } from '../../src/world/layout.js';
import { type World } from '../../src/world/world.js';

export type WorldDraft = Draft<cabernet.world.v1.World>;

export function worldOf(draft: WorldDraft): World {
  return checkWorld(messageType(cabernet.world.v1.World).complete(draft));
}

export function planOf(draft: WorldDraft): WorldPlan {
  return layOut(worldOf(draft));
}

export function exampleDraft(name: string): WorldDraft {
  const file = new URL(`../../examples/${name}.yaml`, import.meta.url);
  return parseManifest(messageType(cabernet.world.v1.World), readFileSync(file, 'utf8'), name).value;
}
