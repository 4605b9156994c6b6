/** A world file's text, for worlds whose file is written where they are used. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadWorld, type WorldPlan } from '../src/world/index.js';

export async function planOf(yaml: string): Promise<WorldPlan> {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-plan-'));
  try {
    const file = join(folder, 'world.yaml');
    writeFileSync(file, yaml);
    return (await loadWorld(file)).plan;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
