/** `cabernet apply`: makes what files say, all of one controller in one request. */
import { type Target, type TargetFlags } from '../contexts/choose.js';
import { CommandError, UsageError } from '../report.js';
import { perHour } from '../units.js';
import { differences, priceChange, priceOf } from './changes.js';
import { type AnyResource, bodyOf } from './layer.js';
import { type Given, type Group, readResources } from './manifests.js';
import { placed } from './refusal.js';
import { getResources } from '../../resources/lists.js';
import { type Server, withServer } from './server.js';
import { print, printable } from './show.js';
import { type Goal, waitUntilReady } from '../../resources/wait.js';

export interface ApplyFlags extends TargetFlags {
  readonly file: readonly string[];
  readonly dryRun?: true;
  readonly wait?: true;
  readonly timeout: number;
  readonly requestId?: string;
}

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,60}$/;
/** Of one request. */
const MOST_RESOURCES = 1000;
const MOST_BYTES = 3_900_000;

export async function applyCommand(flags: ApplyFlags): Promise<void> {
  const { requestId } = flags;
  if (flags.file.length === 0) throw new UsageError('what is to be applied? give files with -f');
  if (requestId !== undefined && !REQUEST_ID.test(requestId))
    throw new UsageError('--request-id must be 1 to 60 characters of [A-Za-z0-9._:-]');
  if (flags.wait && flags.dryRun) throw new UsageError('--wait and --dry-run are both given; give one');
  const groups = readResources(flags.file, flags);
  for (const group of groups) {
    const several = groups.length > 1 ? ` in ${nameOf(group.target)}` : '';
    await withServer(group.target, (server) => applyGroup(server, group, flags, several));
  }
}

const nameOf = (target: Target): string => target.context ?? target.address;

/** What became of one resource. */
interface Outcome {
  readonly before: AnyResource | undefined;
  readonly after: AnyResource;
  readonly word: 'created' | 'changed' | 'unchanged';
}

async function applyGroup(server: Server, group: Group, flags: ApplyFlags, where: string): Promise<void> {
  const parts = partsOf(
    server,
    group.given,
    flags.requestId === undefined ? MOST_RESOURCES : MOST_RESOURCES - 1,
  );
  if (parts.length > 1) {
    process.stderr.write(
      `cabernet: ${group.given.length} resources for ${nameOf(group.target)} are more than one request takes; they are sent in ${parts.length} parts, each as a whole\n`,
    );
  }
  const goals: Goal[] = [];
  const total = new Map<string, bigint>();
  for (const [i, part] of parts.entries()) {
    const requestId = flags.requestId === undefined ? '' : `${flags.requestId}${i === 0 ? '' : `.${i}`}`;
    const outcomes = await applyPart(server, part, flags.dryRun === true, requestId, said(i, parts, where));
    for (const outcome of outcomes) {
      await tell(server, outcome, flags.dryRun === true, where);
      const cost = priceOf(outcome.after);
      if (cost) total.set(cost.currency, (total.get(cost.currency) ?? 0n) + cost.micros);
      goals.push(goalOf(outcome));
    }
  }
  if (flags.dryRun && total.size > 0) {
    const sums = [...total].map(([currency, micros]) => printable(perHour(micros, currency)));
    await print(`all of these together${where}: ${sums.join(', ')}`);
  }
  if (!flags.wait) return;
  await waitUntilReady(server.client, goals, {
    timeoutSeconds: flags.timeout,
    onReady: (name) => print(`${printable(name)} ready${where}`),
  });
}

/** What is done already when a part fails. */
function said(part: number, parts: readonly unknown[], where: string): string {
  return part === 0 ? '' : `\nparts 1 to ${part} of ${parts.length} are done${where}; the rest is not`;
}

async function applyPart(
  { client }: Server,
  part: readonly Given[],
  validateOnly: boolean,
  requestId: string,
  done: string,
): Promise<readonly Outcome[]> {
  const befores = await getResources(
    client,
    part.map(({ name }) => name),
  );
  const resources = part.map(({ resource }) => resource);
  let afters: readonly AnyResource[];
  try {
    ({ resources: afters } = await client.update({ resources, validateOnly, requestId }));
  } catch (error) {
    const told = placed(error, part);
    throw done === '' ? told : new CommandError(`${(told as Error).message}${done}`);
  }
  if (afters.length !== part.length)
    throw new CommandError(`the server answers with ${afters.length} resources for ${part.length}`);
  return afters.map((after, i): Outcome => {
    const before = befores[i];
    const [old, fresh] = [before, after].map((one) => bodyOf(one).status?.generation ?? 0n);
    return { before, after, word: !before ? 'created' : old === fresh ? 'unchanged' : 'changed' };
  });
}

async function tell(
  { layer }: Server,
  { before, after, word }: Outcome,
  dryRun: boolean,
  where: string,
): Promise<void> {
  const name = printable(bodyOf(after).name);
  if (!dryRun) return print(`${name} ${word}${where}`);
  const cost = priceChange(before, after);
  const priced = cost === undefined ? '' : `, ${cost}`;
  if (word === 'unchanged') return print(`${name} would stay as it is${where}${priced}`);
  const lines = differences(layer, before, after).map((line) => `  ${line}`);
  return print([`${name} would be ${word}${where}${priced}`, ...lines].join('\n'));
}

function goalOf({ after, word }: Outcome): Goal {
  const { name, status } = bodyOf(after);
  return {
    name,
    generation: status?.generation ?? 0n,
    etag: status?.etag ?? '',
    unchanged: word === 'unchanged',
  };
}

/** What one request takes, in numbers (its id is written down with them) and in bytes. */
function partsOf({ layer }: Server, given: readonly Given[], most: number): readonly (readonly Given[])[] {
  const parts: Given[][] = [[]];
  let bytes = 0;
  for (const one of given) {
    const size = layer.type.encode(one.resource).length + 8;
    let part = parts.at(-1) ?? [];
    if (part.length === most || (part.length > 0 && bytes + size > MOST_BYTES)) {
      parts.push((part = []));
      bytes = 0;
    }
    part.push(one);
    bytes += size;
  }
  return parts;
}
