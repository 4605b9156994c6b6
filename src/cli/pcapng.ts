/**
 * A pcapng file (draft-ietf-opsawg-pcapng), written block by block: one section, an interface for every point where
 * packets are seen, packets with nanoseconds, their direction, and a comment on those that were dropped.
 */

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;

/** Option codes; the first three mean the same in every block, the others are their block's own. */
const OPTION = {
  end: 0,
  comment: 1,
  userApplication: 4,
  interfaceName: 2,
  timeResolution: 9,
  packetFlags: 2,
} as const;
/** epb_flags: the two lowest bits. */
const DIRECTION = { in: 1, out: 2, drop: 0 } as const;
/** if_tsresol: 10 to the power of minus nine. */
const NANOSECONDS = 9;

export interface PcapngPacket {
  /** Nanoseconds since 1970. */
  readonly timeNs: bigint;
  readonly point: string;
  readonly direction: keyof typeof DIRECTION;
  readonly comment?: string;
  /** Bytes of the whole frame, of which `frame` may be the beginning. */
  readonly length: number;
  readonly frame: Uint8Array;
}

function padded(bytes: Uint8Array): Buffer {
  const buffer = Buffer.alloc((bytes.length + 3) & ~3);
  buffer.set(bytes);
  return buffer;
}

function option(code: number, value: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, padded(value)]);
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value, 0);
  return buffer;
}

function block(type: number, body: readonly Uint8Array[], options: readonly Buffer[]): Buffer {
  const all = options.length > 0 ? [...options, u32(OPTION.end)] : [];
  const length = [...body, ...all].reduce((sum, part) => sum + part.length, 12);
  return Buffer.concat([u32(type), u32(length), ...body, ...all, u32(length)]);
}

/** Turns packets into the bytes of a file, in order. */
export class PcapngWriter {
  readonly #snapLength: number;
  readonly #interfaces = new Map<string, number>();

  constructor(snapLength: number) {
    this.#snapLength = snapLength;
  }

  /** What a file begins with. */
  header(): Buffer {
    const body = Buffer.alloc(16);
    body.writeUInt32LE(BYTE_ORDER, 0);
    body.writeUInt16LE(1, 4);
    body.writeUInt16LE(0, 6);
    // the section's length is not known yet
    body.writeBigInt64LE(-1n, 8);
    return block(SECTION, [body], [option(OPTION.userApplication, Buffer.from('cabernet capture'))]);
  }

  /** The packet, after its interface where that is new. */
  packet(packet: PcapngPacket): Buffer {
    const { id, description } = this.#interfaceOf(packet.point);
    const body = Buffer.alloc(20);
    body.writeUInt32LE(id, 0);
    body.writeUInt32LE(Number(packet.timeNs >> 32n), 4);
    body.writeUInt32LE(Number(packet.timeNs & 0xffffffffn), 8);
    body.writeUInt32LE(packet.frame.length, 12);
    body.writeUInt32LE(packet.length, 16);
    const options = [option(OPTION.packetFlags, u32(DIRECTION[packet.direction]))];
    if (packet.comment) options.push(option(OPTION.comment, Buffer.from(packet.comment)));
    return Buffer.concat([description, block(PACKET, [body, padded(packet.frame)], options)]);
  }

  #interfaceOf(point: string): { id: number; description: Buffer } {
    const known = this.#interfaces.get(point);
    if (known !== undefined) return { id: known, description: Buffer.alloc(0) };
    const id = this.#interfaces.size;
    this.#interfaces.set(point, id);
    const body = Buffer.alloc(8);
    body.writeUInt16LE(LINKTYPE_ETHERNET, 0);
    body.writeUInt32LE(this.#snapLength, 4);
    const options = [
      option(OPTION.interfaceName, Buffer.from(point)),
      option(OPTION.timeResolution, Uint8Array.of(NANOSECONDS)),
    ];
    return { id, description: block(INTERFACE, [body], options) };
  }
}
