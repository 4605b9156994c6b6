/* What it costs to take a number of 1+1 where it arrives. */
import { Limit, Merge } from '../gen/layout.js';
import { type Instance } from '../test/support/instance.js';
import { median, round, row, type Row } from './report.js';

const VIF = 3;
const NUMBERS = 1 << 20;
const WINDOW = Limit.LIMIT_MERGE_NUMBERS;
const ROUNDS = 5;

/** `numbers` of a link taken one by one; ns each, with the run of the program. */
async function take(instance: Instance, first: number, numbers: number): Promise<number> {
  instance.setVariables({
    race_vif: VIF,
    race_first: first,
    race_numbers: numbers,
    race_runners: 1,
    race_ready: 0,
    race_taken0: 0,
    race_taken1: 0,
  });
  const program = instance.object.program('cabernet_race_test');
  const { durationNs } = await program.testRun({ data: Buffer.alloc(64), repeat: Math.max(numbers, 1) });
  return durationNs;
}

async function idle(instance: Instance): Promise<number> {
  instance.setVariables({ race_numbers: 0 });
  const program = instance.object.program('cabernet_race_test');
  return (await program.testRun({ data: Buffer.alloc(64), repeat: NUMBERS })).durationNs;
}

export async function mergeCost(instance: Instance): Promise<Row> {
  const key = Buffer.from(Uint32Array.of(VIF).buffer);
  const [empty, delivered, again]: [number[], number[], number[]] = [[], [], []];
  for (let i = 0; i < ROUNDS; i++) {
    instance.map('merges').update(key, new Uint8Array(Merge.size));
    // that of a program which does nothing: what a run costs
    empty.push(await idle(instance));
    delivered.push(await take(instance, 1, NUMBERS));
    // the window has the last ones only, so that these are few
    again.push(await take(instance, NUMBERS - WINDOW + 1, WINDOW));
  }
  const run = median(empty);
  return row({
    bench: 'protection',
    case: '1+1, merge: take a number, the first copy',
    unit: 'ns',
    value: round(median(delivered) - run),
    peer: 'the second copy',
    peerValue: round(median(again) - run),
  });
}
