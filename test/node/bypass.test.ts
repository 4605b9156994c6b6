/*
 * Local repair of an lsp, with real kernels: machines P, Q and M in a triangle, an lsp P - Q on the wire between them, and
 * its bypass by M, which has no part in the network carried. Each wire is watched by BFD in its own channel.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Agent } from '../../src/node/agent.js';
import { listBfdPeers } from '../../src/node/rpc/bfd-peers.js';
import { diagnose } from '../../src/node/rpc/diagnose.js';
import { listPaths } from '../../src/node/rpc/paths.js';
import { listVifs } from '../../src/node/rpc/vifs.js';
import { listWires } from '../../src/node/rpc/wires.js';
import {
  addMachine,
  address,
  addWire,
  apply,
  deliver,
  inside,
  ip,
  link,
  netns,
  node,
  type Resource,
  startAgent,
  sweep,
  until,
  wire,
} from './machines.js';
import { MACHINES } from './three.js';

type Machine = (typeof MACHINES)[number];

const ALL = { pageSize: 0, pageToken: '' };
const LSP = 1;
const agents = new Map<Machine, Agent>();

function agent(name: Machine): Agent {
  const found = agents.get(name);
  if (!found) throw new Error(`no agent ${name}`);
  return found;
}

/** The other end of a wire, by interface. */
const WIRES = {
  'p-q': { P: '100.64.0.1', Q: '100.64.0.0' },
  'q-m': { Q: '100.64.0.3', M: '100.64.0.2' },
  'p-m': { P: '100.64.0.5', M: '100.64.0.4' },
} as const;
type Wire = keyof typeof WIRES;

const wiresOf = (at: Machine): Wire[] => (Object.keys(WIRES) as Wire[]).filter((name) => at in WIRES[name]);

function onWire(name: Wire, at: Machine, bypass?: object): Resource {
  const [first = '', second = ''] = name.toUpperCase().split('-');
  return wire(name, {
    kind: LSP,
    interface: `to-${at === first ? second : first}`,
    neighbourAddress: (WIRES[name] as Partial<Record<Machine, string>>)[at],
    ...(bypass ? { bypass } : {}),
  });
}

const bfdOn = (name: string, more: object = {}): Resource => ({
  bfdPeer: {
    ...{ name: `bfdPeers/${name}`, wire: `wires/${name}`, minTxUs: 20_000, minRxUs: 20_000 },
    ...{ multiplier: 3, restoreMs: 0 },
    ...more,
  },
});

const continued = (on: Wire, label: number, around: Wire): Resource => ({
  label: { wire: `wires/${on}`, label, continueOn: `wires/${around}` },
});

const onBypass = (wire: Wire, label: number, to: Wire, next: number): Resource => ({
  label: {
    wire: `wires/${wire}`,
    label,
    swap: { wire: `wires/${to}`, label: next, unrepaired: true },
  },
});

const BYPASS = { P: { wire: 'wires/p-m', label: 9001 }, Q: { wire: 'wires/q-m', label: 9003 } };

function wanted(at: Machine, watched = true): Resource[] {
  const around = at === 'M' ? undefined : BYPASS[at];
  const wires = wiresOf(at).map((name) => onWire(name, at, name === 'p-q' ? around : undefined));
  const rest: Record<Machine, Resource[]> = {
    P: [
      node('conn', 'P', 'one'),
      link('conn/P/q', { wire: 'p-q', label: 1001 }, { mtu: 1500 }),
      deliver({ wire: 'p-q', label: 2001 }, 'conn/P/q'),
      continued('p-m', 9004, 'p-q'),
      address('conn/P/q', '10.5.0.1/24'),
    ],
    Q: [
      node('conn', 'Q', 'one'),
      link('conn/Q/p', { wire: 'p-q', label: 2001 }, { mtu: 1500 }),
      deliver({ wire: 'p-q', label: 1001 }, 'conn/Q/p'),
      continued('q-m', 9002, 'p-q'),
      address('conn/Q/p', '10.5.0.2/24'),
    ],
    M: [onBypass('p-m', 9001, 'q-m', 9002), onBypass('q-m', 9003, 'p-m', 9004)],
  };
  return [...wires, ...(watched ? wiresOf(at).map((name) => bfdOn(name)) : []), ...rest[at]];
}

beforeAll(async () => {
  sweep();
  for (const [i, name] of MACHINES.entries()) addMachine(name, `100.127.0.${i + 1}`, `fd64:ffff::${i + 1}`);
  addWire('P', 'Q', 0);
  addWire('Q', 'M', 1);
  addWire('P', 'M', 2);
  for (const name of MACHINES) agents.set(name, await startAgent(name));
});

afterAll(async () => {
  for (const one of agents.values()) await one.close();
  sweep();
});

beforeEach(async () => {
  // what a test has ended begins anew
  for (const watched of [false, true])
    for (const name of MACHINES) await apply(agent(name), 'one', wanted(name, watched));
  await until('all is up', async () => {
    for (const name of MACHINES)
      if ((await states(name)).some((state) => !/ up( ready)?$/.test(state))) return false;
    return MACHINES.every((name) =>
      (listBfdPeers(agent(name), ALL).bfdPeers ?? []).every(({ state }) => state === 'up'),
    );
  });
});

/** `wires/p-q up ready` */
async function states(at: Machine): Promise<string[]> {
  const { wires = [] } = await listWires(agent(at), ALL);
  return wires.map(({ wire: one, state, bypassState }) => `${one?.name} ${state} ${bypassState}`.trim());
}

async function stateOf(at: Machine, name: Wire): Promise<string> {
  const found = (await states(at)).find((one) => one.startsWith(`wires/${name} `));
  return (found ?? '').slice(`wires/${name} `.length);
}

async function bypassed(at: Machine): Promise<number> {
  const { wires = [] } = await listWires(agent(at), ALL);
  return Number(wires.find((one) => one.wire?.name === 'wires/p-q')?.bypassedPackets ?? 0);
}

function ping(count = 20): { sent: number; received: number } {
  const { output } = inside(netns('P.conn.P'), 'ping', '-i', '0.01', '-c', `${count}`, '-W', '1', '10.5.0.2');
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(output) ?? [];
  return { sent: Number(sent), received: Number(received) };
}

/** Of vif and path. */
function carried(at: 'P' | 'Q'): string[] {
  return [
    ...(listVifs(agent(at), { ...ALL, node: '' }).vifs ?? []).map(({ state }) => state ?? ''),
    ...(listPaths(agent(at), ALL).paths ?? []).map(({ state }) => state ?? ''),
  ];
}

/** Nothing is sent any more by what watches the wire, as if it had been cut, and nobody says so. */
function silence(...ends: Array<readonly [Machine, Wire]>): void {
  for (const [at, name] of ends) {
    const id = agent(at).bfdPeers.get(`bfdPeers/${name}`)?.id ?? 0;
    agent(at).plane.sessions.end(id);
  }
}

describe('a wire that is down', () => {
  test('as BFD says at one end: that end goes by the bypass, and nothing above is told', async () => {
    expect(ping()).toEqual({ sent: 20, received: 20 });
    expect([await bypassed('P'), await bypassed('Q')]).toEqual([0, 0]);
    silence(['Q', 'p-q']);
    await until('P has noticed', async () => (await stateOf('P', 'p-q')) === 'neighbour down in use');
    expect(ping()).toEqual({ sent: 20, received: 20 });
    expect(await bypassed('P')).toBeGreaterThanOrEqual(20);
    expect(await bypassed('Q')).toBe(0);
    expect([...carried('P'), ...carried('Q')]).toEqual(['up', 'up', 'up', 'up']);
    const found = (await diagnose(agent('P'))).findings?.find(({ subject }) => subject === 'wires/p-q');
    expect(found?.text).toBe('neighbour down; bypass in use');
  });

  test('with its interface: the same, and the agent that starts anew goes on', async () => {
    ip('-n', netns('Q'), 'link', 'set', 'to-P', 'down');
    try {
      await until('P has noticed', async () => (await stateOf('P', 'p-q')) === 'interface down in use');
      await until('Q has noticed', async () => (await stateOf('Q', 'p-q')) === 'interface down in use');
      expect(ping()).toEqual({ sent: 20, received: 20 });
      expect(carried('P')).toEqual(['up', 'up']);
      await agent('P').close();
      expect(ping()).toEqual({ sent: 20, received: 20 });
      agents.set('P', await startAgent('P'));
      expect(await stateOf('P', 'p-q')).toBe('interface down in use');
      expect(ping()).toEqual({ sent: 20, received: 20 });
      const { created, updated, deleted } = await apply(agent('P'), 'one', wanted('P'));
      expect({ created, updated, deleted }).toEqual({ created: 0, updated: 0, deleted: 0 });
    } finally {
      ip('-n', netns('Q'), 'link', 'set', 'to-P', 'up');
    }
    await until('the wire is back', async () => (await stateOf('P', 'p-q')) === 'up ready');
    expect(ping()).toEqual({ sent: 20, received: 20 });
  });

  test('and its bypass too: what is carried is down, and says so', async () => {
    silence(['Q', 'p-q'], ['M', 'p-m']);
    await until('P has noticed both', async () => {
      const found = [await stateOf('P', 'p-q'), await stateOf('P', 'p-m')];
      return found.join() === 'neighbour down wires/p-m: neighbour down,neighbour down';
    });
    expect(carried('P')).toEqual(['wires/p-q: neighbour down', 'wires/p-q: neighbour down']);
    // it may be the watching that has failed: the wire is used
    const before = await bypassed('P');
    expect(ping()).toEqual({ sent: 20, received: 20 });
    expect(await bypassed('P')).toBe(before);
  });
});

describe('what an owner wants', () => {
  test('a bypass may come before the wire that it takes, and changes in place', async () => {
    const rest = wanted('P').filter(({ wire: one, bfdPeer }) => one?.name !== 'wires/p-m' && !bfdPeer);
    const early = rest.filter(({ label }) => label?.wire !== 'wires/p-m');
    await apply(agent('P'), 'one', early);
    expect(await stateOf('P', 'p-q')).toBe('up wires/p-m: not there');
    await apply(agent('P'), 'one', wanted('P'));
    await until('it is there', async () => (await stateOf('P', 'p-q')) === 'up ready');
    const used = async (): Promise<number> => {
      await agent('P').plane.grace();
      return (
        agent('P')
          .plane.use()
          .find(({ table }) => table === 'paths')?.used ?? 0
      );
    };
    const paths = await used();
    const other = wanted('P').map((one) =>
      one.wire?.name === 'wires/p-q' ? onWire('p-q', 'P', { ...BYPASS.P, label: 9009 }) : one,
    );
    expect((await apply(agent('P'), 'one', other)).updated).toBe(1);
    expect(await used()).toBe(paths);
    const without = other.map((one) => (one.wire?.name === 'wires/p-q' ? onWire('p-q', 'P') : one));
    await apply(agent('P'), 'one', without);
    expect(await used()).toBe(paths - 1);
    await apply(agent('P'), 'one', []);
    expect(await used()).toBe(paths - 2);
  });

  test('refused: what leads nowhere, or is another’s', async () => {
    const p = agent('P');
    const refused = async (resources: readonly Resource[], owner = 'one'): Promise<unknown> =>
      Promise.resolve()
        .then(() => apply(p, owner, resources))
        .then(
          () => 'accepted',
          (error: unknown) => {
            const { reason, field } = error as { reason: string; field: string };
            return `${reason} ${field}`;
          },
        );
    const place = { interface: 'to-Q', neighbourAddress: '100.64.0.1' };
    const circuit = wire('p-q', { kind: 2, ...place });
    const own = onWire('p-q', 'P');
    const other = onWire('p-m', 'P');
    const bypass = (more: object): Resource => onWire('p-q', 'P', { ...BYPASS.P, ...more });
    const at = (i: number, field: string): string => `resources[${i}].${field}`;
    for (const [resources, wrong] of [
      [[bypass({ wire: 'wires/p-q' })], `BYPASS ${at(0, 'wire.bypass.wire')}`],
      [[bypass({ wire: 'p-m' })], `WIRE_NAME ${at(0, 'wire.bypass.wire')}`],
      [[bypass({ label: 15 })], `LABEL_RANGE ${at(0, 'wire.bypass.label')}`],
      [[bypass({ label: 1_048_576 })], `LABEL_RANGE ${at(0, 'wire.bypass.label')}`],
      [[wire('p-q', { kind: 2, ...place, bypass: BYPASS.P })], `BYPASS ${at(0, 'wire.bypass')}`],
      [
        [onWire('p-m', 'P', { wire: 'wires/p-q', label: 16 }), circuit],
        `CIRCUIT_LABEL ${at(0, 'wire.bypass.wire')}`,
      ],
      [
        [link('conn/P/x', { wire: 'p-q', label: 16 }, {}), own].map((one) =>
          one.vif
            ? { vif: { ...one.vif, link: { paths: [{ wire: 'wires/p-q', label: 16, unrepaired: true }] } } }
            : one,
        ) as Resource[],
        `REPAIR ${at(0, 'vif.link.paths[0].unrepaired')}`,
      ],
      [[own, continued('p-q', 99, 'p-q')], `LABEL_ACTION ${at(1, 'label.continue_on')}`],
      [[own, continued('p-q', 99, 'p-m')], `WIRE_NOT_FOUND ${at(1, 'label.continue_on')}`],
      [[circuit, other, continued('p-m', 99, 'p-q')], `CIRCUIT_LABEL ${at(2, 'label.continue_on')}`],
      [[bfdOn('p-q')], `WIRE_NOT_FOUND ${at(0, 'bfd_peer.wire')}`],
      [[own, bfdOn('p-q', { interface: 'to-Q' })], `BFD_PEER_PLACE ${at(1, 'bfd_peer.interface')}`],
      [[own, bfdOn('p-q', { vlan: 7 })], `BFD_PEER_PLACE ${at(1, 'bfd_peer.vlan')}`],
      [[own, bfdOn('p-q', { remoteAddress: '::1' })], `BFD_PEER_PLACE ${at(1, 'bfd_peer.remote_address')}`],
      [
        [own, bfdOn('p-q'), bfdOn('p-q', { name: 'bfdPeers/x' })],
        `BFD_PEER_IN_USE ${at(2, 'bfd_peer.wire')}`,
      ],
    ] as const)
      expect(await refused(resources)).toBe(wrong);
    // another owner of this machine, whose wire does not exist for it
    const foreign = { kind: LSP, ...place, vlan: 9 };
    const around = (name: string): Resource =>
      wire('p-x', { ...foreign, bypass: { wire: `wires/${name}`, label: 16 } });
    expect(await refused([around('p-m')], 'other')).toBe(`NOT_OWNER ${at(0, 'wire.bypass.wire')}`);
    expect(
      await refused(
        [wire('p-x', foreign), { label: { wire: 'wires/p-x', label: 99, continueOn: 'wires/p-q' } }],
        'other',
      ),
    ).toBe(`NOT_OWNER ${at(1, 'label.continue_on')}`);
    expect(await refused([bfdOn('x', { wire: 'wires/p-q' })], 'other')).toBe(
      `NOT_OWNER ${at(0, 'bfd_peer.wire')}`,
    );
  });
});
