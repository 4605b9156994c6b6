/** `cabernet impair`: what wires do to frames, shown or changed. */
import { chancesOf, endName, impair } from '../world/impair.js';
import { holdsFrames, type Impairment, outOfBounds } from '../world/impairment.js';
import { requireRoot } from '../world/host.js';
import { type WirePlan } from '../world/layout.js';
import { relaysOf } from '../world/relay.js';
import { type WorldState } from '../world/state.js';
import { chooseWorld } from '../world/target.js';
import { findWires } from '../world/wires.js';
import type { ImpairFlags } from './flags.js';
import { type Column, formatRows, type Row } from './output.js';
import { rateOf, shareOf, timeOf } from './quantities.js';
import { UsageError } from './report.js';
import { describeImpairment } from './units.js';

const EFFECTS = ['delay', 'jitter', 'loss', 'rate'] as const;
const CHANGES = [...EFFECTS, 'seed', 'oneWay', 'clear'] as const;

export async function impairCommand(
  a: string | undefined,
  b: string | undefined,
  flags: ImpairFlags,
): Promise<void> {
  if (a !== undefined && b === undefined)
    throw new UsageError(`${a} and which other machine? A wire has two ends: cabernet impair ${a} B`);
  const changes = CHANGES.some((flag) => flags[flag] !== undefined);
  if (changes && (a === undefined || b === undefined))
    throw new UsageError('which wire? Name the machines at its ends: cabernet impair A B --delay 20ms');
  const impairment = changes ? impairmentOf(flags) : undefined;
  requireRoot('`cabernet impair`');
  const state = chooseWorld(flags.world);
  if (a === undefined || b === undefined) return show(state, state.plan.wires, flags.output, false);
  if (!changes) return show(state, findWires(state, a, b), flags.output, true);
  const ends = await impair(state.plan.name, [a, b], impairment, flags.oneWay ?? false);
  for (const end of ends) {
    const text = impairment ? describeImpairment(impairment) : '';
    process.stdout.write(
      text === '' ? `${end} is not impaired\n` : `impaired: what leaves ${end}: ${text}\n`,
    );
  }
}

/** Undefined: none. */
function impairmentOf(flags: ImpairFlags): Impairment | undefined {
  const effects = EFFECTS.filter((flag) => flags[flag] !== undefined);
  if (flags.clear) {
    if (effects.length > 0 || flags.seed !== undefined)
      throw new UsageError('--clear takes everything away: leave the other options out, or --clear');
    return undefined;
  }
  if (effects.length === 0)
    throw new UsageError(
      'what is the wire to do? Say one of --delay, --jitter, --loss and --rate, or --clear',
    );
  const { seed = '0' } = flags;
  if (!/^\d{1,10}$/.test(seed)) throw new UsageError(`--seed ${seed}: a whole number, 0 to 4294967295`);
  const impairment: Impairment = {
    delayUs: flags.delay === undefined ? 0 : timeOf('--delay', flags.delay),
    jitterUs: flags.jitter === undefined ? 0 : timeOf('--jitter', flags.jitter),
    lossPpm: flags.loss === undefined ? 0 : shareOf('--loss', flags.loss),
    bitsPerSecond: flags.rate === undefined ? 0 : rateOf('--rate', flags.rate),
    seed: Number(seed),
  };
  const wrong = outOfBounds(impairment);
  if (!wrong) return impairment;
  const option = OPTIONS[wrong.field];
  throw new UsageError(`--${option} ${flags[option] ?? ''}: ${wrong.bounds}`);
}

const OPTIONS = {
  delayUs: 'delay',
  jitterUs: 'jitter',
  lossPpm: 'loss',
  bitsPerSecond: 'rate',
  seed: 'seed',
} as const satisfies Record<keyof Impairment, keyof ImpairFlags>;

const COLUMNS: readonly Column[] = [
  { key: 'from', title: 'FROM' },
  { key: 'to', title: 'TO' },
  { key: 'impairment', title: 'IMPAIRMENT' },
  { key: 'seed', title: 'SEED', align: 'right' },
  { key: 'packets', title: 'FRAMES', align: 'right' },
  { key: 'lost', title: 'LOST BY CHANCE', align: 'right' },
];

/** A row for each direction; `all`: those that nothing is done in, too. */
async function show(
  state: WorldState,
  wires: readonly WirePlan[],
  format: string,
  all: boolean,
): Promise<void> {
  const chances = await chancesOf(state, wires);
  const rows = wires.flatMap(({ ends }) =>
    ends.flatMap((end, side): Row[] => {
      const [from, other] = [endName(end), ends[side === 0 ? 1 : 0]];
      const impairment = state.impaired?.[from];
      if (!impairment && !all) return [];
      const { delayUs = 0, jitterUs = 0, lossPpm = 0, bitsPerSecond = 0, seed = '' } = impairment ?? {};
      const counts = chances.get(from);
      return [
        {
          from,
          to: endName(other),
          impairment: impairment ? describeImpairment(impairment) : '',
          ...{ delayUs, jitterUs, lossPpm, bitsPerSecond, seed },
          packets: counts ? Number(counts.packets) : '',
          lost: counts ? Number(counts.lost) : '',
        },
      ];
    }),
  );
  process.stdout.write(`${await formatRows(format, COLUMNS, rows)}\n`);
  const held = Object.values(state.impaired ?? {}).some(holdsFrames);
  if (!held || relaysOf(state.plan.name).length > 0) return;
  const loss = 'wires with a delay, jitter or a rate lose everything';
  process.stderr.write(
    `cabernet: ${loss}: their process has ended; \`cabernet up ${state.file}\` starts another\n`,
  );
  process.exitCode = 1;
}
