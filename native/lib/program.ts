// BpfProgram: a handle on one loaded program: what it is, test runs, attachment.
import { addon, type NativeProgram, type NativeProgramInfo, type NativeProgramStatistics } from './addon.js';
import { argumentError, BpfError } from './error.js';
import { registerProgram } from './handles.js';
import { wrapLink, type XdpLink } from './link.js';
import { Netlink } from './netlink/netlink.js';
import { readXdpContext, xdpContext } from './xdp.js';

export interface TestRunOptions {
  /** The frame, at least 14 bytes for XDP; with `ctx` it begins with the metadata. */
  readonly data: Uint8Array;
  /** Raw context (`struct xdp_md` for XDP). Not together with `xdp`. */
  readonly ctx?: Uint8Array;
  /** The context of an XDP run, instead of `ctx`. */
  readonly xdp?: {
    /** Metadata before the frame: a multiple of 4 bytes, at most 252. */
    readonly meta?: Uint8Array;
    /** Index of the interface the frame seems to arrive on; it must exist in the namespace. */
    readonly ingressIfindex?: number;
    readonly rxQueueIndex?: number;
  };
  /** Runs in one call (default 1). Without `liveFrames` each run begins with what the last one left. */
  readonly repeat?: number;
  /** Sends the frames on for real (XDP_TX, XDP_REDIRECT, XDP_PASS); nothing comes back but the count. */
  readonly liveFrames?: boolean;
  /** Live frames per NAPI poll, at most 256 (default 64). */
  readonly batchSize?: number;
  /** Room for the resulting frame (default: its length and 1024 bytes more). */
  readonly dataOutSize?: number;
  /** Run on this CPU. */
  readonly cpu?: number;
  /** Path of the network namespace the run happens in. */
  readonly netns?: string;
}

export interface TestRunResult {
  /** What the program returned (`XdpAction` for XDP). */
  readonly retval: number;
  /** The resulting frame; without the metadata when `xdp` was given. Empty for live frames. */
  readonly data: Buffer;
  /** The metadata the program left, when `xdp` was given. */
  readonly meta?: Buffer;
  /** The resulting context, when one was given. */
  readonly ctx?: Buffer;
  /** Mean time of one run, in nanoseconds. */
  readonly durationNs: number;
}

export interface AttachOptions {
  /** Native mode or refused: the program runs in the driver. */
  readonly mode: 'native';
  /** Path of the network namespace the interface is in. */
  readonly netns?: string;
}

let wrap: (native: NativeProgram) => BpfProgram;

/** A handle on a loaded program. Methods throw `BpfError`, `ERR_CLOSED` after `close()`. */
export class BpfProgram {
  readonly #native: NativeProgram;
  readonly #info: NativeProgramInfo;

  private constructor(native: NativeProgram) {
    this.#native = native;
    this.#info = native.info(false);
    registerProgram(this, native);
  }

  static {
    wrap = (native) => new BpfProgram(native);
  }

  /** Opens the program pinned at a path of the BPF file system. `ERR_FOREIGN` when it is not a program. */
  static openPinned(path: string): BpfProgram {
    return new BpfProgram(addon.programOpenPinned(path));
  }

  /** Opens a program by its id, as `XdpLink.info()` gives it. */
  static openId(id: number): BpfProgram {
    return new BpfProgram(addon.programOpenId(id));
  }

  get id(): number {
    return this.#info.id;
  }
  /** The function's name, or the kernel's (15 characters) for a program opened otherwise. */
  get name(): string {
    return this.#info.name;
  }
  /** `enum bpf_prog_type`; 6 is XDP. */
  get typeId(): number {
    return this.#info.type;
  }
  /** The kernel's hash of the instructions, 16 hexadecimal digits. */
  get tag(): string {
    return this.#info.tag;
  }
  /** The descriptor's number, good while this handle is open. */
  get fd(): number {
    return this.#native.fd();
  }

  /** Sizes, and run time and count where the kernel counts them (sysctl kernel.bpf_stats_enabled). */
  statistics(): NativeProgramStatistics {
    const { runTimeNs, runCount, verifiedInstructions, translatedBytes, jitedBytes } =
      this.#native.info(true);
    return { runTimeNs, runCount, verifiedInstructions, translatedBytes, jitedBytes };
  }

  /** Runs the program on a frame (BPF_PROG_TEST_RUN), off the JavaScript thread. */
  async testRun(options: TestRunOptions): Promise<TestRunResult> {
    const operation = 'program.testRun';
    if (typeof options !== 'object' || options === null)
      throw argumentError(operation, 'options', 'an object');
    const { xdp, repeat = 1, liveFrames = false, batchSize = 0, cpu = null, netns = null } = options;
    if (xdp !== undefined && options.ctx !== undefined)
      throw argumentError(operation, 'ctx', 'absent when xdp is given');
    if (!(options.data instanceof Uint8Array)) throw argumentError(operation, 'data', 'a Uint8Array');
    let data = options.data;
    let ctx = options.ctx ?? null;
    if (xdp !== undefined) {
      if (typeof xdp !== 'object' || xdp === null) throw argumentError(operation, 'xdp', 'an object');
      const meta = xdp.meta ?? new Uint8Array();
      if (!(meta instanceof Uint8Array)) throw argumentError(operation, 'xdp.meta', 'a Uint8Array');
      data = Buffer.concat([meta, data]);
      ctx = xdpContext({
        metaLength: meta.length,
        dataLength: data.length - meta.length,
        ingressIfindex: xdp.ingressIfindex ?? 0,
        rxQueueIndex: xdp.rxQueueIndex ?? 0,
      });
    }
    const dataOutSize = options.dataOutSize ?? data.length + 1024;
    const result = await this.#native.testRun(
      data,
      ctx,
      repeat,
      liveFrames,
      batchSize,
      dataOutSize,
      cpu,
      netns,
    );
    if (xdp === undefined || result.ctx === undefined) return result;
    const { metaLength } = readXdpContext(result.ctx);
    return { ...result, data: result.data.subarray(metaLength), meta: result.data.subarray(0, metaLength) };
  }

  /**
   * Attaches to an interface, in native mode or not at all: `EOPNOTSUPP` when the driver cannot, `EBUSY`
   * when another program is there, `ERANGE` when the MTU is too large. The program stays attached until
   * the link is detached, closed unpinned, or the process ends with the link unpinned.
   */
  attachXdp(ifindex: number, options: AttachOptions): XdpLink {
    const netns = attachNetns(options);
    return wrapLink(this.#native.attachXdp(ifindex, netns));
  }

  /** `attachXdp` off the JavaScript thread: drivers may take milliseconds. */
  async attachXdpAsync(ifindex: number, options: AttachOptions): Promise<XdpLink> {
    const netns = attachNetns(options);
    return wrapLink(await this.#native.attachXdpAsync(ifindex, netns));
  }

  /**
   * Why an interface will not have this program, in its driver's own words; undefined where it has none to say. A link
   * is refused with an errno alone, so another attempt is made the older way, over netlink, which explains itself.
   * Should that one succeed, the program is detached at once.
   */
  async attachRefusal(ifindex: number, options: AttachOptions): Promise<string | undefined> {
    const netns = attachNetns(options);
    const { fd } = this;
    const netlink = await Netlink.open(netns === null ? {} : { netns });
    try {
      try {
        await netlink.setLink(ifindex, { xdp: { attach: fd } });
      } catch (error) {
        // what has no errno is no answer of the kernel's
        if (error instanceof BpfError && error.errno !== undefined) return error.explanation;
        throw error;
      }
      await netlink.setLink(ifindex, { xdp: { detach: fd } });
      return undefined;
    } finally {
      netlink.close();
    }
  }

  /** Pins the program at a path of the BPF file system, making the directory. */
  pin(path: string): void {
    this.#native.pin(path);
  }

  /** Gives the descriptor back; the program lives on where it is attached, pinned or in a map. */
  close(): void {
    this.#native.close();
  }
}

/** For the other classes of this facade: a BpfProgram around the addon's handle. */
export function wrapProgram(native: NativeProgram): BpfProgram {
  return wrap(native);
}

function attachNetns(options: AttachOptions): string | null {
  const operation = 'program.attachXdp';
  if (typeof options !== 'object' || options === null) throw argumentError(operation, 'options', 'an object');
  if (options.mode !== 'native') throw argumentError(operation, 'mode', "'native'");
  return options.netns ?? null;
}
