/*
 * Two machines, a link of the connectivity layer between them, and two tenants, `iptv` and `games`, each with a link over
 * it and a station at either end; every vif that sends over a link may have a rate.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Agent } from '../../src/node/agent.js';
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
  sweep,
  tunnel,
  until,
} from './machines.js';

export const [A, B] = [
  ['A', 'B', '100.127.0.1', '100.127.0.2', 'fd64:ffff::1'],
  ['B', 'A', '100.127.0.2', '100.127.0.1', 'fd64:ffff::2'],
] as const;
type Place = typeof A | typeof B;
const TENANTS = ['iptv', 'games'] as const;
export type Rates = Readonly<Partial<Record<'lower' | 'iptv' | 'games', object>>>;

export const mbit = (number: number): object => ({ sent: { bitsPerSecond: number * 1_000_000 } });

export interface Agents {
  a: Agent;
  b: Agent;
}

/** Of the infrastructure provider, then of the connectivity provider. */
export function lower([me, other, local, remote]: Place, rates: Rates): Resource[] {
  const [mine, theirs] = me === 'A' ? [1001, 1002] : [1002, 1001];
  return [
    tunnel(other, local, remote),
    node('conn', me, 'conn'),
    link(`conn/${me}/up`, { tunnel: other, label: theirs }, rates.lower ?? {}),
    deliver({ tunnel: other, label: mine }, `conn/${me}/up`),
  ];
}

export function upper([me]: Place, rates: Rates): Resource[] {
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

export async function sell({ a, b }: Agents, rates: Rates): Promise<void> {
  for (const [agent, place] of [
    [a, A],
    [b, B],
  ] as const) {
    await apply(agent, 'one', lower(place, rates));
    await apply(agent, 'conn', upper(place, rates));
  }
}

/** Datagrams to an address, as fast as it can. */
const FLOOD = `
  const socket = require('dgram').createSocket('udp4');
  const bytes = Buffer.alloc(1400);
  socket.bind(() => {
    socket.connect(9, process.argv[1], () => {
      console.log('begun');
      const burst = () => {
        for (let i = 0; i < 50; i++) socket.send(bytes, () => undefined);
        setImmediate(burst);
      };
      burst();
    });
  });`;

/** From a station to an address: of `games`, to the other. */
export async function whileFlooded<T>(work: () => Promise<T>, from = 'gamesA', to = '10.0.2.2'): Promise<T> {
  const station = `/run/netns/${netns(`st.${from}`)}`;
  const child = spawn('nsenter', [`--net=${station}`, '--', process.execPath, '-e', FLOOD, to]);
  const ended = once(child, 'close');
  try {
    await once(child.stdout, 'data');
    return await work();
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

export async function build(rates: Rates): Promise<Agents> {
  sweep();
  for (const [me, , loopback, , loopback6] of [A, B]) addMachine(me, loopback, loopback6);
  addWire('A', 'B', 0);
  ip('-n', netns('A'), 'route', 'add', '100.127.0.2/32', 'via', '100.64.0.1');
  ip('-n', netns('B'), 'route', 'add', '100.127.0.1/32', 'via', '100.64.0.0');
  for (const tenant of TENANTS) {
    addStation('A', `${tenant}A`, `st-${tenant}A`, ['10.0.1.2/24']);
    addStation('B', `${tenant}B`, `st-${tenant}B`, ['10.0.2.2/24']);
  }
  const agents = { a: await startAgent('A'), b: await startAgent('B') };
  const { a, b } = agents;
  await sell(agents, rates);
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
  return agents;
}
