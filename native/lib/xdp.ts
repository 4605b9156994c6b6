// XDP's verdicts and its context structure (struct xdp_md, linux/bpf.h).

/** What an XDP program returns. */
export const XdpAction = { ABORTED: 0, DROP: 1, PASS: 2, TX: 3, REDIRECT: 4 } as const;
export type XdpAction = (typeof XdpAction)[keyof typeof XdpAction];

const SIZE = 24;
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

export interface XdpContext {
  /** Bytes of metadata in front of the frame. */
  readonly metaLength: number;
  /** Bytes of the frame. */
  readonly dataLength: number;
  readonly ingressIfindex: number;
  readonly rxQueueIndex: number;
}

/** The context for a test run whose data is `metaLength` bytes of metadata and then the frame. */
export function xdpContext(context: XdpContext): Buffer {
  const bytes = Buffer.alloc(SIZE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, SIZE);
  view.setUint32(0, context.metaLength, LITTLE);
  view.setUint32(4, context.metaLength + context.dataLength, LITTLE);
  view.setUint32(12, context.ingressIfindex, LITTLE);
  view.setUint32(16, context.rxQueueIndex, LITTLE);
  return bytes;
}

/** What a test run's resulting context says. */
export function readXdpContext(bytes: Uint8Array): XdpContext {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const metaLength = view.getUint32(0, LITTLE);
  return {
    metaLength,
    dataLength: view.getUint32(4, LITTLE) - metaLength,
    ingressIfindex: view.getUint32(12, LITTLE),
    rxQueueIndex: view.getUint32(16, LITTLE),
  };
}
