// XdpLink: a program's attachment to an interface, held by a bpf_link.
import { addon, type NativeLink } from './addon.js';
import { nativeProgram } from './handles.js';
import type { BpfProgram } from './program.js';

export interface XdpLinkInfo {
  /** The link's id in the kernel. */
  readonly id: number;
  /** Id of the program attached now. */
  readonly programId: number;
  /** Index of the interface; 0 when the link is detached or its interface is gone. */
  readonly ifindex: number;
}

let wrap: (native: NativeLink) => XdpLink;

/**
 * An attachment. While a link holds an interface, nothing else can attach there (`EBUSY`).
 * A handle that is merely forgotten does not detach: only `detach()`, `close()` or the process's end do.
 */
export class XdpLink {
  readonly #native: NativeLink;

  private constructor(native: NativeLink) {
    this.#native = native;
  }

  static {
    wrap = (native) => new XdpLink(native);
  }

  /** Adopts the link pinned at a path. `ERR_FOREIGN` when it is not an XDP link. */
  static openPinned(path: string): XdpLink {
    return new XdpLink(addon.linkOpenPinned(path));
  }

  /** What is attached where, now. */
  info(): XdpLinkInfo {
    return this.#native.info();
  }

  /**
   * Puts another program in the place of the present one, in one step: every packet meets one of the two.
   * With `expect`, only if that program is the present one (`EPERM` otherwise).
   */
  update(program: BpfProgram, options: { readonly expect?: BpfProgram } = {}): void {
    const operation = 'link.update';
    const expect = options.expect === undefined ? null : nativeProgram(options.expect, operation, 'expect');
    this.#native.update(nativeProgram(program, operation, 'program'), expect);
  }

  /** Pins the link: the attachment then outlives the process. */
  pin(path: string): void {
    this.#native.pin(path);
  }

  /** Detaches now, also when pinned; the pin is left, dead, for unlink(2). */
  detach(): void {
    this.#native.detach();
  }

  /** Gives the descriptor back, which detaches when the link is not pinned or held elsewhere. */
  close(): void {
    this.#native.close();
  }
}

/** For the other classes of this facade: an XdpLink around the addon's handle. */
export function wrapLink(native: NativeLink): XdpLink {
  return wrap(native);
}
