/** `cabernet describe`: everything of a resource that a person can read, in words. */
import { requireTarget, type TargetFlags } from '../contexts/choose.js';
import { describeBody } from './describe-body.js';
import { bodyOf, LAYERS } from './layer.js';
import { nameOf } from './naming.js';
import { withServer } from './server.js';
import { print } from './show.js';

export async function describeCommand(texts: readonly string[], flags: TargetFlags): Promise<void> {
  const target = requireTarget(flags);
  const layer = LAYERS[target.layer];
  const names = texts.map((text) => nameOf(layer, text).name);
  await withServer(target, async ({ client }) => {
    for (const [i, name] of names.entries()) {
      const { resource } = await client.get({ name });
      const type = layer.type.schema.byName.get(resource?.kind ?? '')?.type;
      if (!resource || type?.kind !== 'message') continue;
      await print(`${i === 0 ? '' : '\n'}${describeBody(type.message, bodyOf(resource)).join('\n')}`);
    }
  });
}
