/*
 * 1+1 under cuts: a wire falls silent and comes back while 100 000 numbered packets a second go over both. What did not
 * come, and what came twice, of all that was sent before, during and after.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { v1 } from '../src/api/node.js';
import { until } from '../test/node/machines.js';
import { GATEWAY, LINK, RATE } from './cuts.js';
import { drained, send, type Sink } from './paced.js';
import { type Pair, type Watched } from './pair.js';
import { type Row, round, row } from './report.js';

const { PROTECTION_ONE_PLUS_ONE, PROTECTION_FIRST } = v1.Protection;
const WATCHED: Watched = { intervalUs: 10_000, multiplier: 3 };

interface Losses {
  sent: number;
  lost: number;
  doubled: number;
}

async function once(pair: Pair, sink: Sink, wire: number, cut: boolean, sum: Losses): Promise<void> {
  await until('both paths are up', () => pair.isUp());
  sink.clear();
  const stream = send(pair.route, GATEWAY, RATE);
  await until('the stream runs', () => sink.received > RATE / 20);
  if (cut) {
    pair.wires.cut(wire, 'both');
    await until('it is noticed', () => !pair.isUp());
    pair.wires.mend(wire);
    await until('it is mended', () => pair.isUp());
  } else {
    await delay(2000);
  }
  const sent = await stream.stop();
  await drained(sink);
  const { lost, doubled } = sink.loss(sent);
  sum.sent += sent;
  sum.lost += lost;
  sum.doubled += doubled;
}

function rows(what: string, { sent, lost, doubled }: Losses): Row[] {
  const rate = (count: number): number => round((1e6 * count) / sent);
  return [
    row({ bench: 'protection', case: `1+1, ${what}: packets sent`, unit: 'packets', value: sent }),
    row({ bench: 'protection', case: '… lost', unit: 'of a million', value: rate(lost) }),
    row({ bench: 'protection', case: '… doubled', unit: 'of a million', value: rate(doubled) }),
  ];
}

export async function twice(pair: Pair, sink: Sink, count: number): Promise<Row[]> {
  await pair.carry([{ name: LINK, ...WATCHED, protection: PROTECTION_ONE_PLUS_ONE }]);
  try {
    const found: Row[] = [];
    for (const cut of [true, false]) {
      const sum: Losses = { sent: 0, lost: 0, doubled: 0 };
      for (let i = 0; i < count; i++) await once(pair, sink, i % 2, cut, sum);
      found.push(...rows(cut ? `${count} cuts, mended` : 'no cut', sum));
    }
    return found;
  } finally {
    await pair.carry([{ name: LINK, ...WATCHED, protection: PROTECTION_FIRST }]);
  }
}
