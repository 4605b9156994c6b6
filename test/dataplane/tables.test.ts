/*
 * Ids, records, labels, names and counters: what they promise about memory that programs read at any moment.
 */
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Meter, MeterDirection } from '../../gen/layout.js';
import { BpfMap, possibleCpus } from '../../native/lib/index.js';
import {
  contextOwner,
  DataPlaneError,
  dropReasons,
  Limit,
  NAME_BYTES,
  NextHopKind,
  puntKinds,
  traceKinds,
  tunnelContext,
  vifContext,
} from '../../src/dataplane/index.js';
import { bucketsOf } from '../../src/dataplane/buckets.js';
import { controlWord, frame, label as labelLayer, payload, tunnelled } from '../support/frames.js';
import { byteCost } from '../support/instance.js';
import { address, openPlane, pinFolder } from './support.js';

const UNDERLAY = 1;

describe('ids', () => {
  it('are free again after a grace period, with their records cleared', async () => {
    const plane = await openPlane({ capacities: { paths: 4 } });
    const ids = [1, 2, 3].map(() => plane.allocate('path'));
    expect(ids.toSorted()).toEqual([1, 2, 3]);
    expect(() => plane.allocate('path')).toThrow(/path: all 3 are in use.*TABLE_FULL/);
    plane.paths.write(2, { label: 17, vif: 3 });
    plane.release('path', 2);
    // a program may still be reading it
    expect(plane.paths.read(2).label).toBe(17);
    expect(() => plane.allocate('path')).toThrow(/1 more are about to be free/);
    expect(() => plane.paths.write(2, { label: 18 })).toThrow(/NOT_ALLOCATED/);
    expect(() => plane.release('path', 2)).toThrow(/NOT_ALLOCATED/);
    await plane.grace();
    expect(plane.allocate('path')).toBe(2);
    expect(plane.paths.read(2)).toMatchObject({ marking: 0, label: 0, vif: 0, tunnel: 0, wire: 0 });
    expect(plane.allocated('path')).toEqual([1, 2, 3]);
  });

  it('come back also when nobody waits for it, and to everybody who waits at once', async () => {
    const plane = await openPlane({ capacities: { nextHops: 3 } });
    for (let round = 0; round < 3; round++) {
      const ids = [plane.allocate('nextHop'), plane.allocate('nextHop')];
      for (const id of ids) plane.release('nextHop', id);
      await Promise.all([plane.grace(), plane.grace(), plane.grace()]);
      const running = plane.grace();
      const [late] = [plane.allocate('nextHop')];
      plane.release('nextHop', late);
      // begun after the release: this one covers it, the running one does not
      await plane.grace();
      await running;
      expect(plane.use().find(({ table }) => table === 'nextHops')?.used).toBe(0);
    }
  });

  it('of nodes keep their generation, raised, and lose their counters', async () => {
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir });
    const node = plane.allocate('node');
    plane.bumpGeneration(node);
    plane.names.set('node', node, 'iptv');
    count(pinDir, 'drops', node * Limit.LIMIT_DROP_ROW + 5, [7n]);
    expect(await plane.counters.drops()).toEqual([{ node, reason: 5, packets: 7n * BigInt(possibleCpus()) }]);
    plane.release('node', node);
    expect(plane.names.get('node', node)).toBeUndefined();
    await plane.grace();
    expect(plane.allocate('node')).toBe(node);
    expect(plane.nodes.read(node)).toEqual({ tables: 0, generation: 2, flags: 0, reserved: 0 });
    expect(await plane.counters.drops()).toEqual([]);
  });
});

/** Writes 64-bit words into every CPU's counters. */
function count(pinDir: string, name: string, key: number, words: readonly bigint[]): void {
  const map = BpfMap.openPinned(`${pinDir}/maps/${name}`);
  const value = new BigUint64Array(map.transferSize / 8);
  for (let cpu = 0; cpu < map.transferSize / map.stride; cpu++) value.set(words, (cpu * map.stride) / 8);
  map.update(new Uint8Array(Uint32Array.of(key).buffer), new Uint8Array(value.buffer));
  map.close();
}

describe('records', () => {
  it('are written by name and published by their first word', async () => {
    const plane = await openPlane();
    const id = plane.allocate('nextHop');
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 9);
    plane.nextHops.write(id, { kind: NextHopKind.NEXT_HOP_FORWARD, mac, ways: [1, 2, 3, 4, 5, 6, 7, 8] });
    expect(plane.nextHops.read(id)).toMatchObject({ kind: 1, vif: 0, mac });
    plane.nextHops.set(id, 'kind', NextHopKind.NEXT_HOP_GLEAN);
    plane.nextHops.setAt(id, 'ways', 7, 9);
    expect([...plane.nextHops.read(id).ways]).toEqual([1, 2, 3, 4, 5, 6, 7, 9]);
    expect(plane.nextHops.read(id).kind).toBe(NextHopKind.NEXT_HOP_GLEAN);
  });

  it('refuse what is no word, no id and no index', async () => {
    const plane = await openPlane();
    const id = plane.allocate('nextHop');
    const hop = plane.allocate('underlayHop');
    expect(() => plane.nextHops.setAt(id, 'ways', 8, 1)).toThrow(/from 0 to 7/);
    expect(() => plane.nextHops.set(id, 'vif', -1)).toThrow(/ARGUMENT/);
    expect(() => plane.nextHops.set(0, 'vif', 1)).toThrow(/an id from 1/);
    expect(() => plane.nextHops.read(1.5)).toThrow(/an id from 1/);
    expect(() => plane.underlayHops.set(hop, 'room', 1)).toThrow(/one aligned word/);
    expect(() => plane.nextHops.write(id, { mac: Uint8Array.of(1) })).toThrow(RangeError);
  });
});

describe('labels', () => {
  it('are where the programs look for them', async () => {
    const plane = await openPlane({ capacities: { labels: 64 } });
    const [local, remote] = [address('192.0.2.1'), address('192.0.2.2')];
    const tunnel = plane.allocate('tunnel');
    plane.tunnels.write(tunnel, { family: 4, local: pad(local), remote: pad(remote) });
    plane.tunnelEnds.set(local, remote, tunnel);
    plane.setPort(2, { role: UNDERLAY });
    const vifs = Array.from({ length: 40 }, () => plane.allocate('vif'));
    const context = tunnelContext(tunnel);
    let next = 16;
    const placed = vifs.map((target) => {
      for (;;) {
        const label = next++ * 7919;
        try {
          plane.labels.insert({ context, label, action: 'deliver', target });
          return { label, target };
        } catch (error) {
          if (!(error instanceof DataPlaneError && error.code === 'LABEL_SPACE')) throw error;
        }
      }
    });
    const found = async (label: number): Promise<[verdict: string, what: number]> => {
      const outer = tunnelled({ source: '192.0.2.2', destination: '192.0.2.1' });
      const result = await plane.trace({
        ifindex: 2,
        frame: frame(...outer, labelLayer({ label }), controlWord(), payload(60)),
      });
      const event = result.events.find(({ kind }) => traceKinds[kind] === 'LABEL');
      const drop = result.events.find(({ kind }) => traceKinds[kind] === 'DROP');
      return [dropReasons[drop?.found ?? 0]?.name ?? '', event?.found ?? -1];
    };
    for (const { label, target } of placed) expect(await found(label)).toEqual(['VIF_DOWN', target]);
    expect(await found(1_000_003)).toEqual(['LABEL_UNKNOWN', 0]);
    const [gone] = placed;
    expect(plane.labels.remove({ context, label: gone?.label ?? 0 })).toBe(true);
    expect(await found(gone?.label ?? 0)).toEqual(['LABEL_UNKNOWN', 0]);
  });

  it('keep their meaning through any insertions and removals', async () => {
    const plane = await openPlane({ capacities: { labels: 32 } });
    const key = fc.record({
      context: fc.integer({ min: 1, max: 3 }).map((id) => (id === 3 ? tunnelContext(1) : vifContext(id))),
      label: fc.integer({ min: 16, max: 40 }),
    });
    const step = fc.record({
      key,
      what: fc.constantFrom('insert', 'insert', 'remove', 'replace', 'wait'),
      action: fc.constantFrom<'deliver' | 'swap'>('deliver', 'swap'),
      target: fc.integer({ min: 1, max: 100 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const model = new Map<string, object>();
        for (const { key: at, what, action, target } of steps) {
          const name = `${at.context}/${at.label}`;
          try {
            if (what === 'wait') {
              await plane.grace();
            } else if (what === 'remove') {
              expect(plane.labels.remove(at)).toBe(model.delete(name));
            } else if (what === 'replace') {
              await plane.labels.replace({ ...at, action, target });
              expect(model.has(name)).toBe(true);
              model.set(name, { ...at, action, target });
            } else {
              plane.labels.insert({ ...at, action, target });
              expect(model.has(name)).toBe(false);
              model.set(name, { ...at, action, target });
            }
          } catch (error) {
            if (!(error instanceof DataPlaneError)) throw error;
            if (error.code === 'LABEL_IN_USE') expect(model.has(name)).toBe(true);
            else if (error.code === 'LABEL_UNKNOWN') expect(model.has(name)).toBe(false);
            else expect(error.code).toBe('LABEL_SPACE');
          }
          expect(plane.labels.get(at) !== undefined).toBe(model.has(name));
        }
        const entries = [...plane.labels.entries()];
        expect(new Set(entries.map(({ slot }) => slot)).size).toBe(entries.length);
        for (const { slot, ...entry } of entries) {
          expect(model.get(`${entry.context}/${entry.label}`)).toEqual(entry);
          expect(bucketsOf(entry.context, entry.label, 7)).toContain(slot >> 2);
        }
        expect(entries.length).toBe(model.size);
        for (const entry of entries) plane.labels.remove(entry);
        await plane.grace();
      }),
      { numRuns: 30 },
    );
  });

  it('fill half of the table before one finds no place', async () => {
    const plane = await openPlane({ capacities: { labels: 16384 } });
    let label = 16;
    const insert = (): void => {
      const context = label % 2 === 0 ? tunnelContext(1 + (label % 5)) : vifContext(1 + (label % 37));
      plane.labels.insert({ context, label, action: 'deliver', target: 1 });
      label++;
    };
    expect(() => {
      for (;;) insert();
    }).toThrow(/finds both its buckets full/);
    expect(plane.labels.size).toBeGreaterThan(0.5 * 16384);
  });

  it('name their context', () => {
    expect(contextOwner(tunnelContext(7))).toEqual({ tunnel: 7 });
    expect(contextOwner(vifContext(7))).toEqual({ vif: 7 });
  });
});

function pad(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from([...bytes, ...new Array<number>(16 - bytes.length).fill(0)]);
}

describe('names', () => {
  it('are found by the next process', async () => {
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir });
    const longest = 'é'.repeat(NAME_BYTES / 2);
    plane.names.set('vif', 3, '{"name":"vns/iptv/vifs/p-q"}');
    plane.names.set('vif', 4, longest);
    plane.names.set('path', 3, '');
    expect(() => plane.names.set('vif', 5, `${longest}x`)).toThrow(/NAME_TOO_LONG/);
    expect(plane.names.delete('vif', 9)).toBe(false);
    await plane.close();
    const next = await openPlane({ pinDir });
    expect([...next.names.entries('vif')].toSorted()).toEqual([
      [3, '{"name":"vns/iptv/vifs/p-q"}'],
      [4, longest],
    ]);
    expect(next.names.get('path', 3)).toBe('');
    expect(next.allocated('vif')).toEqual([3, 4]);
  });

  it('of labels go with them', async () => {
    const plane = await openPlane();
    const slot = plane.labels.insert({ context: 1, label: 16, action: 'swap', target: 1 });
    plane.names.set('label', slot, 'x');
    plane.labels.remove({ context: 1, label: 16 });
    expect(plane.names.get('label', slot)).toBeUndefined();
  });
});

describe('meters', () => {
  const rate = { bitsPerSecond: 8_000_000, packetsPerSecond: 1000, burstBytes: 20_000, burstPackets: 20 };

  /** As a program reads it, by a map of its own. */
  function meter(pinDir: string, vif: number, direction: MeterDirection): Meter {
    const map = BpfMap.openPinned(`${pinDir}/maps/meters`);
    const bytes = map.lookup(
      new Uint8Array(Uint32Array.of(vif * MeterDirection.METER_DIRECTIONS + direction).buffer),
    );
    map.close();
    return Meter.decode(bytes ?? new Uint8Array(Meter.size));
  }

  it('know what a byte costs at every rate, without a division', async () => {
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir });
    const rates = [1000, 1001, 9600, 64_000, 1_000_000, 999_999_999, 10_000_000_000, 400_000_000_000];
    for (const bitsPerSecond of rates) {
      plane.meters.set(1, 'sent', { bitsPerSecond, packetsPerSecond: 0, burstBytes: 2000, burstPackets: 0 });
      const { byteCost: cost, packetCost } = meter(pinDir, 1, MeterDirection.METER_SENT);
      const ticks = Number(cost & 0xffff_ffffn) / 2 ** Number(cost >> 32n);
      expect(ticks).toBeCloseTo((8 * 64e9) / bitsPerSecond, 0);
      expect(Math.abs((ticks * bitsPerSecond) / (8 * 64e9) - 1)).toBeLessThan(2 ** -31);
      expect(cost).toBe(byteCost(bitsPerSecond));
      expect(packetCost).toBe(0n);
    }
  });

  it('change in place, each by itself, and begin full', async () => {
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir });
    const [a, b] = [plane.allocate('vif'), plane.allocate('vif')];
    for (const vif of [a, b])
      for (const way of ['sent', 'received'] as const) plane.meters.set(vif, way, rate);
    // as programs leave them
    const map = BpfMap.openPinned(`${pinDir}/maps/meters`);
    for (let key = 2 * a; key < 2 * b + 2; key++) {
      const present = meter(pinDir, key >> 1, (key & 1) as MeterDirection);
      const value = Meter.encode({ ...present, byteDue: 77n, packetDue: 78n });
      map.update(new Uint8Array(Uint32Array.of(key).buffer), value);
    }
    map.close();
    expect(plane.meters.set(a, 'sent', rate)).toBe(false);
    expect(meter(pinDir, a, MeterDirection.METER_SENT)).toMatchObject({ byteDue: 77n, packetDue: 78n });
    expect(plane.meters.set(a, 'sent', { ...rate, bitsPerSecond: 16_000_000 })).toBe(true);
    expect(meter(pinDir, a, MeterDirection.METER_SENT)).toMatchObject({
      byteDue: 0n,
      packetDue: 0n,
      burstBytes: 20_000,
    });
    for (const [vif, way] of [
      [a, MeterDirection.METER_RECEIVED],
      [b, MeterDirection.METER_SENT],
      [b, MeterDirection.METER_RECEIVED],
    ] as const) {
      expect(meter(pinDir, vif, way)).toMatchObject({
        byteDue: 77n,
        packetDue: 78n,
        packetCost: 64_000_000n,
      });
    }
    plane.release('vif', a);
    await plane.grace();
    expect(meter(pinDir, a, MeterDirection.METER_RECEIVED)).toMatchObject({ byteDue: 0n, byteCost: 0n });
    await plane.close();
    const next = await openPlane({ pinDir });
    expect(next.meters.set(b, 'sent', rate)).toBe(false);
  });

  it('refuse what no program could count', async () => {
    const plane = await openPlane();
    for (const wrong of [
      { bitsPerSecond: 999 },
      { bitsPerSecond: 400_000_000_001 },
      { bitsPerSecond: -1 },
      { bitsPerSecond: 1000.5 },
      { packetsPerSecond: 1_000_000_001 },
      { burstBytes: 0 },
      { burstBytes: 2 ** 32 },
      { bitsPerSecond: 1000, burstBytes: 137_439 },
      { packetsPerSecond: 1, burstPackets: 1100 },
      { burstPackets: 0 },
    ]) {
      expect(() => plane.meters.set(1, 'sent', { ...rate, ...wrong }), JSON.stringify(wrong)).toThrow(
        /ARGUMENT/,
      );
    }
    for (const vif of [0, -1, 64, 1.5]) expect(() => plane.meters.set(vif, 'sent', rate)).toThrow(/ARGUMENT/);
  });

  it('are made anew where what is pinned is from before there were any', async () => {
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir });
    plane.names.set('vif', 3, 'x');
    await plane.close();
    rmSync(`${pinDir}/maps/meters`);
    const next = await openPlane({ pinDir });
    expect(next.adopted).toBe(true);
    expect(next.allocated('vif')).toEqual([3]);
    expect(next.meters.set(3, 'received', rate)).toBe(true);
  });
});

describe('counters', () => {
  it('are sums over all CPUs', async () => {
    const pinDir = pinFolder();
    const plane = await openPlane({ pinDir });
    const cpus = BigInt(possibleCpus());
    const [vif, other] = [plane.allocate('vif'), plane.allocate('vif')];
    count(pinDir, 'vif_counters', vif, [1n, 100n, 2n, 1n << 40n, 3n, 5n, 6n]);
    count(pinDir, 'path_counters', 5, [4n, 400n]);
    count(pinDir, 'drops', 22, [9n]);
    const wanted = {
      receivedPackets: cpus,
      receivedBytes: 100n * cpus,
      sentPackets: 2n * cpus,
      sentBytes: (1n << 40n) * cpus,
      puntedPackets: 3n * cpus,
      receivedRefused: 5n * cpus,
      sentRefused: 6n * cpus,
    };
    expect(await plane.counters.vifs()).toEqual(new Map([[vif, wanted]]));
    expect((await plane.counters.vifs([vif, other])).get(other)?.sentBytes).toBe(0n);
    expect(await plane.counters.paths([5])).toEqual(
      new Map([[5, { sentPackets: 4n * cpus, sentBytes: 400n * cpus }]]),
    );
    expect(await plane.counters.drops()).toEqual([{ node: 0, reason: 22, packets: 9n * cpus }]);
    const punts = BpfMap.openPinned(`${pinDir}/maps/punts`);
    const window = Buffer.alloc(16);
    window.writeBigUInt64LE(6n, 8);
    const node = plane.allocate('node');
    punts.update(new Uint8Array(Uint32Array.of(node * Limit.LIMIT_PUNT_ROW + 1).buffer), window);
    punts.close();
    expect(await plane.counters.punts()).toEqual([{ node, kind: 1, packets: 6n }]);
    plane.release('vif', vif);
    await plane.grace();
    expect(await plane.counters.vifs()).toEqual(new Map());
  });

  it('have a name and a sentence for every reason', () => {
    expect(dropReasons[0]).toEqual({ name: 'NONE', sentence: '' });
    expect(dropReasons.slice(1).every(({ name, sentence }) => name !== '' && sentence !== '')).toBe(true);
    expect(puntKinds.every(({ rate, sentence }) => rate > 0 && sentence !== '')).toBe(true);
  });
});
