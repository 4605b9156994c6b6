/**
 * `cabernet trace`: a packet's way as the paper's Figure 3 draws it. The deeper a look-up's layer, the further right
 * it stands: a packet climbs from the wire to its network, is looked up, and descends to the wire again.
 */
import {
  chooseWorld,
  findTarget,
  requireRoot,
  trace,
  type TraceLeg,
  type TraceStep,
  WorldError,
} from '../world/index.js';
import type { TraceFlags } from './flags.js';
import { short } from './names.js';
import { formatYaml } from './output.js';

export async function traceCommand(place: string, flags: TraceFlags): Promise<void> {
  requireRoot('`cabernet trace`');
  const state = chooseWorld(flags.world);
  const target = findTarget(state, place);
  if (target.kind === 'machine') {
    throw new WorldError(
      'NAME',
      `a trace begins in a network: VN/STATION or VN/NODE, not the machine ${place}`,
    );
  }
  const legs: TraceLeg[] = [];
  for await (const leg of trace(state, target, flags)) {
    legs.push(leg);
    if (flags.output === 'table') process.stdout.write(`${legs.length > 1 ? '\n' : ''}${formatLeg(leg)}\n`);
  }
  if (flags.output === 'json') process.stdout.write(`${JSON.stringify(legs.map(plainLeg), undefined, 2)}\n`);
  if (flags.output === 'yaml') process.stdout.write(`${await formatYaml(legs.map(plainLeg))}\n`);
  const last = legs.at(-1)?.response.verdict;
  if (last === 'dropped') process.exitCode = 1;
}

/** Frames in hexadecimal. */
function plainLeg({ machine, response }: TraceLeg): object {
  return { machine, ...response, egressFrame: Buffer.from(response.egressFrame).toString('hex') };
}

const INDENT = 3;

/** One machine's look-ups, a line each. */
export function formatLeg({ machine, response }: TraceLeg): string {
  const lines = response.steps.map((step) => ({
    where: `${' '.repeat(INDENT * step.depth)}${placeOf(step)}`,
    lookup: step.lookup,
    key: short(step.key),
    result: short(step.result),
    bytes: step.bytes === 0 ? '' : signed(step.bytes),
  }));
  const width = (key: 'where' | 'lookup' | 'key' | 'result'): number =>
    Math.max(0, ...lines.map((line) => line[key].length));
  const [where, lookup, key, result] = [width('where'), width('lookup'), width('key'), width('result')];
  const rows = lines.map((line) =>
    [
      line.where.padEnd(where),
      line.lookup.padEnd(lookup),
      line.key.padEnd(key),
      line.result.padEnd(line.bytes === '' ? 0 : result),
      line.bytes.padStart(4),
    ]
      .join('  ')
      .trimEnd(),
  );
  return [machine, ...rows, `=> ${outcome(response, response.steps)}`]
    .map((line, i) => (i === 0 ? line : `  ${line}`))
    .join('\n');
}

function placeOf(step: TraceStep): string {
  if (step.node !== '') return short(step.node);
  return step.depth === 0 ? 'wire' : 'infrastructure';
}

function signed(bytes: number): string {
  return bytes > 0 ? `+${bytes}` : String(bytes);
}

function outcome(response: TraceLeg['response'], steps: readonly TraceStep[]): string {
  const { verdict, egressInterface, egressFrame, tunnelRemoteAddress, wire, vif, reason, description } =
    response;
  const to = tunnelRemoteAddress || wire;
  const sum = steps.reduce((total, step) => total + step.bytes, 0);
  const size =
    egressFrame.length > 0 ? `, ${egressFrame.length} bytes (${sum === 0 ? 'as it came' : signed(sum)})` : '';
  switch (verdict) {
    case 'forwarded':
      return `forwarded by ${egressInterface}${to ? ` to ${to}` : ''}${size}`;
    case 'delivered':
      return `delivered to ${short(vif)} by ${egressInterface}${size}`;
    case 'punted':
      return `handed to the kernel of ${short(vif)}: ${reason}, ${description}`;
    case 'passed':
      return "passed to the machine's kernel";
    default:
      return `${verdict}: ${reason}, ${description}`;
  }
}
