import { describe, expect, test } from 'vitest';
import { type NextHop, NextHopKind } from '../../gen/layout.js';
import { type Adjacencies, NextHops } from '../../src/node/next-hops.js';
import { targetKey } from '../../src/node/rib.js';

/** Records as the programs would see them, and grace periods that end when told. */
class Records {
  readonly memory = new Map<number, Partial<NextHop>>();
  readonly writes: string[] = [];
  readonly released: number[] = [];
  readonly #waiting: (() => void)[] = [];
  #next = 1;

  readonly nextHops = {
    write: (id: number, value: Partial<NextHop>): void => {
      const before = this.memory.get(id) ?? {};
      // bpf/tables.h: the neighbour's MAC is written while kind is GLEAN
      if (before.kind === NextHopKind.NEXT_HOP_FORWARD && value.mac)
        throw new Error('MAC written while forwarding');
      this.memory.set(id, { ...before, ...value });
    },
    set: (id: number, _: 'kind', value: number): void => {
      this.memory.set(id, { ...this.memory.get(id), kind: value });
      this.writes.push(`${id} ${value}`);
    },
  };

  allocate(): number {
    return this.#next++;
  }

  release(_: 'nextHop', id: number): void {
    this.released.push(id);
  }

  grace(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async endGrace(): Promise<void> {
    for (const resolve of this.#waiting.splice(0)) resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const vifMac = Uint8Array.of(2, 0, 0, 0, 0, 9);

function setUp(): {
  records: Records;
  hops: NextHops;
  macs: Map<string, Uint8Array>;
  used: string[];
  down: Set<string>;
} {
  const records = new Records();
  const macs = new Map<string, Uint8Array>();
  const used: string[] = [];
  const down = new Set<string>();
  const adjacencies: Adjacencies = {
    vif: (device) => (device === '' ? undefined : { id: device.charCodeAt(0), mac: vifMac }),
    up: (device) => !down.has(device),
    mac: (device, gateway) => macs.get(`${device} ${gateway}`),
    used: (device, gateway, inUse) => used.push(`${inUse ? '+' : '-'}${device} ${gateway}`),
  };
  return { records, hops: new NextHops(records, 5, adjacencies), macs, used, down };
}

const target = { kind: 'hop', vif: 'a', gateway: '10.0.0.1' } as const;

describe('next hops', () => {
  test('one record for one target, given back with its last user', () => {
    const { records, hops, used } = setUp();
    const id = hops.acquire(target);
    expect(hops.acquire(target)).toBe(id);
    hops.release(targetKey(target));
    expect(records.released).toEqual([]);
    hops.release(targetKey(target));
    expect(records.released).toEqual([id]);
    expect(used).toEqual(['+a 10.0.0.1', '-a 10.0.0.1']);
  });

  test('a neighbour comes, changes and goes without a torn MAC address', async () => {
    const { records, hops, macs } = setUp();
    const id = hops.acquire(target);
    const kind = (): number | undefined => records.memory.get(id)?.kind;
    expect(kind()).toBe(NextHopKind.NEXT_HOP_GLEAN);
    macs.set('a 10.0.0.1', Uint8Array.of(2, 0, 0, 0, 0, 1));
    hops.neighbourChanged('a', '10.0.0.1');
    expect(records.memory.get(id)).toMatchObject({ kind: NextHopKind.NEXT_HOP_FORWARD, vif: 97, node: 5 });

    macs.set('a 10.0.0.1', Uint8Array.of(2, 0, 0, 0, 0, 2));
    hops.neighbourChanged('a', '10.0.0.1');
    expect(kind()).toBe(NextHopKind.NEXT_HOP_GLEAN);
    await records.endGrace();
    expect(kind()).toBe(NextHopKind.NEXT_HOP_FORWARD);
    expect(records.memory.get(id)?.mac).toEqual(Uint8Array.of(2, 0, 0, 0, 0, 2));

    macs.delete('a 10.0.0.1');
    hops.neighbourChanged('a', '10.0.0.1');
    macs.set('a 10.0.0.1', Uint8Array.of(2, 0, 0, 0, 0, 3));
    hops.neighbourChanged('a', '10.0.0.1');
    expect(kind()).toBe(NextHopKind.NEXT_HOP_GLEAN);
    await records.endGrace();
    expect(records.memory.get(id)?.mac).toEqual(Uint8Array.of(2, 0, 0, 0, 0, 3));
    expect(kind()).toBe(NextHopKind.NEXT_HOP_FORWARD);
  });

  test('a record that went back in the meantime is not written any more', async () => {
    const { records, hops, macs } = setUp();
    macs.set('a 10.0.0.1', Uint8Array.of(2, 0, 0, 0, 0, 1));
    const id = hops.acquire(target);
    macs.set('a 10.0.0.1', Uint8Array.of(2, 0, 0, 0, 0, 2));
    hops.neighbourChanged('a', '10.0.0.1');
    hops.release(targetKey(target));
    const before = { ...records.memory.get(id) };
    await records.endGrace();
    expect(records.memory.get(id)).toEqual(before);
  });

  test('a group spreads over the ways whose vifs are up, over all where none is', () => {
    const { records, hops, down } = setUp();
    const group = {
      kind: 'group',
      ways: [
        { to: target, weight: 3 },
        { to: { kind: 'hop', vif: 'b', gateway: '10.0.1.1' }, weight: 1 },
      ],
    } as const;
    const id = hops.acquire(group);
    const [a, b] = [hops.acquire(group.ways[0].to), hops.acquire(group.ways[1].to)];
    const ways = (): number[] => [...(records.memory.get(id)?.ways ?? [])].sort((x, y) => x - y);
    expect(ways()).toEqual([a, a, a, a, a, a, b, b]);
    down.add('a');
    hops.vifChanged('a');
    expect(ways()).toEqual([b, b, b, b, b, b, b, b]);
    down.add('b');
    hops.vifChanged('b');
    expect(ways()).toEqual([a, a, a, a, a, a, b, b]);
    hops.release(targetKey(group));
    expect(records.released).toEqual([id]);
  });
});
