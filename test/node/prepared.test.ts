/*
 * What agents set on the interfaces they take, and take back: on the machine's own veths, by agents as processes that
 * are killed, and by one in this process whose interfaces change under it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BpfMap, getOffloads, type Link, Netlink, setOffloads } from '../../native/lib/index.js';
import { DataPlane, dropReasons, PortRole } from '../../src/dataplane/index.js';
import { Interfaces } from '../../src/node/interfaces.js';
import { NetState } from '../../src/node/net-state.js';
import {
  addMachine,
  addStation,
  addWire,
  address,
  inside,
  ip,
  netns,
  node,
  port,
  sweep,
  until,
} from './machines.js';
import { applyTo, client, end, endAll, start } from './processes.js';

beforeAll(() => {
  sweep();
  for (const [machine, host] of [
    ['R', 1],
    ['S', 2],
    ['T', 3],
  ] as const) {
    addMachine(machine, `100.127.0.${host}`, `fd64:ffff::${host}`);
  }
  addWire('R', 'S', 0);
  addWire('T', 'S', 1);
  // nobody runs a program at S, whose GRO counts from now on
  for (const state of ['off', 'on']) inside(netns('S'), 'ethtool', '-K', 'to-R', 'gro', state);
  addStation('R', 'a', 'st-a', ['10.0.1.2/24']);
  addStation('R', 'b', 'st-b', ['10.0.2.2/24']);
  addStation('T', 'c', 'st-c', ['10.0.3.2/24']);
});

afterAll(async () => {
  await endAll();
  sweep();
});

/** A machine's interfaces, as its operator sees and sets them. */
class Operator {
  readonly netns: string;
  readonly #netlink: Promise<Netlink>;

  constructor(machine: string) {
    this.netns = `/run/netns/${netns(machine)}`;
    this.#netlink = Netlink.open({ netns: this.netns });
  }

  async link(name: string): Promise<Link> {
    const link = await (await this.#netlink).link(name);
    if (!link) throw new Error(`no ${name}`);
    return link;
  }

  async isPromiscuous(name: string): Promise<boolean> {
    return (await this.link(name)).promiscuous;
  }

  async setPromiscuous(name: string, promiscuous: boolean): Promise<void> {
    await (await this.#netlink).setLink((await this.link(name)).index, { promiscuous });
  }

  /** Whether VLAN tags are taken off before XDP. */
  async takesTagsOff(name: string): Promise<boolean | undefined> {
    return (await getOffloads({ netns: this.netns, name })).get('rx-vlan-hw-parse')?.on;
  }

  async takeTagsOff(...names: string[]): Promise<void> {
    const on = { 'rx-vlan-hw-parse': true, 'rx-vlan-stag-hw-parse': true };
    for (const name of names) await setOffloads({ netns: this.netns, name }, on);
  }

  async plug(name: string, index: number): Promise<void> {
    const netlink = await this.#netlink;
    await netlink.addLink({ kind: 'veth', name, index, up: true, peer: { name: 'far', up: true } });
  }

  async unplug(index: number): Promise<void> {
    await (await this.#netlink).deleteLink(index);
  }

  async close(): Promise<void> {
    (await this.#netlink).close();
  }
}

const one = [node('n', 'R', 'n'), port('n/R/a', 'st-a'), address('n/R/a', '10.0.1.1/24')];
const two = [...one, port('n/R/b', 'st-b'), address('n/R/b', '10.0.2.1/24')];

describe('agents that are killed', () => {
  let here: Operator;

  beforeAll(() => {
    here = new Operator('R');
  });

  afterAll(async () => {
    await end('R', 'SIGTERM');
    await here.close();
  });

  test('a port is promiscuous, a wire is not, and neither takes tags off', async () => {
    await here.takeTagsOff('st-a', 'st-b', 'to-S');
    await here.setPromiscuous('st-b', true);
    await start('R');
    await applyTo('R', 'n', two);
    expect(await here.isPromiscuous('st-a')).toBe(true);
    expect(await here.isPromiscuous('to-S')).toBe(false);
    for (const name of ['st-a', 'st-b', 'to-S']) expect(await here.takesTagsOff(name)).toBe(false);
  });

  test('one that comes later knows what was set, and takes back that alone', async () => {
    await end('R', 'SIGKILL');
    expect(await here.isPromiscuous('st-a')).toBe(true);
    await start('R');
    expect(await here.isPromiscuous('st-a')).toBe(true);
    const { findings } = await client('R').diagnose({});
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    const about = findings.find(({ subject }) => subject === 'interface st-a');
    expect(about?.text).toBe('native XDP by veth, MTU 1500');
    await applyTo('R', 'n', [node('n', 'R', 'n')]);
    expect(await here.isPromiscuous('st-a')).toBe(false);
    // the operator's own
    expect(await here.isPromiscuous('st-b')).toBe(true);
  });

  test('a lack of headroom is told with the drivers that may be at fault', async () => {
    const before = (await client('R').diagnose({})).findings;
    expect(before.find(({ subject }) => subject === 'headroom')).toBeUndefined();
    const drops = BpfMap.openPinned(`/sys/fs/bpf/${netns('R')}/maps/drops`);
    const counts = new BigUint64Array(drops.transferSize / 8);
    counts[0] = 7n;
    // of the machine itself: no virtual node's row
    const key = dropReasons.findIndex((reason) => reason?.name === 'HEADROOM');
    drops.update(new Uint8Array(Uint32Array.of(key).buffer), new Uint8Array(counts.buffer));
    drops.close();
    const { findings } = await client('R').diagnose({});
    expect(findings.find(({ subject }) => subject === 'headroom')).toMatchObject({
      severity: 'error',
      text: expect.stringMatching(/^7 frames were dropped because to-S \(veth\)/) as unknown,
    });
  });

  test('an interface that is a wire for the next one is no port any more', async () => {
    await applyTo('R', 'n', one);
    expect(await here.isPromiscuous('st-a')).toBe(true);
    await end('R', 'SIGKILL');
    const rename = (from: string, to: string): void => {
      ip('-n', netns('R'), 'link', 'set', from, 'down');
      ip('-n', netns('R'), 'link', 'set', from, 'name', to);
      ip('-n', netns('R'), 'link', 'set', to, 'up');
    };
    rename('st-a', 'to-a');
    await start('R');
    expect(await here.isPromiscuous('to-a')).toBe(false);
  });
});

describe('interfaces that change', () => {
  const told: string[] = [];
  const failures: unknown[] = [];
  const pinDir = `/sys/fs/bpf/${netns('T')}`;
  let here: Operator;
  let plane: DataPlane;
  let net: NetState;
  let interfaces: Interfaces;

  beforeAll(async () => {
    here = new Operator('T');
    await here.takeTagsOff('st-c', 'to-S');
    const failed = (error: unknown): void => void failures.push(error);
    plane = await DataPlane.open({ pinDir, netns: here.netns });
    net = await NetState.open({ netns: here.netns, failed });
    interfaces = new Interfaces({
      plane,
      net,
      underlay: ['to-S'],
      ports: ['st-*'],
      isMachineEnd: () => false,
      portChanged: () => undefined,
      underlayChanged: () => undefined,
      failed,
      changed: (name, what) => told.push(`${name}: ${what.split(':')[0]}`),
    });
    await interfaces.start();
  });

  afterAll(async () => {
    net.close();
    await plane.destroy();
    await here.close();
    expect(failures).toEqual([]);
  });

  test('every change is told once', async () => {
    const tags = ['rxvlan switched off', 'rx-vlan-stag-hw-parse switched off'];
    expect(told).toEqual(tags.map((what) => `to-S: ${what}`));
    await interfaces.claimPort('st-c', 0);
    await interfaces.claimPort('st-c', 0);
    expect(told.slice(2)).toEqual([...tags, 'put into promiscuous mode'].map((what) => `st-c: ${what}`));
    await interfaces.releasePort('st-c', 0);
    expect(told.slice(5)).toEqual(['st-c: promiscuous mode taken back']);
  });

  test('what somebody sets otherwise is set right again, while it is ours', async () => {
    await interfaces.claimPort('st-c', 0);
    await here.takeTagsOff('st-c');
    await until('tags are left on', async () => !(await here.takesTagsOff('st-c')));
    await here.setPromiscuous('st-c', false);
    await until('it is promiscuous', () => here.isPromiscuous('st-c'));
    await here.takeTagsOff('to-S');
    await until('tags are left on the wire', async () => !(await here.takesTagsOff('to-S')));
    await interfaces.releasePort('st-c', 0);
    expect(await here.isPromiscuous('st-c')).toBe(false);
    await here.takeTagsOff('st-c');
    await here.setPromiscuous('st-c', true);
    await here.takeTagsOff('to-S');
    await until('tags are left on the wire', async () => !(await here.takesTagsOff('to-S')));
    expect([await here.takesTagsOff('st-c'), await here.isPromiscuous('st-c')]).toEqual([true, true]);
  });

  test('captures and promiscuous mode share a record’s flags', async () => {
    await here.setPromiscuous('st-c', false);
    await interfaces.claimPort('st-c', 0);
    const { index } = await here.link('st-c');
    const capture = plane.captures.subscribe({ ifindex: index }, () => undefined);
    expect(plane.ports.read(index).flags).toBe(3);
    plane.setPort(index, { role: PortRole.PORT_ACCESS });
    expect(plane.ports.read(index).flags).toBe(3);
    capture.stop();
    expect(plane.ports.read(index).flags).toBe(2);
    await interfaces.releasePort('st-c', 0);
    expect(plane.ports.read(index).flags).toBe(0);
  });

  test('one that is pulled out leaves no trace for the next of its index', async () => {
    await here.plug('st-d', 901);
    await interfaces.claimPort('st-d', 0);
    await until('it is taken', () => interfaces.port('st-d')?.problem === '');
    expect(await here.isPromiscuous('st-d')).toBe(true);
    await here.unplug(901);
    await until('it is gone', () => interfaces.port('st-d')?.index === undefined);
    await here.plug('st-e', 901);
    await here.setPromiscuous('st-e', true);
    await interfaces.claimPort('st-e', 0);
    await until('it is taken', () => interfaces.port('st-e')?.problem === '');
    await interfaces.releasePort('st-e', 0);
    expect(await here.isPromiscuous('st-e')).toBe(true);
  });
});
