/* The sweep by its own timer: it goes on with nobody calling anything, stops when told so, and starts again. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Instance } from '../support/instance.js';
import { until } from '../support/worlds.js';
import { arrivalOf, arriving, control, heard, machineL, session } from './watched.js';

const ms = 1_000_000;
let l: Instance;
beforeAll(async () => {
  l = await Instance.start(machineL());
});
afterAll(() => l?.stop());

/** Resolves when there have been so many more ticks. */
async function ticks(more: number): Promise<void> {
  const first = l.sessions.control().ticks;
  await until(`${more} ticks`, () => l.sessions.control().ticks >= first + BigInt(more) || undefined);
}

test('ticks go on, stop with period 0, and start again', async () => {
  for (let round = 0; round < 3; round++) {
    l.sessions.control({ period: ms });
    await l.arm();
    await ticks(20);
    /* armed twice, as by an agent that starts again beside it: still one timer */
    await l.arm();
    await ticks(20);
    l.sessions.control({ period: 0 });
    /* 200 periods without one: `last` would move on if there were any */
    await until('the end of the ticks', () => {
      const { last } = l.sessions.control();
      return process.hrtime.bigint() - last > BigInt(200 * ms) || undefined;
    });
  }
  expect(l.sessions.control().worst).toBeGreaterThan(0n);
});

test('a session that falls silent is down, and its path left, by nobody’s call', async () => {
  const { discriminator } = session(1);
  for (const id of [1, 2]) l.sessions.write({ ...session(id), minRx: 1000 });
  l.sessions.control({ period: ms });
  await l.arm();
  await ticks(2);
  expect(l.sessions.link(11).down).toEqual([0, 1]);
  const hear = async (state: 'Down' | 'Up', minTx: number): Promise<void> => {
    const packet = control({ state, my: 1, your: discriminator, minTx, multiplier: 3 });
    expect(await l.run(2, arriving(arrivalOf(1), packet))).toEqual(heard);
  };
  /* an hour's patience, then none */
  await hear('Down', 1_200_000_000);
  await hear('Up', 1_200_000_000);
  await until('the path', () => !l.sessions.link(11).down.includes(0) || undefined);
  await ticks(20);
  expect(l.sessions.state(1)).toMatchObject({ state: 'Up', failures: 0 });
  await hear('Up', 1000);
  await until('the failure', () => l.sessions.state(1).state === 'Down' || undefined);
  const { leftUp, lastHeard, diagnostic } = l.sessions.state(1);
  expect(diagnostic).toBe(1);
  expect(leftUp - lastHeard).toBeGreaterThan(BigInt(3 * ms));
  await until('the path', () => l.sessions.link(11).down.includes(0) || undefined);
  l.sessions.control({ period: 0 });
});
