/** `cabernet delete`: by names, or what files name. */
import { requireTarget, type Target, type TargetFlags } from '../contexts/choose.js';
import { UsageError } from '../report.js';
import { LAYERS } from './layer.js';
import { readResources } from './manifests.js';
import { nameOf } from './naming.js';
import { getResources } from '../../resources/lists.js';
import { type Server, withServer } from './server.js';
import { print, printable } from './show.js';
import { waitUntilGone } from '../../resources/wait.js';

export interface DeleteFlags extends TargetFlags {
  readonly file: readonly string[];
  readonly ignoreMissing?: true;
  readonly dryRun?: true;
  readonly wait?: true;
  readonly timeout: number;
}

const MOST = 1000;

export async function deleteCommand(texts: readonly string[], flags: DeleteFlags): Promise<void> {
  if (flags.wait && flags.dryRun) throw new UsageError('--wait and --dry-run are both given; give one');
  if (texts.length > 0 === flags.file.length > 0)
    throw new UsageError('what is to be deleted? give names, or files with -f');
  if (texts.length > 0) {
    const target = requireTarget(flags);
    const names = texts.map((text) => nameOf(LAYERS[target.layer], text).name);
    await deleteNames(target, names, flags);
    return;
  }
  // what came last may stand on what came first
  for (const { target, given } of readResources(flags.file, flags).toReversed())
    await deleteNames(target, given.map(({ name }) => name).toReversed(), flags);
}

async function deleteNames(target: Target, names: readonly string[], flags: DeleteFlags): Promise<void> {
  await withServer(target, async (server) => {
    const distinct = [...new Set(names)];
    for (let i = 0; i < distinct.length; i += MOST) {
      try {
        await deletePart(server, distinct.slice(i, i + MOST), flags);
      } catch (error) {
        if (i > 0) process.stderr.write(`cabernet: the first ${i} are deleted, the rest is not\n`);
        throw error;
      }
    }
    if (flags.wait) await waitUntilGone(server.client, distinct, flags.timeout);
  });
}

async function deletePart({ client }: Server, names: readonly string[], flags: DeleteFlags): Promise<void> {
  const there = await getResources(client, names);
  await client.delete({
    names,
    allowMissing: flags.ignoreMissing === true,
    validateOnly: flags.dryRun === true,
  });
  const word = flags.dryRun ? 'would be deleted' : 'deleted';
  for (const [i, name] of names.entries())
    await print(`${printable(name)} ${there[i] === undefined ? 'is not there' : word}`);
}
