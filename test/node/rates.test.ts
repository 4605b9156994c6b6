/*
 * Two tenants whose links share one link of the layer below, with real traffic: what each was sold is held by its own
 * meters, a rate changes under traffic, and an agent that starts later leaves all meters as they are.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Meter, MeterDirection } from '../../gen/layout.js';
import { BpfMap } from '../../native/lib/index.js';
import { ApiError } from '../../src/api/errors.js';
import { type Agent } from '../../src/node/agent.js';
import { listVifs } from '../../src/node/rpc/vifs.js';
import {
  addMachine,
  addStation,
  addWire,
  address,
  apply,
  deliver,
  inside,
  ip,
  link,
  netns,
  node,
  port,
  type Resource,
  route,
  startAgent,
  stream,
  sweep,
  tunnel,
  until,
  vifName,
} from './machines.js';

const [A, B] = [
  ['A', 'B', '100.127.0.1', '100.127.0.2', 'fd64:ffff::1'],
  ['B', 'A', '100.127.0.2', '100.127.0.1', 'fd64:ffff::2'],
] as const;
const TENANTS = ['iptv', 'games'] as const;
type Rates = Readonly<Partial<Record<'lower' | 'iptv' | 'games', object>>>;

const mbit = (number: number): object => ({ sent: { bitsPerSecond: number * 1_000_000 } });
const SOLD: Rates = { lower: mbit(40), iptv: mbit(10), games: mbit(10) };

let a: Agent;
let b: Agent;

/** Of the infrastructure provider, then of the connectivity provider. */
function lower([me, other, local, remote]: typeof A | typeof B, rates: Rates): Resource[] {
  const [mine, theirs] = me === 'A' ? [1001, 1002] : [1002, 1001];
  return [
    tunnel(other, local, remote),
    node('conn', me, 'conn'),
    link(`conn/${me}/up`, { tunnel: other, label: theirs }, rates.lower ?? {}),
    deliver({ tunnel: other, label: mine }, `conn/${me}/up`),
  ];
}

function upper([me]: typeof A | typeof B, rates: Rates): Resource[] {
  return TENANTS.flatMap((tenant, i) => {
    const [mine, theirs] = me === 'A' ? [2001 + i, 3001 + i] : [3001 + i, 2001 + i];
    return [
      node(tenant, me, tenant),
      port(`${tenant}/${me}/station`, `st-${tenant}${me}`),
      link(`${tenant}/${me}/far`, { vif: `conn/${me}/up`, label: theirs }, rates[tenant] ?? {}),
      deliver({ vif: `conn/${me}/up`, label: mine }, `${tenant}/${me}/far`),
    ];
  });
}

async function sell(rates: Rates): Promise<void> {
  for (const [agent, place] of [
    [a, A],
    [b, B],
  ] as const) {
    await apply(agent, 'one', lower(place, rates));
    await apply(agent, 'conn', upper(place, rates));
  }
}

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
    bytes: Number(paths.get(vif.path)?.sentBytes ?? 0n),
  };
}

/** Datagrams from a station of `games` to the other, as fast as it can. */
const FLOOD = `
  const socket = require('dgram').createSocket('udp4');
  const bytes = Buffer.alloc(1400);
  socket.bind(() => {
    socket.connect(9, '10.0.2.2', () => {
      console.log('begun');
      const burst = () => {
        for (let i = 0; i < 50; i++) socket.send(bytes, () => undefined);
        setImmediate(burst);
      };
      burst();
    });
  });`;

async function whileFlooded<T>(work: () => Promise<T>): Promise<T> {
  const station = `/run/netns/${netns('st.gamesA')}`;
  const child = spawn('nsenter', [`--net=${station}`, '--', process.execPath, '-e', FLOOD]);
  const ended = once(child, 'close');
  try {
    await once(child.stdout, 'data');
    return await work();
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

beforeAll(async () => {
  sweep();
  for (const [me, , loopback, , loopback6] of [A, B]) addMachine(me, loopback, loopback6);
  addWire('A', 'B', 0);
  ip('-n', netns('A'), 'route', 'add', '100.127.0.2/32', 'via', '100.64.0.1');
  ip('-n', netns('B'), 'route', 'add', '100.127.0.1/32', 'via', '100.64.0.0');
  for (const tenant of TENANTS) {
    addStation('A', `${tenant}A`, `st-${tenant}A`, ['10.0.1.2/24']);
    addStation('B', `${tenant}B`, `st-${tenant}B`, ['10.0.2.2/24']);
  }
  [a, b] = [await startAgent('A'), await startAgent('B')];
  await sell(SOLD);
  for (const tenant of TENANTS) {
    await apply(a, tenant, [
      address(`${tenant}/A/station`, '10.0.1.1/24'),
      address(`${tenant}/A/far`, '10.1.0.0/31'),
      route(`${tenant}/A`, '10.0.2.0/24', ['far', '10.1.0.1']),
    ]);
    await apply(b, tenant, [
      address(`${tenant}/B/station`, '10.0.2.1/24'),
      address(`${tenant}/B/far`, '10.1.0.1/31'),
      route(`${tenant}/B`, '10.0.1.0/24', ['far', '10.1.0.0']),
    ]);
    const reaches = (): boolean =>
      inside(netns(`st.${tenant}A`), 'ping', '-c', '1', '-W', '1', '10.0.2.2').status === 0;
    await until(`${tenant} reaches the other side`, reaches, 20_000);
  }
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
    await until('the link below refuses', async () => (await lowerRefused()) > before + 1000);
    await apply(a, 'conn', upper(A, SOLD));
    const own = (await sent(a, 'games/A/far')).refused;
    await until('its own meter refuses', async () => (await sent(a, 'games/A/far')).refused > own + 1000);
    const settled = await lowerRefused();
    await until('and more', async () => (await sent(a, 'games/A/far')).refused > own + 10_000);
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
  await sell(SOLD);
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
