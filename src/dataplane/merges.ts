/**
 * What has arrived of links that send every frame twice (1+1): a window of numbers for each link that may receive
 * copies, and what the programs have counted (bpf/merge.h).
 */
import { Merge, MergeCounters } from '../../gen/layout.js';
import { BpfError, type BpfMap } from '../../native/lib/index.js';
import { DataPlaneError } from './errors.js';

export interface MergeCount {
  /** Delivered: the first copy of each number. */
  readonly merged: bigint;
  /** Copies of what had been delivered. */
  readonly duplicates: bigint;
  /** Older than the window: dropped, whether their other copy came or not. */
  readonly late: bigint;
  /** The window began anew: silence, or a sender that did. */
  readonly resets: bigint;
}

export class MergeTable {
  readonly #windows: BpfMap;
  readonly #counters: BpfMap;

  constructor(windows: BpfMap, counters: BpfMap) {
    this.#windows = windows;
    this.#counters = counters;
  }

  /** Copies that arrive for the vif are told apart from now on; as before where they were. `TABLE_FULL`: no memory. */
  open(vif: number): void {
    try {
      this.#windows.update(keyOf(vif), new Uint8Array(Merge.size), 'create');
    } catch (cause) {
      if (cause instanceof BpfError && cause.code === 'EEXIST') return;
      const detail = `the window of ${Merge.size} bytes could not be made`;
      throw new DataPlaneError({ code: 'TABLE_FULL', operation: 'merges.open', detail, cause });
    }
  }

  isOpen(vif: number): boolean {
    return this.#windows.lookup(keyOf(vif)) !== undefined;
  }

  count(vif: number): MergeCount {
    const { stride } = this.#counters;
    const value = this.#counters.lookup(keyOf(vif)) ?? Buffer.alloc(0);
    const sum = { merged: 0n, duplicates: 0n, late: 0n, resets: 0n };
    for (let at = 0; at < value.length; at += stride) {
      const { merged, duplicates, late, resets } = MergeCounters.decode(value, at);
      sum.merged += merged;
      sum.duplicates += duplicates;
      sum.late += late;
      sum.resets += resets;
    }
    return sum;
  }

  /** Of vifs that nobody has any more. */
  async clear(vifs: readonly number[]): Promise<void> {
    if (vifs.length === 0) return;
    const keys = new Uint8Array(Uint32Array.from(vifs).buffer);
    await this.#windows.deleteBatch(keys);
    await this.#counters.updateBatch(keys, new Uint8Array(vifs.length * this.#counters.transferSize));
  }
}

function keyOf(vif: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(vif).buffer);
}
