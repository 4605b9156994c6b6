/*
 * 1+1, the receiving end: of the copies that arrive one is delivered, whatever their order, their numbers and the CPUs
 * that have them.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Limit } from '../../gen/layout.js';
import { controlWord, ethernet, frame, ipv4, payload, udp } from '../support/frames.js';
import { Instance } from '../support/instance.js';
import { closeWindow, machineT, mergeCount, mergedSince, openWindow, type MergeCount } from './twice.js';
import { arrivalOf, arriving, mac } from './watched.js';

const VIF = 2;
const WINDOW = Limit.LIMIT_MERGE_NUMBERS;
const LAST = Limit.LIMIT_SEQUENCE_MASK;
const MS = 1_000_000n;

let l: Instance;
let clock: bigint;
let before: MergeCount;
beforeAll(async () => {
  l = await Instance.start(machineT());
});
afterAll(() => l?.stop());
beforeEach(() => {
  clock = 1_000_000_000_000n;
  l.setClock(clock);
  openWindow(l, VIF);
  before = mergeCount(l, VIF);
});

function wait(ms: bigint): void {
  clock += ms * MS;
  l.setClock(clock);
}

/** A frame to the station, by the first or the second path. */
const copy = (number: number, path: 1 | 2 = 1): Buffer =>
  arriving(
    arrivalOf(path === 1 ? 5 : 6),
    frame(
      controlWord({ rest: number }),
      ethernet({ from: mac.farVif, to: mac.vif2 }),
      ipv4({ from: '10.0.3.1', to: '10.0.1.2' }),
      udp({ from: 1, to: 9 }),
      payload(26),
    ),
  );

type Fate = 'delivered' | 'duplicate' | 'late';

async function arrive(number: number, path: 1 | 2 = 1): Promise<Fate> {
  const counted = mergeCount(l, VIF);
  const { action, reason } = await l.run(path === 1 ? 2 : 4, copy(number, path));
  const { duplicates, late } = mergedSince(l, VIF, counted);
  if (action === 'redirect') return 'delivered';
  /* a duplicate is no loss: no reason counts it */
  if (duplicates === 1) expect(reason).toBe('NOT COUNTED');
  else expect([reason, late]).toEqual(['late_copy', 1]);
  return duplicates === 1 ? 'duplicate' : 'late';
}

async function fates(...numbers: Array<number | [number, 1 | 2]>): Promise<Fate[]> {
  const all: Fate[] = [];
  for (const one of numbers) all.push(typeof one === 'number' ? await arrive(one) : await arrive(...one));
  return all;
}

describe('of two copies the first', () => {
  test('one after the other, and counted once', async () => {
    const counted = l.received(VIF).admitted;
    expect(await fates([7, 1], [7, 2], [8, 2], [8, 1])).toEqual([
      'delivered',
      'duplicate',
      'delivered',
      'duplicate',
    ]);
    expect(mergedSince(l, VIF, before)).toEqual({ merged: 2, duplicates: 2, late: 0, resets: 0 });
    expect(l.received(VIF).admitted - counted).toBe(2);
  });

  test('one path behind the other, then cut and back: none lost, none twice', async () => {
    const delivered: number[] = [];
    const take = async (number: number, path: 1 | 2): Promise<void> => {
      if ((await arrive(number, path)) === 'delivered') delivered.push(number);
    };
    /* the second path is 10 frames late; the first is cut at 30 and heals at 60 */
    for (let now = 1; now <= 110; now++) {
      if (now <= 100 && (now < 30 || now >= 60)) await take(now, 1);
      if (now > 10) await take(now - 10, 2);
    }
    expect(delivered.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  test('out of order, as far as the window reaches; what is older is late', async () => {
    expect(await fates(WINDOW + 31, WINDOW, 32, 33, 63, 32)).toEqual([
      'delivered',
      'delivered',
      'delivered',
      'delivered',
      'delivered',
      'duplicate',
    ]);
    /* in the word that was that of the numbers from 0 on; then the next one, and that a turn later */
    expect(await fates(31, WINDOW + 32, 34, 2 * WINDOW + 33, WINDOW + 34)).toEqual([
      'late',
      'delivered',
      'late',
      'delivered',
      'late',
    ]);
  });

  test('across the end of the numbers', async () => {
    expect(await fates(LAST - 1, [LAST - 1, 2], LAST, 1, 2, [LAST, 2], [1, 2], LAST - 40)).toEqual([
      'delivered',
      'duplicate',
      'delivered',
      'delivered',
      'delivered',
      'duplicate',
      'duplicate',
      'delivered',
    ]);
    expect(mergedSince(l, VIF, before).resets).toBe(0);
  });

  test('where a window begins with the last numbers, or the middle ones', async () => {
    for (const first of [LAST, LAST >>> 1, (LAST >>> 1) + 1]) {
      openWindow(l, VIF);
      expect(await fates(first, [first, 2])).toEqual(['delivered', 'duplicate']);
    }
  });
});

describe('not numbered, or not expected', () => {
  test('number 0 is none: always delivered, and nothing counted', async () => {
    expect(await fates(0, 0, [0, 2])).toEqual(['delivered', 'delivered', 'delivered']);
    expect(mergedSince(l, VIF, before)).toEqual({ merged: 0, duplicates: 0, late: 0, resets: 0 });
  });

  test('a link without a window: the numbers mean nothing', async () => {
    closeWindow(l, VIF);
    expect(await fates(9, 9)).toEqual(['delivered', 'delivered']);
  });

  test('another link’s numbers are its own', async () => {
    expect(await fates(5)).toEqual(['delivered']);
    openWindow(l, 6);
    const other = arriving(
      arrivalOf(7),
      frame(
        controlWord({ rest: 5 }),
        ethernet({ from: mac.farVif, to: mac.vif6 }),
        ipv4({ from: '10.0.3.1', to: '10.0.1.2' }),
        udp({ from: 1, to: 9 }),
        payload(26),
      ),
    );
    expect((await l.run(2, other)).action).toBe('redirect');
    expect(await fates(6, 5)).toEqual(['delivered', 'duplicate']);
  });
});

describe('a sender that begins anew', () => {
  test('far behind or far ahead: heard at once', async () => {
    expect(await fates(100_000_000, 7, [7, 2], 8, 200_000_000, [200_000_000, 2])).toEqual([
      'delivered',
      'delivered',
      'duplicate',
      'delivered',
      'delivered',
      'duplicate',
    ]);
  });

  test('a little behind: heard when nothing was delivered for a second, whatever arrived', async () => {
    const turn = 8 * WINDOW;
    expect(await fates(turn + 7, 7)).toEqual(['delivered', 'late']);
    wait(500n);
    expect(await fates(7)).toEqual(['late']);
    wait(700n);
    expect(await fates(7, [7, 2], turn + 7)).toEqual(['delivered', 'duplicate', 'delivered']);
    expect(mergedSince(l, VIF, before)).toMatchObject({ resets: 1 });
  });

  test('traffic keeps the window as it is, however long it lasts', async () => {
    for (let i = 1; i <= 40; i++) {
      expect(await fates(i, [i, 2])).toEqual(['delivered', 'duplicate']);
      wait(100n);
    }
    expect(await fates(1)).toEqual(['duplicate']);
    expect(mergedSince(l, VIF, before)).toMatchObject({ resets: 0 });
  });
});

/** So many CPUs take the same numbers, none far before the other; how many each has delivered. */
async function race(runners: number, first: number, numbers: number): Promise<number[]> {
  l.setVariables({
    race_vif: VIF,
    race_first: first,
    race_numbers: numbers,
    race_runners: runners,
    race_ready: 0,
    race_taken0: 0,
    race_taken1: 0,
  });
  const run = async (): Promise<number> => {
    /* struct runner: place, taken, delivered; those that wait or are done do nothing */
    let data: Buffer = Buffer.alloc(64);
    while (data.readUInt32LE(4) < numbers)
      ({ data } = await l.object.program('cabernet_race_test').testRun({ data, repeat: 1 << 21 }));
    return data.readUInt32LE(8);
  };
  return await Promise.all(Array.from({ length: runners }, run));
}

describe('CPUs that have the copies of a frame at the same time', () => {
  /* also across the end of the numbers */
  const numbers = 1 << 18;
  test.each([1000, LAST - numbers / 2])('each of 262 144 from %i on is delivered once', async (first) => {
    const present = first + numbers > LAST ? numbers - 1 : numbers;
    const delivered = await race(2, first, numbers);
    expect(delivered.reduce((a, b) => a + b, 0)).toBe(present);
    expect(mergedSince(l, VIF, before)).toEqual({
      merged: present,
      duplicates: present,
      late: 0,
      resets: 0,
    });
    /* neither had all: they did run at once */
    for (const share of delivered) expect(share).toBeGreaterThan(0);
  });
});
