/**
 * Tracing: one frame through the same source built for tracing, over the live tables. It says what each look-up found
 * and counts, learns and sends nothing.
 */
import { TraceEvent as Event } from '../../gen/layout.js';
import { BpfError, BpfObject, XdpAction, type BpfMap, type BpfProgram } from '../../native/lib/index.js';
import { type Capacities } from './capacities.js';
import { DataPlaneError } from './errors.js';
import { load, objectPath, prepare, sharedMaps, SharedWord } from './objects.js';

export interface TraceRequest {
  /** Where the frame seems to arrive. */
  readonly ifindex: number;
  /** From the Ethernet header on. */
  readonly frame: Uint8Array;
}

/** struct trace_event. */
export interface TraceEvent {
  /** Index into `traceKinds`. */
  readonly kind: number;
  /** 0: the wire. */
  readonly depth: number;
  readonly node: number;
  readonly vif: number;
  /** Of header added; negative: taken off. */
  readonly bytes: number;
  /** The id found, or a reason or kind. */
  readonly found: number;
  /** Key and result, by kind. */
  readonly words: Uint32Array;
  /** The address looked up, wire order; IPv4 in the first four bytes. */
  readonly address: Uint8Array;
}

export interface TraceResult {
  readonly events: TraceEvent[];
  /** `redirect`: leaves by `egressIfindex`; `pass`: to the machine's kernel. */
  readonly verdict: 'drop' | 'pass' | 'redirect' | 'aborted' | 'tx';
  /** As it leaves. */
  readonly frame: Buffer;
  /** 0: it does not leave. */
  readonly egressIfindex: number;
}

export interface TracerOptions {
  readonly capacities: Capacities;
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly jumbo: boolean;
  readonly folder: string | undefined;
  readonly netns: string | undefined;
}

interface Loaded {
  readonly program: BpfProgram;
  readonly events: BpfMap;
  readonly ifindex: SharedWord;
  readonly count: SharedWord;
  readonly egress: SharedWord;
}

export class Tracer {
  readonly #options: TracerOptions;
  #loaded: Promise<Loaded> | undefined;
  /** Runs share the events' memory: one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: TracerOptions) {
    this.#options = options;
  }

  /** `TRACE_REFUSED` for a frame that is too short or too long (but for jumbo frames: a page with its headroom). */
  async trace(request: TraceRequest): Promise<TraceResult> {
    const run = this.#last.then(() => this.#run(request));
    this.#last = run.catch(() => undefined);
    return await run;
  }

  async #run({ ifindex, frame }: TraceRequest): Promise<TraceResult> {
    const loaded = await (this.#loaded ??= this.#load());
    loaded.ifindex.value = ifindex;
    const { netns } = this.#options;
    try {
      // a context: without one no program may move metadata in front of the frame
      const { retval, data } = await loaded.program.testRun({
        data: frame,
        xdp: {},
        ...(netns === undefined ? {} : { netns }),
      });
      const count = Math.min(loaded.count.value, loaded.events.maxEntries);
      const events = Array.from({ length: count }, (_, i) => {
        const value = loaded.events.lookup(new Uint8Array(Uint32Array.of(i).buffer));
        return Event.decode(value ?? new Uint8Array(Event.size));
      });
      const verdict = VERDICTS[retval] ?? 'aborted';
      return {
        events,
        verdict,
        frame: data,
        egressIfindex: verdict === 'redirect' ? loaded.egress.value : 0,
      };
    } catch (cause) {
      if (!(cause instanceof BpfError)) throw cause;
      throw new DataPlaneError({
        code: 'TRACE_REFUSED',
        operation: 'trace',
        subject: `frame of ${frame.length} bytes`,
        detail: `the kernel does not run a program on it: it must have 14 to about ${this.#options.jumbo ? 9800 : 3500} bytes`,
        cause,
      });
    }
  }

  async #load(): Promise<Loaded> {
    const { capacities, jumbo, folder, maps } = this.#options;
    const object = BpfObject.open(objectPath({ purpose: 'trace', jumbo, folder }));
    try {
      prepare(object, capacities);
      for (const name of sharedMaps(object)) {
        const map = maps.get(name);
        if (map !== undefined) object.reuseMap(name, map);
      }
      await load(object);
      const btf = object.btf();
      const bss = object.map('.bss');
      const word = (name: string): SharedWord => new SharedWord(bss, btf, name);
      const loaded = {
        program: object.program('cabernet_trace'),
        events: object.map('trace_events'),
        ifindex: word('trace_ifindex'),
        count: word('trace_count'),
        egress: word('last_egress'),
      };
      bss.close();
      return loaded;
    } finally {
      object.close();
    }
  }

  async close(): Promise<void> {
    await this.#last;
    const loaded = await this.#loaded?.catch(() => undefined);
    loaded?.program.close();
    loaded?.events.close();
    this.#loaded = undefined;
  }
}

const VERDICTS: Readonly<Record<number, TraceResult['verdict']>> = {
  [XdpAction.ABORTED]: 'aborted',
  [XdpAction.DROP]: 'drop',
  [XdpAction.PASS]: 'pass',
  [XdpAction.TX]: 'tx',
  [XdpAction.REDIRECT]: 'redirect',
};
