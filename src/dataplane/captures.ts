/**
 * Frames the programs copy out: samples of dropped ones, always and few, and captures of all that passes an interface
 * or a vif, only while somebody listens.
 */
import { RecordHead, RecordKind } from '../../gen/layout.js';
import { RingBuffer, type BpfMap } from '../../native/lib/index.js';
import { wrongArgument } from './errors.js';
import { type SharedWord } from './objects.js';

export interface DropSample {
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly time: bigint;
  /** Index into `dropReasons`. */
  readonly reason: number;
  /** 0: the machine. */
  readonly node: number;
  readonly vif: number;
  /** Where it arrived, or where it would have left. */
  readonly ifindex: number;
  /** Bytes of the frame. */
  readonly length: number;
  /** Its first bytes. */
  readonly frame: Buffer;
}

export interface CapturedFrame extends DropSample {
  /** `in`, `out`: passed; `drop`: for `reason`. */
  readonly kind: 'in' | 'out' | 'drop';
}

/** What to capture: an interface's frames as they are on the wire, or a vif's without any header of layers below. */
export type CaptureFilter = { readonly ifindex: number } | { readonly vif: number };

export interface Subscription {
  /** Frames that came faster than they were taken, in all captures, since the first began. */
  readonly lost: number;
  stop(): void;
}

const KINDS: Readonly<Record<number, CapturedFrame['kind']>> = {
  [RecordKind.RECORD_IN]: 'in',
  [RecordKind.RECORD_OUT]: 'out',
  [RecordKind.RECORD_CAPTURED_DROP]: 'drop',
};

function parse(record: Buffer): CapturedFrame {
  const { time, kind, reason, node, vif, ifindex, length, kept } = RecordHead.decode(record);
  const frame = record.subarray(RecordHead.size, RecordHead.size + kept);
  return { time, kind: KINDS[kind] ?? 'drop', reason, node, vif, ifindex, length, frame };
}

/** The newest dropped frames. */
export class Samples {
  readonly #ring: RingBuffer;
  readonly #kept: DropSample[] = [];
  readonly #limit: number;
  readonly #watchers = new Set<(samples: readonly DropSample[]) => void>();

  /** Keeps `limit` of them. */
  constructor(map: BpfMap, limit = 256) {
    this.#limit = limit;
    this.#ring = RingBuffer.open(map, {
      capacity: 4 * limit,
      onRecords: (records) => {
        // copies: the records of one turn share their memory
        const samples = records.map((record): DropSample => {
          const { kind: _, frame, ...facts } = parse(record);
          return { ...facts, frame: Buffer.from(frame) };
        });
        this.#kept.push(...samples);
        this.#kept.splice(0, Math.max(0, this.#kept.length - this.#limit));
        for (const watcher of this.#watchers) watcher(samples);
      },
    }).unref();
  }

  /** The newest ones, newest last. */
  newest(count = this.#limit): readonly DropSample[] {
    this.#ring.consume();
    return count > 0 ? this.#kept.slice(-count) : [];
  }

  /** Calls back with new samples; the answer ends that. */
  watch(callback: (samples: readonly DropSample[]) => void): () => void {
    this.#watchers.add(callback);
    return () => void this.#watchers.delete(callback);
  }

  close(): void {
    this.#watchers.clear();
    this.#ring.close();
  }
}

export interface CaptureSwitches {
  /** Switches an interface's or a vif's capture flag. */
  readonly port: (ifindex: number, on: boolean) => void;
  readonly vif: (vif: number, on: boolean) => void;
  /** The programs' own switch: whether anybody captures at all. */
  readonly all: SharedWord;
}

interface Listener {
  readonly filter: CaptureFilter;
  readonly callback: (frames: readonly CapturedFrame[]) => void;
}

export class Captures {
  readonly #map: BpfMap;
  readonly #switches: CaptureSwitches;
  readonly #listeners = new Set<Listener>();
  #ring: RingBuffer | undefined;

  constructor(map: BpfMap, switches: CaptureSwitches) {
    this.#map = map;
    this.#switches = switches;
  }

  /** Calls back with frames, at most 1536 bytes of each, until stopped. While nobody subscribes nothing is copied. */
  subscribe(filter: CaptureFilter, callback: Listener['callback']): Subscription {
    const target = 'vif' in filter ? filter.vif : filter.ifindex;
    if (!Number.isInteger(target) || target < 1)
      throw wrongArgument('capture', 'filter', '{ ifindex } or { vif }');
    const listener: Listener = { filter, callback };
    this.#switch(filter, true);
    this.#listeners.add(listener);
    const ring = (this.#ring ??= RingBuffer.open(this.#map, {
      onRecords: (records) => this.#deliver(records),
    }));
    this.#switches.all.value = 1;
    return {
      get lost() {
        return ring.lost;
      },
      stop: () => this.#stop(listener),
    };
  }

  /** Whether somebody captures this interface. */
  wants(ifindex: number): boolean {
    return [...this.#listeners].some(({ filter }) => 'ifindex' in filter && filter.ifindex === ifindex);
  }

  close(): void {
    for (const listener of [...this.#listeners]) this.#stop(listener);
  }

  #stop(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return;
    const { filter } = listener;
    const others = [...this.#listeners].some((other) => sameFilter(other.filter, filter));
    if (!others) this.#switch(filter, false);
    if (this.#listeners.size > 0) return;
    this.#switches.all.value = 0;
    this.#ring?.close();
    this.#ring = undefined;
  }

  #switch(filter: CaptureFilter, on: boolean): void {
    if ('vif' in filter) this.#switches.vif(filter.vif, on);
    else this.#switches.port(filter.ifindex, on);
  }

  #deliver(records: readonly Buffer[]): void {
    const frames = records.map(parse);
    for (const { filter, callback } of [...this.#listeners]) {
      const mine = frames.filter((frame) => passes(filter, frame));
      if (mine.length > 0) callback(mine);
    }
  }
}

function sameFilter(a: CaptureFilter, b: CaptureFilter): boolean {
  if ('vif' in a) return 'vif' in b && a.vif === b.vif;
  return 'ifindex' in b && a.ifindex === b.ifindex;
}

// A frame at a vif is recorded with the interface it arrived on, but is not that interface's record.
function passes(filter: CaptureFilter, frame: CapturedFrame): boolean {
  if ('vif' in filter) return frame.vif === filter.vif;
  return frame.ifindex === filter.ifindex && (frame.kind === 'drop' || frame.vif === 0);
}
