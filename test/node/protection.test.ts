/*
 * A link of two paths between three real agents: P - Q - M, and beside it a wire P - M. The programs leave a path that
 * is cut, whoever lives; the agents say so, and take over what they find.
 */
import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { v1 } from '../../src/api/node.js';
import { type Agent } from '../../src/node/agent.js';
import { listPaths } from '../../src/node/rpc/paths.js';
import { senderOf } from '../../src/node/sender-process.js';
import {
  addWire,
  apply,
  deliver,
  inside,
  ip,
  link,
  netns,
  node,
  port,
  type Resource,
  startAgent,
  stream,
  sweep,
  tunnel,
  until,
  vifName,
} from './machines.js';
import { buildThree, HOSTS, MACHINES, OWNERS, three } from './three.js';

const agents = new Map<string, Agent>();

function agentOf(name: string): Agent {
  const agent = agents.get(name);
  if (!agent) throw new Error(`no agent on ${name}`);
  return agent;
}

interface Way {
  readonly vif: string;
  /** What the other end expects, and what arrives here. */
  readonly out: number;
  readonly in: number;
}

const WAYS = {
  P: [
    { vif: 'conn/P/p6', out: 5001, in: 6001 },
    { vif: 'conn/P/p7', out: 7001, in: 8001 },
  ],
  M: [
    { vif: 'conn/M/m1', out: 6002, in: 5002 },
    { vif: 'conn/M/m2', out: 8001, in: 7001 },
  ],
} as const;

interface Wanted {
  readonly order?: readonly number[];
  readonly intervalUs?: number;
  readonly restoreMs?: number;
  readonly avoid?: number;
  readonly weights?: readonly number[];
  readonly adminDown?: boolean;
  /** 1+1 */
  readonly both?: boolean;
}

/** The service link's end at P or M. */
function ends(at: 'P' | 'M', wanted: Wanted = {}): Resource[] {
  const { order = [0, 1], intervalUs = 50_000, restoreMs = 200, avoid, weights, adminDown, both } = wanted;
  const name = at === 'P' ? 'iptv/P/p-m' : 'iptv/M/m-p';
  const ways: readonly Way[] = WAYS[at];
  const paths = order.map((i) => {
    const way = ways[i] as Way;
    return {
      vif: vifName(way.vif),
      label: way.out,
      liveness: {
        label: way.in,
        minTxUs: intervalUs,
        minRxUs: intervalUs,
        multiplier: 3,
        restoreMs,
        ...(adminDown ? { adminDown } : {}),
      },
      ...(avoid === i ? { avoid: true } : {}),
      ...(weights ? { weight: weights[i] ?? 1 } : {}),
    };
  });
  return [
    node('iptv', at, 'iptv'),
    port(`iptv/${at}/station`, at === 'P' ? 'st-hp' : 'st-hm'),
    { vif: { name: vifName(name), link: { paths, protection: both ? 3 : weights ? 2 : 1 } } },
    ...ways.map((way) => deliver({ vif: way.vif, label: way.in }, name)),
  ];
}

async function want(wanted: Wanted = {}): Promise<void> {
  for (const at of ['P', 'M'] as const) await apply(agentOf(at), 'conn', ends(at, wanted));
}

/** Of an end's paths, as the API tells them: `0 up in use UP`. */
function paths(at: 'P' | 'M'): string[] {
  const name = vifName(at === 'P' ? 'iptv/P/p-m' : 'iptv/M/m-p');
  return (listPaths(agentOf(at), { pageSize: 0, pageToken: '' }).paths ?? [])
    .filter(({ vif }) => vif === name)
    .map(({ index, state, inUse }) => `${index ?? 0} ${state}${inUse ? ', in use' : ''}`);
}

function livenessOf(at: 'P' | 'M', index: number) {
  const name = vifName(at === 'P' ? 'iptv/P/p-m' : 'iptv/M/m-p');
  const path = (listPaths(agentOf(at), { pageSize: 0, pageToken: '' }).paths ?? []).find(
    (one) => one.vif === name && one.index === index,
  );
  if (!path?.liveness) throw new Error(`path ${index} at ${at} is not watched`);
  return path.liveness;
}

function isUp(at: 'P' | 'M'): boolean {
  return livenessOf(at, 0).state === v1.SessionState.SESSION_STATE_UP;
}

async function settledAt(at: 'P' | 'M', expected: readonly string[]): Promise<void> {
  await until(
    `${at} has ${expected.join('; ')}`,
    () => JSON.stringify(paths(at)) === JSON.stringify(expected),
  );
}

async function settled(expected: readonly string[]): Promise<void> {
  for (const at of ['P', 'M'] as const) await settledAt(at, expected);
}

function setWire(machine: string, device: string, up: boolean): void {
  ip('-n', netns(machine), 'link', 'set', device, up ? 'up' : 'down');
  // the kernel forgot the routes over the wire
  if (up) routes();
}

function routes(): void {
  for (const [at, to, via] of [
    ['P', 2, 1],
    ['Q', 1, 0],
    ['Q', 3, 3],
    ['M', 2, 2],
    ['P', 3, 5],
    ['M', 1, 4],
  ] as const) {
    spawnSync('ip', ['-n', netns(at), 'route', 'replace', `100.127.0.${to}/32`, 'via', `100.64.0.${via}`]);
  }
}

function senderAt(machine: string): number | undefined {
  return senderOf(`${agentOf(machine).options.pinDir}/maps`);
}

/** What the infrastructure provider wants, with the wire beside. */
function three4(): ReturnType<typeof three> {
  const wanted = three(4);
  const [p, , m] = HOSTS[4];
  wanted.P['one']?.push(
    tunnel('p-m', p, m),
    link('conn/P/p7', { tunnel: 'p-m', label: 1101 }),
    deliver({ tunnel: 'p-m', label: 2101 }, 'conn/P/p7'),
  );
  wanted.M['one']?.push(
    tunnel('m-p', m, p),
    link('conn/M/m2', { tunnel: 'm-p', label: 2101 }),
    deliver({ tunnel: 'm-p', label: 1101 }, 'conn/M/m2'),
  );
  return wanted;
}

beforeAll(async () => {
  sweep();
  buildThree();
  addWire('P', 'M', 2);
  routes();
  for (const name of MACHINES) agents.set(name, await startAgent(name));
  const wanted = three4();
  for (const at of ['P', 'M'] as const) wanted[at]['conn'] = ends(at);
  for (const owner of OWNERS) {
    for (const name of MACHINES) await apply(agentOf(name), owner, wanted[name][owner] ?? []);
  }
}, 60_000);

/* one that fails leaves no wire cut for the others */
afterEach(() => {
  setWire('Q', 'to-M', true);
  setWire('P', 'to-M', true);
});

afterAll(async () => {
  for (const agent of agents.values()) await agent.close();
  sweep();
});

test('sessions come up by themselves, and the first path is used', async () => {
  await settled(['0 up, in use', '1 up']);
  const { output, status } = inside(netns('st.hp'), 'ping', '-c', '3', '-i', '0.2', '-W', '2', '10.0.3.2');
  expect(status, output).toBe(0);
  expect(livenessOf('P', 0)).toMatchObject({ state: 4, remoteState: 4, failures: 0, intervalUs: 50_000 });
});

test('what is lost is what was sent between the last arrival and the switch', async () => {
  const streams = stream('hp', '10.0.3.2', 400);
  await until('it runs', () => Number(livenessOf('P', 0).receivedPackets) > 0);
  setWire('Q', 'to-M', false);
  for (const at of ['P', 'M'] as const) {
    await until(`${at} has left it`, () => paths(at)[1] === '1 up, in use');
  }
  const { sent, received } = await streams;
  const gaps = (['P', 'M'] as const).map((at) => {
    const { failedNs, lastHeardNs, failures } = livenessOf(at, 0);
    expect(failures).toBe(1);
    return Number(BigInt(failedNs ?? 0) - BigInt(lastHeardNs ?? 0)) / 1e6;
  });
  // one every 5 ms, each way once
  const most = gaps.reduce((sum, ms) => sum + ms / 5 + 2, 0);
  expect(sent).toBe(400);
  expect(sent - received).toBeLessThanOrEqual(most);
  expect(paths('P')[1]).toBe('1 up, in use');
  expect(paths('M')[1]).toBe('1 up, in use');
});

test('the path is used again when it has been up for the hold, and that loses nothing', async () => {
  const streams = stream('hp', '10.0.3.2', 800);
  setWire('Q', 'to-M', true);
  await settled(['0 up, in use', '1 up']);
  expect(await streams).toEqual({ sent: 800, received: 800 });
});

test('before maintenance a path is avoided, and another order wanted, without a packet lost', async () => {
  const streams = stream('hp', '10.0.3.2', 1000);
  await want({ avoid: 0 });
  await settled(['0 up', '1 up, in use']);
  await want();
  await settled(['0 up, in use', '1 up']);
  await want({ order: [1, 0] });
  await settled(['0 up, in use', '1 up']);
  await want();
  await settled(['0 up, in use', '1 up']);
  expect(await streams).toEqual({ sent: 1000, received: 1000 });
  expect(livenessOf('P', 0).failures).toBe(1);
});

test('weights: both paths carry flows, and one of them all when the other is cut', async () => {
  await want({ weights: [3, 1] });
  await settled(['0 up, in use', '1 up, in use']);
  setWire('Q', 'to-M', false);
  await until('P has left it', () => paths('P')[1] === '1 up, in use' && !paths('P')[0]?.includes('in use'));
  const { status, output } = inside(netns('st.hp'), 'ping', '-c', '3', '-i', '0.2', '-W', '2', '10.0.3.2');
  expect(status, output).toBe(0);
  setWire('Q', 'to-M', true);
  await settled(['0 up, in use', '1 up, in use']);
  await want();
  await settled(['0 up, in use', '1 up']);
});

/** Of what arrived at an end's link. */
function mergeAt(at: 'P' | 'M'): { merged: number; duplicates: number; late: number; resets: number } {
  const name = vifName(at === 'P' ? 'iptv/P/p-m' : 'iptv/M/m-p');
  const path = (listPaths(agentOf(at), { pageSize: 0, pageToken: '' }).paths ?? []).find(
    ({ vif }) => vif === name,
  );
  const { merged = 0n, duplicates = 0n, late = 0n, resets = 0n } = path?.merge ?? {};
  return {
    merged: Number(merged),
    duplicates: Number(duplicates),
    late: Number(late),
    resets: Number(resets),
  };
}

test('1+1, and back: one end after the other, without a packet lost or doubled', async () => {
  const streams = stream('hp', '10.0.3.2', 1500);
  await apply(agentOf('P'), 'conn', ends('P', { both: true }));
  await settledAt('P', ['0 up, in use', '1 up, in use']);
  await until('M has merged what P sends twice', () => mergeAt('M').merged > 100);
  expect(mergeAt('P').merged).toBe(0);
  await apply(agentOf('M'), 'conn', ends('M', { both: true }));
  await until('P has merged what M sends twice', () => mergeAt('P').merged > 100);
  await want({ both: true, avoid: 0 });
  await settled(['0 up, in use', '1 up, in use']);
  await want({ both: true });
  await apply(agentOf('M'), 'conn', ends('M'));
  await apply(agentOf('P'), 'conn', ends('P'));
  await settled(['0 up, in use', '1 up']);
  expect(await streams).toEqual({ sent: 1500, received: 1500 });
  for (const at of ['P', 'M'] as const) {
    const { merged, duplicates, late, resets } = mergeAt(at);
    expect([duplicates, late, resets], at).toEqual([merged, 0, 0]);
  }
});

test('1+1: a cut loses nothing, nor does the way back; also while no agent lives', async () => {
  await want({ both: true });
  const before = mergeAt('M');
  const streams = stream('hp', '10.0.3.2', 2000);
  await until('it runs', () => mergeAt('M').merged > before.merged + 20);
  setWire('Q', 'to-M', false);
  await until('P knows', () => paths('P')[0] !== '0 up, in use');
  for (const name of ['P', 'M']) await agentOf(name).close();
  for (const name of ['P', 'M']) agents.set(name, await startAgent(name));
  setWire('Q', 'to-M', true);
  await settled(['0 up, in use', '1 up, in use']);
  expect(await streams).toEqual({ sent: 2000, received: 2000 });
  const { merged, duplicates } = mergeAt('M');
  expect(merged - before.merged).toBeGreaterThanOrEqual(2000);
  expect(duplicates - before.duplicates).toBeLessThan(merged - before.merged);
  await want();
  await settled(['0 up, in use', '1 up']);
});

test('1+1 is refused where it cannot be: three paths, or a link above', async () => {
  const refused = async (owner: string, resources: Resource[]) => await apply(agentOf('P'), owner, resources);
  const [first, station, link] = ends('P', { both: true });
  const paths = link?.vif?.link?.paths ?? [];
  const three = {
    ...link,
    vif: { ...link?.vif, link: { paths: [...paths, ...paths.slice(1)], protection: 3 } },
  };
  await expect(refused('conn', [first ?? {}, station ?? {}, three as Resource])).rejects.toMatchObject({
    reason: 'PATH_COUNT',
  });
  // what the links of the layer below carry is numbered by nobody
  const wanted = three4().P['one'] ?? [];
  const lower = wanted.map((resource) =>
    resource.vif?.name === vifName('conn/P/p6')
      ? {
          vif: {
            ...resource.vif,
            link: {
              paths: [...(resource.vif.link?.paths ?? []), { tunnel: 'tunnels/p-m', label: 1199 }],
              protection: 3,
            },
          },
        }
      : resource,
  );
  await expect(refused('one', lower as Resource[])).rejects.toMatchObject({
    reason: 'CARRIER_ONE_PLUS_ONE',
  });
});

test('held down on purpose: nobody watches, and nothing moves', async () => {
  const streams = stream('hp', '10.0.3.2', 300);
  await apply(agentOf('P'), 'conn', ends('P', { adminDown: true }));
  await until('P is held down', () => livenessOf('P', 0).state === v1.SessionState.SESSION_STATE_ADMIN_DOWN);
  await until('M is told', () => livenessOf('M', 0).remoteState === v1.SessionState.SESSION_STATE_ADMIN_DOWN);
  expect(paths('P')[0]).toBe('0 up, in use');
  await want();
  await until('up again', () => isUp('P') && isUp('M'));
  await settled(['0 up, in use', '1 up']);
  expect(await streams).toEqual({ sent: 300, received: 300 });
});

test('a cut while no agent lives; the next ones find what was done, and no session flaps', async () => {
  const senders = ['P', 'M'].map(senderAt);
  expect(senders).not.toContain(undefined);
  const before = livenessOf('P', 1).failures ?? 0;
  for (const name of ['P', 'M']) await agentOf(name).close();
  const streams = stream('hp', '10.0.3.2', 600);
  setWire('Q', 'to-M', false);
  const { sent, received } = await streams;
  for (const name of ['P', 'M']) agents.set(name, await startAgent(name));
  expect(paths('P').map((path) => path.includes('in use'))).toEqual([false, true]);
  expect(['P', 'M'].map(senderAt)).toEqual(senders);
  expect(livenessOf('P', 1).failures ?? 0).toBe(before);
  expect(received).toBeGreaterThan(sent / 2);
  setWire('Q', 'to-M', true);
  await settled(['0 up, in use', '1 up']);
});

test('a sender that is killed is started again, and its sessions come back', async () => {
  const pid = senderAt('P');
  process.kill(pid ?? 0, 'SIGKILL');
  await until('M misses it', () => !isUp('M') || (livenessOf('M', 0).failures ?? 0) > 0);
  await until('another runs', () => senderAt('P') !== undefined && senderAt('P') !== pid);
  await settled(['0 up, in use', '1 up']);
});

test('all paths down: the last one stays in use; and back', async () => {
  setWire('Q', 'to-M', false);
  setWire('P', 'to-M', false);
  await until('both are down', () => !paths('M').some((path) => path.slice(2).startsWith('up')));
  expect(paths('M').filter((path) => path.includes('in use'))).toHaveLength(1);
  setWire('P', 'to-M', true);
  setWire('Q', 'to-M', true);
  await settled(['0 up, in use', '1 up']);
  const { status, output } = inside(netns('st.hp'), 'ping', '-c', '3', '-i', '0.2', '-W', '2', '10.0.3.2');
  expect(status, output).toBe(0);
});

test('back to one path that nobody watches', async () => {
  const streams = stream('hp', '10.0.3.2', 300);
  const wanted = three(4);
  for (const at of ['P', 'M'] as const) await apply(agentOf(at), 'conn', wanted[at]['conn'] ?? []);
  expect(await streams).toEqual({ sent: 300, received: 300 });
  for (const at of ['P', 'M'] as const) {
    expect(paths(at)).toEqual(['0 up, in use']);
    expect(
      agentOf(at)
        .plane.use()
        .find(({ table }) => table === 'sessions')?.used ?? -1,
    ).toBe(0);
  }
});
