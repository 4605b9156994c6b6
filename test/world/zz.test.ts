import { readFileSync } from 'node:fs';
import { parse } from '/work/main/node_modules/yaml';
import { test } from '/work/main/node_modules/vitest';
import { checkWorld } from '/work/main/src/world/check.js';
import { planWorld } from '/work/main/src/world/plan.js';
test('x', () => {
  const plan = planWorld(checkWorld(parse(readFileSync('/work/main/examples/'+(process.env.W??'three')+'.yaml','utf8'))));
  console.log(JSON.stringify(plan, null, 1).replace(/\n {4,}/g,' '));
});
