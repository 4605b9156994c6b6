// What the agent sets on interfaces, on veths in a namespace of their own.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  getFeatures,
  type InterfacePlace,
  type Link,
  setFeatures,
  setOffloads,
} from '../../native/lib/index.js';
import {
  closeFilter,
  driverOf,
  findingsOf,
  hindrance,
  openFilter,
  prepareOffloads,
  type PromiscuousMemory,
  readFacts,
  situationHere,
  UNWANTED_OFFLOADS,
} from '../../src/nic/index.js';
import { failure, type Place, Places } from '../native/netlink-fixtures.js';

const places = new Places('nic');
let place: Place;
let cable: InterfacePlace;
let index: number;

beforeAll(async () => {
  place = await places.make('a');
  const made = await place.netlink.addLink({
    kind: 'veth',
    name: 'a0',
    up: true,
    numQueues: 2,
    peer: { name: 'b0', numQueues: 2, up: true },
  });
  index = made.index;
  cable = { netns: place.path, name: 'a0' };
});

afterAll(() => places.remove());

async function link(): Promise<Link> {
  const found = await place.netlink.link(index);
  if (!found) throw new Error('no a0');
  return found;
}

class Memory implements PromiscuousMemory {
  readonly ours = new Set<number>();
  isOurs(at: number): boolean {
    return this.ours.has(at);
  }
  note(at: number, ours: boolean): void {
    if (ours) this.ours.add(at);
    else this.ours.delete(at);
  }
}

describe('offloads', () => {
  it.each(['underlay', 'port'] as const)('that take tags off are switched off, once: %s', async (role) => {
    await setOffloads(cable, { 'rx-vlan-hw-parse': true, 'rx-vlan-stag-hw-parse': true });
    const before = await getFeatures(cable);
    expect(before.rxvlan).toBe(true);
    const first = await prepareOffloads(cable, role);
    expect(first.problem).toBeUndefined();
    expect(first.changed).toEqual([
      expect.stringMatching(/^rxvlan switched off: .*VLAN tags/),
      expect.stringMatching(/^rx-vlan-stag-hw-parse switched off: /),
    ]);
    // and nothing else is touched
    expect(await getFeatures(cable)).toEqual({ ...before, rxvlan: false });
    expect(await prepareOffloads(cable, role)).toEqual({ changed: [], problem: undefined });
  });

  it('of an interface that is gone are an error', async () => {
    expect(await failure(prepareOffloads({ ...cable, name: 'gone' }, 'port'))).toMatchObject({
      code: 'ENODEV',
    });
  });

  it('that stay on hinder what they would break, and nothing more', () => {
    const hindered = UNWANTED_OFFLOADS.map((one) => [
      one.short,
      hindrance('underlay', one) !== undefined,
      hindrance('port', one) !== undefined,
    ]);
    expect(hindered).toEqual([
      ['rxvlan', false, true],
      ['rx-vlan-stag-hw-parse', false, true],
      ['lro', true, true],
      ['rx-gro-hw', false, false],
    ]);
  });
});

describe('promiscuous mode', () => {
  let memory: Memory;

  beforeEach(async () => {
    memory = new Memory();
    await place.netlink.setLink(index, { promiscuous: false });
  });

  it('is set once, remembered, and taken back', async () => {
    expect(await openFilter(place.netlink, index, memory)).toMatch(/^put into promiscuous mode: /);
    expect([(await link()).promiscuous, memory.isOurs(index)]).toEqual([true, true]);
    expect(await openFilter(place.netlink, index, memory)).toBeUndefined();
    expect(await closeFilter(place.netlink, index, memory)).toBe('promiscuous mode taken back');
    expect([(await link()).promiscuous, memory.isOurs(index)]).toEqual([false, false]);
    expect(await closeFilter(place.netlink, index, memory)).toBeUndefined();
  });

  it('of an operator’s own stays', async () => {
    await place.netlink.setLink(index, { promiscuous: true });
    expect(await openFilter(place.netlink, index, memory)).toBeUndefined();
    expect(memory.isOurs(index)).toBe(false);
    expect(await closeFilter(place.netlink, index, memory)).toBeUndefined();
    expect((await link()).promiscuous).toBe(true);
  });

  it('that others want besides is not in the way', async () => {
    const bridge = await place.netlink.addLink({ kind: 'bridge', name: 'br0' });
    await place.netlink.setLink(index, { masterIndex: bridge.index });
    expect(await openFilter(place.netlink, index, memory)).toBeDefined();
    expect(await link()).toMatchObject({ promiscuous: true, promiscuity: 2 });
    expect(await closeFilter(place.netlink, index, memory)).toBeDefined();
    expect(await link()).toMatchObject({ promiscuous: false, promiscuity: 1 });
    await place.netlink.deleteLink(bridge.index);
  });

  it('is set again when somebody ended it, and still ours', async () => {
    await openFilter(place.netlink, index, memory);
    await place.netlink.setLink(index, { promiscuous: false });
    expect(await openFilter(place.netlink, index, memory)).toBeDefined();
    expect(await closeFilter(place.netlink, index, memory)).toBe('promiscuous mode taken back');
  });

  it('of an interface that is gone is forgotten', async () => {
    memory.note(999_999, true);
    expect(await closeFilter(place.netlink, 999_999, memory)).toBeUndefined();
    expect(memory.isOurs(999_999)).toBe(false);
    expect(await openFilter(place.netlink, 999_999, memory)).toBeUndefined();
    expect(memory.isOurs(999_999)).toBe(false);
  });
});

describe('facts', () => {
  it('are what the kernel says, in the order asked for', async () => {
    await setFeatures(cable, { gro: true, rxvlan: true });
    await place.netlink.setLink(index, { promiscuous: true });
    const lo = await place.netlink.link('lo');
    if (!lo) throw new Error('no lo');
    const [loopback, veth] = await readFacts([lo, await link()], { netns: place.path });
    expect(veth).toMatchObject({
      name: 'a0',
      kind: 'veth',
      driver: 'veth',
      mtu: 1500,
      up: true,
      running: true,
      promiscuous: true,
      queues: { receive: 2, transmit: 2, mostReceive: 2, mostTransmit: 2, paired: false },
      virtualFunction: false,
    });
    expect(veth?.offloads.get('rx-vlan-hw-parse')).toEqual({ on: true, changeable: true });
    expect(veth?.xdp).toBeUndefined();
    expect(loopback).toMatchObject({ name: 'lo', mtu: 65_536 });
    expect(loopback?.driver).toBeUndefined();
    expect(await driverOf({ ...cable, name: 'lo' })).toBeUndefined();
    if (!veth) throw new Error('no facts');
    const found = findingsOf(veth, situationHere({ jumbo: false, taken: false, problem: '' }));
    expect(found.map(({ text }) => text)).toContain(
      'rxvlan is on: the agent switches it off when it takes the interface',
    );
  });

  it('of an interface that has gone meanwhile are few, and no error', async () => {
    const { index: _, ...rest } = await link();
    const [facts] = await readFacts([{ ...rest, index: 999_999, name: 'gone' }], { netns: place.path });
    expect(facts).toMatchObject({ name: 'gone', mtu: 1500 });
    expect(facts?.driver).toBeUndefined();
    expect(facts?.offloads.size).toBe(0);
  });
});
