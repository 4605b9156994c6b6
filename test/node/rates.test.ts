/*
 * Two tenants whose links share one link of the layer below, with real traffic: what each was sold is held by its own
 * meters, a rate changes under traffic, and an agent that starts later leaves all meters as they are.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Meter, MeterDirection } from '../../gen/layout.js';
import { BpfMap } from '../../native/lib/index.js';
import { ApiError } from '../../src/api/errors.js';
import { type Agent } from '../../src/node/agent.js';
import { listVifs } from '../../src/node/rpc/vifs.js';
import { apply, startAgent, stream, sweep, until, vifName } from './machines.js';
import { A, build, lower, mbit, type Rates, sell, upper, whileFlooded } from './tenants.js';

const SOLD: Rates = { lower: mbit(40), iptv: mbit(10), games: mbit(10) };

let a: Agent;
let b: Agent;

/** Frames of a vif that its meters let pass, and those they did not. */
async function sent(agent: Agent, name: string): Promise<{ refused: number; bytes: number }> {
  const vif = agent.vifs.get(vifName(name));
  if (!vif) throw new Error(`no ${name}`);
  const { vifs, paths } = {
    vifs: await agent.plane.counters.vifs(),
    paths: await agent.plane.counters.paths(),
  };
  return {
    refused: Number(vifs.get(vif.id)?.sentRefused ?? 0n),
    bytes: Number(paths.get(agent.carriages.of(vif.id)[0]?.path ?? 0)?.sentBytes ?? 0n),
  };
}

beforeAll(async () => {
  ({ a, b } = await build(SOLD));
}, 60_000);

afterAll(async () => {
  await a?.close();
  await b?.close();
  sweep();
});

test('a neighbour’s flood is held by its own meter, and the victim keeps what it bought', async () => {
  const start = performance.now();
  const before = await sent(a, 'games/A/far');
  const count = 300;
  const { answers, flood } = await whileFlooded(async () => {
    const answers = await stream('iptvA', '10.0.2.2', count);
    return { answers, flood: await sent(a, 'games/A/far') };
  });
  const seconds = (performance.now() - start) / 1000;
  // the flood was one, and got no more than the time that went by allows
  expect(flood.refused - before.refused).toBeGreaterThan(1000);
  expect(flood.bytes - before.bytes).toBeLessThanOrEqual(25_000 + (10_000_000 / 8) * seconds);
  expect(flood.bytes - before.bytes).toBeGreaterThan(25_000);
  // nobody's meters but the flood's own refused anything
  expect((await sent(a, 'iptv/A/far')).refused).toBe(0);
  expect((await sent(a, 'conn/A/up')).refused).toBe(0);
  expect(answers.sent).toBe(count);
  expect(answers.received).toBeGreaterThan(0.9 * count);
  const drops = await a.plane.counters.drops();
  expect(new Set(drops.filter(({ packets }) => packets > 1000n).map(({ node: id }) => id))).toEqual(
    new Set([a.nodes.get('vns/games/nodes/A')?.id]),
  );
}, 60_000);

test('a rate changes in place: without its own meter the flood meets the one below, and is held again', async () => {
  const lowerRefused = async (): Promise<number> => (await sent(a, 'conn/A/up')).refused;
  await whileFlooded(async () => {
    await apply(a, 'conn', upper(A, { ...SOLD, games: {} }));
    const before = await lowerRefused();
    await until('the link below refuses', async () => (await lowerRefused()) > before + 100);
    await apply(a, 'conn', upper(A, SOLD));
    const own = (await sent(a, 'games/A/far')).refused;
    await until('its own meter refuses', async () => (await sent(a, 'games/A/far')).refused > own + 100);
    const settled = await lowerRefused();
    await until('and more', async () => (await sent(a, 'games/A/far')).refused > own + 1000);
    expect(await lowerRefused()).toBe(settled);
  });
}, 60_000);

test('changes under traffic lose nothing', async () => {
  const running = stream('iptvA', '10.0.2.2', 300);
  for (let i = 0; i < 10; i++) {
    await apply(a, 'conn', upper(A, { ...SOLD, iptv: mbit(i % 2 ? 10 : 2 + i) }));
    await apply(a, 'one', lower(A, { ...SOLD, lower: mbit(40 + i) }));
  }
  const { sent: all, received } = await running;
  expect(received).toBe(all);
  await sell({ a, b }, SOLD);
}, 60_000);

function meters(): Meter[] {
  const map = BpfMap.openPinned(`${a.options.pinDir}/maps/meters`);
  const read = Array.from({ length: 16 * MeterDirection.METER_DIRECTIONS }, (_, key) =>
    Meter.decode(map.lookup(new Uint8Array(Uint32Array.of(key).buffer)) ?? new Uint8Array(Meter.size)),
  );
  map.close();
  return read;
}

test('an agent that starts later finds the rates, and resets no meter', async () => {
  const { vifs } = listVifs(a, { node: '', pageSize: 0, pageToken: '' });
  const rates = vifs?.map(({ vif }) => [vif?.name, vif?.sent, vif?.received]);
  expect(rates).toContainEqual([
    vifName('iptv/A/far'),
    { bitsPerSecond: 10_000_000n, packetsPerSecond: 0n, burstBytes: 25_000, burstPackets: 0 },
    undefined,
  ]);
  const before = meters();
  expect(before.some(({ byteDue }) => byteDue > 0n)).toBe(true);
  await a.close();
  a = await startAgent('A');
  const after = meters();
  for (const [i, meter] of before.entries()) {
    expect(after[i]).toMatchObject({ byteCost: meter.byteCost, burstBytes: meter.burstBytes });
    if (meter.byteDue > 0n) expect(after[i]?.byteDue).toBeGreaterThanOrEqual(meter.byteDue);
  }
  const again = listVifs(a, { node: '', pageSize: 0, pageToken: '' }).vifs;
  expect(again?.map(({ vif }) => [vif?.name, vif?.sent, vif?.received])).toEqual(rates);
}, 60_000);

test('a rate is its owner’s to set, not the tenant’s', async () => {
  const own = upper(A, { ...SOLD, iptv: mbit(1000) }).filter(({ vif }) =>
    vif?.name?.endsWith('iptv/nodes/A/vifs/far'),
  );
  const refused = await apply(a, 'iptv', own).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ApiError);
  expect((refused as ApiError).reason).toBe('NAME_IN_USE');
});
