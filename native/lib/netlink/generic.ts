// Generic netlink, as far as it tells what the routing socket does not: of the family `netdev`, what
// an interface's driver can do for XDP (Linux 6.3 and newer).
import { BpfError } from '../error.js';
import { type Payload, type Writer } from './attributes.js';
import { interfaceIndex } from './check.js';
import {
  CTRL_ATTR,
  CTRL_CMD,
  GENL_ID_CTRL,
  NETDEV_A_DEV,
  NETDEV_CMD_DEV_GET,
  NETDEV_XDP_ACT,
  NLM_F,
} from './constants.js';
import { netlinkOpen, type NativeNetlink } from './native.js';
import type { NetlinkOptions } from './netlink.js';
import { RequestSocket } from './socket.js';

/** What a driver can do, as it is set up now (enum netdev_xdp_act). */
export interface XdpFeatures {
  /** Native mode, and the verdicts ABORTED, DROP, PASS and TX. */
  readonly basic: boolean;
  /** The verdict REDIRECT. */
  readonly redirect: boolean;
  /** Frames may be redirected to it. Some drivers can only while they have a program themselves. */
  readonly ndoXmit: boolean;
  readonly xskZerocopy: boolean;
  readonly hwOffload: boolean;
  /** Receives frames in several buffers, for programs that know of them. */
  readonly rxSg: boolean;
  /** Frames in several buffers may be redirected to it. */
  readonly ndoXmitSg: boolean;
}

const BUFFER = 64 << 10;

/** struct genlmsghdr. */
const HEADER = 4;

function malformed(detail: string): BpfError {
  return new BpfError({ code: 'EBADMSG', operation: 'netlink.decode', detail });
}

function writeHeader(writer: Writer, family: number, command: number): Writer {
  return writer.begin(family, NLM_F.REQUEST).u8(command).u8(1).u16(0);
}

/** The number of a family, of the answer to CTRL_CMD_GETFAMILY. */
export function readFamily(payload: Payload): number {
  if (payload.u8(0) !== CTRL_CMD.NEWFAMILY) throw malformed('an answer about something else than a family');
  let id = 0;
  payload.attributes(HEADER, (type, value) => {
    if (type === CTRL_ATTR.FAMILY_ID) id = value.u16();
  });
  // smaller numbers are those of netlink's own messages
  if (id < GENL_ID_CTRL) throw malformed(`a family with the number ${id}`);
  return id;
}

/** Of the answer to NETDEV_CMD_DEV_GET for this interface. */
export function readXdpFeatures(payload: Payload, index: number): XdpFeatures {
  let about = 0;
  let bits: bigint | undefined;
  payload.attributes(HEADER, (type, value) => {
    if (type === NETDEV_A_DEV.IFINDEX) about = value.u32();
    else if (type === NETDEV_A_DEV.XDP_FEATURES) bits = value.u64();
  });
  if (about !== index || bits === undefined)
    throw malformed(`an answer about interface ${about} without XDP`);
  const has = (bit: bigint): boolean => ((bits ?? 0n) & bit) !== 0n;
  return {
    basic: has(NETDEV_XDP_ACT.BASIC),
    redirect: has(NETDEV_XDP_ACT.REDIRECT),
    ndoXmit: has(NETDEV_XDP_ACT.NDO_XMIT),
    xskZerocopy: has(NETDEV_XDP_ACT.XSK_ZEROCOPY),
    hwOffload: has(NETDEV_XDP_ACT.HW_OFFLOAD),
    rxSg: has(NETDEV_XDP_ACT.RX_SG),
    ndoXmitSg: has(NETDEV_XDP_ACT.NDO_XMIT_SG),
  };
}

/** One namespace's generic netlink socket. Errors as those of `Netlink`. */
export class GenericNetlink {
  readonly #socket: RequestSocket;
  #netdev: Promise<number | undefined> | undefined;

  private constructor(native: NativeNetlink) {
    this.#socket = new RequestSocket(native);
  }

  static async open(options: NetlinkOptions = {}): Promise<GenericNetlink> {
    return new GenericNetlink(await netlinkOpen(options.netns ?? null, BUFFER, true));
  }

  /** What the interface's driver can do for XDP; undefined where the kernel does not tell, or has no such interface. */
  async xdpFeatures(index: number): Promise<XdpFeatures | undefined> {
    const operation = 'xdpFeatures';
    interfaceIndex(index, operation);
    this.#netdev ??= this.#family('netdev');
    const family = await this.#netdev;
    if (family === undefined) return undefined;
    return this.#ask(operation, `interface ${index}`, ['ENODEV'], {
      write: (writer) =>
        void writeHeader(writer, family, NETDEV_CMD_DEV_GET).attributeU32(NETDEV_A_DEV.IFINDEX, index),
      read: (payload) => readXdpFeatures(payload, index),
    });
  }

  /** What is in flight ends with ERR_CLOSED. */
  close(): void {
    this.#socket.close();
  }

  #family(name: string): Promise<number | undefined> {
    return this.#ask('family', name, ['ENOENT'], {
      write: (writer) =>
        void writeHeader(writer, GENL_ID_CTRL, CTRL_CMD.GETFAMILY).attributeString(
          CTRL_ATTR.FAMILY_NAME,
          name,
        ),
      read: readFamily,
    });
  }

  /** One question; undefined for an error that means there is none. */
  async #ask<T>(
    operation: string,
    subject: string,
    none: readonly string[],
    how: { readonly write: (writer: Writer) => void; readonly read: (payload: Payload) => T },
  ): Promise<T | undefined> {
    let found: T | undefined;
    const [error] = await this.#socket.run(operation, 1, () => ({
      operation,
      subject: () => subject,
      write: how.write,
      receive: (payload) => {
        found = how.read(payload);
      },
    }));
    if (error !== undefined && !none.includes(error.code)) throw error;
    return found;
  }
}
