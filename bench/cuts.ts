/*
 * Cut to switch: a wire falls silent while 100 000 numbered packets a second go over it. When the programs have left it,
 * by their own clock; and which packets did not come, or came twice.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../test/node/machines.js';
import { type StreamLoss } from './distribution.js';
import { type Cut } from './middles.js';
import { drained, send, type Sink } from './paced.js';
import { ENDS, type Pair, type Watched } from './pair.js';

export const LINK = 'p-m';
export const RATE = 100_000;
export const GATEWAY = '10.0.1.1';

export interface CutResult extends StreamLoss {
  /** From the cut until the sending machine used the other path. */
  readonly switchMs: number;
}

/** The paths are as before. */
async function whole(pair: Pair, watched: Watched): Promise<void> {
  await until('both paths are up again', () => pair.isWhole(watched.intervalUs));
}

/** Undefined: it left the path by itself just then, as `quiet` counts. */
async function once(pair: Pair, sink: Sink, watched: Watched, which: Cut): Promise<CutResult | undefined> {
  await whole(pair, watched);
  const switches = (): number[] => ENDS.map((end) => pair.history(end, LINK).switches);
  sink.clear();
  const stream = send(pair.route, GATEWAY, RATE);
  await until('the stream runs', () => sink.received > RATE / 20);
  // at any moment between two packets of the session
  await delay(Math.random() * 50);
  const before = switches();
  const spoiled = !pair.isWhole(watched.intervalUs);
  const at = pair.wires.cut(0, which);
  const left = (): boolean => switches().every((count, i) => count > (before[i] ?? 0));
  if (!spoiled) await until('both have left it', left);
  const { switched } = pair.history('P', LINK);
  await delay(50);
  const sent = await stream.stop();
  await drained(sink);
  pair.wires.mend(0);
  if (spoiled || switched < at) return undefined;
  return { switchMs: Number(switched - at) / 1e6, ...sink.loss(sent) };
}

export async function cuts(
  pair: Pair,
  sink: Sink,
  watched: Watched,
  which: Cut,
  count: number,
): Promise<CutResult[]> {
  const results: CutResult[] = [];
  while (results.length < count) {
    const result = await once(pair, sink, watched, which);
    if (result) results.push(result);
  }
  return results;
}
