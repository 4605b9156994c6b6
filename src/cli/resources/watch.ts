/** `cabernet watch`: one line for each change, for people or for programs. */
import { requireTarget, type TargetFlags } from '../contexts/choose.js';
import { CommandError, UsageError } from '../report.js';
import { ApiError } from '../../api/errors.js';
import { follow, type Seen } from '../../resources/follow.js';
import { tellAway } from './get.js';
import { stateOf } from './kinds/kind.js';
import { bodyOf, type Layer, LAYERS } from './layer.js';
import { collectionOf, isSingle } from './naming.js';
import { withServer } from './server.js';
import { print, printable, printableLines, resourceJson } from './show.js';
import { printableJson } from '../printable.js';

export interface WatchFlags extends TargetFlags {
  readonly output: string;
  readonly resume?: string;
  readonly changes?: true;
}

export async function watchCommand(words: readonly string[], flags: WatchFlags): Promise<void> {
  const { resume } = flags;
  if (resume !== undefined && flags.changes)
    throw new UsageError('--resume and --changes are both given; a token begins with changes anyway');
  if (resume === '') throw new UsageError('--resume needs a token');
  const target = requireTarget(flags);
  const layer = LAYERS[target.layer];
  const collections = words.map((word) => collectionOf(layer, word).text);
  await withServer(target, async ({ client }) => {
    // also shows that somebody answers: later on one who is away is waited for
    const any = layer.kinds.find((kind) => !isSingle(kind));
    const collection = collections[0] ?? any?.collection.replaceAll('+', '-') ?? '';
    const { resumeToken } = await client.list({ collection, pageSize: 1, pageToken: '' });
    const stop = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
    const events = follow(client, {
      collections,
      resumeToken: resume ?? (flags.changes ? resumeToken : ''),
      signal: stop.signal,
      catchUp: false,
      onAway: tellAway(target),
    });
    try {
      for await (const seen of events)
        await print(flags.output === 'json' ? lineForPrograms(layer, seen) : lineForPeople(seen));
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== 'RESUME_TOKEN_EXPIRED') throw error;
      throw new CommandError(
        `${printableLines(error.message)} Changes may have been missed: begin anew, without --resume.`,
      );
    }
  });
}

function lineForPrograms(layer: Layer, { type, resource, resumeToken }: Seen): string {
  const shown = resource && resourceJson(layer, resource);
  return printableJson(JSON.stringify({ type, ...(shown && { resource: shown }), resumeToken }));
}

function lineForPeople({ type, resource }: Seen): string {
  if (type === 'synced') return '-- all that was there';
  const { name, status } = bodyOf(resource);
  const facts =
    type === 'deleted' ? [] : [stateOf(status), status?.message ?? ''].filter((one) => one !== '');
  const time = type === 'changed' ? (status?.updateTime ?? '') : '';
  return printable([time, type, name, facts.join(': ')].filter((one) => one !== '').join('  '));
}
