// RingBuffer: reads a BPF ring buffer on the event loop of the thread that opened it.
import { addon, type NativeRing } from './addon.js';
import { argumentError } from './error.js';
import { nativeMap } from './handles.js';
import type { BpfMap } from './map.js';

export interface RingBufferOptions {
  /** Called with the records of one turn of the event loop, in order. They share memory with each other only. */
  readonly onRecords: (records: Buffer[]) => void;
  /** Records kept per turn (default 65 536); more are discarded, and counted in `lost`. */
  readonly capacity?: number;
}

/**
 * A reader of a ring buffer map, of which a process has at most one per map. Each turn of the event
 * loop empties the ring and hands over what it held, so a slow consumer loses records (`lost`)
 * and never memory. An open reader keeps the process alive unless `unref()` was called.
 */
export class RingBuffer {
  readonly #native: NativeRing;

  private constructor(native: NativeRing) {
    this.#native = native;
  }

  /** Opens a reader. `ERR_STATE` when the process has one on this map already. */
  static open(map: BpfMap, options: RingBufferOptions): RingBuffer {
    const operation = 'ring.open';
    if (typeof options !== 'object' || options === null)
      throw argumentError(operation, 'options', 'an object');
    const { onRecords, capacity = 65536 } = options;
    if (typeof onRecords !== 'function') throw argumentError(operation, 'onRecords', 'a function');
    const split = (block: ArrayBuffer, ends: Uint32Array): void => {
      const records: Buffer[] = [];
      let start = 0;
      for (const end of ends) {
        records.push(Buffer.from(block, start, end - start));
        start = end;
      }
      onRecords(records);
    };
    return new RingBuffer(addon.ringOpen(nativeMap(map, operation, 'map'), capacity, split));
  }

  /** Records discarded so far because a turn had more than `capacity`. */
  get lost(): number {
    return this.#native.lost();
  }

  /** Hands over what is in the ring now, without waiting for the event loop; how many records. */
  consume(): number {
    return this.#native.consume();
  }

  /** Lets the process end while the reader is open. */
  unref(): this {
    this.#native.setRef(false);
    return this;
  }

  /** Keeps the process alive while the reader is open (as from the start). */
  ref(): this {
    this.#native.setRef(true);
    return this;
  }

  /** Stops reading; records still in the ring stay there. */
  close(): void {
    this.#native.close();
  }
}
