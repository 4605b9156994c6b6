// Maps made for one test and closed after it, and short words for what the map tests expect.
import { afterEach, expect } from 'vitest';
import { BpfError } from '../../native/lib/error.js';
import { BpfMap, type MapOptions } from '../../native/lib/map.js';

const open: BpfMap[] = [];

afterEach(() => {
  for (const map of open.splice(0)) map.close();
});

/** A map of 64 elements, u32 to u64 unless said otherwise; closed after the test. */
export function make(options: Partial<MapOptions> & Pick<MapOptions, 'type'>): BpfMap {
  const map = BpfMap.create({ name: 'test', keySize: 4, valueSize: 8, maxEntries: 64, ...options });
  open.push(map);
  return map;
}

export function u32s(count: number, value: (i: number) => number): Buffer {
  return Buffer.from(Uint32Array.from({ length: count }, (_, i) => value(i)).buffer);
}

export function throws(code: string, action: () => unknown): void {
  expect(action).toThrow(BpfError);
  expect(action).toThrow(expect.objectContaining({ code }));
}

export async function rejects(code: string, promise: Promise<unknown>): Promise<void> {
  await expect(promise).rejects.toThrow(expect.objectContaining({ code }));
}
