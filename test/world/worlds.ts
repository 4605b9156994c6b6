/** Worlds for these tests: from YAML text, an example file, or a plain object. */
import { readFileSync } from 'node:fs';

import { parse } from 'yaml';

import { cabernet } from '../../gen/cabernet.js';
import { type Draft, messageType } from '../../src/api/message.js';
import { checkWorld } from '../../src/world/check.js';
import { planWorld, type WorldPlan } from '../../src/world/plan.js';

export type WorldDraft = Draft<cabernet.world.v1.World>;

export function planOf(draft: WorldDraft): WorldPlan {
  return planWorld(checkWorld(messageType(cabernet.world.v1.World).complete(draft)));
}

export function exampleDraft(name: string): WorldDraft {
  const file = new URL(`../../examples/${name}.yaml`, import.meta.url);
  return parse(readFileSync(file, 'utf8')) as WorldDraft;
}

export function examplePlan(name: string): WorldPlan {
  return planOf(exampleDraft(name));
}
