/** A world file's text, for worlds whose file is written where they are used; and what one machine's agent is told. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readManifest } from '../src/api/manifest.js';
import { messageType } from '../src/api/message.js';
import { v1 } from '../src/api/node.js';
import { type LoadedWorld, loadWorld, type NodeClient } from '../src/world/index.js';

async function asFile<T>(text: string, read: (file: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-plan-'));
  try {
    const file = join(folder, 'file.yaml');
    writeFileSync(file, text);
    return await read(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function loadedOf(yaml: string): Promise<LoadedWorld> {
  return asFile(yaml, (file) => loadWorld(file));
}

/** What an owner wants on a machine, as ApplyResources in YAML: for machines without a controller. */
export interface Intent {
  readonly owner: string;
  readonly yaml: string;
}

/** One after the other. */
export async function applyIntents(client: NodeClient, intents: readonly Intent[]): Promise<void> {
  for (const { owner, yaml } of intents) {
    const { value } = await asFile(yaml, (file) => readManifest(messageType(v1.ApplyResources), file));
    const { resources } = value;
    await client.apply([
      { begin: { owner, epoch: 1n } },
      { resources: { resources } },
      { commit: { resourceCount: resources.length } },
    ]);
  }
}
