/**
 * By which two interfaces the copies of a frame may leave: a device table for each two wires, and for each wire with
 * itself. Which two it is, the programs find frame by frame (bpf/copies.h).
 */
import { DevicePairKey } from '../../gen/layout.js';
import { BpfError, BpfMap, type BpfProgram } from '../../native/lib/index.js';

export interface DevicePairsOptions {
  readonly map: BpfMap;
  readonly egress: BpfProgram;
  /** Path of the network namespace the interfaces are in; this process's own otherwise. */
  readonly netns: string | undefined;
  readonly log: (message: string) => void;
}

export class DevicePairs {
  readonly #options: DevicePairsOptions;
  readonly #devices = new Set<number>();

  constructor(options: DevicePairsOptions) {
    this.#options = options;
  }

  /** The tables of an earlier start, with this one's egress program. */
  async adopt(): Promise<void> {
    const found = [...this.#options.map.keys()].map((key) => DevicePairKey.decode(key));
    for (const { low, high } of found) this.#devices.add(low).add(high);
    await this.#make(found);
  }

  /** Copies may leave by this interface and any other, or twice by it. */
  async add(ifindex: number): Promise<void> {
    this.#devices.add(ifindex);
    const others = [...this.#devices];
    await this.#make(others.map((one) => ({ low: Math.min(one, ifindex), high: Math.max(one, ifindex) })));
  }

  async remove(ifindex: number): Promise<void> {
    if (!this.#devices.delete(ifindex)) return;
    const { map } = this.#options;
    const keys = [...map.keys()].filter((key) => {
      const { low, high } = DevicePairKey.decode(key);
      return low === ifindex || high === ifindex;
    });
    if (keys.length > 0) await map.deleteBatch(Buffer.concat(keys));
  }

  /** What cannot be made now is a pair whose frames leave once, and are counted (`no_device`). */
  async #make(wanted: readonly DevicePairKey[]): Promise<void> {
    const { map, log } = this.#options;
    const made: Array<{ key: Uint8Array; pair: BpfMap }> = [];
    try {
      for (const key of wanted) {
        const pair = this.#pair(key);
        if (pair) made.push({ key: DevicePairKey.encode(key), pair });
      }
      if (made.length === 0) return;
      await map.updateBatch(
        Buffer.concat(made.map(({ key }) => key)),
        made.map(({ pair }) => pair),
      );
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      log(`1+1 by some pairs of interfaces is not possible: ${error.message}`);
    } finally {
      for (const { pair } of made) pair.close();
    }
  }

  /** Undefined: one of the two is gone. */
  #pair({ low, high }: DevicePairKey): BpfMap | undefined {
    const { egress: program, netns } = this.#options;
    const sizes = { keySize: 4, valueSize: 8, maxEntries: 2 };
    const pair = BpfMap.create({ type: 'devmap', name: 'device_pair', ...sizes });
    try {
      const place = netns === undefined ? {} : { netns };
      pair.setDevice(0, { ifindex: low, program }, place);
      pair.setDevice(1, { ifindex: high, program }, place);
      return pair;
    } catch (error) {
      pair.close();
      if (error instanceof BpfError && error.code === 'EINVAL') return undefined;
      throw error;
    }
  }
}
